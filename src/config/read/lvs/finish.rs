//! Drafts into settings: defaults filled in, and what belongs together looked at together, in the original's words.

use super::super::Reader;
use super::checker;
use super::server::{Draft, Head, Real};
use super::times::Times;
use crate::check::regex::Regex;
use crate::check::{Checker, Kind, Target, Timing, dns, file, http, misc, smtp, tls, udp};
use crate::lvs::settings::{
    Address, Balancer, Forwarding, GroupEntry, Protocol, RealServer, ServiceSettings, SorryServer, VirtualServer, flag,
};
use crate::lvs::table::{ServiceKey, keys};
use crate::syntax::{Complaint, Span};
use crate::types::Family;
use crate::vrrp::settings::Settings;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything for the checker child.
pub(crate) fn balancer(reader: &mut Reader, instances: &[Arc<Settings>]) -> Balancer {
    sync_id(reader, instances);
    let drafts = std::mem::take(&mut reader.lvs.servers);
    let mut taken: HashSet<ServiceKey> = HashSet::new();
    let mut servers = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let span = draft.span;
        let Some(server) = virtual_server(reader, draft) else { continue };
        let all = keys(&server);
        if let Some(twice) = all.iter().find(|key| taken.contains(*key)) {
            let message = format!("Virtual server {server}: {twice} is in another virtual_server already");
            reader.complain(Complaint::error(span, message).help("the block is left out".to_owned()));
            continue;
        }
        taken.extend(all);
        servers.push(Arc::new(server));
    }
    let counters = reader.global.vrrp.firewall.counters;
    let lvs = &mut reader.lvs;
    let (marked, mut marking) = std::mem::take(&mut lvs.marking);
    marking.firewall.counters = counters;
    Balancer {
        marking: marked.then_some(marking),
        servers,
        flush: lvs.flush,
        flush_on_stop: lvs.flush_on_stop,
        timeouts: lvs.timeouts.take(),
        sync: lvs.sync.take(),
        tls: std::mem::take(&mut lvs.tls),
        tls_files: tls::Files::default(),
    }
}

/// Without `id` the sync daemon has its instance's virtual router id.
fn sync_id(reader: &mut Reader, instances: &[Arc<Settings>]) {
    let written = reader.lvs.sync_id;
    if let Some((daemon, Some(name))) = reader.lvs.sync.as_mut().filter(|_| !written)
        && let Some(instance) = instances.iter().find(|instance| instance.name == *name)
    {
        daemon.id = instance.vrid.get();
    }
}

fn warn(reader: &mut Reader, span: Span, message: String) {
    reader.complain(Complaint::warning(span, message));
}

fn virtual_server(reader: &mut Reader, mut draft: Draft) -> Option<VirtualServer> {
    let (address, family) = address(reader, &draft)?;
    let mut server = VirtualServer::new(address, family);
    let by_mark = matches!(server.address, Address::Mark(_));
    if draft.protocol.is_none() && !by_mark {
        draft.protocol = Some(Protocol::Udp);
        warn(reader, draft.span, format!("Virtual server {server}: no protocol set - defaulting to UDP"));
    }
    server.protocol = draft.protocol.unwrap_or(Protocol::Tcp);
    if draft.real.is_empty() {
        let complaint = Complaint::warning(draft.span, format!("Virtual server {server} has no real servers - ignoring"));
        reader.complain(complaint);
        return None;
    }
    if draft.scheduler.is_none() {
        warn(reader, draft.span, format!("Virtual server {server}: no scheduler set, setting default 'wlc'"));
    }
    if draft.method.is_none() {
        warn(reader, draft.span, format!("Virtual server {server}: no forwarding method set, setting default NAT"));
    }
    server.service = service(reader, &draft, &server);
    server.alpha = draft.alpha;
    server.quorum_up = draft.quorum_up.take();
    server.quorum_down = draft.quorum_down.take();
    server.smtp_alert = mails(reader, draft.smtp_alert, false);
    server.ha_suspend = draft.ha_suspend;
    server.omega = draft.omega;
    let method = draft.method.unwrap_or_default();
    let reals = std::mem::take(&mut draft.real);
    server.real_servers.reserve_exact(reals.len());
    for real in reals {
        if let Some(real) = real_server(reader, &draft, &server, real, method) {
            server.real_servers.push(real);
        }
    }
    server.real_servers.shrink_to_fit();
    server.sorry = sorry(reader, &draft, &server, method);
    quorum(reader, &draft, &mut server);
    Some(server)
}

fn address(reader: &mut Reader, draft: &Draft) -> Option<(Address, Family)> {
    match &draft.head {
        Head::Socket(socket) => Some((Address::Socket(socket.ip(), socket.port()), Family::of(&socket.ip()))),
        Head::Mark(mark) => {
            let first = draft.real.first().map_or(Family::V4, |real| Family::of(&real.socket.ip()));
            Some((Address::Mark(*mark), draft.family.unwrap_or(first)))
        }
        Head::Group(name) => {
            let Some(entries) = reader.lvs.groups.get(name).cloned() else {
                let complaint = Complaint::error(draft.span, format!("Virtual server group {name} not defined for virtual server"));
                reader.complain(complaint.help("the block is left out".to_owned()));
                return None;
            };
            let family = entries.iter().find_map(|entry| match entry {
                GroupEntry::Range { first, .. } => Some(Family::of(first)),
                GroupEntry::Mark(_, family) => *family,
            });
            let family = draft.family.or(family).unwrap_or(Family::V4);
            Some((Address::Group(name.clone(), entries), family))
        }
    }
}

fn service(reader: &mut Reader, draft: &Draft, server: &VirtualServer) -> ServiceSettings {
    let mut flags = draft.flags;
    if flags & flag::ONE_PACKET != 0 && server.protocol != Protocol::Udp {
        warn(reader, draft.span, format!("Virtual server {server}: one packet scheduling requires UDP - resetting"));
        flags &= !flag::ONE_PACKET;
    }
    let mut persistence = draft.persistence;
    if matches!(server.address, Address::Socket(_, 0)) && persistence.is_none() {
        warn(reader, draft.span, format!("Virtual server {server}: zero port only valid for persistent services - setting"));
        persistence = Some(360);
    }
    ServiceSettings {
        scheduler: draft.scheduler.clone().unwrap_or_else(|| "wlc".to_owned()),
        flags,
        persistence,
        granularity: draft.granularity,
        engine: draft.engine.clone(),
    }
}

/// The port that the kernel is to be given: only NAT has one of its own.
fn port(server: &VirtualServer, port: u16, method: Forwarding) -> u16 {
    match (&server.address, method) {
        (Address::Mark(_), _) => 0,
        (Address::Socket(_, service), Forwarding::Direct | Forwarding::Tunnel(_)) => *service,
        // Without a port of its own a NAT server gets the service's.
        (Address::Socket(_, service), Forwarding::Nat) if port == 0 => *service,
        (Address::Socket(..) | Address::Group(..), _) => port,
    }
}

fn real_server(reader: &mut Reader, draft: &Draft, server: &VirtualServer, real: Real, method: Forwarding) -> Option<RealServer> {
    let method = real.method.unwrap_or(method);
    let address = real.socket.ip();
    let named = server.name_of(&RealServer::new(address, real.socket.port()));
    if Family::of(&address) != server.family && !matches!(method, Forwarding::Tunnel(_)) {
        let message = format!("Address family of virtual server {server} and real server {named} don't match - skipping");
        reader.complain(Complaint::error(real.span, message).expected("TUN for servers of the other family"));
        return None;
    }
    let port = port(server, real.socket.port(), method);
    if port != real.socket.port() && real.socket.port() != 0 {
        let message = if port == 0 {
            format!("WARNING - fwmark virtual server {server}, real server {named} has port specified - clearing")
        } else {
            format!("WARNING - virtual server {server} and real server {named} ports don't match - resetting")
        };
        warn(reader, real.span, message);
    }
    if let (Address::Group(_, entries), Forwarding::Direct | Forwarding::Tunnel(_)) = (&server.address, method)
        && port != 0
        && entries.iter().any(|entry| matches!(entry, GroupEntry::Range { port: service, .. } if *service != port))
    {
        let message = format!("virtual server {server} and real server {named} ports don't match: only NAT can change them");
        warn(reader, real.span, message);
    }
    if server.real_servers.iter().any(|other| other.key() == (address, port)) {
        warn(reader, real.span, format!("Virtual server {server}: duplicate real server {named} - ignoring"));
        return None;
    }
    let times = real.times.or(&draft.times);
    // Collected, each would have room for four: of twenty thousand servers that counts.
    let mut checkers = Vec::with_capacity(real.checkers.len());
    checkers.extend(real.checkers.iter().filter_map(|checker| self::checker(reader, draft, &real, checker, &times).map(Arc::new)));
    Some(RealServer {
        weight: real.weight.or(draft.weight).unwrap_or(1),
        forwarding: method,
        upper: real.upper,
        lower: real.lower,
        inhibit: real.inhibit.unwrap_or(draft.inhibit),
        smtp_alert: mails(reader, real.smtp_alert.or(draft.smtp_alert), true),
        notify_up: real.notify_up,
        notify_down: real.notify_down,
        checkers,
        ..RealServer::new(address, port)
    })
}

fn sorry(reader: &mut Reader, draft: &Draft, server: &VirtualServer, method: Forwarding) -> Option<SorryServer> {
    let socket = draft.sorry?;
    let forwarding = draft.sorry_method.unwrap_or(method);
    if Family::of(&socket.ip()) != server.family && !matches!(forwarding, Forwarding::Tunnel(_)) {
        let message = format!("Address family of virtual server {server} and sorry server {socket} don't match - skipping sorry server.");
        reader.complain(Complaint::error(draft.span, message));
        return None;
    }
    let port = port(server, socket.port(), forwarding);
    if port != socket.port() && socket.port() != 0 {
        let message = match server.address {
            Address::Mark(_) => format!("WARNING - fwmark virtual server {server}, sorry server has port specified - port will be ignored"),
            Address::Socket(..) | Address::Group(..) => {
                format!("WARNING - virtual server {server} and sorry server ports don't match - resetting")
            }
        };
        warn(reader, draft.span, message);
    }
    Some(SorryServer { address: socket.ip(), port, forwarding, inhibit: draft.sorry_inhibit })
}

fn quorum(reader: &mut Reader, draft: &Draft, server: &mut VirtualServer) {
    let total: u64 = server.real_servers.iter().map(|real| u64::from(real.weight)).sum();
    server.quorum = draft.quorum;
    if u64::from(draft.quorum) > total {
        let reduced = u32::try_from(total).unwrap_or(u32::MAX).max(1);
        let message = format!(
            "Warning - quorum {} for {server} exceeds total weight of real servers {total}, reducing quorum to {total}",
            draft.quorum
        );
        warn(reader, draft.span, message);
        server.quorum = reduced;
    }
    server.hysteresis = draft.hysteresis;
    if draft.hysteresis >= server.quorum {
        let reduced = server.quorum - 1;
        if draft.hysteresis > 0 {
            let (hysteresis, quorum) = (draft.hysteresis, server.quorum);
            let message = format!("Virtual server {server}: hysteresis {hysteresis} >= quorum {quorum}; setting hysteresis to {reduced}");
            warn(reader, draft.span, message);
        }
        server.hysteresis = reduced.min(draft.hysteresis);
    }
}

fn checker(reader: &mut Reader, server: &Draft, real: &Real, draft: &checker::Draft, outer: &Times) -> Option<Checker> {
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
            Kind::Udp(udp::Settings { payload: draft.payload.clone(), reply })
        }
        "FILE_CHECK" => return tracked(reader, draft),
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
    Some(Kind::Misc(misc::Settings { command, timeout, dynamic: draft.dynamic }))
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

/// What nobody says here, `smtp_alert_checker` and `smtp_alert` of global_defs say.
fn mails(reader: &Reader, here: Option<bool>, usual: bool) -> bool {
    let told = &reader.defaults.told;
    here.or(told.mail_checker).or(told.mail).unwrap_or(usual)
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
    Some(Kind::Http(http::Settings {
        tls,
        urls,
        protocol: draft.protocol,
        sni: draft.sni,
        sni_name: draft.sni_name.clone(),
        fast_recovery: draft.fast_recovery,
    }))
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

#[cfg(test)]
mod tests;
