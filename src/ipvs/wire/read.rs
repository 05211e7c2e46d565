//! Answers: netlink messages, services and destinations of a dump.

use super::{AF_INET, AF_INET6, NESTED, WireError, dest, svc, top};
use crate::lvs::settings::{Checksum, Forwarding, Protocol, Timeouts, Tunnel, flag};
use crate::lvs::table::{Destination, DestinationKey, Service, ServiceKey};
use crate::types::Family;
use std::net::IpAddr;

/// Length of a netlink header.
const HEADER: usize = 16;
/// Length of a generic netlink header.
const GENERIC: usize = 4;

/// One netlink message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// The end of request `seq`: 0, or an errno.
    Ended {
        /// Number of the request.
        seq: u32,
        /// 0 or a positive errno.
        errno: i32,
    },
    /// The end of the dump `seq`.
    Done {
        /// Number of the request.
        seq: u32,
        /// 0 or a positive errno.
        errno: i32,
    },
    /// An answer to `seq`: its attributes.
    Answer {
        /// Number of the request.
        seq: u32,
        /// What follows the generic header.
        attributes: &'a [u8],
    },
}

/// The messages in a datagram. Ends after the first that is cut short.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// Of a datagram from the kernel.
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        const ERROR: u16 = 2;
        const DONE: u16 = 3;
        if self.0.is_empty() {
            return None;
        }
        let whole = self.0;
        let header = (u32_at(whole, 0), u16_at(whole, 4), u32_at(whole, 8));
        let (Some(length), Some(kind), Some(seq)) = header else {
            self.0 = &[];
            return Some(Err(WireError::Short));
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(payload) = whole.get(HEADER..length) else {
            self.0 = &[];
            return Some(Err(WireError::Short));
        };
        self.0 = whole.get(length.next_multiple_of(4)..).unwrap_or_default();
        let errno = || u32_at(payload, 0).map(|value| value.cast_signed().saturating_neg());
        Some(match kind {
            ERROR => errno().map(|errno| Message::Ended { seq, errno }).ok_or(WireError::Short),
            DONE => Ok(Message::Done { seq, errno: errno().unwrap_or(0) }),
            _ => payload.get(GENERIC..).map(|attributes| Message::Answer { seq, attributes }).ok_or(WireError::Short),
        })
    }
}

/// Attributes: type without the nested flag, payload. What is cut short ends them.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & !NESTED;
        let payload = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    }
}

fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    Attributes(bytes).find(|(other, _)| *other == kind).map(|(_, payload)| payload)
}

fn need(bytes: &[u8], kind: u16) -> Result<&[u8], WireError> {
    find(bytes, kind).ok_or(WireError::Missing(kind))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn number(bytes: &[u8], kind: u16) -> Result<u32, WireError> {
    u32_at(need(bytes, kind)?, 0).ok_or(WireError::Short)
}

fn small(bytes: &[u8], kind: u16) -> Result<u16, WireError> {
    u16_at(need(bytes, kind)?, 0).ok_or(WireError::Short)
}

fn port(bytes: &[u8], kind: u16) -> Result<u16, WireError> {
    Ok(u16::from_be(small(bytes, kind)?))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn family(number: u16, kind: u16) -> Result<Family, WireError> {
    match number {
        AF_INET => Ok(Family::V4),
        AF_INET6 => Ok(Family::V6),
        _ => Err(WireError::Unknown(kind)),
    }
}

fn address(bytes: &[u8], kind: u16, family: Family) -> Result<IpAddr, WireError> {
    let payload = need(bytes, kind)?;
    match family {
        Family::V4 => payload.get(..4).and_then(|four| <[u8; 4]>::try_from(four).ok()).map(IpAddr::from),
        Family::V6 => payload.get(..16).and_then(|all| <[u8; 16]>::try_from(all).ok()).map(IpAddr::from),
    }
    .ok_or(WireError::Short)
}

/// A service of a dump.
pub fn read_service(attributes: &[u8]) -> Result<(ServiceKey, Service), WireError> {
    let nest = need(attributes, top::SERVICE)?;
    let family = family(small(nest, svc::AF)?, svc::AF)?;
    let key = match find(nest, svc::FWMARK) {
        Some(mark) => ServiceKey::Mark(family, u32_at(mark, 0).ok_or(WireError::Short)?),
        None => {
            let protocol = Protocol::from_number(small(nest, svc::PROTOCOL)?).ok_or(WireError::Unknown(svc::PROTOCOL))?;
            ServiceKey::Socket(protocol, address(nest, svc::ADDR, family)?, port(nest, svc::PORT)?)
        }
    };
    let flags = number(nest, svc::FLAGS)? & !flag::HASHED;
    let netmask = number(nest, svc::NETMASK)?;
    let granularity = match family {
        // In the order of the network.
        Family::V4 => u32::from_be(netmask),
        Family::V6 => netmask,
    };
    let service = Service {
        scheduler: text(need(nest, svc::SCHED_NAME)?),
        flags,
        timeout: if flags & flag::PERSISTENT == 0 { 0 } else { number(nest, svc::TIMEOUT)? },
        granularity,
        engine: find(nest, svc::PE_NAME).map(text).filter(|name| !name.is_empty()),
    };
    Ok((key, service))
}

/// A destination of a dump of a service of `service_family` (older kernels do not say the destination's).
pub fn read_destination(attributes: &[u8], service_family: Family) -> Result<(DestinationKey, Destination), WireError> {
    let nest = need(attributes, top::DEST)?;
    let key = destination_key(nest, service_family)?;
    let destination = Destination {
        forwarding: forwarding(nest)?,
        weight: i64::from(number(nest, dest::WEIGHT)?.cast_signed()),
        upper: number(nest, dest::U_THRESH)?,
        lower: number(nest, dest::L_THRESH)?,
    };
    Ok((key, destination))
}

/// How many connections a destination has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Connections {
    /// Established ones.
    pub active: u32,
    /// The rest: beginning, ending, or over and still remembered.
    pub inactive: u32,
}

/// The connections of a destination of a dump.
pub fn read_connections(attributes: &[u8], service_family: Family) -> Result<(DestinationKey, Connections), WireError> {
    let nest = need(attributes, top::DEST)?;
    let connections = Connections { active: number(nest, dest::ACTIVE_CONNS)?, inactive: number(nest, dest::INACT_CONNS)? };
    Ok((destination_key(nest, service_family)?, connections))
}

fn destination_key(nest: &[u8], service_family: Family) -> Result<DestinationKey, WireError> {
    let family = match small(nest, dest::ADDR_FAMILY) {
        Ok(number) => family(number, dest::ADDR_FAMILY)?,
        Err(_) => service_family,
    };
    Ok((address(nest, dest::ADDR, family)?, port(nest, dest::PORT)?))
}

fn forwarding(nest: &[u8]) -> Result<Forwarding, WireError> {
    // IP_VS_CONN_F_FWD_MASK; "local" (1) is what the kernel makes of a destination of its own, whatever it was told.
    match number(nest, dest::FWD_METHOD)? & 7 {
        0 => return Ok(Forwarding::Nat),
        1 | 3 => return Ok(Forwarding::Direct),
        2 => {}
        _ => return Err(WireError::Unknown(dest::FWD_METHOD)),
    }
    let checksum = match small(nest, dest::TUN_FLAGS).unwrap_or(0) {
        0 => Checksum::None,
        1 => Checksum::Whole,
        2 => Checksum::Remote,
        _ => return Err(WireError::Unknown(dest::TUN_FLAGS)),
    };
    let tunnel = match find(nest, dest::TUN_TYPE).and_then(|payload| payload.first()).copied().unwrap_or(0) {
        0 => Tunnel::Ipip,
        1 => Tunnel::Gue(port(nest, dest::TUN_PORT)?, checksum),
        2 => Tunnel::Gre(checksum),
        _ => return Err(WireError::Unknown(dest::TUN_TYPE)),
    };
    Ok(Forwarding::Tunnel(tunnel))
}

/// What the kernel's balancer says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Info {
    /// Major, minor and patch number.
    pub version: (u8, u8, u8),
    /// Buckets of its table of connections.
    pub buckets: u32,
}

/// The answer to [`super::get_info`].
pub fn read_info(attributes: &[u8]) -> Result<Info, WireError> {
    const VERSION: u16 = 1;
    const CONN_TAB_SIZE: u16 = 2;
    let [_, major, minor, patch] = number(attributes, VERSION)?.to_be_bytes();
    Ok(Info { version: (major, minor, patch), buckets: number(attributes, CONN_TAB_SIZE)? })
}

/// The number of a generic netlink family from the controller's answer.
pub fn family_id(attributes: &[u8]) -> Result<u16, WireError> {
    const FAMILY_ID: u16 = 1;
    small(attributes, FAMILY_ID)
}

/// The answer to [`super::get_config`].
pub fn read_timeouts(attributes: &[u8]) -> Result<Timeouts, WireError> {
    Ok(Timeouts {
        tcp: number(attributes, top::TIMEOUT_TCP)?,
        tcp_fin: number(attributes, top::TIMEOUT_TCP_FIN)?,
        udp: number(attributes, top::TIMEOUT_UDP)?,
    })
}
