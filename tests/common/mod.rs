//! What every black-box test shares: the laboratory made ready (or SKIPPED, and why), the daemon under test, a decoder of
//! its own for what is seen on the wire, and the configurations of the seed scenarios.

#![allow(dead_code, unused_imports, unreachable_pub, missing_docs, reason = "each test file uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a test may")]

pub mod config;
pub mod machine;
pub mod sink;
pub mod vm;
pub mod wire;

pub use config::*;
pub use wire::*;

pub use keepalived_rs::ctl::lab::{self, AddressWatch, Daemon, DatagramSink, Host, Injector, Lab, PingWatch, Pinger, Process};
pub use keepalived_rs::types::{Instant, IpPrefix};
pub use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
pub use std::sync::Arc;
pub use std::time::Duration;

pub use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;

/// The virtual address of the tutorials.
pub const VIP: Ipv4Addr = Ipv4Addr::new(172, 25, 254, 100);
/// The second one.
pub const VIP2: Ipv4Addr = Ipv4Addr::new(172, 25, 254, 200);

/// The daemon under test: KEEPALIVED_BIN (the original, to check a test against it), or the one just built, or a copy of it
/// where a user without access to the build can run it.
pub fn binary() -> PathBuf {
    let given = std::env::var_os("KEEPALIVED_BIN").or_else(|| std::env::var_os("KEEPALIVED_COPY"));
    given.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_keepalived")), PathBuf::from)
}

/// Whether the daemon under test is ours; the original is not held to what only ours promises.
pub fn ours() -> bool {
    std::env::var_os("KEEPALIVED_BIN").is_none()
}

/// Whether a promise that only our daemon makes is to be tested; says so when it is the original that runs.
pub fn promised_by_ours() -> bool {
    if !ours() {
        println!("not promised by the original");
    }
    ours()
}

/// Says that a test was not run and why; a failure where everything must be there.
pub fn skip(why: &str) {
    println!("SKIPPED: {why}");
    eprintln!("SKIPPED: {why}");
    assert!(std::env::var("KEEPALIVED_TEST_REQUIRE").as_deref() != Ok("all"), "SKIPPED: {why}");
}

/// Runs `test` as root, of a user namespace when need be: then in a process of its own.
pub fn ready_for_laboratory<F: FnOnce()>(test: F) {
    if !nix::unistd::geteuid().is_root() {
        return again_as_root(std::any::type_name::<F>());
    }
    match lab::obstacle() {
        Some(why) => skip(&why),
        None => test(),
    }
}

/// Runs `test` in a laboratory of these hosts, where `keepalived` is the daemon under test.
pub fn laboratory(hosts: &[&str], test: impl FnOnce(&Lab)) {
    laboratory_of(plan(), hosts, test);
}

/// The usual plan, with the daemon under test.
pub fn plan() -> lab::LabPlan {
    Lab::plan().program("keepalived", &binary())
}

/// Runs `test` in a laboratory of this plan.
pub fn laboratory_of<F: FnOnce(&Lab)>(plan: lab::LabPlan, hosts: &[&str], test: F) {
    if !nix::unistd::geteuid().is_root() {
        return again_as_root(std::any::type_name::<F>());
    }
    if let Some(why) = lab::obstacle() {
        return skip(&why);
    }
    let lab = plan.build(hosts).unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&lab)));
    if let Err(panic) = outcome {
        eprintln!("{}", lab.logs());
        std::panic::resume_unwind(panic);
    }
}

/// Runs the test that `closure` is written in again, as root of a user namespace.
fn again_as_root(closure: &str) {
    // "failover::the_backup_takes_over::{{closure}}"
    let path = closure.split("::{{").next().unwrap_or_default();
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    lab::as_root(&mut command);
    match command.output() {
        Err(why) => skip(&format!("needs root or user namespaces: {why}")),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            println!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{name} failed as root of a user namespace");
            assert!(said.contains("1 passed"), "{name} is not the name of a test");
        }
    }
}

/// An address with prefix length, as written.
pub fn prefix(text: &str) -> IpPrefix {
    let (address, length) = text.split_once('/').unwrap();
    IpPrefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
}

/// Seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The main configuration file.
pub const CONF: &str = "/etc/keepalived/keepalived.conf";

/// Starts the daemon under test with this configuration, in the foreground, logging all it can.
pub fn start(host: &Arc<Host>, config: &str) -> Daemon {
    host.write(CONF, config).unwrap();
    start_as(host, "keepalived", &["-n", "-l", "-D"])
}

/// Starts it again with the configuration that is there.
pub fn start_again(host: &Arc<Host>) -> Daemon {
    start_as(host, "keepalived", &["-n", "-l", "-D"])
}

/// Starts any program as a daemon.
pub fn start_as(host: &Arc<Host>, program: &str, args: &[&str]) -> Daemon {
    let mut command = host.command(program);
    command.args(args);
    Daemon::start(host, command).unwrap()
}

/// Writes another configuration and asks the daemon to reload.
pub fn reload(host: &Host, daemon: &Daemon, config: &str) {
    host.write(CONF, config).unwrap();
    daemon.signal(Signal::SIGHUP).unwrap();
}

/// Waits until `host` and nobody else has the address, for longer than two that start at once take to agree. Returns when that began.
pub fn only(lab: &Lab, host: &str, ip: impl Into<IpAddr>, limit: Duration) -> Instant {
    let (ip, mut began) = (ip.into(), None);
    lab.wait(&format!("{ip} on {host} alone"), limit, || {
        began = if lab.holders(ip) == [host] { began.or_else(|| Some(lab::now())) } else { None };
        began.is_some_and(|began| lab::now().since(began) > millis(60))
    })
    .unwrap();
    began.unwrap()
}

/// Waits until nobody has the address.
pub fn nobody(lab: &Lab, ip: Ipv4Addr, limit: Duration) -> Instant {
    lab.wait(&format!("{ip} nowhere"), limit, || lab.holders(ip).is_empty()).unwrap()
}

/// Fails as soon as `condition` holds within that time.
pub fn never(lab: &Lab, what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let end = lab::now() + time;
    while lab::now() < end {
        assert!(!condition(), "must not happen: {what}\n{}", lab.logs());
        std::thread::sleep(millis(10));
    }
}

/// Waits for so many adverts of `host` from a mark on, and returns them.
pub fn wait_adverts(lab: &Lab, mark: usize, host: &str, count: usize, limit: Duration) -> Vec<Advert> {
    let what = format!("{count} adverts of {host}");
    lab.wait(&what, limit, || adverts(lab, mark, host).len() >= count).unwrap();
    adverts(lab, mark, host)
}

/// Waits until a daemon is a backup that has heard the master, ka1, more than once.
pub fn follows(lab: &Lab, backup: &Daemon) {
    wait_log(lab, backup, "Entering BACKUP STATE", secs(10));
    wait_adverts(lab, lab.capture().mark(), "ka1", 2, secs(10));
}

/// Waits for a line in the daemon's log.
pub fn wait_log(lab: &Lab, daemon: &Daemon, text: &str, limit: Duration) {
    lab.wait(&format!("{text:?} in the log"), limit, || daemon.log().contains(text)).unwrap();
}

/// The longest silence between consecutive adverts.
pub fn longest_gap(adverts: &[Advert]) -> Duration {
    adverts.windows(2).map(|pair| pair[1].at.since(pair[0].at)).max().unwrap_or_default()
}

/// The time from one to the next, as most of them have it: a machine that is busy elsewhere makes some late.
pub fn median_gap(times: &[Instant]) -> Duration {
    let mut gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or_default()
}

/// Whether the client gets an answer from the address; a frame may be lost while a port of the switch comes up.
pub fn answers(lab: &Lab, ip: impl Into<IpAddr>) -> bool {
    let mut pinger = Pinger::open(lab.host("client"), ip).unwrap();
    (0..3).any(|_| pinger.answers(millis(300)))
}

/// The VRRP child: the one that the supervisor's pid file for it names.
pub fn vrrp_child(host: &Host) -> Option<Process> {
    host.process_of_file("/run/vrrp.pid")
}

/// Master_Down_Interval (RFC 9568 §6.1) of a router with this priority: what must pass after a master's last advert.
pub fn master_down_interval(interval: Duration, priority: u8) -> Duration {
    3 * interval + interval * u32::from(255 - priority) / 256 + interval / 256
}

/// Waits until `heir` advertises after the last advert of a dead `master`: both adverts.
pub fn succession(lab: &Lab, master: &str, heir: &str, limit: Duration) -> (Advert, Advert) {
    let last = adverts(lab, 0, master).pop().unwrap();
    let first = || adverts(lab, 0, heir).into_iter().find(|advert| advert.at > last.at);
    lab.wait(&format!("an advert of {heir} after {master}'s"), limit, || first().is_some()).unwrap();
    (last.clone(), first().unwrap())
}

/// What a machine that is busy elsewhere may add to any time. How exact we are on a quiet one is for `benches/`.
pub const BUSY: Duration = secs(1);

/// That `heir` took over when Master_Down_Interval had passed after the last advert of a dead `master`: not earlier, and not much later.
pub fn assert_succession_on_time(lab: &Lab, master: &str, heir: &str, interval: Duration, priority: u8) {
    let due = master_down_interval(interval, priority);
    let (last, first) = succession(lab, master, heir, due + secs(2));
    let took = first.at.since(last.at);
    // Both ends are the kernel's times; the master's advert was received a little after it was seen on the switch.
    assert!(took + Duration::from_micros(100) >= due, "took over {:?} early, after {took:?}", due - took);
    assert!(took < due + BUSY, "took over {:?} late, after {took:?}", took - due);
}
