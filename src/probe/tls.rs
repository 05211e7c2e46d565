//! TLS over TCP. Without a certificate authority nothing is verified, as the original; with one the certificate must be good.

use super::{Bytes, carry, tcp, within};
use crate::check::{Dialogue, Failure, Step, Target};
use std::io;
use std::sync::Arc;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// What servers' certificates are held against.
#[derive(Debug)]
pub struct Trust {
    verified: Arc<ClientConfig>,
    nameless: Arc<ClientConfig>,
}

/// Why it could not be set up.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file of `ca` holds no certificate, or a bad one.
    #[error("ca: {0}")]
    Authority(String),
    /// The library refuses.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// From the PEM text of `ca`, when it was given.
    ///
    /// # Errors
    /// No certificate in it.
    pub fn new(authority: Option<&[u8]>) -> Result<Self, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let builder = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let open = || -> Result<ClientConfig, TrustError> {
            let anyone = Arc::new(Anyone(provider.clone()));
            Ok(builder()?.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
        };
        let mut config = match authority {
            None => open()?,
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| TrustError::Authority(error.to_string()))?;
                    roots.add(certificate)?;
                }
                if roots.is_empty() {
                    return Err(TrustError::Authority("no certificate in the file".to_owned()));
                }
                builder()?.with_root_certificates(roots).with_no_client_auth()
            }
        };
        // Every check is a whole handshake: a resumed session would prove less.
        config.resumption = rustls::client::Resumption::disabled();
        let mut nameless = config.clone();
        nameless.enable_sni = false;
        Ok(Self { verified: Arc::new(config), nameless: Arc::new(nameless) })
    }
}

/// A whole conversation; `name` goes into the greeting.
pub(super) async fn converse(target: &Target, trust: &Trust, name: Option<&str>, dialogue: &mut impl Dialogue) -> Result<(), Failure> {
    let stream = tcp::connect(target).await?;
    let config = if name.is_some() { &trust.verified } else { &trust.nameless };
    let server = match name {
        Some(name) => ServerName::try_from(name.to_owned()).map_err(|error| Failure::Local(format!("{name}: {error}")))?,
        None => ServerName::from(target.address),
    };
    let handshake = TlsConnector::from(config.clone()).connect(server, stream);
    let mut stream = within(target, handshake).await.map_err(|failure| match failure {
        Failure::Connect(text) => Failure::Tls(text),
        other => other,
    })?;
    carry(target, &mut stream, dialogue).await
}

impl Bytes for TlsStream<TcpStream> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    async fn read_into(&mut self, target: &Target, dialogue: &mut impl Dialogue) -> Result<Step, Failure> {
        let mut chunk = vec![0; 8192];
        match within(target, self.read(&mut chunk)).await {
            Ok(0) => Ok(dialogue.closed()),
            Ok(length) => Ok(dialogue.received(chunk.get(..length).unwrap_or_default())),
            // Many servers hang up without close_notify; what was said counts.
            Err(Failure::Connect(_)) => Ok(dialogue.closed()),
            Err(failure) => Err(failure),
        }
    }
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
