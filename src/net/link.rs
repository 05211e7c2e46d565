//! An interface and its addresses, read from the kernel's messages. Pure.

use super::address::{IFA_ADDRESS, IFA_BROADCAST, IFA_FLAGS, IFA_LABEL, IFA_LOCAL, IFA_PROTO};
use super::vmac;
use super::wire::{Attributes, Message, text, u32_at};
use crate::types::{Family, IpPrefix, MacAddr};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
pub(super) const IFLA_LINK: u16 = 5;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
pub(super) const IFLA_MACVLAN_MODE: u16 = 1;
/// `ifinfomsg`, `ifaddrmsg`: bytes of the fixed headers.
pub(super) const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Ethernet address; absent where link-layer addresses are not 6 bytes long.
    pub mac: Option<MacAddr>,
    /// IFF_UP: somebody switched it on.
    pub up: bool,
    /// IFF_RUNNING: it has a carrier.
    pub running: bool,
    /// Not IFF_NOARP.
    pub arp: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// `veth`, `macvlan` …; absent for real hardware.
    pub kind: Option<String>,
    /// Index of the interface that it stands on.
    pub parent: Option<u32>,
    /// MACVLAN_MODE_* of a macvlan.
    pub macvlan: Option<u32>,
    /// Addresses.
    pub addresses: Addresses,
}

impl Link {
    /// Whether packets can leave: switched on, and with a carrier.
    pub const fn is_up(&self) -> bool {
        self.up && self.running
    }

    /// The address that adverts of a family leave from: the first, in the kernel's order, that is usable and not one of
    /// `except` (the virtual ones). IPv6 adverts come from a link-local address (RFC 9568 §5.1.2.1).
    pub fn source(&self, family: Family, mut except: impl FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        let usable = |address: &&Address| {
            let ip = address.prefix.address();
            let kind = match ip {
                IpAddr::V4(_) => true,
                IpAddr::V6(ip) => ip.is_unicast_link_local() && address.flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) == 0,
            };
            kind && Family::of(&ip) == family && !except(ip)
        };
        self.addresses.iter().find(usable).map(|address| address.prefix.address())
    }

    pub(super) fn from_message(message: &Message<'_>) -> Option<Self> {
        let index = u32_at(message.payload, 4)?;
        let flags = u32_at(message.payload, 8)?;
        let has = |bit: libc::c_int| flags & bit.cast_unsigned() != 0;
        let mut link = Self {
            index,
            name: String::new(),
            mac: None,
            up: has(libc::IFF_UP),
            running: has(libc::IFF_RUNNING),
            arp: !has(libc::IFF_NOARP),
            loopback: has(libc::IFF_LOOPBACK),
            mtu: 0,
            kind: None,
            parent: None,
            macvlan: None,
            addresses: Addresses::default(),
        };
        for (kind, value) in Attributes(message.payload.get(LINK_HEADER..)?) {
            match kind {
                IFLA_ADDRESS => link.mac = value.try_into().ok().map(MacAddr),
                IFLA_IFNAME => link.name = text(value)?.to_owned(),
                IFLA_LINK => link.parent = u32_at(value, 0),
                IFLA_MTU => link.mtu = u32_at(value, 0)?,
                IFLA_LINKINFO => {
                    let find = |wanted| Attributes(value).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
                    link.kind = find(IFLA_INFO_KIND).and_then(text).map(str::to_owned);
                    if link.kind.as_deref() == Some(vmac::KIND) {
                        let mode = find(IFLA_INFO_DATA).and_then(|data| Attributes(data).find(|(kind, _)| *kind == IFLA_MACVLAN_MODE));
                        link.macvlan = mode.and_then(|(_, mode)| u32_at(mode, 0));
                    }
                }
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
    }
}

/// An address of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Address and prefix length.
    pub prefix: IpPrefix,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// IFA_F_*.
    pub flags: u32,
    /// IFA_PROTO: who put it there; [`super::address::PROTOCOL_KEEPALIVED`] is us.
    pub proto: Option<u8>,
    /// Label (IPv4), when it is not the interface's name alone.
    pub label: Option<String>,
    /// Other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// Broadcast address.
    pub broadcast: Option<IpAddr>,
}

/// What distinguishes two addresses of a link: for IPv4 all of address, prefix length and other end; an IPv6 address is there
/// once, whatever its prefix length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AddressKey {
    prefix: IpPrefix,
    peer: Option<IpAddr>,
}

impl AddressKey {
    /// Of these, as the kernel has them.
    pub const fn new(prefix: IpPrefix, peer: Option<IpAddr>) -> Self {
        match prefix.family() {
            Family::V4 => Self { prefix, peer },
            Family::V6 => Self { prefix: IpPrefix::host(prefix.address()), peer: None },
        }
    }
}

impl Address {
    /// What distinguishes it from others of its link.
    pub const fn key(&self) -> AddressKey {
        AddressKey::new(self.prefix, self.peer)
    }

    pub(super) fn from_message(message: &Message<'_>) -> Option<(u32, Self)> {
        let &[family, length, flags, scope, ..] = message.payload else { return None };
        let family = match i32::from(family) {
            libc::AF_INET => Family::V4,
            libc::AF_INET6 => Family::V6,
            _ => return None,
        };
        let ifindex = u32_at(message.payload, 4)?;
        let (mut local, mut remote) = (None, None);
        let (mut flags, mut proto, mut label, mut broadcast) = (u32::from(flags), None, None, None);
        for (kind, value) in Attributes(message.payload.get(ADDRESS_HEADER..)?) {
            match kind {
                IFA_LOCAL => local = ip(family, value),
                IFA_ADDRESS => remote = ip(family, value),
                IFA_BROADCAST => broadcast = ip(family, value),
                IFA_FLAGS => flags = u32_at(value, 0)?,
                IFA_PROTO => proto = value.first().copied().filter(|proto| *proto != 0),
                IFA_LABEL => label = text(value).map(str::to_owned),
                _ => {}
            }
        }
        // Without IFA_LOCAL there is no other end, and IFA_ADDRESS is the address itself.
        let address = local.or(remote)?;
        let peer = remote.filter(|remote| *remote != address);
        Some((ifindex, Self { prefix: IpPrefix::new(address, length)?, scope, flags, proto, label, peer, broadcast }))
    }
}

fn ip(family: Family, value: &[u8]) -> Option<IpAddr> {
    match family {
        Family::V4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        Family::V6 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
    }
}

/// The addresses of a link, in the order in which the kernel told of them, found without a search.
#[derive(Clone, Default, Debug)]
pub struct Addresses {
    in_order: BTreeMap<u64, Address>,
    places: HashMap<IpAddr, Vec<u64>>,
    next: u64,
}

impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Addresses {}

impl Addresses {
    /// In the kernel's order.
    pub fn iter(&self) -> std::collections::btree_map::Values<'_, u64, Address> {
        self.in_order.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// Whether one has this IP, whatever its prefix length or other end.
    pub fn has_ip(&self, ip: IpAddr) -> bool {
        self.places.contains_key(&ip)
    }

    /// The one with this key.
    pub fn get(&self, key: &AddressKey) -> Option<&Address> {
        self.in_order.get(&self.place(key)?)
    }

    fn place(&self, key: &AddressKey) -> Option<u64> {
        let places = self.places.get(&key.prefix.address())?;
        places.iter().copied().find(|place| self.in_order.get(place).is_some_and(|address| address.key() == *key))
    }

    /// Returns what was there before.
    pub(super) fn put(&mut self, address: Address) -> Option<Address> {
        if let Some(place) = self.place(&address.key()) {
            return self.in_order.insert(place, address);
        }
        self.next += 1;
        self.places.entry(address.prefix.address()).or_default().push(self.next);
        self.in_order.insert(self.next, address)
    }

    pub(super) fn remove(&mut self, key: &AddressKey) -> Option<Address> {
        let place = self.place(key)?;
        let ip = key.prefix.address();
        let places = self.places.get_mut(&ip)?;
        places.retain(|other| *other != place);
        if places.is_empty() {
            self.places.remove(&ip);
        }
        self.in_order.remove(&place)
    }
}

impl<'a> IntoIterator for &'a Addresses {
    type Item = &'a Address;
    type IntoIter = std::collections::btree_map::Values<'a, u64, Address>;
    fn into_iter(self) -> Self::IntoIter {
        self.in_order.values()
    }
}
