//! The lines that people grep for.

use super::shared::SendError;
use crate::types::Family;
use crate::vrrp::event::{Cause, Note, State, Transition};
use crate::vrrp::settings::{Preempt, Settings};
use std::net::IpAddr;

/// A change of state: why, then the line itself, byte for byte.
///
/// `waited`: it began only when a script had its first result.
pub(super) fn transition(name: &str, transition: &Transition, waited: bool) {
    let Transition { from, to, cause, priority } = transition;
    match cause {
        Cause::Faults(faults) => {
            for fault in faults {
                tracing::info!(instance = name, "({name}) entering FAULT state ({fault})");
            }
        }
        Cause::Resumed => tracing::info!(instance = name, "({name}) resuming as {to} where the replaced process left off"),
        Cause::Started | Cause::Owner | Cause::MasterDown | Cause::MasterResigned => {}
        Cause::Outranked { .. } | Cause::FaultsEnded | Cause::Group | Cause::PathLost | Cause::StopRequested => {}
    }
    let init = if *from == State::Init && *to != State::Master && !waited { " (init)" } else { "" };
    match to {
        State::Master | State::Backup | State::Fault => {
            tracing::info!(instance = name, state = %to, from = %from, priority = priority.get(), "({name}) Entering {to} STATE{init}");
        }
        State::Init | State::Stopped => {
            tracing::debug!(instance = name, state = %to, from = %from, "({name}) stopped");
        }
    }
}

/// What the original says of settings that work all the same (RFC 9568 §5.2.9: the first address is the link-local one).
pub(super) fn remark_on(settings: &Settings) {
    let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if settings.family == Family::V6 && settings.addresses.first().is_some_and(|address| !is_link_local(address.prefix.address())) {
        let name = settings.name.as_str();
        tracing::debug!(instance = name, "({name}) the first IPv6 VIP address should be link local");
    }
}

/// Something worth a line that is not a change of state.
pub(super) fn note(settings: &Settings, note: &Note) {
    let name = settings.name.as_str();
    match note {
        Note::AdvertTimeout => tracing::debug!(instance = name, "({name}) Receive advertisement timeout"),
        Note::PriorityZeroReceived => tracing::debug!(instance = name, "({name}) Backup received priority 0 advertisement"),
        Note::HigherPriorityAdvert { source, priority, ours } => {
            tracing::info!(instance = name, "({name}) Master received advert from {source} with higher priority {priority}, ours {ours}");
        }
        Note::EqualPriorityHigherAddress { source, priority } => {
            tracing::info!(
                instance = name,
                "({name}) Master received advert from {source} with same priority {priority} but higher IP address than ours"
            );
        }
        Note::LowerPriorityAdvert { source, priority, ours } => {
            tracing::info!(
                instance = name,
                "({name}) Received advert from {source} with lower priority {priority}, ours {ours}, forcing new election"
            );
        }
        Note::MasterChanged { from: Some(from), to } => {
            tracing::debug!(instance = name, "({name}) master changed from {from} to {to}");
        }
        Note::MasterChanged { from: None, to } => tracing::debug!(instance = name, "({name}) master is {to}"),
        Note::MasterIntervalChanged { from, interval } => {
            let (from, to) = (from.duration().as_millis(), interval.duration().as_millis());
            tracing::info!(instance = name, "({name}) advertisement interval updated from {from}ms to {to}ms by master");
        }
        Note::PriorityChanged { from, to } => {
            tracing::info!(instance = name, "({name}) Changing effective priority from {from} to {to}");
        }
        Note::PreemptDelayStarted => {
            let delay = if let Preempt::After(delay) = settings.preempt { delay.as_secs_f64() } else { 0.0 };
            tracing::info!(instance = name, "({name}) start preempt delay ({delay:.6})");
        }
        Note::PreemptDelayStopped => tracing::debug!(instance = name, "({name}) stop preempt delay"),
        Note::LowerPriorityIgnored { source, priority } => {
            tracing::info!(instance = name, "({name}) received lower priority ({priority}) advert from {source} - discarding");
        }
        Note::MasterReceivedPriorityZero => tracing::debug!(instance = name, "({name}) Master received priority 0 message"),
        Note::OurAddressElsewhere { source } => {
            tracing::warn!(
                instance = name,
                "({name}) WARNING - equal priority advert received from remote host with our IP address {source}."
            );
        }
        Note::OtherOwner { source } => {
            tracing::warn!(instance = name, "({name}) {source} also says it owns these addresses (priority 255): only one may");
        }
        Note::Overslept { late_nanos } => {
            tracing::warn!(
                instance = name,
                "({name}) this machine was suspended or starved for {} ms: listening before claiming the addresses",
                late_nanos / 1_000_000
            );
        }
        Note::FaultsAre(faults) if faults.is_empty() => {}
        Note::FaultsAre(faults) => {
            for fault in faults {
                tracing::info!(instance = name, "({name}) still in FAULT state ({fault})");
            }
        }
    }
}

/// `send advert error 101 (Network is unreachable)`
pub(super) fn send_error(error: &SendError) -> String {
    let code = if let SendError::Send(cause) = error { cause.raw_os_error() } else { None };
    match code {
        Some(code) => format!("send advert error {code} ({})", nix::errno::Errno::from_raw(code).desc()),
        None => super::sockets::with_sources(error),
    }
}

/// What is done to the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    Setting,
    Removing,
}

/// The detail lines that go with a change of state: the firewall is shut before the addresses come, and opened after they went.
pub(super) fn work(settings: &Settings, work: Work) {
    let name = settings.name.as_str();
    let verb = if work == Work::Setting { "setting" } else { "removing" };
    let firewall = || {
        if settings.is_shut() {
            tracing::debug!(instance = name, "({name}) {verb} firewall drop rule");
        }
    };
    let paths = [("Virtual Rules", settings.rules.is_empty()), ("Virtual Routes", settings.routes.is_empty())];
    let say = |(what, none): &(&str, bool)| {
        if !none {
            tracing::debug!(instance = name, "({name}) {verb} {what}");
        }
    };
    if work == Work::Setting {
        firewall();
    } else {
        paths.iter().for_each(say);
    }
    if !settings.addresses.is_empty() {
        tracing::debug!(instance = name, "({name}) {verb} VIPs.");
    }
    if !settings.excluded.is_empty() {
        tracing::debug!(instance = name, "({name}) {verb} E-VIPs.");
    }
    if work == Work::Removing {
        firewall();
    } else {
        paths.iter().rev().for_each(say);
    }
}
