use super::*;
use crate::config::load_text;
use crate::net::rule::{RuleKey, RuleOp};
use crate::net::wire::Messages;
use proptest::prelude::*;

/// Recorded from the original; `tests/paths/netlink.tsv` says how.
const RECORDED: &str = include_str!("../../tests/paths/netlink.tsv");

fn index(name: &str) -> Option<u32> {
    match name {
        "lo" => Some(1),
        "eth0" => Some(3),
        "eth1" => Some(5),
        _ => None,
    }
}

fn hex(order: &impl Order) -> String {
    let mut builder = Builder::default();
    order.emit(&mut builder, 0, Mode::Fresh);
    builder.acknowledge_last();
    builder.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn recorded(kind: &str) -> impl Iterator<Item = [&'static str; 3]> {
    let rows = RECORDED.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(move |row| row[0] == kind).map(|row| [row[1], row[2], row[3]])
}

/// The flag that marks a nest is new; the original sets it nowhere, and in older kernels it has no meaning.
fn without_nest_flags(hex: &str) -> String {
    let mut bytes: Vec<u8> = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let mut at = 28;
    while at + 4 <= bytes.len() {
        let length = usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
        bytes[at + 3] &= 0x7f;
        at += length.max(4).next_multiple_of(4);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_route_is_asked_for_byte_for_byte_as_by_the_original() {
    let mut seen = 0;
    for [line, add, delete] in recorded("route") {
        let config = load_text(&format!("static_routes {{\n{line}\n}}\n")).config;
        let route = KernelRoute::of(&config.global.vrrp.static_routes[0], index).unwrap();
        assert_eq!(without_nest_flags(&hex(&RouteOp::Add(route.clone()))), without_nest_flags(add), "{line}");
        if delete != "-" {
            assert_eq!(without_nest_flags(&hex(&RouteOp::Delete(route))), without_nest_flags(delete), "{line}");
        }
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn every_rule_is_asked_for_byte_for_byte_as_by_the_original() {
    let mut seen = 0;
    // A rule without preference gets one by its place: all are read together.
    let lines: Vec<[&str; 3]> = recorded("rule").collect();
    let text: String = lines.iter().map(|[line, ..]| format!("{line}\n")).collect();
    let rules = load_text(&format!("static_rules {{\n{text}}}\n")).config.global.vrrp.static_rules;
    assert_eq!(rules.len(), lines.len());
    for (rule, [line, add, delete]) in rules.into_iter().zip(lines) {
        assert_eq!(hex(&RuleOp::Add(rule.clone())), add, "{line}");
        if delete != "-" {
            assert_eq!(hex(&RuleOp::Delete(rule)), delete, "{line}");
        }
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn a_route_is_known_again_in_what_the_kernel_reports() {
    let text = "static_routes {\n10.0.0.0/8 via 192.168.1.2 dev eth0 metric 5 table 1000\n2001:db8::/32 dev eth1\n}\n";
    for route in load_text(text).config.global.vrrp.static_routes {
        let route = KernelRoute::of(&route, index).unwrap();
        let mut builder = Builder::default();
        // The kernel says the metric that it took.
        let named = KernelRoute { route: Route { metric: Some(route.key().metric), ..route.route.clone() }, ..route.clone() };
        RouteOp::Add(named).emit(&mut builder, 0, Mode::Fresh);
        let message = Messages(builder.bytes()).next().unwrap();
        assert_eq!(RouteKey::of_ours(&message), Some(route.key()));
    }
}

#[test]
fn routes_and_rules_of_others_are_none_of_ours() {
    let text = "static_routes {\n10.0.0.0/8 dev eth0 protocol static no_track\n}\nstatic_rules {\nfrom 10.0.0.0/8 table 5 priority 1 no_track\n}\n";
    let config = load_text(text).config.global.vrrp;
    let mut builder = Builder::default();
    RouteOp::Add(KernelRoute::of(&config.static_routes[0], index).unwrap()).emit(&mut builder, 0, Mode::Fresh);
    RuleOp::Add(config.static_rules[0].clone()).emit(&mut builder, 1, Mode::Fresh);
    let messages: Vec<_> = Messages(builder.bytes()).collect();
    assert_eq!((RouteKey::of_ours(&messages[0]), RuleKey::of_ours(&messages[1])), (None, None));
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let config = load_text("static_routes {\n10.0.0.0/8 nexthop via 10.0.0.1 dev eth9\n}\n").config;
    assert_eq!(KernelRoute::of(&config.global.vrrp.static_routes[0], index).unwrap_err(), "eth9");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), family in proptest::sample::select(vec![2u8, 10, 7])) {
        let mut payload = bytes;
        if let Some(first) = payload.first_mut() { *first = family; }
        let message = Message { kind: libc::RTM_DELROUTE, flags: 0, sequence: 0, payload: &payload };
        let _ = RouteKey::of_ours(&message);
        let _ = RuleKey::of_ours(&message);
    }
}
