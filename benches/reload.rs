//! SIGHUP with one change among thousands of instances: whether the adverts of the others go on.

use super::configs::{EXTRA, Many};
use super::contest::{CONFIGURATION, Contender, Contest, PATIENCE, Problem, ms, pids, start};
use super::figures::Table;
use super::scale::{holds, prepare};
use super::usage::cpu;
use keepalived_rs::ctl::lab::{AddressWatch, Lab, Sight, now};
use keepalived_rs::types::Instant;
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

const INSTANCES: usize = 4000;
/// Often, so that adverts are due while the reload lasts.
const INTERVAL: Duration = Duration::from_millis(250);
const NODE: &str = "ka1";
/// How long the adverts are watched after a reload.
const WATCHED: Duration = Duration::from_secs(3);

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    let title = format!("{INSTANCES} instances, version 3, {} ms; one address added or removed", INTERVAL.as_millis());
    let mut table = Table::new(title, contest.labels());
    for round in 0..contest.rounds(1, 3) {
        for (column, contender) in contest.turns(round) {
            measure(contender, contest.rounds(4, 6), |row, value| table.add(row, column, value))?;
        }
    }
    table.print();
    Ok(())
}

fn measure(contender: &Contender, reloads: usize, mut add: impl FnMut(&str, f64)) -> Result<(), Problem> {
    let lab = prepare(contender, INSTANCES)?;
    let host = lab.host(NODE);
    let text = |extra| Many { instances: INSTANCES, priority: 200, version: 3, advert_int: INTERVAL.as_secs_f64(), extra }.text();
    let daemon = start(host, &text(false))?;
    lab.wait("every address", PATIENCE, || {
        thread::sleep(Duration::from_millis(100));
        holds(host, INSTANCES) == INSTANCES
    })?;
    // Past the second batch of gratuitous ARPs.
    thread::sleep(Duration::from_secs(7));
    let processes = pids(&daemon);
    let usual = usual_cpu(&processes);
    for reload in 0..reloads {
        let adds = reload % 2 == 0;
        let watch = AddressWatch::start(host)?;
        let mark = lab.capture().mark();
        thread::sleep(INTERVAL * 3);
        host.write(CONFIGURATION, text(adds))?;
        let (before, began) = (cpu(&processes), now());
        daemon.signal(Signal::SIGHUP)?;
        lab.wait("the change", PATIENCE, || host.has(EXTRA) == adds)?;
        thread::sleep(WATCHED);
        let spent = cpu(&processes) - before;
        add("CPU of the reload, ms", ms(spent) - usual * ms(now().since(began)));
        let changed = if adds { watch.added(EXTRA) } else { watch.removed(EXTRA) };
        if let Some(at) = changed.first() {
            add("SIGHUP to the change, ms", ms(at.since(began)));
        }
        let flaps = watch.changes().iter().filter(|seen| !seen.what.added && seen.what.address.ip() != EXTRA).count();
        add("addresses that flapped", flaps as f64);
        let (stall, resignations) = adverts(&lab, mark, began);
        add("longest stall of any instance, ms", ms(stall));
        add("adverts of priority 0", resignations as f64);
    }
    Ok(())
}

/// Share of one CPU that the daemon takes while nothing happens.
fn usual_cpu(processes: &[u32]) -> f64 {
    let (before, began) = (cpu(processes), now());
    thread::sleep(Duration::from_secs(3));
    (cpu(processes) - before).as_secs_f64() / now().since(began).as_secs_f64()
}

/// By how much the longest gap between two adverts of one instance, at or after the reload, exceeds the interval; and resignations.
fn adverts(lab: &Lab, mark: usize, began: Instant) -> (Duration, usize) {
    let seen = lab.capture().filter(mark, |frame| match frame.sight()? {
        Sight::Advert { source, vrid, priority } => Some((frame.at, source, vrid, priority)),
        Sight::Claim { .. } => None,
    });
    let mut last = HashMap::new();
    let (mut longest, mut resignations) = (Duration::ZERO, 0);
    for (at, source, vrid, priority) in seen {
        let before = last.insert((source, vrid), at);
        if at > began {
            longest = longest.max(before.map_or(Duration::ZERO, |before| at.since(before)));
        }
        resignations += usize::from(priority == 0);
    }
    (longest.saturating_sub(INTERVAL), resignations)
}
