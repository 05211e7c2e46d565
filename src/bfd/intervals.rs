//! How often a session sends, and how long it waits (RFC 5880 §6.8.2 to §6.8.4, §6.8.7, §6.8.12).

use super::event::Remote;
use super::settings::Settings;
use crate::types::random::Random;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What we announce, and what we go by until the neighbour has confirmed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intervals {
    /// bfd.DesiredMinTxInterval, as announced.
    pub min_tx: Duration,
    /// What we send by: a longer one only once the neighbour knows of it.
    pub tx_in_use: Duration,
    /// bfd.RequiredMinRxInterval, as announced.
    pub min_rx: Duration,
    /// What we wait by: a shorter one only once the neighbour knows of it.
    pub rx_in_use: Duration,
    /// A poll sequence asks the neighbour to confirm.
    pub polling: bool,
}

impl Intervals {
    /// Of a session that is not up: seldom, and confirmed by nobody (§6.8.3).
    pub fn idle(settings: &Settings) -> Self {
        let (min_tx, min_rx) = (settings.idle_tx, settings.min_rx);
        Self { min_tx, tx_in_use: min_tx, min_rx, rx_in_use: min_rx, polling: false }
    }

    /// Other ones for a session that is up: whether a poll sequence begins (§6.8.3). Until it ends nobody sends less often or
    /// waits shorter than before.
    pub fn change(&mut self, min_tx: Duration, min_rx: Duration) -> bool {
        if (min_tx, min_rx) == (self.min_tx, self.min_rx) {
            return false;
        }
        (self.min_tx, self.min_rx) = (min_tx, min_rx);
        self.tx_in_use = self.tx_in_use.min(min_tx);
        self.rx_in_use = self.rx_in_use.max(min_rx);
        self.polling = true;
        true
    }

    /// The neighbour answered the poll.
    pub fn confirmed(&mut self) {
        (self.tx_in_use, self.rx_in_use, self.polling) = (self.min_tx, self.min_rx, false);
    }

    /// Time between our packets, without jitter (§6.8.2).
    pub fn transmit(&self, remote: &Remote) -> Duration {
        self.tx_in_use.max(remote.min_rx)
    }

    /// How long without a packet until the neighbour counts as gone (§6.8.4); zero while it is not known.
    pub fn detection(&self, remote: &Remote) -> Duration {
        self.rx_in_use.max(remote.min_tx) * u32::from(remote.multiplier)
    }
}

/// From one packet to the next: 75 to 100 % of the interval, at most 90 % when the first that is missed is one too many (§6.8.7).
pub fn jittered(interval: Duration, multiplier: u8, random: &mut Random) -> Duration {
    let most = if multiplier == 1 { interval * 9 / 10 } else { interval };
    random.span(interval * 3 / 4, most)
}

#[cfg(test)]
mod tests {
    use super::super::settings::testing::settings;
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nobody_sends_less_often_or_waits_shorter_before_the_neighbour_knows() {
        let mut intervals = Intervals::idle(&settings());
        assert!(intervals.change(ms(50), ms(50)));
        assert_eq!((intervals.tx_in_use, intervals.rx_in_use), (ms(50), ms(50)), "more often needs no leave");
        intervals.confirmed();
        assert!(!intervals.change(ms(50), ms(50)), "nothing is new");
        assert!(intervals.change(ms(200), ms(20)));
        assert_eq!((intervals.tx_in_use, intervals.rx_in_use), (ms(50), ms(50)));
        intervals.confirmed();
        assert_eq!((intervals.tx_in_use, intervals.rx_in_use, intervals.polling), (ms(200), ms(20), false));
    }

    #[test]
    fn the_slower_end_says_how_often() {
        let mut intervals = Intervals::idle(&settings());
        intervals.change(ms(50), ms(300));
        let remote = Remote { multiplier: 5, min_tx: ms(100), min_rx: ms(400), ..Remote::default() };
        assert_eq!((intervals.transmit(&remote), intervals.detection(&remote)), (ms(400), ms(1500)));
        assert_eq!(intervals.detection(&Remote::default()), Duration::ZERO);
    }

    #[test]
    fn jitter_stays_in_the_rfcs_limits() {
        let mut random = Random::new(1);
        let mut span = |multiplier| {
            let drawn: Vec<_> = (0..1000).map(|_| jittered(ms(1000), multiplier, &mut random)).collect();
            (drawn.iter().min().copied().unwrap(), drawn.iter().max().copied().unwrap())
        };
        for (multiplier, most) in [(1, ms(900)), (3, ms(1000))] {
            let (least, longest) = span(multiplier);
            assert!(least >= ms(750) && least < ms(760), "{least:?}");
            assert!(longest <= most && longest > most - ms(10), "{longest:?}");
        }
    }
}
