//! One rule.

use super::numbers::{any_base, named, range, realms};
use super::{Cursor, Name, Owner, Parsed, Refused, everything, family_word, prefix, refuse, track_group};
use crate::config::read::{Line, Reader};
use crate::syntax::{Complaint, Span, Word, suggest};
use crate::types::{Family, IpPrefix};
use crate::vrrp::route::PROTOCOL;
use crate::vrrp::rule::{Rule, RuleAction};

const USAGE: &str = "'[not] [from A] [to A] [iif IF] [oif IF] [fwmark M[/MASK]] [tos T] [ipproto P] [sport A-B] [dport A-B] [uidrange A-B] [tunnel-id N] [preference N] [no_track] (table T | goto N | nop | blackhole | unreachable | prohibit | l3mdev)'";

const OPTIONS: &[&str] = &[
    "not",
    "from",
    "to",
    "table",
    "lookup",
    "preference",
    "priority",
    "order",
    "tos",
    "dsfield",
    "fwmark",
    "realms",
    "suppress_prefixlength",
    "suppress_ifgroup",
    "dev",
    "iif",
    "oif",
    "tunnel-id",
    "uidrange",
    "l3mdev",
    "protocol",
    "ipproto",
    "sport",
    "dport",
    "no_track",
    "track_group",
    "type",
    "goto",
    "nop",
    "blackhole",
    "unreachable",
    "prohibit",
    "inet",
    "inet6",
];

/// The first preference that is given to a rule without one; the next gets one less.
const FIRST_PREFERENCE: u32 = 16384;
const ACTIONS: &str = "table/nop/goto/blackhole/prohibit/unreachable";

struct Draft {
    owner: Owner,
    rule: Rule,
    family: Option<Family>,
    /// `Some(None)` is `all`.
    from: Option<Option<IpPrefix>>,
    to: Option<Option<IpPrefix>>,
    action: Option<RuleAction>,
    priority: Option<u32>,
    group: Option<Span>,
}

/// Reads a line; `None`, with a complaint, when the rule cannot be used.
pub(in crate::config) fn parse(reader: &mut Reader, line: &Line<'_>, owner: Owner) -> Option<Rule> {
    let mut draft = Draft {
        owner,
        rule: Rule { protocol: None, ..Rule::of(RuleAction::Nop) },
        family: None,
        from: None,
        to: None,
        action: None,
        priority: None,
        group: None,
    };
    let mut cursor = Cursor::new(line, USAGE);
    draft.read(reader, &mut cursor).and_then(|()| draft.finish(reader, line)).ok()
}

/// A number of any base after a keyword.
fn number<T: TryFrom<u64>>(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, what: &str) -> Parsed<T> {
    let word = cursor.value(reader)?;
    let number = any_base(word).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| refuse(reader, word.span, what.replace("{}", word), "a number"))
}

impl Draft {
    fn read(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
        while let Some(word) = cursor.take() {
            let known = self.matches(reader, cursor, word)? || self.narrows(reader, cursor, word)? || self.acts(reader, cursor, word)?;
            if !known {
                return Err(unknown(reader, word));
            }
        }
        Ok(())
    }

    fn joins(&mut self, reader: &mut Reader, span: Span, family: Family) -> Parsed<()> {
        if *self.family.get_or_insert(family) == family {
            return Ok(());
        }
        Err(refuse(reader, span, "rule specification has mixed IPv4 and IPv6".to_owned(), "addresses of one family"))
    }

    /// Where a packet comes from and goes to.
    fn matches(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, word: &Word<'_>) -> Parsed<bool> {
        match &*word.text {
            "not" => self.rule.inverted = true,
            "inet" | "inet6" => {
                let family = family_word(word).unwrap_or(Family::V4);
                self.joins(reader, word.span, family)?;
            }
            end @ ("from" | "to") => {
                let value = cursor.value(reader)?;
                let found = prefix(reader, value, &format!("Invalid rule {end} address"))?;
                if let Some(prefix) = found {
                    self.joins(reader, value.span, prefix.family())?;
                }
                *(if end == "from" { &mut self.from } else { &mut self.to }) = Some(found);
            }
            "dev" | "iif" => self.rule.input = Some(interface(reader, cursor)?),
            "oif" => self.rule.output = Some(interface(reader, cursor)?),
            "preference" | "priority" | "order" => self.priority = Some(number(reader, cursor, "Invalid rule preference {} specified")?),
            "no_track" => self.rule.no_track = true,
            "track_group" if self.owner == Owner::Host => {
                let (group, span) = track_group(reader, cursor)?;
                self.rule.track_group = Some(group);
                self.group = Some(span);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What else a packet is, and what else the lookup does.
    fn narrows(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, word: &Word<'_>) -> Parsed<bool> {
        let rule = &mut self.rule;
        match &*word.text {
            "tos" | "dsfield" => {
                rule.tos = u8::try_from(named(reader, cursor, Name::Tos, 255, "TOS value {} is invalid")?).unwrap_or(0);
            }
            "fwmark" => {
                let value = cursor.value(reader)?;
                let (mark, mask) = value.split_once('/').map_or((&**value, None), |(mark, mask)| (mark, Some(mask)));
                let word_of = |text: &str| any_base(text).and_then(|number| u32::try_from(number).ok());
                // `1/` is `1/0`.
                let mask = mask.map(|mask| if mask.is_empty() { Some(0) } else { word_of(mask) });
                let (Some(mark), false) = (word_of(mark), mask == Some(None)) else {
                    let message = format!("Invalid rule fwmark {} specified", &**value);
                    return Err(refuse(reader, value.span, message, "MARK[/MASK]"));
                };
                (rule.mark, rule.mask) = (Some(mark), mask.flatten());
            }
            "realms" => {
                let value = cursor.value(reader)?;
                let known = realms(&reader.tables, value);
                rule.realms = Some(known.ok_or_else(|| refuse(reader, value.span, format!("invalid realms {}", &**value), "[FROM/]TO"))?);
            }
            "suppress_prefixlength" | "sup_pl" => {
                rule.suppress_prefix = Some(number(reader, cursor, "Invalid suppress_prefixlength {} specified")?);
            }
            "suppress_ifgroup" | "sup_group" => {
                rule.suppress_group = Some(named(reader, cursor, Name::Group, u32::MAX, "suppress_group {} is invalid")?);
            }
            "tunnel-id" => rule.tunnel = Some(number(reader, cursor, "Invalid tunnel-id {} specified")?),
            "uidrange" => {
                let value = cursor.value(reader)?;
                let users = range(value);
                rule.users = Some(
                    users.ok_or_else(|| refuse(reader, value.span, format!("Invalid uidrange {} specified", &**value), "FIRST-LAST"))?,
                );
            }
            "protocol" => {
                let value = cursor.value(reader)?;
                rule.protocol = value.parse().ok();
                if rule.protocol.is_none() {
                    reader.complain(Complaint::error(value.span, format!("Invalid protocol {}", &**value)).expected("0..255"));
                }
            }
            "ipproto" => {
                let value = cursor.value(reader)?;
                rule.ip_protocol = ip_protocol(value);
                if rule.ip_protocol.is_none() {
                    reader.complain(Complaint::error(value.span, format!("Invalid ipproto {}", &**value)).expected("tcp, udp … or 0..255"));
                }
            }
            end @ ("sport" | "dport") => {
                let value = cursor.value(reader)?;
                // More than 16 bits are cut, as by the original.
                let ports = range::<u32>(value).map(|(first, last)| (first as u16, last as u16));
                if ports.is_none() {
                    let complaint = Complaint::error(value.span, format!("invalid {end} range {}", &**value));
                    reader.complain(complaint.expected("FIRST-LAST, for one port N-N"));
                }
                *(if end == "sport" { &mut rule.source_ports } else { &mut rule.destination_ports }) = ports;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn acts(&mut self, reader: &mut Reader, cursor: &mut Cursor<'_, '_>, word: &Word<'_>) -> Parsed<bool> {
        let mut word = word;
        let typed = &*word.text == "type";
        if typed {
            word = cursor.value(reader)?;
        }
        let action = match &*word.text {
            "table" | "lookup" if !typed => {
                let table = named(reader, cursor, Name::Table, u32::MAX, "Routing table {} not found for rule")?;
                if table == 0 {
                    return Err(refuse(reader, word.span, format!("Table {table} is not valid"), "1..4294967295"));
                }
                RuleAction::Table(table)
            }
            "l3mdev" if !typed => {
                self.rule.l3mdev = true;
                RuleAction::Table(0)
            }
            "goto" => RuleAction::Goto(number(reader, cursor, "Invalid target {} specified")?),
            "nop" => RuleAction::Nop,
            "blackhole" => RuleAction::Blackhole,
            "unreachable" => RuleAction::Unreachable,
            "prohibit" => RuleAction::Prohibit,
            other if typed => return Err(refuse(reader, word.span, format!("Invalid rule action {other}"), ACTIONS)),
            _ => return Ok(false),
        };
        if self.action.is_some() {
            let message = format!("Cannot specify more than one of {ACTIONS}/l3mdev for rule");
            return Err(refuse(reader, word.span, message, "one of them"));
        }
        self.action = Some(action);
        Ok(true)
    }

    fn finish(&mut self, reader: &mut Reader, line: &Line<'_>) -> Parsed<Rule> {
        let Some(action) = self.action else {
            return Err(refuse(reader, line.span(), "No action specified for rule - ignoring".to_owned(), ACTIONS));
        };
        let rule = &mut self.rule;
        let narrowed = rule.realms.is_some() || rule.suppress_prefix.is_some() || rule.suppress_group.is_some();
        if narrowed && !matches!(action, RuleAction::Table(_)) {
            let message = "suppressor/realm specified for non table action - skipping".to_owned();
            return Err(refuse(reader, line.span(), message, "a 'table'"));
        }
        let family = self.family.unwrap_or(Family::V4);
        if family == Family::V6 && rule.realms.is_some() {
            return Err(refuse(reader, line.span(), "realms are only valid for IPv4".to_owned(), "no realms"));
        }
        if let RuleAction::Goto(target) = action {
            let wrong = match self.priority {
                None => Some(format!("Invalid rule - goto target {target} specified without preference")),
                Some(own) if own >= target => Some(format!("Invalid rule - preference {own} >= goto target {target}")),
                Some(_) => None,
            };
            if let Some(message) = wrong {
                return Err(refuse(reader, line.span(), message, "a preference below the target"));
            }
        }
        let whole = |end: Option<Option<IpPrefix>>| end.map(|prefix| prefix.unwrap_or(everything(family)));
        (rule.family, rule.action, rule.from, rule.to) = (family, action, whole(self.from), whole(self.to));
        rule.priority = self.priority.unwrap_or_else(|| given(reader, line, family));
        self.track(reader, line);
        Ok(self.rule.clone())
    }

    /// Whether its loss is noticed: only of one that is marked as ours.
    fn track(&mut self, reader: &mut Reader, line: &Line<'_>) {
        let rule = &mut self.rule;
        if !rule.no_track {
            if rule.protocol.is_some_and(|protocol| protocol != PROTOCOL) {
                let message = format!("Rule cannot be tracked if protocol is not RTPROT_KEEPALIVED({PROTOCOL}), resetting protocol");
                reader.complain(Complaint::warning(line.span(), message).help("say 'no_track' to keep the protocol".to_owned()));
            }
            rule.protocol = Some(PROTOCOL);
        }
        if let Some(span) = self.group
            && rule.input.is_none()
        {
            let message = "Static rule cannot have track_group if dev/iif not specified";
            reader.complain(Complaint::error(span, message).help("name it: 'iif INTERFACE'".to_owned()));
            rule.track_group = None;
        }
    }
}

/// A preference for a rule without one: its place then depends on the order of the lines.
fn given(reader: &mut Reader, line: &Line<'_>, family: Family) -> u32 {
    let used = match family {
        Family::V4 => &mut reader.preferences.0,
        Family::V6 => &mut reader.preferences.1,
    };
    let own = FIRST_PREFERENCE.saturating_sub(*used);
    *used += 1;
    let message = format!("Rule has no preference specified - setting to {own}. This is probably not what you want.");
    reader.complain(Complaint::warning(line.span(), message).help("say which: 'preference N'".to_owned()).rule("rule-preference"));
    own
}

fn interface(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<String> {
    let word = cursor.value(reader)?;
    reader.uses_interface(word, |_| "rule".to_owned());
    Ok(word.to_string())
}

/// Names of IANA's list that one filters by; any number.
fn ip_protocol(word: &str) -> Option<u8> {
    const NAMES: &[(&str, u8)] = &[
        ("ip", 0),
        ("icmp", 1),
        ("igmp", 2),
        ("ipip", 4),
        ("tcp", 6),
        ("egp", 8),
        ("igp", 9),
        ("udp", 17),
        ("dccp", 33),
        ("ipv6", 41),
        ("rsvp", 46),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("ipv6-icmp", 58),
        ("ospf", 89),
        ("pim", 103),
        ("vrrp", 112),
        ("l2tp", 115),
        ("sctp", 132),
        ("udplite", 136),
    ];
    let lower = word.to_ascii_lowercase();
    NAMES.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number).or_else(|| u8::try_from(any_base(word)?).ok())
}

fn unknown(reader: &mut Reader, word: &Word<'_>) -> Refused {
    let near = suggest::nearest(word, OPTIONS.iter().copied()).map(|near| format!("did you mean '{near}'?"));
    let complaint = Complaint::error(word.span, format!("Unknown rule option {}", &**word)).expected(USAGE);
    reader.complain(complaint.help(near.unwrap_or_else(|| "the line is left out".to_owned())));
    Refused
}
