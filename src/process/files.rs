//! Configuration files on the real file system.

use crate::syntax::Files;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longest file that is read, bytes: a configuration of 8,000 instances has about 3 MB.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Longest table of names that is read, bytes.
const MAX_TABLE: u64 = 1024 * 1024;
/// Where iproute2 keeps names of tables and protocols, the administrator's first.
const IPROUTE2: [&str; 3] = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];

/// The machine's files.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Non-blocking: opening a FIFO that nobody writes would wait for ever.
        let mut file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        fit(&metadata)?;
        tracing::debug!("Opening file '{}'.", path.display());
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        io::Read::read_to_end(&mut io::Read::take(&mut file, MAX_BYTES), &mut bytes)?;
        Ok(bytes)
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        // As glob(3): `*` is no hidden file.
        let options =
            glob::MatchOptions { require_literal_leading_dot: true, require_literal_separator: true, ..glob::MatchOptions::new() };
        let Ok(paths) = glob::glob_with(pattern, options) else { return Vec::new() };
        let regular = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| fit(&metadata).is_ok());
        paths.filter_map(Result::ok).filter(regular).collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn table(&self, name: &str) -> Option<String> {
        // What the administrator wrote comes last, so that it counts.
        let texts: Vec<String> = IPROUTE2.iter().rev().flat_map(|place| table_in(&Path::new(place).join(name))).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }
}

/// A table and the `.conf` files of its directory.
fn table_in(path: &Path) -> Vec<String> {
    let fits = |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_TABLE);
    let read = |path: &Path| fits(path).then(|| fs::read_to_string(path).ok())?;
    let mut beside = path.to_path_buf().into_os_string();
    beside.push(".d");
    let entries = fs::read_dir(beside).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut more: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
    more.sort();
    std::iter::once(path).chain(more.iter().map(PathBuf::as_path)).filter_map(read).collect()
}

/// As the original: a regular file, and none that somebody may execute (a script that strayed into conf.d).
fn fit(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.permissions().mode() & 0o111 != 0 {
        return Err(io::Error::other("it is executable, so it is taken for a program (cure: chmod a-x)"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(io::Error::other("it is larger than any configuration"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_that_nobody_executes_are_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir(folder.join("c.conf")).unwrap();
        for name in ["b.conf", "a.conf", "x.conf", "a.txt", ".hidden.conf"] {
            fs::write(folder.join(name), name).unwrap();
        }
        fs::set_permissions(folder.join("x.conf"), fs::Permissions::from_mode(0o755)).unwrap();
        let found = Disk.glob(&format!("{}/*.conf", folder.display()));
        assert_eq!(found, [folder.join("a.conf"), folder.join("b.conf")]);
        assert_eq!(Disk.read(&folder.join("a.conf")).unwrap(), b"a.conf");
        assert!(Disk.read(&folder.join("x.conf")).unwrap_err().to_string().contains("executable"));
        assert!(Disk.read(folder).is_err());
    }
}
