//! An eye on what others change in the kernel's table: it tells nobody, so it is looked at.

use super::{Entry, ServiceKey, State, Table};
use crate::ipvs::{IpvsError, Socket};
use crate::lvs::plan::Change;
use crate::lvs::table::Service;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often others' changes are looked for, at most.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// Services whose destinations are read at one look: a large table is looked through in turns.
const AUDITED: usize = 64;
/// Looking takes no more than one part in so many of the time: the larger the table, the rarer the look …
const SHARE: u32 = 100;
/// … but never rarer than this.
const LONGEST: Duration = Duration::from_secs(10);

/// Where the looking stands.
#[derive(Default)]
pub(super) struct Rounds {
    /// The last service whose destinations were read.
    last: Option<ServiceKey>,
    /// No look before this.
    rest: Option<Instant>,
}

impl State {
    /// Looks for what others changed, and puts it right: at all services, and at the destinations of some of them.
    pub(super) async fn audit(&mut self) {
        let began = Instant::now();
        if self.shows == Some(false) || self.desired.is_empty() || self.rounds.rest.is_some_and(|rest| began < rest) {
            return;
        }
        let suspects = self.look().unwrap_or_default();
        // Half a period less: a look that is just short enough must not miss its turn.
        self.rounds.rest = (began + (began.elapsed() * SHARE).min(LONGEST)).checked_sub(PERIOD / 2);
        for change in suspects.iter().flat_map(|key| self.differences(key)) {
            tracing::warn!("IPVS: somebody else changed the table: {}", describe(&change));
        }
        self.converge(suspects.into_iter().collect()).await;
    }

    /// Brings `actual` up to date; the services that are not what they should be. Nothing when the kernel could not be asked.
    fn look(&mut self) -> Option<BTreeSet<ServiceKey>> {
        let (desired, actual) = (std::mem::take(&mut self.desired), std::mem::take(&mut self.actual));
        let services = self.attempt(|socket| Seen::read(socket, &desired, &actual));
        (self.desired, self.actual) = (desired, actual);
        let mut seen = services?;
        for key in &seen.missing {
            self.actual.remove(key);
        }
        seen.suspects.extend(seen.missing);
        for (key, service) in seen.other {
            let destinations = self.attempt(|socket| socket.destinations(&key))?;
            self.actual.insert(key, Arc::new(Entry { service, destinations }));
            seen.suspects.insert(key);
        }
        for key in self.turn() {
            if !self.is_as_wanted(&key)? {
                seen.suspects.insert(key);
            }
        }
        Some(seen.suspects)
    }

    /// The services whose destinations are looked at now.
    fn turn(&mut self) -> Vec<ServiceKey> {
        let after = self.rounds.last.map_or(Bound::Unbounded, Bound::Excluded);
        let ours = |(key, _): (&ServiceKey, _)| self.desired.contains_key(key).then_some(*key);
        let turn: Vec<ServiceKey> = self.actual.range((after, Bound::Unbounded)).filter_map(ours).take(AUDITED).collect();
        // After the last of all the first is next.
        self.rounds.last = turn.last().copied().filter(|_| turn.len() == AUDITED);
        turn
    }

    /// Whether a service, itself known, has the destinations that it should have; `actual` has them then.
    fn is_as_wanted(&mut self, key: &ServiceKey) -> Option<bool> {
        let destinations = self.attempt(|socket| socket.destinations(key))?;
        let (desired, actual) = (self.desired.get(key), self.actual.get_mut(key)?);
        match desired {
            Some(desired) if desired.destinations == destinations && desired.service == actual.service => *actual = Arc::clone(desired),
            _ => {
                *actual = Arc::new(Entry { service: actual.service.clone(), destinations });
                return Some(false);
            }
        }
        Some(true)
    }
}

/// What a look at all services shows.
#[derive(Default)]
struct Seen {
    /// Not what was known, or not known at all.
    other: Vec<(ServiceKey, Service)>,
    /// Known, and not there.
    missing: Vec<ServiceKey>,
    suspects: BTreeSet<ServiceKey>,
}

impl Seen {
    /// Somebody else's services are passed over.
    fn read(socket: &mut Socket, desired: &Table, actual: &Table) -> Result<Self, IpvsError> {
        let mut seen = Self::default();
        let mut known = 0;
        socket.services(|key, service| {
            if let Some(entry) = actual.get(&key) {
                known += 1;
                if entry.service == service {
                    return;
                }
            }
            if desired.contains_key(&key) {
                seen.other.push((key, service));
            }
        })?;
        if known < actual.len() {
            let mut there = BTreeSet::new();
            socket.services(|key, _| _ = there.insert(key))?;
            seen.missing = actual.keys().filter(|key| !there.contains(*key)).copied().collect();
        }
        Ok(seen)
    }
}

fn describe(change: &Change) -> String {
    match change {
        Change::AddService(key, _) => format!("{key} was removed, it is put back"),
        Change::EditService(key, _) => format!("{key} was changed, it is set right"),
        Change::RemoveService(key) => format!("{key} was added, it is removed"),
        Change::AddDestination(key, (address, port), _) => format!("{key} -> [{address}]:{port} was removed, it is put back"),
        Change::EditDestination(key, (address, port), _) => format!("{key} -> [{address}]:{port} was changed, it is set right"),
        Change::RemoveDestination(key, (address, port)) => format!("{key} -> [{address}]:{port} was added, it is removed"),
    }
}
