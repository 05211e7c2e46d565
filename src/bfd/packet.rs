//! The control packet (RFC 5880 §4.1), both ways.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |              Desired Min TX Interval, microseconds            |
//! |             Required Min RX Interval, microseconds            |
//! |           Required Min Echo RX Interval, microseconds         |
//! +---------------------------------------------------------------+
//! ```

use super::event::{Diagnostic, State};
use std::time::Duration;
use thiserror::Error;

/// The version of RFC 5880.
const VERSION: u8 = 1;

/// Length of a packet without authentication, bytes.
pub const LENGTH: usize = 24;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// A control packet without authentication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Why the sender's session went down last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// Asks for an answer with `last`.
    pub poll: bool,
    /// The F bit, Final: answers a poll.
    pub last: bool,
    /// The sender wants demand mode.
    pub demand: bool,
    /// So many intervals without a packet, and the sender is gone. Not 0.
    pub multiplier: u8,
    /// The sender's discriminator. Not 0.
    pub mine: u32,
    /// The receiver's, as far as the sender knows it; 0 only from one that is not up.
    pub yours: u32,
    /// Desired Min TX Interval.
    pub min_tx: Duration,
    /// Required Min RX Interval; zero: send me nothing.
    pub min_rx: Duration,
}

/// Why bytes are no packet that counts (RFC 5880 §6.8.6, in its order).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Flaw {
    /// Fewer bytes than a packet has, or than it says that it has.
    #[error("it is too short ({0} bytes)")]
    Short(usize),
    /// Another version.
    #[error("version {0}")]
    Version(u8),
    /// The length field is less than a packet has.
    #[error("its length field says {0}")]
    Length(u8),
    /// Detect Mult is 0.
    #[error("detect multiplier 0")]
    Multiplier,
    /// The M bit is set.
    #[error("multipoint bit set")]
    Multipoint,
    /// My Discriminator is 0.
    #[error("my discriminator 0")]
    Mine,
    /// Your Discriminator is 0 in a state that has seen us.
    #[error("your discriminator 0 in state {0}")]
    Yours(State),
    /// The A bit is set, and no session here has a key.
    #[error("it is authenticated, and authentication is not in use")]
    Authenticated,
}

impl Packet {
    /// Reads one.
    ///
    /// # Errors
    /// It is none that counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let Some(fixed) = bytes.first_chunk::<LENGTH>() else { return Err(Flaw::Short(bytes.len())) };
        let word = |at: usize| {
            let part = fixed.get(at..at + 4).and_then(|part| part.first_chunk::<4>());
            part.map_or(0, |part| u32::from_be_bytes(*part))
        };
        let interval = |at: usize| Duration::from_micros(u64::from(word(at)));
        let [first, second, multiplier, length, ..] = *fixed;
        let (mine, yours, state) = (word(4), word(8), State::from_wire(second >> 6));
        match () {
            () if first >> 5 != VERSION => Err(Flaw::Version(first >> 5)),
            () if usize::from(length) < LENGTH => Err(Flaw::Length(length)),
            () if usize::from(length) > bytes.len() => Err(Flaw::Short(bytes.len())),
            () if multiplier == 0 => Err(Flaw::Multiplier),
            () if second & MULTIPOINT != 0 => Err(Flaw::Multipoint),
            () if mine == 0 => Err(Flaw::Mine),
            () if yours == 0 && !matches!(state, State::Down | State::AdminDown) => Err(Flaw::Yours(state)),
            () if second & AUTHENTICATION != 0 => Err(Flaw::Authenticated),
            () => Ok(Self {
                diagnostic: Diagnostic::from_wire(first & 0x1f),
                state,
                poll: second & POLL != 0,
                last: second & FINAL != 0,
                demand: second & DEMAND != 0,
                multiplier,
                mine,
                yours,
                min_tx: interval(12),
                min_rx: interval(16),
            }),
        }
    }

    /// Its bytes. Intervals beyond 71 minutes, which the wire cannot say, are the longest that it can.
    pub fn bytes(&self) -> [u8; LENGTH] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let micros = |interval: Duration| u32::try_from(interval.as_micros()).unwrap_or(u32::MAX).to_be_bytes();
        let flags = flag(self.poll, POLL) | flag(self.last, FINAL) | flag(self.demand, DEMAND);
        let mut bytes = [0; LENGTH];
        let head = [VERSION << 5 | self.diagnostic.wire(), self.state.wire() << 6 | flags, self.multiplier, LENGTH as u8];
        // No echo: its interval stays 0.
        let words = [head, self.mine.to_be_bytes(), self.yours.to_be_bytes(), micros(self.min_tx), micros(self.min_rx)];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As keepalived 2.2.7 sent it, answering a poll: state Up, Final, multiplier 3, 50 ms both ways.
    const GOLDEN: [u8; LENGTH] = [
        0x20, 0xd0, 0x03, 0x18, 0x33, 0x7e, 0xa2, 0x01, 0x9d, 0x24, 0x51, 0xb7, 0x00, 0x00, 0xc3, 0x50, 0x00, 0x00, 0xc3, 0x50, 0, 0, 0, 0,
    ];

    fn golden() -> Packet {
        Packet {
            diagnostic: Diagnostic::None,
            state: State::Up,
            poll: false,
            last: true,
            demand: false,
            multiplier: 3,
            mine: 0x337e_a201,
            yours: 0x9d24_51b7,
            min_tx: Duration::from_millis(50),
            min_rx: Duration::from_millis(50),
        }
    }

    #[test]
    fn the_originals_bytes_are_read_and_written() {
        assert_eq!(Packet::parse(&GOLDEN), Ok(golden()));
        assert_eq!(golden().bytes(), GOLDEN);
    }

    #[test]
    fn each_flaw_of_the_rfc_is_found() {
        let with = |at: usize, byte: u8| {
            let mut bytes = GOLDEN;
            bytes[at] = byte;
            Packet::parse(&bytes)
        };
        assert_eq!(Packet::parse(&GOLDEN[..23]), Err(Flaw::Short(23)));
        assert_eq!(with(0, 0x40), Err(Flaw::Version(2)));
        assert_eq!(with(3, 23), Err(Flaw::Length(23)));
        assert_eq!(with(3, 25), Err(Flaw::Short(24)), "it says that it is longer than what arrived");
        assert_eq!(with(2, 0), Err(Flaw::Multiplier));
        assert_eq!(with(1, 0xd1), Err(Flaw::Multipoint));
        assert_eq!(with(1, 0xd4), Err(Flaw::Authenticated));
        let mut bytes = GOLDEN;
        bytes[4..8].fill(0);
        assert_eq!(Packet::parse(&bytes), Err(Flaw::Mine));
        let mut bytes = GOLDEN;
        bytes[8..12].fill(0);
        assert_eq!(Packet::parse(&bytes), Err(Flaw::Yours(State::Up)));
        bytes[1] = 0x40;
        assert_eq!(Packet::parse(&bytes).map(|packet| packet.state), Ok(State::Down));
    }

    #[test]
    fn what_stands_behind_the_packet_is_not_looked_at() {
        let mut bytes = GOLDEN.to_vec();
        bytes.extend([0xff; 8]);
        assert_eq!(Packet::parse(&bytes), Ok(golden()));
    }

    prop_compose! {
        fn any_packet()(
            (diagnostic, state, multiplier) in (0_u8..32, 0_u8..4, 1_u8..),
            (poll, last, demand) in any::<(bool, bool, bool)>(),
            (mine, yours) in (1_u32.., 1_u32..),
            (min_tx, min_rx) in any::<(u32, u32)>(),
        ) -> Packet {
            let interval = |micros| Duration::from_micros(u64::from(micros));
            let (diagnostic, state) = (Diagnostic::from_wire(diagnostic), State::from_wire(state));
            Packet { diagnostic, state, poll, last, demand, multiplier, mine, yours, min_tx: interval(min_tx), min_rx: interval(min_rx) }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(packet in any_packet()) {
            prop_assert_eq!(Packet::parse(&packet.bytes()), Ok(packet));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.mine != 0 && packet.multiplier != 0);
            }
        }
    }
}
