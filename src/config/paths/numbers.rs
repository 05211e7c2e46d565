//! Numbers of routes and rules, as strictly as the original takes each.

use super::{Cursor, Name, Parsed, Reader, Tables, refuse};
use crate::syntax::{Complaint, Word};
use std::ops::RangeInclusive;

/// Longest time of a route: two minutes, milliseconds.
const LONGEST_MS: u32 = 120_000;
/// Shortest time of a route, milliseconds (TCP_RTO_MIN).
const SHORTEST_MS: u32 = 200;

/// `16`, `0x10`, `020`.
pub(super) fn any_base(word: &str) -> Option<u64> {
    match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => u64::from_str_radix(word.get(2..)?, 16).ok(),
        [b'0', _, ..] => u64::from_str_radix(word, 8).ok(),
        _ => word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?,
    }
}

/// A decimal number after a keyword; `what` names it in the complaint.
pub(super) fn decimal(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, range: RangeInclusive<u32>, what: &str) -> Parsed<u32> {
    let word = cursor.value(reader)?;
    match word.parse::<u32>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(refuse(reader, word.span, what.replace("{}", word), &format!("{}..{}", range.start(), range.end()))),
    }
}

/// A number or a name of `/etc/iproute2` after a keyword.
pub(super) fn named(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, name: Name, most: u32, what: &str) -> Parsed<u32> {
    let word = cursor.value(reader)?;
    reader.tables.number(name, word, most).ok_or_else(|| {
        let file = match name {
            Name::Table => "a number, or a name of /etc/iproute2/rt_tables",
            Name::Scope => "global, site, link, host, nowhere or 0..255",
            Name::Protocol => "a number below 256, or a name of /etc/iproute2/rt_protos",
            Name::Realm => "a number, or a name of /etc/iproute2/rt_realms",
            Name::Tos => "0..255, or a name of /etc/iproute2/rt_dsfield",
            Name::Group => "a number, or a name of /etc/iproute2/group",
        };
        refuse(reader, word.span, what.replace("{}", word), file)
    })
}

/// `[FROM/]TO`: the source realm in the upper half.
pub(super) fn realms(tables: &Tables, word: &Word<'_>) -> Option<u32> {
    let half = |text: &str| tables.number(Name::Realm, text, 0xffff);
    match word.split_once('/') {
        Some((from, to)) => Some(half(from)? << 16 | half(to)?),
        None => half(word),
    }
}

/// `200`, `200ms`, `1.5s`: milliseconds. Too short or too long is told and corrected.
pub(super) fn time(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, keyword: &str) -> Parsed<u32> {
    let word = cursor.value(reader)?;
    let lower = word.to_ascii_lowercase();
    let (number, places) = match (lower.strip_suffix("ms"), lower.strip_suffix('s')) {
        (Some(number), _) => (number, 0),
        (None, Some(number)) => (number, 3),
        (None, None) => (lower.as_str(), 0),
    };
    let Some(thousandths) = fixed_point(number) else {
        let message = format!("Invalid {keyword} {} for route", &**word);
        return Err(refuse(reader, word.span, message, "milliseconds, or a number with 's' or 'ms' behind it"));
    };
    let exact = if places == 3 { thousandths } else { thousandths.div_ceil(1000) };
    if places == 0 && thousandths % 1000 != 0 {
        let message = format!("number '{number}' has too many decimal places");
        reader.complain(Complaint::error(word.span, message).expected("whole milliseconds").help("it is rounded up".to_owned()));
    }
    let milliseconds = u32::try_from(exact).unwrap_or(u32::MAX);
    let limited = milliseconds.clamp(SHORTEST_MS, LONGEST_MS);
    if limited > milliseconds {
        let message = format!("{keyword} value {milliseconds}ms below minimum {SHORTEST_MS}ms, resetting");
        reader.complain(Complaint::note(word.span, message));
    } else if limited < milliseconds {
        let message = format!("{keyword} value {milliseconds}ms above maximum {LONGEST_MS}ms, resetting");
        reader.complain(Complaint::note(word.span, message));
    }
    Ok(limited)
}

/// A decimal number in thousandths; nothing but digits and one point.
fn fixed_point(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 || whole.len() > 9 {
        return None;
    }
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? } * 1000 + fraction.parse::<u64>().ok()?)
}

/// `A-B`.
pub(super) fn range<T: std::str::FromStr>(word: &str) -> Option<(T, T)> {
    let (first, last) = word.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
