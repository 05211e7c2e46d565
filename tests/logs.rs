//! Logs to syslog: they survive its restart, and nobody who does not read them can stop the daemon.

mod common;

use common::*;
use std::os::unix::net::UnixDatagram;

#[test]
fn messages_arrive_again_after_the_syslog_server_was_restarted() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let before = DatagramSink::start(ka1, "/dev/log").unwrap();
        ka1.write(CONF, fast(100)).unwrap();
        let daemon = start_as(ka1, "keepalived", &["-n", "-D", "-S", "local6"]);
        lab.wait("messages", secs(5), || before.text().contains("Entering MASTER STATE")).unwrap();
        drop(before);
        // While nobody listens.
        lab.set_carrier("ka1", false).unwrap();
        nobody(lab, VIP, secs(3));
        let after = DatagramSink::start(ka1, "/dev/log").unwrap();
        lab.set_carrier("ka1", true).unwrap();
        lab.wait("messages", secs(5), || after.text().contains("(VI_1) Entering MASTER STATE")).unwrap();
        drop(daemon);
    });
}

#[test]
fn a_syslog_server_that_does_not_read_stops_no_advert() {
    laboratory(&["ka1", "client"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let (ka1, client) = (lab.host("ka1"), lab.host("client"));
        let silent = ka1.run(|| UnixDatagram::bind("/dev/log")).unwrap().unwrap();
        ka1.write(CONF, fast(100)).unwrap();
        let _daemon = start_as(ka1, "keepalived", &["-n", "-D"]);
        only(lab, "ka1", VIP, secs(5));
        let mark = lab.capture().mark();
        let injector = Injector::open(client, "eth0").unwrap();
        // Each is worth a line.
        for _ in 0..400 {
            injector.send(&Forged::v3(client.ipv4(), 51, 50).frame()).unwrap();
            std::thread::sleep(millis(4));
        }
        wait_adverts(lab, mark, "ka1", 3, secs(1));
        let gap = longest_gap(&adverts(lab, mark, "ka1"));
        assert!(gap < master_down_interval(millis(100), 100), "{gap:?}");
        drop(silent);
    });
}

#[test]
fn it_runs_without_any_syslog() {
    laboratory(&["ka1"], |lab| {
        lab.host("ka1").write(CONF, fast(100)).unwrap();
        let mut daemon = start_as(lab.host("ka1"), "keepalived", &["-n", "-D"]);
        only(lab, "ka1", VIP, secs(5));
        assert!(daemon.stop().unwrap().success());
    });
}

#[test]
fn details_are_logged_only_when_asked_for() {
    laboratory(&["ka1"], |lab| {
        lab.host("ka1").write(CONF, fast(100)).unwrap();
        let daemon = start_as(lab.host("ka1"), "keepalived", &["-n", "-l"]);
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &daemon, "(VI_1) Entering MASTER STATE", secs(1));
        std::thread::sleep(millis(200));
        assert!(!daemon.log().contains("Sending gratuitous ARP") && !daemon.log().contains("Receive advertisement timeout"));
    });
}
