//! Notify FIFOs: a line for every change, for whoever reads; a reader that is slow or away never holds us up.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a FIFO cannot be used.
#[derive(Debug, Error)]
pub enum FifoError {
    /// Something else is there.
    #[error("{} is not a fifo we own - not using", path.display())]
    NotOurs {
        /// Where.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {what} fifo {}: {source}", path.display())]
    System {
        /// Where.
        path: PathBuf,
        /// make, open, change owner of, look at.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// One open notify FIFO; the file is removed when dropped, if it was made here.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
    made_by_us: bool,
    lost: u64,
    lost_since_told: u64,
}

impl Fifo {
    /// Makes the FIFO (mode 0644, less our umask) or takes one that is ours or `owner`'s; opens it for reading and
    /// writing, so that neither a missing reader nor one that goes away matters.
    ///
    /// # Errors
    /// Something else is at that path, or a system call failed.
    pub fn open(path: &Path, owner: Option<(u32, u32)>) -> Result<Self, FifoError> {
        let system = |what| move |source: io::Error| FifoError::System { path: path.to_owned(), what, source };
        let made_by_us = match nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)) {
            Ok(()) => true,
            Err(nix::Error::EEXIST) => false,
            Err(error) => return Err(system("make")(error.into())),
        };
        // Looked at before it is opened: opening a device may do things.
        let before = std::fs::symlink_metadata(path).map_err(system("look at"))?;
        let ours = nix::unistd::geteuid().as_raw();
        let acceptable = before.file_type().is_fifo() && (before.uid() == ours || owner.is_some_and(|(uid, _)| uid == before.uid()));
        if !acceptable {
            return Err(FifoError::NotOurs { path: path.to_owned() });
        }
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map_err(system("open"))?;
        let opened = file.metadata().map_err(system("look at"))?;
        let identity = (opened.dev(), opened.ino());
        if identity != (before.dev(), before.ino()) {
            return Err(FifoError::NotOurs { path: path.to_owned() });
        }
        let fifo = Self { path: path.to_owned(), file, identity, made_by_us, lost: 0, lost_since_told: 0 };
        if let (true, Some((uid, gid))) = (made_by_us, owner) {
            std::os::unix::fs::fchown(&fifo.file, Some(uid), Some(gid)).map_err(system("change owner of"))?;
        }
        Ok(fifo)
    }

    /// Writes one line whole (newline included by the caller) or not at all: a full pipe loses it. The first loss is logged,
    /// and the number of them when the pipe takes lines again.
    pub fn write(&mut self, line: &[u8]) {
        match self.file.write(line) {
            Ok(written) if written == line.len() => {
                if self.lost_since_told > 0 {
                    tracing::warn!("notify fifo {} takes lines again; {} were lost", self.path.display(), self.lost_since_told);
                    self.lost_since_told = 0;
                }
            }
            // A line is shorter than PIPE_BUF, so pipe(7) writes it whole or not at all; longer ones are not promised.
            Ok(_) | Err(_) => {
                if self.lost_since_told == 0 {
                    tracing::warn!("notify fifo {} is full: lines are lost until somebody reads it", self.path.display());
                }
                self.lost += 1;
                self.lost_since_told += 1;
            }
        }
    }

    /// Lines lost since it was opened.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let still_there = std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if self.made_by_us && still_there {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn lines_arrive_as_written_and_the_file_goes_with_us() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut fifo = Fifo::open(&path, None).unwrap();
        fifo.write(b"INSTANCE \"VI_1\" MASTER 100\n");
        let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let mut text = [0; 64];
        let count = reader.read(&mut text).unwrap();
        assert_eq!(&text[..count], b"INSTANCE \"VI_1\" MASTER 100\n");
        drop(fifo);
        assert!(!path.exists());
    }

    #[test]
    fn a_full_pipe_loses_lines_and_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut fifo = Fifo::open(&folder.path().join("f"), None).unwrap();
        for _ in 0..70_000 / 32 {
            fifo.write(&[b'x'; 32]);
        }
        assert!(fifo.lost() > 0);
    }

    #[test]
    fn a_fifo_that_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        drop(Fifo::open(&path, None).unwrap());
        assert!(path.exists());
    }

    #[test]
    fn a_file_or_a_link_is_not_a_fifo_we_own() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "").unwrap();
        nix::unistd::mkfifo(&folder.path().join("real"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        std::os::unix::fs::symlink(folder.path().join("real"), &link).unwrap();
        assert!(matches!(Fifo::open(&file, None), Err(FifoError::NotOurs { .. })));
        assert!(matches!(Fifo::open(&link, None), Err(FifoError::NotOurs { .. })));
    }
}
