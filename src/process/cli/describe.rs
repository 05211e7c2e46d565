//! The options as clap has them: manual page and completions come from there.

use super::getopt::Takes;
use super::options::OPTIONS;
use clap::{Arg, ArgAction, Command};

/// keepalived's command line, for its manual page and completions; it is read elsewhere.
pub fn command() -> Command {
    let arguments = OPTIONS.iter().map(|row| {
        let argument = Arg::new(row.long).long(row.long).help(row.help);
        let argument = match row.short {
            Some(letter) => argument.short(letter),
            None => argument,
        };
        match row.takes {
            Takes::Nothing => argument.action(ArgAction::SetTrue),
            Takes::Value(name) => with_value(argument, name),
            Takes::Maybe(name) => with_value(argument, name).num_args(0..=1).require_equals(true),
        }
    });
    Command::new("keepalived")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps a service reachable when machines die: VRRP, IPVS and health checks")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(arguments)
}

fn with_value(argument: Arg, name: &'static str) -> Arg {
    let argument = argument.value_name(name.trim_matches(['(', ')']));
    if name.contains("FILE") { argument.value_hint(clap::ValueHint::FilePath) } else { argument }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_nothing_wrong_with_the_options() {
        command().debug_assert();
        assert_eq!(command().get_arguments().count(), OPTIONS.len());
    }
}
