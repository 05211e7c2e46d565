//! One route.

use super::hops::{self, interface};
use super::numbers::{decimal, named, realms, time};
use super::{Cursor, Name, Owner, Parsed, address, everything, family_word, prefix, refuse, track_group};
use crate::config::read::{Line, Reader};
use crate::syntax::{Complaint, Span, suggest};
use crate::types::{Family, IpPrefix};
use crate::vrrp::route::{KINDS, METRICS, Metric, Mode, NextHop, PROTOCOL, Route};

/// RTAX_FEATURE_ECN.
const ECN: u32 = 1;
/// RTAX_FEATURES.
const FEATURES: u16 = 12;

const USAGE: &str = "'[TYPE] [to] DESTINATION [via ADDRESS] [dev IF] [src A] [from A/LEN] [table T] [metric N] [scope S] [tos T] [protocol P] [onlink] [mtu [lock] N] … [add|prepend|append] [no_track] [nexthop …]'";

const OPTIONS: &[&str] = &[
    "to",
    "via",
    "gw",
    "dev",
    "oif",
    "src",
    "from",
    "table",
    "metric",
    "priority",
    "preference",
    "scope",
    "tos",
    "dsfield",
    "protocol",
    "onlink",
    "encap",
    "expires",
    "realms",
    "features",
    "congctl",
    "pref",
    "ttl-propagate",
    "add",
    "prepend",
    "append",
    "or",
    "no_track",
    "track_group",
    "nexthop",
    "inet",
    "inet6",
    "mtu",
    "hoplimit",
    "advmss",
    "rtt",
    "rttvar",
    "reordering",
    "window",
    "cwnd",
    "ssthresh",
    "rto_min",
    "initcwnd",
    "initrwnd",
    "quickack",
    "fastopen_no_cookie",
];

/// A route while its line is read.
struct Draft {
    owner: Owner,
    route: Route,
    family: Option<Family>,
    /// `Some(None)` is `default`.
    destination: Option<Option<IpPrefix>>,
    /// How the destination is written.
    name: String,
    mode: Option<Mode>,
    protocol: Option<u8>,
    group: Option<Span>,
    alternative: Option<NextHop>,
}

/// Reads a line; `None`, with a complaint, when the route cannot be used.
pub(in crate::config) fn parse(reader: &mut Reader, line: &Line<'_>, owner: Owner) -> Option<Route> {
    let mut draft = Draft {
        owner,
        route: Route::to(everything(Family::V4)),
        family: None,
        destination: None,
        name: String::new(),
        mode: None,
        protocol: None,
        group: None,
        alternative: None,
    };
    let mut cursor = Cursor::new(line, USAGE);
    let read = draft.read(reader, &mut cursor).and_then(|()| draft.finish(reader, line));
    read.ok()
}

impl Draft {
    fn read(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
        while let Some(word) = cursor.peek() {
            if &*word.text == "nexthop" {
                self.route.hops = hops::all(reader, cursor, &mut self.family)?;
                return Ok(());
            }
            cursor.take();
            let known = self.place(reader, cursor, word.span, word)?
                || self.lookup(reader, cursor, word.span, word)?
                || self.number(reader, cursor, word)?;
            if !known {
                self.to(reader, word.span, word)?;
            }
        }
        Ok(())
    }

    /// An address of this family makes the route one of it.
    fn joins(&mut self, reader: &mut Reader, span: Span, family: Family) -> Parsed<()> {
        if *self.family.get_or_insert(family) == family {
            return Ok(());
        }
        Err(refuse(reader, span, "Cannot mix IPv4 and IPv6 addresses for route".to_owned(), "addresses of one family"))
    }

    fn to(&mut self, reader: &mut Reader, span: Span, word: &str) -> Parsed<()> {
        if word == "default6" {
            reader.complain(Complaint::remark(span, "\"default6\" is deprecated. Please use \"inet6 default\""));
            self.name = "default".to_owned();
            self.destination = Some(None);
            return self.joins(reader, span, Family::V6);
        }
        let is_address = matches!(word, "default" | "any" | "all")
            || word.split('/').next().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok());
        if !is_address {
            let near = suggest::nearest(word, OPTIONS.iter().copied()).map(|near| format!("did you mean '{near}'?"));
            let complaint = Complaint::error(span, format!("unknown route keyword {word}")).expected(USAGE);
            reader.complain(complaint.help(near.unwrap_or_else(|| "the line is left out".to_owned())));
            return Err(super::Refused);
        }
        let written = crate::syntax::Word { text: word.into(), span };
        let destination = prefix(reader, &written, "invalid route address")?;
        word.clone_into(&mut self.name);
        self.destination = Some(destination);
        destination.map_or(Ok(()), |prefix| self.joins(reader, span, prefix.family()))
    }

    /// Where from, where to, on what link.
    fn place(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, span: Span, word: &str) -> Parsed<bool> {
        match word {
            "to" => {
                let value = cursor.value(reader)?;
                self.to(reader, value.span, value)?;
            }
            "inet" | "inet6" => {
                let family = family_word(word).unwrap_or(Family::V4);
                self.joins(reader, span, family)?;
            }
            "src" => {
                let source = address(reader, cursor, "invalid route src address")?;
                self.joins(reader, span, Family::of(&source))?;
                self.route.source = Some(source);
            }
            "via" | "gw" => {
                if word == "gw" {
                    reader.complain(Complaint::warning(span, "\"gw\" for routes is deprecated. Please use \"via\"").fix(span, "via"));
                }
                let via = address(reader, cursor, "invalid route via address")?;
                self.joins(reader, span, Family::of(&via))?;
                self.route.via = Some(via);
            }
            "or" => {
                let via = hops::or(reader, cursor)?;
                self.joins(reader, span, Family::of(&via))?;
                self.alternative = Some(NextHop { via: Some(via), device: None, weight: 0, onlink: false, encap: None, realms: None });
            }
            "from" => {
                let value = cursor.value(reader)?;
                let from = prefix(reader, value, "invalid route from address")?.unwrap_or(everything(Family::V6));
                if from.family() == Family::V4 {
                    let message = format!("route from address only supported with IPv6 ({})", &**value);
                    return Err(refuse(reader, value.span, message, "a rule: 'from ADDRESS table T' in virtual_rules"));
                }
                self.joins(reader, span, Family::V6)?;
                self.route.from = Some(from);
            }
            "dev" | "oif" => self.route.device = Some(interface(reader, cursor)?),
            "vrf" => {
                let value = cursor.value(reader)?;
                let message = format!("Route specified VRF {}: VRFs by name are not acted on yet", &**value);
                return Err(refuse(reader, value.span, message, "the number of its table: 'table N'"));
            }
            "onlink" => self.route.onlink = true,
            "encap" => self.route.encap = hops::encap(reader, cursor)?,
            "as" => {
                cursor.takes("to");
                cursor.take();
                reader.complain(Complaint::error(span, "\"as to\" for MPLS only - ignoring"));
            }
            kind => match KINDS.iter().find(|(name, _)| *name == if kind == "brd" { "broadcast" } else { kind }) {
                Some((_, number)) => {
                    let value = cursor.value(reader)?;
                    self.route.kind = *number;
                    self.mode.get_or_insert(Mode::Add);
                    self.to(reader, value.span, value)?;
                }
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Which table, which place in it, whose.
    fn lookup(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, span: Span, word: &str) -> Parsed<bool> {
        let byte = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        match word {
            "table" => self.route.table = named(reader, cursor, Name::Table, u32::MAX, "Routing table {} not found for route")?,
            "tos" | "dsfield" => self.route.tos = byte(named(reader, cursor, Name::Tos, 255, "TOS value {} is invalid")?),
            "protocol" => {
                self.protocol = Some(byte(named(reader, cursor, Name::Protocol, 255, "Protocol {} not found or invalid for route")?))
            }
            "scope" => self.route.scope = Some(byte(named(reader, cursor, Name::Scope, 255, "Scope {} not found or invalid for route")?)),
            "metric" | "priority" | "preference" => {
                self.route.metric = Some(decimal(reader, cursor, 0..=u32::MAX, "Invalid metric {} specified for route")?);
            }
            "add" => self.mode = Some(Mode::Add),
            "prepend" => self.mode = Some(Mode::Prepend),
            "append" => self.mode = Some(Mode::Append),
            "no_track" => self.route.no_track = true,
            "track_group" if self.owner == Owner::Host => {
                let (group, span) = track_group(reader, cursor)?;
                self.route.track_group = Some(group);
                self.group = Some(span);
            }
            "track_group" => {
                return Err(refuse(reader, span, "unknown route keyword track_group".to_owned(), "track_group in static_routes"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What it tells TCP and the like.
    fn number(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, word: &crate::syntax::Word<'_>) -> Parsed<bool> {
        let keyword = &*word.text;
        match keyword {
            "realms" | "expires" | "pref" | "congctl" | "features" | "ttl-propagate" => self.oddity(reader, cursor, keyword)?,
            _ => {
                let Some((name, number)) = METRICS.iter().find(|(name, _)| *name == keyword) else { return Ok(false) };
                let lockable = !matches!(keyword, "hoplimit" | "window" | "initcwnd" | "initrwnd" | "quickack" | "fastopen_no_cookie");
                let locked = lockable && cursor.takes("lock");
                let shown = if *name == "mtu" { "MTU" } else { name };
                let value = match *name {
                    "rtt" | "rttvar" | "rto_min" => time(reader, cursor, name)?,
                    "hoplimit" => decimal(reader, cursor, 0..=255, "Invalid hoplimit {} specified for route")?,
                    "quickack" | "fastopen_no_cookie" => {
                        decimal(reader, cursor, 0..=1, &format!("Invalid {name} value {{}} specified for route"))?
                    }
                    "initcwnd" | "initrwnd" => {
                        decimal(reader, cursor, 0..=u32::MAX, &format!("Invalid {name} value {{}} specified for route"))?
                    }
                    _ => decimal(reader, cursor, 0..=u32::MAX, &format!("Invalid {shown} {{}} specified for route"))?,
                };
                self.put(Metric { number: *number, value, locked });
            }
        }
        Ok(true)
    }

    fn oddity(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, keyword: &str) -> Parsed<()> {
        let locked = keyword == "congctl" && cursor.takes("lock");
        let value = cursor.value(reader)?;
        let said = |what: &str| what.replace("{}", value);
        match keyword {
            "congctl" => self.route.congctl = Some((value.to_string(), locked)),
            "features" if &*value.text == "ecn" => self.put(Metric { number: FEATURES, value: ECN, locked: false }),
            "features" => reader.complain(Complaint::error(value.span, said("feature {} not supported")).expected("ecn")),
            "ttl-propagate" => match &*value.text {
                "enabled" => self.route.ttl_propagate = Some(true),
                "disabled" => self.route.ttl_propagate = Some(false),
                _ => reader
                    .complain(Complaint::error(value.span, said("ttl-propagate value {} not recognised")).expected("enabled or disabled")),
            },
            "realms" => {
                if self.family == Some(Family::V6) {
                    return Err(refuse(reader, value.span, "realms are only valid for IPv4".to_owned(), "no realms"));
                }
                let known = realms(&reader.tables, value);
                self.route.realms =
                    Some(known.ok_or_else(|| refuse(reader, value.span, said("Invalid realms {} for route"), "[FROM/]TO"))?);
            }
            "expires" | "pref" if self.family == Some(Family::V4) => {
                return Err(refuse(reader, value.span, format!("{keyword} is only valid for IPv6"), "an IPv6 route"));
            }
            "expires" => {
                let seconds = value
                    .parse()
                    .map_err(|_| refuse(reader, value.span, said("Invalid expires time {} specified for route"), "seconds"))?;
                self.route.expires = Some(seconds);
            }
            _ => {
                let preference = match &*value.text {
                    "low" => Some(3),
                    "medium" => Some(0),
                    "high" => Some(1),
                    number => number.parse().ok(),
                };
                let expected = "low, medium, high or a number";
                self.route.preference = Some(
                    preference.ok_or_else(|| refuse(reader, value.span, said("Invalid pref value {} specified for route"), expected))?,
                );
            }
        }
        Ok(())
    }

    /// In the order of the table; the last of a kind counts.
    fn put(&mut self, metric: Metric) {
        let place = |metric: &Metric| METRICS.iter().position(|(_, number)| *number == metric.number);
        self.route.metrics.retain(|other| other.number != metric.number);
        self.route.metrics.push(metric);
        self.route.metrics.sort_by_key(place);
    }

    fn finish(&mut self, reader: &mut Reader, line: &Line<'_>) -> Parsed<Route> {
        let Some(destination) = self.destination else {
            return Err(refuse(reader, line.span(), "Route must have a destination".to_owned(), USAGE));
        };
        let family = self.family.unwrap_or(Family::V4);
        let v4 = family == Family::V4;
        self.route.destination = destination.unwrap_or(everything(family));
        if (v4 && (self.route.expires.is_some() || self.route.preference.is_some())) || (!v4 && self.route.realms.is_some()) {
            let message = if v4 { "expires and pref are only valid for IPv6" } else { "realms are only valid for IPv4" };
            return Err(refuse(reader, line.span(), message.to_owned(), ""));
        }
        if let Some(alternative) = self.alternative.take() {
            self.add_alternative(alternative);
        }
        self.route.mode = self.mode.unwrap_or(Mode::Prepend);
        self.track(reader, line);
        Ok(self.route.clone())
    }

    /// Two gateways share the traffic.
    fn add_alternative(&mut self, mut other: NextHop) {
        match self.route.via.take() {
            Some(via) => {
                other.device = self.route.device.clone();
                self.route.hops = vec![NextHop { via: Some(via), ..other.clone() }, other];
            }
            None => self.route.via = other.via,
        }
    }

    /// Whether its loss is noticed: only of one that names its interface, and that is marked as ours.
    fn track(&mut self, reader: &mut Reader, line: &Line<'_>) {
        let route = &mut self.route;
        if !route.no_track && route.device.is_none() {
            let message = format!("cannot track route {} with no interface specified, not tracking", self.name);
            let help = "name it: 'dev INTERFACE'; or say 'no_track'".to_owned();
            reader.complain(Complaint::warning(line.span(), message).help(help).rule("untracked-route"));
            route.no_track = true;
        }
        if !route.no_track && self.protocol.is_some_and(|protocol| protocol != PROTOCOL) {
            let message = format!("Route cannot be tracked if protocol is not RTPROT_KEEPALIVED({PROTOCOL}), resetting protocol");
            reader.complain(Complaint::warning(line.span(), message).help("say 'no_track' to keep the protocol".to_owned()));
            self.protocol = None;
        }
        route.protocol = self.protocol.unwrap_or(PROTOCOL);
        if let Some(span) = self.group
            && route.device.is_none()
        {
            reader.complain(
                Complaint::error(span, "Static route cannot have track group if no oif specified")
                    .help("name it: 'dev INTERFACE'".to_owned()),
            );
            route.track_group = None;
        }
    }
}
