use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Address family of an instance: one instance carries one family (RFC 9568 §5.2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Family of an address.
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Length of an address in bytes.
    pub const fn octets(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// Prefix length of a single host, in bits.
    pub const fn host_bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// An address with the length of its network prefix in bits. The host part is kept: `172.25.254.100/24` is an address, not a network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct IpPrefix {
    address: IpAddr,
    length: u8,
}

impl IpPrefix {
    /// `None` when `length` is beyond the family's (32, 128).
    pub const fn new(address: IpAddr, length: u8) -> Option<Self> {
        if length > Family::of(&address).host_bits() { None } else { Some(Self { address, length }) }
    }

    /// The address alone as a `/32` or `/128`.
    pub const fn host(address: IpAddr) -> Self {
        Self { address, length: Family::of(&address).host_bits() }
    }

    /// The same address with another length; what is too long is a single host.
    pub const fn with_length(self, length: u8) -> Self {
        let bits = self.family().host_bits();
        Self { address: self.address, length: if length > bits { bits } else { length } }
    }

    /// The network: the same with every bit behind the length zero.
    pub fn network(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & !host).into())
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & !host).into())
            }
        };
        Self { address, length: self.length }
    }

    /// The address.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// Prefix length in bits.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The address's family.
    pub const fn family(self) -> Family {
        Family::of(&self.address)
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
