//! A host: a thread that lives in namespaces of its own, and whatever is started from it.

use super::inside::{Inside, OWN};
use super::netlink::{Address, Link, Netlink};
use super::process::{Log, Process};
use super::{LabError, Result, Trouble};
use crate::types::IpPrefix;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// What a host is to be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) ipv4: Ipv4Addr,
    pub(super) ipv6: Ipv6Addr,
    /// Programs to be found as `/run/.lab/bin/NAME`, first in PATH.
    pub(super) programs: Vec<(String, PathBuf)>,
    /// Lines for the host's own account files, which never have the machine's `keepalived_script`.
    pub(super) script_user: bool,
}

/// A machine of the laboratory: namespaces for network, mounts, processes and names, held by one thread and one first
/// process that die with the creator. `/run /tmp /var/tmp /mnt /etc /dev /proc` are its own.
#[derive(Debug)]
pub struct Host {
    plan: Plan,
    net: OwnedFd,
    netlink: Mutex<Netlink>,
    first: u32,
    pid_namespace: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    logs: Mutex<Vec<(String, Arc<Log>)>>,
}

/// What a command said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output and standard error together.
    pub text: String,
}

impl Host {
    pub(super) fn create(plan: Plan) -> Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (ready, outcome) = mpsc::sync_channel(1);
        let spec = plan.clone();
        let body = move || match Inside::prepare(&spec) {
            Err(error) => drop(ready.send(Err(error))),
            Ok(inside) => {
                let Inside { net, netlink, mut first } = inside;
                drop(ready.send(Ok((net, netlink, first.id()))));
                inbox.into_iter().for_each(|job| job());
                drop(first.kill().and_then(|()| first.wait()));
            }
        };
        let thread = thread::Builder::new().name(format!("host {}", plan.name)).spawn(body).trouble("start a thread")?;
        let (net, netlink, first) = outcome.recv().map_err(|_| LabError::new("start a host", io::ErrorKind::BrokenPipe.into()))??;
        let pid_namespace = fs::read_link(format!("/proc/{first}/ns/pid")).trouble("look at a host's first process")?;
        Ok(Self {
            plan,
            net,
            netlink: Mutex::new(netlink),
            first,
            pid_namespace,
            jobs: Some(jobs),
            thread: Some(thread),
            logs: Mutex::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Its own IPv4 address.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.plan.ipv4
    }

    /// Its own IPv6 address.
    pub fn ipv6(&self) -> Ipv6Addr {
        self.plan.ipv6
    }

    /// Its first process, by our id: what nsenter(1) is pointed at.
    pub fn first_process(&self) -> u32 {
        self.first
    }

    pub(super) fn net(&self) -> BorrowedFd<'_> {
        self.net.as_fd()
    }

    /// Runs `job` in the host's thread, that is in all its namespaces (its PID namespace holds only for what the job
    /// starts): for opening sockets and files.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, outcome) = mpsc::sync_channel(1);
        let job: Job = Box::new(move || drop(answer.send(job())));
        let gone = || LabError::new(format!("work in {}", self.plan.name), io::ErrorKind::BrokenPipe.into());
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())
    }

    // ---- commands

    /// A command with the host's usual environment (nothing of ours, `/run/.lab/bin` first in PATH) and `/` as directory.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{OWN}/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env_clear().env("PATH", path).env("LANG", "C").env("HOME", "/root").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts a command in the host. It dies with the host at the latest.
    pub fn spawn(&self, mut command: Command) -> Result<Child> {
        let what = format!("start {:?} on {}", command.get_program(), self.plan.name);
        self.run(move || command.spawn())?.trouble(what)
    }

    /// Runs a command to its end; more than 20 s is an error.
    pub fn output(&self, command: Command) -> Result<Output> {
        let (log, mut child) = self.spawn_logged(command)?;
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = child.try_wait().trouble("wait")? {
                return Ok(Output { status, text: log.text() });
            }
            if Instant::now() > limit {
                drop(child.kill().and_then(|()| child.wait()));
                return Err(LabError::new(format!("finish a command, which said {:?}", log.text()), io::ErrorKind::TimedOut.into()));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs a line of shell and returns what it said; failing is an error that shows it.
    pub fn sh(&self, line: &str) -> Result<String> {
        let mut command = self.command("sh");
        command.args(["-c", line]);
        let output = self.output(command)?;
        if output.status.success() {
            return Ok(output.text);
        }
        Err(LabError::new(format!("run {line:?} on {}", self.plan.name), io::Error::other(format!("{}: {}", output.status, output.text))))
    }

    /// Starts a command whose standard output and error go to a log.
    pub(super) fn spawn_logged(&self, mut command: Command) -> Result<(Arc<Log>, Child)> {
        let log = Arc::new(Log::create().trouble("make a log")?);
        command.stdout(log.writer().trouble("share a log")?).stderr(log.writer().trouble("share a log")?);
        Ok((log, self.spawn(command)?))
    }

    pub(super) fn keep_log(&self, title: String, log: Arc<Log>) {
        lock(&self.logs).push((title, log));
    }

    /// All that the host's daemons have said, with a title each.
    pub fn logs(&self) -> String {
        lock(&self.logs).iter().map(|(title, log)| format!("==== {}: {title}\n{}\n", self.plan.name, log.text())).collect()
    }

    // ---- files

    /// Writes a file inside the host, making the directories above it; mode 0644.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.write_mode(path, content, 0o644)
    }

    /// Writes an executable file inside the host; mode 0755.
    pub fn write_script(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.write_mode(path, content, 0o755)
    }

    fn write_mode(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let (path, content, what) = (PathBuf::from(path), content.as_ref().to_vec(), format!("write {path}"));
        self.run(move || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            // A link in /etc leads to the machine's own file: the host gets one of its own instead.
            if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                fs::remove_file(&path)?;
            }
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        })?
        .trouble(what)
    }

    /// Content of a file inside the host; `None` when there is none.
    pub fn read(&self, path: &str) -> Option<String> {
        let path = PathBuf::from(path);
        let bytes = self.run(move || fs::read(path)).ok()?.ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether something stands at that path inside the host.
    pub fn exists(&self, path: &str) -> bool {
        let path = PathBuf::from(path);
        self.run(move || path.symlink_metadata().is_ok()).unwrap_or(false)
    }

    /// Mode bits of a file inside the host.
    pub fn mode(&self, path: &str) -> Option<u32> {
        let path = PathBuf::from(path);
        self.run(move || path.symlink_metadata().map(|file| file.permissions().mode() & 0o7777)).ok()?.ok()
    }

    // ---- addresses and links

    /// Every address of the host.
    pub fn addresses(&self) -> Result<Vec<Address>> {
        lock(&self.netlink).addresses()
    }

    /// That address, when the host has it.
    pub fn address(&self, ip: impl Into<IpAddr>) -> Option<Address> {
        let ip = ip.into();
        self.addresses().ok()?.into_iter().find(|address| address.ip() == ip)
    }

    /// Whether the host has that address.
    pub fn has(&self, ip: impl Into<IpAddr>) -> bool {
        self.address(ip).is_some()
    }

    /// Adds an address, as an administrator would.
    pub fn add_address(&self, interface: &str, prefix: IpPrefix) -> Result<()> {
        lock(&self.netlink).add_address(interface, prefix)
    }

    /// Deletes an address, as an administrator would.
    pub fn delete_address(&self, interface: &str, prefix: IpPrefix) -> Result<()> {
        lock(&self.netlink).delete_address(interface, prefix)
    }

    /// An interface.
    pub fn link(&self, interface: &str) -> Result<Link> {
        lock(&self.netlink).link(interface)
    }

    pub(super) fn carries_frames(&self, interface: &str) -> bool {
        lock(&self.netlink).carries_frames(interface).unwrap_or(false)
    }

    /// Every interface.
    pub fn links(&self) -> Result<Vec<Link>> {
        lock(&self.netlink).links()
    }

    /// Sets an interface administratively up or down.
    pub fn set_link(&self, interface: &str, up: bool) -> Result<()> {
        lock(&self.netlink).set_up(interface, up)
    }

    /// Deletes an interface (of a veth pair both ends go).
    pub fn delete_link(&self, interface: &str) -> Result<()> {
        lock(&self.netlink).delete_link(interface)
    }

    // ---- processes

    /// The host's processes, without its first one.
    pub fn processes(&self) -> Vec<Process> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| *pid != self.first).filter_map(|pid| Process::read(pid, &self.pid_namespace)).collect()
    }

    /// The process that the host itself knows under this id (as its pid files do).
    pub fn process(&self, inner: u32) -> Option<Process> {
        self.processes().into_iter().find(|process| process.inner == inner)
    }

    /// The process named by a pid file.
    pub fn process_of_file(&self, path: &str) -> Option<Process> {
        self.process(self.read(path)?.trim().parse().ok()?)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
