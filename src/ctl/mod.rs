//! The operator's tool: the demonstration and its laboratory.

mod check;
mod convert;
mod demo;
mod fmt;
pub mod lab;
mod manual;
mod plan;
mod write;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// What `keepalivedctl` was asked for.
#[derive(Parser, Debug)]
#[command(name = "keepalivedctl", version, about = "The operator's tool for keepalived", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Show a failover: two nodes and a client in namespaces of their own, the client's outage beside the RFC's bound
    Demo(demo::Options),
    /// Find what is wrong or unwise in a configuration: each with its place, its reason and its cure; exit status 1 for errors
    Check(check::Options),
    /// Show what a reload would change, object by object, before it happens; exit status 0: nothing, 2: something, 1: it would be refused
    Plan(plan::Options),
    /// Write a configuration in the other notation: keepalived.conf as TOML, TOML as keepalived.conf; comments and includes are kept
    Convert(convert::Options),
    /// Lay a keepalived.conf out in the one layout; definitions, conditions, includes and comments stay as they are
    Fmt(fmt::Options),
    /// Explain a keyword of keepalived.conf: where it stands, what follows it, its default, what it means, an example
    Doc(manual::DocOptions),
    /// Print a manual page as roff: keepalived.conf, keepalived or keepalivedctl
    Man(manual::ManOptions),
    /// Print a shell's completions of keepalived and keepalivedctl
    Completions(manual::CompletionOptions),
    /// Print the JSON Schema of keepalived.toml
    Schema,
}

/// The tool's command line, for its manual page and completions.
fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Does what the arguments ask for. The first is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { verb }) => act(&verb),
        Err(refusal) => {
            // Help and version are asked for and go to standard output; the rest are errors, exit code 2.
            let _ = refusal.print();
            ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(2))
        }
    }
}

fn act(verb: &Verb) -> ExitCode {
    match verb {
        Verb::Demo(options) => demo::main(options),
        Verb::Check(options) => check::main(options),
        Verb::Plan(options) => plan::main(options),
        Verb::Convert(options) => convert::main(options),
        Verb::Fmt(options) => fmt::main(options),
        Verb::Doc(options) => manual::doc(options),
        Verb::Man(options) => manual::man(options),
        Verb::Completions(options) => manual::completions(options),
        Verb::Schema => manual::schema(),
    }
}

/// Writes to standard output; a reader that has gone away (`| head`) is no error.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("keepalivedctl: cannot write: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_nothing_wrong_with_the_verbs() {
        command().debug_assert();
    }

    fn parse(words: &[&str]) -> Result<Arguments, clap::error::ErrorKind> {
        Arguments::try_parse_from(std::iter::once("keepalivedctl").chain(words.iter().copied())).map_err(|refusal| refusal.kind())
    }

    #[test]
    fn unknown_verbs_do_not_pretend() {
        assert_eq!(parse(&["status"]).unwrap_err(), clap::error::ErrorKind::InvalidSubcommand);
        assert_eq!(parse(&["demo", "--fast"]).unwrap_err(), clap::error::ErrorKind::UnknownArgument);
        assert!(parse(&["demo", "--hold"]).is_ok());
    }
}
