//! What `virtual_server`, `virtual_server_group` and `real_server` blocks were told: right by type, defaults filled in.

use crate::check::{Checker, Kind, http, tls};
use crate::types::{Command, Family, Firewall};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Transport protocol of a service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The number in an IP header.
    pub const fn number(self) -> u16 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// By its number.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }

    /// In small letters, as in names.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One `virtual_server` block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VirtualServer {
    /// What clients reach.
    pub address: Address,
    /// `protocol`; not used by a firewall mark.
    pub protocol: Protocol,
    /// `ip_family`, or that of the addresses.
    pub family: Family,
    /// How the kernel schedules.
    pub service: ServiceSettings,
    /// `quorum` (1): least weight of live servers; never above the total.
    pub quorum: u32,
    /// `hysteresis` (0), below the quorum.
    pub hysteresis: u32,
    /// `quorum_up`.
    pub quorum_up: Option<Box<Command>>,
    /// `quorum_down`.
    pub quorum_down: Option<Box<Command>>,
    /// `sorry_server`.
    pub sorry: Option<SorryServer>,
    /// `alpha`: all down until checked.
    pub alpha: bool,
    /// `omega`: quorum_down and notify_down also at the end.
    pub omega: bool,
    /// `ha_suspend`: no checks while the address is not on this host.
    pub ha_suspend: bool,
    /// `smtp_alert` for the quorum.
    pub smtp_alert: bool,
    /// The firewall mark that stands for the addresses of its group (`nftables_ipvs`).
    #[serde(default)]
    pub mark: Option<u32>,
    /// `real_server` blocks, in order, no duplicates.
    pub real_servers: Vec<RealServer>,
}

/// What clients reach.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Address {
    /// An address and a port (0 with persistence: every port).
    Socket(IpAddr, u16),
    /// `fwmark`.
    Mark(u32),
    /// `group`: its name, and what it holds.
    Group(String, Vec<GroupEntry>),
}

/// One line of a `virtual_server_group`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum GroupEntry {
    /// One address, a range or a network, at a port.
    Range {
        /// First address.
        first: IpAddr,
        /// Last address, same family, not before the first.
        last: IpAddr,
        /// Port.
        port: u16,
    },
    /// `fwmark N [inet|inet6]`.
    Mark(u32, Option<Family>),
}

impl GroupEntry {
    /// Whether it is a firewall mark.
    pub const fn is_mark(&self) -> bool {
        matches!(self, Self::Mark(..))
    }

    /// Its address family; that of a mark when it is written.
    pub const fn family(&self) -> Option<Family> {
        match self {
            Self::Range { first, .. } => Some(Family::of(first)),
            Self::Mark(_, family) => *family,
        }
    }
}

/// How the kernel schedules a service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// `lvs_sched`, `lb_algo` (wlc): the kernel's name, at most 15 bytes.
    pub scheduler: String,
    /// `flag-1` to `flag-3`, `sh-port`, `sh-fallback`, `mh-port`, `mh-fallback`, `ops` as IP_VS_SVC_F_* bits, without persistence.
    pub flags: u32,
    /// `persistence_timeout` in seconds; nothing is not persistent.
    pub persistence: Option<u32>,
    /// `persistence_granularity`; every client for itself when not written.
    pub granularity: Option<Granularity>,
    /// `persistence_engine` (sip), at most 15 bytes.
    pub engine: Option<String>,
}

/// `persistence_granularity`: which bits of a client's address count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Granularity {
    /// These, for IPv4; they need not be neighbours.
    Mask(u32),
    /// So many from the left.
    Length(u8),
}

impl Granularity {
    /// In the kernel's terms: a netmask for IPv4, the length of a prefix for IPv6.
    pub fn in_kernel(self, family: Family) -> u32 {
        match (family, self) {
            (Family::V4, Self::Mask(mask)) => mask,
            (Family::V4, Self::Length(length)) => u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0),
            (Family::V6, Self::Mask(mask)) => mask.count_ones(),
            (Family::V6, Self::Length(length)) => u32::from(length.min(128)),
        }
    }

    /// All of them.
    pub const fn whole(family: Family) -> Self {
        Self::Length(family.host_bits())
    }
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self { scheduler: "wlc".to_owned(), flags: 0, persistence: None, granularity: None, engine: None }
    }
}

/// IP_VS_SVC_F_* of linux/ip_vs.h.
pub mod flag {
    /// Persistent.
    pub const PERSISTENT: u32 = 0x1;
    /// Set by the kernel once the service is in its table.
    pub const HASHED: u32 = 0x2;
    /// One packet scheduling (`ops`).
    pub const ONE_PACKET: u32 = 0x4;
    /// `flag-1`, `sh-fallback`, `mh-fallback`.
    pub const SCHEDULER_1: u32 = 0x8;
    /// `flag-2`, `sh-port`, `mh-port`.
    pub const SCHEDULER_2: u32 = 0x10;
    /// `flag-3`.
    pub const SCHEDULER_3: u32 = 0x20;
}

/// `lvs_method`, `lb_kind`: how a connection reaches a real server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Forwarding {
    /// `NAT`.
    #[default]
    Nat,
    /// `DR`.
    Direct,
    /// `TUN`.
    Tunnel(Tunnel),
}

/// What a tunnel wraps packets in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Tunnel {
    /// `ipip`.
    #[default]
    Ipip,
    /// `gue port N`.
    Gue(u16, Checksum),
    /// `gre`.
    Gre(Checksum),
}

/// Checksum of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Checksum {
    /// `nocsum`.
    #[default]
    None,
    /// `csum`.
    Whole,
    /// `remcsum` (gue only).
    Remote,
}

/// One `real_server` block. There may be tens of thousands: what few of them have is not kept in place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RealServer {
    /// Where it is.
    pub address: IpAddr,
    /// Its port (the virtual server's unless NAT; 0 for a firewall mark).
    pub port: u16,
    /// `weight` (1), 0..=2147483647.
    pub weight: u32,
    /// `lvs_method` of its own, or the virtual server's.
    pub forwarding: Forwarding,
    /// `uthreshold`: connections above which it gets no more; 0 is no limit.
    pub upper: u32,
    /// `lthreshold`.
    pub lower: u32,
    /// `inhibit_on_failure`: weight 0 instead of removal.
    pub inhibit: bool,
    /// `notify_up`.
    pub notify_up: Option<Box<Command>>,
    /// `notify_down`.
    pub notify_down: Option<Box<Command>>,
    /// `smtp_alert` (true when nobody says otherwise).
    pub smtp_alert: bool,
    /// Its checkers, shared with whoever makes the checks.
    pub checkers: Vec<Arc<Checker>>,
}

impl RealServer {
    /// A server of weight 1 without checkers.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self {
            address,
            port,
            weight: 1,
            forwarding: Forwarding::Nat,
            upper: 0,
            lower: 0,
            inhibit: false,
            notify_up: None,
            notify_down: None,
            smtp_alert: true,
            checkers: Vec::new(),
        }
    }

    /// Identity within its virtual server.
    pub const fn key(&self) -> (IpAddr, u16) {
        (self.address, self.port)
    }
}

/// `sorry_server`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SorryServer {
    /// Where it is.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// `sorry_server_lvs_method`, or the virtual server's.
    pub forwarding: Forwarding,
    /// `sorry_server_inhibit`: it stays in the table with weight 0 while it is not wanted.
    pub inhibit: bool,
}

impl VirtualServer {
    /// A server with the defaults of keepalived.conf(5).
    pub fn new(address: Address, family: Family) -> Self {
        Self {
            address,
            protocol: Protocol::Tcp,
            family,
            service: ServiceSettings::default(),
            quorum: 1,
            hysteresis: 0,
            quorum_up: None,
            quorum_down: None,
            sorry: None,
            alpha: false,
            omega: false,
            ha_suspend: false,
            smtp_alert: false,
            mark: None,
            real_servers: Vec::new(),
        }
    }
}

/// `lvs_sync_daemon`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SyncDaemon {
    /// Interface.
    pub interface: String,
    /// `id`, 0..=255.
    pub id: u8,
    /// `maxlen`, bytes.
    pub max_length: Option<u16>,
    /// `port`.
    pub port: Option<u16>,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// `group`.
    pub group: Option<IpAddr>,
}

impl SyncDaemon {
    /// With the kernel's defaults.
    pub const fn new(interface: String) -> Self {
        Self { interface, id: 0, max_length: None, port: None, ttl: None, group: None }
    }
}

/// `nftables_ipvs`, `nftables_ipvs_priority`, `nftables_counters`, `nftables_ipvs_start_fwmark`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marking {
    /// The tables.
    pub firewall: Firewall,
    /// The first mark (1000).
    pub first: u32,
}

impl Default for Marking {
    fn default() -> Self {
        Self { firewall: Firewall::named("keepalived_ipvs"), first: 1000 }
    }
}

/// `lvs_timeouts` in seconds; 0 leaves the kernel's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Timeouts {
    /// `tcp`.
    pub tcp: u32,
    /// `tcpfin`.
    pub tcp_fin: u32,
    /// `udp`.
    pub udp: u32,
}

impl Timeouts {
    /// These, and what they leave from `others`.
    pub const fn or(self, others: Self) -> Self {
        const fn first(one: u32, other: u32) -> u32 {
            if one == 0 { other } else { one }
        }
        Self { tcp: first(self.tcp, others.tcp), tcp_fin: first(self.tcp_fin, others.tcp_fin), udp: first(self.udp, others.udp) }
    }
}

/// `lvs_flush_on_stop`: how the table is left at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum FlushOnStop {
    /// Without it: server by server, each told of.
    #[default]
    Not,
    /// `VS`: our services at once, without a word about their servers.
    Ours,
    /// The whole table at once, strangers' services too.
    Everything,
}

/// Everything that the checker child is told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Balancer {
    /// `virtual_server` blocks, in order; no service belongs to two.
    pub servers: Vec<Arc<VirtualServer>>,
    /// `lvs_flush`: the whole table is emptied at start.
    pub flush: bool,
    /// `lvs_flush_on_stop`.
    pub flush_on_stop: FlushOnStop,
    /// `rs_init_notifies`: servers that are up at the start are told of.
    #[serde(default)]
    pub init_notifies: bool,
    /// `lvs_timeouts`.
    pub timeouts: Option<Timeouts>,
    /// `lvs_sync_daemon`, and the VRRP instance that it follows; without one both halves run.
    pub sync: Option<(SyncDaemon, Option<String>)>,
    /// Groups of addresses are balanced by firewall marks.
    #[serde(default)]
    pub marking: Option<Marking>,
    /// The `SSL` block.
    #[serde(default)]
    pub tls: tls::Settings,
    /// What its files hold, read by the supervisor.
    #[serde(default)]
    pub tls_files: tls::Files,
}

impl Balancer {
    /// What is the same as before is held once: a reload that changes one of thousands of servers leaves the others as they are.
    pub fn share_with(&mut self, before: &Self) {
        let key = |server: &Arc<VirtualServer>| (server.address.clone(), server.protocol, server.family);
        let known: HashMap<_, _> = before.servers.iter().map(|server| (key(server), server)).collect();
        for server in &mut self.servers {
            if let Some(same) = known.get(&key(server)).filter(|same| **same == server) {
                *server = Arc::clone(same);
            }
        }
    }

    /// Equal settings of neighbours are held once: a pipe carries every one's.
    pub fn share_settings(&mut self) {
        let mut last: Option<Arc<http::Settings>> = None;
        // Somebody else's servers stay as they are.
        let own = self.servers.iter_mut().filter_map(Arc::get_mut);
        let checkers = own.flat_map(|server| &mut server.real_servers).flat_map(|real| &mut real.checkers).filter_map(Arc::get_mut);
        for checker in checkers {
            if let Kind::Http(settings) = &mut checker.kind {
                match last.as_ref().filter(|last| *last == settings) {
                    Some(same) => *settings = Arc::clone(same),
                    None => last = Some(Arc::clone(settings)),
                }
            }
        }
    }

    /// All of it but the servers.
    pub fn without_servers(&self) -> Self {
        Self { servers: Vec::new(), ..self.clone() }
    }

    /// Whether there is anything to do.
    pub fn is_idle(&self) -> bool {
        self.servers.is_empty() && self.sync.is_none()
    }
}
