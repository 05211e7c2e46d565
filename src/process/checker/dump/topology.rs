//! The topology: virtual servers, their real servers.

use crate::check::{Checker, Kind};
use crate::lvs::health::{Health, Place};
use crate::lvs::settings::{Address, Checksum, Forwarding, GroupEntry, RealServer, Tunnel, VirtualServer, flag};
use crate::types::{Command, Family};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) fn group(out: &mut String, name: &str, entries: &[GroupEntry]) {
    let yes = |family| {
        let has = entries.iter().any(|entry| match entry {
            GroupEntry::Range { first, .. } => Family::of(first) == family,
            GroupEntry::Mark(_, of) => *of == Some(family),
        });
        if has { "yes" } else { "no" }
    };
    out.push_str(" ------< Virtual server group >------\n");
    let _ = writeln!(out, " Virtual Server Group = {name}, IPv4 = {}, IPv6 = {}", yes(Family::V4), yes(Family::V6));
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

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

const fn enabled(value: bool) -> &'static str {
    if value { "enabled" } else { "disabled" }
}

fn checksum(of: Checksum) -> &'static str {
    match of {
        Checksum::None => "no checksum",
        Checksum::Whole => "checksum",
        Checksum::Remote => "remote checksum",
    }
}

fn method(forwarding: Forwarding) -> String {
    match forwarding {
        Forwarding::Nat => "NAT".to_owned(),
        Forwarding::Direct => "DR".to_owned(),
        Forwarding::Tunnel(Tunnel::Ipip) => "TUN, type = IPIP".to_owned(),
        Forwarding::Tunnel(Tunnel::Gue(port, sum)) => format!("TUN, type = GUE, port = {port}, {}", checksum(sum)),
        Forwarding::Tunnel(Tunnel::Gre(sum)) => format!("TUN, type = GRE, {}", checksum(sum)),
    }
}

pub(super) fn virtual_server(out: &mut String, health: &Health) {
    let server = health.settings();
    out.push_str(" ------< Virtual server >------\n");
    let _ = match &server.address {
        Address::Socket(address, port) => writeln!(out, " VS VIP = {address}, VPORT = {port}"),
        Address::Mark(mark) => writeln!(out, " VS FWMARK = {mark}"),
        Address::Group(..) => writeln!(out, " VS GROUP = {server}"),
    };
    let family = if server.family == Family::V4 { "inet" } else { "inet6" };
    let _ = writeln!(out, "   Address family = {family}");
    scheduling(out, server);
    let by_mark = matches!(server.address, Address::Mark(_));
    let _ = writeln!(out, "   protocol = {}", if by_mark { "none".to_owned() } else { server.protocol.word().to_uppercase() });
    let _ = writeln!(out, "   alpha is {}\n   omega is {}", on(server.alpha), on(server.omega));
    let _ = writeln!(out, "   quorum = {}, hysteresis = {}", server.quorum, server.hysteresis);
    script(out, "   Quorum up notify script", server.quorum_up.as_deref());
    script(out, "   Quorum down notify script", server.quorum_down.as_deref());
    if server.ha_suspend {
        out.push_str("   Using HA suspend\n");
    }
    let _ = writeln!(out, "   Using smtp notification = {}", yes(server.smtp_alert));
    if let Some(sorry) = &server.sorry {
        let _ = writeln!(out, "   sorry server = {}\n     forwarding method = {}", server.name_of_sorry(sorry), method(sorry.forwarding));
        let _ = writeln!(out, "     Inhibit on failure is {}", on(sorry.inhibit));
    }
    // The service is in the table whatever its servers are.
    let _ = writeln!(out, "   alive = 1\n   quorum_state_up = {}", u8::from(health.has_quorum()));
    let (places, _) = health.places();
    for ((at, real), place) in server.real_servers.iter().enumerate().zip(&places) {
        real_server(out, health, (at, real), *place != Place::Absent);
    }
}

/// How the kernel spreads connections. A scheduler's flags go by its own names.
fn scheduling(out: &mut String, server: &VirtualServer) {
    let service = &server.service;
    let is = |bit: u32| enabled(service.flags & bit != 0);
    let _ = writeln!(out, "   lvs_sched = {}\n   Hashed = {}", service.scheduler, is(flag::HASHED));
    let _ = match service.scheduler.as_str() {
        name @ ("sh" | "mh") => {
            writeln!(out, "   {name}-port = {}\n   {name}-fallback = {}", is(flag::SCHEDULER_2), is(flag::SCHEDULER_1))
        }
        _ => writeln!(
            out,
            "   flag-1 = {}\n   flag-2 = {}\n   flag-3 = {}",
            is(flag::SCHEDULER_1),
            is(flag::SCHEDULER_2),
            is(flag::SCHEDULER_3)
        ),
    };
    let _ = writeln!(out, "   One packet scheduling = {}", is(flag::ONE_PACKET));
    if let Some(timeout) = service.persistence {
        let _ = writeln!(out, "   persistence timeout = {timeout}");
    }
    if let Some(granularity) = service.granularity {
        let bits = granularity.in_kernel(server.family);
        let _ = match server.family {
            Family::V4 => writeln!(out, "   persistence granularity = {}", IpAddr::from(bits.to_be_bytes())),
            Family::V6 => writeln!(out, "   persistence granularity = {bits}"),
        };
    }
    if let Some(engine) = &service.engine {
        let _ = writeln!(out, "   persistence engine = {engine}");
    }
}

fn script(out: &mut String, what: &str, command: Option<&Command>) {
    if let Some(command) = command {
        let _ = writeln!(out, "{what} = {command}");
    }
}

fn real_server(out: &mut String, health: &Health, (at, real): (usize, &RealServer), set: bool) {
    let weight = health.weight(at);
    let _ = writeln!(out, "   ------< Real server >------");
    let _ = writeln!(out, "   RIP = {}, RPORT = {}, WEIGHT = {} EFF WEIGHT = {weight}", real.address, real.port, real.weight);
    let _ = writeln!(out, "   forwarding method = {}", method(real.forwarding));
    let _ = writeln!(out, "   connection limit range = {} -> {}", real.lower, real.upper);
    let _ = writeln!(out, "   Inhibit on failure is {}", on(real.inhibit));
    script(out, "     RS up notify script", real.notify_up.as_deref());
    script(out, "     RS down notify script", real.notify_down.as_deref());
    let _ = writeln!(out, "   Using smtp notification = {}", yes(real.smtp_alert));
    let _ = writeln!(out, "   initial weight = {}\n   effective weight = {weight}", real.weight);
    let _ = writeln!(out, "   alive = {}\n   num failed checkers = {}", u8::from(health.is_up(at)), health.failing(at));
    let _ = writeln!(out, "   RS set = {}", u8::from(set));
    let mut files = real.checkers.iter().filter_map(|checker| match &checker.kind {
        Kind::File(file) => Some(file),
        _ => None,
    });
    if let Some(first) = files.next() {
        out.push_str("   Tracked Files\n");
        for file in std::iter::once(first).chain(files) {
            let _ = writeln!(out, "     {}, weight {}{}", file.name, file.weight, if file.reverse { " reverse" } else { "" });
        }
    }
    let names = |checker: &Arc<Checker>| if let Kind::Bfd(name) = &checker.kind { Some(format!("     {name}\n")) } else { None };
    let sessions: String = real.checkers.iter().filter_map(names).collect();
    if !sessions.is_empty() {
        let _ = write!(out, "   Tracked BFDs\n{sessions}");
    }
}
