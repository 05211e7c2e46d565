//! What mail needs from files: the password, and whose certificates are good. Read by the supervisor alone, when they are needed,
//! so that a password that changes needs no reload.

use crate::config::model::{Config, Mail, MailTls};
use crate::ipc::messages::Login;
use crate::types::Secret;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Longest password file that is read, bytes.
const LONGEST: u64 = 4096;

/// Why there is no password, or no authority.
#[derive(Debug, Error)]
pub(super) enum RelayError {
    /// Of the password file.
    #[error("smtp_password_file {}: {source}", path.display())]
    Password {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("smtp_password_file {} is no file", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// Strangers may read or write it.
    #[error("smtp_password_file {} is open to everybody (mode {mode:04o}) and therefore not used; cure: chmod o= {}", path.display(), path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Nothing is in it.
    #[error("smtp_password_file {}: its first line is no password", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// Of the authorities' file.
    #[error("smtp_tls_ca {}: {why}", path.display())]
    Authority {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nobody is trusted.
    #[error("no certificate authority is installed on this machine; cure: install ca-certificates, or name one with smtp_tls_ca")]
    NoAuthority,
}

/// Who logs in, with the password as it is now; `None` when nobody does.
///
/// # Errors
/// The file cannot be read, or strangers can.
pub(super) fn login(mail: &Mail) -> Result<Option<Login>, RelayError> {
    let Some((user, path)) = &mail.login else { return Ok(None) };
    Ok(Some(Login { user: user.clone(), password: password(path)? }))
}

fn password(path: &Path) -> Result<Secret, RelayError> {
    let failed = |source| RelayError::Password { path: path.to_owned(), source };
    // A pipe in its place must not hold us up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(RelayError::NoFile { path: path.to_owned() });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o006 != 0 {
        return Err(RelayError::Open { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    match text.lines().next().filter(|line| !line.is_empty() && !line.contains('\0')) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(RelayError::Empty { path: path.to_owned() }),
    }
}

/// The authorities that may sign the mail server's certificate, each in DER: those of `smtp_tls_ca`, else the system's.
///
/// # Errors
/// There is none.
pub(super) fn authorities(mail: &Mail) -> Result<Vec<Vec<u8>>, RelayError> {
    let Some(path) = &mail.authority else {
        let found: Vec<Vec<u8>> = rustls_native_certs::load_native_certs().certs.iter().map(|certificate| certificate.to_vec()).collect();
        return if found.is_empty() { Err(RelayError::NoAuthority) } else { Ok(found) };
    };
    let failed = |why: String| RelayError::Authority { path: path.clone(), why };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        found.push(certificate.map_err(|error| failed(error.to_string()))?.to_vec());
    }
    if found.is_empty() { Err(failed("no certificate is in it".to_owned())) } else { Ok(found) }
}

/// What would keep mail from being sent, as the files are now.
fn obstacles(config: &Config) -> Vec<RelayError> {
    let mail = &config.global.mail;
    if mail.server.is_none() || mail.tls == MailTls::Off {
        return Vec::new();
    }
    [login(mail).err(), authorities(mail).err()].into_iter().flatten().collect()
}

/// Says at a start or a reload what would keep mail from being sent.
pub(super) fn take_up(config: &Config) {
    for obstacle in obstacles(config) {
        tracing::error!("{obstacle}: mail waits until then");
    }
}

/// For `-t`: the lines, and whether there are any.
pub(super) fn test(config: &Config) -> String {
    obstacles(config).iter().map(|obstacle| format!("{obstacle}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn written(folder: &tempfile::TempDir, text: &str, mode: u32) -> Mail {
        let path = folder.path().join("password");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        of(path)
    }

    fn of(path: PathBuf) -> Mail {
        Mail { login: Some(("me".to_owned(), path)), ..Mail::default() }
    }

    #[test]
    fn the_first_line_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let login = login(&written(&folder, "s3cret \r\nmore\n", 0o640)).unwrap().unwrap();
        assert_eq!(login.password.reveal(), "s3cret ");
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[test]
    fn a_file_that_everybody_may_read_or_write_is_not_used_and_the_cure_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o602] {
            let error = login(&written(&folder, "x\n", mode)).unwrap_err();
            assert!(matches!(error, RelayError::Open { .. }), "{error}");
            assert!(error.to_string().contains("chmod o= "), "{error}");
        }
    }

    #[test]
    fn what_is_no_password_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(login(&written(&folder, "\nx\n", 0o600)), Err(RelayError::Empty { .. })));
        assert!(matches!(login(&of(folder.path().join("gone"))), Err(RelayError::Password { .. })));
        assert!(matches!(login(&of(folder.path().to_owned())), Err(RelayError::NoFile { .. })));
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(matches!(login(&of(pipe)), Err(RelayError::NoFile { .. })));
    }

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca");
        std::fs::write(&path, "nothing").unwrap();
        let mail = Mail { authority: Some(path), ..Mail::default() };
        assert!(authorities(&mail).unwrap_err().to_string().ends_with("no certificate is in it"));
    }
}
