//! What is put back that somebody else deletes: how often, and what only looks like it.

use crate::net::route::RouteKey;
use crate::net::rule::RuleKey;
use crate::types::Instant;
use crate::vrrp::rule::Rule;
use std::time::Duration;

/// Addresses put back lately: a fight with another manager of the interface must not become a busy loop.
#[derive(Default)]
pub(super) struct Restores {
    count: u32,
    since: Instant,
    refused: bool,
}

impl Restores {
    const MOST: u32 = 20;
    const WINDOW: Duration = Duration::from_secs(10);

    /// Whether one more may be put back at once; says no once a window.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        if now.since(self.since) > Self::WINDOW {
            *self = Self { count: 0, since: now, refused: false };
        }
        self.count += 1;
        self.refused |= self.count > Self::MOST;
        !self.refused
    }

    /// Whether one was refused and its window is over.
    pub(super) fn overdue(&mut self, now: Instant) -> bool {
        let overdue = self.refused && now.since(self.since) > Self::WINDOW;
        if overdue {
            *self = Self::default();
        }
        overdue
    }
}

/// Routes and rules that we delete ourselves while others like them stay: the kernel reports each as gone once, and nobody
/// else took it away.
#[derive(Default)]
pub(super) struct Departures {
    routes: Vec<(RouteKey, Instant)>,
    rules: Vec<(RuleKey, Instant)>,
}

impl Departures {
    /// The kernel's word comes within this time or never.
    const PATIENCE: Duration = Duration::from_secs(2);

    pub(super) fn expect(&mut self, routes: impl IntoIterator<Item = RouteKey>, rules: &[Rule], now: Instant) {
        self.routes.extend(routes.into_iter().map(|key| (key, now)));
        self.rules.extend(rules.iter().map(|rule| (RuleKey::of(rule), now)));
    }

    pub(super) fn explains_route(&mut self, key: &RouteKey, now: Instant) -> bool {
        Self::explains(&mut self.routes, key, now)
    }

    pub(super) fn explains_rule(&mut self, key: &RuleKey, now: Instant) -> bool {
        Self::explains(&mut self.rules, key, now)
    }

    fn explains<K: PartialEq>(list: &mut Vec<(K, Instant)>, key: &K, now: Instant) -> bool {
        list.retain(|(_, since)| now.since(*since) < Self::PATIENCE);
        let found = list.iter().position(|(expected, _)| expected == key);
        found.map(|index| list.swap_remove(index)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos((100 + seconds) * 1_000_000_000)
    }

    #[test]
    fn a_few_are_put_back_at_once_and_a_fight_waits_for_the_window_to_end() {
        let mut restores = Restores::default();
        for _ in 0..Restores::MOST {
            assert!(restores.allow(at(1)));
        }
        assert!(!restores.allow(at(2)));
        assert!(!restores.overdue(at(5)));
        assert!(restores.overdue(at(12)));
        assert!(!restores.overdue(at(13)), "once");
        assert!(restores.allow(at(14)));
    }

    #[test]
    fn now_and_then_is_no_fight() {
        let mut restores = Restores::default();
        assert!((0..1000).all(|n| restores.allow(at(n))));
    }
}
