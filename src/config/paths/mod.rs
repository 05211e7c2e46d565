//! Routes and rules: the lines of `virtual_routes`, `static_routes`, `virtual_rules` and `static_rules` (keepalived.conf(5), ip-route(8), ip-rule(8)).

mod hops;
mod numbers;
mod route;
mod rule;
mod tables;
#[cfg(test)]
mod tests;

pub(super) use route::parse as route;
pub(super) use rule::parse as rule;
pub(super) use tables::{Name, Tables};

use super::read::{Line, Reader};
use crate::syntax::{Complaint, Span, Verdict, Word};
use crate::types::{Family, IpPrefix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a line belongs to an instance or to the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// `virtual_*`.
    Instance,
    /// `static_*`, which a `track_group` may follow.
    Host,
}

/// The words of a line, one after the other.
struct Cursor<'l, 's> {
    line: &'l Line<'s>,
    next: usize,
    /// For messages: `'DESTINATION [via …]'`.
    usage: &'static str,
}

/// The line cannot be used, and why has been said.
struct Refused;

type Parsed<T> = Result<T, Refused>;

impl<'l, 's> Cursor<'l, 's> {
    const fn new(line: &'l Line<'s>, usage: &'static str) -> Self {
        Self { line, next: 0, usage }
    }

    fn peek(&self) -> Option<&'l Word<'s>> {
        if self.next == 0 { Some(&self.line.word) } else { self.line.arg(self.next - 1) }
    }

    fn take(&mut self) -> Option<&'l Word<'s>> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// Takes the next word when it is this one.
    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|word| &*word.text == wanted);
        self.next += usize::from(found);
        found
    }

    /// What must follow a keyword: without it the original does not start.
    fn value(&mut self, reader: &mut Reader) -> Parsed<&'l Word<'s>> {
        let before = self.next;
        self.take().ok_or_else(|| {
            let last = self.line.words().last().unwrap_or(&self.line.word);
            let message = format!("'{}' is missing a parameter at word position {}", &**last, before + 1);
            reader.complain(Complaint::error(last.span, message).expected(self.usage).verdict(Verdict::ArgumentMissing));
            Refused
        })
    }
}

/// Says that a line is left out, and why.
fn refuse(reader: &mut Reader, span: Span, message: String, expected: &str) -> Refused {
    let complaint = Complaint::error(span, message).help("the line is left out".to_owned());
    reader.complain(if expected.is_empty() { complaint } else { complaint.expected(expected) });
    Refused
}

/// An address, perhaps with a prefix length; `default`, `any` and `all` of a family that something else will tell are `None`.
fn prefix(reader: &mut Reader, word: &Word<'_>, what: &str) -> Parsed<Option<IpPrefix>> {
    if matches!(&*word.text, "default" | "any" | "all") {
        return Ok(None);
    }
    let (text, length) = word.split_once('/').map_or((&**word, None), |(text, length)| (text, Some(length)));
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(refuse(reader, word.span, format!("{what} {}", &**word), "ADDRESS[/LENGTH] or default"));
    };
    let bits = Family::of(&address).host_bits();
    let length = match length.map(|length| (length, length.parse::<u8>())) {
        None => bits,
        Some((_, Ok(number))) if number <= bits => number,
        Some((written, _)) => {
            let message = format!("Invalid address prefix len {written} for address {} - using {bits}", &**word);
            reader.complain(Complaint::error(word.span, message).expected(format!("0..{bits}")));
            bits
        }
    };
    Ok(IpPrefix::new(address, length))
}

/// `default` of a family.
const fn everything(family: Family) -> IpPrefix {
    IpPrefix::host(match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    })
    .with_length(0)
}

/// `inet`, `inet6`.
fn family_word(word: &str) -> Option<Family> {
    match word {
        "inet" => Some(Family::V4),
        "inet6" => Some(Family::V6),
        _ => None,
    }
}

/// An address after `via`, `src` and the like, with the family before it.
fn address(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, what: &str) -> Parsed<IpAddr> {
    let mut word = cursor.value(reader)?;
    let family = family_word(word);
    if family.is_some() {
        word = cursor.value(reader)?;
    }
    match word.parse::<IpAddr>() {
        Ok(address) if family.is_none_or(|family| family == Family::of(&address)) => Ok(address),
        Ok(_) => Err(refuse(reader, word.span, "Cannot mix IPv4 and IPv6 addresses for route".to_owned(), "")),
        Err(_) => Err(refuse(reader, word.span, format!("{what} {}", &**word), "an address without prefix")),
    }
}

/// What follows `track_group`; whether there is such a group is seen when all is read.
fn track_group(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<(String, Span)> {
    let word = cursor.value(reader)?;
    reader.group_uses.push((word.to_string(), word.span));
    Ok((word.to_string(), word.span))
}
