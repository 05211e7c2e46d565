//! Mails that wait: bounded, in order, tried again with growing pauses.

use super::message::Message;
use crate::types::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// As many wait; then the oldest goes, because the newest says how things are.
pub const MOST: usize = 256;
/// First pause after a failure.
pub const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The queue.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Message>,
    pause: Option<Duration>,
    not_before: Option<Instant>,
    dropped: u64,
}

impl Outbox {
    /// One more. The number of mails that were dropped to make room, when this one made it grow.
    pub fn push(&mut self, message: Message) -> Option<u64> {
        self.waiting.push_back(message);
        if self.waiting.len() <= MOST {
            return None;
        }
        self.waiting.pop_front();
        self.dropped += 1;
        Some(self.dropped)
    }

    /// The mail to be tried now, if one is due.
    pub fn due(&self, now: Instant) -> Option<&Message> {
        self.waiting.front().filter(|_| self.not_before.is_none_or(|until| until <= now))
    }

    /// When `due` will have one.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.waiting.front().map(|_| self.not_before.unwrap_or(now))
    }

    /// The first one is delivered, or will never be.
    pub fn done(&mut self) {
        self.waiting.pop_front();
        (self.pause, self.not_before) = (None, None);
    }

    /// The first one could not be delivered now. How long the pause is.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        (self.pause, self.not_before) = (Some(pause), Some(now + pause));
        pause
    }

    /// What kept the first one may be cured: it is due now.
    pub fn try_now(&mut self) {
        (self.pause, self.not_before) = (None, None);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(number: usize) -> Message {
        Message { from: number.to_string(), to: Vec::new(), text: String::new() }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_a_success_ends_them() {
        let mut outbox = Outbox::default();
        outbox.push(mail(1));
        assert_eq!(outbox.failed(at(0)), Duration::from_secs(5));
        assert_eq!(outbox.due(at(4)), None);
        assert!(outbox.due(at(5)).is_some());
        assert_eq!(outbox.failed(at(5)), Duration::from_secs(10));
        for _ in 0..10 {
            outbox.failed(at(5));
        }
        assert_eq!(outbox.failed(at(5)), LONGEST_PAUSE);
        outbox.push(mail(2));
        outbox.done();
        assert_eq!(outbox.due(at(5)), Some(&mail(2)));
    }

    #[test]
    fn a_new_configuration_ends_the_pause() {
        let mut outbox = Outbox::default();
        outbox.push(mail(1));
        outbox.failed(at(0));
        outbox.failed(at(5));
        outbox.try_now();
        assert_eq!(outbox.due(at(6)), Some(&mail(1)));
        assert_eq!(outbox.failed(at(6)), FIRST_PAUSE);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut outbox = Outbox::default();
        for number in 0..MOST {
            assert_eq!(outbox.push(mail(number)), None);
        }
        assert_eq!(outbox.push(mail(MOST)), Some(1));
        assert_eq!(outbox.len(), MOST);
        assert_eq!(outbox.due(at(0)), Some(&mail(1)));
    }
}
