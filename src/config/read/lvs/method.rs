//! `lvs_method`, `lb_kind`, `sorry_server_lvs_method`: how a connection reaches a server.

use super::super::{Line, Reader};
use super::bad;
use super::server::draft;
use crate::lvs::settings::{Checksum, Forwarding, Tunnel};
use crate::syntax::{Complaint, suggest};

pub(crate) fn method(reader: &mut Reader, line: &Line<'_>) {
    let Some(method) = forwarding(reader, line) else { return };
    match (&mut reader.lvs.real, &mut reader.lvs.server) {
        (Some(real), _) => real.method = Some(method),
        (None, Some(server)) => server.method = Some(method),
        (None, None) => {}
    }
}

pub(crate) fn sorry_method(reader: &mut Reader, line: &Line<'_>) {
    if reader.lvs.server.as_ref().is_some_and(|draft| draft.sorry.is_none()) {
        return bad(reader, line.word.span, format!("{} used before or without sorry_server", &*line.word), "it after sorry_server");
    }
    let method = forwarding(reader, line);
    draft(reader, |draft| draft.sorry_method = method);
}

/// `NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`. As in the original, a tunnel whose further words make no sense
/// is one all the same: `ipip`.
fn forwarding(reader: &mut Reader, line: &Line<'_>) -> Option<Forwarding> {
    let (method, words) = line.args.split_first()?;
    let words: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    let (made, why) = match &*method.text {
        "TUN" => match tunnel(&words) {
            Ok(tunnel) => (Some(Forwarding::Tunnel(tunnel)), None),
            Err(why) => (Some(Forwarding::Tunnel(Tunnel::Ipip)), Some(format!("{why}: ipip is used"))),
        },
        "NAT" => (Some(Forwarding::Nat), (!words.is_empty()).then(|| "only TUN takes further words".to_owned())),
        "DR" => (Some(Forwarding::Direct), (!words.is_empty()).then(|| "only TUN takes further words".to_owned())),
        other => (None, Some(format!("unknown [{other}] routing method"))),
    };
    if let Some(why) = why {
        let complaint = Complaint::error(line.span(), format!("{}: {why}", &*line.word));
        let complaint = complaint.expected("NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]");
        let known = ["NAT", "DR", "TUN"];
        let near = suggest::nearest(&method.to_ascii_uppercase(), known).filter(|_| made.is_none());
        reader.complain(match near {
            Some(near) => complaint.help(format!("did you mean '{near}'?")),
            None => complaint,
        });
    }
    made
}

/// What follows `TUN`, in any order.
fn tunnel(words: &[&str]) -> Result<Tunnel, String> {
    let (mut kind, mut port, mut checksum) = ("ipip", None, Checksum::None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "type" => kind = words.next().ok_or("tunnel type is missing")?,
            "port" => port = Some(words.next().ok_or("tunnel port is missing")?),
            "nocsum" => checksum = Checksum::None,
            "csum" => checksum = Checksum::Whole,
            "remcsum" => checksum = Checksum::Remote,
            other => return Err(format!("unknown tunnel word {other}")),
        }
    }
    match (kind, port, checksum) {
        ("ipip", None, Checksum::None) => Ok(Tunnel::Ipip),
        ("ipip", None, Checksum::Whole | Checksum::Remote) => Err("ipip tunnels do not support checksum option".to_owned()),
        ("gre", None, Checksum::Remote) => Err("gre tunnels do not support remote checksum option".to_owned()),
        ("gre", None, checksum) => Ok(Tunnel::Gre(checksum)),
        ("gue", Some(port), checksum) => match port.parse() {
            Ok(0) | Err(_) => Err(format!("invalid gue tunnel port {port}")),
            Ok(port) => Ok(Tunnel::Gue(port, checksum)),
        },
        ("gue", None, _) | ("ipip" | "gre", Some(_), _) => Err("gue tunnels require port, otherwise cannot have port".to_owned()),
        (other, _, _) => Err(format!("unknown tunnel type {other}")),
    }
}
