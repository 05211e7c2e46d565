//! The IPv4 header of adverts (RFC 791 §3.1): the kernel shows it to raw sockets, and takes ours. Pure.

use super::advert::Outgoing;
use std::io;
use std::net::Ipv4Addr;

/// Internetwork control (RFC 791): what adverts carry as type of service or traffic class.
pub(super) const INTERNETWORK_CONTROL: u8 = 0xc0;
/// Bytes of a header without options.
const HEADER: usize = 20;

/// An IPv4 packet with its header taken apart (RFC 791 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct View<'b> {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) header: &'b [u8],
    pub(super) payload: &'b [u8],
}

impl<'b> View<'b> {
    /// `None` when it is no IPv4, or its header is longer than itself or than what it says it is. Bytes after the total length
    /// are Ethernet padding; a packet that was cut keeps what there is.
    pub(super) fn of(packet: &'b [u8]) -> Option<Self> {
        let fixed: &[u8; HEADER] = packet.first_chunk()?;
        let header_length = usize::from(fixed[0] & 0x0f) * 4;
        let total_length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if fixed[0] >> 4 != 4 || header_length < HEADER || total_length < header_length {
            return None;
        }
        let header = packet.get(..header_length)?;
        Some(Self {
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            ttl: fixed[8],
            protocol: fixed[9],
            header,
            payload: packet.get(header_length..total_length.min(packet.len()))?,
        })
    }
}

/// The header of one advert; the kernel fills in the checksum (raw(7)).
pub(super) fn header(advert: &Outgoing<'_>, source: Ipv4Addr, destination: Ipv4Addr, identification: u16) -> io::Result<[u8; HEADER]> {
    let total = u16::try_from(HEADER + advert.payload.len()).map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let mut header = [0; HEADER];
    header[0] = 0x45;
    header[1] = INTERNETWORK_CONTROL;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[4..6].copy_from_slice(&identification.to_be_bytes());
    header[8] = advert.ttl;
    header[9] = advert.protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::super::advert::PROTOCOL_VRRP;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ipv4_header_is_what_keepalived_sends() {
        // Captured from keepalived 2.2.7, its checksum (which the kernel fills in) blanked.
        let captured = [0x45, 0xc0, 0x00, 0x2c, 0x00, 0x01, 0, 0, 0xff, 0x70, 0, 0, 0x0a, 0, 0, 1, 0xe0, 0, 0, 0x12];
        let (source, destination) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(224, 0, 0, 18));
        let advert = Outgoing {
            ifindex: None,
            source: source.into(),
            destination: destination.into(),
            ttl: 255,
            protocol: PROTOCOL_VRRP,
            payload: &[0; 24],
        };
        assert_eq!(header(&advert, source, destination, 1).unwrap(), captured);
    }

    #[test]
    fn padding_after_the_total_length_is_not_payload() {
        let mut packet = [0; 46];
        packet[0] = 0x45;
        packet[3] = 28;
        assert_eq!(View::of(&packet).unwrap().payload.len(), 8);
    }

    #[test]
    fn options_belong_to_the_header() {
        let mut packet = [0; 32];
        packet[0] = 0x46;
        packet[3] = 32;
        let view = View::of(&packet).unwrap();
        assert_eq!((view.header.len(), view.payload.len()), (24, 8));
    }

    #[test]
    fn impossible_lengths_are_no_packet() {
        for (first, total, length) in [(0x44, 40, 40), (0x4f, 40, 40), (0x45, 19, 40), (0x65, 40, 40), (0x45, 20, 19)] {
            let mut packet = vec![0; length];
            packet[0] = first;
            if length > 3 {
                packet[3] = total;
            }
            assert_eq!(View::of(&packet), None, "{first:x} {total} {length}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_packets_never_panic_and_never_lend_more_than_they_have(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(view) = View::of(&bytes) {
                prop_assert!(view.header.len() + view.payload.len() <= bytes.len());
            }
        }

        #[test]
        fn what_is_built_reads_back(ttl: u8, protocol: u8, source: u32, destination: u32, payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (source, destination) = (Ipv4Addr::from(source), Ipv4Addr::from(destination));
            let advert = Outgoing { ifindex: None, source: source.into(), destination: destination.into(), ttl, protocol, payload: &payload };
            let packet = [&header(&advert, source, destination, 1).unwrap()[..], &payload].concat();
            let view = View::of(&packet).unwrap();
            prop_assert_eq!((view.source, view.destination, view.ttl, view.protocol), (source, destination, ttl, protocol));
            prop_assert_eq!(view.payload, &payload[..]);
        }
    }
}
