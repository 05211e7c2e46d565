//! The laboratory itself: what it promises to the other tests and to the demonstration.

mod common;

use common::*;
use keepalived_rs::ctl::lab::{AddressWatch, DatagramSink, Lab, PingWatch, Pinger};
use std::fs;
use std::process::{Command, Stdio};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn hosts_reach_each_other_over_both_families_and_a_pulled_cable_takes_the_carrier_away() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        assert!(answers(lab, ka1.ipv4()) && answers(lab, ka1.ipv6()));
        lab.set_carrier("ka1", false).unwrap();
        lab.wait("loss of carrier", SECOND, || ka1.link("eth0").is_ok_and(|link| link.up && !link.running)).unwrap();
        lab.set_carrier("ka1", true).unwrap();
        lab.wait("carrier", SECOND, || ka1.link("eth0").is_ok_and(|link| link.running)).unwrap();
        lab.wait("an answer", 5 * SECOND, || answers(lab, ka1.ipv4())).unwrap();
    });
}

#[test]
fn an_isolated_host_keeps_its_carrier_and_reaches_nobody() {
    laboratory(&["ka1", "client"], |lab| {
        lab.set_isolated("ka1", true).unwrap();
        let mut pinger = Pinger::open(lab.host("client"), lab.host("ka1").ipv4()).unwrap();
        assert!(!pinger.answers(Duration::from_millis(200)));
        assert!(lab.host("ka1").link("eth0").unwrap().running);
        lab.set_isolated("ka1", false).unwrap();
        lab.wait("an answer", 5 * SECOND, || pinger.answers(Duration::from_millis(200))).unwrap();
    });
}

#[test]
fn files_are_a_hosts_own() {
    laboratory(&["ka1", "ka2"], |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        for path in
            ["/run/lab-own-file", "/tmp/lab-own-file", "/mnt/deep/lab-own-file", "/etc/keepalived/conf.d/lab-own-file", "/dev/lab-own-file"]
        {
            ka1.write(path, "ours").unwrap();
            assert_eq!(ka1.read(path).as_deref(), Some("ours"), "{path}");
            assert!(!ka2.exists(path), "{path}");
            assert!(!fs::exists(path).unwrap(), "{path}");
        }
        assert_eq!(ka1.sh("hostname; cat /run/lab-own-file; cat /proc/1/comm").unwrap(), "ka1\nourssystemd\n");
    });
}

#[test]
fn nothing_that_a_host_writes_reaches_the_machines_own_etc() {
    laboratory(&["ka1", "ka2"], |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let machine = fs::read("/etc/hosts").unwrap();
        // By way of the link, as a script would: refused.
        assert!(ka1.sh("echo 127.9.9.9 lab-own-name >> /etc/hosts").is_err());
        assert_eq!(fs::read("/etc/hosts").unwrap(), machine);
        // By way of the laboratory: the host gets a file of its own.
        ka1.write("/etc/hosts", "127.9.9.9 lab-own-name\n").unwrap();
        assert_eq!(ka1.sh("getent hosts lab-own-name").unwrap().split_whitespace().next(), Some("127.9.9.9"));
        assert!(!ka2.read("/etc/hosts").unwrap().contains("lab-own-name"));
        assert_eq!(fs::read("/etc/hosts").unwrap(), machine);
    });
}

#[test]
fn address_changes_datagrams_and_outages_are_seen() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        let watch = AddressWatch::start(ka1).unwrap();
        let pings = PingWatch::start(lab.host("client"), VIP, Duration::from_millis(20)).unwrap();
        let start = lab::now();
        lab.wait("a question without an answer", SECOND, || pings.echoes().last().is_some_and(|echo| !echo.answered)).unwrap();
        ka1.add_address("eth0", prefix("172.25.254.100/24")).unwrap();
        lab.wait("an answer", 5 * SECOND, || pings.echoes().last().is_some_and(|echo| echo.answered)).unwrap();
        assert!(pings.longest_outage(start) > Duration::ZERO);
        ka1.delete_address("eth0", prefix("172.25.254.100/24")).unwrap();
        lab.wait("both changes", SECOND, || watch.added(VIP).len() == 1 && watch.removed(VIP).len() == 1).unwrap();
        let sink = DatagramSink::start(ka1, "/dev/log").unwrap();
        ka1.sh("logger -u /dev/log hello").unwrap();
        lab.wait("a datagram", SECOND, || sink.text().contains("hello")).unwrap();
    });
}

/// Run by the next test in a process of its own: makes a laboratory, says which processes it consists of, and waits to be killed.
#[test]
fn nothing_is_left_behind_helper() {
    if std::env::var_os("LAB_TO_BE_KILLED").is_none() {
        return;
    }
    let lab = Lab::plan().build(&["ka1", "ka2"]).unwrap();
    for host in lab.hosts() {
        let child = host.spawn({
            let mut command = host.command("sleep");
            command.arg("1000");
            command
        });
        println!("\nMADE {}", child.unwrap().id());
    }
    println!("\nREADY");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn nothing_is_left_behind_when_the_creator_is_killed() {
    use std::io::BufRead;
    ready_for_laboratory(|| {
        let mut helper = Command::new(std::env::current_exe().unwrap());
        helper.args(["--exact", "nothing_is_left_behind_helper", "--nocapture"]).env("LAB_TO_BE_KILLED", "1").stdout(Stdio::piped());
        let mut helper = helper.spawn().unwrap();
        let lines = std::io::BufReader::new(helper.stdout.take().unwrap()).lines().map_while(Result::ok);
        let lines: Vec<String> = lines.take_while(|line| line != "READY").collect();
        let made: Vec<u32> = lines.iter().filter_map(|line| line.strip_prefix("MADE ")?.parse().ok()).collect();
        assert_eq!(made.len(), 2, "{lines:?}");
        let running = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("sleep"));
        assert!(made.iter().all(running));
        helper.kill().unwrap();
        helper.wait().unwrap();
        lab::until("the hosts' processes gone", 5 * SECOND, || !made.iter().any(running)).unwrap();
    });
}
