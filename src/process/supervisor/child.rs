//! The actor that is one child process: it starts with the process and fails when the process ends.

use super::Msg as SupervisorMsg;
use super::heartbeat::{BRISK, Heartbeat, Verdict};
use super::memory::Memory;
use super::speech::{Ear, Heard, Speech};
use crate::ipc::{Inbox, IpcError, Outbox, channel};
use crate::notify::herald::Herald;
use crate::sys::clock::{self, TimerFd};
use crate::sys::process::{self, Activity, Spawn, Spawned};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a child may take from its start until it answers questions: it may have thousands of instances to set up.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A child without a processor is excused this long, not for ever.
const STARVED_PATIENCE: Duration = Duration::from_secs(10);

/// Between the end of its socket and its own end: longer than an exit takes.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);

/// To the actor.
#[derive(Debug)]
pub(super) enum Msg<T> {
    /// Send this to the process.
    Post(Box<T>),
    /// It is configured: from now on it answers.
    Running,
    /// It answered.
    Answered(u64),
    /// It said something unasked that says only that it lives.
    ShowedLife,
    /// Ask after so long a silence from now on.
    Beat(Duration),
    /// A look at the clock.
    Look,
    /// End it.
    Kill(&'static str),
    /// It ended.
    Ended(Died),
}

/// How a process ended; the error with which its actor fails.
#[derive(Clone, Debug)]
pub(super) struct Died {
    /// Its pid.
    pub(super) pid: u32,
    /// Exit status or signal, when the kernel told.
    pub(super) status: Option<ExitStatus>,
    /// It said `Stopped` before.
    pub(super) said_stopped: bool,
    /// What we killed it for, or what it said that was no message.
    pub(super) reason: Option<String>,
}

/// As the original: `pid 7909 exited due to signal 9 (Killed)`, `pid 7909 exited with status 1`.
impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ", self.pid)?;
        match self.status.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => write!(f, "exited with status {code}")?,
            Some((None, Some(signal))) => write!(f, "exited due to signal {signal} ({})", signal_text(signal))?,
            Some((None, None)) | None => f.write_str("exited")?,
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " - {reason}"))
    }
}

impl std::error::Error for Died {}

pub(super) fn signal_text(signal: i32) -> &'static str {
    match signal {
        libc::SIGKILL => "Killed",
        libc::SIGTERM => "Terminated",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGABRT => "Aborted",
        libc::SIGSYS => "Bad system call",
        libc::SIGALRM => "Alarm clock",
        libc::SIGBUS => "Bus error",
        libc::SIGILL => "Illegal instruction",
        _ => "signal",
    }
}

/// What a child starts with.
pub(super) struct Arguments<T> {
    pub(super) spawn: Spawn,
    pub(super) life: u64,
    pub(super) first: T,
    /// How long it may be silent until it is asked.
    pub(super) beat: Duration,
    pub(super) supervisor: ActorRef<SupervisorMsg>,
    pub(super) memory: Memory,
    /// Tells others what the process says is worth telling.
    pub(super) herald: Herald,
}

/// The actor, for a pipe of that speech.
pub(super) struct Child<S>(PhantomData<fn(S)>);

impl<S> Child<S> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

pub(super) struct State<T> {
    pid: u32,
    outbox: Outbox<T>,
    heart: Heartbeat,
    running: bool,
    started: Instant,
    at_question: Option<(Instant, Activity)>,
    killer: Arc<Killer>,
    /// tokio's timers wake a process twice for one of more than 64 ms.
    timer: Arc<TimerFd>,
    _watcher: Watcher,
    _looker: Watcher,
}

async fn look_when_due<T: Serialize + Send + Sync + 'static>(timer: Arc<TimerFd>, child: ActorRef<Msg<T>>) {
    while timer.fired().await.is_ok() && child.cast(Msg::Look).is_ok() {}
}

/// Ends a task however the actor ends, and with the watching one the process.
struct Watcher(tokio::task::JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Default)]
struct Killer {
    wanted: Notify,
    reason: std::sync::Mutex<Option<String>>,
}

impl Killer {
    fn kill(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(reason);
        self.wanted.notify_one();
    }

    fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl<S: Speech> Actor for Child<S> {
    type Msg = Msg<S::To>;
    type State = State<S::To>;
    type Arguments = Arguments<S::To>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, arguments: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        let Arguments { spawn, life, first, beat, supervisor, memory, herald } = arguments;
        let Spawned { process, stream } = process::spawn(&spawn)?;
        let pid = process.id().ok_or("the process ended before it began")?;
        let (outbox, inbox) = channel(stream)?;
        outbox.post(&first);
        supervisor.cast(SupervisorMsg::Started { role: S::ROLE, pid })?;
        let killer = Arc::new(Killer::default());
        let ear = Ear { life, supervisor, memory, herald, speech: PhantomData };
        let watch = Watch::<S> { pid, process, inbox, ear, actor: myself.clone(), killer: killer.clone() };
        let watcher = Watcher(tokio::spawn(watch.run()));
        let timer = Arc::new(TimerFd::new()?);
        timer.arm(Some(clock::now() + BRISK))?;
        let looker = Watcher(tokio::spawn(look_when_due(timer.clone(), myself.clone())));
        Ok(State {
            pid,
            outbox,
            heart: Heartbeat::new(beat),
            running: false,
            started: Instant::now(),
            at_question: None,
            killer,
            timer,
            _watcher: watcher,
            _looker: looker,
        })
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Post(message) => state.outbox.post(&*message),
            Msg::Running => state.running = true,
            Msg::Answered(number) => {
                let pause = state.heart.answered(Instant::now(), number);
                state.look_in(pause)?;
            }
            Msg::ShowedLife => {
                let pause = state.heart.showed_life(Instant::now());
                state.look_in(pause)?;
            }
            Msg::Beat(period) => {
                let pause = state.heart.beat(Instant::now(), period);
                state.look_in(pause)?;
            }
            Msg::Look => {
                let pause = state.look::<S>(Instant::now());
                state.look_in(Some(pause))?;
            }
            Msg::Kill(reason) => state.killer.kill(reason.to_owned()),
            Msg::Ended(died) => return Err(Box::new(died)),
        }
        Ok(())
    }
}

impl<T: Serialize> State<T> {
    fn look_in(&self, pause: Option<Duration>) -> io::Result<()> {
        pause.map_or(Ok(()), |pause| self.timer.arm(Some(clock::now() + pause)))
    }

    /// How long until the next look.
    fn look<S: Speech<To = T>>(&mut self, now: Instant) -> Duration {
        if !self.running {
            if now.duration_since(self.started) > START_PATIENCE {
                self.killer.kill(format!("not running after {} s", START_PATIENCE.as_secs()));
            }
            return BRISK;
        }
        let (verdict, pause) = self.heart.look(now);
        match verdict {
            Verdict::Ask(number) => {
                self.outbox.post(&S::ping(number));
                self.at_question = None;
            }
            Verdict::Wait => {
                if self.at_question.is_none() {
                    self.at_question = process::activity(self.pid).map(|activity| (now, activity));
                }
            }
            Verdict::Hung(_) if self.is_starved(now) => self.heart.excuse(now),
            Verdict::Hung(silent) => self.killer.kill(format!("it did not answer for {} ms", silent.as_millis())),
        }
        pause
    }

    /// It wants to run and hardly got any processor since the question: the machine is at fault, and a new child would get no more.
    fn is_starved(&self, now: Instant) -> bool {
        let (Some((since, before)), Some(after)) = (self.at_question, process::activity(self.pid)) else { return false };
        let waited = now.duration_since(since);
        let used = Duration::from_millis(after.ticks.saturating_sub(before.ticks).saturating_mul(10));
        after.state == 'R' && used < waited / 4 && waited < STARVED_PATIENCE
    }
}

/// The task beside the actor: reads what the process says, until it has read all and the process is reaped.
struct Watch<S: Speech> {
    pid: u32,
    process: tokio::process::Child,
    inbox: Inbox<S::From>,
    ear: Ear<S>,
    actor: ActorRef<Msg<S::To>>,
    killer: Arc<Killer>,
}

impl<S: Speech> Watch<S> {
    async fn run(mut self) {
        let mut said_stopped = false;
        let trouble = loop {
            tokio::select! {
                biased;
                message = self.inbox.next() => match message {
                    Ok(Some(message)) => said_stopped |= self.hear(message),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                },
                () = self.killer.wanted.notified() => {
                    let _ = self.process.start_kill();
                }
            }
        };
        let status = self.reap(trouble.as_ref()).await;
        let reason = self.killer.reason().or_else(|| trouble.map(|error| error.to_string()));
        let _ = self.actor.cast(Msg::Ended(Died { pid: self.pid, status, said_stopped, reason }));
    }

    /// A process whose socket closed is exiting; one that speaks nonsense, or takes too long to exit, is killed.
    async fn reap(&mut self, trouble: Option<&IpcError>) -> Option<ExitStatus> {
        if trouble.is_none()
            && let Ok(status) = tokio::time::timeout(EXIT_PATIENCE, self.process.wait()).await
        {
            return status.ok();
        }
        let killed: io::Result<()> = self.process.start_kill();
        match killed {
            Ok(()) => self.process.wait().await.ok(),
            Err(_) => None,
        }
    }

    /// Whether it was the last word.
    fn hear(&self, message: S::From) -> bool {
        match S::hear(&self.ear, message) {
            Heard::Told => {}
            Heard::Running => _ = self.actor.cast(Msg::Running),
            Heard::Answered(number) => _ = self.actor.cast(Msg::Answered(number)),
            Heard::ShowedLife => _ = self.actor.cast(Msg::ShowedLife),
            Heard::LastWord => return true,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_told_as_people_grep_for_them() {
        let died = |raw: i32, reason: Option<&str>| {
            Died { pid: 7909, status: Some(ExitStatus::from_raw(raw)), said_stopped: false, reason: reason.map(str::to_owned) }.to_string()
        };
        assert_eq!(died(9, None), "pid 7909 exited due to signal 9 (Killed)");
        assert_eq!(died(1 << 8, None), "pid 7909 exited with status 1");
        assert_eq!(
            died(9, Some("it did not answer for 1200 ms")),
            "pid 7909 exited due to signal 9 (Killed) - it did not answer for 1200 ms"
        );
    }
}
