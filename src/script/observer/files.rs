//! Tracked files, by inotify on their directories, so that a file may appear, be replaced or go.

use super::{LOOK_EVERY, Seen, until};
use crate::sys::socket::watch;
use crate::vrrp::trackers::file::{FileCheck, InitFile, number};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// More of a file is not read: a number is short.
const MOST_BYTES: u64 = 64;

pub(super) struct Files {
    checks: Vec<Arc<FileCheck>>,
    values: HashMap<String, i64>,
    /// Numbers that are none of a file, as they were told of.
    invalid: HashMap<String, i64>,
    inotify: Option<AsyncFd<OwnedFd>>,
    watched: HashSet<PathBuf>,
    /// For a directory that is not there, a link to elsewhere, a file system that tells nothing.
    next_look: Option<Instant>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Files {
    pub(super) fn new(seen: mpsc::UnboundedSender<Seen>) -> Self {
        Self {
            checks: Vec::new(),
            values: HashMap::new(),
            invalid: HashMap::new(),
            inotify: None,
            watched: HashSet::new(),
            next_look: None,
            seen,
        }
    }

    pub(super) fn observe(&mut self, checks: Vec<Arc<FileCheck>>) {
        for check in checks.iter().filter(|check| !self.checks.iter().any(|before| before.name == check.name)) {
            if let Some(init) = check.init
                && let Err(error) = write_first(&check.path, init)
            {
                tracing::warn!("track_file {}: cannot write {}: {error}", check.name, check.path.display());
            }
        }
        self.checks = checks;
        self.values.retain(|name, _| self.checks.iter().any(|check| check.name == *name));
        self.inotify = None;
        self.watched.clear();
        self.look();
    }

    pub(super) fn say_all(&self) {
        for (name, value) in &self.values {
            let _ = self.seen.send(Seen::File { name: name.clone(), value: *value });
        }
    }

    /// Waits until something may have changed, and reads it. Cancel safe.
    pub(super) async fn follow(&mut self) {
        tokio::select! {
            names = changed(self.inotify.as_ref()) => self.read(|check| {
                // Another file that is just being written would be read half.
                names.as_ref().is_none_or(|names| check.path.file_name().is_some_and(|name| names.iter().any(|other| other == name)))
            }),
            () = until(self.next_look) => self.look(),
        }
    }

    fn look(&mut self) {
        self.watch_directories();
        self.read(|_| true);
        self.next_look = (!self.checks.is_empty()).then(|| Instant::now() + LOOK_EVERY);
    }

    /// Watches every directory of a tracked file that is not watched yet; one that is missing is tried again at the next look.
    fn watch_directories(&mut self) {
        let wanted: HashSet<PathBuf> = self.checks.iter().filter_map(|check| check.path.parent().map(Path::to_owned)).collect();
        if wanted.iter().all(|directory| self.watched.contains(directory)) {
            return;
        }
        let Ok(inotify) = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) else { return };
        let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE;
        let watched: HashSet<PathBuf> = wanted.into_iter().filter(|directory| inotify.add_watch(directory, flags).is_ok()).collect();
        if watched == self.watched {
            return;
        }
        self.inotify = watch(inotify.into()).ok();
        self.watched = watched;
    }

    fn read(&mut self, wanted: impl Fn(&FileCheck) -> bool) {
        for check in self.checks.iter().filter(|check| wanted(check)) {
            let mut value = read(&check.path).map_or(0, |content| number(&content));
            if i32::try_from(value).is_err() {
                if self.invalid.insert(check.name.clone(), value) != Some(value) {
                    tracing::info!("Invalid number {value} read from {} - ignoring", check.path.display());
                }
                if self.values.contains_key(&check.name) {
                    continue;
                }
                value = 0;
            } else {
                self.invalid.remove(&check.name);
            }
            if self.values.insert(check.name.clone(), value) != Some(value) {
                let _ = self.seen.send(Seen::File { name: check.name.clone(), value });
            }
        }
    }
}

/// Something happened in a watched directory; all waiting events are taken. The files that it happened to; nothing when
/// it may have been any.
async fn changed(inotify: Option<&AsyncFd<OwnedFd>>) -> Option<Vec<OsString>> {
    let Some(inotify) = inotify else { return std::future::pending().await };
    let mut names = Some(Vec::new());
    if let Ok(mut ready) = inotify.readable().await {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = nix::unistd::read(inotify.get_ref().as_fd(), &mut buffer) {
            let more = events(buffer.get(..count).unwrap_or_default());
            names = names.zip(more).map(|(mut names, more)| {
                names.extend(more);
                names
            });
        }
        ready.clear_ready();
    }
    names
}

/// The names in a buffer of inotify(7): wd, mask, cookie and length, four bytes each, then a name padded with zeros.
/// `None` when events were lost.
fn events(mut buffer: &[u8]) -> Option<Vec<OsString>> {
    let mut names = Vec::new();
    while let Some((head, rest)) = buffer.split_at_checked(16) {
        let word = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
        if word(4)? & libc::IN_Q_OVERFLOW != 0 {
            return None;
        }
        let (name, rest) = rest.split_at_checked(usize::try_from(word(12)?).ok()?)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        names.push(OsStr::from_bytes(name.get(..end)?).to_owned());
        buffer = rest;
    }
    Some(names)
}

/// The beginning of a regular file; nothing else is opened for long, and a FIFO or device does not hold us.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut content = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

/// `init_file`: written when the file is missing, or always with `overwrite`. Never through a link.
fn write_first(path: &Path, init: InitFile) -> io::Result<()> {
    if path.exists() && !init.overwrite {
        return Ok(());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    writeln!(file, "{}", init.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mask: u32, name: &[u8]) -> Vec<u8> {
        let mut name = name.to_vec();
        name.resize(16, 0);
        let words = [1, mask, 0, 16];
        words.iter().flat_map(|word| u32::to_ne_bytes(*word)).chain(name).collect()
    }

    #[test]
    fn events_name_the_files_they_are_about() {
        let two = [event(libc::IN_CLOSE_WRITE, b"load"), event(libc::IN_MOVED_TO, b"other")].concat();
        assert_eq!(events(&two).unwrap(), ["load", "other"]);
        assert_eq!(events(&[event(libc::IN_Q_OVERFLOW, b""), two].concat()), None, "any file may have changed");
    }

    proptest::proptest! {
        #[test]
        fn no_buffer_panics(bytes: Vec<u8>) {
            events(&bytes);
        }
    }
}
