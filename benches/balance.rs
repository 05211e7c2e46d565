//! The balancer: thousands of real servers put into the kernel's table, one of them changed by a reload, all taken out, and checked.
//!
//! In User-Mode Linux system calls and page faults cost far more than on a machine: there a figure is worth what it is beside the other
//! column.

use super::contest::{CONFIGURATION, Contender, Contest, PATIENCE, Problem, ms, pids, start};
use super::figures::Table;
use super::usage::{cpu, memory};
use keepalived_rs::ctl::lab::{Daemon, Host, now, send};
use keepalived_rs::ipvs::Socket;
use keepalived_rs::lvs::settings::Protocol;
use keepalived_rs::lvs::table::ServiceKey;
use keepalived_rs::types::Instant;
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Real servers behind each virtual server.
const WIDTH: usize = 10;
/// The port of the server that answers every check.
const PORT: u16 = 8080;
/// Most real servers that a reload is measured with: the original's takes quadratic time.
const RELOADED: usize = 10_000;
/// How long a daemon without work is watched.
const IDLE: Duration = Duration::from_secs(10);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(400);

pub(crate) fn run(contest: &Contest) -> Result<(), Problem> {
    for servers in [1_000, 10_000, 20_000] {
        let mut table = Table::new(format!("{} virtual servers x {WIDTH} real servers", servers / WIDTH), contest.labels());
        for round in 0..contest.rounds(1, 3) {
            for (column, contender) in contest.turns(round) {
                for (row, value) in large(contender, servers)? {
                    table.add(row, column, value);
                }
            }
        }
        table.print();
    }
    for (check, block) in CHECKS {
        let mut table = Table::new(format!("300 {check} every second"), contest.labels());
        for round in 0..contest.rounds(2, 5) {
            for (column, contender) in contest.turns(round) {
                for (row, value) in checked(contender, block)? {
                    table.add(row, column, value);
                }
            }
        }
        table.print();
    }
    Ok(())
}

const CHECKS: [(&str, &str); 2] = [
    ("TCP_CHECK", "TCP_CHECK {\n connect_timeout 2\n retry 0\n }"),
    ("HTTP_GET", "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 2\n retry 0\n }"),
];

/// One configuration of so many real servers; the last one has `weight` and, when it is checked, a port of its own.
fn text(servers: usize, weight: u32, check: &str, delay: u32) -> String {
    let mut text = String::new();
    for number in 0..servers {
        if number % WIDTH == 0 {
            let closing = if number == 0 { "" } else { "}\n" };
            let _ = writeln!(
                text,
                "{closing}virtual_server {} 80 {{\n delay_loop {delay}\n warmup 0.9\n lb_algo rr\n lb_kind NAT\n protocol TCP",
                service(number / WIDTH)
            );
        }
        let last = number + 1 == servers;
        let (weight, port) = if last { (weight, PORT + 1) } else { (1, PORT) };
        let _ = writeln!(text, " real_server {} {port} {{\n weight {weight}\n {check}\n }}", real(number));
    }
    text + "}\n"
}

fn spread(base: [u8; 2], number: usize) -> Ipv4Addr {
    let byte = |value: usize| u8::try_from(value % 250).unwrap_or(0);
    Ipv4Addr::new(base[0], base[1] + byte(number / 62_500), byte(number / 250), byte(number) + 1)
}

fn service(number: usize) -> Ipv4Addr {
    spread([10, 100], number)
}

fn real(number: usize) -> Ipv4Addr {
    spread([127, 1], number)
}

/// Weight of the last real server in the kernel's table.
fn weight_of_last(host: &Host, servers: usize) -> Option<i64> {
    let key = ServiceKey::Socket(Protocol::Tcp, service((servers - 1) / WIDTH).into(), 80);
    let place = (real(servers - 1).into(), PORT + 1);
    host.run(move || Socket::open().ok()?.destinations(&key).ok()?.get(&place).map(|found| found.weight)).ok()?
}

/// How many services the kernel's table has.
fn services(host: &Host) -> usize {
    host.run(|| Socket::open().and_then(|mut socket| socket.table())).map_or(0, |table| table.map_or(0, |table| table.len()))
}

fn wait_weight(host: &Host, servers: usize, weight: Option<i64>, pause: Duration) -> Result<Instant, Problem> {
    let end = now() + LIMIT;
    while weight_of_last(host, servers) != weight {
        if now() > end {
            return Err(Problem::new(format!("the last real server has no weight {weight:?} after {LIMIT:?}")));
        }
        thread::sleep(pause);
    }
    Ok(now())
}

/// Servers without checks: the table alone.
fn large(contender: &Contender, servers: usize) -> Result<Vec<(&'static str, f64)>, Problem> {
    let lab = contender.lab(&["ka1"])?;
    let host = lab.host("ka1");
    let began = now();
    let mut daemon = start(host, &text(servers, 1, "", 60))?;
    let installed = wait_weight(host, servers, Some(1), Duration::from_millis(20))?;
    thread::sleep(Duration::from_secs(4));
    let all = pids(&daemon);
    let (used, held) = (cpu(&all), memory(&all));
    thread::sleep(IDLE);
    let mut figures = vec![
        ("start until the last is in the table, ms", ms(installed.since(began))),
        ("CPU of the start, ms", ms(used)),
        ("private memory, KB", held.private),
        ("private and written memory, KB", held.written),
        ("CPU of 10 s without work, ms", ms(cpu(&all) - used)),
    ];
    if servers <= RELOADED {
        figures.extend(reloaded(&daemon, host, servers)?);
    }
    let asked = now();
    daemon.signal(Signal::SIGTERM)?;
    daemon.wait(LIMIT)?;
    figures.push(("stop, ms", ms(now().since(asked))));
    figures.push(("services that the stop left in the table", services(host) as f64));
    Ok(figures)
}

/// One weight of thousands.
fn reloaded(daemon: &Daemon, host: &Host, servers: usize) -> Result<Vec<(&'static str, f64)>, Problem> {
    let all = pids(daemon);
    host.write(CONFIGURATION, text(servers, 7, "", 60))?;
    let before = cpu(&all);
    let asked = now();
    daemon.signal(Signal::SIGHUP)?;
    let reloaded = wait_weight(host, servers, Some(7), Duration::from_millis(2))?;
    thread::sleep(Duration::from_secs(3));
    Ok(vec![
        ("reload of one weight until the kernel has it, ms", ms(reloaded.since(asked))),
        ("CPU of the reload, ms", ms(cpu(&all) - before)),
        ("private and written memory after it, KB", memory(&all).written),
    ])
}

/// Answers every connection, and counts them.
struct Server {
    over: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(host: &Host, port: u16, speaks: bool) -> Result<Self, Problem> {
        let made = host.run(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
        let listener = made.map_err(|error| Problem::new(format!("cannot listen: {error}")))?;
        let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (flag, count) = (over.clone(), served.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let mut request = [0; 1024];
                if speaks && stream.read(&mut request).is_ok_and(|length| length > 0) {
                    drop(stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"));
                }
            }
        });
        Ok(Self { over, served, thread: Some(thread) })
    }

    fn stop(mut self, host: &Host, port: u16) {
        self.over.store(true, Ordering::Relaxed);
        // It wakes up by one more connection.
        drop(host.run(move || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))));
        self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Servers that are checked every second: CPU a check, and how soon a death and a return are seen.
fn checked(contender: &Contender, block: &str) -> Result<Vec<(&'static str, f64)>, Problem> {
    const SERVERS: usize = 300;
    let lab = contender.lab(&["ka1"])?;
    let host = lab.host("ka1");
    let speaks = block.starts_with("HTTP");
    let many = Server::start(host, PORT, speaks)?;
    let mut last = Server::start(host, PORT + 1, speaks)?;
    let daemon = start(host, &text(SERVERS, 1, block, 1))?;
    wait_weight(host, SERVERS, Some(1), Duration::from_millis(20))?;
    lab.wait("first checks", PATIENCE, || many.served.load(Ordering::Relaxed) >= SERVERS as u64)?;
    let all = pids(&daemon);
    let (before, served, began) = (cpu(&all), many.served.load(Ordering::Relaxed), now());
    thread::sleep(Duration::from_secs(10));
    let (used, count, passed) = (cpu(&all) - before, many.served.load(Ordering::Relaxed) - served, now().since(began));
    let mut figures =
        vec![("CPU a check, us", used.as_secs_f64() * 1e6 / count as f64), ("checks a second", count as f64 / passed.as_secs_f64())];
    for _ in 0..3 {
        let died = now();
        last.stop(host, PORT + 1);
        let gone = wait_weight(host, SERVERS, None, Duration::from_millis(5))?;
        figures.push(("death until it left the table, ms (a check every 1000)", ms(gone.since(died))));
        last = Server::start(host, PORT + 1, speaks)?;
        let back = wait_weight(host, SERVERS, Some(1), Duration::from_millis(5))?;
        figures.push(("back until in the table, ms", ms(back.since(died)) - ms(gone.since(died))));
    }
    finish(&daemon);
    last.stop(host, PORT + 1);
    many.stop(host, PORT);
    Ok(figures)
}

fn finish(daemon: &Daemon) {
    drop(send(daemon.pid(), Some(Signal::SIGTERM)));
    thread::sleep(Duration::from_secs(2));
}
