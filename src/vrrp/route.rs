//! One line of `virtual_routes` or `static_routes`, right by type (keepalived.conf(5), ip-route(8)).

use crate::types::{Family, IpPrefix};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// RTPROT_KEEPALIVED (`/etc/iproute2/rt_protos`): what carries it is ours.
pub const PROTOCOL: u8 = 18;
/// RT_TABLE_MAIN.
pub const MAIN: u32 = 254;
/// RTN_UNICAST: a route that says no type.
pub const UNICAST: u8 = 1;
/// RTAX_LOCK, RTAX_CC_ALGO: not numbers of their own.
pub const LOCK: u16 = 1;
/// RTAX_CC_ALGO.
pub const CONGCTL: u16 = 16;

/// RTN_* with their words, `unicast` first.
pub const KINDS: [(&str, u8); 11] = [
    ("unicast", UNICAST),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
    ("throw", 9),
    ("nat", 10),
    ("xresolve", 11),
];

/// RTAX_* with their words, in the order in which the original writes them.
pub const METRICS: [(&str, u16); 15] = [
    ("rtt", 4),
    ("rttvar", 5),
    ("rto_min", 13),
    ("features", 12),
    ("mtu", 2),
    ("window", 3),
    ("ssthresh", 6),
    ("cwnd", 7),
    ("advmss", 8),
    ("reordering", 9),
    ("hoplimit", 10),
    ("initcwnd", 11),
    ("initrwnd", 14),
    ("quickack", 15),
    ("fastopen_no_cookie", 17),
];

/// A route.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Route {
    /// RTN_*.
    pub kind: u8,
    /// Where it goes among routes to the same place.
    pub mode: Mode,
    /// Where to; `default` has length 0.
    pub destination: IpPrefix,
    /// `from`: only packets from here (IPv6).
    pub from: Option<IpPrefix>,
    /// `src`: what our own packets come from.
    pub source: Option<IpAddr>,
    /// `via`.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub device: Option<String>,
    /// `onlink`: the gateway need not be on the link's network.
    pub onlink: bool,
    /// `table`; 254 is main.
    pub table: u32,
    /// `tos`.
    pub tos: u8,
    /// `protocol`: RTPROT_*.
    pub protocol: u8,
    /// `scope`: RT_SCOPE_*; global when not written.
    pub scope: Option<u8>,
    /// `metric`.
    pub metric: Option<u32>,
    /// `mtu`, `rtt` and the like, in the order of [`METRICS`].
    pub metrics: Vec<Metric>,
    /// `congctl [lock] NAME`.
    pub congctl: Option<(String, bool)>,
    /// `realms`: source realm in the upper half (IPv4).
    pub realms: Option<u32>,
    /// `expires`: seconds (IPv6).
    pub expires: Option<u32>,
    /// `pref`: ICMPV6_ROUTER_PREF_*.
    pub preference: Option<u8>,
    /// `ttl-propagate` (MPLS).
    pub ttl_propagate: Option<bool>,
    /// `encap`.
    pub encap: Option<Encap>,
    /// `nexthop …`, `or …`.
    pub hops: Vec<NextHop>,
    /// `no_track`: its loss is nobody's business.
    pub no_track: bool,
    /// `track_group`.
    pub track_group: Option<String>,
}

/// Where a route goes among those to the same place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Mode {
    /// `prepend`: before them.
    Prepend,
    /// `add`: only where there is none.
    Add,
    /// `append`: behind them.
    Append,
}

/// One number of a route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Metric {
    /// RTAX_*.
    pub number: u16,
    /// As written: `rtt`, `rttvar` and `rto_min` in milliseconds.
    pub value: u32,
    /// `lock`: the kernel does not change it.
    pub locked: bool,
}

/// One `nexthop`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct NextHop {
    /// `via`.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub device: Option<String>,
    /// `weight`, 1..=256; 0 when not written.
    pub weight: u16,
    /// `onlink`.
    pub onlink: bool,
    /// `encap`.
    pub encap: Option<Encap>,
    /// `realms`.
    pub realms: Option<u32>,
}

/// `encap`: what packets are wrapped in.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Encap {
    /// `mpls`: labels, the outermost first.
    Mpls(Vec<u32>),
    /// `ip` and `ip6`.
    Tunnel {
        /// Of the outer header.
        family: Family,
        /// `id`.
        id: Option<u64>,
        /// `dst`.
        destination: Option<IpAddr>,
        /// `src`.
        source: Option<IpAddr>,
        /// `tos`, `tc`.
        tos: Option<u8>,
        /// `ttl`, `hoplimit`.
        ttl: Option<u8>,
        /// `flags`.
        flags: Option<u16>,
    },
    /// `ila`: the locator.
    Ila(u64),
}

impl Route {
    /// A route that says only where to.
    pub const fn to(destination: IpPrefix) -> Self {
        Self {
            kind: UNICAST,
            mode: Mode::Prepend,
            destination,
            from: None,
            source: None,
            via: None,
            device: None,
            onlink: false,
            table: MAIN,
            tos: 0,
            protocol: PROTOCOL,
            scope: None,
            metric: None,
            metrics: Vec::new(),
            congctl: None,
            realms: None,
            expires: None,
            preference: None,
            ttl_propagate: None,
            encap: None,
            hops: Vec::new(),
            no_track: false,
            track_group: None,
        }
    }

    /// Family.
    pub const fn family(&self) -> Family {
        self.destination.family()
    }

    /// Every interface it names.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.device.as_deref().into_iter().chain(self.hops.iter().filter_map(|hop| hop.device.as_deref()))
    }

    /// The interface whose going down is a fault of who holds the route.
    pub fn tracked_device(&self) -> Option<&str> {
        self.device.as_deref().filter(|_| !self.no_track)
    }
}

/// `192.0.2.1` for a single host, `default` for everything.
pub(crate) fn destination(prefix: IpPrefix) -> String {
    match prefix.length() {
        0 => "default".to_owned(),
        length if length == prefix.family().host_bits() => prefix.address().to_string(),
        _ => prefix.to_string(),
    }
}

/// `inet 192.0.2.1`
fn with_family(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "inet" } else { "inet6" };
    format!("{family} {address}")
}

fn realms(f: &mut fmt::Formatter<'_>, realms: u32) -> fmt::Result {
    match (realms >> 16, realms & 0xffff) {
        (0, to) => write!(f, " realms {to}"),
        (from, to) => write!(f, " realms {from}/{to}"),
    }
}

/// As the original shows it in its data and its log: `prepend 198.51.100.0/24 via inet 192.0.2.1 dev eth0 proto 18`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            Mode::Prepend => "prepend",
            Mode::Add => "add",
            Mode::Append => "append",
        })?;
        if self.kind != UNICAST
            && let Some((word, _)) = KINDS.iter().find(|(_, number)| *number == self.kind)
        {
            write!(f, " {word}")?;
        }
        write!(f, " {}", destination(self.destination))?;
        self.write_place(f)?;
        self.write_lookup(f)?;
        self.write_metrics(f)?;
        if let Some(on) = self.ttl_propagate {
            write!(f, " ttl-propagate {}", if on { "enabled" } else { "disabled" })?;
        }
        match self.preference {
            Some(1) => f.write_str(" pref high")?,
            Some(0) => f.write_str(" pref medium")?,
            Some(3) => f.write_str(" pref low")?,
            Some(other) => write!(f, " pref {other}")?,
            None => {}
        }
        self.hops.iter().try_for_each(|hop| write!(f, "{hop}"))?;
        if self.no_track {
            f.write_str(" no_track")?;
        }
        self.track_group.iter().try_for_each(|group| write!(f, " track_group {group}"))
    }
}

impl Route {
    /// Where from, through what.
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            write!(f, " from {}", destination(from))?;
        }
        if self.tos != 0 {
            write!(f, " tos {}", self.tos)?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if let Some(encap) = &self.encap {
            write!(f, "{encap}")?;
        }
        if let Some(via) = self.via {
            write!(f, " via {}", with_family(via))?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        Ok(())
    }

    /// In which table, at what place in it.
    fn write_lookup(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table != MAIN {
            write!(f, " table {}", self.table)?;
        }
        if !(self.no_track && self.device.is_some() && self.protocol == PROTOCOL) {
            write!(f, " proto {}", self.protocol)?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {scope}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        if self.onlink {
            f.write_str(" onlink")?;
        }
        if let Some(value) = self.realms {
            realms(f, value)?;
        }
        if let Some(seconds) = self.expires {
            write!(f, " expires {seconds}s")?;
        }
        Ok(())
    }

    fn write_metrics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lock = |locked: bool| if locked { "lock " } else { "" };
        if let Some((name, locked)) = &self.congctl {
            write!(f, " congctl {}{name}", lock(*locked))?;
        }
        for metric in &self.metrics {
            let Some((word, _)) = METRICS.iter().find(|(_, number)| *number == metric.number) else { continue };
            write!(f, " {word} {}", lock(metric.locked))?;
            match (*word, metric.value) {
                ("features", 1) => f.write_str("ecn")?,
                ("rtt" | "rttvar" | "rto_min", value) if value % 1000 == 0 => write!(f, "{}s", value / 1000)?,
                ("rtt" | "rttvar" | "rto_min", value) => write!(f, "{value}ms")?,
                (_, value) => write!(f, "{value}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" nexthop")?;
        if let Some(encap) = &self.encap {
            write!(f, "{encap}")?;
        }
        if let Some(via) = self.via {
            write!(f, " via {}", with_family(via))?;
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        if self.weight > 1 {
            write!(f, " weight {}", self.weight)?;
        }
        if self.onlink {
            f.write_str(" onlink")?;
        }
        self.realms.map_or(Ok(()), |value| realms(f, value))
    }
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mpls(labels) => {
                let labels: Vec<String> = labels.iter().map(u32::to_string).collect();
                write!(f, " encap mpls {}", labels.join("/"))
            }
            Self::Ila(locator) => {
                let group = |shift: u32| locator >> shift & 0xffff;
                write!(f, " encap ila {:x}:{:x}:{:x}:{:x}", group(48), group(32), group(16), group(0))
            }
            Self::Tunnel { family, id, destination, source, tos, ttl, flags } => {
                let v4 = *family == Family::V4;
                f.write_str(if v4 { " encap ip" } else { " encap ip6" })?;
                let mut say = |word: &str, value: Option<String>| value.map_or(Ok(()), |value| write!(f, " {word} {value}"));
                say("id", id.map(|id| id.to_string()))?;
                say("dst", destination.map(|to| to.to_string()))?;
                say("src", source.map(|from| from.to_string()))?;
                say(if v4 { "tos" } else { "tc" }, tos.map(|tos| tos.to_string()))?;
                say(if v4 { "ttl" } else { "hoplimit" }, ttl.map(|ttl| ttl.to_string()))?;
                say("flags", flags.map(|flags| format!("{flags:#x}")))
            }
        }
    }
}
