//! VMACs: interfaces with the virtual router's own Ethernet address, held against the original where it is installed.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use keepalived_rs::types::MacAddr;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const NAME: &str = "vrrp.51";
const V4: MacAddr = MacAddr([0, 0, 0x5e, 0, 1, 51]);
const V6: MacAddr = MacAddr([0, 0, 0x5e, 0, 2, 51]);

fn exists(host: &Host, name: &str) -> bool {
    host.link(name).is_ok()
}

fn index(host: &Host, name: &str) -> Option<u32> {
    Some(host.link(name).ok()?.index)
}

/// The interface that the address is on.
fn stands_on(host: &Host) -> Option<u32> {
    Some(host.address(VIP)?.interface)
}

fn sysctl(host: &Host, key: &str) -> String {
    host.read(&format!("/proc/sys/net/{key}")).unwrap_or_default().trim().to_owned()
}

/// Everything that tells of VMACs on a host: links with their addresses, switches, firewall. `ip` and `nft` print it, so these are
/// independent readers.
fn scenery(host: &Host) -> String {
    // a macvlan over ipvlan says so; what is numbered or random is left out
    let links = host.sh("ip -d link | grep -A2 -E '^[0-9]+: (vrrp|own)' | grep -v -e 'link/ether 0[2-9a-f]' || true").unwrap();
    let links: Vec<String> = links.lines().map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned()).collect();
    let addresses = host.sh("ip -o addr | sed 's/^[0-9]*: //' | grep -E '^(vrrp|own)' | sort || true").unwrap();
    let switches = host
        .sh("cd /proc/sys/net && for i in $(ls ipv4/conf); do for k in arp_ignore arp_filter accept_local rp_filter promote_secondaries; \
             do echo $i $k $(cat ipv4/conf/$i/$k); done; for k in disable_ipv6 addr_gen_mode; do echo $i $k $(cat ipv6/conf/$i/$k); done; done")
        .unwrap();
    let firewall = host.sh("for f in ip ip6; do nft list table $f keepalived 2>&1 || true; done").unwrap();
    format!("{}\n{addresses}\n{switches}\n{firewall}", links.join("\n"))
}

/// The same words make the same interfaces, addresses, switches and rules of ours and of the original, and nothing is left behind.
#[test]
fn every_vmac_becomes_in_the_kernel_what_the_original_makes_of_it() {
    let original = std::path::Path::new("/usr/sbin/keepalived");
    if !original.exists() {
        return skip("the original keepalived is not installed");
    }
    // addresses without the original's borrowed one: its bits come from the host's own Ethernet address
    let extra = "use_vmac\n use_vmac_addr\n virtual_ipaddress_excluded {\n fd00:25::100/64\n 172.25.254.101/24 dev eth0\n 10.2.0.100/24 dev eth1\n }";
    let own = "use_vmac own 02:01:02:03:04\n no_accept\n vmac_xmit_base";
    let all = [
        Instance { priority: 100, extra, ..Instance::default() },
        Instance { name: "VI_2", vrid: 52, addresses: &["172.25.254.152/24 dev eth1 use_vmac"], ..Instance::default() },
        Instance { name: "VI_3", vrid: 53, addresses: &["172.25.254.153/24"], extra: own, ..Instance::default() },
    ];
    let text: String = all.iter().map(ToString::to_string).collect();
    laboratory_of(plan().program("original", original), &["ka1", "ka2"], |lab| {
        lab.second_network("eth1", &["ka1", "ka2"]).unwrap();
        let mut seen = Vec::new();
        for (host, program) in [("ka1", "keepalived"), ("ka2", "original")] {
            let host = lab.host(host);
            host.sh("echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter").unwrap();
            let before = scenery(host);
            host.write(CONF, &text).unwrap();
            let mut daemon = start_as(host, program, &["-n", "-l", "-D"]);
            let all = ["172.25.254.100", "172.25.254.101", "10.2.0.100", "172.25.254.152", "172.25.254.153"];
            lab.wait("all addresses", secs(10), || all.iter().all(|ip| host.has(ip.parse::<IpAddr>().unwrap()))).unwrap();
            lab.wait("the IPv6 address", secs(10), || host.has("fd00:25::100".parse::<IpAddr>().unwrap())).unwrap();
            // the original sometimes passes over eth1 when it moves rp_filter from all interfaces to each
            let same = |line: &&str| !line.contains("scope link") && !line.starts_with("eth1 rp_filter");
            let comparable = |text: String| text.lines().filter(same).collect::<Vec<_>>().join("\n");
            seen.push(comparable(scenery(host)));
            daemon.stop().unwrap();
            if program == "keepalived" && ours() {
                assert_eq!(scenery(host), before, "something is left behind");
            }
        }
        assert_eq!(seen[0], seen[1], "ours, then the original's");
    });
}

/// Which Ethernet addresses the question for the address was answered with.
fn arp_replies(lab: &Lab, mark: usize) -> Vec<MacAddr> {
    let vip = VIP.octets();
    lab.capture().filter(mark, |frame| {
        let is_reply = frame.bytes.get(12..14) == Some(&[8, 6]) && frame.bytes.get(20..22) == Some(&[0, 2]);
        let mac: [u8; 6] = frame.bytes.get(22..28)?.try_into().ok()?;
        (is_reply && frame.bytes.get(28..32) == Some(&vip)).then_some(MacAddr(mac))
    })
}

/// A neighbour that knows the address goes on unaware of who has it.
#[test]
fn the_address_keeps_its_ethernet_address_when_it_moves() {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2, client) = (lab.host("ka1"), lab.host("ka2"), lab.host("client"));
        let mut first = start(ka1, &fast_with(100, "use_vmac"));
        let _second = start(ka2, &fast_with(80, "use_vmac"));
        only(lab, "ka1", VIP, secs(10));
        let mark = lab.capture().mark();
        assert!(answers(lab, VIP));
        let seen = wait_adverts(lab, mark, "ka1", 5, secs(10));
        assert!(seen.iter().all(|advert| advert.mac_from == V4 && advert.from == IpAddr::V4(ka1.ipv4())), "{seen:?}");
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(10));
        assert!(!exists(ka1, NAME), "the VMAC of who has stopped is gone");
        client.sh(&format!("ip neighbour flush to {VIP}")).unwrap();
        assert!(answers(lab, VIP));
        let replied = arp_replies(lab, mark);
        assert!(!replied.is_empty() && replied.iter().all(|mac| *mac == V4), "{replied:?}");
        let announced = announcements(lab, mark, "ka2", VIP);
        assert!(!announced.is_empty() && announced.iter().all(|seen| seen.mac == V4), "{announced:?}");
        for own in [ka1.ipv4(), ka2.ipv4()] {
            assert!(answers(lab, own), "{own} is where it was");
        }
    });
}

#[test]
fn ipv6_adverts_leave_from_the_virtual_address_of_the_link() {
    laboratory(HOSTS, |lab| {
        let config = |priority| {
            Instance { priority, addresses: &["fe80::100/64", "fd00:25::100/64"], extra: "use_vmac", ..Instance::default() }.to_string()
        };
        let vip: IpAddr = "fd00:25::100".parse().unwrap();
        let mut first = start(lab.host("ka1"), &config(100));
        let _second = start(lab.host("ka2"), &config(80));
        only(lab, "ka1", vip, secs(10));
        let mark = lab.capture().mark();
        let seen = wait_adverts(lab, mark, "ka1", 5, secs(10));
        assert!(seen.iter().all(|advert| advert.mac_from == V6 && advert.checksum_ok), "{seen:?}");
        assert!(answers(lab, vip));
        first.stop().unwrap();
        only(lab, "ka2", vip, secs(10));
        assert!(answers(lab, vip) && !exists(lab.host("ka1"), NAME));
    });
}

/// `vmac_xmit_base`, and unicast, which needs it: adverts from the interface, the address on the VMAC.
#[test]
fn adverts_leave_from_the_interface_where_that_is_asked_for() {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let unicast = |own: &Host, peer: &Host| {
            format!("use_vmac\n vmac_xmit_base\n unicast_src_ip {}\n unicast_peer {{\n {}\n }}", own.ipv4(), peer.ipv4())
        };
        for (one, other) in
            [("use_vmac\n vmac_xmit_base".to_owned(), "use_vmac\n vmac_xmit_base".to_owned()), (unicast(ka1, ka2), unicast(ka2, ka1))]
        {
            let mut first = start(ka1, &fast_with(100, &one));
            let mut second = start(ka2, &fast_with(80, &other));
            only(lab, "ka1", VIP, secs(10));
            let mark = lab.capture().mark();
            let seen = wait_adverts(lab, mark, "ka1", 5, secs(10));
            assert!(seen.iter().all(|advert| advert.mac_from != V4), "{seen:?}");
            assert_eq!(stands_on(ka1), index(ka1, NAME));
            first.stop().unwrap();
            only(lab, "ka2", VIP, secs(10));
            assert!(announcements(lab, mark, "ka2", VIP).iter().all(|seen| seen.mac == V4));
            second.stop().unwrap();
        }
    });
}

/// What the death of the VRRP process leaves is what its successor finds: the interface, the address on it, the state.
#[test]
fn a_killed_child_leaves_the_vmac_to_its_successor() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let mut first = start(ka1, &fast_with(100, "use_vmac"));
        let _second = start(ka2, &fast_with(80, "use_vmac"));
        only(lab, "ka1", VIP, secs(10));
        let (before, child) = (index(ka1, NAME), vrrp_child(ka1).unwrap());
        let watch = AddressWatch::start(ka1).unwrap();
        lab::send(child.pid, Signal::SIGKILL).unwrap();
        let replaced = || vrrp_child(ka1).is_some_and(|now| now.pid != child.pid);
        lab.wait("another child", secs(10), replaced).unwrap();
        wait_log(lab, &first, &format!("Found matching interface {NAME}"), secs(10));
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 5, secs(10));
        assert_eq!((index(ka1, NAME), watch.removed(VIP)), (before, Vec::new()));
        assert!(adverts(lab, mark, "ka2").is_empty() && answers(lab, VIP));
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(10));
        assert!(!exists(ka1, NAME));
    });
}

/// Nobody was left to take the interface away: the next start finds it, and takes it away at its end.
#[test]
fn what_a_crash_left_is_found_again() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        let mut first = start(ka1, &fast_with(100, "use_vmac"));
        only(lab, "ka1", VIP, secs(10));
        first.kill_all();
        assert!(exists(ka1, NAME));
        let before = index(ka1, NAME);
        let mut again = start_again(ka1);
        wait_log(lab, &again, "Entering MASTER STATE", secs(10));
        only(lab, "ka1", VIP, secs(10));
        assert_eq!(index(ka1, NAME), before);
        again.stop().unwrap();
        assert!(!exists(ka1, NAME));
    });
}

#[test]
fn a_vmac_that_somebody_takes_away_comes_back() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        let mut first = start(ka1, &fast_with(100, "use_vmac"));
        only(lab, "ka1", VIP, secs(10));
        let again = |what: &str, work: &str| {
            let before = index(ka1, NAME);
            ka1.sh(work).unwrap();
            lab.wait(what, secs(10), || index(ka1, NAME).is_some_and(|now| Some(now) != before) && ka1.has(VIP)).unwrap();
            assert!(answers(lab, VIP), "{what}: {}", lab.logs());
        };
        again("a new VMAC", &format!("ip link delete {NAME}"));
        // the original makes a second one with the same Ethernet address, which the kernel does not switch on
        if promised_by_ours() {
            again("a VMAC of the old name", &format!("ip link set {NAME} down; ip link set {NAME} name other"));
            assert!(!exists(ka1, "other"));
        }
        first.stop().unwrap();
        assert!(!exists(ka1, NAME));
    });
}

#[test]
fn a_vmac_follows_its_interface() {
    laboratory(&["ka1", "ka2", "client"], |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let first = start(ka1, &fast_with(100, "use_vmac"));
        let _second = start(ka2, &fast_with(80, "use_vmac"));
        only(lab, "ka1", VIP, secs(10));
        for (what, works) in [("eth0", [false, true]), (NAME, [false, true])] {
            ka1.set_link(what, works[0]).unwrap();
            only(lab, "ka2", VIP, secs(10));
            ka1.set_link(what, works[1]).unwrap();
            only(lab, "ka1", VIP, secs(10));
        }
        lab.set_carrier("ka1", false).unwrap();
        only(lab, "ka2", VIP, secs(10));
        lab.set_carrier("ka1", true).unwrap();
        only(lab, "ka1", VIP, secs(10));
        if promised_by_ours() {
            ka1.delete_link("eth0").unwrap();
            only(lab, "ka2", VIP, secs(10));
            lab.plug_in("ka1").unwrap();
            only(lab, "ka1", VIP, secs(10));
            assert!(exists(ka1, NAME) && answers(lab, VIP), "{}", first.log());
        }
    });
}

/// A VMAC is another instance: what was there goes, and comes again the other way.
#[test]
fn a_reload_gives_a_vmac_and_takes_it() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        let first = start(ka1, &fast(100));
        let on = |interface: &str| {
            let what = format!("the address on {interface}");
            lab.wait(&what, secs(10), || stands_on(ka1).is_some() && stands_on(ka1) == index(ka1, interface)).unwrap();
        };
        on("eth0");
        reload(ka1, &first, &fast_with(100, "use_vmac"));
        on(NAME);
        assert_eq!(sysctl(ka1, "ipv4/conf/eth0/arp_ignore"), "1");
        // what changes beside it leaves it alone
        let settled = |config: &str| {
            let (before, since) = (index(ka1, NAME), first.log().matches("Reload complete").count());
            reload(ka1, &first, config);
            lab.wait("the reload", secs(10), || first.log().matches("Reload complete").count() > since).unwrap();
            assert_eq!((index(ka1, NAME), stands_on(ka1)), (before, before));
        };
        settled(&fast_with(101, "use_vmac"));
        settled(&fast_with(101, "use_vmac\n vmac_xmit_base"));
        let mark = lab.capture().mark();
        let seen = wait_adverts(lab, mark, "ka1", 5, secs(10));
        assert!(seen.iter().skip(1).all(|advert| advert.mac_from != V4), "{seen:?}");
        settled(&fast_with(101, "use_vmac"));
        // the original loses the address
        if promised_by_ours() {
            reload(ka1, &first, &fast_with(101, "use_vmac other"));
            on("other");
            assert!(!exists(ka1, NAME));
        }
        reload(ka1, &first, &fast(100));
        on("eth0");
        lab.wait("the VMAC gone", secs(10), || !exists(ka1, "other") && !exists(ka1, NAME)).unwrap();
        if promised_by_ours() {
            assert_eq!(sysctl(ka1, "ipv4/conf/eth0/arp_ignore"), "0");
        }
    });
}

/// `garp_extra_if`: switches on other networks hear of the virtual Ethernet address now and then, for no advert passes there.
#[test]
fn other_networks_are_told_again_and_again() {
    laboratory(&["ka1", "client"], |lab| {
        lab.second_network("eth1", &["ka1", "client"]).unwrap();
        let ka1 = lab.host("ka1");
        let extra = "use_vmac\n garp_extra_if 1\n garp_master_delay 0\n garp_master_repeat 1\n \
                     virtual_ipaddress_excluded {\n 10.2.0.100/24 dev eth1 use_vmac\n }";
        let _daemon = start(ka1, &fast_with(100, extra));
        only(lab, "ka1", VIP, secs(10));
        let seen = |ip: IpAddr| announcements(lab, 0, "ka1", ip);
        let other: IpAddr = "10.2.0.100".parse().unwrap();
        lab.wait("three announcements", secs(20), || seen(other).len() >= 3).unwrap();
        assert!(seen(other).iter().all(|seen| seen.mac == V4));
        assert_eq!(seen(VIP.into()).len(), 1, "its adverts tell of this one");
    });
}
