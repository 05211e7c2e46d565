//! Load balancing: the kernel's table, and what is around it.

use super::{Action, Kind, Steps, fields};
use crate::check::Checker;
use crate::lvs::plan::{Change, plan};
use crate::lvs::settings::{Address, Balancer, Forwarding, RealServer, VirtualServer};
use crate::lvs::table::{Destination, DestinationKey, Service, Table, healthy};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn steps(old: &Balancer, new: &Balancer, steps: &mut Steps) {
    kernel(old, new, steps);
    let differs = |before: &&VirtualServer, after: &&VirtualServer| {
        let details = fields::between(*before, *after, &["address", "service", "real_servers"]);
        if details.is_empty() { String::new() } else { details.join("; ") }
    };
    let mut servers = Steps::default();
    servers.between(
        Kind::Server,
        &servers_of(old),
        &servers_of(new),
        |server| format!("{} real servers", server.real_servers.len()),
        differs,
    );
    // Where only the kernel's table or a check differs, that is said there.
    steps.0.extend(servers.0.into_iter().filter(|step| step.action != Action::Change || !step.detail.is_empty()));
    let mut reals = Steps::default();
    let seen_elsewhere = ["address", "port", "weight", "forwarding", "upper", "lower", "checkers"];
    reals.between(
        Kind::Server,
        &reals_of(old),
        &reals_of(new),
        |_| String::new(),
        |before, after| fields::between(*before, *after, &seen_elsewhere).join("; "),
    );
    steps.0.extend(reals.0.into_iter().filter(|step| step.action == Action::Change && !step.detail.is_empty()));
    checkers(old, new, steps);
    for detail in fields::between(old, new, &["servers", "authority"]) {
        let (name, detail) = detail.split_once(": ").unwrap_or((&detail, ""));
        steps.put(Kind::Balancer, Action::Change, name, detail);
    }
}

fn table(balancer: &Balancer) -> Table {
    balancer.servers.iter().flat_map(healthy).collect()
}

/// What the checker child would tell IPVS.
fn kernel(old: &Balancer, new: &Balancer, steps: &mut Steps) {
    let (before, after) = (table(old), table(new));
    for change in plan(&after, &before, &before.keys().copied().collect()) {
        let service = change.service();
        match change {
            Change::AddService(_, to) => steps.put(Kind::Service, Action::Add, service.to_string(), scheduling(&to)),
            Change::EditService(_, to) => {
                let from = before.get(&service).map(|entry| scheduling(&entry.service)).unwrap_or_default();
                steps.put(Kind::Service, Action::Change, service.to_string(), format!("{from} -> {}", scheduling(&to)));
            }
            Change::RemoveService(_) => steps.put(Kind::Service, Action::Remove, service.to_string(), "its connections end"),
            Change::AddDestination(_, place, to) => steps.put(Kind::Destination, Action::Add, name(place, &service), serving(&to)),
            Change::EditDestination(_, place, to) => {
                let from = before.get(&service).and_then(|entry| entry.destinations.get(&place)).map(serving).unwrap_or_default();
                steps.put(Kind::Destination, Action::Change, name(place, &service), format!("{from} -> {}", serving(&to)));
            }
            Change::RemoveDestination(_, place) => steps.put(Kind::Destination, Action::Remove, name(place, &service), ""),
        }
    }
}

fn name(place: DestinationKey, service: &crate::lvs::table::ServiceKey) -> String {
    format!("{} of {service}", std::net::SocketAddr::from(place))
}

fn scheduling(service: &Service) -> String {
    let mut text = service.scheduler.clone();
    if service.timeout > 0 {
        text.push_str(&format!(", persistent {} s", service.timeout));
    }
    if service.flags & !1 != 0 {
        text.push_str(&format!(", flags {:#x}", service.flags & !1));
    }
    text
}

fn serving(destination: &Destination) -> String {
    let method = match destination.forwarding {
        Forwarding::Nat => "NAT",
        Forwarding::Direct => "DR",
        Forwarding::Tunnel(_) => "TUN",
    };
    let mut text = format!("weight {}, {method}", destination.weight);
    if destination.upper > 0 || destination.lower > 0 {
        text.push_str(&format!(", thresholds {} and {}", destination.lower, destination.upper));
    }
    text
}

fn title(server: &VirtualServer) -> String {
    match &server.address {
        Address::Socket(address, port) => format!("virtual_server {address} {port} {}", server.protocol.word()),
        Address::Mark(mark) => format!("virtual_server fwmark {mark}"),
        Address::Group(name, _) => format!("virtual_server group {name} {}", server.protocol.word()),
    }
}

fn servers_of(balancer: &Balancer) -> BTreeMap<String, &VirtualServer> {
    balancer.servers.iter().map(|server| (title(server), &**server)).collect()
}

fn reals_of(balancer: &Balancer) -> BTreeMap<String, &RealServer> {
    let each = balancer.servers.iter().flat_map(|server| {
        server.real_servers.iter().map(move |real| (format!("real_server {} {} of {}", real.address, real.port, title(server)), real))
    });
    each.collect()
}

fn checkers(old: &Balancer, new: &Balancer, steps: &mut Steps) {
    let (before, after) = (reals_of(old), reals_of(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for real in names {
        let of = |reals: &BTreeMap<String, &RealServer>| reals.get(real).map_or_else(Vec::new, |real| real.checkers.clone());
        let (mut gone, mut come) = (of(&before), of(&after));
        // What is on both sides goes on, results and all.
        gone.retain(|checker| match come.iter().position(|other| other == checker) {
            Some(at) => {
                come.remove(at);
                false
            }
            None => true,
        });
        for checker in come {
            match gone.iter().position(|other| std::mem::discriminant(&other.kind) == std::mem::discriminant(&checker.kind)) {
                Some(at) => {
                    let detail = fields::between(&*gone.remove(at), &*checker, &[]).join("; ");
                    steps.put(Kind::Checker, Action::Change, check(&checker, real), detail);
                }
                None => steps.put(Kind::Checker, Action::Add, check(&checker, real), ""),
            }
        }
        gone.iter().for_each(|checker| steps.put(Kind::Checker, Action::Remove, check(checker, real), ""));
    }
}

fn check(checker: &Checker, real: &str) -> String {
    format!("{} of {real}", checker.kind.keyword())
}
