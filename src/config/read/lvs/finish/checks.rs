//! Drafts of checkers into settings.

use super::super::checker;
use super::super::server::{Draft, Head, Real};
use super::super::times::Times;
use super::warn;
use crate::check::regex::Regex;
use crate::check::{Checker, Kind, Target, Timing, dns, file, http, misc, smtp, udp};
use crate::config::read::Reader;
use crate::syntax::{Complaint, suggest};
use crate::types::Family;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn checker(reader: &mut Reader, server: &Draft, real: &Real, draft: &checker::Draft, outer: &Times) -> Option<Checker> {
    let times = draft.times.or(outer);
    let kind = kind(reader, server, real, draft)?;
    let delay_loop = times.delay_loop.unwrap_or(Duration::from_secs(60));
    let retry = match kind {
        Kind::Dns(_) => 3,
        Kind::Misc(_) => 0,
        _ => 1,
    };
    let before_retry = match kind {
        Kind::Http(_) => Duration::from_secs(3),
        Kind::Dns(_) => delay_loop,
        _ => Duration::from_secs(1),
    };
    let address = draft.connect_ip.unwrap_or(real.socket.ip());
    let service = match server.head {
        Head::Socket(socket) => socket.port(),
        Head::Mark(_) | Head::Group(_) => 0,
    };
    let default_port = match kind {
        Kind::Dns(_) if real.socket.port() == 0 && service == 0 => 53,
        _ if real.socket.port() == 0 => service,
        _ => real.socket.port(),
    };
    if matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()) && draft.bind_if.is_none() {
        let message = format!("Checker link local address {address} requires a bind_if");
        reader.complain(Complaint::error(draft.span, message).help("the checker is left out".to_owned()));
        return None;
    }
    let bind = draft.bind.filter(|bind| Family::of(bind) == Family::of(&address));
    if let (Some(other), None) = (draft.bind, bind) {
        let message = format!("bindto address {other} does not match address family of connect_ip - skipping");
        warn(reader, draft.span, message);
    }
    let target = Target {
        address,
        port: draft.connect_port.unwrap_or(default_port),
        bind,
        bind_port: draft.bind_port,
        bind_if: draft.bind_if.clone(),
        fwmark: draft.fwmark,
        connect_timeout: times.connect_timeout.unwrap_or(Duration::from_secs(5)),
    };
    let timing = Timing {
        delay_loop,
        retry: times.retry.unwrap_or(retry),
        delay_before_retry: times.delay_before_retry.unwrap_or(before_retry),
        warmup: times.warmup.unwrap_or(delay_loop),
    };
    // A file's number is there at once: nothing is waited for.
    let alpha = !matches!(kind, Kind::File(_)) && draft.alpha.or(real.alpha).unwrap_or(server.alpha);
    Some(Checker { kind, target, timing, alpha, log_all_failures: draft.log_all.unwrap_or(reader.lvs.log_all) })
}

fn kind(reader: &mut Reader, server: &Draft, real: &Real, draft: &checker::Draft) -> Option<Kind> {
    Some(match draft.keyword.as_str() {
        "TCP_CHECK" => Kind::Tcp,
        "PING_CHECK" => Kind::Ping,
        "HTTP_GET" | "SSL_GET" => return pages(reader, server, real, draft),
        "SMTP_CHECK" => Kind::Smtp(smtp::Settings { helo: helo(reader, draft) }),
        "DNS_CHECK" => Kind::Dns(dns::Settings { kind: draft.record, name: draft.name.clone() }),
        "UDP_CHECK" => {
            let reply = draft.reply.clone().map(|reply| udp::Reply {
                min: draft.lengths.0.unwrap_or(0),
                max: draft.lengths.1.unwrap_or(255),
                ..reply
            });
            Kind::Udp(Box::new(udp::Settings { payload: draft.payload.clone(), reply }))
        }
        "FILE_CHECK" => return tracked(reader, draft),
        "BFD_CHECK" => return session(reader, real, draft),
        "MISC_CHECK" => return script(reader, server, real, draft),
        _ => return None,
    })
}

fn script(reader: &mut Reader, server: &Draft, real: &Real, draft: &checker::Draft) -> Option<Kind> {
    let Some(mut command) = draft.script.clone() else {
        let complaint = Complaint::error(draft.span, "MISC_CHECK: no misc_path specified - ignoring");
        reader.complain(complaint.help("the checker is left out".to_owned()));
        return None;
    };
    command.user = draft.user.clone();
    let times = draft.times.or(&real.times.or(&server.times));
    let timeout = draft.timeout.or(times.delay_loop).unwrap_or(Duration::from_secs(60));
    Some(Kind::Misc(Box::new(misc::Settings { command, timeout, dynamic: draft.dynamic })))
}

fn tracked(reader: &mut Reader, draft: &checker::Draft) -> Option<Kind> {
    let found = draft.file.as_ref().and_then(|name| reader.watched.file_weight(name).map(|weight| (name.clone(), weight)));
    let Some((name, block)) = found else {
        let message = match &draft.file {
            Some(name) => format!("FILE_CHECK: track_file {name} not found - ignoring"),
            None => "FILE_CHECK: no track_file specified - ignoring".to_owned(),
        };
        reader.complain(Complaint::error(draft.span, message).help("the checker is left out".to_owned()));
        return None;
    };
    let (weight, reverse) = draft.file_weight.unwrap_or(block);
    Some(Kind::File(file::Settings { name, weight, reverse }))
}

fn session(reader: &mut Reader, real: &Real, draft: &checker::Draft) -> Option<Kind> {
    let (server, mut near) = (real.socket, None);
    let problem = match &draft.bfd {
        None => "No name has been specified for BFD_CHECKER - skipping".to_owned(),
        Some(name) if !reader.bfd.tells_checkers(name) => {
            near = suggest::nearest(name, reader.bfd.names_for_checkers()).map(|near| format!("did you mean '{near}'?"));
            format!("BFD_CHECK - BFD {name} not configured")
        }
        // The first of them counts.
        Some(name)
            if real.checkers.iter().take_while(|other| !std::ptr::eq(*other, draft)).any(|other| other.bfd.as_ref() == Some(name)) =>
        {
            format!("BFD_CHECK - RS already monitoring {name}")
        }
        Some(name) => return Some(Kind::Bfd(name.clone())),
    };
    let help = near.unwrap_or_else(|| "the checker is left out".to_owned());
    reader.complain(Complaint::error(draft.span, format!("([{}]:{}) {problem}", server.ip(), server.port())).help(help));
    None
}

fn helo(reader: &Reader, draft: &checker::Draft) -> String {
    let default = || "smtpchecker.keepalived.org".to_owned();
    draft.helo.clone().or_else(|| reader.global.mail.helo.clone()).unwrap_or_else(default)
}

fn pages(reader: &mut Reader, server: &Draft, real: &Real, draft: &checker::Draft) -> Option<Kind> {
    if draft.urls.is_empty() {
        let complaint = Complaint::error(draft.span, "HTTP/SSL_GET checker has no urls specified - ignoring");
        reader.complain(complaint.help("the checker is left out".to_owned()));
        return None;
    }
    let host = draft.virtualhost.as_ref().or(real.virtualhost.as_ref()).or(server.virtualhost.as_ref());
    let tls = draft.keyword == "SSL_GET";
    let mut urls = Vec::with_capacity(draft.urls.len());
    for url in &draft.urls {
        let defaults = http::Url::default();
        urls.push(http::Url {
            path: url.path.clone().unwrap_or(defaults.path),
            digest: url.digest,
            status: if url.status.is_empty() { defaults.status } else { url.status.clone() },
            virtualhost: url.virtualhost.as_ref().or(host).cloned(),
            regex: expression(reader, draft, url)?,
            tls_compliant: tls && url.tls_compliant.unwrap_or(draft.tls_compliant),
        });
    }
    Some(Kind::Http(Arc::new(http::Settings {
        tls,
        urls,
        protocol: draft.protocol,
        sni: draft.sni,
        sni_name: draft.sni_name.clone(),
        fast_recovery: draft.fast_recovery,
    })))
}

/// `regex` and its companions; without a `regex` they mean nothing. Outside `None` the whole checker is left out.
fn expression(reader: &mut Reader, draft: &checker::Draft, url: &checker::Url) -> Option<Option<Regex>> {
    let Some(mut regex) = url.regex.clone() else { return Some(None) };
    if regex.pattern.is_empty() {
        warn(reader, draft.span, "regex parameters specified without regex".to_owned());
        return Some(None);
    }
    if let Some(max) = regex.max.filter(|max| regex.min > *max) {
        warn(reader, draft.span, format!("regex min offset {} > regex_max_offset {max} - ignoring", regex.min));
        regex.max = None;
    }
    if let Err(error) = regex.compile() {
        let path = url.path.as_deref().unwrap_or_default();
        let complaint = Complaint::error(draft.span, format!("regex of url {path}: {error}"));
        reader.complain(complaint.help("the checker is left out".to_owned()));
        return None;
    }
    Some(Some(regex))
}
