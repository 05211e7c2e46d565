//! The sockets that BFD control packets travel through: one [`Receiver`] a family and port, one [`Sender`] a session
//! (RFC 5881 §4). They need no capability.

use crate::sys::socket;
use crate::types::Family;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Longest packet that is looked at, bytes: one with the longest authentication there is has 52.
const BUFFER_BYTES: usize = 128;

/// Where packets leave from (RFC 5881 §4).
pub const SOURCE_PORTS: RangeInclusive<u16> = 49152..=65535;

/// One packet, as the kernel handed it over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<'b> {
    /// Sender.
    pub source: IpAddr,
    /// Address of this host that it was sent to; absent only if the kernel did not say.
    pub destination: Option<IpAddr>,
    /// TTL or hop limit that it had left; absent only if the kernel did not say.
    pub ttl: Option<u8>,
    /// What is behind the UDP header.
    pub payload: &'b [u8],
}

/// Hears all packets of a family to a port.
#[derive(Debug)]
pub struct Receiver {
    fd: AsyncFd<OwnedFd>,
    family: Family,
    port: u16,
}

const fn any(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn open(family: Family) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    // socket2 sets close-on-exec.
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if family == Family::V6 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

impl Receiver {
    /// Opens and binds. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// EADDRINUSE: another daemon has the port.
    pub fn open(family: Family, port: u16) -> io::Result<Self> {
        let socket = open(family)?;
        match family {
            Family::V4 => {
                setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            }
            Family::V6 => {
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            }
        }
        socket.bind(&SockAddr::from(SocketAddr::new(any(family), port)))?;
        Ok(Self { fd: socket::watch(socket.into())?, family, port })
    }

    /// Whose packets it hears.
    pub const fn hears(&self) -> (Family, u16) {
        (self.family, self.port)
    }

    /// The number of its socket in this process, for the dump.
    pub fn number(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Waits until packets have come since it said so last; whoever hears it reads all that [`Receiver::receive`] has. Cancel safe.
    ///
    /// # Errors
    /// The runtime's own.
    pub async fn readable(&self) -> io::Result<()> {
        // Cleared before anything is read: what comes in between is said again.
        self.fd.readable().await?.clear_ready();
        Ok(())
    }

    /// Hands over packets that wait, `most` at most; whether more may wait.
    ///
    /// # Errors
    /// The socket's own: reported once, and the socket lives on.
    pub fn receive(&self, most: usize, mut each: impl FnMut(&Received<'_>)) -> io::Result<bool> {
        let mut buffer = [0; BUFFER_BYTES];
        for _ in 0..most {
            match take(self.fd.get_ref(), self.family, &mut buffer) {
                Ok(taken) => {
                    if let (Some(source), Some(payload)) = (taken.source, buffer.get(..taken.length)) {
                        each(&Received { source, destination: taken.destination, ttl: taken.ttl, payload });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// What `recvmsg` said.
struct Taken {
    length: usize,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    ttl: Option<u8>,
}

/// Control data is a sequence of `cmsghdr`, which must be aligned as one.
#[repr(align(8))]
struct Control([u8; 128]);

fn take(fd: &OwnedFd, family: Family, buffer: &mut [u8]) -> io::Result<Taken> {
    let mut control = Control([0; 128]);
    let mut parts = [io::IoSliceMut::new(buffer)];
    let mut taken = Taken { length: 0, source: None, destination: None, ttl: None };
    let flags = MsgFlags::MSG_DONTWAIT;
    match family {
        Family::V4 => {
            let message = nix::sys::socket::recvmsg::<SockaddrIn>(fd.as_raw_fd(), &mut parts, Some(&mut control.0), flags)?;
            taken.length = message.bytes;
            taken.source = message.address.map(|from| from.ip().into());
            for item in message.cmsgs().into_iter().flatten() {
                match item {
                    ControlMessageOwned::Ipv4Ttl(ttl) => taken.ttl = u8::try_from(ttl).ok(),
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        taken.destination = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                    }
                    _ => {}
                }
            }
        }
        Family::V6 => {
            let message = nix::sys::socket::recvmsg::<SockaddrIn6>(fd.as_raw_fd(), &mut parts, Some(&mut control.0), flags)?;
            taken.length = message.bytes;
            taken.source = message.address.map(|from| from.ip().into());
            for item in message.cmsgs().into_iter().flatten() {
                match item {
                    ControlMessageOwned::Ipv6HopLimit(limit) => taken.ttl = u8::try_from(limit).ok(),
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        taken.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(taken)
}

/// Sends the packets of one session, from one port, and hears nothing.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    to: SockAddr,
    port: u16,
}

impl Sender {
    /// Opens and binds to `source`, where the routing table does not choose, and to the first of `ports` that is free.
    ///
    /// # Errors
    /// EADDRNOTAVAIL: the source address is not on this host; EADDRINUSE: none of the ports is free.
    pub fn open(source: Option<IpAddr>, to: SocketAddr, ttl: u8, ports: impl IntoIterator<Item = u16>) -> io::Result<Self> {
        let family = Family::of(&to.ip());
        let socket = open(family)?;
        // It is bound to a port that nobody need send to: what arrives is dropped at once (bpf(4), BPF_RET | BPF_K).
        socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])?;
        match family {
            Family::V4 => socket.set_ttl_v4(ttl.into())?,
            Family::V6 => socket.set_unicast_hops_v6(ttl.into())?,
        }
        let source = source.unwrap_or_else(|| any(family));
        let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
        for port in ports {
            match socket.bind(&SockAddr::from(SocketAddr::new(source, port))) {
                Ok(()) => return Ok(Self { socket, to: to.into(), port }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    /// Where its packets leave from.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The number of its socket in this process, for the dump.
    pub fn number(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// Sends one packet; never waits.
    ///
    /// # Errors
    /// No route, no such source address any more, no room in the queue.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT.bits();
        match self.socket.send_to_with_flags(packet, &self.to, flags) {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn on_runtime<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn travels(address: &str, ttl: u8) {
        on_runtime(async {
            let address: IpAddr = address.parse().unwrap();
            let receiver = match Receiver::open(Family::of(&address), 0) {
                Ok(receiver) => receiver,
                Err(error) => return eprintln!("SKIPPED: {address}: {error}"),
            };
            let port = nix::sys::socket::getsockname::<nix::sys::socket::SockaddrStorage>(receiver.number()).unwrap();
            let port = port.as_sockaddr_in().map(SockaddrIn::port).or_else(|| port.as_sockaddr_in6().map(SockaddrIn6::port)).unwrap();
            let to = SocketAddr::new(address, port);
            let sender = match Sender::open(Some(address), to, ttl, SOURCE_PORTS) {
                Ok(sender) => sender,
                Err(error) => return eprintln!("SKIPPED: {address}: {error}"),
            };
            assert!(SOURCE_PORTS.contains(&sender.port()));
            sender.send(b"hello").unwrap();
            tokio::time::timeout(Duration::from_secs(20), receiver.readable()).await.unwrap().unwrap();
            let mut seen = Vec::new();
            let more = receiver.receive(10, |packet| {
                assert_eq!((packet.source, packet.destination, packet.ttl), (address, Some(address), Some(ttl)));
                seen.push(packet.payload.to_vec());
            });
            assert!(!more.unwrap());
            assert_eq!(seen, [b"hello".to_vec()]);
            let other = Sender::open(Some(address), to, ttl, [sender.port(), sender.port() ^ 1]).unwrap();
            assert_ne!(other.port(), sender.port(), "a port that is taken is passed over");
        });
    }

    #[test]
    fn a_packet_arrives_with_all_that_is_asked_about_it() {
        travels("127.0.0.1", 255);
        travels("127.0.0.1", 7);
        travels("::1", 64);
    }

    #[test]
    fn a_source_address_that_is_not_here_is_said() {
        let error = Sender::open(Some([192, 0, 2, 1].into()), SocketAddr::from(([192, 0, 2, 2], 3784)), 255, SOURCE_PORTS).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
