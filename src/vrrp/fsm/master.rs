//! What a master says, and to whom it yields (RFC 9568 §6.4.3).

use super::{Instance, Master, Phase, listening_from, overslept};
use crate::types::{Instant, Priority};
use crate::vrrp::announce::Bursts;
use crate::vrrp::election::{Standing, weigh};
use crate::vrrp::event::{Action, Advert, Cause, Note};
use crate::vrrp::settings::Preempt;
use std::cmp::Ordering;

/// At most so many answers an advert interval, beside the adverts that the timer sends.
const ANSWERS_AN_INTERVAL: u32 = 64;

impl Instance {
    /// Adver_Timer (§6.4.3) and the announcements that are due. A late advert does not shift the next ones; when a whole interval
    /// was missed the cadence starts again from now, so that nothing comes in a burst.
    pub(super) fn master_tick(&mut self, now: Instant, mut master: Master, out: &mut Vec<Action>) {
        let interval = self.settings.advert_interval.duration();
        if now >= master.next_advert {
            let late = now.since(master.next_advert);
            if self.has_overslept(now, &master) {
                self.phase = Phase::Master(self.master_overslept(now, master, out));
                return;
            }
            out.push(Action::SendAdvert { priority: self.priority.get() });
            if master.listening {
                out.push(Action::Announce { repeat: self.settings.announce.master_repeat, first: false });
            }
            master.listening = false;
            master.next_advert = if late < interval { master.next_advert + interval } else { now + interval };
        }
        if let Some(repeat) = master.bursts.take_due(now, &self.settings.announce) {
            out.push(Action::Announce { repeat, first: false });
        }
        if master.bursts.take_elsewhere(now, &self.settings.announce) {
            out.push(Action::AnnounceElsewhere);
        }
        self.phase = Phase::Master(master);
    }

    /// We were silent for longer than any backup of our kind waits: somebody may be master by now.
    ///
    /// A router that may preempt says at once that it is here: another, weaker master yields to that advert, a stronger one answers it,
    /// and where there is no other router the addresses never leave, as they would for 3 intervals and more if it went to BACKUP first.
    /// Neighbours are told again, for they may have learned the other's way. A router that must not preempt is silent for one more
    /// advert and its skew time, and yields to whoever is heard in that time; addresses stay where they are until then.
    fn master_overslept(&self, now: Instant, mut master: Master, out: &mut Vec<Action>) -> Master {
        let late = now.since(master.next_advert);
        let interval = self.settings.advert_interval.duration();
        match self.preempt() {
            Preempt::AtOnce => {
                out.push(Action::SendAdvert { priority: self.priority.get() });
                out.push(Action::Announce { repeat: self.settings.announce.master_repeat, first: false });
                master.bursts = Bursts::entered(now, &self.settings.announce);
                master.next_advert = now + interval;
                master.answered = Some(now);
            }
            Preempt::After(_) | Preempt::Never => {
                master.listening = true;
                master.next_advert = now + interval + self.skew_time();
            }
        }
        out.push(overslept(late));
        master
    }

    fn has_overslept(&self, now: Instant, master: &Master) -> bool {
        !master.listening && now.since(master.next_advert) > self.master_down_interval()
    }

    /// §6.4.3 (RFC 3768 §6.4.3), with keepalived's answers. Adverts that waited while we slept come before the timer.
    pub(super) fn master_heard(&mut self, now: Instant, mut master: Master, advert: Advert, out: &mut Vec<Action>) {
        if self.has_overslept(now, &master) {
            master = self.master_overslept(now, master, out);
            self.phase = Phase::Master(master);
        }
        match weigh(self.priority, self.source, &advert) {
            Standing::Resigned => self.contender_resigned(now, master, out),
            Standing::Stronger | Standing::EqualHigherAddress => self.yield_to(now, advert, out),
            Standing::EqualSameAddress => out.push(Action::Note(Note::OurAddressElsewhere { source: advert.source })),
            Standing::EqualLowerAddress | Standing::Weaker if master.listening => self.yield_to(now, advert, out),
            Standing::EqualLowerAddress | Standing::Weaker => self.answer(now, master, advert, out),
        }
    }

    /// Whether there is nothing to add to the last answer: it is still on its way to those who are heard now. Adverts that piled
    /// up in the socket, or a flood of them, must not make a flood of answers.
    fn just_answered(&self, now: Instant, master: &Master) -> bool {
        let gap = self.settings.advert_interval.duration() / ANSWERS_AN_INTERVAL;
        master.answered.is_some_and(|at| now.since(at) < gap)
    }

    /// §6.4.3: a resigning master is answered at once.
    fn contender_resigned(&mut self, now: Instant, master: Master, out: &mut Vec<Action>) {
        if self.just_answered(now, &master) {
            return;
        }
        out.push(Action::SendAdvert { priority: self.priority.get() });
        out.push(Action::Note(Note::MasterReceivedPriorityZero));
        let next_advert = now + self.settings.advert_interval.duration();
        self.phase = Phase::Master(Master { next_advert, listening: false, answered: Some(now), ..master });
    }

    fn yield_to(&mut self, now: Instant, advert: Advert, out: &mut Vec<Action>) {
        let (source, priority, ours) = (advert.source, advert.priority, self.priority);
        if self.settings.higher_prio_send_advert {
            out.push(Action::SendAdvert { priority: ours.get() });
        }
        out.push(Action::RemoveAddresses);
        out.push(Action::Note(match priority.cmp(&ours.get()) {
            _ if ours.is_owner() => Note::OtherOwner { source },
            Ordering::Greater => Note::HigherPriorityAdvert { source, priority, ours },
            Ordering::Equal => Note::EqualPriorityHigherAddress { source, priority },
            Ordering::Less => Note::LowerPriorityIgnored { source, priority },
        }));
        self.adopt(advert, out);
        self.enter(listening_from(now), Cause::Outranked { by: source, priority }, out);
    }

    /// A weaker router believes that it is master: it hears an advert at once (RFC 9568 §6.4.3), and the neighbours that believed it
    /// hear an announcement now and once more. The advert replaces the next one, so nobody can make us send without bound.
    fn answer(&mut self, now: Instant, mut master: Master, advert: Advert, out: &mut Vec<Action>) {
        if self.just_answered(now, &master) {
            return;
        }
        let (source, priority, ours) = (advert.source, advert.priority, self.priority);
        master.answered = Some(now);
        if !self.settings.lower_prio_no_advert {
            out.push(Action::SendAdvert { priority: ours.get() });
            master.next_advert = now + self.settings.advert_interval.duration();
        }
        self.announce_to_the_misled(now, &mut master, out);
        let both_own = ours.is_owner() && priority == Priority::OWNER.get();
        out.push(Action::Note(if both_own { Note::OtherOwner { source } } else { Note::LowerPriorityAdvert { source, priority, ours } }));
        self.phase = Phase::Master(master);
    }

    /// A tracked route or rule was taken away: another router, whose routes stand, may take over; what is missing comes back when
    /// we are master again. An owner would be that at once: it only puts back what is missing.
    pub(super) fn path_lost(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.priority.is_owner() {
            out.push(Action::InstallAddresses);
        } else {
            self.resign(listening_from(now), Cause::PathLost, out);
        }
    }

    /// Another member of the sync group answered a weaker advert; ours need none (so does the original).
    pub(super) fn announce_again(&mut self, now: Instant, mut master: Master, out: &mut Vec<Action>) {
        self.announce_to_the_misled(now, &mut master, out);
        self.phase = Phase::Master(master);
    }

    fn announce_to_the_misled(&self, now: Instant, master: &mut Master, out: &mut Vec<Action>) {
        let settings = &self.settings.announce;
        if settings.lower_prio_repeat > 0 {
            out.push(Action::Announce { repeat: settings.lower_prio_repeat, first: false });
            master.bursts.weaker_heard(now, settings);
        }
    }
}
