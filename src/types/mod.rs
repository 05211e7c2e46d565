//! Words every room uses: small types that carry a unit or a range, so that a bare number never has to.

mod address;
mod checksum;
mod command;
mod firewall;
pub mod random;
mod secret;
mod time;

pub use address::{Family, IpPrefix, MacAddr};
pub use checksum::Sum;
pub use command::{Command, Groups, ScriptOutcome, ScriptUser};
pub use firewall::Firewall;
pub use secret::Secret;
pub use time::Instant;

use serde::{Deserialize, Serialize};
use std::fmt;

/// Virtual Router Identifier, 1..=255 (RFC 9568 §5.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Vrid(u8);

impl Vrid {
    /// `None` for 0.
    pub const fn new(value: u8) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Vrid {
    type Error = &'static str;
    fn try_from(value: u8) -> Result<Self, Self::Error> {
        Self::new(value).ok_or("virtual router id 0")
    }
}

impl From<Vrid> for u8 {
    fn from(value: Vrid) -> u8 {
        value.0
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// VRRP priority of a router, 1..=255; 255 is the address owner (RFC 9568 §5.2.4). Priority 0 (resigning) exists only on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

impl Priority {
    /// The address owner's priority.
    pub const OWNER: Self = Self(255);
    /// keepalived's default.
    pub const DEFAULT: Self = Self(100);

    /// `None` for 0.
    pub const fn new(value: u8) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this router owns the addresses.
    pub const fn is_owner(self) -> bool {
        self.0 == 255
    }

    /// Base priority plus the sum of the trackers' weights, held in 1..=254; an owner's never changes (keepalived.conf(5), `weight`).
    pub fn adjusted(self, sum: i32) -> Self {
        if self.is_owner() {
            return self;
        }
        let value = (i32::from(self.0) + sum).clamp(1, 254);
        Self(u8::try_from(value).unwrap_or(254))
    }
}

impl TryFrom<u8> for Priority {
    type Error = &'static str;
    fn try_from(value: u8) -> Result<Self, Self::Error> {
        Self::new(value).ok_or("priority 0")
    }
}

impl From<Priority> for u8 {
    fn from(value: Priority) -> u8 {
        value.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// VRRP protocol version (RFC 3768 or RFC 5798/9568).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, authentication field.
    V2,
    /// RFC 5798 and 9568: IPv4 and IPv6, centiseconds.
    V3,
}

impl Version {
    /// The number in the packet's first nibble.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// Advertisement interval in centiseconds, 1..=25500 (`advert_int` 0.01 to 255 s).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CentiSecs(u16);

impl CentiSecs {
    /// One second, keepalived's and the RFCs' default.
    pub const SECOND: Self = Self(100);

    /// `None` outside 1..=25500.
    pub const fn new(value: u16) -> Option<Self> {
        if value == 0 || value > 25500 { None } else { Some(Self(value)) }
    }

    /// Number of centiseconds.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As a span of time.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0 as u64 * 10)
    }
}
