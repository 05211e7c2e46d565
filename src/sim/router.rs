//! One router: the real machine, a clock of its own, and a process that can sleep, die and come back.

use crate::sim::network::Packet;
use crate::types::{Instant, Priority, Version};
use crate::vrrp::event::{Advert, Cause, Event, Fault, Snapshot, State, Transition};
use crate::vrrp::fsm::Instance;
use crate::vrrp::settings::{Preempt, Settings};
use crate::vrrp::stats::Stats;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A clock that is right at the start and runs fast or slow.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Clock {
    /// Parts in a million that it gains; negative: it loses.
    pub ppm: i32,
    /// What it shows at the world's zero.
    pub start: Instant,
}

impl Clock {
    /// What it shows at a time of the world.
    pub fn shows(self, world: Instant) -> Instant {
        self.start + Duration::from_nanos(scale(world.nanos(), 1_000_000 + i64::from(self.ppm), 1_000_000))
    }

    /// The first time of the world at which it shows `local`.
    pub fn when(self, local: Instant) -> Instant {
        let since = u64::try_from(local.since(self.start).as_nanos()).unwrap_or(u64::MAX);
        let mut world = scale(since, 1_000_000, 1_000_000 + i64::from(self.ppm));
        while self.shows(Instant::from_nanos(world)) < local {
            world += 1;
        }
        Instant::from_nanos(world)
    }
}

fn scale(nanos: u64, by: i64, over: i64) -> u64 {
    let scaled = i128::from(nanos) * i128::from(by) / i128::from(over.max(1));
    u64::try_from(scaled).unwrap_or_default()
}

/// When the world has to call it, and for which of its deadlines that was worked out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarm {
    deadline: Instant,
    pub(crate) at: Instant,
}

/// One router.
#[derive(Clone, Debug)]
pub struct Router {
    /// What it was told.
    pub settings: Arc<Settings>,
    /// Its address.
    pub source: IpAddr,
    /// Its clock.
    pub clock: Clock,
    /// The machine; none while its process does not run.
    pub instance: Option<Instance>,
    /// Its counters.
    pub stats: Stats,
    /// Whether the kernel holds the virtual addresses; they outlive the process.
    pub addresses: bool,
    /// Effective priority, as its trackers have it.
    pub priority: Priority,
    /// Faults that its world gave it.
    pub faults: BTreeSet<Fault>,
    /// Asleep until then.
    pub(crate) asleep_until: Option<Instant>,
    /// Datagrams that wait in its socket while it sleeps.
    pub(crate) inbox: Vec<Packet>,
    pub(crate) alarm: Option<Alarm>,
    wait: Wait,
}

/// What this router may believe of its master, reckoned apart from the machine.
#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Instant,
    resigned: bool,
    interval: Duration,
}

impl Router {
    /// A router whose process does not run yet.
    pub fn new(settings: Settings, source: IpAddr, clock: Clock) -> Self {
        let wait = Wait { since: Instant::default(), resigned: false, interval: settings.advert_interval.duration() };
        Self {
            priority: settings.priority,
            settings: Arc::new(settings),
            source,
            clock,
            instance: None,
            stats: Stats::default(),
            addresses: false,
            faults: BTreeSet::new(),
            asleep_until: None,
            inbox: Vec::new(),
            alarm: None,
            wait,
        }
    }

    /// Its state; `Stopped` while its process does not run.
    pub fn state(&self) -> State {
        self.instance.as_ref().map_or(State::Stopped, Instance::state)
    }

    /// A process and the fact that makes it begin.
    pub(crate) fn boot(&mut self, resume: Option<Snapshot>) -> Event {
        self.instance = Some(Instance::new(Arc::clone(&self.settings)));
        self.asleep_until = None;
        self.inbox.clear();
        Event::Started { faults: self.faults.clone(), priority: self.priority, source: Some(self.source), resume, not_before: None }
    }

    /// What a successor would be given.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.instance.as_ref().map(|instance| instance.snapshot(&self.stats, 0.0))
    }

    /// When the world calls it next: its deadline, `late` for what a busy machine adds, and not while it sleeps.
    pub(crate) fn alarm_at(&mut self, late: impl FnOnce() -> Duration) -> Option<Instant> {
        let deadline = self.instance.as_ref()?.deadline()?;
        let alarm = match self.alarm {
            Some(alarm) if alarm.deadline == deadline => alarm,
            Some(_) | None => Alarm { deadline, at: self.clock.when(deadline) + late() },
        };
        self.alarm = Some(alarm);
        Some(self.asleep_until.map_or(alarm.at, |until| until.max(alarm.at)))
    }

    /// Reckons what an advert that passed the checks means for the earliest claim. `local` is this router's time.
    pub(crate) fn reckon(&mut self, local: Instant, advert: &Advert) {
        if self.state() != State::Backup {
            return;
        }
        let owner = self.priority.is_owner();
        let may_stay = advert.priority >= self.priority.get() || (self.settings.preempt == Preempt::Never && !owner);
        if advert.priority == 0 {
            if !self.wait.resigned {
                self.wait = Wait { since: local, resigned: true, ..self.wait };
            }
        } else if may_stay {
            let interval = match self.settings.version {
                Version::V2 => self.settings.advert_interval.duration(),
                Version::V3 => advert.interval.duration(),
            };
            self.wait = Wait { since: local, resigned: false, interval };
        } else if self.settings.version == Version::V3 && !owner && matches!(self.settings.preempt, Preempt::After(_)) {
            // Within its delay it follows a weaker master, whose interval may be shorter; when is the machine's secret.
            self.wait.interval = self.wait.interval.min(advert.interval.duration());
        }
    }

    /// What is wrong with a change of state, if anything: a claim before its time.
    pub(crate) fn judge(&mut self, local: Instant, change: &Transition) -> Option<String> {
        let fresh = Wait { since: local, resigned: false, interval: self.settings.advert_interval.duration() };
        match (change.from, change.to, &change.cause) {
            (_, State::Master, Cause::MasterDown | Cause::MasterResigned | Cause::Group) => {
                let waited = local.since(self.wait.since);
                let needed = self.least_wait();
                let early = (waited < needed).then(|| format!("claimed after {waited:?}, {needed:?} was the least"));
                self.wait = fresh;
                early
            }
            (_, State::Master, Cause::Owner | Cause::Resumed) => None,
            (_, State::Master, cause) => Some(format!("became master because of {cause:?}")),
            (State::Master, State::Backup, _) => {
                self.wait = Wait { interval: self.instance.as_ref().map_or(fresh.interval, |it| it.master_interval().duration()), ..fresh };
                None
            }
            (_, State::Backup, _) => {
                let known = self.instance.as_ref().map_or(fresh.interval, |instance| instance.master_interval().duration());
                self.wait = Wait { interval: known, ..fresh };
                None
            }
            (_, State::Init | State::Fault | State::Stopped, _) => None,
        }
    }

    /// RFC 9568 §6.1 and RFC 3768 §6.1, written down a second time and in another arithmetic.
    fn least_wait(&self) -> Duration {
        let base = match self.settings.version {
            Version::V2 => 1e9,
            Version::V3 => self.wait.interval.as_nanos() as f64,
        };
        let skew = base * (256.0 - f64::from(self.priority.get())) / 256.0;
        let adverts = if self.wait.resigned { 0.0 } else { f64::from(self.settings.down_timer_adverts) };
        Duration::from_nanos((self.wait.interval.as_nanos() as f64 * adverts + skew) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_has_reached_a_local_time_and_not_a_nanosecond_before() {
        for ppm in [-500, 0, 317] {
            let clock = Clock { ppm, start: Instant::from_nanos(5_000) };
            for nanos in [5_000, 5_001, 1_000_000_007, 3_609_375_000] {
                let local = Instant::from_nanos(nanos);
                let world = clock.when(local);
                assert!(clock.shows(world) >= local);
                assert!(world.nanos() == 0 || clock.shows(Instant::from_nanos(world.nanos() - 1)) < local, "{ppm} {nanos}");
            }
        }
    }
}
