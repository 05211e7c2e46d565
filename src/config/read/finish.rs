//! One instance's draft into its settings: defaults filled in, what contradicts each other told and settled.

use super::Reader;
use super::instance::{AuthType, Draft};
use super::together::{self, Kind};
use super::{links, strict, vmac};
use crate::syntax::{Complaint, Verdict};
use crate::types::{CentiSecs, Family, Priority, Version, Vrid};
use crate::vrrp::settings::{Announce, Auth, Preempt, RxBuffer, Settings, Transport, WantedState};
use std::net::IpAddr;
use std::time::Duration;

/// Most addresses of an advert: the count is one byte.
const ADDRESSES: usize = 255;
/// Most IPv6 addresses of an advert in an Ethernet frame: (1500 - 40 - 8) / 16.
const ADDRESSES_V6: usize = 90;

/// Complains about the instance as a whole.
pub(super) fn warn(reader: &mut Reader, draft: &Draft, what: &str) {
    reader.complain(Complaint::warning(draft.span, format!("({}) {what}", draft.name)));
}

/// An instance that cannot run: the original does not start with one.
fn refuse(reader: &mut Reader, draft: &Draft, what: &str, expected: &str) {
    let complaint = Complaint::error(draft.span, format!("({}) {what}", draft.name)).verdict(Verdict::Unusable);
    reader.complain(complaint.expected(expected).help("the instance is left out".to_owned()));
}

pub(super) fn instance(reader: &mut Reader, mut draft: Draft, group: Option<&Draft>) -> Option<Settings> {
    let family = draft.family.unwrap_or(Family::V4);
    let vrid = required(reader, &draft)?;
    if let Some(interface) = draft.interface.as_ref().filter(|_| draft.linkbeat_use_polling) {
        links::poll_of_instance(reader, interface);
    }
    let version = version(reader, &draft, family);
    let is_strict = draft.strict.unwrap_or(reader.defaults.strict);
    let wanted_master = draft.state.is_some_and(|(state, _)| state == WantedState::Master);
    let priority = draft.priority.unwrap_or(if wanted_master { Priority::OWNER } else { Priority::DEFAULT });
    let mut wanted = draft.state.map_or(if priority.is_owner() { WantedState::Master } else { WantedState::Backup }, |(state, _)| state);
    if is_strict {
        wanted = strict::apply(reader, &mut draft, version, family, priority, wanted);
    }
    if !has_addresses(reader, &draft, version, is_strict) {
        return None;
    }
    excess(reader, &mut draft, family);
    let vmacs = vmac::of(reader, &mut draft, vrid, family, is_strict);
    let auth = auth(reader, &draft, version, family, is_strict);
    if matches!(auth, Some(Auth::Header(_))) && wanted == WantedState::Master && !priority.is_owner() {
        warn(reader, &draft, "Initial state master is incompatible with AH authentication - clearing");
        wanted = WantedState::Backup;
    }
    let config_fault = (draft.fault_no_peer && draft.peers.is_empty()).then(|| "no unicast peer".to_owned());
    Some(Settings {
        interface: draft.interface.clone(),
        vrid,
        version,
        family,
        wanted,
        priority,
        advert_interval: interval(reader, &draft, version),
        preempt: preempt(reader, &draft, wanted, priority),
        down_timer_adverts: draft
            .down_timer_adverts
            .map_or(if is_strict { 3 } else { reader.defaults.down_timer_adverts }, |(count, _)| count),
        auth,
        transport: transport(reader, &draft, family),
        accept: draft.accept.map_or(!is_strict || priority.is_owner(), |(accept, _)| accept),
        strict: is_strict,
        promote_secondaries: draft.promote_secondaries,
        announce: announce(reader, &draft, is_strict),
        track_interfaces: {
            let own = tracked(reader, &draft, priority);
            together::interfaces(reader, &draft, own, group)
        },
        track_scripts: together::tracks(reader, Kind::Script, &draft, group, priority),
        track_files: together::tracks(reader, Kind::File, &draft, group, priority),
        track_processes: together::tracks(reader, Kind::Process, &draft, group, priority),
        track_bfds: together::tracks(reader, Kind::Bfd, &draft, group, priority),
        sync_group: group.map(|group| group.name.clone()),
        notify: draft.told.finish(group.map(|group| &group.told), reader.defaults.told),
        dont_track_primary: draft.dont_track_primary,
        track_src_ip: draft.track_src_ip,
        skip_check_adv_addr: draft.skip_check_adv_addr.unwrap_or(reader.defaults.skip_check_adv_addr),
        check_unicast_src: draft.check_unicast_src || reader.defaults.check_unicast_src,
        lower_prio_no_advert: draft.lower_prio_no_advert.map_or(is_strict || reader.defaults.lower_prio_no_advert, |(on, _)| on),
        higher_prio_send_advert: draft.higher_prio_send_advert.map_or(!is_strict && reader.defaults.higher_prio_send_advert, |(on, _)| on),
        owner_ignore_adverts: priority.is_owner()
            && (is_strict || draft.owner_ignore_adverts.unwrap_or(reader.defaults.owner_ignore_adverts)),
        v3_checksum_as_v2: draft.v3_checksum_as_v2.unwrap_or(reader.defaults.v3_checksum_as_v2),
        kernel_rx_buf_size: rx_buffer(reader, draft.kernel_rx_buf_size),
        config_fault,
        log_unknown_vrids: reader.defaults.log_unknown_vrids,
        addresses: exactly(draft.addresses),
        excluded: exactly(draft.excluded),
        routes: exactly(draft.routes),
        rules: exactly(draft.rules),
        follows: Vec::new(),
        vmac: vmacs.own,
        xmit_base: vmacs.xmit_base,
        address_vmacs: exactly(vmacs.of_addresses),
        name: draft.name,
    })
}

/// The block's own bytes, else the global policy with its multiplier.
fn rx_buffer(reader: &Reader, bytes: Option<u32>) -> Option<RxBuffer> {
    let times = reader.global.vrrp.rx_multiplier.unwrap_or(3);
    bytes.map(RxBuffer::Bytes).or_else(|| {
        Some(match reader.global.vrrp.rx_buffer? {
            RxBuffer::Mtu(_) => RxBuffer::Mtu(times),
            RxBuffer::Advert(_) => RxBuffer::Advert(times),
            bytes @ RxBuffer::Bytes(_) => bytes,
        })
    })
}

/// Without the room that a list grows by: thousands of instances live as long as the daemon.
fn exactly<T>(mut list: Vec<T>) -> Vec<T> {
    list.shrink_to_fit();
    list
}

fn required(reader: &mut Reader, draft: &Draft) -> Option<Vrid> {
    let unicast_source = !draft.peers.is_empty() && draft.unicast_source.is_some();
    if draft.interface.is_none() && !unicast_source {
        refuse(reader, draft, "Unknown interface!", "'interface NAME'");
        return None;
    }
    let Some((vrid, _)) = draft.vrid else {
        refuse(reader, draft, "the virtual router id must be set", "'virtual_router_id 1..255'");
        return None;
    };
    Some(vrid)
}

fn version(reader: &mut Reader, draft: &Draft, family: Family) -> Version {
    match (family, draft.version) {
        (Family::V4, Some((version, _))) => version,
        (Family::V4, None) => reader.defaults.version.unwrap_or(Version::V2),
        (Family::V6, Some((Version::V2, span))) => {
            let message = format!("({}) VRRP version 2 has no IPv6: version 3 is used", draft.name);
            reader.complain(Complaint::remark(span, message).expected("version 3"));
            Version::V3
        }
        (Family::V6, _) => Version::V3,
    }
}

fn has_addresses(reader: &mut Reader, draft: &Draft, version: Version, is_strict: bool) -> bool {
    if !draft.addresses.is_empty() || draft.no_addresses {
        return true;
    }
    if version == Version::V3 || is_strict {
        refuse(reader, draft, "No VIP specified; at least one is required", "'virtual_ipaddress { ADDRESS … }'");
        return false;
    }
    warn(reader, draft, "No VIP specified; at least one is sensible");
    true
}

/// What does not fit an advert is installed, not advertised.
fn excess(reader: &mut Reader, draft: &mut Draft, family: Family) {
    let most = match family {
        Family::V4 => ADDRESSES,
        Family::V6 => ADDRESSES_V6,
    };
    if draft.addresses.len() > most {
        let count = draft.addresses.len();
        let what =
            format!("Number of VIPs ({count}) exceeds maximum/space available in packet (max {most} addresses) - excess moved to eVIPs");
        warn(reader, draft, &what);
        let moved = draft.addresses.split_off(most);
        draft.excluded.splice(0..0, moved);
    }
}

fn auth(reader: &mut Reader, draft: &Draft, version: Version, family: Family, is_strict: bool) -> Option<Auth> {
    draft.auth?;
    let kind = draft.auth_type?;
    let Some(password) = draft.auth_pass.filter(|password| password.iter().any(|byte| *byte != 0)) else {
        warn(reader, draft, "Authentication specified but no password given. Ignoring");
        return None;
    };
    if version == Version::V3 {
        warn(reader, draft, "VRRP version 3 does not support authentication. Ignoring.");
        return None;
    }
    if is_strict {
        warn(reader, draft, "Strict mode does not support authentication. Ignoring.");
        return None;
    }
    match kind {
        AuthType::Pass => Some(Auth::Password(password)),
        AuthType::Header if family == Family::V6 => {
            warn(reader, draft, "Cannot use AH authentication with IPv6 - ignoring");
            None
        }
        AuthType::Header => Some(Auth::Header(password)),
    }
}

/// Version 2 has whole seconds, version 3 has 12 bits of centiseconds.
fn interval(reader: &mut Reader, draft: &Draft, version: Version) -> CentiSecs {
    let Some((written, span)) = draft.advert else { return CentiSecs::SECOND };
    let micros = u64::try_from(written.as_micros()).unwrap_or(u64::MAX);
    let shown = format!("{}.{:06}s", micros / 1_000_000, micros % 1_000_000);
    let (unit, least, most) = match version {
        Version::V2 => (1_000_000, 1, 255),
        Version::V3 => (10_000, 1, 4095),
    };
    let units = ((micros + unit / 2) / unit).clamp(least, most);
    let problem = match version {
        Version::V2 if micros % unit != 0 => Some(format!("VRRPv2 advertisement interval {shown} must be an integer. rounding")),
        Version::V3 if micros > most * unit => {
            Some(format!("VRRPv3 advertisement interval {shown} is out of range. Must be less than 40.96s. Setting to 40.95s"))
        }
        Version::V3 if micros % unit != 0 => Some(format!("VRRPv3 advertisement interval {shown} must be in units of 10ms - rounding")),
        Version::V2 | Version::V3 => None,
    };
    if let Some(problem) = problem {
        reader.complain(Complaint::warning(span, format!("({}) {problem}", draft.name)));
    }
    u16::try_from(units * unit / 10_000).ok().and_then(CentiSecs::new).unwrap_or(CentiSecs::SECOND)
}

fn preempt(reader: &mut Reader, draft: &Draft, wanted: WantedState, priority: Priority) -> Preempt {
    let warn_at = |reader: &mut Reader, span, what: &str| reader.complain(Complaint::warning(span, format!("({}) {what}", draft.name)));
    if let Some(span) = draft.nopreempt {
        if wanted == WantedState::Master {
            let message = format!("({}) Warning - nopreempt will not work with initial state MASTER - clearing", draft.name);
            let complaint = Complaint::warning(span, message).rule("nopreempt-master");
            reader.complain(match draft.state {
                Some((_, state)) => complaint.fix(state, "BACKUP"),
                None => complaint,
            });
        } else if priority.is_owner() {
            warn_at(reader, span, "nopreempt is incompatible with priority 255 - clearing");
        } else {
            if let Some((_, span)) = draft.preempt_delay {
                warn_at(reader, span, "preempt_delay is incompatible with nopreempt mode - resetting");
            }
            return Preempt::Never;
        }
    }
    match draft.preempt_delay {
        None => Preempt::AtOnce,
        Some((delay, _)) if delay.is_zero() => Preempt::AtOnce,
        Some((_, span)) if wanted == WantedState::Master => {
            warn_at(reader, span, "Warning - preempt delay will not work with initial state MASTER - clearing");
            Preempt::AtOnce
        }
        Some((delay, _)) => Preempt::After(delay),
    }
}

fn transport(reader: &mut Reader, draft: &Draft, family: Family) -> Transport {
    let unicast = !draft.peers.is_empty() || draft.fault_no_peer;
    if unicast {
        return Transport::Unicast {
            source: draft.unicast_source.or(draft.mcast_source),
            peers: draft.peers.clone(),
            ttl: draft.unicast_ttl,
        };
    }
    if let Some(span) = draft.unicast {
        let message = format!(
            "({}) A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration.",
            draft.name
        );
        reader.complain(Complaint::warning(span, message).expected("'unicast_peer { ADDRESS … }'"));
    }
    let default = match family {
        Family::V4 => IpAddr::V4(reader.defaults.group4),
        Family::V6 => IpAddr::V6(reader.defaults.group6),
    };
    Transport::Multicast { group: draft.group.unwrap_or(default), source: draft.mcast_source.or(draft.unicast_source) }
}

/// How an instance announces its addresses: its own words, else the global ones.
pub(super) fn announce(reader: &Reader, draft: &Draft, is_strict: bool) -> Announce {
    let (global, base) = (&reader.defaults, Announce::default());
    let group = draft.interface.as_deref().and_then(|interface| reader.garp_group(interface));
    // vrrp_min_garp: one message and nothing more, where nothing else is asked for.
    let (repeat, delay, refresh_repeat) =
        if global.min_garp { (1, Duration::ZERO, 0) } else { (base.master_repeat, base.master_delay, base.master_refresh_repeat) };
    let master_delay = global.garp_delay.unwrap_or(delay);
    let master_repeat = global.garp_repeat.unwrap_or(repeat);
    let (lower_delay, lower_repeat) = if is_strict {
        (Duration::ZERO, 0)
    } else {
        (global.garp_lower_delay.unwrap_or(master_delay), global.garp_lower_repeat.unwrap_or(master_repeat))
    };
    let (extra_if, extra_if_all) = draft.garp_extra_if.or(global.garp_extra_if).unwrap_or_default();
    Announce {
        extra_if,
        extra_if_all,
        master_delay: draft.garp_delay.unwrap_or(master_delay),
        master_repeat: draft.garp_repeat.unwrap_or(master_repeat),
        master_refresh: draft.garp_refresh.or(global.garp_refresh).unwrap_or(base.master_refresh),
        master_refresh_repeat: draft.garp_refresh_repeat.or(global.garp_refresh_repeat).unwrap_or(refresh_repeat),
        lower_prio_delay: draft.garp_lower_delay.map_or(lower_delay, |(delay, _)| delay),
        lower_prio_repeat: draft.garp_lower_repeat.map_or(lower_repeat, |(count, _)| count),
        garp_interval: group.and_then(|group| group.garp_interval).or(global.garp_interval).unwrap_or_default(),
        gna_interval: group.and_then(|group| group.gna_interval).or(global.gna_interval).unwrap_or_default(),
    }
}

fn tracked(reader: &mut Reader, draft: &Draft, priority: Priority) -> Vec<crate::vrrp::settings::TrackInterface> {
    let mut kept = Vec::with_capacity(draft.track_interfaces.len());
    for tracked in &draft.track_interfaces {
        let name = &tracked.name;
        if draft.interface.as_ref() == Some(name) {
            warn(reader, draft, &format!("Ignoring track_interface {name} since own interface"));
        } else if priority.is_owner() && tracked.weight != 0 {
            warn(reader, draft, &format!("Ignoring weight of track_interface {name} due to being address owner"));
        } else {
            kept.push(tracked.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use crate::vrrp::settings::TransportKey;

    fn with_global(global: &str, lines: &str) -> Settings {
        let text = format!(
            "vrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n10.0.0.1\n}}\n{lines}\n}}\nglobal_defs {{\n{global}\n}}\n"
        );
        load_text(&text).config.instances[0].as_ref().clone()
    }

    fn with(lines: &str) -> Settings {
        with_global("", lines)
    }

    /// The totals that 2.2.7 asks of the kernel for one such instance on an interface of MTU 1500.
    #[test]
    fn receive_buffers_are_sized_as_by_the_original() {
        let bytes = |global: &str, lines: &str| {
            let settings = with_global(global, lines);
            let advert = u32::try_from(crate::vrrp::packet::length_on_the_wire(&settings)).unwrap();
            settings.kernel_rx_buf_size.map(|size| size.bytes(1500, advert))
        };
        assert_eq!(bytes("", ""), None);
        assert_eq!(bytes("vrrp_rx_bufs_policy MTU", ""), Some(4500));
        assert_eq!(bytes("vrrp_rx_bufs_policy advert", ""), Some(120));
        assert_eq!(bytes("vrrp_rx_bufs_multiplier 5\nvrrp_rx_bufs_policy MTU", ""), Some(7500));
        assert_eq!(bytes("vrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_policy ADVERT", ""), Some(4500));
        assert_eq!(bytes("vrrp_rx_bufs_policy 20000\nvrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_multiplier 5", ""), Some(20_000));
        assert_eq!(bytes("vrrp_rx_bufs_policy ADVERT", "kernel_rx_buf_size 7000"), Some(7000));
    }

    #[test]
    fn defaults_are_the_originals() {
        let settings = with("");
        assert_eq!((settings.version, settings.priority.get(), settings.advert_interval.get()), (Version::V2, 100, 100));
        assert_eq!((settings.wanted, settings.preempt, settings.down_timer_adverts), (WantedState::Backup, Preempt::AtOnce, 3));
        assert_eq!(settings.announce, Announce::default());
        assert!(settings.accept && !settings.strict && settings.auth.is_none());
        assert_eq!(settings.transport, Transport::Multicast { group: "224.0.0.18".parse().unwrap(), source: None });
    }

    #[test]
    fn a_master_without_priority_is_the_owner_and_an_owner_wants_to_be_master() {
        assert!(with("state MASTER").priority.is_owner());
        assert_eq!(with("priority 255").wanted, WantedState::Master);
        assert_eq!(with("priority 255\nstate BACKUP").wanted, WantedState::Backup);
    }

    #[test]
    fn version_2_rounds_to_seconds_and_version_3_to_centiseconds() {
        let interval = |lines: &str| with(lines).advert_interval.get();
        assert_eq!(interval("advert_int 0.2"), 100);
        assert_eq!(interval("advert_int 1.5"), 200);
        assert_eq!(interval("advert_int 255"), 25_500);
        assert_eq!(interval("version 3\nadvert_int 0.01"), 1);
        assert_eq!(interval("version 3\nadvert_int 1.005"), 101);
        assert_eq!(interval("version 3\nadvert_int 100"), 4_095);
    }

    #[test]
    fn global_settings_hold_wherever_they_stand() {
        let global =
            "vrrp_version 3\nvrrp_mcast_group4 224.0.0.99\nvrrp_garp_master_delay 7\nvrrp_garp_master_repeat 2\nvrrp_down_timer_adverts 4";
        let settings = with_global(global, "garp_master_repeat 9");
        assert_eq!((settings.version, settings.down_timer_adverts), (Version::V3, 4));
        assert_eq!(settings.transport.key(), TransportKey::Multicast("224.0.0.99".parse().unwrap()));
        assert_eq!((settings.announce.master_delay, settings.announce.master_repeat), (Duration::from_secs(7), 9));
        assert_eq!((settings.announce.lower_prio_delay, settings.announce.lower_prio_repeat), (Duration::from_secs(7), 2));
    }

    #[test]
    fn min_garp_yields_to_what_is_written() {
        let settings = with_global("vrrp_min_garp\nvrrp_garp_master_repeat 3", "");
        assert_eq!((settings.announce.master_repeat, settings.announce.master_delay), (3, Duration::ZERO));
    }

    #[test]
    fn preempt_delay_takes_the_unit_that_tutorials_write() {
        assert_eq!(with("preempt_delay 5s").preempt, Preempt::After(Duration::from_secs(5)));
        assert_eq!(with("preempt_delay 5").preempt, Preempt::After(Duration::from_secs(5)));
        assert_eq!(with("nopreempt\npreempt_delay 5").preempt, Preempt::Never);
        assert_eq!(with("nopreempt\npriority 10\nstate MASTER").preempt, Preempt::AtOnce);
    }

    #[test]
    fn strict_mode_takes_back_what_the_rfcs_do_not_have() {
        let auth = "authentication {\nauth_type PASS\nauth_pass 1111\n}";
        assert_eq!(with(auth).auth, Some(Auth::Password(*b"1111\0\0\0\0")));
        let settings =
            with_global("vrrp_strict", &format!("{auth}\naccept\npreempt_delay 5\nstate MASTER\npriority 50\nhigher_prio_send_advert"));
        assert_eq!((settings.auth.is_some(), settings.accept, settings.preempt), (false, false, Preempt::AtOnce));
        assert_eq!((settings.wanted, settings.lower_prio_no_advert, settings.higher_prio_send_advert), (WantedState::Backup, true, false));
        assert!(with_global("vrrp_strict", "priority 255").accept);
        assert!(!with_global("vrrp_strict", "strict_mode off").strict);
    }

    #[test]
    fn unicast_without_peers_is_multicast_or_a_fault() {
        assert!(!with("unicast_src_ip 10.0.0.9").transport.is_unicast());
        let fault = with("unicast_src_ip 10.0.0.9\nunicast_fault_no_peer");
        assert!(fault.transport.is_unicast() && fault.config_fault.is_some());
        let peers = with("unicast_peer {\n10.0.0.2 min_ttl 3\n10.0.0.3\n10.0.0.2\n}");
        let Transport::Unicast { peers: list, .. } = &peers.transport else { panic!("not unicast") };
        assert_eq!((list.len(), list[0].min_ttl, peers.check_unicast_src), (2, Some(3), true));
    }
}
