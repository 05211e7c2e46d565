//! The files that signals ask for: the child says what is in them, the supervisor writes them.

use super::State;
use crate::ipc::messages::{Dump, ToVrrp};
use crate::process::paths;
use crate::report::global_data;
use crate::sys::safefile::write_as;
use std::fmt::Write as _;
use std::path::Path;

impl State {
    /// Asks the child for a text.
    pub(super) fn ask_for(&self, dump: Dump) {
        if self.child.is_some() {
            self.post(ToVrrp::Dump(dump));
        } else if !(self.checker.exists() || self.bfd.exists()) || !matches!(dump, Dump::Data) {
            tracing::warn!("no VRRP child process is running: there is nothing to print");
        }
    }

    /// The child's text is there.
    pub(super) fn write_dump(&self, dump: Dump, text: &str) {
        if matches!(dump, Dump::Json) && self.config.instances.is_empty() {
            return;
        }
        let path = paths::dump_path(dump, &self.options, &self.config.global);
        match dump {
            Dump::Data => self.put(&path, &format!("{}{text}", self.global_text())),
            Dump::Stats | Dump::StatsAndClear | Dump::Json => self.put(&path, text),
        }
    }

    /// keepalived_parent.data.
    pub(super) fn dump_parent(&self) {
        tracing::info!("Printing parent data for process({}) on signal", std::process::id());
        self.put(&paths::parent_dump_path(&self.options, &self.config.global), &self.parent_text());
    }

    pub(super) fn global_text(&self) -> String {
        let global = &self.config.global;
        global_data::text(global, paths::namespace(&self.options, global))
    }

    fn parent_text(&self) -> String {
        let mut text = self.global_text();
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, " {key} = {value}");
        };
        line("Configuration file", &self.options.config.display().to_string());
        line("Parent pid file", &self.pid_paths.supervisor.display().to_string());
        line("VRRP pid file", &self.pid_paths.vrrp.display().to_string());
        line("VRRP child processes started", &self.lives.to_string());
        line("VRRP instances configured", &self.config.instances.len().to_string());
        line("State", &self.memory.summary());
        text
    }

    /// For the administrator alone, and the group when the administrator's umask says so; never for everybody.
    pub(super) fn put(&self, path: &Path, text: &str) {
        let mode = 0o660 & !paths::umask(&self.options, &self.config.global);
        if let Err(error) = write_as(path, text, mode) {
            tracing::error!("cannot write {}: {error}", path.display());
        }
    }
}
