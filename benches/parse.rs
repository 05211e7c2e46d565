//! `-t` of larger and larger configurations: CPU, and how it grows.

use super::configs::{Balancer, Many, interface_names};
use super::contest::{CONFIGURATION, Contender, Contest, Problem, ms};
use super::figures::Table;
use keepalived_rs::ctl::lab::Lab;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::time::Duration;

const SIZES: [usize; 5] = [500, 1000, 2000, 4000, 8000];
const SERVERS: [usize; 3] = [500, 1000, 2000];

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    let labs = contest.contenders.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
    let mut table = Table::new("-t: ms of CPU", contest.labels());
    let mut growth = Table::new("growth when twice as many: 1 is linear, 2 is quadratic", contest.labels());
    for size in SIZES {
        let text = Many { instances: size, priority: 100, version: 2, advert_int: 1.0, extra: false }.text();
        for lab in &labs {
            lab.host("ka1").write(CONFIGURATION, &text)?;
        }
        let row = format!("{size} instances");
        for round in 0..contest.rounds(3, 9) {
            for (column, _) in contest.turns(round) {
                table.add(&row, column, ms(check(&labs[column])?));
            }
        }
        for column in 0..labs.len() {
            let medians =
                [size / 2, size].map(|size| table.series(&format!("{size} instances"), column).and_then(|series| series.median()));
            if let [Some(half), Some(whole)] = medians {
                growth.add(&format!("{} to {size}", size / 2), column, (whole / half).log2());
            }
        }
    }
    for servers in SERVERS {
        let text = Balancer { servers, reals: 10 }.text();
        for lab in &labs {
            lab.host("ka1").write(CONFIGURATION, &text)?;
        }
        for round in 0..contest.rounds(3, 9) {
            for (column, _) in contest.turns(round) {
                table.add(&format!("{servers} virtual x 10 real servers"), column, ms(check(&labs[column])?));
            }
        }
    }
    table.print();
    growth.print();
    Ok(())
}

/// A host that has every interface which the largest configuration names.
fn prepare(contender: &Contender) -> Result<Lab, Problem> {
    let lab = contender.lab(&["ka1"])?;
    for (number, name) in (1..).zip(interface_names(SIZES.into_iter().max().unwrap_or(1))) {
        lab.further_network(number, &name, &["ka1"])?;
    }
    Ok(lab)
}

/// CPU of one check, all its processes.
fn check(lab: &Lab) -> Result<Duration, Problem> {
    let host = lab.host("ka1");
    let mut command = host.command("keepalived");
    command.args(["--config-test", "--use-file", CONFIGURATION]);
    let before = spent_by_children()?;
    let output = host.output(command)?;
    let spent = spent_by_children()?.saturating_sub(before);
    if output.status.success() { Ok(spent) } else { Err(Problem::new(format!("-t: {}: {:.2000}", output.status, output.text))) }
}

/// User and system time of every process that we have waited for.
fn spent_by_children() -> Result<Duration, Problem> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|cause| Problem::new(format!("getrusage: {cause}")))?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}
