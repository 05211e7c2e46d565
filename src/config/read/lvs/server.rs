//! `virtual_server`, `virtual_server_group` and `real_server`.

use super::super::{Line, Reader};
use super::checker;
use super::times::Times;
use super::{LEFT_OUT, bad, socket};
use crate::config::number;
use crate::config::read::notify::{script, twice};
use crate::lvs::settings::{Checksum, Forwarding, GroupEntry, Protocol, Tunnel, flag as bits};
use crate::syntax::command::Inline;
use crate::syntax::{Complaint, Span};
use crate::types::{Command, Family, IpPrefix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What clients reach, as written.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    Socket(SocketAddr),
    Mark(u32),
    Group(String),
}

/// One `virtual_server` block as far as it has been read.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(super) head: Head,
    pub(super) span: Span,
    pub(super) family: Option<Family>,
    pub(super) protocol: Option<Protocol>,
    pub(super) scheduler: Option<String>,
    pub(super) flags: u32,
    pub(super) method: Option<Forwarding>,
    pub(super) persistence: Option<u32>,
    pub(super) granularity: Option<u8>,
    pub(super) engine: Option<String>,
    pub(super) quorum: u32,
    pub(super) hysteresis: u32,
    pub(super) quorum_up: Option<Box<Command>>,
    pub(super) quorum_down: Option<Box<Command>>,
    pub(super) smtp_alert: Option<bool>,
    pub(super) ha_suspend: bool,
    pub(super) alpha: bool,
    pub(super) omega: bool,
    pub(super) inhibit: bool,
    pub(super) weight: Option<u32>,
    pub(super) virtualhost: Option<String>,
    pub(super) sorry: Option<SocketAddr>,
    pub(super) sorry_inhibit: bool,
    pub(super) sorry_method: Option<Forwarding>,
    pub(super) times: Times,
    pub(super) real: Vec<Real>,
}

/// One `real_server` block as far as it has been read.
#[derive(Clone, Debug)]
pub(crate) struct Real {
    pub(super) socket: SocketAddr,
    pub(super) span: Span,
    pub(super) weight: Option<u32>,
    pub(super) method: Option<Forwarding>,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) inhibit: Option<bool>,
    pub(super) alpha: Option<bool>,
    pub(super) notify_up: Option<Box<Command>>,
    pub(super) notify_down: Option<Box<Command>>,
    pub(super) smtp_alert: Option<bool>,
    pub(super) virtualhost: Option<String>,
    pub(super) times: Times,
    pub(super) checkers: Vec<checker::Draft>,
}

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    let Some(head) = head(reader, line) else { return };
    reader.lvs.server = Some(Draft {
        head,
        span: line.span(),
        family: None,
        protocol: None,
        scheduler: None,
        flags: 0,
        method: None,
        persistence: None,
        granularity: None,
        engine: None,
        quorum: 1,
        hysteresis: 0,
        quorum_up: None,
        quorum_down: None,
        smtp_alert: None,
        ha_suspend: false,
        alpha: false,
        omega: false,
        inhibit: false,
        weight: None,
        virtualhost: None,
        sorry: None,
        sorry_inhibit: false,
        sorry_method: None,
        times: Times::default(),
        real: Vec::new(),
    });
    reader.walk(&line.children);
    let mut server = reader.lvs.server.take();
    server.iter_mut().for_each(|server| server.real.shrink_to_fit());
    reader.lvs.servers.extend(server);
}

fn head(reader: &mut Reader, line: &Line<'_>) -> Option<Head> {
    match line.arg(0).map(|word| &*word.text) {
        Some("fwmark") => number::int(reader, line, 1, 1..=i64::from(u32::MAX), "the block is left out")
            .and_then(|mark| u32::try_from(mark).ok())
            .map(Head::Mark),
        Some("group") => line.arg(1).map(|name| Head::Group(name.to_string())),
        _ => socket(reader, line, 0).map(Head::Socket),
    }
}

pub(crate) fn group(reader: &mut Reader, block: &Line<'_>) {
    let Some(name) = block.arg(0).map(ToString::to_string) else { return };
    let entries: Vec<_> = block.children.iter().filter_map(|line| group_entry(reader, line)).collect();
    let v4 = entries.iter().any(|entry| matches!(entry, GroupEntry::Range { first: IpAddr::V4(_), .. }));
    let v6 = entries.iter().any(|entry| matches!(entry, GroupEntry::Range { first: IpAddr::V6(_), .. }));
    let mark = entries.iter().any(|entry| matches!(entry, GroupEntry::Mark(_, None)));
    if entries.is_empty() || (v4 && v6 && mark) {
        let why = if entries.is_empty() { "is empty" } else { "has IPv4, IPv6 and a fwmark without family" };
        let complaint = Complaint::error(block.span(), format!("virtual_server_group {name} {why}"));
        reader.complain(complaint.help("the group is left out".to_owned()));
        return;
    }
    reader.lvs.groups.insert(name, entries);
}

fn group_entry(reader: &mut Reader, line: &Line<'_>) -> Option<GroupEntry> {
    if &*line.word.text == "fwmark" {
        let mark = number::int(reader, line, 0, 1..=i64::from(u32::MAX), LEFT_OUT).and_then(|mark| u32::try_from(mark).ok())?;
        let family = match line.arg(1).map(|word| &*word.text) {
            Some("inet") => Some(Family::V4),
            Some("inet6") => Some(Family::V6),
            _ => None,
        };
        return Some(GroupEntry::Mark(mark, family));
    }
    let port = match line.arg(0) {
        None => 0,
        Some(_) => number::int(reader, line, 0, 0..=65535, LEFT_OUT).and_then(|port| u16::try_from(port).ok())?,
    };
    let Some((first, last)) = range(&line.word) else {
        let message = format!("virtual_server_group: invalid address or range {}", &*line.word);
        bad(reader, line.word.span, message, "ADDRESS, ADDRESS/LENGTH, FIRST-LAST");
        return None;
    };
    let size = crate::lvs::table::range(first, last).count() as u128;
    if size >= crate::lvs::table::RANGE_MAX {
        let message = format!("virtual_server_group: {} holds too many addresses", &*line.word);
        bad(reader, line.word.span, message, "fewer than 65536 addresses a line");
        return None;
    }
    Some(GroupEntry::Range { first, last, port })
}

/// `A`, `A/LEN`, `A-B` with whole addresses, `A.B.C.D-E` with the last part alone.
fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((address, length)) = text.split_once('/') {
        let prefix = IpPrefix::new(address.parse().ok()?, length.parse().ok()?)?;
        return network(prefix);
    }
    let Some((first, last)) = text.split_once('-') else {
        let address = text.parse().ok()?;
        return Some((address, address));
    };
    let first: IpAddr = first.parse().ok()?;
    let last = last.parse().ok().or_else(|| match first {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(Ipv4Addr::new(a, b, c, last.parse().ok()?).into())
        }
        IpAddr::V6(address) => {
            let low = u128::from(u16::from_str_radix(last, 16).ok()?);
            Some(Ipv6Addr::from_bits(address.to_bits() & !0xffff | low).into())
        }
    })?;
    (Family::of(&first) == Family::of(&last) && first <= last).then_some((first, last))
}

/// First and last address of a network without host bits.
fn network(prefix: IpPrefix) -> Option<(IpAddr, IpAddr)> {
    let host = u32::from(prefix.family().host_bits() - prefix.length());
    match prefix.address() {
        IpAddr::V4(address) => {
            let hosts = if host == 32 { u32::MAX } else { (1 << host) - 1 };
            (address.to_bits() & hosts == 0).then(|| (address.into(), Ipv4Addr::from_bits(address.to_bits() | hosts).into()))
        }
        IpAddr::V6(address) => {
            let hosts = if host == 128 { u128::MAX } else { (1 << host) - 1 };
            (address.to_bits() & hosts == 0).then(|| (address.into(), Ipv6Addr::from_bits(address.to_bits() | hosts).into()))
        }
    }
}

pub(crate) fn real_server(reader: &mut Reader, line: &Line<'_>) {
    let Some(socket) = socket(reader, line, 0) else { return };
    reader.lvs.real = Some(Real {
        socket,
        span: line.span(),
        weight: None,
        method: None,
        upper: 0,
        lower: 0,
        inhibit: None,
        alpha: None,
        notify_up: None,
        notify_down: None,
        smtp_alert: None,
        virtualhost: None,
        times: Times::default(),
        checkers: Vec::new(),
    });
    reader.walk(&line.children);
    let mut real = reader.lvs.real.take();
    // There may be tens of thousands of them: no room is kept for more.
    real.iter_mut().for_each(|real| real.checkers.shrink_to_fit());
    if let Some(server) = &mut reader.lvs.server {
        server.real.extend(real);
    }
}

fn draft(reader: &mut Reader, change: impl FnOnce(&mut Draft)) {
    if let Some(draft) = &mut reader.lvs.server {
        change(draft);
    }
}

pub(crate) fn ip_family(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let family = match &*word.text {
        "inet" => Family::V4,
        "inet6" => Family::V6,
        other => return bad(reader, word.span, format!("unknown address family {other}"), "inet or inet6"),
    };
    draft(reader, |draft| draft.family = Some(family));
}

pub(crate) fn protocol(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let protocol = match word.to_ascii_uppercase().as_str() {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        other => return bad(reader, word.span, format!("Unknown protocol {other} - ignoring"), "TCP, UDP or SCTP"),
    };
    draft(reader, |draft| draft.protocol = Some(protocol));
}

/// Every scheduler that the original knows.
const SCHEDULERS: &[&str] = &["rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"];

pub(crate) fn scheduler(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    if !SCHEDULERS.contains(&&*word.text) {
        return bad(reader, word.span, format!("Invalid lvs_scheduler '{}' - ignoring", &**word), &SCHEDULERS.join(", "));
    }
    let name = word.to_string();
    draft(reader, |draft| draft.scheduler = Some(name));
}

pub(crate) fn flag(reader: &mut Reader, line: &Line<'_>) {
    let bit = match &*line.word.text {
        "ops" => bits::ONE_PACKET,
        "flag-1" | "sh-fallback" | "mh-fallback" => bits::SCHEDULER_1,
        "flag-2" | "sh-port" | "mh-port" => bits::SCHEDULER_2,
        "flag-3" => bits::SCHEDULER_3,
        _ => 0,
    };
    if let Some((scheduler, _)) = line.word.split_once("-fallback").or_else(|| line.word.split_once("-port"))
        && !matches!(reader.lvs.server.as_ref().and_then(|draft| draft.scheduler.as_deref()), Some("sh" | "mh"))
    {
        let message = format!("{} only applies to {scheduler} scheduler - ignoring", &*line.word);
        return bad(reader, line.word.span, message, "it after lvs_sched sh or mh");
    }
    draft(reader, |draft| draft.flags |= bit);
}

/// `NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
fn forwarding(reader: &mut Reader, line: &Line<'_>) -> Option<Forwarding> {
    let word = line.arg(0)?;
    let rest: Vec<&str> = line.args.iter().skip(1).map(|word| &*word.text).collect();
    let checksum = match rest.last() {
        Some(&"csum") => Checksum::Whole,
        Some(&"remcsum") => Checksum::Remote,
        _ => Checksum::None,
    };
    let after = |name: &str| rest.iter().position(|word| *word == name).and_then(|at| rest.get(at + 1)).copied();
    let known = |word: &&str| matches!(*word, "type" | "ipip" | "gue" | "gre" | "port" | "nocsum" | "csum" | "remcsum");
    let rest_known = rest.iter().all(|word| known(word) || after("port") == Some(*word));
    let made = match (word.to_ascii_uppercase().as_str(), after("type")) {
        ("NAT", None) => Some(Forwarding::Nat),
        ("DR", None) => Some(Forwarding::Direct),
        ("TUN", None | Some("ipip")) if checksum == Checksum::None => Some(Forwarding::Tunnel(Tunnel::Ipip)),
        ("TUN", Some("gre")) if checksum != Checksum::Remote => Some(Forwarding::Tunnel(Tunnel::Gre(checksum))),
        ("TUN", Some("gue")) => {
            let port = after("port").and_then(|port| port.parse().ok()).filter(|port| *port != 0);
            port.map(|port| Forwarding::Tunnel(Tunnel::Gue(port, checksum)))
        }
        _ => None,
    };
    let made = made.filter(|_| rest_known);
    if made.is_none() {
        let text = line.args.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
        bad(
            reader,
            line.span(),
            format!("{}: invalid method '{text}'", &*line.word),
            "NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]",
        );
    }
    made
}

pub(crate) fn method(reader: &mut Reader, line: &Line<'_>) {
    let Some(method) = forwarding(reader, line) else { return };
    match (&mut reader.lvs.real, &mut reader.lvs.server) {
        (Some(real), _) => real.method = Some(method),
        (None, Some(server)) => server.method = Some(method),
        (None, None) => {}
    }
}

pub(crate) fn persistence_engine(reader: &mut Reader, line: &Line<'_>) {
    let engine = line.arg(0).map(ToString::to_string).filter(|name| name.len() < 16);
    draft(reader, |draft| draft.engine = engine);
}

pub(crate) fn persistence_timeout(reader: &mut Reader, line: &Line<'_>) {
    let timeout = match line.arg(0) {
        None => Some(360),
        // The tutorials write 0 for "none": out of range for the original, which says so and goes on without.
        Some(word) if &*word.text == "0" => {
            let message = "persistence_timeout: number '0' outside range [1, 2678400]";
            reader.complain(Complaint::warning(word.span, message).help("the service is not persistent: leave the line out".to_owned()));
            None
        }
        Some(_) => number::int(reader, line, 0, 1..=2_678_400, LEFT_OUT).and_then(|timeout| u32::try_from(timeout).ok()),
    };
    draft(reader, |draft| draft.persistence = timeout.or(draft.persistence));
}

pub(crate) fn persistence_granularity(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let length = match word.parse::<Ipv4Addr>() {
        Ok(mask) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => u8::try_from(mask.to_bits().count_ones()).ok(),
        Ok(_) => None,
        Err(_) => word.parse::<u8>().ok().filter(|length| (1..=128).contains(length)),
    };
    if length.is_none() {
        return bad(reader, word.span, format!("Invalid persistence_granularity specified - {}", &**word), "a netmask or a prefix length");
    }
    draft(reader, |draft| {
        draft.granularity = length;
        draft.persistence = draft.persistence.or(Some(360));
    });
}

pub(crate) fn virtualhost(reader: &mut Reader, line: &Line<'_>) {
    let name = line.arg(0).map(ToString::to_string);
    let lvs = &mut reader.lvs;
    match (&mut lvs.url, &mut lvs.checker, &mut lvs.real, &mut lvs.server) {
        (Some(url), _, _, _) => url.virtualhost = name,
        (None, Some(checker), _, _) => checker.virtualhost = name,
        (None, None, Some(real), _) => real.virtualhost = name,
        (None, None, None, Some(server)) => server.virtualhost = name,
        (None, None, None, None) => {}
    }
}

pub(crate) fn alpha(reader: &mut Reader, line: &Line<'_>) {
    let Some(value) = number::switch(reader, line, LEFT_OUT) else { return };
    let lvs = &mut reader.lvs;
    match (&mut lvs.checker, &mut lvs.real, &mut lvs.server) {
        (Some(checker), _, _) => checker.alpha = Some(value),
        (None, Some(real), _) => real.alpha = Some(value),
        (None, None, Some(server)) => server.alpha = value,
        (None, None, None) => {}
    }
}

pub(crate) fn inhibit(reader: &mut Reader, line: &Line<'_>) {
    let Some(value) = number::switch(reader, line, LEFT_OUT) else { return };
    match (&mut reader.lvs.real, &mut reader.lvs.server) {
        (Some(real), _) => real.inhibit = Some(value),
        (None, Some(server)) => server.inhibit = value,
        (None, None) => {}
    }
}

/// `quorum_up`, `quorum_down`, `notify_up`, `notify_down`: the first one counts, as in the original.
pub(crate) fn notify(reader: &mut Reader, line: &Line<'_>) {
    let Some(command) = script(reader, line, Inline::User) else { return };
    let lvs = &mut reader.lvs;
    let place = match (&*line.word.text, &mut lvs.real, &mut lvs.server) {
        ("notify_up", Some(real), _) => &mut real.notify_up,
        ("notify_down", Some(real), _) => &mut real.notify_down,
        ("quorum_up", _, Some(server)) => &mut server.quorum_up,
        ("quorum_down", _, Some(server)) => &mut server.quorum_down,
        _ => return,
    };
    if place.is_some() {
        return twice(reader, line);
    }
    *place = Some(Box::new(command));
}

pub(crate) fn smtp_alert(reader: &mut Reader, line: &Line<'_>) {
    let Some(value) = number::switch(reader, line, LEFT_OUT) else { return };
    match (&mut reader.lvs.real, &mut reader.lvs.server) {
        (Some(real), _) => real.smtp_alert = Some(value),
        (None, Some(server)) => server.smtp_alert = Some(value),
        (None, None) => {}
    }
}

/// What configurations still carry although nobody reads it any more.
pub(crate) fn relic(reader: &mut Reader, line: &Line<'_>) {
    let means = line.row.map_or("ignored", |row| row.means);
    let message = format!("'{}' is {means}", &*line.word);
    reader.complain(Complaint::warning(line.span(), message).help("leave the line out".to_owned()));
}

pub(crate) fn ha_suspend(reader: &mut Reader, _: &Line<'_>) {
    draft(reader, |draft| draft.ha_suspend = true);
}

pub(crate) fn omega(reader: &mut Reader, _: &Line<'_>) {
    draft(reader, |draft| draft.omega = true);
}

pub(crate) fn quorum(reader: &mut Reader, line: &Line<'_>) {
    let value = number::int(reader, line, 0, 1..=i64::from(i32::MAX), "1 is used").and_then(|value| u32::try_from(value).ok());
    draft(reader, |draft| draft.quorum = value.unwrap_or(1));
}

pub(crate) fn hysteresis(reader: &mut Reader, line: &Line<'_>) {
    let value = number::unsigned(reader, line, 0, "0 is used");
    draft(reader, |draft| draft.hysteresis = value.unwrap_or(0));
}

pub(crate) fn weight(reader: &mut Reader, line: &Line<'_>) {
    let least = if reader.lvs.real.is_some() { 0 } else { 1 };
    let Some(value) = number::int(reader, line, 0, least..=i64::from(i32::MAX), LEFT_OUT).and_then(|value| u32::try_from(value).ok())
    else {
        return;
    };
    match (&mut reader.lvs.real, &mut reader.lvs.server) {
        (Some(real), _) => real.weight = Some(value),
        (None, Some(server)) => server.weight = Some(value),
        (None, None) => {}
    }
}

pub(crate) fn threshold(reader: &mut Reader, line: &Line<'_>) {
    let Some(value) = number::unsigned(reader, line, 0, LEFT_OUT) else { return };
    if let Some(real) = &mut reader.lvs.real {
        let place = if &*line.word.text == "uthreshold" { &mut real.upper } else { &mut real.lower };
        *place = value;
    }
}

pub(crate) fn sorry_server(reader: &mut Reader, line: &Line<'_>) {
    let socket = socket(reader, line, 0);
    draft(reader, |draft| draft.sorry = socket);
}

pub(crate) fn sorry_inhibit(reader: &mut Reader, line: &Line<'_>) {
    if reader.lvs.server.as_ref().is_some_and(|draft| draft.sorry.is_none()) {
        let message = "Ignoring sorry_server inhibit used before or without sorry_server";
        reader.complain(Complaint::error(line.word.span, message));
        return;
    }
    draft(reader, |draft| draft.sorry_inhibit = true);
}

pub(crate) fn sorry_method(reader: &mut Reader, line: &Line<'_>) {
    let method = forwarding(reader, line);
    draft(reader, |draft| draft.sorry_method = method);
}
