//! Unsolicited neighbour advertisement: what gratuitous ARP is for IPv6.

use super::ethernet;
use crate::types::{MacAddr, Sum};
use std::net::Ipv6Addr;

/// EtherType of IPv6.
pub const ETHERTYPE: u16 = 0x86dd;
/// Ethernet address of all nodes (RFC 2464 §7 over ff02::1).
pub const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
/// Bytes of the frame.
pub const FRAME: usize = ethernet::HEADER + IPV6 + ICMPV6;

const IPV6: usize = 40;
const ICMPV6: usize = 32;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NEXT_HEADER_ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_OVERRIDE: u8 = 0x20;
const OPTION_TARGET_LINK_LAYER: u8 = 2;

/// A neighbour advertisement (RFC 4861 §4.4) from the virtual address to all nodes, with the override flag and the target's
/// link-layer address: the same bytes as keepalived's. `router`: this node forwards (§7.2.6 has hosts act on the flag).
pub fn unsolicited(mac: MacAddr, address: Ipv6Addr, router: bool) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    ethernet::put_header(&mut frame, ALL_NODES_MAC, mac, ETHERTYPE);
    frame[14] = 0x60;
    frame[19] = ICMPV6 as u8;
    frame[20] = NEXT_HEADER_ICMPV6;
    // Receivers drop neighbour discovery that could have crossed a router (§7.1.2).
    frame[21] = 255;
    frame[22..38].copy_from_slice(&address.octets());
    frame[38..54].copy_from_slice(&ALL_NODES.octets());
    frame[54] = NEIGHBOUR_ADVERTISEMENT;
    frame[58] = if router { FLAG_ROUTER | FLAG_OVERRIDE } else { FLAG_OVERRIDE };
    frame[62..78].copy_from_slice(&address.octets());
    // Option length in units of 8 bytes.
    frame[78..80].copy_from_slice(&[OPTION_TARGET_LINK_LAYER, 1]);
    frame[80..86].copy_from_slice(&mac.0);
    let checksum =
        Sum::default().with_pseudo_header(NEXT_HEADER_ICMPV6, address.into(), ALL_NODES.into(), ICMPV6).with(&frame[54..]).finish();
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_what_keepalived_2_2_7_sends() {
        let captured = [
            0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a,
            0xff, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0xff, 0x02, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0x00, 0x58, 0x9d, 0x20, 0x00, 0x00, 0x00, 0xfd,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00,
            0x00, 0x01,
        ];
        let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100);
        assert_eq!(unsolicited(MacAddr([2, 0, 0, 0, 0, 1]), address, false), captured);
    }

    #[test]
    fn a_router_says_so() {
        let frame = unsolicited(MacAddr([2, 0, 0, 0, 0, 1]), Ipv6Addr::LOCALHOST, true);
        assert_eq!(frame[58], 0xa0);
        let pseudo = Sum::default().with_pseudo_header(NEXT_HEADER_ICMPV6, Ipv6Addr::LOCALHOST.into(), ALL_NODES.into(), ICMPV6);
        assert_eq!(pseudo.with(&frame[54..]).finish(), 0, "with the checksum in place the sum over all is zero");
    }
}
