//! Whether a master answers on its virtual addresses: accept mode, strict mode, and what they put into nftables.

mod common;

use common::*;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];

#[expect(clippy::unwrap_used, reason = "part of tests")]
fn rules(host: &Host) -> String {
    host.sh("nft list ruleset").unwrap()
}

#[test]
fn a_master_answers_on_its_address_by_default_and_leaves_the_firewall_alone() {
    laboratory(HOSTS, |lab| {
        let _daemon = start(lab.host("ka1"), &fast(100));
        only(lab, "ka1", VIP, secs(5));
        assert!(answers(lab, VIP));
        assert!(!rules(lab.host("ka1")).contains("172.25.254.100"));
    });
}

#[test]
fn no_accept_drops_what_is_sent_to_the_address_and_nothing_else() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        let mut daemon = start(ka1, &fast_with(100, "no_accept"));
        only(lab, "ka1", VIP, secs(5));
        assert!(!answers(lab, VIP) && answers(lab, ka1.ipv4()));
        let listed = rules(ka1);
        assert!(listed.contains("table ip keepalived") && listed.contains("172.25.254.100"), "{listed}");
        daemon.stop().unwrap();
        assert!(!rules(ka1).contains("172.25.254.100"), "{}", rules(ka1));
    });
}

#[test]
fn a_node_that_is_no_longer_master_drops_nothing() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        let _first = start(ka1, &fast_with(100, "no_accept"));
        only(lab, "ka1", VIP, secs(5));
        lab.set_carrier("ka1", false).unwrap();
        nobody(lab, VIP, secs(3));
        lab.wait("no rule left", secs(2), || !rules(ka1).contains("172.25.254.100")).unwrap();
    });
}

#[test]
fn no_accept_holds_for_ipv6_but_neighbours_can_still_find_it() {
    laboratory(HOSTS, |lab| {
        let config = Instance { addresses: &["fe80::100/64", "fd00:25::100/64"], extra: "no_accept", ..Instance::default() };
        let mut daemon = start(lab.host("ka1"), &config.to_string());
        let vip: Ipv6Addr = "fd00:25::100".parse().unwrap();
        lab.wait("the address", secs(5), || lab.host("ka1").has(vip)).unwrap();
        assert!(!answers(lab, vip) && answers(lab, lab.host("ka1").ipv6()));
        assert!(rules(lab.host("ka1")).contains("fd00:25::100"));
        daemon.stop().unwrap();
        assert!(!rules(lab.host("ka1")).contains("fd00:25::100"));
    });
}

#[test]
fn the_owner_answers_even_in_strict_mode() {
    laboratory(HOSTS, |lab| {
        let owner = Instance { state: "MASTER", priority: 255, ..Instance::default() };
        let _daemon = start(lab.host("ka1"), &format!("global_defs {{\n vrrp_strict\n}}\n{owner}"));
        only(lab, "ka1", VIP, secs(5));
        assert!(answers(lab, VIP));
    });
}

#[test]
fn rules_left_by_a_crash_are_replaced_and_other_tables_are_not_touched() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        ka1.sh("nft add table ip mine; nft add set ip mine keep '{ type ipv4_addr; elements = { 10.9.9.9 }; }'").unwrap();
        let mut daemon = start(ka1, &fast_with(100, "no_accept"));
        only(lab, "ka1", VIP, secs(5));
        daemon.kill_all();
        let mut daemon = start_again(ka1);
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 3, secs(5));
        assert!(!answers(lab, VIP));
        assert_eq!(rules(ka1).matches("172.25.254.100").count(), 1, "{}", rules(ka1));
        daemon.stop().unwrap();
        assert!(!rules(ka1).contains("172.25.254.100") && rules(ka1).contains("10.9.9.9"), "{}", rules(ka1));
    });
}
