//! `BFD_CHECK`: a real server follows its session.

use crate::common::*;
use crate::house::*;

/// 300 ms both ways, gone after 3 s: the machine of these tests is slow.
fn session(name: &str, here: &str, there: &str, more: &str) -> String {
    format!(
        "bfd_instance {name} {{\n    neighbor_ip {there}\n    source_ip {here}\n    min_rx 300\n    min_tx 300\n    multiplier 10\n{more}}}\n"
    )
}

fn check(name: &str) -> String {
    format!("        BFD_CHECK {{\n            name {name}\n        }}\n")
}

#[test]
fn a_real_server_is_in_the_table_while_its_session_is_up() {
    house(|house| {
        const VIP: &str = "TCP 172.25.254.100:80 rr";
        const ONE: &str = "-> 172.25.254.110:80 Route 1";
        const TWO: &str = "-> 172.25.254.120:80 Route 1";
        let ka1 = house.host("ka1");
        let sessions =
            session("one", "172.25.254.10", "172.25.254.110", "") + &session("two", "172.25.254.10", "172.25.254.120", "    checker\n");
        let reals = real_server("172.25.254.110 80", &check("one")) + &real_server("172.25.254.120 80", &check("two"));
        let config = sessions.clone() + &virtual_server("172.25.254.100 80", OFTEN, &reals);
        let daemon = start(ka1, &config);
        wait_log(house.lab, &daemon, "BFD check of [one] RS([172.25.254.110]:tcp:80) is DOWN", PATIENCE);
        house.table("ka1", &[VIP]);
        let _far = start(house.host("rs1"), &session("d", "172.25.254.110", "172.25.254.10", ""));
        wait_log(house.lab, &daemon, "BFD check of [one] RS([172.25.254.110]:tcp:80) is UP", PATIENCE);
        house.table("ka1", &[VIP, ONE]);
        let mut second = start(house.host("rs2"), &session("d", "172.25.254.120", "172.25.254.10", ""));
        house.table("ka1", &[VIP, ONE, TWO]);
        second.kill_all();
        house.table("ka1", &[VIP, ONE]);
        // A reload that gives the first another check's session finds out at once how that one stands.
        let other = real_server("172.25.254.110 80", &check("two")) + &real_server("172.25.254.120 80", &check("one"));
        reload(ka1, &daemon, &(sessions.clone() + &virtual_server("172.25.254.100 80", OFTEN, &other)));
        house.table("ka1", &[VIP, TWO]);
        if promised_by_ours() {
            // A checker child that is replaced is told how the sessions stand.
            let old = ka1.process_of_file("/run/checkers.pid").unwrap();
            lab::send(old.pid, Signal::SIGKILL).unwrap();
            house
                .lab
                .wait("another child", PATIENCE, || ka1.process_of_file("/run/checkers.pid").is_some_and(|new| new.pid != old.pid))
                .unwrap();
            house.table("ka1", &[VIP, TWO]);
        }
        let _second = start_again(house.host("rs2"));
        house.table("ka1", &[VIP, ONE, TWO]);
    });
}
