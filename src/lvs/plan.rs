//! `plan = desired − actual`: the fewest changes that make the kernel's table what it should be. What is right is not touched,
//! so that connections in flight survive a start over leftovers, a reload and a repair.

use super::table::{Destination, DestinationKey, Entry, Service, ServiceKey, Table};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One change of the kernel's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A new service.
    AddService(ServiceKey, Service),
    /// Other scheduling.
    EditService(ServiceKey, Service),
    /// No service any more; its destinations go with it.
    RemoveService(ServiceKey),
    /// A new destination.
    AddDestination(ServiceKey, DestinationKey, Destination),
    /// Other weight, method or thresholds.
    EditDestination(ServiceKey, DestinationKey, Destination),
    /// No destination any more; its connections go on until they end.
    RemoveDestination(ServiceKey, DestinationKey),
}

impl Change {
    /// The service that it is about.
    pub const fn service(&self) -> ServiceKey {
        match self {
            Self::AddService(key, _) | Self::EditService(key, _) | Self::RemoveService(key) => *key,
            Self::AddDestination(key, ..) | Self::EditDestination(key, ..) | Self::RemoveDestination(key, _) => *key,
        }
    }
}

/// The changes that make `actual` `desired`. Services that are in neither `desired` nor `ours` are somebody else's and stay.
pub fn plan(desired: &Table, actual: &Table, ours: &BTreeSet<ServiceKey>) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in actual.keys().filter(|key| ours.contains(key) && !desired.contains_key(key)) {
        changes.push(Change::RemoveService(*key));
    }
    for (key, entry) in desired {
        plan_service(key, entry, actual.get(key).map(Arc::as_ref), &mut changes);
    }
    changes
}

/// Adds the changes of one service to `changes`. A destination comes before another goes, so that a service is never without one
/// in between.
pub fn plan_service(key: &ServiceKey, desired: &Entry, actual: Option<&Entry>, changes: &mut Vec<Change>) {
    match actual {
        Some(actual) if std::ptr::eq(actual, desired) => return,
        None => changes.push(Change::AddService(*key, desired.service.clone())),
        Some(actual) if actual.service != desired.service => changes.push(Change::EditService(*key, desired.service.clone())),
        Some(_) => {}
    }
    for (place, destination) in &desired.destinations {
        match actual.and_then(|actual| actual.destinations.get(place)) {
            None => changes.push(Change::AddDestination(*key, *place, *destination)),
            Some(other) if other != destination => changes.push(Change::EditDestination(*key, *place, *destination)),
            Some(_) => {}
        }
    }
    for place in actual.iter().flat_map(|actual| actual.destinations.keys()) {
        if !desired.destinations.contains_key(place) {
            changes.push(Change::RemoveDestination(*key, *place));
        }
    }
}

/// What a table is after a change, as the kernel would make it.
pub fn apply(table: &mut Table, change: &Change) {
    match change {
        Change::AddService(key, service) => {
            table.entry(*key).or_insert_with(|| Arc::new(Entry { service: service.clone(), destinations: Default::default() }));
        }
        Change::RemoveService(key) => {
            table.remove(key);
        }
        Change::EditService(key, _)
        | Change::AddDestination(key, ..)
        | Change::EditDestination(key, ..)
        | Change::RemoveDestination(key, _) => {
            if let Some(entry) = table.get_mut(key) {
                apply_within(Arc::make_mut(entry), change);
            }
        }
    }
}

/// The same inside a service.
fn apply_within(entry: &mut Entry, change: &Change) {
    match change {
        Change::AddService(..) | Change::RemoveService(_) => {}
        Change::EditService(_, service) => entry.service = service.clone(),
        Change::AddDestination(_, place, destination) | Change::EditDestination(_, place, destination) => {
            entry.destinations.insert(*place, *destination);
        }
        Change::RemoveDestination(_, place) => {
            entry.destinations.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::settings::{Forwarding, Protocol};
    use crate::lvs::table::range;
    use proptest::prelude::*;

    fn key(last: u8) -> ServiceKey {
        ServiceKey::Socket(Protocol::Tcp, [10, 0, 0, last].into(), 80)
    }

    fn tables() -> impl Strategy<Value = Table> {
        let service = prop::sample::select(vec!["rr", "wrr"]).prop_map(|name| Service {
            scheduler: name.to_owned(),
            flags: 0,
            timeout: 0,
            granularity: u32::MAX,
            engine: None,
        });
        let destination = (0i64..3).prop_map(|weight| Destination { forwarding: Forwarding::Nat, weight, upper: 0, lower: 0 });
        let places = prop::collection::btree_map((0u8..4).prop_map(|last| ([10, 1, 0, last].into(), 80)), destination, 0..4);
        let entry = (service, places).prop_map(|(service, destinations)| Arc::new(Entry { service, destinations }));
        prop::collection::btree_map((0u8..5).prop_map(key), entry, 0..5)
    }

    proptest! {
        #[test]
        fn a_plan_makes_the_actual_the_desired(desired in tables(), actual in tables()) {
            let ours: BTreeSet<_> = (0u8..5).map(key).collect();
            let mut table = actual.clone();
            for change in plan(&desired, &actual, &ours) { apply(&mut table, &change); }
            prop_assert_eq!(&table, &desired);
            prop_assert_eq!(plan(&desired, &table, &ours), vec![]);
        }

        #[test]
        fn what_is_somebody_elses_stays(desired in tables(), actual in tables()) {
            let changes = plan(&desired, &actual, &BTreeSet::new());
            prop_assert!(changes.iter().all(|change| desired.contains_key(&change.service())));
        }

        #[test]
        fn a_service_is_never_empty_between_two_destinations(desired in tables(), actual in tables()) {
            let mut table = actual.clone();
            for change in plan(&desired, &actual, &BTreeSet::new()) {
                apply(&mut table, &change);
                for (key, entry) in &table {
                    let full = |table: &Table| table.get(key).is_some_and(|entry| !entry.destinations.is_empty());
                    if full(&desired) && full(&actual) { prop_assert!(!entry.destinations.is_empty()); }
                }
            }
        }
    }

    #[test]
    fn one_changed_weight_is_one_change() {
        let destination = |weight| Destination { forwarding: Forwarding::Direct, weight, upper: 0, lower: 0 };
        let table = |weight| {
            let service = Service { scheduler: "rr".to_owned(), flags: 0, timeout: 0, granularity: u32::MAX, engine: None };
            let destinations =
                (0u8..200).map(|last| (([10, 1, 0, last].into(), 80), destination(if last == 7 { weight } else { 1 }))).collect();
            Table::from([(key(1), Arc::new(Entry { service, destinations }))])
        };
        let changes = plan(&table(5), &table(1), &BTreeSet::new());
        assert_eq!(changes, [Change::EditDestination(key(1), ([10, 1, 0, 7].into(), 80), destination(5))]);
    }

    #[test]
    fn a_range_is_every_address_between() {
        let all: Vec<_> = range("10.0.0.254".parse().unwrap(), "10.0.1.1".parse().unwrap()).map(|address| address.to_string()).collect();
        assert_eq!(all, ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]);
        assert_eq!(range("2001:db8::fffe".parse().unwrap(), "2001:db8::1:0".parse().unwrap()).count(), 3);
    }
}
