//! What the story plays on: the nodes, the client, and an onlooker who tells who is master.

use super::timeline::{Look, Timeline, millis};
use crate::ctl::lab::{Daemon, Host, Lab, LabError, PingWatch, Sight, now};
use crate::types::{Instant, IpPrefix};
use nix::sys::signal::Signal;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The address that moves.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The address that a reload adds.
pub(super) const SECOND: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 101);
/// The nodes' interface and the addresses' prefix length.
const INTERFACE: &str = "eth0";
const PREFIX: u8 = 24;
/// How often the client asks.
pub(super) const PERIOD: Duration = Duration::from_millis(10);
/// Virtual router id of the demonstration.
const VRID: u8 = 51;
/// `advert_int`.
pub(super) const ADVERT: Duration = Duration::from_secs(1);
/// Where a node's configuration is, for the node.
const CONFIGURATION: &str = "/etc/keepalived/keepalived.conf";
/// How often the onlooker looks.
const GLANCE: Duration = Duration::from_millis(2);

/// Why the demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// Something that had to happen did not.
    #[error("{what} did not happen within {} s{said}", limit.as_secs())]
    NotSeen { what: String, limit: Duration, said: String },
    /// Something happened that must not.
    #[error("{0}")]
    Wrong(String),
    /// The laboratory failed.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The system failed.
    #[error("cannot {what}: {cause}")]
    System { what: &'static str, cause: io::Error },
}

/// What makes the namespaces possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Powers {
    /// Root, or a capability.
    Root,
    /// Root of a user namespace of our own.
    UserNamespace,
}

/// A node: its host, and the daemon while it runs.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: Arc<Host>,
    pub(super) priority: u8,
    pub(super) daemon: Option<Daemon>,
}

impl Node {
    pub(super) fn name(&self) -> &str {
        self.host.name()
    }
}

/// The nodes by their place in `Stage::nodes`.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

/// Everything that runs. Dropping it ends every process of it; the kernel then removes the namespaces.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) timeline: Timeline,
    // Before the laboratory: daemons and pings end while their hosts are still there.
    pub(super) nodes: [Node; 2],
    pub(super) ping: PingWatch,
    pub(super) lab: Lab,
    pub(super) powers: Powers,
    interrupted: Arc<AtomicBool>,
    /// Frames that have been looked at.
    looked: usize,
    /// Who advertises, and since when.
    pub(super) master: Option<(String, Instant)>,
    /// The master has not yet claimed the address by gratuitous ARP.
    claim_awaited: bool,
}

impl Stage {
    /// Two nodes with a configuration each, a client that asks for the address, and nothing that runs yet.
    pub(super) fn build(timeline: Timeline, powers: Powers, program: Option<&Path>) -> Result<Self, Trouble> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .map_err(|cause| Trouble::System { what: "watch for Ctrl-C", cause })?;
        }
        let program = program
            .map_or_else(std::env::current_exe, std::path::absolute)
            .map_err(|cause| Trouble::System { what: "find the daemon's program", cause })?;
        let [a, b, c, _] = ADDRESS.octets();
        let lab =
            Lab::plan().network([a, b, c]).interface(INTERFACE).program("keepalived", &program).build(&["node-a", "node-b", "client"])?;
        let node = |name, priority| Node { host: Arc::clone(lab.host(name)), priority, daemon: None };
        let nodes = [node("node-a", 200), node("node-b", 100)];
        for node in &nodes {
            node.host.write(CONFIGURATION, configuration(node, &[ADDRESS]))?;
        }
        let ping = PingWatch::start(lab.host("client"), ADDRESS, PERIOD)?;
        Ok(Self { timeline, nodes, ping, lab, powers, interrupted, looked: 0, master: None, claim_awaited: false })
    }

    /// A node's name as it looks in the timeline.
    pub(super) fn label(&self, node: usize) -> String {
        self.timeline.paint(Look::Strong, self.nodes[node].name())
    }

    /// Starts the daemon on a node: this program, under the name that makes it the daemon.
    pub(super) fn start(&mut self, node: usize) -> Result<(), Trouble> {
        let host = &self.nodes[node].host;
        let mut command = host.command("keepalived");
        // Its own process group: Ctrl-C is for us, and we stop the daemons.
        command.args(["--dont-fork", "--log-console"]).process_group(0);
        self.nodes[node].daemon = Some(Daemon::start(host, command)?);
        Ok(())
    }

    /// SIGTERM, and how long the daemon took to end.
    pub(super) fn signal(&self, node: usize, signal: Signal) -> Result<Instant, Trouble> {
        let when = now();
        if let Some(daemon) = &self.nodes[node].daemon {
            daemon.signal(signal)?;
        }
        Ok(when)
    }

    /// Writes the node's configuration anew.
    pub(super) fn configure(&self, node: usize, addresses: &[Ipv4Addr]) -> Result<(), Trouble> {
        let node = &self.nodes[node];
        Ok(node.host.write(CONFIGURATION, configuration(node, addresses))?)
    }

    /// What a machine loses when it restarts: the addresses that a dead daemon left behind.
    pub(super) fn forget_addresses(&self, node: usize) -> Result<(), Trouble> {
        let host = &self.nodes[node].host;
        match IpPrefix::new(ADDRESS.into(), PREFIX) {
            Some(prefix) if host.has(ADDRESS) => Ok(host.delete_address(INTERFACE, prefix)?),
            Some(_) | None => Ok(()),
        }
    }

    /// Waits for something and meanwhile tells what happens on the network.
    pub(super) fn wait<T>(&mut self, what: &str, limit: Duration, mut happened: impl FnMut(&mut Self) -> Option<T>) -> Result<T, Trouble> {
        let end = now() + limit;
        loop {
            self.look();
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Trouble::Interrupted);
            }
            if let Some(outcome) = happened(self) {
                return Ok(outcome);
            }
            if now() > end {
                let said = self.lab.logs();
                return Err(Trouble::NotSeen { what: what.to_owned(), limit, said: format!("; the daemons said:\n{said}") });
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits until the node has been master since `since` at the earliest, and the client was answered by it.
    pub(super) fn wait_for_master(&mut self, node: usize, limit: Duration) -> Result<Instant, Trouble> {
        let name = self.nodes[node].name().to_owned();
        let what = format!("{name} as master that answers the client");
        let since = self.wait(&what, limit, |stage| {
            let (master, since) = stage.master.as_ref()?;
            (*master == name && !stage.claim_awaited).then_some(*since)
        })?;
        self.wait(&what, limit, |stage| stage.ping.echoes().iter().rev().find(|echo| echo.asked >= since && echo.answered).map(|_| ()))?;
        Ok(since)
    }

    /// Lets time pass, telling what happens.
    pub(super) fn pause(&mut self, span: Duration) -> Result<(), Trouble> {
        let end = now() + span;
        self.wait("the end of a pause", span * 2, |_| (now() >= end).then_some(()))
    }

    /// Tells what has crossed the network since the last look.
    fn look(&mut self) {
        let mut count = 0;
        let sights = self.lab.capture().filter(self.looked, |frame| {
            count += 1;
            Some((frame.at, frame.host.clone(), frame.sight()?))
        });
        self.looked += count;
        for (when, host, sight) in sights {
            match sight {
                Sight::Advert { priority: 0, .. } => self.resigned(when, &host),
                Sight::Advert { priority, .. } => self.advertised(when, host, priority),
                Sight::Claim { address } => self.claimed(when, &host, address),
            }
        }
    }

    fn resigned(&mut self, when: Instant, host: &str) {
        let timeline = self.timeline;
        timeline.at(when, format_args!("{} resigns: an advert of priority 0", timeline.paint(Look::Strong, host)));
        self.master = None;
    }

    fn advertised(&mut self, when: Instant, host: String, priority: u8) {
        if self.master.as_ref().is_some_and(|(master, _)| *master == host) {
            return;
        }
        let timeline = self.timeline;
        let (name, master) = (timeline.paint(Look::Strong, &host), timeline.paint(Look::Good, "MASTER"));
        timeline.at(when, format_args!("{name} is {master}: first advert, priority {priority}"));
        (self.master, self.claim_awaited) = (Some((host, when)), true);
    }

    fn claimed(&mut self, when: Instant, host: &str, address: Ipv4Addr) {
        if !self.claim_awaited || address != ADDRESS {
            return;
        }
        let Some((master, since)) = &self.master else { return };
        if master == host {
            let after = when.since(*since).as_micros();
            let timeline = self.timeline;
            timeline.at(
                when,
                format_args!(
                    "{} tells the network that {ADDRESS} is here {}",
                    timeline.paint(Look::Strong, host),
                    timeline
                        .paint(Look::Quiet, format_args!("(gratuitous ARP, {}.{} ms after the advert)", after / 1000, after % 1000 / 100))
                ),
            );
            self.claim_awaited = false;
        }
    }

    /// The client's worst outage since `since`, and the questions that nobody answered.
    pub(super) fn outage(&self, since: Instant) -> Outage {
        let echoes = self.ping.echoes();
        let asked = echoes.iter().filter(|echo| echo.asked >= since);
        Outage { silence: self.ping.longest_outage(since), lost: asked.clone().filter(|echo| !echo.answered).count(), asked: asked.count() }
    }
}

/// What the client went through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) silence: Duration,
    pub(super) lost: usize,
    pub(super) asked: usize,
}

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.lost == 0 {
            write!(f, "none ({} pings)", self.asked)
        } else {
            write!(f, "{} ({} of {} pings)", millis(self.silence), self.lost, self.asked)
        }
    }
}

/// A node's configuration, as a tutorial would print it.
fn configuration(node: &Node, addresses: &[Ipv4Addr]) -> String {
    let lines: String = addresses.iter().map(|address| format!("        {address}/{PREFIX} dev {INTERFACE}\n")).collect();
    format!(
        "global_defs {{\n    router_id {}\n}}\n\nvrrp_instance VI_1 {{\n    state BACKUP\n    interface {INTERFACE}\n    virtual_router_id {VRID}\n    \
         priority {}\n    advert_int {}\n    virtual_ipaddress {{\n{lines}    }}\n}}\n",
        node.name(),
        node.priority,
        ADVERT.as_secs()
    )
}
