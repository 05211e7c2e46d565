//! The state machine (RFC 9568 §6.4, RFC 3768 §6.4, and keepalived's FAULT): events and the time go in, orders come out.
//!
//! ```text
//!            Started, no fault                last advert + Master_Down_Interval, or owner
//!   Init ──────────────────────▶ Backup ────────────────────────────────────────────▶ Master
//!     │                         ▲  │  ▲                                                │ │
//!     │ Started, faults         │  │  └──────────────── outranked by an advert ────────┘ │
//!     │           last fault    │  │ fault began                                         │ fault began
//!     └───────▶ Fault ──────────┘◀─┴─────────────────────────────────────────────────────┘
//! ```
//! Deadlines are fields of the states that need them. Who drives it calls `handle` with `DeadlineReached` when [`Instance::deadline`]
//! has come, never before, and hands over adverts that wait in the socket first: an advert that came in time must count.

use crate::types::{CentiSecs, Instant, Priority, Version};
use crate::vrrp::announce::Bursts;
use crate::vrrp::event::{Action, Cause, Event, Fault, Note, Snapshot, State, Transition};
use crate::vrrp::settings::{Settings, WantedState};
use crate::vrrp::stats::Stats;
use crate::vrrp::timers;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

mod backup;
mod change;
mod master;
#[cfg(test)]
mod tests;

/// A backup that overslept listens again at most so many times in one wait: a machine that is always late must not wait for ever.
const LONGEST_SERIES_OF_NAPS: u8 = 3;

/// One `vrrp_instance`.
#[derive(Clone, Debug)]
pub struct Instance {
    settings: Arc<Settings>,
    priority: Priority,
    source: Option<IpAddr>,
    faults: BTreeSet<Fault>,
    not_before: Option<Instant>,
    heard: Heard,
    phase: Phase,
}

/// What is known of the master we listen to.
#[derive(Clone, Copy, Debug)]
struct Heard {
    address: Option<IpAddr>,
    priority: u8,
    /// Active_Adver_Interval (RFC 9568 §6.1); version 2 always uses its own.
    interval: CentiSecs,
}

/// A state with exactly its deadlines.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Init,
    /// `vrrp_startup_delay`: deaf and silent; outwardly a backup.
    Delayed {
        until: Instant,
    },
    Backup(Backup),
    Master(Master),
    Fault,
    Stopped,
}

#[derive(Clone, Copy, Debug)]
struct Backup {
    /// When the wait began: the last advert that counted.
    since: Instant,
    wait: Wait,
    /// End of `preempt_delay`, once a weaker master was heard.
    preempt_at: Option<Instant>,
    /// How often in a row the timer fired too late to be believed.
    naps: u8,
    /// Would be master, but for its sync group.
    wants: bool,
}

/// What a backup waits for, and so how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    /// Master_Down_Interval.
    Down,
    /// Skew_Time after a resignation.
    Resigned,
    /// One advert of the master and Skew_Time: listening after the machine slept.
    Overslept,
}

#[derive(Clone, Copy, Debug)]
struct Master {
    /// Adver_Timer, absolute: the last one plus the interval, so that it does not drift.
    next_advert: Instant,
    bursts: Bursts,
    /// Overslept and not allowed to preempt: silent until `next_advert`, and yielding to anybody.
    listening: bool,
    /// When a weaker or a resigning master was answered last.
    answered: Option<Instant>,
}

impl Instance {
    /// An instance that waits for `Started`.
    pub fn new(settings: Arc<Settings>) -> Self {
        let heard = Heard { address: None, priority: 0, interval: settings.advert_interval };
        let priority = settings.priority;
        Self { settings, priority, source: None, faults: BTreeSet::new(), not_before: None, heard, phase: Phase::Init }
    }

    /// When `DeadlineReached` is due. None in INIT, FAULT and STOP only.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Init | Phase::Fault | Phase::Stopped => None,
            Phase::Delayed { until } => Some(until),
            Phase::Backup(backup) => Some(self.down_deadline(&backup)),
            Phase::Master(master) => Some(master.bursts.deadline().map_or(master.next_advert, |burst| burst.min(master.next_advert))),
        }
    }

    /// Current state.
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Init => State::Init,
            Phase::Delayed { .. } | Phase::Backup(_) => State::Backup,
            Phase::Master(_) => State::Master,
            Phase::Fault => State::Fault,
            Phase::Stopped => State::Stopped,
        }
    }

    /// Effective priority.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// A backup that would be master if its sync group were.
    pub const fn wants_master(&self) -> bool {
        matches!(self.phase, Phase::Backup(Backup { wants: true, .. }))
    }

    /// Settings in force.
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Faults that hold.
    pub const fn faults(&self) -> &BTreeSet<Fault> {
        &self.faults
    }

    /// The master we listen to; none while we are it or know none.
    pub const fn master(&self) -> Option<IpAddr> {
        self.heard.address
    }

    /// The master's last priority; 0 while we are it or know none.
    pub const fn master_priority(&self) -> u8 {
        self.heard.priority
    }

    /// Active_Adver_Interval: the master's interval as far as we know, else our own.
    pub const fn master_interval(&self) -> CentiSecs {
        self.heard.interval
    }

    /// Master_Down_Interval now.
    pub fn master_down_interval(&self) -> Duration {
        timers::master_down_interval(self.settings.version, self.priority, self.heard.interval, self.settings.down_timer_adverts)
    }

    /// Skew_Time now.
    pub fn skew_time(&self) -> Duration {
        timers::skew_time(self.settings.version, self.priority, self.heard.interval)
    }

    /// What a replacement process needs. `last_transition` is wall-clock time, seconds since the epoch.
    pub const fn snapshot(&self, stats: &Stats, last_transition: f64) -> Snapshot {
        Snapshot {
            state: self.state(),
            master_interval: self.heard.interval,
            master: self.heard.address,
            master_priority: self.heard.priority,
            stats: *stats,
            last_transition,
        }
    }

    /// One event. Orders are appended to `out` and are to be carried out in that order.
    pub fn handle(&mut self, now: Instant, event: Event, out: &mut Vec<Action>) {
        match (self.phase, event) {
            // RFC 9568 §6.4.1, Initialize.
            (Phase::Init, Event::Started { faults, priority, source, resume, not_before }) => {
                (self.faults, self.priority, self.not_before) = (faults, priority, not_before);
                self.source = source.or(self.source);
                self.start(now, resume, out);
            }
            (Phase::Init, Event::DeadlineReached | Event::AdvertReceived(_)) => {}
            (Phase::Init, Event::FaultBegan(_) | Event::FaultEnded(_)) => {} // `Started` brings the faults that hold
            (Phase::Init, Event::PriorityChanged(priority)) => self.priority = priority,
            (Phase::Init, Event::SettingsReplaced(settings)) => self.replace_settings(settings, out),
            (Phase::Init, Event::StopRequested) => self.enter(Phase::Stopped, Cause::StopRequested, out),

            // `vrrp_startup_delay` of keepalived.conf(5): nothing is sent, adverts do not count.
            (Phase::Delayed { until }, Event::DeadlineReached) => self.delay_over(now, until, out),
            (Phase::Delayed { .. }, Event::AdvertReceived(_)) => {}
            (Phase::Delayed { .. }, Event::FaultBegan(fault)) => self.fault_from_backup(fault, out),
            (Phase::Delayed { .. }, Event::FaultEnded(_)) => {}
            (Phase::Delayed { .. }, Event::PriorityChanged(priority)) => self.set_priority(priority, out),
            (Phase::Delayed { .. }, Event::SettingsReplaced(settings)) => self.replace_settings(settings, out),
            (Phase::Delayed { .. }, Event::StopRequested) => self.enter(Phase::Stopped, Cause::StopRequested, out),

            // RFC 9568 §6.4.2, Backup.
            (Phase::Backup(backup), Event::DeadlineReached) => self.down_timer_fired(now, backup, out),
            (Phase::Backup(backup), Event::AdvertReceived(advert)) => self.backup_heard(now, backup, advert, out),
            (Phase::Backup(_), Event::FaultBegan(fault)) => self.fault_from_backup(fault, out),
            (Phase::Backup(_), Event::FaultEnded(_)) => {}
            (Phase::Backup(_), Event::PriorityChanged(priority)) => self.set_priority(priority, out),
            (Phase::Backup(backup), Event::SettingsReplaced(settings)) => self.backup_reloaded(now, backup, settings, out),
            (Phase::Backup(backup), Event::GroupMaster) => self.group_is_ready(now, backup, out),
            (Phase::Backup(_), Event::GroupBackup | Event::GroupAnswered | Event::PathLost) => {}
            (Phase::Backup(_), Event::StopRequested) => self.enter(Phase::Stopped, Cause::StopRequested, out),

            // RFC 9568 §6.4.3, Active.
            (Phase::Master(master), Event::DeadlineReached) => self.master_tick(now, master, out),
            (Phase::Master(master), Event::AdvertReceived(advert)) => self.master_heard(now, master, advert, out),
            (Phase::Master(_), Event::FaultBegan(fault)) => self.fault_from_master(fault, out),
            (Phase::Master(_), Event::FaultEnded(_)) => {}
            (Phase::Master(_), Event::PriorityChanged(priority)) => self.set_priority(priority, out), // the next advert says it
            (Phase::Master(master), Event::SettingsReplaced(settings)) => self.master_reloaded(now, master, settings, out),
            (Phase::Master(_), Event::GroupMaster) => {}
            (Phase::Master(master), Event::GroupAnswered) => self.announce_again(now, master, out),
            (Phase::Master(_), Event::PathLost) => self.path_lost(now, out),
            (Phase::Master(_), Event::GroupBackup) => self.resign(listening_from(now), Cause::Group, out),
            (Phase::Master(_), Event::StopRequested) => self.resign(Phase::Stopped, Cause::StopRequested, out),

            // keepalived's FAULT: level-triggered, silent.
            (Phase::Fault, Event::DeadlineReached | Event::AdvertReceived(_)) => {}
            (Phase::Fault, Event::FaultBegan(fault)) => self.another_fault(fault, out),
            (Phase::Fault, Event::FaultEnded(fault)) => self.one_fault_less(now, &fault, out),
            (Phase::Fault, Event::PriorityChanged(priority)) => self.set_priority(priority, out),
            (Phase::Fault, Event::SettingsReplaced(settings)) => self.replace_settings(settings, out),
            (Phase::Fault, Event::StopRequested) => self.enter(Phase::Stopped, Cause::StopRequested, out),

            // Stopped for good: nothing counts any more.
            (Phase::Stopped, Event::DeadlineReached | Event::AdvertReceived(_) | Event::FaultBegan(_)) => {}
            (Phase::Stopped, Event::FaultEnded(_) | Event::PriorityChanged(_) | Event::SettingsReplaced(_)) => {}
            (Phase::Stopped, Event::StopRequested) => {}

            // A sync group moves backups and masters; what is on its way to others comes too late.
            (Phase::Init | Phase::Delayed { .. } | Phase::Fault | Phase::Stopped, Event::GroupMaster | Event::GroupBackup) => {}
            (Phase::Init | Phase::Delayed { .. } | Phase::Fault | Phase::Stopped, Event::GroupAnswered | Event::PathLost) => {}

            // In every state: a second start is none, and ties are decided by the address we have now.
            (Phase::Delayed { .. } | Phase::Backup(_) | Phase::Master(_), Event::Started { .. }) => {}
            (Phase::Fault | Phase::Stopped, Event::Started { .. }) => {}
            (Phase::Init | Phase::Delayed { .. } | Phase::Backup(_), Event::SourceChanged(source)) => self.source = Some(source),
            (Phase::Master(_) | Phase::Fault | Phase::Stopped, Event::SourceChanged(source)) => self.source = Some(source),
        }
    }

    /// Takes up a predecessor's state, or starts afresh. Whatever a crash left behind is not ours to keep unless we are master.
    fn start(&mut self, now: Instant, resume: Option<Snapshot>, out: &mut Vec<Action>) {
        let before = resume.as_ref().map_or(State::Init, |snapshot| snapshot.state);
        if !self.faults.is_empty() {
            if before == State::Master {
                out.push(Action::SendAdvert { priority: 0 });
            }
            out.push(Action::RemoveAddresses);
            return self.enter(Phase::Fault, Cause::Faults(self.faults.clone()), out);
        }
        match (before, resume) {
            (State::Master, _) => self.resume_master(now, out),
            (State::Backup, Some(snapshot)) => {
                self.heard.address = snapshot.master;
                self.heard.priority = snapshot.master_priority;
                if self.settings.version == Version::V3 {
                    self.heard.interval = snapshot.master_interval;
                }
                self.begin(now, Cause::Resumed, out);
            }
            (State::Init | State::Backup | State::Fault | State::Stopped, _) => self.begin(now, Cause::Started, out),
        }
    }

    /// Owner with `state MASTER`: master at once (§6.4.1). Everybody else listens for a whole Master_Down_Interval, `state MASTER` too.
    fn begin(&mut self, now: Instant, cause: Cause, out: &mut Vec<Action>) {
        let delayed = self.not_before.filter(|until| now < *until);
        let claims = self.claims_at_once() && delayed.is_none() && cause != Cause::Resumed;
        if claims && !self.is_grouped() {
            return self.become_master(now, Cause::Owner, out);
        }
        if self.state() == State::Init {
            out.push(Action::RemoveAddresses);
        }
        let listening = if claims { wanting_from(now) } else { listening_from(now) };
        self.enter(delayed.map_or(listening, |until| Phase::Delayed { until }), cause, out);
    }

    fn claims_at_once(&self) -> bool {
        self.priority.is_owner() && self.settings.wanted == WantedState::Master
    }

    fn is_grouped(&self) -> bool {
        self.settings.sync_group.is_some()
    }

    fn delay_over(&mut self, now: Instant, until: Instant, out: &mut Vec<Action>) {
        if now < until {
            return;
        }
        if self.claims_at_once() && self.is_grouped() {
            self.phase = wanting_from(now);
        } else if self.claims_at_once() {
            self.become_master(now, Cause::Owner, out);
        } else {
            self.phase = listening_from(now);
        }
    }

    /// §6.4.2: the advert goes out first, because it is what stops the other backups; then the addresses, then those who must relearn.
    fn become_master(&mut self, now: Instant, cause: Cause, out: &mut Vec<Action>) {
        out.push(Action::SendAdvert { priority: self.priority.get() });
        out.push(Action::InstallAddresses);
        out.push(Action::Announce { repeat: self.settings.announce.master_repeat, first: true });
        if matches!(cause, Cause::MasterDown | Cause::MasterResigned) {
            out.push(Action::Note(Note::AdvertTimeout));
        }
        self.enter_master(now, Bursts::entered(now, &self.settings.announce), cause, out);
    }

    /// The predecessor's addresses still stand, so neighbours know the way; one message an address covers those it had no time to tell.
    fn resume_master(&mut self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::SendAdvert { priority: self.priority.get() });
        out.push(Action::InstallAddresses);
        out.push(Action::Announce { repeat: 1, first: false });
        self.enter_master(now, Bursts::resumed(now, &self.settings.announce), Cause::Resumed, out);
    }

    fn enter_master(&mut self, now: Instant, bursts: Bursts, cause: Cause, out: &mut Vec<Action>) {
        let next_advert = now + self.settings.advert_interval.duration();
        self.heard = Heard { address: None, priority: 0, interval: self.settings.advert_interval };
        self.enter(Phase::Master(Master { next_advert, bursts, listening: false, answered: None }), cause, out);
    }

    /// Leaves MASTER of our own accord: priority 0 lets the backups claim after their skew time instead of their down interval.
    fn resign(&mut self, phase: Phase, cause: Cause, out: &mut Vec<Action>) {
        out.push(Action::SendAdvert { priority: 0 });
        out.push(Action::RemoveAddresses);
        self.enter(phase, cause, out);
    }

    fn enter(&mut self, phase: Phase, cause: Cause, out: &mut Vec<Action>) {
        let from = self.state();
        self.phase = phase;
        out.push(Action::Entered(Transition { from, to: self.state(), cause, priority: self.priority }));
    }
}

/// A backup that has heard nothing yet.
const fn listening_from(now: Instant) -> Phase {
    Phase::Backup(Backup { since: now, wait: Wait::Down, preempt_at: None, naps: 0, wants: false })
}

/// A backup that would be master, but for its sync group.
const fn wanting_from(now: Instant) -> Phase {
    Phase::Backup(Backup { since: now, wait: Wait::Down, preempt_at: None, naps: 0, wants: true })
}

fn overslept(late: Duration) -> Action {
    Action::Note(Note::Overslept { late_nanos: u64::try_from(late.as_nanos()).unwrap_or(u64::MAX) })
}
