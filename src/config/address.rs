//! One line of `virtual_ipaddress`: the address grammar of keepalived.conf(5).

use super::read::{Line, Reader};
use crate::syntax::{Complaint, Word};
use crate::types::{Family, IpPrefix};
use crate::vrrp::settings::VirtualAddress;
use std::net::{IpAddr, Ipv4Addr};

/// IFA_F_NODAD: the address is used at once.
const NODAD: u32 = 0x02;
/// IFA_F_HOMEADDRESS.
const HOME: u32 = 0x10;
/// IFA_F_MANAGETEMPADDR.
const MNGTMPADDR: u32 = 0x100;
/// IFA_F_NOPREFIXROUTE.
const NOPREFIXROUTE: u32 = 0x200;
/// IFA_F_MCAUTOJOIN.
const AUTOJOIN: u32 = 0x400;
/// Longest label (IFNAMSIZ less its end).
const LABEL: usize = 15;

/// What follows an address, for messages.
pub(super) const USAGE: &str = "ADDR[/LEN] [brd A|+|-] [dev IF] [scope S] [label L] [peer A] [home] [-nodad] [mngtmpaddr] [noprefixroute] [autojoin] [no_track] [use_vmac] [preferred_lft N|forever]";

const OPTIONS: &[&str] = &[
    "brd",
    "broadcast",
    "dev",
    "scope",
    "label",
    "peer",
    "home",
    "-nodad",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
    "no_track",
    "preferred_lft",
    "use_vmac",
    "track_group",
];

/// How `brd` was written.
#[derive(Clone, Copy)]
enum Broadcast {
    Exactly(Ipv4Addr),
    Ones,
    Zeros,
}

struct Draft {
    address: IpAddr,
    length: u8,
    written_length: bool,
    device: Option<String>,
    scope: u8,
    label: Option<String>,
    broadcast: Option<Broadcast>,
    peer: Option<IpPrefix>,
    lifetime: Option<Option<u32>>,
    flags: u32,
    nodad: bool,
    no_track: bool,
    track_group: Option<String>,
    vmac: bool,
}

/// Reads a line; `None`, with a complaint, when the address cannot be used.
pub(super) fn parse(reader: &mut Reader, line: &Line<'_>) -> Option<VirtualAddress> {
    let mut draft = head(reader, &line.word)?;
    let mut words = line.args.iter();
    while let Some(word) = words.next() {
        let takes_value = matches!(&*word.text, "brd" | "broadcast" | "dev" | "scope" | "label" | "peer" | "preferred_lft" | "track_group");
        if !takes_value {
            flag(reader, &mut draft, word);
            continue;
        }
        let Some(value) = words.next() else {
            let message = format!("No {} parameter specified for {}", &**word, &*line.word);
            reader.complain(Complaint::error(word.span, message).expected(format!("'{USAGE}'")).help("the address is left out".to_owned()));
            return None;
        };
        option(reader, &mut draft, &line.word, word, value)?;
    }
    finish(reader, draft, line)
}

fn head(reader: &mut Reader, word: &Word<'_>) -> Option<Draft> {
    let (text, length) = match word.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (&**word, None),
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        let message = format!("invalid IP address '{}': skipping it", &**word);
        reader.complain(Complaint::error(word.span, message).expected(format!("'{USAGE}'")));
        return None;
    };
    let bits = Family::of(&address).host_bits();
    let length = length.map(|written| {
        // As the original at a start: the number counts, what follows it does not.
        let unsigned = written.strip_prefix('+').unwrap_or(written);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let number = unsigned.get(..digits).and_then(|digits| digits.parse::<u8>().ok()).filter(|length| *length <= bits);
        let length = number.unwrap_or(bits);
        if number.is_none() || digits < unsigned.len() {
            let message = format!("Invalid address prefix len {written} for address {} - using {length}", &**word);
            reader.complain(Complaint::error(word.span, message).expected(format!("0..{bits}")));
        }
        length
    });
    Some(Draft {
        address,
        length: length.unwrap_or(bits),
        written_length: length.is_some(),
        device: None,
        scope: 0,
        label: None,
        broadcast: None,
        peer: None,
        lifetime: None,
        flags: 0,
        nodad: true,
        no_track: false,
        track_group: None,
        vmac: false,
    })
}

fn flag(reader: &mut Reader, draft: &mut Draft, word: &Word<'_>) {
    match &*word.text {
        "home" => draft.flags |= HOME,
        "-nodad" => draft.nodad = false,
        "mngtmpaddr" => draft.flags |= MNGTMPADDR,
        "noprefixroute" => draft.flags |= NOPREFIXROUTE,
        "autojoin" => draft.flags |= AUTOJOIN,
        "no_track" => draft.no_track = true,
        "use_vmac" => draft.vmac = true,
        other => {
            let message = format!("Unknown configuration entry '{other}' for ip address - ignoring");
            let near = crate::syntax::suggest::nearest(other, OPTIONS.iter().copied()).map(|near| format!("did you mean '{near}'?"));
            reader.complain(Complaint::error(word.span, message).expected(format!("'{USAGE}'")).help(near));
        }
    }
}

fn option(reader: &mut Reader, draft: &mut Draft, address: &Word<'_>, name: &Word<'_>, value: &Word<'_>) -> Option<()> {
    let v6 = draft.address.is_ipv6();
    match &*name.text {
        "dev" => {
            reader.uses_interface(value, |_| format!("ip address {address}"));
            draft.device = Some(value.to_string());
        }
        "track_group" => {
            reader.group_uses.push((value.to_string(), value.span));
            draft.track_group = Some(value.to_string());
        }
        "label" if v6 => {
            let message = format!("Cannot specify label for IPv6 addresses ({}) - ignoring label", &**address);
            reader.complain(Complaint::error(name.span.to(value.span), message));
        }
        "label" if value.len() > LABEL => {
            let message = format!("Address label {} is longer than maximum length {LABEL} - removing address", &**value);
            reader.complain(Complaint::error(value.span, message));
            return None;
        }
        "label" => draft.label = Some(value.to_string()),
        "scope" if v6 => {
            let message = format!("Cannot specify scope for IPv6 addresses ({}) - ignoring scope", &**address);
            reader.complain(Complaint::error(name.span.to(value.span), message));
        }
        "scope" => match scope(value) {
            Some(scope) => draft.scope = scope,
            None => {
                let message = format!("Invalid scope '{}' specified for {} - ignoring", &**value, &**address);
                reader.complain(Complaint::error(value.span, message).expected("global, site, link, host, nowhere or 0..255"));
            }
        },
        "peer" => match value.parse::<IpAddr>().ok().filter(|peer| peer.is_ipv6() == v6) {
            Some(peer) => draft.peer = Some(IpPrefix::host(peer)),
            None => {
                reader.complain(
                    Complaint::error(value.span, format!("Invalid peer address {}", &**value))
                        .expected("an address without prefix")
                        .help("the peer is left out".to_owned()),
                );
            }
        },
        "preferred_lft" => lifetime(reader, draft, value),
        _ => {
            draft.broadcast = Some(match &*value.text {
                "+" => Broadcast::Ones,
                "-" => Broadcast::Zeros,
                text => match text.parse() {
                    Ok(address) => Broadcast::Exactly(address),
                    Err(_) => {
                        let message = format!("invalid broadcast '{text}': skipping the address");
                        reader.complain(Complaint::error(value.span, message).expected("an IPv4 address, '+' or '-'"));
                        return None;
                    }
                },
            });
        }
    }
    Some(())
}

fn lifetime(reader: &mut Reader, draft: &mut Draft, value: &Word<'_>) {
    if matches!(&*value.text, "forever" | "infinity") {
        draft.lifetime = Some(None);
        return;
    }
    match value.parse::<u32>() {
        Ok(seconds) => draft.lifetime = Some((seconds != u32::MAX).then_some(seconds)),
        Err(_) => {
            let message = format!("preferred_lft {} is invalid", &**value);
            reader.complain(Complaint::error(value.span, message).expected("seconds, or 'forever'"));
        }
    }
}

fn scope(word: &str) -> Option<u8> {
    match word {
        "global" | "universe" => Some(0),
        "site" => Some(200),
        "link" => Some(253),
        "host" => Some(254),
        "nowhere" => Some(255),
        number => number.parse().ok(),
    }
}

fn finish(reader: &mut Reader, draft: Draft, line: &Line<'_>) -> Option<VirtualAddress> {
    let mut prefix = IpPrefix::new(draft.address, draft.length)?;
    let mut broadcast = draft.broadcast;
    let mut peer = draft.peer;
    if let Some(far) = peer {
        if draft.written_length {
            let message = "Cannot specify address prefix when specifying peer address - ignoring";
            reader.complain(Complaint::error(line.word.span, message).help("the prefix is taken as the peer's".to_owned()));
            peer = IpPrefix::new(far.address(), draft.length);
            prefix = IpPrefix::host(draft.address);
        }
        if broadcast.take().is_some() {
            reader.complain(Complaint::error(line.span(), "Cannot specify broadcast when specifying peer address - ignoring broadcast"));
        }
    }
    let broadcast = match (draft.address, broadcast) {
        (_, None) => None,
        (IpAddr::V6(_), Some(_)) => {
            reader.complain(Complaint::error(line.span(), "an IPv6 address has no broadcast address: skipping the address"));
            return None;
        }
        (IpAddr::V4(_), Some(Broadcast::Exactly(address))) => Some(IpAddr::V4(address)),
        (IpAddr::V4(_), Some(_)) if draft.length > 30 => {
            let message = format!("Address prefix length {} too long for broadcast", draft.length);
            reader.complain(Complaint::error(line.span(), message));
            None
        }
        (IpAddr::V4(address), Some(ones)) => {
            let host = u32::MAX.checked_shr(u32::from(draft.length)).unwrap_or(0);
            let bits = u32::from(address);
            let bits = if matches!(ones, Broadcast::Ones) { bits | host } else { bits & !host };
            Some(IpAddr::V4(Ipv4Addr::from(bits)))
        }
    };
    let v6 = draft.address.is_ipv6();
    // keepalived.conf(5): a /128 is deprecated unless told otherwise, so that it is no source address of other traffic.
    let preferred_lifetime = draft.lifetime.unwrap_or(if v6 && draft.length == 128 { Some(0) } else { None });
    let flags = draft.flags | if v6 && draft.nodad { NODAD } else { 0 };
    Some(VirtualAddress {
        prefix,
        device: draft.device,
        scope: draft.scope,
        label: draft.label,
        broadcast,
        peer,
        preferred_lifetime,
        flags,
        no_track: draft.no_track,
        track_group: draft.track_group,
        // which one is known when everything is read
        vmac: draft.vmac.then(String::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn read(line: &str) -> VirtualAddress {
        let text = format!("vrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n{line}\n}}\n}}\n");
        let loaded = load_text(&text);
        assert_eq!(loaded.report.diagnostics(), &[], "{line}");
        loaded.config.instances[0].addresses[0].clone()
    }

    #[test]
    fn a_bare_address_is_one_host() {
        assert_eq!(read("192.168.2.100").prefix.to_string(), "192.168.2.100/32");
        assert_eq!(read("fe80::1").prefix.to_string(), "fe80::1/128");
    }

    #[test]
    fn what_follows_the_prefix_length_does_not_count() {
        for (written, length) in [("24,", 24), ("+24", 24), ("24/24", 24), ("x", 32), ("33", 32)] {
            let text =
                format!("vrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n10.0.0.1/{written}\n}}\n}}\n");
            let loaded = load_text(&text);
            assert_eq!(loaded.config.instances[0].addresses[0].prefix.to_string(), format!("10.0.0.1/{length}"), "{written}");
            assert_eq!(loaded.report.diagnostics().is_empty(), written == "+24", "{written}");
        }
    }

    #[test]
    fn the_broadcast_address_is_worked_out() {
        let broadcast = |line: &str| read(line).broadcast.map(|address| address.to_string());
        assert_eq!(broadcast("10.0.0.1/24 brd +").as_deref(), Some("10.0.0.255"));
        assert_eq!(broadcast("10.0.0.1/24 broadcast -").as_deref(), Some("10.0.0.0"));
        assert_eq!(broadcast("10.0.0.1/24 brd 10.0.0.77").as_deref(), Some("10.0.0.77"));
        assert_eq!(broadcast("10.0.0.1/24"), None);
        assert_eq!(broadcast("10.0.0.1/0 brd +").as_deref(), Some("255.255.255.255"));
    }

    #[test]
    fn device_scope_label_and_peer_are_kept() {
        let address = read("172.25.254.100/24 dev eth1 label eth1:1 scope link no_track");
        assert_eq!((address.device.as_deref(), address.label.as_deref()), (Some("eth1"), Some("eth1:1")));
        assert_eq!((address.scope, address.no_track), (253, true));
        assert_eq!(read("10.0.0.1 peer 10.0.0.2").peer.map(|peer| peer.to_string()).as_deref(), Some("10.0.0.2/32"));
    }

    #[test]
    fn an_ipv6_address_is_used_at_once_and_a_single_host_is_deprecated() {
        let host = read("2001:db8::1");
        assert_eq!((host.flags, host.preferred_lifetime), (NODAD, Some(0)));
        let network = read("2001:db8::1/64 -nodad home");
        assert_eq!((network.flags, network.preferred_lifetime), (HOME, None));
        assert_eq!(read("2001:db8::1/128 preferred_lft forever").preferred_lifetime, None);
        assert_eq!(read("2001:db8::1/128 preferred_lft 300").preferred_lifetime, Some(300));
    }
}
