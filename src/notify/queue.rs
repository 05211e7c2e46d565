//! One subject's scripts in order: what runs, what waits, and what is not worth running any more.
//!
//! The scripts of one event start side by side; those of the next start when all of them have ended. A state that waits is
//! dropped when a newer one comes: the last script that runs tells the last state.

use crate::types::Instant;
use std::time::Duration;

/// How long a newer event waits for older scripts before they are ended.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The scripts of one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch<S> {
    /// What is to be started, in this order.
    pub scripts: Vec<S>,
    /// They tell a state: what waits before them is outdated.
    pub is_state: bool,
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step<S> {
    /// Nothing.
    Wait,
    /// Start these; tell `started` how many really run.
    Start(Vec<S>),
    /// End what runs: something newer has waited long enough.
    EndOld,
}

/// One subject's queue.
#[derive(Clone, Debug)]
pub struct Queue<S> {
    running: usize,
    waiting: Vec<Batch<S>>,
    patience_ends: Option<Instant>,
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self { running: 0, waiting: Vec::new(), patience_ends: None }
    }
}

impl<S: PartialEq> Queue<S> {
    /// Something happened.
    pub fn push(&mut self, now: Instant, batch: Batch<S>) -> Step<S> {
        if batch.scripts.is_empty() {
            return Step::Wait;
        }
        if batch.is_state {
            self.waiting.clear();
        } else if self.waiting.contains(&batch) {
            return Step::Wait;
        }
        self.waiting.push(batch);
        if self.running == 0 {
            return self.next(now);
        }
        self.patience_ends.get_or_insert(now + PATIENCE);
        Step::Wait
    }

    /// One script ended, or did not start.
    pub fn ended(&mut self, now: Instant) -> Step<S> {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 { self.next(now) } else { Step::Wait }
    }

    /// When `deadline_reached` is due.
    pub const fn deadline(&self) -> Option<Instant> {
        self.patience_ends
    }

    /// Time has passed.
    pub fn deadline_reached(&mut self, now: Instant) -> Step<S> {
        match self.patience_ends {
            Some(end) if end <= now && self.running > 0 => {
                self.patience_ends = None;
                Step::EndOld
            }
            Some(_) | None => Step::Wait,
        }
    }

    /// Nothing runs and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }

    fn next(&mut self, now: Instant) -> Step<S> {
        self.patience_ends = None;
        if self.waiting.is_empty() {
            return Step::Wait;
        }
        let batch = self.waiting.remove(0);
        self.running = batch.scripts.len();
        if !self.waiting.is_empty() {
            self.patience_ends = Some(now + PATIENCE);
        }
        Step::Start(batch.scripts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn state(scripts: &[&'static str]) -> Batch<&'static str> {
        Batch { scripts: scripts.to_vec(), is_state: true }
    }

    #[test]
    fn scripts_of_one_event_start_together_and_the_next_waits_for_all() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(at(0), state(&["master", "any master"])), Step::Start(vec!["master", "any master"]));
        assert_eq!(queue.push(at(0), state(&["backup"])), Step::Wait);
        assert_eq!(queue.ended(at(1)), Step::Wait);
        assert_eq!(queue.ended(at(2)), Step::Start(vec!["backup"]));
        assert_eq!(queue.ended(at(3)), Step::Wait);
        assert!(queue.is_idle());
    }

    #[test]
    fn the_latest_state_wins() {
        let mut queue = Queue::default();
        queue.push(at(0), state(&["backup"]));
        queue.push(at(0), state(&["master"]));
        queue.push(at(0), state(&["fault"]));
        assert_eq!(queue.ended(at(1)), Step::Start(vec!["fault"]));
        assert_eq!(queue.ended(at(1)), Step::Wait);
    }

    #[test]
    fn an_old_script_is_ended_when_a_newer_one_has_waited_long_enough() {
        let mut queue = Queue::default();
        queue.push(at(0), state(&["hangs"]));
        assert_eq!(queue.deadline(), None, "alone it may run for ever");
        queue.push(at(5), state(&["master"]));
        assert_eq!(queue.deadline(), Some(at(15)));
        assert_eq!(queue.deadline_reached(at(14)), Step::Wait);
        assert_eq!(queue.deadline_reached(at(15)), Step::EndOld);
        assert_eq!(queue.ended(at(16)), Step::Start(vec!["master"]));
    }

    #[test]
    fn what_is_no_state_waits_its_turn_once() {
        let mut queue = Queue::default();
        queue.push(at(0), state(&["master"]));
        let heard = Batch { scripts: vec!["lower"], is_state: false };
        queue.push(at(0), heard.clone());
        queue.push(at(0), heard);
        assert_eq!(queue.ended(at(1)), Step::Start(vec!["lower"]));
        assert_eq!(queue.ended(at(1)), Step::Wait);
    }

    proptest! {
        /// Whatever comes while scripts run, the last state pushed is the last one started.
        #[test]
        fn the_last_start_tells_the_last_state(pushes in proptest::collection::vec((0_u8..4, any::<bool>()), 1..50)) {
            let mut queue = Queue::default();
            let (mut running, mut last_started, mut last_pushed) = (false, None, None);
            let mut see = |step: Step<u8>, running: &mut bool| if let Step::Start(scripts) = step {
                *running = true;
                last_started = scripts.first().copied();
            };
            for (script, end_one) in pushes {
                last_pushed = Some(script);
                let step = queue.push(at(0), Batch { scripts: vec![script], is_state: true });
                see(step, &mut running);
                if end_one && running {
                    running = false;
                    let step = queue.ended(at(0));
                    see(step, &mut running);
                }
            }
            while running {
                running = false;
                let step = queue.ended(at(0));
                see(step, &mut running);
            }
            prop_assert_eq!(last_started, last_pushed);
            prop_assert!(queue.is_idle());
        }
    }
}
