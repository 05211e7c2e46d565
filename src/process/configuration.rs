//! Reading the configuration, and saying what is wrong with it.

use super::cli::Options;
use super::files::Disk;
use super::{EXIT_FATAL, paths, relay, scripts};
use crate::config::copies::{self, Copies};
use crate::config::model::{Config, Global};
use crate::config::{Diagnostic, LoadOptions, Loaded, Report, Severity};
use crate::net::rtnl::Rtnl;
use crate::net::vmac::PRIVATE;
use crate::sys::safefile::write_private;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Reads the main file and all it includes; with copies of it as far as they are asked for.
pub(super) fn read(options: &Options) -> (Loaded, Copies) {
    let load = LoadOptions {
        config_id: options.config_id.clone().unwrap_or_else(host_name),
        all_includes: options.all_includes,
        config_test: options.test.is_some(),
    };
    let (mut loaded, copies) = copies::load_with_copies(&Disk, &options.config, &load, options.dump);
    loaded.config.lvs.share_settings();
    (loaded, copies)
}

/// `config_save_dir`: what was read, as reading number `number` of this process saw it.
pub(super) fn save(copies: &Copies, global: &Global, number: u64) {
    let (Some(folder), Some(text)) = (global.config_save_dir.as_deref().map(Path::new), &copies.merged) else { return };
    // The umask may take more away than strangers' rights.
    let made = fs::create_dir(folder).and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o700)));
    let path = folder.join(format!("keepalived.conf.{}.{number}", std::process::id()));
    let saved = match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => write_private(&path, text),
    };
    if let Err(error) = saved {
        tracing::warn!("cannot save the configuration as {}: {error}", path.display());
    }
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
    loaded.require_vmac_names(|name| {
        let link = || Rtnl::open().ok()?.link(name).ok()?;
        nix::net::if_::if_nametoindex(name).is_err() || link().is_none_or(|link| link.macvlan == Some(PRIVATE))
    });
}

/// `-t`: the problems with the lines they are in, on standard error or appended to the file; the exit status.
pub(super) fn test(options: &Options) -> u8 {
    let (mut loaded, copies) = read(options);
    // What is in another network namespace is not looked up: a test changes nothing, not even where it runs.
    if paths::namespace(options, &loaded.config.global).is_none() {
        require_interfaces(&mut loaded);
    }
    let Loaded { config, report, .. } = &loaded;
    let mut text: String = report.diagnostics().iter().map(Diagnostic::render).collect();
    let (findings, scripts) = scripts::test(&loaded);
    text.push_str(&findings);
    let mail = relay::test(config);
    text.push_str(&mail);
    text.extend(copies.understood.map(|understood| shown(&understood, config)));
    let told = match options.test.as_ref().and_then(Option::as_deref) {
        Some(path) => append(path, &text),
        None => io::stderr().write_all(text.as_bytes()),
    };
    match told {
        Ok(()) => {
            // What is wrong elsewhere weighs as much as a script that will not run.
            let elsewhere = if mail.is_empty() && !options.mistaken { 0 } else { 5 };
            report.test_exit_code_with(scripts.max(elsewhere))
        }
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
pub(super) fn dump(copies: &Copies, config: &Config) {
    for line in copies.understood.iter().flat_map(|understood| shown(understood, config).lines().map(ToOwned::to_owned).collect::<Vec<_>>())
    {
        tracing::info!("{line}");
    }
}

/// A configuration that says the same, and in its comments what results from it, defaults filled in.
fn shown(understood: &str, config: &Config) -> String {
    let results: String = format!("{config:#?}").lines().map(|line| format!("# {line}\n")).collect();
    format!("# The configuration, everything worked out; passwords are masked\n\n{understood}\n# What results:\n{results}")
}
