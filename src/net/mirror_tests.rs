use super::*;
use crate::net::address::{IFA_ADDRESS, IFA_LOCAL, IFA_PROTO};
use crate::net::link::{IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, LINK_HEADER};
use crate::net::wire::{Builder, Messages};
use crate::types::Family;
use proptest::prelude::*;
use std::net::IpAddr;

fn link(index: u32, name: &str, flags: u32) -> Vec<u8> {
    let mut fixed = [0; LINK_HEADER];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    let mut message = Builder::default();
    message.message(libc::RTM_NEWLINK, 0, 0, &fixed, |m| {
        m.text(IFLA_IFNAME, name);
        m.attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]);
        m.attribute(IFLA_MTU, &1500u32.to_ne_bytes());
        // Of a kernel to come.
        m.attribute(9000, &[1]);
    });
    message.bytes().to_vec()
}

fn address(kind: u16, index: u32, last: u8, flags: u8) -> Vec<u8> {
    let mut fixed = [libc::AF_INET as u8, 24, flags, 0, 0, 0, 0, 0];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut message = Builder::default();
    message.message(kind, 0, 0, &fixed, |m| {
        m.attribute(IFA_ADDRESS, &[10, 0, 0, last]);
        m.attribute(IFA_LOCAL, &[10, 0, 0, last]);
        m.attribute(IFA_PROTO, &[18]);
    });
    message.bytes().to_vec()
}

fn feed(mirror: &mut Mirror, bytes: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    for message in Messages(bytes) {
        mirror.apply(&message, &mut changes).unwrap();
    }
    changes
}

const UP: u32 = (libc::IFF_UP | libc::IFF_RUNNING) as u32;

#[test]
fn the_same_message_twice_changes_once() {
    let mut mirror = Mirror::default();
    assert_eq!(feed(&mut mirror, &link(3, "eth0", UP)), [Change::LinkAppeared(3)]);
    assert_eq!(feed(&mut mirror, &link(3, "eth0", UP)), []);
    assert_eq!(feed(&mut mirror, &link(3, "eth0", 0)), [Change::LinkChanged(3)]);
    assert_eq!(feed(&mut mirror, &address(libc::RTM_NEWADDR, 3, 1, 0)).len(), 1);
    assert_eq!(feed(&mut mirror, &address(libc::RTM_NEWADDR, 3, 1, 0)), []);
    assert!(matches!(feed(&mut mirror, &address(libc::RTM_NEWADDR, 3, 1, 1))[..], [Change::AddressChanged { ifindex: 3, .. }]));
    assert_eq!(feed(&mut mirror, &link(3, "eth0", 0)), [], "addresses do not make a link differ");
    assert_eq!(feed(&mut mirror, &address(libc::RTM_DELADDR, 3, 1, 1)).len(), 1);
    assert_eq!(feed(&mut mirror, &address(libc::RTM_DELADDR, 3, 1, 1)), []);
}

#[test]
fn links_that_trade_names_are_both_found() {
    let mut mirror = Mirror::default();
    for (index, name) in [(3, "a"), (4, "b"), (3, "t"), (4, "a"), (3, "b")] {
        feed(&mut mirror, &link(index, name, UP));
    }
    assert_eq!((mirror.by_name("a").unwrap().index, mirror.by_name("b").unwrap().index), (4, 3));
    assert_eq!(mirror.by_name("t"), None);
}

#[test]
fn a_fresh_dump_tells_all_that_was_missed() {
    let mut before = Mirror::default();
    for bytes in [link(3, "eth0", UP), link(4, "gone0", UP), address(libc::RTM_NEWADDR, 3, 1, 0), address(libc::RTM_NEWADDR, 3, 2, 0)] {
        feed(&mut before, &bytes);
    }
    let mut fresh = Mirror::default();
    for bytes in [link(3, "eth0", 0), link(5, "new0", UP), address(libc::RTM_NEWADDR, 3, 2, 0), address(libc::RTM_NEWADDR, 3, 3, 0)] {
        feed(&mut fresh, &bytes);
    }
    let changes = before.replace(fresh.clone());
    assert_eq!(before, fresh);
    let ip = |last: u8| IpPrefix::new([10, 0, 0, last].into(), 24).unwrap();
    assert!(changes.contains(&Change::LinkGone { index: 4, name: "gone0".to_owned() }));
    assert!(changes.contains(&Change::LinkChanged(3)) && changes.contains(&Change::LinkAppeared(5)));
    assert!(changes.contains(&Change::AddressGone { ifindex: 3, prefix: ip(1) }));
    assert!(changes.iter().any(|change| matches!(change, Change::AddressAppeared { address, .. } if address.prefix == ip(3))));
    assert_eq!(changes.len(), 5, "{changes:?}");
    assert_eq!(before.replace(fresh), []);
}

#[test]
fn the_source_is_the_first_address_that_is_not_virtual() {
    let mut mirror = Mirror::default();
    feed(&mut mirror, &link(3, "eth0", UP));
    for last in [100, 1, 2] {
        feed(&mut mirror, &address(libc::RTM_NEWADDR, 3, last, 0));
    }
    let virtual_address = IpAddr::from([10, 0, 0, 100]);
    let link = mirror.link(3).unwrap();
    assert_eq!(link.source(Family::V4, |ip| ip == virtual_address), Some([10, 0, 0, 1].into()));
    assert_eq!(link.source(Family::V6, |_| false), None);
}

#[test]
fn a_cut_message_is_refused_and_changes_nothing() {
    let mut mirror = Mirror::default();
    feed(&mut mirror, &link(3, "eth0", UP));
    let before = mirror.clone();
    for kind in [libc::RTM_NEWLINK, libc::RTM_DELLINK, libc::RTM_NEWADDR, libc::RTM_DELADDR] {
        let message = Message { kind, flags: 0, sequence: 0, payload: &[0] };
        assert_eq!(mirror.apply(&message, &mut Vec::new()), Err(Undecodable(kind)));
    }
    assert_eq!(mirror, before);
}

proptest! {
    #[test]
    fn arbitrary_messages_never_panic_and_never_lose_count(messages in proptest::collection::vec((16u16..24, payload()), 0..30)) {
        let mut mirror = Mirror::default();
        feed(&mut mirror, &link(3, "eth0", UP));
        for (kind, payload) in &messages {
            let _ = mirror.apply(&Message { kind: *kind, flags: 0, sequence: 0, payload }, &mut Vec::new());
        }
        for link in mirror.links() {
            prop_assert_eq!(link.addresses.iter().count(), link.addresses.len());
            prop_assert!(link.addresses.iter().all(|address| link.addresses.get(&address.key()) == Some(address)));
        }
    }

    #[test]
    fn any_two_mirrors_differ_by_what_replace_tells(before in world(), after in world()) {
        let mut mirror = build(&before);
        let changes = mirror.replace(build(&after));
        prop_assert_eq!(&mirror, &build(&after));
        prop_assert_eq!(changes.is_empty(), build(&before) == build(&after));
    }
}

/// Bytes that look enough like a message to be read far: a family, an index, attributes of any length and content.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (0u16..20, proptest::collection::vec(any::<u8>(), 0..20), 0u16..3);
    (prop::sample::select(vec![0u8, 2, 7, 10]), 0u8..130, 2u32..5, proptest::collection::vec(attribute, 0..6), any::<bool>()).prop_map(
        |(family, length, index, attributes, cut)| {
            let mut bytes = vec![family, length, 0, 0];
            bytes.extend(index.to_ne_bytes());
            bytes.extend(std::iter::repeat_n(0, if attributes.len() % 2 == 0 { 8 } else { 0 }));
            for (kind, value, lie) in attributes {
                bytes.extend((value.len() as u16 + 4 + lie * 9).to_ne_bytes());
                bytes.extend(kind.to_ne_bytes());
                bytes.extend(&value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes.truncate(if cut { bytes.len() * 2 / 3 } else { bytes.len() });
            bytes
        },
    )
}

/// Links 1 to 3, up or not, with addresses.
fn world() -> impl Strategy<Value = BTreeMap<u32, (bool, std::collections::BTreeSet<u8>)>> {
    proptest::collection::btree_map(1u32..4, (any::<bool>(), proptest::collection::btree_set(0u8..6, 0..5)), 0..4)
}

fn build(world: &BTreeMap<u32, (bool, std::collections::BTreeSet<u8>)>) -> Mirror {
    let mut mirror = Mirror::default();
    for (index, (up, addresses)) in world {
        feed(&mut mirror, &link(*index, &format!("eth{index}"), if *up { UP } else { 0 }));
        for last in addresses {
            feed(&mut mirror, &address(libc::RTM_NEWADDR, *index, *last, 0));
        }
    }
    mirror
}
