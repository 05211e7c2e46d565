//! Runs every check when it is due and says what changed.

use super::root::RootMsg;
use crate::check::http::{Progress, Round};
use crate::check::regex::{Expression, Regex};
use crate::check::schedule::{Change, Schedule};
use crate::check::words::About;
use crate::check::{Checker, Failure, Kind, misc, tls};
use crate::ipc::messages::CheckerId;
use crate::probe::{Outcome, Probe, Trust};
use crate::sys::clock;
use crate::types::{Instant, ScriptOutcome};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::cell::RefCell;
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
    /// Certificates are held against this from now on, and told of so many days before their end.
    Trust(Option<Arc<Trust>>, u32),
    /// Some deadline has come.
    Tick,
    /// A check ended, of one job or of all that wait for the same.
    Ended { job: u64, shared: Option<Shared>, outcome: Outcome },
    /// The script of a check ended.
    ScriptEnded { checker: CheckerId, outcome: ScriptOutcome },
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
    jobs: HashMap<u64, Job>,
    /// Who waits for a check that is under way, for those that are shared.
    waiting: HashMap<Shared, Vec<u64>>,
    expressions: Expressions,
    lateness: Lateness,
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
    probe: Arc<Probe>,
    /// Its number among checks that are the same for several servers.
    group: Option<u64>,
    /// When the certificate that it saw last ends, in seconds since 1970.
    certificate_ends: Option<i64>,
    /// Its end was told of.
    warned: bool,
}

/// One check that several jobs wait for: their group, and the place of the URL.
type Shared = (u64, usize);

impl Actor for Prober {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, _: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        Ok(State {
            root: arguments.root,
            trust: arguments.trust,
            warn_days: arguments.warn_days,
            jobs: HashMap::new(),
            waiting: HashMap::new(),
            expressions: Expressions::default(),
            lateness: Lateness::default(),
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
            Msg::Trust(trust, warn_days) => {
                state.trust = trust;
                state.warn_days = warn_days;
            }
            Msg::Tick => {
                state.armed = None;
                state.begin_due(&myself);
            }
            Msg::Ended { job, shared, outcome } => state.all_ended(job, shared, &outcome),
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
        let mut groups = Groups::new(&watches, &mut self.numbers);
        let mut fresh = Vec::new();
        for watch in watches {
            let group = groups.of(&watch.checker);
            match old.get_mut(&key(&watch)).and_then(Vec::pop) {
                Some((number, mut job)) => {
                    if job.watch.checker.timing != watch.checker.timing {
                        job.schedule.retimed(now, &watch.checker.timing);
                    }
                    groups.leads(group, &job.schedule);
                    job.watch = watch;
                    job.group = group;
                    self.keep(number, job);
                }
                None => fresh.push((watch, group)),
            }
        }
        for (watch, group) in fresh {
            let job = self.begin(now, watch, group, &mut groups);
            self.numbers += 1;
            self.keep(self.numbers, job);
        }
        self.expressions.forget_unused();
    }

    /// A job that is new.
    fn begin(&self, now: Instant, watch: Watch, group: Option<u64>, groups: &mut Groups) -> Job {
        let position = share(self.random.hash_one((self.numbers, group)));
        let mut schedule = Schedule::start(now, &watch.checker.timing, watch.checker.alpha, position);
        if let Some(up) = watch.resume {
            schedule.resume(up);
        }
        if let Some(other) = groups.leads(group, &schedule) {
            schedule.together(other);
        }
        tracing::debug!("Activating healthchecker for service {} for VS {}", watch.server, watch.id.service);
        let probe = Arc::new(Probe::new(watch.checker.clone(), |regex| self.expressions.compiled(regex)));
        Job { watch, schedule, round: Round::default(), probe, group, certificate_ends: None, warned: false }
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
            self.lateness.note(now, due);
            let url = job.round.url();
            let shared = job.group.map(|group| (group, url));
            if let Some(shared) = shared {
                let waiting = self.waiting.entry(shared).or_default();
                waiting.push(number);
                if waiting.len() > 1 {
                    // The same check is under way for another server: its result is ours too.
                    continue;
                }
            }
            let (probe, trust, actor) = (job.probe.clone(), self.trust.clone(), myself.clone());
            tokio::spawn(async move {
                let outcome = probe.make(url, trust.as_ref()).await;
                let _ = actor.cast(Msg::Ended { job: number, shared, outcome });
            });
        }
    }

    fn all_ended(&mut self, number: u64, shared: Option<Shared>, outcome: &Outcome) {
        let now = clock::now();
        match shared.and_then(|shared| self.waiting.remove(&shared)) {
            None => self.ended(now, number, outcome),
            Some(all) => all.into_iter().for_each(|number| self.ended(now, number, outcome)),
        }
    }

    fn ended(&mut self, now: Instant, number: u64, outcome: &Outcome) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.schedule.deadline().is_some() {
            return;
        }
        if let Some(up) = job.ended(now, &outcome.result) {
            let _ = self.root.cast(RootMsg::Checked { id: job.watch.id.clone(), up });
        }
        // Those that share a check share their rhythm too.
        let jitter = share(self.random.hash_one((job.group.unwrap_or(number), job.schedule.deadline())));
        job.schedule.sooner(&job.watch.checker.timing, jitter);
        if outcome.certificate_ends.is_some() && outcome.certificate_ends != job.certificate_ends {
            job.certificate_ends = outcome.certificate_ends;
            job.warned = false;
            let _ = self.root.cast(RootMsg::Certificate { id: job.watch.id.clone(), ends: outcome.certificate_ends });
        }
        job.tell_of_certificate(self.warn_days);
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
        self.ended(clock::now(), number, &Outcome { result: result.map(|_| ()), certificate_ends: None });
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

/// Which checks are the same for several servers, and when they run.
#[derive(Default)]
struct Groups {
    numbers: HashMap<(Kind, crate::check::Target, crate::check::Timing), u64>,
    due: HashMap<u64, Instant>,
}

impl Groups {
    /// The numbers of groups come from `numbers`, so that none is ever used again.
    fn new(watches: &[Watch], numbers: &mut u64) -> Self {
        let mut members: HashMap<_, u32> = HashMap::new();
        for watch in watches.iter().filter(|watch| !matches!(watch.checker.kind, Kind::Misc(_))) {
            *members.entry((&watch.checker.kind, &watch.checker.target, &watch.checker.timing)).or_default() += 1;
        }
        let shared = members.into_iter().filter(|(_, count)| *count > 1).map(|((kind, target, timing), _)| {
            *numbers += 1;
            ((kind.clone(), target.clone(), timing.clone()), *numbers)
        });
        Self { numbers: shared.collect(), due: HashMap::new() }
    }

    fn of(&self, checker: &Checker) -> Option<u64> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(&(checker.kind.clone(), checker.target.clone(), checker.timing.clone())).copied()
    }

    /// When the first of the group that came here is due: the others run with it.
    fn leads(&mut self, group: Option<u64>, schedule: &Schedule) -> Option<Instant> {
        let due = schedule.deadline()?;
        Some(*self.due.entry(group?).or_insert(due))
    }
}

/// Compiled expressions, equal ones once.
#[derive(Default)]
struct Expressions(RefCell<HashMap<Regex, Arc<Expression>>>);

impl Expressions {
    fn compiled(&self, regex: &Regex) -> Option<Arc<Expression>> {
        let mut known = self.0.borrow_mut();
        if let Some(expression) = known.get(regex) {
            return Some(expression.clone());
        }
        let expression = Arc::new(regex.compile().ok()?);
        known.insert(regex.clone(), expression.clone());
        Some(expression)
    }

    fn forget_unused(&mut self) {
        self.0.get_mut().retain(|_, expression| Arc::strong_count(expression) > 1);
    }
}

/// How late checks begin because this process gets too little time.
#[derive(Default)]
struct Lateness {
    told: Option<Instant>,
}

impl Lateness {
    fn note(&mut self, now: Instant, due: Instant) {
        let late = now.since(due);
        if late >= LATE && self.told.is_none_or(|told| now.since(told) >= TELL_AGAIN) {
            self.told = Some(now);
            tracing::warn!("Checks begin {} ms late: this machine, or this process, is overloaded", late.as_millis());
        }
    }
}

/// From here on lateness is worth a line,
const LATE: Duration = Duration::from_secs(1);
/// at most so often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

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

/// A number in 0.0..1.0 out of a hash.
fn share(hash: u64) -> f64 {
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / 4_294_967_296.0
}

impl Job {
    fn about(&self) -> About<'_> {
        About { checker: &self.watch.checker, server: &self.watch.server, of: &self.watch.id.service }
    }

    /// Logs, and answers whether it is up when that changed.
    fn ended(&mut self, now: Instant, result: &Result<(), Failure>) -> Option<bool> {
        let url = self.round.url();
        if let Kind::Http(settings) = &self.watch.checker.kind {
            if result.is_ok() && !self.schedule.is_up() {
                self.about().success(url).iter().for_each(|line| tracing::info!("{line}"));
            }
            if self.round.ended(settings.urls.len(), result.is_ok()) == Progress::Next {
                let hurry = settings.fast_recovery && (!self.schedule.has_run() || !self.schedule.is_up());
                self.schedule.goes_on(now, if hurry { Duration::ZERO } else { self.watch.checker.timing.delay_loop });
                return None;
            }
        }
        let first = !self.schedule.has_run();
        let change = self.schedule.ended(now, &self.watch.checker.timing, result.is_ok());
        match result {
            Ok(()) => self.say_success(change, url),
            Err(failure) => self.say_failure(change, url, failure, first),
        }
        match change {
            Change::CameUp => Some(true),
            Change::WentDown { .. } => Some(false),
            Change::None | Change::FirstSuccess | Change::Forgiven => None,
        }
    }

    fn say_success(&self, change: Change, url: usize) {
        if !matches!(change, Change::FirstSuccess | Change::CameUp) {
            return;
        }
        let line = match self.watch.checker.kind {
            Kind::Http(_) => Some(self.about().pages_succeeded()),
            _ => self.about().success(url),
        };
        line.iter().for_each(|line| tracing::info!("{line}"));
    }

    fn say_failure(&self, change: Change, url: usize, failure: &Failure, first: bool) {
        if let Change::WentDown { retries } = change {
            let (reason, verdict) = self.about().failure(url, failure, retries, first);
            reason.iter().for_each(|reason| tracing::info!("{reason}"));
            tracing::info!("{verdict}");
        } else if change == Change::Forgiven && self.watch.checker.log_all_failures {
            tracing::info!("{}", self.about().reason(url, failure));
        }
    }

    /// Once for each certificate.
    fn tell_of_certificate(&mut self, warn_days: u32) {
        let Some(ends) = self.certificate_ends.filter(|_| !self.warned) else { return };
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let left = tls::days_left(clock::epoch_seconds() as i64, ends);
        if left < i64::from(warn_days) {
            self.warned = true;
            match left {
                ..0 => tracing::warn!("The certificate of {} has ended", self.watch.server),
                left => tracing::warn!("The certificate of {} ends in {left} days", self.watch.server),
            }
        }
    }
}
