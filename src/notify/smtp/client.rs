//! Delivers one mail to one server.

use super::dialogue::{Dialogue, Manner, Step, Unfit};
use super::message::Message;
use super::secure::{self, Trust};
use crate::config::model::MailTls;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longest reply line (RFC 5321 §4.5.3.1.5 has 512 bytes), with room.
const LONGEST_LINE: u64 = 2048;

/// Most lines of replies in one dialogue: a server that goes on for ever is given up.
const MOST_LINES: usize = 1000;

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
    /// The connection cannot be trusted.
    #[error("SMTP server {server}: {why}")]
    Tls {
        /// Which.
        server: String,
        /// What is wrong, and the cure.
        why: String,
    },
    /// It cannot be encrypted.
    #[error(
        "SMTP server {server} does not offer STARTTLS, and mail is not sent in clear; cure: 'smtp_tls tls' and its port for that (usually \
         465), or 'smtp_tls off' where nobody listens"
    )]
    NoStartTls {
        /// Which.
        server: String,
    },
    /// It knows no login that we know.
    #[error("SMTP server {server} offers neither AUTH PLAIN nor AUTH LOGIN; cure: another port (usually 587), or no smtp_user")]
    NoLogin {
        /// Which.
        server: String,
    },
    /// It does not take this user.
    #[error("SMTP server {server} refuses the login of {user}: {reply}; cure: smtp_user and what is in smtp_password_file")]
    Login {
        /// Which.
        server: String,
        /// `smtp_user`.
        user: String,
        /// What it said.
        reply: String,
    },
}

impl SmtpError {
    /// Whether it is worth trying again: all that a change of configuration or of the server cures is.
    pub const fn is_worth_another_try(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// Where a mail goes.
#[derive(Clone, Debug)]
pub struct Server {
    /// As messages name it.
    pub name: String,
    /// The first of these that answers is used.
    pub addresses: Vec<SocketAddr>,
    /// Whom its certificate must name.
    pub host: String,
    /// Whose signature counts; needed with TLS.
    pub trust: Option<Trust>,
}

/// What mail travels on: clear or encrypted.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Delivers `message` to the server; every step may take `limit`.
///
/// # Errors
/// See [`SmtpError`].
pub async fn deliver(server: &Server, manner: Manner, message: Message, limit: Duration) -> Result<(), SmtpError> {
    let journey = Journey { server, limit };
    let stream = journey.in_time(TcpStream::connect(server.addresses.as_slice())).await?;
    tracing::debug!("Remote SMTP server {} connected.", server.name);
    let user = manner.login.as_ref().map(|login| login.user.clone()).unwrap_or_default();
    let at_once = manner.tls == MailTls::Tls;
    let mut dialogue = Dialogue::new(message, manner);
    let ended = if at_once {
        journey.speak(&mut *journey.secured(stream).await?, &mut dialogue).await?
    } else {
        let mut stream = BufReader::new(stream);
        match journey.speak(&mut stream, &mut dialogue).await? {
            End::Secure => {
                // What came before the handshake and was not asked for is somebody else's (RFC 3207 §6).
                if !stream.buffer().is_empty() {
                    return Err(SmtpError::Tls {
                        server: server.name.clone(),
                        why: "it spoke between STARTTLS and the handshake".to_owned(),
                    });
                }
                let mut stream = journey.secured(stream.into_inner()).await?;
                let hello = dialogue.secured();
                journey.send(&mut *stream, &hello).await?;
                journey.speak(&mut *stream, &mut dialogue).await?
            }
            ended => ended,
        }
    };
    let server = server.name.clone();
    match ended {
        End::Delivered => Ok(()),
        End::Later(reply) => Err(SmtpError::Later { server, reply }),
        End::Refused(reply) => Err(SmtpError::Refused { server, reply }),
        End::Secure | End::Unfit(Unfit::NoStartTls) => Err(SmtpError::NoStartTls { server }),
        End::Unfit(Unfit::NoLogin) => Err(SmtpError::NoLogin { server }),
        End::Unfit(Unfit::Login(reply)) => Err(SmtpError::Login { server, user, reply }),
    }
}

/// How a conversation ended.
enum End {
    Delivered,
    /// Goes on encrypted.
    Secure,
    Later(String),
    Refused(String),
    Unfit(Unfit),
}

/// One connection's limits.
struct Journey<'a> {
    server: &'a Server,
    limit: Duration,
}

impl Journey<'_> {
    async fn in_time<T>(&self, step: impl Future<Output = io::Result<T>>) -> Result<T, SmtpError> {
        match tokio::time::timeout(self.limit, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(source)) => Err(SmtpError::Connection { server: self.server.name.clone(), source }),
            Err(_) => Err(SmtpError::Slow { server: self.server.name.clone(), limit: self.limit }),
        }
    }

    /// The same connection, encrypted.
    async fn secured(&self, stream: TcpStream) -> Result<Box<BufReader<impl Stream>>, SmtpError> {
        let refuse = |why: String| SmtpError::Tls { server: self.server.name.clone(), why };
        let Some(trust) = &self.server.trust else { return Err(refuse("no certificate authority is known".to_owned())) };
        let handshake = secure::shake_hands(trust, &self.server.host, stream);
        match tokio::time::timeout(self.limit, handshake).await {
            Ok(done) => Ok(Box::new(BufReader::new(done.map_err(refuse)?))),
            Err(_) => Err(SmtpError::Slow { server: self.server.name.clone(), limit: self.limit }),
        }
    }

    async fn send(&self, stream: &mut BufReader<impl Stream>, text: &str) -> Result<(), SmtpError> {
        self.in_time(async {
            stream.get_mut().write_all(text.as_bytes()).await?;
            stream.get_mut().flush().await
        })
        .await
    }

    /// Until the mail is delivered, or cannot be, or the connection is to be encrypted.
    async fn speak(&self, stream: &mut BufReader<impl Stream>, dialogue: &mut Dialogue) -> Result<End, SmtpError> {
        for _ in 0..MOST_LINES {
            let line = self.in_time(line(stream)).await?;
            match dialogue.reply(&line) {
                Step::More => {}
                Step::Send(text) => self.send(stream, &text).await?,
                Step::Secure => return Ok(End::Secure),
                Step::Delivered(text) => {
                    // Delivered is delivered, whatever happens to the farewell.
                    let _ = self.send(stream, &text).await;
                    return Ok(End::Delivered);
                }
                Step::Later(reply) => return Ok(End::Later(reply)),
                Step::Refused(reply) => return Ok(End::Refused(reply)),
                Step::Unfit(how) => return Ok(End::Unfit(how)),
            }
        }
        Ok(End::Later("it never comes to an end".to_owned()))
    }
}

/// One line; what could do something to a terminal is not in it.
async fn line(stream: &mut BufReader<impl Stream>) -> io::Result<String> {
    let mut line = Vec::new();
    let count = stream.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(line.trim_ascii_end());
    Ok(text.chars().map(|character| if character.is_control() { '?' } else { character }).collect())
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

    async fn deliver_to(port: u16, limit: Duration) -> Result<(), SmtpError> {
        let addresses = vec![([127, 0, 0, 1], port).into()];
        let server = Server { name: "test".into(), addresses, host: "test".into(), trust: None };
        deliver(&server, Manner { helo: "host".into(), tls: MailTls::Off, login: None }, mail(), limit).await
    }

    #[tokio::test]
    async fn a_mail_arrives_whole() {
        let (port, task) = server(&["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "250 x\r\n"]).await;
        deliver_to(port, LIMIT).await.unwrap();
        let wanted = "HELO host\r\nMAIL FROM:<me@x>\r\nRCPT TO:<a@x>\r\nDATA\r\nSubject: s\r\n\r\nb\r\n.\r\nQUIT\r\n";
        assert_eq!(task.await.unwrap(), wanted);
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_worth_another_try_and_one_that_refuses_is_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = deliver_to(port, LIMIT).await.unwrap_err();
        assert!(error.is_worth_another_try(), "{error}");
        let (port, _task) = server(&["554 no\r\n"]).await;
        let error = deliver_to(port, LIMIT).await.unwrap_err();
        assert!(!error.is_worth_another_try(), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_does_not_hold_us() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = deliver_to(port, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, SmtpError::Slow { .. }), "{error}");
    }
}
