//! `virtual_server_group`: addresses, ranges, networks and firewall marks.

use super::super::{Line, Reader};
use super::{LEFT_OUT, bad};
use crate::config::number;
use crate::lvs::settings::GroupEntry;
use crate::syntax::Complaint;
use crate::types::{Family, IpPrefix};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) fn block(reader: &mut Reader, block: &Line<'_>) {
    let Some(name) = block.arg(0).map(ToString::to_string) else { return };
    let entries: Vec<_> = block.children.iter().filter_map(|line| group_entry(reader, line)).collect();
    let has = |family| entries.iter().any(|entry| entry.family() == Some(family));
    let (v4, v6) = (has(Family::V4), has(Family::V6));
    let mark = entries.iter().any(|entry| matches!(entry, GroupEntry::Mark(_, None)));
    if entries.is_empty() || (v4 && v6 && mark) {
        let why = if entries.is_empty() { "is empty" } else { "has IPv4, IPv6 and a fwmark without family" };
        let complaint = Complaint::error(block.span(), format!("virtual_server_group {name} {why}"));
        reader.complain(complaint.help("the group is left out".to_owned()));
        return;
    }
    reader.lvs.groups.insert(name, entries);
}

fn group_entry(reader: &mut Reader, line: &Line<'_>) -> Option<GroupEntry> {
    if &*line.word.text == "fwmark" {
        let mark = number::int(reader, line, 0, 1..=i64::from(u32::MAX), LEFT_OUT).and_then(|mark| u32::try_from(mark).ok())?;
        let family = match line.arg(1).map(|word| &*word.text) {
            Some("inet") => Some(Family::V4),
            Some("inet6") => Some(Family::V6),
            _ => None,
        };
        return Some(GroupEntry::Mark(mark, family));
    }
    let port = match line.arg(0) {
        None => 0,
        Some(_) => number::int(reader, line, 0, 0..=65535, LEFT_OUT).and_then(|port| u16::try_from(port).ok())?,
    };
    let Some((first, last)) = range(&line.word) else {
        let message = format!("virtual_server_group: invalid address or range {}", &*line.word);
        bad(reader, line.word.span, message, "ADDRESS, ADDRESS/LENGTH, FIRST-LAST");
        return None;
    };
    let size = crate::lvs::table::range(first, last).count() as u128;
    if size >= crate::lvs::table::RANGE_MAX {
        let message = format!("virtual_server_group: {} holds too many addresses", &*line.word);
        bad(reader, line.word.span, message, "fewer than 65536 addresses a line");
        return None;
    }
    Some(GroupEntry::Range { first, last, port })
}

/// `A`, `A/LEN`, `A-B` with whole addresses, `A.B.C.D-E` with the last part alone.
fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((address, length)) = text.split_once('/') {
        let prefix = IpPrefix::new(address.parse().ok()?, length.parse().ok()?)?;
        return network(prefix);
    }
    let Some((first, last)) = text.split_once('-') else {
        let address = text.parse().ok()?;
        return Some((address, address));
    };
    let first: IpAddr = first.parse().ok()?;
    let last = last.parse().ok().or_else(|| match first {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(Ipv4Addr::new(a, b, c, last.parse().ok()?).into())
        }
        IpAddr::V6(address) => {
            let low = u128::from(u16::from_str_radix(last, 16).ok()?);
            Some(Ipv6Addr::from_bits(address.to_bits() & !0xffff | low).into())
        }
    })?;
    (Family::of(&first) == Family::of(&last) && first <= last).then_some((first, last))
}

/// First and last address of a network without host bits.
fn network(prefix: IpPrefix) -> Option<(IpAddr, IpAddr)> {
    let host = u32::from(prefix.family().host_bits() - prefix.length());
    match prefix.address() {
        IpAddr::V4(address) => {
            let hosts = if host == 32 { u32::MAX } else { (1 << host) - 1 };
            (address.to_bits() & hosts == 0).then(|| (address.into(), Ipv4Addr::from_bits(address.to_bits() | hosts).into()))
        }
        IpAddr::V6(address) => {
            let hosts = if host == 128 { u128::MAX } else { (1 << host) - 1 };
            (address.to_bits() & hosts == 0).then(|| (address.into(), Ipv6Addr::from_bits(address.to_bits() | hosts).into()))
        }
    }
}
