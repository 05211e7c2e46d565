use super::*;
use crate::net::lab::{self, Lab};

fn marked(protocol: Protocol, first: &str, last: &str, port: u16, mark: u32) -> Marked {
    Marked { protocol, first: first.parse().unwrap(), last: last.parse().unwrap(), port, mark }
}

fn ruleset() -> Vec<String> {
    let shown = lab::output(&["nft", "list", "ruleset"]);
    shown.lines().map(|line| line.trim().trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_tables_are_what_keepalived_2_2_7_makes() {
    lab::run(|_: Lab| async move {
        let settings = Firewall { priority: -5, ..Firewall::named("mine") };
        let mut marker = Marker::open(&settings).unwrap();
        marker.set(&BTreeSet::new()).unwrap();
        assert!(ruleset().is_empty(), "no table before it is needed");
        let wanted = BTreeSet::from([
            marked(Protocol::Tcp, "10.1.1.1", "10.1.1.1", 80, 1000),
            marked(Protocol::Tcp, "10.1.1.4", "10.1.1.10", 80, 1000),
            marked(Protocol::Tcp, "10.1.2.0", "10.1.2.3", 443, 1001),
            marked(Protocol::Udp, "10.1.1.1", "10.1.1.1", 53, 1002),
            marked(Protocol::Sctp, "2001:db8::10", "2001:db8::20", 80, 1003),
        ]);
        marker.set(&wanted).unwrap();
        let shown = ruleset();
        for line in [
            "table ip mine {",
            "map tcp_map {",
            "type ipv4_addr . inet_service : mark",
            "flags interval",
            "elements = { 10.1.1.1 . 80 : 0x000003e8",
            "10.1.1.4-10.1.1.10 . 80 : 0x000003e8",
            "10.1.2.0/30 . 443 : 0x000003e9 }",
            "elements = { 10.1.1.1 . 53 : 0x000003ea }",
            "type filter hook input priority filter - 5; policy accept;",
            "meta mark set ip daddr . tcp dport map @tcp_map return",
            "meta mark set ip daddr . udp dport map @udp_map return",
            "table ip6 mine {",
            "type ipv6_addr . inet_service : mark",
            "elements = { 2001:db8::10-2001:db8::20 . 80 : 0x000003eb }",
            "meta mark set ip6 daddr . sctp dport map @sctp_map return",
        ] {
            assert!(shown.iter().any(|shown| shown == line), "{line}\n{shown:#?}");
        }
        // Another life finds these, and has other wishes.
        let mut next = Marker::open(&settings).unwrap();
        next.set(&BTreeSet::from([marked(Protocol::Udp, "10.1.1.1", "10.1.1.1", 0, 1002)])).unwrap();
        let shown = ruleset();
        assert!(shown.iter().any(|line| line == "elements = { 10.1.1.1 . 0-65535 : 0x000003ea }"), "{shown:#?}");
        assert!(!shown.iter().any(|line| line.contains("tcp") || line.contains("ip6")), "{shown:#?}");
        next.set(&BTreeSet::new()).unwrap();
        assert!(ruleset().is_empty());
    });
}

#[test]
fn a_group_may_have_tens_of_thousands_of_lines() {
    lab::run(|_: Lab| async move {
        let mut marker = Marker::open(&Firewall { counters: true, ..Firewall::named("many") }).unwrap();
        let v4 = |number: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 + 2 * number).to_string();
        let v6 = |number: u32| format!("2001:db8::{:x}", 0x1000 + 2 * number);
        let all = |address: &dyn Fn(u32) -> String, count| -> BTreeSet<Marked> {
            (0..count).map(|n| marked(Protocol::Tcp, &address(n), &address(n), 80, 1000)).collect()
        };
        marker.set(&all(&v4, 20_000).union(&all(&v6, 5000)).copied().collect()).unwrap();
        let shown = ruleset();
        for last in ["10.0.156.62", "2001:db8::370e"] {
            assert!(shown.iter().any(|line| line.contains(&format!("{last} . 80 counter packets 0 bytes 0"))), "{last} is there");
        }
        marker.set(&BTreeSet::new()).unwrap();
        assert!(ruleset().is_empty());
    });
}

#[test]
fn packets_to_the_addresses_carry_the_mark_and_others_do_not() {
    lab::run(|_: Lab| async move {
        let mut marker = Marker::open(&Firewall::named("marks")).unwrap();
        marker.set(&BTreeSet::from([marked(Protocol::Udp, "127.0.0.7", "127.0.0.8", 4000, 1000)])).unwrap();
        lab::output(&[
            "nft",
            "add table ip seen; add chain ip seen in { type filter hook input priority 10; };\
            add rule ip seen in meta mark 1000 counter",
        ]);
        for to in ["127.0.0.7:4001", "127.0.0.9:4000", "127.0.0.8:4000"] {
            std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", to).unwrap();
        }
        let count = || lab::output(&["nft", "list", "table", "ip", "seen"]);
        lab::until("one marked packet is counted", || count().contains("counter packets 1 ")).await;
    });
}
