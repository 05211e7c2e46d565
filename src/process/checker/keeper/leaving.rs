//! Servers that live but are not wanted any more: they get no new connections, and go when those that they have are over.
//! The kernel drops the packets of a connection whose destination is gone: a request that is under way would hang.

use crate::lvs::plan::Change;
use crate::lvs::table::{Destination, DestinationKey, ServiceKey, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Longest that a server stays for its connections' sake: requests end within it, downloads need not.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often its connections are counted.
pub(super) const LOOK: Duration = Duration::from_millis(100);

type Place = (ServiceKey, DestinationKey);

/// Those that are leaving, and until when at the latest.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    until: BTreeMap<Place, Instant>,
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
        if serves.is_none() && self.until.contains_key(&place) {
            return None;
        }
        let by_hash = entry.is_some_and(|entry| matches!(entry.service.scheduler.as_str(), "sh" | "dh"));
        let Some(serves) = serves.filter(|_| !by_hash && !dead.contains(&place)) else { return Some(change) };
        self.until.insert(place, now + PATIENCE);
        Some(Change::EditDestination(service, key, Destination { weight: 0, ..serves }))
    }

    /// Whether it is a removal that is under way.
    pub(super) fn holds(&self, change: &Change) -> bool {
        matches!(change, Change::RemoveDestination(service, key) if self.until.contains_key(&(*service, *key)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// The services that something is leaving.
    pub(super) fn services(&self) -> BTreeSet<ServiceKey> {
        self.until.keys().map(|(service, _)| *service).collect()
    }

    /// Who goes now: of this service, given the live connections of its destinations. Who is wanted again, or is gone, is not ours
    /// any more.
    pub(super) fn go(
        &mut self,
        now: Instant,
        service: ServiceKey,
        active: &BTreeMap<DestinationKey, u32>,
        wanted: impl Fn(&DestinationKey) -> bool,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        self.until.retain(|(of, key), until| {
            if *of != service {
                return true;
            }
            let Some(connections) = active.get(key).filter(|_| !wanted(key)) else { return false };
            if *connections > 0 && now < *until {
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

    const SERVICE: ServiceKey = ServiceKey::Socket(Protocol::Tcp, std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

    fn key(last: u8) -> DestinationKey {
        ([10, 0, 0, last].into(), 80)
    }

    fn destination(weight: i64) -> Destination {
        Destination { forwarding: Forwarding::Direct, weight, upper: 0, lower: 0 }
    }

    fn table(scheduler: &str) -> Table {
        let service = Service { scheduler: scheduler.to_owned(), flags: 0, timeout: 0, granularity: 32, engine: None };
        Table::from([(SERVICE, Entry { service, destinations: [(key(1), destination(3)), (key(2), destination(0))].into() })])
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
        assert_eq!(leaving.go(now, SERVICE, &[(key(1), 1)].into(), |_| false), []);
        assert_eq!(leaving.go(now + LOOK, SERVICE, &[(key(1), 0)].into(), |_| false), removal(1));
        assert!(leaving.is_empty());
    }

    #[test]
    fn nobody_stays_for_ever_and_who_is_wanted_again_stays() {
        let (now, mut leaving) = (Instant::now(), Leaving::default());
        let _ = leaving.instead(now, removal(1), &table("wlc"), &BTreeSet::new());
        assert_eq!(leaving.go(now + PATIENCE, SERVICE, &[(key(1), 9)].into(), |_| false), removal(1));
        let _ = leaving.instead(now, removal(1), &table("wlc"), &BTreeSet::new());
        assert_eq!(leaving.go(now + PATIENCE, SERVICE, &[(key(1), 9)].into(), |_| true), []);
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
