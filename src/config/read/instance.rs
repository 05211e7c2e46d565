//! `vrrp_instance`: its keywords into a draft.

use super::global::repeat;
use super::notify::NotifyDraft;
use super::vmac::VmacDraft;
use super::watched::TrackDraft;
use super::{Line, Reader};
use crate::config::number::{self, Decimal};
use crate::syntax::{Complaint, Span};
use crate::types::{Family, Priority, Version, Vrid};
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::settings::{Peer, TrackInterface, VirtualAddress, WantedState};
use std::net::IpAddr;
use std::time::Duration;

/// Something written, and where.
pub(super) type At<T> = Option<(T, Span)>;

/// `auth_type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AuthType {
    Pass,
    Header,
}

/// One block as far as it has been read; `None` is "not written". Not `Debug`: it holds the password.
#[derive(Clone, Default)]
pub(crate) struct Draft {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) state: At<WantedState>,
    pub(super) interface: Option<String>,
    pub(super) vrid: At<Vrid>,
    pub(super) priority: Option<Priority>,
    pub(super) advert: At<Duration>,
    pub(super) version: At<Version>,
    pub(super) family: Option<Family>,
    pub(super) nopreempt: Option<Span>,
    pub(super) preempt_delay: At<Duration>,
    pub(super) down_timer_adverts: At<u8>,
    pub(super) auth: Option<Span>,
    pub(super) auth_type: Option<AuthType>,
    pub(super) auth_pass: Option<[u8; 8]>,
    pub(super) mcast_source: Option<IpAddr>,
    pub(super) unicast_source: Option<IpAddr>,
    pub(super) group: Option<IpAddr>,
    /// The first unicast keyword.
    pub(super) unicast: Option<Span>,
    pub(super) peers: Vec<Peer>,
    pub(super) unicast_ttl: Option<u8>,
    pub(super) fault_no_peer: bool,
    pub(super) addresses: Vec<VirtualAddress>,
    pub(super) excluded: Vec<VirtualAddress>,
    pub(super) routes: Vec<Route>,
    pub(super) rules: Vec<Rule>,
    pub(super) no_addresses: bool,
    pub(super) accept: At<bool>,
    pub(super) strict: Option<bool>,
    pub(super) promote_secondaries: bool,
    pub(super) garp_delay: Option<Duration>,
    pub(super) garp_repeat: Option<u32>,
    pub(super) garp_refresh: Option<Duration>,
    pub(super) garp_refresh_repeat: Option<u32>,
    pub(super) garp_lower_delay: At<Duration>,
    pub(super) garp_lower_repeat: At<u32>,
    pub(super) garp_extra_if: Option<(Duration, bool)>,
    pub(super) track_interfaces: Vec<TrackInterface>,
    pub(super) dont_track_primary: bool,
    pub(super) linkbeat_use_polling: bool,
    pub(super) track_src_ip: bool,
    pub(super) skip_check_adv_addr: Option<bool>,
    pub(super) check_unicast_src: bool,
    pub(super) lower_prio_no_advert: At<bool>,
    pub(super) higher_prio_send_advert: At<bool>,
    pub(super) owner_ignore_adverts: Option<bool>,
    pub(super) v3_checksum_as_v2: Option<bool>,
    pub(super) kernel_rx_buf_size: Option<u32>,
    pub(super) vmac: Option<VmacDraft>,
    /// `use_vmac_addr`.
    pub(super) vmac_addr: bool,
    /// `vmac_xmit_base`.
    pub(super) xmit_base: Option<Span>,
    pub(super) track_scripts: Vec<TrackDraft>,
    pub(super) track_files: Vec<TrackDraft>,
    pub(super) track_processes: Vec<TrackDraft>,
    pub(super) track_bfds: Vec<TrackDraft>,
    pub(super) told: NotifyDraft,
    /// `group` of a `vrrp_sync_group`.
    pub(super) members: Vec<(String, Span)>,
    /// `sync_group_tracking_weight`.
    pub(super) tracking_weight: bool,
}

const LEFT_OUT: &str = "the line is left out";
const GLOBAL: &str = "the global default is used";

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    let [name] = line.args.as_slice() else {
        let complaint = Complaint::error(line.span(), "vrrp_instance must have a name").expected("'vrrp_instance NAME { … }'");
        reader.complain(complaint.help("the block is left out".to_owned()));
        return;
    };
    if reader.names.contains_key(&*name.text) {
        let message = format!("vrrp instance {} already defined", &**name);
        reader.complain(Complaint::error(name.span, message).rule("duplicate-name").help("the block is left out".to_owned()));
        return;
    }
    reader.names.insert(name.to_string(), name.span);
    reader.draft = Some(Draft { name: name.to_string(), span: name.span, ..Draft::default() });
    reader.walk(&line.children);
    reader.drafts.extend(reader.draft.take());
}

/// `(VI_1) …`, the way every line about an instance begins.
pub(super) fn about(reader: &mut Reader, what: impl AsRef<str>) -> String {
    format!("({}) {}", reader.instance().name, what.as_ref())
}

// Identity and protocol.

pub(crate) fn state(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let state = match &*word.text {
        "MASTER" => WantedState::Master,
        "BACKUP" => WantedState::Backup,
        other => {
            let message = about(reader, format!("unknown state '{other}', defaulting to BACKUP"));
            let meant = other.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_ascii_uppercase();
            let known = matches!(meant.as_str(), "MASTER" | "BACKUP");
            let help = known.then(|| format!("did you mean '{meant}'?"));
            let complaint = Complaint::warning(word.span, message).expected("MASTER or BACKUP").help(help);
            reader.complain(if known { complaint.fix(word.span, meant) } else { complaint });
            WantedState::Backup
        }
    };
    if let Some((WantedState::Master, _)) = reader.instance().state
        && state == WantedState::Backup
    {
        let message = about(reader, "state previously set as MASTER - ignoring BACKUP");
        reader.complain(Complaint::warning(word.span, message));
        return;
    }
    reader.instance().state = Some((state, word.span));
}

pub(crate) fn interface(reader: &mut Reader, line: &Line<'_>) {
    let Some(name) = line.arg(0) else { return };
    if &*name.text == "lo" {
        let message = about(reader, "cannot use a loopback interface (lo) for vrrp - ignoring");
        reader.complain(Complaint::error(name.span, message));
        return;
    }
    reader.uses_interface(name, |reader| format!("vrrp_instance {}", reader.draft.as_ref().map_or("", |draft| &draft.name)));
    reader.instance().interface = Some(name.to_string());
}

pub(crate) fn virtual_router_id(reader: &mut Reader, line: &Line<'_>) {
    let vrid = number::byte(reader, line, 0, 1..=255, LEFT_OUT).and_then(Vrid::new);
    if let Some(vrid) = vrid {
        reader.instance().vrid = Some((vrid, line.arg_span(0)));
    }
}

pub(crate) fn priority(reader: &mut Reader, line: &Line<'_>) {
    let value = number::byte(reader, line, 0, 1..=255, "using the default 100").and_then(Priority::new);
    reader.instance().priority = Some(value.unwrap_or(Priority::DEFAULT));
}

const ADVERT: Decimal = Decimal { range: 10_000..=255_000_000, instead: LEFT_OUT, zero_is_usual: false, unit: false };

pub(crate) fn advert_int(reader: &mut Reader, line: &Line<'_>) {
    if let Some(interval) = number::decimal(reader, line, &ADVERT) {
        reader.instance().advert = Some((interval, line.arg_span(0)));
    }
}

pub(crate) fn version(reader: &mut Reader, line: &Line<'_>) {
    let Some(number) = number::byte(reader, line, 0, 2..=3, LEFT_OUT) else { return };
    let version = if number == 2 { Version::V2 } else { Version::V3 };
    let draft = reader.instance();
    let deduced = if draft.family == Some(Family::V6) { Some(Version::V3) } else { None };
    if let Some(before) = draft.version.map(|(version, _)| version).or(deduced).filter(|before| *before != version) {
        let message = format!("vrrp_version {number} conflicts with configured or deduced version {}; ignoring.", before.number());
        let message = about(reader, message);
        reader.complain(Complaint::error(line.arg_span(0), message));
        return;
    }
    draft.version = Some((version, line.arg_span(0)));
}

pub(crate) fn native_ipv6(reader: &mut Reader, line: &Line<'_>) {
    let message = about(reader, "native_ipv6 is deprecated: the addresses tell the family");
    reader.complain(Complaint::remark(line.word.span, message));
    reader.instance().family.get_or_insert(Family::V6);
}

pub(crate) fn strict_mode(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    let draft = reader.instance();
    draft.strict = value.or(draft.strict);
}

pub(crate) fn v3_checksum_as_v2(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    let draft = reader.instance();
    draft.v3_checksum_as_v2 = value.or(draft.v3_checksum_as_v2);
}

/// Accepted, without effect in the original too.
pub(crate) fn debug(reader: &mut Reader, line: &Line<'_>) {
    number::byte(reader, line, 0, 0..=4, LEFT_OUT);
}

// Behaviour.

pub(crate) fn nopreempt(reader: &mut Reader, line: &Line<'_>) {
    reader.instance().nopreempt = Some(line.word.span);
}

pub(crate) fn preempt(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().nopreempt = None;
}

/// The tutorials write `5s`.
const PREEMPT_DELAY: Decimal = Decimal { range: 0..=1_000_000_000, instead: LEFT_OUT, zero_is_usual: false, unit: true };

pub(crate) fn preempt_delay(reader: &mut Reader, line: &Line<'_>) {
    if let Some(delay) = number::decimal(reader, line, &PREEMPT_DELAY) {
        reader.instance().preempt_delay = Some((delay, line.arg_span(0)));
    }
}

pub(crate) fn down_timer_adverts(reader: &mut Reader, line: &Line<'_>) {
    if let Some(count) = number::byte(reader, line, 0, 1..=100, GLOBAL) {
        reader.instance().down_timer_adverts = Some((count, line.arg_span(0)));
    }
}

pub(crate) fn accept(reader: &mut Reader, line: &Line<'_>) {
    reader.instance().accept = Some((true, line.word.span));
}

pub(crate) fn no_accept(reader: &mut Reader, line: &Line<'_>) {
    reader.instance().accept = Some((false, line.word.span));
}

pub(crate) fn lower_prio_no_advert(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.instance().lower_prio_no_advert = Some((on, line.span()));
    }
}

pub(crate) fn higher_prio_send_advert(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.instance().higher_prio_send_advert = Some((on, line.span()));
    }
}

pub(crate) fn owner_ignore_adverts(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.instance().owner_ignore_adverts = Some(on);
    }
}

pub(crate) fn skip_check_adv_addr(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.instance().skip_check_adv_addr = Some(on);
    }
}

pub(crate) fn promote_secondaries(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().promote_secondaries = true;
}

pub(crate) fn dont_track_primary(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().dont_track_primary = true;
}

pub(crate) fn track_src_ip(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().track_src_ip = true;
}

pub(crate) fn kernel_rx_buf_size(reader: &mut Reader, line: &Line<'_>) {
    let value = number::unsigned(reader, line, 0, LEFT_OUT);
    let draft = reader.instance();
    draft.kernel_rx_buf_size = value.or(draft.kernel_rx_buf_size);
}

// Announcements.

pub(crate) fn garp_master_delay(reader: &mut Reader, line: &Line<'_>) {
    let value = number::seconds(reader, line, GLOBAL);
    let draft = reader.instance();
    draft.garp_delay = value.or(draft.garp_delay);
}

pub(crate) fn garp_master_repeat(reader: &mut Reader, line: &Line<'_>) {
    let value = repeat(reader, line);
    let draft = reader.instance();
    draft.garp_repeat = value.or(draft.garp_repeat);
}

pub(crate) fn garp_master_refresh(reader: &mut Reader, line: &Line<'_>) {
    let value = number::seconds(reader, line, GLOBAL);
    let draft = reader.instance();
    draft.garp_refresh = value.or(draft.garp_refresh);
}

pub(crate) fn garp_master_refresh_repeat(reader: &mut Reader, line: &Line<'_>) {
    let value = repeat(reader, line);
    let draft = reader.instance();
    draft.garp_refresh_repeat = value.or(draft.garp_refresh_repeat);
}

pub(crate) fn garp_lower_prio_delay(reader: &mut Reader, line: &Line<'_>) {
    if let Some(delay) = number::seconds(reader, line, GLOBAL) {
        reader.instance().garp_lower_delay = Some((delay, line.span()));
    }
}

pub(crate) fn garp_lower_prio_repeat(reader: &mut Reader, line: &Line<'_>) {
    if let Some(count) = number::unsigned(reader, line, 0, GLOBAL) {
        reader.instance().garp_lower_repeat = Some((count, line.span()));
    }
}

pub(crate) fn garp_extra_if(reader: &mut Reader, line: &Line<'_>) {
    let value = super::garp::extra_if(reader, line, 0);
    let draft = reader.instance();
    draft.garp_extra_if = value.or(draft.garp_extra_if);
}

// Sources and destinations.

/// The family of the instance is that of the first address that tells; `false`, with no complaint, for another.
pub(super) fn joins(reader: &mut Reader, address: &IpAddr) -> bool {
    *reader.instance().family.get_or_insert(Family::of(address)) == Family::of(address)
}

fn source(reader: &mut Reader, line: &Line<'_>) -> Option<IpAddr> {
    let word = line.arg(0)?;
    let Ok(address) = word.parse::<IpAddr>() else {
        let message = about(reader, format!("malformed src address[{}]. Skipping...", &**word));
        reader.complain(Complaint::error(word.span, message).expected("an IP address without prefix"));
        return None;
    };
    if !joins(reader, &address) {
        let message = about(reader, format!("src address[{address}] MUST be of the same family as the instance. Skipping..."));
        reader.complain(Complaint::error(word.span, message));
        return None;
    }
    Some(address)
}

pub(crate) fn mcast_src_ip(reader: &mut Reader, line: &Line<'_>) {
    let value = source(reader, line);
    let draft = reader.instance();
    draft.mcast_source = value.or(draft.mcast_source);
}

pub(super) fn unicast(reader: &mut Reader, span: Span) {
    reader.instance().unicast.get_or_insert(span);
}

pub(crate) fn unicast_src_ip(reader: &mut Reader, line: &Line<'_>) {
    unicast(reader, line.span());
    let value = source(reader, line);
    let draft = reader.instance();
    draft.unicast_source = value.or(draft.unicast_source);
}

pub(crate) fn mcast_dst_ip(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let Some(group) = word.parse::<IpAddr>().ok().filter(IpAddr::is_multicast) else {
        let message = about(reader, format!("mcast_dst_ip {} not multicast. Skipping...", &**word));
        reader.complain(Complaint::error(word.span, message).expected("a multicast address"));
        return;
    };
    let local = !matches!(group, IpAddr::V6(group) if !super::global::is_link_local_group(group));
    if !local || !joins(reader, &group) {
        let why = if local { "MUST be of the same family as the instance" } else { "must be link-local multicast" };
        let message = about(reader, format!("mcast_dst_ip {group} {why}. Skipping..."));
        reader.complain(Complaint::error(word.span, message));
        return;
    }
    reader.instance().group = Some(group);
}

pub(crate) fn unicast_ttl(reader: &mut Reader, line: &Line<'_>) {
    unicast(reader, line.span());
    let value = number::byte(reader, line, 0, 0..=255, LEFT_OUT);
    let draft = reader.instance();
    draft.unicast_ttl = value.or(draft.unicast_ttl);
}

pub(crate) fn unicast_fault_no_peer(reader: &mut Reader, line: &Line<'_>) {
    unicast(reader, line.span());
    reader.instance().fault_no_peer = true;
}

pub(crate) fn check_unicast_src(reader: &mut Reader, line: &Line<'_>) {
    unicast(reader, line.span());
    reader.instance().check_unicast_src = true;
}

pub(crate) fn no_virtual_ipaddress(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().no_addresses = true;
}

// Authentication.

pub(crate) fn authentication(reader: &mut Reader, line: &Line<'_>) {
    reader.instance().auth = Some(line.word.span);
    reader.walk(&line.children);
}

pub(crate) fn auth_type(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let kind = match &*word.text {
        "PASS" => AuthType::Pass,
        "AH" => AuthType::Header,
        other => {
            let message = about(reader, format!("unknown authentication type '{other}'"));
            reader.complain(Complaint::error(word.span, message).expected("PASS or AH"));
            return;
        }
    };
    reader.instance().auth_type = Some(kind);
}

pub(crate) fn auth_pass(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let bytes = word.as_bytes();
    if bytes.len() > 8 {
        let complaint = Complaint::warning(word.span, "Truncating auth_pass to 8 characters").rule("pass-long");
        let plain = word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'{}#!\\$".contains(&byte));
        // What is cut is what keepalived cuts: the nodes still agree.
        reader.complain(match word.get(..8) {
            Some(kept) if plain => complaint.fix(word.span, kept),
            _ => complaint,
        });
    }
    let mut password = [0; 8];
    password.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    reader.instance().auth_pass = Some(password);
}
