//! Routes and rules: those that move with an instance and those that stay on the host, held against the original where it is installed.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;

/// Every route and rule of the host that is not the kernel's own, sorted: `ip` prints them, so this is an independent reader.
fn paths(host: &Host) -> Vec<String> {
    let kernels = ["proto kernel", "lookup local", "lookup main", "lookup default"];
    let shown = host.sh("ip -d route show table all; ip -d -6 route show table all; ip rule; ip -6 rule").unwrap();
    let mut lines: Vec<String> = Vec::new();
    for line in shown.lines() {
        match (line.starts_with(['\t', ' ']), lines.last_mut()) {
            // a next hop belongs to its route
            (true, Some(last)) => *last += line.trim_end(),
            _ => lines.push(line.trim().to_owned()),
        }
    }
    let wanted = |line: &String| {
        line.contains("proto keepalived") || line.contains("proto static") || !kernels.iter().any(|word| line.contains(word))
    };
    let ours = |line: &String| {
        !["local ", "broadcast ", "multicast ff", "unicast fe80::/64", "unicast ff00"].iter().any(|word| line.starts_with(word))
    };
    let mut lines: Vec<String> = lines.into_iter().filter(|line| wanted(line) && ours(line)).map(|line| since(&line)).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Without how long a route still lives, and without the router advertisements' seconds.
fn since(line: &str) -> String {
    line.split_whitespace().map(|word| if word.ends_with("sec") { "Nsec" } else { word }).collect::<Vec<_>>().join(" ")
}

fn has(host: &Host, what: &str) -> bool {
    paths(host).iter().any(|line| line.contains(what))
}

const ROUTES: &str = "virtual_routes {
        198.51.100.0/24 via 172.25.254.2 dev eth0
        198.51.101.0/24 dev eth0 src 172.25.254.100 table 100 metric 5
        2001:db8:100::/48 via fd00:25::2 dev eth0
        blackhole 198.51.104.0/24 no_track
    }
    virtual_rules {
        from 172.25.254.100 table 100 priority 1000
        to 198.51.101.0/24 table 100 priority 1001 no_track
    }
    virtual_ipaddress_excluded {
        fd00:25::100/64
    }";

/// What stands where ROUTES are held.
const HELD: [&str; 6] = [
    "198.51.100.0/24 via 172.25.254.2",
    "198.51.101.0/24 dev eth0 table 100",
    "2001:db8:100::/48",
    "blackhole 198.51.104.0/24",
    "1000:",
    "1001:",
];

fn holds_all(host: &Host) -> bool {
    let all = paths(host);
    HELD.iter().all(|wanted| all.iter().any(|line| line.contains(wanted)))
}

fn holds_none(host: &Host) -> bool {
    let all = paths(host);
    !HELD.iter().any(|wanted| all.iter().any(|line| line.contains(wanted)))
}

/// Lines of `static_routes`, several kinds each.
const STATIC_ROUTES: &[&str] = &[
    "198.51.100.0/24 via 172.25.254.2 dev eth0",
    "198.51.101.0/24 via 172.25.254.2",
    "198.51.102.0/24 dev eth1",
    "default via 172.25.254.254 metric 50",
    "blackhole 198.51.103.0/24",
    "unreachable 198.51.104.0/24 table 100",
    "throw 198.51.105.0/24 table 100",
    "prohibit 198.51.106.0/24",
    "to 198.51.107.1 via 172.25.254.2 tos 4 table 10 scope site protocol static metric 7 onlink dev eth0",
    "198.51.108.0/24 via 172.25.254.2 mtu 1400 hoplimit 10 advmss lock 1300 rtt 2s rttvar 30ms reordering 5 window 1000 cwnd lock 7 \
     ssthresh lock 8 realms 1/2 rto_min 30ms initcwnd 11 initrwnd 12 features ecn quickack 1 congctl reno fastopen_no_cookie 1",
    "198.51.109.0/24 nexthop via 172.25.254.2 dev eth0 weight 3 nexthop via 172.25.254.3 weight 256 onlink dev eth0",
    "198.51.111.0/24 via 172.25.254.2 or 172.25.254.3",
    "198.51.112.0/24 via 172.25.254.2 no_track",
    "198.51.113.0/24 via 172.25.254.2 no_track protocol 33",
    "198.51.114.0/24 via 172.25.254.2 ttl-propagate disabled",
    "198.51.115.0/24 via 172.25.254.2 mtu lock 1400 congctl lock cubic",
    "198.51.117.0/24 gw 172.25.254.2",
    "198.51.118.0/24 dev eth0 scope link",
    "198.51.119.0/24 via 172.25.254.2 append",
    "198.51.119.0/24 via 172.25.254.3 append metric 3",
    "198.51.120.0/24 via 172.25.254.2 add table 1000",
    "198.51.121.0/24 dev eth1 bogus",
    "198.51.121.0/24 via fe80::1 dev eth1",
    "2001:db8:100::/48 via fd00:25::2",
    "2001:db8:101::/48 dev eth1 metric 5",
    "2001:db8:102::/48 via fd00:25::2 expires 1000 pref high",
    "default via fd00:25::3 pref low",
    "2001:db8:105::/48 nexthop via fd00:25::2 dev eth0 nexthop via fd00:25::3 dev eth0 weight 2",
];

/// Lines of `static_rules`.
const STATIC_RULES: &[&str] = &[
    "from 192.168.2.0/24 table 1",
    "to 192.168.3.0/24 table 1 priority 100",
    "not from 192.168.4.0/24 table main preference 101",
    "from 192.168.28.0/24 to 192.168.29.0/26 table 5 iif eth0 oif eth1 tos 16 fwmark 24/12 preference 39 realms 30/20",
    "from 10.0.0.0/8 goto 200 preference 110",
    "from 10.1.0.0/16 blackhole priority 120",
    "from 10.2.0.0/16 unreachable priority 121",
    "from 10.3.0.0/16 prohibit priority 122",
    "from 10.4.0.0/16 nop priority 123",
    "from default table 7 priority 124",
    "from 2001:db8::/32 table 9 priority 127 suppress_prefixlength 0",
    "from 10.5.0.0/16 table 9 priority 128 suppress_ifgroup default",
    "uidrange 1000-2000 table 9 priority 129",
    "fwmark 5/0xff table 9 priority 131",
    "l3mdev priority 132",
    "ipproto tcp sport 10-20 dport 20-30 table 9 priority 133",
    "ipproto 17 sport 10 table 9 priority 134",
    "tunnel-id 7 table 9 priority 135",
    "from 10.6.0.0/16 table 9 no_track priority 136",
    "from 10.7.0.0/16 table 9 protocol 33 priority 137",
    "from 10.10.0.0/16 table 9",
    "from 10.11.0.0/16 to 2001:db8::/32 table 9",
    "from 10.12.0.0/16",
    "from 10.13.0.0/16 table 1000 priority 0x100",
    "from 10.16.0.0/16 table 1000 priority 300 bogus",
];

/// The same words give the same kernel: ours and the original, each on a host of its own, and nothing is left behind.
#[test]
fn every_line_becomes_in_the_kernel_what_the_original_makes_of_it() {
    let original = std::path::Path::new("/usr/sbin/keepalived");
    if !original.exists() {
        return skip("the original keepalived is not installed");
    }
    laboratory_of(plan().program("original", original), &["ka1", "ka2"], |lab| {
        lab.second_network("eth1", &["ka1", "ka2"]).unwrap();
        let text = format!("static_routes {{\n{}\n}}\nstatic_rules {{\n{}\n}}\n", STATIC_ROUTES.join("\n"), STATIC_RULES.join("\n"));
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let before = (paths(ka1), paths(ka2));
        let mut ours = start(ka1, &(text.clone() + &fast(100)));
        ka2.write(CONF, text + &fast(100)).unwrap();
        let mut theirs = start_as(ka2, "original", &["-n", "-l", "-D"]);
        lab.wait("the last rule of both", secs(15), || has(ka1, "16383:") && has(ka2, "16383:")).unwrap();
        assert_eq!(paths(ka1), paths(ka2), "{}\n{}", ours.log(), theirs.log());
        assert!(paths(ka1).len() > 40, "{:#?}", paths(ka1));
        ours.stop().unwrap();
        theirs.stop().unwrap();
        assert_eq!((paths(ka1), paths(ka2)), before);
    });
}

#[test]
fn routes_and_rules_move_with_the_addresses() {
    laboratory(&["ka1", "ka2"], |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let mut first = start(ka1, &fast_with(100, ROUTES));
        lab.wait("master with its routes", secs(20), || holds_all(ka1)).unwrap();
        let mut second = start(ka2, &fast_with(90, ROUTES));
        wait_log(lab, &second, "Entering BACKUP STATE", secs(20));
        assert!(holds_none(ka2), "{:#?}", paths(ka2));
        first.stop().unwrap();
        assert!(holds_none(ka1), "{:#?}", paths(ka1));
        lab.wait("the other's routes", secs(20), || holds_all(ka2)).unwrap();
        let first = start_again(ka1);
        lab.wait("them back", secs(20), || holds_all(ka1) && holds_none(ka2)).unwrap();
        assert!(first.log().contains("(VI_1) setting Virtual Routes") && second.log().contains("(VI_1) removing Virtual Rules"));
        second.stop().unwrap();
    });
}

#[test]
fn a_tracked_route_that_is_taken_away_makes_room_for_another_router_and_no_track_does_not() {
    laboratory(&["ka1", "ka2"], |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let first = start(ka1, &fast_with(100, ROUTES));
        lab.wait("master with its routes", secs(20), || holds_all(ka1)).unwrap();
        ka1.sh("ip route del blackhole 198.51.104.0/24").unwrap();
        ka1.sh("ip rule del priority 1001").unwrap();
        let _second = start(ka2, &fast_with(90, ROUTES));
        never(lab, "a change for what is not tracked", millis(800), || !lab.holders(VIP).contains(&"ka1"));
        let mark = lab.capture().mark();
        ka1.sh("ip route del 198.51.100.0/24").unwrap();
        lab.wait("a resignation", secs(15), || adverts(lab, mark, "ka1").iter().any(|advert| advert.priority == 0)).unwrap();
        wait_log(lab, &first, "(VI_1) Entering BACKUP STATE", secs(15));
        // The stronger one comes back, with everything.
        lab.wait("everything again", secs(20), || holds_all(ka1) && ka1.has(VIP) && !ka2.has(VIP)).unwrap();
        let mark = lab.capture().mark();
        ka1.sh("ip rule del priority 1000").unwrap();
        lab.wait("a resignation for a rule", secs(15), || adverts(lab, mark, "ka1").iter().any(|advert| advert.priority == 0)).unwrap();
        lab.wait("everything again", secs(20), || holds_all(ka1) && ka1.has(VIP)).unwrap();
    });
}

#[test]
fn the_interfaces_of_a_route_and_of_a_rule_are_watched() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        lab.second_network("eth1", &["ka1"]).unwrap();
        let of_route = "virtual_routes {\n 198.51.100.0/24 dev eth1\n }";
        let of_rule = "virtual_rules {\n oif eth1 table 100 priority 1000\n }";
        for (lines, what) in [(of_route, "198.51.100.0/24"), (of_rule, "1000:")] {
            let mut daemon = start(ka1, &fast_with(100, lines));
            lab.wait(what, secs(20), || has(ka1, what)).unwrap();
            ka1.set_link("eth1", false).unwrap();
            wait_log(lab, &daemon, "(VI_1) Entering FAULT STATE", secs(15));
            ka1.set_link("eth1", true).unwrap();
            lab.wait("everything again", secs(20), || has(ka1, what) && ka1.has(VIP)).unwrap();
            daemon.stop().unwrap();
        }
    });
}

/// Messages of `ip monitor` about our routes and rules, from when it listens.
fn monitor(lab: &Lab, host: &Arc<Host>) -> Daemon {
    let mut command = host.command("ip");
    command.args(["monitor", "route", "rule"]);
    let seen = Daemon::start(host, command).unwrap();
    let mut metric = 0;
    lab.wait("the monitor", secs(20), || {
        metric += 1;
        host.sh(&format!("ip route add 203.0.113.1 dev lo metric {metric}")).unwrap();
        std::thread::sleep(millis(50));
        seen.log().contains("203.0.113.1")
    })
    .unwrap();
    seen
}

#[test]
fn a_reload_touches_only_what_changed() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let daemon = start(ka1, &fast_with(100, ROUTES));
        lab.wait("master with its routes", secs(20), || holds_all(ka1)).unwrap();
        let seen = monitor(lab, ka1);
        let other = ROUTES.replace("198.51.101.0/24 dev eth0 src 172.25.254.100 table 100 metric 5", "198.51.102.0/24 dev eth0 table 100");
        reload(ka1, &daemon, &fast_with(100, &other.replace("priority 1001", "priority 1002")));
        lab.wait("the others", secs(20), || has(ka1, "198.51.102.0/24") && has(ka1, "1002:") && !has(ka1, "1001:")).unwrap();
        lab.wait("the first gone", secs(20), || !has(ka1, "dev eth0 table 100 proto keepalived scope global src")).unwrap();
        let untouched = ["198.51.100.0/24", "2001:db8:100::/48", "198.51.104.0/24", "1000:"];
        assert!(!promised_by_ours() || untouched.iter().all(|what| !seen.log().contains(what)), "{}", seen.log());
        assert!(ka1.has(VIP) && daemon.log().matches("Entering BACKUP").count() <= 1, "{}", daemon.log());
    });
}

#[test]
fn the_vrrp_process_may_die_and_no_route_moves() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let mut daemon = start(ka1, &(format!("static_routes {{\n 198.51.120.0/24 dev eth0\n}}\n{}", fast_with(100, ROUTES))));
        lab.wait("master with its routes", secs(20), || holds_all(ka1) && has(ka1, "198.51.120.0/24")).unwrap();
        if promised_by_ours() {
            let seen = monitor(lab, ka1);
            let before = vrrp_child(ka1).unwrap();
            lab::send(before.pid, Signal::SIGKILL).unwrap();
            lab.wait("another child", secs(20), || vrrp_child(ka1).is_some_and(|child| child.pid != before.pid)).unwrap();
            let mark = lab.capture().mark();
            wait_adverts(lab, mark, "ka1", 3, secs(20));
            assert!(holds_all(ka1) && has(ka1, "198.51.120.0/24"));
            assert!(!seen.log().contains("Deleted"), "{}", seen.log());
        }
        daemon.stop().unwrap();
        assert!(holds_none(ka1) && !has(ka1, "198.51.120.0/24"));
    });
}

#[test]
fn what_a_crash_left_is_adopted_and_removed_at_the_end() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let mut daemon = start(ka1, &fast_with(100, ROUTES));
        lab.wait("master with its routes", secs(20), || holds_all(ka1)).unwrap();
        daemon.kill_all();
        assert!(holds_all(ka1));
        let mut daemon = start_again(ka1);
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 3, secs(20));
        lab.wait("everything", secs(15), || holds_all(ka1)).unwrap();
        daemon.stop().unwrap();
        assert!(holds_none(ka1), "{:#?}", paths(ka1));
    });
}

#[test]
fn static_routes_and_rules_are_put_back_and_come_back_with_their_link() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        lab.second_network("eth1", &["ka1"]).unwrap();
        let text = "track_group G {\n group {\n VI_1\n }\n}\nstatic_routes {\n 198.51.100.0/24 dev eth1 track_group G\n}\n\
                    static_rules {\n to 198.51.100.0/24 table 100 priority 1000\n}\n";
        let mut daemon = start(ka1, &format!("{text}{}", fast(100)));
        lab.wait("route and rule", secs(20), || has(ka1, "198.51.100.0/24 dev eth1") && has(ka1, "1000:") && ka1.has(VIP)).unwrap();
        ka1.sh("ip route del 198.51.100.0/24").unwrap();
        wait_log(lab, &daemon, "Restoring deleted static route prepend 198.51.100.0/24 dev eth1 proto 18 track_group G", secs(15));
        // the original misses some rules
        if promised_by_ours() {
            ka1.sh("ip rule del priority 1000").unwrap();
            wait_log(
                lab,
                &daemon,
                "Restoring deleted static rule from all to 198.51.100.0/24 priority 1000 tos 0x0 protocol 18 lookup 100",
                secs(15),
            );
        }
        lab.wait("both", secs(15), || has(ka1, "198.51.100.0/24 dev eth1") && has(ka1, "1000:")).unwrap();
        ka1.set_link("eth1", false).unwrap();
        wait_log(lab, &daemon, "(VI_1) Entering FAULT STATE", secs(15));
        ka1.set_link("eth1", true).unwrap();
        lab.wait("the route with its link", secs(20), || has(ka1, "198.51.100.0/24 dev eth1") && ka1.has(VIP)).unwrap();
        daemon.stop().unwrap();
        assert!(!has(ka1, "198.51.100.0/24") && !has(ka1, "1000:"));
    });
}

/// `tests/paths/verdicts.tsv`: what the original's `-t` says of each line. The family words are read as keepalived.conf(5) has them;
/// 2.2.7 passes over the word behind them.
#[test]
fn every_line_is_judged_as_by_the_original() {
    let recorded = include_str!("paths/verdicts.tsv");
    let group = "track_group G {\n group {\n VI_1\n }\n}\n";
    let instance = |inside: &str| {
        format!("vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 192.0.2.1\n }}\n{inside}}}\n")
    };
    let mut wrong = Vec::new();
    for row in recorded.lines().filter(|line| !line.starts_with('#')) {
        let [block, line, verdict, said] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let lines = format!("{block} {{\n {line}\n}}\n");
        let text = if block.starts_with("static") { format!("{group}{lines}{}", instance("")) } else { instance(&lines) };
        let mut loaded = keepalived_rs::config::load_text(&text);
        loaded.require_interfaces(|name| ["lo", "eth0"].contains(&name));
        let ours = loaded.report.test_exit_code().to_string();
        let by_the_manual = line.split(' ').any(|word| word.starts_with("inet")) && ours == "0";
        if ours != verdict && !by_the_manual {
            wrong.push(format!("{block} {line}: {ours}, the original {verdict} ({said})"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
