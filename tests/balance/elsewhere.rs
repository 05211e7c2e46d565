//! The balancer's table in another network namespace than the daemon's (`net_namespace_ipvs`).

use crate::common::*;
use crate::house::*;

const ROWS: [&str; 3] = ["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 1", "-> 172.25.254.120:80 Route 1"];

fn balanced(weight: u32) -> String {
    let real = |at: &str, weight: u32| real_server(at, &format!("        weight {weight}\n{TCP_CHECK}"));
    virtual_server("172.25.254.100 80", OFTEN, &(real("172.25.254.110 80", weight) + &real("172.25.254.120 80", 1)))
}

#[test]
fn the_table_is_in_the_other_namespace_and_checks_and_vrrp_are_in_their_own() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        ka1.sh("ip netns add lvs; ip -n lvs link set lo up").unwrap();
        let (_one, mut two) = (house.web("rs1"), house.web("rs2"));
        let config = |weight| format!("net_namespace_ipvs lvs\n{}{}", fast(100), balanced(weight));
        let mut daemon = start(ka1, &config(1));
        let there = |what: &str, wanted: &[&str]| {
            let mut last = Vec::new();
            let waited = lab::until(what, PATIENCE, || {
                last = rows_by(ka1, "ip netns exec lvs ipvsadm -Ln");
                last == wanted
            });
            waited.unwrap_or_else(|_| panic!("{what}: the table is {last:#?}, not {wanted:#?}; {}", house.lab.logs()));
        };
        house.master("ka1");
        there("the table", &ROWS);
        assert_eq!(rows(ka1), Vec::<String>::new(), "nothing where the daemon runs");
        two.stop().unwrap();
        there("without the dead server", &ROWS[..2]);
        reload(ka1, &daemon, &config(5));
        there("the other weight", &[ROWS[0], "-> 172.25.254.110:80 Route 5"]);
        // Who replaces the checker child finds its way there too.
        let child = ka1.process_of_file("/run/checkers.pid").unwrap();
        lab::send(child.pid, Signal::SIGKILL).unwrap();
        wait_log(house.lab, &daemon, "Respawning", PATIENCE);
        let _two = house.web("rs2");
        there("all servers", &[ROWS[0], "-> 172.25.254.110:80 Route 5", ROWS[2]]);
        assert_eq!(rows(ka1), Vec::<String>::new());
        reload(ka1, &daemon, &config(5).replace("net_namespace_ipvs lvs", ""));
        wait_log(house.lab, &daemon, "net_namespace_ipvs cannot be changed by a reload", PATIENCE);
        assert!(daemon.stop().unwrap().success());
        there("nothing after a stop", &[]);
    });
}

#[test]
fn marks_are_where_the_table_is() {
    // No IPVS is needed for them, and User-Mode Linux has no nftables.
    if machine::is_inside() || !promised_by_ours() {
        return;
    }
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        if let Err(error) = ka1.sh("ip netns add lvs; nft list ruleset") {
            return skip(&format!("nft does not run: {error}"));
        }
        let group = "virtual_server_group G {\n    172.25.254.100 80\n}\n";
        let balanced = virtual_server("group G", OFTEN, &real_server("172.25.254.110 80", ""));
        let config = format!("net_namespace_ipvs lvs\nglobal_defs {{\n    nftables_ipvs\n}}\n{group}{balanced}");
        let mut daemon = start(ka1, &config);
        let marks = |command: &str| ka1.sh(command).unwrap().contains("172.25.254.100");
        let there = || marks("ip netns exec lvs nft list ruleset");
        lab.wait("the marks", PATIENCE, there).unwrap_or_else(|_| panic!("{}", lab.logs()));
        assert!(!marks("nft list ruleset"), "nothing where the daemon runs");
        lab::send(ka1.process_of_file("/run/checkers.pid").unwrap().pid, Signal::SIGKILL).unwrap();
        wait_log(lab, &daemon, "Respawning", PATIENCE);
        reload(ka1, &daemon, &config.replace("172.25.254.100", "172.25.254.101"));
        lab.wait("other marks", PATIENCE, || !there()).unwrap_or_else(|_| panic!("{}", lab.logs()));
        assert!(daemon.stop().unwrap().success());
        assert_eq!(ka1.sh("ip netns exec lvs nft list ruleset").unwrap().trim(), "", "nothing after a stop");
    });
}

#[test]
fn without_a_name_it_is_the_namespace_of_the_start() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        ka1.sh("ip netns add own; ip -n own link set lo up").unwrap();
        let reals = real_server("172.25.254.110 80", "");
        let config = format!("net_namespace own\nnet_namespace_ipvs\n{}", virtual_server("172.25.254.100 80", OFTEN, &reals));
        let mut daemon = start(ka1, &config);
        house.table("ka1", &ROWS[..2]);
        assert_eq!(rows_by(ka1, "ip netns exec own ipvsadm -Ln"), Vec::<String>::new());
        assert!(daemon.stop().unwrap().success());
        assert_eq!(rows(ka1), Vec::<String>::new());
    });
}

#[test]
fn a_namespace_that_is_not_there_ends_the_start() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let config = format!("net_namespace_ipvs nowhere\n{}", virtual_server("172.25.254.100 80", OFTEN, ""));
        ka1.write("/etc/keepalived/keepalived.conf", config).unwrap();
        let mut command = ka1.command("keepalived");
        command.args(["--dont-fork", "--log-console"]);
        let output = ka1.output(command).unwrap();
        assert!(!output.status.success() && output.text.contains("net_namespace_ipvs nowhere: No such file"), "{}", output.text);
    });
}
