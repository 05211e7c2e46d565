//! Addresses as the kernel is asked for them.

use super::mirror::AddressKey;
use super::rtnl::{Mode, Order};
use super::wire::{Builder, octets};
use crate::types::{Family, IpPrefix};
use crate::vrrp::settings::VirtualAddress;
use std::net::IpAddr;

/// IFA_PROTO of every address that we add: 18 is keepalived's (`/etc/iproute2/rt_protos`). What carries it is ours to remove.
pub const PROTOCOL_KEEPALIVED: u8 = 18;

pub(super) const IFA_ADDRESS: u16 = 1;
pub(super) const IFA_LOCAL: u16 = 2;
pub(super) const IFA_LABEL: u16 = 3;
pub(super) const IFA_BROADCAST: u16 = 4;
pub(super) const IFA_CACHEINFO: u16 = 6;
pub(super) const IFA_FLAGS: u16 = 8;
pub(super) const IFA_PROTO: u16 = 11;
const INFINITE: u32 = u32::MAX;

/// An address as the kernel shall have it (ip-address(8)).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KernelAddress {
    /// Interface.
    pub ifindex: u32,
    /// Address and prefix length; with a `peer` the length is the peer's.
    pub prefix: IpPrefix,
    /// Other end of a point-to-point link.
    pub peer: Option<IpPrefix>,
    /// Broadcast address (IPv4).
    pub broadcast: Option<IpAddr>,
    /// Label (IPv4), e.g. `eth0:1`.
    pub label: Option<String>,
    /// RT_SCOPE_*; the kernel works it out itself for IPv6.
    pub scope: u8,
    /// IFA_F_*.
    pub flags: u32,
    /// Seconds until deprecated; for ever when absent.
    pub preferred_lifetime: Option<u32>,
    /// IFA_PROTO (Linux 5.18; older kernels pass over it, as over any attribute they do not know).
    pub proto: Option<u8>,
}

impl KernelAddress {
    /// A configured address on the interface with this index, marked as ours.
    pub fn from(address: &VirtualAddress, ifindex: u32) -> Self {
        let v4 = address.prefix.family() == Family::V4;
        Self {
            ifindex,
            prefix: address.prefix,
            peer: address.peer,
            broadcast: address.broadcast.filter(|_| v4),
            label: address.label.clone().filter(|_| v4),
            scope: address.scope,
            flags: address.flags,
            preferred_lifetime: address.preferred_lifetime,
            proto: Some(PROTOCOL_KEEPALIVED),
        }
    }

    /// Only what the kernel needs to find it again.
    pub fn bare(ifindex: u32, prefix: IpPrefix, peer: Option<IpPrefix>) -> Self {
        Self { ifindex, prefix, peer, broadcast: None, label: None, scope: 0, flags: 0, preferred_lifetime: None, proto: None }
    }

    /// What the mirror finds it by.
    pub fn key(&self) -> AddressKey {
        let length = self.peer.unwrap_or(self.prefix).length();
        let prefix = IpPrefix::new(self.prefix.address(), length).unwrap_or(self.prefix);
        AddressKey::new(prefix, self.peer.map(IpPrefix::address))
    }

    fn fixed(&self) -> [u8; 8] {
        let family = match self.prefix.family() {
            Family::V4 => libc::AF_INET as u8,
            Family::V6 => libc::AF_INET6 as u8,
        };
        let [a, b, c, d] = self.ifindex.to_ne_bytes();
        // The header's flags have 8 bits; IFA_FLAGS has them all.
        [family, self.peer.unwrap_or(self.prefix).length(), (self.flags & 0xff) as u8, self.scope, a, b, c, d]
    }

    fn identity(&self, m: &mut Builder) {
        octets(m, IFA_LOCAL, self.prefix.address());
        octets(m, IFA_ADDRESS, self.peer.unwrap_or(self.prefix).address());
    }

    fn attributes(&self, m: &mut Builder) {
        self.identity(m);
        if let Some(broadcast) = self.broadcast {
            octets(m, IFA_BROADCAST, broadcast);
        }
        if let Some(label) = &self.label {
            m.text(IFA_LABEL, label);
        }
        if self.flags != 0 {
            m.attribute(IFA_FLAGS, &self.flags.to_ne_bytes());
        }
        if let Some(seconds) = self.preferred_lifetime {
            // ifa_cacheinfo: preferred, valid, created, updated.
            let mut info = [0; 16];
            info[0..4].copy_from_slice(&seconds.to_ne_bytes());
            info[4..8].copy_from_slice(&INFINITE.to_ne_bytes());
            m.attribute(IFA_CACHEINFO, &info);
        }
        if let Some(proto) = self.proto {
            m.attribute(IFA_PROTO, &[proto]);
        }
    }
}

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressOp {
    /// Make it be there. Where it is already, lifetime, flags and protocol number become as ordered; label, broadcast address
    /// and scope stay, since the kernel changes those only through a deletion, and the address would be gone for a moment.
    Add(KernelAddress),
    /// Make it not be there.
    Delete(KernelAddress),
}

impl AddressOp {
    /// The address concerned.
    pub fn address(&self) -> &KernelAddress {
        match self {
            Self::Add(address) | Self::Delete(address) => address,
        }
    }
}

impl Order for AddressOp {
    fn emit(&self, m: &mut Builder, sequence: u32, mode: Mode) {
        match self {
            Self::Add(address) => {
                let flags = match mode {
                    Mode::Fresh => (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
                    Mode::Replace => (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16,
                };
                m.message(libc::RTM_NEWADDR, flags, sequence, &address.fixed(), |m| address.attributes(m));
            }
            Self::Delete(address) => {
                m.message(libc::RTM_DELADDR, 0, sequence, &address.fixed(), |m| address.identity(m));
            }
        }
    }

    fn reached(&self, code: i32) -> bool {
        match self {
            // An interface that is gone took its addresses along.
            Self::Delete(_) => matches!(code, libc::EADDRNOTAVAIL | libc::ENODEV),
            Self::Add(_) => false,
        }
    }

    fn what(&self) -> String {
        let verb = match self {
            Self::Add(_) => "add",
            Self::Delete(_) => "delete",
        };
        format!("{verb} {} on interface {}", self.address().prefix, self.address().ifindex)
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
