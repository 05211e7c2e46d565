//! Configurations of any size.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::ops::Range;

/// VRIDs that one interface carries, of the 255 there are.
const PER_INTERFACE: usize = 250;

/// Many instances alike. Instance `i` has interface `v{i % interfaces}` and one /32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many {
    pub(crate) instances: usize,
    pub(crate) priority: u8,
    pub(crate) version: u8,
    /// Seconds, as written behind `advert_int`.
    pub(crate) advert_int: f64,
    /// One more address on the last instance: the one change of a reload.
    pub(crate) extra: bool,
}

/// The address that `Many::extra` adds.
pub(crate) const EXTRA: Ipv4Addr = Ipv4Addr::new(10, 250, 250, 250);

/// How many interfaces so many instances need.
pub(crate) fn interfaces(instances: usize) -> usize {
    instances.div_ceil(PER_INTERFACE).max(1)
}

/// The names of these interfaces.
pub(crate) fn interface_names(instances: usize) -> impl Iterator<Item = String> {
    let all: Range<usize> = 0..interfaces(instances);
    all.map(|index| format!("v{index}"))
}

/// The virtual address of instance `index`.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    let octet = |value: usize| u8::try_from(value % 256).unwrap_or(0);
    Ipv4Addr::new(10, octet(128 + index / 50_000), octet((index / 250) % 200), octet(index % 250 + 1))
}

/// Number of the interface and VRID of instance `index`.
pub(crate) fn place(index: usize, instances: usize) -> (usize, u8) {
    let interfaces = interfaces(instances);
    (index % interfaces, u8::try_from(index / interfaces + 1).unwrap_or(255))
}

impl Many {
    /// The configuration's text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("global_defs {\n    router_id bench\n}\n");
        for index in 0..self.instances {
            let (interface, vrid) = place(index, self.instances);
            let mut addresses = format!("        {}/32\n", address(index));
            if self.extra && index + 1 == self.instances {
                let _ = writeln!(addresses, "        {EXTRA}/32");
            }
            let _ = write!(
                text,
                "vrrp_instance VI_{index} {{\n    state BACKUP\n    interface v{interface}\n    virtual_router_id {vrid}\n    \
                 priority {}\n    advert_int {}\n    version {}\n    virtual_ipaddress {{\n{addresses}    }}\n}}\n",
                self.priority, self.advert_int, self.version
            );
        }
        text
    }
}

/// Virtual servers alike, each with as many real servers that a TCP connection checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Balancer {
    pub(crate) servers: usize,
    pub(crate) reals: usize,
}

impl Balancer {
    /// The configuration's text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("global_defs {\n    router_id bench\n}\n");
        for server in 0..self.servers {
            let (high, low) = (server / 250, server % 250);
            let _ = writeln!(
                text,
                "virtual_server 10.{high}.{low}.1 80 {{\n    delay_loop 10\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP"
            );
            for real in 1..=self.reals {
                let _ = writeln!(
                    text,
                    "    real_server 10.{}.{low}.{real} 80 {{\n        weight 1\n        TCP_CHECK {{\n            connect_timeout 3\n        }}\n    }}",
                    100 + high
                );
            }
            text.push_str("}\n");
        }
        text
    }
}
