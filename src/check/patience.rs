//! How long a check waits for a peer, when it may be ourselves who are late.

use crate::types::Instant;
use std::time::Duration;

/// A deadline that is heard of later than this was missed because nobody ran: a starved or suspended machine, or too many checks.
const LATE: Duration = Duration::from_millis(20);
/// So often the time that was lost is given again; a dead server is found dead in the end, however loaded we are.
const TIMES: u8 = 3;

/// One wait, and what was added to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patience {
    due: Instant,
    length: Duration,
    times: u8,
}

impl Patience {
    /// Waits `length` from `now` on.
    pub fn new(now: Instant, length: Duration) -> Self {
        Self { due: now + length, length, times: 0 }
    }

    /// When to look again.
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// The deadline was heard of at `now`. True when the wait is over; else there is a new deadline: as much time as we
    /// were late, for what the peer said meanwhile stands in our sockets unread.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let late = now.since(self.due);
        if late <= LATE || self.times >= TIMES {
            return true;
        }
        self.times += 1;
        self.due = now + late.min(self.length);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Instant = Instant::from_nanos(0);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_hears_of_a_deadline_in_time_has_waited_enough() {
        let mut patience = Patience::new(T0, ms(1000));
        assert!(patience.is_over(T0 + ms(1019)));
    }

    #[test]
    fn who_was_late_waits_again_for_as_long() {
        let mut patience = Patience::new(T0, ms(1000));
        assert!(!patience.is_over(T0 + ms(1300)));
        assert_eq!(patience.due(), T0 + ms(1600));
        assert!(patience.is_over(T0 + ms(1601)));
    }

    proptest! {
        #[test]
        fn no_lateness_makes_it_wait_for_ever(length in 1u64..10_000, late in prop::collection::vec(0u64..100_000, 8)) {
            let mut patience = Patience::new(T0, ms(length));
            let mut rounds = 0;
            for late in late {
                let (before, now) = (patience.due(), patience.due() + ms(late));
                if patience.is_over(now) {
                    break;
                }
                rounds += 1;
                prop_assert!(patience.due() > before, "and never less than before");
                prop_assert!(patience.due() <= now + ms(length));
            }
            prop_assert!(rounds <= 3);
        }
    }
}
