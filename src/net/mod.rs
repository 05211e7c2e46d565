//! What the VRRP child does to and hears from the kernel: reflector, addresses, VMACs, advert sockets, ARP and NDISC, nftables;
//! what the supervisor hears of processes; and the sockets of BFD.

pub mod address;
pub mod advert;
pub mod announce;
pub mod arp;
pub mod connector;
pub mod control;
mod ethernet;
mod ipv4;
#[cfg(test)]
pub(crate) mod lab;
pub mod link;
pub mod mirror;
pub mod ndisc;
pub mod nftables;
pub mod reflector;
pub mod route;
pub mod rtnl;
pub mod rule;
pub mod sysctl;
pub mod vmac;
pub mod wire;

use std::io;

/// A socket that could not be opened: what for, why, and what cures it.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {what}: {source}{cure}")]
pub struct OpenError {
    what: &'static str,
    source: io::Error,
    cure: &'static str,
}

impl OpenError {
    fn new(what: &'static str, source: io::Error) -> Self {
        let cure = match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => " (it needs CAP_NET_RAW and CAP_NET_ADMIN)",
            Some(libc::EMFILE | libc::ENFILE) => " (raise the limit of open files, LimitNOFILE= in the unit)",
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => " (the kernel lacks this protocol)",
            _ => "",
        };
        Self { what, source, cure }
    }

    /// For `map_err`.
    fn of(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::new(what, source)
    }

    /// The system's error number, if it is one.
    pub fn os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}
