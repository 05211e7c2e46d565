//! What makes a node unfit, on the real kernel: links that flap, links whose driver is asked, processes; and sync groups,
//! whose members go and come together.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use std::process::{Child, Stdio};

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const TRACK_ETH1: &str = "track_interface {\n        eth1 weight -30\n    }";

/// Two routers of priority 100 and 80 with a second network; `blocks` stand before the first one's instance.
fn with_second_network(lab: &Lab, blocks: &str) -> (Daemon, Daemon) {
    lab.second_network("eth1", &["ka1", "ka2"]).unwrap();
    let first = start(lab.host("ka1"), &format!("{blocks}{}", fast_with(100, TRACK_ETH1)));
    let second = start(lab.host("ka2"), &fast(80));
    only(lab, "ka1", VIP, secs(10));
    (first, second)
}

#[test]
fn a_link_that_comes_back_within_its_delay_never_was_down() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = with_second_network(lab, "interface_up_down_delays {\n    eth1 120 0\n}\n");
        lab.set_second_carrier("ka1", false).unwrap();
        if ours() {
            wait_log(lab, &first, "eth1: is down, which counts in 120.0 s", secs(10));
        } else {
            wait_log(lab, &first, "eth1: Adding flags change from 0x11043 to 0x1003 delay by 120000000", secs(10));
        }
        lab.set_second_carrier("ka1", true).unwrap();
        never(lab, "eth1 counts as down", secs(2), || first.log().contains("Netlink reports eth1 down"));
        assert!(!first.log().contains("Changing effective priority"), "{}", first.log());
    });
}

#[test]
fn a_link_that_is_down_longer_than_its_delay_counts_and_is_up_after_the_other() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = with_second_network(lab, "interface_up_down_delays {\n    eth1 1.5 1\n}\n");
        let before = lab::now();
        lab.set_second_carrier("ka1", false).unwrap();
        wait_log(lab, &first, "Netlink reports eth1 down", secs(20));
        assert!(lab::now().since(before) >= millis(1500), "it counted too early");
        only(lab, "ka2", VIP, secs(10));
        let before = lab::now();
        lab.set_second_carrier("ka1", true).unwrap();
        wait_log(lab, &first, "Netlink reports eth1 up", secs(20));
        assert!(lab::now().since(before) >= secs(1), "it counted too early");
        only(lab, "ka1", VIP, secs(10));
    });
}

#[test]
fn a_link_whose_driver_is_asked_counts_as_it_says() {
    laboratory(HOSTS, |lab| {
        let (first, _second) = with_second_network(lab, "linkbeat_interfaces {\n    eth1\n}\n");
        lab.set_second_carrier("ka1", false).unwrap();
        wait_log(lab, &first, "Linkbeat reports eth1 down", secs(20));
        only(lab, "ka2", VIP, secs(10));
        lab.set_second_carrier("ka1", true).unwrap();
        wait_log(lab, &first, "Linkbeat reports eth1 up", secs(20));
        only(lab, "ka1", VIP, secs(10));
    });
}

#[test]
fn delays_and_polling_change_with_a_reload() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let (first, _second) = with_second_network(lab, "interface_up_down_delays {\n    eth1 120 120\n}\n");
        lab.set_second_carrier("ka1", false).unwrap();
        wait_log(lab, &first, "eth1: is down, which counts in 120.0 s", secs(10));
        reload(lab.host("ka1"), &first, &format!("linkbeat_interfaces {{\n    eth1 ETHTOOL\n}}\n{}", fast_with(100, TRACK_ETH1)));
        wait_log(lab, &first, "Linkbeat reports eth1 down", secs(20));
        only(lab, "ka2", VIP, secs(10));
    });
}

/// A process that ends with the test.
struct Worker(Child);

impl Worker {
    fn start(host: &Host) -> Self {
        let mut command = host.command("sleep");
        command.arg("98765").stdout(Stdio::null()).stderr(Stdio::null());
        Self(host.spawn(command).unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hosts of a laboratory have a network and a process namespace of their own, as containers have: no events from the kernel.
#[test]
fn a_tracked_process_that_ends_moves_the_address_and_another_brings_it_back() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return; // "Failed to set/clear process event listen - Connection refused"
        }
        let ka1 = lab.host("ka1");
        let worker = Worker::start(ka1);
        let block = "vrrp_track_process worker {\n    process sleep 98765\n    param_match initial\n    weight -30\n}\n";
        let first = start(ka1, &format!("{block}{}", fast_with(100, "track_process {\n        worker\n    }")));
        let _second = start(lab.host("ka2"), &fast(80));
        only(lab, "ka1", VIP, secs(10));
        drop(worker);
        wait_log(lab, &first, "Quorum lost for tracked process worker (0 running)", secs(10));
        wait_log(lab, &first, "base 100, worker -30 -> 70", secs(10));
        only(lab, "ka2", VIP, secs(10));
        let _again = Worker::start(ka1);
        wait_log(lab, &first, "Quorum gained for tracked process worker (1 running)", secs(10));
        only(lab, "ka1", VIP, secs(10));
    });
}

const MEMBERS: u8 = 5;

fn member_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 25, 254, 110 + number)
}

/// Five instances in a group; the third one has a tracker of its own. Who is told what is written down, a line each.
fn group(priority: u8, advert_int: &str) -> String {
    let mut text =
        "global_defs {\n    script_user root\n}\ntrack_file fit {\n    file /run/fit\n    weight 0\n    init_file 0\n}\n".to_owned();
    text += "vrrp_sync_group G {\n    group {\n        A0 A1\n        A2 A3 A4\n    }\n    notify /run/tell.sh\n}\n";
    for number in 0..MEMBERS {
        let (name, address) = (format!("A{number}"), format!("{}/24", member_address(number)));
        let extra = if number == 2 { "track_file {\n        fit\n    }\n    notify /run/tell.sh" } else { "notify /run/tell.sh" };
        let addresses = [address.as_str()];
        text += &Instance { name: &name, vrid: 60 + number, priority, addresses: &addresses, advert_int, extra, ..Instance::default() }
            .to_string();
    }
    text
}

fn all_on(lab: &Lab, host: &str) {
    for number in 0..MEMBERS {
        only(lab, host, member_address(number), secs(20));
    }
}

/// What was told of one of them since the start.
fn told(host: &Host, name: &str) -> Vec<String> {
    let lines = host.read("/run/told").unwrap_or_default();
    lines.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned)).collect()
}

#[test]
fn what_a_group_tracks_with_a_weight_moves_its_members_and_is_no_fault() {
    laboratory(HOSTS, |lab| {
        lab.second_network("eth1", &["ka1", "ka2"]).unwrap();
        let group = |priority| {
            let tracked = "    track_interface {\n        eth1 weight -30\n    }\n";
            format!("vrrp_sync_group G {{\n    group {{\n        VI_1\n    }}\n{tracked}}}\n{}", fast(priority))
        };
        let first = start(lab.host("ka1"), &group(100));
        let _second = start(lab.host("ka2"), &fast(80));
        only(lab, "ka1", VIP, secs(10));
        lab.set_second_carrier("ka1", false).unwrap();
        wait_log(lab, &first, "Changing effective priority from 100 to 70", secs(20));
        only(lab, "ka2", VIP, secs(10));
        assert!(!first.log().contains("FAULT"), "{}", first.log());
        lab.set_second_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(10));
    });
}

#[test]
fn members_of_a_group_go_and_come_together_and_each_state_is_told_once() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        for host in [ka1, lab.host("ka2")] {
            host.write_script("/run/tell.sh", "#!/bin/sh\necho \"$2 $3\" >> /run/told\n").unwrap();
        }
        let first = start(ka1, &group(100, "0.1"));
        let _second = start(lab.host("ka2"), &group(80, "0.1"));
        all_on(lab, "ka1");
        ka1.write("/run/fit", "1").unwrap();
        all_on(lab, "ka2");
        wait_log(lab, &first, "VRRP_Group(G) Syncing instances to FAULT state", secs(5));
        ka1.write("/run/fit", "0").unwrap();
        all_on(lab, "ka1");
        for name in ["A0", "A1", "A2", "A3", "A4", "G"] {
            let wait = || told(ka1, name).last().map(String::as_str) == Some("MASTER");
            lab.wait(&format!("the last word on {name}"), secs(10), wait).unwrap();
            let told = told(ka1, name);
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{name} was told a state twice: {told:?}\n{}", lab.logs());
            let mut rest = told.iter();
            for state in ["MASTER", "FAULT", "BACKUP", "MASTER"] {
                assert!(rest.any(|told| told == state), "{name}: {state} is missing in {told:?}\n{}", lab.logs());
            }
        }
    });
}

#[test]
fn members_of_a_group_start_their_adverts_in_one_burst() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &group(100, "1"));
        all_on(lab, "ka1");
        let seen = adverts(lab, 0, "ka1");
        let first = |vrid: u8| seen.iter().position(|advert| advert.vrid == vrid);
        let firsts: Vec<usize> = (0..MEMBERS).filter_map(|number| first(60 + number)).collect();
        assert_eq!(firsts.len(), usize::from(MEMBERS));
        // No member sends its second advert before all have sent their first.
        let last_first = firsts.into_iter().max().unwrap();
        for vrid in 60..60 + MEMBERS {
            let second = seen.iter().enumerate().filter(|(_, advert)| advert.vrid == vrid).nth(1);
            assert!(second.is_none_or(|(at, _)| at > last_first), "vrid {vrid}");
        }
    });
}

#[test]
fn a_weaker_advert_for_one_member_makes_all_announce_again() {
    laboratory(HOSTS, |lab| {
        let quick = "garp_master_delay 0\n    garp_lower_prio_repeat 2\n    garp_lower_prio_delay 0";
        let mut text = "vrrp_sync_group G {\n    group {\n        A0 A1 A2\n    }\n}\n".to_owned();
        for number in 0..3 {
            let (name, address) = (format!("A{number}"), format!("{}/24", member_address(number)));
            let addresses = [address.as_str()];
            text += &Instance { name: &name, vrid: 60 + number, addresses: &addresses, extra: quick, ..Instance::default() }.to_string();
        }
        let _daemon = start(lab.host("ka1"), &text);
        for number in 0..3 {
            only(lab, "ka1", member_address(number), secs(20));
            lab.wait("its announcements", secs(10), || announcements(lab, 0, "ka1", member_address(number)).len() >= 5).unwrap();
        }
        let mark = lab.capture().mark();
        let client = lab.host("client");
        let weaker = Forged { addresses: vec![member_address(1).into()], ..Forged::v3(client.ipv4(), 61, 50) };
        Injector::open(client, "eth0").unwrap().send(&weaker.frame()).unwrap();
        for number in [1, 0, 2] {
            let again = || announcements(lab, mark, "ka1", member_address(number)).len() >= 2;
            lab.wait(&format!("member {number} to announce again"), secs(5), again).unwrap();
        }
    });
}
