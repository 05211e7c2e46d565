//! What a backup does about silence and about adverts (RFC 9568 §6.4.2).

use super::{Backup, Heard, Instance, LONGEST_SERIES_OF_NAPS, Phase, Wait, overslept};
use crate::types::{Instant, Version};
use crate::vrrp::election::{Standing, weigh};
use crate::vrrp::event::{Action, Advert, Cause, Note};
use crate::vrrp::settings::Preempt;

impl Instance {
    pub(super) fn down_deadline(&self, backup: &Backup) -> Instant {
        backup.since
            + match backup.wait {
                Wait::Down => self.master_down_interval(),
                Wait::Resigned => self.skew_time(),
                Wait::Overslept => self.heard.interval.duration() + self.skew_time(),
            }
    }

    /// The timer says that the master is gone. When it fired later than an advert and the skew time, this machine was asleep or
    /// starved, the adverts of that time may be lost, and another may have claimed: listen for one more advert first.
    pub(super) fn down_timer_fired(&mut self, now: Instant, backup: Backup, out: &mut Vec<Action>) {
        let deadline = self.down_deadline(&backup);
        if now < deadline {
            return;
        }
        let late = now.since(deadline);
        if late > self.heard.interval.duration() + self.skew_time() && backup.naps < LONGEST_SERIES_OF_NAPS {
            out.push(overslept(late));
            self.phase = Phase::Backup(Backup { since: now, wait: Wait::Overslept, naps: backup.naps + 1, ..backup });
            return;
        }
        let cause = if backup.wait == Wait::Resigned { Cause::MasterResigned } else { Cause::MasterDown };
        if self.is_grouped() {
            return self.want_master(now, backup, out);
        }
        self.become_master(now, cause, out);
    }

    /// The group decides (keepalived.conf(5), `vrrp_sync_group`): asked once; until it answers, or an advert comes, nothing changes.
    fn want_master(&mut self, now: Instant, backup: Backup, out: &mut Vec<Action>) {
        if !backup.wants {
            out.push(Action::Note(Note::AdvertTimeout));
        }
        self.phase = Phase::Backup(Backup { since: now, wait: Wait::Down, preempt_at: None, naps: 0, wants: true });
    }

    /// Every member wants to be master. Who has heard a master since is no such member any more.
    pub(super) fn group_is_ready(&mut self, now: Instant, backup: Backup, out: &mut Vec<Action>) {
        if backup.wants {
            self.become_master(now, Cause::Group, out);
        }
    }

    /// §6.4.2 (RFC 3768 §6.4.2), with keepalived's `nopreempt` and `preempt_delay`.
    pub(super) fn backup_heard(&mut self, now: Instant, backup: Backup, advert: Advert, out: &mut Vec<Action>) {
        match weigh(self.priority, self.source, &advert) {
            Standing::Resigned => self.master_resigned(now, backup, out),
            Standing::Stronger | Standing::EqualHigherAddress => self.accept(now, backup, advert, out),
            Standing::EqualSameAddress | Standing::EqualLowerAddress => self.accept(now, backup, advert, out),
            Standing::Weaker => self.backup_heard_weaker(now, backup, advert, out),
        }
    }

    /// §6.4.2: priority 0 sets the timer to Skew_Time. A second one does not set it again.
    fn master_resigned(&mut self, now: Instant, backup: Backup, out: &mut Vec<Action>) {
        if backup.wait != Wait::Resigned {
            out.push(Action::Note(Note::PriorityZeroReceived));
            self.phase = Phase::Backup(Backup { since: now, wait: Wait::Resigned, wants: false, ..backup });
        }
    }

    /// A master that may stay: the wait begins anew, a preempt delay ends.
    fn accept(&mut self, now: Instant, backup: Backup, advert: Advert, out: &mut Vec<Action>) {
        if backup.preempt_at.is_some() {
            out.push(Action::Note(Note::PreemptDelayStopped));
        }
        self.follow(now, advert, None, out);
    }

    /// Weaker than us: ignored, so that the timer runs out and we take over; but not at once with `preempt_delay`, never with
    /// `nopreempt` (an owner's right cannot be given away, §6.1 Preempt_Mode).
    fn backup_heard_weaker(&mut self, now: Instant, backup: Backup, advert: Advert, out: &mut Vec<Action>) {
        let (source, priority) = (advert.source, advert.priority);
        match (self.preempt(), backup.preempt_at) {
            (Preempt::Never, _) => self.follow(now, advert, None, out),
            (Preempt::After(delay), None) => {
                out.push(Action::Note(Note::PreemptDelayStarted));
                self.follow(now, advert, Some(now + delay), out);
            }
            (Preempt::After(_), Some(until)) if now < until => self.follow(now, advert, Some(until), out),
            (Preempt::After(_), Some(_)) | (Preempt::AtOnce, _) => {
                out.push(Action::Note(Note::LowerPriorityIgnored { source, priority }));
            }
        }
    }

    pub(super) fn preempt(&self) -> Preempt {
        if self.priority.is_owner() { Preempt::AtOnce } else { self.settings.preempt }
    }

    /// Listens to this master for a whole Master_Down_Interval from now; version 3 takes its interval over.
    fn follow(&mut self, now: Instant, advert: Advert, preempt_at: Option<Instant>, out: &mut Vec<Action>) {
        self.adopt(advert, out);
        self.phase = Phase::Backup(Backup { since: now, wait: Wait::Down, preempt_at, naps: 0, wants: false });
    }

    pub(super) fn adopt(&mut self, advert: Advert, out: &mut Vec<Action>) {
        if self.heard.address != Some(advert.source) {
            out.push(Action::Note(Note::MasterChanged { from: self.heard.address, to: advert.source }));
        }
        let interval = match self.settings.version {
            Version::V2 => self.settings.advert_interval,
            Version::V3 => advert.interval,
        };
        if interval != self.heard.interval {
            out.push(Action::Note(Note::MasterIntervalChanged { from: self.heard.interval, interval }));
        }
        self.heard = Heard { address: Some(advert.source), priority: advert.priority, interval };
    }
}
