//! A daemon on a host: started, signalled, watched, killed.

use super::host::Host;
use super::process::{Log, Process};
use super::{LabError, Result, Trouble};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A daemon that stays in the foreground (`-n`), with its standard output and error in a log. Dropping it kills every process of it.
#[derive(Debug)]
pub struct Daemon {
    host: Arc<Host>,
    child: Child,
    log: Arc<Log>,
}

impl Daemon {
    /// Starts `command` (from [`Host::command`]) on `host`.
    pub fn start(host: &Arc<Host>, command: Command) -> Result<Self> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let title = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let (log, child) = host.spawn_logged(command)?;
        host.keep_log(title, Arc::clone(&log));
        Ok(Self { host: Arc::clone(host), child, log })
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// It and its descendants, parents first.
    pub fn processes(&self) -> Vec<Process> {
        let all = self.host.processes();
        let mut found: Vec<Process> = all.iter().filter(|process| process.pid == self.pid()).cloned().collect();
        let mut next = 0;
        while let Some(parent) = found.get(next).map(|process| process.pid) {
            found.extend(all.iter().filter(|process| process.parent == parent).cloned());
            next += 1;
        }
        found
    }

    /// Its children.
    pub fn children(&self) -> Vec<Process> {
        self.host.processes().into_iter().filter(|process| process.parent == self.pid() && process.state != 'Z').collect()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid(), Some(signal))
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().trouble("wait for a daemon")? {
                return Ok(status);
            }
            if Instant::now() > end {
                let what = format!("see a daemon of {} end within {limit:?}; it said:\n{}", self.host.name(), self.log());
                return Err(LabError::new(what, io::ErrorKind::TimedOut.into()));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// SIGTERM, and its end within 10 s.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(Duration::from_secs(10))
    }

    /// Dies as in a power cut: no process of it does anything more.
    pub fn kill_all(&mut self) {
        let processes = self.processes();
        for process in &processes {
            drop(send(process.pid, Some(Signal::SIGSTOP)));
        }
        for process in &processes {
            drop(send(process.pid, Some(Signal::SIGKILL)));
        }
        drop(self.child.wait());
        let limit = Instant::now() + Duration::from_secs(5);
        while processes.iter().any(|process| self.host.process(process.inner).is_some_and(|now| now.state != 'Z')) && Instant::now() < limit
        {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill_all();
        }
    }
}

/// Sends a signal to one process.
pub fn send(pid: u32, signal: impl Into<Option<Signal>>) -> Result<()> {
    let pid = i32::try_from(pid).map_err(|_| LabError::new("send a signal", io::ErrorKind::InvalidInput.into()))?;
    kill(Pid::from_raw(pid), signal).trouble(format!("send a signal to {pid}"))
}
