//! How long to wait before something that died is started again.

use std::time::Duration;

/// At once the first time, then `first`, doubled each time up to `longest`; back to "at once" after a life of `healthy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    healthy: Duration,
    next: Duration,
}

impl Backoff {
    /// For a child process: at once, then 0.1, 0.2, 0.4 … 60 s while it lives less than 5 s. keepalived waits a second before a
    /// second start within a minute: a master of sub-second adverts would be none any more, and a child that lived for 5 s
    /// is not one that dies of its start.
    pub const fn process() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(60), Duration::from_secs(5))
    }

    /// For an actor inside a process: at once, then 10, 20, 40 ms … 1 s while it lives less than 1 s.
    pub const fn actor() -> Self {
        Self::new(Duration::from_millis(10), Duration::from_secs(1), Duration::from_secs(1))
    }

    const fn new(first: Duration, longest: Duration, healthy: Duration) -> Self {
        Self { first, longest, healthy, next: Duration::ZERO }
    }

    /// It died after living this long: how long to wait before the next start.
    pub fn died(&mut self, lived: Duration) -> Duration {
        if lived >= self.healthy {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = if wait.is_zero() { self.first } else { (wait * 2).min(self.longest) };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, lived: Duration, deaths: usize) -> Vec<u64> {
        (0..deaths).map(|_| backoff.died(lived).as_millis() as u64).collect()
    }

    #[test]
    fn the_first_death_is_answered_at_once_and_the_rest_ever_later() {
        let mut backoff = Backoff::process();
        let milliseconds = waits(&mut backoff, Duration::from_secs(3), 13);
        assert_eq!(milliseconds, [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    }

    #[test]
    fn a_long_life_is_forgiven() {
        let mut backoff = Backoff::process();
        waits(&mut backoff, Duration::from_secs(1), 5);
        assert_eq!(backoff.died(Duration::from_secs(5)), Duration::ZERO);
        assert_eq!(backoff.died(Duration::from_secs(4)), Duration::from_millis(100));
    }

    #[test]
    fn actors_wait_milliseconds() {
        assert_eq!(waits(&mut Backoff::actor(), Duration::ZERO, 10), [0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }
}
