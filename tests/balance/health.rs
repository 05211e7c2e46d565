//! Quorum, sorry servers, inhibition and what is told to scripts: on the kernel's table and in files.

use crate::common::*;
use crate::house::*;

const TWO: [&str; 3] = ["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 2", "-> 172.25.254.120:80 Route 2"];

/// A script that notes its arguments in a file.
fn script(host: &Host, name: &str) -> String {
    let path = format!("/etc/keepalived/{name}.sh");
    host.write_script(&path, format!("#!/bin/sh\necho {name} \"$@\" >>/tmp/told\n")).unwrap();
    path
}

fn told(host: &Host) -> Vec<String> {
    host.read("/tmp/told").unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn quorum_scripts_run_when_it_is_lost_and_gained_and_at_the_end() {
    house(|house| {
        let ka1 = house.host("ka1");
        let [up, down, rs_up, rs_down] = ["quorum_up", "quorum_down", "rs_up", "rs_down"].map(|name| script(ka1, name));
        let (mut one, _two) = (house.web("rs1"), house.web("rs2"));
        let words =
            format!("{OFTEN}    quorum 3\n    hysteresis 1\n    omega\n    quorum_up \"{up} a\" root\n    quorum_down \"{down} b\" root\n");
        let notify = format!("        weight 2\n        notify_up {rs_up} root\n        notify_down {rs_down} root\n{TCP_CHECK}");
        let reals = real_server("172.25.254.110 80", &notify) + &real_server("172.25.254.120 80", &notify);
        let config = "global_defs {\n    enable_script_security\n    script_user root\n}\n".to_owned();
        let mut daemon = start(ka1, &(config + &virtual_server("172.25.254.100 80", &words, &reals)));
        house.table("ka1", &TWO);
        let tells = |what: &str, lines: &[&str]| {
            house
                .lab
                .wait(what, PATIENCE, || told(ka1) == lines)
                .unwrap_or_else(|_| panic!("{what}: {:?}\n{}", told(ka1), house.lab.logs()));
        };
        tells("the start", &["quorum_up a"]);
        one.stop().unwrap();
        house.table("ka1", &[TWO[0], TWO[2]]);
        wait_log(house.lab, &daemon, "Removing service [172.25.254.110]:tcp:80 from VS [172.25.254.100]:tcp:80", PATIENCE);
        // 2 is not below 3 - 1.
        tells("one is down", &["quorum_up a", "rs_down"]);
        let _one = house.web("rs1");
        house.table("ka1", &TWO);
        tells("it is back", &["quorum_up a", "rs_down", "rs_up"]);
        daemon.stop().unwrap();
        let mut lines = told(ka1);
        lines.drain(..3);
        lines.sort();
        assert_eq!(lines, ["quorum_down b", "rs_down", "rs_down"]);
    });
}

#[test]
fn what_is_inhibited_stays_with_weight_zero() {
    house(|house| {
        let (mut one, mut two, _sorry) = (house.web("rs1"), house.web("rs2"), house.web("rs3"));
        let words = format!("{OFTEN}    sorry_server 172.25.254.130 80\n    sorry_server_inhibit\n    inhibit_on_failure\n");
        let real = |at| real_server(at, &format!("        weight 2\n{TCP_CHECK}"));
        let config = virtual_server("172.25.254.100 80", &words, &(real("172.25.254.110 80") + &real("172.25.254.120 80")));
        let daemon = start(house.host("ka1"), &config);
        let row = |at: u8, weight: u8| format!("-> 172.25.254.{at}:80 Route {weight}");
        let expect = |weights: [u8; 3]| {
            let mut rows = vec!["TCP 172.25.254.100:80 rr".to_owned()];
            rows.extend([110, 120, 130].iter().zip(weights).map(|(at, weight)| row(*at, weight)));
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            house
                .lab
                .wait("weights", PATIENCE, || {
                    let mut found = crate::house::rows(house.host("ka1"));
                    found.sort_by_key(|row| (row.starts_with("->"), row.clone()));
                    found == rows
                })
                .unwrap();
        };
        expect([2, 2, 0]);
        one.stop().unwrap();
        expect([0, 2, 0]);
        wait_log(house.lab, &daemon, "Disabling service [172.25.254.110]:tcp:80 of VS [172.25.254.100]:tcp:80", PATIENCE);
        two.stop().unwrap();
        expect([0, 0, 1]);
        let _one = house.web("rs1");
        expect([2, 0, 0]);
    });
}

#[test]
fn a_file_and_a_script_move_weights() {
    house(|house| {
        let ka1 = house.host("ka1");
        let weights = |first: u32, second: u32| {
            [
                "TCP 172.25.254.100:80 rr".to_owned(),
                format!("-> 172.25.254.110:80 Route {first}"),
                format!("-> 172.25.254.120:80 Route {second}"),
            ]
        };
        let expect = |rows: &[String]| house.table("ka1", &rows.iter().map(String::as_str).collect::<Vec<_>>());
        ka1.write("/etc/keepalived/load", "3").unwrap();
        ka1.write_script("/etc/keepalived/check.sh", "#!/bin/sh\nexit $(cat /etc/keepalived/status)\n").unwrap();
        ka1.write("/etc/keepalived/status", "12").unwrap();
        let file = "        weight 10\n        FILE_CHECK {\n            track_file load\n            weight 2\n        }\n";
        let misc = "        weight 5\n        MISC_CHECK {\n            misc_path /etc/keepalived/check.sh\n            misc_dynamic\n            misc_timeout 20\n            user root\n        }\n";
        let config = format!(
            "global_defs {{\n    script_user root\n    enable_script_security\n}}\ntrack_file load {{\n    file /etc/keepalived/load\n}}\n{}",
            virtual_server("172.25.254.100 80", OFTEN, &(real_server("172.25.254.110 80", file) + &real_server("172.25.254.120 80", misc)))
        );
        let daemon = start(ka1, &config);
        // A status of 2 to 255 is a weight plus two.
        expect(&weights(16, 10));
        ka1.write("/etc/keepalived/load", "-4").unwrap();
        ka1.write("/etc/keepalived/status", "0").unwrap();
        expect(&weights(2, 5));
        ka1.write("/etc/keepalived/status", "1").unwrap();
        expect(&weights(2, 5)[..2]);
        ka1.write("/etc/keepalived/status", "42").unwrap();
        expect(&weights(2, 40));
        if !promised_by_ours() {
            return;
        }
        // The scripts of the child's successor tell it nothing: it knows.
        ka1.write_script("/etc/keepalived/check.sh", "#!/bin/sh\nsleep 1000\n").unwrap();
        ka1.sh("ipvsadm -C").unwrap();
        lab::send(ka1.process_of_file("/run/checkers.pid").unwrap().pid, Signal::SIGKILL).unwrap();
        wait_log(house.lab, &daemon, "Respawning", PATIENCE);
        expect(&weights(2, 40));
    });
}

#[test]
fn a_wrapper_that_dies_is_replaced_and_the_table_converges() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        let _web = (house.web("rs1"), house.web("rs2"));
        let real = |at| real_server(at, &format!("        weight 2\n{TCP_CHECK}"));
        let config = virtual_server("172.25.254.100 80", OFTEN, &(real("172.25.254.110 80") + &real("172.25.254.120 80")));
        let daemon = start(ka1, &config);
        house.table("ka1", &TWO);
        // The child dies while the table is being spoilt.
        let child = ka1.process_of_file("/run/checkers.pid").unwrap();
        lab::send(child.pid, Signal::SIGSTOP).unwrap();
        ka1.sh("ipvsadm -C; ipvsadm -A -t 172.25.254.100:80 -s lc; ipvsadm -a -t 172.25.254.100:80 -r 172.25.254.130:80 -m").unwrap();
        // The supervisor may have seen that it hangs, and have killed it by now.
        let _ = lab::send(child.pid, Signal::SIGKILL);
        wait_log(house.lab, &daemon, "Respawning", PATIENCE);
        house.table("ka1", &TWO);
    });
}

#[test]
fn flushing_is_of_everything_or_of_what_is_ours() {
    house(|house| {
        let ka1 = house.host("ka1");
        let stranger = || ka1.sh("ipvsadm -A -t 192.0.2.1:80 -s rr").unwrap();
        let ours = virtual_server("172.25.254.100 80", OFTEN, &real_server("172.25.254.110 80", "        weight 2\n"));
        for (words, at_start, at_end) in [
            ("", vec!["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 2", "TCP 192.0.2.1:80 rr"], vec!["TCP 192.0.2.1:80 rr"]),
            ("lvs_flush", vec!["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 2"], vec![]),
            (
                "lvs_flush_on_stop VS",
                vec!["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 2", "TCP 192.0.2.1:80 rr"],
                vec!["TCP 192.0.2.1:80 rr"],
            ),
            ("lvs_flush_on_stop", vec!["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 2", "TCP 192.0.2.1:80 rr"], vec![]),
        ] {
            ka1.sh("ipvsadm -C").unwrap();
            stranger();
            let mut daemon = start(ka1, &format!("global_defs {{\n    {words}\n}}\n{ours}"));
            let sorted = || {
                let mut found = rows(ka1);
                // Services stand in the order of the kernel's hash.
                if found.first().is_some_and(|row| row.contains("192.0.2.1")) {
                    found.rotate_left(1);
                }
                found
            };
            house.lab.wait(words, PATIENCE, || sorted() == at_start).unwrap_or_else(|_| panic!("{words}: {:?}", sorted()));
            assert!(daemon.stop().unwrap().success());
            assert_eq!(sorted(), at_end, "{words}");
        }
    });
}
