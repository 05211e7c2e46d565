//! Why a datagram does not count, in keepalived's words, counted always and said once.

use crate::types::Vrid;
use crate::vrrp::event::State;
use crate::vrrp::stats::Stats;
use std::fmt;
use std::net::IpAddr;

/// The first check that a datagram failed. The text is what keepalived logs after `(NAME) `.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discard {
    /// No authentication header although AH is configured.
    HeaderMissing,
    /// An authentication header although AH is not configured.
    HeaderUnexpected,
    /// Not the length that the address count and the version make.
    Length {
        /// Bytes that came, with the IPv4 header.
        got: usize,
        /// Bytes by the count, with the IPv4 header.
        expected: usize,
    },
    /// Multicast that has passed a router, or was made up elsewhere.
    Ttl {
        /// As it arrived, if the receiver could tell.
        got: Option<u8>,
    },
    /// Outside the peer's `min_ttl` and `max_ttl`.
    TtlRange {
        /// As it arrived, if the receiver could tell.
        got: Option<u8>,
        /// Least allowed.
        min: u8,
        /// Most allowed.
        max: u8,
    },
    /// Another version.
    Version {
        /// In the packet.
        got: u8,
        /// Ours.
        expected: u8,
    },
    /// An authentication type that does not exist.
    AuthTypeUnknown(u8),
    /// Another authentication type than ours.
    AuthType {
        /// In the packet.
        got: u8,
        /// Ours.
        expected: u8,
    },
    /// Wrong password.
    Password,
    /// Wrong digest in the authentication header.
    Digest,
    /// A sequence number that has been used.
    Replayed {
        /// In the packet.
        got: u32,
        /// The highest so far.
        highest: u32,
    },
    /// Version 2: another interval than ours. Version 3: an interval of zero, which no router can keep.
    Interval {
        /// In the packet, in the version's unit.
        got: u16,
        /// Ours, in the version's unit.
        expected: u16,
        /// `sec` or `centisec`.
        unit: &'static str,
    },
    /// A type other than ADVERTISEMENT.
    Type(u8),
    /// The IP header promises more than came.
    TotalLength {
        /// The IP header's total length.
        claimed: usize,
        /// Bytes that came, with the header.
        got: usize,
    },
    /// Wrong checksum.
    Checksum {
        /// The version, for the text.
        version: u8,
    },
    /// Unicast to a multicast instance, or the other way round.
    Destination {
        /// Whether the datagram came by multicast.
        multicast: bool,
    },
    /// `owner_ignore_adverts`.
    OwnerIgnores,
    /// `check_unicast_src`: the source is no peer.
    NotPeer(IpAddr),
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |ttl: Option<u8>| ttl.map_or_else(|| "(unknown)".to_owned(), |value| value.to_string());
        match *self {
            Self::HeaderMissing => f.write_str("No AH header but auth type is AH"),
            Self::HeaderUnexpected => f.write_str("Received AH header but auth type not AH"),
            Self::Length { got, expected } => {
                let how = if got < expected { "short" } else { "long" };
                write!(f, "vrrp packet too {how}, length {got} and expect {expected}")
            }
            Self::Ttl { got } => write!(f, "invalid TTL/HL. Received {} and expect 255", or_unknown(got)),
            Self::TtlRange { got, min, max } => write!(f, "TTL/HL {} not in range {min} - {max}", or_unknown(got)),
            Self::Version { got, expected } => write!(f, "wrong version. Received {got} and expect {expected}"),
            Self::AuthTypeUnknown(kind) => write!(f, "Invalid auth type: {kind}"),
            Self::AuthType { got, expected } => write!(f, "received a {got} auth, expecting {expected}!"),
            Self::Password => f.write_str("received an invalid passwd!"),
            Self::Digest => f.write_str("IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !"),
            Self::Replayed { got, highest } => {
                write!(f, "IPSEC-AH : sequence number {got} already processed. Packet dropped. Local({highest})")
            }
            Self::Interval { got, expected, unit } => {
                write!(f, "advertisement interval mismatch mine={expected} {unit} rcv'd={got} {unit}")
            }
            Self::Type(kind) => write!(f, "Invalid packet type. {kind} and expect 1"),
            Self::TotalLength { claimed, got } => {
                write!(f, "ip_tot_len mismatch against received length. {claimed} and received {got}")
            }
            Self::Checksum { version } => write!(f, "Invalid VRRPv{version} checksum"),
            Self::Destination { multicast: true } => f.write_str("Expected unicast packet but received multicast packet"),
            Self::Destination { multicast: false } => f.write_str("Expected multicast packet but received unicast packet"),
            Self::OwnerIgnores => f.write_str("ignoring advert: address owner with owner_ignore_adverts"),
            Self::NotPeer(source) => write!(f, "unicast source address {source} not a unicast peer"),
        }
    }
}

impl Discard {
    /// Counts it where the statistics file shows it.
    pub const fn count(&self, stats: &mut Stats) {
        let counter = match self {
            Self::HeaderMissing | Self::HeaderUnexpected | Self::AuthType { .. } => &mut stats.auth_type_mismatch,
            Self::Length { .. } | Self::TotalLength { .. } => &mut stats.length_errors,
            Self::Ttl { .. } | Self::TtlRange { .. } => &mut stats.ttl_errors,
            Self::Version { .. } => &mut stats.version_errors,
            Self::AuthTypeUnknown(_) => &mut stats.invalid_auth_type,
            Self::Password | Self::Digest | Self::Replayed { .. } => &mut stats.auth_failures,
            Self::Interval { .. } => &mut stats.interval_errors,
            Self::Type(_) => &mut stats.invalid_type,
            Self::Checksum { .. } => &mut stats.checksum_errors,
            Self::Destination { .. } | Self::OwnerIgnores | Self::NotPeer(_) => &mut stats.other_errors,
        };
        *counter += 1;
    }

    /// What [`Quiet`] remembers it by.
    pub const fn topic(&self) -> Topic {
        Topic(match self {
            Self::HeaderMissing => 0,
            Self::HeaderUnexpected => 1,
            Self::Length { .. } => 2,
            Self::Ttl { .. } => 3,
            Self::TtlRange { .. } => 4,
            Self::Version { .. } => 5,
            Self::AuthTypeUnknown(_) => 6,
            Self::AuthType { .. } => 7,
            Self::Password => 8,
            Self::Digest => 9,
            Self::Replayed { .. } => 10,
            Self::Interval { .. } => 11,
            Self::Type(_) => 12,
            Self::TotalLength { .. } => 13,
            Self::Checksum { .. } => 14,
            Self::Destination { .. } => 15,
            Self::OwnerIgnores => 16,
            Self::NotPeer(_) => 17,
        })
    }
}

/// Something odd about an advert that counts all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remark {
    /// Version 3, while we are master: another interval than ours.
    Interval {
        /// In the packet, centiseconds.
        got: u16,
        /// Ours, centiseconds.
        expected: u16,
    },
    /// Another number of addresses than ours.
    AddressCount {
        /// In the packet.
        got: usize,
        /// Ours.
        expected: usize,
    },
    /// One of our addresses is not in the advert.
    AddressMissing {
        /// Whose advert.
        vrid: Vrid,
        /// Which address.
        address: IpAddr,
    },
    /// Wrong checksum, forgiven because of `v3_checksum_as_v2`.
    Checksum,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval { got, expected } => {
                write!(
                    f,
                    "advertisement interval mismatch: mine={} milli-sec rcv'd={} milli-sec",
                    u32::from(*expected) * 10,
                    u32::from(*got) * 10
                )
            }
            Self::AddressCount { got, expected } => write!(f, "received an unexpected ip number count {got}, expected {expected}!"),
            Self::AddressMissing { vrid, address } => {
                write!(f, "ip address associated with VRID {vrid} not present in MASTER advert: {address}")
            }
            Self::Checksum => f.write_str("Invalid VRRPv3 checksum"),
        }
    }
}

impl Remark {
    /// What [`Quiet`] remembers it by.
    pub const fn topic(&self) -> Topic {
        Topic(match self {
            Self::Interval { .. } => 18,
            Self::AddressCount { .. } => 19,
            Self::AddressMissing { .. } => 20,
            Self::Checksum => 21,
        })
    }
}

/// A kind of log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Topic(u8);

/// Says each topic once until the master or our state changes: a stranger must not fill the log.
#[derive(Clone, Copy, Default, Debug)]
pub struct Quiet {
    said: u32,
    when: Option<(State, Option<IpAddr>)>,
}

impl Quiet {
    /// Whether this is the first of its topic in this state under this master.
    pub fn first(&mut self, topic: Topic, state: State, master: Option<IpAddr>) -> bool {
        if self.when != Some((state, master)) {
            *self = Self { said: 0, when: Some((state, master)) };
        }
        let bit = 1_u32 << topic.0;
        let first = self.said & bit == 0;
        self.said |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_said_once_until_the_master_or_the_state_changes() {
        let mut quiet = Quiet::default();
        let (first, second) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        assert!(quiet.first(Discard::Password.topic(), State::Backup, first));
        assert!(!quiet.first(Discard::Password.topic(), State::Backup, first));
        assert!(quiet.first(Discard::Ttl { got: Some(3) }.topic(), State::Backup, first));
        assert!(quiet.first(Discard::Password.topic(), State::Backup, second));
        assert!(quiet.first(Discard::Password.topic(), State::Master, second));
        assert!(!quiet.first(Discard::Password.topic(), State::Master, second));
    }

    #[test]
    fn texts_are_the_ones_people_grep_for() {
        assert_eq!(Discard::Ttl { got: Some(64) }.to_string(), "invalid TTL/HL. Received 64 and expect 255");
        assert_eq!(
            Discard::Interval { got: 5, expected: 1, unit: "sec" }.to_string(),
            "advertisement interval mismatch mine=1 sec rcv'd=5 sec"
        );
    }
}
