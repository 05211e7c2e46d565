//! What one `vrrp_instance` was told to do: the validated settings, right by type.

use crate::types::{CentiSecs, Family, IpPrefix, MacAddr, Priority, Version, Vrid};
use crate::vrrp::notify::Notify;
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::trackers::Track;
use crate::vrrp::vmac::Vmac;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// One `vrrp_instance` block, with the global defaults already filled in (keepalived.conf(5)).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The block's name, as in every log line: `(VI_1) …`.
    pub name: String,
    /// `interface`; absent only for unicast with `unicast_src_ip`.
    pub interface: Option<String>,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// `version`, or `vrrp_version`, or 3 for IPv6.
    pub version: Version,
    /// Fixed by the first address that tells.
    pub family: Family,
    /// `state`: what the instance wants to be at start.
    pub wanted: WantedState,
    /// `priority`: the base priority, before trackers.
    pub priority: Priority,
    /// `advert_int`; whole seconds for version 2.
    pub advert_interval: CentiSecs,
    /// `nopreempt`, `preempt_delay`.
    pub preempt: Preempt,
    /// `down_timer_adverts`: adverts missed before the master counts as down, 1..=100 (3).
    pub down_timer_adverts: u8,
    /// `authentication`: version 2 only.
    pub auth: Option<Auth>,
    /// `unicast_peer` or the multicast group.
    pub transport: Transport,
    /// `virtual_ipaddress`, in configuration order (the order in the advert).
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: installed, not advertised; families may mix.
    pub excluded: Vec<VirtualAddress>,
    /// `accept`, `no_accept`: whether a master that is not the owner answers on its virtual addresses.
    pub accept: bool,
    /// `strict_mode`, `vrrp_strict`.
    pub strict: bool,
    /// `promote_secondaries`.
    pub promote_secondaries: bool,
    /// Gratuitous ARP and unsolicited NA.
    pub announce: Announce,
    /// `track_interface`.
    pub track_interfaces: Vec<TrackInterface>,
    /// `dont_track_primary`: the instance's own interface going down is no fault.
    pub dont_track_primary: bool,
    /// `track_src_ip`: losing the configured source address is a fault.
    pub track_src_ip: bool,
    /// `skip_check_adv_addr`: do not compare the address list when the advert comes from the current master.
    pub skip_check_adv_addr: bool,
    /// `check_unicast_src`: the source must be a configured peer.
    pub check_unicast_src: bool,
    /// `lower_prio_no_advert`: do not answer an advert of lower priority at once.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: one more advert before yielding.
    pub higher_prio_send_advert: bool,
    /// `owner_ignore_adverts`: an owner listens to nobody.
    pub owner_ignore_adverts: bool,
    /// `v3_checksum_as_v2`: no pseudo header in the IPv4 version 3 checksum.
    pub v3_checksum_as_v2: bool,
    /// `kernel_rx_buf_size`, `vrrp_rx_bufs_policy`: its part of the receive buffer of its socket.
    pub kernel_rx_buf_size: Option<RxBuffer>,
    /// The configuration itself keeps this instance in FAULT, and says why (`unicast_fault_no_peer`, duplicate VRID …).
    pub config_fault: Option<String>,
    /// `log_unknown_vrids` of global_defs.
    pub log_unknown_vrids: bool,
    /// `virtual_routes`, in configuration order.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// `virtual_rules`, in configuration order.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Interfaces of what its `track_group`s keep on the host: one that is down is a fault.
    #[serde(default)]
    pub follows: Vec<String>,
    /// `track_script`, its group's included.
    #[serde(default)]
    pub track_scripts: Vec<Track>,
    /// `track_file`, its group's included.
    #[serde(default)]
    pub track_files: Vec<Track>,
    /// `track_process`, its group's included.
    #[serde(default)]
    pub track_processes: Vec<Track>,
    /// `track_bfd`, its group's included.
    #[serde(default)]
    pub track_bfds: Vec<Track>,
    /// The `vrrp_sync_group` it is in.
    #[serde(default)]
    pub sync_group: Option<String>,
    /// `notify_*`, `smtp_alert`; `None` when nothing is to be told but the FIFO.
    #[serde(default)]
    pub notify: Option<Box<Notify>>,
    /// `use_vmac`: where its addresses go, and by default its adverts too.
    #[serde(default)]
    pub vmac: Option<Box<Vmac>>,
    /// `vmac_xmit_base`: adverts travel on the interface, not on the VMAC.
    #[serde(default)]
    pub xmit_base: bool,
    /// `use_vmac_addr`, `use_vmac` of addresses: VMACs of single addresses.
    #[serde(default)]
    pub address_vmacs: Vec<Vmac>,
}

impl Settings {
    /// A block `VI_1` on eth0 that says nothing but its id and one address: keepalived's defaults for everything else.
    pub fn plain(vrid: Vrid, version: Version, group: IpAddr, address: IpAddr) -> Self {
        Self {
            name: "VI_1".to_owned(),
            interface: Some("eth0".to_owned()),
            vrid,
            version,
            family: Family::of(&address),
            wanted: WantedState::Backup,
            priority: Priority::DEFAULT,
            advert_interval: CentiSecs::SECOND,
            preempt: Preempt::AtOnce,
            down_timer_adverts: 3,
            auth: None,
            transport: Transport::Multicast { group, source: None },
            addresses: vec![VirtualAddress::plain(IpPrefix::host(address))],
            excluded: Vec::new(),
            accept: true,
            strict: false,
            promote_secondaries: false,
            announce: Announce::default(),
            track_interfaces: Vec::new(),
            dont_track_primary: false,
            track_src_ip: false,
            skip_check_adv_addr: false,
            check_unicast_src: false,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            v3_checksum_as_v2: false,
            kernel_rx_buf_size: None,
            config_fault: None,
            log_unknown_vrids: false,
            routes: Vec::new(),
            rules: Vec::new(),
            follows: Vec::new(),
            track_scripts: Vec::new(),
            track_files: Vec::new(),
            track_processes: Vec::new(),
            track_bfds: Vec::new(),
            sync_group: None,
            notify: None,
            vmac: None,
            xmit_base: false,
            address_vmacs: Vec::new(),
        }
    }

    /// What makes it the same instance across a reload: not its name (keepalived matches by these).
    pub fn key(&self) -> InstanceKey {
        InstanceKey {
            vrid: self.vrid,
            family: self.family,
            interface: self.interface.clone(),
            transport: self.transport.key(),
            vmac: self.vmac.as_ref().map(|vmac| (vmac.name.clone(), vmac.mac)),
        }
    }

    /// The interface that adverts travel on.
    pub fn wire(&self) -> Option<&str> {
        match &self.vmac {
            Some(vmac) if !self.xmit_base => Some(&vmac.name),
            _ => self.interface.as_deref(),
        }
    }

    /// The interface of addresses that name none.
    pub fn home(&self) -> Option<&str> {
        self.vmac.as_ref().map(|vmac| vmac.name.as_str()).or(self.interface.as_deref())
    }

    /// The interface that an address of this instance goes on. What is not of the instance's family has no place on its VMAC,
    /// whose Ethernet address is the family's.
    pub fn place<'s>(&'s self, address: &'s VirtualAddress) -> Option<&'s str> {
        let own = if address.prefix.family() == self.family { self.home() } else { self.interface.as_deref() };
        let written = address.device.as_deref().filter(|device| Some(*device) != self.interface.as_deref());
        address.vmac.as_deref().or(written).or(own)
    }

    /// The addresses that `garp_extra_if` is for: one of every interface that adverts do not come from.
    pub fn announced_elsewhere(&self) -> impl Iterator<Item = &VirtualAddress> {
        let mut seen = HashSet::new();
        self.addresses.iter().chain(&self.excluded).filter(move |address| {
            let place = self.place(address);
            let on_vmac = || self.address_vmacs.iter().any(|vmac| Some(vmac.name.as_str()) == place);
            place != self.home() && (self.announce.extra_if_all || on_vmac()) && seen.insert(place)
        })
    }

    /// Every VMAC that it needs.
    pub fn vmacs(&self) -> impl Iterator<Item = &Vmac> {
        self.vmac.iter().map(AsRef::as_ref).chain(&self.address_vmacs)
    }

    /// Whether the addresses answer nothing while this router is master (`no_accept`, `vrrp_strict`).
    pub const fn is_shut(&self) -> bool {
        !self.accept && !self.priority.is_owner()
    }

    /// The configured source address of adverts, if any (`mcast_src_ip`, `unicast_src_ip`).
    pub fn configured_source(&self) -> Option<IpAddr> {
        match &self.transport {
            Transport::Multicast { source, .. } | Transport::Unicast { source, .. } => *source,
        }
    }
}

/// Identity of an instance across reloads.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct InstanceKey {
    /// Virtual router id.
    pub vrid: Vrid,
    /// Family.
    pub family: Family,
    /// Interface.
    pub interface: Option<String>,
    /// Multicast group, or the unicast source.
    pub transport: TransportKey,
    /// Name and Ethernet address of its VMAC.
    pub vmac: Option<(String, MacAddr)>,
}

impl InstanceKey {
    /// What two instances must not share: with a VMAC or without, they would hear each other.
    pub fn on_the_wire(self) -> Self {
        Self { vmac: None, ..self }
    }
}

/// The part of the transport that is identity.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum TransportKey {
    /// To a group.
    Multicast(IpAddr),
    /// From an address.
    Unicast(Option<IpAddr>),
}

/// `state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum WantedState {
    /// MASTER (in practice only the owner starts at once).
    Master,
    /// BACKUP.
    Backup,
}

/// What a stronger router does about a weaker master.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Preempt {
    /// Takes over when the down timer ends.
    AtOnce,
    /// `preempt_delay`: waits, then takes over.
    After(Duration),
    /// `nopreempt`: never.
    Never,
}

/// How much of a receive buffer an instance needs; instances on one socket add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RxBuffer {
    /// So many bytes.
    Bytes(u32),
    /// `MTU`: so many times the interface's.
    Mtu(u32),
    /// `ADVERT`: room for so many of its adverts.
    Advert(u32),
}

impl RxBuffer {
    /// Bytes, when the interface has that MTU and an advert, its IP header included, this length.
    pub const fn bytes(self, mtu: u32, advert: u32) -> u32 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Mtu(times) => mtu.saturating_mul(times),
            Self::Advert(times) => advert.saturating_mul(times),
        }
    }
}

/// `authentication` (RFC 2338; version 2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auth {
    /// Simple password, padded with zeros to 8 bytes.
    Password([u8; 8]),
    /// IP authentication header, HMAC-MD5-96: the key, padded to 8 bytes.
    Header([u8; 8]),
}

/// Never shows the secret.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(********)",
            Self::Header(_) => "Header(********)",
        })
    }
}

/// How adverts travel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Transport {
    /// To a group on the interface.
    Multicast {
        /// `vrrp_mcast_group4/6` or `mcast_dst_ip`.
        group: IpAddr,
        /// `mcast_src_ip`.
        source: Option<IpAddr>,
    },
    /// To each peer.
    Unicast {
        /// `unicast_src_ip`.
        source: Option<IpAddr>,
        /// `unicast_peer`, in order, no duplicates.
        peers: Vec<Peer>,
        /// `unicast_ttl` (255 for IPv4; the kernel's default for IPv6 when unset).
        ttl: Option<u8>,
    },
}

impl Transport {
    /// The part that is identity across reloads.
    pub fn key(&self) -> TransportKey {
        match self {
            Self::Multicast { group, .. } => TransportKey::Multicast(*group),
            Self::Unicast { source, .. } => TransportKey::Unicast(*source),
        }
    }

    /// Whether adverts go to peers one by one.
    pub const fn is_unicast(&self) -> bool {
        matches!(self, Self::Unicast { .. })
    }
}

/// One line of `unicast_peer`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Where it is.
    pub address: IpAddr,
    /// `min_ttl`: adverts with a smaller TTL or hop limit are dropped.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: adverts with a larger TTL or hop limit are dropped.
    pub max_ttl: Option<u8>,
}

/// One line of `virtual_ipaddress` or `virtual_ipaddress_excluded`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VirtualAddress {
    /// Address and prefix (32 or 128 when not written).
    pub prefix: IpPrefix,
    /// `dev`; the instance's interface when not written.
    pub device: Option<String>,
    /// `scope`, as the kernel's number (0 global, 253 link, 254 host).
    pub scope: u8,
    /// `label`.
    pub label: Option<String>,
    /// `brd`: an IPv4 address, `+` and `-` already worked out.
    pub broadcast: Option<IpAddr>,
    /// `peer`.
    pub peer: Option<IpPrefix>,
    /// `preferred_lft` in seconds; `None` is for ever; 0 is deprecated.
    pub preferred_lifetime: Option<u32>,
    /// `home`, `-nodad`, `mngtmpaddr`, `noprefixroute`, `autojoin` as IFA_F_* bits (IPv6 gets NODAD unless `-nodad`).
    pub flags: u32,
    /// `no_track`: do not put it back or go to FAULT when somebody deletes it.
    pub no_track: bool,
    /// `track_group`, of one that stays on the host.
    #[serde(default)]
    pub track_group: Option<String>,
    /// `use_vmac`, `use_vmac_addr`: the VMAC that it goes on, when that is not the instance's own.
    #[serde(default)]
    pub vmac: Option<String>,
}

impl VirtualAddress {
    /// A line with an address and nothing else; flags are the family's business (see there).
    pub const fn plain(prefix: IpPrefix) -> Self {
        Self {
            prefix,
            device: None,
            scope: 0,
            label: None,
            broadcast: None,
            peer: None,
            preferred_lifetime: None,
            flags: 0,
            no_track: false,
            track_group: None,
            vmac: None,
        }
    }
}

/// Gratuitous ARP and unsolicited neighbour advertisement settings, global defaults filled in (all counts and times as keepalived.conf(5)).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Announce {
    /// `garp_master_delay`: second batch this long after becoming master; zero is none (5 s).
    pub master_delay: Duration,
    /// `garp_master_repeat`: messages an address in a batch (5).
    pub master_repeat: u32,
    /// `garp_master_refresh`: period of refreshes while master; zero is none (0).
    pub master_refresh: Duration,
    /// `garp_master_refresh_repeat`: messages an address in a refresh (1).
    pub master_refresh_repeat: u32,
    /// `garp_lower_prio_delay`: second batch after an advert of lower priority; zero is none (= master_delay).
    pub lower_prio_delay: Duration,
    /// `garp_lower_prio_repeat`: messages an address after an advert of lower priority (= master_repeat).
    pub lower_prio_repeat: u32,
    /// `vrrp_garp_interval`: least time between two gratuitous ARPs on an interface; zero is none.
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`: the same for neighbour advertisements.
    pub gna_interval: Duration,
    /// `garp_extra_if`: period of messages on VMACs other than the instance's own; zero is none (0).
    #[serde(default)]
    pub extra_if: Duration,
    /// `garp_extra_if all`: on every interface but the instance's own.
    #[serde(default)]
    pub extra_if_all: bool,
}

impl Default for Announce {
    fn default() -> Self {
        Self {
            master_delay: Duration::from_secs(5),
            master_repeat: 5,
            master_refresh: Duration::ZERO,
            master_refresh_repeat: 1,
            lower_prio_delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            extra_if: Duration::ZERO,
            extra_if_all: false,
        }
    }
}

/// One line of `track_interface`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrackInterface {
    /// Interface name.
    pub name: String,
    /// `weight` -253..=253; 0 means FAULT when down.
    pub weight: i16,
    /// `reverse`: up and down trade places.
    pub reverse: bool,
}

/// One `vrrp_sync_group` block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupSettings {
    /// The block's name.
    pub name: String,
    /// `group`: its members' names, in order; each is a configured instance, and in no other group.
    pub members: Vec<String>,
    /// `notify_*`, `smtp_alert`.
    pub notify: Option<Box<Notify>>,
}

/// One `track_group` block: who follows what stays on the host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrackGroup {
    /// The block's name.
    pub name: String,
    /// `group`: its instances' names, in order; each is configured.
    pub members: Vec<String>,
}
