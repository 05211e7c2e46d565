//! The sessions as text, in the original's lines as far as they say something here.

use super::sessions::Entry;
use crate::sys::calendar::Local;
use crate::sys::clock;
use std::fmt::{self, Write as _};

/// The whole text.
pub(super) fn text(ears: &[i32], discarded: u64, entries: &[&Entry]) -> String {
    let mut out = String::from("------< BFD Data >------\n");
    // Writing to a string cannot fail.
    let _ = write(&mut out, ears, discarded, entries);
    out
}

fn write(out: &mut String, ears: &[i32], discarded: u64, entries: &[&Entry]) -> fmt::Result {
    for ear in ears {
        writeln!(out, " fd_in = {ear}")?;
    }
    writeln!(out, " Packets discarded = {discarded}")?;
    writeln!(out, "------< BFD Topology >------")?;
    entries.iter().try_for_each(|entry| session(out, entry))
}

fn session(out: &mut String, entry: &Entry) -> fmt::Result {
    let settings = entry.session.settings();
    let yes = |yes: bool| if yes { "Yes" } else { "No" };
    writeln!(out, " BFD Instance = {}", settings.name)?;
    writeln!(out, "   Neighbor IP = {}", settings.neighbour)?;
    if let Some(source) = settings.source {
        writeln!(out, "   Source IP = {source}")?;
    }
    if settings.multihop {
        writeln!(out, "   Multihop = true")?;
    }
    writeln!(out, "   Required min RX interval = {} us", settings.min_rx.as_micros())?;
    writeln!(out, "   Desired min TX interval = {} us", settings.min_tx.as_micros())?;
    writeln!(out, "   Desired idle TX interval = {} us", settings.idle_tx.as_micros())?;
    writeln!(out, "   Detection multiplier = {}", settings.multiplier)?;
    writeln!(out, "   {} = {}", if settings.neighbour.is_ipv6() { "hoplimit" } else { "TTL" }, settings.ttl)?;
    match settings.max_hops {
        Some(hops) => writeln!(out, "   max_hops = {hops}")?,
        None => writeln!(out, "   max_hops = -1")?,
    }
    writeln!(out, "   passive = {}", settings.passive)?;
    writeln!(out, "   send event to VRRP process = {}", yes(settings.tells_vrrp))?;
    writeln!(out, "   send event to checker process = {}", yes(settings.tells_checkers))?;
    writeln!(out, "   fd_out {}", entry.sender.as_ref().map_or(-1, crate::net::control::Sender::number))?;
    writeln!(out, "   send error = {}", entry.send_failed)?;
    state(out, entry)
}

fn state(out: &mut String, entry: &Entry) -> fmt::Result {
    let snapshot = entry.session.snapshot(0);
    let (remote, parameters) = (snapshot.remote, entry.session.parameters());
    writeln!(out, "   local state = {}", snapshot.state)?;
    writeln!(out, "   remote state = {}", remote.state)?;
    writeln!(out, "   local discriminator = {:#x}", snapshot.discriminator)?;
    writeln!(out, "   remote discriminator = {:#x}", remote.discriminator)?;
    writeln!(out, "   local diag = {}", snapshot.diagnostic)?;
    writeln!(out, "   remote diag = {}", remote.diagnostic)?;
    writeln!(out, "   remote min tx intv = {} us", remote.min_tx.as_micros())?;
    writeln!(out, "   remote min rx intv = {} us", remote.min_rx.as_micros())?;
    writeln!(out, "   local demand = 0")?;
    writeln!(out, "   remote demand = {}", u8::from(remote.demand))?;
    writeln!(out, "   remote detect multiplier = {}", remote.multiplier)?;
    writeln!(out, "   {}poll, !final", if snapshot.intervals.polling { "" } else { "!" })?;
    writeln!(out, "   local tx intv = {} us", parameters.local.tx.as_micros())?;
    writeln!(out, "   remote tx intv = {} us", parameters.remote.tx.as_micros())?;
    writeln!(out, "   local detection time = {} us", parameters.local.detection.as_micros())?;
    writeln!(out, "   remote detection time = {} us", parameters.remote.detection.as_micros())?;
    match entry.session.heard() {
        None => writeln!(out, "   last_seen = [never]"),
        Some(heard) => {
            let seen = clock::wall() - clock::now().since(heard);
            let since = seen.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let (seconds, micros) = (since.as_secs(), since.subsec_micros());
            writeln!(out, "   last seen = {seconds}.{micros:06} ({}.{micros:06})", Local::at(seen).ctime())
        }
    }
}
