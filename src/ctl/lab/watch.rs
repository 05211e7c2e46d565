//! Things that report by themselves: address changes of a host, and datagrams sent to a socket in it.

use super::host::lock;
use super::netlink::{Address, messages, read_address};
use super::{Host, Result, Trouble, now};
use crate::types::Instant;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Something that was seen, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen<T> {
    /// When we saw it, CLOCK_MONOTONIC.
    pub at: Instant,
    /// What.
    pub what: T,
}

/// A change of a host's addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressChange {
    /// Added (or changed); otherwise removed.
    pub added: bool,
    /// The address.
    pub address: Address,
}

/// A thread that collects until it is dropped.
#[derive(Debug)]
struct Collector<T> {
    seen: Arc<Mutex<Vec<Seen<T>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Clone + Send + 'static> Collector<T> {
    /// `next` waits at most a fraction of a second for more.
    fn start(name: &str, mut next: impl FnMut() -> Vec<T> + Send + 'static) -> Result<Self> {
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (Arc::clone(&seen), Arc::clone(&stop));
        let body = move || {
            while !until.load(Ordering::Relaxed) {
                let more = next();
                let at = now();
                lock(&into).extend(more.into_iter().map(|what| Seen { at, what }));
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body).trouble("start a thread")?;
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    fn all(&self) -> Vec<Seen<T>> {
        lock(&self.seen).clone()
    }
}

impl<T> Drop for Collector<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Every change of a host's addresses since it was started.
#[derive(Debug)]
pub struct AddressWatch(Collector<AddressChange>);

impl AddressWatch {
    /// Starts watching.
    pub fn start(host: &Host) -> Result<Self> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.add_membership(libc::RTNLGRP_IPV4_IFADDR)?;
            socket.add_membership(libc::RTNLGRP_IPV6_IFADDR)?;
            Ok(socket)
        };
        let socket = host.run(open)?.trouble("watch addresses")?;
        // Thousands of addresses may change in a burst; without the privilege the usual room serves for hundreds.
        let _ = setsockopt(&socket, RcvBufForce, &(16 << 20));
        setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(100)).trouble("set a timeout")?;
        Collector::start("addresses", move || socket.recv_from_full().map(|(datagram, _)| changes(&datagram)).unwrap_or_default()).map(Self)
    }

    /// All changes so far.
    pub fn changes(&self) -> Vec<Seen<AddressChange>> {
        self.0.all()
    }

    /// When that address was added, each time.
    pub fn added(&self, ip: impl Into<IpAddr>) -> Vec<Instant> {
        self.of(ip.into(), true)
    }

    /// When that address was removed, each time.
    pub fn removed(&self, ip: impl Into<IpAddr>) -> Vec<Instant> {
        self.of(ip.into(), false)
    }

    fn of(&self, ip: IpAddr, added: bool) -> Vec<Instant> {
        self.changes().into_iter().filter(|seen| seen.what.added == added && seen.what.address.ip() == ip).map(|seen| seen.at).collect()
    }
}

fn changes(datagram: &[u8]) -> Vec<AddressChange> {
    let change = |message: netlink_packet_core::NetlinkMessage<RouteNetlinkMessage>| match message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => Some((true, read_address(&address)?)),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(address)) => Some((false, read_address(&address)?)),
        _ => None,
    };
    messages(datagram).into_iter().filter_map(change).map(|(added, address)| AddressChange { added, address }).collect()
}

/// A datagram socket at a path inside a host: a syslog (`/dev/log`) or a service manager (`NOTIFY_SOCKET`). Dropping it
/// closes the socket and leaves the path, as a killed server would.
#[derive(Debug)]
pub struct DatagramSink(Collector<String>);

impl DatagramSink {
    /// Listens at `path`, replacing what stands there.
    pub fn start(host: &Host, path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        let open = move || -> io::Result<UnixDatagram> {
            drop(std::fs::remove_file(&path));
            let socket = UnixDatagram::bind(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
            Ok(socket)
        };
        let socket = host.run(open)?.trouble("listen for datagrams")?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).trouble("set a timeout")?;
        let mut buffer = vec![0; 65536];
        let next = move || match socket.recv(&mut buffer) {
            Ok(length) => vec![String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned()],
            Err(_) => Vec::new(),
        };
        Collector::start("datagrams", next).map(Self)
    }

    /// All datagrams so far.
    pub fn datagrams(&self) -> Vec<Seen<String>> {
        self.0.all()
    }

    /// All datagrams so far, a line each.
    pub fn text(&self) -> String {
        self.0.all().into_iter().map(|seen| format!("{}\n", seen.what)).collect()
    }
}
