//! What the daemon runs with, in a file beside its pid file: for those who ask what a reload would change.
//!
//! The configuration's files may have been edited since they were read, and the kernel shows only what a master has: only the
//! supervisor knows. It writes the file when it takes a configuration up, mode 0600, passwords as keyed digests, and removes it at its end.

use super::cli::Options;
use super::paths::{RUN_OWN, pid_paths};
use crate::config::model::{Config, Global};
use crate::config::secrets::{Salt, conceal};
use crate::sys::process::start_of;
use crate::sys::safefile::write_bytes;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What is in the file.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Running {
    /// The supervisor's process, and when it started: no later process of that number is meant.
    pid: u32,
    started: u64,
    /// What the passwords were concealed with.
    pub(crate) salt: Salt,
    /// Whether scripts run as the daemon's own user alone.
    pub(crate) unprivileged: bool,
    /// `-f`.
    pub(crate) file: PathBuf,
    /// `-i`.
    pub(crate) config_id: Option<String>,
    /// `-e`.
    pub(crate) all_includes: bool,
    /// `-s`.
    pub(crate) namespace: Option<String>,
    /// As taken up, passwords concealed.
    pub(crate) config: Config,
}

/// Why the file says nothing.
#[derive(Debug, Error)]
pub(crate) enum RunningError {
    /// Only its owner may.
    #[error("cannot read {}: {source} (cure: ask as the user that the daemon was started by)", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another release has other settings.
    #[error("{} was written by another release of the daemon: ask with the keepalivedctl of that release", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// The first line.
const HEAD: &str = concat!("keepalived-rs ", env!("CARGO_PKG_VERSION"), ", what runs\n");

/// Where it is: the pid file with `.running` for `.pid`.
pub(crate) fn path(pid_file: &Path) -> PathBuf {
    pid_file.with_extension("running")
}

/// Where the pid file of such a daemon is, when no option says it; that of another network namespace as seen from outside.
pub(crate) fn default_pid_file(global: &Global) -> PathBuf {
    let path = pid_paths(&Options::default(), global).supervisor;
    match (&global.net_namespace, path.file_name()) {
        (Some(namespace), Some(name)) => Path::new(RUN_OWN).join(namespace).join(name),
        _ => path,
    }
}

/// Of a daemon that lives; nothing when none does.
///
/// # Errors
/// The file cannot be read, or not be understood.
pub(crate) fn read(pid_file: &Path) -> Result<Option<Running>, RunningError> {
    let path = path(pid_file);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RunningError::Unreadable { path, source }),
    };
    let running: Option<Running> = bytes.strip_prefix(HEAD.as_bytes()).and_then(|body| postcard::from_bytes(body).ok());
    match running {
        None => Err(RunningError::Foreign { path }),
        Some(running) => Ok(Some(running).filter(|running| start_of(running.pid) == Some(running.started))),
    }
}

/// The supervisor's end of it: the file goes when this is dropped.
pub(super) struct Record {
    path: PathBuf,
    salt: Salt,
}

impl Record {
    pub(super) fn new(pid_file: &Path) -> Self {
        let mut salt = Salt::default();
        for (number, part) in salt.chunks_mut(8).enumerate() {
            part.copy_from_slice(&RandomState::new().hash_one(number).to_ne_bytes());
        }
        Self { path: path(pid_file), salt }
    }

    /// This is what runs now.
    pub(super) fn write(&self, options: &Options, config: &Config, unprivileged: bool) {
        let pid = std::process::id();
        let mut config = config.clone();
        conceal(&mut config, &self.salt);
        let running = Running {
            pid,
            started: start_of(pid).unwrap_or_default(),
            salt: self.salt,
            unprivileged,
            file: options.config.clone(),
            config_id: options.config_id.clone(),
            all_includes: options.all_includes,
            namespace: options.namespace.clone(),
            config,
        };
        let written = postcard::to_extend(&running, HEAD.as_bytes().to_vec()).map_err(io::Error::other);
        if let Err(error) = written.and_then(|bytes| write_bytes(&self.path, &bytes, 0o600)) {
            tracing::warn!("cannot write {}: {error}: `keepalivedctl plan` will not know what runs", self.path.display());
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_runs_is_read_back_while_its_process_lives_and_tells_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("k.pid");
        assert!(read(&pid_file).unwrap().is_none());
        let text = include_str!("../../tests/configs/ok/everything.conf");
        let config = load_text(text).config;
        let record = Record::new(&pid_file);
        record.write(&Options::default(), &config, false);
        let bytes = std::fs::read(path(&pid_file)).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(std::fs::metadata(path(&pid_file)).unwrap().permissions().mode() & 0o777, 0o600);
        let mut expected = config;
        conceal(&mut expected, &record.salt);
        assert_eq!(read(&pid_file).unwrap().unwrap().config, expected);
        // A process that is none: the number is beyond any.
        let dead = Running { pid: 1 << 30, ..read(&pid_file).unwrap().unwrap() };
        std::fs::write(path(&pid_file), postcard::to_extend(&dead, HEAD.as_bytes().to_vec()).unwrap()).unwrap();
        assert!(read(&pid_file).unwrap().is_none());
        std::fs::write(path(&pid_file), "keepalived-rs 0.0.0, what runs\n...").unwrap();
        assert!(matches!(read(&pid_file), Err(RunningError::Foreign { .. })));
        drop(record);
        assert!(!path(&pid_file).exists());
    }
}
