//! Marks what is sent to the addresses of virtual server groups (`nftables_ipvs`).
//!
//! ```text
//! table ip keepalived_ipvs {                    table ip6 keepalived_ipvs: the same with ip6 addresses
//!     map tcp_map { type ipv4_addr . inet_service : mark; flags interval; elements = { 10.1.1.4-10.1.1.10 . 80 : 1000 } }
//!     chain in {
//!         type filter hook input priority -1; policy accept;
//!         meta mark set ip daddr . tcp dport map @tcp_map return
//!     }
//! }
//! ```

use super::codec::*;
use super::{Firewall, NftError, Talk, Way};
use crate::lvs::marks::Marked;
use crate::lvs::settings::Protocol;
use crate::types::Family;
use std::collections::BTreeSet;
use std::net::IpAddr;

const CHAIN: &str = "in";

/// The two tables. Each exists while a group has an address of its family, and is replaced whole in one transaction, so that
/// no packet finds it half made.
#[derive(Debug)]
pub struct Marker {
    talk: Talk,
    settings: Firewall,
    done: Option<BTreeSet<Marked>>,
}

impl Marker {
    /// Opens; nothing is changed yet.
    ///
    /// # Errors
    /// There is no such socket.
    pub fn open(settings: &Firewall) -> Result<Self, NftError> {
        Ok(Self::over(Way::open()?, settings))
    }

    /// The same in the network namespace of the way.
    pub fn over(way: Way, settings: &Firewall) -> Self {
        Self { talk: Talk::over(way), settings: settings.clone(), done: None }
    }

    /// What it writes to.
    pub const fn settings(&self) -> &Firewall {
        &self.settings
    }

    /// Makes the tables mark exactly this. What a predecessor left there is replaced.
    ///
    /// # Errors
    /// The kernel would not: a family's table is as it was then.
    pub fn set(&mut self, wanted: &BTreeSet<Marked>) -> Result<(), NftError> {
        if self.done.as_ref() == Some(wanted) {
            return Ok(());
        }
        for family in [Family::V4, Family::V6] {
            let of = |all: &BTreeSet<Marked>| all.iter().filter(|one| Family::of(&one.first) == family).copied().collect::<Vec<_>>();
            let now = of(wanted);
            if self.done.as_ref().map(of).as_ref() == Some(&now) {
                continue;
            }
            if now.is_empty() {
                if self.talk.has_table(family, &self.settings)? {
                    self.talk.remove_table(family, &self.settings)?;
                }
            } else {
                self.make(family, &now)?;
            }
        }
        self.done = Some(wanted.clone());
        Ok(())
    }

    fn make(&mut self, family: Family, wanted: &[Marked]) -> Result<(), NftError> {
        let mut batch = self.talk.begin(family, &self.settings);
        // Made first, so that deleting it cannot fail.
        batch.table();
        batch.delete_table();
        batch.table();
        batch.base_chain(CHAIN, NF_INET_LOCAL_IN);
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            let elements: Vec<MapElement> = wanted.iter().filter(|one| one.protocol == protocol).map(element).collect();
            if elements.is_empty() {
                continue;
            }
            let map = format!("{}_map", protocol.word());
            let (address_type, length) = match family {
                Family::V4 => (TYPE_IPADDR, 4),
                Family::V6 => (TYPE_IP6ADDR, 16),
            };
            batch.map_to_marks(&map, address_type << 6 | TYPE_INET_SERVICE, &[length, 2]);
            batch.marks(&map, &elements);
            batch.rule(CHAIN, steps(family, protocol, &map), verdict(NFT_RETURN, None));
        }
        self.talk.commit(batch.finish(), "mark what is for the groups")
    }
}

/// Protocol, destination address and port, the mark that these stand for.
fn steps(family: Family, protocol: Protocol, map: &str) -> Vec<Expression> {
    // The port follows the address in the registers, which are of four bytes each.
    let (offset, length, port_register) = match family {
        Family::V4 => (16, 4, NFT_REG32_01),
        Family::V6 => (24, 16, NFT_REG_2),
    };
    let number = protocol.number().to_le_bytes();
    vec![
        meta(NFT_META_L4PROTO, NFT_REG_1),
        compare(number.get(..1).unwrap_or_default()),
        payload(NFT_PAYLOAD_NETWORK_HEADER, offset, length),
        payload_into(port_register, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2),
        look_up(map),
        set_mark(),
    ]
}

fn element(marked: &Marked) -> MapElement {
    let ports = if marked.port == 0 { (0, u16::MAX) } else { (marked.port, marked.port) };
    MapElement { first: key(marked.first, ports.0), last: key(marked.last, ports.1), mark: marked.mark }
}

/// Each part begins at a multiple of four bytes.
fn key(address: IpAddr, port: u16) -> Vec<u8> {
    let mut key = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    key.extend(port.to_be_bytes());
    key.extend([0; 2]);
    key
}

#[cfg(test)]
mod tests;
