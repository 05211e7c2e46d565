//! Runs every check when it is due and says what changed.

use super::root::RootMsg;
use crate::check::http::{Progress, Round};
use crate::check::schedule::{Change, Schedule};
use crate::check::{Checker, Failure, Kind, misc, words};
use crate::ipc::messages::CheckerId;
use crate::probe::{self, Trust};
use crate::sys::clock;
use crate::types::{Instant, ScriptOutcome};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One checker to run.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Which.
    pub(super) id: Arc<CheckerId>,
    /// The real server's name in the log.
    pub(super) server: Arc<str>,
    /// What to do.
    pub(super) checker: Arc<Checker>,
    /// `ha_suspend`: it runs only while one of these is an address of this host; none is always.
    pub(super) only_with: Arc<[IpAddr]>,
    /// What a predecessor said of it.
    pub(super) resume: Option<bool>,
}

/// To the prober.
#[derive(Debug)]
pub(super) enum Msg {
    /// From now on run these, and no others. What is the same goes on in its rhythm.
    Replace(Vec<Watch>),
    /// Certificates are held against this from now on.
    Trust(Option<Arc<Trust>>),
    /// Some deadline has come.
    Tick,
    /// A check ended.
    Ended { job: u64, result: Result<(), Failure> },
    /// The script of a check ended.
    ScriptEnded { checker: CheckerId, outcome: ScriptOutcome },
}

pub(super) struct Prober;

/// What the prober starts with.
pub(super) struct Arguments {
    pub(super) root: ActorRef<RootMsg>,
    pub(super) trust: Option<Arc<Trust>>,
}

pub(super) struct State {
    root: ActorRef<RootMsg>,
    trust: Option<Arc<Trust>>,
    jobs: HashMap<u64, Job>,
    /// Jobs whose check is a script, by name.
    scripts: HashMap<CheckerId, u64>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    armed: Option<Instant>,
    here: Here,
    numbers: u64,
    random: RandomState,
}

struct Job {
    watch: Watch,
    schedule: Schedule,
    round: Round,
}

impl Actor for Prober {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, _: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        Ok(State {
            root: arguments.root,
            trust: arguments.trust,
            jobs: HashMap::new(),
            scripts: HashMap::new(),
            deadlines: BinaryHeap::new(),
            armed: None,
            here: Here::default(),
            numbers: 0,
            random: RandomState::new(),
        })
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Replace(watches) => state.replace(watches),
            Msg::Trust(trust) => state.trust = trust,
            Msg::Tick => {
                state.armed = None;
                state.begin_due(&myself);
            }
            Msg::Ended { job, result } => state.ended(job, result),
            Msg::ScriptEnded { checker, outcome } => state.script_ended(&checker, &outcome),
        }
        state.arm(&myself);
        Ok(())
    }
}

impl State {
    fn replace(&mut self, watches: Vec<Watch>) {
        let now = clock::now();
        // The same checker of the same server, wherever it stands in its block now.
        type Key = (String, (std::net::IpAddr, u16), Kind, crate::check::Target);
        let key = |watch: &Watch| -> Key {
            (watch.id.service.clone(), watch.id.server, watch.checker.kind.clone(), watch.checker.target.clone())
        };
        let mut old: HashMap<Key, Vec<(u64, Job)>> = HashMap::new();
        for (number, job) in std::mem::take(&mut self.jobs) {
            old.entry(key(&job.watch)).or_default().push((number, job));
        }
        self.scripts.clear();
        for watch in watches {
            match old.get_mut(&key(&watch)).and_then(Vec::pop) {
                Some((number, mut job)) => {
                    if job.watch.checker.timing != watch.checker.timing {
                        job.schedule.retimed(now, &watch.checker.timing);
                    }
                    job.watch = watch;
                    self.keep(number, job);
                }
                None => {
                    self.numbers += 1;
                    let number = self.numbers;
                    let position = f64::from(u32::try_from(self.random.hash_one(number) >> 32).unwrap_or(0)) / 4_294_967_296.0;
                    let mut schedule = Schedule::start(now, &watch.checker.timing, watch.checker.alpha, position);
                    if let Some(up) = watch.resume {
                        schedule.resume(up);
                    }
                    tracing::debug!("Activating healthchecker for service {} for VS {}", watch.server, watch.id.service);
                    self.keep(number, Job { watch, schedule, round: Round::default() });
                }
            }
        }
    }

    fn keep(&mut self, number: u64, job: Job) {
        if let Some(due) = job.schedule.deadline() {
            self.deadlines.push(Reverse((due, number)));
        }
        if let Kind::Misc(_) = job.watch.checker.kind {
            self.scripts.insert(CheckerId::clone(&job.watch.id), number);
        }
        self.jobs.insert(number, job);
    }

    fn begin_due(&mut self, myself: &ActorRef<Msg>) {
        let now = clock::now();
        while let Some(Reverse((due, number))) = self.deadlines.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.deadlines.pop();
            // An entry that does not fit its schedule is an old one.
            let Some(job) = self.jobs.get_mut(&number).filter(|job| job.schedule.deadline() == Some(due)) else { continue };
            if !self.here.has_one(now, &job.watch.only_with) {
                // It is looked again soon, so that a new master checks at once.
                job.schedule.goes_on(now, job.watch.checker.timing.delay_loop.min(LOOK_AGAIN));
                self.deadlines.extend(job.schedule.deadline().map(|due| Reverse((due, number))));
                continue;
            }
            job.schedule.begun();
            if let Kind::Misc(_) = job.watch.checker.kind {
                let _ = self.root.cast(RootMsg::RunScript(job.watch.id.clone()));
                continue;
            }
            let (checker, url, trust, actor) = (job.watch.checker.clone(), job.round.url(), self.trust.clone(), myself.clone());
            tokio::spawn(async move {
                let result = probe::probe(&checker, url, trust.as_ref()).await;
                let _ = actor.cast(Msg::Ended { job: number, result });
            });
        }
    }

    fn ended(&mut self, number: u64, result: Result<(), Failure>) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.schedule.deadline().is_some() {
            return;
        }
        let now = clock::now();
        if let Some(up) = job.ended(now, &result) {
            let _ = self.root.cast(RootMsg::Checked { id: job.watch.id.clone(), up, failure: result.err() });
        }
        if let Some(due) = job.schedule.deadline() {
            self.deadlines.push(Reverse((due, number)));
        }
    }

    fn script_ended(&mut self, checker: &CheckerId, outcome: &ScriptOutcome) {
        let Some(number) = self.scripts.get(checker).copied() else { return };
        let Some(Kind::Misc(settings)) = self.jobs.get(&number).map(|job| &job.watch.checker.kind) else { return };
        if *outcome == ScriptOutcome::StillRunning {
            // Its end is still to come, and is what counts.
            return;
        }
        let (dynamic, result) = (settings.dynamic, misc::judge(outcome, settings.dynamic));
        if let (true, Ok(weight)) = (dynamic, &result)
            && let Some(job) = self.jobs.get(&number)
        {
            let _ = self.root.cast(RootMsg::Weighed { id: job.watch.id.clone(), weight: *weight });
        }
        self.ended(number, result.map(|_| ()));
    }

    /// One timer for the earliest deadline.
    fn arm(&mut self, myself: &ActorRef<Msg>) {
        let Some(Reverse((due, _))) = self.deadlines.peek().copied() else { return };
        if self.armed.is_none_or(|armed| due < armed) {
            self.armed = Some(due);
            let wait = due.since(clock::now());
            if wait.is_zero() {
                let _ = myself.cast(Msg::Tick);
            } else {
                myself.send_after(wait, || Msg::Tick);
            }
        }
    }
}

/// How old a look at this host's addresses may be.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The addresses of this host, as they were a moment ago.
#[derive(Debug, Default)]
struct Here {
    addresses: HashSet<IpAddr>,
    looked: Option<Instant>,
}

impl Here {
    /// Whether one of these is here; of none it always is.
    fn has_one(&mut self, now: Instant, wanted: &[IpAddr]) -> bool {
        if wanted.is_empty() {
            return true;
        }
        if self.looked.is_none_or(|looked| now.since(looked) >= LOOK_AGAIN / 2) {
            self.looked = Some(now);
            match addresses() {
                Ok(addresses) => self.addresses = addresses,
                // Who cannot look checks: a needless check does no harm.
                Err(error) => {
                    tracing::debug!("cannot read the addresses of this host: {error}");
                    self.addresses = wanted.iter().copied().collect();
                }
            }
        }
        wanted.iter().any(|address| self.addresses.contains(address))
    }
}

fn addresses() -> nix::Result<HashSet<IpAddr>> {
    let found = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(found.collect())
}

impl Job {
    /// Logs, and answers whether it is up when that changed.
    fn ended(&mut self, now: Instant, result: &Result<(), Failure>) -> Option<bool> {
        let Watch { checker, server, .. } = &self.watch;
        let url = self.round.url();
        if let Kind::Http(settings) = &checker.kind {
            if result.is_ok() && !self.schedule.is_up() {
                words::success(checker, server, url).iter().for_each(|line| tracing::info!("{line}"));
            }
            if self.round.ended(settings.urls.len(), result.is_ok()) == Progress::Next {
                let hurry = settings.fast_recovery && (!self.schedule.has_run() || !self.schedule.is_up());
                self.schedule.goes_on(now, if hurry { Duration::ZERO } else { checker.timing.delay_loop });
                return None;
            }
        }
        let change = self.schedule.ended(now, &checker.timing, result.is_ok());
        self.say(change, url, result);
        match change {
            Change::CameUp => Some(true),
            Change::WentDown { .. } => Some(false),
            Change::None | Change::FirstSuccess | Change::Forgiven => None,
        }
    }

    fn say(&self, change: Change, url: usize, result: &Result<(), Failure>) {
        let Watch { checker, server, .. } = &self.watch;
        if let Err(failure) = result {
            let reason = words::reason(checker, server, url, failure);
            match change {
                Change::WentDown { .. } => tracing::info!("{reason}"),
                _ if checker.log_all_failures => tracing::info!("{reason}"),
                _ => {}
            }
        }
        match change {
            Change::FirstSuccess | Change::CameUp => {
                let line = match checker.kind {
                    Kind::Http(_) => Some(words::pages_succeeded(server)),
                    _ => words::success(checker, server, url),
                };
                line.iter().for_each(|line| tracing::info!("{line}"));
            }
            Change::WentDown { retries } => tracing::info!("{}", words::failure(checker, server, retries)),
            Change::None | Change::Forgiven => {}
        }
    }
}
