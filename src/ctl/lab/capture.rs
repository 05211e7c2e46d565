//! What crosses the switch, each frame once, with the kernel's time and the host that sent it; and frames made up by us.

use super::host::lock;
use super::{Host, LabError, Result, Trouble, now};
use crate::sys::host::bind_packet_socket;
use crate::types::Instant;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, ReceiveTimeout, ReceiveTimestampns};
use nix::sys::socket::{AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{recvmsg, send, setsockopt, socket};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};
use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// One frame, as it came into the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// When the kernel saw it, CLOCK_MONOTONIC.
    pub at: Instant,
    /// Host that sent it.
    pub host: String,
    /// Its interface there.
    pub interface: String,
    /// The Ethernet frame.
    pub bytes: Vec<u8>,
}

/// Interface index of a port of the switch to the host and interface at its other end.
pub(super) type Ports = Arc<Mutex<HashMap<usize, (String, String)>>>;

/// All frames since the laboratory was made.
#[derive(Debug)]
pub struct Capture {
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// `socket` is a packet socket in the switch's namespace.
    pub(super) fn start(socket: OwnedFd, ports: Ports) -> Result<Self> {
        setsockopt(&socket, ReceiveTimestampns, &true).trouble("ask for timestamps")?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(100)).trouble("set a timeout")?;
        // Room for a burst of thousands of frames; or as much as an ordinary user may have.
        if setsockopt(&socket, RcvBufForce, &(64 << 20)).is_err() {
            let _ = setsockopt(&socket, RcvBuf, &(4 << 20));
        }
        let (frames, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (Arc::clone(&frames), Arc::clone(&stop));
        let body = move || receive(&socket, &ports, &into, &until);
        let thread = thread::Builder::new().name("capture".to_owned()).spawn(body).trouble("start a thread")?;
        Ok(Self { frames, stop, thread: Some(thread) })
    }

    /// Number of frames so far: a place to look from later.
    pub fn mark(&self) -> usize {
        lock(&self.frames).len()
    }

    /// The frames from a mark on.
    pub fn since(&self, mark: usize) -> Vec<Frame> {
        lock(&self.frames).get(mark..).unwrap_or_default().to_vec()
    }

    /// What `pick` makes of the frames from a mark on, without copying the others.
    pub fn filter<T>(&self, mark: usize, pick: impl FnMut(&Frame) -> Option<T>) -> Vec<T> {
        lock(&self.frames).get(mark..).unwrap_or_default().iter().filter_map(pick).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A packet socket for every protocol, in the calling thread's network namespace.
pub(super) fn open_packet_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?)
}

fn receive(socket: &OwnedFd, ports: &Ports, frames: &Mutex<Vec<Frame>>, stop: &AtomicBool) {
    const OUTGOING: u8 = libc::PACKET_OUTGOING;
    let mut buffer = vec![0; 65536];
    let mut control = nix::cmsg_space!(TimeSpec);
    while !stop.load(Ordering::Relaxed) {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let Ok(message) = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()) else { continue };
        let (Some(from), length) = (message.address, message.bytes) else { continue };
        let stamp = message.cmsgs().ok().and_then(|mut list| {
            list.find_map(|item| if let ControlMessageOwned::ScmTimestampns(stamp) = item { Some(stamp) } else { None })
        });
        let at = stamp.map_or_else(now, monotonic);
        let Some((host, interface)) = lock(ports).get(&from.ifindex()).cloned() else { continue };
        if from.pkttype() != OUTGOING {
            lock(frames).push(Frame { at, host, interface, bytes: buffer.get(..length).unwrap_or_default().to_vec() });
        }
    }
}

/// A recent wall-clock time as CLOCK_MONOTONIC.
fn monotonic(stamp: TimeSpec) -> Instant {
    let wall = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).unwrap_or(stamp);
    let age = wall - stamp;
    now() - std::time::Duration::from(age)
}

/// Sends frames out of one interface of a host, whatever they contain.
#[derive(Debug)]
pub struct Injector(OwnedFd);

impl Injector {
    /// For the interface of that name.
    pub fn open(host: &Host, interface: &str) -> Result<Self> {
        let index = host.link(interface)?.index;
        let open = move || -> io::Result<OwnedFd> {
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
            bind_packet_socket(socket.as_fd(), index)?;
            Ok(socket)
        };
        host.run(open)?.trouble("open a packet socket").map(Self)
    }

    /// Sends one Ethernet frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.0.as_raw_fd(), frame, MsgFlags::empty()).trouble("send a frame")?;
        if sent == frame.len() { Ok(()) } else { Err(LabError::new("send a whole frame", io::ErrorKind::WriteZero.into())) }
    }
}
