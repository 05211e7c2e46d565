//! Reading the configuration, and saying what is wrong with it.

use super::cli::Options;
use super::files::Disk;
use super::scripts;
use super::{EXIT_FATAL, paths};
use crate::config::model::Config;
use crate::config::{Diagnostic, LoadOptions, Loaded, Report, Severity};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

/// Reads the main file and all it includes.
pub(super) fn read(options: &Options) -> Loaded {
    let load = LoadOptions {
        config_id: options.config_id.clone().unwrap_or_else(host_name),
        all_includes: options.all_includes,
        config_test: options.test.is_some(),
    };
    crate::config::load(&Disk, &options.config, &load)
}

/// The host's name up to its first dot.
pub(crate) fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().split('.').next().unwrap_or_default().to_owned()
}

/// Logs every problem, one line each, with file and line.
pub(super) fn log(report: &Report) {
    for found in report.diagnostics() {
        let line = found.one_line();
        match found.severity {
            Severity::Error => tracing::error!("{line}"),
            Severity::Warning => tracing::warn!("{line}"),
            Severity::Note => tracing::info!("{line}"),
        }
    }
}

/// Holds the interfaces that are named against those of this network namespace.
pub(super) fn require_interfaces(loaded: &mut Loaded) {
    loaded.require_interfaces(|name| nix::net::if_::if_nametoindex(name).is_ok());
}

/// `-t`: the problems with the lines they are in, on standard error or appended to the file; the exit status.
pub(super) fn test(options: &Options) -> u8 {
    let mut loaded = read(options);
    // What is in another network namespace is not looked up: a test changes nothing, not even where it runs.
    if paths::namespace(options, &loaded.config.global).is_none() {
        require_interfaces(&mut loaded);
    }
    let Loaded { config, report, .. } = &loaded;
    let mut text: String = report.diagnostics().iter().map(Diagnostic::render).collect();
    let (findings, scripts) = scripts::test(&loaded);
    text.push_str(&findings);
    if options.dump {
        let _ = writeln!(text, "{config:#?}");
    }
    let told = match options.test.as_ref().and_then(Option::as_deref) {
        Some(path) => append(path, &text),
        None => io::stderr().write_all(text.as_bytes()),
    };
    match told {
        Ok(()) => report.test_exit_code_with(scripts),
        Err(error) => {
            eprintln!("cannot write the report: {error}");
            EXIT_FATAL
        }
    }
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// `-d`: what was understood, secrets masked.
pub(super) fn dump(config: &Config) {
    for line in format!("{config:#?}").lines() {
        tracing::info!("{line}");
    }
}
