//! Drafts into settings: defaults filled in, and what belongs together looked at together, in the original's words.

mod checks;

use super::super::Reader;
use super::server::{Draft, Head, Real};
use crate::check::tls;
use crate::lvs::settings::{
    Address, Balancer, Forwarding, GroupEntry, Protocol, RealServer, ServiceSettings, SorryServer, VirtualServer, flag,
};
use crate::lvs::table::{ServiceKey, keys, range};
use crate::syntax::{Complaint, Span};
use crate::types::Family;
use crate::vrrp::settings::Settings;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything for the checker child.
pub(crate) fn balancer(reader: &mut Reader, instances: &[Arc<Settings>]) -> Balancer {
    sync_id(reader, instances);
    let drafts = std::mem::take(&mut reader.lvs.servers);
    let mut taken: HashSet<ServiceKey> = HashSet::new();
    let mut servers = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let span = draft.span;
        let Some(mut server) = virtual_server(reader, draft) else { continue };
        if let Some(first) =
            servers.iter_mut().find(|first: &&mut Arc<VirtualServer>| first.address == server.address && first.name() == server.name())
        {
            merge(reader, span, Arc::make_mut(first), server);
            continue;
        }
        let all = keys(&server);
        if let Some(twice) = all.iter().find(|key| taken.contains(*key)) {
            let message = format!("Virtual server {server}: {twice} is in another virtual_server already");
            let rest = remaining(&server, &taken);
            let help = if rest.is_empty() { "the block is left out" } else { "that one serves it; this one serves the rest" };
            reader.complain(Complaint::error(span, message).help(help.to_owned()));
            match &mut server.address {
                Address::Group(_, entries) if !rest.is_empty() => *entries = rest,
                _ => continue,
            }
        }
        taken.extend(keys(&server));
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
        init_notifies: lvs.init_notifies,
        timeouts: lvs.timeouts.take(),
        sync: lvs.sync.take(),
        tls: std::mem::take(&mut lvs.tls),
        tls_files: tls::Files::default(),
    }
}

/// What of its group nobody else serves.
fn remaining(server: &VirtualServer, taken: &HashSet<ServiceKey>) -> Vec<GroupEntry> {
    let Address::Group(_, entries) = &server.address else { return Vec::new() };
    let mut rest = Vec::new();
    for entry in entries {
        match entry {
            GroupEntry::Mark(mark, family) => {
                let key = ServiceKey::Mark(family.unwrap_or(server.family), *mark);
                rest.extend((!taken.contains(&key)).then(|| entry.clone()));
            }
            GroupEntry::Range { first, last, port } => {
                let mut run: Option<(IpAddr, IpAddr)> = None;
                for address in range(*first, *last) {
                    let free = !taken.contains(&ServiceKey::Socket(server.protocol, address, *port));
                    run = match run {
                        Some((first, _)) if free => Some((first, address)),
                        None if free => Some((address, address)),
                        Some((first, last)) => {
                            rest.push(GroupEntry::Range { first, last, port: *port });
                            None
                        }
                        None => None,
                    };
                }
                rest.extend(run.map(|(first, last)| GroupEntry::Range { first, last, port: *port }));
            }
        }
    }
    rest
}

/// The same virtual server again: in the original's table its real servers join those of the first, whose words count.
fn merge(reader: &mut Reader, span: Span, first: &mut VirtualServer, again: VirtualServer) {
    let message = format!("Virtual server {first} is written twice: the first one's words count for the real servers of both");
    warn(reader, span, message);
    for real in again.real_servers {
        if first.real_servers.iter().all(|other| other.key() != real.key()) {
            first.real_servers.push(real);
        }
    }
}

/// Without `id` the sync daemon has its instance's virtual router id; without its instance there is none.
fn sync_id(reader: &mut Reader, instances: &[Arc<Settings>]) {
    let Some((daemon, Some(name))) = &mut reader.lvs.sync else { return };
    match instances.iter().find(|instance| instance.name == *name) {
        Some(_) if reader.lvs.sync_id => {}
        Some(instance) => daemon.id = instance.vrid.get(),
        None => {
            let message = format!("Unable to find vrrp instance {name} for lvs_syncd - clearing lvs_syncd config");
            reader.lvs.sync = None;
            let span = reader.lvs.sync_span;
            warn(reader, span, message);
        }
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
    let marked = by_mark || matches!(&server.address, Address::Group(_, entries) if entries.iter().any(GroupEntry::is_mark));
    if server.ha_suspend && marked {
        warn(reader, draft.span, format!("Virtual server {server}: cannot use ha_suspend with fwmarks - clearing ha_suspend"));
        server.ha_suspend = false;
    }
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
    if server.real_servers.is_empty() {
        warn(reader, draft.span, format!("Virtual server {server} has no real servers - ignoring"));
        return None;
    }
    if let Address::Group(name, entries) = &server.address
        && [Family::V4, Family::V6].iter().all(|family| entries.iter().any(|entry| entry.family() == Some(*family)))
        && server.real_servers.iter().any(|real| !matches!(real.forwarding, Forwarding::Tunnel(_)))
    {
        let message = format!("{name}: virtual server group with IPv4 & IPv6 doesn't match virtual server {server} - ignoring");
        reader.complain(Complaint::error(draft.span, message).expected("TUN for servers that both families reach"));
        return None;
    }
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
            let family = draft.family.or(entries.iter().find_map(GroupEntry::family)).unwrap_or(Family::V4);
            Some((Address::Group(name.clone(), entries), family))
        }
    }
}

fn service(reader: &mut Reader, draft: &Draft, server: &VirtualServer) -> ServiceSettings {
    let mut flags = draft.flags;
    if flags & flag::ONE_PACKET != 0 && server.protocol != Protocol::Udp && !matches!(server.address, Address::Mark(_)) {
        warn(reader, draft.span, format!("Virtual server {server}: one packet scheduling requires UDP - resetting"));
        flags &= !flag::ONE_PACKET;
    }
    let mut persistence = draft.persistence;
    let every_port = match &server.address {
        Address::Socket(_, port) => *port == 0,
        Address::Group(_, entries) => entries.iter().any(|entry| matches!(entry, GroupEntry::Range { port: 0, .. })),
        Address::Mark(_) => false,
    };
    if every_port && persistence.is_none() {
        warn(reader, draft.span, format!("Virtual server {server}: zero port only valid for persistent services - setting"));
        persistence = Some(360);
    }
    ServiceSettings {
        scheduler: draft.scheduler.clone().unwrap_or_else(|| "wlc".to_owned()),
        flags,
        persistence,
        granularity: draft.granularity,
        // Without persistence there is nothing for it to do, and the original does not ask the kernel for it.
        engine: draft.engine.clone().filter(|_| persistence.is_some()),
    }
}

/// The port that the kernel is to be given: only NAT has one of its own.
fn port(server: &VirtualServer, port: u16, method: Forwarding) -> u16 {
    match (&server.address, method) {
        (Address::Mark(_), Forwarding::Direct | Forwarding::Tunnel(_)) => 0,
        (Address::Socket(_, service), Forwarding::Direct | Forwarding::Tunnel(_)) => *service,
        // Without a port of its own a NAT server gets the service's.
        (Address::Socket(_, service), Forwarding::Nat) if port == 0 => *service,
        (Address::Mark(_) | Address::Socket(..), Forwarding::Nat) | (Address::Group(..), _) => port,
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
    checkers.extend(real.checkers.iter().filter_map(|checker| checks::checker(reader, draft, &real, checker, &times).map(Arc::new)));
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

/// What nobody says here, `smtp_alert_checker` and `smtp_alert` of global_defs say.
fn mails(reader: &Reader, here: Option<bool>, usual: bool) -> bool {
    let told = &reader.defaults.told;
    here.or(told.mail_checker).or(told.mail).unwrap_or(usual)
}

#[cfg(test)]
mod tests;
