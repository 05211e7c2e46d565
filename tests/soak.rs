//! Fifty trackers that flap at random, always in the same way, while what must hold holds: never two masters for longer than
//! an election takes, and what people were told last is what is.
//!
//! `KEEPALIVED_SOAK=60 cargo test --test soak` lasts a minute.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use keepalived_rs::sim::random::Random;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const FILES: usize = 41;
const SCRIPTS: usize = 8;
/// Two that start at once agree with the next advert (0.1 s).
const MOST_OVERLAP: Duration = Duration::from_millis(300);
/// A machine that has other work may keep a master from hearing that it is none: this long when nobody asked for a soak.
const MOST_OVERLAP_ANYWHERE: Duration = Duration::from_secs(3);

/// Everything that is tracked: files (every tenth of them a fault), scripts, a link.
fn config(priority: u8) -> String {
    let mut text = "global_defs {\n    script_user root\n}\n".to_owned();
    for number in 0..FILES {
        // Up and down, so that the sum wanders about the base.
        let size = 4 + number % 4 * 4;
        let weight = if number % 10 == 0 { "0".to_owned() } else { format!("{}{size}", if number % 2 == 0 { "-" } else { "" }) };
        text += &format!("track_file f{number} {{\n    file /run/f{number}\n    weight {weight}\n    init_file 0\n}}\n");
    }
    for number in 0..SCRIPTS {
        text += &format!("vrrp_script s{number} {{\n    script \"/run/check.sh {number}\"\n    interval 1\n    weight -4\n}}\n");
    }
    let names = |letter: &str, count: usize| (0..count).map(|number| format!("        {letter}{number}\n")).collect::<String>();
    let tracked = format!(
        "notify /run/tell.sh\n    track_file {{\n{}    }}\n    track_script {{\n{}    }}\n    track_interface {{\n        eth1 weight -10\n    }}",
        names("f", FILES),
        names("s", SCRIPTS)
    );
    text + &fast_with(priority, &tracked)
}

/// One of the fifty changes.
fn flap(lab: &Lab, host: &Host, random: &mut Random) {
    let number = usize::try_from(random.below((FILES + SCRIPTS + 1) as u64)).unwrap();
    let bad = random.permille(500);
    if number < FILES {
        // A fault is rarer than the rest, or nothing but faults would be seen.
        let bad = if number.is_multiple_of(10) { random.permille(80) } else { bad };
        host.write(&format!("/run/f{number}"), if bad { "1" } else { "0" }).unwrap();
    } else if number < FILES + SCRIPTS {
        host.write(&format!("/run/s{}", number - FILES), if bad { "1" } else { "0" }).unwrap();
    } else {
        lab.set_second_carrier(host.name(), !bad).unwrap();
    }
}

fn all_well(lab: &Lab, host: &Host) {
    (0..FILES).for_each(|number| host.write(&format!("/run/f{number}"), "0").unwrap());
    (0..SCRIPTS).for_each(|number| host.write(&format!("/run/s{number}"), "0").unwrap());
    lab.set_second_carrier(host.name(), true).unwrap();
}

/// The longest time in which both had the address.
fn longest_overlap(watches: &[AddressWatch; 2]) -> Duration {
    let mut changes: Vec<(Instant, usize, bool)> = Vec::new();
    for (host, watch) in watches.iter().enumerate() {
        changes.extend(watch.added(VIP).into_iter().map(|at| (at, host, true)));
        changes.extend(watch.removed(VIP).into_iter().map(|at| (at, host, false)));
    }
    changes.sort_by_key(|(at, ..)| *at);
    let (mut has, mut since, mut longest) = ([false; 2], None, Duration::ZERO);
    for (at, host, added) in changes {
        has[host] = added;
        match (has == [true; 2], since) {
            (true, None) => since = Some(at),
            (false, Some(began)) => {
                longest = longest.max(at.since(began));
                since = None;
            }
            _ => {}
        }
    }
    since.map_or(longest, |began| longest.max(lab::now().since(began)))
}

/// The states in the order in which the log has them.
fn entered(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let state = |line: &str| Some(line.split("(VI_1) Entering ").nth(1)?.split(' ').next()?.to_owned());
    log.lines().filter_map(state).collect()
}

fn told(host: &Host) -> Vec<String> {
    host.read("/run/told").unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A state may be left out when a later one was there before its script could run; none is told that was not entered, and
/// none out of its order.
fn is_part_of(told: &[String], entered: &[String]) -> bool {
    let mut rest = entered.iter();
    told.iter().all(|state| rest.any(|other| other == state))
}

#[test]
fn fifty_trackers_that_flap_make_no_two_masters_and_lose_no_notification() {
    laboratory(HOSTS, |lab| {
        lab.second_network("eth1", &["ka1", "ka2"]).unwrap();
        let hosts = ["ka1", "ka2"].map(|name| lab.host(name));
        for host in hosts {
            host.write_script("/run/tell.sh", "#!/bin/sh\necho \"$3\" >> /run/told\n").unwrap();
            host.write_script("/run/check.sh", "#!/bin/sh\nread -r bad < /run/s$1\n[ \"$bad\" != 1 ]\n").unwrap();
            all_well(lab, host);
        }
        let watches = hosts.map(|host| AddressWatch::start(host).unwrap());
        let daemons = [start(hosts[0], &config(120)), start(hosts[1], &config(110))];
        only(lab, "ka1", VIP, secs(20));
        let asked: Option<u64> = std::env::var("KEEPALIVED_SOAK").ok().and_then(|text| text.parse().ok());
        let (seconds, most) = asked.map_or((6, MOST_OVERLAP_ANYWHERE), |seconds| (seconds, MOST_OVERLAP));
        let (end, mut random) = (lab::now() + secs(seconds), Random::new(1));
        while lab::now() < end {
            let host = if random.permille(500) { hosts[0] } else { hosts[1] };
            flap(lab, host, &mut random);
            std::thread::sleep(random.span(millis(5), millis(35)));
        }
        hosts.iter().for_each(|host| all_well(lab, host));
        only(lab, "ka1", VIP, secs(30));
        for (host, daemon) in hosts.iter().zip(&daemons) {
            let last = |states: Vec<String>| states.last().cloned();
            let right = if host.name() == "ka1" { "MASTER" } else { "BACKUP" };
            let agreed = || last(told(host)).as_deref() == Some(right) && last(entered(daemon)).as_deref() == Some(right);
            lab.wait(&format!("the last word of {} being its last state", host.name()), secs(20), agreed).unwrap();
            if ours() {
                assert!(is_part_of(&told(host), &entered(daemon)), "{:?}\n{:?}", told(host), entered(daemon));
            }
        }
        let overlap = longest_overlap(&watches);
        let moves: usize = watches.iter().map(|watch| watch.added(VIP).len()).sum();
        println!("{seconds} s: the address moved {moves} times, two had it for {overlap:?} at most");
        assert!(moves >= 2, "nothing was tried");
        assert!(overlap <= most, "two masters for {overlap:?}");
    });
}
