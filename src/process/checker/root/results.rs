//! What checkers say becomes health; what that changes goes to the keeper, and to everybody who is told.

use super::{KEEPER, State};
use crate::actor::tell;
use crate::check::{self, Failure, Kind, file, words};
use crate::ipc::messages::{CheckerId, FromChecker};
use crate::lvs::health::Health;
use crate::lvs::notice::Notice;
use crate::lvs::settings::VirtualServer;
use crate::lvs::table::{dead, desired};
use crate::lvs::word::Wish;
use crate::process::checker::keeper;
use std::sync::Arc;

impl State {
    /// A checker went up or down, and why.
    pub(super) fn checked(&mut self, id: Arc<CheckerId>, up: bool, failure: Option<&Failure>) {
        let Some(health) = self.places.get(&id.service).and_then(|at| self.health.get_mut(*at)) else { return };
        let Some((real, place)) = find(health.settings(), &id) else { return };
        let (failed, was_up) = (health.is_failing(real, place), health.is_up(real));
        let mut notices = health.checker_changed(real, place, up);
        if !notices.is_empty() {
            put(health);
        }
        if failed == up {
            notices.extend(for_mail(health, (real, place), was_up, up, failure));
        }
        let first = health.found_down(real).filter(|_| failed && !up);
        self.say(&notices);
        self.post(first.as_slice());
        self.outbox.post(&FromChecker::Checked { checker: CheckerId::clone(&id), up });
        self.said.insert(id, up);
    }

    /// A checker asks for another weight, or for the configured one again.
    pub(super) fn weighed(&mut self, id: &CheckerId, weight: Option<i64>) {
        let Some(health) = self.places.get(&id.service).and_then(|at| self.health.get_mut(*at)) else { return };
        let Some((real, place)) = find(health.settings(), id) else { return };
        let configured = health.settings().real_servers.get(real).map_or(0, |real| real.weight);
        let (before, wish) = (health.delta(real, place), weight.map(Wish::Weight));
        let notices = health.weight_changed(real, place, wish.map_or(0, |wish| wish.on_top_of(configured)));
        let changed = before != health.delta(real, place);
        if !notices.is_empty() {
            put(health);
        }
        self.say(&notices);
        if changed {
            self.outbox.post(&FromChecker::Weighed { checker: id.clone(), wish });
        }
    }

    /// A `track_file` changed: its number changes weights, and the least number of all takes servers out.
    pub(super) fn file_reads(&mut self, name: &str, value: i64) {
        let mut notices = Vec::new();
        for health in &mut self.health {
            let settings = health.settings().clone();
            let service = settings.name();
            let mut changed = Vec::new();
            for (real, server) in settings.real_servers.iter().enumerate() {
                for (place, checker) in server.checkers.iter().enumerate() {
                    let Kind::File(file) = &checker.kind else { continue };
                    if file.name == name {
                        let delta = file::judge(file, value);
                        let fault = delta.is_none();
                        let id = || CheckerId {
                            service: service.clone(),
                            server: server.key(),
                            place: u32::try_from(place).unwrap_or(u32::MAX),
                        };
                        if fault != health.is_failing(real, place) {
                            tracing::info!("{}", words::file_fault(&settings.name_of(server), name, fault));
                            self.outbox.post(&FromChecker::Checked { checker: id(), up: !fault });
                        }
                        // Who is out keeps its weight: the number says that it is out, not how much it could bear.
                        if let Some(delta) = delta {
                            if delta != health.delta(real, place) {
                                self.outbox.post(&FromChecker::Weighed { checker: id(), wish: Some(Wish::More(delta)) });
                            }
                            changed.extend(health.weight_changed(real, place, delta));
                        }
                        changed.extend(health.checker_changed(real, place, !fault));
                    }
                }
            }
            if !changed.is_empty() {
                put(health);
            }
            notices.append(&mut changed);
        }
        self.say(&notices);
    }

    /// Logs, and tells the supervisor what scripts and FIFOs may want to know.
    pub(super) fn say(&self, notices: &[Notice]) {
        log(notices);
        self.post(notices);
    }

    pub(super) fn post(&self, notices: &[Notice]) {
        for notice in notices.iter().filter(|notice| notice.is_told()) {
            self.outbox.post(&FromChecker::Notice(notice.clone()));
        }
    }
}

/// The services of a virtual server are to be what its health says.
fn put(health: &Health) {
    tell(KEEPER, keeper::Msg::Put { part: desired(health), dead: dead(health) });
}

/// What a mail says about a checker that changed its mind.
fn for_mail(health: &Health, (real, place): (usize, usize), was_up: bool, up: bool, failure: Option<&Failure>) -> Option<Notice> {
    let server = health.settings().real_servers.get(real)?;
    let checker = server.checkers.get(place)?;
    let now = health.is_up(real);
    Some(Notice::Check {
        server: health.settings().name_of(server),
        of: health.settings().name(),
        up: now,
        changed: was_up != now,
        text: check::mail::body(checker, up, failure),
    })
}

/// Places of a real server and of its checker.
pub(super) fn find(server: &VirtualServer, id: &CheckerId) -> Option<(usize, usize)> {
    let real = server.real_servers.iter().position(|real| real.key() == id.server)?;
    let place = usize::try_from(id.place).ok()?;
    server.real_servers.get(real).filter(|real| place < real.checkers.len()).map(|_| (real, place))
}

pub(super) fn log(notices: &[Notice]) {
    for notice in notices {
        match notice {
            Notice::ShutDown { .. } => tracing::debug!("{notice}"),
            Notice::Check { .. } => {}
            Notice::Server { .. } | Notice::Weight { .. } | Notice::Quorum { .. } | Notice::Sorry { .. } => tracing::info!("{notice}"),
            Notice::Pool { .. } | Notice::Removed { .. } | Notice::Gone { .. } => tracing::info!("{notice}"),
        }
    }
}
