//! Who can be told what.

use super::dump::Section;
use crate::config::model::{VrrpGlobal, Watched};
use crate::ipc::messages::{FromVrrp, ToVrrp};
use crate::net::mirror::Change;
use crate::net::reflector::ReflectorError;
use crate::net::route::RouteKey;
use crate::net::rule::RuleKey;
use crate::process::rooted::Heard;
use crate::types::{IpPrefix, MacAddr, ScriptOutcome};
use crate::vrrp::event::Snapshot;
use crate::vrrp::group::Report;
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::settings::{GroupSettings, Settings, VirtualAddress};
use crate::vrrp::trackers::link::LinkSettings;
use std::net::IpAddr;
use std::sync::Arc;

/// Number of an instance within this process; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct InstanceId(pub(super) u32);

/// The actors that exist once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Service {
    /// Deadlines.
    Timekeeper,
    /// Lets the instances act.
    Stage,
    /// Netlink.
    Listener,
    /// Receivers.
    Sockets,
    /// Addresses.
    Keeper,
    /// ARP and NA.
    Announcer,
    /// Sync groups.
    Groups,
    /// Tracked scripts, files and processes.
    Watcher,
}

impl Service {
    /// All, in the order in which they start.
    pub(super) const ALL: [Self; 8] =
        [Self::Stage, Self::Timekeeper, Self::Announcer, Self::Keeper, Self::Sockets, Self::Listener, Self::Groups, Self::Watcher];
}

/// Who is to be built again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Member {
    /// One of a kind.
    Service(Service),
    /// An instance.
    Instance(InstanceId),
}

pub(super) enum RootMsg {
    /// What the supervisor says; when it is gone: withdraw and exit.
    Supervisor(Heard<ToVrrp>),
    /// An instance panicked.
    InstanceFailed { id: InstanceId, why: String },
    /// The back-off of a failed actor is over.
    Rebuild(Member),
    /// What a successor must know of an instance.
    Changed { id: InstanceId, snapshot: Snapshot },
    /// To the supervisor.
    Say(FromVrrp),
    /// An instance has withdrawn and will say no more.
    Stopped(InstanceId),
    /// An answer to `InstanceMsg::Describe`.
    Described { id: InstanceId, section: Box<Section> },
    /// Has the supervisor been heard lately?
    ListenForSupervisor,
    /// The keeper has carried out everything.
    KeeperFinished,
    /// Make a member fail, to prove that nothing is lost.
    #[cfg(test)]
    Panic(Member),
}

impl From<Heard<ToVrrp>> for RootMsg {
    fn from(heard: Heard<ToVrrp>) -> Self {
        Self::Supervisor(heard)
    }
}

pub(super) enum InstanceMsg {
    /// It exists: ask what it must know.
    Begin,
    /// The deadline may have come.
    Deadline,
    /// … and no advert was waiting to be read that would have moved it.
    DeadlineHeld,
    /// A datagram for this VRID and interface.
    Received(Datagram),
    /// What is true of a watched interface now (`None`: it does not exist).
    Link { name: Arc<str>, view: Option<LinkView> },
    /// Whether the configured source address is on this machine.
    ConfiguredSource { present: bool },
    /// A route with one of our destinations is gone from the kernel.
    RouteLost(Box<RouteKey>),
    /// A rule with one of our priorities is gone from the kernel.
    RuleLost(Box<RuleKey>),
    /// One of our addresses is gone from the kernel.
    AddressLost { device: Arc<str>, prefix: IpPrefix },
    /// The sync group moves.
    Group(GroupOrder),
    /// Some tracked script, file, process or BFD session reads differently now.
    ReadingsChanged,
    /// Its VMACs stand, but for those whose interface is missing; or why one does not.
    Vmacs { fault: Option<String> },
    /// A receiver could not be opened, or works now.
    SocketFault(Option<String>),
    /// A reload changed the settings.
    Replace(Arc<Settings>),
    /// One of the services was built anew: say again what it must know.
    Rebuilt(Service),
    /// Say everything; the counters are zero afterwards when `clear`.
    Describe { clear: bool },
    /// Withdraw and end; the addresses stay when told so (`--dont-release-vrrp`).
    Stop { keep_addresses: bool, why: Leaving },
    /// Fail, to prove that nothing is lost.
    #[cfg(test)]
    Panic,
}

/// A received datagram, out of the receiver's buffer.
pub(super) struct Datagram {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ttl: Option<u8>,
    pub(super) protocol: u8,
    pub(super) ip_header: Option<Box<[u8]>>,
    pub(super) payload: Payload,
}

/// The bytes of an advert; usual ones need no allocation.
pub(super) enum Payload {
    /// So many of these.
    Few(u8, [u8; Payload::FEW]),
    Many(Box<[u8]>),
}

impl Payload {
    /// A version 2 advert of six addresses.
    const FEW: usize = 40;
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        let mut few = [0; Self::FEW];
        match (u8::try_from(bytes.len()), few.get_mut(..bytes.len())) {
            (Ok(length), Some(room)) => {
                room.copy_from_slice(bytes);
                Self::Few(length, few)
            }
            _ => Self::Many(bytes.into()),
        }
    }
}

impl std::ops::Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Few(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Many(bytes) => bytes,
        }
    }
}

/// A table by instance.
pub(super) type ById<T> = crate::actor::ByNumber<InstanceId, T>;

/// What an instance needs to know of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LinkView {
    pub(super) index: u32,
    /// Up and with carrier.
    pub(super) up: bool,
    pub(super) mac: Option<MacAddr>,
    /// First address that is not virtual.
    pub(super) source4: Option<IpAddr>,
    /// First link-local address that is not virtual.
    pub(super) source6: Option<IpAddr>,
}

pub(super) enum KeeperMsg {
    /// Firewall table, `promote_secondaries`: what becoming master must not wait for.
    Prepare(Arc<Settings>),
    /// Make the VMACs that an instance needs, unless they are there; it is told how that went.
    Make { id: InstanceId, settings: Arc<Settings> },
    /// Its VMACs are needed no more, but by others and the ones that it keeps.
    Unmake { id: InstanceId, name: Arc<str>, kept: Vec<String> },
    /// Install what is missing; `promote_secondaries`, firewall included.
    Install(Arc<Settings>),
    /// Remove what is ours of these.
    Remove(Arc<Settings>),
    /// While the instance holds its addresses: a reload, or somebody deleted one.
    Replace { settings: Arc<Settings>, removed: Held, added: Held },
    /// What the host keeps whatever the state: these go, those come, which makes all of these.
    Static { removed: Held, added: Held, all: Held },
    /// Something of ours may be gone from the kernel: what the host is to keep is put back.
    Heard(Vec<Change>),
    /// To be passed on when everything before it is in the kernel.
    Announce(Burst),
    /// Carry out what is queued.
    Flush,
    /// The process ends: put sysctls and firewall back, then say so.
    Finish { keep_addresses: bool },
    #[cfg(test)]
    Panic,
}

/// What somebody holds in the kernel.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Held {
    pub(super) addresses: Vec<VirtualAddress>,
    pub(super) routes: Vec<Route>,
    pub(super) rules: Vec<Rule>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.routes.is_empty() && self.rules.is_empty()
    }

    /// What the host keeps.
    pub(super) fn of_host(global: &VrrpGlobal) -> Self {
        Self { addresses: global.static_addresses.clone(), routes: global.static_routes.clone(), rules: global.static_rules.clone() }
    }

    /// What is here and not there. Who watches it makes no difference to the kernel.
    pub(super) fn without(&self, other: &Self) -> Self {
        fn only<T: PartialEq + Clone>(one: &[T], other: &[T], in_kernel: impl Fn(&T) -> T) -> Vec<T> {
            let theirs: Vec<T> = other.iter().map(&in_kernel).collect();
            one.iter().filter(|item| !theirs.contains(&in_kernel(item))).cloned().collect()
        }
        let address = |address: &VirtualAddress| VirtualAddress { no_track: false, track_group: None, ..address.clone() };
        let route = |route: &Route| Route { no_track: false, track_group: None, ..route.clone() };
        let rule = |rule: &Rule| Rule { no_track: false, track_group: None, ..rule.clone() };
        Self {
            addresses: only(&self.addresses, &other.addresses, address),
            routes: only(&self.routes, &other.routes, route),
            rules: only(&self.rules, &other.rules, rule),
        }
    }
}

/// So many messages for each of these addresses.
#[derive(Clone)]
pub(super) struct Burst {
    pub(super) settings: Arc<Settings>,
    /// `None`: all of the instance's.
    pub(super) only: Option<Vec<VirtualAddress>>,
    pub(super) repeat: u32,
}

/// Where messages wait for one another: `vrrp_garp_interval` and `vrrp_gna_interval` are kept each on its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Lane {
    pub(super) ifindex: u32,
    pub(super) family: crate::types::Family,
}

pub(super) enum AnnouncerMsg {
    Burst(Burst),
    /// The pause between two messages in this lane is over.
    Next(Lane),
    #[cfg(test)]
    Panic,
}

/// Which receiver an instance listens on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ReceiverKey {
    pub(super) family: crate::types::Family,
    /// Interface index; 0 for unicast without `interface`.
    pub(super) ifindex: u32,
    /// 112, or 51 when the instance uses authentication headers.
    pub(super) protocol: u8,
}

pub(super) enum SocketsMsg {
    /// An instance listens here from now on (again after an interface came back); `address` is what the log calls it.
    Attach {
        id: InstanceId,
        key: ReceiverKey,
        interface: Option<Arc<str>>,
        group: Option<IpAddr>,
        address: Option<IpAddr>,
        buffer: Option<u32>,
    },
    /// It does not any more.
    Detach { id: InstanceId },
    #[cfg(test)]
    Panic,
}

/// What an instance wants to be told of.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) interfaces: Vec<Arc<str>>,
    /// Virtual addresses.
    pub(super) addresses: Vec<IpAddr>,
    /// The configured source of adverts.
    pub(super) source: Option<IpAddr>,
    /// Destinations of tracked routes.
    pub(super) destinations: Vec<IpPrefix>,
    /// Priorities of tracked rules.
    pub(super) priorities: Vec<u32>,
}

pub(super) enum ListenerMsg {
    /// Tell this instance about these from now on, and once at once.
    Watch { id: InstanceId, watch: Watch },
    /// Tell the keeper of what the host keeps.
    WatchHost(bool),
    /// No more.
    Forget { id: InstanceId },
    /// The mirror knows more of this link than the kernel's messages said so far.
    LookAt(Arc<str>),
    /// How links are looked at from now on.
    Links(LinkSettings),
    /// A link has been as it is long enough, or a driver is to be asked.
    LookAgain,
    /// The mirror changed, or cannot be followed any more.
    Changed(Result<Vec<Change>, ReflectorError>),
    #[cfg(test)]
    Panic,
}

/// Why an instance ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaving {
    /// The process stops.
    Stopping,
    /// A reload took it away.
    Deleted,
}

/// What a sync group asks of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GroupOrder {
    /// All are or want to be master.
    GoMaster,
    /// One is master no longer.
    BackOff,
    /// Another member is unfit, or none is any more.
    Fault(bool),
    /// Another member answered a weaker advert.
    Announce,
    /// All have begun, and the group has said so: it may tell that it has.
    Speak,
}

pub(super) enum GroupsMsg {
    /// These are the groups from now on.
    Replace(Vec<Arc<GroupSettings>>),
    /// A member says what it is.
    Reported { id: InstanceId, group: String, member: Arc<str>, report: Report },
    /// A member answered a weaker advert: the others announce too.
    Answered { id: InstanceId, group: String },
    #[cfg(test)]
    Panic,
}

pub(super) enum WatcherMsg {
    /// These are tracked from now on.
    Watch(Watched),
    /// A deadline may have come.
    Alarm,
    /// A run that was asked for ended.
    ScriptEnded { name: String, outcome: ScriptOutcome },
    /// The number in a file.
    FileReads { name: String, value: i64 },
    /// How many processes match.
    ProcessCount { name: String, count: u32 },
    /// Whether a BFD session is up.
    Session { name: String, up: bool },
    #[cfg(test)]
    Panic,
}

pub(super) enum StageMsg {
    /// Let the instances act, for ever.
    Perform,
}

pub(super) enum TimekeeperMsg {
    /// Watch the timer, for ever.
    Watch,
}
