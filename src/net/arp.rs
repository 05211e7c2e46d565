//! Gratuitous ARP: "this address is at my MAC", asked as a question that nobody needs to answer.

use super::ethernet;
use crate::types::MacAddr;
use std::net::Ipv4Addr;

/// EtherType of ARP.
pub const ETHERTYPE: u16 = 0x0806;
/// Bytes of the frame.
pub const FRAME: usize = 42;

/// An ARP request (RFC 826; RFC 5227 calls it an announcement) in which sender and target are the virtual address, with the
/// broadcast address as target hardware address: the same bytes as keepalived's.
pub fn gratuitous(mac: MacAddr, address: Ipv4Addr) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    ethernet::put_header(&mut frame, MacAddr::BROADCAST, mac, ETHERTYPE);
    // Ethernet, IPv4, 6 and 4 bytes, request.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac.0);
    frame[28..32].copy_from_slice(&address.octets());
    frame[32..38].copy_from_slice(&MacAddr::BROADCAST.0);
    frame[38..42].copy_from_slice(&address.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_what_keepalived_2_2_7_sends() {
        let captured = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00,
            0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x64, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x00, 0x00, 0x64,
        ];
        assert_eq!(gratuitous(MacAddr([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 100)), captured);
    }
}
