//! A seed's routers and troubles, and what must be true after them.

use crate::sim::network::{RouterId, Weather};
use crate::sim::random::Random;
use crate::sim::router::{Clock, Router};
use crate::sim::timeline::Timeline;
use crate::sim::world::{Trouble, Violation, World};
use crate::types::{CentiSecs, Family, Instant, Priority, Version, Vrid};
use crate::vrrp::event::{Fault, State};
use crate::vrrp::settings::{Preempt, Settings, WantedState};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Troubles last so many advert intervals.
const TROUBLED_INTERVALS: u32 = 25;

/// As in every example of keepalived.conf(5).
const VRID: Vrid = match Vrid::new(51) {
    Some(vrid) => vrid,
    None => panic!("51 is a virtual router id"),
};

/// One plain instance: vrid 51, priority 100, one second, one address.
pub fn settings(version: Version, family: Family) -> Settings {
    let (group, address) = match family {
        Family::V4 => (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
        Family::V6 => (IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)), IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1))),
    };
    Settings::plain(VRID, version, group, address)
}

/// The address of a router that drew `number`.
pub fn source(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, u16::from(number))),
    }
}

/// What a seed came to.
#[derive(Debug)]
pub struct Outcome {
    /// The first thing that went wrong.
    pub result: Result<(), Violation>,
    /// What happened, when it was kept.
    pub timeline: Timeline,
    /// Who was told what: for the reader of a failure.
    pub routers: Vec<Router>,
}

/// The routers' settings, a line each, and then the story.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, router) in self.routers.iter().enumerate() {
            let told = &router.settings;
            let (version, interval) = (told.version.number(), told.advert_interval.duration());
            write!(f, "r{id} {} version {version} {:?} priority {} ", router.source, told.wanted, router.priority)?;
            write!(f, "(base {}) {:?} every {interval:?}, down after {} ", told.priority, told.preempt, told.down_timer_adverts)?;
            writeln!(f, "lower_prio_no_advert {} higher_prio_send_advert {}", told.lower_prio_no_advert, told.higher_prio_send_advert)?;
        }
        self.timeline.fmt(f)
    }
}

/// Plays a seed: two to seven routers start, troubles come and go, everything heals, and an election must have one right end.
pub fn play(seed: u64, kept: bool) -> Outcome {
    let mut scenario = Scenario::draw(seed, kept);
    let result = scenario.run();
    Outcome { result, timeline: scenario.world.timeline, routers: scenario.world.routers }
}

/// A drawn world and its measures.
struct Scenario {
    world: World,
    random: Random,
    /// Longest advert interval.
    interval: Duration,
    /// Longest way of a datagram.
    delay: Duration,
    /// By then an election has ended.
    settled: Duration,
}

impl Scenario {
    fn draw(seed: u64, kept: bool) -> Self {
        let mut random = Random::new(seed);
        let (version, family) = *random
            .pick(&[(Version::V2, Family::V4), (Version::V3, Family::V4), (Version::V3, Family::V6)])
            .unwrap_or(&(Version::V2, Family::V4));
        let common = draw_common(&mut random, version, family);
        let count = random.between(2, 7);
        let told: Vec<Settings> = (0..count).map(|_| draw_settings(&mut random, &common)).collect();
        let intervals = || told.iter().map(|settings| settings.advert_interval.duration());
        let interval = intervals().max().unwrap_or_default();
        let shortest = intervals().min().unwrap_or_default();
        let delay = random.span(Duration::ZERO, shortest / 4);
        let lateness = shortest / 100;
        let preempt_delay = told.iter().map(|settings| if let Preempt::After(delay) = settings.preempt { delay } else { Duration::ZERO });
        let adverts = u32::from(common.down_timer_adverts) + 1;
        let settled = (preempt_delay.max().unwrap_or_default() + interval * adverts) * 2 + interval * 4;
        let mut world = World::new(random.clone(), Weather::fair(delay), lateness, kept);
        let mut numbers: Vec<u8> = (1..=250).collect();
        for settings in told {
            let at = usize::try_from(random.below(numbers.len() as u64)).unwrap_or_default();
            let ppm = i32::try_from(random.below(401)).unwrap_or_default() - 200;
            let clock = Clock { ppm, start: Instant::from_nanos(random.below(1 << 50)) };
            world.add(Router::new(settings, source(family, numbers.swap_remove(at)), clock));
        }
        Self { world, random, interval, delay, settled }
    }

    fn run(&mut self) -> Result<(), Violation> {
        for id in 0..self.world.routers.len() {
            let after = self.random.span(Duration::ZERO, self.interval * 4);
            self.world.plan(after, id, Trouble::Boot);
        }
        for _ in 0..self.random.between(0, 10) {
            self.plan_trouble();
        }
        self.world.run(self.interval * TROUBLED_INTERVALS)?;
        self.heal();
        // Until every process is back and awake, nothing is promised; from then on, two masters meet with the next advert.
        self.world.run(self.interval)?;
        self.world.calm_down(self.interval + self.interval / 1000 + (self.delay + self.world.lateness) * 2);
        self.world.run(self.settled)?;
        let masters = self.world.masters();
        for _ in 0..6 {
            self.judge(&masters)?;
            self.world.run(self.interval / 2)?;
        }
        Ok(())
    }

    fn plan_trouble(&mut self) {
        let random = &mut self.random;
        let whole = self.interval * TROUBLED_INTERVALS;
        let at = random.span(Duration::ZERO, whole);
        let rest = whole.saturating_sub(at);
        let count = self.world.routers.len();
        let id = usize::try_from(random.below(count as u64)).unwrap_or_default();
        let fault = Fault::InterfaceDown(if random.permille(500) { "eth0" } else { "eth1" }.to_owned());
        let until = at + random.span(Duration::ZERO, rest.min(self.interval * 8));
        let mut plan = |after: Duration, trouble: Trouble| self.world.plan(after, id, trouble);
        match random.below(9) {
            0 => plan(at, Trouble::Weather(stormy(random, self.delay))),
            1 => plan(at, Trouble::Split((0..count).map(|_| u8::from(random.permille(500))).collect())),
            2 => plan(at, Trouble::Sleep(until.saturating_sub(at))),
            3 => plan(at, Trouble::KillProcess((until.saturating_sub(at)) / 4)),
            4 => {
                plan(at, Trouble::Crash);
                plan(until, Trouble::Boot);
            }
            5 => {
                plan(at, Trouble::Stop);
                plan(until, Trouble::Boot);
            }
            6 => {
                plan(at, Trouble::FaultBegins(fault.clone()));
                plan(until, Trouble::FaultEnds(fault));
            }
            7 => plan(at, Trouble::Priority(draw_priority(random))),
            _ => plan(at, Trouble::Weather(Weather::fair(self.delay))),
        }
    }

    /// All is well again: one network, every router up.
    fn heal(&mut self) {
        let now = Duration::ZERO;
        let count = self.world.routers.len();
        self.world.plan(now, 0, Trouble::Weather(Weather::fair(self.delay)));
        self.world.plan(now, 0, Trouble::Split(vec![0; count]));
        for id in 0..count {
            let faults = self.world.routers.get(id).map(|router| router.faults.clone()).unwrap_or_default();
            for fault in faults {
                self.world.plan(now, id, Trouble::FaultEnds(fault));
            }
            self.world.plan(now, id, Trouble::Sleep(Duration::ZERO));
            self.world.plan(now, id, Trouble::Boot);
        }
    }

    /// One master, always the same, and nobody with a better right.
    fn judge(&self, before: &[RouterId]) -> Result<(), Violation> {
        let accuse = |router: RouterId, what: String| Err(Violation { at: self.world.now, router, what });
        let masters = self.world.masters();
        let [master] = masters[..] else { return accuse(0, format!("masters: {masters:?}")) };
        if masters != before {
            return accuse(master, format!("the master changed in peace, it was {before:?}"));
        }
        let priority = self.world.routers.get(master).map(|router| router.priority);
        for (id, router) in self.world.routers.iter().enumerate() {
            if id != master && router.state() != State::Backup {
                return accuse(id, format!("{} in peace", router.state()));
            }
            let preempts = router.settings.preempt != Preempt::Never || router.priority.is_owner();
            if id != master && preempts && Some(router.priority) > priority {
                return accuse(id, format!("priority {} is not master, router {master} is with {priority:?}", router.priority));
            }
        }
        Ok(())
    }
}

/// What the routers of one segment have in common.
fn draw_common(random: &mut Random, version: Version, family: Family) -> Settings {
    let intervals: &[u16] = match version {
        Version::V2 => &[100, 200, 1000],
        Version::V3 => &[1, 2, 10, 50, 100, 400, 4095],
    };
    let interval = random.pick(intervals).copied().and_then(CentiSecs::new).unwrap_or(CentiSecs::SECOND);
    let adverts = u8::try_from(random.between(2, 4)).unwrap_or(3);
    let preempt = match random.below(4) {
        0 => Preempt::Never,
        _ => Preempt::AtOnce,
    };
    Settings { advert_interval: interval, down_timer_adverts: adverts, preempt, ..settings(version, family) }
}

fn draw_settings(random: &mut Random, common: &Settings) -> Settings {
    let mut told = common.clone();
    told.priority = draw_priority(random);
    if told.version == Version::V3 && random.permille(150) {
        let common = told.advert_interval.get();
        let other = [common.div_ceil(3), common.div_ceil(2), (common * 2).min(4095)];
        told.advert_interval = random.pick(&other).copied().and_then(CentiSecs::new).unwrap_or(told.advert_interval);
    }
    match random.below(8) {
        0 => told.preempt = Preempt::Never,
        1 => told.preempt = Preempt::After(random.span(Duration::ZERO, told.advert_interval.duration() * 6)),
        _ => {}
    }
    if random.permille(300) {
        told.wanted = WantedState::Master;
    }
    told.lower_prio_no_advert = random.permille(150);
    told.higher_prio_send_advert = random.permille(150);
    told
}

/// Mostly ordinary, often equal, sometimes an owner.
fn draw_priority(random: &mut Random) -> Priority {
    let value = match random.below(10) {
        0 => 255,
        1..=4 => *random.pick(&[50, 100, 150]).unwrap_or(&100),
        _ => u8::try_from(random.between(1, 254)).unwrap_or(100),
    };
    Priority::new(value).unwrap_or(Priority::DEFAULT)
}

fn stormy(random: &mut Random, delay: Duration) -> Weather {
    let chance = |random: &mut Random, most: u64| u16::try_from(random.between(0, most)).unwrap_or_default();
    Weather {
        loss: chance(random, 800),
        duplicates: chance(random, 300),
        damage: chance(random, 300),
        least_delay: Duration::ZERO,
        most_delay: delay * 3,
    }
}
