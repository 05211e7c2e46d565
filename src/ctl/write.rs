//! Files that the tool writes: all of it or nothing.

use crate::sys::safefile::write_bytes;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Other bytes for a file that is there, with the mode it had; through a link, the file that it names.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o7777;
    write_bytes(&path, bytes, mode)
}

/// A file that says what `like` says, and may be read by the same people.
pub(super) fn put(path: &Path, bytes: &[u8], like: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mode = fs::metadata(like).map_or(0o600, |like| like.permissions().mode() & 0o666);
    write_bytes(path, bytes, mode)
}
