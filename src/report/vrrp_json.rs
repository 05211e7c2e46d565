//! `keepalived.json` (SIGRTMIN+2), `json_version` 1: the keys that exporters read, in the original's order.

use super::InstanceView;
use super::vrrp_instance::address_line;
use crate::config::model::Watched;
use crate::types::{Command, Version};
use crate::vrrp::event::State;
use crate::vrrp::notify::Notify;
use crate::vrrp::settings::{Auth, Preempt, VirtualAddress, WantedState};
use crate::vrrp::stats::Stats;
use crate::vrrp::trackers::Track;
use serde::Serialize;
use std::time::Duration;

/// Seconds: a whole number where it is one, as the original writes them.
#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Fraction(f64),
}

impl From<Duration> for Number {
    fn from(span: Duration) -> Self {
        if span.subsec_nanos() == 0 { Self::Whole(span.as_secs()) } else { Self::Fraction(span.as_secs_f64()) }
    }
}

#[derive(Serialize)]
struct Entry {
    data: Data,
    stats: Counters,
}

#[derive(Serialize)]
struct Data {
    iname: String,
    dont_track_primary: u8,
    skip_check_adv_addr: u8,
    strict_mode: u8,
    vmac_ifname: String,
    ifp_ifname: String,
    master_priority: u8,
    last_transition: f64,
    garp_delay: Number,
    garp_refresh: u64,
    garp_rep: u32,
    garp_refresh_rep: u32,
    garp_lower_prio_delay: u64,
    garp_lower_prio_rep: u32,
    lower_prio_no_advert: u8,
    higher_prio_send_advert: u8,
    vrid: u8,
    base_priority: u8,
    effective_priority: u8,
    vipset: bool,
    promote_secondaries: bool,
    adver_int: Number,
    master_adver_int: Number,
    accept: u8,
    nopreempt: bool,
    preempt_delay: u64,
    state: u8,
    wantstate: u8,
    version: u8,
    smtp_alert: bool,
    notify_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_master: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_stop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_deleted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_master_rx_lower_pri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vroutes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vrules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_ifp: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_script: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    track_process: Vec<String>,
    auth_type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_data: Option<&'static str>,
}

#[derive(Serialize)]
struct Counters {
    advert_rcvd: u64,
    advert_sent: u64,
    become_master: u64,
    release_master: u64,
    packet_len_err: u64,
    advert_interval_err: u64,
    ip_ttl_err: u64,
    invalid_type_rcvd: u64,
    addr_list_err: u64,
    invalid_authtype: u64,
    authtype_mismatch: u64,
    auth_failure: u64,
    pri_zero_rcvd: u64,
    pri_zero_sent: u64,
}

/// The original's state numbers.
const fn number(state: State) -> u8 {
    match state {
        State::Init => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
        State::Stopped => 98,
    }
}

fn lines(view: &InstanceView, addresses: &[VirtualAddress]) -> Vec<String> {
    addresses.iter().map(|address| address_line(view, address)).collect()
}

/// Tracked scripts by their commands, as the original lists them.
fn scripts(tracks: &[Track], watched: &Watched) -> Vec<String> {
    let command = |name: &str| watched.scripts.iter().find(|script| script.name == name).map(|script| script.command.to_string());
    tracks.iter().filter_map(|track| command(&track.name)).collect()
}

/// A script as the data dump shows it.
fn script(view: &InstanceView, which: impl Fn(&Notify) -> &Option<Command>) -> Option<String> {
    view.settings.notify.as_deref().and_then(|notify| which(notify).as_ref()).map(ToString::to_string)
}

fn data(view: &InstanceView, watched: &Watched) -> Data {
    let settings = &view.settings;
    let announce = &settings.announce;
    Data {
        iname: settings.name.clone(),
        dont_track_primary: settings.dont_track_primary.into(),
        skip_check_adv_addr: settings.skip_check_adv_addr.into(),
        strict_mode: settings.strict.into(),
        vmac_ifname: settings.vmac.as_ref().map_or_else(String::new, |vmac| vmac.name.clone()),
        ifp_ifname: settings.home().unwrap_or_default().to_owned(),
        master_priority: view.master_priority,
        last_transition: view.last_transition,
        garp_delay: Number::from(announce.master_delay),
        garp_refresh: announce.master_refresh.as_secs(),
        garp_rep: announce.master_repeat,
        garp_refresh_rep: announce.master_refresh_repeat,
        garp_lower_prio_delay: announce.lower_prio_delay.as_secs(),
        garp_lower_prio_rep: announce.lower_prio_repeat,
        lower_prio_no_advert: settings.lower_prio_no_advert.into(),
        higher_prio_send_advert: settings.higher_prio_send_advert.into(),
        vrid: settings.vrid.get(),
        base_priority: settings.priority.get(),
        effective_priority: view.effective_priority.get(),
        vipset: view.state == State::Master,
        promote_secondaries: settings.promote_secondaries,
        adver_int: Number::from(settings.advert_interval.duration()),
        master_adver_int: Number::from(view.master_interval.duration()),
        accept: settings.accept.into(),
        nopreempt: settings.preempt == Preempt::Never,
        preempt_delay: match settings.preempt {
            Preempt::After(delay) => delay.as_secs(),
            Preempt::AtOnce | Preempt::Never => 0,
        },
        state: number(view.state),
        wantstate: match (view.state, settings.wanted) {
            (State::Master | State::Backup | State::Fault, _) => number(view.state),
            (_, WantedState::Master) => number(State::Master),
            (_, WantedState::Backup) => number(State::Backup),
        },
        version: match settings.version {
            Version::V2 => 2,
            Version::V3 => 3,
        },
        smtp_alert: settings.notify.as_ref().is_some_and(|notify| notify.mail),
        notify_deleted: settings.notify.as_ref().is_some_and(|notify| notify.says_deleted),
        script_backup: script(view, |notify| &notify.backup),
        script_master: script(view, |notify| &notify.master),
        script_fault: script(view, |notify| &notify.fault),
        script_stop: script(view, |notify| &notify.stop),
        script_deleted: script(view, |notify| &notify.deleted),
        script: script(view, |notify| &notify.any),
        script_master_rx_lower_pri: script(view, |notify| &notify.lower_priority),
        vips: lines(view, &settings.addresses),
        evips: lines(view, &settings.excluded),
        vroutes: settings.routes.iter().map(ToString::to_string).collect(),
        vrules: settings.rules.iter().map(ToString::to_string).collect(),
        track_ifp: settings.track_interfaces.iter().map(|tracked| tracked.name.clone()).collect(),
        track_script: scripts(&settings.track_scripts, watched),
        track_process: settings.track_processes.iter().map(|track| track.name.clone()).collect(),
        auth_type: match settings.auth {
            Some(Auth::Password(_)) => 1,
            Some(Auth::Header(_)) => 2,
            None => 0,
        },
        auth_data: settings.auth.as_ref().map(|_| "********"),
    }
}

const fn counters(stats: &Stats) -> Counters {
    Counters {
        advert_rcvd: stats.adverts_received,
        advert_sent: stats.adverts_sent,
        become_master: stats.became_master,
        release_master: stats.released_master,
        packet_len_err: stats.length_errors,
        advert_interval_err: stats.interval_errors,
        ip_ttl_err: stats.ttl_errors,
        invalid_type_rcvd: stats.invalid_type,
        addr_list_err: stats.address_list_errors,
        invalid_authtype: stats.invalid_auth_type,
        authtype_mismatch: stats.auth_type_mismatch,
        auth_failure: stats.auth_failures,
        pri_zero_rcvd: stats.priority_zero_received,
        pri_zero_sent: stats.priority_zero_sent,
    }
}

/// The text of `keepalived.json`.
pub fn json(instances: &[InstanceView], watched: &Watched) -> String {
    let entry = |view| Entry { data: data(view, watched), stats: counters(&view.stats) };
    let entries: Vec<Entry> = instances.iter().map(entry).collect();
    serde_json::to_string(&entries).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
