//! `virtual_server` and `real_server`.

use super::super::{Line, Reader};
use super::checker;
use super::times::Times;
use super::{LEFT_OUT, bad, none_of, socket};
use crate::config::number;
use crate::config::read::notify::{script, twice};
use crate::lvs::settings::{Forwarding, Granularity, Protocol, flag as bits};
use crate::syntax::command::Inline;
use crate::syntax::{Complaint, Span};
use crate::types::{Command, Family};
use std::net::{Ipv4Addr, SocketAddr};

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
    pub(super) granularity: Option<Granularity>,
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

pub(super) fn draft(reader: &mut Reader, change: impl FnOnce(&mut Draft)) {
    if let Some(draft) = &mut reader.lvs.server {
        change(draft);
    }
}

pub(crate) fn ip_family(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let family = match &*word.text {
        "inet" => Family::V4,
        "inet6" => Family::V6,
        other => return none_of(reader, word, format!("unknown address family {other}"), &["inet", "inet6"]),
    };
    draft(reader, |draft| draft.family = Some(family));
}

pub(crate) fn protocol(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let protocol = match word.to_ascii_uppercase().as_str() {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        other => return none_of(reader, word, format!("Unknown protocol {other} - ignoring"), &["TCP", "UDP", "SCTP"]),
    };
    draft(reader, |draft| draft.protocol = Some(protocol));
}

/// Every scheduler that the original knows.
const SCHEDULERS: &[&str] = &["rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"];

pub(crate) fn scheduler(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    if !SCHEDULERS.contains(&&*word.text) {
        return none_of(reader, word, format!("Invalid lvs_scheduler '{}' - ignoring", &**word), SCHEDULERS);
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
        && reader.lvs.server.as_ref().and_then(|draft| draft.scheduler.as_deref()) != Some(scheduler)
    {
        let message = format!("{} only applies to {scheduler} scheduler - ignoring", &*line.word);
        return bad(reader, line.word.span, message, "it after the lvs_sched of its name");
    }
    draft(reader, |draft| draft.flags |= bit);
}

/// Longest name of a persistence engine in the kernel (linux/ip_vs.h, IP_VS_PENAME_MAXLEN).
const ENGINE_MAX: usize = 15;

pub(crate) fn persistence_engine(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    if word.len() > ENGINE_MAX {
        let message = format!("persistence_engine: name too long, truncating - {}", &**word);
        reader.complain(Complaint::warning(word.span, message).expected("up to 15 bytes"));
    }
    let engine = String::from_utf8_lossy(word.as_bytes().get(..ENGINE_MAX).unwrap_or(word.as_bytes())).into_owned();
    draft(reader, |draft| draft.engine = Some(engine));
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
    let six = reader.lvs.server.as_ref().is_some_and(|draft| match (draft.family, &draft.head) {
        (Some(family), _) => family == Family::V6,
        (None, Head::Socket(socket)) => socket.is_ipv6(),
        (None, Head::Mark(_) | Head::Group(_)) => false,
    });
    let granularity = match word.parse::<Ipv4Addr>() {
        Ok(mask) => Some(Granularity::Mask(mask.to_bits())).filter(|_| !six),
        Err(_) => word.parse::<u8>().ok().filter(|length| (u8::from(six)..=128).contains(length)).map(Granularity::Length),
    };
    if let (Some(Granularity::Length(length @ 1..=32)), false) = (granularity, six) {
        // The original reads it as an address's last byte, which surely nobody means.
        let mask = Ipv4Addr::from(Granularity::Length(length).in_kernel(Family::V4));
        reader.complain(Complaint::remark(word.span, format!("persistence_granularity {length} is taken as {mask}")));
    }
    if granularity.is_none() {
        return bad(reader, word.span, format!("Invalid persistence_granularity specified - {}", &**word), "a netmask or a prefix length");
    }
    draft(reader, |draft| {
        draft.granularity = granularity;
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
    let value = number::unsigned(reader, line, 1, "1 is used");
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
