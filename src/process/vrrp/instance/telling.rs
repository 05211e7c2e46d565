//! What an instance tells its sync group, the supervisor, people and scripts.

use super::super::dump;
use super::super::messages::{GroupsMsg, Leaving, RootMsg};
use super::super::shared::lock;
use super::super::text;
use super::Living;
use crate::ipc::messages::FromVrrp;
use crate::sys::clock;
use crate::types::Priority;
use crate::vrrp::event::{Fault, Note, State, Transition};
use crate::vrrp::group;
use crate::vrrp::notify::{Happened, Notice, Notify, Subject};
use crate::vrrp::stats::Stats;
use crate::vrrp::trackers::Track;
use std::sync::Arc;

impl Living {
    /// What it is now, when that is news to its sync group.
    pub(super) fn report_to_group(&mut self) {
        if self.settings().sync_group.is_none() {
            return self.tell_beginning();
        }
        let own_fault = self.machine.faults().iter().any(|fault| !matches!(fault, Fault::Group(_)));
        let report = group::Report { state: self.machine.state(), wants_master: self.machine.wants_master(), own_fault };
        if self.reported != Some(report) {
            self.tell_group(report);
        }
    }

    pub(super) fn tell_group(&mut self, report: group::Report) {
        self.reported = Some(report);
        if let Some(group) = self.settings().sync_group.clone() {
            let member = Arc::clone(&self.name);
            self.shared.groups.cast(GroupsMsg::Reported { id: self.id, group, member, report });
        }
    }

    /// A weaker advert that we answer misled neighbours on our segment, and those of the other members' (so does the original).
    pub(super) fn tell_group_note(&self, note: &Note) {
        if let (Note::LowerPriorityAdvert { .. }, Some(group)) = (note, &self.settings().sync_group) {
            self.shared.groups.cast(GroupsMsg::Answered { id: self.id, group: group.clone() });
        }
    }

    pub(super) fn say_work(&mut self) {
        if let Some(work) = self.to_say.take() {
            text::work(self.machine.settings(), work);
        }
    }

    pub(super) fn entered(&mut self, transition: &Transition) {
        self.last_transition = clock::epoch_seconds();
        if transition.to == State::Master {
            self.stats.became_master += 1;
        } else if transition.from == State::Master {
            self.stats.released_master += 1;
        }
        if transition.from == State::Init {
            self.say_work();
        }
        text::transition(&self.name, transition, self.waiting_said);
        self.say_work();
        let happened = match (transition.to, self.leaving) {
            (State::Stopped, Leaving::Deleted) if self.notify().is_some_and(|notify| notify.says_deleted) => Happened::Deleted,
            (State::Stopped, Leaving::Deleted) => Happened::Entered(State::Fault),
            (state, _) => Happened::Entered(state),
        };
        // Of a group that starts in FAULT, as master or not at all, nobody ever was a backup.
        let begins = transition.from == State::Init && transition.to == State::Backup;
        self.untold = begins && self.settings().sync_group.is_some();
        if !self.untold {
            self.tell(happened, transition.priority);
        }
        self.report();
    }

    /// What waited for the sync group to tell it first.
    pub(super) fn tell_beginning(&mut self) {
        if std::mem::take(&mut self.untold) {
            self.tell(Happened::Entered(State::Backup), self.machine.priority());
        }
    }

    fn notify(&self) -> Option<&Notify> {
        self.settings().notify.as_deref()
    }

    /// To scripts, FIFOs and people, by way of the supervisor.
    fn tell(&self, happened: Happened, priority: Priority) {
        let subject = Subject::Instance(self.name.to_string());
        self.shared.root.cast(RootMsg::Say(FromVrrp::Notice(Notice { subject, happened, priority: Some(priority) })));
    }

    /// Before the first state: what trackers have made of the base priority.
    pub(super) fn tell_first_priority(&self, priority: Priority) {
        if self.notify().is_some_and(|notify| notify.priority_changes) {
            self.tell(Happened::PriorityChanged(State::Init), priority);
        }
    }

    pub(super) fn tell_note(&self, note: &Note) {
        let Some(notify) = self.notify() else { return };
        let priority = self.machine.priority();
        match note {
            Note::PriorityChanged { .. } if notify.priority_changes && !self.untold => {
                self.tell(Happened::PriorityChanged(self.machine.state()), priority);
            }
            Note::LowerPriorityAdvert { .. } if notify.lower_priority.is_some() => self.tell(Happened::LowerPriorityHeard, priority),
            _ => {}
        }
    }

    pub(super) fn report(&self) {
        let snapshot = self.machine.snapshot(&self.stats, self.last_transition);
        self.shared.root.cast(RootMsg::Changed { id: self.id, snapshot });
    }

    pub(super) fn describe(&mut self, clear: bool) {
        let section = Box::new(dump::describe(&self.machine, &self.stats, self.source, self.last_transition, self.waits_for()));
        self.shared.root.cast(RootMsg::Described { id: self.id, section });
        if clear {
            self.stats = Stats::default();
        }
    }

    /// Tracked scripts of weight 0 that have not spoken yet.
    fn waits_for(&self) -> usize {
        let readings = lock(&self.shared.readings);
        let silent = |track: &&Track| track.weight == 0 && !readings.scripts.contains_key(&track.name);
        self.settings().track_scripts.iter().filter(silent).count()
    }
}
