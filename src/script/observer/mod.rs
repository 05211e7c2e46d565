//! Tracked files and processes: what is in them, how many there are, told whenever it changes.
//!
//! Files by inotify on their directories, so that a file may appear, be replaced or go. Processes by a look through /proc
//! twice a second, and by a pidfd on each that counts, so that the end of one is known at once; this needs no right that a
//! network namespace or a container lacks.

use crate::sys::socket::watch;
use crate::vrrp::trackers::file::{FileCheck, InitFile, number};
use crate::vrrp::trackers::process::ProcessCheck;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Between two looks through /proc, and at files whose directory is not there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// More of a file is not read: a number is short.
const MOST_BYTES: u64 = 64;

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The number in a tracked file; 0 when there is none.
    File {
        /// The `track_file`'s name.
        name: String,
        /// The number.
        value: i64,
    },
    /// How many processes match.
    Processes {
        /// The `vrrp_track_process`'s name.
        name: String,
        /// How many.
        count: u32,
    },
}

enum Msg {
    Observe(Vec<Arc<FileCheck>>, Vec<Arc<ProcessCheck>>),
    SayAll,
}

/// Speaks to the observer's task.
#[derive(Clone, Debug)]
pub struct Observer(mpsc::UnboundedSender<Msg>);

impl Observer {
    /// Starts the task in the running tokio runtime; what it sees goes to `seen`.
    pub fn start(seen: mpsc::UnboundedSender<Seen>) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        tokio::spawn(State::new(seen).serve(inbox));
        Self(sender)
    }

    /// These are tracked from now on. `init_file`s are written when they were not tracked before.
    pub fn observe(&self, files: Vec<Arc<FileCheck>>, processes: Vec<Arc<ProcessCheck>>) {
        let _ = self.0.send(Msg::Observe(files, processes));
    }

    /// Says again what everything reads: somebody new listens.
    pub fn say_all(&self) {
        let _ = self.0.send(Msg::SayAll);
    }
}

struct State {
    files: Vec<Arc<FileCheck>>,
    processes: Vec<Arc<ProcessCheck>>,
    values: HashMap<String, i64>,
    counts: HashMap<String, u32>,
    inotify: Option<AsyncFd<OwnedFd>>,
    watched: HashSet<PathBuf>,
    /// One task for each process that counts: it ends with the process.
    alive: JoinSet<i32>,
    known: HashMap<i32, ()>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl State {
    fn new(seen: mpsc::UnboundedSender<Seen>) -> Self {
        Self {
            files: Vec::new(),
            processes: Vec::new(),
            values: HashMap::new(),
            counts: HashMap::new(),
            inotify: None,
            watched: HashSet::new(),
            alive: JoinSet::new(),
            known: HashMap::new(),
            seen,
        }
    }

    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Msg>) {
        loop {
            let looks = !self.processes.is_empty() || !self.files.is_empty();
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Msg::Observe(files, processes)) => self.observe(files, processes),
                    Some(Msg::SayAll) => self.say_all(),
                    None => return,
                },
                () = changed(self.inotify.as_ref()) => self.read_files(),
                Some(ended) = self.alive.join_next(), if !self.alive.is_empty() => {
                    if let Ok(pid) = ended {
                        self.known.remove(&pid);
                    }
                    self.count_processes();
                }
                () = tokio::time::sleep(LOOK_EVERY), if looks => {
                    self.watch_directories();
                    self.read_files();
                    self.count_processes();
                }
            }
        }
    }

    fn observe(&mut self, files: Vec<Arc<FileCheck>>, processes: Vec<Arc<ProcessCheck>>) {
        for check in files.iter().filter(|check| !self.files.iter().any(|before| before.name == check.name)) {
            if let Some(init) = check.init
                && let Err(error) = write_first(&check.path, init)
            {
                tracing::warn!("track_file {}: cannot write {}: {error}", check.name, check.path.display());
            }
        }
        (self.files, self.processes) = (files, processes);
        self.values.retain(|name, _| self.files.iter().any(|check| check.name == *name));
        self.counts.retain(|name, _| self.processes.iter().any(|check| check.name == *name));
        self.inotify = None;
        self.watched.clear();
        self.watch_directories();
        self.read_files();
        self.count_processes();
    }

    fn say_all(&self) {
        for (name, value) in &self.values {
            let _ = self.seen.send(Seen::File { name: name.clone(), value: *value });
        }
        for (name, count) in &self.counts {
            let _ = self.seen.send(Seen::Processes { name: name.clone(), count: *count });
        }
    }

    // ---- files ----

    /// Watches every directory of a tracked file that is not watched yet; one that is missing is tried again at the next look.
    fn watch_directories(&mut self) {
        let wanted: HashSet<PathBuf> = self.files.iter().filter_map(|check| check.path.parent().map(Path::to_owned)).collect();
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

    fn read_files(&mut self) {
        for check in &self.files {
            let value = read(&check.path).map_or(0, |content| number(&content));
            if self.values.insert(check.name.clone(), value) != Some(value) {
                let _ = self.seen.send(Seen::File { name: check.name.clone(), value });
            }
        }
    }

    // ---- processes ----

    fn count_processes(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let mut counts: BTreeMap<&str, u32> = self.processes.iter().map(|check| (check.name.as_str(), 0)).collect();
        for pid in pids() {
            let Ok(comm) = std::fs::read(format!("/proc/{pid}/comm")) else { continue };
            let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
            let mut command_line: Option<Vec<u8>> = None;
            for check in &self.processes {
                let line = command_line.get_or_insert_with(|| {
                    let needed = self.processes.iter().any(|check| check.full_command || check.command.as_bytes().starts_with(comm));
                    if needed { std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default() } else { Vec::new() }
                });
                if !check.matches(comm, line) || is_zombie(pid) {
                    continue;
                }
                if let Some(count) = counts.get_mut(check.name.as_str()) {
                    *count += 1;
                }
                if self.known.insert(pid, ()).is_none() {
                    self.alive.spawn(ends(pid));
                }
            }
        }
        for (name, count) in counts {
            if self.counts.insert(name.to_owned(), count) != Some(count) {
                let _ = self.seen.send(Seen::Processes { name: name.to_owned(), count });
            }
        }
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Ended, but not yet taken off the list by its parent.
fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    matches!(state, None | Some(b'Z' | b'X'))
}

/// Waits until this process ends; where the kernel does not tell, not at all: the next look finds out.
async fn ends(pid: i32) -> i32 {
    match crate::sys::spawn::pidfd(pid).and_then(watch) {
        Ok(pidfd) => _ = pidfd.readable().await,
        Err(_) => tokio::time::sleep(LOOK_EVERY).await,
    }
    pid
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::trackers::process::ParameterMatch;

    async fn until(seen: &mut mpsc::UnboundedReceiver<Seen>, wanted: &Seen) {
        let wait = async {
            while let Some(found) = seen.recv().await {
                if found == *wanted {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_is_followed_through_writing_replacing_and_removing() {
        let folder = std::env::temp_dir().join(format!("keepalived-observe-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("value");
        let (sender, mut seen) = mpsc::unbounded_channel();
        let observer = Observer::start(sender);
        let init = Some(InitFile { value: 3, overwrite: false });
        observer.observe(vec![Arc::new(FileCheck { name: "f".into(), path: path.clone(), init })], Vec::new());
        let file = |value| Seen::File { name: "f".into(), value };
        until(&mut seen, &file(3)).await;
        std::fs::write(&path, "-7\n").unwrap();
        until(&mut seen, &file(-7)).await;
        std::fs::write(folder.join("new"), "12").unwrap();
        std::fs::rename(folder.join("new"), &path).unwrap();
        until(&mut seen, &file(12)).await;
        std::fs::remove_file(&path).unwrap();
        until(&mut seen, &file(0)).await;
        let _ = std::fs::remove_dir_all(&folder);
    }

    #[tokio::test]
    async fn processes_are_counted_as_they_come_and_go() {
        let check = ProcessCheck {
            name: "p".into(),
            command: "sleep".into(),
            parameters: vec![format!("30{}", std::process::id())],
            matching: ParameterMatch::Exact,
            full_command: false,
            quorum: 1,
            quorum_max: None,
            gain_delay: Duration::ZERO,
            loss_delay: Duration::ZERO,
        };
        let (sender, mut seen) = mpsc::unbounded_channel();
        let observer = Observer::start(sender);
        observer.observe(Vec::new(), vec![Arc::new(check.clone())]);
        let count = |count| Seen::Processes { name: "p".into(), count };
        until(&mut seen, &count(0)).await;
        let mut child = std::process::Command::new("sleep").args(&check.parameters).spawn().unwrap();
        until(&mut seen, &count(1)).await;
        child.kill().unwrap();
        until(&mut seen, &count(0)).await;
        child.wait().unwrap();
    }
}
