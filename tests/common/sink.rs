//! A mail server that takes everything: in clear, or encrypted with a certificate of an authority of its own and a login.

use super::*;
use keepalived_rs::ctl::lab::Host;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An authority in PEM, and what the server of that name needs.
pub struct Paper {
    pub authority: String,
    config: Arc<ServerConfig>,
}

impl Paper {
    pub fn new(name: &str) -> Self {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "the laboratory's authority");
        let issuer = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
            .unwrap();
        Self { authority: issuer.pem(), config: Arc::new(config) }
    }
}

/// Every mail as the client said it: commands, header and body, `\n` for `\r\n`.
#[derive(Clone, Default)]
pub struct MailSink(pub Arc<Mutex<Vec<String>>>);

/// How a sink is spoken to.
#[derive(Clone)]
enum Manner {
    Clear,
    /// STARTTLS, then this login (AUTH PLAIN's word).
    Encrypted(Arc<ServerConfig>, &'static str),
}

impl MailSink {
    /// On port 25 of the host, in clear.
    pub fn start(host: &Host) -> Self {
        Self::serve(host, 25, Manner::Clear)
    }

    /// On port 587 of the host: STARTTLS is a must, then a login with this word.
    pub fn start_encrypted(host: &Host, paper: &Paper, login: &'static str) -> Self {
        Self::serve(host, 587, Manner::Encrypted(Arc::clone(&paper.config), login))
    }

    fn serve(host: &Host, port: u16, manner: Manner) -> Self {
        let listener = host.run(move || TcpListener::bind(("127.0.0.1", port))).unwrap().unwrap();
        let sink = Self::default();
        let taken = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sink, manner) = (taken.clone(), manner.clone());
                // The original speaks to several at once.
                std::thread::spawn(move || sink.welcome(stream, &manner));
            }
        });
        sink
    }

    fn welcome(&self, mut stream: TcpStream, manner: &Manner) {
        let mut heard = String::new();
        match manner {
            Manner::Clear => {
                let _ = stream.write_all(b"220 sink\r\n");
                self.talk(BufReader::new(stream), "", &mut heard);
            }
            Manner::Encrypted(config, login) => {
                // Byte by byte: what follows STARTTLS belongs to the handshake.
                let _ = stream.write_all(b"220 sink\r\n");
                for (wanted, answer) in [("EHLO ", "250-sink\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go\r\n")] {
                    let line = slow_line(&mut stream);
                    heard.push_str(&format!("{line}\n"));
                    if !line.starts_with(wanted) {
                        let _ = stream.write_all(b"530 5.7.0 Must issue a STARTTLS command first\r\n");
                        return;
                    }
                    let _ = stream.write_all(answer.as_bytes());
                }
                let stream = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream);
                self.talk(BufReader::new(stream), login, &mut heard);
            }
        }
    }

    fn talk<S: Read + Write>(&self, mut stream: BufReader<S>, login: &str, heard: &mut String) {
        let mut known = login.is_empty();
        let mut in_text = false;
        loop {
            let mut line = Vec::new();
            if stream.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap_or(b"a line without its end")).into_owned();
            heard.push_str(&format!("{line}\n"));
            let answer = match line.as_str() {
                "." if in_text => {
                    in_text = false;
                    self.0.lock().unwrap().push(std::mem::take(heard));
                    "250 taken\r\n"
                }
                _ if in_text => continue,
                _ if line.starts_with("EHLO ") => "250-sink\r\n250 AUTH PLAIN LOGIN\r\n",
                _ if line.starts_with("AUTH ") => {
                    known = line.strip_prefix("AUTH PLAIN ") == Some(login);
                    if known { "235 welcome\r\n" } else { "535 5.7.8 authentication failed\r\n" }
                }
                _ if line.starts_with("MAIL ") && !known => "530 5.7.0 Authentication required\r\n",
                "DATA" => {
                    in_text = true;
                    "354 go\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            if stream.get_mut().write_all(answer.as_bytes()).and_then(|()| stream.get_mut().flush()).is_err() {
                return;
            }
        }
    }

    /// All mails so far, in order of arrival.
    pub fn mails(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Their subjects.
    pub fn subjects(&self) -> Vec<String> {
        self.mails().iter().filter_map(|mail| subject(mail)).collect()
    }
}

/// The subject of a mail.
pub fn subject(mail: &str) -> Option<String> {
    Some(mail.lines().find_map(|line| line.strip_prefix("Subject: "))?.to_owned())
}

fn slow_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}
