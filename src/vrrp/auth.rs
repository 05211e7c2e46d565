//! Authentication of version 2 adverts (RFC 2338 §5.3.6): the simple password, and the IP authentication header (RFC 2402, RFC 2403).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! | Next (112)    | Length (4)    |          Reserved             |
//! +---------------+---------------+-------------------------------+
//! |     Security Parameters Index: the source's IPv4 address      |
//! +---------------------------------------------------------------+
//! |     Sequence Number                                           |
//! +---------------------------------------------------------------+
//! |     Integrity Check Value: HMAC-MD5, first 12 bytes           |
//! +---------------------------------------------------------------+
//! ```
//! The value covers the IPv4 header with its changeable fields zero (keepalived leaves the TTL of 255 in for multicast), this
//! header with the value zero, and the advert.

use crate::vrrp::packet::VRRP_PROTOCOL;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use std::net::{IpAddr, Ipv4Addr};

/// Authentication Type field: none.
pub const NONE: u8 = 0;
/// Authentication Type field: simple text password.
pub const PASSWORD: u8 = 1;
/// Authentication Type field: IP authentication header.
pub const HEADER: u8 = 2;
/// IP protocol number of the authentication header.
pub const AH_PROTOCOL: u8 = 51;
/// Length of the authentication header with a 96-bit value, bytes.
pub const AH_LENGTH: usize = 24;
/// The sequence number after which keepalived stops sending until the counter can start again.
pub const LAST_SEQUENCE: u32 = 0xffff_fffd;

/// Length of the integrity check value, bytes.
const ICV_LENGTH: usize = 12;
/// Where it stands in the header.
const ICV_OFFSET: usize = AH_LENGTH - ICV_LENGTH;
/// IPv4 header without options, bytes.
const IPV4_LENGTH: usize = 20;

/// Compares two secrets in a time that depends on neither, so that an answer's delay tells nothing about where they differ.
pub fn same_secret<const N: usize>(left: &[u8; N], right: &[u8; N]) -> bool {
    let difference = left.iter().zip(right).fold(0_u8, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    std::hint::black_box(difference) == 0
}

/// A checked view of an authentication header.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(&'a [u8; AH_LENGTH]);

impl<'a> Header<'a> {
    /// The header and what follows it; `None` when the bytes do not begin with one of the length that VRRP uses.
    pub fn split(payload: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, advert) = payload.split_first_chunk()?;
        (header[0] == VRRP_PROTOCOL && header[1] == 4).then_some((Self(header), advert))
    }

    /// Sequence number.
    pub const fn sequence(self) -> u32 {
        u32::from_be_bytes([self.0[8], self.0[9], self.0[10], self.0[11]])
    }

    /// Whether the value is right for the IPv4 header as it arrived.
    pub fn verifies(self, key: &[u8; 8], ip_header: &[u8], advert: &[u8], unicast: bool) -> bool {
        let Some(ip) = ip_header.first_chunk::<IPV4_LENGTH>().filter(|_| ip_header.len() == IPV4_LENGTH) else {
            return false;
        };
        let mut zeroed = *self.0;
        let Some((_, value)) = zeroed.split_last_chunk_mut::<ICV_LENGTH>() else { return false };
        let received = std::mem::take(value);
        same_secret(&received, &digest(key, *ip, &zeroed, advert, unicast))
    }
}

/// The identification that the IPv4 header must leave with, for the value covers it: never 0, which the kernel would replace.
pub const fn identification(sequence: u32) -> u16 {
    let [_, _, high, low] = sequence.to_be_bytes();
    match u16::from_be_bytes([high, low]) {
        0 => 1,
        number => number,
    }
}

/// Fills in the first [`AH_LENGTH`] bytes of `packet`, which is an authentication header's room and then the advert. The IPv4
/// header must leave with [`identification`] and no options: the value covers both.
pub fn seal(packet: &mut [u8], key: &[u8; 8], source: IpAddr, destination: IpAddr, sequence: u32, unicast: bool) {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) else { return };
    let ip = ipv4_header(source, destination, packet.len(), identification(sequence));
    let Some((header, advert)) = packet.split_first_chunk_mut::<AH_LENGTH>() else { return };
    *header = [0; AH_LENGTH];
    header[0] = VRRP_PROTOCOL;
    header[1] = 4;
    header[4..8].copy_from_slice(&source.octets());
    header[8..ICV_OFFSET].copy_from_slice(&sequence.to_be_bytes());
    let value = digest(key, ip, header, advert, unicast);
    header[ICV_OFFSET..].copy_from_slice(&value);
}

/// The parts of our IPv4 header that the value covers.
fn ipv4_header(source: Ipv4Addr, destination: Ipv4Addr, payload: usize, identification: u16) -> [u8; IPV4_LENGTH] {
    let mut ip = [0; IPV4_LENGTH];
    ip[0] = 0x45;
    let total = u16::try_from(IPV4_LENGTH + payload).unwrap_or(u16::MAX);
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip[4..6].copy_from_slice(&identification.to_be_bytes());
    ip[8] = 255;
    ip[9] = AH_PROTOCOL;
    ip[12..16].copy_from_slice(&source.octets());
    ip[16..20].copy_from_slice(&destination.octets());
    ip
}

/// HMAC-MD5-96 over the header with type of service, fragment offset and checksum zero (and the TTL for unicast: routers change it).
fn digest(key: &[u8; 8], mut ip: [u8; IPV4_LENGTH], header: &[u8; AH_LENGTH], advert: &[u8], unicast: bool) -> [u8; ICV_LENGTH] {
    ip[1] = 0;
    ip[6..8].fill(0);
    ip[10..12].fill(0);
    if unicast {
        ip[8] = 0;
    }
    let mut value = [0; ICV_LENGTH];
    if let Ok(mac) = Hmac::<Md5>::new_from_slice(key) {
        let full = mac.chain_update(ip).chain_update(header).chain_update(advert).finalize().into_bytes();
        value.copy_from_slice(&full[..ICV_LENGTH]);
    }
    value
}

/// The counter of an instance's authentication headers: one for all its routers, so that a replayed advert is old to everybody.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sequence(u32);

impl Sequence {
    /// The number of the next advert to send; `None` when they are used up.
    pub const fn next(&mut self) -> Option<u32> {
        if self.0 > LAST_SEQUENCE {
            return None;
        }
        self.0 += 1;
        Some(self.0)
    }

    /// An accepted advert carried this number: ours go on from there.
    pub const fn heard(&mut self, sequence: u32) {
        if sequence > self.0 {
            self.0 = sequence;
        }
    }

    /// The highest number so far.
    pub const fn highest(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 8] = *b"secret\0\0";

    fn sealed(unicast: bool) -> Vec<u8> {
        let mut packet = vec![0; AH_LENGTH];
        packet.extend([0x21, 51, 100, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        seal(&mut packet, &KEY, "192.0.2.1".parse().unwrap(), "224.0.0.18".parse().unwrap(), 7, unicast);
        packet
    }

    fn verifies(packet: &[u8], ip: &[u8], key: &[u8; 8], unicast: bool) -> bool {
        let (header, advert) = Header::split(packet).unwrap();
        header.verifies(key, ip, advert, unicast)
    }

    #[test]
    fn secrets_that_differ_in_one_bit_anywhere_differ() {
        let secret = *b"1111\0\0\0\0";
        assert!(same_secret(&secret, &secret));
        for bit in 0..64 {
            let mut other = secret;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same_secret(&secret, &other), "bit {bit}");
        }
    }

    #[test]
    fn what_we_seal_verifies_and_nothing_else_does() {
        let packet = sealed(false);
        let mut ip = ipv4_header("192.0.2.1".parse().unwrap(), "224.0.0.18".parse().unwrap(), packet.len(), 7);
        ip[1] = 0xc0;
        ip[6] = 0x40;
        ip[10..12].copy_from_slice(&[0xab, 0xcd]);
        assert!(verifies(&packet, &ip, &KEY, false), "type of service, fragment field and checksum may change on the way");
        assert!(!verifies(&packet, &ip, b"another\0", false));
        for position in 12..packet.len() {
            let mut broken = packet.clone();
            broken[position] ^= 1;
            assert!(!verifies(&broken, &ip, &KEY, false), "byte {position}");
        }
        ip[8] = 254;
        assert!(!verifies(&packet, &ip, &KEY, false));
    }

    #[test]
    fn a_unicast_value_does_not_cover_the_ttl() {
        let packet = sealed(true);
        let mut ip = ipv4_header("192.0.2.1".parse().unwrap(), "224.0.0.18".parse().unwrap(), packet.len(), 7);
        ip[8] = 61;
        assert!(verifies(&packet, &ip, &KEY, true));
    }

    #[test]
    fn numbers_go_on_from_the_highest_heard_and_end() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.next(), Some(1));
        sequence.heard(40);
        sequence.heard(3);
        assert_eq!(sequence.next(), Some(41));
        sequence.heard(LAST_SEQUENCE);
        assert_eq!(sequence.next(), Some(LAST_SEQUENCE + 1));
        assert_eq!(sequence.next(), None);
    }
}
