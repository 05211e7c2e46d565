//! `vrrp_strict`, `strict_mode`: nothing that the RFCs do not have.

use super::Reader;
use super::finish::warn;
use super::instance::Draft;
use crate::types::{Family, Priority, Version};
use crate::vrrp::settings::WantedState;
use std::net::IpAddr;

/// Takes back, with a word about each, what strict mode does not allow; gives the state to start with.
pub(super) fn apply(
    reader: &mut Reader,
    draft: &mut Draft,
    version: Version,
    family: Family,
    priority: Priority,
    wanted: WantedState,
) -> WantedState {
    let mut wanted = wanted;
    if priority.is_owner() != (wanted == WantedState::Master) {
        warn(reader, draft, "State MASTER must match being address owner");
        wanted = if priority.is_owner() { WantedState::Master } else { WantedState::Backup };
    }
    if family == Family::V6 && draft.addresses.first().is_some_and(|first| !is_link_local(first.prefix.address())) {
        warn(reader, draft, "the first IPv6 VIP address must be link local");
    }
    if draft.preempt_delay.take().is_some_and(|(delay, _)| !delay.is_zero()) {
        warn(reader, draft, "preempt_delay is incompatible with strict mode - resetting");
    }
    if draft.down_timer_adverts.take().is_some_and(|(count, _)| count != 3) {
        warn(reader, draft, "down_timer_adverts is incompatible with strict mode - resetting");
    }
    if draft.accept.is_some_and(|(accept, _)| accept) && version == Version::V2 && !priority.is_owner() {
        warn(reader, draft, "warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting");
        draft.accept = None;
    }
    let delay = draft.garp_lower_delay.take().is_some_and(|(delay, _)| !delay.is_zero());
    let repeat = draft.garp_lower_repeat.take().is_some_and(|(count, _)| count != 0);
    if delay || repeat {
        warn(reader, draft, "Strict mode requires no repeat garps. resetting");
    }
    if draft.lower_prio_no_advert.take().is_some_and(|(on, _)| !on) {
        warn(reader, draft, "Strict mode requires no lower priority advert. resetting");
    }
    if draft.higher_prio_send_advert.take().is_some_and(|(on, _)| on) {
        warn(reader, draft, "strict mode requires higher_prio_send_advert to be clear. resetting");
    }
    wanted
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
