//! A connection to a target, with TLS or without.

use super::tls::Trust;
use super::{tcp, tls, within};
use crate::check::{Dialogue, Failure, Step, Target, certificate};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Bytes read at once, on the stack and not in the waiting task.
const CHUNK: usize = 8192;

/// A stream of bytes. Every wait on it ends within the target's `connect_timeout`.
#[derive(Debug)]
pub enum Connection {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP, and whether an end without close_notify is a failure.
    Tls(Box<TlsStream<TcpStream>>, bool),
}

/// Connects; with TLS when there is something to hold certificates against. The name is the one that a verified certificate
/// must have (the target's address without one); it is sent in the greeting when the last says so.
///
/// # Errors
/// Why there is no connection.
pub async fn open(target: &Target, tls: Option<(&Trust, Option<&str>, bool)>) -> Result<Connection, Failure> {
    let stream = tcp::connect(target).await?;
    match tls {
        None => Ok(Connection::Plain(stream)),
        Some((trust, name, sent)) => {
            let stream = tls::shake(target, trust, name, sent, stream).await?;
            Ok(Connection::Tls(Box::new(stream), false))
        }
    }
}

impl Connection {
    /// `tls_compliant`.
    pub const fn compliant(&mut self, value: bool) {
        if let Self::Tls(_, compliant) = self {
            *compliant = value;
        }
    }

    /// When the peer's certificate ends, in seconds since 1970.
    pub fn certificate_ends(&self) -> Option<i64> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream, _) => certificate::not_after(stream.get_ref().1.peer_certificates()?.first()?),
        }
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The connection broke, or the peer takes nothing any more.
    pub async fn write(&mut self, target: &Target, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Plain(stream) => {
                // Almost always there is room at once, and no timer is needed.
                match stream.try_write(bytes) {
                    Ok(length) if length == bytes.len() => Ok(()),
                    Ok(length) => within(target, stream.write_all(bytes.get(length..).unwrap_or_default())).await,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => within(target, stream.write_all(bytes)).await,
                    Err(error) => Err(Failure::Broken(error.to_string())),
                }
            }
            Self::Tls(stream, _) => {
                let sending = async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                };
                within(target, sending).await
            }
        }
    }

    /// Reads once; 0 is the end.
    ///
    /// # Errors
    /// The connection broke, or nothing came.
    pub async fn read(&mut self, target: &Target, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            Self::Plain(stream) => loop {
                within(target, stream.readable()).await?;
                if let Some(length) = taken(stream.try_read(buffer))? {
                    return Ok(length);
                }
            },
            Self::Tls(stream, compliant) => {
                let mut broken = false;
                let reading = async {
                    match stream.read(buffer).await {
                        // Many servers hang up without close_notify; what was said counts.
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            broken = true;
                            Ok(0)
                        }
                        other => other,
                    }
                };
                let length = within(target, reading).await?;
                if broken && *compliant { Err(Failure::Tls("closed without close_notify".to_owned())) } else { Ok(length) }
            }
        }
    }

    /// Reads once and tells the dialogue.
    pub(super) async fn read_into(&mut self, target: &Target, dialogue: &mut impl Dialogue) -> Result<Step, Failure> {
        if let Self::Plain(stream) = self {
            loop {
                within(target, stream.readable()).await?;
                let mut chunk = [0; CHUNK];
                if let Some(length) = taken(stream.try_read(&mut chunk))? {
                    return Ok(heard(dialogue, chunk.get(..length).unwrap_or_default()));
                }
            }
        }
        let mut chunk = vec![0; CHUNK];
        let length = self.read(target, &mut chunk).await?;
        Ok(heard(dialogue, chunk.get(..length).unwrap_or_default()))
    }
}

/// What a read gave; nothing when there was nothing after all.
fn taken(result: io::Result<usize>) -> Result<Option<usize>, Failure> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(Failure::Broken(error.to_string())),
    }
}

fn heard(dialogue: &mut impl Dialogue, bytes: &[u8]) -> Step {
    if bytes.is_empty() { dialogue.closed() } else { dialogue.received(bytes) }
}
