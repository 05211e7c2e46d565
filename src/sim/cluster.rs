//! Hosts whose instances move together: a segment for each instance, a sync group on each host.
//!
//! ```text
//!            segment 0     segment 1     segment 2
//!   host 0   instance ──── instance ──── instance     one vrrp::group::Group
//!   host 1   instance ──── instance ──── instance     another
//! ```
//!
//! What members say reaches their group, and what it orders reaches them, before time goes on: as in a process, where both
//! are messages between two waits. After every step all members of a host are in one state.

use crate::sim::network::{RouterId, Weather};
use crate::sim::random::Random;
use crate::sim::router::{Clock, Router};
use crate::sim::scenario;
use crate::sim::world::{Trouble, Violation, World};
use crate::types::{CentiSecs, Family, Instant, Priority, Version};
use crate::vrrp::event::{Event, Fault, State};
use crate::vrrp::group::{Group, Order, Report};
use crate::vrrp::settings::{Preempt, Settings};
use std::fmt::Write as _;
use std::time::Duration;

/// Troubles last so many advert intervals.
const TROUBLED_INTERVALS: u32 = 25;
/// Rounds after which a group that still gives orders is said to give them for ever.
const MOST_ROUNDS: u32 = 100;
const NAME: &str = "G";

/// Hosts, segments and time.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// One a member.
    pub segments: Vec<World>,
    hosts: Vec<Host>,
    random: Random,
}

#[derive(Clone, Debug)]
struct Host {
    group: Group,
    said: Vec<Option<Report>>,
    /// What scripts and people were last told of the group.
    told: Option<State>,
}

impl Host {
    fn new(members: usize) -> Self {
        Self { group: Group::new(NAME.to_owned(), members), said: vec![None; members], told: None }
    }
}

impl Cluster {
    /// Hosts of these settings, with `members` instances each; they start with `Trouble::Boot`.
    pub fn new(told: &[Settings], members: usize, delay: Duration, seed: u64, kept: bool) -> Self {
        let mut random = Random::new(seed);
        let shortest = told.iter().map(|settings| settings.advert_interval.duration()).min().unwrap_or_default();
        let mut segments = Vec::with_capacity(members);
        for _ in 0..members {
            let mut world = World::new(random.clone(), Weather::fair(delay), shortest / 100, kept);
            random.below(u64::MAX);
            for (number, settings) in (1..).zip(told) {
                let settings = Settings { sync_group: Some(NAME.to_owned()), ..settings.clone() };
                world.add(Router::new(settings, scenario::source(Family::V4, number), Clock::default()));
            }
            segments.push(world);
        }
        Self { segments, hosts: told.iter().map(|_| Host::new(members)).collect(), random }
    }

    /// Makes the same trouble for a host in every segment.
    pub fn plan(&mut self, delay: Duration, host: RouterId, trouble: &Trouble) {
        for segment in &mut self.segments {
            segment.plan(delay, host, trouble.clone());
        }
    }

    /// The time in all segments.
    pub fn now(&self) -> Instant {
        self.segments.first().map(|segment| segment.now).unwrap_or_default()
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// Something that must not happen happened.
    pub fn run(&mut self, span: Duration) -> Result<(), Violation> {
        let end = self.now() + span;
        while let Some(next) = self.segments.iter_mut().filter_map(World::next_time).min().filter(|next| *next <= end) {
            for segment in &mut self.segments {
                segment.advance(next)?;
            }
            for host in 0..self.hosts.len() {
                self.agree(host)?;
            }
        }
        for segment in &mut self.segments {
            segment.now = end;
        }
        Ok(())
    }

    /// Members report and obey until nobody has anything to say.
    fn agree(&mut self, host: RouterId) -> Result<(), Violation> {
        let members = self.segments.len();
        if (0..members).all(|member| matches!(self.report(host, member).state, State::Stopped)) {
            // The process is gone, its groups with it.
            if let Some(host) = self.hosts.get_mut(host) {
                *host = Host::new(members);
            }
            return Ok(());
        }
        for _ in 0..MOST_ROUNDS {
            // Nobody promises in which order they speak.
            let first = usize::try_from(self.random.below(members as u64)).unwrap_or_default();
            let mut spoke = false;
            for member in (first..members).chain(0..first) {
                spoke |= self.speak(host, member);
            }
            if !spoke {
                return self.judge(host);
            }
        }
        self.accuse(host, "the group never stops giving orders".to_owned())
    }

    fn report(&self, host: RouterId, member: usize) -> Report {
        let router = self.segments.get(member).and_then(|segment| segment.routers.get(host));
        let Some(instance) = router.and_then(|router| router.instance.as_ref()) else {
            return Report { state: State::Stopped, ..Report::SILENT };
        };
        let own_fault = instance.faults().iter().any(|fault| !matches!(fault, Fault::Group(_)));
        Report { state: instance.state(), wants_master: instance.wants_master(), own_fault }
    }

    /// Whether it had anything to say.
    fn speak(&mut self, host: RouterId, member: usize) -> bool {
        let report = self.report(host, member);
        let Some(this) = self.hosts.get_mut(host) else { return false };
        let news = this.said.get_mut(member).is_some_and(|said| said.replace(report) != Some(report));
        if news {
            for order in this.group.reported(member, report) {
                self.obey(host, order);
            }
        }
        news
    }

    fn obey(&mut self, host: RouterId, order: Order) {
        let fault = || Fault::Group(NAME.to_owned());
        let (member, event) = match order {
            Order::GoMaster(member) => (member, Event::GroupMaster),
            Order::BackOff(member) => (member, Event::GroupBackup),
            Order::FaultBegan(member) => (member, Event::FaultBegan(fault())),
            Order::FaultEnded(member) => (member, Event::FaultEnded(fault())),
            Order::Say(_) | Order::Speak(_) => return,
            Order::Entered(state) => {
                if let Some(host) = self.hosts.get_mut(host) {
                    host.told = Some(state);
                }
                return;
            }
        };
        if let Some(segment) = self.segments.get_mut(member) {
            segment.tell(host, event);
        }
    }

    /// Members are in one state, and that is what people were told.
    fn judge(&self, host: RouterId) -> Result<(), Violation> {
        let states: Vec<State> = (0..self.segments.len()).map(|member| self.report(host, member).state).collect();
        if states.iter().any(|state| matches!(state, State::Init | State::Stopped)) {
            return Ok(());
        }
        if states.windows(2).any(|pair| pair.first() != pair.last()) {
            return self.accuse(host, format!("members are {states:?}"));
        }
        let told = self.hosts.get(host).and_then(|host| host.told);
        if told != states.first().copied() {
            return self.accuse(host, format!("members are {states:?}, and people were told {told:?}"));
        }
        Ok(())
    }

    fn accuse(&self, router: RouterId, what: String) -> Result<(), Violation> {
        Err(Violation { at: self.now(), router, what })
    }

    /// The host that is master of every segment, if there is one.
    pub fn master(&self) -> Option<RouterId> {
        let mut masters = self.segments.iter().map(World::masters);
        let first = masters.next()?;
        let [host] = first[..] else { return None };
        masters.all(|masters| masters == first).then_some(host)
    }

    /// What happened, segment by segment.
    pub fn story(&self) -> String {
        let mut text = String::new();
        for (number, segment) in self.segments.iter().enumerate() {
            let _ = writeln!(text, "segment {number}\n{}", segment.timeline);
        }
        text
    }
}

/// Plays a seed: two to four hosts with a sync group of two to six instances start, troubles come and go, everything heals.
///
/// # Errors
/// What went wrong, and the story when it was `kept`.
pub fn play(seed: u64, kept: bool) -> Result<(), (Violation, String)> {
    let mut random = Random::new(seed);
    let version = *random.pick(&[Version::V2, Version::V3]).unwrap_or(&Version::V2);
    let preempt = if random.permille(250) { Preempt::Never } else { Preempt::AtOnce };
    let common = Settings { preempt, ..scenario::settings(version, Family::V4) };
    let count = random.between(2, 4);
    let told: Vec<Settings> = (0..count).map(|_| Settings { priority: draw_priority(&mut random), ..common.clone() }).collect();
    let members = usize::try_from(random.between(2, 6)).unwrap_or(2);
    let delay = random.span(Duration::ZERO, Duration::from_millis(200));
    let mut cluster = Cluster::new(&told, members, delay, random.below(u64::MAX), kept);
    let result = troubled(&mut cluster, &mut random, delay);
    result.map_err(|violation| (violation, cluster.story()))
}

fn troubled(cluster: &mut Cluster, random: &mut Random, delay: Duration) -> Result<(), Violation> {
    let interval = CentiSecs::SECOND.duration();
    for host in 0..cluster.hosts.len() {
        let after = random.span(Duration::ZERO, interval * 4);
        cluster.plan(after, host, &Trouble::Boot);
    }
    for _ in 0..random.between(0, 10) {
        plan_trouble(cluster, random, interval, delay);
    }
    cluster.run(interval * TROUBLED_INTERVALS)?;
    heal(cluster, delay);
    cluster.run(interval * 2)?;
    let lateness = cluster.segments.first().map(|segment| segment.lateness).unwrap_or_default();
    for segment in &mut cluster.segments {
        segment.calm_down(interval + interval / 1000 + (delay + lateness) * 2);
    }
    cluster.run(interval * 16)?;
    let master = cluster.master();
    for _ in 0..6 {
        judge_peace(cluster, master)?;
        cluster.run(interval / 2)?;
    }
    Ok(())
}

fn judge_peace(cluster: &Cluster, before: Option<RouterId>) -> Result<(), Violation> {
    let masters = || cluster.segments.iter().map(World::masters).collect::<Vec<_>>();
    let Some(master) = cluster.master() else { return cluster.accuse(0, format!("masters of the segments: {:?}", masters())) };
    if Some(master) != before {
        return cluster.accuse(master, format!("the master changed in peace, it was {before:?}"));
    }
    let routers = cluster.segments.first().map(|segment| segment.routers.as_slice()).unwrap_or_default();
    let priority = routers.get(master).map(|router| router.priority);
    match routers.iter().position(|router| router.settings.preempt != Preempt::Never && Some(router.priority) > priority) {
        Some(host) => cluster.accuse(host, format!("it has the better right, host {master} is master")),
        None => Ok(()),
    }
}

fn plan_trouble(cluster: &mut Cluster, random: &mut Random, interval: Duration, delay: Duration) {
    let whole = interval * TROUBLED_INTERVALS;
    let at = random.span(Duration::ZERO, whole);
    let until = at + random.span(Duration::ZERO, whole.saturating_sub(at).min(interval * 8));
    let pick = |random: &mut Random, count: usize| usize::try_from(random.below(count as u64)).unwrap_or_default();
    let host = pick(random, cluster.hosts.len());
    let segment = pick(random, cluster.segments.len());
    let sides: Vec<u8> = (0..cluster.hosts.len()).map(|_| u8::from(random.permille(500))).collect();
    let loss = u16::try_from(random.between(0, 800)).unwrap_or_default();
    let stormy = Trouble::Weather(Weather { loss, most_delay: delay * 3, ..Weather::fair(delay) });
    match random.below(9) {
        0 => cluster.plan(at, host, &stormy),
        1 => plan_for_one(cluster, segment, at, host, stormy),
        2 => cluster.plan(at, host, &Trouble::Split(sides)),
        3 => plan_for_one(cluster, segment, at, host, Trouble::Split(sides)),
        4 => cluster.plan(at, host, &Trouble::Sleep(until.saturating_sub(at))),
        5 => {
            cluster.plan(at, host, &Trouble::Crash);
            cluster.plan(until, host, &Trouble::Boot);
        }
        6 => {
            cluster.plan(at, host, &Trouble::Stop);
            cluster.plan(until, host, &Trouble::Boot);
        }
        7 => cluster.plan(at, host, &Trouble::Priority(draw_priority(random))),
        _ => {
            let fault = Fault::InterfaceDown(format!("eth{segment}"));
            plan_for_one(cluster, segment, at, host, Trouble::FaultBegins(fault.clone()));
            plan_for_one(cluster, segment, until, host, Trouble::FaultEnds(fault));
        }
    }
}

fn plan_for_one(cluster: &mut Cluster, segment: usize, at: Duration, host: RouterId, trouble: Trouble) {
    if let Some(segment) = cluster.segments.get_mut(segment) {
        segment.plan(at, host, trouble);
    }
}

/// All is well again in every segment, and every host is up.
fn heal(cluster: &mut Cluster, delay: Duration) {
    let (now, count) = (Duration::ZERO, cluster.hosts.len());
    for segment in &mut cluster.segments {
        segment.plan(now, 0, Trouble::Weather(Weather::fair(delay)));
        segment.plan(now, 0, Trouble::Split(vec![0; count]));
        for host in 0..count {
            let faults = segment.routers.get(host).map(|router| router.faults.clone()).unwrap_or_default();
            for fault in faults {
                segment.plan(now, host, Trouble::FaultEnds(fault));
            }
            segment.plan(now, host, Trouble::Sleep(Duration::ZERO));
            segment.plan(now, host, Trouble::Boot);
        }
    }
}

/// A group of owners is no election; all else is drawn, equal ones too.
fn draw_priority(random: &mut Random) -> Priority {
    let value = if random.permille(400) { *random.pick(&[50, 100, 150]).unwrap_or(&100) } else { random.between(1, 254) };
    u8::try_from(value).ok().and_then(Priority::new).unwrap_or(Priority::DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settled(members: usize) -> Cluster {
        let told = [150, 100]
            .map(|priority| Settings { priority: Priority::new(priority).unwrap(), ..scenario::settings(Version::V2, Family::V4) });
        let mut cluster = Cluster::new(&told, members, Duration::ZERO, 7, true);
        (0..2).for_each(|host| cluster.plan(Duration::ZERO, host, &Trouble::Boot));
        cluster.run(SECOND * 10).unwrap();
        assert_eq!(cluster.master(), Some(0));
        cluster
    }

    fn until_master(cluster: &mut Cluster, host: RouterId) -> Duration {
        let start = cluster.now();
        while cluster.master() != Some(host) {
            assert!(cluster.now().since(start) < SECOND * 60, "{}", cluster.story());
            cluster.run(Duration::from_millis(1)).unwrap();
        }
        cluster.now().since(start)
    }

    #[test]
    fn a_group_of_a_hundred_moves_in_one_step() {
        let mut cluster = settled(100);
        cluster.plan(Duration::ZERO, 0, &Trouble::Crash);
        cluster.run(Duration::ZERO).unwrap();
        // `run` itself judges after every step that all hundred are in one state.
        let took = until_master(&mut cluster, 1);
        assert!(took <= SECOND * 4, "{took:?}");
    }

    #[test]
    fn a_fault_in_one_segment_moves_all_after_the_skew_time_and_its_end_brings_them_back() {
        let mut cluster = settled(5);
        let fault = Fault::InterfaceDown("eth3".to_owned());
        cluster.segments[3].plan(Duration::ZERO, 0, Trouble::FaultBegins(fault.clone()));
        cluster.run(Duration::ZERO).unwrap();
        assert!((0..5).all(|member| cluster.report(0, member).state == State::Fault));
        assert!(until_master(&mut cluster, 1) <= SECOND);
        cluster.segments[3].plan(Duration::ZERO, 0, Trouble::FaultEnds(fault));
        until_master(&mut cluster, 0);
    }

    #[test]
    fn a_segment_that_is_cut_leaves_the_group_where_it_is() {
        let mut cluster = settled(3);
        cluster.segments[1].plan(Duration::ZERO, 0, Trouble::Split(vec![0, 1]));
        cluster.run(SECOND * 20).unwrap();
        assert_eq!(cluster.master(), Some(0), "one member alone does not take the others along");
        assert!((0..3).all(|member| cluster.report(1, member).state == State::Backup));
    }
}
