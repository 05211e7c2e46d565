//! Which powers the processes have, as /proc shows them, and what is said when some are missing.

mod common;

use common::*;

/// CAP_NET_ADMIN and CAP_NET_RAW.
const NETWORK: &str = "0000000000003000";

/// Whether other users exist for us: not so as root of a user namespace with one user.
fn other_users_exist() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2).and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 1)
}

#[expect(clippy::unwrap_used, reason = "part of tests")]
fn field(process: &Process, name: &str) -> String {
    process.status(name).unwrap()
}

#[test]
fn the_child_runs_as_keepalived_script_with_two_capabilities_behind_a_filter() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let _daemon = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let child = vrrp_child(ka1).unwrap();
        for set in ["CapPrm", "CapEff"] {
            assert_eq!(field(&child, set), NETWORK, "{set}");
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(field(&child, set), "0000000000000000", "{set}");
        }
        assert_eq!((field(&child, "NoNewPrivs").as_str(), field(&child, "Seccomp").as_str()), ("1", "2"));
        if other_users_exist() {
            assert_eq!(field(&child, "CapBnd"), NETWORK);
            assert_eq!(field(&child, "Uid"), "8765\t8765\t8765\t8765");
            assert_eq!(field(&child, "Gid"), "8765\t8765\t8765\t8765");
            assert!(["", "8765"].contains(&field(&child, "Groups").as_str()), "a group of root's is left");
        }
    });
}

#[test]
fn without_that_user_it_says_so_once_and_runs() {
    laboratory_of(plan().script_user(false), &["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let daemon = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let said = daemon.log().lines().filter(|line| line.contains("keepalived_script")).count();
        assert_eq!(said, 1, "{}", daemon.log());
        let child = vrrp_child(ka1).unwrap();
        assert_eq!((field(&child, "CapEff"), field(&child, "NoNewPrivs")), (NETWORK.to_owned(), "1".to_owned()));
    });
}

/// The daemon started by an ordinary user, with these ambient capabilities.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn unprivileged(host: &Arc<Host>, capabilities: &str) -> Daemon {
    host.write(CONF, fast(100)).unwrap();
    let mut command = host.command("setpriv");
    if other_users_exist() {
        command.args(["--reuid", "8765", "--regid", "8765", "--clear-groups"]);
    }
    command.args(["--bounding-set", &format!("-all{capabilities}")]);
    command.args([&format!("--inh-caps=-all{capabilities}"), &format!("--ambient-caps=-all{capabilities}")]);
    command.args(["keepalived", "-n", "-l", "-D", "-p", "/tmp/p.pid", "-r", "/tmp/v.pid"]);
    Daemon::start(host, command).unwrap()
}

#[test]
fn an_ordinary_user_with_ambient_capabilities_runs_it_just_the_same() {
    laboratory(&["ka1", "ka2", "client"], |lab| {
        if !promised_by_ours() {
            return;
        }
        if !other_users_exist() {
            return println!("needs more than one user");
        }
        let ka1 = lab.host("ka1");
        let mut daemon = unprivileged(ka1, ",+net_admin,+net_raw");
        let _second = start(lab.host("ka2"), &fast(90));
        only(lab, "ka1", VIP, secs(5));
        assert!(answers(lab, VIP));
        let child = ka1.process_of_file("/tmp/v.pid").unwrap();
        assert_eq!((field(&child, "CapEff").as_str(), field(&child, "CapAmb").as_str()), (NETWORK, "0000000000000000"));
        assert_eq!(field(&child, "Seccomp"), "2");
        let mark = lab.capture().mark();
        lab::send(child.pid, Signal::SIGKILL).unwrap();
        lab.wait("another child", secs(2), || ka1.process_of_file("/tmp/v.pid").is_some_and(|now| now.pid != child.pid)).unwrap();
        wait_adverts(lab, mark, "ka1", 10, secs(3));
        assert!(adverts(lab, mark, "ka2").is_empty());
        assert!(daemon.stop().unwrap().success());
        assert!(!ka1.has(VIP));
    });
}

#[test]
fn a_missing_capability_is_named_in_one_line_with_its_cure() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        if !other_users_exist() {
            return println!("needs more than one user");
        }
        let mut daemon = unprivileged(lab.host("ka1"), ",+net_raw");
        assert_eq!(daemon.wait(secs(5)).unwrap().code(), Some(4), "{}", daemon.log());
        let lines: Vec<String> = daemon.log().lines().filter(|line| line.contains("CAP_NET_ADMIN")).map(str::to_owned).collect();
        assert!(!lines.is_empty() && lines[0].contains("AmbientCapabilities"), "{}", daemon.log());
        assert!(!lines[0].contains("CAP_NET_RAW") || lines[0].contains("AmbientCapabilities=CAP_NET"), "{lines:?}");
    });
}

#[test]
fn a_process_that_took_over_the_child_could_not_start_programs_or_write_files() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() || !other_users_exist() {
            return;
        }
        let ka1 = lab.host("ka1");
        let _daemon = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let child = vrrp_child(ka1).unwrap();
        // Nothing of the file system is open for it but sockets, pipes, timers and the null device.
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.pid))
            .unwrap()
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let files: Vec<String> = open
            .map(|path| path.to_string_lossy().into_owned())
            .filter(|path| path.starts_with('/') && path != "/dev/null" && !path.contains("memfd:") && !path.starts_with("/proc"))
            .collect();
        assert!(files.is_empty(), "{files:?}");
    });
}

#[test]
fn each_child_is_scheduled_as_its_own_words_say() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let words = "vrrp_priority 3\nvrrp_cpu_affinity 0\nchecker_priority 7";
        let balancer = "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 192.0.2.2 80 {\nweight 1\n}\n}\n";
        let _daemon = start(ka1, &format!("global_defs {{\n{words}\n}}\n{}{balancer}", fast(100)));
        only(lab, "ka1", VIP, secs(5));
        let vrrp = vrrp_child(ka1).unwrap();
        let is_nice = || ka1.process_of_file("/run/checkers.pid").is_some_and(|checker| nice(&checker) == 7);
        lab.wait("the checker has its own nice value", secs(20), is_nice).unwrap();
        let checker = ka1.process_of_file("/run/checkers.pid").unwrap();
        assert_eq!(nice(&vrrp), 3);
        assert_eq!(field(&vrrp, "Cpus_allowed_list"), "0");
        let here = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(here.contains(&format!("Cpus_allowed_list:\t{}\n", field(&checker, "Cpus_allowed_list"))), "where the daemon was started");
    });
}

/// Field 19 of proc_pid_stat(5).
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn nice(process: &Process) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(16).unwrap().parse().unwrap()
}
