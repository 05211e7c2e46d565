//! Clients that never stop asking, and downloads that last: nothing that an administrator or a fault does to the daemon reaches them.

use crate::common::*;
use crate::house::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const WEB: (Ipv4Addr, u16) = (VIP, 80);
const WORDS: &str = "    delay_loop 0.5\n    warmup 0\n    lb_algo wrr\n    lb_kind DR\n    protocol TCP\n";

/// These servers behind the address, with their weights.
fn serving(servers: &[(u8, u32)], check: &str) -> String {
    let real = |(at, weight): &(u8, u32)| real_server(&format!("172.25.254.{at} 80"), &format!("        weight {weight}\n{check}"));
    virtual_server("172.25.254.100 80", WORDS, &servers.iter().map(real).collect::<String>())
}

fn listed(house: &House<'_>, host: &str, servers: &[(u8, u32)]) {
    let mut rows = vec!["TCP 172.25.254.100:80 wrr".to_owned()];
    rows.extend(servers.iter().map(|(at, weight)| format!("-> 172.25.254.{at}:80 Route {weight}")));
    house
        .lab
        .wait(&format!("{rows:?}"), PATIENCE, || {
            let mut found = crate::house::rows(house.host(host));
            found.sort_by_key(|row| (row.starts_with("->"), row.clone()));
            found == rows
        })
        .unwrap_or_else(|_| panic!("{:?}, not {rows:?}\n{}", crate::house::rows(house.host(host)), house.lab.logs()));
}

/// Several customers at once. IPVS remembers a connection for two minutes after its end, and drops one that comes from the same
/// port while its server is gone: the customers' kernel is given as many ports as there are, and must not come round to the first.
fn crowd(house: &House<'_>) -> Vec<Customer> {
    house.host("client").sh("echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    (0..3).map(|_| Customer::start(house, WEB)).collect()
}

fn go_on(crowd: &[Customer], count: usize) {
    crowd.iter().for_each(|customer| customer.goes_on(count));
}

fn failures(crowd: Vec<Customer>) -> Vec<String> {
    crowd.into_iter().flat_map(Customer::failures).collect()
}

#[test]
fn no_request_fails_while_reloads_add_remove_and_weigh_servers() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1", "rs2", "rs3"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"), house.web("rs3"));
        ka1.sh("ip addr add 172.25.254.100/24 dev eth0").unwrap();
        let mut daemon = start(ka1, &serving(&[(110, 1), (120, 1)], TCP_CHECK));
        listed(house, "ka1", &[(110, 1), (120, 1)]);
        let crowd = crowd(house);
        go_on(&crowd, 5);
        for servers in [
            &[(110, 1), (120, 1), (130, 1)][..],
            &[(120, 1), (130, 1)],
            &[(130, 4)],
            &[(110, 1)],
            &[(110, 1), (120, 0)],
            &[(110, 2), (120, 3), (130, 1)],
            &[(120, 1)],
        ] {
            reload(ka1, &daemon, &serving(servers, TCP_CHECK));
            listed(house, "ka1", servers);
            go_on(&crowd, 8);
        }
        assert_eq!(failures(crowd), Vec::<String>::new(), "{}", daemon.log());
        assert!(daemon.stop().unwrap().success());
    });
}

#[test]
fn no_request_fails_when_the_last_resort_makes_way_for_a_server_that_returns() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1", "rs3"], "172.25.254.100/32");
        let _sorry = house.web("rs3");
        ka1.sh("ip addr add 172.25.254.100/24 dev eth0").unwrap();
        let config = serving(&[(110, 1)], TCP_CHECK).replacen("lb_kind DR", "lb_kind DR\n    sorry_server 172.25.254.130 80", 1);
        let _daemon = start(ka1, &config);
        listed(house, "ka1", &[(130, 1)]);
        let crowd = crowd(house);
        go_on(&crowd, 5);
        let _one = house.web("rs1");
        listed(house, "ka1", &[(110, 1)]);
        go_on(&crowd, 8);
        assert_eq!(failures(crowd), Vec::<String>::new(), "{}", house.lab.logs());
    });
}

#[test]
fn no_request_fails_when_children_die_or_the_daemon_starts_over_its_leftovers() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        ka1.sh("ip addr add 172.25.254.100/24 dev eth0").unwrap();
        // The third is dead from the beginning, and must not be believed to live by anybody who starts.
        let config = serving(&[(110, 1), (120, 1), (130, 1)], TCP_CHECK).replacen("warmup 0", "warmup 2", 1);
        let both = [(110, 1), (120, 1)];
        let mut daemon = start(ka1, &config);
        listed(house, "ka1", &both);
        // A reload is between what is known and the child's death.
        reload(ka1, &daemon, &config.replacen("weight 1", "weight 2", 1));
        listed(house, "ka1", &[(110, 2), (120, 1)]);
        let crowd = crowd(house);
        go_on(&crowd, 5);
        for life in 1..=2 {
            lab::send(ka1.process_of_file("/run/checkers.pid").unwrap().pid, Signal::SIGKILL).unwrap();
            house.lab.wait("another child", PATIENCE, || daemon.log().matches("Initializing ipvs").count() > life).unwrap();
            go_on(&crowd, 8);
        }
        assert_eq!(failures(crowd), Vec::<String>::new(), "{}", daemon.log());
        // A daemon that is new knows nothing of the third: until its first check it counts as up, as ever.
        let alive = serving(&both, TCP_CHECK);
        reload(ka1, &daemon, &alive);
        listed(house, "ka1", &both);
        let crowd = self::crowd(house);
        go_on(&crowd, 5);
        daemon.kill_all();
        go_on(&crowd, 5);
        let mut daemon = start(ka1, &alive);
        wait_log(house.lab, &daemon, "TCP connection to [172.25.254.120]:tcp:80 success", PATIENCE);
        go_on(&crowd, 8);
        assert_eq!(failures(crowd), Vec::<String>::new(), "{}", daemon.log());
        assert!(daemon.stop().unwrap().success());
    });
}

#[test]
fn a_switch_over_with_connection_synchronisation_costs_at_most_what_is_under_way() {
    house(|house| {
        let (ka1, ka2) = (house.host("ka1"), house.host("ka2"));
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        let sync = "global_defs {\n    lvs_sync_daemon eth0 VI_1 id 5\n}\n";
        let config = |priority| format!("{sync}{}{}", fast(priority), serving(&[(110, 1), (120, 1)], TCP_CHECK));
        let mut first = start(ka1, &config(200));
        let _second = start(ka2, &config(100));
        house.master("ka1");
        listed(house, "ka1", &[(110, 1), (120, 1)]);
        listed(house, "ka2", &[(110, 1), (120, 1)]);
        let customer = Customer::start(house, WEB);
        customer.goes_on(10);
        assert!(first.stop().unwrap().success());
        house.master("ka2");
        customer.goes_on(10);
        let _first = start_again(ka1);
        house.master("ka1");
        customer.goes_on(10);
        // The kernel tells its peer of a connection once it has seen three packets of it: a request that is younger is not known there.
        let (resets, others): (Vec<_>, Vec<_>) = customer.failures().into_iter().partition(|why| why.starts_with("Connection reset"));
        assert!(resets.len() <= 2, "{resets:?}");
        // On an overloaded machine the address may be nowhere for longer than a client looks for it.
        assert!(others.iter().all(|why| why.starts_with("No route to host")), "{others:?}");
    });
}

/// So many servers of other services, none of them checked: the table takes a while.
fn others(count: usize) -> String {
    let real = |at: usize| real_server(&format!("10.{}.{}.{} 80", at / 62_500, at / 250 % 250, at % 250 + 1), "        weight 1");
    let servers: Vec<String> = (0..count).map(real).collect();
    let service = |(place, real): (usize, &[String])| virtual_server(&format!("172.25.{}.1 80", place % 250), WORDS, &real.concat());
    servers.chunks(50).enumerate().map(service).collect()
}

#[test]
fn a_director_with_a_large_table_is_master_once_it_stands() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let (ka1, ka2) = (house.host("ka1"), house.host("ka2"));
        house.quiet_address(&["rs1", "rs2"], "172.25.254.100/32");
        let _web = (house.web("rs1"), house.web("rs2"));
        let both = serving(&[(110, 1), (120, 1)], "");
        let _second = start(ka2, &format!("{}{both}", fast(100)));
        house.master("ka2");
        let customer = Customer::start(house, WEB);
        customer.goes_on(5);
        // Others first: the kernel gets the services in the order of their addresses.
        let mut first = start(ka1, &format!("{}{}{both}", fast(200), others(3000)));
        house.master("ka1");
        assert_eq!(rows(ka1).len(), 3000 + 60 + 3);
        customer.goes_on(10);
        assert!(first.stop().unwrap().success());
        house.master("ka2");
        customer.goes_on(10);
        let refused: Vec<_> = customer.failures().into_iter().filter(|why| why.contains("refused")).collect();
        assert_eq!(refused, Vec::<String>::new(), "{}", first.log());
    });
}

/// A page that does not end before it is told to, and somebody who reads it.
struct Download {
    enough: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    read: Arc<AtomicUsize>,
    reader: std::thread::JoinHandle<std::io::Result<()>>,
}

impl Download {
    fn start(house: &House<'_>, server: &str) -> Self {
        let listener = house.host(server).run(|| std::net::TcpListener::bind(("0.0.0.0", 80))).unwrap().unwrap();
        let (enough, sent, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (over, count) = (enough.clone(), sent.clone());
        std::thread::spawn(move || {
            // Checks connect as well, and leave.
            for stream in listener.incoming().map_while(Result::ok) {
                let (over, count) = (over.clone(), count.clone());
                std::thread::spawn(move || pour(stream, &over, &count));
            }
        });
        let mut stream = house.host("client").run(|| TcpStream::connect_timeout(&WEB.into(), secs(10))).unwrap().unwrap();
        let count = read.clone();
        let reader = std::thread::spawn(move || {
            stream.set_read_timeout(Some(secs(30)))?;
            stream.write_all(b"more\n")?;
            let mut page = [0; 4096];
            loop {
                match stream.read(&mut page)? {
                    0 => return Ok(()),
                    bytes => _ = count.fetch_add(bytes, Ordering::Relaxed),
                }
            }
        });
        Self { enough, sent, read, reader }
    }

    /// Waits until this much more has come.
    fn goes_on(&self, house: &House<'_>, after: &str) {
        let wanted = self.read.load(Ordering::Relaxed) + 40_000;
        house.lab.wait(&format!("the download after {after}"), PATIENCE, || self.read.load(Ordering::Relaxed) >= wanted).unwrap();
    }

    /// Ends it: every byte must have come.
    fn end(self) {
        self.enough.store(true, Ordering::Relaxed);
        self.reader.join().unwrap().unwrap();
        assert_eq!(self.read.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed));
    }
}

fn pour(mut stream: TcpStream, over: &AtomicBool, count: &AtomicUsize) -> std::io::Result<()> {
    let mut asked = [0; 5];
    stream.read_exact(&mut asked)?;
    while !over.load(Ordering::Relaxed) {
        stream.write_all(&[b'x'; 1000])?;
        count.fetch_add(1000, Ordering::Relaxed);
        std::thread::sleep(millis(5));
    }
    Ok(())
}

#[test]
fn a_download_outlives_reloads_the_death_of_the_child_and_a_start_over_leftovers() {
    house(|house| {
        let ka1 = house.host("ka1");
        house.quiet_address(&["rs1"], "172.25.254.100/32");
        ka1.sh("ip addr add 172.25.254.100/24 dev eth0").unwrap();
        let one = |weight| serving(&[(110, weight)], "");
        let mut daemon = start(ka1, &one(1));
        listed(house, "ka1", &[(110, 1)]);
        let download = Download::start(house, "rs1");
        download.goes_on(house, "its start");
        reload(ka1, &daemon, &one(5));
        listed(house, "ka1", &[(110, 5)]);
        download.goes_on(house, "another weight");
        reload(ka1, &daemon, &serving(&[(110, 5), (120, 5)], ""));
        listed(house, "ka1", &[(110, 5), (120, 5)]);
        reload(ka1, &daemon, &one(5));
        listed(house, "ka1", &[(110, 5)]);
        download.goes_on(house, "another server came and went");
        if ours() {
            lab::send(ka1.process_of_file("/run/checkers.pid").unwrap().pid, Signal::SIGKILL).unwrap();
            house.lab.wait("another child", PATIENCE, || daemon.log().matches("Initializing ipvs").count() > 1).unwrap();
            download.goes_on(house, "the death of the child");
            daemon.kill_all();
            let second = start(ka1, &one(6));
            listed(house, "ka1", &[(110, 6)]);
            download.goes_on(house, "a start over leftovers");
            drop(second);
        }
        download.end();
    });
}
