//! What people and programs asked to be told about an instance or a group (keepalived.conf(5), `notify_*`).

use crate::types::{Command, Priority};
use crate::vrrp::event::State;
use serde::{Deserialize, Serialize};

/// The notification keywords of one `vrrp_instance` or `vrrp_sync_group`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Notify {
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify_deleted [SCRIPT]`.
    pub deleted: Option<Command>,
    /// `notify_deleted` was written: a removed instance says DELETED, not FAULT.
    pub says_deleted: bool,
    /// `notify_master_rx_lower_pri`.
    pub lower_priority: Option<Command>,
    /// `notify`: for every state, with four more arguments.
    pub any: Option<Command>,
    /// `smtp_alert`, defaults filled in.
    pub mail: bool,
    /// `notify_priority_changes`, defaults filled in.
    pub priority_changes: bool,
}

/// Whom a notice is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Subject {
    /// A `vrrp_instance`, by name.
    Instance(String),
    /// A `vrrp_sync_group`, by name.
    Group(String),
}

impl Subject {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(name) | Self::Group(name) => name,
        }
    }

    /// The word of scripts and FIFO lines.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Instance(_) => "INSTANCE",
            Self::Group(_) => "GROUP",
        }
    }
}

/// What happened to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Happened {
    /// It entered this state; `Stopped` at the end of the process.
    Entered(State),
    /// A reload took it away.
    Deleted,
    /// A master heard an advert of lower priority.
    LowerPriorityHeard,
    /// Its effective priority changed while it was in this state.
    PriorityChanged(State),
}

/// Something that may be worth telling.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Whom it is about.
    pub subject: Subject,
    /// What happened.
    pub happened: Happened,
    /// Its effective priority; `None` for a group, which is told as 0.
    pub priority: Option<Priority>,
}
