//! Routes as the kernel is asked for them, and as it reports that one is gone (rtnetlink(7), `rtmsg`).

use super::rtnl::{Mode, Order};
use super::wire::{Attributes, Builder, Message, octets, u32_at};
use crate::types::{Family, IpPrefix};
use crate::vrrp::route::{CONGCTL, Encap, LOCK, Mode as Place, NextHop, PROTOCOL, Route, UNICAST};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_FLOW: u16 = 11;
const RTA_TABLE: u16 = 15;
const RTA_PREF: u16 = 20;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;
const RTA_EXPIRES: u16 = 23;
const RTA_TTL_PROPAGATE: u16 = 26;
/// RTNH_F_ONLINK.
const ONLINK: u8 = 4;
/// RT_SCOPE_NOWHERE: any scope, in a deletion.
const NOWHERE: u8 = 255;
/// RTAX_RTT counts eighths, RTAX_RTTVAR quarters of a millisecond.
const SCALES: [(u16, u32); 2] = [(4, 8), (5, 4)];
/// The metric of an IPv6 route that has none (IP6_RT_PRIO_USER).
const METRIC_V6: u32 = 1024;
/// `struct rtmsg`.
const FIXED: usize = 12;

/// A route with its interfaces looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelRoute {
    /// As configured.
    pub route: Route,
    /// Of `dev`.
    pub ifindex: Option<u32>,
    /// Of each next hop's `dev`.
    pub hops: Vec<Option<u32>>,
}

/// What the kernel calls the same route.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RouteKey {
    /// Its network.
    pub destination: IpPrefix,
    /// `from`.
    pub from: Option<IpPrefix>,
    /// `table`.
    pub table: u32,
    /// `tos`.
    pub tos: u8,
    /// `metric`; 1024 for IPv6 without one.
    pub metric: u32,
    /// RTN_*.
    pub kind: u8,
    /// `via`.
    pub via: Option<IpAddr>,
    /// `dev`.
    pub ifindex: Option<u32>,
}

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteOp {
    /// Make it be there.
    Add(KernelRoute),
    /// Make it not be there.
    Delete(KernelRoute),
}

impl KernelRoute {
    /// The name of the first interface that does not exist is the error.
    pub fn of<'r>(route: &'r Route, index: impl Fn(&str) -> Option<u32>) -> Result<Self, &'r str> {
        let find = |device: Option<&'r str>| device.map(|name| index(name).ok_or(name)).transpose();
        let ifindex = find(route.device.as_deref())?;
        let hops = route.hops.iter().map(|hop| find(hop.device.as_deref())).collect::<Result<_, _>>()?;
        Ok(Self { route: route.clone(), ifindex, hops })
    }

    /// What the kernel finds it by.
    pub fn key(&self) -> RouteKey {
        let route = &self.route;
        let metric = route.metric.filter(|metric| *metric != 0 || route.family() == Family::V4);
        RouteKey {
            destination: route.destination.network(),
            from: route.from.map(IpPrefix::network),
            table: if route.table == 0 { crate::vrrp::route::MAIN } else { route.table },
            tos: route.tos,
            metric: metric.unwrap_or(if route.family() == Family::V6 { METRIC_V6 } else { 0 }),
            kind: route.kind,
            via: route.via,
            ifindex: self.ifindex,
        }
    }

    fn fixed(&self, deleting: bool) -> [u8; FIXED] {
        let route = &self.route;
        let family = family(route.family());
        let from = route.from.map_or(0, IpPrefix::length);
        // A deletion names the scope and the type only where they were asked for (`add` asks for exactly this one).
        let scope = match route.scope.unwrap_or(0) {
            0 if deleting => NOWHERE,
            scope => scope,
        };
        let kind = if deleting && route.kind == UNICAST && route.mode != Place::Add { 0 } else { route.kind };
        let table = u8::try_from(route.table).unwrap_or(0);
        let [a, b, c, d] = u32::from(if route.onlink { ONLINK } else { 0 }).to_ne_bytes();
        [family, route.destination.length(), from, route.tos, table, route.protocol, scope, kind, a, b, c, d]
    }

    fn attributes(&self, m: &mut Builder) {
        let route = &self.route;
        if route.table > 255 {
            m.attribute(RTA_TABLE, &route.table.to_ne_bytes());
        }
        octets(m, RTA_DST, route.destination.address());
        if let Some(from) = route.from {
            octets(m, RTA_SRC, from.address());
        }
        if let Some(source) = route.source {
            octets(m, RTA_PREFSRC, source);
        }
        if let Some(via) = route.via {
            octets(m, RTA_GATEWAY, via);
        }
        if let Some(encap) = &route.encap {
            wrap(m, encap);
        }
        number(m, RTA_OIF, self.ifindex);
        number(m, RTA_PRIORITY, route.metric);
        number(m, RTA_FLOW, route.realms);
        number(m, RTA_EXPIRES, route.expires);
        self.metrics(m);
        if let Some(on) = route.ttl_propagate {
            m.attribute(RTA_TTL_PROPAGATE, &[u8::from(on)]);
        }
        if let Some(preference) = route.preference {
            m.attribute(RTA_PREF, &[preference]);
        }
        if !route.hops.is_empty() {
            m.nest(RTA_MULTIPATH, |m| {
                for (hop, ifindex) in route.hops.iter().zip(&self.hops) {
                    next_hop(m, hop, *ifindex);
                }
            });
        }
    }

    fn metrics(&self, m: &mut Builder) {
        let route = &self.route;
        if route.metrics.is_empty() && route.congctl.is_none() {
            return;
        }
        m.nest(RTA_METRICS, |m| {
            let mut locked = 0;
            if let Some((name, lock)) = &route.congctl {
                m.attribute(CONGCTL, name.as_bytes());
                locked |= u32::from(*lock) << CONGCTL;
            }
            for metric in &route.metrics {
                let scale = SCALES.iter().find(|(number, _)| *number == metric.number).map_or(1, |(_, scale)| *scale);
                m.attribute(metric.number, &metric.value.saturating_mul(scale).to_ne_bytes());
                locked |= u32::from(metric.locked) << metric.number;
            }
            if locked != 0 {
                m.attribute(LOCK, &locked.to_ne_bytes());
            }
        });
    }
}

const fn family(family: Family) -> u8 {
    match family {
        Family::V4 => libc::AF_INET as u8,
        Family::V6 => libc::AF_INET6 as u8,
    }
}

fn number(m: &mut Builder, kind: u16, value: Option<u32>) {
    if let Some(value) = value {
        m.attribute(kind, &value.to_ne_bytes());
    }
}

/// `struct rtnexthop` and its attributes.
fn next_hop(m: &mut Builder, hop: &NextHop, ifindex: Option<u32>) {
    let flags = if hop.onlink { ONLINK } else { 0 };
    let others = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    m.counted(&[flags, others], &ifindex.unwrap_or(0).to_ne_bytes(), |m| {
        if let Some(via) = hop.via {
            octets(m, RTA_GATEWAY, via);
        }
        if let Some(encap) = &hop.encap {
            wrap(m, encap);
        }
        number(m, RTA_FLOW, hop.realms);
    });
}

/// RTA_ENCAP and RTA_ENCAP_TYPE (`linux/lwtunnel.h`, `linux/mpls_iptunnel.h`).
fn wrap(m: &mut Builder, encap: &Encap) {
    const MPLS: u16 = 1;
    const IP: u16 = 2;
    const ILA: u16 = 3;
    const IP6: u16 = 4;
    const MPLS_IPTUNNEL_DST: u16 = 1;
    const ILA_ATTR_LOCATOR: u16 = 1;
    let kind = match encap {
        Encap::Mpls(labels) => {
            let last = labels.len().saturating_sub(1);
            let entry = |(at, label): (usize, &u32)| (label << 12 | u32::from(at == last) << 8).to_be_bytes();
            let stack: Vec<u8> = labels.iter().enumerate().flat_map(entry).collect();
            m.nest_plain(RTA_ENCAP, |m| m.attribute(MPLS_IPTUNNEL_DST, &stack));
            MPLS
        }
        Encap::Ila(locator) => {
            m.nest_plain(RTA_ENCAP, |m| m.attribute(ILA_ATTR_LOCATOR, &locator.to_be_bytes()));
            ILA
        }
        Encap::Tunnel { family, id, destination, source, tos, ttl, flags } => {
            // LWTUNNEL_IP_*: id 1, dst 2, src 3, ttl 4, tos 5, flags 6; IPv6 has hop limit and traffic class in their places.
            m.nest_plain(RTA_ENCAP, |m| {
                if let Some(id) = id {
                    m.attribute(1, &id.to_be_bytes());
                }
                for (kind, address) in [(2, destination), (3, source)] {
                    if let Some(address) = address {
                        octets(m, kind, *address);
                    }
                }
                for (kind, byte) in [(4, ttl), (5, tos)] {
                    if let Some(byte) = byte {
                        m.attribute(kind, &[*byte]);
                    }
                }
                if let Some(flags) = flags {
                    m.attribute(6, &flags.to_be_bytes());
                }
            });
            if *family == Family::V4 { IP } else { IP6 }
        }
    };
    m.attribute(RTA_ENCAP_TYPE, &kind.to_ne_bytes());
}

impl RouteOp {
    /// The route concerned.
    pub const fn route(&self) -> &KernelRoute {
        match self {
            Self::Add(route) | Self::Delete(route) => route,
        }
    }
}

impl Order for RouteOp {
    fn emit(&self, m: &mut Builder, sequence: u32, _: Mode) {
        match self {
            Self::Add(route) => {
                let place = match route.route.mode {
                    Place::Prepend => 0,
                    Place::Add => libc::NLM_F_EXCL,
                    Place::Append => libc::NLM_F_APPEND,
                };
                let flags = (libc::NLM_F_CREATE | place) as u16;
                m.message(libc::RTM_NEWROUTE, flags, sequence, &route.fixed(false), |m| route.attributes(m));
            }
            Self::Delete(route) => m.message(libc::RTM_DELROUTE, 0, sequence, &route.fixed(true), |m| route.attributes(m)),
        }
    }

    fn reached(&self, code: i32) -> bool {
        match self {
            Self::Add(_) => code == libc::EEXIST,
            // Its interface or its gateway's network may have taken it along.
            Self::Delete(_) => matches!(code, libc::ESRCH | libc::ENODEV),
        }
    }

    fn replaces(&self) -> bool {
        false
    }

    fn what(&self) -> String {
        match self {
            Self::Add(route) => format!("add route {}", route.route),
            Self::Delete(route) => format!("remove route {}", route.route),
        }
    }
}

impl RouteKey {
    /// Of a route of ours that RTM_DELROUTE reports; `None` for anybody else's, and for what cannot be read.
    pub fn of_ours(message: &Message<'_>) -> Option<Self> {
        let &[family, length, from_length, tos, table, protocol, _, kind, ..] = message.payload.first_chunk::<FIXED>()?;
        if protocol != PROTOCOL {
            return None;
        }
        let any = match i32::from(family) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let family = Family::of(&any);
        let (mut destination, mut from) = (any, any);
        let (mut table, mut metric, mut via, mut ifindex) = (u32::from(table), 0, None, None);
        for (kind, value) in Attributes(message.payload.get(FIXED..)?) {
            match kind {
                RTA_DST => destination = address(value, family)?,
                RTA_SRC => from = address(value, family)?,
                RTA_GATEWAY => via = Some(address(value, family)?),
                RTA_OIF => ifindex = Some(u32_at(value, 0)?),
                RTA_PRIORITY => metric = u32_at(value, 0)?,
                RTA_TABLE => table = u32_at(value, 0)?,
                _ => {}
            }
        }
        let from = if from_length == 0 { None } else { Some(IpPrefix::new(from, from_length)?) };
        Some(Self { destination: IpPrefix::new(destination, length)?, from, table, tos, metric, kind, via, ifindex })
    }
}

/// An address attribute.
pub(super) fn address(value: &[u8], family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => Some(IpAddr::V4((*value.first_chunk::<4>()?).into())),
        Family::V6 => Some(IpAddr::V6((*value.first_chunk::<16>()?).into())),
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
