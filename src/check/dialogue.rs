//! What a checker says to a server and what it makes of the answers; the bytes are carried by somebody else.

use std::time::Duration;
use thiserror::Error;

/// A conversation with a server. It knows no socket and no clock: whoever carries the bytes also holds the deadline.
pub trait Dialogue {
    /// The connection stands.
    fn connected(&mut self) -> Step;
    /// Bytes arrived.
    fn received(&mut self, bytes: &[u8]) -> Step;
    /// The peer closed its side.
    fn closed(&mut self) -> Step;
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send these bytes, then read.
    Send(Vec<u8>),
    /// Read more.
    Read,
    /// It is decided.
    Done(Result<(), Failure>),
}

/// Why a check failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Failure {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No connection within the time.
    #[error("no connection within {0:?}")]
    NotConnected(Duration),
    /// Nothing within the time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The whole check took too long, however lively the peer was.
    #[error("not finished within {0:?}")]
    TooSlow(Duration),
    /// The connection was closed before the answer was whole.
    #[error("the connection was closed early")]
    ClosedEarly,
    /// TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// An answer that is not of its protocol.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// An answer larger than a check reads.
    #[error("answer longer than {0} bytes")]
    TooLong(usize),
    /// HTTP: another status than wanted.
    #[error("status_code [{0}]")]
    Status(u16),
    /// HTTP: another body than wanted.
    #[error("digest [{0}]")]
    Digest(String),
    /// HTTP: the body does not fit the expression.
    #[error("the body does not match the regex")]
    Regex,
    /// SMTP: the server greets with something else than 220.
    #[error("greeting [{0}]")]
    Greeting(String),
    /// SMTP: it answers HELO with something else than 250.
    #[error("reply [{0}]")]
    Reply(String),
    /// DNS: an error code.
    #[error("response code {0}")]
    ResponseCode(u8),
    /// DNS: no record.
    #[error("no answer record")]
    NoAnswer,
    /// UDP: another datagram than wanted.
    #[error("reply data mismatch")]
    Mismatch,
    /// A script's exit status.
    #[error("exited with status {0}")]
    Exited(i32),
    /// A script was killed.
    #[error("killed by signal {0}")]
    Killed(i32),
    /// A script could not be started.
    #[error("not started: {0}")]
    NotStarted(String),
    /// A script took too long.
    #[error("timed out")]
    ScriptTimedOut,
    /// The check could not be made, for a reason that is ours: it says nothing of the server.
    #[error("cannot check: {0}")]
    Local(String),
}
