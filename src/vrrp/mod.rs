//! The protocol as arithmetic: what an advert says, whether it counts, and what a router does about it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`settings`], [`vmac`], [`event`], [`stats`] | the words: what an instance was told, what happens to it, what it orders, what it counts |
//! | [`checksum`], [`auth`], [`packet`] | bytes of an advert, both ways |
//! | [`receive`], [`discard`] | which datagrams count, and why the others do not |
//! | [`timers`], [`election`], [`announce`], [`track`] | the RFC's formulas: waits, who outranks whom, bursts of announcements, effective priority |
//! | [`fsm`] | the state machine over all of it |

pub mod announce;
pub mod auth;
pub mod discard;
pub mod election;
pub mod event;
pub mod fsm;
pub mod group;
pub mod notify;
pub mod packet;
#[cfg(test)]
mod properties;
pub mod receive;
pub mod route;
pub mod rule;
pub mod settings;
pub mod stats;
pub mod timers;
pub mod track;
pub mod trackers;
pub mod vmac;

#[cfg(test)]
pub(crate) mod testing {
    //! One plain instance that tests bend to their needs.

    use crate::types::{IpPrefix, Version, Vrid};
    use crate::vrrp::settings::{Settings, VirtualAddress};

    /// `10.0.0.1` as `/32`.
    pub(crate) fn virtual_address(text: &str) -> VirtualAddress {
        VirtualAddress::plain(IpPrefix::host(text.parse().unwrap()))
    }

    /// Version 2, IPv4, multicast, vrid 51, priority 100, one second, `10.0.0.1`.
    pub(crate) fn settings() -> Settings {
        Settings::plain(Vrid::new(51).unwrap(), Version::V2, "224.0.0.18".parse().unwrap(), "10.0.0.1".parse().unwrap())
    }
}
