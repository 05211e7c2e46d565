//! `vrrp_track_process`: which processes count, and what their number comes to (keepalived.conf(5), `vrrp_track_process`).

use crate::types::Instant;
use crate::vrrp::track::Reading;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// One `vrrp_track_process` block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProcessCheck {
    /// The block's name.
    pub name: String,
    /// `process`: its command, and its parameters when they matter.
    pub command: String,
    /// `process CMD ARG…`.
    pub parameters: Vec<String>,
    /// `param_match`.
    pub matching: ParameterMatch,
    /// `full_command`: compare with the whole command line's first word, not with the 15 bytes of comm.
    pub full_command: bool,
    /// `quorum`: fewest processes (1).
    pub quorum: u32,
    /// `quorum_max`: most processes; `None` is no limit.
    pub quorum_max: Option<u32>,
    /// `fork_delay`, `delay`: how long the quorum must stand before it counts as gained.
    pub gain_delay: Duration,
    /// `terminate_delay`, `delay`: how long it must be missing before it counts as lost.
    pub loss_delay: Duration,
}

/// `param_match`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ParameterMatch {
    /// Not compared.
    Ignored,
    /// All of them, no other.
    Exact,
    /// `initial`: they begin so, and the last of these may go on: `-f /etc` fits `-f /etc/h.cfg -D`.
    Initial,
    /// `partial`: the first ones are exactly these, more may follow.
    Partial,
}

impl ProcessCheck {
    /// Whether a process with this comm (15 bytes) and command line (NUL-separated words) counts.
    pub fn matches(&self, comm: &[u8], command_line: &[u8]) -> bool {
        let mut words = command_line.split(|byte| *byte == 0).collect::<Vec<_>>();
        if words.last().is_some_and(|last| last.is_empty()) {
            words.pop();
        }
        let (program, parameters) = match words.split_first() {
            Some((program, parameters)) => (*program, parameters),
            None => (&b""[..], &[][..]),
        };
        self.is_named(comm, program) && self.parameters_match(parameters)
    }

    /// Whether its name fits, whatever its parameters: comm (15 bytes), or the first word of its command line.
    pub fn is_named(&self, comm: &[u8], program: &[u8]) -> bool {
        let wanted = self.command.as_bytes();
        if self.full_command { program == wanted } else { comm == wanted.get(..15).unwrap_or(wanted) }
    }

    fn parameters_match(&self, actual: &[&[u8]]) -> bool {
        let wanted: Vec<&[u8]> = self.parameters.iter().map(String::as_bytes).collect();
        match self.matching {
            ParameterMatch::Ignored => true,
            ParameterMatch::Exact => actual == wanted,
            ParameterMatch::Partial => actual.starts_with(&wanted),
            ParameterMatch::Initial => match wanted.split_last() {
                None => true,
                Some((last, first)) => actual.starts_with(first) && actual.get(first.len()).is_some_and(|word| word.starts_with(last)),
            },
        }
    }

    fn is_quorate(&self, count: u32) -> bool {
        count >= self.quorum && self.quorum_max.is_none_or(|most| count <= most)
    }
}

/// One check, running: counts in, readings out, after the delays.
#[derive(Clone, Debug)]
pub struct ProcessWatch {
    check: Arc<ProcessCheck>,
    count: u32,
    good: bool,
    /// The state is about to change, then.
    pending: Option<Instant>,
}

impl ProcessWatch {
    /// What the first scan found counts at once.
    pub fn new(check: Arc<ProcessCheck>, count: u32) -> Self {
        let good = check.is_quorate(count);
        Self { check, count, good, pending: None }
    }

    /// What it was told.
    pub fn check(&self) -> &Arc<ProcessCheck> {
        &self.check
    }

    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// What it says now.
    pub const fn reading(&self) -> Reading {
        if self.good { Reading::Up } else { Reading::Down }
    }

    /// When it wants `deadline_reached`.
    pub const fn deadline(&self) -> Option<Instant> {
        self.pending
    }

    /// There are so many now. The new reading, if it changed.
    pub fn counted(&mut self, now: Instant, count: u32) -> Option<Reading> {
        self.count = count;
        let quorate = self.check.is_quorate(count);
        if quorate == self.good {
            self.pending = None;
            return None;
        }
        let delay = if quorate { self.check.gain_delay } else { self.check.loss_delay };
        let due = *self.pending.get_or_insert(now + delay);
        self.settle(now, due)
    }

    /// Time has passed. The new reading, if it changed.
    pub fn deadline_reached(&mut self, now: Instant) -> Option<Reading> {
        self.pending.and_then(|due| self.settle(now, due))
    }

    fn settle(&mut self, now: Instant, due: Instant) -> Option<Reading> {
        if now < due {
            return None;
        }
        self.pending = None;
        self.good = !self.good;
        Some(self.reading())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> ProcessCheck {
        ProcessCheck {
            name: "p".into(),
            command: "haproxy".into(),
            parameters: Vec::new(),
            matching: ParameterMatch::Ignored,
            full_command: false,
            quorum: 1,
            quorum_max: None,
            gain_delay: Duration::ZERO,
            loss_delay: Duration::ZERO,
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn comm_is_compared_in_15_bytes_and_the_full_command_whole() {
        let long = ProcessCheck { command: "a_very_long_program_name".into(), ..check() };
        assert!(long.matches(b"a_very_long_pro", b"/usr/bin/other\0"));
        let full = ProcessCheck { command: "/usr/sbin/haproxy".into(), full_command: true, ..check() };
        assert!(full.matches(b"haproxy", b"/usr/sbin/haproxy\0-f\0x\0"));
        assert!(!full.matches(b"haproxy", b"haproxy\0"));
        assert!(check().matches(b"haproxy", b""));
    }

    #[test]
    fn parameters_match_exactly_initially_or_in_part() {
        let with = |matching, parameters: &[&str]| ProcessCheck {
            matching,
            parameters: parameters.iter().map(ToString::to_string).collect(),
            ..check()
        };
        let line = b"haproxy\0-f\0/etc/h.cfg\0-D\0";
        assert!(with(ParameterMatch::Exact, &["-f", "/etc/h.cfg", "-D"]).matches(b"haproxy", line));
        assert!(!with(ParameterMatch::Exact, &["-f"]).matches(b"haproxy", line));
        assert!(with(ParameterMatch::Partial, &["-f", "/etc/h.cfg"]).matches(b"haproxy", line));
        assert!(!with(ParameterMatch::Partial, &["-f", "/etc"]).matches(b"haproxy", line));
        assert!(!with(ParameterMatch::Partial, &["-D"]).matches(b"haproxy", line));
        assert!(with(ParameterMatch::Initial, &["-f", "/etc/h.cfg"]).matches(b"haproxy", line));
        assert!(with(ParameterMatch::Initial, &["-f", "/etc"]).matches(b"haproxy", line));
        assert!(!with(ParameterMatch::Initial, &["-D"]).matches(b"haproxy", line));
        assert!(!with(ParameterMatch::Initial, &["-f", "/etc/h.cfg", "-D", "-x"]).matches(b"haproxy", line));
        assert!(with(ParameterMatch::Initial, &[]).matches(b"haproxy", line));
        assert!(!with(ParameterMatch::Exact, &[]).matches(b"haproxy", line));
    }

    #[test]
    fn the_quorum_has_two_ends() {
        let mut watch = ProcessWatch::new(Arc::new(ProcessCheck { quorum: 2, quorum_max: Some(3), ..check() }), 1);
        assert_eq!(watch.reading(), Reading::Down);
        assert_eq!(watch.counted(at(0), 2), Some(Reading::Up));
        assert_eq!(watch.counted(at(0), 3), None);
        assert_eq!(watch.counted(at(0), 4), Some(Reading::Down));
    }

    #[test]
    fn a_short_gap_is_forgiven() {
        let mut watch = ProcessWatch::new(Arc::new(ProcessCheck { loss_delay: Duration::from_millis(500), ..check() }), 1);
        assert_eq!(watch.counted(at(0), 0), None);
        assert_eq!(watch.deadline(), Some(at(500)));
        assert_eq!(watch.counted(at(300), 1), None);
        assert_eq!(watch.deadline(), None);
        watch.counted(at(1000), 0);
        assert_eq!(watch.deadline_reached(at(1499)), None);
        assert_eq!(watch.deadline_reached(at(1500)), Some(Reading::Down));
        assert_eq!(watch.counted(at(1600), 1), Some(Reading::Up));
    }

    #[test]
    fn no_process_at_all_can_be_what_is_wanted() {
        let none = ProcessWatch::new(Arc::new(ProcessCheck { quorum: 0, quorum_max: Some(0), ..check() }), 0);
        assert_eq!(none.reading(), Reading::Up);
    }
}
