//! Who runs what, with which powers.

mod boot;
pub mod checker;
mod child;
pub mod cli;
pub(crate) mod configuration;
mod daemon;
pub(crate) mod files;
mod mail;
mod paths;
mod relay;
mod roles;
mod rooted;
pub(crate) mod running;
mod scripts;
pub mod signals;
mod supervisor;
pub mod vrrp;

use boot::Boot;
use std::process::ExitCode;

/// The whole program: this process is the supervisor, or a child of one.
pub fn main() -> ExitCode {
    crate::sys::process::die_of_faults();
    let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let options = cli::parse(arguments.get(1..).unwrap_or_default());
    let status = match Boot::from_environment(|name| std::env::var(name).ok()) {
        Ok(Some(boot)) => child::main(&boot, options),
        Ok(None) => daemon::main(&arguments, options),
        Err(text) => {
            eprintln!("{text}");
            EXIT_FATAL
        }
    };
    ExitCode::from(status)
}

/// Exit status: fatal, or wrong usage.
const EXIT_FATAL: u8 = 1;
/// Exit status: a capability is missing.
const EXIT_PERMISSION: u8 = 4;
/// Exit status: a bug.
const EXIT_SOFTWARE: u8 = 70;
