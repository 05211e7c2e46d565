//! Encrypted mail against a real server on loopback, with certificates made for each test.

use super::client::{Server, SmtpError, deliver};
use super::dialogue::Manner;
use super::message::Message;
use super::secure::Trust;
use crate::config::model::MailTls;
use crate::ipc::messages::Login;
use crate::types::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const LIMIT: Duration = Duration::from_secs(20);

/// An authority, and what the server of that name needs, signed by it.
struct Paper {
    authority: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl Paper {
    fn new(name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::of("an authority", name, shape)
    }

    fn of(authority: &str, name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, authority);
        let issuer = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(vec![name.to_owned()]).unwrap();
        shape(&mut server);
        let signed = server.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap();
        Self { authority: issuer.der().to_vec(), config: Arc::new(config) }
    }
}

/// What the server does.
#[derive(Clone)]
struct Sink {
    tls: MailTls,
    /// Lines of its answer to EHLO in clear, and encrypted.
    offers: (&'static str, &'static str),
    /// Its answer to the last word of a login.
    login: &'static str,
    /// Spoken after "220 go" without being asked.
    between: &'static str,
}

const USUAL: Sink = Sink { tls: MailTls::StartTls, offers: ("STARTTLS", "AUTH PLAIN LOGIN"), login: "235 welcome", between: "" };

/// One connection; all that was said, where `*` is the handshake.
fn serve(paper: &Paper, sink: Sink) -> (u16, JoinHandle<String>) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (listener, acceptor) = (TcpListener::from_std(listener).unwrap(), TlsAcceptor::from(Arc::clone(&paper.config)));
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut heard = String::new();
        if sink.tls == MailTls::Tls {
            heard.push_str("* ");
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(&mut BufReader::new(stream), &sink, true, &mut heard).await;
            }
            return heard;
        }
        let mut stream = BufReader::new(stream);
        if talk(&mut stream, &sink, false, &mut heard).await {
            heard.push_str("* ");
            let stream: TcpStream = stream.into_inner();
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(&mut BufReader::new(stream), &sink, true, &mut heard).await;
            }
        }
        heard
    });
    (port, task)
}

/// Until the client is gone (false) or has said STARTTLS (true).
async fn talk(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>, sink: &Sink, secure: bool, heard: &mut String) -> bool {
    let greets = !secure || sink.tls == MailTls::Tls;
    let mut answer = if greets { "220 sink\r\n".to_owned() } else { String::new() };
    let (mut in_text, mut words) = (false, 0);
    loop {
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() || stream.get_mut().flush().await.is_err() {
            return false;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let line = line.trim_end();
        heard.push_str(&format!("{line}|"));
        let offers = if secure { sink.offers.1 } else { sink.offers.0 };
        answer = match line.split(' ').next().unwrap_or_default() {
            _ if in_text && line != "." => String::new(),
            "." => {
                in_text = false;
                "250 taken\r\n".into()
            }
            "EHLO" => format!("250-sink\r\n250-SIZE 1000\r\n250 {offers}\r\n"),
            "STARTTLS" => {
                let _ = stream.get_mut().write_all(format!("220 go\r\n{}", sink.between).as_bytes()).await;
                return true;
            }
            "AUTH" if line == "AUTH LOGIN" => {
                words = 2;
                "334 VXNlcm5hbWU6\r\n".into()
            }
            "AUTH" => format!("{}\r\n", sink.login),
            _ if words > 0 => {
                words -= 1;
                if words > 0 { "334 UGFzc3dvcmQ6\r\n".into() } else { format!("{}\r\n", sink.login) }
            }
            "DATA" => {
                in_text = true;
                "354 go\r\n".into()
            }
            "QUIT" => return false,
            _ => "250 ok\r\n".into(),
        };
    }
}

/// One mail to that port; `host` is whom we believe to speak to, `authority` whom we trust.
async fn send(port: u16, host: &str, authority: &[u8], tls: MailTls, login: bool) -> Result<(), SmtpError> {
    let trust = Some(Trust::new(vec![authority.to_vec()]).unwrap());
    let addresses = vec![([127, 0, 0, 1], port).into()];
    let server = Server { name: format!("[127.0.0.1]:{port}"), addresses, host: host.to_owned(), trust };
    let login = login.then(|| Login { user: "me".into(), password: Secret::new("pw") });
    let message = Message { from: "me@x".into(), to: vec!["a@x".into()], text: "Subject: s\r\n\r\nb\r\n".into() };
    deliver(&server, Manner { helo: "host".into(), tls, login }, message, LIMIT).await
}

const MAIL: &str = "MAIL FROM:<me@x>|RCPT TO:<a@x>|DATA|Subject: s||b|.|QUIT|";

#[tokio::test]
async fn starttls_then_plain_login_then_the_mail() {
    let paper = Paper::new("mail.test", |_| {});
    let (port, task) = serve(&paper, USUAL);
    send(port, "mail.test", &paper.authority, MailTls::StartTls, true).await.unwrap();
    assert_eq!(task.await.unwrap(), format!("EHLO host|STARTTLS|* EHLO host|AUTH PLAIN AG1lAHB3|{MAIL}"));
}

#[tokio::test]
async fn tls_from_the_first_byte_with_login_and_by_address() {
    let paper = Paper::new("127.0.0.1", |_| {});
    let (port, task) = serve(&paper, Sink { tls: MailTls::Tls, offers: ("", "AUTH LOGIN"), ..USUAL });
    send(port, "127.0.0.1", &paper.authority, MailTls::Tls, true).await.unwrap();
    assert_eq!(task.await.unwrap(), format!("* EHLO host|AUTH LOGIN|bWU=|cHc=|{MAIL}"));
}

#[tokio::test]
async fn without_a_user_nobody_logs_in() {
    let paper = Paper::new("mail.test", |_| {});
    let (port, task) = serve(&paper, USUAL);
    send(port, "mail.test", &paper.authority, MailTls::StartTls, false).await.unwrap();
    assert_eq!(task.await.unwrap(), format!("EHLO host|STARTTLS|* EHLO host|{MAIL}"));
}

/// The message of a delivery that must fail, and all that the server heard; it is worth another try.
async fn failure(paper: &Paper, sink: Sink, host: &str, authority: &[u8]) -> (String, String) {
    let tls = if sink.tls == MailTls::Tls { MailTls::Tls } else { MailTls::StartTls };
    let (port, task) = serve(paper, sink);
    let error = send(port, host, authority, tls, true).await.unwrap_err();
    assert!(error.is_worth_another_try(), "{error}");
    let heard = task.await.unwrap();
    assert!(!heard.contains("MAIL"), "{heard}");
    (error.to_string(), heard)
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_told_with_its_cure_and_nothing_else_is_said() {
    let good = Paper::new("mail.test", |_| {});
    // Of the same name, and of another.
    let (other, stranger) = (Paper::new("mail.test", |_| {}), Paper::of("a stranger", "mail.test", |_| {}));
    let old = Paper::new("mail.test", |server| server.not_after = rcgen::date_time_ymd(2020, 1, 1));
    for (paper, host, authority, cure) in [
        (&good, "mail.test", &other.authority, "smtp_tls_ca FILE"),
        (&good, "mail.test", &stranger.authority, "smtp_tls_ca FILE"),
        (&good, "other.test", &good.authority, "smtp_server, instead of 'other.test'"),
        (&old, "mail.test", &old.authority, "it has expired"),
        (&good, "a b", &good.authority, "'a b' is no name"),
    ] {
        let (error, heard) = failure(paper, USUAL, host, authority).await;
        assert!(error.contains(cure), "{error}");
        assert_eq!(heard, "EHLO host|STARTTLS|* ");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail() {
    let paper = Paper::new("mail.test", |_| {});
    let (error, heard) = failure(&paper, Sink { offers: ("AUTH PLAIN", ""), ..USUAL }, "mail.test", &paper.authority).await;
    assert!(error.contains("does not offer STARTTLS"), "{error}");
    assert_eq!(heard, "EHLO host|");
}

#[tokio::test]
async fn a_clear_port_that_is_spoken_to_in_tls_says_what_to_write() {
    let paper = Paper::new("mail.test", |_| {});
    let (port, _task) = serve(&paper, USUAL);
    let error = send(port, "mail.test", &paper.authority, MailTls::Tls, true).await.unwrap_err();
    assert!(error.to_string().contains("cure: 'smtp_tls starttls'"), "{error}");
}

#[tokio::test]
async fn a_login_that_is_refused_names_the_user_and_not_the_password() {
    let paper = Paper::new("mail.test", |_| {});
    let sink = Sink { login: "535 5.7.8 authentication failed", ..USUAL };
    let (error, _) = failure(&paper, sink, "mail.test", &paper.authority).await;
    assert!(error.contains("refuses the login of me: 535 5.7.8"), "{error}");
    assert!(!error.contains("pw") && !error.contains("cHc="), "{error}");
    let (error, heard) = failure(&paper, Sink { offers: ("STARTTLS", "SIZE"), ..USUAL }, "mail.test", &paper.authority).await;
    assert!(error.contains("neither AUTH PLAIN nor AUTH LOGIN"), "{error}");
    assert_eq!(heard, "EHLO host|STARTTLS|* EHLO host|");
}

#[tokio::test]
async fn words_slipped_in_before_the_handshake_end_it() {
    let paper = Paper::new("mail.test", |_| {});
    let (error, heard) = failure(&paper, Sink { between: "250 AUTH PLAIN\r\n", ..USUAL }, "mail.test", &paper.authority).await;
    assert!(error.contains("between STARTTLS and the handshake"), "{error}");
    assert_eq!(heard, "EHLO host|STARTTLS|* ");
}

#[test]
fn no_authority_is_no_trust() {
    assert!(Trust::new(Vec::new()).is_err());
    assert!(Trust::new(vec![b"no certificate".to_vec()]).is_err());
}
