//! Virtual addresses as they stand in the kernel: every attribute that the configuration gives them, and whose they are.

mod common;

use common::*;
use keepalived_rs::ctl::lab::Address;

/// Starts ka1 as the only router with these addresses and returns what the kernel has once it is master.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn installed(lab: &Lab, addresses: &[&str], extra: &str, waited: &str) -> (Daemon, Vec<Address>) {
    let ka1 = lab.host("ka1");
    let daemon = start(ka1, &Instance { addresses, extra, ..Instance::default() }.to_string());
    let waited: IpAddr = waited.parse().unwrap();
    lab.wait(&waited.to_string(), secs(5), || ka1.has(waited)).unwrap();
    (daemon, ka1.addresses().unwrap())
}

fn find<'a>(addresses: &'a [Address], ip: &str) -> &'a Address {
    addresses.iter().find(|address| address.ip().to_string() == ip).unwrap_or_else(|| panic!("{ip} is not in {addresses:#?}"))
}

#[test]
fn prefix_label_scope_broadcast_and_peer_are_as_configured() {
    laboratory(&["ka1"], |lab| {
        let lines = [
            "172.25.254.100/24 dev eth0 label eth0:1",
            "172.25.254.101",
            "10.8.0.1/24 brd 10.8.0.255 scope link",
            "172.25.254.103/25 brd +",
            "10.9.0.1 peer 10.9.0.2",
        ];
        let (_daemon, all) = installed(lab, &lines, "", "10.9.0.1");
        let eth0 = lab.host("ka1").link("eth0").unwrap().index;
        let one = find(&all, "172.25.254.100");
        assert_eq!((one.prefix.length(), one.label.as_deref(), one.interface), (24, Some("eth0:1"), eth0));
        assert_eq!((one.scope.as_str(), one.broadcast), ("global", None));
        assert_eq!(find(&all, "172.25.254.101").prefix.length(), 32);
        let linked = find(&all, "10.8.0.1");
        assert_eq!((linked.scope.as_str(), linked.broadcast), ("link", Some([10, 8, 0, 255].into())));
        assert_eq!(find(&all, "172.25.254.103").broadcast, Some([172, 25, 254, 127].into()));
        let peer = find(&all, "10.9.0.1");
        assert_eq!((peer.peer, peer.prefix.length()), (Some([10, 9, 0, 2].into()), 32));
    });
}

#[test]
fn adverts_list_the_addresses_in_the_order_of_the_configuration() {
    laboratory(&["ka1"], |lab| {
        let lines = ["172.25.254.120/24", "172.25.254.100/24", "172.25.254.110/24"];
        let (_daemon, _) = installed(lab, &lines, "", "172.25.254.110");
        let seen = wait_adverts(lab, 0, "ka1", 1, secs(2)).remove(0);
        assert_eq!(seen.addresses, [[172, 25, 254, 120], [172, 25, 254, 100], [172, 25, 254, 110]].map(IpAddr::from));
    });
}

#[test]
fn excluded_addresses_are_installed_removed_and_not_advertised_whatever_their_family() {
    laboratory(&["ka1"], |lab| {
        let extra = "virtual_ipaddress_excluded {\n 172.25.254.150/24\n fd00:25::150/64\n }";
        let (mut daemon, all) = installed(lab, &["172.25.254.100/24"], extra, "fd00:25::150");
        assert!(find(&all, "fd00:25::150").nodad);
        find(&all, "172.25.254.150");
        assert_eq!(wait_adverts(lab, 0, "ka1", 1, secs(2))[0].addresses, [IpAddr::from(VIP)]);
        daemon.stop().unwrap();
        let left = lab.host("ka1").addresses().unwrap();
        assert!(!left.iter().any(|address| ["172.25.254.150", "fd00:25::150"].contains(&address.ip().to_string().as_str())));
    });
}

#[test]
fn an_address_goes_to_the_interface_it_names() {
    laboratory(&["ka1"], |lab| {
        lab.second_network("eth1", &["ka1"]).unwrap();
        let (_daemon, all) = installed(lab, &["172.25.254.100/24", "10.1.1.100/24 dev eth1"], "", "10.1.1.100");
        assert_eq!(find(&all, "10.1.1.100").interface, lab.host("ka1").link("eth1").unwrap().index);
    });
}

#[test]
fn preferred_lft_zero_makes_an_address_deprecated_so_that_nothing_leaves_from_it() {
    laboratory(&["ka1"], |lab| {
        let lines = ["fe80::100/64", "fd00:25::100/64 preferred_lft 0", "fd00:25::101/64", "fd00:25::102"];
        let (_daemon, all) = installed(lab, &lines, "", "fd00:25::102");
        assert_eq!(find(&all, "fd00:25::100").preferred, 0);
        assert_eq!(find(&all, "fd00:25::101").preferred, u32::MAX);
        // A host address of IPv6 is deprecated by default.
        let host = find(&all, "fd00:25::102");
        assert_eq!((host.prefix.length(), host.preferred), (128, 0));
    });
}

#[test]
fn promote_secondaries_is_set_on_the_interface_and_put_back() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let setting = || ka1.read("/proc/sys/net/ipv4/conf/eth0/promote_secondaries").unwrap().trim().to_owned();
        assert_eq!(setting(), "0");
        let (mut daemon, _) = installed(lab, &["172.25.254.100/24"], "promote_secondaries", "172.25.254.100");
        assert_eq!(setting(), "1");
        daemon.stop().unwrap();
        assert_eq!(setting(), "0");
    });
}

#[test]
fn addresses_carry_our_protocol_number_and_those_of_others_stay() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let theirs = prefix("172.25.254.77/24");
        ka1.add_address("eth0", theirs).unwrap();
        let (mut daemon, all) = installed(lab, &["172.25.254.100/24"], "", "172.25.254.100");
        if promised_by_ours() {
            assert_eq!(find(&all, "172.25.254.100").protocol, 18);
        }
        daemon.stop().unwrap();
        assert!(ka1.has(theirs.address()) && ka1.has(ka1.ipv4()) && !ka1.has(VIP));
    });
}

#[test]
fn an_address_that_was_there_before_is_adopted_without_a_flap_when_a_crash_left_it() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let (mut daemon, _) = installed(lab, &["172.25.254.100/24"], "", "172.25.254.100");
        daemon.kill_all();
        assert!(ka1.has(VIP));
        let watch = AddressWatch::start(ka1).unwrap();
        let mut daemon = start_again(ka1);
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 3, secs(5));
        assert!(ka1.has(VIP) && watch.removed(VIP).len() <= 1, "{:?}", watch.changes());
        daemon.stop().unwrap();
        assert!(!ka1.has(VIP), "a leftover is ours to remove");
    });
}

#[test]
fn a_hundred_addresses_stand_and_go_together() {
    laboratory(&["ka1"], |lab| {
        let lines: Vec<String> = (101..=200).map(|last| format!("172.25.254.{last}/24")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let ka1 = lab.host("ka1");
        let virtual_ones =
            || ka1.addresses().unwrap().iter().filter(|address| lines.contains(&address.prefix.to_string().as_str())).count();
        let (mut daemon, _) = installed(lab, &lines, "", "172.25.254.200");
        lab.wait("a hundred addresses", secs(2), || virtual_ones() == 100).unwrap();
        assert_eq!(wait_adverts(lab, 0, "ka1", 1, secs(2))[0].addresses.len(), 100);
        daemon.stop().unwrap();
        assert_eq!(virtual_ones(), 0);
    });
}

#[test]
fn static_addresses_stand_while_the_daemon_runs_and_follow_a_reload() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let config = |first: &str| format!("static_ipaddress {{\n {first}\n fd00:77::1/64 dev eth0\n}}\n{}", Instance::default());
        let has = |ip: &str| ka1.has(ip.parse::<IpAddr>().unwrap());
        let mut daemon = start(ka1, &config("10.77.0.1/24 brd + scope link"));
        lab.wait("the static addresses", secs(5), || has("10.77.0.1") && has("fd00:77::1")).unwrap();
        let all = ka1.addresses().unwrap();
        let one = find(&all, "10.77.0.1");
        assert_eq!((one.scope.as_str(), one.broadcast), ("link", Some([10, 77, 0, 255].into())), "on the default interface");
        lab.wait("master", secs(8), || ka1.has(VIP)).unwrap();
        reload(ka1, &daemon, &config("10.77.0.2/24"));
        lab.wait("the other static address", secs(5), || has("10.77.0.2") && !has("10.77.0.1")).unwrap();
        assert!(has("fd00:77::1") && ka1.has(VIP));
        daemon.stop().unwrap();
        assert!(!has("10.77.0.2") && !has("fd00:77::1") && !ka1.has(VIP));
    });
}
