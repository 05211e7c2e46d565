//! Whether a child still answers: one question at a time, and our own lateness is not held against it.

use std::time::{Duration, Instant};

/// Time from a question to the next look, when no instance advertises more often than once a second: a child that hangs is
/// killed after 2.1 s at most, so that its successor advertises before a backup has waited three intervals.
pub(super) const CALM: Duration = Duration::from_millis(900);

/// The same when one does: killed after 1.6 s at most.
pub(super) const BRISK: Duration = Duration::from_millis(400);

/// The same when all take three seconds or more, and of a child that sends no adverts: killed after 6.3 s at most.
pub(super) const SLOW: Duration = Duration::from_secs(3);

/// Time from a look at an open question to the next look.
const AGAIN: Duration = Duration::from_millis(300);

/// A question unanswered for this long means that the child hangs: less what a timer may be early.
pub(super) const PATIENCE: Duration = Duration::from_millis(1150);

/// A look that comes this much later than it should says that we did not run ourselves.
const LATE: Duration = Duration::from_millis(300);

/// What to do at a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Ask, with this number.
    Ask(u64),
    /// The last question is still open.
    Wait,
    /// It hangs: the question has been open for this long.
    Hung(Duration),
}

/// The questions to one child.
#[derive(Debug)]
pub(super) struct Heartbeat {
    period: Duration,
    asked: u64,
    open_since: Option<Instant>,
    /// The open question was seen open before.
    seen_open: bool,
    /// When the next look is to be.
    next_look: Option<Instant>,
}

impl Heartbeat {
    /// Asks every `period`.
    pub(super) const fn new(period: Duration) -> Self {
        Self { period, asked: 0, open_since: None, seen_open: false, next_look: None }
    }

    /// Asks every `period` from now on; `true` when the next look must come sooner than was said.
    pub(super) fn beat(&mut self, now: Instant, period: Duration) -> bool {
        let sooner = period < self.period && self.next_look.is_some();
        self.period = period;
        if sooner {
            self.next_look = Some(now + period);
        }
        sooner
    }

    /// A look at the clock; the next is due after the pause.
    pub(super) fn look(&mut self, now: Instant) -> (Verdict, Duration) {
        let late = self.next_look.is_some_and(|due| now.saturating_duration_since(due) > LATE);
        let (verdict, pause) = match self.open_since {
            None => {
                self.asked += 1;
                self.seen_open = false;
                self.open_since = Some(now);
                (Verdict::Ask(self.asked), self.period)
            }
            // The answer may lie unread in front of us: everybody starts afresh.
            Some(_) if late => {
                self.open_since = Some(now);
                (Verdict::Wait, AGAIN)
            }
            Some(since) => {
                let open = now.saturating_duration_since(since);
                // The first look begins to watch what it does with the processor, the next ones judge.
                let judge = std::mem::replace(&mut self.seen_open, true) && open >= PATIENCE;
                (if judge { Verdict::Hung(open) } else { Verdict::Wait }, AGAIN)
            }
        };
        self.next_look = Some(now + pause);
        (verdict, pause)
    }

    /// It answered. `false` when nobody had asked this.
    pub(super) fn answered(&mut self, number: u64) -> bool {
        let ours = number == self.asked && self.open_since.is_some();
        if ours {
            self.open_since = None;
        }
        ours
    }

    /// It is alive for another reason (it had no processor): the open question starts afresh.
    pub(super) fn excuse(&mut self, now: Instant) {
        if self.open_since.is_some() {
            self.open_since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks when it is to, answering what `answers` says; the time after which it counts as hung.
    fn hung_after(period: Duration, answers: impl Fn(u64) -> bool, looks: u32) -> Option<Duration> {
        let start = Instant::now();
        let (mut heartbeat, mut now) = (Heartbeat::new(period), start);
        for _ in 0..looks {
            let (verdict, pause) = heartbeat.look(now);
            match verdict {
                Verdict::Ask(number) if answers(number) => assert!(heartbeat.answered(number)),
                Verdict::Ask(_) | Verdict::Wait => {}
                Verdict::Hung(_) => return Some(now.duration_since(start)),
            }
            now += pause;
        }
        None
    }

    #[test]
    fn a_child_that_answers_lives_for_ever() {
        assert_eq!(hung_after(BRISK, |_| true, 10_000), None);
        assert_eq!(hung_after(CALM, |_| true, 10_000), None);
    }

    #[test]
    fn a_child_that_stops_answering_is_hung_within_patience_and_one_period() {
        for period in [BRISK, CALM, SLOW] {
            let most = PATIENCE.max(period) + AGAIN;
            let after = hung_after(period, |_| false, 100).unwrap();
            assert!(after <= most, "{after:?}");
            let after = hung_after(period, |number| number < 10, 100).unwrap();
            assert!(after <= period * 9 + most, "{after:?}");
        }
    }

    #[test]
    fn a_child_that_hangs_is_gone_before_a_backup_has_missed_three_adverts_of_a_second() {
        // it hangs right after an answer
        let detected = CALM + hung_after(CALM, |_| false, 100).unwrap();
        assert!(detected <= Duration::from_millis(2100), "{detected:?}");
        let detected = SLOW + hung_after(SLOW, |_| false, 100).unwrap();
        assert!(detected <= Duration::from_millis(6300), "of three seconds each: {detected:?}");
    }

    #[test]
    fn a_supervisor_that_slept_blames_nobody() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert_eq!(heartbeat.look(start), (Verdict::Ask(1), CALM));
        let woken = start + Duration::from_secs(3600);
        assert_eq!(heartbeat.look(woken), (Verdict::Wait, AGAIN));
        assert!(heartbeat.answered(1));
        assert_eq!(heartbeat.look(woken + AGAIN), (Verdict::Ask(2), CALM));
    }

    #[test]
    fn a_brisker_beat_counts_at_once_and_a_calmer_one_from_the_next_look() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert!(!heartbeat.beat(start, BRISK), "nothing was asked yet");
        assert!(!heartbeat.beat(start, CALM));
        assert_eq!(heartbeat.look(start), (Verdict::Ask(1), CALM));
        assert!(heartbeat.answered(1));
        assert!(heartbeat.beat(start, BRISK));
        assert_eq!(heartbeat.look(start + BRISK), (Verdict::Ask(2), BRISK));
        assert!(heartbeat.answered(2));
        assert!(!heartbeat.beat(start + BRISK, CALM));
        assert_eq!(heartbeat.look(start + BRISK * 2), (Verdict::Ask(3), CALM));
    }

    #[test]
    fn an_answer_to_an_older_question_counts_for_nothing() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert_eq!(heartbeat.look(start).0, Verdict::Ask(1));
        assert!(!heartbeat.answered(0));
        assert!(heartbeat.answered(1));
        assert!(!heartbeat.answered(1));
    }
}
