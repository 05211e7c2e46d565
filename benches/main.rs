//! Our figures beside the original's, in the same run, alternating.
//!
//! ```console
//! cargo bench                          # everything, ten minutes
//! cargo bench -- failover parse        # some of it
//! cargo bench -- scale --full          # more measurements, an hour for everything
//! ```
//!
//! `KEEPALIVED_BIN` is our daemon (the one that cargo has just built), `KEEPALIVED_PEER` the original (/usr/sbin/keepalived). As root: an
//! ordinary user's user namespace has no room for bursts of thousands of packets. A table is worth what the load average beside it allows.

mod balance;
mod checks;
mod configs;
mod contest;
mod failover;
mod farm;
mod figures;
mod parse;
mod reload;
mod scale;
mod scripts;
mod size;
mod usage;

#[path = "../tests/common/machine.rs"]
#[allow(clippy::unwrap_used, unreachable_pub, missing_docs, reason = "shared with the tests")]
mod machine;

use contest::{Contest, Problem};
use std::process::ExitCode;

/// A bench: its name, what it shows, and what runs it.
type Bench = (&'static str, &'static str, fn(&Contest) -> Result<(), Problem>);

const BENCHES: [Bench; 8] = [
    ("failover", "crash, stop and link down: excess over the RFC's time, and first advert to first gratuitous ARP", failover::run),
    ("scale", "1, 250 and 2,000 instances: CPU an advert, private memory, mass failover", scale::run),
    ("reload", "4,000 instances, one change: the worst gap between adverts", reload::run),
    ("balance", "1,000 to 20,000 real servers: install, memory, reload, CPU a check; needs IPVS or User-Mode Linux", balance),
    ("checks", "5,000 checks a second: CPU a check, death and return until told, reloads and a stopped process meanwhile", checks),
    ("parse", "-t of 500 to 8,000 instances: CPU", parse::run),
    ("scripts", "200 scripts a second: adverts off their time, CPU a script; state change to the notify script's first line", scripts::run),
    ("size", "idle memory, exec to first advert, SIGTERM to exit", size::run),
];

fn main() -> ExitCode {
    match chosen(std::env::args().skip(1)).and_then(|(benches, full)| Ok((benches, Contest::open(full)?))) {
        Ok((benches, contest)) => measure(&benches, &contest),
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(benches: &[Bench], contest: &Contest) -> ExitCode {
    println!("{contest}");
    let mut outcome = ExitCode::SUCCESS;
    for (name, purpose, run) in benches {
        println!("\n== {name}: {purpose}");
        if let Err(problem) = run(contest) {
            println!("{name} failed: {problem}");
            outcome = ExitCode::FAILURE;
        }
    }
    outcome
}

fn balance(contest: &Contest) -> Result<(), Problem> {
    if machine::is_inside() || machine::has_ipvs() { balance::run(contest) } else { in_machine("balance", contest) }
}

/// Ours runs without IPVS too; the original beside it does not.
fn checks(contest: &Contest) -> Result<(), Problem> {
    if machine::is_inside() || contest.stand_in.is_some() || machine::has_ipvs() {
        return checks::run(contest);
    }
    checks::run(&contest.alone())?;
    in_machine("checks", contest)
}

/// In a virtual machine whose kernel has IPVS: this program runs there again.
fn in_machine(bench: &str, contest: &Contest) -> Result<(), Problem> {
    let full = contest.full.then(|| "--full".to_owned());
    match machine::run(std::iter::once(bench.to_owned()).chain(full).collect(), &[]) {
        machine::Outcome::Ran(said) => print!("in User-Mode Linux, on one CPU:\n{said}"),
        machine::Outcome::Missing(what) | machine::Outcome::NoBoot(what) => return Err(Problem::new(what)),
    }
    Ok(())
}

/// The benches that the arguments name (all without a name), and whether to take more time. Cargo itself adds `--bench`.
fn chosen(arguments: impl Iterator<Item = String>) -> Result<(Vec<Bench>, bool), Problem> {
    let (mut benches, mut full) = (Vec::new(), false);
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {}
            "--full" => full = true,
            name => match BENCHES.iter().find(|(known, ..)| *known == name) {
                Some(bench) => benches.push(*bench),
                None => {
                    let known: Vec<&str> = BENCHES.iter().map(|(name, ..)| *name).collect();
                    return Err(Problem::new(format!("no bench {name}: there are {}, and --full", known.join(", "))));
                }
            },
        }
    }
    Ok((if benches.is_empty() { BENCHES.to_vec() } else { benches }, full))
}
