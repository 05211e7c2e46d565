//! What the host keeps whatever the state (`static_*`): put back when somebody takes it away, and when its link comes back.

use super::super::messages::Held;
use super::super::restores::{Departures, Restores};
use super::{Keeping, STATIC};
use crate::net::mirror::{Change, Mirror};
use crate::net::route::RouteKey;
use crate::net::rule::RuleKey;
use crate::report::vrrp_instance::bare_line;
use crate::sys::clock;
use std::collections::HashSet;

/// What is kept.
#[derive(Default)]
pub(super) struct Host {
    held: Held,
    /// Interfaces that were seen switched off: the kernel has thrown away their routes, and IPv6 addresses.
    off: HashSet<u32>,
    restores: Restores,
    departures: Departures,
}

impl Host {
    /// Interfaces that are switched on again; remembers those that are off.
    fn came_back(&mut self, changes: &[Change], mirror: &Mirror) -> HashSet<String> {
        let mut back = HashSet::new();
        for change in changes {
            match change {
                Change::LinkAppeared(index) | Change::LinkChanged(index) => {
                    let Some(link) = mirror.link(*index) else { continue };
                    if !link.up {
                        self.off.insert(*index);
                    } else if self.off.remove(index) || matches!(change, Change::LinkAppeared(_)) {
                        back.insert(link.name.clone());
                    }
                }
                Change::LinkGone { index, .. } => {
                    self.off.remove(index);
                }
                Change::LinkRenamed { .. } | Change::AddressAppeared { .. } | Change::AddressChanged { .. } => {}
                Change::AddressGone { .. } | Change::RouteGone(_) | Change::RuleGone(_) | Change::PathsUnknown => {}
            }
        }
        back
    }
}

impl Keeping {
    /// Other things are kept from now on: these go, those come.
    pub(super) fn keep_otherwise(&mut self, removed: &Held, added: &Held, all: Held) {
        let routes: Vec<RouteKey> = removed.routes.iter().filter_map(|route| Some(self.in_place(route).ok()?.key())).collect();
        self.host.departures.expect(routes, &removed.rules, clock::now());
        self.let_go(&STATIC, removed);
        self.hold(&STATIC, added);
        self.host.held = all;
    }

    /// Puts back what is missing of what the host keeps.
    pub(super) fn restore(&mut self, changes: &[Change]) {
        let back = {
            let shared = std::sync::Arc::clone(&self.shared);
            let mirror = shared.mirror();
            self.host.came_back(changes, &mirror)
        };
        let now = clock::now();
        let changes: Vec<&Change> = changes
            .iter()
            .filter(|change| match change {
                Change::RouteGone(key) => !self.host.departures.explains_route(key, now),
                Change::RuleGone(key) => !self.host.departures.explains_rule(key, now),
                _ => true,
            })
            .collect();
        let missing = self.missing(&changes, &back);
        if missing.is_empty() || !self.host.restores.allow(clock::now()) {
            return;
        }
        for address in &missing.addresses {
            tracing::info!("Restoring deleted static address {} set", bare_line(None, address));
        }
        for route in &missing.routes {
            tracing::info!("Restoring deleted static route {route}");
        }
        for rule in &missing.rules {
            tracing::info!("Restoring deleted static rule {rule}");
        }
        self.hold(&STATIC, &missing);
    }

    fn missing(&self, changes: &[&Change], back: &HashSet<String>) -> Held {
        let held = &self.host.held;
        let unknown = changes.contains(&&Change::PathsUnknown);
        let is_back = |device: Option<&str>| device.is_some_and(|name| back.contains(name));
        let addresses = held.addresses.iter().filter(|address| !address.no_track).filter(|address| {
            let Some((_, ifindex)) = self.device(None, address) else { return false };
            let gone = |change: &Change| matches!(change, Change::AddressGone { ifindex: on, prefix } if *on == ifindex && prefix.address() == address.prefix.address());
            (is_back(address.device.as_deref()) || changes.iter().copied().any(gone)) && self.is_absent(address, ifindex)
        });
        let routes = held.routes.iter().filter(|route| !route.no_track).filter(|route| {
            let Ok(placed) = self.in_place(route) else { return false };
            let key = placed.key();
            let gone = |change: &Change| matches!(change, Change::RouteGone(lost) if *lost == key);
            let off = placed.ifindex.is_some_and(|index| self.host.off.contains(&index));
            !off && (unknown || is_back(route.device.as_deref()) || changes.iter().copied().any(gone))
        });
        let rules = held.rules.iter().filter(|rule| !rule.no_track).filter(|rule| {
            let key = RuleKey::of(rule);
            unknown || changes.iter().any(|change| matches!(change, Change::RuleGone(lost) if *lost == key))
        });
        Held { addresses: addresses.cloned().collect(), routes: routes.cloned().collect(), rules: rules.cloned().collect() }
    }
}
