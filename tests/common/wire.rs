//! The wire, read and written without the crate's own codec: a test of a codec by itself would only prove that it agrees with itself.

use keepalived_rs::ctl::lab::{Frame, Lab};
use keepalived_rs::types::{Instant, MacAddr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A VRRP packet as captured (RFC 3768 §5, RFC 9568 §5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advert {
    pub at: Instant,
    pub host: String,
    pub mac_from: MacAddr,
    pub mac_to: MacAddr,
    pub from: IpAddr,
    pub to: IpAddr,
    pub ttl: u8,
    /// IPv4 type of service.
    pub tos: u8,
    pub version: u8,
    pub kind: u8,
    pub vrid: u8,
    pub priority: u8,
    /// Version 2.
    pub auth_type: u8,
    /// In centiseconds, of both versions.
    pub interval: u16,
    pub checksum_ok: bool,
    pub addresses: Vec<IpAddr>,
    /// Version 2.
    pub auth: Vec<u8>,
    /// Bytes of VRRP.
    pub length: usize,
}

/// A gratuitous ARP request or reply, or an unsolicited neighbour advertisement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    pub at: Instant,
    pub host: String,
    pub interface: String,
    pub mac_to: MacAddr,
    /// Whose address it claims to be.
    pub mac: MacAddr,
    pub ip: IpAddr,
    /// ARP operation; for IPv6 the flags byte.
    pub operation: u16,
}

/// All adverts of `host` (of everybody: "") from a mark on.
pub fn adverts(lab: &Lab, mark: usize, host: &str) -> Vec<Advert> {
    lab.capture().filter(mark, |frame| advert(frame).filter(|advert| host.is_empty() || advert.host == host))
}

/// All announcements of an address by `host` from a mark on.
pub fn announcements(lab: &Lab, mark: usize, host: &str, ip: impl Into<IpAddr>) -> Vec<Announcement> {
    let ip = ip.into();
    lab.capture().filter(mark, |frame| announcement(frame).filter(|seen| seen.host == host && seen.ip == ip))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn mac_at(bytes: &[u8], at: usize) -> Option<MacAddr> {
    Some(MacAddr(bytes.get(at..at + 6)?.try_into().ok()?))
}

fn ip4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)))
}

fn ip6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(u128::from_be_bytes(bytes.get(at..at + 16)?.try_into().ok()?)))
}

/// The advert in a frame, if it is one.
pub fn advert(frame: &Frame) -> Option<Advert> {
    let packet = frame.bytes.get(14..)?;
    let (from, to, ttl, tos, vrrp): (IpAddr, IpAddr, u8, u8, &[u8]) = match u16_at(&frame.bytes, 12)? {
        0x0800 if *packet.get(9)? == 112 => {
            let body = packet.get(usize::from(packet[0] & 15) * 4..usize::from(u16_at(packet, 2)?))?;
            (ip4_at(packet, 12)?.into(), ip4_at(packet, 16)?.into(), packet[8], packet[1], body)
        }
        0x86dd if *packet.get(6)? == 112 => {
            let body = packet.get(40..40 + usize::from(u16_at(packet, 4)?))?;
            (ip6_at(packet, 8)?.into(), ip6_at(packet, 24)?.into(), packet[7], 0, body)
        }
        _ => return None,
    };
    let version = vrrp.first()? >> 4;
    let word = u16_at(vrrp, 4)?;
    let size = if from.is_ipv4() { 4 } else { 16 };
    let count = usize::from(*vrrp.get(3)?);
    let address = |index: usize| -> Option<IpAddr> {
        let at = 8 + index * size;
        Some(if size == 4 { ip4_at(vrrp, at)?.into() } else { ip6_at(vrrp, at)?.into() })
    };
    let pseudo = if version == 2 { Vec::new() } else { pseudo_header(from, to, vrrp.len()) };
    Some(Advert {
        at: frame.at,
        host: frame.host.clone(),
        mac_from: mac_at(&frame.bytes, 6)?,
        mac_to: mac_at(&frame.bytes, 0)?,
        from,
        to,
        ttl,
        tos,
        version,
        kind: vrrp[0] & 15,
        vrid: vrrp[1],
        priority: vrrp[2],
        auth_type: if version == 2 { vrrp[4] } else { 0 },
        interval: if version == 2 { u16::from(vrrp[5]) * 100 } else { word & 0x0fff },
        checksum_ok: checksum(&[pseudo.as_slice(), vrrp].concat()) == 0,
        addresses: (0..count).map_while(address).collect(),
        auth: vrrp.get(8 + count * size..).unwrap_or_default().to_vec(),
        length: vrrp.len(),
    })
}

/// The announcement in a frame, if it is one.
pub fn announcement(frame: &Frame) -> Option<Announcement> {
    let (bytes, packet) = (&frame.bytes, frame.bytes.get(14..)?);
    let (mac, ip, operation): (MacAddr, IpAddr, u16) = match u16_at(bytes, 12)? {
        0x0806 if ip4_at(packet, 14)? == ip4_at(packet, 24)? => (mac_at(packet, 8)?, ip4_at(packet, 14)?.into(), u16_at(packet, 6)?),
        0x86dd if *packet.get(6)? == 58 && *packet.get(40)? == 136 => {
            (mac_at(packet, 66)?, ip6_at(packet, 48)?.into(), u16::from(*packet.get(44)?))
        }
        _ => return None,
    };
    let (host, interface) = (frame.host.clone(), frame.interface.clone());
    Some(Announcement { at: frame.at, host, interface, mac_to: mac_at(bytes, 0)?, mac, ip, operation })
}

/// The Internet checksum (RFC 1071); 0 over data that contains a right one.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn pseudo_header(from: IpAddr, to: IpAddr, length: usize) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [&from.octets()[..], &to.octets(), &[0, 112], &(length as u16).to_be_bytes()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [&from.octets()[..], &to.octets(), &(length as u32).to_be_bytes(), &[0, 0, 0, 112]].concat(),
        _ => panic!("two families in one packet"),
    }
}

/// A VRRP packet to be made up, right in every field until changed.
#[derive(Clone, Debug)]
pub struct Forged {
    pub mac_from: MacAddr,
    pub mac_to: MacAddr,
    pub from: IpAddr,
    pub to: IpAddr,
    pub ttl: u8,
    pub version: u8,
    pub kind: u8,
    pub vrid: u8,
    pub priority: u8,
    pub auth_type: u8,
    /// Centiseconds; a version 2 packet carries whole seconds.
    pub interval: u16,
    pub addresses: Vec<IpAddr>,
    pub count: Option<u8>,
    pub auth: [u8; 8],
    pub spoil_checksum: bool,
    /// Bytes cut from (negative) or appended to the end of the VRRP packet, after the checksum.
    pub stretch: isize,
}

impl Forged {
    /// A version 3 multicast advert for 172.25.254.100 with interval 0.1 s.
    pub fn v3(from: Ipv4Addr, vrid: u8, priority: u8) -> Self {
        Self {
            mac_from: MacAddr([2, 0, 0, 0, 0, 1]),
            mac_to: MacAddr([1, 0, 0x5e, 0, 0, 0x12]),
            from: from.into(),
            to: Ipv4Addr::new(224, 0, 0, 18).into(),
            ttl: 255,
            version: 3,
            kind: 1,
            vrid,
            priority,
            auth_type: 0,
            interval: 10,
            addresses: vec![super::VIP.into()],
            count: None,
            auth: [0; 8],
            spoil_checksum: false,
            stretch: 0,
        }
    }

    /// A version 2 multicast advert with interval 1 s and password 1111, as the tutorials have it.
    pub fn v2(from: Ipv4Addr, vrid: u8, priority: u8) -> Self {
        Self { version: 2, auth_type: 1, interval: 100, auth: *b"1111\0\0\0\0", ..Self::v3(from, vrid, priority) }
    }

    fn vrrp(&self) -> Vec<u8> {
        let count = self.count.unwrap_or(self.addresses.len() as u8);
        let mut packet = vec![self.version << 4 | self.kind, self.vrid, self.priority, count];
        if self.version == 3 {
            packet.extend(self.interval.to_be_bytes());
        } else {
            packet.extend([self.auth_type, (self.interval / 100) as u8]);
        }
        packet.extend([0, 0]);
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => packet.extend(address.octets()),
                IpAddr::V6(address) => packet.extend(address.octets()),
            }
        }
        if self.version != 3 {
            packet.extend(self.auth);
        }
        let pseudo = if self.version == 3 { pseudo_header(self.from, self.to, packet.len()) } else { Vec::new() };
        let sum = checksum(&[pseudo, packet.clone()].concat()) ^ if self.spoil_checksum { 0x5a5a } else { 0 };
        packet[6..8].copy_from_slice(&sum.to_be_bytes());
        packet.resize(packet.len().saturating_add_signed(self.stretch), 0);
        packet
    }

    /// The Ethernet frame.
    pub fn frame(&self) -> Vec<u8> {
        ethernet(self.mac_from, self.mac_to, self.from, self.to, self.ttl, &self.vrrp())
    }
}

/// An Ethernet frame with an IP packet of protocol 112 around `body`.
pub fn ethernet(mac_from: MacAddr, mac_to: MacAddr, from: IpAddr, to: IpAddr, ttl: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u16;
    let (kind, header) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = (20 + length).to_be_bytes();
            let mut header = vec![0x45, 0xc0, total[0], total[1], 0, 1, 0, 0, ttl, 112, 0, 0];
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            ([8, 0], header)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let size = length.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, size[0], size[1], 112, ttl];
            header.extend(from.octets());
            header.extend(to.octets());
            ([0x86, 0xdd], header)
        }
        _ => panic!("two families in one packet"),
    };
    [&mac_to.0[..], &mac_from.0, &kind, &header, body].concat()
}
