//! Faults that come and go, priorities and settings that change.

use super::{Backup, Heard, Instance, Master, Phase, Wait};
use crate::types::{Instant, Priority, Version};
use crate::vrrp::event::{Action, Cause, Fault, Note};
use crate::vrrp::settings::Settings;
use std::sync::Arc;

impl Instance {
    pub(super) fn fault_from_backup(&mut self, fault: Fault, out: &mut Vec<Action>) {
        self.faults.insert(fault);
        self.forget_master();
        self.enter(Phase::Fault, Cause::Faults(self.faults.clone()), out);
    }

    /// The resignation may still get out (a tracker failed), or not (the interface is gone): it is tried, as keepalived does.
    pub(super) fn fault_from_master(&mut self, fault: Fault, out: &mut Vec<Action>) {
        self.faults.insert(fault);
        self.resign(Phase::Fault, Cause::Faults(self.faults.clone()), out);
    }

    pub(super) fn another_fault(&mut self, fault: Fault, out: &mut Vec<Action>) {
        if self.faults.insert(fault) {
            out.push(Action::Note(Note::FaultsAre(self.faults.clone())));
        }
    }

    pub(super) fn one_fault_less(&mut self, now: Instant, fault: &Fault, out: &mut Vec<Action>) {
        if !self.faults.remove(fault) {
            return;
        }
        if self.faults.is_empty() {
            self.begin(now, Cause::FaultsEnded, out);
        } else {
            out.push(Action::Note(Note::FaultsAre(self.faults.clone())));
        }
    }

    /// What was heard before a fault says nothing about after it (§6.4.1: Active_Adver_Interval starts as our own).
    pub(super) fn forget_master(&mut self) {
        self.heard = Heard { address: None, priority: 0, interval: self.settings.advert_interval };
    }

    /// A backup's wait follows, because its skew time does; a master says it with the next advert.
    pub(super) fn set_priority(&mut self, to: Priority, out: &mut Vec<Action>) {
        let from = std::mem::replace(&mut self.priority, to);
        if from != to {
            out.push(Action::Note(Note::PriorityChanged { from, to }));
        }
    }

    /// The trackers' sum stays as it was; whoever knows it sends `PriorityChanged` when that is not right any more.
    pub(super) fn replace_settings(&mut self, settings: Arc<Settings>, out: &mut Vec<Action>) {
        let before = std::mem::replace(&mut self.settings, settings);
        if before.priority != self.settings.priority {
            let sum = if before.priority.is_owner() { 0 } else { i32::from(self.priority.get()) - i32::from(before.priority.get()) };
            self.set_priority(self.settings.priority.adjusted(sum), out);
        }
        if self.heard.address.is_none() || self.settings.version == Version::V2 {
            self.heard.interval = self.settings.advert_interval;
        }
    }

    /// When the rules of the wait change, the wait starts again under the new ones: what was silence before need not be silence now.
    pub(super) fn backup_reloaded(&mut self, now: Instant, mut backup: Backup, settings: Arc<Settings>, out: &mut Vec<Action>) {
        let rules = |settings: &Settings| (settings.version, settings.advert_interval, settings.down_timer_adverts);
        if rules(&settings) != rules(&self.settings) {
            backup = Backup { since: now, wait: Wait::Down, ..backup };
        }
        if settings.preempt != self.settings.preempt {
            backup.preempt_at = None;
        }
        self.replace_settings(settings, out);
        self.phase = Phase::Backup(backup);
    }

    /// Another interval counts from the last advert; it may be due now.
    pub(super) fn master_reloaded(&mut self, now: Instant, mut master: Master, settings: Arc<Settings>, out: &mut Vec<Action>) {
        let before = Arc::clone(&self.settings);
        master.bursts.replaced(now, &before.announce, &settings.announce);
        if before.advert_interval != settings.advert_interval {
            let last = master.next_advert - before.advert_interval.duration();
            master.next_advert = (last + settings.advert_interval.duration()).max(now);
        }
        self.replace_settings(settings, out);
        self.phase = Phase::Master(master);
    }
}
