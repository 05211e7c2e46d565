//! What the child answers when asked for its data, statistics or JSON.

use crate::ipc::messages::Dump;
use crate::net::mirror::{Link, Mirror};
use crate::report::vrrp_data::{self, LinkLine};
use crate::report::{InstanceView, Tracking, vrrp_json};
use crate::sys::calendar::Local;
use crate::sys::clock;
use crate::types::Instant;
use crate::vrrp::fsm::Instance;
use crate::vrrp::stats::Stats;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

/// One instance's part of a dump.
pub(super) type Section = InstanceView;

pub(super) fn describe(machine: &Instance, stats: &Stats, source: Option<IpAddr>, last_transition: f64, waits_for: usize) -> Section {
    let now = clock::now();
    let after = |deadline: Instant| if deadline > now { deadline.since(now) } else { Duration::ZERO };
    InstanceView {
        settings: std::sync::Arc::clone(machine.settings()),
        state: machine.state(),
        effective_priority: machine.priority(),
        faults: machine.faults().clone(),
        source,
        master: machine.master(),
        master_priority: machine.master_priority(),
        master_interval: machine.master_interval(),
        master_down_interval: machine.master_down_interval(),
        stats: *stats,
        last_transition,
        next_deadline: machine.deadline().map(|deadline| clock::epoch_seconds() + after(deadline).as_secs_f64()),
        waits_for,
    }
}

/// Says that a dump was asked for, as the original does.
pub(super) fn announce(dump: Dump) {
    let what = match dump {
        Dump::Data => "Printing VRRP data",
        Dump::Stats => "Printing VRRP stats",
        Dump::StatsAndClear => "Printing and clearing VRRP stats",
        Dump::Json => "Printing VRRP as json",
    };
    tracing::info!("{what} for process({}) on signal", std::process::id());
}

/// The whole text, in the order of the configuration.
pub(super) fn text(dump: Dump, sections: &[Section], tracking: &Tracking<'_>, mirror: &Mirror) -> String {
    match dump {
        Dump::Data => {
            let links: Vec<LinkLine> = mirror.links().map(link_line).collect();
            vrrp_data::data(sections, tracking, &links, &local_time)
        }
        Dump::Stats | Dump::StatsAndClear => vrrp_data::stats(sections),
        Dump::Json => vrrp_json::json(sections, tracking.watched),
    }
}

fn link_line(link: &Link) -> LinkLine {
    LinkLine {
        name: link.name.clone(),
        index: link.index,
        mac: link.mac.map(|mac| mac.to_string()),
        up: link.up,
        running: link.running,
        loopback: link.loopback,
        mtu: link.mtu,
        addresses: link.addresses.iter().map(|address| address.prefix.address().to_string()).collect(),
    }
}

/// Seconds since the epoch as people write them, with microseconds before the year as the original prints them.
fn local_time(seconds: f64) -> String {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let text = Local::at(UNIX_EPOCH + since).ctime();
    match text.rsplit_once(' ') {
        Some((time, year)) => format!("{time}.{:06} {year}", since.subsec_micros()),
        None => text,
    }
}
