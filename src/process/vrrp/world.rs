//! What an instance has heard of the machine it runs on, and what follows: its source address, faults and priority.

use super::messages::LinkView;
use super::watcher::Readings;
use crate::types::Family;
use crate::vrrp::event::Fault;
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::settings::{Settings, VirtualAddress};
use crate::vrrp::track::{self, Reading, Tracked};
use crate::vrrp::trackers::Track;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Facts, as last heard. What was not heard yet is absent.
#[derive(Default)]
pub(super) struct World {
    /// One or two, so no table.
    links: Vec<(Arc<str>, Option<LinkView>)>,
    configured_source_here: Option<bool>,
    /// Why the sockets could not be opened.
    sockets: Option<String>,
    /// What the keeper said of the VMACs: nothing yet, or why one does not stand.
    vmacs: Option<Option<String>>,
}

/// Every interface that an instance depends on: its own, those of its addresses, tracked ones.
pub(super) fn interfaces_of(settings: &Settings) -> Vec<Arc<str>> {
    let devices = all_addresses(settings).filter_map(|address| settings.place(address));
    let tracked = settings.track_interfaces.iter().map(|tracked| tracked.name.as_str());
    let own = settings.interface.as_deref().into_iter().chain(settings.wire());
    let vmacs = settings.vmacs().flat_map(|vmac| [vmac.name.as_str(), vmac.base.as_str()]);
    let names: BTreeSet<&str> = own.chain(vmacs).chain(devices).chain(tracked).chain(paths_of(settings)).collect();
    names.into_iter().map(Arc::from).collect()
}

/// Interfaces that carry its tracked routes and rules, and what its `track_group`s keep on the host.
fn paths_of(settings: &Settings) -> impl Iterator<Item = &str> {
    let routes = settings.routes.iter().filter_map(Route::tracked_device);
    routes.chain(settings.rules.iter().flat_map(Rule::tracked_devices)).chain(settings.follows.iter().map(String::as_str))
}

fn all_addresses(settings: &Settings) -> impl Iterator<Item = &VirtualAddress> {
    settings.addresses.iter().chain(&settings.excluded)
}

/// A tracked object that says something; one of which nothing is known adds nothing.
fn tracked(kind: &str, track: &Track, reading: Option<&Reading>) -> Option<Tracked> {
    let reverse = if track.reverse { " (reverse)" } else { "" };
    let fault = Fault::Tracker(format!("tracked {kind} {}{reverse}", track.name));
    Some(Tracked { name: track.name.clone(), fault, weight: track.weight, reverse: track.reverse, reading: *reading? })
}

/// Whether everything that could make a fault has spoken.
pub(super) fn verdicts_are_in(settings: &Settings, readings: &Readings) -> bool {
    let known =
        |tracks: &[Track], of: &HashMap<String, Reading>| tracks.iter().all(|track| track.weight != 0 || of.contains_key(&track.name));
    known(&settings.track_scripts, &readings.scripts)
        && known(&settings.track_files, &readings.files)
        && known(&settings.track_processes, &readings.processes)
}

impl World {
    pub(super) fn link_is(&mut self, name: Arc<str>, view: Option<LinkView>) {
        match self.links.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = view,
            None => {
                self.links.reserve_exact(1);
                self.links.push((name, view));
            }
        }
    }

    /// Other settings: what they depend on and nobody told of yet is unknown, which is no fault.
    pub(super) fn settings_are(&mut self, settings: &Settings, before: &Settings) {
        let wanted = interfaces_of(settings);
        self.links.retain(|(known, _)| wanted.contains(known));
        if settings.configured_source() != before.configured_source() {
            self.configured_source_here = None;
        }
    }

    pub(super) fn configured_source_is(&mut self, here: bool) {
        self.configured_source_here = Some(here);
    }

    pub(super) fn sockets_are(&mut self, fault: Option<String>) {
        self.sockets = fault;
    }

    /// Whether that was the first word on them.
    pub(super) fn vmacs_are(&mut self, fault: Option<String>) -> bool {
        self.vmacs.replace(fault).is_none()
    }

    /// Whether a VMAC is missing whose interface is there: the keeper has not been asked yet, or somebody took it away.
    pub(super) fn misses_vmac(&self, settings: &Settings) -> bool {
        settings.vmacs().any(|vmac| {
            let (link, base) = (self.link(&vmac.name), self.link(&vmac.base));
            let borrows = vmac.link_local && base.is_some_and(|base| base.source6.is_some());
            base.is_some() && link.is_none_or(|link| borrows && link.source6.is_none())
        })
    }

    /// Whether every VMAC has appeared that the keeper could make: an instance does not begin before.
    pub(super) fn knows_vmacs_of(&self, settings: &Settings) -> bool {
        let appeared = || settings.vmacs().all(|vmac| self.link(&vmac.name).is_some() || self.link(&vmac.base).is_none());
        settings.vmacs().next().is_none() || self.vmacs.as_ref().is_some_and(|fault| fault.is_some() || appeared())
    }

    /// Whether there was a first word on everything that these settings depend on.
    pub(super) fn is_complete_for(&self, settings: &Settings) -> bool {
        let source_known = settings.configured_source().is_none() || self.configured_source_here.is_some();
        source_known && interfaces_of(settings).iter().all(|name| self.links.iter().any(|(known, _)| known == name))
    }

    /// The instance's own interface, when it exists.
    pub(super) fn own_link(&self, settings: &Settings) -> Option<LinkView> {
        settings.interface.as_deref().and_then(|name| self.link(name))
    }

    /// The interface that adverts travel on, when it exists.
    pub(super) fn wire_link(&self, settings: &Settings) -> Option<LinkView> {
        settings.wire().and_then(|name| self.link(name))
    }

    fn link(&self, name: &str) -> Option<LinkView> {
        self.links.iter().find(|(known, _)| **known == *name).and_then(|(_, view)| *view)
    }

    /// Where adverts come from: as configured, else the interface's own address.
    pub(super) fn source(&self, settings: &Settings) -> Option<IpAddr> {
        settings.configured_source().or_else(|| {
            let link = self.own_link(settings)?;
            match settings.family {
                Family::V4 => link.source4,
                Family::V6 => link.source6,
            }
        })
    }

    /// Faults that are not trackers'.
    pub(super) fn faults(&self, settings: &Settings) -> BTreeSet<Fault> {
        let mut faults = BTreeSet::new();
        faults.extend(settings.config_fault.clone().map(Fault::Configuration));
        faults.extend(self.own_interface_fault(settings));
        faults.extend(self.source_fault(settings));
        for address in all_addresses(settings).filter(|address| !address.no_track) {
            let other = settings.place(address).filter(|name| settings.interface.as_deref() != Some(name) && settings.home() != Some(name));
            faults.extend(other.and_then(|name| self.down(name)));
        }
        for name in paths_of(settings).filter(|name| settings.interface.as_deref() != Some(name)) {
            faults.extend(self.down(name));
        }
        faults.extend(self.vmac_faults(settings));
        // without an interface there is no socket either: the cause is said, not the consequence
        if faults.is_empty() {
            faults.extend(self.sockets.clone().map(Fault::Socket));
        }
        faults
    }

    fn own_interface_fault(&self, settings: &Settings) -> Option<Fault> {
        let name = settings.interface.as_ref()?;
        match self.own_link(settings) {
            None => Some(Fault::InterfaceMissing(name.clone())),
            Some(link) if !link.up && !settings.dont_track_primary => Some(Fault::InterfaceDown(name.clone())),
            Some(_) => None,
        }
    }

    /// Of the VMAC that the instance lives on. Why one could not be made says more than that it is not there.
    fn vmac_faults(&self, settings: &Settings) -> Option<Fault> {
        if let Some(why) = self.vmacs.clone().flatten() {
            return Some(Fault::Configuration(why));
        }
        let vmac = settings.vmac.as_ref()?;
        self.down(&vmac.name).filter(|fault| !(settings.dont_track_primary && matches!(fault, Fault::InterfaceDown(_))))
    }

    fn source_fault(&self, settings: &Settings) -> Option<Fault> {
        match settings.configured_source() {
            Some(source) => {
                let needed = settings.track_src_ip || settings.transport.is_unicast();
                (needed && self.configured_source_here == Some(false)).then_some(Fault::SourceAddressLost(source))
            }
            None if self.own_link(settings).is_some() && self.source(settings).is_none() => {
                Some(Fault::NoSourceAddress(settings.family.to_string()))
            }
            None => None,
        }
    }

    /// What the trackers come to.
    pub(super) fn track(&self, settings: &Settings, readings: &Readings) -> track::Outcome {
        let interfaces = settings.track_interfaces.iter().map(|tracked| {
            let down = self.down(&tracked.name);
            let reading = if down.is_some() { Reading::Down } else { Reading::Up };
            let fault = down.unwrap_or_else(|| Fault::Tracker(format!("reverse tracking of interface {}", tracked.name)));
            Tracked { name: tracked.name.clone(), fault, weight: tracked.weight, reverse: tracked.reverse, reading }
        });
        let scripts = settings.track_scripts.iter().filter_map(|track| tracked("script", track, readings.scripts.get(&track.name)));
        let files = settings.track_files.iter().filter_map(|track| tracked("file", track, readings.files.get(&track.name)));
        let processes = settings.track_processes.iter().filter_map(|track| tracked("process", track, readings.processes.get(&track.name)));
        // A session of which nobody has said anything is not up.
        let session = |track: &Track| *readings.sessions.get(&track.name).unwrap_or(&Reading::Down);
        let sessions = settings.track_bfds.iter().filter_map(|track| tracked("BFD instance", track, Some(&session(track))));
        let all = interfaces.chain(scripts).chain(files).chain(processes).chain(sessions);
        track::sum_up(settings.priority, &all.collect::<Vec<_>>())
    }

    fn down(&self, name: &str) -> Option<Fault> {
        match self.link(name) {
            None => Some(Fault::InterfaceMissing(name.to_owned())),
            Some(link) if !link.up => Some(Fault::InterfaceDown(name.to_owned())),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Priority;
    use crate::vrrp::settings::{TrackInterface, Transport};
    use crate::vrrp::testing;

    fn link(up: bool, source: Option<&str>) -> Option<LinkView> {
        Some(LinkView { index: 7, up, mac: None, source4: source.map(|text| text.parse().unwrap()), source6: None })
    }

    fn world(links: &[(&str, Option<LinkView>)]) -> World {
        let mut world = World::default();
        for (name, view) in links {
            world.link_is(Arc::from(*name), *view);
        }
        world
    }

    #[test]
    fn a_healthy_interface_gives_a_source_and_no_fault() {
        let (settings, world) = (testing::settings(), world(&[("eth0", link(true, Some("192.0.2.1")))]));
        assert!(world.is_complete_for(&settings));
        assert_eq!(world.source(&settings), Some("192.0.2.1".parse().unwrap()));
        assert!(world.faults(&settings).is_empty());
    }

    #[test]
    fn every_cause_is_named() {
        let settings = testing::settings();
        let fault = |view| world(&[("eth0", view)]).faults(&settings).into_iter().next().unwrap().to_string();
        assert_eq!(fault(None), "interface eth0 does not exist");
        assert_eq!(fault(link(false, Some("192.0.2.1"))), "interface eth0 down");
        assert_eq!(fault(link(true, None)), "no IPv4 address for interface");
    }

    #[test]
    fn dont_track_primary_forgives_a_missing_carrier_only() {
        let mut settings = testing::settings();
        settings.dont_track_primary = true;
        assert!(world(&[("eth0", link(false, Some("192.0.2.1")))]).faults(&settings).is_empty());
        assert!(!world(&[("eth0", None)]).faults(&settings).is_empty());
    }

    #[test]
    fn a_tracked_interface_faults_without_weight_and_counts_with_one() {
        let mut settings = testing::settings();
        let world = world(&[("eth0", link(true, Some("192.0.2.1"))), ("eth1", link(false, None))]);
        settings.track_interfaces = vec![TrackInterface { name: "eth1".to_owned(), weight: 0, reverse: false }];
        assert_eq!(world.track(&settings, &Readings::default()).faults, BTreeSet::from([Fault::InterfaceDown("eth1".to_owned())]));
        settings.track_interfaces[0].weight = -30;
        assert_eq!(world.track(&settings, &Readings::default()).priority, Priority::new(70).unwrap());
        assert!(world.track(&settings, &Readings::default()).faults.is_empty());
    }

    #[test]
    fn a_unicast_source_that_is_not_here_is_a_fault_and_a_multicast_one_only_when_tracked() {
        let mut settings = testing::settings();
        let source = Some("192.0.2.9".parse().unwrap());
        let mut world = world(&[("eth0", link(true, Some("192.0.2.1")))]);
        settings.transport = Transport::Multicast { group: "224.0.0.18".parse().unwrap(), source };
        assert!(!world.is_complete_for(&settings));
        world.configured_source_is(false);
        assert!(world.is_complete_for(&settings));
        assert!(world.faults(&settings).is_empty());
        settings.track_src_ip = true;
        assert_eq!(world.faults(&settings).len(), 1);
        settings.track_src_ip = false;
        settings.transport = Transport::Unicast { source, peers: Vec::new(), ttl: None };
        assert_eq!(world.faults(&settings).len(), 1);
        world.configured_source_is(true);
        assert!(world.faults(&settings).is_empty());
    }
}
