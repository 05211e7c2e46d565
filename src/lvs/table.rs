//! The balancer's table as values: services, their destinations, and what a virtual server's health makes of them.

use super::health::{Health, Place};
use super::settings::{Address, Forwarding, Granularity, GroupEntry, Protocol, RealServer, ServiceSettings, VirtualServer, flag};
use crate::types::Family;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Identity of a service in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ServiceKey {
    /// Protocol, address and port.
    Socket(Protocol, IpAddr, u16),
    /// A firewall mark, of a family.
    Mark(Family, u32),
}

impl ServiceKey {
    /// Its address family.
    pub const fn family(&self) -> Family {
        match self {
            Self::Socket(_, address, _) => Family::of(address),
            Self::Mark(family, _) => *family,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(protocol, address, port) => write!(f, "[{address}]:{}:{port}", protocol.word()),
            Self::Mark(_, mark) => write!(f, "FWM {mark}"),
        }
    }
}

/// How the kernel schedules a service; in the kernel's terms, so that what it says can be compared with what we want.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Scheduler.
    pub scheduler: String,
    /// IP_VS_SVC_F_* without the kernel's own `HASHED`.
    pub flags: u32,
    /// Persistence, in seconds; 0 without.
    pub timeout: u32,
    /// Persistence granularity: a netmask for IPv4, the length of a prefix for IPv6.
    pub granularity: u32,
    /// Persistence engine.
    pub engine: Option<String>,
}

impl Service {
    fn new(settings: &ServiceSettings, family: Family) -> Self {
        let persistent = if settings.persistence.is_some() { flag::PERSISTENT } else { 0 };
        Self {
            scheduler: settings.scheduler.clone(),
            flags: settings.flags | persistent,
            timeout: settings.persistence.unwrap_or(0),
            granularity: settings.granularity.unwrap_or(Granularity::whole(family)).in_kernel(family),
            engine: settings.engine.clone(),
        }
    }
}

/// Identity of a destination within its service.
pub type DestinationKey = (IpAddr, u16);

/// How a destination is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Destination {
    /// Forwarding method.
    pub forwarding: Forwarding,
    /// Weight.
    pub weight: i64,
    /// Upper connection threshold; 0 is none.
    pub upper: u32,
    /// Lower connection threshold.
    pub lower: u32,
}

/// One service and what is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// How it is scheduled.
    pub service: Service,
    /// Its destinations.
    pub destinations: BTreeMap<DestinationKey, Destination>,
}

/// A table, or a part of one. What is wanted and what is there share an entry that is the same.
pub type Table = BTreeMap<ServiceKey, Arc<Entry>>;

/// The services of a virtual server: one, or one an address of its group.
pub fn keys(settings: &VirtualServer) -> Vec<ServiceKey> {
    match &settings.address {
        Address::Socket(address, port) => vec![ServiceKey::Socket(settings.protocol, *address, *port)],
        Address::Mark(mark) => vec![ServiceKey::Mark(settings.family, *mark)],
        Address::Group(_, entries) => match settings.mark {
            None => entries.iter().flat_map(|entry| group_keys(settings, entry)).collect(),
            Some(mark) => {
                let families: BTreeSet<Family> = entries.iter().filter_map(GroupEntry::family).collect();
                families.into_iter().map(|family| ServiceKey::Mark(family, mark)).collect()
            }
        },
    }
}

/// What clients reach: every address; a firewall mark has none.
pub fn addresses(settings: &VirtualServer) -> Vec<IpAddr> {
    match &settings.address {
        Address::Socket(address, _) => vec![*address],
        Address::Mark(_) => Vec::new(),
        Address::Group(_, entries) => {
            let ranges = entries
                .iter()
                .filter_map(|entry| if let GroupEntry::Range { first, last, .. } = entry { Some((*first, *last)) } else { None });
            ranges.flat_map(|(first, last)| range(first, last)).collect()
        }
    }
}

/// Most addresses that one line of a group may stand for.
pub const RANGE_MAX: u128 = 65_536;

fn group_keys(settings: &VirtualServer, entry: &GroupEntry) -> Vec<ServiceKey> {
    match entry {
        GroupEntry::Mark(mark, family) => vec![ServiceKey::Mark(family.unwrap_or(settings.family), *mark)],
        GroupEntry::Range { first, last, port } => {
            range(*first, *last).map(|address| ServiceKey::Socket(settings.protocol, address, *port)).collect()
        }
    }
}

/// Every address from `first` to `last`, at most `RANGE_MAX`; only `first` when the families differ.
pub fn range(first: IpAddr, last: IpAddr) -> impl Iterator<Item = IpAddr> {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let start = number(first);
    let end = if Family::of(&first) == Family::of(&last) { number(last).max(start) } else { start };
    let family = Family::of(&first);
    (start..=end.min(start.saturating_add(RANGE_MAX - 1))).map(move |bits| match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    })
}

/// What the table should hold for a virtual server in this health.
pub fn desired(health: &Health) -> Table {
    let settings = health.settings();
    let (places, sorry_place) = health.places();
    let mut destinations = BTreeMap::new();
    for (server, place) in settings.real_servers.iter().zip(places) {
        if let Place::Present(weight) = place {
            let destination = Destination { forwarding: server.forwarding, weight, upper: server.upper, lower: server.lower };
            destinations.insert(server.key(), destination);
        }
    }
    if let (Some(sorry), Some(Place::Present(weight))) = (&settings.sorry, sorry_place) {
        // A real server may be its own sorry server: then the sorry server's word counts while it serves.
        let destination = Destination { forwarding: sorry.forwarding, weight, upper: 0, lower: 0 };
        let entry = destinations.entry((sorry.address, sorry.port)).or_insert(destination);
        if weight > 0 {
            *entry = destination;
        }
    }
    let entry = |key: &ServiceKey| Entry {
        service: Service::new(&settings.service, key.family()),
        destinations: destinations
            .iter()
            .map(|(place, destination)| (port_of(key, *place, destination.forwarding), *destination))
            .collect(),
    };
    // The addresses of a group mostly have the same behind them.
    let mut last: Option<Arc<Entry>> = None;
    let mut shared = |key: &ServiceKey| {
        let entry = entry(key);
        let entry = last.take().filter(|last| **last == entry).unwrap_or_else(|| Arc::new(entry));
        Arc::clone(last.insert(entry))
    };
    keys(settings).into_iter().map(|key| (key, shared(&key))).collect()
}

/// Destinations of servers that are down.
pub fn dead(health: &Health) -> BTreeSet<(ServiceKey, DestinationKey)> {
    let settings = health.settings();
    let down: Vec<&RealServer> =
        settings.real_servers.iter().enumerate().filter(|(at, _)| !health.is_up(*at)).map(|(_, server)| server).collect();
    let places = |key: ServiceKey| down.iter().map(move |server| (key, port_of(&key, server.key(), server.forwarding)));
    keys(settings).into_iter().flat_map(places).collect()
}

/// What the table should hold when every check succeeds.
pub fn healthy(settings: &Arc<VirtualServer>) -> Table {
    let mut health = Health::new(Arc::clone(settings));
    for (server, real) in settings.real_servers.iter().enumerate() {
        for checker in 0..real.checkers.len() {
            let _ = health.checker_changed(server, checker, true);
        }
    }
    let _ = health.start();
    desired(&health)
}

/// Only NAT changes a port: else the packet arrives at the port that it was sent to, whatever the real server's block says.
fn port_of(key: &ServiceKey, place: DestinationKey, forwarding: Forwarding) -> DestinationKey {
    match (key, forwarding) {
        (_, Forwarding::Nat) => place,
        (ServiceKey::Socket(_, _, port), Forwarding::Direct | Forwarding::Tunnel(_)) => (place.0, *port),
        (ServiceKey::Mark(..), Forwarding::Direct | Forwarding::Tunnel(_)) => (place.0, 0),
    }
}
