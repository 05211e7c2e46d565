//! Tracked processes: by the kernel's process connector, or by looks through /proc where there is none.
//!
//! With the connector every fork, exec, new name and exit is counted at once; a look through /proc at the start, and
//! again when events were lost, finds what they did not tell. Every event is only a reason to read /proc afresh, so that
//! events older than a look do no harm. Without it (a network or process namespace of its own, a capability that is
//! missing) /proc is looked through twice a second, and a pidfd on each process that counts tells of its end at once.

use super::{LOOK_EVERY, Seen, until};
use crate::net::OpenError;
use crate::net::connector::{self, Connector, Event, Heard};
use crate::sys::socket::watch;
use crate::vrrp::trackers::process::{ParameterMatch, ProcessCheck};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Least time between two looks because of lost events: a machine that loses them all the time has other work than our looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A kernel that gives events answers at once; one that has said nothing for so long will not.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Events taken before others have their turn.
const BATCH: usize = 512;

pub(super) struct Processes {
    checks: Vec<Arc<ProcessCheck>>,
    /// By the place of the check.
    members: Vec<HashSet<i32>>,
    /// What was last said.
    counts: HashMap<String, u32>,
    /// A socket of the network namespace that has events.
    prepared: Option<OwnedFd>,
    connector: Option<Connector>,
    /// The kernel answered: events come.
    confirmed: bool,
    /// Until when it may answer, before its silence is said.
    answer_by: Option<Instant>,
    next_look: Option<Instant>,
    last_look: Option<Instant>,
    /// Without events: one task for each process that counts, which ends with the process.
    alive: JoinSet<i32>,
    known: HashSet<i32>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Processes {
    pub(super) fn new(seen: mpsc::UnboundedSender<Seen>, prepared: Option<OwnedFd>) -> Self {
        Self {
            checks: Vec::new(),
            members: Vec::new(),
            counts: HashMap::new(),
            prepared,
            connector: None,
            confirmed: false,
            answer_by: None,
            next_look: None,
            last_look: None,
            alive: JoinSet::new(),
            known: HashSet::new(),
            seen,
        }
    }

    pub(super) fn observe(&mut self, checks: Vec<Arc<ProcessCheck>>, buffer: Option<u32>) {
        let first = self.checks.is_empty() && !checks.is_empty();
        self.checks = checks;
        self.counts.retain(|name, _| self.checks.iter().any(|check| check.name == *name));
        if self.checks.is_empty() {
            self.no_events();
            self.members.clear();
            self.next_look = None;
            return;
        }
        if first {
            self.subscribe(buffer);
            if std::fs::read("/proc/1/comm").is_err() {
                tracing::warn!(
                    "processes of other users are hidden from us: vrrp_track_process counts our own only (cure: ProtectProc=default in the unit, or no hidepid in the mount of /proc)"
                );
            }
        }
        self.look();
    }

    pub(super) fn say_all(&self) {
        for (name, count) in &self.counts {
            let _ = self.seen.send(Seen::Processes { name: name.clone(), count: *count });
        }
    }

    /// Waits for what happens to processes, and counts it. Cancel safe.
    pub(super) async fn follow(&mut self) {
        tokio::select! {
            waited = stirs(self.connector.as_ref()) => self.take_events(waited),
            Some(ended) = self.alive.join_next(), if !self.alive.is_empty() => {
                if let Ok(pid) = ended {
                    self.known.remove(&pid);
                }
                self.look();
            }
            () = until(self.next_look) => self.look(),
        }
    }

    // ---- events ----

    fn subscribe(&mut self, buffer: Option<u32>) {
        let socket = self.prepared.take().map_or_else(connector::socket, Ok);
        match socket.and_then(|socket| Connector::open(socket, buffer)) {
            Ok(connector) => {
                self.connector = Some(connector);
                self.answer_by = Some(Instant::now() + ANSWER_LIMIT);
            }
            Err(error) => say_without_events(&why_refused(&error)),
        }
    }

    fn no_events(&mut self) {
        (self.connector, self.confirmed, self.answer_by) = (None, false, None);
        self.no_pidfds();
    }

    fn no_pidfds(&mut self) {
        self.alive.abort_all();
        self.alive = JoinSet::new();
        self.known.clear();
    }

    fn take_events(&mut self, waited: io::Result<()>) {
        let mut events = waited;
        for _ in 0..BATCH {
            let heard = match (&self.connector, &events) {
                (Some(connector), Ok(())) => connector.take(),
                _ => break,
            };
            match heard {
                Ok(Heard::Nothing) => return,
                Ok(Heard::Lost) => self.lost(),
                Ok(Heard::Event(event)) => self.happened(event),
                Err(error) => events = Err(error),
            }
        }
        if let Err(error) = events {
            self.no_events();
            say_without_events(&error.to_string());
            self.look();
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Answered(0) if !self.confirmed => {
                tracing::debug!("the kernel tells of processes");
                (self.confirmed, self.answer_by) = (true, None);
                self.no_pidfds();
                // What happened between the last look and now.
                self.look();
            }
            Event::Answered(0) | Event::Other => {}
            Event::Answered(errno) => {
                self.no_events();
                say_without_events(&io::Error::from_raw_os_error(errno.cast_signed()).to_string());
            }
            Event::Forked(pid) | Event::Executed(pid) | Event::Renamed(pid) => self.classify(pid),
            Event::Exited(pid) => self.members.iter_mut().for_each(|members| _ = members.remove(&pid)),
        }
        self.tell();
    }

    fn lost(&mut self) {
        if self.next_look.is_none() {
            tracing::warn!("process events came faster than they were read, and some are lost: /proc is looked through instead");
        }
        let soonest = self.last_look.map(|last| last + LOOK_AGAIN);
        self.next_look = soonest.into_iter().chain([Instant::now()]).max();
    }

    fn classify(&mut self, pid: i32) {
        let process = Process::read(pid, &self.checks);
        for (check, members) in self.checks.iter().zip(&mut self.members) {
            if process.as_ref().is_some_and(|process| process.is(check)) {
                members.insert(pid);
            } else {
                members.remove(&pid);
            }
        }
    }

    // ---- looks ----

    fn look(&mut self) {
        let now = Instant::now();
        self.last_look = Some(now);
        self.next_look = (!self.confirmed).then(|| now + LOOK_EVERY);
        if self.answer_by.take_if(|limit| *limit <= now).is_some() {
            self.no_events();
            say_without_events("it answers nothing");
        }
        self.members = vec![HashSet::new(); self.checks.len()];
        for pid in pids() {
            self.classify(pid);
        }
        if !self.confirmed {
            self.wait_for_ends();
        }
        self.tell();
    }

    fn wait_for_ends(&mut self) {
        for pid in self.members.iter().flatten() {
            if self.known.insert(*pid) {
                self.alive.spawn(ends(*pid));
            }
        }
    }

    fn tell(&mut self) {
        for (check, members) in self.checks.iter().zip(&self.members) {
            let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
            if self.counts.get(&check.name) != Some(&count) {
                self.counts.insert(check.name.clone(), count);
                let _ = self.seen.send(Seen::Processes { name: check.name.clone(), count });
            }
        }
    }
}

fn why_refused(error: &OpenError) -> String {
    match error.os_error() {
        Some(libc::ECONNREFUSED) => "this network namespace has none".to_owned(),
        _ => error.to_string(),
    }
}

fn say_without_events(why: &str) {
    tracing::info!("no process events from the kernel ({why}): /proc is looked through every {} s", LOOK_EVERY.as_secs_f32());
}

async fn stirs(connector: Option<&Connector>) -> io::Result<()> {
    match connector {
        Some(connector) => connector.wait().await,
        None => std::future::pending().await,
    }
}

/// What is looked at of a process.
struct Process {
    comm: Vec<u8>,
    /// Empty where no check asks for it.
    command_line: Vec<u8>,
}

impl Process {
    /// `None` when it is gone or a zombie.
    fn read(pid: i32, checks: &[Arc<ProcessCheck>]) -> Option<Self> {
        let mut comm = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
        if comm.ends_with(b"\n") {
            comm.pop();
        }
        let asks = |check: &ProcessCheck| check.full_command || (check.matching != ParameterMatch::Ignored && check.is_named(&comm, b""));
        let wanted = checks.iter().any(|check| asks(check));
        let command_line = if wanted { std::fs::read(format!("/proc/{pid}/cmdline")).ok()? } else { Vec::new() };
        let process = Self { comm, command_line };
        // Zombies are few: only those that would count are looked at more closely.
        let counts = checks.iter().any(|check| process.is(check));
        (!counts || !is_zombie(pid)).then_some(process)
    }

    fn is(&self, check: &ProcessCheck) -> bool {
        check.matches(&self.comm, &self.command_line)
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
