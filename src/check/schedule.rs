//! When a checker runs and when its results count: warm-up, retries, the delay loop (runtime behaviour of keepalived 2.2.7).

use super::settings::Timing;
use crate::types::Instant;
use std::time::Duration;

/// Largest share of `delay_loop` that a check may come sooner.
const JITTER: f64 = 0.05;

/// In what a kind of checker keeps another rhythm than the rest (observed on keepalived 2.2.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manner {
    /// A failing first check takes its server out at once; `SMTP_CHECK` has its retries then too.
    pub first_decides: bool,
    /// Pauses are counted from a check's begin, however long it takes: `MISC_CHECK`, whose next script starts at once when
    /// the one before outlasted its pause.
    pub from_begin: bool,
}

/// Where one checker stands. It holds its deadline; nobody has to cancel a timer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    manner: Manner,
    up: bool,
    has_run: bool,
    /// Some result has counted.
    settled: bool,
    failures: u32,
    due: Option<Instant>,
    /// When the running, or else the last, check was due.
    begun: Instant,
    /// When it really began.
    really: Instant,
}

/// What a result changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing: as before.
    None,
    /// A first success of a checker that was taken for up already.
    FirstSuccess,
    /// Failed, but it is tried again.
    Forgiven,
    /// Down now, after so many retries (0: at once).
    WentDown {
        /// Retries that failed too.
        retries: u32,
    },
    /// A first failure of a checker that was taken for down already (`alpha`).
    StaysDown,
    /// Up again.
    CameUp,
}

impl Schedule {
    /// A checker that starts: `up` unless `alpha`. `position` in 0.0..1.0 spreads the first checks over the warm-up. Without a
    /// warm-up the first check is due at once, else a second and the spread later, as the original.
    pub fn start(now: Instant, timing: &Timing, manner: Manner, alpha: bool, position: f64) -> Self {
        let first = if timing.warmup.is_zero() {
            Duration::ZERO
        } else {
            timing.warmup.min(Duration::from_secs(1)) + timing.warmup.mul_f64(position.clamp(0.0, 1.0))
        };
        // Where a failing first check is decisive, the retries count as used up.
        let failures = if manner.first_decides { timing.retry } else { 0 };
        let due = now + first;
        Self { manner, up: !alpha, has_run: false, settled: false, failures, due: Some(due), begun: due, really: due }
    }

    /// Whether its server passes this check.
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Whether it has ever run.
    pub const fn has_run(&self) -> bool {
        self.has_run
    }

    /// Failures since the last success that were forgiven.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The same as readers want it: none before the first result.
    pub const fn forgiven(&self) -> u32 {
        if self.has_run { self.failures } else { 0 }
    }

    /// When the next check is due; nothing while one runs.
    pub const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// A check has begun.
    pub const fn begun(&mut self) {
        if let Some(due) = self.due.take() {
            self.begun = due;
            self.really = due;
        }
    }

    /// It has begun only `now`, because we are late. The rhythm goes on where it would be: after a stop all checks are due at
    /// once, but they do not stay together.
    pub fn late(&mut self, now: Instant, timing: &Timing) {
        self.really = self.really.max(now);
        let missed = now.since(self.begun).as_nanos().checked_div(timing.delay_loop.as_nanos()).unwrap_or(0);
        self.begun = self.begun + timing.delay_loop.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
    }

    /// Takes up where a predecessor left off.
    pub const fn resume(&mut self, up: bool) {
        self.up = up;
        self.has_run = true;
        self.settled = true;
        self.failures = 0;
    }

    /// The next check after this pause: counted from when this one was due, so that neither its duration nor our lateness
    /// stretches the rhythm; from its end when it took as long as half the pause, unless its manner is another.
    fn next(&self, now: Instant, pause: Duration) -> Instant {
        if self.manner.from_begin {
            (self.begun + pause).max(now)
        } else if now.since(self.really) < pause / 2 {
            self.begun + pause
        } else {
            now + pause
        }
    }

    /// The next try: likewise, but what is owed to a server that fails is the whole pause, however late we were.
    fn next_try(&self, now: Instant, pause: Duration) -> Instant {
        let late = self.really.since(self.begun) >= pause / 2;
        if late && now.since(self.really) < pause / 2 { self.really + pause } else { self.next(now, pause) }
    }

    /// The check did not begin after all: it is tried again then.
    pub const fn again(&mut self, at: Instant) {
        self.due = Some(at);
    }

    /// A check that could not be made says nothing of its server; the next comes after the whole pause.
    pub fn not_made(&mut self, now: Instant, timing: &Timing) {
        self.due = Some(self.next(now, timing.delay_loop));
    }

    /// A check that goes on for several steps (pages of HTTP_GET) is not over: the next step comes after this pause.
    pub fn goes_on(&mut self, now: Instant, pause: Duration) {
        self.due = Some(self.next(now, pause));
    }

    /// A check ended at `now`.
    pub fn ended(&mut self, now: Instant, timing: &Timing, success: bool) -> Change {
        let first = !self.has_run;
        self.has_run = true;
        if success {
            self.settled = true;
            self.failures = 0;
            self.due = Some(self.next(now, timing.delay_loop));
            return match (self.up, first) {
                (true, true) => Change::FirstSuccess,
                (true, false) => Change::None,
                (false, _) => {
                    self.up = true;
                    Change::CameUp
                }
            };
        }
        if (self.up || !self.settled) && self.failures < timing.retry {
            self.failures += 1;
            self.due = Some(self.next_try(now, timing.delay_before_retry));
            return Change::Forgiven;
        }
        self.due = Some(self.next(now, timing.delay_loop));
        let settled = std::mem::replace(&mut self.settled, true);
        if !self.up {
            return if settled { Change::None } else { Change::StaysDown };
        }
        self.up = false;
        let retries = if first { 0 } else { self.failures };
        self.failures = 0;
        Change::WentDown { retries }
    }

    /// The next check, when a whole `delay_loop` is waited for it, comes sooner by this share of a [`JITTER`]: checks that
    /// began together do not stay together, and none is later than configured.
    pub fn sooner(&mut self, timing: &Timing, share: f64) {
        let early = timing.delay_loop.mul_f64(JITTER * share.clamp(0.0, 1.0));
        let whole = |due: Instant| self.failures == 0 && due.since(self.begun) >= timing.delay_loop;
        self.due = self.due.map(|due| if whole(due) { due - early } else { due });
    }

    /// Runs together with another that is due then.
    pub fn together(&mut self, other: Instant) {
        self.due = self.due.map(|_| other);
    }

    /// The same checker after a reload: state is kept, the deadline as well.
    pub fn retimed(&mut self, now: Instant, timing: &Timing) {
        self.failures = self.failures.min(timing.retry);
        // A shorter delay counts from now on; a longer one only after the check that is due.
        self.due = self.due.map(|due| due.min(now + timing.delay_loop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Instant = Instant::from_nanos(0);
    const USUAL: Manner = Manner { first_decides: true, from_begin: false };

    fn timing(retry: u32) -> Timing {
        Timing { delay_loop: Duration::from_secs(6), retry, delay_before_retry: Duration::from_secs(2), warmup: Duration::ZERO }
    }

    #[test]
    fn the_first_failure_is_decisive_whatever_retry_says() {
        let mut schedule = Schedule::start(T0, &timing(3), USUAL, false, 0.0);
        assert_eq!(schedule.ended(T0, &timing(3), false), Change::WentDown { retries: 0 });
    }

    #[test]
    fn where_the_first_does_not_decide_it_has_its_retries_also_under_alpha() {
        let manner = Manner { first_decides: false, ..USUAL };
        for alpha in [false, true] {
            let mut schedule = Schedule::start(T0, &timing(2), manner, alpha, 0.0);
            assert_eq!(schedule.ended(T0, &timing(2), false), Change::Forgiven);
            assert_eq!(schedule.ended(T0, &timing(2), false), Change::Forgiven);
            let last = schedule.ended(T0, &timing(2), false);
            assert_eq!(last, if alpha { Change::StaysDown } else { Change::WentDown { retries: 2 } });
            assert_eq!(schedule.ended(T0, &timing(2), false), Change::None);
        }
    }

    #[test]
    fn a_check_that_was_not_made_changes_nothing() {
        let mut schedule = Schedule::start(T0, &timing(0), USUAL, false, 0.0);
        schedule.begun();
        schedule.not_made(T0, &timing(0));
        assert!(schedule.is_up() && !schedule.has_run());
        assert_eq!(schedule.deadline(), Some(T0 + Duration::from_secs(6)));
    }

    #[test]
    fn pauses_from_the_begin_hold_however_long_a_check_takes() {
        let manner = Manner { from_begin: true, ..USUAL };
        let mut schedule = Schedule::start(T0, &timing(2), manner, false, 0.0);
        schedule.begun();
        schedule.ended(T0 + Duration::from_secs(5), &timing(2), true);
        assert_eq!(schedule.deadline(), Some(T0 + Duration::from_secs(6)));
        schedule.begun();
        let end = T0 + Duration::from_secs(13);
        schedule.ended(end, &timing(2), false);
        assert_eq!(schedule.deadline(), Some(end), "the pause was over before the check was");
    }

    #[test]
    fn retries_come_after_delay_before_retry_then_the_server_is_down() {
        let timing = timing(2);
        let mut schedule = Schedule::start(T0, &timing, USUAL, false, 0.0);
        assert_eq!(schedule.ended(T0, &timing, true), Change::FirstSuccess);
        assert_eq!(schedule.deadline(), Some(T0 + Duration::from_secs(6)));
        assert_eq!(schedule.ended(T0, &timing, false), Change::Forgiven);
        assert_eq!(schedule.deadline(), Some(T0 + Duration::from_secs(2)));
        assert_eq!(schedule.ended(T0, &timing, false), Change::Forgiven);
        assert_eq!(schedule.ended(T0, &timing, false), Change::WentDown { retries: 2 });
        assert_eq!(schedule.ended(T0, &timing, false), Change::None);
        assert_eq!(schedule.deadline(), Some(T0 + Duration::from_secs(6)));
        assert_eq!(schedule.ended(T0, &timing, true), Change::CameUp);
    }

    #[test]
    fn the_rhythm_is_not_stretched_by_the_checks_themselves() {
        let timing = timing(1);
        let mut schedule = Schedule::start(T0, &timing, USUAL, false, 0.0);
        schedule.begun();
        schedule.ended(T0 + Duration::from_millis(70), &timing, true);
        assert_eq!(schedule.deadline(), Some(T0 + Duration::from_secs(6)));
        schedule.begun();
        let late = T0 + Duration::from_secs(11);
        schedule.ended(late, &timing, true);
        assert_eq!(schedule.deadline(), Some(late + Duration::from_secs(6)), "a check of five seconds gets its whole pause");
    }

    #[test]
    fn checks_that_a_stop_made_late_do_not_stay_together() {
        let timing = timing(1);
        let stop = Duration::from_secs(20);
        for position in 0..12 {
            let due = T0 + Duration::from_millis(500 * position);
            let mut schedule = Schedule::start(due, &timing, USUAL, false, 0.0);
            schedule.begun();
            schedule.late(T0 + stop, &timing);
            let end = T0 + stop + Duration::from_millis(3);
            schedule.ended(end, &timing, true);
            let next = schedule.deadline().unwrap();
            assert_eq!(next.since(due).as_nanos() % timing.delay_loop.as_nanos(), 0, "its own rhythm");
            assert!(next > T0 + stop && next <= end + timing.delay_loop, "and never later than configured");
        }
    }

    #[test]
    fn a_server_that_fails_has_its_whole_pause_however_late_we_were() {
        let timing = timing(2);
        let mut schedule = Schedule::start(T0, &timing, USUAL, false, 0.0);
        schedule.begun();
        schedule.ended(T0, &timing, true);
        schedule.begun();
        let now = T0 + Duration::from_secs(6 + 5);
        schedule.late(now, &timing);
        assert_eq!(schedule.ended(now, &timing, false), Change::Forgiven);
        assert_eq!(schedule.deadline(), Some(now + timing.delay_before_retry));
    }

    #[test]
    fn alpha_is_down_until_the_first_success() {
        let mut schedule = Schedule::start(T0, &timing(1), USUAL, true, 0.0);
        assert!(!schedule.is_up());
        assert_eq!(schedule.ended(T0, &timing(1), false), Change::StaysDown);
        assert_eq!(schedule.ended(T0, &timing(1), false), Change::None);
        assert_eq!(schedule.ended(T0, &timing(1), true), Change::CameUp);
    }

    proptest! {
        #[test]
        fn down_needs_retry_failures_in_a_row_and_up_one_success(results: Vec<bool>, retry in 0u32..4) {
            let timing = timing(retry);
            let mut schedule = Schedule::start(T0, &timing, USUAL, false, 0.0);
            let (mut row, mut expect_up, mut first) = (0, true, true);
            for success in results {
                schedule.begun();
                prop_assert_eq!(schedule.deadline(), None);
                schedule.ended(T0, &timing, success);
                row = if success { 0 } else { row + 1 };
                expect_up = success || (expect_up && !first && row <= retry);
                first = false;
                prop_assert_eq!(schedule.is_up(), expect_up);
                prop_assert!(schedule.deadline().is_some());
            }
        }

        #[test]
        fn jitter_is_never_late_and_never_much(share in 0.0f64..=1.0, took in 0u64..12_000, success: bool) {
            let timing = timing(1);
            let mut schedule = Schedule::start(T0, &timing, USUAL, false, 0.0);
            schedule.begun();
            schedule.ended(T0 + Duration::from_millis(took), &timing, true);
            schedule.begun();
            schedule.ended(T0 + Duration::from_millis(took), &timing, success);
            let plain = schedule.deadline().unwrap();
            schedule.sooner(&timing, share);
            let due = schedule.deadline().unwrap();
            prop_assert!(due <= plain && plain.since(due) <= Duration::from_millis(301));
            prop_assert!(success || due == plain, "a retry comes when it is due");
        }

        #[test]
        fn first_checks_are_spread_over_the_warm_up(position in 0.0f64..1.0, warmup in 1u64..100) {
            let timing = Timing { warmup: Duration::from_secs(warmup), ..timing(1) };
            let due = Schedule::start(T0, &timing, USUAL, false, position).deadline().unwrap().since(T0);
            prop_assert!(due >= Duration::from_secs(1) && due <= Duration::from_secs(1 + warmup));
        }
    }
}
