//! Pid files: `PID\n`, mode 0644, held by a lock for as long as the process lives.

use nix::fcntl::{FcntlArg, fcntl};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A pid file that is ours; removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
    /// Somebody else's after all.
    left: bool,
}

/// Why a pid file cannot be ours.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Its lock is held.
    #[error("daemon is already running (pid file {}, pid {})", .path.display(), .pid.as_deref().unwrap_or("unknown"))]
    Running {
        /// The file.
        path: PathBuf,
        /// What is written in it.
        pid: Option<String>,
    },
    /// A link, a directory, a device.
    #[error("pid file {} is not a regular file", .path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be opened or written.
    #[error("cannot write pid file {}: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl PidFile {
    /// Opens and locks the file; what is in it, left by a process that died, is no obstacle.
    ///
    /// The lock is one of the open file description (F_OFD_SETLK), as the original's is, so that both find each other;
    /// it survives a fork and ends with the last copy of the descriptor.
    ///
    /// # Errors
    /// Another process holds it, or it is no regular file, or it cannot be opened.
    pub fn lock(path: &Path) -> Result<Self, PidFileError> {
        let io_error = |cause| PidFileError::Io { path: path.to_owned(), cause };
        loop {
            let file = open(path)?;
            let opened = file.metadata().map_err(io_error)?;
            if !opened.is_file() {
                return Err(PidFileError::NotRegular { path: path.to_owned() });
            }
            if !try_lock(&file).map_err(io_error)? {
                return Err(PidFileError::Running { path: path.to_owned(), pid: read_pid(&file) });
            }
            // Its last owner may have removed it between our open and our lock: then we hold the lock of nothing.
            match fs::symlink_metadata(path) {
                Ok(now) if now.ino() == opened.ino() && now.dev() == opened.dev() => {
                    return Ok(Self { path: path.to_owned(), file, left: false });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error(error)),
            }
        }
    }

    /// What is written in it, before we write.
    pub fn former_owner(&self) -> Option<u32> {
        read_pid(&self.file)?.parse().ok()
    }

    /// Gives it up as it is: it belongs to somebody else.
    pub fn leave(mut self) {
        self.left = true;
    }

    /// Puts a process's number in, whatever the umask.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn write(&self, pid: u32) -> Result<(), PidFileError> {
        let text = format!("{pid}\n");
        let write = || {
            self.file.write_all_at(text.as_bytes(), 0)?;
            self.file.set_len(text.len() as u64)?;
            self.file.set_permissions(fs::Permissions::from_mode(0o644))
        };
        write().map_err(|cause| PidFileError::Io { path: self.path.clone(), cause })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = self.file.metadata().map(|file| file.ino()).ok();
        if !self.left && fs::symlink_metadata(&self.path).map(|file| file.ino()).ok() == ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> Result<File, PidFileError> {
    // Non-blocking, so that opening something that is no file (a FIFO) does not wait.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).custom_flags(flags).open(path).map_err(|cause| {
        match cause.raw_os_error() {
            Some(libc::ELOOP | libc::EISDIR | libc::ENXIO) => PidFileError::NotRegular { path: path.to_owned() },
            _ => PidFileError::Io { path: path.to_owned(), cause },
        }
    })
}

/// `false` when another open file description holds the lock.
fn try_lock(file: &File) -> io::Result<bool> {
    let lock = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn read_pid(file: &File) -> Option<String> {
    let mut bytes = [0; 16];
    let length = file.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(bytes.get(..length)?).ok()?.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the test's own, gone with it.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let folder = folder();
        let path = folder.path().join("k.pid");
        let first = PidFile::lock(&path).unwrap();
        first.write(4711).unwrap();
        let error = PidFile::lock(&path).unwrap_err().to_string();
        assert!(error.starts_with("daemon is already running") && error.contains("4711"), "{error}");
        drop(first);
        assert!(!path.exists(), "removed at exit");
        PidFile::lock(&path).unwrap();
    }

    #[test]
    fn leftovers_are_no_obstacle_and_nothing_of_them_stays() {
        let folder = folder();
        let path = folder.path().join("k.pid");
        fs::write(&path, "garbage of a former life, longer than a number\n").unwrap();
        let file = PidFile::lock(&path).unwrap();
        file.write(12).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "12\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = folder();
        let target = folder.path().join("precious");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("k.pid")).unwrap();
        assert!(matches!(PidFile::lock(&folder.path().join("k.pid")), Err(PidFileError::NotRegular { .. })));
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn what_we_leave_stays_as_it_was() {
        let folder = folder();
        let path = folder.path().join("k.pid");
        fs::write(&path, "4711\n").unwrap();
        let file = PidFile::lock(&path).unwrap();
        assert_eq!(file.former_owner(), Some(4711));
        file.leave();
        assert_eq!(fs::read_to_string(&path).unwrap(), "4711\n");
    }

    #[test]
    fn another_ones_file_is_not_removed() {
        let folder = folder();
        let path = folder.path().join("k.pid");
        let ours = PidFile::lock(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "99\n").unwrap();
        drop(ours);
        assert_eq!(fs::read_to_string(&path).unwrap(), "99\n");
    }
}
