//! The socket that adverts leave by.

use super::{OpenError, PROTOCOL_AH, PROTOCOL_VRRP, ipv4, open_raw, receive_nothing};
use crate::types::Family;
use crate::vrrp::auth;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6};
use socket2::Socket;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

/// One advert on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing<'a> {
    /// Interface to leave by; the routing table decides when absent (unicast).
    pub ifindex: Option<u32>,
    /// Source address; for IPv4 it need not be on this machine.
    pub source: IpAddr,
    /// Group or peer.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// [`PROTOCOL_VRRP`] or [`PROTOCOL_AH`]; IPv6 adverts are always VRRP.
    pub protocol: u8,
    /// The packet, checksum included.
    pub payload: &'a [u8],
}

/// A raw socket that sends adverts by any interface and never receives.
#[derive(Debug)]
pub struct Sender {
    fd: OwnedFd,
    family: Family,
    identification: Cell<u16>,
}

impl Sender {
    /// Opens. One serves all instances of a family.
    pub fn open(family: Family) -> Result<Self, OpenError> {
        let fail = OpenError::of("a raw socket to send adverts");
        let socket = open_raw(family, PROTOCOL_VRRP).map_err(&fail)?;
        Self::configure(&socket, family).map_err(&fail)?;
        Ok(Self { fd: socket.into(), family, identification: Cell::new(0) })
    }

    fn configure(socket: &Socket, family: Family) -> io::Result<()> {
        receive_nothing(socket)?;
        // TC_PRIO_CONTROL: ahead of everything else in the interface's queue. A refusal costs only that.
        let _ = socket.set_priority(7);
        // Our own adverts must not come back to the receivers of this host.
        match family {
            Family::V4 => {
                socket.set_header_included_v4(true)?;
                socket.set_multicast_loop_v4(false)
            }
            Family::V6 => {
                socket.set_multicast_loop_v6(false)?;
                socket.set_tclass_v6(u32::from(ipv4::INTERNETWORK_CONTROL))?;
                // As with IPv4, a configured source need not be on this machine.
                let _ = socket.set_freebind_v6(true);
                Ok(())
            }
        }
    }

    /// The number of its socket in this process, for the log.
    pub fn number(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Sends one advert with one system call; never waits (EAGAIN or ENOBUFS when the interface's queue is full).
    pub fn send(&self, advert: &Outgoing<'_>) -> io::Result<()> {
        match (self.family, advert.source, advert.destination) {
            (Family::V4, IpAddr::V4(source), IpAddr::V4(destination)) => self.send_v4(advert, source, destination),
            (Family::V6, IpAddr::V6(source), IpAddr::V6(destination)) => self.send_v6(advert, source, destination),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "source and destination are not of the socket's family")),
        }
    }

    fn send_v4(&self, advert: &Outgoing<'_>, source: Ipv4Addr, destination: Ipv4Addr) -> io::Result<()> {
        // The kernel chooses an identification where it finds 0.
        let sequence = if advert.protocol == PROTOCOL_AH { auth::Header::split(advert.payload) } else { None };
        let identification = match sequence {
            Some((header, _)) => auth::identification(header.sequence()),
            None => self.identification.get().checked_add(1).unwrap_or(1),
        };
        self.identification.set(identification);
        let header = ipv4::header(advert, source, destination, identification)?;
        let parts = [io::IoSlice::new(&header), io::IoSlice::new(advert.payload)];
        let address = SockaddrIn::from(SocketAddrV4::new(destination, 0));
        let Some(ifindex) = advert.ifindex else {
            return send(&self.fd, &parts, &[], MsgFlags::MSG_DONTWAIT, &address);
        };
        let info = libc::in_pktinfo {
            ipi_ifindex: index(ifindex)?,
            ipi_spec_dst: libc::in_addr { s_addr: 0 },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        // A group is on the link: no route is asked.
        let flags = if destination.is_multicast() {
            MsgFlags::MSG_DONTWAIT | MsgFlags::from_bits_retain(libc::MSG_DONTROUTE)
        } else {
            MsgFlags::MSG_DONTWAIT
        };
        send(&self.fd, &parts, &[ControlMessage::Ipv4PacketInfo(&info)], flags, &address)
    }

    fn send_v6(&self, advert: &Outgoing<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> io::Result<()> {
        if advert.protocol != PROTOCOL_VRRP {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "IPv6 adverts have no authentication header"));
        }
        let ifindex = advert.ifindex.unwrap_or(0);
        let local = destination.is_multicast() || destination.is_unicast_link_local();
        let address = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, if local { ifindex } else { 0 }));
        let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: ifindex };
        let hop_limit = libc::c_int::from(advert.ttl);
        let control = [ControlMessage::Ipv6PacketInfo(&info), ControlMessage::Ipv6HopLimit(&hop_limit)];
        send(&self.fd, &[io::IoSlice::new(advert.payload)], &control, MsgFlags::MSG_DONTWAIT, &address)
    }
}

fn send<A: nix::sys::socket::SockaddrLike>(
    fd: &OwnedFd,
    parts: &[io::IoSlice<'_>],
    control: &[ControlMessage<'_>],
    flags: MsgFlags,
    address: &A,
) -> io::Result<()> {
    nix::sys::socket::sendmsg(fd.as_raw_fd(), parts, control, flags, Some(address))?;
    Ok(())
}

fn index(ifindex: u32) -> io::Result<libc::c_int> {
    libc::c_int::try_from(ifindex).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}
