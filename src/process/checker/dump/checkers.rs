//! The checkers: their words, and how they stand.

use super::Standings;
use crate::check::regex::{self, Regex};
use crate::check::{Checker, Kind, Target, http, tls};
use crate::ipc::messages::CheckerId;
use crate::lvs::health::Health;
use crate::process::checker::prober::Standing;
use crate::sys::clock;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The checkers of a virtual server.
pub(super) fn of(out: &mut String, health: &Health, standings: &Standings) {
    let server = health.settings();
    let service = server.name();
    for (at, real) in server.real_servers.iter().enumerate() {
        for (place, checker) in real.checkers.iter().enumerate() {
            let id = CheckerId { service: service.clone(), server: real.key(), place: u32::try_from(place).unwrap_or(u32::MAX) };
            let _ = writeln!(out, " {server} -> {}\n   Enabled = yes", server.name_of(real));
            let _ = writeln!(out, "   Up = {}", yes(!health.is_failing(at, place)));
            one(out, checker, health.delta(at, place), standings.get(&id));
        }
    }
}

fn one(out: &mut String, checker: &Checker, delta: i64, standing: Option<&Standing>) {
    // Nothing runs for files and sessions: others say what has become of them.
    let by_file = matches!(checker.kind, Kind::File(_));
    let is_told = by_file || matches!(checker.kind, Kind::Bfd(_));
    let _ = writeln!(out, "   Has run = {}", yes(is_told || standing.is_some_and(|standing| standing.has_run)));
    let _ = writeln!(out, "   Current weight = {delta}");
    if !by_file {
        let _ = writeln!(out, "   Alpha = {}", yes(checker.alpha));
    }
    if !is_told {
        timing(out, checker, standing);
    }
    let _ = writeln!(out, "   Log all failures = {}", yes(checker.log_all_failures));
    if !matches!(checker.kind, Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_)) {
        connection(out, &checker.target);
    }
    method_of(out, checker, standing);
    if let Some(ends) = standing.and_then(|standing| standing.certificate_ends) {
        let left = tls::days_left(clock::epoch_seconds() as i64, ends);
        let _ = writeln!(out, "   Certificate ends in {left} days");
    }
}

/// The BFD sessions that are tracked, and whose servers they take out.
pub(super) fn sessions(out: &mut String, health: &[Health]) {
    let mut sessions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for server in health.iter().map(Health::settings) {
        for real in &server.real_servers {
            let names = real.checkers.iter().filter_map(|checker| if let Kind::Bfd(name) = &checker.kind { Some(name) } else { None });
            names.for_each(|name| sessions.entry(name).or_default().push(format!("   {}", server.name_of(real))));
        }
    }
    if !sessions.is_empty() {
        out.push_str("------< Checker track BFDs >------\n");
    }
    for (name, lines) in sessions {
        let _ = writeln!(out, " Checker Track BFD = {name}\n   Tracking RS :\n{}", lines.join("\n"));
    }
}

/// The files that are tracked, and whose weights they change.
pub(super) fn files(out: &mut String, health: &[Health]) {
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for server in health.iter().map(Health::settings) {
        for real in &server.real_servers {
            for checker in &real.checkers {
                if let Kind::File(file) = &checker.kind {
                    let reverse = if file.reverse { " reverse" } else { "" };
                    let line = format!("     {server} -> {}, weight {}{reverse}", server.name_of(real), file.weight);
                    files.entry(&file.name).or_default().push(line);
                }
            }
        }
    }
    if files.is_empty() {
        return;
    }
    out.push_str("------< Checker track files >------\n");
    for (name, lines) in files {
        let _ = writeln!(out, " Track file = {name}\n   Tracking instances :\n{}", lines.join("\n"));
    }
}

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn timing(out: &mut String, checker: &Checker, standing: Option<&Standing>) {
    let timing = &checker.timing;
    let _ = writeln!(out, "   Delay loop = {} us\n   Warmup = {} us", timing.delay_loop.as_micros(), timing.warmup.as_micros());
    let _ = writeln!(out, "   Retries = {}", timing.retry);
    if timing.retry > 0 {
        let _ = writeln!(out, "   Delay before retry = {} us", timing.delay_before_retry.as_micros());
        if let Some(standing) = standing {
            let _ = writeln!(out, "   Retries iterations = {}", standing.retries);
        }
    }
}

fn connection(out: &mut String, target: &Target) {
    let _ = writeln!(out, "   Connection\n     Dest = [{}]:{}", target.address, target.port);
    if target.bind.is_some() || target.bind_port != 0 {
        let from = target.bind.map_or_else(String::new, |address| address.to_string());
        let _ = writeln!(out, "     Bind to = [{from}]:{}", target.bind_port);
    }
    if let Some(interface) = &target.bind_if {
        let _ = writeln!(out, "     Bind i/f = {interface}");
    }
    if target.fwmark != 0 {
        let _ = writeln!(out, "     Mark = {}", target.fwmark);
    }
    let _ = writeln!(out, "     Timeout = {:.6}", target.connect_timeout.as_secs_f64());
}

/// The checker's own words.
fn method_of(out: &mut String, checker: &Checker, standing: Option<&Standing>) {
    let _ = write!(out, "   Keepalive method = {}", checker.kind.keyword());
    match &checker.kind {
        Kind::Http(settings) => pages(out, settings, standing.and_then(|standing| standing.failed_page)),
        Kind::Smtp(settings) => _ = writeln!(out, "\n   helo = {}", settings.helo),
        Kind::Dns(settings) => _ = writeln!(out, "\n   Type = {}\n   Name = {}", settings.kind.word(), settings.name),
        Kind::Udp(settings) => {
            let _ = writeln!(
                out,
                "\n   Payload specified = {}\n   Require reply = {}",
                yes(!settings.payload.is_empty()),
                yes(settings.reply.is_some())
            );
            if let Some(reply) = &settings.reply {
                let _ = writeln!(out, "     Min reply length = {}\n     Max reply length = {}", reply.min, reply.max);
                let masked = reply.pattern.iter().any(|(_, mask)| *mask != 0xff);
                let _ = writeln!(out, "     Reply data len = {}\n     Reply data mask = {}", reply.pattern.len(), yes(masked));
            }
        }
        Kind::Misc(settings) => {
            let _ = writeln!(out, "\n   script = {}\n   timeout = {}", settings.command, settings.timeout.as_secs());
            let _ = writeln!(out, "   dynamic = {}", if settings.dynamic { "YES" } else { "NO" });
            if let Some((at, said)) = standing.and_then(|standing| standing.last.as_ref()) {
                let _ = writeln!(out, "   Last ran = {at:.6}\n   Last status = {said}");
            }
        }
        Kind::File(settings) => {
            _ = writeln!(
                out,
                "\n   Name = {}, weight = {}{}",
                settings.name,
                settings.weight,
                if settings.reverse { " reverse" } else { "" }
            )
        }
        Kind::Bfd(name) => _ = writeln!(out, "\n   Name = {name}"),
        Kind::Tcp | Kind::Ping => out.push('\n'),
    }
}

fn pages(out: &mut String, settings: &http::Settings, failed: Option<usize>) {
    let set = |value| if value { "set" } else { "unset" };
    let _ = writeln!(out, ", http protocol {}", settings.protocol.word());
    let _ = writeln!(out, "   Enable SNI {}\n   Fast recovery {}", set(settings.sni), set(settings.fast_recovery));
    for url in &settings.urls {
        let _ = writeln!(out, "   Checked url = {}", url.path);
        if let Some(digest) = &url.digest {
            let _ = writeln!(out, "     digest = {}", http::hex(digest));
        }
        out.push_str("     HTTP Status Code(s)\n");
        for (first, last) in &url.status {
            let _ = if first == last { writeln!(out, "       {first}") } else { writeln!(out, "       {first}-{last}") };
        }
        if let Some(host) = &url.virtualhost {
            let _ = writeln!(out, "     Virtual host = {host}");
        }
        if let Some(regex) = &url.regex {
            expression(out, regex);
        }
    }
    if let Some(url) = failed.and_then(|failed| settings.urls.get(failed)) {
        let _ = writeln!(out, "   Failed URL = {}", url.path);
    }
}

fn expression(out: &mut String, regex: &Regex) {
    let _ = writeln!(out, "     Regex = \"{}\"", regex.pattern);
    if !regex.wanted {
        out.push_str("     Regex no match\n");
    }
    if regex.min != 0 || regex.max.is_some() {
        let _ = writeln!(out, "     Regex min offset = {}, max_offset = {}", regex.min, regex.max.unwrap_or(0));
    }
    let options: Vec<&str> = regex::OPTIONS.iter().filter(|(_, word)| regex.has(*word)).map(|(name, _)| *name).collect();
    if !options.is_empty() {
        let _ = writeln!(out, "     Regex options: {}", options.join(" "));
    }
}
