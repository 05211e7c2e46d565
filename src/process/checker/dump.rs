//! `keepalived_check.data`, in the layout of keepalived 2.2.7 as far as it goes.

use crate::check::{Checker, Kind, Target, http, tls};
use crate::ipc::messages::CheckerId;
use crate::lvs::health::Health;
use crate::lvs::settings::{Address, Balancer, Forwarding, GroupEntry, Tunnel};
use crate::sys::clock;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// The whole text.
pub(super) fn text(balancer: &Balancer, health: &[Health], certificates: &HashMap<Arc<CheckerId>, i64>) -> String {
    let mut out = String::new();
    ssl(&mut out, &balancer.tls);
    out.push_str("------< LVS Topology >------\n");
    for server in &balancer.servers {
        if let Address::Group(name, entries) = &server.address {
            group(&mut out, name, entries);
        }
    }
    for health in health {
        virtual_server(&mut out, health);
    }
    out.push_str("------< Health checkers >------\n");
    for health in health {
        checkers(&mut out, health, certificates);
    }
    out
}

fn group(out: &mut String, name: &str, entries: &[GroupEntry]) {
    let _ = writeln!(out, " ------< Virtual server group >------\n Virtual Server Group = {name}");
    for entry in entries {
        let _ = match entry {
            GroupEntry::Range { first, last, port } if first == last => writeln!(out, "   VIP = {first}, VPORT = {port}"),
            GroupEntry::Range { first, last, port } => writeln!(out, "   VIP Range = {first}-{last}, VPORT = {port}"),
            GroupEntry::Mark(mark, _) => writeln!(out, "   FWMARK = {mark}"),
        };
    }
}

const fn on(value: bool) -> &'static str {
    if value { "ON" } else { "OFF" }
}

fn method(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "NAT",
        Forwarding::Direct => "DR",
        Forwarding::Tunnel(Tunnel::Ipip) => "TUN, type = IPIP",
        Forwarding::Tunnel(Tunnel::Gue(..)) => "TUN, type = GUE",
        Forwarding::Tunnel(Tunnel::Gre(_)) => "TUN, type = GRE",
    }
}

fn virtual_server(out: &mut String, health: &Health) {
    let server = health.settings();
    out.push_str(" ------< Virtual server >------\n");
    let _ = match &server.address {
        Address::Socket(address, port) => writeln!(out, " VS VIP = {address}, VPORT = {port}"),
        Address::Mark(mark) => writeln!(out, " VS FWMARK = {mark}"),
        Address::Group(..) => writeln!(out, " VS GROUP = {server}"),
    };
    let _ = writeln!(out, "   lvs_sched = {}", server.service.scheduler);
    if let Some(timeout) = server.service.persistence {
        let _ = writeln!(out, "   persistence timeout = {timeout}");
    }
    let _ = writeln!(out, "   protocol = {}", server.protocol.word().to_uppercase());
    let _ = writeln!(out, "   alpha is {}\n   omega is {}", on(server.alpha), on(server.omega));
    let _ = writeln!(out, "   quorum = {}, hysteresis = {}", server.quorum, server.hysteresis);
    if let Some(sorry) = &server.sorry {
        let _ = writeln!(out, "   sorry server = {}\n     forwarding method = {}", server.name_of_sorry(sorry), method(sorry.forwarding));
        let _ = writeln!(out, "     Inhibit on failure is {}", on(sorry.inhibit));
    }
    let alive = u8::from(health.live_weight() > 0);
    let _ = writeln!(out, "   alive = {alive}\n   quorum_state_up = {}", u8::from(health.has_quorum()));
    for (at, real) in server.real_servers.iter().enumerate() {
        let weight = health.weight(at);
        let _ = writeln!(out, "   ------< Real server >------");
        let _ = writeln!(out, "   RIP = {}, RPORT = {}, WEIGHT = {} EFF WEIGHT = {weight}", real.address, real.port, real.weight);
        let _ = writeln!(out, "   forwarding method = {}", method(real.forwarding));
        let _ = writeln!(out, "   connection limit range = {} -> {}", real.lower, real.upper);
        let _ = writeln!(out, "   Inhibit on failure is {}", on(real.inhibit));
        let _ = writeln!(out, "   initial weight = {}\n   effective weight = {weight}", real.weight);
        let _ = writeln!(out, "   alive = {}\n   num failed checkers = {}", u8::from(health.is_up(at)), health.failing(at));
    }
}

/// The checkers of a virtual server. What the original shows of a running check (its retries so far) is the prober's, and is not told.
fn checkers(out: &mut String, health: &Health, certificates: &HashMap<Arc<CheckerId>, i64>) {
    let server = health.settings();
    for (at, real) in server.real_servers.iter().enumerate() {
        for (place, checker) in real.checkers.iter().enumerate() {
            let _ = writeln!(out, " {server} -> {}", server.name_of(real));
            let up = !health.is_failing(at, place);
            let _ = writeln!(out, "   Enabled = yes\n   Up = {}\n   Alpha = {}", yes(up), yes(checker.alpha));
            timing(out, checker);
            if !matches!(checker.kind, Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_)) {
                connection(out, &checker.target);
            }
            method_of(out, checker);
            let id = CheckerId { service: server.to_string(), server: real.key(), place: u32::try_from(place).unwrap_or(u32::MAX) };
            if let Some(ends) = certificates.get(&id) {
                let left = tls::days_left(clock::epoch_seconds() as i64, *ends);
                let _ = writeln!(out, "   Certificate ends in {left} days");
            }
        }
    }
}

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn timing(out: &mut String, checker: &Checker) {
    let timing = &checker.timing;
    let _ = writeln!(out, "   Delay loop = {} us\n   Warmup = {} us", timing.delay_loop.as_micros(), timing.warmup.as_micros());
    let _ = writeln!(out, "   Retries = {}", timing.retry);
    if timing.retry > 0 {
        let _ = writeln!(out, "   Delay before retry = {} us", timing.delay_before_retry.as_micros());
    }
    let _ = writeln!(out, "   Log all failures = {}", yes(checker.log_all_failures));
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
fn method_of(out: &mut String, checker: &Checker) {
    let _ = write!(out, "   Keepalive method = {}", checker.kind.keyword());
    match &checker.kind {
        Kind::Http(settings) => pages(out, settings),
        Kind::Smtp(settings) => _ = writeln!(out, "\n   helo = {}", settings.helo),
        Kind::Dns(settings) => _ = writeln!(out, "\n   Type = {}\n   Name = {}", settings.kind.word(), settings.name),
        Kind::Udp(settings) => {
            let _ = writeln!(out, "\n   Payload len = {}\n   Require reply = {}", settings.payload.len(), yes(settings.reply.is_some()));
            if let Some(reply) = &settings.reply {
                let _ = writeln!(out, "     Min reply length = {}\n     Max reply length = {}", reply.min, reply.max);
                let masked = reply.pattern.iter().any(|(_, mask)| *mask != 0xff);
                let _ = writeln!(out, "     Reply data len = {}\n     Reply data mask = {}", reply.pattern.len(), yes(masked));
            }
        }
        Kind::Misc(settings) => {
            let _ = writeln!(out, "\n   script = {}\n   timeout = {}", settings.command, settings.timeout.as_secs());
            let _ = writeln!(out, "   dynamic = {}", if settings.dynamic { "YES" } else { "NO" });
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

fn pages(out: &mut String, settings: &http::Settings) {
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
            let _ = writeln!(out, "     VirtualHost = {host}");
        }
        if let Some(regex) = &url.regex {
            let _ = writeln!(out, "     Regex = \"{}\"", regex.pattern);
            if !regex.wanted {
                out.push_str("     Regex no match\n");
            }
        }
    }
}

/// The `SSL` block.
fn ssl(out: &mut String, settings: &tls::Settings) {
    if *settings == tls::Settings::default() {
        return;
    }
    out.push_str("------< SSL definitions >------\n");
    let files = [("Certificate", &settings.certificate), ("Key", &settings.key), ("CA", &settings.authority)];
    for (name, path) in files {
        if let Some(path) = path {
            let _ = writeln!(out, " {name} file : {path}");
        }
    }
    let _ = writeln!(out, " Least version of TLS : {}\n Days of warning : {}", settings.least.word(), settings.warn_days);
}
