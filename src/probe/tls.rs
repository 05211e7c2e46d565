//! TLS over TCP. Without a certificate authority nothing is verified, as the original; with one the certificate must be good.

use super::within;
use crate::check::tls::{Files, Version};
use crate::check::{Failure, Target};
use crate::types::Secret;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

/// What servers' certificates are held against, and what is shown of ourselves. Made once a configuration.
#[derive(Debug)]
pub struct Trust {
    /// A name goes into the greeting.
    named: Arc<ClientConfig>,
    nameless: Arc<ClientConfig>,
    /// Certificates are held against something.
    verifies: bool,
}

/// Why it could not be set up.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file of `ca` holds no certificate, or a bad one.
    #[error("SSL ca: {0}")]
    Authority(String),
    /// The file of `certificate` holds none, or a bad one.
    #[error("SSL certificate: {0}")]
    Certificate(String),
    /// The file of `key` holds none, or one that cannot be used.
    #[error("SSL key: {0}")]
    Key(String),
    /// The library refuses.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// From what the files of the `SSL` block hold.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(files: &Files) -> Result<Self, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match files.least {
            Version::V1_2 => &[&TLS13, &TLS12],
            Version::V1_3 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
        let builder = match &files.authority {
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
            Some(pem) => builder.with_root_certificates(roots(pem)?),
        };
        let mut config = match ours(files)? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        };
        // Every check is a whole handshake: a resumed session would prove less.
        config.resumption = rustls::client::Resumption::disabled();
        let mut nameless = config.clone();
        nameless.enable_sni = false;
        Ok(Self { named: Arc::new(config), nameless: Arc::new(nameless), verifies: files.authority.is_some() })
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TrustError::Authority(error.to_string()))?;
        roots.add(certificate).map_err(|error| TrustError::Authority(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::Authority("no certificate in the file".to_owned()));
    }
    Ok(roots)
}

/// Our certificate with its key, when there is one.
fn ours(files: &Files) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TrustError> {
    let Some(pem) = &files.certificate else { return Ok(None) };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| TrustError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TrustError::Certificate("no certificate in the file".to_owned()));
    }
    // Without `key` it is in the same file, as with other programs.
    let key = files.key.as_ref().map_or(pem.as_slice(), |key| key.reveal().as_bytes());
    let key = private_key(key, files.password.as_ref())?;
    Ok(Some((chain, key)))
}

fn private_key(pem: &[u8], password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, TrustError> {
    let failed = |error: &dyn std::fmt::Display| TrustError::Key(error.to_string());
    let text = String::from_utf8_lossy(pem);
    if let Some(from) = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        let Some(password) = password else { return Err(TrustError::Key("it is encrypted: 'password' is needed".to_owned())) };
        let sealed = text.get(from..).unwrap_or_default();
        let (_, sealed) = pkcs8::SecretDocument::from_pem(until_end(sealed)).map_err(|error| failed(&error))?;
        let sealed = pkcs8::EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes()).map_err(|error| failed(&error))?;
        let open = sealed.decrypt(password.reveal()).map_err(|error| failed(&error))?;
        return Ok(PrivatePkcs8KeyDer::from(open.as_bytes().to_vec()).into());
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        let cure = "openssl pkcs8 -topk8 -in OLD -out NEW";
        return Err(TrustError::Key(format!("it is encrypted in the old way of PEM: turn it into PKCS #8 ({cure})")));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| failed(&error))
}

/// A PEM block alone, without what follows it in its file.
fn until_end(text: &str) -> &str {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    text.find(END).and_then(|at| text.get(..at + END.len())).unwrap_or(text)
}

/// The handshake. `name` is what a verified certificate must have, and goes into the greeting when `sent`.
pub(super) async fn shake(
    target: &Target,
    trust: &Trust,
    name: Option<&str>,
    sent: bool,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = if sent && name.is_some() { &trust.named } else { &trust.nameless };
    let server = match name.map(|name| (name, ServerName::try_from(name.to_owned()))) {
        Some((_, Ok(server))) => server,
        // A virtualhost that is no name of the DNS is nothing to send, but it does not keep the check from being made.
        Some(_) if !trust.verifies => ServerName::from(target.address),
        Some((name, Err(error))) => return Err(Failure::Tls(format!("{name}: {error}"))),
        None => ServerName::from(target.address),
    };
    let handshake = TlsConnector::from(config.clone()).connect(server, stream);
    within(target, handshake).await.map_err(|failure| match failure {
        Failure::TimedOut(time) => Failure::NotConnected(time),
        Failure::Broken(text) => Failure::Tls(text),
        other => other,
    })
}

/// Takes any certificate and any signature, also of the old kinds that a verifier cannot read.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
