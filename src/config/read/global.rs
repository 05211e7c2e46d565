//! `global_defs`: defaults of instances, and what the VRRP child is told.

use super::{Line, Reader};
use crate::config::number::{self, Decimal};
use crate::syntax::Complaint;
use crate::types::{Family, Version};
use crate::vrrp::settings::RxBuffer;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// `global_defs` settings that hold for every instance that says nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) version: Option<Version>,
    pub(crate) group4: Ipv4Addr,
    pub(crate) group6: Ipv6Addr,
    pub(crate) garp_delay: Option<Duration>,
    pub(crate) garp_repeat: Option<u32>,
    pub(crate) garp_refresh: Option<Duration>,
    pub(crate) garp_refresh_repeat: Option<u32>,
    pub(crate) garp_lower_delay: Option<Duration>,
    pub(crate) garp_lower_repeat: Option<u32>,
    pub(crate) garp_extra_if: Option<(Duration, bool)>,
    pub(crate) garp_interval: Option<Duration>,
    pub(crate) gna_interval: Option<Duration>,
    pub(crate) min_garp: bool,
    pub(crate) down_timer_adverts: u8,
    pub(crate) lower_prio_no_advert: bool,
    pub(crate) higher_prio_send_advert: bool,
    pub(crate) owner_ignore_adverts: bool,
    pub(crate) check_unicast_src: bool,
    pub(crate) skip_check_adv_addr: bool,
    pub(crate) strict: bool,
    pub(crate) v3_checksum_as_v2: bool,
    pub(crate) log_unknown_vrids: bool,
    pub(crate) vmac_prefix: Option<String>,
    pub(crate) vmac_addr_prefix: Option<String>,
    /// Who is told what.
    pub(crate) told: super::notify::NotifyDefaults,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            version: None,
            group4: Ipv4Addr::new(224, 0, 0, 18),
            group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            garp_delay: None,
            garp_repeat: None,
            garp_refresh: None,
            garp_refresh_repeat: None,
            garp_lower_delay: None,
            garp_lower_repeat: None,
            garp_extra_if: None,
            garp_interval: None,
            gna_interval: None,
            min_garp: false,
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            check_unicast_src: false,
            skip_check_adv_addr: false,
            strict: false,
            v3_checksum_as_v2: false,
            log_unknown_vrids: false,
            vmac_prefix: None,
            vmac_addr_prefix: None,
            told: super::notify::NotifyDefaults::default(),
        }
    }
}

const DEFAULT: &str = "the default is used";
const LEFT_OUT: &str = "the line is left out";

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    reader.walk(&line.children);
}

// Defaults of instances.

fn group(reader: &mut Reader, line: &Line<'_>, family: Family) -> Option<IpAddr> {
    let word = line.arg(0)?;
    let Some(address) = word.parse::<IpAddr>().ok().filter(|address| Family::of(address) == family) else {
        let message = format!("{} [{}] is not an {family} address. Skipping", &*line.word, &**word);
        reader.complain(Complaint::error(word.span, message).expected(format!("an {family} multicast address")));
        return None;
    };
    if !address.is_multicast() {
        let message = format!("{} [{}] is not multicast. Skipping", &*line.word, &**word);
        reader.complain(Complaint::error(word.span, message).expected(format!("an {family} multicast address")));
        return None;
    }
    Some(address)
}

pub(crate) fn vrrp_mcast_group4(reader: &mut Reader, line: &Line<'_>) {
    if let Some(IpAddr::V4(group)) = group(reader, line, Family::V4) {
        reader.defaults.group4 = group;
    }
}

pub(crate) fn vrrp_mcast_group6(reader: &mut Reader, line: &Line<'_>) {
    let Some(IpAddr::V6(group)) = group(reader, line, Family::V6) else { return };
    if !is_link_local_group(group) {
        reader.complain(Complaint::warning(line.arg_span(0), format!("vrrp_mcast_group6 [{group}] should be link-local multicast")));
    }
    reader.defaults.group6 = group;
}

/// ff02::/16, whatever the flags.
pub(crate) const fn is_link_local_group(group: Ipv6Addr) -> bool {
    group.is_multicast() && group.segments()[0] & 0x000f == 2
}

pub(crate) fn garp_delay(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_delay = number::seconds(reader, line, DEFAULT).or(reader.defaults.garp_delay);
}

/// A count of messages; zero becomes one.
pub(crate) fn repeat(reader: &mut Reader, line: &Line<'_>) -> Option<u32> {
    let count = number::unsigned(reader, line, 0, DEFAULT)?;
    if count == 0 {
        let message = format!("{} must be greater than 0, setting to 1", &*line.word);
        reader.complain(Complaint::warning(line.arg_span(0), message));
    }
    Some(count.max(1))
}

pub(crate) fn garp_repeat(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_repeat = repeat(reader, line).or(reader.defaults.garp_repeat);
}

pub(crate) fn garp_refresh(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_refresh = number::seconds(reader, line, DEFAULT).or(reader.defaults.garp_refresh);
}

pub(crate) fn garp_refresh_repeat(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_refresh_repeat = repeat(reader, line).or(reader.defaults.garp_refresh_repeat);
}

pub(crate) fn garp_extra_if(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_extra_if = super::garp::extra_if(reader, line, 1).or(reader.defaults.garp_extra_if);
}

pub(crate) fn garp_lower_delay(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_lower_delay = number::seconds(reader, line, DEFAULT).or(reader.defaults.garp_lower_delay);
}

pub(crate) fn garp_lower_repeat(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_lower_repeat = number::unsigned(reader, line, 0, DEFAULT).or(reader.defaults.garp_lower_repeat);
}

/// `vrrp_garp_interval 0` stands in every tutorial: out of range for the original, which says so and goes on without.
pub(super) const INTERVAL: Decimal = Decimal { range: 1..=4_294_967_295, instead: "no interval is kept", zero_is_usual: true, unit: false };

pub(crate) fn garp_interval(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.garp_interval = number::decimal(reader, line, &INTERVAL).or(reader.defaults.garp_interval);
}

pub(crate) fn gna_interval(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.gna_interval = number::decimal(reader, line, &INTERVAL).or(reader.defaults.gna_interval);
}

pub(crate) fn min_garp(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.min_garp = number::switch(reader, line, LEFT_OUT).unwrap_or(reader.defaults.min_garp);
}

pub(crate) fn down_timer_adverts(reader: &mut Reader, line: &Line<'_>) {
    if let Some(count) = number::byte(reader, line, 0, 1..=100, DEFAULT) {
        reader.defaults.down_timer_adverts = count;
    }
}

pub(crate) fn lower_prio_no_advert(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.lower_prio_no_advert = number::switch(reader, line, LEFT_OUT).unwrap_or(reader.defaults.lower_prio_no_advert);
}

pub(crate) fn higher_prio_send_advert(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.higher_prio_send_advert = number::switch(reader, line, LEFT_OUT).unwrap_or(reader.defaults.higher_prio_send_advert);
}

pub(crate) fn owner_ignore_adverts(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.owner_ignore_adverts = number::switch(reader, line, LEFT_OUT).unwrap_or(reader.defaults.owner_ignore_adverts);
}

pub(crate) fn version(reader: &mut Reader, line: &Line<'_>) {
    match number::byte(reader, line, 0, 2..=3, DEFAULT) {
        Some(2) => reader.defaults.version = Some(Version::V2),
        Some(_) => reader.defaults.version = Some(Version::V3),
        None => {}
    }
}

pub(crate) fn check_unicast_src(reader: &mut Reader, _: &Line<'_>) {
    reader.defaults.check_unicast_src = true;
}

pub(crate) fn skip_check_adv_addr(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.skip_check_adv_addr = number::switch(reader, line, LEFT_OUT).unwrap_or(reader.defaults.skip_check_adv_addr);
}

pub(crate) fn strict(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.strict = number::switch(reader, line, LEFT_OUT).unwrap_or(reader.defaults.strict);
}

pub(crate) fn v3_checksum_as_v2(reader: &mut Reader, _: &Line<'_>) {
    reader.defaults.v3_checksum_as_v2 = true;
}

pub(crate) fn log_unknown_vrids(reader: &mut Reader, _: &Line<'_>) {
    reader.defaults.log_unknown_vrids = true;
}

// The VRRP child.

const DELAY: Decimal = Decimal { range: 1_000..=4_294_967_295, instead: "there is no delay", zero_is_usual: false, unit: false };

pub(crate) fn startup_delay(reader: &mut Reader, line: &Line<'_>) {
    if let Some(delay) = number::decimal(reader, line, &DELAY) {
        reader.global.vrrp.startup_delay = delay;
    }
}

pub(crate) fn dynamic_interfaces(reader: &mut Reader, line: &Line<'_>) {
    reader.global.vrrp.dynamic_interfaces = true;
    if let Some(word) = line.arg(0).filter(|word| &*word.text != "allow_if_changes") {
        let message = format!("unknown dynamic_interfaces option '{}'", &**word);
        reader.complain(Complaint::error(word.span, message).expected("allow_if_changes"));
    }
}

pub(crate) fn disable_local_igmp(reader: &mut Reader, _: &Line<'_>) {
    reader.global.vrrp.disable_local_igmp = true;
}

/// Bytes count before MTU, and MTU before ADVERT, in whatever order they are written.
pub(crate) fn rx_bufs_policy(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let before = reader.global.vrrp.rx_buffer;
    reader.global.vrrp.rx_buffer = if word.eq_ignore_ascii_case("MTU") {
        before.filter(|policy| matches!(policy, RxBuffer::Bytes(_))).or(Some(RxBuffer::Mtu(1)))
    } else if word.eq_ignore_ascii_case("ADVERT") {
        before.or(Some(RxBuffer::Advert(1)))
    } else {
        number::unsigned(reader, line, 0, LEFT_OUT).map(RxBuffer::Bytes).or(before)
    };
}

pub(crate) fn rx_bufs_multiplier(reader: &mut Reader, line: &Line<'_>) {
    reader.global.vrrp.rx_multiplier = number::unsigned(reader, line, 0, LEFT_OUT).or(reader.global.vrrp.rx_multiplier);
}

pub(crate) fn monitor_buffer(reader: &mut Reader, line: &Line<'_>) {
    reader.global.vrrp.monitor_buffer = number::unsigned(reader, line, 0, LEFT_OUT).or(reader.global.vrrp.monitor_buffer);
}

// The firewall of addresses that do not accept.

pub(crate) fn vrrp_iptables(reader: &mut Reader, line: &Line<'_>) {
    let message =
        "iptables not supported, using nftables instead. Please replace 'vrrp_iptables' and 'vrrp_ipsets' with 'nftables' config option";
    reader.complain(Complaint::warning(line.span(), message));
}

pub(crate) fn nftables(reader: &mut Reader, line: &Line<'_>) {
    if let Some(table) = line.arg(0) {
        reader.global.vrrp.firewall.table = table.to_string();
    }
}

pub(crate) fn nftables_priority(reader: &mut Reader, line: &Line<'_>) {
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    if let Some(priority) = number::int(reader, line, 0, range, DEFAULT).and_then(|value| i32::try_from(value).ok()) {
        reader.global.vrrp.firewall.priority = priority;
    }
}

pub(crate) fn nftables_counters(reader: &mut Reader, _: &Line<'_>) {
    reader.global.vrrp.firewall.counters = true;
}

/// Accepted: our rules always name the interface by its index where they need one.
pub(crate) fn nothing_to_do(_: &mut Reader, _: &Line<'_>) {}

/// Accepted: our sockets are always given what they need.
pub(crate) fn switch_alone(reader: &mut Reader, line: &Line<'_>) {
    number::switch(reader, line, DEFAULT);
}
