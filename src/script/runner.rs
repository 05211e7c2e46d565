//! Runs approved scripts beside everything else: never two of one tag at once, every end comes back as a message.

use super::policy::Approved;
use crate::sys::spawn::{Failure, Program, Running, Spawner, Step};
use crate::types::ScriptOutcome;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::hash::Hash;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};

/// A script whose time is up gets SIGTERM, and this much later SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// Never handed to a script: what changes how a shell or the loader works, and what is between the service manager and us.
const KEPT_BACK: [&str; 11] = [
    "IFS",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "FDSTORE",
    "MAINPID",
];

/// Our environment without what a script must not have.
pub fn environment(ours: impl Iterator<Item = (OsString, OsString)>) -> Vec<CString> {
    ours.filter(|(name, _)| !KEPT_BACK.iter().any(|kept| OsStr::new(kept) == name))
        .filter_map(|(name, value)| {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend(value.as_bytes());
            CString::new(line).ok()
        })
        .collect()
}

/// Starts scripts and tells how they ended. `T` says whose run it is; it has at most one at a time.
#[derive(Debug)]
pub struct Runner<T> {
    spawner: Spawner,
    environment: Vec<CString>,
    running: HashMap<T, Arc<Notify>>,
    ends: mpsc::UnboundedReceiver<(T, Word)>,
    report: mpsc::UnboundedSender<(T, Word)>,
}

/// What a run's task says.
#[derive(Debug)]
enum Word {
    /// Its time is up; it is being ended. Said at once, so that a script that ignores SIGTERM is no excuse.
    TimeIsUp,
    /// It is gone, and how.
    Gone(ScriptOutcome),
    /// It is gone; its outcome has been told.
    GoneAtLast,
}

impl<T: Copy + Eq + Hash + Send + Sync + 'static> Runner<T> {
    /// Ready to run, with our environment as it is now. Inside a tokio runtime only.
    ///
    /// # Errors
    /// No /dev/null.
    pub fn new() -> io::Result<Self> {
        let (report, ends) = mpsc::unbounded_channel();
        Ok(Self { spawner: Spawner::new()?, environment: environment(std::env::vars_os()), running: HashMap::new(), ends, report })
    }

    /// Starts a script with more arguments after its own; `limit` is its timeout. Its end, or why it did not start, comes
    /// from [`Self::next`]. False: the tag's last run has not ended, so nothing was started and nothing will come.
    pub fn run(&mut self, tag: T, script: &Approved, more: &[CString], limit: Option<Duration>) -> bool {
        if self.running.contains_key(&tag) {
            return false;
        }
        let stop = Arc::new(Notify::new());
        self.running.insert(tag, Arc::clone(&stop));
        let argv: Vec<CString> = script.argv.iter().chain(more).cloned().collect();
        let program = Program { path: &script.path, argv: &argv, environment: &self.environment, ids: script.ids.as_ref() };
        let report = self.report.clone();
        match self
            .spawner
            .spawn(&program)
            .map_err(|failure| words(&failure))
            .and_then(|running| Run::new(running).map_err(|e| e.to_string()))
        {
            Ok(run) => {
                tokio::spawn(async move {
                    let last = run.ended(limit, &stop, || _ = report.send((tag, Word::TimeIsUp))).await;
                    let _ = report.send((tag, last));
                });
            }
            Err(why) => {
                let _ = report.send((tag, Word::Gone(ScriptOutcome::NotStarted(why))));
            }
        }
        true
    }

    /// The next end of a run. `TimedOut` comes the moment the time is up; the tag is free again once the run is really
    /// gone, at most [`GRACE`] later. Waits for ever while nothing runs. May be dropped at any await.
    pub async fn next(&mut self) -> (T, ScriptOutcome) {
        loop {
            match self.ends.recv().await {
                Some((tag, Word::TimeIsUp)) => return (tag, ScriptOutcome::TimedOut),
                Some((tag, Word::Gone(outcome))) => {
                    self.running.remove(&tag);
                    return (tag, outcome);
                }
                Some((tag, Word::GoneAtLast)) => _ = self.running.remove(&tag),
                // We hold a sender ourselves, so the channel never closes.
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until no run is left; their ends are not told any more.
    pub async fn all_gone(&mut self) {
        while !self.running.is_empty() {
            match self.ends.recv().await {
                Some((tag, Word::Gone(_) | Word::GoneAtLast)) => _ = self.running.remove(&tag),
                Some((_, Word::TimeIsUp)) => {}
                None => return,
            }
        }
    }

    /// Ends a run before its time: SIGTERM to its group, SIGKILL after [`GRACE`]. Its end still comes from [`Self::next`].
    pub fn stop(&self, tag: &T) {
        if let Some(stop) = self.running.get(tag) {
            stop.notify_one();
        }
    }

    /// Whether this tag has a run.
    pub fn is_running(&self, tag: &T) -> bool {
        self.running.contains_key(tag)
    }

    /// Every tag that has a run.
    pub fn running(&self) -> impl Iterator<Item = &T> {
        self.running.keys()
    }
}

fn words(failure: &Failure) -> String {
    let what = match failure.step {
        Step::Clone => "no process to spare",
        Step::User => "cannot change user",
        Step::Streams => "cannot open /dev/null",
        Step::Exec => "cannot execute",
    };
    format!("{what}: {}", failure.source)
}

/// One run.
struct Run {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Run {
    fn new(running: Running) -> io::Result<Self> {
        let pid = Pid::from_raw(running.pid);
        match crate::sys::socket::watch(running.pidfd) {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err(error) => {
                // Nobody could wait for it: it must not go on.
                let _ = killpg(pid, Signal::SIGKILL);
                let _ = nix::sys::wait::waitpid(pid, None);
                Err(error)
            }
        }
    }

    async fn ended(self, limit: Option<Duration>, stop: &Notify, time_is_up: impl FnOnce()) -> Word {
        let limit = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let timed_out = tokio::select! {
            biased;
            () = self.exited() => return Word::Gone(self.reap()),
            () = limit => true,
            () = stop.notified() => false,
        };
        if timed_out {
            time_is_up();
        }
        self.signal(Signal::SIGTERM);
        let _ = tokio::time::timeout(GRACE, self.exited()).await;
        // Whatever is left of its group: the leader is not reaped yet, so the group's number is still its own.
        self.signal(Signal::SIGKILL);
        self.exited().await;
        let outcome = self.reap();
        if timed_out { Word::GoneAtLast } else { Word::Gone(outcome) }
    }

    fn signal(&self, signal: Signal) {
        // It may run as another user; as root we may, and as ourselves it is ours. ESRCH means it has ended.
        let _ = killpg(self.pid, signal);
    }

    async fn exited(&self) {
        // Readiness stays: nobody clears it, and a pidfd becomes readable once.
        let _ = self.pidfd.readable().await;
    }

    fn reap(&self) -> ScriptOutcome {
        match waitid(Id::PIDFd(self.pidfd.get_ref().as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
            Ok(WaitStatus::Exited(_, status)) => ScriptOutcome::Exited(status.to_le_bytes()[0]),
            Ok(WaitStatus::Signaled(_, signal, _)) => ScriptOutcome::Signalled(signal as i32),
            Ok(other) => ScriptOutcome::NotStarted(format!("ended in an unknown way: {other:?}")),
            Err(error) => ScriptOutcome::NotStarted(format!("its end was taken by somebody else: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(line: &str) -> Approved {
        let word = |text: &str| CString::new(text).unwrap();
        Approved {
            path: c"/bin/sh".to_owned(),
            argv: vec![word("sh"), word("-c"), word(line)],
            ids: None,
            label: "sh".into(),
            found_at: None,
            insecure: None,
        }
    }

    async fn outcome(line: &str, limit: Option<Duration>) -> ScriptOutcome {
        let mut runner = Runner::new().unwrap();
        assert!(runner.run(1, &shell(line), &[], limit));
        tokio::time::timeout(Duration::from_secs(20), runner.next()).await.unwrap().1
    }

    #[tokio::test]
    async fn status_and_signal_are_told_apart() {
        assert_eq!(outcome("exit 7", None).await, ScriptOutcome::Exited(7));
        assert_eq!(outcome("kill -9 $$", None).await, ScriptOutcome::Signalled(9));
    }

    #[tokio::test]
    async fn a_script_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let line = format!(
            "(trap '' TERM; echo > {m}; while :; do sleep 1; done) & while [ ! -e {m} ]; do :; done; echo $! > {m}; wait",
            m = mark.display()
        );
        let begin = Instant::now();
        let mut runner = Runner::new().unwrap();
        assert!(runner.run(1, &shell(&line), &[], Some(Duration::from_millis(500))));
        assert_eq!(runner.next().await, (1, ScriptOutcome::TimedOut));
        assert!(begin.elapsed() < Duration::from_secs(2), "told before SIGKILL");
        assert!(!runner.run(1, &shell("exit 0"), &[], None), "the tag is taken until the run is gone");
        assert!(tokio::time::timeout(GRACE * 2, runner.next()).await.is_err());
        assert!(!runner.is_running(&1));
        let child: i32 = std::fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        let deadline = begin + Duration::from_secs(20);
        // Orphaned, it is reaped by whoever adopts it; a zombie counts as gone.
        let gone = || std::fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z "));
        while !gone() {
            assert!(Instant::now() < deadline, "the child that ignores SIGTERM is still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn one_tag_never_runs_twice_at_once() {
        let mut runner = Runner::new().unwrap();
        let slow = shell("exec sleep 30");
        assert!(runner.run("a", &slow, &[], None));
        assert!(!runner.run("a", &slow, &[], None));
        assert!(runner.run("b", &shell("exit 0"), &[], None));
        assert_eq!(runner.next().await, ("b", ScriptOutcome::Exited(0)));
        runner.stop(&"a");
        assert_eq!(runner.next().await, ("a", ScriptOutcome::Signalled(15)));
        assert!(runner.run("a", &shell("exit 3"), &[], None));
        assert_eq!(runner.next().await, ("a", ScriptOutcome::Exited(3)));
    }

    #[tokio::test]
    async fn what_cannot_run_says_why() {
        let mut runner = Runner::new().unwrap();
        let missing = Approved { path: c"/nonexistent/x".to_owned(), ..shell("") };
        assert!(runner.run(1, &missing, &[], None));
        let (_, outcome) = runner.next().await;
        assert!(matches!(&outcome, ScriptOutcome::NotStarted(why) if why.starts_with("cannot execute: No such file")), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_megabyte_of_output_goes_nowhere() {
        let limit = Some(Duration::from_secs(15));
        assert_eq!(outcome("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", limit).await, ScriptOutcome::Exited(0));
    }

    #[tokio::test]
    async fn many_runs_leave_no_zombie() {
        let mut runner = Runner::new().unwrap();
        for tag in 0..50 {
            assert!(runner.run(tag, &shell("exit 0"), &[], None));
        }
        for _ in 0..50 {
            assert_eq!(runner.next().await.1, ScriptOutcome::Exited(0));
        }
        assert_eq!(runner.running().count(), 0);
    }

    #[test]
    fn the_environment_keeps_back_what_is_dangerous() {
        let pairs = [("PATH", "/bin"), ("IFS", "x"), ("LD_PRELOAD", "y"), ("LD_LIBRARY_PATH", "z"), ("NOTIFY_SOCKET", "n")];
        let kept = environment(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(kept, [c"PATH=/bin".to_owned()]);
    }
}
