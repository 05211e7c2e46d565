//! Whether a child still lives. It shows life unasked whenever an advert woke it anyway; who was silent for longer than that
//! is asked, one question at a time, and our own lateness is not held against it.

use std::time::{Duration, Instant};

/// Longest silence before a child is asked: of one that sends no adverts, or all three seconds apart and more. One that
/// hangs is killed after 4.1 s at most.
pub(super) const SLOW: Duration = Duration::from_millis(3050);

/// Shortest: adverts that come faster than that show life no more often. Killed after 1.5 s at most.
pub(super) const BRISK: Duration = Duration::from_millis(450);

/// A sign of life may be this late. With adverts of a second a child that hangs is killed after 2.1 s at most, so that its
/// successor advertises before a backup has waited three intervals.
const LATITUDE: Duration = Duration::from_millis(50);

/// A child that shows life is asked all the same after this time: so it hears that its supervisor lives.
const ANYWAY: Duration = Duration::from_secs(5);

/// A question unanswered for this long means that the child hangs: less what a timer may be early.
pub(super) const PATIENCE: Duration = Duration::from_millis(1000);

/// From a question to the first look at it: from then on it is watched what the child does with the processor.
const FIRST: Duration = Duration::from_millis(750);

/// Time from a look at an open question to the next look.
const AGAIN: Duration = Duration::from_millis(300);

/// A look that comes this much later than it should says that we did not run ourselves.
const LATE: Duration = Duration::from_millis(300);

/// How long a child may be silent whose most frequent adverts have this interval.
pub(super) fn silence_before_question(shortest: Option<Duration>) -> Duration {
    shortest.map_or(SLOW, |interval| (interval + LATITUDE).clamp(BRISK, SLOW))
}

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
    asked_at: Option<Instant>,
    open_since: Option<Instant>,
    /// The open question was seen open before.
    seen_open: bool,
    /// When the next look is to be.
    next_look: Option<Instant>,
}

impl Heartbeat {
    /// Asks after a silence of `period`.
    pub(super) const fn new(period: Duration) -> Self {
        Self { period, asked: 0, asked_at: None, open_since: None, seen_open: false, next_look: None }
    }

    /// Asks after a silence of `period` from now on; the pause until the next look when that must come sooner than was said.
    pub(super) fn beat(&mut self, now: Instant, period: Duration) -> Option<Duration> {
        let sooner = period < self.period && self.next_look.is_some() && self.open_since.is_none();
        self.period = period;
        sooner.then(|| self.look_in(now, period))
    }

    /// A look at the clock; the next is due after the pause.
    pub(super) fn look(&mut self, now: Instant) -> (Verdict, Duration) {
        let late = self.next_look.is_some_and(|due| now.saturating_duration_since(due) > LATE);
        let (verdict, pause) = match self.open_since {
            None => {
                self.asked += 1;
                self.asked_at = Some(now);
                self.seen_open = false;
                self.open_since = Some(now);
                (Verdict::Ask(self.asked), FIRST)
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
        (verdict, self.look_in(now, pause))
    }

    /// It answered. The pause until the next look; `None` when nobody had asked this.
    pub(super) fn answered(&mut self, now: Instant, number: u64) -> Option<Duration> {
        (number == self.asked && self.open_since.take().is_some()).then(|| self.look_in(now, self.period))
    }

    /// It showed life, asked or not. The pause until the next look; `None` leaves the one that was said.
    pub(super) fn showed_life(&mut self, now: Instant) -> Option<Duration> {
        let was_open = self.open_since.take().is_some();
        let asked_lately = self.asked_at.is_some_and(|asked| now.saturating_duration_since(asked) < ANYWAY);
        (was_open || asked_lately).then(|| self.look_in(now, self.period))
    }

    /// It is alive for another reason (it had no processor): the open question starts afresh.
    pub(super) fn excuse(&mut self, now: Instant) {
        if self.open_since.is_some() {
            self.open_since = Some(now);
        }
    }

    fn look_in(&mut self, now: Instant, pause: Duration) -> Duration {
        self.next_look = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Duration = Duration::from_millis(1050);

    /// Looks when it is to, answering what `answers` says; the time after which it counts as hung.
    fn hung_after(period: Duration, answers: impl Fn(u64) -> bool, looks: u32) -> Option<Duration> {
        let start = Instant::now();
        let (mut heartbeat, mut now) = (Heartbeat::new(period), start);
        for _ in 0..looks {
            let (verdict, mut pause) = heartbeat.look(now);
            match verdict {
                Verdict::Ask(number) if answers(number) => pause = heartbeat.answered(now, number).unwrap(),
                Verdict::Ask(_) | Verdict::Wait => {}
                Verdict::Hung(_) => return Some(now.duration_since(start)),
            }
            now += pause;
        }
        None
    }

    #[test]
    fn a_silence_is_as_long_as_the_adverts_of_the_child_let_it_be() {
        let silence = |milliseconds| silence_before_question(Some(Duration::from_millis(milliseconds))).as_millis();
        assert_eq!([10, 100, 400, 1000, 2500, 3000, 40_000].map(silence), [450, 450, 450, 1050, 2550, 3050, 3050]);
        assert_eq!(silence_before_question(None), SLOW);
    }

    #[test]
    fn a_child_that_answers_lives_for_ever() {
        for period in [BRISK, CALM, SLOW] {
            assert_eq!(hung_after(period, |_| true, 10_000), None);
        }
    }

    #[test]
    fn a_child_that_stops_answering_is_hung_within_patience() {
        for period in [BRISK, CALM, SLOW] {
            let most = FIRST + AGAIN;
            assert_eq!(hung_after(period, |_| false, 100), Some(most));
            assert_eq!(hung_after(period, |number| number < 10, 100), Some(period * 9 + most));
        }
    }

    #[test]
    fn a_child_that_hangs_is_gone_before_a_backup_has_missed_three_adverts_of_a_second() {
        // it hangs right after a sign of life
        let killed_after = |interval: u64| {
            let period = silence_before_question(Some(Duration::from_secs(interval)));
            period + hung_after(period, |_| false, 100).unwrap()
        };
        assert!(killed_after(1) <= Duration::from_millis(2100), "{:?}", killed_after(1));
        assert!(killed_after(3) <= Duration::from_millis(4100), "{:?}", killed_after(3));
    }

    #[test]
    fn a_child_that_shows_life_is_asked_only_so_that_it_hears_of_us() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        let (mut asked, mut due) = (Vec::new(), start);
        for second in 0..60 {
            let advert = start + Duration::from_secs(second);
            while due <= advert {
                let (verdict, _) = heartbeat.look(due);
                let Verdict::Ask(number) = verdict else { panic!("{verdict:?}") };
                asked.push(due.duration_since(start).as_millis());
                due += heartbeat.answered(due, number).unwrap();
            }
            if let Some(pause) = heartbeat.showed_life(advert) {
                due = advert + pause;
            }
        }
        assert_eq!(asked.len(), 10, "{asked:?}");
        assert_eq!(asked[..3], [0, 5050, 11_050]);
    }

    #[test]
    fn a_sign_of_life_answers_any_question() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert_eq!(heartbeat.look(start), (Verdict::Ask(1), FIRST));
        assert_eq!(heartbeat.showed_life(start + FIRST), Some(CALM));
        assert_eq!(heartbeat.answered(start + FIRST, 1), None, "it was closed by then");
        assert_eq!(heartbeat.look(start + FIRST + CALM), (Verdict::Ask(2), FIRST));
    }

    #[test]
    fn a_supervisor_that_slept_blames_nobody() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert_eq!(heartbeat.look(start), (Verdict::Ask(1), FIRST));
        let woken = start + Duration::from_secs(3600);
        assert_eq!(heartbeat.look(woken), (Verdict::Wait, AGAIN));
        assert_eq!(heartbeat.answered(woken, 1), Some(CALM));
        assert_eq!(heartbeat.look(woken + CALM), (Verdict::Ask(2), FIRST));
    }

    #[test]
    fn a_brisker_beat_counts_at_once_and_a_calmer_one_from_the_next_look() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert_eq!(heartbeat.beat(start, BRISK), None, "nothing was asked yet");
        assert_eq!(heartbeat.beat(start, CALM), None);
        assert_eq!(heartbeat.look(start), (Verdict::Ask(1), FIRST));
        assert_eq!(heartbeat.beat(start, BRISK), None, "the open question comes first");
        assert_eq!(heartbeat.answered(start, 1), Some(BRISK));
        assert_eq!(heartbeat.beat(start, SLOW), None);
        assert_eq!(heartbeat.beat(start, CALM), Some(CALM));
        assert_eq!(heartbeat.look(start + CALM), (Verdict::Ask(2), FIRST));
    }

    #[test]
    fn an_answer_to_an_older_question_counts_for_nothing() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(CALM);
        assert_eq!(heartbeat.look(start).0, Verdict::Ask(1));
        assert_eq!(heartbeat.answered(start, 0), None);
        assert_eq!(heartbeat.answered(start, 1), Some(CALM));
        assert_eq!(heartbeat.answered(start, 1), None);
    }
}
