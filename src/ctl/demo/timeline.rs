//! What the demonstration prints: one line an event, milliseconds since the start in front.

use crate::ctl::lab::now;
use crate::types::Instant;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// How a word looks on a terminal; elsewhere it is only the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// Something works.
    Good,
    /// Something died or failed.
    Bad,
    /// Explanations.
    Quiet,
    /// Headings and results.
    Strong,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "\x1b[1;32m",
            Self::Bad => "\x1b[1;31m",
            Self::Quiet => "\x1b[2m",
            Self::Strong => "\x1b[1m",
        }
    }
}

/// Prints to standard output as things happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    start: Instant,
    colours: bool,
}

impl Timeline {
    /// Starts now; colours only on a terminal, and not when `NO_COLOR` is set to anything (no-color.org).
    pub(super) fn start() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { start: now(), colours: std::io::stdout().is_terminal() && !refused }
    }

    /// `text` as it shall look.
    pub(super) fn paint(&self, look: Look, text: impl fmt::Display) -> String {
        if self.colours { format!("{}{text}\x1b[0m", look.code()) } else { text.to_string() }
    }

    /// Something that happened at `when`.
    pub(super) fn at(&self, when: Instant, text: impl fmt::Display) {
        let since = when.since(self.start);
        self.line(format_args!("{} {text}", self.paint(Look::Quiet, format_args!("{:>8} ms", grouped(since.as_millis())))));
    }

    /// Something that happens now.
    pub(super) fn now(&self, text: impl fmt::Display) {
        self.at(now(), text);
    }

    /// A heading before the next act.
    pub(super) fn heading(&self, text: impl fmt::Display) {
        self.line(format_args!("\n{}", self.paint(Look::Strong, text)));
    }

    /// A line without a time. A reader that went away (`| head`) is no reason to stop before everything is cleaned up.
    pub(super) fn line(&self, text: impl fmt::Display) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// Digits in groups of three: `12 345`.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Whole milliseconds for a reader: `3 609 ms`.
pub(super) fn millis(span: Duration) -> String {
    format!("{} ms", grouped(span.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1 000");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }

    #[test]
    fn without_colours_a_word_is_only_the_word() {
        let plain = Timeline { start: Instant::default(), colours: false };
        assert_eq!(plain.paint(Look::Bad, "died"), "died");
        let coloured = Timeline { start: Instant::default(), colours: true };
        assert_eq!(coloured.paint(Look::Bad, "died"), "\x1b[1;31mdied\x1b[0m");
    }
}
