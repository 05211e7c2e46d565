//! Tracked files, by inotify on their directories, so that a file may appear, be replaced or go.

use super::{LOOK_EVERY, Seen, until};
use crate::sys::socket::watch;
use crate::vrrp::trackers::file::{FileCheck, InitFile, number};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
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
    inotify: Option<AsyncFd<OwnedFd>>,
    watched: HashSet<PathBuf>,
    /// For a directory that is not there, a link to elsewhere, a file system that tells nothing.
    next_look: Option<Instant>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Files {
    pub(super) fn new(seen: mpsc::UnboundedSender<Seen>) -> Self {
        Self { checks: Vec::new(), values: HashMap::new(), inotify: None, watched: HashSet::new(), next_look: None, seen }
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
            () = changed(self.inotify.as_ref()) => self.read(),
            () = until(self.next_look) => self.look(),
        }
    }

    fn look(&mut self) {
        self.watch_directories();
        self.read();
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

    fn read(&mut self) {
        for check in &self.checks {
            let value = read(&check.path).map_or(0, |content| number(&content));
            if self.values.insert(check.name.clone(), value) != Some(value) {
                let _ = self.seen.send(Seen::File { name: check.name.clone(), value });
            }
        }
    }
}

/// Something happened in a watched directory; all waiting events are taken.
async fn changed(inotify: Option<&AsyncFd<OwnedFd>>) {
    let Some(inotify) = inotify else { return std::future::pending().await };
    if let Ok(mut ready) = inotify.readable().await {
        let mut buffer = [0; 4096];
        while matches!(nix::unistd::read(inotify.get_ref().as_fd(), &mut buffer), Ok(count) if count > 0) {}
        ready.clear_ready();
    }
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
