//! When a master repeats its gratuitous ARPs or unsolicited neighbour advertisements (keepalived.conf(5), `garp_*`).

use crate::types::Instant;
use crate::vrrp::settings::Announce;
use std::time::Duration;

/// The batches that are still to come. Each field is a deadline; a field that is `None` has nothing to say.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bursts {
    /// `garp_master_delay` after becoming master.
    after_entry: Option<Instant>,
    /// `garp_lower_prio_delay` after an advert of lower priority.
    after_weaker: Option<Instant>,
    /// `garp_master_refresh`, again and again.
    refresh: Option<Instant>,
    /// `garp_extra_if`, again and again.
    elsewhere: Option<Instant>,
}

/// `now + span`, or never when the span is zero: that is how the configuration says "none".
fn after(now: Instant, span: Duration) -> Option<Instant> {
    (!span.is_zero()).then(|| now + span)
}

impl Bursts {
    /// What follows the first batch of a new master.
    pub fn entered(now: Instant, settings: &Announce) -> Self {
        Self { after_entry: after(now, settings.master_delay), ..Self::resumed(now, settings) }
    }

    /// What a resumed master has left to do: its predecessor has sent the first batches.
    pub fn resumed(now: Instant, settings: &Announce) -> Self {
        let (refresh, elsewhere) = (after(now, settings.master_refresh), after(now, settings.extra_if));
        Self { after_entry: None, after_weaker: None, refresh, elsewhere }
    }

    /// An advert of lower priority was answered with a batch; a second one follows. One that is due already stays due: a
    /// stubborn weak router must not put it off for ever.
    pub fn weaker_heard(&mut self, now: Instant, settings: &Announce) {
        self.after_weaker = self.after_weaker.or_else(|| after(now, settings.lower_prio_delay));
    }

    /// A reload changed the settings: the refresh starts, stops or takes the new period.
    pub fn replaced(&mut self, now: Instant, before: &Announce, settings: &Announce) {
        if before.master_refresh != settings.master_refresh {
            self.refresh = after(now, settings.master_refresh);
        }
        if before.extra_if != settings.extra_if {
            self.elsewhere = after(now, settings.extra_if);
        }
    }

    /// The next batch's time.
    pub fn deadline(&self) -> Option<Instant> {
        [self.after_entry, self.after_weaker, self.refresh, self.elsewhere].into_iter().flatten().min()
    }

    /// Takes what is due elsewhere: whether it is.
    pub fn take_elsewhere(&mut self, now: Instant, settings: &Announce) -> bool {
        let due = self.elsewhere.is_some_and(|at| at <= now);
        if due {
            self.elsewhere = after(now, settings.extra_if);
        }
        due
    }

    /// Takes what is due: messages an address to send now, none when nothing is due. Batches that fall together are one, the larger.
    pub fn take_due(&mut self, now: Instant, settings: &Announce) -> Option<u32> {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        let mut repeat = None;
        if due(self.after_entry) {
            self.after_entry = None;
            repeat = repeat.max(Some(settings.master_repeat));
        }
        if due(self.after_weaker) {
            self.after_weaker = None;
            repeat = repeat.max(Some(settings.lower_prio_repeat));
        }
        if due(self.refresh) {
            self.refresh = after(now, settings.master_refresh);
            repeat = repeat.max(Some(settings.master_refresh_repeat));
        }
        repeat.filter(|count| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000);

    #[test]
    fn a_second_batch_follows_the_first_after_the_delay_and_no_third() {
        let settings = Announce::default();
        let mut bursts = Bursts::entered(START, &settings);
        let second = START + Duration::from_secs(5);
        assert_eq!(bursts.deadline(), Some(second));
        assert_eq!(bursts.take_due(START, &settings), None);
        assert_eq!(bursts.take_due(second, &settings), Some(5));
        assert_eq!(bursts.deadline(), None);
    }

    #[test]
    fn delay_zero_means_no_second_batch() {
        let settings = Announce { master_delay: Duration::ZERO, ..Announce::default() };
        assert_eq!(Bursts::entered(START, &settings).deadline(), None);
    }

    #[test]
    fn refresh_repeats_with_its_own_count() {
        let settings = Announce { master_refresh: Duration::from_secs(60), master_refresh_repeat: 2, ..Announce::default() };
        let mut bursts = Bursts::resumed(START, &settings);
        let first = START + Duration::from_secs(60);
        assert_eq!(bursts.take_due(first, &settings), Some(2));
        assert_eq!(bursts.deadline(), Some(first + Duration::from_secs(60)));
    }

    #[test]
    fn other_interfaces_have_a_period_of_their_own() {
        let settings = Announce { extra_if: Duration::from_secs(100), master_delay: Duration::ZERO, ..Announce::default() };
        let mut bursts = Bursts::entered(START, &settings);
        let first = START + Duration::from_secs(100);
        assert_eq!(bursts.deadline(), Some(first));
        assert!(!bursts.take_elsewhere(START, &settings) && bursts.take_elsewhere(first, &settings));
        assert_eq!((bursts.take_due(first, &settings), bursts.deadline()), (None, Some(first + Duration::from_secs(100))));
        bursts.replaced(first, &settings, &Announce { extra_if: Duration::ZERO, ..settings.clone() });
        assert_eq!(bursts.deadline(), None);
    }

    #[test]
    fn a_stubborn_weak_router_does_not_put_the_second_batch_off() {
        let settings = Announce { master_delay: Duration::ZERO, ..Announce::default() };
        let mut bursts = Bursts::entered(START, &settings);
        bursts.weaker_heard(START, &settings);
        bursts.weaker_heard(START + Duration::from_secs(1), &settings);
        assert_eq!(bursts.deadline(), Some(START + Duration::from_secs(5)));
    }
}
