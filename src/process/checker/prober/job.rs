//! One checker that runs: its rhythm, and what it says.

use super::{Standing, Watch};
use crate::check::http::{Progress, Round};
use crate::check::schedule::{Change, Schedule};
use crate::check::words::About;
use crate::check::{Failure, Kind, tls};
use crate::probe::{Outcome, Probe};
use crate::sys::clock;
use crate::types::Instant;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Job {
    pub(super) watch: Watch,
    pub(super) schedule: Schedule,
    pub(super) round: Round,
    pub(super) probe: Arc<Probe>,
    /// Its number among checks that are the same for several servers.
    pub(super) group: Option<u64>,
    /// `ha_suspend`: the address is not here.
    pub(super) suspended: bool,
    /// What few have.
    pub(super) rare: Option<Box<Rare>>,
}

/// What few checkers have to remember: of most, and there may be tens of thousands, there is nothing.
#[derive(Default)]
pub(super) struct Rare {
    /// When the certificate that it saw last ends, in seconds since 1970.
    certificate_ends: Option<i64>,
    /// Its end was told of.
    warned: bool,
    /// Why it could not be made, and was told of.
    not_made: Option<String>,
    /// When its script ended last, in seconds since 1970, and how.
    pub(super) last: Option<(f64, String)>,
}

impl Job {
    /// For readers.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            has_run: self.schedule.has_run(),
            retries: self.schedule.forgiven(),
            failed_page: self.round.failed(),
            last: self.rare.as_ref().and_then(|rare| rare.last.clone()),
            certificate_ends: self.rare.as_ref().and_then(|rare| rare.certificate_ends),
        }
    }

    fn about<'a>(&'a self, server: &'a str) -> About<'a> {
        About { checker: &self.watch.checker, server, of: self.watch.id.service.as_str() }
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Logs, and answers whether it is up when that changed.
    pub(super) fn ended(&mut self, now: Instant, Outcome { result, odd_length, .. }: &Outcome) -> Option<bool> {
        if let Err(failure @ Failure::Local(why)) = result {
            if self.rare.as_ref().and_then(|rare| rare.not_made.as_ref()) != Some(why) {
                tracing::warn!("{}", self.about(&self.watch.server()).not_made(failure));
                self.rare().not_made = Some(why.clone());
            }
            self.schedule.not_made(now, &self.watch.checker.timing);
            return None;
        }
        if let Some(rare) = &mut self.rare {
            rare.not_made = None;
        }
        let url = self.round.url();
        if let Some(odd) = odd_length.filter(|_| !self.schedule.has_run() || !self.schedule.is_up()) {
            tracing::info!("{}", self.about(&self.watch.server()).odd_length(url, odd));
        }
        if let Kind::Http(settings) = &self.watch.checker.kind {
            if result.is_ok() && !self.schedule.is_up() {
                self.about(&self.watch.server()).success(url).iter().for_each(|line| tracing::info!("{line}"));
            }
            if self.round.ended(settings.urls.len(), result.is_ok()) == Progress::Next {
                let hurry = settings.fast_recovery && (!self.schedule.has_run() || !self.schedule.is_up());
                self.schedule.goes_on(now, if hurry { Duration::ZERO } else { self.watch.checker.timing.delay_loop });
                return None;
            }
        }
        let first = !self.schedule.has_run();
        let change = self.schedule.ended(now, &self.watch.checker.timing, result.is_ok());
        match result {
            Ok(()) => self.say_success(change, url),
            Err(failure) => self.say_failure(change, url, failure, first),
        }
        match change {
            Change::CameUp => Some(true),
            // One that began down (`alpha`) is told of when its first check fails.
            Change::WentDown { .. } | Change::StaysDown => Some(false),
            Change::None | Change::FirstSuccess | Change::Forgiven => None,
        }
    }

    fn say_success(&self, change: Change, url: usize) {
        if !matches!(change, Change::FirstSuccess | Change::CameUp) {
            return;
        }
        let line = match self.watch.checker.kind {
            Kind::Http(_) => Some(self.about(&self.watch.server()).pages_succeeded()),
            _ => self.about(&self.watch.server()).success(url),
        };
        line.iter().for_each(|line| tracing::info!("{line}"));
    }

    fn say_failure(&self, change: Change, url: usize, failure: &Failure, first: bool) {
        let server = self.watch.server();
        let about = self.about(&server);
        match change {
            Change::WentDown { retries } => {
                let (reason, verdict) = about.failure(url, failure, retries, first);
                reason.iter().for_each(|reason| tracing::info!("{reason}"));
                tracing::info!("{verdict}");
            }
            Change::StaysDown => {
                // Of pages the original says only why.
                let (reason, verdict) = about.failure(url, failure, 0, true);
                let verdict = (!matches!(about.checker.kind, Kind::Http(_))).then_some(verdict);
                reason.iter().chain(&verdict).for_each(|line| tracing::info!("{line}"));
            }
            Change::Forgiven if about.checker.log_all_failures => {
                tracing::info!("{}", about.forgiven(url, failure, self.schedule.failures()));
            }
            Change::Forgiven | Change::None | Change::FirstSuccess | Change::CameUp => {}
        }
    }

    /// The certificate that was seen ends then, in seconds since 1970: told once of each, so many days before.
    pub(super) fn saw_certificate(&mut self, ends: Option<i64>, warn_days: u32) {
        let rare = match (&mut self.rare, ends) {
            (Some(rare), _) => rare,
            (None, None) => return,
            (none, Some(_)) => none.get_or_insert_default(),
        };
        if ends.is_some() && ends != rare.certificate_ends {
            (rare.certificate_ends, rare.warned) = (ends, false);
        }
        let Some(ends) = rare.certificate_ends.filter(|_| !rare.warned) else { return };
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let left = tls::days_left(clock::epoch_seconds() as i64, ends);
        if left < i64::from(warn_days) {
            rare.warned = true;
            match left {
                ..0 => tracing::warn!("The certificate of {} has ended", self.watch.server()),
                left => tracing::warn!("The certificate of {} ends in {left} days", self.watch.server()),
            }
        }
    }
}
