//! FAULT: what puts an instance there, that the log says what, and that it leaves by itself.

mod common;

use common::*;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];

/// Two routers of priority 100 and 90, `extra` lines for the first.
fn pair(lab: &Lab, extra: &str) -> (Daemon, Daemon) {
    let daemons = (start(lab.host("ka1"), &fast_with(100, extra)), start(lab.host("ka2"), &fast(90)));
    only(lab, "ka1", VIP, secs(5));
    daemons
}

/// The part of a log after the first `from` bytes.
fn log_since(daemon: &Daemon, from: usize) -> String {
    daemon.log().split_off(from)
}

#[test]
fn a_pulled_cable_is_a_fault_named_in_the_log_and_its_end_brings_the_master_back() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = pair(lab, "");
        let from = first.log().len();
        lab.set_carrier("ka1", false).unwrap();
        wait_log(lab, &first, "(VI_1) Entering FAULT STATE", secs(2));
        assert!(log_since(&first, from).contains("eth0"), "{}", log_since(&first, from));
        only(lab, "ka2", VIP, secs(3));
        lab.set_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(5));
        assert!(log_since(&first, from).contains("(VI_1) Entering BACKUP STATE"));
    });
}

#[test]
fn an_interface_set_down_is_a_fault_and_up_ends_it() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = pair(lab, "");
        lab.host("ka1").set_link("eth0", false).unwrap();
        wait_log(lab, &first, "(VI_1) Entering FAULT STATE", secs(2));
        only(lab, "ka2", VIP, secs(3));
        lab.host("ka1").set_link("eth0", true).unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}

#[test]
fn an_interface_deleted_and_created_again_is_served_again() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = pair(lab, "");
        lab.host("ka1").delete_link("eth0").unwrap();
        wait_log(lab, &first, "(VI_1) Entering FAULT STATE", secs(2));
        only(lab, "ka2", VIP, secs(3));
        lab.plug_in("ka1").unwrap();
        only(lab, "ka1", VIP, secs(5));
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 3, secs(2));
        assert!(answers(lab, VIP));
    });
}

#[test]
fn with_dynamic_interfaces_a_missing_interface_is_waited_for() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        ka1.delete_link("eth0").unwrap();
        let first = start(ka1, &format!("global_defs {{\n    dynamic_interfaces\n}}\n{}", fast(100)));
        wait_log(lab, &first, "(VI_1) Entering FAULT STATE", secs(3));
        assert!(first.log().contains("eth0"), "{}", first.log());
        lab.plug_in("ka1").unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}

#[test]
fn without_its_source_address_a_node_is_in_fault_and_leaves_it_when_the_address_returns() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        let own = prefix("172.25.254.10/24");
        ka1.delete_address("eth0", own).unwrap();
        let first = start(ka1, &fast(100));
        let _second = start(lab.host("ka2"), &fast(90));
        // The original writes "entering FAULT state" where the cause is known at once.
        lab.wait("FAULT in the log", secs(3), || first.log().to_lowercase().contains("(vi_1) entering fault state")).unwrap();
        assert!(first.log().contains("no IPv4 address for interface"), "{}", first.log());
        only(lab, "ka2", VIP, secs(3));
        ka1.add_address("eth0", own).unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}

#[test]
fn a_master_that_loses_its_source_address_is_in_fault_until_it_has_one_again() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        // A host address, so that it does not go with the network's first one.
        let vip = Instance { addresses: &["172.25.254.100/32"], ..Instance::default() };
        let first = start(ka1, &vip.to_string());
        let _second = start(lab.host("ka2"), &Instance { priority: 90, ..vip }.to_string());
        only(lab, "ka1", VIP, secs(5));
        let own = prefix("172.25.254.10/24");
        ka1.delete_address("eth0", own).unwrap();
        lab.wait("FAULT in the log", secs(3), || first.log().to_lowercase().contains("(vi_1) entering fault state")).unwrap();
        only(lab, "ka2", VIP, secs(3));
        ka1.add_address("eth0", own).unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}

#[test]
fn an_address_deleted_by_somebody_else_comes_back_and_the_log_says_so() {
    laboratory(HOSTS, |lab| {
        let (first, second) = pair(lab, "");
        let (from, from_second) = (first.log().len(), second.log().len());
        let watch = AddressWatch::start(lab.host("ka1")).unwrap();
        lab.host("ka1").delete_address("eth0", prefix("172.25.254.100/24")).unwrap();
        lab.wait("the address back", secs(2), || watch.added(VIP).len() == 1).unwrap();
        let (gone, back) = (watch.removed(VIP)[0], watch.added(VIP)[0]);
        assert!(back > gone && back.since(gone) < BUSY, "{:?}", back.since(gone));
        never(lab, "loss of the address", millis(500), || !lab.host("ka1").has(VIP));
        assert!(!log_since(&second, from_second).contains("Entering MASTER STATE"));
        if promised_by_ours() {
            assert!(log_since(&first, from).contains("172.25.254.100"), "{}", log_since(&first, from));
        }
    });
}

#[test]
fn a_tracked_interface_that_goes_down_is_a_fault() {
    laboratory(HOSTS, |lab| {
        lab.second_network("eth1", &["ka1"]).unwrap();
        let (first, _second) = pair(lab, "track_interface {\n eth1\n }");
        lab.set_second_carrier("ka1", false).unwrap();
        only(lab, "ka2", VIP, secs(3));
        assert!(first.log().contains("(VI_1) Entering FAULT STATE") && first.log().contains("eth1"), "{}", first.log());
        lab.set_second_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}

#[test]
fn a_tracked_interface_with_a_weight_changes_the_priority() {
    laboratory(HOSTS, |lab| {
        lab.second_network("eth1", &["ka1"]).unwrap();
        let (first, _second) = pair(lab, "track_interface {\n eth1 weight -20\n }");
        let mark = lab.capture().mark();
        assert!(wait_adverts(lab, mark, "ka1", 1, secs(2)).iter().all(|advert| advert.priority == 100));
        lab.set_second_carrier("ka1", false).unwrap();
        only(lab, "ka2", VIP, secs(3));
        wait_log(lab, &first, "(VI_1) Changing effective priority from 100 to 80", secs(1));
        lab.set_second_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &first, "(VI_1) Changing effective priority from 80 to 100", secs(1));
    });
}

#[test]
fn a_positive_weight_counts_while_the_tracked_interface_is_up() {
    laboratory(HOSTS, |lab| {
        lab.second_network("eth1", &["ka1"]).unwrap();
        let _first = start(lab.host("ka1"), &fast_with(80, "track_interface {\n eth1 weight 50\n }"));
        let _second = start(lab.host("ka2"), &fast(90));
        only(lab, "ka1", VIP, secs(5));
        assert_eq!(adverts(lab, 0, "ka1").last().map(|advert| advert.priority), Some(130));
        lab.set_second_carrier("ka1", false).unwrap();
        only(lab, "ka2", VIP, secs(3));
    });
}

#[test]
fn dont_track_primary_stays_master_through_a_loss_of_carrier() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = pair(lab, "dont_track_primary");
        lab.set_carrier("ka1", false).unwrap();
        lab.wait("the address on ka2", secs(3), || lab.host("ka2").has(VIP)).unwrap();
        assert!(lab.host("ka1").has(VIP) && !first.log().contains("Entering FAULT STATE"), "{}", first.log());
        lab.set_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}

#[test]
fn faults_are_held_until_the_last_of_them_ends() {
    laboratory(HOSTS, |lab| {
        lab.second_network("eth1", &["ka1"]).unwrap();
        let (_first, _second) = pair(lab, "track_interface {\n eth1\n }");
        lab.set_second_carrier("ka1", false).unwrap();
        only(lab, "ka2", VIP, secs(3));
        lab.set_carrier("ka1", false).unwrap();
        lab.set_second_carrier("ka1", true).unwrap();
        never(lab, "master with one fault left", millis(800), || lab.host("ka1").has(VIP));
        lab.set_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(5));
    });
}
