//! How long a failover takes beyond what the RFC prescribes, and how soon the address is announced.

use super::contest::{Contender, Contest, PATIENCE, Problem, ms, start};
use super::figures::Table;
use keepalived_rs::ctl::lab::{Frame, Lab, Sight, now};
use keepalived_rs::types::Instant;
use nix::sys::signal::Signal;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 25, 254, 100);
/// The node that fails, and the one that takes over.
const MASTER: (&str, u8) = ("ka1", 200);
const BACKUP: (&str, u8) = ("ka2", 100);

#[derive(Clone, Copy)]
struct Protocol {
    name: &'static str,
    version: u8,
    /// As written, and as it is.
    advert_int: &'static str,
    interval: Duration,
    /// Laboratories at once: at one advert a second they leave each other alone.
    at_once: usize,
    rounds: [usize; 2],
}

const PROTOCOLS: [Protocol; 2] = [
    Protocol { name: "v2 1 s", version: 2, advert_int: "1", interval: Duration::from_secs(1), at_once: 4, rounds: [1, 4] },
    Protocol { name: "v3 10 ms", version: 3, advert_int: "0.01", interval: Duration::from_millis(10), at_once: 1, rounds: [8, 30] },
];

impl Protocol {
    /// Skew_Time of the backup (RFC 3768 §5.3.3: of a second; RFC 9568 §6.1: of the interval).
    fn skew_time(self) -> Duration {
        let base = if self.version == 2 { Duration::from_secs(1) } else { self.interval };
        base * (256 - u32::from(BACKUP.1)) / 256
    }

    fn master_down_interval(self) -> Duration {
        self.interval * 3 + self.skew_time()
    }

    fn configuration(self, (name, priority): (&str, u8)) -> String {
        format!(
            "global_defs {{\n    router_id {name}\n}}\nvrrp_instance VI_1 {{\n    state BACKUP\n    interface eth0\n    virtual_router_id 51\n    \
             priority {priority}\n    advert_int {}\n    version {}\n    virtual_ipaddress {{\n        {ADDRESS}/24\n    }}\n}}\n",
            self.advert_int, self.version
        )
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Failure {
    Crash,
    Stop,
    LinkDown,
}

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    for protocol in PROTOCOLS {
        for (failure, name) in [(Failure::Crash, "crash"), (Failure::Stop, "stop"), (Failure::LinkDown, "link down")] {
            let after = if failure == Failure::Stop { protocol.skew_time() } else { protocol.master_down_interval() };
            let title = format!("failover, {}, {name}: ms; the RFC's time is {:.1}", protocol.name, ms(after));
            let mut table = Table::new(title, contest.labels());
            for round in 0..contest.rounds(protocol.rounds[0], protocol.rounds[1]) {
                measure_round(contest, round, protocol, failure, &mut table)?;
            }
            table.print();
        }
        steadiness(contest, protocol)?;
    }
    Ok(())
}

/// One failover each, several at once where that disturbs nobody.
fn measure_round(contest: &Contest, round: usize, protocol: Protocol, failure: Failure, table: &mut Table) -> Result<(), Problem> {
    let outcomes: Vec<(usize, Result<Failover, Problem>)> = if protocol.at_once > 1 {
        thread::scope(|scope| {
            let one = |column, contender: &'_ Contender| {
                let contender = contender.clone();
                scope.spawn(move || (column, failover(&contender, protocol, failure)))
            };
            let turns = contest.turns(round);
            let started: Vec<_> = (0..protocol.at_once)
                .flat_map(|_| turns.iter().map(|(column, contender)| one(*column, contender)).collect::<Vec<_>>())
                .collect();
            started.into_iter().filter_map(|thread| thread.join().ok()).collect()
        })
    } else {
        contest.turns(round).into_iter().map(|(column, contender)| (column, failover(contender, protocol, failure))).collect()
    };
    for (column, outcome) in outcomes {
        let figures = outcome?;
        table.add("excess over the RFC", column, figures.excess);
        table.add("first advert to first gratuitous ARP", column, figures.claim);
        if let Some(resignation) = figures.resignation {
            table.add("SIGTERM to priority 0", column, resignation);
        }
    }
    Ok(())
}

/// What one failover shows, in milliseconds.
struct Failover {
    excess: f64,
    claim: f64,
    resignation: Option<f64>,
}

fn failover(contender: &Contender, protocol: Protocol, failure: Failure) -> Result<Failover, Problem> {
    let lab = contender.lab(&[MASTER.0, BACKUP.0])?;
    let _backup = start(lab.host(BACKUP.0), &protocol.configuration(BACKUP))?;
    let mut master = start(lab.host(MASTER.0), &protocol.configuration(MASTER))?;
    lab.wait("the first master", PATIENCE, || lab.holders(ADDRESS) == [MASTER.0])?;
    // Past everything that belongs to becoming master, and somewhere in an interval.
    thread::sleep(Duration::from_millis(300) + protocol.interval.mul_f64(f64::from(std::process::id() % 97 + 1) / 97.0));
    let mark = lab.capture().mark();
    thread::sleep(protocol.interval.mul_f64(1.2));
    let begin = now();
    match failure {
        Failure::Crash => {
            lab.set_carrier(MASTER.0, false)?;
            master.kill_all();
        }
        Failure::LinkDown => lab.set_carrier(MASTER.0, false)?,
        Failure::Stop => master.signal(Signal::SIGTERM)?,
    }
    lab.wait("the new master", PATIENCE, || claimed(&lab, mark).is_some())?;
    thread::sleep(Duration::from_millis(5));
    let after = if failure == Failure::Stop { protocol.skew_time() } else { protocol.master_down_interval() };
    let lost = || Problem::new("the adverts around the failover were not seen");
    let taken_over = advert(&lab, mark, BACKUP.0, |priority| priority != 0).into_iter().next().ok_or_else(lost)?;
    let resigned = advert(&lab, mark, MASTER.0, |priority| priority == 0).into_iter().next();
    let last = match failure {
        Failure::Stop => resigned,
        Failure::Crash | Failure::LinkDown => {
            advert(&lab, mark, MASTER.0, |priority| priority != 0).into_iter().rfind(|at| *at < taken_over)
        }
    };
    let claim = claimed(&lab, mark).ok_or_else(lost)?;
    Ok(Failover {
        excess: difference(taken_over, last.ok_or_else(lost)? + after),
        claim: difference(claim, taken_over),
        resignation: resigned.map(|at| difference(at, begin)),
    })
}

/// When this node advertised with such a priority.
fn advert(lab: &Lab, mark: usize, node: &str, wanted: impl Fn(u8) -> bool) -> Vec<Instant> {
    lab.capture().filter(mark, |frame| match frame.sight() {
        Some(Sight::Advert { priority, .. }) if frame.host == node && wanted(priority) => Some(frame.at),
        _ => None,
    })
}

/// When the backup first said that the address is its own.
fn claimed(lab: &Lab, mark: usize) -> Option<Instant> {
    let claim = |frame: &Frame| (frame.host == BACKUP.0 && frame.sight() == Some(Sight::Claim { address: ADDRESS })).then_some(frame.at);
    lab.capture().filter(mark, claim).into_iter().next()
}

/// `later` minus `earlier` in milliseconds, negative where it is the other way round.
fn difference(later: Instant, earlier: Instant) -> f64 {
    ms(later.since(earlier)) - ms(earlier.since(later))
}

/// A master and a backup that are left alone: gaps between adverts, and whether the backup ever speaks.
fn steadiness(contest: &Contest, protocol: Protocol) -> Result<(), Problem> {
    if protocol.interval > Duration::from_millis(100) {
        return Ok(());
    }
    let span = Duration::from_secs(if contest.full { 600 } else { 20 });
    let mut table = Table::new(format!("left alone for {} s, {}", span.as_secs(), protocol.name), contest.labels());
    for (column, contender) in contest.turns(0) {
        let lab = contender.lab(&[MASTER.0, BACKUP.0])?;
        let _master = start(lab.host(MASTER.0), &protocol.configuration(MASTER))?;
        let _backup = start(lab.host(BACKUP.0), &protocol.configuration(BACKUP))?;
        lab.wait("the master", PATIENCE, || lab.holders(ADDRESS) == [MASTER.0])?;
        thread::sleep(Duration::from_secs(1));
        let mark = lab.capture().mark();
        thread::sleep(span);
        let heard = advert(&lab, mark, MASTER.0, |_| true);
        let gaps: Vec<Duration> = heard.windows(2).filter_map(|pair| Some(pair.get(1)?.since(*pair.first()?))).collect();
        let missed = gaps.iter().filter(|gap| **gap >= protocol.interval * 2).count();
        table.add("adverts missed (gap of two intervals)", column, missed as f64);
        table.add("worst gap, ms", column, gaps.iter().max().map_or(f64::NAN, |gap| ms(*gap)));
        table.add("adverts of the backup", column, advert(&lab, mark, BACKUP.0, |_| true).len() as f64);
    }
    table.print();
    Ok(())
}
