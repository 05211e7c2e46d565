//! From checkers' results to what a virtual server's table should hold: live servers, quorum with hysteresis, the sorry server.

use super::notice::Notice;
use super::settings::{RealServer, SorryServer, VirtualServer};
use super::word::Word;
use crate::check::Kind;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Largest weight (keepalived.conf(5)); the kernel's is an `int`.
const WEIGHT_MAX: i64 = 2_147_483_647;

/// Health of one virtual server and of its real servers.
#[derive(Clone, Debug)]
pub struct Health {
    settings: Arc<VirtualServer>,
    servers: Vec<Server>,
    quorum: bool,
    started: bool,
}

/// Health of one real server; of most, and there may be tens of thousands, there is nothing to say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Server(Option<Box<Said>>);

/// What checkers say of a server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Said {
    /// Those that fail now, by their place in the block.
    failing: BTreeSet<usize>,
    /// What they add to the configured weight, by their place.
    deltas: Vec<(usize, i64)>,
}

impl Server {
    fn is_up(&self) -> bool {
        self.failing().next().is_none()
    }

    fn failing(&self) -> impl Iterator<Item = usize> {
        self.0.iter().flat_map(|said| &said.failing).copied()
    }

    fn is_failing(&self, checker: usize) -> bool {
        self.0.as_ref().is_some_and(|said| said.failing.contains(&checker))
    }

    fn weight(&self, settings: &RealServer) -> i64 {
        // A file may hold any number.
        let deltas = self.0.iter().flat_map(|said| &said.deltas);
        let sum: i128 = deltas.map(|(_, delta)| i128::from(*delta)).sum();
        let weight = (i128::from(settings.weight) + sum).clamp(0, i128::from(WEIGHT_MAX));
        i64::try_from(weight).unwrap_or(WEIGHT_MAX)
    }

    fn set(&mut self, checker: usize, fails: bool) {
        self.change(|said| _ = if fails { said.failing.insert(checker) } else { said.failing.remove(&checker) });
    }

    fn add(&mut self, checker: usize, delta: i64) {
        self.change(|said| {
            said.deltas.retain(|(at, _)| *at != checker);
            if delta != 0 {
                said.deltas.push((checker, delta));
            }
        });
    }

    fn change(&mut self, change: impl FnOnce(&mut Said)) {
        let mut said = self.0.take().unwrap_or_default();
        change(&mut said);
        self.0 = Some(said).filter(|said| !said.failing.is_empty() || !said.deltas.is_empty());
    }
}

/// What the table should hold of one server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Not there.
    Absent,
    /// There with this weight.
    Present(i64),
}

impl Health {
    /// All servers up, but those with a checker that is down at start (`alpha`).
    pub fn new(settings: Arc<VirtualServer>) -> Self {
        let servers = settings
            .real_servers
            .iter()
            .map(|server| {
                let mut health = Server::default();
                let down = server.checkers.iter().enumerate().filter(|(_, checker)| checker.alpha);
                down.for_each(|(at, _)| health.set(at, true));
                health
            })
            .collect();
        Self { settings, servers, quorum: false, started: false }
    }

    /// Its settings.
    pub const fn settings(&self) -> &Arc<VirtualServer> {
        &self.settings
    }

    /// Whether the quorum holds.
    pub const fn has_quorum(&self) -> bool {
        self.quorum
    }

    /// Whether a real server is up.
    pub fn is_up(&self, server: usize) -> bool {
        self.servers.get(server).is_some_and(Server::is_up)
    }

    /// Its weight with what checkers add; 0 for one that does not exist.
    pub fn weight(&self, server: usize) -> i64 {
        self.pair(server).map_or(0, |(settings, server)| server.weight(settings))
    }

    /// Number of its checkers that fail.
    pub fn failing(&self, server: usize) -> usize {
        self.servers.get(server).map_or(0, |server| server.failing().count())
    }

    /// Whether this checker of it fails.
    pub fn is_failing(&self, server: usize, checker: usize) -> bool {
        self.servers.get(server).is_some_and(|server| server.is_failing(checker))
    }

    /// What this checker of it adds to its weight.
    pub fn delta(&self, server: usize, checker: usize) -> i64 {
        let deltas = self.servers.get(server).and_then(|server| server.0.as_ref()).map_or(&[][..], |said| said.deltas.as_slice());
        deltas.iter().find(|(at, _)| *at == checker).map_or(0, |(_, delta)| *delta)
    }

    /// Sum of the weights of live servers.
    pub fn live_weight(&self) -> i64 {
        self.settings
            .real_servers
            .iter()
            .zip(&self.servers)
            .filter(|(_, server)| server.is_up())
            .map(|(settings, server)| server.weight(settings))
            .sum()
    }

    /// What a predecessor heard of a checker. Call before the start.
    pub fn resume(&mut self, server: usize, checker: usize, word: Word) {
        let configured = self.settings.real_servers.get(server).map_or(0, |server| server.weight);
        let Some(state) = self.servers.get_mut(server) else { return };
        word.up.into_iter().for_each(|up| state.set(checker, !up));
        word.wish.into_iter().for_each(|wish| state.add(checker, wish.on_top_of(configured)));
    }

    /// Whether a predecessor had the quorum: between the two bounds of `hysteresis` nothing else tells. What is as it was is no
    /// news. Call before the start.
    pub const fn resume_quorum(&mut self, held: bool) {
        self.quorum = held;
        self.started = true;
    }

    /// Works out the first quorum. Call once, before results.
    pub fn start(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.weigh(&mut notices);
        self.started = true;
        notices
    }

    /// What the start is worth telling, beside the log: that the quorum is down only when somebody else serves instead; with
    /// `rs_init_notifies` every server that is up.
    pub fn start_told(&self, started: &[Notice], servers: bool) -> Vec<Notice> {
        let up = (0..self.servers.len()).filter(|server| servers && self.is_up(*server));
        let mut notices: Vec<Notice> = up.filter_map(|server| self.server_notice(server, true)).collect();
        let silent = |notice: &Notice| matches!(notice, Notice::Quorum { up: false, start: true, .. }) && self.settings.sorry.is_none();
        notices.extend(started.iter().filter(|notice| !silent(notice)).cloned());
        notices
    }

    /// The first check of a checker that began down failed: the server's state is told, for the first time.
    pub fn found_down(&self, server: usize) -> Option<Notice> {
        self.server_notice(server, false)
    }

    /// A checker's word changed; before the start it only says where things stand.
    pub fn checker_changed(&mut self, server: usize, checker: usize, up: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(state) = self.servers.get_mut(server) else { return notices };
        let before = state.is_up();
        state.set(checker, !up);
        let after = state.is_up();
        if before != after && self.started {
            notices.extend(self.server_notice(server, after));
            self.weigh(&mut notices);
        }
        notices
    }

    /// A checker asks for another weight: `delta` on top of the configured one; deltas of several checkers add up.
    pub fn weight_changed(&mut self, server: usize, checker: usize, delta: i64) -> Vec<Notice> {
        let mut notices = Vec::new();
        let from = self.weight(server);
        let Some(state) = self.servers.get_mut(server) else { return notices };
        state.add(checker, delta);
        let to = self.weight(server);
        if from != to {
            notices.extend(self.weight_notice(server, from, to));
            self.weigh(&mut notices);
        }
        notices
    }

    /// The settings after a reload: servers that are in both keep their state, matched by address and port; their checkers by what they are.
    pub fn reloaded(&mut self, settings: Arc<VirtualServer>) -> Vec<Notice> {
        let mut notices = Vec::new();
        let (held, old_settings) = (self.quorum, std::mem::replace(&mut self.settings, settings));
        let fresh = Self::new(self.settings.clone()).servers;
        let old = std::mem::replace(&mut self.servers, fresh);
        let pairs: Vec<(&RealServer, Server)> = old_settings.real_servers.iter().zip(old).collect();
        for (before, state) in &pairs {
            let at = self.settings.real_servers.iter().position(|server| server.key() == before.key());
            match at {
                Some(at) => self.take_over(at, before, state, &mut notices),
                None => {
                    let (server, of) = (old_settings.name_of(before), old_settings.name());
                    notices.push(Notice::Gone { server: server.clone() });
                    notices.push(Notice::Server { server: server.clone(), of: of.clone(), up: false, inhibit: false });
                    notices.push(Notice::Check { server, of, up: false, changed: true, text: "=> Removing <=".to_owned() });
                }
            }
        }
        self.weigh(&mut notices);
        let (before, now) = (&old_settings.sorry, &self.settings.sorry);
        if before != now && !self.quorum && held == self.quorum {
            let of = self.settings.name();
            let serves = |sorry: &SorryServer, up| Notice::Sorry {
                server: self.settings.name_of_sorry(sorry),
                of: of.clone(),
                up,
                inhibit: sorry.inhibit,
            };
            notices.extend(before.iter().map(|sorry| serves(sorry, false)));
            notices.extend(now.iter().map(|sorry| serves(sorry, true)));
        }
        notices
    }

    /// Places of all real servers, in order, and of the sorry server.
    pub fn places(&self) -> (Vec<Place>, Option<Place>) {
        let sorry_serves = self.settings.sorry.is_some() && !self.quorum;
        let servers = self
            .settings
            .real_servers
            .iter()
            .zip(&self.servers)
            .map(|(settings, server)| match (server.is_up() && !sorry_serves, settings.inhibit) {
                (true, _) => Place::Present(server.weight(settings)),
                (false, true) => Place::Present(0),
                (false, false) => Place::Absent,
            })
            .collect();
        let sorry = self.settings.sorry.as_ref().map(|sorry| match (sorry_serves, sorry.inhibit) {
            (true, _) => Place::Present(1),
            (false, true) => Place::Present(0),
            (false, false) => Place::Absent,
        });
        (servers, sorry)
    }

    /// What to say when the daemon stops.
    pub fn stop(&self) -> Vec<Notice> {
        let of = self.settings.name();
        let servers = self.settings.real_servers.iter().zip(&self.servers);
        servers
            .map(|(settings, server)| Notice::ShutDown {
                server: self.settings.name_of(settings),
                of: of.clone(),
                inhibited: settings.inhibit && !server.is_up(),
            })
            .collect()
    }

    /// What to say when a reload takes the virtual server away: what is logged and told, and what is told alone.
    pub fn removed(&self) -> (Vec<Notice>, Option<Notice>) {
        let of = self.settings.name();
        let mut notices = vec![Notice::Removed { of: of.clone() }];
        for (settings, _) in self.settings.real_servers.iter().zip(&self.servers).filter(|(_, server)| server.is_up()) {
            let server = self.settings.name_of(settings);
            notices.push(Notice::Server { server: server.clone(), of: of.clone(), up: false, inhibit: false });
            notices.push(Notice::Check { server, of: of.clone(), up: false, changed: true, text: "=> Removing <=".to_owned() });
        }
        let (quorum, hysteresis) = (self.settings.quorum, self.settings.hysteresis);
        (notices, self.quorum.then_some(Notice::Quorum { of, up: false, quorum, hysteresis, weight: 0, start: false }))
    }

    /// `omega`: what goes down because the daemon stops, in order; to be told, not logged.
    pub fn last_words(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        if !self.settings.omega {
            return notices;
        }
        let bound = i64::from(self.settings.quorum) - i64::from(self.settings.hysteresis);
        let (mut weight, mut quorum) = (self.live_weight(), self.quorum);
        for (at, (settings, server)) in self.settings.real_servers.iter().zip(&self.servers).enumerate() {
            if !server.is_up() {
                continue;
            }
            weight -= server.weight(settings);
            notices.extend(self.server_notice(at, false));
            if quorum && (weight <= 0 || weight < bound) {
                quorum = false;
                notices.push(Notice::Quorum {
                    of: self.settings.name(),
                    up: false,
                    quorum: self.settings.quorum,
                    hysteresis: self.settings.hysteresis,
                    weight,
                    start: false,
                });
            }
        }
        notices
    }

    fn pair(&self, server: usize) -> Option<(&RealServer, &Server)> {
        self.settings.real_servers.get(server).zip(self.servers.get(server))
    }

    fn take_over(&mut self, at: usize, before: &RealServer, state: &Server, notices: &mut Vec<Notice>) {
        let Some(now) = self.settings.real_servers.get(at).cloned() else { return };
        // A checker that exists before and after keeps its word; a new one begins as `alpha` says.
        let place = |old: usize| {
            let checker = before.checkers.get(old)?;
            now.checkers.iter().position(|other| other.kind == checker.kind && other.target == checker.target)
        };
        let mut fresh = Server::default();
        for (new, checker) in now.checkers.iter().enumerate() {
            match before.checkers.iter().position(|other| other.kind == checker.kind && other.target == checker.target) {
                Some(old) if state.is_failing(old) => fresh.set(new, true),
                Some(_) => {}
                None if checker.alpha => fresh.set(new, true),
                None => {}
            }
        }
        // A script asks for a weight, not for a difference: a new configured weight does not move it.
        let moved = i64::from(before.weight) - i64::from(now.weight);
        for (old, delta) in state.0.iter().flat_map(|said| &said.deltas) {
            let by_script = before.checkers.get(*old).is_some_and(|checker| matches!(checker.kind, Kind::Misc(_)));
            let delta = if by_script { delta + moved } else { *delta };
            place(*old).into_iter().for_each(|new| fresh.add(new, delta));
        }
        let (was_up, is_up) = (state.is_up(), fresh.is_up());
        let (from, to) = (state.weight(before), fresh.weight(&now));
        if let Some(server) = self.servers.get_mut(at) {
            *server = fresh;
        }
        if from != to {
            notices.extend(self.weight_notice(at, from, to));
        }
        if was_up != is_up {
            notices.extend(self.server_notice(at, is_up));
        }
    }

    fn server_notice(&self, server: usize, up: bool) -> Option<Notice> {
        let (settings, _) = self.pair(server)?;
        Some(Notice::Server { server: self.settings.name_of(settings), of: self.settings.name(), up, inhibit: settings.inhibit })
    }

    fn weight_notice(&self, server: usize, from: i64, to: i64) -> Option<Notice> {
        let (settings, state) = self.pair(server)?;
        Some(Notice::Weight { server: self.settings.name_of(settings), of: self.settings.name(), from, to, active: state.is_up() })
    }

    /// Gained when the live weight reaches quorum + hysteresis, lost below quorum − hysteresis or at none (keepalived.conf(5), `quorum`).
    fn weigh(&mut self, notices: &mut Vec<Notice>) {
        let weight = self.live_weight();
        let (quorum, hysteresis) = (i64::from(self.settings.quorum), i64::from(self.settings.hysteresis));
        let holds = if self.quorum { weight > 0 && weight >= quorum - hysteresis } else { weight > 0 && weight >= quorum + hysteresis };
        if holds == self.quorum && self.started {
            return;
        }
        self.quorum = holds;
        let of = self.settings.name();
        notices.push(Notice::Quorum {
            of: of.clone(),
            up: holds,
            quorum: self.settings.quorum,
            hysteresis: self.settings.hysteresis,
            weight,
            start: !self.started,
        });
        if let Some(sorry) = self.settings.sorry.as_ref().filter(|_| self.started || !holds) {
            notices.push(Notice::Sorry { server: self.settings.name_of_sorry(sorry), of: of.clone(), up: !holds, inhibit: sorry.inhibit });
            notices.push(Notice::Pool { of, up: holds });
        }
    }
}

#[cfg(test)]
mod tests;
