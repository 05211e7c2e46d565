//! The sockets that adverts travel through: one [`Receiver`] an interface, one [`Sender`] a family.

mod sender;

pub use sender::{Outgoing, Sender};

use super::{OpenError, ipv4};
use crate::sys::socket;
use crate::types::Family;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// VRRP (RFC 9568 §5.1.1.4).
pub const PROTOCOL_VRRP: u8 = 112;
/// IP authentication header (RFC 2402), which RFC 2338 puts before the VRRP packet.
pub const PROTOCOL_AH: u8 = 51;
/// A buffer of this many bytes holds any advert there can be: 255 IPv6 addresses, every header and trailer.
pub const BUFFER_BYTES: usize = 8192;
/// Datagrams that one system call brings at most.
const BATCH: usize = 16;
/// Unless told otherwise; holds the adverts of 1,300 routers at once. Only a limit: the system's usual 208 KiB overflow when a
/// few hundred masters start together.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// What a receiver listens to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReceiverSpec {
    /// Family.
    pub family: Family,
    /// Only what arrives on this interface (name, index); everything when absent.
    pub interface: Option<(String, u32)>,
    /// [`PROTOCOL_VRRP`], or [`PROTOCOL_AH`] for adverts behind an authentication header.
    pub protocol: u8,
}

/// One datagram, as the kernel handed it over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received<'b> {
    /// Sender.
    pub source: IpAddr,
    /// Group or address that it was sent to.
    pub destination: IpAddr,
    /// TTL or hop limit; absent only if the kernel did not say.
    pub ttl: Option<u8>,
    /// Interface of arrival; 0 when unknown.
    pub ifindex: u32,
    /// IP protocol number of the payload.
    pub protocol: u8,
    /// The IPv4 header with its options (an authentication header covers it); IPv6 shows none.
    pub ip_header: Option<&'b [u8]>,
    /// What the IP header says is payload, or as much of it as arrived.
    pub payload: &'b [u8],
}

/// A raw socket that receives adverts and never sends.
#[derive(Debug)]
pub struct Receiver {
    fd: AsyncFd<OwnedFd>,
    family: Family,
    protocol: u8,
    bound: Option<u32>,
}

impl Receiver {
    /// Opens, binds to the interface, and hears no group until [`Receiver::join`]. Must be called inside a tokio runtime.
    ///
    /// A receiver is of its interface, not of the interface's name: when the interface is deleted and comes again, open anew.
    ///
    /// The kernel limits the groups a socket may join (`net.ipv4.igmp_max_memberships`, 20): use one receiver an interface.
    pub fn open(spec: &ReceiverSpec) -> Result<Self, OpenError> {
        let fail = OpenError::of("a raw socket to receive adverts");
        let socket = open_raw(spec.family, spec.protocol).map_err(&fail)?;
        Self::configure(&socket, spec).map_err(&fail)?;
        let fd = OwnedFd::from(socket);
        socket::set_receive_buffer(&fd, RECEIVE_BUFFER_BYTES).map_err(&fail)?;
        let fd = socket::watch(fd).map_err(&fail)?;
        Ok(Self { fd, family: spec.family, protocol: spec.protocol, bound: spec.interface.as_ref().map(|(_, index)| *index) })
    }

    /// Bytes of receive buffer (`kernel_rx_buf_size`).
    pub fn set_buffer(&self, bytes: u32) -> io::Result<()> {
        socket::set_receive_buffer(self.fd.get_ref(), bytes as usize)
    }

    fn configure(socket: &Socket, spec: &ReceiverSpec) -> io::Result<()> {
        if let Some((name, _)) = &spec.interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        match spec.family {
            // Without this a socket hears the groups that any other socket of the host has joined.
            Family::V4 => {
                socket.set_multicast_all_v4(false)?;
                // of a bound socket the interface is known, and the header says the rest
                setsockopt(socket, sockopt::Ipv4PacketInfo, &spec.interface.is_none())?;
            }
            Family::V6 => {
                // Linux 4.20; before it a group that another process joined is heard too, and the VRID tells them apart.
                let _ = socket.set_multicast_all_v6(false);
                setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
            }
        }
        Ok(())
    }

    /// The number of its socket in this process, for the log.
    pub fn number(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Listens to a group on an interface; joining twice is fine.
    pub fn join(&self, group: IpAddr, ifindex: u32) -> io::Result<()> {
        let socket = SockRef::from(self.fd.get_ref());
        let joined = match group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(ifindex)),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, ifindex),
        };
        ignore(joined, &[libc::EADDRINUSE])
    }

    /// Stops listening to a group; it need not have been joined, nor the interface still exist.
    pub fn leave(&self, group: IpAddr, ifindex: u32) -> io::Result<()> {
        let socket = SockRef::from(self.fd.get_ref());
        let left = match group {
            IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(ifindex)),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, ifindex),
        };
        ignore(left, &[libc::EADDRNOTAVAIL, libc::ENODEV])
    }

    /// Waits until [`Receiver::try_receive`] may have something. Cancel safe.
    pub async fn readable(&self) -> io::Result<()> {
        self.fd.readable().await?.retain_ready();
        Ok(())
    }

    /// Hands over datagrams that wait, as many as one system call brings; whether more may wait. Nothing is tried while the
    /// kernel has not said that there are any.
    ///
    /// Errors are as with [`Receiver::try_receive`].
    pub fn receive_waiting(&self, room: &mut Room, each: impl FnMut(&Received<'_>)) -> io::Result<bool> {
        match self.family {
            Family::V4 => self.receive_waiting_v4(room, each),
            Family::V6 => self.receive_waiting_v6(room, each),
        }
    }

    /// A header tells what there is to know: no control data, and a short count says that the queue is empty without asking again.
    fn receive_waiting_v4(&self, room: &mut Room, mut each: impl FnMut(&Received<'_>)) -> io::Result<bool> {
        let mut taken = 0;
        let outcome = self.fd.try_io(Interest::READABLE, |fd| {
            taken = socket::receive_many(fd, &mut room.bytes, BUFFER_BYTES, &mut room.lengths)?;
            // tells tokio to wait for the kernel's next word
            if taken < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        for (bytes, length) in room.bytes.chunks_exact(BUFFER_BYTES).zip(room.lengths).take(taken) {
            let seen = Taken { length, family: Family::V4, source: None, destination: None, hop_limit: None, ifindex: None };
            if let Some(received) = seen.read(bytes, self.protocol, self.bound.unwrap_or(0)) {
                each(&received);
            }
        }
        match outcome {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn receive_waiting_v6(&self, room: &mut Room, mut each: impl FnMut(&Received<'_>)) -> io::Result<bool> {
        for _ in 0..BATCH {
            match self.try_receive(&mut room.bytes)? {
                Some(received) => each(&received),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The next datagram, or `None` when there is none yet. Call until `None`: readiness is reported once.
    ///
    /// Errors are the socket's own (ENETDOWN when its interface went down): reported once, and the socket lives on.
    pub fn try_receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Received<'b>>> {
        loop {
            let taken = match self.fd.try_io(Interest::READABLE, |fd| take(fd, self.family, buffer)) {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // The borrow ends in the loop's other arm only: what is not a datagram is stepped over.
            if taken.understood(buffer) {
                return Ok(taken.read(buffer, self.protocol, self.bound.unwrap_or(0)));
            }
        }
    }
}

/// Where one system call puts the datagrams that wait: as much room as the longest need, of which only what they fill is memory.
#[derive(Debug)]
pub struct Room {
    bytes: Box<[u8]>,
    lengths: [usize; BATCH],
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: vec![0; BATCH * BUFFER_BYTES].into(), lengths: [0; BATCH] }
    }
}

/// What `recvmsg` said beside the bytes.
#[derive(Clone, Copy, Debug)]
struct Taken {
    length: usize,
    family: Family,
    source: Option<Ipv6Addr>,
    destination: Option<Ipv6Addr>,
    hop_limit: Option<u8>,
    ifindex: Option<u32>,
}

impl Taken {
    fn understood(&self, buffer: &[u8]) -> bool {
        match self.family {
            Family::V4 => buffer.get(..self.length).and_then(ipv4::View::of).is_some(),
            Family::V6 => self.source.is_some() && self.destination.is_some(),
        }
    }

    fn read<'b>(&self, buffer: &'b [u8], protocol: u8, bound: u32) -> Option<Received<'b>> {
        let bytes = buffer.get(..self.length)?;
        let ifindex = self.ifindex.unwrap_or(bound);
        Some(match self.family {
            Family::V4 => {
                let view = ipv4::View::of(bytes)?;
                Received {
                    source: view.source.into(),
                    destination: view.destination.into(),
                    ttl: Some(view.ttl),
                    ifindex,
                    protocol: view.protocol,
                    ip_header: Some(view.header),
                    payload: view.payload,
                }
            }
            Family::V6 => Received {
                source: self.source?.into(),
                destination: self.destination?.into(),
                ttl: self.hop_limit,
                ifindex,
                protocol,
                ip_header: None,
                payload: bytes,
            },
        })
    }
}

/// Control data is a sequence of `cmsghdr`, which must be aligned as one.
#[repr(align(8))]
struct Control([u8; 160]);

fn take(fd: &OwnedFd, family: Family, buffer: &mut [u8]) -> io::Result<Taken> {
    let mut control = Control([0; 160]);
    let mut parts = [io::IoSliceMut::new(buffer)];
    let mut taken = Taken { length: 0, family, source: None, destination: None, hop_limit: None, ifindex: None };
    match family {
        Family::V4 => {
            let message =
                nix::sys::socket::recvmsg::<SockaddrIn>(fd.as_raw_fd(), &mut parts, Some(&mut control.0), MsgFlags::MSG_DONTWAIT)?;
            taken.length = message.bytes;
            for item in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::Ipv4PacketInfo(info) = item {
                    taken.ifindex = u32::try_from(info.ipi_ifindex).ok();
                }
            }
        }
        Family::V6 => {
            let message =
                nix::sys::socket::recvmsg::<SockaddrIn6>(fd.as_raw_fd(), &mut parts, Some(&mut control.0), MsgFlags::MSG_DONTWAIT)?;
            taken.length = message.bytes;
            taken.source = message.address.map(|from| from.ip());
            for item in message.cmsgs().into_iter().flatten() {
                match item {
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        taken.ifindex = Some(info.ipi6_ifindex);
                        taken.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                    }
                    ControlMessageOwned::Ipv6HopLimit(limit) => taken.hop_limit = u8::try_from(limit).ok(),
                    _ => {}
                }
            }
        }
    }
    Ok(taken)
}

fn open_raw(family: Family, protocol: u8) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    // socket2 sets close-on-exec.
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A filter that drops all: one instruction, "return 0 bytes" (bpf(4), BPF_RET | BPF_K).
fn receive_nothing(socket: &Socket) -> io::Result<()> {
    socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
}

fn ignore(result: io::Result<()>, codes: &[i32]) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error().is_some_and(|code| codes.contains(&code)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[path = "advert_tests.rs"]
mod tests;
