//! What an onlooker needs of a frame: who advertises with which priority, who says that an address is his.

use super::Frame;
use std::net::Ipv4Addr;

/// IP protocol number of VRRP (RFC 9568 §5.1.1.4).
const VRRP: u8 = 112;
/// Length of an Ethernet header in bytes.
const ETHERNET: usize = 14;

/// A frame that matters to an onlooker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// A VRRP advert over IPv4. Whether it is valid the nodes decide.
    Advert {
        /// Who sent it.
        source: Ipv4Addr,
        /// Virtual router id.
        vrid: u8,
        /// 0 is a master that resigns.
        priority: u8,
    },
    /// A gratuitous ARP: sender and target are the same address (RFC 5944 §4.6).
    Claim {
        /// That address.
        address: Ipv4Addr,
    },
}

impl Frame {
    /// `None` for any other frame.
    pub fn sight(&self) -> Option<Sight> {
        sight(&self.bytes)
    }
}

fn sight(frame: &[u8]) -> Option<Sight> {
    let body = frame.get(ETHERNET..)?;
    match frame.get(12..ETHERNET)? {
        [0x08, 0x00] if body.get(9) == Some(&VRRP) => {
            let source: [u8; 4] = body.get(12..16)?.try_into().ok()?;
            let header = usize::from(body.first()? & 0x0f) * 4;
            let &[_version_and_type, vrid, priority] = body.get(header..header + 3)? else { return None };
            Some(Sight::Advert { source: source.into(), vrid, priority })
        }
        [0x08, 0x06] => {
            let sender: [u8; 4] = body.get(14..18)?.try_into().ok()?;
            (body.get(24..28)? == sender).then(|| Sight::Claim { address: sender.into() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: [u8; 2], body: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; ETHERNET + 28];
        bytes[12..14].copy_from_slice(&kind);
        for (at, part) in body {
            bytes[ETHERNET + at..ETHERNET + at + part.len()].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn adverts_and_gratuitous_arps_are_seen() {
        let advert = frame([8, 0], &[(0, &[0x45]), (9, &[VRRP]), (12, &[10, 0, 0, 2]), (20, &[0x21, 51, 200])]);
        assert_eq!(sight(&advert), Some(Sight::Advert { source: Ipv4Addr::new(10, 0, 0, 2), vrid: 51, priority: 200 }));
        let claim = frame([8, 6], &[(14, &[10, 0, 0, 1]), (24, &[10, 0, 0, 1])]);
        assert_eq!(sight(&claim), Some(Sight::Claim { address: Ipv4Addr::new(10, 0, 0, 1) }));
        for bytes in [advert, claim] {
            for length in 0..bytes.len() {
                let _ = sight(&bytes[..length]);
            }
        }
    }

    #[test]
    fn an_ordinary_arp_request_claims_nothing() {
        assert_eq!(sight(&frame([8, 6], &[(14, &[10, 0, 0, 1]), (24, &[10, 0, 0, 2])])), None);
        assert_eq!(sight(&frame([8, 0], &[(0, &[0x45]), (9, &[1])])), None);
    }
}
