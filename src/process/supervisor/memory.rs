//! What the supervisor remembers of the children, so that a successor can take up where it left off.

use crate::bfd::event::Snapshot as SessionSnapshot;
use crate::ipc::messages::CheckerId;
use crate::lvs::name::ServiceName;
use crate::lvs::settings::Balancer;
use crate::lvs::word::{Wish, Word};
use crate::process::carried::Carried;
use crate::vrrp::event::{Snapshot, State};
use crate::vrrp::settings::Settings;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared with the task that reads from the child: what a child said before its death is in here before its death is known.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Mutex<Facts>>);

#[derive(Debug)]
struct Facts {
    checkers: BTreeMap<CheckerId, Word>,
    /// Virtual servers: with or without their quorum.
    quorums: BTreeMap<ServiceName, bool>,
    snapshots: BTreeMap<String, Snapshot>,
    /// BFD sessions.
    sessions: BTreeMap<String, SessionSnapshot>,
    /// Scripts: good or bad.
    known: BTreeMap<String, bool>,
    answered: Instant,
    /// Since when nobody does the work; `None` while a child lives.
    lost: Option<Instant>,
}

/// Names in the one-line summary before it becomes a count.
const MAX_NAMES: usize = 12;

impl Memory {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Facts {
            checkers: BTreeMap::new(),
            quorums: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            sessions: BTreeMap::new(),
            known: BTreeMap::new(),
            answered: Instant::now(),
            lost: None,
        })))
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The child's last word about an instance; whether its state differs from the one before.
    pub(super) fn remember(&self, instance: String, snapshot: Snapshot) -> bool {
        let state = snapshot.state;
        self.facts().snapshots.insert(instance, snapshot).map(|old| old.state) != Some(state)
    }

    /// The BFD child's last word about a session; whether it is up now and was not before, or the other way round.
    pub(super) fn remember_session(&self, session: String, snapshot: SessionSnapshot) -> bool {
        let up = snapshot.up;
        let before = self.facts().sessions.insert(session, snapshot);
        before.is_some_and(|before| before.up) != up
    }

    /// Whether a session is up, as far as anybody knows.
    pub(super) fn session_is_up(&self, session: &str) -> bool {
        self.facts().sessions.get(session).is_some_and(|snapshot| snapshot.up)
    }

    /// What is known of sessions, for a successor.
    pub(super) fn sessions(&self) -> Vec<(String, SessionSnapshot)> {
        self.facts().sessions.iter().map(|(name, snapshot)| (name.clone(), snapshot.clone())).collect()
    }

    /// Of other sessions nothing is known any more.
    pub(super) fn keep_sessions(&self, keep: impl Fn(&str) -> bool) {
        self.facts().sessions.retain(|name, _| keep(name));
    }

    /// The checker child's last word about a checker.
    pub(super) fn checked(&self, checker: CheckerId, up: bool) {
        self.facts().checkers.entry(checker).or_default().up = Some(up);
    }

    /// What a checker wants of its server's weight.
    pub(super) fn weighed(&self, checker: CheckerId, wish: Option<Wish>) {
        self.facts().checkers.entry(checker).or_default().wish = wish;
    }

    /// A virtual server has its quorum, or has not.
    pub(super) fn quorum(&self, of: ServiceName, held: bool) {
        self.facts().quorums.insert(of, held);
    }

    /// For a successor of the checker child.
    pub(super) fn checkers(&self) -> Vec<(CheckerId, Word)> {
        self.facts().checkers.iter().map(|(checker, word)| (checker.clone(), *word)).collect()
    }

    /// For a successor of the checker child.
    pub(super) fn quorums(&self) -> Vec<(ServiceName, bool)> {
        self.facts().quorums.iter().map(|(of, held)| (of.clone(), *held)).collect()
    }

    /// A reload moves checkers about: what is known of one goes with it.
    pub(super) fn carry_checkers(&self, old: &Balancer, new: &Balancer) {
        let mut facts = self.facts();
        if !facts.checkers.is_empty() {
            let carried = Carried::between(old, new);
            let before = std::mem::take(&mut facts.checkers);
            facts.checkers = before.into_iter().filter_map(|(checker, word)| Some((carried.place(&checker)?, word))).collect();
        }
        let names: HashSet<ServiceName> = new.servers.iter().map(|server| server.name()).collect();
        facts.quorums.retain(|of, _| names.contains(of));
    }

    /// Instances that are master now.
    pub(super) fn masters(&self) -> Vec<String> {
        let facts = self.facts();
        facts.snapshots.iter().filter(|(_, snapshot)| snapshot.state == State::Master).map(|(name, _)| name.clone()).collect()
    }

    /// What a script has come to.
    pub(super) fn script_reads(&self, name: String, good: bool) {
        self.facts().known.insert(name, good);
    }

    /// What scripts have come to, for a successor.
    pub(super) fn known(&self) -> Vec<(String, bool)> {
        self.facts().known.iter().map(|(name, good)| (name.clone(), *good)).collect()
    }

    /// An instance is gone.
    pub(super) fn forget(&self, instance: &str) {
        self.facts().snapshots.remove(instance);
    }

    /// The child answered or showed life, or there is none that should.
    pub(super) fn answered(&self) {
        self.facts().answered = Instant::now();
    }

    /// Time since it last did.
    pub(super) fn silence(&self) -> Duration {
        self.facts().answered.elapsed()
    }

    /// The child is dead: since now, or, when it hung, since it last showed life.
    pub(super) fn lost(&self, hung: bool) {
        let mut facts = self.facts();
        let since = if hung { facts.answered } else { Instant::now() };
        facts.lost.get_or_insert(since);
    }

    /// For a successor that starts now.
    pub(super) fn snapshots(&self, instances: &[Arc<Settings>]) -> Vec<(String, Snapshot)> {
        let mut facts = self.facts();
        let absent = facts.lost.take().map_or(Duration::ZERO, |since| since.elapsed());
        let known = instances.iter().filter_map(|settings| Some((settings, facts.snapshots.get(&settings.name)?)));
        known.map(|(settings, snapshot)| (settings.name.clone(), aged(snapshot.clone(), settings, absent))).collect()
    }

    /// Who is what, in one line: `VI_1 MASTER, VI_2 BACKUP`, or counts when there are many.
    pub(super) fn summary(&self) -> String {
        summary(self.facts().snapshots.iter().map(|(name, snapshot)| (name.as_str(), snapshot.state)))
    }
}

/// A master that was silent for as long as a backup waits is none any more: another one may have taken over (RFC 9568 §6.1,
/// Active_Down_Interval). An address owner's place nobody keeps.
fn aged(snapshot: Snapshot, settings: &Settings, absent: Duration) -> Snapshot {
    let patience = settings.advert_interval.duration() * u32::from(settings.down_timer_adverts);
    if snapshot.state != State::Master || settings.priority.is_owner() || absent < patience {
        return snapshot;
    }
    Snapshot { state: State::Backup, master: None, master_priority: 0, master_interval: settings.advert_interval, ..snapshot }
}

fn summary<'a>(states: impl Iterator<Item = (&'a str, State)> + Clone) -> String {
    let total = states.clone().count();
    if total == 0 {
        return "no VRRP instance".to_owned();
    }
    if total <= MAX_NAMES {
        return states.map(|(name, state)| format!("{name} {state}")).collect::<Vec<_>>().join(", ");
    }
    let counts = [State::Master, State::Backup, State::Fault, State::Init, State::Stopped]
        .map(|state| (state, states.clone().filter(|(_, other)| *other == state).count()))
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"));
    format!("{total} VRRP instances: {}", counts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master_of(text: &str) -> (Arc<Settings>, Snapshot) {
        let config = crate::config::load_text(text).config;
        let settings = Arc::clone(&config.instances[0]);
        let snapshot = Snapshot {
            state: State::Master,
            master_interval: settings.advert_interval,
            master: None,
            master_priority: 0,
            stats: crate::vrrp::stats::Stats::default(),
            last_transition: 7.0,
        };
        (settings, snapshot)
    }

    const ROUTER: &str = "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n advert_int 1\n virtual_ipaddress {\n 10.0.0.1\n }\n";

    #[test]
    fn a_successor_that_comes_too_late_is_no_master() {
        let after = |more: &str, seconds: f64| {
            let (settings, snapshot) = master_of(&format!("{ROUTER}{more}}}\n"));
            aged(snapshot, &settings, Duration::from_secs_f64(seconds))
        };
        assert_eq!(after("", 2.9).state, State::Master);
        assert_eq!(after("", 3.0).state, State::Backup);
        assert_eq!(after("", 3.0).last_transition, 7.0, "what it counted stays");
        assert_eq!(after("down_timer_adverts 5\n", 4.9).state, State::Master);
        assert_eq!(after("priority 255\n", 60.0).state, State::Master, "nobody else is the owner");
    }

    #[test]
    fn the_dead_time_is_counted_once() {
        let memory = Memory::new();
        let (settings, snapshot) = master_of(&format!("{ROUTER}}}\n"));
        memory.remember("A".to_owned(), snapshot);
        memory.facts().answered = Instant::now() - Duration::from_secs(10);
        memory.lost(true);
        memory.lost(false);
        let states = |memory: &Memory| {
            memory.snapshots(std::slice::from_ref(&settings)).into_iter().map(|(_, snapshot)| snapshot.state).collect::<Vec<_>>()
        };
        assert_eq!(states(&memory), [State::Backup]);
        assert_eq!(states(&memory), [State::Master]);
    }

    #[test]
    fn what_checkers_and_virtual_servers_said_goes_with_them_through_a_reload() {
        let load = |text: &str| crate::config::load_text(text).config.lvs;
        let server = |address: u8, inner: &str| {
            format!("virtual_server 10.0.0.{address} 80 {{\n lb_algo rr\n protocol TCP\n real_server 10.0.1.1 80 {{\n{inner}\n}}\n}}\n")
        };
        let (tcp, ping) = ("TCP_CHECK {\n }\n", "PING_CHECK {\n }\n");
        let old = load(&(server(1, &format!("{tcp}{ping}")) + &server(2, tcp)));
        let new = load(&server(1, &format!("{ping}{tcp}")));
        let memory = Memory::new();
        let names: Vec<ServiceName> = old.servers.iter().map(|server| server.name()).collect();
        let id = |name: &ServiceName, place| CheckerId { service: name.clone(), server: old.servers[0].real_servers[0].key(), place };
        memory.checked(id(&names[0], 0), false);
        memory.weighed(id(&names[0], 1), Some(Wish::Weight(9)));
        memory.checked(id(&names[1], 0), false);
        memory.quorum(names[0].clone(), true);
        memory.quorum(names[1].clone(), false);
        memory.carry_checkers(&old, &new);
        let ping = Word { up: None, wish: Some(Wish::Weight(9)) };
        let tcp = Word { up: Some(false), wish: None };
        assert_eq!(memory.checkers(), [(id(&names[0], 0), ping), (id(&names[0], 1), tcp)]);
        assert_eq!(memory.quorums(), [(names[0].clone(), true)]);
    }

    #[test]
    fn a_few_instances_are_named_and_many_are_counted() {
        assert_eq!(summary([("VI_1", State::Master), ("VI_2", State::Backup)].into_iter()), "VI_1 MASTER, VI_2 BACKUP");
        let many = (0..20).map(|n| ("VI", if n < 15 { State::Backup } else { State::Master }));
        assert_eq!(summary(many), "20 VRRP instances: 5 MASTER, 15 BACKUP");
        assert_eq!(summary(std::iter::empty()), "no VRRP instance");
    }
}
