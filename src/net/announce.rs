//! Tells the neighbours where an address is now: gratuitous ARP and unsolicited neighbour advertisements.

use super::{OpenError, arp, ndisc};
use crate::sys::socket;
use crate::types::MacAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

/// A packet socket that sends whole frames. It has protocol 0, so that it never receives one (packet(7)).
#[derive(Debug)]
pub struct Announcer {
    fd: OwnedFd,
}

impl Announcer {
    /// Opens. One serves all interfaces and both families.
    pub fn open() -> Result<Self, OpenError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = nix::sys::socket::socket(AddressFamily::Packet, SockType::Raw, flags, None)
            .map_err(|error| OpenError::new("a packet socket for gratuitous ARP and neighbour advertisements", error.into()))?;
        Ok(Self { fd })
    }

    /// Sends `repeat` gratuitous ARP messages for an address. An error (ENETDOWN, ENOBUFS) means that the rest was not sent.
    pub fn gratuitous_arp(&self, ifindex: u32, mac: MacAddr, address: Ipv4Addr, repeat: u32) -> io::Result<()> {
        self.send(ifindex, arp::ETHERTYPE, MacAddr::BROADCAST, &arp::gratuitous(mac, address), repeat)
    }

    /// Sends `repeat` unsolicited neighbour advertisements for an address. `mac` is absent on links without link-layer
    /// addresses, whose neighbours keep no table that could be wrong: nothing is sent.
    pub fn unsolicited_na(&self, ifindex: u32, mac: Option<MacAddr>, address: Ipv6Addr, router: bool, repeat: u32) -> io::Result<()> {
        let Some(mac) = mac else { return Ok(()) };
        self.send(ifindex, ndisc::ETHERTYPE, ndisc::ALL_NODES_MAC, &ndisc::unsolicited(mac, address, router), repeat)
    }

    fn send(&self, ifindex: u32, ethertype: u16, destination: MacAddr, frame: &[u8], repeat: u32) -> io::Result<()> {
        socket::send_frames(&self.fd, ifindex, ethertype, destination.0, frame, repeat as usize)
    }
}

#[cfg(test)]
#[path = "announce_tests.rs"]
mod tests;
