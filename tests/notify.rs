//! What the daemon tells a service manager (sd_notify(3)), whenever it is given a NOTIFY_SOCKET.

mod common;

use common::*;

const SOCKET: &str = "/run/notify";

/// A daemon with a service manager's environment, and what it tells it.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn managed(lab: &Lab, environment: &[(&str, &str)]) -> (Daemon, DatagramSink) {
    let ka1 = lab.host("ka1");
    let sink = DatagramSink::start(ka1, SOCKET).unwrap();
    ka1.write(CONF, fast(100)).unwrap();
    let mut command = ka1.command("keepalived");
    command.args(["-n", "-l", "-D"]).env("NOTIFY_SOCKET", SOCKET).envs(environment.iter().copied());
    (Daemon::start(ka1, command).unwrap(), sink)
}

#[test]
fn it_says_when_it_is_ready_who_is_master_and_when_it_stops() {
    laboratory(&["ka1"], |lab| {
        // The original does so only when the parent of its parent is a process 1 called systemd.
        if !promised_by_ours() {
            return;
        }
        let (mut daemon, sink) = managed(lab, &[]);
        lab.wait("READY=1", secs(5), || sink.text().lines().any(|line| line == "READY=1")).unwrap();
        let status = |word: &str| sink.text().lines().any(|line| line.starts_with("STATUS=") && line.contains(word));
        lab.wait("a status with the master", secs(5), || status("VI_1") && status("MASTER")).unwrap();
        daemon.stop().unwrap();
        lab.wait("STOPPING=1", secs(1), || sink.text().lines().any(|line| line == "STOPPING=1")).unwrap();
    });
}

#[test]
fn a_reload_is_announced_with_its_time_and_its_end() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let (daemon, sink) = managed(lab, &[]);
        lab.wait("READY=1", secs(5), || sink.text().contains("READY=1")).unwrap();
        let before = lab::now();
        daemon.signal(Signal::SIGHUP).unwrap();
        let reloading = || sink.datagrams().iter().position(|seen| seen.what.lines().any(|line| line == "RELOADING=1"));
        lab.wait("RELOADING=1", secs(3), || reloading().is_some()).unwrap();
        let at = reloading().unwrap();
        let stamp = sink.datagrams()[at].what.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
        let stamp = stamp.unwrap_or_else(|| panic!("no MONOTONIC_USEC in {:?}", sink.datagrams()[at]));
        assert!((before.nanos() / 1000..=lab::now().nanos() / 1000).contains(&stamp), "{stamp}");
        lab.wait("READY=1 after it", secs(3), || sink.datagrams()[at + 1..].iter().any(|seen| seen.what.contains("READY=1"))).unwrap();
    });
}

#[test]
fn the_watchdog_is_fed_in_time_and_not_while_the_child_hangs_for_ever() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let (_daemon, sink) = managed(lab, &[("WATCHDOG_USEC", "400000")]);
        let fed = || sink.datagrams().into_iter().filter(|seen| seen.what.contains("WATCHDOG=1")).map(|seen| seen.at).collect::<Vec<_>>();
        lab.wait("food for the watchdog", secs(5), || fed().len() >= 6).unwrap();
        assert!(median_gap(&fed()) < millis(400), "{:?}", fed());
    });
}
