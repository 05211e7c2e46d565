use crate::config::load_text;
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use proptest::prelude::*;

fn routes(lines: &str) -> Vec<Route> {
    load_text(&format!("static_routes {{\n{lines}\n}}\n")).config.global.vrrp.static_routes
}

fn rules(lines: &str) -> Vec<Rule> {
    load_text(&format!("static_rules {{\n{lines}\n}}\n")).config.global.vrrp.static_rules
}

/// What the original prints of the same lines in `keepalived.data`.
#[test]
fn routes_read_back_as_the_original_shows_them() {
    for (written, shown) in [
        ("198.51.100.0/24 via 192.168.1.2 dev eth0", "prepend 198.51.100.0/24 via inet 192.168.1.2 dev eth0 proto 18"),
        ("198.51.101.0/24 via 192.168.1.2", "prepend 198.51.101.0/24 via inet 192.168.1.2 proto 18 no_track"),
        ("198.51.102.0/24 via 192.168.1.2 dev eth0 no_track", "prepend 198.51.102.0/24 via inet 192.168.1.2 dev eth0 no_track"),
        (
            "198.51.103.0/24 dev eth1 src 10.1.0.1 table 100 metric 5",
            "prepend 198.51.103.0/24 src 10.1.0.1 dev eth1 table 100 proto 18 metric 5",
        ),
        ("blackhole 198.51.104.0/24", "add blackhole 198.51.104.0/24 proto 18 no_track"),
        (
            "198.51.109.0/24 nexthop via 192.168.1.2 dev eth0 weight 3 nexthop via 192.168.1.3 weight 256 onlink dev eth0",
            "prepend 198.51.109.0/24 proto 18 nexthop via inet 192.168.1.2 dev eth0 weight 3 \
             nexthop via inet 192.168.1.3 dev eth0 weight 256 onlink no_track",
        ),
        (
            "198.51.108.0/24 via 192.168.1.2 mtu 1400 hoplimit 10 advmss lock 1300 rtt 2s rttvar 30ms reordering 5 window 1000 \
             cwnd lock 7 ssthresh lock 8 realms 1/2 rto_min 30ms initcwnd 11 initrwnd 12 features ecn quickack 1 congctl reno \
             fastopen_no_cookie 1 tos 4 scope global ttl-propagate enabled add",
            "add 198.51.108.0/24 tos 4 via inet 192.168.1.2 proto 18 scope 0 realms 1/2 congctl reno rtt 2s rttvar 200ms \
             rto_min 200ms features ecn mtu 1400 window 1000 ssthresh lock 8 cwnd lock 7 advmss lock 1300 reordering 5 \
             hoplimit 10 initcwnd 11 initrwnd 12 quickack 1 fastopen_no_cookie 1 ttl-propagate enabled no_track",
        ),
    ] {
        assert_eq!(routes(written).iter().map(ToString::to_string).collect::<Vec<_>>(), [shown], "{written}");
    }
}

#[test]
fn rules_read_back_as_the_original_shows_them() {
    for (written, shown) in [
        ("from 192.168.1.100 table 100 priority 1000", "from 192.168.1.100 priority 1000 tos 0x0 protocol 18 lookup 100"),
        ("to 192.168.50.0/24 table 100 priority 1001 no_track", "from all to 192.168.50.0/24 priority 1001 tos 0x0 lookup 100 no_track"),
        (
            "not from 192.168.28.0/24 to 192.168.29.0/26 table 5 iif eth0 oif eth1 tos 16 fwmark 24/12 preference 39 \
             realms 30/20 suppress_prefixlength 3 suppress_ifgroup 4",
            "not from 192.168.28.0/24 to 192.168.29.0/26 priority 39 tos 0x10 fwmark 0x18/0xc iif eth0 oif eth1 \
             suppress_prefixlen 3 suppress_ifgroup 4 protocol 18 realms 30/20 lookup 5",
        ),
        ("from 10.0.0.0/8 goto 1200 priority 1100", "from 10.0.0.0/8 priority 1100 tos 0x0 protocol 18 goto 1200"),
        ("uidrange 1-2 blackhole priority 1101", "from all priority 1101 tos 0x0 uidrange 1-2 protocol 18 type blackhole"),
        (
            "ipproto tcp sport 10-20 dport 20-30 tunnel-id 7 l3mdev priority 1102",
            "from all priority 1102 tos 0x0 tunnel-id 7 l3mdev protocol 18 ipproto 6 sport 10-20 dport 20-30 lookup 0",
        ),
    ] {
        assert_eq!(rules(written).iter().map(ToString::to_string).collect::<Vec<_>>(), [shown], "{written}");
    }
}

#[test]
fn a_family_word_decides_what_default_means() {
    let family = |line: &str| routes(line)[0].destination.to_string();
    assert_eq!((family("default dev lo"), family("inet6 default dev lo")), ("0.0.0.0/0".to_owned(), "::/0".to_owned()));
    assert_eq!(family("default via fe80::1 dev lo"), "::/0");
}

#[test]
fn a_group_is_followed_by_its_members_through_the_interfaces_of_what_names_it() {
    let text = "track_group G {\n group {\n A nobody\n }\n}\nstatic_ipaddress {\n 10.0.0.1/24 dev eth3 track_group G\n}\n\
                static_routes {\n 10.0.0.0/8 dev eth1 track_group G\n 10.1.0.0/16 dev eth4\n}\n\
                static_rules {\n iif eth2 table 5 priority 1 track_group G\n}\n\
                vrrp_instance A {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n";
    let loaded = load_text(text);
    assert_eq!(loaded.config.instances[0].follows, ["eth1", "eth2", "eth3"]);
    assert_eq!(loaded.config.global.vrrp.track_groups[0].members, ["A"]);
    assert!(loaded.report.diagnostics()[0].render().contains("instance nobody does not exist"));
}

#[test]
fn a_misspelt_word_is_told_with_what_was_meant() {
    let loaded = load_text("static_routes {\n 10.0.0.0/8 deev eth0\n}\nstatic_rules {\n from 10.0.0.0/8 tabel 5\n}\n");
    let said: Vec<String> = loaded.report.diagnostics().iter().map(crate::config::Diagnostic::render).collect();
    assert!(said[0].contains(":2:13") && said[0].contains("did you mean 'dev'?"), "{}", said[0]);
    assert!(said[1].contains(":5:18") && said[1].contains("did you mean 'table'?"), "{}", said[1]);
}

proptest! {
    #[test]
    fn no_words_panic(words in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(vec![
                "default", "10.0.0.0/8", "2001:db8::/32", "via", "dev", "nexthop", "weight", "encap", "ip", "ip6", "mpls", "ila", "table", "main",
                "from", "to", "priority", "goto", "fwmark", "1/2", "rtt", "9.9.9s", "lock", "realms", "or", "inet6", "track_group", "uidrange",
                "sport", "4294967296", "-1", "0x", "mtu", "features", "pref", "type", "blackhole", "as", "src", "expires", "congctl", "l3mdev",
            ]).prop_map(str::to_owned),
            "[!-z]{0,8}",
        ], 1..12)) {
        let line: String = words.join(" ").chars().filter(|c| !"{}\"#!$@~".contains(*c)).collect();
        let text = format!("static_routes {{\n{line}\n}}\nstatic_rules {{\n{line}\n}}\nvrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\n\
                            virtual_ipaddress {{\n192.0.2.1\n}}\nvirtual_routes {{\n{line}\n}}\nvirtual_rules {{\n{line}\n}}\n}}\n");
        let loaded = load_text(&text);
        for route in loaded.config.global.vrrp.static_routes { let _ = route.to_string(); }
        for rule in loaded.config.global.vrrp.static_rules { let _ = rule.to_string(); }
    }
}
