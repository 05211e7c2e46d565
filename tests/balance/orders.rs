//! What is asked of IPVS, as the kernel's netlink monitor sees it: a reload and a new keeper touch what is wrong, and nothing else.

use crate::common::vm::with_ipvs;
use crate::common::*;
use crate::house::*;
use keepalived_rs::config::load::load_text;
use keepalived_rs::ipc::messages::{FromChecker, ToChecker};
use keepalived_rs::ipc::{Inbox, Outbox, channel};
use keepalived_rs::ipvs::Socket;
use keepalived_rs::lvs::plan::Change;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Kind of the monitor's device (linux/if_arp.h).
const ARPHRD_NETLINK: u16 = 824;

/// Changes of the table that programs of a host ask for, from now on.
struct Orders {
    seen: Arc<Mutex<Vec<&'static str>>>,
    over: Arc<AtomicBool>,
}

impl Orders {
    /// Nothing when the kernel has no netlink monitor.
    fn start(host: &Arc<Host>) -> Option<Self> {
        host.sh("modprobe nlmon 2>/dev/null; ip link add nlmon0 type nlmon && ip link set nlmon0 up").ok()?;
        let open = || socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll);
        let socket = host.run(open).unwrap().unwrap();
        setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).unwrap();
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(100)).unwrap();
        let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (seen.clone(), over.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 17];
            while !until.load(Ordering::Relaxed) {
                let Ok((length, from)) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) else { continue };
                // Everything else on this host is a frame of another kind of device.
                if from.is_some_and(|from| from.hatype() == ARPHRD_NETLINK) {
                    into.lock().unwrap().extend(orders(&buffer[..length]));
                }
            }
        });
        Some(Self { seen, over })
    }

    /// What has been asked for since the last time, once `enough` of it has come and nothing further does.
    fn taken(&self, lab: &Lab, enough: usize) -> Vec<&'static str> {
        lab.wait("orders", PATIENCE, || self.seen.lock().unwrap().len() >= enough).unwrap();
        std::thread::sleep(millis(2500));
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The requests in a datagram that change the table (linux/ip_vs.h, `IPVS_CMD_*`); answers are not requests.
fn orders(mut datagram: &[u8]) -> Vec<&'static str> {
    const REQUEST: u16 = 1;
    const CONTROLLER: u16 = 16;
    let mut found = Vec::new();
    while datagram.len() >= 20 {
        let word = |at: usize| u16::from_ne_bytes([datagram[at], datagram[at + 1]]);
        let length = u32::from_ne_bytes(datagram[..4].try_into().unwrap()) as usize;
        if word(6) & REQUEST != 0 && word(4) > CONTROLLER {
            found.extend(match datagram[16] {
                1 => Some("add service"),
                2 => Some("edit service"),
                3 => Some("remove service"),
                5 => Some("add destination"),
                6 => Some("edit destination"),
                7 => Some("remove destination"),
                17 => Some("flush"),
                _ => None,
            });
        }
        datagram = datagram.get(length.max(16).next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// 40 services of 25 servers; `weight` is that of one of the thousand.
fn thousand(weight: u32) -> String {
    let real = |service: u32, server: u32| {
        let weight = if (service, server) == (7, 11) { weight } else { 1 };
        real_server(&format!("172.25.253.{} 80", server + 1), &format!("        weight {weight}\n"))
    };
    let service = |service| {
        let reals: String = (0..25).map(|server| real(service, server)).collect();
        virtual_server(&format!("172.25.252.{} 80", service + 1), "    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n", &reals)
    };
    (0..40).map(service).collect()
}

#[test]
fn a_reload_with_one_weight_changed_touches_one_entry_of_the_kernels() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        let Some(orders) = Orders::start(ka1) else { return skip("the kernel has no netlink monitor (nlmon)") };
        let daemon = start(ka1, &thousand(1));
        let lines = || ka1.sh("ipvsadm -Sn").unwrap().lines().count();
        house.lab.wait("the table", PATIENCE, || lines() == 1040).unwrap();
        let first = orders.taken(house.lab, 1040);
        assert_eq!(first.iter().filter(|order| **order == "add destination").count(), 1000, "the monitor sees everything");
        assert_eq!(first.len(), 1040);
        reload(ka1, &daemon, &thousand(5));
        assert_eq!(orders.taken(house.lab, 1), ["edit destination"]);
        assert!(ka1.sh("ipvsadm -Sn").unwrap().contains("-a -t 172.25.252.8:80 -r 172.25.253.12:80 -m -w 5\n"));
    });
}

#[test]
fn a_keeper_that_dies_is_rebuilt_and_touches_only_what_is_wrong() {
    if !promised_by_ours() {
        return;
    }
    with_ipvs(|| {
        laboratory(&["ka1"], |lab| {
            let ka1 = lab.host("ka1");
            let Some(orders) = Orders::start(ka1) else { return skip("the kernel has no netlink monitor (nlmon)") };
            let orders = Arc::new(orders);
            let (host, monitor) = (Arc::clone(ka1), orders.clone());
            // The checker child in this process: its actors can be reached.
            std::thread::scope(|scope| {
                let job = move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(child_whose_keeper_dies(&monitor));
                };
                scope.spawn(move || host.run(job).unwrap()).join().unwrap();
            });
            assert_eq!(ka1.sh("ipvsadm -Sn").unwrap(), "", "it ended in good order");
        });
    });
}

async fn child_whose_keeper_dies(orders: &Orders) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (outbox, inbox) = channel(theirs).unwrap();
    let child = tokio::spawn(keepalived_rs::process::checker::run(outbox, inbox, keepalived_rs::process::checker::Ways::default()));
    let (to, mut from): (Outbox<ToChecker>, Inbox<FromChecker>) = channel(ours).unwrap();
    let balancer = Box::new(load_text(&thousand(1)).config.lvs);
    to.post(&ToChecker::Configure { balancer, resume: vec![], quorums: vec![], replaces: false, keep_table: false });
    tokio::spawn(async move { while let Ok(Some(_)) = from.next().await {} });
    assert_eq!(settled(orders, 1040).await.len(), 1040);
    let mut kernel = Socket::open().unwrap();
    let table = kernel.table().unwrap();

    kill_keeper().await;
    assert_eq!(settled(orders, 0).await, Vec::<&str>::new(), "everything is right");
    assert_eq!(kernel.table().unwrap(), table);

    // While nobody keeps it, the table is spoilt.
    kill_keeper().await;
    let (service, entry) = table.iter().nth(3).unwrap();
    let (one, other) = (entry.destinations.iter().next().unwrap(), entry.destinations.iter().nth(1).unwrap());
    let heavy = keepalived_rs::lvs::table::Destination { weight: 99, ..*one.1 };
    let spoilt = [Change::EditDestination(*service, *one.0, heavy), Change::RemoveDestination(*service, *other.0)];
    assert_eq!(kernel.apply(&spoilt).unwrap(), []);
    let mut made = settled(orders, 4).await;
    made.sort_unstable();
    assert_eq!(made, ["add destination", "edit destination", "edit destination", "remove destination"], "two of them are ours");
    assert_eq!(kernel.table().unwrap(), table);

    to.post(&ToChecker::Stop);
    assert_eq!(child.await.unwrap(), 0);
}

/// The keeper ends in the midst of whatever it does; returns when it is gone.
async fn kill_keeper() {
    let keeper = ractor::registry::where_is("ipvs_keeper").unwrap();
    let id = keeper.get_id();
    keeper.kill();
    let another = async {
        while ractor::registry::where_is("ipvs_keeper").is_none_or(|now| now.get_id() == id) {
            tokio::time::sleep(millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, another).await.unwrap();
}

/// Waits for so many orders, and for two looks at the table after them.
async fn settled(orders: &Orders, enough: usize) -> Vec<&'static str> {
    let come = async {
        while orders.seen.lock().unwrap().len() < enough {
            tokio::time::sleep(millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, come).await.unwrap();
    tokio::time::sleep(millis(2500)).await;
    std::mem::take(&mut orders.seen.lock().unwrap())
}
