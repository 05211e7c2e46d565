//! Processes: starting a child from our own executable, names, death of a parent, becoming a daemon.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// File descriptor on which a child finds its end of the socketpair.
pub const CHANNEL_FD: RawFd = 3;

/// How a child is started.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// The whole argument vector, the name first.
    pub arguments: Vec<OsString>,
    /// Environment variables added to ours.
    pub environment: Vec<(&'static str, String)>,
    /// Standard streams onto /dev/null: a daemon's child must not hold its starter's terminal or pipe open.
    pub detached: bool,
}

/// A child process and our end of its socketpair.
pub struct Spawned {
    /// The process; killed when dropped.
    pub process: tokio::process::Child,
    /// Our end.
    pub stream: UnixStream,
}

/// Starts the executable that is running (the same inode, even when a package upgrade replaced the file), with one end
/// of a socketpair on `CHANNEL_FD`. The kernel sends it SIGTERM when we die. Must be called inside a tokio runtime.
///
/// # Errors
/// No descriptors or processes left, or /proc is missing.
#[expect(unsafe_code, reason = "pre_exec: code between fork and exec is a promise to call only what signal-safety(7) allows")]
pub fn spawn(spawn: &Spawn) -> io::Result<Spawned> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new("/proc/self/exe");
    let mut arguments = spawn.arguments.iter();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).envs(spawn.environment.iter().map(|(name, value)| (name, value)));
    if spawn.detached {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let fd = theirs.as_raw_fd();
    let parent = std::process::id();
    // SAFETY: only dup2, fcntl, prctl and getppid are called, all async-signal-safe; nothing is allocated.
    unsafe {
        command.pre_exec(move || hand_over(fd, parent));
    }
    let mut command = tokio::process::Command::from(command);
    let process = command.kill_on_drop(true).spawn()?;
    drop(theirs);
    Ok(Spawned { process, stream: ours })
}

/// In the child before exec: the channel onto its number, and a signal when the parent dies.
#[expect(unsafe_code, reason = "see spawn")]
fn hand_over(fd: RawFd, parent: u32) -> io::Result<()> {
    // SAFETY: plain system calls on a descriptor that is open; no memory is touched. Standard streams and CHANNEL_FD keep no close-on-exec.
    unsafe {
        if fd == CHANNEL_FD {
            let flags = libc::fcntl(fd, libc::F_GETFD);
            check(libc::fcntl(fd, libc::F_SETFD, flags & !libc::FD_CLOEXEC))?;
        } else {
            check(libc::dup2(fd, CHANNEL_FD))?;
        }
    }
    die_with(parent)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks for SIGTERM when the parent dies. The kernel forgets this at every change of user, so it is asked again after one.
///
/// # Errors
/// The parent is dead already.
#[expect(unsafe_code, reason = "prctl in a form that allocates nothing, for use between fork and exec")]
pub fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes one number; getppid cannot fail.
    let ours = unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong, 0, 0, 0))?;
        libc::getppid()
    };
    // A parent in another pid namespace is 0 to us: then only the signal can tell.
    if ours == 0 || u32::try_from(ours) == Ok(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// The child's end of the socketpair. To be called once, first thing, by a process that was started by `spawn`.
///
/// # Errors
/// The descriptor is not a socket: somebody set the environment by hand.
#[expect(unsafe_code, reason = "takes ownership of a descriptor known only by its number")]
pub fn take_channel() -> io::Result<UnixStream> {
    let kind = {
        // SAFETY: borrowed only for this call; an unopened number gives EBADF.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(CHANNEL_FD) };
        nix::sys::stat::fstat(fd)?.st_mode & libc::S_IFMT
    };
    if kind != libc::S_IFSOCK {
        return Err(io::Error::other("descriptor 3 is no socket"));
    }
    // SAFETY: it is open (fstat answered), and `spawn` put it there for this process alone.
    let fd = unsafe { OwnedFd::from_raw_fd(CHANNEL_FD) };
    nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    Ok(UnixStream::from(fd))
}

/// The name that ps, pidof and killall see (at most 15 bytes).
pub fn set_name(name: &str) {
    let short: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(15).collect();
    if let Ok(name) = CString::new(short) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// SIGSEGV and SIGBUS end the process at once, also when somebody sent them: the standard library's own handlers, there for the message of
/// a stack overflow, survive the first one.
#[expect(unsafe_code, reason = "signal(2) is unsafe in nix, because a handler could be installed")]
pub fn die_of_faults() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { signal(fault, SigHandler::SigDfl) };
    }
}

/// Which half of a fork this is.
pub enum Forked {
    /// The original process; `outcome` reads what the daemon reports.
    Parent {
        /// The daemon's exit status, or readiness.
        outcome: Outcome,
    },
    /// The daemon: a session of its own, no terminal.
    Daemon(Report),
}

/// The original process's view of the daemon.
pub struct Outcome(std::io::PipeReader);

/// The daemon's way to tell the original process that it may return.
pub struct Report(std::io::PipeWriter);

impl Outcome {
    /// Waits for the daemon's report: the status to exit with. A daemon that dies without a word is 1.
    pub fn wait(mut self) -> u8 {
        let mut status = [1];
        match io::Read::read(&mut self.0, &mut status) {
            Ok(1) => status[0],
            _ => 1,
        }
    }
}

impl Report {
    /// Lets the original process exit with this status (0: it runs).
    pub fn tell(mut self, status: u8) {
        let _ = io::Write::write_all(&mut self.0, &[status]);
    }
}

/// Becomes a daemon: fork, setsid, root directory. The standard streams stay until `detach`. Must be called before any thread or runtime starts.
///
/// # Errors
/// No processes or descriptors left.
#[expect(unsafe_code, reason = "fork")]
pub fn daemonise() -> io::Result<Forked> {
    let (reader, writer) = std::io::pipe()?;
    // SAFETY: called before any other thread exists (see above), so the child may do anything.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { .. } => Ok(Forked::Parent { outcome: Outcome(reader) }),
        nix::unistd::ForkResult::Child => {
            nix::unistd::setsid()?;
            std::env::set_current_dir("/")?;
            Ok(Forked::Daemon(Report(writer)))
        }
    }
}

/// Standard input, output and error onto /dev/null.
///
/// # Errors
/// No /dev/null.
pub fn detach() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

/// The kernel ends this process (SIGALRM) after so many seconds, whatever it is doing then.
pub fn exit_at_latest(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// What a process did with its time (proc(5), `/proc/PID/stat`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// `R` running or wanting to run, `S` asleep, `D` waiting for a disk, `T` stopped, …
    pub state: char,
    /// Processor time used so far, in clock ticks of 10 ms.
    pub ticks: u64,
}

/// `None` when the process is gone, or hidden from us.
pub fn activity(pid: u32) -> Option<Activity> {
    parse_activity(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether this process lives and its name starts so.
pub fn is_alive_as(pid: u32, name: &str) -> bool {
    let alive = activity(pid).is_some_and(|activity| !matches!(activity.state, 'Z' | 'X'));
    alive && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name))
}

/// When a process started, in clock ticks since the machine did: with its number, this is it and no later one of the same number.
pub fn start_of(pid: u32) -> Option<u64> {
    parse_start(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_start(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Fields after the name, which stands in parentheses and may hold anything: state is the third, user and system time the 14th and 15th.
fn parse_activity(stat: &str) -> Option<Activity> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Activity { state, ticks: user.saturating_add(system) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_forge_its_activity() {
        let stat = "7 (k) R 1 (x) S 1 7 7 0 -1 4194560 100 0 0 0 42 8 0 0 20 0 1 0 5000 1000 50";
        assert_eq!(parse_activity(stat), Some(Activity { state: 'S', ticks: 50 }));
        assert_eq!(parse_activity("7 (k"), None);
        assert_eq!(parse_start(stat), Some(5000));
    }

    #[test]
    fn a_living_process_has_an_activity_and_a_dead_one_none() {
        assert!(activity(std::process::id()).is_some());
        assert_eq!(activity(u32::MAX), None);
    }
}
