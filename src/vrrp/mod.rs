//! The protocol as arithmetic: what an advert says, whether it counts, and what a router does about it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`settings`], [`event`], [`stats`] | the words: what an instance was told, what happens to it, what it orders, what it counts |
//! | [`checksum`], [`auth`], [`packet`] | bytes of an advert, both ways |
//! | [`receive`], [`discard`] | which datagrams count, and why the others do not |
//! | [`timers`], [`election`], [`announce`], [`track`] | the RFC's formulas: waits, who outranks whom, bursts of announcements, effective priority |
//! | [`fsm`] | the state machine over all of it |

pub mod announce;
pub mod auth;
pub mod checksum;
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
pub mod settings;
pub mod stats;
pub mod timers;
pub mod track;
pub mod trackers;

#[cfg(test)]
pub(crate) mod testing {
    //! One plain instance that tests bend to their needs.

    use crate::types::{CentiSecs, Family, IpPrefix, Priority, Version, Vrid};
    use crate::vrrp::settings::{Announce, Preempt, Settings, Transport, VirtualAddress, WantedState};

    /// `10.0.0.1` as `/32`, or whatever is asked for.
    pub(crate) fn virtual_address(text: &str) -> VirtualAddress {
        VirtualAddress {
            prefix: IpPrefix::host(text.parse().unwrap()),
            device: None,
            scope: 0,
            label: None,
            broadcast: None,
            peer: None,
            preferred_lifetime: None,
            flags: 0,
            no_track: false,
        }
    }

    /// Version 2, IPv4, multicast, vrid 51, priority 100, one second, `10.0.0.1`.
    pub(crate) fn settings() -> Settings {
        Settings {
            name: "VI_1".to_owned(),
            interface: Some("eth0".to_owned()),
            vrid: Vrid::new(51).unwrap(),
            version: Version::V2,
            family: Family::V4,
            wanted: WantedState::Backup,
            priority: Priority::DEFAULT,
            advert_interval: CentiSecs::SECOND,
            preempt: Preempt::AtOnce,
            down_timer_adverts: 3,
            auth: None,
            transport: Transport::Multicast { group: "224.0.0.18".parse().unwrap(), source: None },
            addresses: vec![virtual_address("10.0.0.1")],
            excluded: Vec::new(),
            accept: true,
            strict: false,
            promote_secondaries: false,
            announce: Announce::default(),
            track_interfaces: Vec::new(),
            dont_track_primary: false,
            track_src_ip: false,
            skip_check_adv_addr: false,
            check_unicast_src: false,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            v3_checksum_as_v2: false,
            kernel_rx_buf_size: None,
            config_fault: None,
            log_unknown_vrids: false,
            track_scripts: Vec::new(),
            track_files: Vec::new(),
            track_processes: Vec::new(),
            sync_group: None,
            notify: None,
        }
    }
}
