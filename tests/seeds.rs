//! The scenarios of people's tutorials, with the texts they print: `tests/configs/seeds`. Adverts of version 2, every second.

mod common;

use common::*;

const MASTER: &str = include_str!("configs/seeds/master.conf");
const BACKUP: &str = include_str!("configs/seeds/backup.conf");
const NOPREEMPT: &str = include_str!("configs/seeds/nopreempt.conf");
const PREEMPT_DELAY: &str = include_str!("configs/seeds/preempt_delay.conf");
const UNICAST1: &str = include_str!("configs/seeds/unicast1.conf");
const UNICAST2: &str = include_str!("configs/seeds/unicast2.conf");
const SECOND: &str = include_str!("configs/seeds/second_instance.conf");

const HOSTS: &[&str] = &["ka1", "ka2", "client"];

fn with_global(router: &str, instance: &str) -> String {
    format!("{}\n{instance}", global(router, NOT_STRICT))
}

fn label(host: &Host, ip: Ipv4Addr) -> Option<String> {
    host.address(ip)?.label
}

#[test]
fn seed_1_the_address_is_on_the_master_moves_to_the_backup_and_returns() {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let mut first = start(ka1, &with_global("ka1", MASTER));
        let _second = start(ka2, &with_global("ka2", BACKUP));
        only(lab, "ka1", VIP, secs(10));
        let address = ka1.address(VIP).unwrap();
        assert_eq!((address.prefix, address.label.as_deref()), (prefix("172.25.254.100/24"), Some("eth0:1")));
        assert_eq!((address.scope.as_str(), address.broadcast), ("global", None));
        let advert = wait_adverts(lab, 0, "ka1", 3, secs(6)).pop().unwrap();
        assert_eq!((advert.from, advert.to), (ka1.ipv4().into(), Ipv4Addr::new(224, 0, 0, 18).into()));
        assert_eq!((advert.version, advert.kind, advert.vrid, advert.priority), (2, 1, 100, 100));
        assert_eq!((advert.auth_type, advert.auth.as_slice(), advert.interval, advert.length), (1, &b"1111\0\0\0\0"[..], 100, 20));
        assert_eq!((advert.ttl, advert.tos, advert.checksum_ok), (255, 0xc0, true));
        assert_eq!(advert.addresses, [IpAddr::from(VIP)]);
        assert_eq!(advert.mac_to.to_string(), "01:00:5e:00:00:12");
        assert!(adverts(lab, 0, "ka2").is_empty(), "the backup advertises");
        assert!(answers(lab, VIP));

        let (stopped, mark) = (lab::now(), lab.capture().mark());
        assert!(first.stop().unwrap().success());
        let moved = only(lab, "ka2", VIP, secs(4));
        assert!(moved.since(stopped) < secs(3), "took {:?}", moved.since(stopped));
        assert!(wait_adverts(lab, mark, "ka2", 2, secs(4)).iter().all(|advert| (advert.vrid, advert.priority) == (100, 80)));
        assert_eq!(adverts(lab, mark, "ka1").last().map(|advert| advert.priority), Some(0));
        assert_eq!(label(ka2, VIP).as_deref(), Some("eth0:1"));
        assert!(answers(lab, VIP));

        let mark = lab.capture().mark();
        let _first = start_again(ka1);
        only(lab, "ka1", VIP, secs(10));
        assert!(wait_adverts(lab, mark, "ka1", 2, secs(4)).iter().all(|advert| (advert.vrid, advert.priority) == (100, 100)));
        assert!(answers(lab, VIP));
    });
}

#[test]
fn seed_2_nopreempt_leaves_the_address_where_it_is_until_that_node_dies() {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let mut first = start(ka1, &with_global("ka1", &NOPREEMPT.replace("PRIORITY", "100\t#优先级高")));
        std::thread::sleep(millis(300));
        let mut second = start(ka2, &with_global("ka2", &NOPREEMPT.replace("PRIORITY", "80\t\t#优先级低")));
        only(lab, "ka1", VIP, secs(9));
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(5));
        let mark = lab.capture().mark();
        let mut first = start_again(ka1);
        never(lab, "preemption in spite of nopreempt", secs(6), || lab.holders(VIP) != ["ka2"]);
        assert!(first.is_running() && adverts(lab, mark, "ka1").is_empty());
        second.kill_all();
        lab.wait("the address on ka1", secs(5), || ka1.has(VIP)).unwrap();
    });
}

#[expect(clippy::unwrap_used, reason = "the body of two tests")]
fn preempt_delay(delay: &str, waits: bool) {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let config = |priority: &str| PREEMPT_DELAY.replace("PRIORITY", priority).replace("DELAY", delay);
        let mut first = start(ka1, &with_global("ka1", &config("100")));
        std::thread::sleep(millis(300));
        let _second = start(ka2, &with_global("ka2", &config("80")));
        only(lab, "ka1", VIP, secs(9));
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(5));
        let restarted = lab::now();
        let first = start_again(ka1);
        let moved = only(lab, "ka1", VIP, secs(15)).since(restarted);
        if waits {
            assert!(moved > secs(5), "moved after {moved:?}");
            if delay != "5" {
                assert!(first.log().contains(delay), "nothing is said about {delay}: {}", first.log());
            }
        }
    });
}

#[test]
fn seed_3_preempt_delay_keeps_the_returning_node_waiting_five_seconds() {
    preempt_delay("5", true);
}

#[test]
fn seed_3_a_preempt_delay_printed_with_its_unit_runs_and_by_ours_is_taken() {
    preempt_delay("5s", ours());
}

#[test]
fn seed_4_unicast_adverts_go_to_the_peer_and_never_to_the_group() {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let mut first = start(ka1, &with_global("ka1", UNICAST1));
        let _second = start(ka2, &with_global("ka2", UNICAST2));
        only(lab, "ka1", VIP, secs(9));
        let advert = wait_adverts(lab, 0, "ka1", 2, secs(4)).pop().unwrap();
        assert_eq!((advert.from, advert.to), (ka1.ipv4().into(), ka2.ipv4().into()));
        assert_eq!((advert.vrid, advert.priority, advert.auth_type, advert.length, advert.ttl), (100, 100, 1, 20, 255));
        assert_eq!(advert.mac_to, ka2.link("eth0").unwrap().mac);
        let mark = lab.capture().mark();
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(4));
        let advert = wait_adverts(lab, mark, "ka2", 2, secs(4)).pop().unwrap();
        assert_eq!((advert.from, advert.to, advert.priority), (ka2.ipv4().into(), ka1.ipv4().into(), 80));
        let _first = start_again(ka1);
        only(lab, "ka1", VIP, secs(9));
        let group: IpAddr = Ipv4Addr::new(224, 0, 0, 18).into();
        assert!(adverts(lab, 0, "").iter().all(|advert| advert.to != group));
    });
}

#[test]
fn seed_5_two_instances_share_the_load_and_one_node_holds_both_when_the_other_stops() {
    laboratory(HOSTS, |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let second = |state: &str, priority: &str, source: &str, peer: &str| {
            SECOND.replace("STATE", state).replace("PRIORITY", priority).replace("SOURCE", source).replace("PEER", peer)
        };
        let one = format!("{}{}", UNICAST1.replace('`', ""), second("BACKUP", "80", "172.25.254.10", "172.25.254.20"));
        let two = format!("{}{}", UNICAST2.replace('`', ""), second("MASTER", "100", "172.25.254.20", "172.25.254.10"));
        let _first = start(ka1, &with_global("ka1", &one));
        let mut other = start(ka2, &with_global("ka2", &two));
        only(lab, "ka1", VIP, secs(10));
        only(lab, "ka2", VIP2, secs(10));
        assert_eq!((label(ka1, VIP).as_deref(), label(ka2, VIP2).as_deref()), (Some("eth0:1"), Some("eth0:2")));
        assert!(answers(lab, VIP) && answers(lab, VIP2));
        other.stop().unwrap();
        only(lab, "ka1", VIP2, secs(5));
        assert_eq!((lab.holders(VIP), label(ka1, VIP2).as_deref()), (vec!["ka1"], Some("eth0:2")));
        assert!(answers(lab, VIP2));
        let _other = start_again(ka2);
        only(lab, "ka2", VIP2, secs(10));
        only(lab, "ka1", VIP, secs(1));
    });
}

#[test]
fn seed_6_instances_live_in_included_files_found_by_a_pattern_or_relative_to_the_including_file() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let other =
            MASTER.replace("VI_1", "VI_2").replacen(" 100\n", " 201\n", 1).replace("254.100", "254.200").replace("eth0:1", "eth0:2");
        ka1.write("/etc/keepalived/conf.d/172.25.254.100.conf", MASTER).unwrap();
        ka1.write("/etc/keepalived/conf.d/172.25.254.200.conf", &other).unwrap();
        let third = MASTER.replace("VI_1", "VI_3").replacen(" 100\n", " 202\n", 1).replace("254.100", "254.201");
        ka1.write("/etc/keepalived/conf.d/ignored.txt", third).unwrap();
        let mut daemon = start(ka1, &with_global("ka1", "include /etc/keepalived/conf.d/*.conf #相关子配置文件\n"));
        lab.wait("both addresses", secs(8), || ka1.has(VIP) && ka1.has(VIP2)).unwrap();
        assert_eq!((label(ka1, VIP).as_deref(), label(ka1, VIP2).as_deref()), (Some("eth0:1"), Some("eth0:2")));
        assert!(!ka1.has(Ipv4Addr::new(172, 25, 254, 201)), "a file that the pattern does not match was included");
        daemon.stop().unwrap();
        let _daemon = start(ka1, &with_global("ka1", "include conf.d/172.25.254.100.conf\n"));
        only(lab, "ka1", VIP, secs(8));
        assert!(!ka1.has(VIP2));
    });
}

#[test]
fn seed_7_strict_mode_keeps_the_address_from_answering_and_without_it_the_address_answers() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        let strict = format!("{}\n{MASTER}", global("ka1", "vrrp_strict"));
        let mut daemon = start(ka1, &strict);
        only(lab, "ka1", VIP, secs(8));
        assert_eq!(wait_adverts(lab, 0, "ka1", 1, secs(3))[0].auth_type, 0, "strict mode ignores the password");
        assert!(!answers(lab, VIP));
        assert!(answers(lab, ka1.ipv4()), "the node itself must answer");
        daemon.stop().unwrap();
        assert!(!ka1.has(VIP));
        assert!(!ka1.sh("nft list ruleset").unwrap().contains("172.25.254.100"));
        let mut daemon = start(ka1, &with_global("ka1", MASTER));
        only(lab, "ka1", VIP, secs(8));
        assert!(answers(lab, VIP));
        daemon.stop().unwrap();
        // The cure that the tutorials print; keepalived on a machine with nftables keeps the address dropped.
        let _daemon = start(ka1, &format!("{}\n{MASTER}", global("ka1", "vrrp_strict\n   vrrp_iptables")));
        only(lab, "ka1", VIP, secs(8));
        assert!(!answers(lab, VIP));
    });
}

#[test]
fn seed_7_a_full_global_block_with_mail_settings_and_comments_everywhere_runs() {
    laboratory(&["ka1"], |lab| {
        let mut daemon = start(lab.host("ka1"), include_str!("configs/seeds/annotated.conf"));
        only(lab, "ka1", VIP, secs(8));
        daemon.stop().unwrap();
        let every = format!("{}\n{MASTER}", include_str!("configs/seeds/lvs_devel.conf"));
        let _daemon = start(lab.host("ka1"), &every);
        only(lab, "ka1", VIP, secs(8));
    });
}

#[test]
fn seed_8_detailed_logs_go_to_the_syslog_facility_asked_for() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let syslog = DatagramSink::start(ka1, "/dev/log").unwrap();
        ka1.write(CONF, with_global("ka1", MASTER)).unwrap();
        let mut daemon = start_as(ka1, "keepalived", &["-n", "-D", "-S", "6"]);
        only(lab, "ka1", VIP, secs(8));
        let line = |text: &str| syslog.datagrams().into_iter().map(|seen| seen.what).find(|line| line.contains(text));
        for text in ["(VI_1) Entering MASTER STATE", "Sending gratuitous ARP on eth0 for 172.25.254.100"] {
            lab.wait(text, secs(3), || line(text).is_some()).unwrap();
            let line = line(text).unwrap();
            // local6 is facility 22; info is 6.
            assert!(line.starts_with("<182>") && line.contains("Keepalived_vrrp["), "{line:?}");
        }
        assert!(line("Keepalived[").is_some_and(|line| line.contains("Starting")), "{}", syslog.text());
        daemon.stop().unwrap();
        lab.wait("the last line", secs(3), || line("Stopped Keepalived").is_some_and(|line| line.contains("Keepalived["))).unwrap();
        let facility = |line: &str| {
            line.trim_start_matches('<').split('>').next().and_then(|number| number.parse::<u32>().ok()).map(|number| number >> 3)
        };
        assert!(syslog.datagrams().iter().all(|seen| facility(&seen.what) == Some(22)), "{}", syslog.text());

        let before = syslog.datagrams().len();
        let _daemon = start_as(ka1, "keepalived", &["-n", "-S", "3"]);
        only(lab, "ka1", VIP, secs(8));
        let later = syslog.datagrams().split_off(before);
        assert!(!later.is_empty() && later.iter().all(|seen| facility(&seen.what) == Some(19)));
        assert!(later.iter().all(|seen| !seen.what.contains("Sending gratuitous ARP")), "details without -D");
    });
}

#[test]
fn seed_9_a_bare_address_on_ens33_becomes_a_host_address() {
    let plan = plan().network([192, 168, 2]).interface("ens33");
    laboratory_of(plan, &["ka1", "ka2"], |lab| {
        let config = include_str!("configs/seeds/bare_address.conf");
        let _first = start(lab.host("ka1"), &config.replace("STATE", "MASTER").replace("PRIORITY", "100"));
        let _second = start(lab.host("ka2"), &config.replace("STATE", "BACKUP").replace("PRIORITY", "90"));
        let vip = Ipv4Addr::new(192, 168, 2, 100);
        only(lab, "ka1", vip, secs(10));
        assert_eq!(lab.host("ka1").address(vip).unwrap().prefix, prefix("192.168.2.100/32"));
        assert_eq!(wait_adverts(lab, 0, "ka1", 1, secs(3))[0].vrid, 51);
    });
}
