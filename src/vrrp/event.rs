//! What happens to an instance (facts, past tense) and what it wants done about it (orders).

use crate::types::{CentiSecs, Instant, Priority};
use crate::vrrp::settings::Settings;
use crate::vrrp::stats::Stats;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The states of RFC 9568 §6.3, and keepalived's FAULT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// Not started.
    Init,
    /// Listening to a master.
    Backup,
    /// Owning the addresses.
    Master,
    /// Unfit; says nothing.
    Fault,
    /// Stopped for good: after `StopRequested` or `DeleteRequested`.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stopped => "STOP",
        })
    }
}

/// One reason to be in FAULT. The set of them is level-triggered: FAULT ends when the last one is gone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The interface does not exist.
    InterfaceMissing(String),
    /// The interface is down or has no carrier.
    InterfaceDown(String),
    /// No address of the family to send from on the interface.
    NoSourceAddress(String),
    /// `track_src_ip`, `unicast_src_ip`: the configured source is not on this machine.
    SourceAddressLost(IpAddr),
    /// The sockets of this instance could not be opened; the text says why.
    Socket(String),
    /// The configuration itself (`unicast_fault_no_peer`, duplicate VRID …).
    Configuration(String),
    /// A tracker of weight 0 says unfit.
    Tracker(String),
    /// Another member of this sync group is unfit.
    Group(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceMissing(name) => write!(f, "interface {name} does not exist"),
            Self::InterfaceDown(name) => write!(f, "interface {name} down"),
            Self::NoSourceAddress(what) => write!(f, "no {what} address for interface"),
            Self::SourceAddressLost(address) => write!(f, "src address not configured - {address} is not on this machine"),
            Self::Socket(why) => write!(f, "cannot open its sockets: {why}"),
            Self::Configuration(why) => f.write_str(why),
            Self::Tracker(what) => write!(f, "{what} failed"),
            Self::Group(name) => write!(f, "another member of sync group {name} is in FAULT"),
        }
    }
}

/// An advert that passed every receive check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Advert {
    /// Who sent it.
    pub source: IpAddr,
    /// Priority on the wire; 0 is a master resigning.
    pub priority: u8,
    /// The sender's interval (adopted by a version 3 backup).
    pub interval: CentiSecs,
}

/// Facts, past tense. `handle(now, event)`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The process is up and the kernel's state is known. `faults` are the ones that hold now; `resume` is what the
    /// replaced process last said of this instance; `not_before` is the end of `vrrp_startup_delay`.
    Started {
        /// Faults that hold at start.
        faults: BTreeSet<Fault>,
        /// Effective priority at start.
        priority: Priority,
        /// Our source address, once known.
        source: Option<IpAddr>,
        /// The predecessor's last word.
        resume: Option<Snapshot>,
        /// End of the startup delay: nothing is sent and adverts do not count before.
        not_before: Option<Instant>,
    },
    /// `deadline()` has been reached (a spurious one does nothing).
    DeadlineReached,
    /// A valid advert arrived.
    AdvertReceived(Advert),
    /// A reason for FAULT began.
    FaultBegan(Fault),
    /// A reason for FAULT ended (one that never began does nothing).
    FaultEnded(Fault),
    /// The trackers' sum made a new effective priority.
    PriorityChanged(Priority),
    /// The interface's own address that adverts are sent from changed.
    SourceChanged(IpAddr),
    /// A reload brought other settings for the same instance. Addresses are diffed by the receiver of the actions.
    SettingsReplaced(Arc<Settings>),
    /// Every member of the sync group is master or wants to be: so may we.
    GroupMaster,
    /// A member of the sync group is master no longer: nor may we be.
    GroupBackup,
    /// Another member of the sync group answered a weaker advert: who believed that router on our network too hears us again.
    GroupAnswered,
    /// A tracked route or rule of ours was taken away: this router does not forward as it should.
    PathLost,
    /// The process is stopping, or lost its supervisor.
    StopRequested,
}

/// Orders, in the order they are to be carried out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// One advert (to the group or to every peer) with this priority on the wire.
    SendAdvert {
        /// Effective priority, or 0 to resign.
        priority: u8,
    },
    /// Install what is missing of the virtual addresses.
    InstallAddresses,
    /// Remove the virtual addresses.
    RemoveAddresses,
    /// Gratuitous ARP or unsolicited NA for every virtual address, so many messages each.
    Announce {
        /// Messages an address.
        repeat: u32,
        /// Only in the detail log when false… the first batch is the one people grep for.
        first: bool,
    },
    /// The same, once, for those of [`Settings::announced_elsewhere`](crate::vrrp::settings::Settings::announced_elsewhere).
    AnnounceElsewhere,
    /// The state changed: log, tell systemd, tell the supervisor.
    Entered(Transition),
    /// Something worth a log line.
    Note(Note),
}

/// A change of state and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// Effective priority at that moment.
    pub priority: Priority,
}

/// Why a state changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// First state after start.
    Started,
    /// Took up where a replaced process left off.
    Resumed,
    /// Owner: no need to ask.
    Owner,
    /// Master_Down_Timer ended (no advert in time).
    MasterDown,
    /// The master resigned and its skew time passed.
    MasterResigned,
    /// An advert of higher priority, or equal with a higher address, arrived.
    Outranked {
        /// From.
        by: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// These faults hold.
    Faults(BTreeSet<Fault>),
    /// The last fault ended.
    FaultsEnded,
    /// The sync group moved.
    Group,
    /// A tracked route or rule was taken away.
    PathLost,
    /// Orderly stop.
    StopRequested,
}

/// A log line that is not a transition. The receiver turns it into the text that people grep for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Note {
    /// `Receive advertisement timeout` (detail).
    AdvertTimeout,
    /// `Backup received priority 0 advertisement` (detail).
    PriorityZeroReceived,
    /// `Master received advert from A with higher priority N, ours M`.
    HigherPriorityAdvert {
        /// From.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: Priority,
    },
    /// `Master received advert from A with same priority N but higher IP address than ours`.
    EqualPriorityHigherAddress {
        /// From.
        source: IpAddr,
        /// Both priorities.
        priority: u8,
    },
    /// `Received advert from A with lower priority N, ours M, forcing new election`.
    LowerPriorityAdvert {
        /// From.
        source: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: Priority,
    },
    /// `master changed from A to B` (detail).
    MasterChanged {
        /// Before, if known.
        from: Option<IpAddr>,
        /// After.
        to: IpAddr,
    },
    /// `advertisement interval updated from Ams to Bms by master` (version 3).
    MasterIntervalChanged {
        /// Before.
        from: CentiSecs,
        /// New interval.
        interval: CentiSecs,
    },
    /// `Changing effective priority from A to B`.
    PriorityChanged {
        /// Before.
        from: Priority,
        /// After.
        to: Priority,
    },
    /// `start preempt delay` and the like (detail): the delay began.
    PreemptDelayStarted,
    /// `stop preempt delay` (detail): a master that may stay was heard before it passed.
    PreemptDelayStopped,
    /// `received lower priority (N) advert from A - discarding` (detail): a backup lets the timer run.
    LowerPriorityIgnored {
        /// From.
        source: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// `Master received priority 0 message`.
    MasterReceivedPriorityZero,
    /// `WARNING - equal priority advert received from remote host with our IP address.`
    OurAddressElsewhere {
        /// That address.
        source: IpAddr,
    },
    /// Two owners of the same addresses.
    OtherOwner {
        /// The other one.
        source: IpAddr,
    },
    /// The timer fired this much too late (suspended or starved machine): listening before claiming.
    Overslept {
        /// How late, nanoseconds.
        late_nanos: u64,
    },
    /// A fault began while already in FAULT, or one of several ended.
    FaultsAre(BTreeSet<Fault>),
}

/// All that a replacement process needs to take up an instance where its predecessor left it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// State.
    pub state: State,
    /// Interval learned from the master (version 3).
    pub master_interval: CentiSecs,
    /// Who is master, when it is not us.
    pub master: Option<IpAddr>,
    /// The master's last priority.
    pub master_priority: u8,
    /// Counters.
    pub stats: Stats,
    /// Wall-clock time of the last transition, seconds since the epoch.
    pub last_transition: f64,
}
