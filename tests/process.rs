//! The daemon as an administrator meets it: options, exit codes, pid files, signals, the files that it writes.

mod common;

use common::*;
use keepalived_rs::ctl::lab::Output;

const PARENT: &str = "/run/keepalived.pid";
const CHILD: &str = "/run/vrrp.pid";

/// Runs the daemon under test with these arguments to its end.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn run(host: &Host, args: &[&str]) -> Output {
    let mut command = host.command("keepalived");
    command.args(args);
    host.output(command).unwrap()
}

/// Runs it for what it says and its exit code.
fn said(host: &Host, args: &[&str]) -> (Option<i32>, String) {
    let output = run(host, args);
    (output.status.code(), output.text)
}

fn alive(host: &Host) -> Vec<u32> {
    let mut pids: Vec<u32> = host.processes().iter().filter(|process| process.state != 'Z').map(|process| process.inner).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn it_becomes_a_daemon_and_returns_once_its_pid_files_stand() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, fast(100)).unwrap();
        let start = lab::now();
        assert_eq!(said(ka1, &["-D"]).0, Some(0));
        assert!(lab::now().since(start) < secs(2) + BUSY);
        if ours() {
            assert!(ka1.exists(PARENT) && ka1.exists(CHILD), "they must stand when it returns");
        }
        lab.wait("pid files", secs(3), || ka1.process_of_file(PARENT).is_some() && ka1.process_of_file(CHILD).is_some()).unwrap();
        let (parent, child) = (ka1.process_of_file(PARENT).unwrap(), ka1.process_of_file(CHILD).unwrap());
        assert_eq!(child.parent, parent.pid);
        assert_eq!((parent.name.as_str(), child.name.as_str()), ("keepalived", "keepalived"), "monitoring looks for this name");
        assert_eq!(ka1.read(PARENT).unwrap(), format!("{}\n", parent.inner));
        assert_eq!((ka1.mode(PARENT), ka1.mode(CHILD)), (Some(0o644), Some(0o644)));
        only(lab, "ka1", VIP, secs(5));
        ka1.sh("kill $(cat /run/keepalived.pid)").unwrap();
        lab.wait("its end", secs(5), || alive(ka1).is_empty()).unwrap();
        assert!(!ka1.exists(PARENT) && !ka1.exists(CHILD) && !ka1.has(VIP));
        assert_eq!(adverts(lab, 0, "ka1").last().map(|advert| advert.priority), Some(0));
    });
}

#[test]
fn a_second_start_finds_the_first_and_changes_nothing() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let syslog = DatagramSink::start(ka1, "/dev/log").unwrap();
        let _daemon = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let before = alive(ka1);
        for args in [&["-n", "-l"][..], &[]] {
            let (code, text) = said(ka1, args);
            assert!(ours() || code.is_some());
            lab.wait("it being said", secs(2), || format!("{text}{}", syslog.text()).contains("already running")).unwrap();
            lab.wait("the first one only", secs(2), || alive(ka1) == before).unwrap();
        }
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 3, secs(2));
        assert!(ka1.exists(PARENT) && ka1.exists(CHILD) && ka1.has(VIP));
    });
}

#[test]
fn pid_files_go_where_they_are_asked_to_and_stale_ones_do_not_matter() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, fast(100)).unwrap();
        ka1.write("/tmp/p.pid", "999999\n").unwrap();
        ka1.write("/run/checkers.pid", "999999\n").unwrap();
        let mut daemon = start_as(ka1, "keepalived", &["--dont-fork", "--log-console", "--pid=/tmp/p.pid", "-r", "/tmp/v.pid"]);
        lab.wait("no stale pid file", secs(3), || !ka1.exists("/run/checkers.pid")).unwrap();
        lab.wait("pid files", secs(3), || ka1.process_of_file("/tmp/p.pid").is_some() && ka1.process_of_file("/tmp/v.pid").is_some())
            .unwrap();
        assert!(!ka1.exists(PARENT) && !ka1.exists(CHILD));
        daemon.stop().unwrap();
        assert!(!ka1.exists("/tmp/p.pid") && !ka1.exists("/tmp/v.pid"));
    });
}

#[test]
fn configuration_test_exits_as_the_original_does() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let good = fast(100);
        let cases = [
            ("a right one", good.clone(), 0),
            ("an empty one", String::new(), 0),
            ("an unknown keyword", good.replace("priority", "priorty"), 5),
            ("a number out of range", good.replace("virtual_router_id 51", "virtual_router_id 300"), 5),
            ("an interface that is not there", good.replace("interface eth0", "interface eth9"), 5),
            ("a missing brace", good.trim_end().trim_end_matches('}').to_owned(), 5),
            ("no virtual router id", good.replace("virtual_router_id 51", ""), 5),
            ("a keyword without its argument", good.replace("virtual_router_id 51", "virtual_router_id"), 2),
        ];
        for (what, config, expected) in cases {
            ka1.write(CONF, config).unwrap();
            let (code, text) = said(ka1, &["-t"]);
            assert_eq!(code, Some(expected), "{what}: {text}");
        }
        let (code, _) = said(ka1, &["-t", "-f", "/etc/keepalived/nowhere.conf"]);
        // The original exits 0, which tells nobody that nothing was tested.
        assert_eq!(code, Some(if ours() { 4 } else { 0 }), "a missing file");
        assert!(alive(ka1).is_empty() && !ka1.exists(PARENT));
    });
}

#[test]
fn configuration_test_names_file_line_and_word() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, fast(100).replace("priority", "priorty")).unwrap();
        let (_, text) = said(ka1, &["--config-test"]);
        assert!(text.contains("priorty"), "{text}");
        if promised_by_ours() {
            assert!(text.contains("keepalived.conf:5:"), "{text}");
            assert!(text.contains("did you mean") && text.contains("priority"), "{text}");
        }
        // To a file when it is named.
        assert_eq!(run(ka1, &["--config-test=/tmp/report"]).status.code(), Some(5));
        assert!(ka1.read("/tmp/report").is_some_and(|report| report.contains("priorty")));
    });
}

#[test]
fn a_missing_configuration_ends_with_6() {
    laboratory(&["ka1"], |lab| {
        let (code, text) = said(lab.host("ka1"), &["-n", "-l", "-f", "/etc/keepalived/nowhere.conf"]);
        assert_eq!(code, Some(6), "{text}");
        assert!(text.contains("/etc/keepalived/nowhere.conf"), "{text}");
    });
}

#[test]
fn an_interface_that_is_not_there_stops_a_start_but_neither_a_running_daemon_nor_one_that_waits_for_it() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let elsewhere = fast(100).replace("interface eth0", "interface eth9");
        let uses = [
            elsewhere.clone(),
            fast(100).replace("172.25.254.100/24", "172.25.254.100/24 dev eth9"),
            fast_with(100, "track_interface {\n eth9\n }"),
        ];
        for config in uses {
            ka1.write(CONF, config.as_str()).unwrap();
            let (code, text) = said(ka1, &["-n", "-l"]);
            assert_eq!(code, Some(2), "{config}{text}");
            if promised_by_ours() {
                assert!(text.contains("keepalived.conf:") && text.contains("eth9") && text.contains("dynamic_interfaces"), "{text}");
            }
        }
        let waiting = start(ka1, &format!("global_defs {{\n dynamic_interfaces\n}}\n{elsewhere}"));
        wait_log(lab, &waiting, "(VI_1) Entering FAULT STATE", secs(3));
        drop(waiting);
        if promised_by_ours() {
            let running = start(ka1, &fast(100));
            only(lab, "ka1", VIP, secs(5));
            reload(ka1, &running, &elsewhere);
            wait_log(lab, &running, "Reload refused", secs(3));
            let mark = lab.capture().mark();
            wait_adverts(lab, mark, "ka1", 3, secs(2));
            assert!(ka1.has(VIP));
        }
    });
}

#[test]
fn the_other_options_answer_as_the_originals_do() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        for (name, number) in [("STOP", "15"), ("RELOAD", "1"), ("DATA", "10"), ("STATS", "12"), ("STATS_CLEAR", "63")] {
            assert_eq!(said(ka1, &["--signum", name]), (Some(0), format!("{number}\n")));
        }
        assert_eq!(said(ka1, &["--signum=NOPE"]), (Some(1), "Unknown sigfunc NOPE\n".to_owned()));
        let (code, text) = said(ka1, &["--version"]);
        assert!(code == Some(0) && text.starts_with("Keepalived v"), "{text}");
        let (code, text) = said(ka1, &["-h"]);
        assert!(code == Some(0) && text.contains("--use-file"), "{text}");
        assert_eq!(said(ka1, &["--no-such-option"]).0, Some(1));
        assert_eq!(said(ka1, &["-f"]).0, Some(1));
    });
}

#[test]
fn sigint_stops_it_as_sigterm_does() {
    laboratory(&["ka1"], |lab| {
        let mut daemon = start(lab.host("ka1"), &fast(100));
        only(lab, "ka1", VIP, secs(5));
        daemon.signal(Signal::SIGINT).unwrap();
        assert!(daemon.wait(secs(5)).unwrap().success());
        assert!(!lab.host("ka1").has(VIP));
    });
}

#[test]
fn statistics_have_the_originals_form_and_count() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let daemon = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        daemon.signal(Signal::SIGUSR2).unwrap();
        let file = "/tmp/keepalived.stats";
        lab.wait("the file", secs(2), || ka1.read(file).is_some_and(|text| text.contains("Priority Zero"))).unwrap();
        let text = ka1.read(file).unwrap();
        for line in [
            "VRRP Instance: VI_1\n  Advertisements:\n    Received: 0\n    Sent: ",
            "\n  Became master: 1\n  Released master: 0\n  Packet Errors:\n    Length: 0\n    TTL: 0\n    Invalid Type: 0\n",
            "    Advertisement Interval: 0\n    Address List: 0\n  Authentication Errors:\n    Invalid Type: 0\n    Type Mismatch: 0\n    Failure: 0\n",
            "  Priority Zero:\n    Received: 0\n    Sent: 0\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert_eq!(ka1.mode(file), Some(0o600));
        // SIGRTMAX - 1: written, and then all are zero.
        let number = said(ka1, &["--signum=STATS_CLEAR"]).1;
        ka1.sh(&format!("rm {file}; kill -{} $(cat {PARENT})", number.trim())).unwrap();
        lab.wait("the file", secs(2), || ka1.exists(file)).unwrap();
        std::thread::sleep(millis(100));
        ka1.sh(&format!("rm {file}")).unwrap();
        daemon.signal(Signal::SIGUSR2).unwrap();
        lab.wait("a cleared counter", secs(2), || ka1.read(file).is_some_and(|text| text.contains("Became master: 0"))).unwrap();
    });
}

#[test]
fn dumps_are_for_root_alone_show_no_secret_and_follow_no_link() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let extra = "authentication {\n auth_type PASS\n auth_pass s3cr3t\n }";
        let daemon = start(ka1, &Instance { version: 2, advert_int: "1", extra, ..Instance::default() }.to_string());
        wait_log(lab, &daemon, "Entering BACKUP STATE", secs(3));
        daemon.signal(Signal::SIGUSR1).unwrap();
        let file = "/tmp/keepalived.data";
        lab.wait("the file", secs(2), || ka1.read(file).is_some_and(|text| text.contains("VRRP Instance = VI_1"))).unwrap();
        assert!(ka1.read(file).unwrap().contains("------< VRRP Topology >------"));
        assert_eq!(ka1.mode(file), Some(0o600));
        if promised_by_ours() {
            assert!(!ka1.read(file).unwrap().contains("s3cr3t"));
        }
        ka1.sh(&format!("rm {file}; echo precious > /tmp/victim; ln -s /tmp/victim {file}")).unwrap();
        daemon.signal(Signal::SIGUSR1).unwrap();
        never(lab, "a write through a link", millis(500), || ka1.read("/tmp/victim").as_deref() != Some("precious\n"));
    });
}

#[test]
fn dumps_tell_the_global_settings_and_what_is_installed_and_are_never_for_everybody() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, format!("global_defs {{\n router_id r1\n umask 022\n}}\n{}", fast(100))).unwrap();
        let daemon = start_as(ka1, "keepalived", &["-n", "-l", "-D", "-a"]);
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &daemon, "Netlink reflector reports IP 172.25.254.100 added to eth0", secs(2));
        daemon.signal(Signal::SIGUSR1).unwrap();
        let file = "/tmp/keepalived.data";
        lab.wait("the file", secs(2), || ka1.read(file).is_some_and(|text| text.contains("VRRP Instance = VI_1"))).unwrap();
        let text = ka1.read(file).unwrap();
        assert!(text.starts_with("------< Global definitions >------\n") && text.contains("\n Router ID = r1\n"), "{text}");
        assert!(text.contains("   Wantstate = MASTER\n"), "{text}");
        assert!(text.contains("     172.25.254.100/24 dev eth0 scope global set\n"), "{text}");
        assert_eq!(ka1.mode(file), Some(0o640));
    });
}

#[test]
fn signals_that_mean_nothing_here_do_not_end_it() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let daemon = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let before = alive(ka1);
        for signal in ["QUIT", "ALRM", "PIPE", "WINCH", "RTMIN", "RTMAX"] {
            ka1.sh(&format!("kill -{signal} $(cat {PARENT}) $(cat {CHILD})")).unwrap();
        }
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 5, secs(2));
        assert_eq!(alive(ka1), before, "{}", daemon.log());
        // A fault that somebody sends ends the child at the first time, and it is replaced.
        let child = vrrp_child(ka1).unwrap();
        lab::send(child.pid, Signal::SIGSEGV).unwrap();
        lab.wait("another child", secs(3), || vrrp_child(ka1).is_some_and(|now| now.pid != child.pid)).unwrap();
    });
}

#[test]
fn a_reload_comes_at_the_time_that_a_file_names() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let planned = |priority: u8| format!("global_defs {{\n reload_time_file /tmp/when\n}}\n{}", fast(priority));
        let _daemon = start(ka1, &planned(100));
        only(lab, "ka1", VIP, secs(5));
        let mark = lab.capture().mark();
        ka1.write(CONF, planned(90)).unwrap();
        ka1.sh("date -u -d '+2 seconds' '+%Y-%m-%d %H:%M:%SZ' > /tmp/when").unwrap();
        lab.wait("the new priority", secs(6), || adverts(lab, mark, "ka1").last().is_some_and(|advert| advert.priority == 90)).unwrap();
        assert!(!ka1.exists("/tmp/when"));
    });
}

#[test]
fn dont_release_vrrp_leaves_the_addresses_at_exit() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, fast(100)).unwrap();
        let mut daemon = start_as(ka1, "keepalived", &["-n", "-l", "-D", "-V"]);
        only(lab, "ka1", VIP, secs(5));
        daemon.stop().unwrap();
        assert!(ka1.has(VIP));
    });
}

#[test]
fn process_names_are_those_of_the_configuration() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let _daemon = start(ka1, &format!("global_defs {{\n process_names\n}}\n{}", fast(100)));
        lab.wait("the child's name", secs(3), || vrrp_child(ka1).is_some_and(|child| child.name == "keepalived_vrrp")).unwrap();
    });
}

#[test]
fn the_lines_that_people_grep_for_are_there() {
    laboratory(&["ka1", "ka2"], |lab| {
        let (ka1, ka2) = (lab.host("ka1"), lab.host("ka2"));
        let mut first = start(ka1, &fast(100));
        let second = start(ka2, &fast(90));
        only(lab, "ka1", VIP, secs(5));
        for line in [
            "Starting VRRP child process, pid=",
            "(VI_1) Entering BACKUP STATE (init)",
            "(VI_1) Receive advertisement timeout",
            "(VI_1) Entering MASTER STATE",
            "Sending gratuitous ARP on eth0 for 172.25.254.100",
        ] {
            wait_log(lab, &first, line, secs(1));
        }
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(3));
        wait_log(lab, &second, "(VI_1) Backup received priority 0 advertisement", secs(1));
        let _first = start_again(ka1);
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &second, "(VI_1) Master received advert from 172.25.254.10 with higher priority 100, ours 90", secs(1));
        wait_log(lab, &second, "(VI_1) Entering BACKUP STATE", secs(1));
        assert!(first.log().contains("Stopped"));
    });
}
