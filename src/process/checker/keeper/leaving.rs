//! Servers that live but are not wanted any more: they get no new connections, and go when those that they have are over.
//! The kernel drops the packets of a connection whose destination is gone: a request that is under way would hang.

use crate::ipvs::wire::Connections;
use crate::lvs::plan::Change;
use crate::lvs::table::{Destination, DestinationKey, ServiceKey, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Longest that a server stays for its connections' sake: requests end within it, downloads need not.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one that has had connections stays at least: the kernel does not count one that is being opened among the active ones.
const OPENING: Duration = Duration::from_secs(1);
/// How often its connections are counted.
pub(super) const LOOK: Duration = Duration::from_millis(100);

type Place = (ServiceKey, DestinationKey);

/// Those that are leaving, and since when.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    since: BTreeMap<Place, Instant>,
}

impl Leaving {
    /// The changes to make instead: what may still serve leaves by weight 0. `dead` ones go at once, as do those that have no
    /// weight, and those of a scheduler that sends clients to a server of weight 0 only to refuse them.
    pub(super) fn instead(&mut self, now: Instant, changes: Vec<Change>, actual: &Table, dead: &BTreeSet<Place>) -> Vec<Change> {
        changes.into_iter().filter_map(|change| self.instead_of(now, change, actual, dead)).collect()
    }

    fn instead_of(&mut self, now: Instant, change: Change, actual: &Table, dead: &BTreeSet<Place>) -> Option<Change> {
        let Change::RemoveDestination(service, key) = change else { return Some(change) };
        let place = (service, key);
        let entry = actual.get(&service);
        let serves = entry.and_then(|entry| entry.destinations.get(&key)).copied().filter(|destination| destination.weight > 0);
        if serves.is_none() && self.since.contains_key(&place) {
            return None;
        }
        let by_hash = entry.is_some_and(|entry| matches!(entry.service.scheduler.as_str(), "sh" | "dh"));
        let Some(serves) = serves.filter(|_| !by_hash && !dead.contains(&place)) else { return Some(change) };
        self.since.insert(place, now);
        Some(Change::EditDestination(service, key, Destination { weight: 0, ..serves }))
    }

    /// Whether it is a removal that is under way.
    pub(super) fn holds(&self, change: &Change) -> bool {
        matches!(change, Change::RemoveDestination(service, key) if self.since.contains_key(&(*service, *key)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// The services that something is leaving.
    pub(super) fn services(&self) -> BTreeSet<ServiceKey> {
        self.since.keys().map(|(service, _)| *service).collect()
    }

    /// Who goes now: of this service, given the connections of its destinations. Who is wanted again, or is gone, is not ours
    /// any more.
    pub(super) fn go(
        &mut self,
        now: Instant,
        service: ServiceKey,
        connections: &BTreeMap<DestinationKey, Connections>,
        wanted: impl Fn(&DestinationKey) -> bool,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        self.since.retain(|(of, key), since| {
            if *of != service {
                return true;
            }
            let Some(connections) = connections.get(key).filter(|_| !wanted(key)) else { return false };
            let stays = match connections {
                Connections { active: 0, inactive: 0 } => Duration::ZERO,
                Connections { active: 0, .. } => OPENING,
                Connections { .. } => PATIENCE,
            };
            if now.saturating_duration_since(*since) < stays {
                return true;
            }
            changes.push(Change::RemoveDestination(service, *key));
            false
        });
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::settings::{Forwarding, Protocol};
    use crate::lvs::table::{Entry, Service};
    use std::sync::Arc;

    const SERVICE: ServiceKey = ServiceKey::Socket(Protocol::Tcp, std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

    fn key(last: u8) -> DestinationKey {
        ([10, 0, 0, last].into(), 80)
    }

    fn destination(weight: i64) -> Destination {
        Destination { forwarding: Forwarding::Direct, weight, upper: 0, lower: 0 }
    }

    fn table(scheduler: &str) -> Table {
        let service = Service { scheduler: scheduler.to_owned(), flags: 0, timeout: 0, granularity: u32::MAX, engine: None };
        let destinations = [(key(1), destination(3)), (key(2), destination(0))].into();
        Table::from([(SERVICE, Arc::new(Entry { service, destinations }))])
    }

    fn has(active: u32, inactive: u32) -> BTreeMap<DestinationKey, Connections> {
        [(key(1), Connections { active, inactive })].into()
    }

    fn removal(last: u8) -> Vec<Change> {
        vec![Change::RemoveDestination(SERVICE, key(last))]
    }

    #[test]
    fn who_serves_leaves_by_weight_0_and_goes_when_its_last_connection_is_over() {
        let (now, mut leaving) = (Instant::now(), Leaving::default());
        let none = BTreeSet::new();
        let instead = leaving.instead(now, removal(1), &table("rr"), &none);
        assert_eq!(instead, [Change::EditDestination(SERVICE, key(1), destination(0))]);
        let mut left = table("rr");
        crate::lvs::plan::apply(&mut left, &instead[0]);
        assert_eq!(leaving.instead(now, removal(1), &left, &none), [], "it is leaving already");
        assert_eq!(leaving.go(now + OPENING, SERVICE, &has(1, 0), |_| false), []);
        assert_eq!(leaving.go(now + LOOK, SERVICE, &has(0, 1), |_| false), [], "it may be one that is being opened");
        assert_eq!(leaving.go(now + OPENING, SERVICE, &has(0, 1), |_| false), removal(1));
        assert!(leaving.is_empty());
        let _ = leaving.instead(now, removal(1), &table("rr"), &none);
        assert_eq!(leaving.go(now + LOOK, SERVICE, &has(0, 0), |_| false), removal(1), "nobody used it");
    }

    #[test]
    fn nobody_stays_for_ever_and_who_is_wanted_again_stays() {
        let (now, mut leaving) = (Instant::now(), Leaving::default());
        let _ = leaving.instead(now, removal(1), &table("wlc"), &BTreeSet::new());
        assert_eq!(leaving.go(now + PATIENCE, SERVICE, &has(9, 0), |_| false), removal(1));
        let _ = leaving.instead(now, removal(1), &table("wlc"), &BTreeSet::new());
        assert_eq!(leaving.go(now + PATIENCE, SERVICE, &has(9, 0), |_| true), []);
        assert!(leaving.is_empty());
    }

    #[test]
    fn the_dead_the_idle_and_the_hashed_go_at_once() {
        let (now, mut leaving) = (Instant::now(), Leaving::default());
        assert_eq!(leaving.instead(now, removal(1), &table("rr"), &[(SERVICE, key(1))].into()), removal(1));
        assert_eq!(leaving.instead(now, removal(2), &table("rr"), &BTreeSet::new()), removal(2));
        assert_eq!(leaving.instead(now, removal(1), &table("sh"), &BTreeSet::new()), removal(1));
        assert!(leaving.is_empty());
    }
}
