//! TLS against real servers on loopback, with certificates of their own authority.

use super::tests::{checker, made, page};
use super::*;
use crate::check::tls::Version;
use crate::types::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io::{Read, Write};
use std::net::TcpListener;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// An authority.
struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key as PEM text.
struct Pair {
    certificate: String,
    key: String,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn issue(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2040, 1, 2);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// How a server of these tests behaves.
struct Server<'a> {
    pair: &'a Pair,
    /// It wants a certificate of this authority.
    clients: Option<&'a Ca>,
    only_1_2: bool,
    /// It ends with close_notify.
    polite: bool,
}

impl<'a> Server<'a> {
    fn new(pair: &'a Pair) -> Self {
        Self { pair, clients: None, only_1_2: false, polite: true }
    }

    /// Serves a few connections one page; the port.
    fn start(self) -> u16 {
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = if self.only_1_2 { &[&TLS12] } else { tokio_rustls::rustls::ALL_VERSIONS };
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(&ca.pem()).unwrap()).unwrap();
                builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(self.pair.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.pair.key.as_bytes()).unwrap();
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let polite = self.polite;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                if stream.read(&mut [0; 1000]).is_ok() {
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
                    if polite {
                        stream.conn.send_close_notify();
                    }
                    let _ = stream.flush();
                }
            }
        });
        port
    }
}

/// An SSL_GET of the page, from a server that ought to be called so.
fn asks(port: u16, name: &str) -> Checker {
    let mut check = checker(page((200, 200)), port);
    check.target.connect_timeout = Duration::from_secs(20);
    if let Kind::Http(settings) = &mut check.kind {
        let settings = Arc::make_mut(settings);
        settings.tls = true;
        settings.sni = true;
        settings.urls[0].virtualhost = Some(name.to_owned());
    }
    check
}

fn run(check: &Checker, files: &Files) -> Outcome {
    let trust = Arc::new(Trust::new(files).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(made(check, Some(&trust)))
}

fn trusting(ca: &Ca) -> Files {
    Files { authority: Some(ca.pem()), ..Files::default() }
}

fn refused(outcome: &Outcome) -> bool {
    matches!(outcome.result, Err(Failure::Tls(_)))
}

#[test]
fn without_an_authority_anyone_is_trusted_and_the_certificates_end_is_seen() {
    let pair = Ca::new().issue("server.test");
    let outcome = run(&asks(Server::new(&pair).start(), "other.test"), &Files::default());
    assert_eq!(outcome, Outcome { certificate_ends: Some(2_209_075_200), ..Outcome::new(Ok(())) });
}

#[test]
fn with_an_authority_the_chain_and_the_name_are_verified() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let (good, strange) = (ca.issue("server.test"), stranger.issue("server.test"));
    let port = Server::new(&good).start();
    assert_eq!(run(&asks(port, "server.test"), &trusting(&ca)).result, Ok(()));
    assert!(refused(&run(&asks(port, "other.test"), &trusting(&ca))), "another name");
    assert!(refused(&run(&asks(Server::new(&strange).start(), "server.test"), &trusting(&ca))), "another authority");
}

#[test]
fn the_name_is_verified_also_when_it_is_not_sent() {
    let ca = Ca::new();
    let (named, numbered) = (ca.issue("server.test"), ca.issue("127.0.0.1"));
    let mut check = asks(Server::new(&named).start(), "server.test:443");
    let Kind::Http(settings) = &mut check.kind else { panic!("a page") };
    let settings = Arc::make_mut(settings);
    settings.sni = false;
    assert_eq!(run(&check, &trusting(&ca)).result, Ok(()));
    let mut check = asks(Server::new(&numbered).start(), "");
    let Kind::Http(settings) = &mut check.kind else { panic!("a page") };
    let settings = Arc::make_mut(settings);
    settings.urls[0].virtualhost = None;
    assert_eq!(run(&check, &trusting(&ca)).result, Ok(()), "without a name it is the address that must be in it");
}

#[test]
fn a_server_that_wants_a_certificate_gets_ours() {
    let ca = Ca::new();
    let (server, client) = (ca.issue("server.test"), ca.issue("client.test"));
    let port = Server { clients: Some(&ca), ..Server::new(&server) }.start();
    let check = asks(port, "server.test");
    assert_ne!(run(&check, &trusting(&ca)).result, Ok(()), "who shows none is refused");
    let certificate = Some(client.certificate.clone().into_bytes());
    let apart = Files { certificate, key: Some(Secret::new(client.key.clone())), ..trusting(&ca) };
    assert_eq!(run(&check, &apart).result, Ok(()));
    let together = Files { certificate: Some(format!("{}{}", client.key, client.certificate).into_bytes()), ..trusting(&ca) };
    assert_eq!(run(&check, &together).result, Ok(()));
}

/// `openssl ecparam -genkey -name prime256v1 | openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:sesame`
const SEALED: &str = include_str!("sealed.pem");

#[test]
fn an_encrypted_key_needs_its_password() {
    let client = Ca::new().issue("client.test");
    let files = |password: Option<&str>| Files {
        certificate: Some(client.certificate.clone().into_bytes()),
        key: Some(Secret::new(SEALED)),
        password: password.map(Secret::new),
        ..Files::default()
    };
    let refusal = |password| Trust::new(&files(password)).unwrap_err().to_string();
    assert_eq!(refusal(None), "SSL key: it is encrypted: 'password' is needed");
    assert!(refusal(Some("wrong")).starts_with("SSL key: "), "{}", refusal(Some("wrong")));
    // Opened, it is found to be the key of another certificate.
    assert!(refusal(Some("sesame")).starts_with("TLS: "), "{}", refusal(Some("sesame")));
}

#[test]
fn an_old_version_is_refused_when_it_is_asked_for() {
    let ca = Ca::new();
    let pair = ca.issue("server.test");
    let check = asks(Server { only_1_2: true, ..Server::new(&pair) }.start(), "server.test");
    assert_eq!(run(&check, &trusting(&ca)).result, Ok(()));
    assert!(refused(&run(&check, &Files { least: Version::V1_3, ..trusting(&ca) })));
}

#[test]
fn an_end_without_close_notify_counts_only_where_that_is_asked_for() {
    let ca = Ca::new();
    let pair = ca.issue("server.test");
    for (polite, compliant, good) in [(false, false, true), (false, true, false), (true, true, true)] {
        let mut check = asks(Server { polite, ..Server::new(&pair) }.start(), "server.test");
        let Kind::Http(settings) = &mut check.kind else { panic!("a page") };
        let settings = Arc::make_mut(settings);
        settings.urls[0].tls_compliant = compliant;
        assert_eq!(run(&check, &trusting(&ca)).result.is_ok(), good, "polite {polite}, compliant {compliant}");
    }
}

#[test]
fn plain_text_is_no_tls_and_no_certificate_is_no_authority() {
    let port = super::tests::serve(|mut stream| _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n"));
    assert!(refused(&run(&asks(port, "server.test"), &Files::default())));
    let files = |text: &[u8]| Files { authority: Some(text.to_vec()), ..Files::default() };
    assert_eq!(Trust::new(&files(b"no certificate")).unwrap_err().to_string(), "SSL ca: no certificate in the file");
}
