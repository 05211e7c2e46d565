//! The list blocks of `vrrp_instance`: addresses, peers, tracked interfaces.

use super::instance::{about, joins, unicast};
use super::{Line, Reader, vmac};
use crate::config::address;
use crate::syntax::{Complaint, Word};
use crate::vrrp::settings::{Peer, TrackInterface, VirtualAddress};
use std::collections::HashSet;
use std::net::IpAddr;

pub(crate) fn virtual_ipaddress(reader: &mut Reader, block: &Line<'_>) {
    let mut seen = seen(&reader.instance().addresses);
    for line in &block.children {
        let Some(address) = address::parse(reader, line) else { continue };
        if !joins(reader, &address.prefix.address()) {
            let message = about(reader, format!("address family must match VRRP instance [{}] - ignoring", address.prefix.address()));
            let help = "one instance carries one family: put it into virtual_ipaddress_excluded or an instance of its own".to_owned();
            reader.complain(Complaint::error(line.word.span, message).help(help));
        } else if first(&mut seen, &address) {
            reader.instance().addresses.push(address);
        } else {
            duplicate(reader, line);
        }
    }
}

pub(crate) fn virtual_ipaddress_excluded(reader: &mut Reader, block: &Line<'_>) {
    let mut seen = seen(&reader.instance().excluded);
    for line in &block.children {
        let Some(address) = address::parse(reader, line) else { continue };
        if first(&mut seen, &address) {
            reader.instance().excluded.push(address);
        } else {
            duplicate(reader, line);
        }
    }
}

pub(crate) fn static_ipaddress(reader: &mut Reader, block: &Line<'_>) {
    let mut seen = seen(&reader.global.vrrp.static_addresses);
    for line in &block.children {
        let Some(mut address) = address::parse(reader, line) else { continue };
        vmac::refuse_static(reader, &mut address, line.word.span);
        if first(&mut seen, &address) {
            reader.global.vrrp.static_addresses.push(address);
        } else {
            let message = format!("static address {} is written twice - ignoring", &*line.word);
            reader.complain(Complaint::remark(line.word.span, message));
        }
    }
}

type Seen = HashSet<(IpAddr, Option<String>)>;

fn seen(addresses: &[VirtualAddress]) -> Seen {
    addresses.iter().map(|address| (address.prefix.address(), address.device.clone())).collect()
}

fn first(seen: &mut Seen, address: &VirtualAddress) -> bool {
    seen.insert((address.prefix.address(), address.device.clone()))
}

fn duplicate(reader: &mut Reader, line: &Line<'_>) {
    let message = about(reader, format!("{} is written twice - ignoring", &*line.word));
    reader.complain(Complaint::remark(line.word.span, message));
}

pub(crate) fn unicast_peer(reader: &mut Reader, block: &Line<'_>) {
    unicast(reader, block.word.span);
    for line in &block.children {
        peer(reader, line);
    }
}

fn peer(reader: &mut Reader, line: &Line<'_>) {
    let Ok(address) = line.word.parse::<IpAddr>() else {
        let message = about(reader, format!("malformed unicast peer address[{}]. Skipping...", &*line.word));
        reader.complain(Complaint::error(line.word.span, message).expected("'ADDRESS [min_ttl 0..255] [max_ttl 0..255]'"));
        return;
    };
    if !joins(reader, &address) {
        let message = about(reader, format!("unicast peer address[{address}] MUST be of the same family as the instance. Skipping..."));
        reader.complain(Complaint::error(line.word.span, message));
        return;
    }
    let Some((min_ttl, max_ttl)) = ttl_options(reader, line) else { return };
    if let (Some(min), Some(max)) = (min_ttl, max_ttl)
        && min > max
    {
        let message = about(reader, format!("min_ttl {min} > max_ttl {max} - all packets will be discarded"));
        reader.complain(Complaint::error(line.span(), message));
    }
    let draft = reader.instance();
    // Asking for a TTL of a peer is asking who it is.
    draft.check_unicast_src |= min_ttl.is_some() || max_ttl.is_some();
    if draft.peers.iter().any(|peer| peer.address == address) {
        duplicate(reader, line);
        return;
    }
    draft.peers.push(Peer { address, min_ttl, max_ttl });
}

type Ttls = (Option<u8>, Option<u8>);

fn ttl_options(reader: &mut Reader, line: &Line<'_>) -> Option<Ttls> {
    let (mut min, mut max) = (None, None);
    let mut words = line.args.iter();
    while let Some(name) = words.next() {
        let place = match &*name.text {
            "min_ttl" => &mut min,
            "max_ttl" => &mut max,
            other => {
                let message = about(reader, format!("unknown unicast_peer option '{other}' - ignoring"));
                reader.complain(Complaint::error(name.span, message).expected("min_ttl or max_ttl"));
                continue;
            }
        };
        let value = words.next();
        match value.map(|value| (value, value.parse::<u8>())) {
            Some((_, Ok(ttl))) => *place = Some(ttl),
            Some((value, Err(_))) => bad_ttl(reader, name, value),
            None => {
                let message = about(reader, format!("{} is missing a value", &**name));
                reader.complain(Complaint::error(name.span, message).expected("0..255"));
            }
        }
    }
    Some((min, max))
}

fn bad_ttl(reader: &mut Reader, name: &Word<'_>, value: &Word<'_>) {
    let message = about(reader, format!("{}: number '{}' outside range [0, 255]", &**name, &**value));
    reader.complain(Complaint::error(value.span, message).expected("0..255").help("the option is left out".to_owned()));
}

pub(crate) fn track_interface(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        let name = line.word.to_string();
        reader.uses_interface(&line.word, |_| "track_interface".to_owned());
        if reader.instance().track_interfaces.iter().any(|tracked| tracked.name == name) {
            let message = about(reader, format!("duplicate track_interface {name} - ignoring"));
            reader.complain(Complaint::error(line.word.span, message));
            continue;
        }
        if let Some((weight, reverse)) = weight(reader, line) {
            reader.instance().track_interfaces.push(TrackInterface { name, weight, reverse });
        }
    }
}

/// `[weight -253..253 [reverse]]`; `None` when the line is left out.
fn weight(reader: &mut Reader, line: &Line<'_>) -> Option<(i16, bool)> {
    let Some(name) = line.arg(0) else { return Some((0, false)) };
    let usage = "'INTERFACE [weight -253..253 [reverse]]'";
    if &*name.text != "weight" {
        let message = about(reader, format!("unknown track_interface {} option {} - ignoring", &*line.word, &**name));
        reader.complain(Complaint::error(name.span, message).expected(usage).help("the line is left out".to_owned()));
        return None;
    }
    let Some(value) = line.arg(1) else {
        let message = about(reader, format!("weight without value specified for {} - ignoring", &*line.word));
        reader.complain(Complaint::error(name.span, message).expected(usage));
        return Some((0, false));
    };
    let Some(weight) = value.parse::<i16>().ok().filter(|weight| (-254..=254).contains(weight)) else {
        let message = format!("weight {} for {} must be between [-253..253] inclusive. Ignoring...", &**value, &*line.word);
        let message = about(reader, message);
        reader.complain(Complaint::error(value.span, message).expected("-253..253"));
        return Some((0, false));
    };
    if weight.abs() == 254 {
        let message = about(reader, format!("weight for {} cannot be +/-254. Setting to +/-253", &*line.word));
        reader.complain(Complaint::warning(value.span, message));
    }
    let reverse = line.arg(2).is_some_and(|word| &*word.text == "reverse");
    if let Some(other) = line.arg(2).filter(|word| &*word.text != "reverse") {
        let message = about(reader, format!("unknown weight option '{}' for {}", &**other, &*line.word));
        reader.complain(Complaint::error(other.span, message).expected("reverse"));
    }
    Some((weight.clamp(-253, 253), reverse))
}
