//! Elections against others' daemons, each way round: Debian's keepalived, and frr's vrrpd.

mod common;

use common::*;
use std::path::Path;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const ORIGINAL: &str = "/usr/sbin/keepalived";

/// Ours and the original as the two nodes, each way round: the stronger holds the address, an orderly stop and a crash
/// move it, a return brings it back.
#[expect(clippy::unwrap_used, reason = "the body of tests")]
fn against_the_original(interval: Duration, vip: IpAddr, config: impl Fn(u8, &str, &str) -> String) {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    for programs in [["keepalived", ORIGINAL], [ORIGINAL, "keepalived"]] {
        laboratory(HOSTS, |lab| {
            let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
            ka1.write(CONF, config(100, "ka1", "ka2")).unwrap();
            ka2.write(CONF, config(80, "ka2", "ka1")).unwrap();
            let args = ["-n", "-l", "-D"];
            let alone = |host: &str| only(lab, host, vip, 5 * interval + secs(5));
            let mut first = start_as(ka1, programs[0], &args);
            let mut second = start_as(ka2, programs[1], &args);
            alone("ka1");
            let mark = lab.capture().mark();
            std::thread::sleep(4 * interval);
            assert!(adverts(lab, mark, "ka2").is_empty(), "two masters: {}", lab.logs());
            assert!(adverts(lab, mark, "ka1").iter().all(|advert| advert.checksum_ok));

            first.stop().unwrap();
            alone("ka2");
            let mut first = start_as(ka1, programs[0], &args);
            alone("ka1");

            std::thread::sleep(2 * interval);
            first.kill_all();
            assert_succession_on_time(lab, "ka1", "ka2", interval, 80);
            let _first = start_as(ka1, programs[0], &args);
            alone("ka1");
            second.stop().unwrap();
        });
    }
}

#[test]
fn keepalived_version_2_with_a_password() {
    against_the_original(secs(1), VIP.into(), |priority, _, _| {
        let extra = "authentication {\n auth_type PASS\n auth_pass 1111\n }";
        Instance { priority, version: 2, advert_int: "1", extra, ..Instance::default() }.to_string()
    });
}

#[test]
fn keepalived_version_2_with_an_authentication_header() {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    let config = |priority| {
        let extra = "authentication {\n auth_type AH\n auth_pass secret12\n }";
        Instance { priority, version: 2, advert_int: "1", extra, ..Instance::default() }.to_string()
    };
    for programs in [["keepalived", ORIGINAL], [ORIGINAL, "keepalived"]] {
        laboratory(HOSTS, |lab| {
            let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
            ka1.write(CONF, config(100)).unwrap();
            ka2.write(CONF, config(80)).unwrap();
            let args = ["-n", "-l", "-D"];
            let mut first = start_as(ka1, programs[0], &args);
            let second = start_as(ka2, programs[1], &args);
            only(lab, "ka1", VIP, secs(10));
            // longer than the backup waits: it takes the master's digests for right
            std::thread::sleep(secs(5));
            assert!(!ka2.has(VIP), "two masters: {}", lab.logs());
            first.stop().unwrap();
            only(lab, "ka2", VIP, secs(5));
            let _first = start_as(ka1, programs[0], &args);
            only(lab, "ka1", VIP, secs(10));
            // the two may count to the same number in the same instant while they contend, no digest may be wrong
            let log = second.log();
            let mut complaints = log.lines().filter(|line| line.contains("IPSEC-AH"));
            assert!(complaints.all(|line| line.contains("already processed")), "{}", lab.logs());
        });
    }
}

#[test]
fn keepalived_version_3() {
    against_the_original(millis(100), VIP.into(), |priority, _, _| fast(priority));
}

#[test]
fn keepalived_version_3_over_ipv6() {
    against_the_original(millis(100), "fd00:25::100".parse::<Ipv6Addr>().map_or(VIP.into(), IpAddr::from), |priority, _, _| {
        Instance { priority, addresses: &["fe80::100/64", "fd00:25::100/64"], ..Instance::default() }.to_string()
    });
}

#[test]
fn keepalived_version_2_unicast() {
    let number = |host: &str| if host == "ka1" { 10 } else { 20 };
    against_the_original(secs(1), VIP.into(), |priority, own, peer| {
        let (own, peer) = (number(own), number(peer));
        let extra = format!("unicast_src_ip 172.25.254.{own}\n unicast_peer {{\n 172.25.254.{peer}\n }}");
        Instance { priority, version: 2, advert_int: "1", extra: &extra, ..Instance::default() }.to_string()
    });
}

#[test]
fn keepalived_version_3_unicast() {
    let number = |host: &str| if host == "ka1" { 10 } else { 20 };
    against_the_original(millis(100), VIP.into(), |priority, own, peer| {
        let (own, peer) = (number(own), number(peer));
        fast_with(priority, &format!("unicast_src_ip 172.25.254.{own}\n unicast_peer {{\n 172.25.254.{peer}\n }}"))
    });
}

#[test]
fn keepalived_version_2_with_vmacs() {
    against_the_original(secs(1), VIP.into(), |priority, _, _| {
        Instance { priority, version: 2, advert_int: "1", extra: "use_vmac", ..Instance::default() }.to_string()
    });
}

#[test]
fn keepalived_version_3_over_ipv6_with_vmacs() {
    against_the_original(millis(100), "fd00:25::100".parse::<Ipv6Addr>().map_or(VIP.into(), IpAddr::from), |priority, _, _| {
        let addresses = &["fe80::100/64", "fd00:25::100/64"];
        Instance { priority, addresses, extra: "use_vmac", ..Instance::default() }.to_string()
    });
}

#[test]
fn a_replaced_configuration_at_the_originals_side_is_followed() {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &fast(100));
        lab.host("ka2").write(CONF, fast(90)).unwrap();
        let second = start_as(lab.host("ka2"), ORIGINAL, &["-n", "-l", "-D"]);
        only(lab, "ka1", VIP, secs(5));
        reload(lab.host("ka2"), &second, &fast(110));
        only(lab, "ka2", VIP, secs(5));
        reload(lab.host("ka2"), &second, &fast(90));
        only(lab, "ka1", VIP, secs(5));
    });
}

// ---- frr. Its address stands on a macvlan all the time: who is master shows in the adverts.

/// Starts zebra and vrrpd on a host, as a router of virtual router 51 with this priority.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn start_frr(host: &Arc<Host>, version: u8, priority: u8, milliseconds: u32, ipv6: bool) -> [Daemon; 2] {
    let (mac, own) = if ipv6 { ("00:00:5e:00:02:33", "fe80::100/64") } else { ("00:00:5e:00:01:33", "172.25.254.100/24") };
    let address = if ipv6 { "vrrp 51 ipv6 fe80::100\n vrrp 51 ipv6 fd00:25::100" } else { "vrrp 51 ip 172.25.254.100" };
    host.sh(&format!(
        "mkdir -p /run/frr && sed -i 's/^frrvty:.*/frrvty:x:8766:root/' /etc/group && ip link add vrrp-51 link eth0 address {mac} type macvlan mode bridge && \
         ip link set vrrp-51 addrgenmode none up && ip addr add {own} dev vrrp-51 nodad"
    ))
    .unwrap();
    let lines = format!(
        "interface eth0\n vrrp 51 version {version}\n vrrp 51 priority {priority}\n vrrp 51 advertisement-interval {milliseconds}\n {address}\n"
    );
    host.write("/run/frr/zebra.conf", "hostname zebra\n").unwrap();
    host.write("/run/frr/vrrpd.conf", lines).unwrap();
    let common = ["-z", "/run/frr/zserv.api", "--vty_socket", "/run/frr", "-u", "root", "-g", "root", "-P", "0", "--log", "stdout"];
    let begin = |name: &str| {
        let (config, pid) = (format!("/run/frr/{name}.conf"), format!("/run/frr/{name}.pid"));
        start_as(host, &format!("/usr/lib/frr/{name}"), &[&["-f", &config, "-i", &pid][..], &common].concat())
    };
    let zebra = begin("zebra");
    lab::until("zebra's socket", secs(5), || host.exists("/run/frr/zserv.api")).unwrap();
    [zebra, begin("vrrpd")]
}

/// Whoever advertised last, now that everybody has had time to.
fn masters(lab: &Lab, time: Duration) -> Vec<String> {
    let mark = lab.capture().mark();
    std::thread::sleep(time);
    let mut names: Vec<String> =
        adverts(lab, mark, "").into_iter().filter(|advert| advert.priority > 0).map(|advert| advert.host).collect();
    names.sort();
    names.dedup();
    names
}

#[expect(clippy::unwrap_used, reason = "the body of tests")]
fn against_frr(version: u8, milliseconds: u32, ipv6: bool, config: impl Fn(u8) -> String) {
    if !Path::new("/usr/lib/frr/vrrpd").exists() {
        return skip("frr is not installed");
    }
    let interval = millis(milliseconds.into());
    // Ours stronger: frr takes over when ours crashes, and gives back.
    laboratory(HOSTS, |lab| {
        let mut ours = start(lab.host("ka1"), &config(200));
        let _frr = start_frr(lab.host("ka2"), version, 90, milliseconds, ipv6);
        lab.wait("ka1 alone advertising", secs(15), || masters(lab, 2 * interval) == ["ka1"]).unwrap();
        ours.kill_all();
        succession(lab, "ka1", "ka2", 5 * interval + secs(1));
        let _ours = start_again(lab.host("ka1"));
        lab.wait("ka1 alone advertising", secs(15), || masters(lab, 2 * interval) == ["ka1"]).unwrap();
    });
    // frr stronger: ours takes over on time when frr crashes, and gives back.
    laboratory(HOSTS, |lab| {
        let _ours = start(lab.host("ka1"), &config(100));
        let [_zebra, mut vrrpd] = start_frr(lab.host("ka2"), version, 200, milliseconds, ipv6);
        lab.wait("frr alone advertising", secs(15), || masters(lab, 2 * interval) == ["ka2"]).unwrap();
        vrrpd.kill_all();
        assert_succession_on_time(lab, "ka2", "ka1", interval, 100);
    });
}

#[test]
fn frr_version_2() {
    against_frr(2, 1000, false, |priority| Instance { priority, version: 2, advert_int: "1", ..Instance::default() }.to_string());
}

#[test]
fn frr_version_3() {
    against_frr(3, 200, false, |priority| Instance { priority, advert_int: "0.2", ..Instance::default() }.to_string());
}

#[test]
fn frr_version_3_over_ipv6() {
    against_frr(3, 200, true, |priority| {
        let addresses = &["fe80::100/64", "fd00:25::100/64"];
        Instance { priority, advert_int: "0.2", addresses, ..Instance::default() }.to_string()
    });
}
