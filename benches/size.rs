//! One instance: how little it takes, how soon it speaks, how soon it is gone.

use super::contest::{Contender, Contest, PATIENCE, Problem, ms, pids, start};
use super::figures::Table;
use super::usage::{cpu, memory};
use keepalived_rs::ctl::lab::{Lab, Sight, now};
use keepalived_rs::types::Instant;
use nix::sys::signal::Signal;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 25, 254, 100);
const NODE: &str = "ka1";

fn configuration(priority: u8) -> String {
    let state = if priority == 255 { "MASTER" } else { "BACKUP" };
    format!(
        "global_defs {{\n    router_id one\n}}\nvrrp_instance VI_1 {{\n    state {state}\n    interface eth0\n    virtual_router_id 51\n    \
         priority {priority}\n    advert_int 1\n    virtual_ipaddress {{\n        {ADDRESS}/32\n    }}\n}}\n"
    )
}

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    let mut table = Table::new("one instance", contest.labels());
    for (column, contender) in contest.turns(0) {
        let size = std::fs::metadata(&contender.program).map_err(|cause| Problem::new(cause.to_string()))?.len();
        table.add("program, KB", column, size as f64 / 1024.0);
        idle(contender, |row, value| table.add(row, column, value))?;
    }
    for round in 0..contest.rounds(9, 25) {
        for (column, contender) in contest.turns(round) {
            start_and_stop(contender, |row, value| table.add(row, column, value))?;
        }
    }
    table.print();
    Ok(())
}

/// A master that has settled.
fn idle(contender: &Contender, mut add: impl FnMut(&str, f64)) -> Result<(), Problem> {
    let lab = contender.lab(&[NODE])?;
    let daemon = start(lab.host(NODE), &configuration(100))?;
    lab.wait("the address", PATIENCE, || lab.host(NODE).has(ADDRESS))?;
    thread::sleep(Duration::from_secs(6));
    let processes = pids(&daemon);
    let memory = memory(&processes);
    add("processes", processes.len() as f64);
    add("idle, resident KB", memory.resident);
    add("idle, proportional KB", memory.proportional);
    add("idle, private KB", memory.private);
    add("idle, private and written KB", memory.written);
    let (before, began) = (cpu(&processes), now());
    thread::sleep(Duration::from_secs(10));
    add("idle, CPU us a second", (cpu(&processes) - before).as_secs_f64() * 1e6 / now().since(began).as_secs_f64());
    Ok(())
}

/// An owner (it need not wait for anybody) from exec to its first advert, and from SIGTERM to its end.
fn start_and_stop(contender: &Contender, mut add: impl FnMut(&str, f64)) -> Result<(), Problem> {
    let lab = contender.lab(&[NODE])?;
    let began = now();
    let mut daemon = start(lab.host(NODE), &configuration(255))?;
    lab.wait("the first advert", PATIENCE, || !adverts(&lab, |priority| priority != 0).is_empty())?;
    if let Some(first) = adverts(&lab, |priority| priority != 0).first() {
        add("exec to first advert, ms", ms(first.since(began)));
    }
    lab.wait("the address", PATIENCE, || lab.host(NODE).has(ADDRESS))?;
    thread::sleep(Duration::from_millis(100));
    let asked = now();
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(PATIENCE)?;
    add("SIGTERM to exit, ms", ms(now().since(asked)));
    thread::sleep(Duration::from_millis(20));
    add("stopped without priority 0", f64::from(u8::from(adverts(&lab, |priority| priority == 0).is_empty())));
    add("stopped with the address left", f64::from(u8::from(lab.host(NODE).has(ADDRESS))));
    Ok(())
}

fn adverts(lab: &Lab, wanted: impl Fn(u8) -> bool) -> Vec<Instant> {
    lab.capture().filter(0, |frame| match frame.sight() {
        Some(Sight::Advert { priority, .. }) if wanted(priority) => Some(frame.at),
        _ => None,
    })
}
