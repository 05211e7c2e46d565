//! `lvs_sync_daemon`.

use super::none_of;
use crate::config::number;
use crate::config::read::{Line, Reader};
use crate::lvs::settings::SyncDaemon;
use crate::syntax::{Complaint, Span};

const OPTIONS: [&str; 6] = ["inst", "id", "maxlen", "port", "ttl", "group"];
/// Of an option whose value makes no sense.
const LEFT_OUT: &str = "this option is left out";
/// Longest name of an interface.
const INTERFACE_MAX: usize = 15;

/// `IF [[inst] VI] [id N] [maxlen N] [port N] [ttl N] [group A]`; also the old `IF VI [ID]`. The first line counts; what makes no
/// sense in it is left out.
pub(crate) fn sync_daemon(reader: &mut Reader, line: &Line<'_>) {
    let Some(interface) = line.arg(0) else { return };
    if let Some((first, instance)) = &reader.lvs.sync {
        let instance = instance.as_ref().map(|instance| format!(" {instance}")).unwrap_or_default();
        let message = format!("lvs_sync_daemon has already been specified as {}{instance} - ignoring", first.interface);
        return warn(reader, line.span(), message);
    }
    if interface.len() > INTERFACE_MAX {
        return warn(reader, interface.span, format!("lvs_sync_daemon interface name '{}' too long - ignoring", &**interface));
    }
    let mut daemon = SyncDaemon::new(interface.to_string());
    let mut instance = None;
    let mut at = 1;
    while let Some(word) = line.arg(at) {
        let named = OPTIONS.contains(&&*word.text);
        if at == 1 && !named {
            instance = Some(word.to_string());
            at = 2;
            if let Some((number, id)) = line.arg(2).and_then(|word| Some((word, word.parse().ok()?))) {
                warn(reader, number.span, "Please use keyword \"id\" before lvs_sync_daemon SYNCID".to_owned());
                daemon.id = id;
                reader.lvs.sync_id = true;
                at = 3;
            }
            continue;
        }
        if !named {
            none_of(reader, word, format!("lvs_sync_daemon: unknown option {}", &**word), &OPTIONS);
            at += 1;
            continue;
        }
        if line.arg(at + 1).is_none() {
            let instead = if &*word.text == "id" { ", defaulting to vrid" } else { " - ignoring" };
            warn(reader, word.span, format!("No value specified for lvs_sync_daemon {}{instead}", &**word));
            break;
        }
        option(reader, line, at, &mut daemon, &mut instance);
        at += 2;
    }
    reader.lvs.sync_span = line.span();
    reader.lvs.sync = Some((daemon, instance));
}

/// One option with its value.
fn option(reader: &mut Reader, line: &Line<'_>, at: usize, daemon: &mut SyncDaemon, instance: &mut Option<String>) {
    let (Some(name), Some(word)) = (line.arg(at), line.arg(at + 1)) else { return };
    let value = |reader: &mut Reader, range| number::int(reader, line, at + 1, range, LEFT_OUT);
    match &*name.text {
        "inst" => match instance {
            Some(first) => {
                let message = format!("lvs_sync_daemon vrrp instance has already been specified as {first} - ignoring");
                warn(reader, word.span, message);
            }
            none => *none = Some(word.to_string()),
        },
        "id" => {
            if let Some(id) = value(reader, 0..=255).and_then(|id| u8::try_from(id).ok()) {
                reader.lvs.sync_id = true;
                daemon.id = id;
            }
        }
        "maxlen" => daemon.max_length = value(reader, 1..=65507).and_then(|length| u16::try_from(length).ok()).or(daemon.max_length),
        "port" => daemon.port = value(reader, 1..=65535).and_then(|port| u16::try_from(port).ok()).or(daemon.port),
        "ttl" => daemon.ttl = value(reader, 1..=255).and_then(|ttl| u8::try_from(ttl).ok()).or(daemon.ttl),
        _ => match word.parse::<std::net::IpAddr>() {
            Ok(group) if group.is_multicast() => daemon.group = Some(group),
            Ok(group) => warn(reader, word.span, format!("lvs_sync_daemon group address {group} is not multicast - ignoring")),
            Err(_) => warn(reader, word.span, format!("Invalid lvs_sync_daemon group ({}) - ignoring", &**word)),
        },
    }
}

fn warn(reader: &mut Reader, span: Span, message: String) {
    reader.complain(Complaint::warning(span, message));
}
