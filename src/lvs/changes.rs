//! What a reload changes of the balancer, in proportion to what differs: thousands of servers that stay are a few numbers.

use super::settings::{Balancer, VirtualServer};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What makes one balancer of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Changes {
    /// How many servers the other one has.
    before: usize,
    /// The servers of the new one, in order.
    servers: Vec<Run>,
    /// The rest of it: without servers.
    rest: Balancer,
}

/// Neighbours in the new list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Run {
    /// They were neighbours before, and are what they were.
    Kept {
        /// Place of the first in the old list.
        first: usize,
        /// How many.
        count: usize,
    },
    /// New, or other than it was.
    Other(Arc<VirtualServer>),
}

/// Where a server of the new list is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// This place of the old list, unchanged.
    Kept(usize),
    /// Nowhere: it is new, or other than it was.
    Other,
}

impl Changes {
    /// What makes `new` of `old`. Servers are the same when they share their memory ([`Balancer::share_with`]).
    pub fn between(old: &Balancer, new: &Balancer) -> Self {
        let places: HashMap<*const VirtualServer, usize> =
            old.servers.iter().enumerate().map(|(place, server)| (Arc::as_ptr(server), place)).collect();
        let mut servers = Vec::new();
        for server in &new.servers {
            match (places.get(&Arc::as_ptr(server)), servers.last_mut()) {
                (Some(place), Some(Run::Kept { first, count })) if *first + *count == *place => *count += 1,
                (Some(place), _) => servers.push(Run::Kept { first: *place, count: 1 }),
                (None, _) => servers.push(Run::Other(Arc::clone(server))),
            }
        }
        Self { before: old.servers.len(), servers, rest: new.without_servers() }
    }

    /// The new balancer, and where each of its servers is from; nothing when these are not the changes of `old`.
    pub fn applied_to(self, old: &Balancer) -> Option<(Balancer, Vec<Origin>)> {
        let (mut balancer, mut origins) = (self.rest, Vec::with_capacity(self.before));
        if self.before != old.servers.len() {
            return None;
        }
        for run in self.servers {
            match run {
                Run::Kept { first, count } => {
                    let end = first.checked_add(count)?;
                    balancer.servers.extend(old.servers.get(first..end)?.iter().cloned());
                    origins.extend((first..end).map(Origin::Kept));
                }
                Run::Other(server) => {
                    balancer.servers.push(server);
                    origins.push(Origin::Other);
                }
            }
        }
        Some((balancer, origins))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::settings::Address;
    use crate::types::Family;
    use proptest::prelude::*;

    /// Servers by number, each with a quorum.
    fn balancer(servers: &[(u8, u32)]) -> Balancer {
        let server = |(number, quorum): &(u8, u32)| {
            let address = Address::Socket([10, 0, 0, *number].into(), 80);
            Arc::new(VirtualServer { quorum: *quorum, ..VirtualServer::new(address, Family::V4) })
        };
        Balancer { servers: servers.iter().map(server).collect(), ..Balancer::default() }
    }

    fn lists() -> impl Strategy<Value = Vec<(u8, u32)>> {
        prop::collection::btree_map(0u8..12, 1u32..3, 0..12).prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn changes_make_the_new_of_the_old_on_the_other_side_of_a_pipe(old in lists(), new in lists(), flush: bool) {
            let (old, mut new) = (balancer(&old), Balancer { flush, ..balancer(&new) });
            new.share_with(&old);
            let bytes = postcard::to_stdvec(&Changes::between(&old, &new)).unwrap();
            let changes: Changes = postcard::from_bytes(&bytes).unwrap();
            let (made, origins) = changes.applied_to(&old).unwrap();
            prop_assert_eq!(&made, &new);
            for (origin, server) in origins.iter().zip(&new.servers) {
                let same = old.servers.iter().position(|other| other == server);
                prop_assert_eq!(*origin, same.map_or(Origin::Other, Origin::Kept));
            }
        }

        #[test]
        fn changes_of_something_else_are_refused_or_harmless(bytes in prop::collection::vec(any::<u8>(), 0..40), old in lists()) {
            if let Ok(changes) = postcard::from_bytes::<Changes>(&bytes) {
                let _ = changes.applied_to(&balancer(&old));
            }
        }
    }

    #[test]
    fn one_other_server_among_thousands_is_little_to_say() {
        let server = |number: u32, quorum| {
            let [_, a, b, c] = number.to_be_bytes();
            Arc::new(VirtualServer { quorum, ..VirtualServer::new(Address::Socket([10, a, b, c].into(), 80), Family::V4) })
        };
        let all = |quorum| Balancer {
            servers: (0..2000).map(|number| server(number, if number == 700 { quorum } else { 1 })).collect(),
            ..Balancer::default()
        };
        let (old, mut new) = (all(1), all(2));
        new.share_with(&old);
        let changes = Changes::between(&old, &new);
        assert!(postcard::to_stdvec(&changes).unwrap().len() < 200);
        assert_eq!(changes.clone().applied_to(&balancer(&[(1, 1)])), None);
        assert_eq!(changes.applied_to(&old).unwrap().0, new);
    }
}
