//! `nftables_ipvs`: a group's addresses become one service a protocol, by a firewall mark that nftables sets on what is sent
//! to them. However many addresses a group has, the kernel's balancer holds its real servers once.

use super::settings::{Address, GroupEntry, Marking, Protocol, VirtualServer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What is sent to these addresses gets this mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Marked {
    /// Transport protocol.
    pub protocol: Protocol,
    /// First address.
    pub first: IpAddr,
    /// Last address, of the same family.
    pub last: IpAddr,
    /// Port; 0 is every port.
    pub port: u16,
    /// The mark.
    pub mark: u32,
}

/// Gives the servers of each group of addresses their mark: the one that the same group and protocol had `before`, else the
/// next that nobody has. Groups that hold marks themselves stay as they are, as in keepalived 2.2.7.
pub fn assign(servers: &mut [Arc<VirtualServer>], before: &[Arc<VirtualServer>], marking: &Marking) {
    let known: BTreeMap<(String, Protocol), u32> =
        before.iter().filter_map(|server| Some(((group(server)?.to_owned(), server.protocol), server.mark?))).collect();
    let mut marks: BTreeMap<(String, Protocol), u32> = BTreeMap::new();
    let mut taken: BTreeSet<u32> = known.values().copied().chain(servers.iter().flat_map(|server| written(server))).collect();
    let mut next = marking.first;
    for server in servers {
        let Some(name) = group(server) else { continue };
        let key = (name.to_owned(), server.protocol);
        let mark = *marks.entry(key.clone()).or_insert_with(|| {
            known.get(&key).copied().unwrap_or_else(|| {
                while !taken.insert(next) {
                    next = next.checked_add(1).unwrap_or(1);
                }
                next
            })
        });
        if server.mark != Some(mark) {
            Arc::make_mut(server).mark = Some(mark);
        }
    }
}

/// All that is to be marked.
pub fn marked(servers: &[Arc<VirtualServer>]) -> BTreeSet<Marked> {
    let mut all = BTreeSet::new();
    for server in servers {
        let (Address::Group(_, entries), Some(mark)) = (&server.address, server.mark) else { continue };
        for entry in entries {
            if let GroupEntry::Range { first, last, port } = *entry {
                all.insert(Marked { protocol: server.protocol, first, last, port, mark });
            }
        }
    }
    all
}

/// The name of a server's group, when that is of addresses alone.
fn group(server: &VirtualServer) -> Option<&str> {
    let Address::Group(name, entries) = &server.address else { return None };
    let addresses = !entries.is_empty() && entries.iter().all(|entry| matches!(entry, GroupEntry::Range { .. }));
    addresses.then_some(name)
}

/// Marks that somebody wrote.
fn written(server: &VirtualServer) -> Vec<u32> {
    match &server.address {
        Address::Socket(..) => Vec::new(),
        Address::Mark(mark) => vec![*mark],
        Address::Group(_, entries) => {
            entries.iter().filter_map(|entry| if let GroupEntry::Mark(mark, _) = entry { Some(*mark) } else { None }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::table::{ServiceKey, keys};
    use crate::types::{Family, Firewall};

    fn server(group: &str, protocol: Protocol, entries: &[GroupEntry]) -> Arc<VirtualServer> {
        let mut server = VirtualServer::new(Address::Group(group.to_owned(), entries.to_vec()), Family::V4);
        server.protocol = protocol;
        Arc::new(server)
    }

    fn range(first: &str, last: &str) -> GroupEntry {
        GroupEntry::Range { first: first.parse().unwrap(), last: last.parse().unwrap(), port: 80 }
    }

    fn marking() -> Marking {
        Marking { firewall: Firewall::named("keepalived_ipvs"), first: 1000 }
    }

    fn marks(servers: &[Arc<VirtualServer>]) -> Vec<Option<u32>> {
        servers.iter().map(|server| server.mark).collect()
    }

    #[test]
    fn a_group_has_a_mark_for_each_protocol_and_one_service() {
        let (a, b) = ([range("10.0.0.1", "10.0.0.200")], [range("10.1.0.1", "10.1.0.1"), range("2001:db8::1", "2001:db8::9")]);
        let mixed = [range("10.2.0.1", "10.2.0.1"), GroupEntry::Mark(1002, None)];
        let mut servers = vec![
            server("A", Protocol::Tcp, &a),
            server("A", Protocol::Udp, &a),
            server("A", Protocol::Tcp, &a),
            server("M", Protocol::Tcp, &mixed),
            server("B", Protocol::Tcp, &b),
            Arc::new(VirtualServer::new(Address::Mark(1000), Family::V4)),
        ];
        assign(&mut servers, &[], &marking());
        assert_eq!(marks(&servers), [Some(1001), Some(1003), Some(1001), None, Some(1004), None], "1000 and 1002 are somebody's");
        assert_eq!(keys(&servers[0]), [ServiceKey::Mark(Family::V4, 1001)]);
        assert_eq!(keys(&servers[4]), [ServiceKey::Mark(Family::V4, 1004), ServiceKey::Mark(Family::V6, 1004)]);
        assert_eq!(keys(&servers[3]).len(), 2, "a group with marks of its own is left alone");
        let marked = marked(&servers);
        assert_eq!(marked.len(), 4);
        assert!(marked.iter().all(|marked| marked.port == 80 && marked.mark != 1000));
    }

    #[test]
    fn a_reload_keeps_the_marks_of_groups_that_stay() {
        let entries = [range("10.0.0.1", "10.0.0.1")];
        let mut before = vec![server("A", Protocol::Tcp, &entries), server("B", Protocol::Tcp, &entries)];
        assign(&mut before, &[], &marking());
        let mut after = vec![server("N", Protocol::Tcp, &entries), server("B", Protocol::Tcp, &entries)];
        assign(&mut after, &before, &marking());
        assert_eq!(marks(&after), [Some(1002), Some(1001)]);
    }
}
