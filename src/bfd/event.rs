//! What happens to a session, what it orders, what it says, and what a successor must know of it.

use super::intervals::Intervals;
use super::packet::Packet;
use super::settings::Settings;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// bfd.SessionState (RFC 5880 §4.1, Sta).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum State {
    /// Taken out of service by its administrator.
    AdminDown,
    /// The neighbour is not heard, or does not hear us.
    #[default]
    Down,
    /// The neighbour is heard; whether it hears us is not known.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// Of the two bits on the wire.
    pub const fn from_wire(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    /// The two bits.
    pub const fn wire(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        })
    }
}

/// Why a session left Up (RFC 5880 §4.1, Diag).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Diagnostic {
    /// 0.
    #[default]
    None,
    /// 1: nothing was heard for the detection time.
    Expired,
    /// 2.
    EchoFailed,
    /// 3: the neighbour says that it is down.
    Signaled,
    /// 4.
    PlaneReset,
    /// 5.
    PathDown,
    /// 6.
    ConcatenatedPathDown,
    /// 7.
    AdminDown,
    /// 8.
    ReverseConcatenatedPathDown,
    /// One that RFC 5880 reserves, 9..=31.
    Reserved(u8),
}

/// By number, with the words that the original has for them.
const DIAGNOSTICS: [(Diagnostic, &str); 9] = [
    (Diagnostic::None, "No Diagnostic"),
    (Diagnostic::Expired, "Control Detection Time Expired"),
    (Diagnostic::EchoFailed, "Echo Function Failed"),
    (Diagnostic::Signaled, "Neighbor Signaled Session Down"),
    (Diagnostic::PlaneReset, "Forwarding Plane Reset"),
    (Diagnostic::PathDown, "Path Down"),
    (Diagnostic::ConcatenatedPathDown, "Concatenated Path Down"),
    (Diagnostic::AdminDown, "Administratively Down"),
    (Diagnostic::ReverseConcatenatedPathDown, "Reverse Concatenated Path Down"),
];

impl Diagnostic {
    /// Of the five bits on the wire.
    pub fn from_wire(bits: u8) -> Self {
        let bits = bits & 0x1f;
        DIAGNOSTICS.get(usize::from(bits)).map_or(Self::Reserved(bits), |(diagnostic, _)| *diagnostic)
    }

    /// The five bits.
    pub fn wire(self) -> u8 {
        match self {
            Self::Reserved(bits) => bits & 0x1f,
            named => DIAGNOSTICS.iter().zip(0..).find(|((diagnostic, _), _)| *diagnostic == named).map_or(0, |(_, number)| number),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = DIAGNOSTICS.iter().find(|(diagnostic, _)| diagnostic == self).map(|(_, words)| *words);
        f.write_str(words.unwrap_or("Unknown"))
    }
}

/// What happens to a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A packet of its neighbour arrived, and is for it.
    Received(Packet),
    /// What `deadline` said has come, and no packet of the neighbour waits to be read.
    DeadlineReached,
    /// A reload changed its settings; it is still the same session.
    Replaced(Arc<Settings>),
}

/// What a session orders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send this to the neighbour.
    Send(Packet),
    /// It came up, or went down: tell who listens. A neighbour that was taken out of service is no failure (RFC 5882 §4.2).
    Tell {
        /// Whether it is up.
        up: bool,
    },
    /// For the log.
    Say(Note),
}

/// What a session says, without its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// It is in another state.
    Entering {
        /// Which.
        state: State,
        /// Why, when it is Down.
        diagnostic: Diagnostic,
        /// What the neighbour said of its own last change.
        remote: Diagnostic,
    },
    /// Nothing was heard for this long.
    Expired {
        /// The detection time.
        after: Duration,
        /// How much later than that it was noticed.
        overdue: Duration,
    },
    /// New intervals are agreed upon.
    PollStarted,
    /// The parameters of either end changed.
    Parameters(Parameters),
    /// The detection time is another one.
    DetectionTime {
        /// Now.
        now: Duration,
        /// Before.
        was: Duration,
    },
}

impl Note {
    /// Whether it is for those who want detail (`-D`).
    pub const fn is_detail(&self) -> bool {
        match self {
            Self::PollStarted | Self::Parameters(_) => true,
            Self::Entering { state, .. } => matches!(state, State::Init),
            Self::Expired { .. } | Self::DetectionTime { .. } => false,
        }
    }

    /// Its lines, as the original writes them of a session of that name.
    pub fn lines(&self, name: &str) -> Vec<String> {
        match self {
            Self::Entering { state: State::Down, diagnostic, remote } => {
                vec![format!("({name}) Entering Down state (Local diagnostic - {diagnostic}, Remote diagnostic - {remote})")]
            }
            Self::Entering { state, .. } => vec![format!("({name}) Entering {state} state")],
            Self::Expired { after, overdue } => {
                vec![format!("({name}) Expired after {} ms ({} usec overdue)", after.as_millis(), overdue.as_micros())]
            }
            Self::PollStarted => vec![format!("({name}) Starting poll sequence")],
            Self::Parameters(parameters) => parameters.lines(name),
            Self::DetectionTime { now, was } => {
                vec![format!("{:1$}Detection time is {2} us (was {3} us)", "", name.len() + 3, now.as_micros(), was.as_micros())]
            }
        }
    }
}

/// Both ends' intervals at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    /// Ours.
    pub local: End,
    /// The neighbour's.
    pub remote: End,
}

/// One end's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// Desired Min TX Interval.
    pub min_tx: Duration,
    /// Required Min RX Interval.
    pub min_rx: Duration,
    /// How often it sends.
    pub tx: Duration,
    /// Its detect multiplier.
    pub multiplier: u8,
    /// How long it waits.
    pub detection: Duration,
}

impl Parameters {
    fn lines(&self, name: &str) -> Vec<String> {
        // Below the name, as the original has it.
        let margin = " ".repeat(name.len() + 3);
        let row = |title: &str, end: &End| {
            let micros = |time: Duration| time.as_micros();
            let (tx, rx, interval) = (micros(end.min_tx), micros(end.min_rx), micros(end.tx));
            format!("{margin}{title:<6}  {tx:>7}{rx:>8}{interval:>9}{:>6}{:>13}", end.multiplier, micros(end.detection))
        };
        vec![
            format!("({name}) ---------------< Session parameters >--------------"),
            format!("{margin}         min_tx  min_rx  tx_intv  mult  detect_time"),
            row("local", &self.local),
            row("remote", &self.remote),
        ]
    }
}

/// What a successor must know to go on with a session as if nothing had happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its state.
    pub state: State,
    /// Whether it is up for those who listen.
    pub up: bool,
    /// Why it went down last.
    pub diagnostic: Diagnostic,
    /// bfd.LocalDiscr.
    pub discriminator: u32,
    /// Our intervals.
    pub intervals: Intervals,
    /// What is known of the neighbour.
    pub remote: Remote,
    /// The port that its packets leave from: the same for as long as it lives (RFC 5881 §4); 0 before the first.
    pub port: u16,
}

/// What is known of the neighbour, by its last packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remote {
    /// bfd.RemoteDiscr; 0 when it is not known.
    pub discriminator: u32,
    /// bfd.RemoteSessionState.
    pub state: State,
    /// Its diagnostic.
    pub diagnostic: Diagnostic,
    /// bfd.RemoteDemandMode.
    pub demand: bool,
    /// Its detect multiplier; 0 when it is not known.
    pub multiplier: u8,
    /// Its Desired Min TX Interval.
    pub min_tx: Duration,
    /// bfd.RemoteMinRxInterval (1 µs before it is known).
    pub min_rx: Duration,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            discriminator: 0,
            state: State::Down,
            diagnostic: Diagnostic::None,
            demand: false,
            multiplier: 0,
            min_tx: Duration::ZERO,
            min_rx: Duration::from_micros(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_wire_comes_back() {
        for bits in 0..4 {
            assert_eq!(State::from_wire(bits).wire(), bits);
        }
        for bits in 0..32 {
            assert_eq!(Diagnostic::from_wire(bits).wire(), bits);
        }
        assert_eq!(Diagnostic::from_wire(1).to_string(), "Control Detection Time Expired");
        assert_eq!(Diagnostic::from_wire(9).to_string(), "Unknown");
    }

    #[test]
    fn lines_are_those_that_people_grep_for() {
        let line = |note: Note| note.lines("peer").join("|");
        let entering = |state| Note::Entering { state, diagnostic: Diagnostic::Expired, remote: Diagnostic::None };
        assert_eq!(line(entering(State::Up)), "(peer) Entering Up state");
        assert_eq!(
            line(entering(State::Down)),
            "(peer) Entering Down state (Local diagnostic - Control Detection Time Expired, Remote diagnostic - No Diagnostic)"
        );
        let expired = Note::Expired { after: Duration::from_millis(150), overdue: Duration::from_micros(146) };
        assert_eq!(line(expired), "(peer) Expired after 150 ms (146 usec overdue)");
        let end = End { min_tx: IDLE, min_rx: Duration::from_millis(50), tx: IDLE, multiplier: 3, detection: IDLE * 3 };
        let lines = Note::Parameters(Parameters { local: end, remote: end }).lines("peer");
        assert_eq!(lines[2], "       local   1000000   50000  1000000     3      3000000");
        assert_eq!(lines[1].len(), lines[2].len());
    }

    const IDLE: Duration = Duration::from_secs(1);
}
