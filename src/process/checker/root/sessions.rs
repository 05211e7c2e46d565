//! `BFD_CHECK`: real servers follow their sessions.

use super::State;
use super::results::find;
use crate::check::Kind;
use crate::ipc::messages::{CheckerId, SessionReads};
use crate::sys::clock;
use std::sync::Arc;

impl State {
    /// A BFD session came up, or went down: the servers that it stands for follow.
    pub(super) fn session(&mut self, SessionReads { name, up, at }: SessionReads) {
        let usec = clock::now().since(at).as_micros();
        tracing::debug!("Received BFD event: instance {name} is in state {} (delivered in {usec} usec)", if up { "Up" } else { "Down" });
        self.follow(&name, up);
        self.sessions.insert(name, up);
    }

    /// What is known of all sessions, for checkers that are new.
    pub(super) fn follow_all(&mut self) {
        for (name, up) in self.sessions.clone() {
            self.follow(&name, up);
        }
    }

    fn follow(&mut self, name: &str, up: bool) {
        let mut follow = Vec::new();
        for server in &self.balancer.servers {
            for real in &server.real_servers {
                for (place, checker) in (0u32..).zip(&real.checkers) {
                    if matches!(&checker.kind, Kind::Bfd(session) if session == name) {
                        follow.push(Arc::new(CheckerId { service: server.name(), server: real.key(), place }));
                    }
                }
            }
        }
        for id in follow {
            self.say_session(name, &id, up);
            self.checked(id, up, None);
        }
    }

    /// As the original, when it is news.
    fn say_session(&self, name: &str, id: &CheckerId, up: bool) {
        let Some(health) = self.places.get(&id.service).and_then(|at| self.health.get(*at)) else { return };
        let Some((real, place)) = find(health.settings(), id) else { return };
        if health.is_failing(real, place) == up
            && let Some(server) = health.settings().real_servers.get(real)
        {
            let state = if up { "UP" } else { "DOWN" };
            tracing::info!("BFD check of [{name}] RS({}) is {state}", health.settings().name_of(server));
        }
    }
}
