//! Delivers one mail to one server.

use super::dialogue::{Dialogue, Step};
use super::message::Message;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longest reply line (RFC 5321 §4.5.3.1.5 has 512 bytes), with room.
const LONGEST_LINE: u64 = 2048;

/// Why a mail was not delivered.
#[derive(Debug, Error)]
pub enum SmtpError {
    /// No connection, or it broke.
    #[error("SMTP server {server}: {source}")]
    Connection {
        /// Which.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// Too slow.
    #[error("SMTP server {server} did not answer within {} s", limit.as_secs())]
    Slow {
        /// Which.
        server: String,
        /// `smtp_connect_timeout`.
        limit: Duration,
    },
    /// It says: later.
    #[error("SMTP server {server}: {reply}")]
    Later {
        /// Which.
        server: String,
        /// What it said.
        reply: String,
    },
    /// It says: never.
    #[error("SMTP server {server} refuses the mail: {reply}")]
    Refused {
        /// Which.
        server: String,
        /// What it said.
        reply: String,
    },
}

impl SmtpError {
    /// Whether it is worth trying again.
    pub const fn is_worth_another_try(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// Delivers `message` to the server of that name at the first of these addresses that answers; every step may take `limit`.
///
/// # Errors
/// See [`SmtpError`].
pub async fn deliver(name: &str, addresses: &[SocketAddr], helo: &str, message: Message, limit: Duration) -> Result<(), SmtpError> {
    let name = name.to_owned();
    let slow = || SmtpError::Slow { server: name.clone(), limit };
    let connection = |source| SmtpError::Connection { server: name.clone(), source };
    let stream = tokio::time::timeout(limit, TcpStream::connect(addresses)).await.map_err(|_| slow())?;
    let mut stream = BufReader::new(stream.map_err(connection)?);
    tracing::debug!("Remote SMTP server {name} connected.");
    let mut dialogue = Dialogue::new(message, helo.to_owned());
    loop {
        let line = tokio::time::timeout(limit, line(&mut stream)).await.map_err(|_| slow())?.map_err(connection)?;
        let (send, done) = match dialogue.reply(&line) {
            Step::More => continue,
            Step::Send(text) => (text, false),
            Step::Delivered(text) => (text, true),
            Step::Later(reply) => return Err(SmtpError::Later { server: name, reply }),
            Step::Refused(reply) => return Err(SmtpError::Refused { server: name, reply }),
        };
        let sent = tokio::time::timeout(limit, stream.get_mut().write_all(send.as_bytes())).await.map_err(|_| slow())?;
        if done {
            // Delivered is delivered, whatever happens to the farewell.
            return Ok(());
        }
        sent.map_err(connection)?;
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    let count = stream.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn server(replies: &'static [&'static str]) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut heard = String::new();
            for reply in replies {
                stream.get_mut().write_all(reply.as_bytes()).await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                    heard.push_str(&line);
                    let in_text = reply.starts_with("354");
                    if !in_text || line == ".\r\n" {
                        break;
                    }
                    line.clear();
                }
            }
            heard
        });
        (port, task)
    }

    fn mail() -> Message {
        Message { from: "me@x".into(), to: vec!["a@x".into()], text: "Subject: s\r\n\r\nb\r\n".into() }
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_mail_arrives_whole() {
        let (port, task) = server(&["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "250 x\r\n"]).await;
        deliver("test", &[([127, 0, 0, 1], port).into()], "host", mail(), LIMIT).await.unwrap();
        let wanted = "HELO host\r\nMAIL FROM:<me@x>\r\nRCPT TO:<a@x>\r\nDATA\r\nSubject: s\r\n\r\nb\r\n.\r\nQUIT\r\n";
        assert_eq!(task.await.unwrap(), wanted);
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_worth_another_try_and_one_that_refuses_is_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = deliver("test", &[([127, 0, 0, 1], port).into()], "host", mail(), LIMIT).await.unwrap_err();
        assert!(error.is_worth_another_try(), "{error}");
        let (port, _task) = server(&["554 no\r\n"]).await;
        let error = deliver("test", &[([127, 0, 0, 1], port).into()], "host", mail(), LIMIT).await.unwrap_err();
        assert!(!error.is_worth_another_try(), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_does_not_hold_us() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = deliver("test", &[([127, 0, 0, 1], port).into()], "host", mail(), Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, SmtpError::Slow { .. }), "{error}");
    }
}
