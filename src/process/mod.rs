//! Who runs what, with which powers.

mod bfd;
mod boot;
mod carried;
pub mod checker;
mod child;
pub mod cli;
pub(crate) mod configuration;
mod daemon;
pub(crate) mod files;
mod genhash;
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
use std::path::Path;
use std::process::ExitCode;

/// The whole program: this process is the supervisor, or a child of one.
pub fn main() -> ExitCode {
    crate::sys::process::die_of_faults();
    let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let words = arguments.get(1..).unwrap_or_default();
    if let Some(status) = as_genhash(arguments.first().map_or("", String::as_str), words) {
        return ExitCode::from(status);
    }
    let options = cli::parse(words);
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

/// genhash, when that is the name of the program or among its options.
fn as_genhash(program: &str, words: &[String]) -> Option<u8> {
    let named = Path::new(program).file_name().is_some_and(|name| name == "genhash");
    let (name, rest) = if named {
        (program, words.to_vec())
    } else {
        let (rest, others) = cli::genhash_among(words)?;
        if others {
            eprintln!("Warning -- `-T` not used as first option, previous options ignored");
        }
        ("keepalived --genhash", rest)
    };
    Some(match cli::genhash(name, &rest) {
        Ok(wanted) => genhash::main(&wanted),
        Err(text) => {
            eprint!("{text}");
            EXIT_FATAL
        }
    })
}

/// Exit status: fatal, or wrong usage.
const EXIT_FATAL: u8 = 1;
/// The configuration cannot be run with.
const EXIT_CONFIG: u8 = 2;
/// Exit status: a capability is missing.
const EXIT_PERMISSION: u8 = 4;
/// Exit status: a bug.
const EXIT_SOFTWARE: u8 = 70;
