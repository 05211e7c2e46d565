//! State for readers: text dumps.

pub mod global_data;
pub mod vrrp_data;
pub mod vrrp_instance;
pub mod vrrp_json;

use crate::config::model::{VrrpGlobal, Watched};
use crate::types::{CentiSecs, Priority};
use crate::vrrp::event::{Fault, State};
use crate::vrrp::settings::{GroupSettings, Settings};
use crate::vrrp::stats::Stats;
use crate::vrrp::track::Reading;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One instance as it is now: what every dump is made of.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// What it was told.
    pub settings: Arc<Settings>,
    /// State.
    pub state: State,
    /// Base priority and trackers.
    pub effective_priority: Priority,
    /// Why it is in FAULT.
    pub faults: BTreeSet<Fault>,
    /// Where its adverts come from.
    pub source: Option<IpAddr>,
    /// The current master, when it is not this router.
    pub master: Option<IpAddr>,
    /// Its last priority; 0 when unknown.
    pub master_priority: u8,
    /// The interval it advertises with.
    pub master_interval: CentiSecs,
    /// How long without an advert until the master counts as down.
    pub master_down_interval: Duration,
    /// Counters.
    pub stats: Stats,
    /// Wall-clock time of the last transition, seconds since the epoch.
    pub last_transition: f64,
    /// Wall-clock time of the next thing it does by itself, seconds since the epoch.
    pub next_deadline: Option<f64>,
    /// How many tracked scripts that could put it in FAULT have not said anything yet.
    pub waits_for: usize,
}

/// What several instances share.
#[derive(Clone, Copy)]
pub struct Tracking<'a> {
    /// What the host keeps whatever the state.
    pub host: &'a VrrpGlobal,
    /// `vrrp_sync_group`.
    pub groups: &'a [Arc<GroupSettings>],
    /// `vrrp_script`, `track_file` and the like.
    pub watched: &'a Watched,
    /// What a script says, by name.
    pub script: &'a dyn Fn(&str) -> Option<Reading>,
    /// What a file says, by name.
    pub file: &'a dyn Fn(&str) -> Option<Reading>,
    /// What a BFD session says, by name.
    pub session: &'a dyn Fn(&str) -> Option<Reading>,
}
