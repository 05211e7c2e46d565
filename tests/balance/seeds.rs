//! The tutorials' configurations as they print them: table, clients, the death of a server and of the master.

use crate::common::*;
use crate::house::*;
use std::net::SocketAddr;

const MASTER: &str = include_str!("../configs/seeds/master.conf");
const BACKUP: &str = include_str!("../configs/seeds/backup.conf");
const WEB: SocketAddr = SocketAddr::new(IpAddr::V4(VIP), 80);

const DR: &str = "virtual_server 172.25.254.100 80 {
    delay_loop 6
    lb_algo wrr
    lb_kind DR
    #persistence_timeout 50
    protocol TCP

    real_server 172.25.254.110 80 {
        weight 1
        HTTP_GET {
            url {
              path /
              status_code 200
            }
            connect_timeout 3
            nb_get_retry 2
            delay_before_retry 2
        }
    }

    real_server 172.25.254.120 80 {
        weight 1
        HTTP_GET {
            url {
              path /
              status_code 200
            }
            connect_timeout 3
            nb_get_retry 2
            delay_before_retry 2
        }
    }
}
";
const BOTH: &[&str] = &["TCP 172.25.254.100:80 wrr", "-> 172.25.254.110:80 Route 1", "-> 172.25.254.120:80 Route 1"];

fn config(router: &str, instance: &str, balancer: &str) -> String {
    format!("{}\n{instance}\n{balancer}", global(router, NOT_STRICT))
}

fn half(count: usize) -> Vec<(String, usize)> {
    vec![("rs1".to_owned(), count / 2), ("rs2".to_owned(), count / 2)]
}

fn only_rs2(count: usize) -> Vec<(String, usize)> {
    vec![("rs2".to_owned(), count)]
}

#[test]
fn seed_1_and_2_the_table_is_the_tutorials_clients_alternate_and_deaths_are_survived() {
    house(|house| {
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let (mut one, _two) = (house.web("rs1"), house.web("rs2"));
        let mut first = start(house.host("ka1"), &config("ka1", MASTER, DR));
        let _second = start(house.host("ka2"), &config("ka2", BACKUP, DR));
        house.master("ka1");
        house.table("ka1", BOTH);
        house.table("ka2", BOTH);
        // Both have been seen: the first check is over.
        house.lab.wait("first checks", PATIENCE, || first.log().matches("succeed on service").count() >= 2).unwrap();
        let turns: Vec<String> = (0..10).map(|_| house.ask("client", WEB).unwrap()).collect();
        assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "they take turns: {turns:?}");

        assert!(one.stop().is_ok());
        // A check every 6 s, two retries 2 s apart.
        house.table_within("ka1", &["TCP 172.25.254.100:80 wrr", "-> 172.25.254.120:80 Route 1"], secs(25));
        let customer = Customer::start(house, WEB);
        customer.goes_on(10);
        assert_eq!(house.answers(WEB, 4), only_rs2(4));
        let _one = house.web("rs1");
        house.table_within("ka1", BOTH, secs(20));

        assert!(first.stop().unwrap().success());
        assert_eq!(rows(house.host("ka1")), Vec::<String>::new());
        house.master("ka2");
        house.table("ka2", BOTH);
        // The customer takes every other turn, or not: who answers is not sure, that somebody does is.
        assert!(house.answers(WEB, 4).iter().all(|(who, _)| who == "rs1" || who == "rs2"), "{}", house.lab.logs());
        customer.goes_on(5);
        // Without the sync daemon the second director knows nothing of the one request that is under way when it takes over.
        let failures = customer.failures();
        assert!(failures.len() <= 1 && failures.iter().all(|why| why.starts_with("Connection reset")), "{failures:?}");
    });
}

#[test]
fn seed_3_odd_lines_are_explained_and_servers_without_a_check_serve() {
    house(|house| {
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        let balancer = "virtual_server 172.25.254.100 80 {\n    delay_loop 6\n    lb_algo rr\n    lb_kind DR\n    nat_mask 255.255.255.0\n    \
             persistence_timeout 0\n    protocol TCP\n\n    real_server 172.25.254.110 80 {\n        weight 1\n    }\n\n    \
             real_server 172.25.254.120 80{\n        weight 1\n    }\n}\n";
        let daemon = start(house.host("ka1"), &config("ka1", MASTER, balancer));
        house.master("ka1");
        house.table("ka1", &["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Route 1", "-> 172.25.254.120:80 Route 1"]);
        assert_eq!(house.answers(WEB, 6), half(6));
        if ours() {
            assert!(daemon.log().contains("'nat_mask' is ignored"), "{}", daemon.log());
        }
    });
}

#[test]
fn seed_4_network_address_translation_and_a_firewall_mark() {
    house(|house| {
        let _web = (house.web_at("rs1", 8080), house.web_at("rs2", 8080));
        // Behind a director that translates, answers go back through it.
        house.lab.further_network(1, "eth1", &["ka1", "rs1", "rs2"]).unwrap();
        for server in ["rs1", "rs2"] {
            house.host(server).sh("ip route replace 172.25.254.50/32 via 10.1.1.10").unwrap();
        }
        let reals = |words: &str| real_server("10.1.1.110 8080", words) + &real_server("10.1.1.120 8080", words);
        let words = "    delay_loop 1\n    warmup 0\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n";
        let marked = virtual_server("fwmark 7", words, &(real_server("10.1.1.110", "") + &real_server("10.1.1.120", "")));
        let balancer = virtual_server("172.25.254.100 80", words, &reals(TCP_CHECK)) + &marked;
        let _daemon = start(house.host("ka1"), &config("ka1", MASTER, &balancer));
        house.master("ka1");
        house.table(
            "ka1",
            &[
                "TCP 172.25.254.100:80 rr",
                "-> 10.1.1.110:8080 Masq 1",
                "-> 10.1.1.120:8080 Masq 1",
                "FWM 7 rr",
                "-> 10.1.1.110:0 Masq 1",
                "-> 10.1.1.120:0 Masq 1",
            ],
        );
        assert_eq!(house.answers(WEB, 6), half(6));
        // What comes for another port gets the mark.
        let mark = "tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress protocol ip flower ip_proto tcp dst_port 8080 action skbedit mark 7";
        house.host("ka1").sh(mark).unwrap();
        assert_eq!(house.answers((VIP, 8080), 6), half(6));
    });
}

#[test]
fn seed_4_tunnels_and_a_sorry_server() {
    house(|house| {
        let (mut one, mut two) = (house.web("rs1"), house.web("rs2"));
        house.quiet_address(&["rs1", "rs2", "rs3"], "172.25.254.100/32");
        let _sorry = house.web("rs3");
        for server in ["rs1", "rs2", "rs3"] {
            house.host(server).sh("ip link add ipip0 type ipip remote any local any 2>/dev/null; ip link set tunl0 up; echo 0 >/proc/sys/net/ipv4/conf/tunl0/rp_filter").unwrap();
        }
        let words =
            "    delay_loop 0.5\n    warmup 0\n    lb_algo rr\n    lb_kind TUN\n    protocol TCP\n    sorry_server 172.25.254.130 80\n";
        let reals = real_server("172.25.254.110 80", TCP_CHECK) + &real_server("172.25.254.120 80", TCP_CHECK);
        let balancer = virtual_server("172.25.254.100 80", words, &reals);
        let daemon = start(house.host("ka1"), &config("ka1", MASTER, &balancer));
        house.master("ka1");
        let both = ["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Tunnel 1", "-> 172.25.254.120:80 Tunnel 1"];
        house.table("ka1", &both);
        assert_eq!(house.answers(WEB, 6), half(6));
        one.stop().unwrap();
        house.table("ka1", &["TCP 172.25.254.100:80 rr", "-> 172.25.254.120:80 Tunnel 1"]);
        two.stop().unwrap();
        house.table("ka1", &["TCP 172.25.254.100:80 rr", "-> 172.25.254.130:80 Tunnel 1"]);
        assert_eq!(house.answers(WEB, 3), vec![("rs3".to_owned(), 3)]);
        wait_log(house.lab, &daemon, "Adding sorry server [172.25.254.130]:tcp:80 to VS [172.25.254.100]:tcp:80", PATIENCE);
        let _one = house.web("rs1");
        house.table("ka1", &["TCP 172.25.254.100:80 rr", "-> 172.25.254.110:80 Tunnel 1"]);
        wait_log(house.lab, &daemon, "Removing sorry server [172.25.254.130]:tcp:80 from VS [172.25.254.100]:tcp:80", PATIENCE);
        assert_eq!(house.answers(WEB, 3), vec![("rs1".to_owned(), 3)]);
    });
}

#[test]
fn seed_5_the_sync_daemon_follows_the_instance_that_it_is_written_in() {
    house(|house| {
        let with_sync = |instance: &str| instance.replacen("interface eth0", "interface eth0\n    lvs_sync_daemon_interface eth0", 1);
        let mut first = start(house.host("ka1"), &config("ka1", &with_sync(MASTER), DR));
        let _second = start(house.host("ka2"), &config("ka2", &with_sync(BACKUP), DR));
        house.master("ka1");
        let daemon = |host: &str| house.host(host).sh("ipvsadm -L --daemon").unwrap();
        let says = |host: &str, role: &str| daemon(host).contains(&format!("{role} sync daemon (mcast=eth0, syncid=0,"));
        let both = || says("ka1", "master") && says("ka2", "backup");
        house.lab.wait("both halves", PATIENCE, both).unwrap_or_else(|_| panic!("{} {}", daemon("ka1"), daemon("ka2")));
        assert!(!daemon("ka1").contains("backup") && !daemon("ka2").contains("master"), "{} {}", daemon("ka1"), daemon("ka2"));
        assert!(first.stop().unwrap().success());
        house.lab.wait("the other is master", PATIENCE, || says("ka2", "master") && !daemon("ka2").contains("backup")).unwrap();
        assert_eq!(daemon("ka1"), "");
    });
}
