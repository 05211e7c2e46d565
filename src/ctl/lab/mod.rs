//! A laboratory: hosts on a switch, all of it namespaces of this process that vanish with it.
//!
//! ```no_run
//! # use keepalived_rs::ctl::lab::{Lab, Daemon, Pinger, until};
//! # use std::{path::Path, time::Duration};
//! # fn example() -> Result<(), keepalived_rs::ctl::lab::LabError> {
//! let lab = Lab::plan().program("keepalived", Path::new("target/debug/keepalived")).build(&["ka1", "ka2", "client"])?;
//! let ka1 = lab.host("ka1");                                   // eth0 is 172.25.254.10/24 and fd00:25::10/64
//! ka1.write("/etc/keepalived/keepalived.conf", "vrrp_instance VI_1 { … }")?;
//! let mut command = ka1.command("keepalived");
//! command.args(["-n", "-l", "-D"]);
//! let mut daemon = Daemon::start(ka1, command)?;
//! let vip: std::net::Ipv4Addr = std::net::Ipv4Addr::new(172, 25, 254, 100);
//! lab.wait("the address on ka1", Duration::from_secs(10), || ka1.has(vip))?;
//! let frames = lab.capture().since(0);                         // what crossed the switch, with the kernel's time
//! lab.set_carrier("ka1", false)?;                              // pull the cable
//! daemon.kill_all();                                           // cut the power
//! # Ok(()) }
//! ```
//!
//! It needs to be root, or root of a user namespace: [`become_root`] at the very start of a program with one thread, or
//! [`as_root`] for a program that is started. [`obstacle`] says in one line why it cannot be.
//!
//! A host is made of network, mount, PID, UTS and IPC namespaces held by one thread: [`Host::run`] works in them. Each has
//! its own `/run /tmp /var/tmp /mnt /etc/keepalived /dev /proc` in memory, so that paths of tutorials work as printed, and own
//! accounts. Nothing has a name outside: when the creating process ends, however it ends, the kernel removes it all.

mod capture;
mod daemon;
mod host;
mod inside;
mod netlink;
mod ping;
mod process;
mod sight;
mod watch;

pub use crate::sys::host::{enter_user_namespace as become_root, make_root_of_user_namespace as as_root};
pub use capture::{Capture, Frame, Injector};
pub use daemon::{Daemon, send};
pub use host::{Host, Output};
pub use netlink::{Address, Link};
pub use ping::{Echo, PingWatch, Pinger};
pub use process::Process;
pub use sight::Sight;
pub use watch::{AddressChange, AddressWatch, DatagramSink, Seen};

use crate::types::{Instant, IpPrefix};
use capture::{Ports, open_packet_socket};
use host::{Plan, lock};
use netlink::Netlink;
use nix::sched::{CloneFlags, unshare};
use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What could not be done in a laboratory, and why.
#[derive(thiserror::Error)]
#[error("cannot {what}: {cause}")]
pub struct LabError {
    what: String,
    #[source]
    cause: io::Error,
}

/// Result of a laboratory operation.
pub type Result<T> = std::result::Result<T, LabError>;

impl LabError {
    fn new(what: impl Display, cause: io::Error) -> Self {
        Self { what: what.to_string(), cause }
    }
}

/// As text: an `unwrap` in a test then shows the logs as lines.
impl std::fmt::Debug for LabError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Turns a failure into a [`LabError`] that says what was tried.
trait Trouble<T> {
    fn trouble(self, what: impl Display) -> Result<T>;
}

impl<T, E: Into<io::Error>> Trouble<T> for std::result::Result<T, E> {
    fn trouble(self, what: impl Display) -> Result<T> {
        self.map_err(|cause| LabError::new(what, cause.into()))
    }
}

/// The time of every report of a laboratory: CLOCK_MONOTONIC.
pub fn now() -> Instant {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    Instant::default() + time
}

/// Waits until `condition` holds; when it does not within `limit`, the error says `what` was awaited. The limit is counted in
/// looks of our own: a machine that lets us look less often lets the daemons run less often too, up to six times. It is 10 s at
/// least: what must be sooner is to be proved by the time at which it was.
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<Instant> {
    const PAUSE: Duration = Duration::from_millis(5);
    let limit = limit.max(Duration::from_secs(10));
    let begun = std::time::Instant::now();
    for _ in 0..=limit.as_millis() / PAUSE.as_millis() {
        if condition() {
            return Ok(now());
        }
        // A look may take long itself.
        if begun.elapsed() > limit * 6 {
            break;
        }
        thread::sleep(PAUSE);
    }
    Err(LabError::new(format!("see {what} within {limit:?}"), io::ErrorKind::TimedOut.into()))
}

/// Why no laboratory can be made here, in one line with the cure; `None` when it can.
pub fn obstacle() -> Option<String> {
    let attempt = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS));
    match attempt.join() {
        Ok(Ok(())) => None,
        Ok(Err(cause)) => Some(format!(
            "network namespaces cannot be made here ({cause}): run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
        )),
        Err(_) => Some("a thread died while trying to make a network namespace".to_owned()),
    }
}

/// How a laboratory is to be. [`Lab::plan`] gives the one of the tutorials: 172.25.254.0/24 on `eth0`, with the account `keepalived_script`.
#[derive(Clone, Debug)]
pub struct LabPlan {
    network: [u8; 3],
    interface: String,
    programs: Vec<(String, PathBuf)>,
    script_user: bool,
}

impl LabPlan {
    /// Network of the hosts, a /24.
    #[must_use]
    pub fn network(mut self, network: [u8; 3]) -> Self {
        self.network = network;
        self
    }

    /// Name of the hosts' interface.
    #[must_use]
    pub fn interface(mut self, name: &str) -> Self {
        name.clone_into(&mut self.interface);
        self
    }

    /// A program that hosts find by `name`, before any of the machine's.
    #[must_use]
    pub fn program(mut self, name: &str, path: &Path) -> Self {
        self.programs.push((name.to_owned(), path.to_owned()));
        self
    }

    /// Whether the hosts have the account `keepalived_script`.
    #[must_use]
    pub fn script_user(mut self, exists: bool) -> Self {
        self.script_user = exists;
        self
    }

    /// Makes the hosts and the switch, links up and addressed. `ka1`, `ka2`, `ka3` are 10, 20, 30 in the network, `rs1`, `rs2`, `rs3` are 110, 120, 130, `client` is 50, others 60 and on.
    pub fn build(self, hosts: &[&str]) -> Result<Lab> {
        let switch = Switch::create()?;
        let mut made = Vec::new();
        for (index, name) in hosts.iter().enumerate() {
            let number = number_of(name, index);
            let [a, b, c] = self.network;
            let plan = Plan {
                name: (*name).to_owned(),
                ipv4: Ipv4Addr::new(a, b, c, number),
                // Written as in decimal, so that host 10 is fd00:25::10.
                ipv6: Ipv6Addr::new(0xfd00, 0x25, 0, 0, 0, 0, 0, u16::from_str_radix(&number.to_string(), 16).unwrap_or(0xff)),
                programs: self.programs.clone(),
                script_user: self.script_user,
            };
            made.push(Arc::new(Host::create(plan)?));
        }
        let capture = Capture::start(switch.open_capture()?, Arc::clone(&switch.ports))?;
        let lab = Lab { hosts: made, interface: self.interface, switch, capture };
        for host in &lab.hosts {
            lab.plug_in(host.name())?;
        }
        Ok(lab)
    }
}

fn number_of(name: &str, index: usize) -> u8 {
    match name {
        "ka1" => 10,
        "ka2" => 20,
        "ka3" => 30,
        "client" => 50,
        "rs1" => 110,
        "rs2" => 120,
        "rs3" => 130,
        _ => 60 + u8::try_from(index).unwrap_or(100),
    }
}

/// Hosts on a switch. See the [module](self).
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: the hosts' ends of the cables go before the switch.
    hosts: Vec<Arc<Host>>,
    interface: String,
    capture: Capture,
    switch: Switch,
}

impl Lab {
    /// The laboratory of the tutorials, to be changed or built.
    pub fn plan() -> LabPlan {
        LabPlan { network: [172, 25, 254], interface: "eth0".to_owned(), programs: Vec::new(), script_user: true }
    }

    /// A host by name.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn host(&self, name: &str) -> &Arc<Host> {
        let Some(host) = self.hosts.iter().find(|host| host.name() == name) else { panic!("no host {name} in this laboratory") };
        host
    }

    /// Every host.
    pub fn hosts(&self) -> &[Arc<Host>] {
        &self.hosts
    }

    /// What crosses the switch.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// All that the daemons have said.
    pub fn logs(&self) -> String {
        self.hosts.iter().map(|host| host.logs()).collect()
    }

    /// Like [`until`], with the logs in the error.
    pub fn wait(&self, what: &str, limit: Duration, condition: impl FnMut() -> bool) -> Result<Instant> {
        until(what, limit, condition).map_err(|error| LabError::new(format!("see {what} within {limit:?}; {}", self.logs()), error.cause))
    }

    /// Names of the hosts that have the address.
    pub fn holders(&self, ip: impl Into<std::net::IpAddr>) -> Vec<&str> {
        let ip = ip.into();
        self.hosts.iter().filter(|host| host.has(ip)).map(|host| host.name()).collect()
    }

    /// Creates the host's interface and its cable, up and addressed (as after [`Host::delete_link`]).
    pub fn plug_in(&self, host: &str) -> Result<()> {
        let host = self.host(host);
        self.connect(host, &self.interface, 0)?;
        let own = |address: std::net::IpAddr, length| IpPrefix::new(address, length).unwrap_or(IpPrefix::host(address));
        host.add_address(&self.interface, own(host.ipv4().into(), 24))?;
        host.add_address(&self.interface, own(host.ipv6().into(), 64))?;
        // The kernel joins the groups that neighbours ask in a little later; until then an IPv6 address is tentative.
        until("usable IPv6 addresses", Duration::from_secs(5), || {
            let addresses = host.addresses().unwrap_or_default();
            addresses.iter().any(|address| address.scope == "link") && !addresses.iter().any(|address| address.tentative)
        })
        .map(drop)
    }

    /// A second network 10.1.1.0/24 on a switch of its own, at `interface` of those hosts, with their numbers.
    pub fn second_network(&self, interface: &str, hosts: &[&str]) -> Result<()> {
        self.further_network(1, interface, hosts)
    }

    /// A network 10.1.`number`.0/24 (`number` from 1 on) on a switch of its own, at `interface` of those hosts, with their numbers.
    pub fn further_network(&self, number: u8, interface: &str, hosts: &[&str]) -> Result<()> {
        lock(&self.switch.netlink).create_bridge(&format!("br{number}"))?;
        for name in hosts {
            let host = self.host(name);
            self.connect(host, interface, number)?;
            let address = Ipv4Addr::new(10, 1, number, host.ipv4().octets()[3]);
            host.add_address(interface, IpPrefix::new(address.into(), 24).unwrap_or(IpPrefix::host(address.into())))?;
        }
        Ok(())
    }

    fn connect(&self, host: &Host, interface: &str, network: u8) -> Result<()> {
        let port = port_name(host.name(), network);
        let mut netlink = lock(&self.switch.netlink);
        let bridge = netlink.link(&format!("br{network}"))?.index;
        netlink.create_veth(&port, bridge, interface, host.net())?;
        let index = netlink.link(&port)?.index as usize;
        lock(&self.switch.ports).insert(index, (host.name().to_owned(), interface.to_owned()));
        drop(netlink);
        host.set_link(interface, true)?;
        let ready = || host.carries_frames(interface) && lock(&self.switch.netlink).carries_frames(&port).unwrap_or(false);
        until(&format!("frames on {port}"), Duration::from_secs(5), ready).map(drop)
    }

    /// Plugs in or pulls the host's cable: its interface stays up and loses its carrier.
    pub fn set_carrier(&self, host: &str, carrier: bool) -> Result<()> {
        lock(&self.switch.netlink).set_up(&port_name(host, 0), carrier)
    }

    /// The same for the cable of the second network.
    pub fn set_second_carrier(&self, host: &str, carrier: bool) -> Result<()> {
        lock(&self.switch.netlink).set_up(&port_name(host, 1), carrier)
    }

    /// Partitions the host, or joins it again: its carrier stays, its frames go nowhere.
    pub fn set_isolated(&self, host: &str, isolated: bool) -> Result<()> {
        let mut netlink = lock(&self.switch.netlink);
        let bridge = if isolated { 0 } else { netlink.link("br0")?.index };
        netlink.set_bridge(&port_name(host, 0), bridge)
    }
}

/// Name of the switch's end of a cable; at most 15 bytes.
fn port_name(host: &str, network: u8) -> String {
    format!("p{network}{host:.13}")
}

/// A network namespace with a bridge for each network.
#[derive(Debug)]
struct Switch {
    netlink: Mutex<Netlink>,
    capture: Mutex<Option<OwnedFd>>,
    ports: Ports,
}

impl Switch {
    fn create() -> Result<Self> {
        // The sockets opened here keep the namespace; the thread that made it is not needed.
        let work = || -> io::Result<(Netlink, OwnedFd)> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            for which in ["all", "default"] {
                drop(std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1"));
            }
            Ok((Netlink::open()?, open_packet_socket()?))
        };
        let made = thread::spawn(work).join().map_err(|_| LabError::new("make the switch", io::ErrorKind::Other.into()))?;
        let (mut netlink, capture) = made.trouble("make the switch")?;
        netlink.create_bridge("br0")?;
        Ok(Self { netlink: Mutex::new(netlink), capture: Mutex::new(Some(capture)), ports: Ports::default() })
    }

    fn open_capture(&self) -> Result<OwnedFd> {
        lock(&self.capture).take().ok_or_else(|| LabError::new("capture twice", io::ErrorKind::AlreadyExists.into()))
    }
}
