//! `keepalivedctl plan`: what a reload would change, before it happens.

use super::print;
use crate::config::model::Config;
use crate::config::plan::{Action, Step, plan};
use crate::config::secrets::{Salt, conceal};
use crate::config::{LoadOptions, Loaded, load};
use crate::process::configuration::host_name;
use crate::process::files::Disk;
use crate::process::running::{self, Running};
use crate::script::table::{self, Gravity};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Something would change.
const CHANGES: u8 = 2;
/// Where a configuration is when nobody says it.
const USUAL: &str = "/etc/keepalived/keepalived.conf";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The configuration that would be read; else the one that the daemon was started with
    #[arg(short = 'f', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// The daemon's pid file, when it is not where the configuration says
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pid_file: Option<PathBuf>,

    /// What @ID lines are compared with; else what the daemon compares them with
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,

    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Format {
    /// For people
    Text,
    /// One object
    Json,
}

pub(super) fn main(options: &Options) -> ExitCode {
    let named = LoadOptions { config_id: options.config_id.clone().unwrap_or_else(host_name), ..LoadOptions::default() };
    let first = options.config.clone().unwrap_or_else(|| PathBuf::from(USUAL));
    let pid_file = options.pid_file.clone().unwrap_or_else(|| running::default_pid_file(&load(&Disk, &first, &named).config.global));
    let running = match running::read(&pid_file) {
        Ok(running) => running,
        Err(error) => return trouble(&error.to_string()),
    };
    // The daemon reads with its own options.
    let file = options.config.clone().or_else(|| running.as_ref().map(|running| running.file.clone())).unwrap_or(first);
    let asked = match &running {
        Some(running) => LoadOptions {
            config_id: options.config_id.clone().or_else(|| running.config_id.clone()).unwrap_or_else(host_name),
            all_includes: running.all_includes,
            config_test: false,
        },
        None => named,
    };
    let question = Question { file: &file, pid_file: &pid_file, options: &asked, diagnostics: true };
    question.answer(running, |steps, head| {
        print(&match options.format {
            Format::Text => text(steps, head),
            Format::Json => as_json(steps, head),
        })
    })
}

/// The same for `keepalivedctl check --against-running`.
pub(super) fn against(file: &Path, pid_file: Option<&Path>, options: &LoadOptions, told: impl FnOnce(&str) -> ExitCode) -> ExitCode {
    let pid_file = pid_file.map_or_else(|| running::default_pid_file(&load(&Disk, file, options).config.global), Path::to_owned);
    match running::read(&pid_file) {
        Ok(running) => {
            let question = Question { file, pid_file: &pid_file, options, diagnostics: false };
            question.answer(running, |steps, head| told(&text(steps, head)))
        }
        Err(error) => trouble(&error.to_string()),
    }
}

fn trouble(text: &str) -> ExitCode {
    eprintln!("keepalivedctl plan: {text}");
    ExitCode::FAILURE
}

/// What is compared with what runs.
struct Question<'q> {
    file: &'q Path,
    pid_file: &'q Path,
    options: &'q LoadOptions,
    /// Whether what is doubtful in the file is said; else somebody has said it.
    diagnostics: bool,
}

impl Question<'_> {
    fn answer(&self, running: Option<Running>, told: impl FnOnce(&[Step], &str) -> ExitCode) -> ExitCode {
        let mut loaded = load(&Disk, self.file, self.options);
        let file = self.file.display();
        let elsewhere = running.as_ref().is_some_and(|running| running.namespace.is_some()) || loaded.config.global.net_namespace.is_some();
        if !elsewhere {
            loaded.require_interfaces(|name| nix::net::if_::if_nametoindex(name).is_ok());
        }
        let refused = if running.is_some() { loaded.report.refuses_reload() } else { loaded.report.refuses_start().is_some() };
        if refused {
            loaded.report.diagnostics().iter().for_each(|found| eprint!("{}", found.render()));
            return trouble(&format!("{file} would be refused, and nothing would change"));
        }
        let head = match &running {
            Some(_) => format!("what a reload of {file} would change"),
            None => format!("no daemon runs ({} says none): what a start with {file} would do", running::path(self.pid_file).display()),
        };
        let steps = match running {
            Some(running) => plan(&running.config, &self.taken_up(loaded, running.unprivileged, &running.salt)),
            None => plan(&Config::default(), &self.taken_up(loaded, !nix::unistd::geteuid().is_root(), &Salt::default())),
        };
        let printed = told(&steps, &head);
        if printed != ExitCode::SUCCESS {
            return printed;
        }
        if steps.iter().any(|step| step.action != Action::Keep) { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS }
    }

    /// As the daemon would take it up: without checks whose scripts it would not run.
    fn taken_up(&self, loaded: Loaded, unprivileged: bool, salt: &Salt) -> Config {
        let say = |line: &str| {
            if self.diagnostics {
                eprintln!("{line}");
            }
        };
        loaded.report.diagnostics().iter().for_each(|found| say(&found.one_line()));
        let mut config = loaded.config;
        let (table, findings) = table::examine(&config, unprivileged);
        findings.iter().filter(|finding| finding.gravity > Gravity::Remark).for_each(|finding| say(&finding.text));
        table::drop_refused(&mut config, &table).iter().for_each(|finding| say(&finding.text));
        conceal(&mut config, salt);
        config
    }
}

fn text(steps: &[Step], head: &str) -> String {
    let mut text = format!("{head}\n");
    let mut last = None;
    for step in steps {
        if last != Some(step.kind) {
            let _ = writeln!(text, "\n{}", step.kind.title());
            last = Some(step.kind);
        }
        let _ = writeln!(text, "  {step}");
    }
    let count = |action| steps.iter().filter(|step| step.action == action).count();
    let (add, change, remove) = (count(Action::Add), count(Action::Change), count(Action::Remove));
    if add + change + remove == 0 {
        text.push_str("\nnothing would change\n");
    } else {
        let _ = writeln!(text, "\n{add} to add, {change} to change, {remove} to remove");
    }
    text
}

fn as_json(steps: &[Step], head: &str) -> String {
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            let kind = format!("{:?}", step.kind).to_lowercase();
            json!({"kind": kind, "action": step.action.word(), "name": step.name, "detail": step.detail})
        })
        .collect();
    format!("{:#}\n", json!({"about": head, "steps": steps}))
}
