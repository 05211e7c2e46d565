//! What a session was told: a `bfd_instance` block, defaults filled in.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Longest name, bytes (keepalived's own limit).
pub const LONGEST_NAME: usize = 31;

/// Port that single-hop control packets go to (RFC 5881 §4).
pub const PORT: u16 = 3784;

/// The same of multihop (RFC 5883 §5).
pub const MULTIHOP_PORT: u16 = 4784;

/// Least desired transmit interval of a session that is not up (RFC 5880 §6.8.3).
pub const IDLE: Duration = Duration::from_secs(1);

/// One `bfd_instance` block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The block's name.
    pub name: String,
    /// `neighbor_ip`: the other end. No two sessions have the same.
    pub neighbour: IpAddr,
    /// `source_ip`: our end, of the same family; the routing table says it when absent.
    pub source: Option<IpAddr>,
    /// `min_rx` (10 ms): bfd.RequiredMinRxInterval.
    pub min_rx: Duration,
    /// `min_tx` (10 ms): bfd.DesiredMinTxInterval of a session that is up.
    pub min_tx: Duration,
    /// `idle_tx` (1 s and more): the same of one that is not.
    pub idle_tx: Duration,
    /// `multiplier` (5): bfd.DetectMult, never 0.
    pub multiplier: u8,
    /// `passive`: silent until the neighbour has spoken (RFC 5880 §6.1).
    pub passive: bool,
    /// `ttl`, `hoplimit` (255, of IPv6 64): of what is sent.
    pub ttl: u8,
    /// `max_hops` (0): how much less than `ttl` a received packet may have left; not looked at when absent.
    pub max_hops: Option<u8>,
    /// `multihop`: RFC 5883 and its port.
    pub multihop: bool,
    /// `vrrp`, or neither that nor `checker`: VRRP hears of it.
    pub tells_vrrp: bool,
    /// `checker`, or neither that nor `vrrp`: checkers hear of it.
    pub tells_checkers: bool,
}

impl Settings {
    /// Port of the neighbour, and the one we listen on.
    pub const fn port(&self) -> u16 {
        if self.multihop { MULTIHOP_PORT } else { PORT }
    }

    /// Least TTL or hop limit that a received packet may have left (RFC 5881 §5 with `ttl` and `max_hops` as they are by default).
    pub const fn least_ttl(&self) -> u8 {
        match self.max_hops {
            Some(hops) => self.ttl.saturating_sub(hops),
            None => 0,
        }
    }

    /// Whether a session with these settings is the same one as with those: what differs else is negotiated while it is up.
    pub fn is_same_session(&self, other: &Self) -> bool {
        self.name == other.name && self.neighbour == other.neighbour && self.source == other.source && self.multihop == other.multihop
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Settings;
    use std::time::Duration;

    /// `neighbor_ip 10.0.0.2`, 50 ms both ways, `multiplier 3`; the rest by default.
    pub(crate) fn settings() -> Settings {
        Settings {
            name: "peer".to_owned(),
            neighbour: [10, 0, 0, 2].into(),
            source: None,
            min_rx: Duration::from_millis(50),
            min_tx: Duration::from_millis(50),
            idle_tx: super::IDLE,
            multiplier: 3,
            passive: false,
            ttl: 255,
            max_hops: Some(0),
            multihop: false,
            tells_vrrp: true,
            tells_checkers: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::settings;

    #[test]
    fn a_packet_may_have_lost_as_many_hops_as_the_settings_say() {
        let mut settings = settings();
        assert_eq!(settings.least_ttl(), 255);
        (settings.ttl, settings.max_hops) = (64, Some(5));
        assert_eq!(settings.least_ttl(), 59);
        settings.max_hops = Some(64);
        assert_eq!(settings.least_ttl(), 0);
        settings.max_hops = None;
        assert_eq!(settings.least_ttl(), 0);
    }
}
