//! A heap of deadlines over one timerfd. A deadline that moves later is not re-armed. When the timer fires for nothing, all
//! that has moved is put in its place: a backup of thousands of instances is woken so once in the time after which it would
//! take over, not once an advert.

use super::messages::{ById, InstanceId};
use super::shared::lock;
use crate::sys::clock::{self, TimerFd};
use crate::types::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A takeover's deadline wakes the process this much earlier, which then looks at the clock until it has come: waking up costs
/// about as much, and what is awake is exact. Deadlines that moved away (all of a healthy backup's) cost nothing of this.
const LEAD: Duration = Duration::from_micros(50);

/// Whether a deadline is one of those.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Haste {
    #[default]
    Usual,
    Takeover,
}

impl Haste {
    const fn lead(self) -> Duration {
        match self {
            Self::Usual => Duration::ZERO,
            Self::Takeover => LEAD,
        }
    }
}

pub(super) struct Deadlines {
    timer: Arc<TimerFd>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: ById<Entry>,
    /// Earliest first; what no longer says what its entry says is skipped or moved when it comes up.
    heap: BinaryHeap<Reverse<(Instant, InstanceId)>>,
    armed: Option<Instant>,
}

/// Exists while the instance wants something or is in the heap.
#[derive(Default)]
struct Entry {
    /// What the instance wants.
    wanted: Option<Instant>,
    /// Its earliest place in the heap, so that a deadline that moves later needs no new one.
    queued: Option<Instant>,
    haste: Haste,
}

impl Table {
    fn set(&mut self, id: InstanceId, at: Option<Instant>, haste: Haste) {
        let entry = self.entries.entry(id).or_default();
        (entry.wanted, entry.haste) = (at, haste);
        match (at, entry.queued) {
            (Some(at), queued) if queued.is_none_or(|queued| at < queued) => {
                entry.queued = Some(at);
                self.heap.push(Reverse((at, id)));
            }
            (None, None) => {
                self.entries.remove(&id);
            }
            (Some(_) | None, _) => {}
        }
    }

    /// Takes out who is due at `now`, at most so many; whether there may be more.
    fn due(&mut self, now: Instant, most: usize, due: &mut Vec<InstanceId>) -> bool {
        while let Some(Reverse((at, id))) = self.heap.peek().copied() {
            if at > now {
                return false;
            }
            if due.len() == most {
                return true;
            }
            self.heap.pop();
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.queued == Some(at)) else { continue };
            entry.queued = None;
            match entry.wanted {
                Some(wanted) if wanted <= now => {
                    entry.wanted = None;
                    due.push(id);
                }
                Some(later) => {
                    entry.queued = Some(later);
                    self.heap.push(Reverse((later, id)));
                }
                None => {
                    self.entries.remove(&id);
                }
            }
        }
        false
    }

    /// Puts what has moved in its place, until the earliest is one that is meant.
    fn settle(&mut self) {
        while let Some(Reverse((at, id))) = self.heap.peek().copied() {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.queued == Some(at)) else {
                self.heap.pop();
                continue;
            };
            match entry.wanted {
                Some(wanted) if wanted <= at => return,
                Some(later) => {
                    entry.queued = Some(later);
                    if let Some(mut top) = self.heap.peek_mut() {
                        *top = Reverse((later, id));
                    }
                }
                None => {
                    self.entries.remove(&id);
                    self.heap.pop();
                }
            }
        }
    }

    /// The earliest deadline, and its instance's haste.
    fn next(&self) -> Option<(Instant, Haste)> {
        let Reverse((at, id)) = self.heap.peek()?;
        Some((*at, self.entries.get(id).map(|entry| entry.haste).unwrap_or_default()))
    }

    fn wake_up_at(&self) -> Option<Instant> {
        let (at, haste) = self.next()?;
        Some(Instant::from_nanos(at.nanos().saturating_sub(haste.lead().as_nanos() as u64)))
    }

    /// What to arm the timer with, when it differs from what it is armed with.
    fn arming(&mut self) -> Option<Instant> {
        let next = self.wake_up_at()?;
        if self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }
}

impl Deadlines {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { timer: Arc::new(TimerFd::new()?), table: Mutex::new(Table::default()) })
    }

    pub(super) fn timer(&self) -> Arc<TimerFd> {
        Arc::clone(&self.timer)
    }

    /// The instance's next deadline from now on; `None` for none.
    pub(super) fn set(&self, id: InstanceId, at: Option<Instant>, haste: Haste) {
        let mut table = lock(&self.table);
        table.set(id, at, haste);
        self.arm(&mut table);
    }

    /// Who is due now, earliest first and at most so many. Whether there are more: else the timer is armed for the next.
    pub(super) fn due(&self, most: usize, due: &mut Vec<InstanceId>) -> bool {
        let mut table = lock(&self.table);
        loop {
            let more = table.due(clock::now(), most, due);
            if more {
                return true;
            }
            table.settle();
            match table.next() {
                Some((at, Haste::Takeover)) if due.is_empty() && at <= clock::now() + LEAD => {
                    while clock::now() < at {
                        std::hint::spin_loop();
                    }
                }
                _ => break,
            }
        }
        table.armed = None;
        self.arm(&mut table);
        false
    }

    fn arm(&self, table: &mut Table) {
        if let Some(at) = table.arming()
            && let Err(error) = self.timer.arm(Some(at))
        {
            tracing::error!("cannot set the timer: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn due(table: &mut Table, now: u64) -> Vec<InstanceId> {
        let mut out = Vec::new();
        assert!(!table.due(at(now), 100, &mut out));
        out
    }

    #[test]
    fn the_earliest_deadline_arms_the_timer() {
        let mut table = Table::default();
        table.set(InstanceId(1), Some(at(50)), Haste::Usual);
        assert_eq!(table.arming(), Some(at(50)));
        table.set(InstanceId(2), Some(at(30)), Haste::Usual);
        assert_eq!(table.arming(), Some(at(30)));
        table.set(InstanceId(3), Some(at(40)), Haste::Usual);
        assert_eq!(table.arming(), None);
    }

    #[test]
    fn a_takeover_wakes_the_process_a_little_earlier() {
        let mut table = Table::default();
        table.set(InstanceId(1), Some(at(1_000_000)), Haste::Takeover);
        assert_eq!(table.arming(), Some(at(950_000)));
        assert!(due(&mut table, 999_999).is_empty(), "awake early, not due early");
    }

    #[test]
    fn a_deadline_that_moves_later_is_not_due_early() {
        let mut table = Table::default();
        table.set(InstanceId(1), Some(at(10)), Haste::Usual);
        table.set(InstanceId(1), Some(at(20)), Haste::Usual);
        assert!(due(&mut table, 15).is_empty());
        assert_eq!(due(&mut table, 20), [InstanceId(1)]);
        assert!(due(&mut table, 30).is_empty());
    }

    #[test]
    fn a_deadline_that_moves_earlier_is_due_once() {
        let mut table = Table::default();
        table.set(InstanceId(1), Some(at(20)), Haste::Usual);
        table.set(InstanceId(1), Some(at(10)), Haste::Usual);
        assert_eq!(due(&mut table, 10), [InstanceId(1)]);
        assert!(due(&mut table, 25).is_empty());
    }

    #[test]
    fn many_at_once_come_in_portions_earliest_first() {
        let mut table = Table::default();
        for n in [3, 1, 2] {
            table.set(InstanceId(n), Some(at(u64::from(n))), Haste::Usual);
        }
        let mut out = Vec::new();
        assert!(table.due(at(10), 2, &mut out));
        assert_eq!(out, [InstanceId(1), InstanceId(2)]);
        assert_eq!(due(&mut table, 10), [InstanceId(3)]);
    }

    #[test]
    fn the_timer_is_armed_for_what_is_meant() {
        let mut table = Table::default();
        for n in 1..=3 {
            table.set(InstanceId(n), Some(at(u64::from(n))), Haste::Usual);
            table.set(InstanceId(n), Some(at(50 + u64::from(n))), Haste::Usual);
        }
        table.set(InstanceId(1), None, Haste::Usual);
        table.settle();
        assert_eq!(table.arming(), Some(at(52)));
        assert_eq!(due(&mut table, 100), [InstanceId(2), InstanceId(3)]);
    }

    #[test]
    fn a_withdrawn_deadline_is_never_due() {
        let mut table = Table::default();
        table.set(InstanceId(1), Some(at(20)), Haste::Usual);
        table.set(InstanceId(1), None, Haste::Usual);
        assert!(due(&mut table, 100).is_empty());
    }
}
