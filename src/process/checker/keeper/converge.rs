//! From what is there to what should be, in as few orders to the kernel as it takes.

use super::{ServiceKey, State, Table};
use crate::ipvs::Socket;
use crate::lvs::plan::{Change, apply, plan_service};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Changes between two breaths: other actors must get their turn.
const SLICE: usize = 512;

/// Orders that go to the kernel together.
#[derive(Default)]
struct Orders {
    changes: Vec<Change>,
    /// Which of them are for which service, and whether they are all that it needs.
    services: Vec<(ServiceKey, Range<usize>, bool)>,
}

impl State {
    /// The whole table is to be this.
    pub(super) async fn replace(&mut self, desired: Table) {
        let keys: Vec<ServiceKey> = desired.keys().copied().collect();
        self.hopeless.clear();
        self.take_in(&keys);
        self.desired = desired;
        self.converge(self.all()).await;
    }

    /// These services are to be so, and those are to go.
    pub(super) async fn put(&mut self, part: Table, gone: Vec<ServiceKey>) {
        let mut keys = gone;
        keys.iter().for_each(|key| drop(self.desired.remove(key)));
        let changed: Vec<ServiceKey> = part.keys().copied().collect();
        self.take_in(&changed);
        self.desired.extend(part);
        keys.extend(changed);
        self.converge(keys).await;
    }

    /// What was ours before is known; only what is new may hold leftovers of somebody before us.
    fn take_in(&mut self, keys: &[ServiceKey]) {
        let unknown: BTreeSet<ServiceKey> = keys.iter().filter(|key| !self.ours.contains(*key)).copied().collect();
        self.ours.extend(&unknown);
        self.learn(&unknown);
    }

    /// Every service that is there or should be: first what goes.
    pub(super) fn all(&self) -> Vec<ServiceKey> {
        let gone = self.actual.keys().filter(|key| !self.desired.contains_key(key));
        gone.chain(self.desired.keys()).copied().collect()
    }

    /// Makes these services what they should be.
    pub(super) async fn converge(&mut self, keys: Vec<ServiceKey>) {
        let (mut orders, mut added) = (Orders::default(), None);
        for key in keys {
            let first = orders.changes.len();
            self.order(&key, &mut orders);
            if matches!(orders.changes.get(first), Some(Change::AddService(..))) {
                added = Some(key);
            }
            if orders.changes.len() >= SLICE {
                if !self.carry_out(&mut orders) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        if self.carry_out(&mut orders)
            && let Some(key) = added
        {
            self.look_once(&key);
        }
    }

    fn order(&self, key: &ServiceKey, orders: &mut Orders) {
        let first = orders.changes.len();
        match (self.desired.get(key), self.actual.get(key)) {
            (Some(desired), actual) => plan_service(key, desired, actual.map(Arc::as_ref), &mut orders.changes),
            (None, Some(_)) => orders.changes.push(Change::RemoveService(*key)),
            (None, None) => {}
        }
        let planned = orders.changes.len();
        if !self.hopeless.is_empty() {
            let mut at = 0;
            orders.changes.retain(|change| {
                at += 1;
                at <= first || !self.is_hopeless(change)
            });
        }
        let last = orders.changes.len();
        if last > first {
            orders.services.push((*key, first..last, last == planned));
        }
    }

    /// What differs from what should be, for somebody who tells of it.
    pub(super) fn differences(&self, key: &ServiceKey) -> Vec<Change> {
        let mut orders = Orders::default();
        self.order(key, &mut orders);
        orders.changes
    }

    /// Gives the orders; whether the way to the kernel is still there.
    fn carry_out(&mut self, orders: &mut Orders) -> bool {
        let Orders { changes, services } = std::mem::take(orders);
        if changes.is_empty() {
            return true;
        }
        let Some(refused) = self.attempt(|socket| socket.apply(&changes)) else { return false };
        let mut failed = BTreeSet::new();
        for (at, errno) in refused {
            if let Some(change) = changes.get(at).filter(|change| self.refused(change, errno)) {
                tracing::debug!("IPVS refused: {change:?}");
                failed.insert(at);
            }
        }
        for (key, range, all) in services {
            let as_wanted = all && failed.range(range.clone()).next().is_none();
            match self.desired.get(&key).filter(|_| as_wanted) {
                Some(desired) => _ = self.actual.insert(key, Arc::clone(desired)),
                None => {
                    let done = range.filter(|at| !failed.contains(at)).filter_map(|at| changes.get(at));
                    done.for_each(|change| apply(&mut self.actual, change));
                }
            }
        }
        true
    }

    /// Whether the kernel shows what it has just acknowledged. One that does not would have everything put back every second.
    fn look_once(&mut self, added: &ServiceKey) {
        if self.shows.is_some() || !self.actual.contains_key(added) {
            return;
        }
        self.shows = self.attempt(|socket: &mut Socket| socket.shows(added));
        if self.shows == Some(false) {
            let count = self.actual.len();
            tracing::warn!("IPVS does not show what it acknowledged ({count} services): changes by others cannot be seen");
        }
    }

    /// The kernel would not, and whether that means that nothing changed: either our picture of it is old, which the next look mends,
    /// or the order makes no sense.
    fn refused(&mut self, change: &Change, errno: i32) -> bool {
        let text = crate::ipvs::explain(errno);
        match change {
            // Somebody was quicker.
            Change::RemoveService(_) if errno == libc::ESRCH => return false,
            Change::AddService(key, _) | Change::EditService(key, _) | Change::RemoveService(key) => {
                tracing::error!("IPVS error: {text} ({key})");
            }
            Change::AddDestination(key, (address, port), _)
            | Change::EditDestination(key, (address, port), _)
            | Change::RemoveDestination(key, (address, port)) => {
                tracing::error!("IPVS error: {text} ({key} -> {address}:{port})");
                if let (Change::AddDestination(_, place, what), libc::EINVAL) = (change, errno) {
                    self.hopeless.insert((*key, *place), *what);
                }
            }
        }
        true
    }

    fn is_hopeless(&self, change: &Change) -> bool {
        match change {
            Change::AddDestination(key, place, what) => self.hopeless.get(&(*key, *place)) == Some(what),
            Change::AddService(..)
            | Change::EditService(..)
            | Change::RemoveService(_)
            | Change::EditDestination(..)
            | Change::RemoveDestination(..) => false,
        }
    }
}
