//! Rules about BFD sessions.

use super::{Found, Line, Subject, place};
use crate::bfd::settings::Settings;
use crate::check::Kind;

/// Sessions that can run, with their blocks.
fn sessions<'w, 's>(subject: &Subject<'w, 's>) -> Vec<(&'w Settings, &'w Line<'s>)> {
    let block = |name: &str| subject.blocks("bfd_instance").find(|block| block.arg(0).is_some_and(|word| *word.text == *name));
    subject.config.bfd.iter().filter_map(|session| Some((&**session, block(&session.name)?))).collect()
}

pub(super) fn unused(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    let config = subject.config;
    let checkers = config.lvs.servers.iter().flat_map(|server| &server.real_servers).flat_map(|real| &real.checkers);
    let checked: Vec<&str> =
        checkers.filter_map(|checker| if let Kind::Bfd(name) = &checker.kind { Some(&**name) } else { None }).collect();
    for (session, block) in sessions(subject) {
        let tracked = config.instances.iter().flat_map(|instance| &instance.track_bfds).any(|track| track.name == session.name);
        if !tracked && !checked.contains(&&*session.name) {
            found.say(block.arg_span(0), format!("nothing follows the BFD session {}", session.name));
        }
    }
}

pub(super) fn hop_limit(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (session, block) in sessions(subject).into_iter().filter(|(session, _)| !session.multihop && session.ttl < 255) {
        found.say(place(block, "hoplimit"), format!("packets of the BFD session {} leave with a TTL of {}", session.name, session.ttl));
    }
}
