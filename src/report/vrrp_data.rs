//! `keepalived.data` and `keepalived.stats` (SIGUSR1, SIGUSR2): the layout that monitoring plugins read. Secrets are masked.

use super::vrrp_instance::{self, as_whom, write_scripts};
use super::{InstanceView, Tracking};
use crate::config::model::VrrpGlobal;
use crate::types::Family;
use crate::vrrp::event::State;
use crate::vrrp::settings::{GroupSettings, Transport};
use crate::vrrp::track::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// Formats a wall-clock time in seconds since the epoch for people.
pub type When<'a> = dyn Fn(f64) -> String + 'a;

/// A link, for the Interfaces section.
#[derive(Clone, Debug)]
pub struct LinkLine {
    /// Name.
    pub name: String,
    /// Index.
    pub index: u32,
    /// Ethernet address, as text.
    pub mac: Option<String>,
    /// IFF_UP.
    pub up: bool,
    /// Carrier.
    pub running: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// Largest packet, bytes.
    pub mtu: u32,
    /// Addresses without prefix, as text.
    pub addresses: Vec<String>,
}

/// The VRRP process's part of `keepalived.data`.
pub fn data(instances: &[InstanceView], tracking: &Tracking<'_>, links: &[LinkLine], when: &When<'_>) -> String {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = write_data(&mut out, instances, tracking, links, when);
    out
}

/// The text of `keepalived.stats`.
pub fn stats(instances: &[InstanceView]) -> String {
    let mut out = String::new();
    for instance in instances {
        instance.stats.write_text(&instance.settings.name, &mut out);
    }
    out
}

fn write_data(out: &mut String, instances: &[InstanceView], tracking: &Tracking<'_>, links: &[LinkLine], when: &When<'_>) -> fmt::Result {
    write_host(out, tracking.host)?;
    writeln!(out, "------< VRRP Topology >------")?;
    for instance in instances {
        vrrp_instance::write(out, instance, when)?;
    }
    write_sockets(out, instances)?;
    if !tracking.groups.is_empty() {
        writeln!(out, "------< VRRP Sync groups >------")?;
    }
    for group in tracking.groups {
        write_group(out, group, instances)?;
    }
    write_watched(out, instances, tracking)?;
    writeln!(out, "------< Interfaces >------")?;
    for link in links {
        write_link(out, link, instances)?;
    }
    Ok(())
}

/// `static_*`, and who follows them.
fn write_host(out: &mut String, host: &VrrpGlobal) -> fmt::Result {
    fn list(out: &mut String, title: &str, lines: impl ExactSizeIterator<Item = String>) -> fmt::Result {
        if lines.len() > 0 {
            writeln!(out, "------< {title} >------")?;
        }
        lines.into_iter().try_for_each(|line| writeln!(out, "     {line}"))
    }
    let address = |address| format!("{} set", vrrp_instance::bare_line(None, address));
    list(out, "Static Addresses", host.static_addresses.iter().map(address))?;
    list(out, "Static Routes", host.static_routes.iter().map(ToString::to_string))?;
    list(out, "Static Rules", host.static_rules.iter().map(ToString::to_string))?;
    if !host.track_groups.is_empty() {
        writeln!(out, "------< Static Track groups >------")?;
    }
    for group in &host.track_groups {
        writeln!(out, " Static Track Group = {}\n   VRRP member instances :", group.name)?;
        group.members.iter().try_for_each(|member| writeln!(out, "     {member}"))?;
    }
    Ok(())
}

pub(super) const fn yes(value: bool) -> &'static str {
    if value { "enabled" } else { "disabled" }
}

/// What shares a socket: interface, family and transport.
fn write_sockets(out: &mut String, instances: &[InstanceView]) -> fmt::Result {
    let mut sockets: BTreeMap<_, Vec<&InstanceView>> = BTreeMap::new();
    for view in instances {
        let settings = &view.settings;
        let protocol = if crate::vrrp::packet::ip_protocol(settings) == 112 { "VRRP" } else { "AH" };
        let key = (settings.wire().map(str::to_owned), settings.family == Family::V6, protocol, settings.transport.key());
        sockets.entry(key).or_default().push(view);
    }
    writeln!(out, "------< VRRP Sockpool >------")?;
    for ((interface, is_v6, protocol, _), users) in &sockets {
        writeln!(out, "   Interface = {}", interface.as_deref().unwrap_or("(none)"))?;
        writeln!(out, "   Family = {}", if *is_v6 { "IPv6" } else { "IPv4" })?;
        writeln!(out, "   Protocol = {protocol}")?;
        match users.first().map(|view| &view.settings.transport) {
            Some(Transport::Unicast { source, .. }) => {
                writeln!(out, "   Type = Unicast")?;
                if let Some(source) = source {
                    writeln!(out, "   Address = {source}")?;
                }
            }
            _ => writeln!(out, "   Type = Multicast")?,
        }
        writeln!(out, "   VRRP instances")?;
        for view in users {
            writeln!(out, "     {} vrid {}", view.settings.name, view.settings.vrid)?;
        }
    }
    Ok(())
}

fn write_group(out: &mut String, group: &GroupSettings, instances: &[InstanceView]) -> fmt::Result {
    let members: Vec<&InstanceView> = instances.iter().filter(|view| group.members.contains(&view.settings.name)).collect();
    let count = |state: State| members.iter().filter(|view| view.state == state).count();
    let state = match (count(State::Fault), count(State::Master)) {
        (1.., _) => State::Fault,
        (0, masters) if masters == members.len() => State::Master,
        _ => State::Backup,
    };
    writeln!(out, " VRRP Sync Group = {}, {state}", group.name)?;
    writeln!(out, "   Num member fault {}, num member init {}", count(State::Fault), count(State::Init))?;
    writeln!(out, "   VRRP member instances :")?;
    for member in &group.members {
        writeln!(out, "     {member}")?;
    }
    let Some(notify) = &group.notify else { return writeln!(out, "   Using smtp notification = no") };
    writeln!(out, "   Using smtp notification = {}", if notify.mail { "yes" } else { "no" })?;
    write_scripts(out, notify)
}

fn write_watched(out: &mut String, instances: &[InstanceView], tracking: &Tracking<'_>) -> fmt::Result {
    let watched = tracking.watched;
    if !watched.scripts.is_empty() {
        writeln!(out, "------< VRRP Scripts >------")?;
    }
    for script in &watched.scripts {
        writeln!(out, " VRRP Script = {}", script.name)?;
        writeln!(out, "   Command = {}{}", script.command, as_whom(&script.command))?;
        writeln!(out, "   Interval = {} sec", script.interval.as_secs_f64())?;
        writeln!(out, "   Timeout = {} sec", script.timeout.as_secs_f64())?;
        writeln!(out, "   Rise = {}", script.rise)?;
        writeln!(out, "   Fall = {}", script.fall)?;
        writeln!(out, "   Init state = {}", if script.init_fail { "failed" } else { "unknown" })?;
        let status = match (tracking.script)(&script.name) {
            Some(Reading::Up) => "GOOD",
            Some(_) => "BAD",
            None => "INIT",
        };
        writeln!(out, "   Status = {status}")?;
        write_users(
            out,
            instances.iter().flat_map(|view| view.settings.track_scripts.iter().map(move |track| (view, track))),
            &script.name,
        )?;
    }
    if !watched.files.is_empty() {
        writeln!(out, "------< VRRP Track files >------")?;
    }
    for file in &watched.files {
        writeln!(out, " Track file = {}", file.name)?;
        writeln!(out, "   File = {}", file.path.display())?;
        let status = if let Some(Reading::Value(value)) = (tracking.file)(&file.name) { value } else { 0 };
        writeln!(out, "   Status = {status}")?;
        write_users(out, instances.iter().flat_map(|view| view.settings.track_files.iter().map(move |track| (view, track))), &file.name)?;
    }
    write_sessions(out, instances, tracking)
}

/// Sessions that something tracks, by name.
fn write_sessions(out: &mut String, instances: &[InstanceView], tracking: &Tracking<'_>) -> fmt::Result {
    let tracks = || instances.iter().flat_map(|view| view.settings.track_bfds.iter().map(move |track| (view, track)));
    let names: BTreeSet<&str> = tracks().map(|(_, track)| track.name.as_str()).collect();
    if !names.is_empty() {
        writeln!(out, "------< VRRP Track BFDs >------")?;
    }
    for name in names {
        writeln!(out, " VRRP Track BFD = {name}")?;
        let up = (tracking.session)(name) == Some(Reading::Up);
        writeln!(out, "   Bfd is {}", if up { "up" } else { "down" })?;
        write_users(out, tracks(), name)?;
    }
    Ok(())
}

fn write_users<'a>(
    out: &mut String,
    tracks: impl Iterator<Item = (&'a InstanceView, &'a crate::vrrp::trackers::Track)>,
    name: &str,
) -> fmt::Result {
    writeln!(out, "   Tracking instances :")?;
    for (view, track) in tracks.filter(|(_, track)| track.name == name) {
        writeln!(out, "     {}, weight {}{}", view.settings.name, track.weight, if track.reverse { " reverse" } else { "" })?;
    }
    Ok(())
}

fn write_link(out: &mut String, link: &LinkLine, instances: &[InstanceView]) -> fmt::Result {
    writeln!(out, " Name = {}", link.name)?;
    writeln!(out, "   index = {}", link.index)?;
    for address in &link.addresses {
        let family = if address.contains(':') { "IPv6" } else { "IPv4" };
        writeln!(out, "   {family} address = {address}")?;
    }
    if let Some(mac) = link.mac.as_ref().filter(|_| !link.loopback) {
        writeln!(out, "   MAC = {mac}")?;
    }
    let up = if link.up { "UP" } else { "not UP" };
    let running = if link.running { "RUNNING" } else { "not RUNNING" };
    let kind = if link.loopback { ", no broadcast, loopback, no multicast" } else { "" };
    writeln!(out, "   State = {up}, {running}{kind}")?;
    let stands_on = |view: &InstanceView| view.settings.vmacs().find(|vmac| vmac.name == link.name).map(|vmac| vmac.base.clone());
    if let Some(base) = instances.iter().find_map(stands_on) {
        writeln!(out, "   VMAC type private, underlying interface = {base}")?;
        writeln!(out, "   I/f created by keepalived")?;
    }
    writeln!(out, "   MTU = {}", link.mtu)?;
    writeln!(out, "   HW Type = {}", if link.loopback { "LOOPBACK" } else { "ETHERNET" })?;
    let weight = |view: &InstanceView| {
        let settings = &view.settings;
        let tracked = settings.track_interfaces.iter().find(|tracked| tracked.name == link.name);
        match tracked {
            Some(tracked) => Some(tracked.weight),
            None => {
                let own = [settings.interface.as_deref(), settings.home()].contains(&Some(&link.name));
                (own && !settings.dont_track_primary).then_some(0)
            }
        }
    };
    let mut trackers = instances.iter().filter_map(|view| Some((view, weight(view)?))).peekable();
    if trackers.peek().is_some() {
        writeln!(out, "   Tracking VRRP instances :")?;
    }
    for (view, weight) in trackers {
        writeln!(out, "     {}, weight {weight}", view.settings.name)?;
    }
    Ok(())
}
