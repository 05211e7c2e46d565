//! VMACs as the kernel is asked for them: macvlan interfaces in private mode (ip-link(8)).

use super::link::{IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_MACVLAN_MODE, Link};
use super::rtnl::{Mode, Order};
use super::wire::Builder;
use crate::types::MacAddr;

/// `MACVLAN_MODE_PRIVATE`: what stands on the same interface does not hear each other.
pub const PRIVATE: u32 = 1;
pub(super) const KIND: &str = "macvlan";
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// `IN6_ADDR_GEN_MODE_NONE`: no link-local address that nobody asked for.
const ADDRESSES_BY_HAND: u8 = 1;

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkOp {
    /// Make it, switched off.
    Make {
        /// Its name.
        name: String,
        /// Index of the interface that it stands on.
        base: u32,
        /// Its Ethernet address.
        mac: MacAddr,
    },
    /// Switch it on.
    SwitchOn(u32),
    /// Make it not be there.
    Delete(u32),
}

impl Order for LinkOp {
    fn emit(&self, m: &mut Builder, sequence: u32, _: Mode) {
        match self {
            Self::Make { name, base, mac } => {
                let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
                m.message(libc::RTM_NEWLINK, flags, sequence, &fixed(0, 0), |m| {
                    m.text(IFLA_IFNAME, name);
                    m.attribute(IFLA_LINK, &base.to_ne_bytes());
                    m.attribute(IFLA_ADDRESS, &mac.0);
                    m.nest(IFLA_LINKINFO, |m| {
                        m.text(IFLA_INFO_KIND, KIND);
                        m.nest(IFLA_INFO_DATA, |m| m.attribute(IFLA_MACVLAN_MODE, &PRIVATE.to_ne_bytes()));
                    });
                });
            }
            Self::SwitchOn(index) => {
                m.message(libc::RTM_NEWLINK, 0, sequence, &fixed(*index, libc::IFF_UP.cast_unsigned()), |_| {});
            }
            Self::Delete(index) => m.message(libc::RTM_DELLINK, 0, sequence, &fixed(*index, 0), |_| {}),
        }
    }

    fn reached(&self, code: i32) -> bool {
        matches!(self, Self::Delete(_)) && code == libc::ENODEV
    }

    fn replaces(&self) -> bool {
        false
    }

    fn what(&self) -> String {
        match self {
            Self::Make { name, .. } => format!("create VMAC interface {name}"),
            Self::SwitchOn(index) => format!("switch on interface {index}"),
            Self::Delete(index) => format!("delete interface {index}"),
        }
    }
}

/// Says that the kernel shall give this interface no IPv6 address of its own. To be done before it is switched on; a kernel
/// without IPv6 refuses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressesByHand(pub u32);

impl Order for AddressesByHand {
    fn emit(&self, m: &mut Builder, sequence: u32, _: Mode) {
        m.message(libc::RTM_NEWLINK, 0, sequence, &fixed(self.0, 0), |m| {
            m.nest(IFLA_AF_SPEC, |m| {
                m.nest(libc::AF_INET6 as u16, |m| m.attribute(IFLA_INET6_ADDR_GEN_MODE, &[ADDRESSES_BY_HAND]));
            });
        });
    }

    fn reached(&self, code: i32) -> bool {
        code == libc::EAFNOSUPPORT
    }

    fn what(&self) -> String {
        format!("keep interface {} from making addresses", self.0)
    }
}

/// `ifinfomsg`: any family, any type, index, flags and which of them count.
fn fixed(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// Whether a link is what [`LinkOp::Make`] makes.
pub fn is_vmac(link: &Link, base: u32, mac: MacAddr) -> bool {
    link.macvlan == Some(PRIVATE) && link.parent == Some(base) && link.mac == Some(mac)
}
