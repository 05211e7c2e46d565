//! What the kernel will not have: told once, not tried at every look, and tried again now and then.

use crate::ipvs::explain;
use crate::lvs::plan::Change;
use crate::lvs::table::{DestinationKey, ServiceKey};
use std::collections::BTreeMap;

/// A service, or a destination of it.
type Place = (ServiceKey, Option<DestinationKey>);

/// Changes that the kernel refused, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Refused {
    known: BTreeMap<Place, (Change, i32)>,
    /// Those that are being tried again: the same answer is no news.
    again: BTreeMap<Place, (Change, i32)>,
}

impl Refused {
    /// The kernel refused a change; what is to be told, when it is news.
    pub(super) fn note(&mut self, change: &Change, errno: i32) -> Option<String> {
        if self.follows(change) {
            // Without its service there is nothing to put it into.
            return None;
        }
        let place = place(change);
        let news = self.again.get(&place) != Some(&(change.clone(), errno));
        if is_final(change, errno) {
            self.known.insert(place, (change.clone(), errno));
        }
        news.then(|| text(change, errno))
    }

    /// Whether it is of no use to ask for this now.
    pub(super) fn holds(&self, change: &Change) -> bool {
        self.follows(change) || self.known.get(&place(change)).is_some_and(|(known, _)| known == change)
    }

    /// A destination of a service that the kernel does not have because it refused it.
    fn follows(&self, change: &Change) -> bool {
        let of = |service: &ServiceKey| matches!(self.known.get(&(*service, None)), Some((Change::AddService(..), _)));
        match change {
            Change::AddDestination(service, ..) | Change::EditDestination(service, ..) | Change::RemoveDestination(service, _) => {
                of(service)
            }
            Change::AddService(..) | Change::EditService(..) | Change::RemoveService(_) => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Another configuration: of these services everything is tried, and told, anew.
    pub(super) fn forget(&mut self, of: impl Fn(&ServiceKey) -> bool) {
        self.known.retain(|(service, _), _| !of(service));
        self.again.retain(|(service, _), _| !of(service));
    }

    /// Lets everything be tried once more: somebody may have loaded the module that was missing. Answers the services concerned.
    pub(super) fn try_again(&mut self) -> Vec<ServiceKey> {
        self.again = std::mem::take(&mut self.known);
        let mut services: Vec<ServiceKey> = self.again.keys().map(|(service, _)| *service).collect();
        services.dedup();
        services
    }

    /// What was tried again and is not refused any more.
    pub(super) fn accepted(&mut self) -> Vec<Change> {
        let again = std::mem::take(&mut self.again);
        again.into_iter().filter(|(place, _)| !self.known.contains_key(place)).map(|(_, (change, _))| change).collect()
    }
}

const fn place(change: &Change) -> Place {
    match change {
        Change::AddService(service, _) | Change::EditService(service, _) | Change::RemoveService(service) => (*service, None),
        Change::AddDestination(service, place, _)
        | Change::EditDestination(service, place, _)
        | Change::RemoveDestination(service, place) => (*service, Some(*place)),
    }
}

/// Whether asking again would get the same answer. Else our picture of the table is old, which the next look mends.
const fn is_final(change: &Change, errno: i32) -> bool {
    match change {
        Change::AddService(..) | Change::EditService(..) => !matches!(errno, libc::EEXIST | libc::ESRCH),
        Change::AddDestination(..) | Change::EditDestination(..) => !matches!(errno, libc::EEXIST | libc::ESRCH | libc::ENOENT),
        Change::RemoveService(_) | Change::RemoveDestination(..) => false,
    }
}

fn text(change: &Change, errno: i32) -> String {
    match change {
        // The kernel looks for a module of that name itself, where it may.
        Change::AddService(key, service) | Change::EditService(key, service) if errno == libc::ENOENT => {
            let scheduler = &service.scheduler;
            let engine = service.engine.as_ref().map(|name| format!(" and ip_vs_pe_{name}")).unwrap_or_default();
            format!(
                "IPVS error: Scheduler or persistence engine not found ({key}): it needs the kernel's ip_vs_{scheduler}{engine} (modprobe)"
            )
        }
        Change::AddService(key, _) | Change::EditService(key, _) | Change::RemoveService(key) => {
            format!("IPVS error: {} ({key})", explain(errno))
        }
        Change::AddDestination(key, (address, port), _)
        | Change::EditDestination(key, (address, port), _)
        | Change::RemoveDestination(key, (address, port)) => format!("IPVS error: {} ({key} -> [{address}]:{port})", explain(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::settings::{Forwarding, Protocol};
    use crate::lvs::table::{Destination, Service};

    const KEY: ServiceKey = ServiceKey::Socket(Protocol::Tcp, std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

    fn service(scheduler: &str) -> Change {
        Change::AddService(KEY, Service { scheduler: scheduler.to_owned(), flags: 0, timeout: 0, granularity: u32::MAX, engine: None })
    }

    fn destination(weight: i64) -> Change {
        let destination = Destination { forwarding: Forwarding::Nat, weight, upper: 0, lower: 0 };
        Change::AddDestination(KEY, ([10, 0, 0, 1].into(), 80), destination)
    }

    #[test]
    fn a_scheduler_that_is_missing_is_told_once_with_the_cure_and_its_servers_wait() {
        let mut refused = Refused::default();
        let told = refused.note(&service("twos"), libc::ENOENT).unwrap();
        assert!(told.contains("not found ([127.0.0.1]:tcp:80)") && told.contains("ip_vs_twos"), "{told}");
        assert_eq!(refused.note(&destination(1), libc::ESRCH), None);
        assert!(refused.holds(&service("twos")) && refused.holds(&destination(1)));
        assert!(!refused.holds(&service("rr")), "another one may be had");
        assert_eq!(refused.try_again(), [KEY]);
        assert!(!refused.holds(&service("twos")));
        assert_eq!(refused.note(&service("twos"), libc::ENOENT), None, "no news");
        assert_eq!(refused.accepted(), []);
        refused.try_again();
        assert_eq!(refused.accepted(), [service("twos")], "the module was loaded");
    }

    #[test]
    fn an_old_picture_of_the_table_is_told_and_not_remembered() {
        let mut refused = Refused::default();
        assert!(refused.note(&service("rr"), libc::EEXIST).is_some());
        assert!(refused.note(&destination(1), libc::EEXIST).is_some());
        assert!(!refused.holds(&service("rr")) && !refused.holds(&destination(1)));
        assert!(refused.note(&destination(1), libc::EINVAL).is_some());
        assert!(refused.holds(&destination(1)) && !refused.holds(&destination(2)));
    }
}
