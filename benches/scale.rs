//! Many instances on two nodes: what they cost while nothing happens, and what happens when all of them move.

use super::configs::{Many, address, interface_names, interfaces, place};
use super::contest::{Contender, Contest, PATIENCE, Problem, ms, pids, start};
use super::figures::{Series, Table};
use super::usage::{cpu, memory};
use keepalived_rs::ctl::lab::{AddressWatch, Host, Lab, Sight, now};
use keepalived_rs::types::Instant;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

const NODES: [(&str, u8); 2] = [("ka1", 200), ("ka2", 100)];
const INTERVAL: Duration = Duration::from_secs(1);
/// Past the second batch of gratuitous ARPs, 5 s after the first.
const SETTLED: Duration = Duration::from_millis(7500);

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    for instances in [1, 250, 2000] {
        let title = format!("{instances} instances, one address each, version 2, 1 s");
        let mut table = Table::new(title, contest.labels());
        for round in 0..contest.rounds(1, 3) {
            for (column, contender) in contest.turns(round) {
                for (row, value) in measure(contender, instances, contest.full)? {
                    table.add(row, column, value);
                }
            }
        }
        table.print();
    }
    Ok(())
}

/// Two hosts with as many networks between them as the instances need.
pub(crate) fn prepare(contender: &Contender, instances: usize) -> Result<Lab, Problem> {
    let names = NODES.map(|(name, _)| name);
    let lab = contender.lab(&names)?;
    for (number, interface) in (1..).zip(interface_names(instances)) {
        lab.further_network(number, &interface, &names)?;
    }
    Ok(lab)
}

/// How many of the virtual addresses the host has.
pub(crate) fn holds(host: &Host, instances: usize) -> usize {
    let wanted: HashSet<IpAddr> = (0..instances).map(|index| address(index).into()).collect();
    host.addresses().map_or(0, |found| found.iter().filter(|found| wanted.contains(&found.ip())).count())
}

fn measure(contender: &Contender, instances: usize, full: bool) -> Result<Vec<(&'static str, f64)>, Problem> {
    let lab = prepare(contender, instances)?;
    let [first, second] = NODES.map(|(name, priority)| {
        (lab.host(name), Many { instances, priority, version: 2, advert_int: INTERVAL.as_secs_f64(), extra: false }.text())
    });
    let mut master = start(first.0, &first.1)?;
    lab.wait("every address on the master", PATIENCE, || {
        thread::sleep(Duration::from_millis(50));
        holds(first.0, instances) == instances
    })?;
    let backup = start(second.0, &second.1)?;
    thread::sleep(SETTLED);

    let steady = Duration::from_secs(if full { 20 } else { 10 });
    let (of_master, of_backup, mark) = (pids(&master), pids(&backup), lab.capture().mark());
    let (before, began) = ([cpu(&of_master), cpu(&of_backup)], now());
    thread::sleep(steady);
    let passed = now().since(began);
    let [used_by_master, used_by_backup] = [cpu(&of_master) - before[0], cpu(&of_backup) - before[1]];
    let adverts = lab.capture().filter(mark, |frame| matches!(frame.sight(), Some(Sight::Advert { .. })).then_some(())).len() as f64;
    let percent = |used: Duration| used.as_secs_f64() / passed.as_secs_f64() * 100.0;
    let micros = |used: Duration| used.as_secs_f64() * 1e6 / adverts;
    let (master_memory, backup_memory) = (memory(&of_master), memory(&of_backup));

    let takeover = Takeover::watch(&lab, instances)?;
    let before = cpu(&of_backup);
    let died = now();
    master.kill_all();
    // Nobody is asked while it lasts: a dump of thousands of addresses would take a good part of a CPU.
    thread::sleep((died + Duration::from_secs(9)).since(now()));
    let elapsed = now().since(died);
    let failover = cpu(&of_backup).saturating_sub(before);
    lab.wait("every address on the backup", PATIENCE, || holds(second.0, instances) == instances)?;
    let usual = used_by_backup.mul_f64(elapsed.as_secs_f64() / passed.as_secs_f64());
    let mut figures = vec![
        ("CPU of the master, %", percent(used_by_master)),
        ("CPU of the backup, %", percent(used_by_backup)),
        ("us an advert sent", micros(used_by_master)),
        ("us an advert received", micros(used_by_backup)),
        ("master, private KB", master_memory.private),
        ("backup, private KB", backup_memory.private),
        ("master, private and written KB", master_memory.written),
        ("backup, private and written KB", backup_memory.written),
        ("mass failover: CPU, ms", ms(failover) - ms(usual)),
    ];
    figures.extend(takeover.figures(&lab, died));
    Ok(figures)
}

/// A mass failover, seen from outside.
struct Takeover {
    instances: usize,
    mark: usize,
    addresses: AddressWatch,
}

/// When an instance last heard its master, when its backup first spoke, when the address was first claimed.
#[derive(Default)]
struct Moment {
    last: Option<Instant>,
    first: Option<Instant>,
    claim: Option<Instant>,
}

impl Takeover {
    fn watch(lab: &Lab, instances: usize) -> Result<Self, Problem> {
        // From an interval before, so that every instance's last advert is among the frames.
        let mark = lab.capture().mark();
        let addresses = AddressWatch::start(lab.host(NODES[1].0))?;
        thread::sleep(INTERVAL.mul_f64(1.1));
        Ok(Self { instances, mark, addresses })
    }

    fn figures(&self, lab: &Lab, died: Instant) -> Vec<(&'static str, f64)> {
        let (moments, spurious) = self.moments(lab, died);
        let theory = INTERVAL * 3 + Duration::from_secs(1) * (256 - u32::from(NODES[1].1)) / 256;
        let excess: Series = moments.values().filter_map(|moment| Some(ms(moment.first?.since(moment.last? + theory)))).collect();
        let early =
            moments.values().filter(|moment| matches!((moment.first, moment.last), (Some(first), Some(last)) if first < last + theory));
        let claims: Series = moments.values().filter_map(|moment| Some(ms(moment.claim?.since(moment.first?)))).collect();
        let wanted: HashSet<IpAddr> = (0..self.instances).map(|index| address(index).into()).collect();
        let installs: Vec<Instant> = (self.addresses.changes().iter())
            .filter(|seen| seen.what.added && wanted.contains(&seen.what.address.ip()))
            .map(|seen| seen.at)
            .collect();
        let spread = installs.iter().max().zip(installs.iter().min()).map_or(f64::NAN, |(last, first)| ms(last.since(*first)));
        vec![
            ("mass failover: excess, median, ms", excess.median().unwrap_or(f64::NAN)),
            ("mass failover: excess, worst, ms", excess.max().unwrap_or(f64::NAN)),
            ("mass failover: instances too early", early.count() as f64),
            ("mass failover: address install spread, ms", spread),
            ("mass failover: advert to claim, median, ms", claims.median().unwrap_or(f64::NAN)),
            ("mass failover: advert to claim, p99, ms", claims.quantile(0.99).unwrap_or(f64::NAN)),
            ("instances that did not move", (self.instances - moments.values().filter(|moment| moment.first.is_some()).count()) as f64),
            ("adverts of the backup before", spurious as f64),
        ]
    }

    /// What was seen of each instance, and how often the backup spoke while the master lived.
    fn moments(&self, lab: &Lab, died: Instant) -> (HashMap<Ipv4Addr, Moment>, usize) {
        let networks = interfaces(self.instances);
        let places: HashMap<(usize, u8), Ipv4Addr> =
            (0..self.instances).map(|index| (place(index, self.instances), address(index))).collect();
        let mut moments: HashMap<Ipv4Addr, Moment> = HashMap::new();
        let mut spurious = 0;
        let seen =
            lab.capture().filter(self.mark, |frame| Some((frame.at, frame.host == NODES[0].0, frame.interface.clone(), frame.sight()?)));
        for (at, by_master, interface, sight) in seen {
            match sight {
                Sight::Advert { vrid, .. } => {
                    let network = interface.strip_prefix('v').and_then(|number| number.parse::<usize>().ok());
                    let Some(address) = network.filter(|network| *network < networks).and_then(|network| places.get(&(network, vrid)))
                    else {
                        continue;
                    };
                    let moment = moments.entry(*address).or_default();
                    if by_master {
                        moment.last = Some(at);
                    } else if at < died {
                        spurious += 1;
                    } else {
                        moment.first.get_or_insert(at);
                    }
                }
                Sight::Claim { address } if !by_master && at > died => {
                    moments.entry(address).or_default().claim.get_or_insert(at);
                }
                Sight::Claim { .. } => {}
            }
        }
        (moments, spurious)
    }
}
