//! Reloads, restarts, deaths and others' hands: the table converges without touching what is right, and clients notice nothing.

use crate::common::*;
use crate::house::*;
use std::io::{Read, Write};

const WEB: (Ipv4Addr, u16) = (VIP, 80);
const BOTH: [&str; 3] = ["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 1", "-> 172.25.254.120:80 Route 1"];

/// Two servers behind the tutorials' address, of these weights.
fn balanced(weights: [u32; 2], check: &str) -> String {
    let real = |at: &str, weight: u32| real_server(at, &format!("        weight {weight}\n{check}"));
    virtual_server("172.25.254.100 80", OFTEN, &(real("172.25.254.110 80", weights[0]) + &real("172.25.254.120 80", weights[1])))
}

fn weighing(weights: [u32; 2]) -> [String; 3] {
    let row = |at: &str, weight| format!("-> {at}:80 Route {weight}");
    ["TCP 172.25.254.100:80 rr".to_owned(), row("172.25.254.110", weights[0]), row("172.25.254.120", weights[1])]
}

fn table(house: &House<'_>, weights: [u32; 2]) {
    let rows = weighing(weights);
    house.table("ka1", &rows.each_ref().map(String::as_str));
}

/// Bytes of the connections that the kernel knows for the service: those in flight.
fn connections(host: &Host) -> usize {
    host.sh("ipvsadm -Lnc").unwrap().lines().filter(|line| line.contains("172.25.254.100:80") && line.contains("ESTABLISHED")).count()
}

#[test]
fn what_somebody_else_changes_is_told_and_put_right() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        let _web = (house.web("rs1"), house.web("rs2"));
        let mut daemon = start(ka1, &balanced([1, 1], TCP_CHECK));
        house.table("ka1", &BOTH);
        for (line, told) in [
            ("ipvsadm -d -t 172.25.254.100:80 -r 172.25.254.120:80", "-> [172.25.254.120]:80 was removed, it is put back"),
            ("ipvsadm -e -t 172.25.254.100:80 -r 172.25.254.110:80 -g -w 9", "-> [172.25.254.110]:80 was changed, it is set right"),
            ("ipvsadm -a -t 172.25.254.100:80 -r 172.25.254.130:80 -g", "-> [172.25.254.130]:80 was added, it is removed"),
            ("ipvsadm -E -t 172.25.254.100:80 -s wlc", "was changed, it is set right"),
            ("ipvsadm -C", "was removed, it is put back"),
        ] {
            let before = daemon.log().matches(told).count();
            ka1.sh(line).unwrap();
            house.lab.wait(told, PATIENCE, || daemon.log().matches(told).count() > before).unwrap();
            house.table("ka1", &BOTH);
        }
        // A service that is not ours stays.
        ka1.sh("ipvsadm -A -t 172.25.254.200:80 -s rr").unwrap();
        assert!(daemon.stop().unwrap().success());
        assert_eq!(rows(ka1), ["TCP 172.25.254.200:80 rr"]);
    });
}

#[test]
fn a_start_over_leftovers_touches_only_what_is_wrong() {
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        let config = fast(100) + &balanced([1, 1], TCP_CHECK);
        let mut daemon = start(ka1, &config);
        house.master("ka1");
        house.table("ka1", &BOTH);
        assert_eq!(house.answers(WEB, 4).len(), 2);
        daemon.kill_all();
        // One weight, one stranger and one service too many.
        if ours() {
            ka1.sh("ipvsadm -e -t 172.25.254.100:80 -r 172.25.254.110:80 -g -w 3; ipvsadm -a -t 172.25.254.100:80 -r 172.25.254.130:80 -g")
                .unwrap();
        }
        let counted = || ka1.sh("ipvsadm -Ln --stats --exact").unwrap();
        house.lab.wait("counters", PATIENCE, || counted().contains("TCP  172.25.254.100:80                   4")).unwrap();
        // The original will not start beside the pid files of the dead when their numbers are taken again.
        ka1.sh("rm -f /run/*.pid").unwrap();
        let mut daemon = start(ka1, &config);
        wait_log(house.lab, &daemon, "TCP connection to [172.25.254.120]:tcp:80 success", PATIENCE);
        house.table("ka1", &BOTH);
        if ours() {
            assert!(counted().contains("TCP  172.25.254.100:80                   4"), "counters go on: {}", counted());
        }
        assert!(daemon.stop().unwrap().success());
        assert_eq!(rows(ka1), Vec::<String>::new());
    });
}

#[test]
fn clients_notice_no_reload_no_other_weight_no_return_and_no_death_of_a_child() {
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let (_one, mut two) = (house.web("rs1"), house.web("rs2"));
        let mut daemon = start(ka1, &(fast(100) + &balanced([1, 1], TCP_CHECK)));
        house.master("ka1");
        house.table("ka1", &BOTH);
        let customer = Customer::start(house, WEB);
        customer.goes_on(10);
        for weights in [[5, 1], [0, 1], [1, 1]] {
            reload(ka1, &daemon, &(fast(100) + &balanced(weights, TCP_CHECK)));
            table(house, weights);
            customer.goes_on(10);
        }
        if ours() {
            let child = house.host("ka1").process_of_file("/run/checkers.pid").unwrap();
            lab::send(child.pid, Signal::SIGKILL).unwrap();
            wait_log(house.lab, &daemon, "Respawning", PATIENCE);
            customer.goes_on(20);
            assert_eq!(rows(ka1), BOTH, "untouched");
        }
        assert_eq!(customer.failures(), Vec::<String>::new());
        // The one that is drained first may die and return unseen.
        reload(ka1, &daemon, &(fast(100) + &balanced([1, 0], TCP_CHECK)));
        table(house, [1, 0]);
        let customer = Customer::start(house, WEB);
        two.stop().unwrap();
        house.table("ka1", &["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 1"]);
        let _two = house.web("rs2");
        table(house, [1, 0]);
        reload(ka1, &daemon, &(fast(100) + &balanced([1, 1], TCP_CHECK)));
        house.table("ka1", &BOTH);
        customer.goes_on(10);
        assert_eq!(customer.failures(), Vec::<String>::new());
        assert!(daemon.stop().unwrap().success());
    });
}

#[test]
fn a_connection_in_flight_outlives_reload_and_switch_over() {
    house(|house| {
        let (ka1, ka2) = (house.host("ka1"), house.host("ka2"));
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        let sync = "global_defs {\n    lvs_sync_daemon eth0 VI_1 id 5\n}\n";
        let config = |priority, weights| format!("{sync}{}{}", fast(priority), balanced(weights, TCP_CHECK));
        let mut daemon = start(ka1, &config(200, [1, 1]));
        let _other = start(ka2, &config(100, [1, 1]));
        house.master("ka1");
        house.table("ka1", &BOTH);
        house.table("ka2", &BOTH);
        let client = house.host("client");
        let mut stream = open_connection(client);
        assert_eq!(connections(ka1), 1);
        reload(ka1, &daemon, &config(200, [5, 7]));
        table(house, [5, 7]);
        assert_eq!(connections(ka1), 1, "the reload keeps it");
        house.lab.wait("the backup knows it", PATIENCE, || connections(ka2) == 1).unwrap();
        assert!(daemon.stop().unwrap().success());
        house.master("ka2");
        // The request goes over the other director to the same server.
        assert!(finish_connection(&mut stream).contains("rs"), "served by whoever it was opened with");
    });
}

fn open_connection(client: &Host) -> std::net::TcpStream {
    let stream = client.run(|| std::net::TcpStream::connect_timeout(&(VIP, 80).into(), secs(5))).unwrap().unwrap();
    stream.set_read_timeout(Some(secs(20))).unwrap();
    // The kernel tells its peer of a connection from the third packet on.
    (&stream).write_all(b"GET / HTTP/1.0\r\n").unwrap();
    stream
}

fn finish_connection(stream: &mut std::net::TcpStream) -> String {
    stream.write_all(b"\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn a_check_that_needs_more_powers_may_appear_by_reload() {
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        let daemon = start(ka1, &(fast(100) + &balanced([1, 1], TCP_CHECK)));
        house.master("ka1");
        house.table("ka1", &BOTH);
        let customer = Customer::start(house, WEB);
        let ping = "        PING_CHECK {\n            retry 1\n            delay_before_retry 0.2\n        }";
        reload(ka1, &daemon, &(fast(100) + &balanced([2, 2], ping)));
        table(house, [2, 2]);
        wait_log(house.lab, &daemon, "ICMP connection to", PATIENCE);
        customer.goes_on(20);
        assert_eq!(customer.failures(), Vec::<String>::new());
        // It does check: a server without a link goes.
        house.lab.set_carrier("rs1", false).unwrap();
        house.table("ka1", &["TCP 172.25.254.100:80 rr", "-> 172.25.254.120:80 Route 2"]);
        house.lab.set_carrier("rs1", true).unwrap();
        table(house, [2, 2]);
    });
}
