//! Scripts: whether 200 of them a second hold an advert up, and how soon a notify script runs after the change that it tells.

use super::contest::{Contender, Contest, PATIENCE, Problem, ms, pids, start};
use super::figures::{Series, Table};
use super::usage;
use keepalived_rs::ctl::lab::{Lab, Sight, now};
use keepalived_rs::types::Instant;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 25, 254, 100);
const NODE: &str = "ka1";

/// Scripts that each run once a second.
const SCRIPTS: usize = 200;
/// Adverts are this far apart: late ones stand out.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long adverts are watched.
const WATCHED: Duration = Duration::from_secs(10);

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    adverts_beside_scripts(contest)?;
    notify_latency(contest)
}

fn configuration(scripts: usize, notify: &str) -> String {
    let blocks: String = (0..scripts)
        .map(|number| format!("vrrp_script s{number} {{\n    script \"/usr/bin/true {number}\"\n    interval 1\n    weight 1\n}}\n"))
        .collect();
    let tracked: String = (0..scripts).map(|number| format!("        s{number}\n")).collect();
    let tracks = if scripts == 0 { String::new() } else { format!("    track_script {{\n{tracked}    }}\n") };
    format!(
        "global_defs {{\n    router_id {NODE}\n    script_user root\n    enable_script_security\n}}\n{blocks}vrrp_instance VI_1 {{\n    state BACKUP\n    \
         interface eth0\n    virtual_router_id 51\n    priority 50\n    advert_int {}\n    version 3\n{tracks}{notify}    \
         virtual_ipaddress {{\n        {ADDRESS}/24\n    }}\n}}\n",
        INTERVAL.as_secs_f64()
    )
}

/// How far each advert is from where the one before it says it should be, with and without scripts.
fn adverts_beside_scripts(contest: &Contest) -> Result<(), Problem> {
    let mut table =
        Table::new(format!("{SCRIPTS} scripts a second, adverts every {} ms: ms off their time", ms(INTERVAL)), contest.labels());
    for round in 0..contest.rounds(2, 6) {
        for (column, contender) in contest.turns(round) {
            for (scripts, row) in [(0, ["no scripts: median", "no scripts: 99 %"]), (SCRIPTS, ["scripts: median", "scripts: 99 %"])] {
                let (late, spent) = lateness(contender, scripts)?;
                table.add(row[0], column, late.median().unwrap_or(f64::NAN));
                table.add(row[1], column, late.quantile(0.99).unwrap_or(f64::NAN));
                if scripts > 0 {
                    table.add("scripts: worst", column, late.max().unwrap_or(f64::NAN));
                    table.add("daemon's CPU a script, µs", column, spent.as_secs_f64() * 1e6 / (WATCHED.as_secs_f64() * SCRIPTS as f64));
                }
            }
        }
    }
    table.print();
    Ok(())
}

fn lateness(contender: &Contender, scripts: usize) -> Result<(Series, Duration), Problem> {
    let lab = contender.lab(&[NODE])?;
    let daemon = start(lab.host(NODE), &configuration(scripts, ""))?;
    lab.wait("the master", PATIENCE, || lab.holders(ADDRESS) == [NODE])?;
    thread::sleep(Duration::from_secs(2));
    // The daemon's own processes, without the scripts that happen to run.
    let own: Vec<u32> = pids(&daemon).into_iter().filter(|pid| is_daemon(*pid)).collect();
    let (mark, before) = (lab.capture().mark(), usage::cpu(&own));
    thread::sleep(WATCHED);
    let spent = usage::cpu(&own).saturating_sub(before);
    let adverts = adverts(&lab, mark);
    let off = adverts.windows(2).map(|pair| (difference(pair[1], pair[0]) - ms(INTERVAL)).abs()).collect();
    Ok((off, spent))
}

fn is_daemon(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("keepalived"))
}

fn adverts(lab: &Lab, mark: usize) -> Vec<Instant> {
    lab.capture().filter(mark, |frame| match frame.sight() {
        Some(Sight::Advert { .. }) => Some(frame.at),
        _ => None,
    })
}

fn difference(later: Instant, earlier: Instant) -> f64 {
    if later < earlier { -ms(earlier.since(later)) } else { ms(later.since(earlier)) }
}

/// From the first advert of a new master to the first line of its `notify_master` script.
fn notify_latency(contest: &Contest) -> Result<(), Problem> {
    let mut table = Table::new("notify_master: ms from the first advert to the script's first line", contest.labels());
    for round in 0..contest.rounds(10, 40) {
        for (column, contender) in contest.turns(round) {
            table.add("script's first line", column, told_after(contender)?);
        }
    }
    table.print();
    Ok(())
}

fn told_after(contender: &Contender) -> Result<f64, Problem> {
    let lab = contender.lab(&[NODE])?;
    let node: &Arc<_> = lab.host(NODE);
    // bash has the wall clock without a process of its own.
    node.write_script("/run/tell.sh", "#!/bin/bash\necho $EPOCHREALTIME > /run/told.new\nmv /run/told.new /run/told\n")?;
    let mark = lab.capture().mark();
    let _daemon = start(node, &configuration(0, "    notify_master /run/tell.sh\n"))?;
    lab.wait("the script", PATIENCE, || node.exists("/run/told"))?;
    let told = node.read("/run/told").and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    // Both clocks at one moment, to bring the script's to the capture's.
    let offset = wall_clock() - ms(now().since(Instant::from_nanos(0)));
    let told = told.ok_or_else(|| Problem::new("the script told no time"))? * 1e3 - offset;
    let first = adverts(&lab, mark).into_iter().next().ok_or_else(|| Problem::new("no advert was seen"))?;
    Ok(told - ms(first.since(Instant::from_nanos(0))))
}

/// Milliseconds since 1970.
fn wall_clock() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}
