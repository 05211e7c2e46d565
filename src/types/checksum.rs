//! The Internet checksum (RFC 1071) and the pseudo headers that VRRP version 3 and ICMPv6 put under it.

use std::net::IpAddr;

/// A running one's complement sum of 16-bit words.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes as big-endian words; an odd last byte is padded with zero, so only the last part may be odd.
    pub fn with(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        for word in words {
            self.0 += u64::from(u16::from_be_bytes(*word));
        }
        if let [last] = rest {
            self.0 += u64::from(*last) << 8;
        }
        self
    }

    /// Adds the pseudo header of an upper-layer packet of `length` bytes: RFC 793 for IPv4, RFC 8200 §8.1 for IPv6.
    pub fn with_pseudo_header(self, protocol: u8, source: IpAddr, destination: IpAddr, length: usize) -> Self {
        let sum = match (source, destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.with(&from.octets()).with(&to.octets()),
            (IpAddr::V6(from), IpAddr::V6(to)) => self.with(&from.octets()).with(&to.octets()),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => self,
        };
        Self(sum.0 + u64::from(protocol) + (length as u64))
    }

    /// The checksum field's value: the complement of the folded sum.
    pub const fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let sum = Sum::default().with(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn an_odd_byte_is_padded_at_the_end() {
        assert_eq!(Sum::default().with(&[0x12, 0x34, 0x56]).finish(), Sum::default().with(&[0x12, 0x34, 0x56, 0x00]).finish());
    }

    #[test]
    fn a_packet_with_its_checksum_in_place_sums_to_zero() {
        let source = "192.0.2.1".parse().unwrap();
        let group = "224.0.0.18".parse().unwrap();
        let mut bytes = vec![0x31, 0x33, 0x64, 0x01, 0x00, 0x64, 0, 0, 10, 0, 0, 1];
        let sum = Sum::default().with_pseudo_header(112, source, group, bytes.len()).with(&bytes).finish();
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Sum::default().with_pseudo_header(112, source, group, bytes.len()).with(&bytes).finish(), 0);
    }
}
