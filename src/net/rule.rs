//! Routing rules as the kernel is asked for them, and as it reports that one is gone (`linux/fib_rules.h`).

use super::route::address;
use super::rtnl::{Mode, Order};
use super::wire::{Attributes, Builder, Message, octets, text, u32_at};
use crate::types::{Family, IpPrefix};
use crate::vrrp::route::PROTOCOL;
use crate::vrrp::rule::{Rule, RuleAction};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_FLOW: u16 = 11;
const FRA_TUN_ID: u16 = 12;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
/// FIB_RULE_INVERT.
const INVERT: u32 = 2;
/// `struct fib_rule_hdr`.
const FIXED: usize = 12;

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RuleOp {
    /// Make it be there.
    Add(Rule),
    /// Make it not be there.
    Delete(Rule),
}

/// What tells one rule from another: enough of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RuleKey {
    /// Family.
    pub family: Family,
    /// `priority`.
    pub priority: u32,
    /// `from`, `to`, without those of everything.
    pub ends: [Option<IpPrefix>; 2],
    /// FR_ACT_*.
    pub action: u8,
    /// `table`; 0 when it looks into none.
    pub table: u32,
    /// `tos`.
    pub tos: u8,
    /// `fwmark`; 0 for none.
    pub mark: u32,
    /// `iif`, `oif`.
    pub interfaces: [Option<String>; 2],
}

/// FR_ACT_*.
const fn action(action: RuleAction) -> u8 {
    match action {
        RuleAction::Table(_) => 1,
        RuleAction::Goto(_) => 2,
        RuleAction::Nop => 3,
        RuleAction::Blackhole => 6,
        RuleAction::Unreachable => 7,
        RuleAction::Prohibit => 8,
    }
}

const fn table(rule: &Rule) -> u32 {
    match rule.action {
        RuleAction::Table(table) => table,
        RuleAction::Goto(_) | RuleAction::Nop | RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => 0,
    }
}

/// A prefix that says something.
fn narrow(end: Option<IpPrefix>) -> Option<IpPrefix> {
    end.filter(|prefix| prefix.length() > 0).map(IpPrefix::network)
}

impl RuleKey {
    /// Of a configured rule.
    pub fn of(rule: &Rule) -> Self {
        Self {
            family: rule.family,
            priority: rule.priority,
            ends: [narrow(rule.from), narrow(rule.to)],
            action: action(rule.action),
            table: table(rule),
            tos: rule.tos,
            mark: rule.mark.unwrap_or(0),
            interfaces: [rule.input.clone(), rule.output.clone()],
        }
    }

    /// Of a rule of ours that RTM_DELRULE reports; `None` for anybody else's, and for what cannot be read.
    pub fn of_ours(message: &Message<'_>) -> Option<Self> {
        let &[family, to_length, from_length, tos, table, _, _, action, ..] = message.payload.first_chunk::<FIXED>()?;
        let any = match i32::from(family) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let family = Family::of(&any);
        let (mut from, mut to, mut ours) = (any, any, false);
        let (mut table, mut priority, mut mark, mut input, mut output) = (u32::from(table), 0, 0, None, None);
        for (kind, value) in Attributes(message.payload.get(FIXED..)?) {
            match kind {
                FRA_DST => to = address(value, family)?,
                FRA_SRC => from = address(value, family)?,
                FRA_IIFNAME => input = text(value).map(str::to_owned),
                FRA_OIFNAME => output = text(value).map(str::to_owned),
                FRA_PRIORITY => priority = u32_at(value, 0)?,
                FRA_FWMARK => mark = u32_at(value, 0)?,
                FRA_TABLE => table = u32_at(value, 0)?,
                FRA_PROTOCOL => ours = value == [PROTOCOL],
                _ => {}
            }
        }
        let ends = [narrow(Some(IpPrefix::new(from, from_length)?)), narrow(Some(IpPrefix::new(to, to_length)?))];
        ours.then_some(Self { family, priority, ends, action, table, tos, mark, interfaces: [input, output] })
    }
}

fn fixed(rule: &Rule) -> [u8; FIXED] {
    let family = match rule.family {
        Family::V4 => libc::AF_INET as u8,
        Family::V6 => libc::AF_INET6 as u8,
    };
    let length = |end: Option<IpPrefix>| end.map_or(0, IpPrefix::length);
    let [a, b, c, d] = (if rule.inverted { INVERT } else { 0 }).to_ne_bytes();
    let table = u8::try_from(table(rule)).unwrap_or(0);
    [family, length(rule.to), length(rule.from), rule.tos, table, 0, 0, action(rule.action), a, b, c, d]
}

fn pair<T: Copy, const N: usize>(range: (T, T), bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    [bytes(range.0), bytes(range.1)].concat()
}

fn attributes(rule: &Rule, m: &mut Builder) {
    let number = |m: &mut Builder, kind: u16, value: Option<u32>| {
        if let Some(value) = value {
            m.attribute(kind, &value.to_ne_bytes());
        }
    };
    number(m, FRA_TABLE, Some(table(rule)).filter(|table| *table > 255));
    for (kind, end) in [(FRA_SRC, rule.from), (FRA_DST, rule.to)] {
        if let Some(end) = end {
            octets(m, kind, end.address());
        }
    }
    number(m, FRA_PRIORITY, Some(rule.priority));
    number(m, FRA_FWMARK, rule.mark);
    number(m, FRA_FWMASK, rule.mask);
    number(m, FRA_FLOW, rule.realms);
    number(m, FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefix);
    number(m, FRA_SUPPRESS_IFGROUP, rule.suppress_group);
    for (kind, name) in [(FRA_IIFNAME, &rule.input), (FRA_OIFNAME, &rule.output)] {
        if let Some(name) = name {
            m.text(kind, name);
        }
    }
    if let Some(id) = rule.tunnel {
        m.attribute(FRA_TUN_ID, &id.to_be_bytes());
    }
    if let Some(users) = rule.users {
        m.attribute(FRA_UID_RANGE, &pair(users, u32::to_ne_bytes));
    }
    if rule.l3mdev {
        m.attribute(FRA_L3MDEV, &[1]);
    }
    for (kind, byte) in [(FRA_PROTOCOL, rule.protocol), (FRA_IP_PROTO, rule.ip_protocol)] {
        if let Some(byte) = byte {
            m.attribute(kind, &[byte]);
        }
    }
    for (kind, ports) in [(FRA_SPORT_RANGE, rule.source_ports), (FRA_DPORT_RANGE, rule.destination_ports)] {
        if let Some(ports) = ports {
            m.attribute(kind, &pair(ports, u16::to_ne_bytes));
        }
    }
    if let RuleAction::Goto(target) = rule.action {
        number(m, FRA_GOTO, Some(target));
    }
}

impl RuleOp {
    /// The rule concerned.
    pub const fn rule(&self) -> &Rule {
        match self {
            Self::Add(rule) | Self::Delete(rule) => rule,
        }
    }
}

impl Order for RuleOp {
    fn emit(&self, m: &mut Builder, sequence: u32, _: Mode) {
        match self {
            Self::Add(rule) => {
                let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
                m.message(libc::RTM_NEWRULE, flags, sequence, &fixed(rule), |m| attributes(rule, m));
            }
            Self::Delete(rule) => m.message(libc::RTM_DELRULE, 0, sequence, &fixed(rule), |m| attributes(rule, m)),
        }
    }

    fn reached(&self, code: i32) -> bool {
        match self {
            Self::Add(_) => code == libc::EEXIST,
            Self::Delete(_) => code == libc::ENOENT,
        }
    }

    fn replaces(&self) -> bool {
        false
    }

    fn what(&self) -> String {
        match self {
            Self::Add(rule) => format!("add rule {rule}"),
            Self::Delete(rule) => format!("remove rule {rule}"),
        }
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
