//! Runs every check when it is due and says what changed.

mod host;
mod job;
mod shared;

use super::root::RootMsg;
use crate::check::http::Round;
use crate::check::schedule::Schedule;
use crate::check::{Checker, Kind, misc};
use crate::ipc::messages::CheckerId;
use crate::lvs::name::{self, ServiceName};
use crate::lvs::settings::Protocol;
use crate::probe::{Crowd, Outcome, Probe, Trust};
use crate::sys::clock;
use crate::types::{Instant, ScriptOutcome};
use host::{Here, LOOK_AGAIN, Lateness};
use job::Job;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use shared::{Expressions, Groups, Known};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// How soon a script is asked for again that still runs from before.
const STILL_RUNNING: Duration = Duration::from_millis(100);

/// One checker to run.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Which.
    pub(super) id: Arc<CheckerId>,
    /// What stands for the protocol in the real server's name.
    pub(super) protocol: Option<Protocol>,
    /// What to do.
    pub(super) checker: Arc<Checker>,
    /// `ha_suspend`: it runs only while one of these is an address of this host; none is always.
    pub(super) only_with: Arc<[IpAddr]>,
    /// What a predecessor said of it.
    pub(super) resume: Option<bool>,
}

impl Watch {
    /// The real server's name in the log.
    pub(super) fn server(&self) -> String {
        name::of_real(self.id.server, self.protocol)
    }
}

/// To the prober.
#[derive(Debug)]
pub(super) enum Msg {
    /// From now on run these for those, and for no others of those. What is the same goes on in its rhythm.
    Watch(Concerned, Vec<Watch>),
    /// Certificates are held against this from now on, and told of so many days before their end.
    Trust(Option<Arc<Trust>>, u32),
    /// How do the checkers stand? The root is told.
    Tell,
    /// Some deadline has come.
    Tick,
    /// Checks ended; without any, nobody carries those under way any more.
    Ended(Vec<(Ticket, Outcome)>),
    /// The script of a check ended.
    ScriptEnded { checker: CheckerId, outcome: ScriptOutcome },
}

/// Whose checkers are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Concerned {
    /// Everybody's.
    All,
    /// Those of some real servers, by their virtual servers.
    Some(HashMap<ServiceName, HashSet<(IpAddr, u16)>>),
}

impl Concerned {
    fn includes(&self, id: &CheckerId) -> bool {
        match self {
            Self::All => true,
            Self::Some(services) => services.get(&id.service).is_some_and(|servers| servers.contains(&id.server)),
        }
    }
}

/// How a checker stands, for readers.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Standing {
    pub(super) has_run: bool,
    /// Failures in a row that were forgiven.
    pub(super) retries: u32,
    /// The page that fails, by its place in the block.
    pub(super) failed_page: Option<usize>,
    /// When a script ended last, in seconds since 1970, and how: its exit status, or `due to signal 9` and the like.
    pub(super) last: Option<(f64, String)>,
    /// When the certificate that was seen last ends, in seconds since 1970.
    pub(super) certificate_ends: Option<i64>,
}

pub(super) struct Prober;

/// What the prober starts with.
pub(super) struct Arguments {
    pub(super) root: ActorRef<RootMsg>,
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) warn_days: u32,
}

pub(super) struct State {
    root: ActorRef<RootMsg>,
    trust: Option<Arc<Trust>>,
    warn_days: u32,
    jobs: HashMap<u64, Box<Job>>,
    /// Those under way over plain TCP.
    crowd: Crowd<Ticket>,
    /// Who waits for a check that is under way, for those that are shared.
    waiting: HashMap<Shared, Vec<u64>>,
    groups: Groups,
    expressions: Expressions,
    lateness: Lateness,
    /// Jobs whose check is a script, by name.
    scripts: HashMap<CheckerId, u64>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    armed: Option<Instant>,
    timer: Option<AbortHandle>,
    here: Here,
    numbers: u64,
    random: RandomState,
}

/// One check that several jobs wait for: their group, and the place of the URL.
type Shared = (u64, usize);

/// Whose check it is: a job's, or that of all who wait for the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    job: u64,
    shared: Option<Shared>,
}

/// Checks begun at one turn: those that are under way must get on too, above all when many are due at once.
const TURN: usize = 64;

impl Actor for Prober {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        Ok(State {
            crowd: Crowd::start(move |ended| drop(myself.cast(Msg::Ended(ended))))?,
            root: arguments.root,
            trust: arguments.trust,
            warn_days: arguments.warn_days,
            jobs: HashMap::new(),
            waiting: HashMap::new(),
            groups: Groups::default(),
            expressions: Expressions::default(),
            lateness: Lateness::default(),
            scripts: HashMap::new(),
            deadlines: BinaryHeap::new(),
            armed: None,
            timer: None,
            here: Here::default(),
            numbers: 0,
            random: RandomState::new(),
        })
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Watch(concerned, watches) => state.watch(&concerned, watches),
            Msg::Trust(trust, warn_days) => {
                state.trust = trust;
                state.warn_days = warn_days;
            }
            Msg::Tell => {
                let standings = state.jobs.values().map(|job| (job.watch.id.clone(), job.standing())).collect();
                let _ = state.root.cast(RootMsg::Stand(standings));
            }
            Msg::Tick => {
                state.disarm();
                state.begin_due(&myself);
            }
            Msg::Ended(ended) if ended.is_empty() => return Err("the checks under way are lost".into()),
            Msg::Ended(ended) => ended.iter().for_each(|(ticket, outcome)| state.all_ended(*ticket, outcome)),
            Msg::ScriptEnded { checker, outcome } => state.script_ended(&checker, &outcome),
        }
        state.arm(&myself);
        Ok(())
    }
}

impl State {
    fn watch(&mut self, concerned: &Concerned, watches: Vec<Watch>) {
        let now = clock::now();
        let mut old: HashMap<Known, Vec<(u64, Box<Job>)>> = HashMap::new();
        for (number, job) in self.take(concerned) {
            old.entry(Known::of(&job.watch)).or_default().push((number, job));
        }
        let mut fresh = Vec::new();
        for watch in watches {
            match old.get_mut(&Known::of(&watch)).and_then(Vec::pop) {
                Some((number, mut job)) => {
                    if job.watch.checker.timing != watch.checker.timing {
                        job.schedule.retimed(now, &watch.checker.timing);
                    }
                    job.watch = watch;
                    self.join(number, &mut job);
                    self.keep(number, job);
                }
                None => fresh.push(watch),
            }
        }
        for watch in fresh {
            self.numbers += 1;
            let number = self.numbers;
            let mut job = self.begin(now, number, watch);
            if let Some(due) = self.join(number, &mut job) {
                job.schedule.together(due);
            }
            self.keep(number, job);
        }
        self.expressions.forget_unused();
    }

    /// Takes out the jobs of those.
    fn take(&mut self, concerned: &Concerned) -> Vec<(u64, Box<Job>)> {
        let taken: Vec<(u64, Box<Job>)> = self.jobs.extract_if(|_, job| concerned.includes(&job.watch.id)).collect();
        for (number, job) in &taken {
            self.groups.leave(*number, &job.watch.checker);
            self.scripts.remove(&job.watch.id);
        }
        taken
    }

    /// The job is with those that make the same check; when these make it next.
    fn join(&mut self, number: u64, job: &mut Job) -> Option<Instant> {
        let company = match job.watch.checker.kind {
            Kind::Misc(_) => None,
            _ => self.groups.join(number, &job.watch.checker, &mut self.numbers),
        };
        job.group = company.map(|company| company.group);
        let other = self.jobs.get_mut(&company?.other)?;
        other.group = job.group;
        other.schedule.deadline()
    }

    /// A job that is new.
    fn begin(&self, now: Instant, number: u64, watch: Watch) -> Box<Job> {
        let checker = &watch.checker;
        let position = share(self.random.hash_one(number));
        let mut schedule = Schedule::start(now, &checker.timing, checker.kind.manner(), checker.alpha, position);
        if let Some(up) = watch.resume {
            schedule.resume(up);
        }
        tracing::debug!("Activating healthchecker for service {} for VS {}", watch.server(), watch.id.service);
        let probe = Arc::new(Probe::new(watch.checker.clone(), |regex| self.expressions.compiled(regex)));
        Box::new(Job { watch, schedule, round: Round::default(), probe, group: None, suspended: false, rare: None })
    }

    fn keep(&mut self, number: u64, job: Box<Job>) {
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
        for _ in 0..TURN {
            let Some(Reverse((due, number))) = self.deadlines.peek().copied().filter(|Reverse((due, _))| *due <= now) else { return };
            self.deadlines.pop();
            // An entry that does not fit its schedule is an old one.
            let Some(job) = self.jobs.get_mut(&number).filter(|job| job.schedule.deadline() == Some(due)) else { continue };
            let suspended = !self.here.has_one(now, &job.watch.only_with);
            if job.suspended != suspended {
                job.suspended = suspended;
                let verb = if suspended { "Suspending" } else { "Activating" };
                tracing::debug!("{verb} healthchecker for service {} for VS {}", job.watch.server(), job.watch.id.service);
            }
            if suspended {
                // It is looked again soon, so that a new master checks at once.
                job.schedule.goes_on(now, job.watch.checker.timing.delay_loop.min(LOOK_AGAIN));
                self.deadlines.extend(job.schedule.deadline().map(|due| Reverse((due, number))));
                continue;
            }
            job.schedule.begun();
            job.schedule.late(now, &job.watch.checker.timing);
            if let Kind::Misc(_) = job.watch.checker.kind {
                let _ = self.root.cast(RootMsg::RunScript(job.watch.id.clone()));
                continue;
            }
            self.lateness.note(now, due);
            self.begin_check(myself, number);
        }
    }

    /// Makes the check, unless the same is under way for another server: its result is ours too.
    fn begin_check(&mut self, myself: &ActorRef<Msg>, number: u64) {
        let Some(job) = self.jobs.get(&number) else { return };
        let url = job.round.url();
        let ticket = Ticket { job: number, shared: job.group.map(|group| (group, url)) };
        if let Some(shared) = ticket.shared {
            let waiting = self.waiting.entry(shared).or_default();
            waiting.push(number);
            if waiting.len() > 1 {
                return;
            }
        }
        if job.probe.is_plain() {
            if let Err(outcome) = self.crowd.begin(ticket, &job.probe, url) {
                self.all_ended(ticket, &outcome);
            }
            return;
        }
        let (probe, trust, actor) = (job.probe.clone(), self.trust.clone(), myself.clone());
        tokio::spawn(async move {
            let outcome = probe.make(url, trust.as_ref()).await;
            let _ = actor.cast(Msg::Ended(vec![(ticket, outcome)]));
        });
    }

    fn all_ended(&mut self, ticket: Ticket, outcome: &Outcome) {
        let now = clock::now();
        match ticket.shared.and_then(|shared| self.waiting.remove(&shared)) {
            None => self.ended(now, ticket.job, outcome),
            Some(all) => all.into_iter().for_each(|number| self.ended(now, number, outcome)),
        }
    }

    fn ended(&mut self, now: Instant, number: u64, outcome: &Outcome) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.schedule.deadline().is_some() {
            return;
        }
        if let Some(up) = job.ended(now, outcome) {
            let _ = self.root.cast(RootMsg::Checked { id: job.watch.id.clone(), up, failure: outcome.result.clone().err() });
        }
        // Those that share a check share their rhythm too.
        let jitter = share(self.random.hash_one((job.group.unwrap_or(number), job.schedule.deadline())));
        job.schedule.sooner(&job.watch.checker.timing, jitter);
        job.saw_certificate(outcome.certificate_ends, self.warn_days);
        if let Some(due) = job.schedule.deadline() {
            self.deadlines.push(Reverse((due, number)));
        }
    }

    fn script_ended(&mut self, checker: &CheckerId, outcome: &ScriptOutcome) {
        let Some(number) = self.scripts.get(checker).copied() else { return };
        let Some(Kind::Misc(settings)) = self.jobs.get(&number).map(|job| &job.watch.checker.kind) else { return };
        if *outcome == ScriptOutcome::StillRunning {
            // The run before this one is over time and being ended, or its end is still to come and is what counts.
            let job = self.jobs.get_mut(&number).filter(|job| job.schedule.deadline().is_none());
            if let Some(job) = job {
                let soon = clock::now() + STILL_RUNNING;
                job.schedule.again(soon);
                self.deadlines.push(Reverse((soon, number)));
            }
            return;
        }
        let (dynamic, result) = (settings.dynamic, misc::judge(outcome, settings.dynamic));
        if let Some(job) = self.jobs.get_mut(&number) {
            let status = match outcome {
                ScriptOutcome::Exited(status) => status.to_string(),
                other => other.to_string(),
            };
            job.rare().last = Some((clock::epoch_seconds(), status));
        }
        if let (true, Ok(weight)) = (dynamic, &result)
            && let Some(job) = self.jobs.get(&number)
        {
            let _ = self.root.cast(RootMsg::Weighed { id: job.watch.id.clone(), weight: *weight });
        }
        self.ended(clock::now(), number, &Outcome::new(result.map(|_| ())));
    }

    /// Whatever timer is left: each would beget another for ever.
    fn disarm(&mut self) {
        self.armed = None;
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }

    /// One timer for the earliest deadline.
    fn arm(&mut self, myself: &ActorRef<Msg>) {
        let Some(Reverse((due, _))) = self.deadlines.peek().copied() else { return };
        if self.armed.is_none_or(|armed| due < armed) {
            self.disarm();
            self.armed = Some(due);
            let wait = due.since(clock::now());
            if wait.is_zero() {
                let _ = myself.cast(Msg::Tick);
            } else {
                self.timer = Some(myself.send_after(wait, || Msg::Tick).abort_handle());
            }
        }
    }
}

/// A number in 0.0..1.0 out of a hash.
fn share(hash: u64) -> f64 {
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / 4_294_967_296.0
}
