//! Health checks: what one costs, how soon a death and a return are told, and what reloads and a stopped process do to them.
//!
//! The original does not run without IPVS in the kernel. Where it is missing, `KEEPALIVED_IPVS` may name a library for LD_PRELOAD that
//! answers in its place; else the original is measured in User-Mode Linux alone, at a rate that fits there.

use super::contest::{CONFIGURATION, Contender, Contest, PATIENCE, Problem, ms, pids};
use super::farm::{Farm, Speech, address};
use super::figures::Table;
use super::machine;
use super::usage::{cpu, memory};
use keepalived_rs::ctl::lab::{Daemon, Host, Lab, now, send, until};
use keepalived_rs::types::{Instant, IpPrefix};
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Answers every check.
const PORT: u16 = 8080;
/// The port of the server that dies.
const MORTAL: u16 = 8081;
const FIFO: &str = "/run/lvs.fifo";
/// Reloads, a second apart.
const RELOADS: usize = 5;
/// How long the checker does not run.
const STOP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);

/// A kind of check: its name, its block, what must answer it, and how many a second are a load.
type Sort = (&'static str, &'static str, Option<Speech>, usize);

const SORTS: [Sort; 7] = [
    ("TCP_CHECK", "", Some(Speech::Silence), 5000),
    ("HTTP_GET", "url {\n path /\n status_code 200\n }", Some(Speech::Http), 5000),
    ("SSL_GET", "url {\n path /\n status_code 200\n }", Some(Speech::Https), 100),
    ("DNS_CHECK", "type A\n name example.org", Some(Speech::Datagrams), 1000),
    ("UDP_CHECK", "", Some(Speech::Datagrams), 1000),
    ("PING_CHECK", "", None, 1000),
    ("MISC_CHECK", "misc_path /usr/bin/true", None, 100),
];

/// How a server dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Death {
    /// Nobody listens.
    Refused,
    /// Packets to it are lost.
    Silent,
    /// It answers with an error.
    Broken,
}

/// With what is told, and the longest time by the configuration, in ms: `delay_loop`, then a retry after `delay_before_retry`; whoever
/// hears nothing waits for `connect_timeout` both times.
const DEATHS: [(Death, &str, f64); 3] =
    [(Death::Refused, "connection refused", 2000.0), (Death::Silent, "packets lost", 4000.0), (Death::Broken, "status 500", 2000.0)];

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    for sort in SORTS {
        let (name, _, _, rate) = sort;
        let servers = if machine::is_inside() { (rate / 20).max(20) } else { rate };
        let mut table = Table::new(format!("{servers} {name} every second"), contest.labels());
        for round in 0..contest.rounds(1, 3) {
            for (column, contender) in contest.turns(round) {
                for (row, value) in cell(contest, contender, sort, servers)? {
                    table.add(&row, column, value);
                }
            }
        }
        table.print();
    }
    Ok(())
}

/// The last server is on a host of its own, which can lose its address.
fn text(lab: &Lab, (name, block, speech, _): Sort, servers: usize, weight: usize) -> String {
    let mut text = format!("global_defs {{\n lvs_notify_fifo {FIFO}\n}}\n");
    let check = |last: bool| {
        let timing = if last { "retry 1\n delay_before_retry 1" } else { "retry 1" };
        let connect = if name == "MISC_CHECK" { "" } else { "connect_timeout 1\n" };
        format!("{name} {{\n {block}\n {connect} {timing}\n }}")
    };
    for number in 0..servers {
        if number % 10 == 0 {
            let closing = if number == 0 { "" } else { "}\n" };
            let service = Ipv4Addr::from(0x0a64_0001 + (number / 10) as u32);
            let _ = writeln!(text, "{closing}virtual_server {service} 80 {{\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP");
        }
        let last = number + 1 == servers;
        let mortal = last && matches!(speech, Some(Speech::Silence | Speech::Http));
        let (real, port) = if mortal { (lab.host("rs1").ipv4(), MORTAL) } else { (address(number), PORT) };
        let weight = if number == 0 { weight } else { 1 };
        let _ = writeln!(text, " real_server {real} {port} {{\n weight {weight}\n {}\n }}", check(last));
    }
    text + "}\n"
}

/// What the daemon tells, with the time when it came.
struct Told(Receiver<(Instant, String)>);

impl Told {
    fn listen(host: &Host) -> Result<Self, Problem> {
        host.sh(&format!("mkfifo -m 666 {FIFO}"))?;
        // For both directions: then opening waits for nobody.
        let made = host.run(|| std::fs::OpenOptions::new().read(true).write(true).open(FIFO))?;
        let fifo = made.map_err(|error| Problem::new(format!("{FIFO}: {error}")))?;
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in BufReader::new(fifo).lines().map_while(Result::ok) {
                if tell.send((now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self(told))
    }

    /// When it is told that the mortal server is so; others' lines are passed over.
    fn wait(&self, word: &str) -> Result<Instant, Problem> {
        let end = now() + PATIENCE;
        loop {
            match self.0.recv_timeout(end.since(now())) {
                Ok((at, line)) if line.starts_with("RS ") && line.contains(&format!(":{MORTAL}")) && line.ends_with(word) => return Ok(at),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(Problem::new(format!("nobody tells that the server is {word}")));
                }
            }
        }
    }

    /// How many servers were told to be down until now.
    fn downs(&self) -> usize {
        self.0.try_iter().filter(|(_, line)| line.starts_with("RS ") && line.ends_with("DOWN")).count()
    }
}

fn laboratory(contest: &Contest, contender: &Contender) -> Result<(Lab, Option<&'static str>), Problem> {
    let plan = Lab::plan().program("keepalived", &contender.program);
    match contest.stand_in.as_deref().filter(|_| !machine::is_inside()) {
        Some(library) => Ok((plan.program("ipvs", Path::new(library)).build(&["ka1", "rs1"])?, Some("/run/.lab/bin/ipvs"))),
        None => Ok((plan.build(&["ka1", "rs1"])?, None)),
    }
}

fn start(host: &Arc<Host>, preload: Option<&str>) -> Result<Daemon, Problem> {
    let mut command = host.command("keepalived");
    command.args(["--dont-fork", "--log-console", "--check"]);
    command.envs(preload.map(|library| ("LD_PRELOAD", library)));
    Ok(Daemon::start(host, command)?)
}

type Figures = Vec<(String, f64)>;

fn cell(contest: &Contest, contender: &Contender, sort: Sort, servers: usize) -> Result<Figures, Problem> {
    let (lab, preload) = laboratory(contest, contender)?;
    let (host, remote) = (lab.host("ka1"), lab.host("rs1"));
    let (_, _, speech, _) = sort;
    let many = speech.map(|speech| Farm::start(host, PORT, speech)).transpose()?;
    let told = Told::listen(host)?;
    let mortal = speech.filter(|speech| matches!(speech, Speech::Silence | Speech::Http));
    let last = mortal.map(|speech| Farm::start(remote, MORTAL, speech)).transpose()?;
    host.write(CONFIGURATION, text(&lab, sort, servers, 1))?;
    let daemon = start(host, preload)?;
    match &many {
        Some(many) => drop(until("first checks", PATIENCE, || many.count() >= servers - 1)?),
        None => thread::sleep(Duration::from_secs(4)),
    }
    // What the start took is given back.
    thread::sleep(Duration::from_secs(3));
    let mut figures = cost(&daemon, many.as_ref(), servers);
    if let (Some(last), Some(many), Some(speech)) = (last, &many, mortal) {
        let downs = told.downs() as f64;
        figures.push(("healthy servers taken out, under load alone".to_owned(), downs));
        figures.extend(reloads(&lab, &daemon, sort, servers, many)?);
        figures.extend(stopped(&daemon, &told, many, servers)?);
        figures.extend(deaths(contest, remote, &told, speech, last)?);
    }
    drop(send(daemon.pid(), Some(Signal::SIGTERM)));
    thread::sleep(Duration::from_secs(1));
    Ok(figures)
}

/// CPU and memory of all its processes while nothing happens but checks.
fn cost(daemon: &Daemon, many: Option<&Farm>, servers: usize) -> Figures {
    let all = pids(daemon);
    let asked = || many.map_or(0, Farm::count);
    let (before, first, began) = (cpu(&all), asked(), now());
    thread::sleep(MEASURED);
    let (used, passed) = (cpu(&all) - before, now().since(began));
    // Who cannot be asked how often it was asked is taken to be asked as configured.
    let count = if many.is_some() { (asked() - first) as f64 } else { servers as f64 * passed.as_secs_f64() };
    vec![
        ("CPU a check, us".to_owned(), used.as_secs_f64() * 1e6 / count),
        ("checks a second".to_owned(), count / passed.as_secs_f64()),
        ("private and written memory, KB".to_owned(), memory(&all).written),
        ("resident memory, KB".to_owned(), memory(&all).resident),
    ]
}

/// Reloads that change the weight of a server that is not looked at.
fn reloads(lab: &Lab, daemon: &Daemon, sort: Sort, servers: usize, many: &Farm) -> Result<Figures, Problem> {
    let quiet = now();
    thread::sleep(Duration::from_secs(3));
    let before = many.pauses(quiet);
    let from = now();
    for number in 0..RELOADS {
        lab.host("ka1").write(CONFIGURATION, text(lab, sort, servers, 2 + number))?;
        daemon.signal(Signal::SIGHUP)?;
        thread::sleep(Duration::from_secs(1));
    }
    thread::sleep(Duration::from_secs(2));
    let mut figures = Vec::new();
    for (when, pauses) in [("without reloads", before), ("with a reload a second", many.pauses(from))] {
        let (shortest, longest) = pauses.ok_or_else(|| Problem::new("no server was asked twice"))?;
        figures.push((format!("shortest pause between a server's checks {when}, ms"), shortest));
        figures.push((format!("longest pause between a server's checks {when}, ms"), longest));
    }
    Ok(figures)
}

/// The checker does not run for a while: no server is to blame.
fn stopped(daemon: &Daemon, told: &Told, many: &Farm, servers: usize) -> Result<Figures, Problem> {
    told.downs();
    let children = daemon.children();
    // Also what lives only for a moment may be among them.
    let tell = |signal: Signal| children.iter().for_each(|child| drop(send(child.pid, Some(signal))));
    tell(Signal::SIGSTOP);
    thread::sleep(STOP);
    tell(Signal::SIGCONT);
    let count = many.count();
    until("checks after the stop", PATIENCE, || many.count() >= count + 4 * servers)?;
    Ok(vec![("healthy servers taken out, process stopped for 3 s".to_owned(), told.downs() as f64)])
}

/// A server dies and returns: what is told later than the configuration allows, and how soon the return is told.
fn deaths(contest: &Contest, host: &Host, told: &Told, speech: Speech, mut last: Farm) -> Result<Figures, Problem> {
    let prefix = IpPrefix::new(host.ipv4().into(), 24).ok_or_else(|| Problem::new("no network"))?;
    let mut figures = Vec::new();
    for (death, what, allowed) in DEATHS.into_iter().filter(|(death, ..)| *death != Death::Broken || speech == Speech::Http) {
        for number in 0..contest.rounds(8, 30) {
            // At any moment of the rhythm.
            thread::sleep(Duration::from_millis(1500 + (number as u64 * 377) % 1000));
            let seen;
            match death {
                Death::Refused => {
                    let died = now();
                    seen = last.last_before(died);
                    drop(last);
                    let down = told.wait("DOWN")?;
                    figures.push((late(what), ms(down.since(seen.unwrap_or(died))) - allowed));
                    last = Farm::start(host, MORTAL, speech)?;
                }
                Death::Silent => {
                    host.delete_address("eth0", prefix)?;
                    seen = last.last_before(now());
                    let down = told.wait("DOWN")?;
                    figures.push((late(what), ms(down.since(seen.unwrap_or(down))) - allowed));
                    host.add_address("eth0", prefix)?;
                }
                Death::Broken => {
                    last.breaks(true);
                    seen = last.last_before(now());
                    let down = told.wait("DOWN")?;
                    figures.push((late(what), ms(down.since(seen.unwrap_or(down))) - allowed));
                    last.breaks(false);
                }
            }
            let returned = now();
            let up = told.wait("UP")?;
            figures.push((format!("{what}: return until told, ms (a check every 1000)"), ms(up.since(returned))));
        }
    }
    Ok(figures)
}

fn late(what: &str) -> String {
    format!("{what}: told later than the configuration allows, ms")
}
