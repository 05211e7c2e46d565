//! `keepalived_check.data`, in the layout of keepalived 2.2.7 as far as it goes.

use crate::lvs::health::Health;
use crate::lvs::settings::{Address, Balancer, Forwarding, GroupEntry, Tunnel, VirtualServer};
use std::fmt::Write as _;

/// The whole text.
pub(super) fn text(balancer: &Balancer, health: &[Health]) -> String {
    let mut out = String::from("------< LVS Topology >------\n");
    for server in &balancer.servers {
        if let Address::Group(name, entries) = &server.address {
            group(&mut out, name, entries);
        }
    }
    for health in health {
        virtual_server(&mut out, health);
    }
    out.push_str("------< Health checkers >------\n");
    for server in &balancer.servers {
        checkers(&mut out, server);
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

fn checkers(out: &mut String, server: &VirtualServer) {
    for real in &server.real_servers {
        for checker in &real.checkers {
            let _ = writeln!(out, " {server} -> {}", server.name_of(real));
            let timing = &checker.timing;
            let _ = writeln!(out, "   Alpha = {}", if checker.alpha { "yes" } else { "no" });
            let _ = writeln!(out, "   Delay loop = {} us\n   Warmup = {} us", timing.delay_loop.as_micros(), timing.warmup.as_micros());
            let _ = writeln!(out, "   Retries = {}\n   Delay before retry = {} us", timing.retry, timing.delay_before_retry.as_micros());
            let target = &checker.target;
            let _ = writeln!(out, "   Connection\n     Dest = [{}]:{}", target.address, target.port);
            let _ = writeln!(
                out,
                "     Timeout = {:.6}\n   Keepalive method = {}",
                target.connect_timeout.as_secs_f64(),
                checker.kind.keyword()
            );
        }
    }
}
