//! Other people's programs: the tutorials' notify script, scripts that misbehave or may not run, and FIFO lines beside the original's.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};

const ORIGINAL: &str = "/usr/sbin/keepalived";
/// As root, as the tutorials' scripts need it.
const AS_ROOT: &str = "global_defs {\n    script_user root\n    enable_script_security\n}\n";
const NOTIFY: &str = include_str!("configs/seeds/notify.sh");

#[test]
fn seed_the_printed_notify_script_mails_master_backup_and_fault_in_its_own_words() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write_script("/etc/keepalived/notify.sh", NOTIFY).unwrap();
        // What mailx takes: the subject after -s, the text from standard input.
        ka1.write_script("/run/.lab/bin/mail", "#!/bin/bash\nread -r text\nprintf '%s|%s|%s\\n' \"$2\" \"$3\" \"$text\" >> /run/mails\n")
            .unwrap();
        let lines = ["master", "backup", "fault"].map(|state| format!("    notify_{state} \"/etc/keepalived/notify.sh {state}\"\n"));
        let _daemon = start(ka1, &format!("{AS_ROOT}{}", fast_with(100, &lines.concat())));
        let mailed = |state: &str, times: usize| {
            let mails = ka1.read("/run/mails").unwrap_or_default();
            let subject = format!("ka1 to be {state}: vip 转移|root@localhost|");
            let text = format!(": vrrp 状态切换, ka1 changed to be {state}");
            mails.lines().filter(|mail| mail.starts_with(&subject) && mail.ends_with(&text)).count() >= times
        };
        lab.wait("mail of the master", secs(15), || mailed("backup", 1) && mailed("master", 1)).unwrap();
        ka1.set_link("eth0", false).unwrap();
        lab.wait("mail of the fault", secs(15), || mailed("fault", 1)).unwrap();
        ka1.set_link("eth0", true).unwrap();
        lab.wait("mail of the master again", secs(15), || mailed("backup", 2) && mailed("master", 2)).unwrap();
    });
}

#[test]
fn seed_a_script_that_hangs_forks_or_prints_a_megabyte_holds_nothing_up() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let count = "echo $$ >> /run/$(basename $0).runs\n";
        for (name, text) in [
            ("hang.sh", "trap '' TERM\nwhile :; do sleep 1; done\n"),
            ("fork.sh", "setsid sleep 100 > /run/kept 2>&1 &\nexit 0\n"),
            ("print.sh", "head -c 1000000 /dev/zero\nhead -c 1000000 /dev/zero >&2\nexit 0\n"),
        ] {
            ka1.write_script(&format!("/mnt/{name}"), format!("#!/bin/bash\n{count}{text}")).unwrap();
        }
        let script =
            |name: &str| format!("vrrp_script {name} {{\n    script /mnt/{name}.sh\n    interval 1\n    timeout 1\n    weight 10\n}}\n");
        let scripts = ["hang", "fork", "print"].map(script).concat();
        let tracked = "track_script {\n        hang\n        fork\n        print\n    }";
        let mut daemon = start(ka1, &format!("{AS_ROOT}{scripts}{}", fast_with(100, tracked)));
        only(lab, "ka1", VIP, secs(10));
        wait_log(lab, &daemon, "VRRP_Script(hang) timed_out", secs(20));
        let runs = |name: &str| ka1.read(&format!("/run/{name}.sh.runs")).unwrap_or_default().lines().count();
        lab.wait("several runs of all", secs(60), || runs("hang") >= 3 && runs("fork") >= 3 && runs("print") >= 3).unwrap();
        // 100 + 10 for each of the two that end well.
        lab.wait("the sum", secs(10), || adverts(lab, 0, "ka1").last().is_some_and(|advert| advert.priority == 120)).unwrap();
        if ours() {
            let mark = lab.capture().mark();
            std::thread::sleep(secs(2));
            let seen = adverts(lab, mark, "ka1");
            assert!(seen.len() >= 10, "{} adverts in 2 s", seen.len());
            // At most one that hangs, whatever its interval: the one before is gone before it starts.
            let hanging = |process: &&Process| process.status("Name").as_deref() == Some("hang.sh");
            assert!(ka1.processes().iter().filter(hanging).count() <= 1);
            let zombies =
                || ka1.processes().iter().filter(|process| process.status("State").is_some_and(|state| state.starts_with('Z'))).count();
            lab.wait("no zombie", secs(10), || zombies() == 0).unwrap();
        }
        assert!(daemon.stop().unwrap().success());
    });
}

#[test]
fn seed_a_script_of_somebody_elses_names_the_component_and_the_cure_and_is_not_run() {
    if !nix::unistd::geteuid().is_root() {
        return skip("needs files of another user");
    }
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        ka1.write_script("/mnt/theirs/check.sh", "#!/bin/bash\ntouch /run/has-run\n").unwrap();
        if ka1.sh("chown nobody /mnt/theirs").is_err() {
            return skip("another user's files cannot be made here");
        }
        let script = "vrrp_script theirs {\n    script /mnt/theirs/check.sh\n    interval 1\n}\n";
        let daemon = start(ka1, &format!("{AS_ROOT}{script}{}", fast_with(100, "track_script {\n        theirs\n    }")));
        only(lab, "ka1", VIP, secs(10));
        let log = daemon.log();
        let told = log.lines().find(|line| line.contains("vrrp_script theirs:")).unwrap_or_else(|| panic!("{log}")).to_owned();
        assert!(told.contains("/mnt/theirs") && told.contains("chown root"), "{told}");
        assert!(!ka1.exists("/run/has-run"));
    });
}

#[test]
fn seed_without_a_script_user_scripts_run_as_root_and_it_is_said_with_its_cure() {
    laboratory_of(plan().script_user(false), &["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        let script = "vrrp_script who {\n    script \"/bin/sh -c 'id -un > /run/who'\"\n    interval 1\n}\n";
        let daemon = start(ka1, &format!("{script}{}", fast_with(100, "track_script {\n        who\n    }")));
        lab.wait("the script's user", secs(10), || ka1.read("/run/who").is_some_and(|who| !who.is_empty())).unwrap();
        if ours() && !daemon.log().contains("Unprivileged") {
            assert_eq!(ka1.read("/run/who").as_deref(), Some("root\n"));
            let warning = "WARNING - default user 'keepalived_script' for script execution does not exist - please create.";
            assert!(daemon.log().contains(warning), "{}", daemon.log());
        }
    });
}

#[test]
fn the_shutdown_script_is_the_one_of_the_last_reload() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let config = |word: &str| {
            let script = format!("shutdown_script \"/bin/sh -c 'echo {word} > /run/last'\"");
            format!("global_defs {{\n    script_user root\n    enable_script_security\n    {script}\n}}\n{}", fast(100))
        };
        let mut daemon = start(ka1, &config("old"));
        only(lab, "ka1", VIP, secs(10));
        reload(ka1, &daemon, &config("new"));
        wait_log(lab, &daemon, "Reload", secs(10));
        lab.wait("the end of the reload", secs(10), || daemon.log().contains("Reload finished") || daemon.log().contains("complete"))
            .unwrap();
        daemon.stop().unwrap();
        assert_eq!(ka1.read("/run/last").as_deref(), Some("new\n"));
    });
}

/// A reader of a FIFO; it ends with the test.
struct Reader(Child);

impl Reader {
    fn start(host: &Host, fifo: &str, to: &str) -> Self {
        let mut command = host.command("sh");
        // Open for writing too: the end of a writer is no end of the file.
        command.args(["-c", &format!("exec cat <> {fifo} > {to}")]).stdout(Stdio::null()).stderr(Stdio::null());
        Self(host.spawn(command).unwrap())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a FIFO heard of each instance and group, in order, while everything happened to them that can.
fn lines_of(program: &str) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.sh("mkfifo /run/fifo").unwrap();
        let _reader = Reader::start(ka1, "/run/fifo", "/run/lines");
        let of =
            |name, vrid, address: &'static [&'static str], extra| Instance { name, vrid, addresses: address, extra, ..Instance::default() };
        let global = "global_defs {\n    notify_fifo /run/fifo\n    vrrp_notify_priority_changes\n}\ntrack_file f1 {\n    file /run/f1\n    weight 1\n    \
                      init_file 0 overwrite\n}\nvrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n}\n";
        let kept = format!("{global}{}{}", of("VI_1", 51, &["172.25.254.100/24"], ""), of("VI_2", 52, &["172.25.254.101/24"], ""));
        let tracking = of("VI_3", 53, &["172.25.254.102/24"], "track_file {\n        f1\n    }");
        let (gone, deleted) = (of("VI_4", 54, &["172.25.254.103/24"], ""), of("VI_5", 55, &["172.25.254.104/24"], "notify_deleted"));
        ka1.write(CONF, format!("{kept}{tracking}{gone}{deleted}")).unwrap();
        let mut daemon = start_as(ka1, program, &["-n", "-l", "-D"]);
        let lines = || ka1.read("/run/lines").unwrap_or_default();
        let wait = |line: &str, times: usize| {
            lab.wait(&format!("{times} of {line:?} in the fifo"), secs(20), || {
                lines().lines().filter(|heard| *heard == line).count() >= times
            })
            .unwrap();
        };
        let all = |state: &str, times| (1..=5).for_each(|number| wait(&format!("INSTANCE \"VI_{number}\" {state} 100"), times));
        all("MASTER", 1);
        wait("GROUP \"G1\" MASTER 0", 1);
        ka1.write("/run/f1", "-20").unwrap();
        wait("INSTANCE \"VI_3\" MASTER_PRIORITY 80", 1);
        ka1.write("/run/f1", "0").unwrap();
        wait("INSTANCE \"VI_3\" MASTER_PRIORITY 100", 1);
        ka1.set_link("eth0", false).unwrap();
        all("FAULT", 1);
        wait("GROUP \"G1\" FAULT 0", 1);
        ka1.set_link("eth0", true).unwrap();
        all("MASTER", 2);
        wait("GROUP \"G1\" MASTER 0", 2);
        reload(ka1, &daemon, &format!("{kept}{tracking}"));
        wait("INSTANCE \"VI_5\" DELETED 100", 1);
        wait("INSTANCE \"VI_4\" FAULT 100", 2);
        daemon.stop().unwrap();
        wait("GROUP \"G1\" STOP 0", 1);
        for line in lines().split_inclusive('\n') {
            let subject = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
            told.entry(subject).or_default().push(line.to_owned());
        }
    });
    told
}

#[test]
fn fifo_lines_of_every_instance_and_group_are_the_originals() {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    if promised_by_ours() {
        assert_eq!(lines_of("keepalived"), lines_of(ORIGINAL));
    }
}

/// All that a FIFO heard, in order, of a group of which one member's interface is up from the start, or comes later.
fn lines_of_a_group(program: &str, up: bool) -> Vec<String> {
    let mut told = Vec::new();
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.sh("mkfifo /run/fifo && ip link add ve0 type veth peer name ve1 && ip addr add 10.9.1.1/24 dev ve0 && ip link set ve1 up")
            .unwrap();
        ka1.set_link("ve0", up).unwrap();
        let state = if up { "state UP" } else { "state DOWN" };
        lab.wait("the second interface", secs(10), || ka1.sh("ip link show ve0").is_ok_and(|shown| shown.contains(state))).unwrap();
        let _reader = Reader::start(ka1, "/run/fifo", "/run/lines");
        // Instances are 0.6 s apart: the second one is the last to want to be master, also on a loaded machine.
        let of = |name, vrid, priority, interface, addresses| Instance {
            name,
            vrid,
            priority,
            interface,
            addresses,
            advert_int: "1",
            ..Instance::default()
        };
        let global =
            "global_defs {\n    notify_fifo /run/fifo\n}\nvrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n}\n";
        let (first, second) = (of("VI_1", 51, 200, "eth0", &["172.25.254.100/24"]), of("VI_2", 52, 50, "ve0", &["10.9.1.100/24"]));
        ka1.write(CONF, format!("{global}{first}{second}")).unwrap();
        let mut daemon = start_as(ka1, program, &["-n", "-l", "-D"]);
        let lines = || ka1.read("/run/lines").unwrap_or_default();
        let wait = |line: &str| lab.wait(&format!("{line:?} in the fifo"), secs(20), || lines().contains(line)).unwrap();
        if !up {
            wait("GROUP \"G1\" FAULT 0\n");
            ka1.set_link("ve0", true).unwrap();
        }
        wait("GROUP \"G1\" MASTER 0\n");
        daemon.stop().unwrap();
        wait("GROUP \"G1\" STOP 0\n");
        told = lines().lines().map(str::to_owned).collect();
    });
    told
}

#[test]
fn a_group_is_told_in_the_originals_order_before_its_members_at_start_and_after_them_later() {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    if promised_by_ours() {
        let ours = lines_of_a_group("keepalived", true);
        assert_eq!(ours, lines_of_a_group(ORIGINAL, true));
    }
}

#[test]
fn members_of_a_group_that_starts_unfit_are_told_no_other_state_before() {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    if promised_by_ours() {
        let told = |program| {
            let lines = lines_of_a_group(program, false);
            let of = |subject: &str| lines.iter().filter(|line| line.contains(subject)).cloned().collect::<Vec<_>>();
            ["\"VI_1\"", "\"VI_2\"", "\"G1\""].map(of)
        };
        assert_eq!(told("keepalived"), told(ORIGINAL));
    }
}
