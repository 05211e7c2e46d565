//! Starting a stranger's program fast and safely: vfork-like (the memory is not copied), another user, nothing inherited.
//!
//! `std::process::Command` can change user only by a full fork and never clears supplementary groups, ambient
//! capabilities or the process group in one go. Here the child borrows our memory until it execs (CLONE_VM, CLONE_VFORK),
//! so a start costs the same however large we are, and an error of any step comes back as a value.
//! A child that shares our memory as another user cannot be traced: the kernel makes the shared memory undumpable before
//! the new user takes effect (credentials(7), ptrace(2)); `spawn` gives dumpability back once the child has execed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Stack of the child until it execs; it calls a few system calls, nothing deep.
const STACK_BYTES: usize = 32 * 1024;

/// The user a program runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ids {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups: exactly these.
    pub groups: Vec<u32>,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// File to execute.
    pub path: &'a CStr,
    /// Argument vector, the name first.
    pub argv: &'a [CString],
    /// Whole environment, `NAME=value` each.
    pub environment: &'a [CString],
    /// User to become; `None` stays as we are.
    pub ids: Option<&'a Ids>,
}

/// A program that runs. Not reaped by anybody but the holder.
#[derive(Debug)]
pub struct Running {
    /// Process id, and id of its own process group.
    pub pid: i32,
    /// Readable when it has ended (pidfd_open(2)).
    pub pidfd: OwnedFd,
}

/// Which step of a start failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// No process, descriptor or memory left.
    Clone,
    /// setgroups(2), setgid(2) or setuid(2).
    User,
    /// /dev/null onto the standard streams.
    Streams,
    /// execve(2).
    Exec,
}

/// A start that failed, and where.
#[derive(Debug)]
pub struct Failure {
    /// Which step.
    pub step: Step,
    /// What the kernel said.
    pub source: io::Error,
}

/// Starts programs; holds what every start needs.
#[derive(Debug)]
pub struct Spawner {
    stack: Vec<u128>,
    null: OwnedFd,
}

/// What parent and child share: it lives on the parent's stack, and the parent sleeps until the child is done with it.
struct Shared<'a> {
    path: *const libc::c_char,
    argv: *const *const libc::c_char,
    shell_argv: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    ids: Option<&'a Ids>,
    null: RawFd,
    failed: Option<(Step, i32)>,
}

impl Spawner {
    /// # Errors
    /// No /dev/null.
    pub fn new() -> io::Result<Self> {
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        Ok(Self { stack: vec![0; STACK_BYTES / size_of::<u128>()], null: null.into() })
    }

    /// Starts `program` in a process group of its own: standard streams on /dev/null, every other descriptor closed,
    /// signals at their defaults, no ambient capability. A file that is no executable format goes to /bin/sh (as execvp does).
    ///
    /// # Errors
    /// The first step that failed; nothing runs then.
    #[expect(unsafe_code, reason = "clone(2) with a stack of ours, and adopting the pidfd it makes")]
    pub fn spawn(&mut self, program: &Program<'_>) -> Result<Running, Failure> {
        let argv = pointers(program.argv);
        let mut shell_argv = vec![c"sh".as_ptr(), program.path.as_ptr()];
        shell_argv.extend(argv.iter().skip(1));
        let environment = pointers(program.environment);
        let mut shared = Shared {
            path: program.path.as_ptr(),
            argv: argv.as_ptr(),
            shell_argv: shell_argv.as_ptr(),
            environment: environment.as_ptr(),
            ids: program.ids,
            null: self.null.as_raw_fd(),
            failed: None,
        };
        let mut pidfd: libc::c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let dumpable = nix::sys::prctl::get_dumpable().unwrap_or(false);
        // No handler of ours may run in the child while it shares our memory: everything is blocked until it has reset them.
        let failed = |error: nix::Error| Failure { step: Step::Clone, source: error.into() };
        let before = nix::sys::signal::SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK).map_err(failed)?;
        // SAFETY: the stack is ours alone and grows down from its aligned end; CLONE_VFORK suspends this thread until the
        // child has execed or exited, so `shared`, the vectors behind its pointers and the stack outlive its use of them.
        let pid = unsafe {
            let top = self.stack.as_mut_ptr().add(self.stack.len());
            libc::clone(child, top.cast(), flags, ptr::from_mut(&mut shared).cast(), ptr::from_mut(&mut pidfd))
        };
        let error = io::Error::last_os_error();
        let _ = before.thread_set_mask();
        if pid < 0 {
            return Err(Failure { step: Step::Clone, source: error });
        }
        if program.ids.is_some() && dumpable {
            let _ = nix::sys::prctl::set_dumpable(true);
        }
        // SAFETY: CLONE_PIDFD stored a new descriptor there, and nobody else knows it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        // The child wrote it before it exited; read it as such.
        // SAFETY: a plain read of a live local that another (now ended) task may have written.
        match unsafe { ptr::read_volatile(&raw const shared.failed) } {
            None => Ok(Running { pid, pidfd }),
            Some((step, errno)) => {
                let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
                Err(Failure { step, source: io::Error::from_raw_os_error(errno) })
            }
        }
    }
}

/// A descriptor that becomes readable when this process ends (pidfd_open(2)).
///
/// # Errors
/// No such process, or a kernel before 5.3.
#[expect(unsafe_code, reason = "pidfd_open has no wrapper yet; adopts the descriptor it makes")]
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers; a descriptor that it returns is new and known to nobody else. It closes on exec by itself.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        match RawFd::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            Ok(_) | Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
}

/// The child, on its own stack in our memory: system calls only, no allocation, no lock, no return.
#[expect(unsafe_code, reason = "entry point of clone(2)")]
extern "C" fn child(shared: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes its own `Shared`, which nobody else touches while it sleeps.
    let shared = unsafe { &mut *shared.cast::<Shared<'_>>() };
    let (step, errno) = become_it(shared);
    shared.failed = Some((step, errno));
    127
}

/// Every step up to execve; returns only when one fails.
#[expect(unsafe_code, reason = "raw system calls: the C library's setuid would act on all threads of the process whose memory this is")]
fn become_it(shared: &Shared<'_>) -> (Step, i32) {
    // SAFETY: plain system calls; every pointer was made by `spawn` from live, NUL-terminated data.
    unsafe {
        libc::setpgid(0, 0);
        default_signals();
        if let Some(ids) = shared.ids {
            let (uid, gid) = (libc::c_ulong::from(ids.uid), libc::c_ulong::from(ids.gid));
            if libc::syscall(libc::SYS_setgroups, ids.groups.len(), ids.groups.as_ptr()) < 0
                || libc::syscall(libc::SYS_setresgid, gid, gid, gid) < 0
                || libc::syscall(libc::SYS_setresuid, uid, uid, uid) < 0
            {
                return (Step::User, errno());
            }
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for stream in 0..=2 {
            if libc::dup2(shared.null, stream) < 0 {
                return (Step::Streams, errno());
            }
        }
        // Linux before 5.9 does not know it; there close-on-exec, which every descriptor of ours has, must do.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(shared.path, shared.argv, shared.environment);
        if errno() == libc::ENOEXEC {
            libc::execve(c"/bin/sh".as_ptr(), shared.shell_argv, shared.environment);
        }
        (Step::Exec, errno())
    }
}

/// exec keeps what is ignored (Rust ignores SIGPIPE): everything back to the default.
#[expect(unsafe_code, reason = "sigaction in a child that shares our memory")]
fn default_signals() {
    // SAFETY: the table of handlers is the child's own copy (no CLONE_SIGHAND); unknown numbers are refused by the kernel.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=64 {
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

#[expect(unsafe_code, reason = "errno without the allocation that io::Error may make")]
fn errno() -> i32 {
    // SAFETY: always a valid address of this thread.
    unsafe { *libc::__errno_location() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    use std::os::fd::AsFd;

    fn run(path: &CStr, argv: &[&CStr]) -> Result<i32, Failure> {
        let argv: Vec<CString> = argv.iter().map(|word| (*word).to_owned()).collect();
        let running = Spawner::new().unwrap().spawn(&Program { path, argv: &argv, environment: &[c"A=b".to_owned()], ids: None })?;
        match waitid(Id::PIDFd(running.pidfd.as_fd()), WaitPidFlag::WEXITED).unwrap() {
            WaitStatus::Exited(_, status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_runs_with_our_words_and_environment_only() {
        assert_eq!(run(c"/bin/sh", &[c"sh", c"-c", c"[ \"$A$1\" = bc ] && [ -z \"$HOME\" ]", c"x", c"c"]).unwrap(), 0);
    }

    #[test]
    fn it_inherits_no_descriptor_and_leads_its_group() {
        let leak = std::fs::File::open("/dev/zero").unwrap();
        nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let number = CString::new(leak.as_raw_fd().to_string()).unwrap();
        let claim =
            c"[ ! -e /proc/$$/fd/$1 ] && [ /dev/null -ef /proc/$$/fd/1 ] && read -r _ _ _ _ group _ < /proc/$$/stat && [ $group = $$ ]";
        assert_eq!(run(c"/bin/sh", &[c"sh", c"-c", claim, c"x", &number]).unwrap(), 0);
    }

    #[test]
    fn signals_are_at_their_defaults() {
        // Rust ignores SIGPIPE; a script must die of it. (The C library keeps 32 and 33 to itself.)
        let claim =
            c"grep -q '^SigIgn:.0000000[01][08]0000000$' /proc/self/status && grep -q '^SigBlk:.0000000000000000$' /proc/self/status";
        assert_eq!(run(c"/bin/sh", &[c"sh", c"-c", claim]).unwrap(), 0);
    }

    #[test]
    fn a_missing_file_is_an_error_of_exec() {
        let failure = run(c"/nonexistent/x", &[c"x"]).unwrap_err();
        assert_eq!(failure.step, Step::Exec);
        assert_eq!(failure.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_without_a_first_line_goes_to_the_shell() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain");
        std::fs::write(&file, "exit $1\n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = CString::new(file.as_os_str().as_encoded_bytes()).unwrap();
        assert_eq!(run(&path, &[&path, c"7"]).unwrap(), 7);
    }
}
