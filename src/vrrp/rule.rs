//! One line of `virtual_rules` or `static_rules`, right by type (keepalived.conf(5), ip-rule(8)).

use super::route::{PROTOCOL, destination};
use crate::types::{Family, IpPrefix};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A routing rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Of what packets.
    pub family: Family,
    /// `not`: of all packets that do not match.
    pub inverted: bool,
    /// `from`.
    pub from: Option<IpPrefix>,
    /// `to`.
    pub to: Option<IpPrefix>,
    /// `preference`, `priority`, `order`: smaller comes first.
    pub priority: u32,
    /// `tos`.
    pub tos: u8,
    /// `fwmark`.
    pub mark: Option<u32>,
    /// `/MASK` of `fwmark`.
    pub mask: Option<u32>,
    /// `realms` (IPv4).
    pub realms: Option<u32>,
    /// `suppress_prefixlength`.
    pub suppress_prefix: Option<u32>,
    /// `suppress_ifgroup`.
    pub suppress_group: Option<u32>,
    /// `iif`, `dev`.
    pub input: Option<String>,
    /// `oif`.
    pub output: Option<String>,
    /// `tunnel-id`.
    pub tunnel: Option<u64>,
    /// `uidrange`.
    pub users: Option<(u32, u32)>,
    /// `l3mdev`: the table of the interface's VRF.
    pub l3mdev: bool,
    /// `protocol`: RTPROT_*; none with `no_track`.
    pub protocol: Option<u8>,
    /// `ipproto`.
    pub ip_protocol: Option<u8>,
    /// `sport`.
    pub source_ports: Option<(u16, u16)>,
    /// `dport`.
    pub destination_ports: Option<(u16, u16)>,
    /// What is done.
    pub action: RuleAction,
    /// `no_track`: its loss is nobody's business.
    pub no_track: bool,
    /// `track_group`.
    pub track_group: Option<String>,
}

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RuleAction {
    /// Looks into this table; 0 with `l3mdev`.
    Table(u32),
    /// Goes on at the rule with this priority.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops silently.
    Blackhole,
    /// Drops: network unreachable.
    Unreachable,
    /// Drops: administratively prohibited.
    Prohibit,
}

impl Rule {
    /// A rule that says only what it does.
    pub const fn of(action: RuleAction) -> Self {
        Self {
            family: Family::V4,
            inverted: false,
            from: None,
            to: None,
            priority: 0,
            tos: 0,
            mark: None,
            mask: None,
            realms: None,
            suppress_prefix: None,
            suppress_group: None,
            input: None,
            output: None,
            tunnel: None,
            users: None,
            l3mdev: false,
            protocol: Some(PROTOCOL),
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            action,
            no_track: false,
            track_group: None,
        }
    }

    /// The interfaces whose going down is a fault of who holds the rule.
    pub fn tracked_devices(&self) -> impl Iterator<Item = &str> {
        self.input.as_deref().into_iter().chain(self.output.as_deref()).filter(|_| !self.no_track)
    }
}

/// As the original shows it in its data and its log: `from 192.0.2.1 priority 1000 tos 0x0 protocol 18 lookup 100`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |prefix: IpPrefix| if prefix.length() == 0 { "all".to_owned() } else { destination(prefix) };
        if self.inverted {
            f.write_str("not ")?;
        }
        write!(f, "from {}", self.from.map_or_else(|| "all".to_owned(), end))?;
        if let Some(to) = self.to {
            write!(f, " to {}", end(to))?;
        }
        write!(f, " priority {} tos {:#x}", self.priority, self.tos)?;
        match (self.mark, self.mask) {
            (Some(mark), Some(mask)) => write!(f, " fwmark {mark:#x}/{mask:#x}")?,
            (Some(mark), None) => write!(f, " fwmark {mark:#x}")?,
            (None, _) => {}
        }
        let mut say = |word: &str, value: Option<String>| value.map_or(Ok(()), |value| write!(f, " {word} {value}"));
        say("iif", self.input.clone())?;
        say("oif", self.output.clone())?;
        say("suppress_prefixlen", self.suppress_prefix.map(|length| length.to_string()))?;
        say("suppress_ifgroup", self.suppress_group.map(|group| group.to_string()))?;
        say("tunnel-id", self.tunnel.map(|id| id.to_string()))?;
        say("uidrange", self.users.map(|(first, last)| format!("{first}-{last}")))?;
        if self.l3mdev {
            f.write_str(" l3mdev")?;
        }
        let mut say = |word: &str, value: Option<String>| value.map_or(Ok(()), |value| write!(f, " {word} {value}"));
        say("protocol", self.protocol.map(|number| number.to_string()))?;
        say("ipproto", self.ip_protocol.map(|number| number.to_string()))?;
        say("sport", self.source_ports.map(|(first, last)| format!("{first}-{last}")))?;
        say("dport", self.destination_ports.map(|(first, last)| format!("{first}-{last}")))?;
        say(
            "realms",
            self.realms.map(|realms| match (realms >> 16, realms & 0xffff) {
                (0, to) => to.to_string(),
                (from, to) => format!("{from}/{to}"),
            }),
        )?;
        match self.action {
            RuleAction::Table(table) => write!(f, " lookup {table}")?,
            RuleAction::Goto(target) => write!(f, " goto {target}")?,
            RuleAction::Nop => f.write_str(" type nop")?,
            RuleAction::Blackhole => f.write_str(" type blackhole")?,
            RuleAction::Unreachable => f.write_str(" type unreachable")?,
            RuleAction::Prohibit => f.write_str(" type prohibit")?,
        }
        if self.no_track {
            f.write_str(" no_track")?;
        }
        self.track_group.iter().try_for_each(|group| write!(f, " track_group {group}"))
    }
}
