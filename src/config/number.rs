//! Numbers and switches out of words, with the original's words about what is wrong with them.

use super::read::{Line, Reader};
use crate::syntax::{Complaint, Verdict};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Why a word is no number of the kind.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Bad {
    Invalid,
    Negative,
    Outside(String),
}

impl Bad {
    fn say(&self, word: &str) -> String {
        match self {
            Self::Invalid => format!("invalid number '{word}'"),
            Self::Negative => format!("negative number '{word}'"),
            Self::Outside(range) => format!("number '{word}' outside range {range}"),
        }
    }
}

fn integer(word: &str, range: &RangeInclusive<i64>) -> Result<i64, Bad> {
    let word = word.trim_start();
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Bad::Invalid);
    }
    if word.starts_with('-') && *range.start() >= 0 {
        return Err(Bad::Negative);
    }
    let outside = || Bad::Outside(format!("[{}, {}]", range.start(), range.end()));
    word.parse::<i64>().ok().filter(|value| range.contains(value)).ok_or_else(outside)
}

/// A decimal number of seconds in microseconds; further places are rounded half up.
fn micros(word: &str) -> Result<u64, Bad> {
    let word = word.trim_start().trim_start_matches('+');
    if let Some(rest) = word.strip_prefix('-') {
        return Err(if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') { Bad::Negative } else { Bad::Invalid });
    }
    let (whole, part) = word.split_once('.').unwrap_or((word, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return Err(Bad::Invalid);
    }
    let outside = || Bad::Outside("[0, 4294.967295]".to_owned());
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| outside())? };
    let kept: String = part.chars().chain("000000".chars()).take(6).collect();
    let up = u64::from(part.as_bytes().get(6).is_some_and(|digit| *digit >= b'5'));
    let fraction = kept.parse::<u64>().map_err(|_| Bad::Invalid)? + up;
    seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(fraction)).ok_or_else(outside)
}

/// An integer argument; a complaint and `None` when it is none, or outside `range`. `instead` says what happens then.
pub(super) fn int(reader: &mut Reader, line: &Line<'_>, number: usize, range: RangeInclusive<i64>, instead: &str) -> Option<i64> {
    let word = line.arg(number)?;
    match integer(word, &range) {
        Ok(value) => Some(value),
        Err(bad) => {
            let message = format!("{}: {}", &*line.word, bad.say(word));
            let complaint = Complaint::error(word.span, message).expected(format!("{}..{}", range.start(), range.end()));
            reader.complain(complaint.help(instead.to_owned()));
            None
        }
    }
}

/// An integer argument that fits a byte.
pub(super) fn byte(reader: &mut Reader, line: &Line<'_>, number: usize, range: RangeInclusive<u8>, instead: &str) -> Option<u8> {
    let range = i64::from(*range.start())..=i64::from(*range.end());
    int(reader, line, number, range, instead).and_then(|value| u8::try_from(value).ok())
}

/// An integer argument from 0 (or `least`) to 2^32 - 1.
pub(super) fn unsigned(reader: &mut Reader, line: &Line<'_>, least: u32, instead: &str) -> Option<u32> {
    int(reader, line, 0, i64::from(least)..=i64::from(u32::MAX), instead).and_then(|value| u32::try_from(value).ok())
}

/// Whole seconds.
pub(super) fn seconds(reader: &mut Reader, line: &Line<'_>, instead: &str) -> Option<Duration> {
    // The original holds them in microseconds in 32 bits.
    int(reader, line, 0, 0..=4294, instead).and_then(|value| u64::try_from(value).ok()).map(Duration::from_secs)
}

/// What a decimal argument may be, and how a bad one is taken.
pub(super) struct Decimal {
    /// Smallest and largest, in microseconds.
    pub(super) range: RangeInclusive<u64>,
    /// What happens when it is bad.
    pub(super) instead: &'static str,
    /// The usual zero of the tutorials: only a warning.
    pub(super) zero_is_usual: bool,
    /// `5s` is taken as 5 s, with a warning; the original leaves the line out.
    pub(super) unit: bool,
}

/// A decimal number of seconds.
pub(super) fn decimal(reader: &mut Reader, line: &Line<'_>, kind: &Decimal) -> Option<Duration> {
    decimal_at(reader, line, 0, kind)
}

/// The same, of the argument at that place.
pub(super) fn decimal_at(reader: &mut Reader, line: &Line<'_>, at: usize, kind: &Decimal) -> Option<Duration> {
    let word = line.arg(at)?;
    let shown = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let (low, high) = (shown(*kind.range.start()), shown(*kind.range.end()));
    let checked = |value: u64| if kind.range.contains(&value) { Ok(value) } else { Err(Bad::Outside(format!("[{low}, {high}]"))) };
    let short = |micros: u64| shown(micros).trim_end_matches('0').trim_end_matches('.').to_owned();
    let bad = match micros(word).and_then(checked) {
        Ok(value) => return Some(Duration::from_micros(value)),
        Err(bad) => bad,
    };
    let message = format!("{}: {}", &*line.word, bad.say(word));
    if let Some(value) = with_unit(word).filter(|value| kind.unit && kind.range.contains(value)) {
        let help = format!("the unit is taken: {} s (keepalived leaves the line out)", short(value));
        reader.complain(
            Complaint::warning(word.span, message).expected("seconds without a unit").help(help).rule("unit").fix(word.span, short(value)),
        );
        return Some(Duration::from_micros(value));
    }
    let zero = kind.zero_is_usual && micros(word) == Ok(0);
    let complaint = if zero {
        Complaint::warning(word.span, message).rule("zero-interval").fix(line.span(), "")
    } else {
        Complaint::error(word.span, message)
    };
    reader.complain(
        complaint
            .expected(format!("seconds, {} to {}", short(*kind.range.start()), short(*kind.range.end())))
            .help(kind.instead.to_owned()),
    );
    None
}

/// A decimal number of milliseconds; `range` is in microseconds.
pub(super) fn milliseconds(reader: &mut Reader, line: &Line<'_>, range: &RangeInclusive<u64>, instead: &str) -> Option<Duration> {
    let word = line.arg(0)?;
    let (low, high) = (range.start() / 1000, range.end() / 1000);
    let checked = |value: u64| if range.contains(&value) { Ok(value) } else { Err(Bad::Outside(format!("[{low}.000, {high}.000]"))) };
    let bad = match micros(word).and_then(|thousandfold| checked(thousandfold / 1000)) {
        Ok(value) => return Some(Duration::from_micros(value)),
        Err(bad) => bad,
    };
    let message = format!("{}: {}", &*line.word, bad.say(word));
    if let Some(value) = with_unit(word).filter(|value| range.contains(value)) {
        let shown = (value / 1000).to_string();
        let help = format!("the unit is taken: {shown} ms (keepalived leaves the line out)");
        let complaint = Complaint::warning(word.span, message).expected("milliseconds without a unit").help(help);
        reader.complain(complaint.rule("unit").fix(word.span, shown));
        return Some(Duration::from_micros(value));
    }
    reader.complain(Complaint::error(word.span, message).expected(format!("milliseconds, {low} to {high}")).help(instead.to_owned()));
    None
}

/// `5s`, `5sec`, `500ms` in microseconds.
fn with_unit(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value = micros(digits).ok()?;
    match word.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(value),
        "ms" | "msec" => Some(value / 1_000),
        "m" | "min" => value.checked_mul(60),
        _ => None,
    }
}

/// `[BOOL]`: alone it is true. `None`, with a complaint, for another word.
pub(super) fn switch(reader: &mut Reader, line: &Line<'_>, instead: &str) -> Option<bool> {
    let Some(word) = line.arg(0) else { return Some(true) };
    match &*word.text {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        other => {
            let message = format!("invalid {} {other} specified", &*line.word);
            let lower = other.to_ascii_lowercase();
            let help = match lower.as_str() {
                "on" | "true" | "yes" | "off" | "false" | "no" => format!("write '{lower}': case matters; {instead}"),
                _ => instead.to_owned(),
            };
            let complaint =
                Complaint::error(word.span, message).expected("on, off, true, false, yes or no").help(help).verdict(Verdict::Problem);
            let known = matches!(lower.as_str(), "on" | "true" | "yes" | "off" | "false" | "no");
            reader.complain(if known { complaint.fix(word.span, lower) } else { complaint });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_round_half_up_at_the_seventh_place() {
        assert_eq!(micros("1"), Ok(1_000_000));
        assert_eq!(micros("0.01"), Ok(10_000));
        assert_eq!(micros(".5"), Ok(500_000));
        assert_eq!(micros("1.0000005"), Ok(1_000_001));
        assert_eq!(micros("1.00000049"), Ok(1_000_000));
        assert_eq!(micros("5s"), Err(Bad::Invalid));
        assert_eq!(micros("-1"), Err(Bad::Negative));
        assert_eq!(micros(""), Err(Bad::Invalid));
        assert!(matches!(micros("99999999999999999999"), Err(Bad::Outside(_))));
    }

    #[test]
    fn integers_say_what_is_wrong() {
        assert_eq!(integer("255", &(1..=255)), Ok(255));
        assert_eq!(integer("256", &(1..=255)), Err(Bad::Outside("[1, 255]".to_owned())));
        assert_eq!(integer("-1", &(0..=255)), Err(Bad::Negative));
        assert_eq!(integer("-20", &(-20..=19)), Ok(-20));
        assert_eq!(integer("1x", &(0..=255)), Err(Bad::Invalid));
        assert_eq!(integer("99999999999999999999", &(0..=255)), Err(Bad::Outside("[0, 255]".to_owned())));
    }

    #[test]
    fn units_are_understood_where_tutorials_write_them() {
        assert_eq!(with_unit("5s"), Some(5_000_000));
        assert_eq!(with_unit("500ms"), Some(500_000));
        assert_eq!(with_unit("5x"), None);
    }
}
