//! One instance in `keepalived.data`.

use super::InstanceView;
use super::vrrp_data::{When, yes};
use crate::types::{Family, Version};
use crate::vrrp::event::{Fault, State};
use crate::vrrp::notify::Notify;
use crate::vrrp::settings::{Auth, Preempt, RxBuffer, Settings, Transport, VirtualAddress, WantedState};
use crate::vrrp::trackers::Track;
use crate::vrrp::vmac::{Vmac, virtual_mac};
use std::fmt::{self, Write};

/// IFA_F_* bits and the words that ask for them.
const FLAGS: [(u32, &str); 4] = [(0x10, "home"), (0x100, "mngtmpaddr"), (0x200, "noprefixroute"), (0x400, "autojoin")];
/// IFA_F_NODAD, which IPv6 addresses get unless `-nodad` is written.
const NODAD: u32 = 0x02;

/// Whether the original counts it among "config faults".
const fn is_of_configuration(fault: &Fault) -> bool {
    matches!(fault, Fault::Configuration(_) | Fault::Socket(_))
}

/// Appends one instance.
pub(super) fn write(out: &mut String, view: &InstanceView, when: &When<'_>) -> fmt::Result {
    let settings = &view.settings;
    writeln!(out, " VRRP Instance = {}", settings.name)?;
    writeln!(out, "   VRRP Version = {}", settings.version.number())?;
    if settings.family == Family::V6 {
        writeln!(out, "   Using Native IPv6")?;
    }
    if let Some(group) = &settings.sync_group {
        writeln!(out, "   Sync group = {group}")?;
    }
    write_state(out, view, when)?;
    write_interface(out, view)?;
    write_announce(out, settings)?;
    writeln!(out, "   Virtual Router ID = {}", settings.vrid)?;
    writeln!(out, "   Priority = {}", settings.priority)?;
    writeln!(out, "   Effective priority = {}", view.effective_priority)?;
    writeln!(out, "   Total priority = {}", view.effective_priority)?;
    write_interval(out, view)?;
    writeln!(out, "   Accept = {}", yes(settings.accept))?;
    write_preempt(out, settings.preempt)?;
    writeln!(out, "   Promote_secondaries = {}", yes(settings.promote_secondaries))?;
    if let Some(RxBuffer::Bytes(size)) = settings.kernel_rx_buf_size {
        writeln!(out, "   Kernel rx buffer size = {size}")?;
    }
    match settings.auth {
        Some(Auth::Password(_)) => writeln!(out, "   Authentication type = SIMPLE_PASSWORD\n   Password = ********")?,
        Some(Auth::Header(_)) => writeln!(out, "   Authentication type = IPSEC_AH\n   Password = ********")?,
        None if settings.version == Version::V2 => writeln!(out, "   Authentication type = none")?,
        None => {}
    }
    write_addresses(out, view)?;
    write_peers(out, settings)?;
    write_paths(out, settings)?;
    write_tracked(out, settings)?;
    write_notify(out, settings.notify.as_deref())
}

fn write_state(out: &mut String, view: &InstanceView, when: &When<'_>) -> fmt::Result {
    let settings = &view.settings;
    writeln!(out, "   State = {}", view.state)?;
    match (view.state, view.master) {
        (State::Backup, Some(master)) => {
            writeln!(out, "   Master router = {master}")?;
            writeln!(out, "   Master priority = {}", view.master_priority)?;
            if settings.version == Version::V3 {
                writeln!(out, "   Master advert int = {:.2} sec", view.master_interval.duration().as_secs_f64())?;
            }
        }
        (State::Backup, None) => writeln!(out, "   Master router = (none heard yet)")?,
        _ => {}
    }
    for fault in &view.faults {
        writeln!(out, "   Fault = {fault}")?;
    }
    match settings.transport {
        Transport::Multicast { .. } => writeln!(out, "   Flags: none")?,
        Transport::Unicast { .. } => writeln!(out, "   Flags:\n     Using unicast")?,
    }
    let wanted = match (view.state, settings.wanted) {
        (state @ (State::Master | State::Backup | State::Fault), _) => state,
        (_, WantedState::Master) => State::Master,
        (_, WantedState::Backup) => State::Backup,
    };
    writeln!(out, "   Wantstate = {wanted}")?;
    let configured = view.faults.iter().filter(|fault| is_of_configuration(fault)).count();
    writeln!(out, "   Number of config faults = {configured}")?;
    writeln!(out, "   Number of interface and track script faults = {}", view.faults.len() - configured)?;
    writeln!(out, "   Number of track scripts init = {}", view.waits_for)?;
    writeln!(out, "   Last transition = {:.6} ({})", view.last_transition, when(view.last_transition))?;
    match view.next_deadline {
        Some(at) => writeln!(out, "   Read timeout = {at:.6} ({})", when(at))?,
        None => writeln!(out, "   Read timeout = DISABLED")?,
    }
    writeln!(out, "   Master down timer = {} usecs", view.master_down_interval.as_micros())
}

fn write_interface(out: &mut String, view: &InstanceView) -> fmt::Result {
    let settings = &view.settings;
    match (&settings.vmac, &settings.interface) {
        (Some(vmac), _) => write_vmac(out, view, vmac)?,
        (None, Some(interface)) => writeln!(out, "   Interface = {interface}")?,
        (None, None) => {}
    }
    if settings.dont_track_primary {
        writeln!(out, "   VRRP interface tracking disabled")?;
    }
    if settings.skip_check_adv_addr {
        writeln!(out, "   Skip checking advert IP addresses")?;
    }
    if settings.strict {
        writeln!(out, "   Enforcing strict VRRP compliance")?;
    }
    let configured = if settings.configured_source().is_some() { " (from configuration)" } else { "" };
    match view.source {
        Some(source) => writeln!(out, "   Using src_ip = {source}{configured}")?,
        None => writeln!(out, "   Using src_ip = (none)")?,
    }
    match &settings.transport {
        Transport::Multicast { group, .. } => writeln!(out, "   Multicast address {group}"),
        Transport::Unicast { .. } => Ok(()),
    }
}

fn write_vmac(out: &mut String, view: &InstanceView, vmac: &Vmac) -> fmt::Result {
    let settings = &view.settings;
    let is_up = !view.faults.contains(&Fault::InterfaceMissing(vmac.name.clone()));
    writeln!(out, "   Use VMAC, i/f name {}, is_up = {is_up}, xmit_base = {}", vmac.name, settings.xmit_base)?;
    if vmac.mac != virtual_mac(settings.vrid, settings.family) {
        let with_vrid = if vmac.mac.0.last() == Some(&settings.vrid.get()) { " (using VRID)" } else { "" };
        writeln!(out, "     MAC = {}{with_vrid}", vmac.mac)?;
    }
    let base = if settings.xmit_base { ", xmit base i/f" } else { "" };
    writeln!(out, "   Interface = {}, vmac on {}{base}", vmac.name, vmac.base)
}

fn write_announce(out: &mut String, settings: &Settings) -> fmt::Result {
    let announce = &settings.announce;
    writeln!(out, "   Gratuitous ARP delay = {}", announce.master_delay.as_secs())?;
    writeln!(out, "   Gratuitous ARP repeat = {}", announce.master_repeat)?;
    writeln!(out, "   Gratuitous ARP refresh = {}", announce.master_refresh.as_secs())?;
    writeln!(out, "   Gratuitous ARP refresh repeat = {}", announce.master_refresh_repeat)?;
    writeln!(out, "   Gratuitous ARP lower priority delay = {}", announce.lower_prio_delay.as_secs())?;
    writeln!(out, "   Gratuitous ARP lower priority repeat = {}", announce.lower_prio_repeat)?;
    writeln!(out, "   Down timer adverts = {}", settings.down_timer_adverts)?;
    if !announce.extra_if.is_zero() {
        let which = if announce.extra_if_all { "i/f" } else { "VMAC" };
        writeln!(out, "   Gratuitous ARP for each secondary {which} = {}", announce.extra_if.as_secs())?;
    }
    writeln!(out, "   Send advert after receive lower priority advert = {}", !settings.lower_prio_no_advert)?;
    writeln!(out, "   Send advert after receive higher priority advert = {}", settings.higher_prio_send_advert)
}

fn write_interval(out: &mut String, view: &InstanceView) -> fmt::Result {
    let settings = &view.settings;
    match settings.version {
        Version::V2 => writeln!(out, "   Advert interval = {} sec", settings.advert_interval.get() / 100),
        Version::V3 => {
            writeln!(out, "   Advert interval = {} milli-sec", settings.advert_interval.duration().as_millis())?;
            if view.state == State::Backup {
                writeln!(out, "   Master advert interval = {} milli-sec", view.master_interval.duration().as_millis())?;
            }
            Ok(())
        }
    }
}

fn write_preempt(out: &mut String, preempt: Preempt) -> fmt::Result {
    match preempt {
        Preempt::AtOnce => writeln!(out, "   Preempt = enabled"),
        Preempt::After(delay) => writeln!(out, "   Preempt = enabled\n   Preempt delay = {} secs", delay.as_secs_f64()),
        Preempt::Never => writeln!(out, "   Preempt = disabled"),
    }
}

fn write_addresses(out: &mut String, view: &InstanceView) -> fmt::Result {
    let settings = &view.settings;
    if !settings.addresses.is_empty() {
        writeln!(out, "   Virtual IP ({}):", settings.addresses.len())?;
    }
    for address in &settings.addresses {
        writeln!(out, "     {}", address_line(view, address))?;
    }
    if !settings.excluded.is_empty() {
        writeln!(out, "   Virtual IP Excluded :")?;
    }
    for address in &settings.excluded {
        writeln!(out, "     {}", address_line(view, address))?;
    }
    Ok(())
}

fn write_peers(out: &mut String, settings: &Settings) -> fmt::Result {
    let Transport::Unicast { peers, ttl, .. } = &settings.transport else { return Ok(()) };
    writeln!(out, "   Unicast TTL = {}", ttl.unwrap_or(255))?;
    writeln!(out, "   Check unicast src : {}", if settings.check_unicast_src { "yes" } else { "no" })?;
    writeln!(out, "   Unicast Peer :")?;
    for peer in peers {
        writeln!(out, "     {} min_ttl {} max_ttl {}", peer.address, peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255))?;
    }
    Ok(())
}

fn write_paths(out: &mut String, settings: &Settings) -> fmt::Result {
    if !settings.routes.is_empty() {
        writeln!(out, "   Virtual Routes :")?;
    }
    settings.routes.iter().try_for_each(|route| writeln!(out, "     {route}"))?;
    if !settings.rules.is_empty() {
        writeln!(out, "   Virtual Rules :")?;
    }
    settings.rules.iter().try_for_each(|rule| writeln!(out, "     {rule}"))
}

fn write_tracked(out: &mut String, settings: &Settings) -> fmt::Result {
    let reverse = |reverse: bool| if reverse { " reverse" } else { "" };
    if !settings.track_interfaces.is_empty() {
        writeln!(out, "   Tracked interfaces :")?;
    }
    for tracked in &settings.track_interfaces {
        writeln!(out, "     {} weight {}{}", tracked.name, tracked.weight, reverse(tracked.reverse))?;
    }
    let mut list = |title: &str, separator: &str, tracks: &[Track]| {
        if !tracks.is_empty() {
            writeln!(out, "   Tracked {title} :")?;
        }
        for track in tracks {
            writeln!(out, "     {}{separator} weight {}{}", track.name, track.weight, reverse(track.reverse))?;
        }
        Ok(())
    };
    list("scripts", "", &settings.track_scripts)?;
    list("files", ",", &settings.track_files)?;
    list("processes", ",", &settings.track_processes)?;
    list("BFDs", ":", &settings.track_bfds)
}

fn write_notify(out: &mut String, notify: Option<&Notify>) -> fmt::Result {
    let nothing = Notify::default();
    let notify = notify.unwrap_or(&nothing);
    writeln!(out, "   Using smtp notification = {}", if notify.mail { "yes" } else { "no" })?;
    writeln!(out, "   Notify deleted = {}", if notify.says_deleted { "Deleted" } else { "Fault" })?;
    write_scripts(out, notify)?;
    writeln!(out, "   Notify priority changes = {}", notify.priority_changes)
}

/// The scripts of an instance or a group.
pub(super) fn write_scripts(out: &mut String, notify: &Notify) -> fmt::Result {
    let scripts = [
        ("Backup", &notify.backup),
        ("Master", &notify.master),
        ("Fault", &notify.fault),
        ("Stop", &notify.stop),
        ("Deleted", &notify.deleted),
        ("Generic", &notify.any),
        ("Master rx lower pri", &notify.lower_priority),
    ];
    for (name, script) in scripts {
        if let Some(command) = script {
            writeln!(out, "   {name} state transition script = {command}{}", as_whom(command))?;
        }
    }
    Ok(())
}

/// `, as nobody`, when the configuration says so.
pub(super) fn as_whom(command: &crate::types::Command) -> String {
    command.user.as_ref().map_or_else(String::new, |user| format!(", user {}", user.user))
}

/// `172.25.254.100/24 dev eth0 scope global label eth0:1 set`
pub fn address_line(view: &InstanceView, address: &VirtualAddress) -> String {
    let settings = &view.settings;
    let place = settings.place(address);
    let base = place.and_then(|place| settings.vmacs().find(|vmac| vmac.name == place)).map(|vmac| format!("{}@{}", vmac.name, vmac.base));
    let mut line = line(base.as_deref().or(place), address);
    if view.state == State::Master {
        line.push_str(if view.settings.is_shut() { " set nftable_set" } else { " set" });
    }
    line
}

/// The same without what becomes of it; on this interface when it names none.
pub fn bare_line(interface: Option<&str>, address: &VirtualAddress) -> String {
    line(address.device.as_deref().or(interface), address)
}

fn line(device: Option<&str>, address: &VirtualAddress) -> String {
    let prefix = &address.prefix;
    let is_host = prefix.length() == prefix.family().host_bits();
    let mut line = if is_host { prefix.address().to_string() } else { prefix.to_string() };
    // writing to a String cannot fail
    let mut say = |text: fmt::Arguments<'_>| {
        let _ = line.write_fmt(text);
    };
    if let Some(peer) = address.peer {
        say(format_args!(" peer {}", peer.address()));
    }
    if let Some(broadcast) = address.broadcast {
        say(format_args!(" brd {broadcast}"));
    }
    if let Some(device) = device {
        say(format_args!(" dev {device}"));
    }
    if address.vmac.is_some() {
        say(format_args!(" use_vmac"));
    }
    match address.scope {
        0 => say(format_args!(" scope global")),
        200 => say(format_args!(" scope site")),
        253 => say(format_args!(" scope link")),
        254 => say(format_args!(" scope host")),
        255 => say(format_args!(" scope nowhere")),
        other => say(format_args!(" scope {other}")),
    }
    if let Some(label) = &address.label {
        say(format_args!(" label {label}"));
    }
    let v6 = prefix.family() == Family::V6;
    if v6 && address.flags & NODAD == 0 {
        say(format_args!(" -nodad"));
    }
    for (bit, word) in FLAGS {
        if address.flags & bit != 0 {
            say(format_args!(" {word}"));
        }
    }
    match address.preferred_lifetime {
        Some(0) => say(format_args!(" deprecated")),
        Some(seconds) => say(format_args!(" preferred_lft {seconds}")),
        None if v6 => say(format_args!(" preferred_lft forever")),
        None => {}
    }
    if address.no_track {
        say(format_args!(" no_track"));
    }
    if let Some(group) = &address.track_group {
        say(format_args!(" track_group {group}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use crate::vrrp::stats::Stats;
    use std::collections::BTreeSet;

    fn view(state: State, lines: &str) -> InstanceView {
        let text = format!("vrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\n{lines}\n}}\n");
        let settings = load_text(&text).config.instances.remove(0);
        InstanceView {
            state,
            effective_priority: settings.priority,
            faults: BTreeSet::new(),
            source: None,
            master: None,
            master_priority: 0,
            master_interval: settings.advert_interval,
            master_down_interval: settings.advert_interval.duration() * 3,
            stats: Stats::default(),
            last_transition: 0.0,
            next_deadline: None,
            waits_for: 0,
            settings,
        }
    }

    #[test]
    fn addresses_are_shown_as_the_original_shows_them() {
        let lines = "virtual_ipaddress {\n10.0.0.1\n10.0.0.2/24 brd + label eth0:1\n10.0.0.3/24 dev eth1 scope link no_track\n}\n\
                     virtual_ipaddress_excluded {\n2001:db8::1/64 -nodad\n2001:db8::2\n}";
        let shown = |state| {
            let view = view(state, lines);
            let all = view.settings.addresses.iter().chain(&view.settings.excluded);
            all.map(|address| address_line(&view, address)).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(State::Master),
            [
                "10.0.0.1 dev eth0 scope global set",
                "10.0.0.2/24 brd 10.0.0.255 dev eth0 scope global label eth0:1 set",
                "10.0.0.3/24 dev eth1 scope link no_track set",
                "2001:db8::1/64 dev eth0 scope global -nodad preferred_lft forever set",
                "2001:db8::2 dev eth0 scope global deprecated set",
            ]
        );
        assert_eq!(shown(State::Backup)[0], "10.0.0.1 dev eth0 scope global");
    }

    #[test]
    fn an_instance_shows_no_secret_and_wants_the_state_that_it_is_in() {
        let lines = "virtual_ipaddress {\n10.0.0.1\n}\nauthentication {\nauth_type PASS\nauth_pass s3cret\n}\nno_accept";
        let mut text = String::new();
        write(&mut text, &view(State::Master, lines), &|_| "then".to_owned()).unwrap();
        assert!(text.contains("   Wantstate = MASTER\n") && text.contains("   Password = ********\n"), "{text}");
        assert!(text.contains("scope global set nftable_set\n") && !text.contains("s3cret"), "{text}");
        assert!(text.contains("   Read timeout = DISABLED\n"), "{text}");
    }
}
