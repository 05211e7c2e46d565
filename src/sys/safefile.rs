//! Files for the administrator's eyes in places where strangers may write (/tmp).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Attempts to find a temporary name that nobody took before us.
const ATTEMPTS: u32 = 16;

/// Puts `text` at `path` with mode 0600: written under a new name beside it, then renamed, so that what stood there
/// (a link, a hard link, somebody's open file) is replaced and never written through, and a reader sees all or nothing.
///
/// # Errors
/// The folder cannot be written, or `path` is a folder, or somebody else's file in a sticky folder.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    write_as(path, text, 0o600)
}

/// The same with another mode; the umask does not count.
///
/// # Errors
/// As `write_private`.
pub fn write_as(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    write_bytes(path, text.as_bytes(), mode)
}

/// The same for what is no text.
///
/// # Errors
/// As `write_private`.
pub fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(path, bytes)?;
    if mode != 0o600 {
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
    }
    fs::rename(&temporary, path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    for attempt in 0..ATTEMPTS {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.{attempt}", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(&temporary) {
            Ok(mut file) => {
                return file.write_all(bytes).map(|()| temporary.clone()).inspect_err(|_| {
                    let _ = fs::remove_file(&temporary);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// `TMPDIR` when it is an absolute folder, else /tmp.
pub fn temporary_folder() -> PathBuf {
    std::env::var_os("TMPDIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && path.is_dir())
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder of the test's own, gone with it.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_link_is_replaced_not_followed() {
        let folder = folder();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("keepalived.data"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &path).unwrap();
        write_private(&path, "state").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_hard_link_loses_its_name_not_its_content() {
        let folder = folder();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("keepalived.data"));
        fs::write(&victim, "precious").unwrap();
        fs::hard_link(&victim, &path).unwrap();
        write_private(&path, "state").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&path).unwrap(), "state");
    }

    #[test]
    fn nobody_else_reads_it_whatever_stood_there() {
        let folder = folder();
        let path = folder.path().join("keepalived.data");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        write_private(&path, "state").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn temporary_names_planted_beforehand_do_no_harm() {
        let folder = folder();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, folder.path().join(format!(".k.data.{}.0", std::process::id()))).unwrap();
        write_private(&folder.path().join("k.data"), "state").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_and_leaves_nothing_behind() {
        let folder = folder();
        fs::create_dir(folder.path().join("k.data")).unwrap();
        write_private(&folder.path().join("k.data"), "state").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
