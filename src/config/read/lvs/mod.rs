//! `virtual_server` and all in it: keywords into drafts, drafts into settings.

pub(crate) mod checker;
pub(crate) mod finish;
pub(crate) mod group;
pub(crate) mod method;
pub(crate) mod server;
pub(crate) mod sync;
pub(crate) mod times;

use super::{Line, Reader};
use crate::check::tls;
use crate::config::number;
use crate::lvs::settings::{FlushOnStop, GroupEntry, Marking, SyncDaemon, Timeouts};
use crate::syntax::{Complaint, Span, Word, suggest};
use crate::types::Secret;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// What has been read of the balancer so far.
#[derive(Default)]
pub(crate) struct Drafts {
    /// `virtual_server_group` blocks, by name.
    pub(super) groups: HashMap<String, Vec<GroupEntry>>,
    /// Finished `virtual_server` blocks.
    pub(super) servers: Vec<server::Draft>,
    /// The block being read.
    pub(super) server: Option<server::Draft>,
    /// The `real_server` block being read.
    pub(super) real: Option<server::Real>,
    /// The checker block being read.
    pub(super) checker: Option<checker::Draft>,
    /// The `url` block being read.
    pub(super) url: Option<checker::Url>,
    pub(super) flush: bool,
    pub(super) flush_on_stop: FlushOnStop,
    pub(super) init_notifies: bool,
    pub(super) log_all: bool,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) sync: Option<(SyncDaemon, Option<String>)>,
    /// Its `id` was written.
    pub(super) sync_id: bool,
    /// Where it is written.
    pub(super) sync_span: Span,
    pub(super) tls: tls::Settings,
    /// `nftables_ipvs` and its like; whether the word stands that switches it on.
    pub(super) marking: (bool, Marking),
}

const LEFT_OUT: &str = "the line is left out";

/// `ADDRESS [PORT]` from argument `first` on; the port is 0 when it is not written.
fn socket(reader: &mut Reader, line: &Line<'_>, first: usize) -> Option<SocketAddr> {
    let word = line.arg(first)?;
    let Ok(address) = word.parse::<IpAddr>() else {
        let message = format!("{}: invalid IP address {}", &*line.word, &**word);
        reader.complain(Complaint::error(word.span, message).expected("ADDRESS [PORT]").help("the block or line is left out".to_owned()));
        return None;
    };
    let port = match line.arg(first + 1) {
        None => 0,
        Some(_) => number::int(reader, line, first + 1, 0..=65535, LEFT_OUT).and_then(|port| u16::try_from(port).ok())?,
    };
    Some(SocketAddr::new(address, port))
}

/// An address alone.
fn ip(reader: &mut Reader, line: &Line<'_>) -> Option<IpAddr> {
    let word = line.arg(0)?;
    let address = word.parse::<IpAddr>().ok();
    if address.is_none() {
        let message = format!("{}: invalid IP address {}", &*line.word, &**word);
        reader.complain(Complaint::error(word.span, message).help(LEFT_OUT.to_owned()));
    }
    address
}

fn port(reader: &mut Reader, line: &Line<'_>) -> Option<u16> {
    number::int(reader, line, 0, 1..=65535, LEFT_OUT).and_then(|port| u16::try_from(port).ok())
}

fn bad(reader: &mut Reader, span: Span, message: String, expected: &str) {
    reader.complain(Complaint::error(span, message).expected(expected).help(LEFT_OUT.to_owned()));
}

/// A word that is none of a fixed set; the nearest of them may be meant.
fn none_of(reader: &mut Reader, word: &Word<'_>, message: String, known: &[&str]) {
    let near =
        suggest::nearest(word, known.iter().copied()).or_else(|| known.iter().copied().find(|known| known.eq_ignore_ascii_case(word)));
    let help = near.map_or_else(|| LEFT_OUT.to_owned(), |near| format!("did you mean '{near}'?"));
    reader.complain(Complaint::error(word.span, message).expected(known.join(", ")).help(help));
}

pub(crate) fn flush(reader: &mut Reader, _: &Line<'_>) {
    reader.lvs.flush = true;
}

pub(crate) fn flush_on_stop(reader: &mut Reader, line: &Line<'_>) {
    reader.lvs.flush_on_stop = match line.arg(0) {
        None => FlushOnStop::Everything,
        Some(word) if &**word == "VS" => FlushOnStop::Ours,
        Some(word) => return bad(reader, word.span, format!("{}: unknown option {}", &*line.word, &**word), "VS or nothing"),
    };
}

pub(crate) fn log_all(reader: &mut Reader, line: &Line<'_>) {
    if let Some(value) = number::switch(reader, line, LEFT_OUT) {
        reader.lvs.log_all = value;
    }
}

pub(crate) fn init_notifies(reader: &mut Reader, line: &Line<'_>) {
    if let Some(value) = number::switch(reader, line, LEFT_OUT) {
        reader.lvs.init_notifies = value;
    }
}

pub(crate) fn nftables_ipvs(reader: &mut Reader, line: &Line<'_>) {
    let (on, marking) = &mut reader.lvs.marking;
    *on = true;
    if let Some(table) = line.arg(0) {
        marking.firewall.table = table.to_string();
    }
}

pub(crate) fn nftables_ipvs_priority(reader: &mut Reader, line: &Line<'_>) {
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    if let Some(priority) = number::int(reader, line, 0, range, LEFT_OUT).and_then(|value| i32::try_from(value).ok()) {
        reader.lvs.marking.1.firewall.priority = priority;
    }
}

pub(crate) fn nftables_ipvs_start_fwmark(reader: &mut Reader, line: &Line<'_>) {
    if let Some(first) = number::unsigned(reader, line, 1, LEFT_OUT) {
        reader.lvs.marking.1.first = first;
    }
}

/// What makes no sense is left out; the rest of the line counts.
pub(crate) fn timeouts(reader: &mut Reader, line: &Line<'_>) {
    const OPTIONS: [&str; 3] = ["tcp", "tcpfin", "udp"];
    let mut timeouts = Timeouts::default();
    let mut at = 0;
    while let Some(word) = line.arg(at) {
        let place = match &*word.text {
            "tcp" => &mut timeouts.tcp,
            "tcpfin" => &mut timeouts.tcp_fin,
            "udp" => &mut timeouts.udp,
            other => {
                none_of(reader, word, format!("lvs_timeouts: unknown option {other}"), &OPTIONS);
                at += 1;
                continue;
            }
        };
        if line.arg(at + 1).is_none() {
            bad(reader, word.span, format!("No value specified for lvs_timeouts {} - ignoring", &**word), "tcp N, tcpfin N, udp N");
            break;
        }
        let value = number::int(reader, line, at + 1, 0..=2_678_400, LEFT_OUT);
        *place = value.and_then(|value| u32::try_from(value).ok()).unwrap_or(*place);
        at += 2;
    }
    if timeouts != Timeouts::default() {
        reader.lvs.timeouts = Some(timeouts);
    }
}

/// The old form, inside an instance: the daemon follows it. Its number is 0, as the original's: a peer with another hears nothing.
pub(crate) fn sync_interface(reader: &mut Reader, line: &Line<'_>) {
    let message = "lvs_sync_daemon_interface is deprecated: write lvs_sync_daemon in global_defs";
    reader.complain(Complaint::remark(line.word.span, message));
    let Some(interface) = line.arg(0).map(ToString::to_string) else { return };
    let instance = reader.instance().name.clone();
    if let Some((first, _)) = &reader.lvs.sync {
        let message = format!("({instance}) lvs_sync_daemon_interface has already been specified as {} - ignoring", first.interface);
        reader.complain(Complaint::warning(line.span(), message));
        return;
    }
    reader.lvs.sync_id = true;
    reader.lvs.sync_span = line.span();
    reader.lvs.sync = Some((SyncDaemon::new(interface), Some(instance)));
}

/// The `SSL` block; a second one replaces the first.
pub(crate) fn ssl(reader: &mut Reader, line: &Line<'_>) {
    if reader.lvs.tls != tls::Settings::default() {
        reader.complain(Complaint::warning(line.span(), "SSL context already specified - replacing"));
    }
    reader.lvs.tls = tls::Settings::default();
    reader.walk(&line.children);
    let tls = &reader.lvs.tls;
    if tls.key.is_some() && tls.certificate.is_none() {
        let message = "SSL: a key without a certificate proves nothing to a server";
        reader.complain(Complaint::warning(line.span(), message).expected("'certificate FILE' as well"));
    }
}

/// `ca`, `certificate`, `key`, `password`.
pub(crate) fn ssl_word(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let (name, value) = (&*line.word.text, word.to_string());
    let tls = &mut reader.lvs.tls;
    let before = match name {
        "ca" => tls.authority.replace(value).is_some(),
        "certificate" => tls.certificate.replace(value).is_some(),
        "key" => tls.key.replace(value).is_some(),
        _ => tls.password.replace(Secret::new(value)).is_some(),
    };
    if before {
        reader.complain(Complaint::warning(line.span(), format!("SSL {name} already specified - replacing")));
    }
}

pub(crate) fn tls_least(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let least = [tls::Version::V1_2, tls::Version::V1_3].into_iter().find(|version| version.word() == &*word.text);
    let Some(least) = least else {
        return bad(reader, word.span, format!("tls_min_version: '{}' is not spoken here", &**word), "1.2 or 1.3");
    };
    reader.lvs.tls.least = least;
}

pub(crate) fn expiry_warning(reader: &mut Reader, line: &Line<'_>) {
    let days = number::int(reader, line, 0, 0..=3650, LEFT_OUT).and_then(|days| u32::try_from(days).ok());
    reader.lvs.tls.warn_days = days.unwrap_or(reader.lvs.tls.warn_days);
}
