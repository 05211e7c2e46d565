//! TLS on the way to the mail server: its certificate must be good and name the server as it is configured.

use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// The authorities that may sign the server's certificate.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// These certificates, each in DER. What is no certificate is left out: one bad file among the system's is no reason not to
    /// trust the others.
    ///
    /// # Errors
    /// None of them is one, or the library refuses, in words.
    pub fn new(authorities: Vec<Vec<u8>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.into_iter().map(CertificateDer::from));
        if roots.is_empty() {
            return Err("no certificate authority is known".to_owned());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// The handshake.
///
/// # Errors
/// In words for the administrator: what is wrong and what would cure it.
pub(super) async fn shake_hands(trust: &Trust, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("'{host}' is no name that a certificate could have"))?;
    TlsConnector::from(Arc::clone(&trust.0)).connect(name, stream).await.map_err(|error| explained(host, &error))
}

fn explained(host: &str, error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return format!("the TLS handshake failed: {error}");
    };
    match tls {
        Error::InvalidCertificate(problem) => match cure(host, problem) {
            Some(cure) => format!("its certificate is not accepted ({problem}): {cure}"),
            None => format!("its certificate is not accepted ({problem})"),
        },
        Error::InvalidMessage(_) => {
            "it does not speak TLS at once on this port; cure: 'smtp_tls starttls' (usual on 587 and 25), or its TLS \
             port (usually 465)"
                .to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn cure(host: &str, problem: &CertificateError) -> Option<String> {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Some("no authority that we trust signed it; cure: 'smtp_tls_ca FILE' with the one that did".to_owned())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(format!("cure: write the name that is in it as smtp_server, instead of '{host}'"))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("it has expired; cure: renew it, or set this machine's clock".to_owned())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("it is not valid yet; cure: set this machine's clock".to_owned())
        }
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            Some("it is an authority's own; cure: give the server one with basicConstraints=CA:FALSE".to_owned())
        }
        _ => None,
    }
}
