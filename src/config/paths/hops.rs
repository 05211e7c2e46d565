//! Where a route leads: `nexthop`, `or`, `encap`.

use super::numbers::{any_base, decimal, named, realms};
use super::{Cursor, Name, Parsed, address, refuse};
use crate::config::read::Reader;
use crate::syntax::Complaint;
use crate::types::Family;
use crate::vrrp::route::{Encap, NextHop};
use std::net::IpAddr;

/// Largest MPLS label: 20 bits.
const LABEL: u32 = (1 << 20) - 1;

/// Every `nexthop …` to the end of the line; the first has been met.
pub(super) fn all(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, family: &mut Option<Family>) -> Parsed<Vec<NextHop>> {
    let mut hops = Vec::new();
    while cursor.takes("nexthop") {
        hops.push(hop(reader, cursor, family)?);
    }
    if let Some(word) = cursor.peek() {
        let message = format!("Route has trailing nonsense after nexthops - {}", &**word);
        let complaint =
            Complaint::error(word.span, message).expected("'nexthop [via A] [dev IF] [weight N] [onlink] [encap …] [realms R]'");
        reader.complain(complaint.help("the rest of the line is left out".to_owned()));
    }
    Ok(hops)
}

fn hop(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, family: &mut Option<Family>) -> Parsed<NextHop> {
    let mut hop = NextHop { via: None, device: None, weight: 0, onlink: false, encap: None, realms: None };
    while let Some(word) = cursor.peek() {
        match &*word.text {
            "via" => {
                cursor.take();
                let via = address(reader, cursor, "invalid nexthop address")?;
                let own = Family::of(&via);
                if *family.get_or_insert(own) != own {
                    return Err(refuse(reader, word.span, "Address family mismatch for next hop".to_owned(), ""));
                }
                hop.via = Some(via);
            }
            "dev" | "oif" => {
                cursor.take();
                hop.device = Some(interface(reader, cursor)?);
            }
            "weight" => {
                cursor.take();
                let weight = decimal(reader, cursor, 1..=256, "Invalid weight {} specified for route")?;
                hop.weight = u16::try_from(weight).unwrap_or(1);
            }
            "onlink" => {
                cursor.take();
                hop.onlink = true;
            }
            "encap" => {
                cursor.take();
                hop.encap = encap(reader, cursor)?;
            }
            "realms" => {
                cursor.take();
                let word = cursor.value(reader)?;
                hop.realms = realms(&reader.tables, word);
                if hop.realms.is_none() {
                    return Err(refuse(reader, word.span, format!("Invalid realms {} for nexthop", &**word), "[FROM/]TO"));
                }
            }
            _ => break,
        }
    }
    Ok(hop)
}

/// The name of an interface that must be there.
pub(super) fn interface(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<String> {
    let word = cursor.value(reader)?;
    reader.uses_interface(word, |_| "VROUTE nexthop".to_owned());
    Ok(word.to_string())
}

/// What follows `encap`; `None`, with a complaint, for one that is left out.
pub(super) fn encap(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<Option<Encap>> {
    let kind = cursor.value(reader)?;
    match &*kind.text {
        "mpls" => {
            let word = cursor.value(reader)?;
            let labels: Option<Vec<u32>> = word.split('/').map(|label| label.parse().ok().filter(|label| *label <= LABEL)).collect();
            labels.map(|labels| Some(Encap::Mpls(labels))).ok_or_else(|| {
                let message = format!("invalid mpls address {} for encapsulation", &**word);
                refuse(reader, word.span, message, "LABEL[/LABEL …], each 0..1048575")
            })
        }
        "ila" => {
            let word = cursor.value(reader)?;
            locator(word).map(|locator| Some(Encap::Ila(locator))).ok_or_else(|| {
                let message = format!("invalid locator {} for ila encapsulation", &**word);
                refuse(reader, word.span, message, "four groups of hexadecimal digits: 1:2:3:4")
            })
        }
        "ip" => tunnel(reader, cursor, Family::V4),
        "ip6" => tunnel(reader, cursor, Family::V6),
        other => Err(refuse(reader, kind.span, format!("Unknown encap type - {other}"), "mpls, ip, ip6 or ila")),
    }
}

fn locator(word: &str) -> Option<u64> {
    let groups: Option<Vec<u16>> = word.split(':').map(|group| u16::from_str_radix(group, 16).ok()).collect();
    groups.filter(|groups| groups.len() == 4).map(|groups| groups.iter().fold(0, |sum, group| sum << 16 | u64::from(*group)))
}

fn tunnel(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, family: Family) -> Parsed<Option<Encap>> {
    let v4 = family == Family::V4;
    let kind = if v4 { "ip" } else { "ip6" };
    let (mut id, mut destination, mut source, mut tos, mut ttl, mut flags) = (None, None, None, None, None, None);
    let start = cursor.peek().map_or_else(|| cursor.line.span(), |word| word.span);
    while let Some(word) = cursor.peek() {
        match (&*word.text, v4) {
            ("id", _) => {
                cursor.take();
                id = Some(number(reader, cursor, u64::MAX, &format!("Invalid encap {kind} id {{}}"))?);
            }
            (end @ ("dst" | "src"), _) => {
                cursor.take();
                let address = end_of(reader, cursor, family, &format!("Invalid encap {kind} {end}"))?;
                *(if end == "dst" { &mut destination } else { &mut source }) = Some(address);
            }
            ("tos", true) | ("tc", false) => {
                cursor.take();
                let number = named(reader, cursor, Name::Tos, 255, &format!("Invalid encap {kind} tos {{}}"))?;
                tos = u8::try_from(number).ok();
            }
            ("ttl", true) | ("hoplimit", false) => {
                cursor.take();
                ttl = u8::try_from(decimal(reader, cursor, 0..=255, &format!("Invalid encap {kind} ttl {{}}"))?).ok();
            }
            ("flags", _) => {
                cursor.take();
                let number = number(reader, cursor, 0xffff, &format!("Invalid encap {kind} flags {{}}"))?;
                flags = u16::try_from(number).ok();
            }
            _ => break,
        }
    }
    if id.is_none() && destination.is_none() {
        let message = format!("address or id missing for {kind} encapsulation");
        reader.complain(Complaint::error(start, message).expected("'id N' or 'dst ADDRESS'"));
    }
    Ok(Some(Encap::Tunnel { family, id, destination, source, tos, ttl, flags }))
}

fn number(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, most: u64, what: &str) -> Parsed<u64> {
    let word = cursor.value(reader)?;
    any_base(word).filter(|number| *number <= most).ok_or_else(|| refuse(reader, word.span, what.replace("{}", word), "a number"))
}

fn end_of(reader: &mut Reader, cursor: &mut Cursor<'_, '_>, family: Family, what: &str) -> Parsed<IpAddr> {
    let word = cursor.value(reader)?;
    let address = word.parse::<IpAddr>().ok().filter(|address| Family::of(address) == family);
    address.ok_or_else(|| refuse(reader, word.span, format!("{what} {}", &**word), &format!("an {family} address")))
}

/// `or ADDRESS`: the old way to name a second gateway.
pub(super) fn or(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Parsed<IpAddr> {
    let word = cursor.line.words().nth(cursor.next.saturating_sub(1)).unwrap_or(&cursor.line.word);
    reader.complain(Complaint::warning(word.span, "\"or\" for routes is deprecated. Please use \"nexthop\""));
    address(reader, cursor, "Invalid \"or\" address")
}
