//! Balancing: real servers enter and leave the kernel's table as their checks say; what others change is put right.

mod common;

use common::*;
use keepalived_rs::ipvs::{IpvsError, Socket};
use keepalived_rs::lvs::plan::Change;
use keepalived_rs::lvs::settings::{Forwarding, Protocol};
use keepalived_rs::lvs::table::{ServiceKey, Table};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

const SERVICE: ServiceKey = ServiceKey::Socket(Protocol::Tcp, IpAddr::V4(VIP), 80);

/// An HTTP server on every address of a host, until it is dropped.
struct Server {
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    #[expect(clippy::unwrap_used, reason = "part of tests")]
    fn start(host: &Host, port: u16) -> Self {
        let listener = host.run(move || TcpListener::bind(("0.0.0.0", port))).unwrap().unwrap();
        listener.set_nonblocking(true).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let flag = over.clone();
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        let _ = stream.set_nonblocking(false);
                        let _ = stream.set_read_timeout(Some(millis(200)));
                        if stream.read(&mut [0; 1000]).is_ok_and(|length| length > 0) {
                            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
                        }
                    }
                    Err(_) => std::thread::sleep(millis(2)),
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Whether the kernel has IPVS for the hosts of a laboratory.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn ipvs(host: &Host) -> bool {
    let opened = host.run(|| Socket::open().map(drop)).unwrap();
    match opened {
        Ok(()) => true,
        Err(error @ (IpvsError::Absent | IpvsError::NotPermitted)) => {
            println!("SKIPPED: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[expect(clippy::unwrap_used, reason = "part of tests")]
fn table(host: &Host) -> Table {
    host.run(|| Socket::open().unwrap().table().unwrap()).unwrap()
}

/// Destinations and weights of the service.
fn servers(host: &Host) -> Vec<(String, i64)> {
    let table = table(host);
    let entry = table.get(&SERVICE);
    entry.iter().flat_map(|entry| &entry.destinations).map(|((address, _), what)| (address.to_string(), what.weight)).collect()
}

/// The tutorial's block, with checks ten times as fast.
fn balanced(lab: &Lab, weight: u32) -> String {
    let real = |name: &str| {
        format!(
            "    real_server {} 80 {{\n        weight {weight}\n        HTTP_GET {{\n            url {{\n              path /\n              \
             status_code 200\n            }}\n            connect_timeout 1\n            retry 1\n            \
             delay_before_retry 0.1\n        }}\n    }}\n",
            lab.host(name).ipv4()
        )
    };
    format!(
        "virtual_server {VIP} 80 {{\n    delay_loop 0.3\n    lb_algo wrr\n    lb_kind DR\n    protocol TCP\n{}{}}}\n",
        real("rs1"),
        real("rs2")
    )
}

#[test]
fn real_servers_come_and_go_with_their_checks_and_foreign_changes_are_put_right() {
    laboratory(&["ka1", "rs1", "rs2"], |lab| {
        let ka1 = lab.host("ka1");
        if !ipvs(ka1) {
            return;
        }
        let expect = |what: &str, wanted: &[(&str, i64)]| {
            let wanted: Vec<(String, i64)> = wanted.iter().map(|(name, weight)| (lab.host(name).ipv4().to_string(), *weight)).collect();
            lab.wait(what, secs(10), || servers(ka1) == wanted).unwrap();
        };
        let (one, _two) = (Server::start(lab.host("rs1"), 80), Server::start(lab.host("rs2"), 80));
        let mut daemon = start(ka1, &balanced(lab, 1));
        expect("both", &[("rs1", 1), ("rs2", 1)]);
        let entry = table(ka1).remove(&SERVICE).unwrap();
        assert_eq!(entry.service.scheduler, "wrr");
        assert!(entry.destinations.values().all(|what| what.forwarding == Forwarding::Direct));

        drop(one);
        expect("rs1 gone", &[("rs2", 1)]);
        let _one = Server::start(lab.host("rs1"), 80);
        expect("rs1 back", &[("rs1", 1), ("rs2", 1)]);

        let place = (IpAddr::V4(lab.host("rs2").ipv4()), 80);
        ka1.run(move || Socket::open().unwrap().apply(&[Change::RemoveDestination(SERVICE, place)]).unwrap()).unwrap();
        wait_log(lab, &daemon, "somebody else changed the table", secs(10));
        expect("rs2 put back", &[("rs1", 1), ("rs2", 1)]);

        reload(ka1, &daemon, &balanced(lab, 5));
        expect("other weights", &[("rs1", 5), ("rs2", 5)]);
        let child = daemon.children().into_iter().next().unwrap();
        lab::send(child.pid, Signal::SIGKILL).unwrap();
        wait_log(lab, &daemon, "Respawning", secs(10));
        expect("untouched by the child's death", &[("rs1", 5), ("rs2", 5)]);

        assert!(daemon.stop().unwrap().success());
        assert_eq!(table(ka1), Table::new(), "nothing is left behind");
    });
}

#[test]
fn without_ipvs_in_the_kernel_the_cure_is_named_once_and_vrrp_goes_on() {
    if !promised_by_ours() {
        return;
    }
    laboratory(&["ka1", "rs1", "rs2"], |lab| {
        let ka1 = lab.host("ka1");
        if ipvs(ka1) {
            return;
        }
        let config = format!("{}{}", fast(100), balanced(lab, 1));
        let daemon = start(ka1, &config);
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &daemon, "Lost quorum", secs(10));
        lab.wait("the second look for IPVS", secs(15), || daemon.log().contains("IPVS: ")).unwrap();
        assert_eq!(daemon.log().matches(": IPVS: ").count(), 1, "{}", daemon.log());
        assert!(daemon.log().contains("modprobe ip_vs") || daemon.log().contains("CAP_NET_ADMIN"), "{}", daemon.log());
        assert_eq!(daemon.children().len(), 2, "both children live");
    });
}
