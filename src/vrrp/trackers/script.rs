//! `vrrp_script`: when to run it, and what its results come to (keepalived.conf(5), `rise`, `fall`).

use crate::types::{Command, Instant, ScriptOutcome};
use crate::vrrp::track::Reading;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One `vrrp_script` block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScriptCheck {
    /// The block's name.
    pub name: String,
    /// What runs, and as whom.
    pub command: Command,
    /// `interval`, from start to start.
    pub interval: Duration,
    /// `timeout`; the interval when not written.
    pub timeout: Duration,
    /// `rise`: successes in a row until it counts as good, at least 1.
    pub rise: u32,
    /// `fall`: failures in a row until it counts as bad, at least 1.
    pub fall: u32,
    /// `init_fail`: bad until it has succeeded `rise` times.
    pub init_fail: bool,
}

/// What happens to a check, past tense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// `deadline()` has been reached.
    DeadlineReached,
    /// The run that was ordered ended so.
    Ended(ScriptOutcome),
}

/// What a check wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Run the script.
    Run,
    /// Log this.
    Say(Line),
    /// The reading changed: work out the priorities of whoever tracks it.
    Tell(Reading),
}

/// A log line of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// The exit status is another than last time.
    NowReturning {
        /// Check.
        name: String,
        /// Status.
        status: u8,
    },
    /// Good from now on.
    Succeeded {
        /// Check.
        name: String,
    },
    /// Bad from now on.
    Failed {
        /// Check.
        name: String,
        /// How its last run ended.
        outcome: ScriptOutcome,
    },
    /// Due while its last run goes on.
    Skipped {
        /// Check.
        name: String,
    },
    /// What it counts as after a reload.
    OnReload {
        /// Check.
        name: String,
        /// Good or bad.
        good: bool,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NowReturning { name, status } => write!(f, "Script `{name}` now returning {status}"),
            Self::Succeeded { name } => write!(f, "VRRP_Script({name}) succeeded"),
            Self::Failed { name, outcome: ScriptOutcome::TimedOut } => write!(f, "VRRP_Script({name}) timed_out"),
            Self::Failed { name, outcome } => write!(f, "VRRP_Script({name}) failed ({outcome})"),
            Self::Skipped { name } => write!(f, "Track script {name} is already running, expect idle - skipping run"),
            Self::OnReload { name, good } => {
                write!(f, "VRRP_Script({name}) considered {} on reload", if *good { "successful" } else { "unsuccessful" })
            }
        }
    }
}

/// One check, running.
///
/// `result` counts 0..=rise+fall-1: from `rise` up it is good. A success moves a bad one up by one and a good one to the
/// top; a failure moves a good one down by one and a bad one to the bottom.
#[derive(Clone, Debug)]
pub struct ScriptWatch {
    check: Arc<ScriptCheck>,
    result: u32,
    /// Nothing is known before the first result, unless `init_fail` says so.
    known: bool,
    running: bool,
    /// A beat came while this run went on.
    overran: bool,
    /// It was said that runs take longer than the interval; not again before one has ended in time.
    said: bool,
    next: Instant,
    status: u8,
}

impl ScriptWatch {
    /// Starts watching: the first run is due at once.
    pub fn new(check: Arc<ScriptCheck>, now: Instant) -> Self {
        // Unknown: one success is enough, and so is one failure. Known to have failed: all of `rise` is needed.
        let result = if check.init_fail { 0 } else { check.rise.saturating_sub(1) };
        let known = check.init_fail;
        Self { check, result, known, running: false, overran: false, said: false, next: now, status: 0 }
    }

    /// Starts watching with what a predecessor knew: it takes `rise` successes or `fall` failures to change it.
    pub fn resumed(check: Arc<ScriptCheck>, now: Instant, known: Option<Reading>) -> Self {
        let mut watch = Self::new(check, now);
        if let Some(reading) = known {
            watch.known = true;
            watch.result = if reading == Reading::Up { watch.top() } else { 0 };
        }
        watch
    }

    fn top(&self) -> u32 {
        self.check.rise.saturating_add(self.check.fall).saturating_sub(1)
    }

    /// What it was told.
    pub fn check(&self) -> &Arc<ScriptCheck> {
        &self.check
    }

    /// When it wants `DeadlineReached`.
    pub const fn deadline(&self) -> Instant {
        self.next
    }

    /// What it says now; `None` while nothing is known: such a check adds nothing, and with weight 0 its instance waits.
    pub fn reading(&self) -> Option<Reading> {
        self.known.then(|| if self.is_good() { Reading::Up } else { Reading::Down })
    }

    fn is_good(&self) -> bool {
        self.result >= self.check.rise
    }

    /// One fact in, orders out, in the order they are to be carried out.
    pub fn handle(&mut self, now: Instant, fact: Fact) -> Vec<Order> {
        match fact {
            Fact::DeadlineReached => self.due(now),
            // Nothing was learned: the last run's result stands until it ends.
            Fact::Ended(ScriptOutcome::StillRunning) => {
                self.running = false;
                Vec::new()
            }
            Fact::Ended(outcome) => {
                self.running = false;
                self.ended(outcome)
            }
        }
    }

    fn due(&mut self, now: Instant) -> Vec<Order> {
        if now < self.next {
            return Vec::new();
        }
        self.next = self.next + self.check.interval;
        if self.next <= now {
            // We were away: the beats that passed are not made up for.
            self.next = now + self.check.interval;
        }
        if self.running {
            self.overran = true;
            if std::mem::replace(&mut self.said, true) {
                return Vec::new();
            }
            return vec![Order::Say(Line::Skipped { name: self.check.name.clone() })];
        }
        self.said &= std::mem::take(&mut self.overran);
        self.running = true;
        vec![Order::Run]
    }

    fn ended(&mut self, outcome: ScriptOutcome) -> Vec<Order> {
        let mut orders = Vec::new();
        let name = || self.check.name.clone();
        if let ScriptOutcome::Exited(status) = outcome
            && status != self.status
        {
            orders.push(Order::Say(Line::NowReturning { name: name(), status }));
            self.status = status;
        }
        let before = self.reading();
        let top = self.top();
        self.result = match (outcome == ScriptOutcome::Exited(0), self.is_good()) {
            (true, true) => top,
            (true, false) if self.result + 1 >= self.check.rise => top,
            (true, false) => self.result + 1,
            (false, true) if self.result > self.check.rise => self.result - 1,
            (false, _) => 0,
        };
        self.known = true;
        let after = self.reading();
        if before != after {
            let line = if self.is_good() { Line::Succeeded { name: name() } } else { Line::Failed { name: name(), outcome } };
            orders.push(Order::Say(line));
            orders.extend(after.map(Order::Tell));
        }
        orders
    }

    /// The same script with other settings after a reload: what was known stays known, on the new scale.
    pub fn replace(&mut self, check: Arc<ScriptCheck>, now: Instant) -> Option<Line> {
        let was_good = self.is_good();
        let failures = self.top().saturating_sub(self.result);
        let top = check.rise.saturating_add(check.fall).saturating_sub(1);
        self.result = match (self.known, was_good) {
            (true, true) => top.saturating_sub(failures).max(check.rise),
            (true, false) => self.result.min(check.rise.saturating_sub(1)),
            (false, _) => check.rise.saturating_sub(1),
        };
        self.next = self.next.min(now + check.interval);
        self.check = check;
        self.known.then(|| Line::OnReload { name: self.check.name.clone(), good: was_good })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(rise: u32, fall: u32, init_fail: bool) -> Arc<ScriptCheck> {
        let second = Duration::from_secs(1);
        Arc::new(ScriptCheck {
            name: "chk".into(),
            command: Command { argv: vec!["/chk".into()], user: None },
            interval: second,
            timeout: second,
            rise,
            fall,
            init_fail,
        })
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// Feeds results, gives what it says after each.
    fn readings(watch: &mut ScriptWatch, results: &[u8]) -> Vec<Option<Reading>> {
        results
            .iter()
            .map(|status| {
                watch.handle(at(0), Fact::Ended(ScriptOutcome::Exited(*status)));
                watch.reading()
            })
            .collect()
    }

    const UP: Option<Reading> = Some(Reading::Up);
    const DOWN: Option<Reading> = Some(Reading::Down);

    #[test]
    fn the_first_result_counts_at_once() {
        assert_eq!(readings(&mut ScriptWatch::new(check(3, 3, false), at(0)), &[0]), [UP]);
        assert_eq!(readings(&mut ScriptWatch::new(check(3, 3, false), at(0)), &[1]), [DOWN]);
        assert_eq!(ScriptWatch::new(check(3, 3, false), at(0)).reading(), None);
    }

    #[test]
    fn init_fail_needs_all_of_rise() {
        let mut watch = ScriptWatch::new(check(2, 2, true), at(0));
        assert_eq!(watch.reading(), DOWN);
        assert_eq!(readings(&mut watch, &[0, 0]), [DOWN, UP]);
    }

    #[test]
    fn rise_and_fall_count_in_a_row() {
        let mut watch = ScriptWatch::new(check(2, 3, false), at(0));
        assert_eq!(readings(&mut watch, &[0, 1, 1, 0, 1, 1, 1]), [UP, UP, UP, UP, UP, UP, DOWN]);
        assert_eq!(readings(&mut watch, &[0, 1, 0, 0]), [DOWN, DOWN, DOWN, UP]);
    }

    #[test]
    fn lines_are_those_that_people_grep_for() {
        let mut watch = ScriptWatch::new(check(1, 1, false), at(0));
        let mut lines = |outcome| {
            watch
                .handle(at(0), Fact::Ended(outcome))
                .into_iter()
                .filter_map(|order| if let Order::Say(line) = order { Some(line.to_string()) } else { None })
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(ScriptOutcome::Exited(0)), ["VRRP_Script(chk) succeeded"]);
        assert_eq!(lines(ScriptOutcome::Exited(2)), ["Script `chk` now returning 2", "VRRP_Script(chk) failed (exited with status 2)"]);
        assert_eq!(lines(ScriptOutcome::Exited(0)), ["Script `chk` now returning 0", "VRRP_Script(chk) succeeded"]);
        assert_eq!(lines(ScriptOutcome::Signalled(9)), ["VRRP_Script(chk) failed (due to signal 9)"]);
        assert_eq!(lines(ScriptOutcome::TimedOut), Vec::<String>::new());
        assert_eq!(lines(ScriptOutcome::Exited(0)), ["VRRP_Script(chk) succeeded"]);
        assert_eq!(lines(ScriptOutcome::TimedOut), ["VRRP_Script(chk) timed_out"]);
    }

    #[test]
    fn it_is_never_ordered_twice_and_keeps_its_beat() {
        let mut watch = ScriptWatch::new(check(1, 1, false), at(0));
        assert_eq!(watch.handle(at(0), Fact::DeadlineReached), [Order::Run]);
        assert_eq!(watch.deadline(), at(1000));
        let skipped = Order::Say(Line::Skipped { name: "chk".into() });
        assert_eq!(watch.handle(at(1001), Fact::DeadlineReached), [skipped]);
        watch.handle(at(1500), Fact::Ended(ScriptOutcome::Exited(0)));
        assert_eq!(watch.deadline(), at(2000));
        assert_eq!(watch.handle(at(2001), Fact::DeadlineReached), [Order::Run]);
        watch.handle(at(2002), Fact::Ended(ScriptOutcome::Exited(0)));
        // Suspended for a minute: one run, not sixty.
        assert_eq!(watch.handle(at(62_000), Fact::DeadlineReached), [Order::Run]);
        assert_eq!(watch.deadline(), at(63_000));
    }

    #[test]
    fn runs_that_overrun_one_after_another_are_said_once_and_again_after_one_in_time() {
        let mut watch = ScriptWatch::new(check(1, 1, false), at(0));
        let skipped = [Order::Say(Line::Skipped { name: "chk".into() })];
        for start in [0, 10_000] {
            assert_eq!(watch.handle(at(start), Fact::DeadlineReached), [Order::Run]);
            assert_eq!(watch.handle(at(start + 1000), Fact::DeadlineReached), skipped);
            for beat in [2000, 4000, 6000] {
                // Its time is up at its interval, a moment after the beat.
                watch.handle(at(start + beat - 999), Fact::Ended(ScriptOutcome::TimedOut));
                assert_eq!(watch.handle(at(start + beat), Fact::DeadlineReached), [Order::Run]);
                assert_eq!(watch.handle(at(start + beat + 1000), Fact::DeadlineReached), []);
            }
            watch.handle(at(start + 7001), Fact::Ended(ScriptOutcome::Exited(0)));
            assert_eq!(watch.handle(at(start + 8000), Fact::DeadlineReached), [Order::Run]);
            watch.handle(at(start + 8500), Fact::Ended(ScriptOutcome::Exited(0)));
            assert_eq!(watch.handle(at(start + 9000), Fact::DeadlineReached), [Order::Run]);
            watch.handle(at(start + 9500), Fact::Ended(ScriptOutcome::Exited(0)));
        }
    }

    #[test]
    fn a_run_that_hangs_over_changes_nothing() {
        let mut watch = ScriptWatch::new(check(1, 1, false), at(0));
        watch.handle(at(0), Fact::Ended(ScriptOutcome::TimedOut));
        assert_eq!(watch.handle(at(1), Fact::Ended(ScriptOutcome::StillRunning)), []);
        assert_eq!(watch.reading(), DOWN);
    }

    #[test]
    fn a_reload_keeps_what_was_known() {
        let mut watch = ScriptWatch::new(check(2, 2, false), at(0));
        assert_eq!(watch.replace(check(3, 3, false), at(0)), None);
        readings(&mut watch, &[0]);
        let line = watch.replace(check(5, 5, false), at(0)).unwrap();
        assert_eq!(line.to_string(), "VRRP_Script(chk) considered successful on reload");
        assert_eq!(watch.reading(), UP);
        readings(&mut watch, &[1, 1, 1, 1, 1]);
        assert_eq!(watch.reading(), DOWN);
    }

    proptest! {
        /// The counter against the definition: good after `rise` successes in a row, bad after `fall` failures in a row.
        #[test]
        fn the_counter_is_what_rise_and_fall_mean(rise in 1_u32..5, fall in 1_u32..5, results in proptest::collection::vec(any::<bool>(), 1..60)) {
            let mut watch = ScriptWatch::new(check(rise, fall, false), at(0));
            let mut good: Option<bool> = None;
            let (mut wins, mut losses) = (0, 0);
            for success in results {
                (wins, losses) = if success { (wins + 1, 0) } else { (0, losses + 1) };
                good = match good {
                    None => Some(success),
                    Some(false) if wins >= rise => Some(true),
                    Some(true) if losses >= fall => Some(false),
                    same => same,
                };
                watch.handle(at(0), Fact::Ended(ScriptOutcome::Exited(u8::from(!success))));
                prop_assert_eq!(watch.reading(), good.map(|good| if good { Reading::Up } else { Reading::Down }));
                prop_assert!(watch.result < rise + fall);
            }
        }
    }
}
