//! SIGHUP in two phases: read and prepare off to the side, then commit; whatever fails before that changes nothing.

use super::{Msg, State, child};
use crate::config::diff::{self, diff};
use crate::config::model::{Config, VrrpChanges};
use crate::config::{Diagnostic, Loaded, Report, Severity};
use crate::ipc::messages::ToVrrp;
use crate::process::{configuration, relay, scripts};
use crate::sys::safefile::{write_as, write_private};
use crate::sys::tuning;
use ractor::ActorRef;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a child may take for one phase.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file that goes when this is dropped.
struct Mark(PathBuf);

impl Drop for Mark {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Where a reload stands.
#[derive(Debug, Default)]
pub(super) struct Reload {
    generation: u64,
    /// How often a reload read the configuration.
    readings: u64,
    phase: Phase,
    /// Another SIGHUP came meanwhile.
    again: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// The child looks at the changes.
    Preparing(Box<Config>),
    /// The child makes them; the new configuration is the running one already.
    Committing,
    /// No instance is left: the child stops.
    Retiring,
    /// The checker child makes its changes.
    Balancing,
}

/// What the death of the VRRP child means for a reload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loss {
    /// Nothing: there is none, or the child had no part in it any more.
    Harmless,
    /// Nothing has changed yet.
    StartsOver,
    /// The successor is told the new configuration; the rest is still to be done.
    Done,
}

impl Phase {
    /// The VRRP child died.
    fn lost_child(&mut self) -> Loss {
        let (loss, next) = match std::mem::take(self) {
            Self::Idle => (Loss::Harmless, Self::Idle),
            Self::Preparing(_) => (Loss::StartsOver, Self::Idle),
            Self::Committing => (Loss::Done, Self::Idle),
            Self::Retiring => (Loss::Harmless, Self::Retiring),
            Self::Balancing => (Loss::Harmless, Self::Balancing),
        };
        *self = next;
        loss
    }
}

impl Reload {
    /// The child ends because the last instance is gone.
    pub(super) const fn retires_child(&self) -> bool {
        matches!(self.phase, Phase::Retiring)
    }
}

impl State {
    /// A reload is asked for.
    pub(super) fn reload(&mut self, myself: &ActorRef<Msg>) {
        let starting = self.child.as_ref().is_some_and(|child| !child.running) || (self.child.is_none() && self.wants_child());
        if self.stopping || starting || !matches!(self.reload.phase, Phase::Idle) {
            self.reload.again = true;
            return;
        }
        self.reload.again = false;
        tracing::info!("Reloading ...");
        self.systemd.reloading();
        let mark = self.reload_mark();
        let (mut reading, copies) = configuration::read(&self.options);
        self.reload.readings += 1;
        configuration::save(&copies, &reading.config.global, self.reload.readings);
        configuration::require_interfaces(&mut reading);
        drop(mark);
        configuration::log(&reading.report);
        if reading.report.refuses_reload() {
            let errors = reading.report.diagnostics().iter().filter(|found| found.severity == Severity::Error).count();
            tracing::error!("Reload refused, the running configuration stays: {errors} error(s) in {}", self.options.config.display());
            self.write_check_report(&reading.report);
            self.reload_ends(myself);
        } else {
            configuration::dump(&copies, &reading.config);
            self.prepare(myself, reading);
        }
    }

    /// `reload_file`: an empty file that is there while the files are read, so that whoever writes them can wait.
    fn reload_mark(&self) -> Option<Mark> {
        let written = self.config.global.reload_file.as_ref()?;
        let path = written.as_ref().map_or_else(|| self.pid_paths.supervisor.with_extension("reload"), PathBuf::from);
        match write_as(&path, "", 0o644) {
            Ok(()) => Some(Mark(path)),
            Err(error) => {
                tracing::warn!("cannot write reload_file {}: {error}", path.display());
                None
            }
        }
    }

    /// `reload_check_config FILE`: the problems with the lines they are in.
    fn write_check_report(&self, report: &Report) {
        let Some(path) = self.config.global.reload_check_config.as_deref().filter(|path| !path.is_empty() && *path != "/dev/null") else {
            return;
        };
        let text: String = report.diagnostics().iter().map(Diagnostic::render).collect();
        match write_private(Path::new(path), &text) {
            Ok(()) => tracing::error!("New config failed validation, see {path} for details"),
            Err(error) => tracing::error!("cannot write {path}: {error}"),
        }
    }

    /// The one that had to wait.
    pub(super) fn reload_if_asked(&mut self, myself: &ActorRef<Msg>) {
        if self.reload.again {
            self.reload(myself);
        }
    }

    fn prepare(&mut self, myself: &ActorRef<Msg>, reading: Loaded) {
        let mut new = reading.config;
        keep_what_needs_a_restart(&self.config, &mut new);
        let table = scripts::take_up(&mut new, self.run_as);
        relay::take_up(&new);
        new.lvs.share_with(&self.config.lvs);
        let changes = diff(&self.config, &new);
        tell(&changes);
        if self.child.is_none() || changes.is_empty() {
            self.take_up(new, table);
            self.reload_done(myself);
            return;
        }
        self.reload.generation += 1;
        let generation = self.reload.generation;
        self.reload.phase = Phase::Preparing(Box::new(new));
        self.post(ToVrrp::Prepare { generation, changes: Box::new(changes) });
        myself.send_after(PATIENCE, move || Msg::ReloadDeadline(generation));
    }

    /// The child can do it: from here on the new configuration counts, also for a successor.
    pub(super) fn prepared(&mut self, generation: u64) {
        if generation != self.reload.generation {
            return;
        }
        if let Phase::Preparing(new) = std::mem::take(&mut self.reload.phase) {
            let table = scripts::table(&new, self.run_as);
            self.take_up(*new, table);
            self.keep_record();
            self.reload.phase = Phase::Committing;
            self.post(ToVrrp::Commit { generation });
        }
    }

    /// The child cannot do it.
    pub(super) fn refused(&mut self, myself: &ActorRef<Msg>, generation: u64, reasons: &[String]) {
        if generation != self.reload.generation || !matches!(self.reload.phase, Phase::Preparing(_)) {
            return;
        }
        for reason in reasons {
            tracing::error!("Reload refused: {reason}");
        }
        tracing::error!("Reload refused, nothing changes");
        self.reload_ends(myself);
    }

    /// The child did it.
    pub(super) fn committed(&mut self, myself: &ActorRef<Msg>, generation: u64) {
        if generation != self.reload.generation || !matches!(self.reload.phase, Phase::Committing) {
            return;
        }
        if let Some(child) = &self.child {
            let _ = child.actor.cast(child::Msg::Beat(self.beat()));
        }
        // What it tracks since this moment it has not heard of.
        self.observer.say_all();
        if self.wants_child() {
            self.reload_done(myself);
        } else {
            self.reload.phase = Phase::Retiring;
            self.post(ToVrrp::Stop);
        }
    }

    /// The child stopped because nothing is left for it.
    pub(super) fn committed_without_child(&mut self, myself: &ActorRef<Msg>) {
        self.vrrp_pid_file = None;
        self.reload_done(myself);
    }

    /// The VRRP child's part is done; the checker child's is left.
    fn reload_done(&mut self, myself: &ActorRef<Msg>) {
        if self.child.is_none() && self.wants_child() {
            let _ = myself.cast(Msg::Start);
        }
        self.balance(myself);
    }

    fn balance(&mut self, myself: &ActorRef<Msg>) {
        let told = self.reload_checker(myself);
        self.reload_bfd(myself);
        self.watch_for_planned_reloads(myself);
        self.tell_status();
        self.reload.phase = Phase::Balancing;
        if !told {
            self.balanced(myself);
        }
    }

    /// The checker child did it, or has ended, or had nothing to do.
    pub(super) fn balanced(&mut self, myself: &ActorRef<Msg>) {
        if matches!(self.reload.phase, Phase::Balancing) {
            // Written last: for thousands of servers it takes longer than all the rest.
            self.keep_record();
            tracing::info!("Reload complete");
            self.reload_ends(myself);
        }
    }

    fn reload_ends(&mut self, myself: &ActorRef<Msg>) {
        self.reload.phase = Phase::Idle;
        self.systemd.ready();
        tuning::give_back_memory();
        self.reload_if_asked(myself);
    }

    /// The child died in the middle: a successor starts with what counts now, and an unfinished reload starts over.
    pub(super) fn reload_lost_child(&mut self, myself: &ActorRef<Msg>) {
        match self.reload.phase.lost_child() {
            Loss::Harmless => {}
            Loss::StartsOver => self.reload.again = true,
            // Who stops has nothing more to tell the checker child.
            Loss::Done if self.stopping => {}
            Loss::Done => {
                tracing::info!("the new VRRP child starts with the new configuration");
                self.balance(myself);
            }
        }
    }

    /// A phase took too long.
    pub(super) fn reload_deadline(&mut self, myself: &ActorRef<Msg>, generation: u64) {
        if generation != self.reload.generation {
            return;
        }
        match self.reload.phase {
            Phase::Preparing(_) => {
                tracing::error!("Reload given up, nothing changes: the VRRP child did not answer within {} s", PATIENCE.as_secs());
                self.post(ToVrrp::Abandon { generation });
                self.reload_ends(myself);
            }
            Phase::Committing => self.kill_child("it did not finish a reload in time"),
            Phase::Idle | Phase::Retiring | Phase::Balancing => {}
        }
    }
}

/// What a running daemon cannot change stays, and is said.
fn keep_what_needs_a_restart(old: &Config, new: &mut Config) {
    for keyword in diff::keep_what_needs_a_restart(old, new) {
        tracing::warn!("{keyword} cannot be changed by a reload: the old value stays until a restart");
    }
}

/// What changes, one line.
fn tell(changes: &VrrpChanges) {
    let mut parts = Vec::new();
    let mut part = |verb: &str, names: Vec<&str>| {
        if !names.is_empty() {
            parts.push(format!("{verb} {}", some(&names)));
        }
    };
    part("added", changes.added.iter().map(|settings| settings.name.as_str()).collect());
    part("changed", changes.changed.iter().map(|(name, _)| name.as_str()).collect());
    part("removed", changes.removed.iter().map(String::as_str).collect());
    if changes.global.is_some() {
        parts.push("changed global settings".to_owned());
    }
    if parts.is_empty() {
        tracing::info!("Nothing changed for VRRP");
    } else {
        tracing::info!("VRRP instances: {}", parts.join("; "));
    }
}

/// The first few names.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(rest @ 1..) => format!("{shown} and {rest} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_dies_while_it_commits_leaves_the_rest_of_the_reload_to_be_done() {
        let after = |mut phase: Phase| (phase.lost_child(), format!("{phase:?}"));
        assert_eq!(after(Phase::Committing), (Loss::Done, "Idle".to_owned()));
        assert_eq!(after(Phase::Preparing(Box::default())), (Loss::StartsOver, "Idle".to_owned()));
        assert_eq!(after(Phase::Balancing), (Loss::Harmless, "Balancing".to_owned()), "the checker child is at it");
        assert_eq!(after(Phase::Retiring), (Loss::Harmless, "Retiring".to_owned()), "it was to end");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some(&["a", "b"]), "a, b");
        let names: Vec<&str> = std::iter::repeat_n("x", 12).collect();
        assert!(some(&names).ends_with("x and 2 more"));
    }
}
