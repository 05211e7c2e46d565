//! `keepalivedctl check`: every problem of a configuration with its reason and cure, also beside the other node's and on this machine.

mod fix;
mod form;
mod machine;

use super::{plan, print};
use crate::config::lint::{self, Linted, peer};
use crate::config::{Diagnostic, LoadOptions, Severity, load};
use crate::process::configuration::host_name;
use crate::process::files::Disk;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// The configuration cannot be read, or the wish not be granted.
const TROUBLE: u8 = 2;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The configuration: text, or TOML when its name ends in .toml
    #[arg(default_value = "/etc/keepalived/keepalived.conf", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,

    /// Fail over warnings too
    #[arg(long)]
    strict: bool,

    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// The other node's configuration: is it one pair?
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    peer: Option<PathBuf>,

    /// Mend the file where the cure is certain
    #[arg(long)]
    fix: bool,

    /// Print every rule with its reason and cure, and look at nothing
    #[arg(long)]
    rules: bool,

    /// Look at the text alone, not at this machine's interfaces, scripts and file modes
    #[arg(long)]
    elsewhere: bool,

    /// Show too what a reload of the running daemon would change, as `keepalivedctl plan` does; exit status 2 when nothing is wrong and something would
    #[arg(long)]
    against_running: bool,

    /// The running daemon's pid file, when it is not where the configuration says
    #[arg(long, value_name = "FILE", requires = "against_running", value_hint = clap::ValueHint::FilePath)]
    pid_file: Option<PathBuf>,

    /// What @ID lines are compared with; else the host's name
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,

    /// The same for the other node's file; else the name of that file's host is not known and --config-id counts
    #[arg(long, value_name = "ID")]
    peer_id: Option<String>,

    /// Includes that name nothing are errors
    #[arg(short = 'e', long)]
    all_config: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Format {
    /// With the lines, carets and cures
    Text,
    /// One object
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

pub(super) fn main(options: &Options) -> ExitCode {
    if options.rules {
        return print(&form::rules());
    }
    if options.fix {
        match fix::mend(&options.file, || read(options)) {
            Ok(told) => eprint!("{told}"),
            Err(why) => {
                eprintln!("keepalivedctl check --fix: {why}");
                return ExitCode::from(TROUBLE);
            }
        }
    }
    let mut linted = read(options);
    let unreadable = linted.files.is_empty();
    let mut found: Vec<Diagnostic> = Vec::new();
    if let Some(path) = &options.peer {
        let id = options.peer_id.clone().or_else(|| options.config_id.clone());
        let theirs = load(&Disk, path, &load_options(options, id));
        if theirs.report.refuses_start() == Some(6) {
            eprintln!("keepalivedctl check: the peer's configuration {} cannot be read", path.display());
            return ExitCode::from(TROUBLE);
        }
        found.extend(peer::compare(&linted, &theirs.config));
    }
    if !options.elsewhere {
        found.extend(machine::look(&mut linted));
    }
    linted.loaded.report.add(found);
    let found = linted.loaded.report.diagnostics();
    let told = print(&match options.format {
        Format::Text => form::text(found),
        Format::Json => form::json(&options.file, found),
        Format::Sarif => form::sarif(found),
    });
    if told != ExitCode::SUCCESS {
        return told;
    }
    if unreadable {
        return ExitCode::from(TROUBLE);
    }
    let verdict = verdict(found, options.strict);
    if !options.against_running {
        return verdict;
    }
    let planned = plan::against(&options.file, options.pid_file.as_deref(), &load_options(options, options.config_id.clone()), |text| {
        // What programs read stays what it is.
        if options.format == Format::Text { print(text) } else { report(text) }
    });
    if verdict == ExitCode::SUCCESS { planned } else { verdict }
}

fn report(text: &str) -> ExitCode {
    eprint!("{text}");
    ExitCode::SUCCESS
}

fn verdict(found: &[Diagnostic], strict: bool) -> ExitCode {
    let limit = if strict { Severity::Warning } else { Severity::Error };
    if found.iter().any(|one| one.severity >= limit) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn load_options(options: &Options, id: Option<String>) -> LoadOptions {
    LoadOptions { config_id: id.unwrap_or_else(host_name), all_includes: options.all_config, config_test: false }
}

fn read(options: &Options) -> Linted {
    lint::lint(&Disk, &options.file, &load_options(options, options.config_id.clone()))
}
