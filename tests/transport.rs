//! How adverts travel: unicast and multicast, IPv4 and IPv6, and the settings that change it.

mod common;

use common::*;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const INTERVAL: Duration = Duration::from_millis(100);
const VIP6: &str = "fd00:25::100";

fn unicast(priority: u8, own: &str, peers: &str, more: &str) -> String {
    fast_with(priority, &format!("unicast_src_ip {own}\n    unicast_peer {{\n {peers}\n }}\n{more}"))
}

fn ipv6(priority: u8, extra: &str) -> String {
    Instance { priority, addresses: &["fe80::100/64", "fd00:25::100/64"], extra, ..Instance::default() }.to_string()
}

/// Waits until that host alone has the IPv6 address.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn only6(lab: &Lab, host: &str) {
    only(lab, host, VIP6.parse::<Ipv6Addr>().unwrap(), secs(5));
}

/// Kills ka1 and checks that ka2 took over on time.
fn assert_failover(lab: &Lab, mut first: Daemon, second: &Daemon) {
    follows(lab, second);
    first.kill_all();
    assert_succession_on_time(lab, "ka1", "ka2", INTERVAL, 90);
}

#[test]
fn unicast_adverts_reach_every_peer_and_fail_over_on_time() {
    laboratory(&["ka1", "ka2", "ka3"], |lab| {
        let first = start(lab.host("ka1"), &unicast(100, "172.25.254.10", "172.25.254.20\n 172.25.254.30", ""));
        let second = start(lab.host("ka2"), &unicast(90, "172.25.254.20", "172.25.254.10\n 172.25.254.30", ""));
        let _third = start(lab.host("ka3"), &unicast(80, "172.25.254.30", "172.25.254.10\n 172.25.254.20", ""));
        only(lab, "ka1", VIP, secs(5));
        let mark = lab.capture().mark();
        let seen = wait_adverts(lab, mark, "ka1", 6, secs(3));
        for peer in ["ka2", "ka3"] {
            let to_peer: Vec<&Advert> = seen.iter().filter(|advert| advert.to == IpAddr::from(lab.host(peer).ipv4())).collect();
            assert!(to_peer.len() >= 2 && to_peer.iter().all(|advert| advert.checksum_ok && advert.ttl == 255 && advert.version == 3));
        }
        assert!(seen.iter().all(|advert| advert.to != IpAddr::from([224, 0, 0, 18])));
        assert_failover(lab, first, &second);
        assert!(!lab.host("ka3").has(VIP));
    });
}

#[test]
fn unicast_without_a_source_address_takes_the_interfaces_own() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &fast_with(100, "unicast_peer {\n 172.25.254.20\n }"));
        let seen = wait_adverts(lab, 0, "ka1", 2, secs(5)).pop().unwrap();
        assert_eq!((seen.from, seen.to), (lab.host("ka1").ipv4().into(), lab.host("ka2").ipv4().into()));
    });
}

#[test]
fn unicast_ttl_is_what_the_packets_carry() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &unicast(100, "172.25.254.10", "172.25.254.20", "unicast_ttl 64"));
        assert!(wait_adverts(lab, 0, "ka1", 2, secs(5)).iter().all(|advert| advert.ttl == 64));
    });
}

/// A unicast advert to ka1 that would make it yield.
fn to_ka1(lab: &Lab, from: Ipv4Addr, ttl: u8) -> Vec<u8> {
    let ka1 = lab.host("ka1");
    let mac_to = ka1.link("eth0").map(|link| link.mac).unwrap_or(keepalived_rs::types::MacAddr::BROADCAST);
    Forged { mac_to, to: ka1.ipv4().into(), ttl, ..Forged::v3(from, 51, 200) }.frame()
}

#[test]
fn check_unicast_src_believes_configured_peers_only() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &unicast(100, "172.25.254.10", "172.25.254.20", "check_unicast_src"));
        only(lab, "ka1", VIP, secs(5));
        let injector = Injector::open(lab.host("client"), "eth0").unwrap();
        for _ in 0..5 {
            injector.send(&to_ka1(lab, lab.host("client").ipv4(), 255)).unwrap();
            std::thread::sleep(millis(50));
        }
        assert!(lab.host("ka1").has(VIP), "it believed a stranger");
        injector.send(&to_ka1(lab, lab.host("ka2").ipv4(), 255)).unwrap();
        nobody(lab, VIP, secs(1));
    });
}

#[test]
fn a_peers_min_ttl_drops_adverts_from_further_away() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &unicast(100, "172.25.254.10", "172.25.254.20 min_ttl 250 max_ttl 254", ""));
        only(lab, "ka1", VIP, secs(5));
        let injector = Injector::open(lab.host("client"), "eth0").unwrap();
        for ttl in [249, 10, 255] {
            injector.send(&to_ka1(lab, lab.host("ka2").ipv4(), ttl)).unwrap();
        }
        never(lab, "yielding to a packet from too far away", millis(300), || !lab.host("ka1").has(VIP));
        injector.send(&to_ka1(lab, lab.host("ka2").ipv4(), 250)).unwrap();
        nobody(lab, VIP, secs(1));
    });
}

#[test]
fn a_multicast_advert_does_not_concern_a_unicast_instance() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &unicast(100, "172.25.254.10", "172.25.254.20", ""));
        only(lab, "ka1", VIP, secs(5));
        let client = lab.host("client");
        Injector::open(client, "eth0").unwrap().send(&Forged::v3(client.ipv4(), 51, 254).frame()).unwrap();
        never(lab, "yielding to a multicast advert", millis(300), || !lab.host("ka1").has(VIP));
    });
}

#[test]
fn a_multicast_group_of_ones_own_is_sent_to_and_listened_to() {
    laboratory(HOSTS, |lab| {
        let config = |priority| format!("global_defs {{\n vrrp_mcast_group4 224.0.0.100\n}}\n{}", fast(priority));
        let first = start(lab.host("ka1"), &config(100));
        let second = start(lab.host("ka2"), &config(90));
        only(lab, "ka1", VIP, secs(5));
        let seen = wait_adverts(lab, 0, "ka1", 3, secs(2)).pop().unwrap();
        assert_eq!((seen.to, seen.mac_to.to_string().as_str()), ([224, 0, 0, 100].into(), "01:00:5e:00:00:64"));
        assert_failover(lab, first, &second);
    });
}

#[test]
fn mcast_src_ip_is_the_source_of_adverts() {
    laboratory(HOSTS, |lab| {
        lab.host("ka1").add_address("eth0", prefix("172.25.254.11/24")).unwrap();
        let first = start(lab.host("ka1"), &fast_with(100, "mcast_src_ip 172.25.254.11"));
        let second = start(lab.host("ka2"), &fast(90));
        only(lab, "ka1", VIP, secs(5));
        let seen = wait_adverts(lab, 0, "ka1", 2, secs(2)).pop().unwrap();
        assert_eq!((seen.from, seen.checksum_ok), ([172, 25, 254, 11].into(), true));
        assert_failover(lab, first, &second);
    });
}

#[test]
fn ipv6_multicast_adverts_come_from_the_link_local_address_and_fail_over_on_time() {
    laboratory(HOSTS, |lab| {
        let first = start(lab.host("ka1"), &ipv6(100, ""));
        let second = start(lab.host("ka2"), &ipv6(90, ""));
        only6(lab, "ka1");
        let seen = wait_adverts(lab, 0, "ka1", 3, secs(3)).pop().unwrap();
        let (group, from): (Ipv6Addr, IpAddr) = ("ff02::12".parse().unwrap(), seen.from);
        assert_eq!((seen.to, seen.ttl, seen.version, seen.checksum_ok), (group.into(), 255, 3, true));
        assert!(matches!(from, IpAddr::V6(from) if from.is_unicast_link_local()), "{from}");
        assert_eq!(seen.addresses, ["fe80::100".parse::<IpAddr>().unwrap(), VIP6.parse().unwrap()]);
        assert_eq!(seen.length, 8 + 2 * 16);
        assert!(answers(lab, VIP6.parse::<IpAddr>().unwrap()));
        assert_failover(lab, first, &second);
        lab.wait("an answer from ka2", secs(3), || answers(lab, VIP6.parse::<IpAddr>().unwrap())).unwrap();
    });
}

#[test]
fn ipv6_unicast_goes_to_the_peer_and_fails_over_on_time() {
    laboratory(HOSTS, |lab| {
        let config = |priority, own: &str, peer: &str| ipv6(priority, &format!("unicast_src_ip {own}\n    unicast_peer {{\n {peer}\n }}"));
        let first = start(lab.host("ka1"), &config(100, "fd00:25::10", "fd00:25::20"));
        let second = start(lab.host("ka2"), &config(90, "fd00:25::20", "fd00:25::10"));
        only6(lab, "ka1");
        let seen = wait_adverts(lab, 0, "ka1", 3, secs(3)).pop().unwrap();
        assert_eq!((seen.from, seen.to), (lab.host("ka1").ipv6().into(), lab.host("ka2").ipv6().into()));
        assert!(seen.checksum_ok);
        assert_failover(lab, first, &second);
    });
}

#[test]
fn both_families_of_one_virtual_router_id_live_side_by_side() {
    laboratory(HOSTS, |lab| {
        let config = |priority| format!("{}{}", fast(priority), ipv6(priority, "").replace("VI_1", "VI_6"));
        let mut first = start(lab.host("ka1"), &config(100));
        let _second = start(lab.host("ka2"), &config(90));
        only(lab, "ka1", VIP, secs(5));
        only6(lab, "ka1");
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(3));
        only6(lab, "ka2");
    });
}

#[test]
fn a_multicast_group_for_ipv6_of_ones_own_is_used() {
    laboratory(HOSTS, |lab| {
        let config = |priority| format!("global_defs {{\n vrrp_mcast_group6 ff02::112\n}}\n{}", ipv6(priority, ""));
        let _first = start(lab.host("ka1"), &config(100));
        let _second = start(lab.host("ka2"), &config(90));
        only6(lab, "ka1");
        let group: Ipv6Addr = "ff02::112".parse().unwrap();
        assert_eq!(wait_adverts(lab, 0, "ka1", 1, secs(3))[0].to, IpAddr::from(group));
    });
}
