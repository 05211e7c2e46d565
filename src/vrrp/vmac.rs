//! Interfaces that an instance makes for itself: VMACs, which carry the virtual router's own Ethernet address (`use_vmac`).

use crate::types::{Family, MacAddr, Vrid};
use serde::{Deserialize, Serialize};

/// Longest name of an interface (IFNAMSIZ less its end).
pub const NAME_BYTES: usize = 15;

/// One VMAC: a macvlan interface in private mode.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Vmac {
    /// Its name: as written, else `vmac_prefix.VRID`.
    pub name: String,
    /// The interface that it stands on.
    pub base: String,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Of the addresses that it is for: the kernel is told other things for IPv4 than for IPv6.
    pub family: Family,
    /// Whether it has IPv6 at all.
    pub ipv6: bool,
    /// Whether IPv6 adverts leave from it: they need its base's link-local address on it.
    pub link_local: bool,
}

/// The Ethernet address of a virtual router (RFC 9568 §7.3): `00-00-5E-00-01-{VRID}` for IPv4, `00-00-5E-00-02-{VRID}` for IPv6.
pub const fn virtual_mac(vrid: Vrid, family: Family) -> MacAddr {
    let family = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    MacAddr([0, 0, 0x5e, 0, family, vrid.get()])
}

/// The names that a VMAC may get, the usual one first: `vrrp.51`, `vrrp1.51` … for IPv4, `vrrp.51`, `vrrp6.51`, `vrrp1.51` …
/// for IPv6. A prefix that is too long is cut.
pub fn names(prefix: &str, vrid: Vrid, family: Family) -> impl Iterator<Item = String> {
    let numbers: Box<dyn Iterator<Item = u16>> = match family {
        Family::V4 => Box::new(1..=u16::MAX),
        Family::V6 => Box::new(std::iter::once(6).chain((1..=u16::MAX).filter(|number| *number != 6))),
    };
    let behind = std::iter::once(String::new()).chain(numbers.map(|number| number.to_string()));
    behind.map(move |number| {
        let end = format!("{number}.{vrid}");
        let room = NAME_BYTES.saturating_sub(end.len());
        let kept = (0..=room.min(prefix.len())).rev().find_map(|length| prefix.get(..length)).unwrap_or_default();
        format!("{kept}{end}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_originals() {
        let first = |prefix, family| names(prefix, Vrid::new(51).unwrap(), family).take(4).collect::<Vec<_>>();
        assert_eq!(first("vrrp", Family::V4), ["vrrp.51", "vrrp1.51", "vrrp2.51", "vrrp3.51"]);
        assert_eq!(first("vrrp", Family::V6), ["vrrp.51", "vrrp6.51", "vrrp1.51", "vrrp2.51"]);
        assert_eq!(first("abcdefghijklmnop", Family::V4)[..2], ["abcdefghijkl.51", "abcdefghijk1.51"]);
    }

    #[test]
    fn the_mac_is_the_rfcs() {
        assert_eq!(virtual_mac(Vrid::new(51).unwrap(), Family::V4).to_string(), "00:00:5e:00:01:33");
        assert_eq!(virtual_mac(Vrid::new(255).unwrap(), Family::V6).to_string(), "00:00:5e:00:02:ff");
    }
}
