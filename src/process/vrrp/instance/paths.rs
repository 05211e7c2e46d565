//! The routes and rules of an instance, and what happens when somebody takes one away.

use super::super::messages::Held;
use super::Living;
use crate::net::route::{KernelRoute, RouteKey};
use crate::net::rule::RuleKey;
use crate::sys::clock;
use crate::vrrp::event::{Event, State};
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::settings::Settings;

/// The routes whose loss is noticed.
pub(super) fn tracked_routes(settings: &Settings) -> impl Iterator<Item = &Route> {
    settings.routes.iter().filter(|route| !route.no_track)
}

/// The rules whose loss is noticed.
pub(super) fn tracked_rules(settings: &Settings) -> impl Iterator<Item = &Rule> {
    settings.rules.iter().filter(|rule| !rule.no_track)
}

impl Living {
    fn key_of(&self, route: &Route) -> Option<RouteKey> {
        let mirror = self.shared.mirror();
        KernelRoute::of(route, |name| mirror.by_name(name).map(|link| link.index)).ok().map(|route| route.key())
    }

    pub(super) fn expect_paths(&mut self, removed: &Held) {
        let routes: Vec<RouteKey> = removed.routes.iter().filter_map(|route| self.key_of(route)).collect();
        self.leaving_paths.expect(routes, &removed.rules, clock::now());
    }

    pub(super) fn route_lost(&mut self, key: &RouteKey) {
        if self.machine.state() != State::Master || self.leaving_paths.explains_route(key, clock::now()) {
            return;
        }
        let lost = tracked_routes(self.settings()).find(|route| self.key_of(route).as_ref() == Some(key)).map(ToString::to_string);
        if let Some(route) = lost {
            self.path_lost("route", &route);
        }
    }

    pub(super) fn rule_lost(&mut self, key: &RuleKey) {
        if self.machine.state() != State::Master || self.leaving_paths.explains_rule(key, clock::now()) {
            return;
        }
        let lost = tracked_rules(self.settings()).find(|rule| RuleKey::of(rule) == *key).map(ToString::to_string);
        if let Some(rule) = lost {
            self.path_lost("rule", &rule);
        }
    }

    fn path_lost(&mut self, kind: &str, what: &str) {
        tracing::warn!(instance = %self.name, "({}) Netlink reflector reports {kind} {what} removed: something else manages this host's {kind}s", self.name);
        if self.settings().priority.is_owner() && !self.restores.allow(clock::now()) {
            tracing::error!(instance = %self.name, "({}) something removes {kind} {what} again and again: it is not put back for now", self.name);
            return;
        }
        self.feed(Event::PathLost);
    }
}
