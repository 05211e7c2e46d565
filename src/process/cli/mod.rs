//! The command line of keepalived(8).

mod describe;
mod genhash;
mod getopt;
mod options;
mod umask;

pub use describe::command;
pub use genhash::{Genhash, among as genhash_among, parse as genhash};
pub use options::{Options, help, running_on, version};

use getopt::Found;
use options::{OPTIONS, Outcome};

/// Version of keepalived whose behaviour this is; tools parse it out of `-v`.
pub const COMPATIBLE_VERSION: &str = "2.4.3";

/// As in `Starting Keepalived v2.4.3 (11/21,2026)`.
pub const VERSION_LINE: &str = "Keepalived v2.4.3 (11/21,2026)";

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run (or test the configuration).
    Run(Box<Options>),
    /// Say something and exit with this status.
    Say {
        /// Lines for standard output.
        out: String,
        /// Lines for standard error.
        err: String,
        /// Exit status.
        status: u8,
    },
}

/// Reads the command line; `arguments` are without the program's name.
pub fn parse(arguments: &[String]) -> Command {
    let found = match getopt::read(OPTIONS, arguments) {
        Ok(found) => found,
        Err(error) => return Command::Say { out: String::new(), err: format!("{error}\n"), status: 1 },
    };
    let mut options = Options::default();
    for item in found {
        match item {
            Found::Word(word) => options.unexpected.push(word.to_owned()),
            Found::Option(index, value) => {
                let Some(option) = OPTIONS.get(index) else { continue };
                match (option.set)(&mut options, value.unwrap_or_default()) {
                    Outcome::Taken => {}
                    Outcome::NotYet(why) => options.warnings.push(format!("--{}: {why}", option.long)),
                    Outcome::Ignored(why) => {
                        options.mistaken = true;
                        options.warnings.push(why);
                    }
                    Outcome::Out(out) => return Command::Say { out, err: String::new(), status: 0 },
                    Outcome::Err(err, status) => return Command::Say { out: String::new(), err, status },
                }
            }
        }
    }
    Command::Run(Box::new(options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn run(line: &str) -> Options {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Command::Run(options) => *options,
            Command::Say { err, .. } => panic!("{err}"),
        }
    }

    fn say(line: &str) -> (String, String, u8) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Command::Run(_) => panic!("{line} runs"),
            Command::Say { out, err, status } => (out, err, status),
        }
    }

    #[test]
    fn the_usual_service_line_is_understood() {
        let options = run("--dont-fork -D -S 6 -f /etc/k.conf -p /run/k.pid -r /run/v.pid");
        assert!(options.foreground);
        assert_eq!((options.detail, options.facility), (1, 22));
        assert_eq!(options.config, Path::new("/etc/k.conf"));
        assert_eq!(options.pid.as_deref(), Some(Path::new("/run/k.pid")));
        assert_eq!(options.vrrp_pid.as_deref(), Some(Path::new("/run/v.pid")));
    }

    #[test]
    fn facilities_have_numbers_and_names_and_a_bad_one_is_ignored() {
        for (word, facility) in [("0", 16), ("7", 23), ("local3", 19), ("user", 1), ("daemon", 3)] {
            assert_eq!(run(&format!("-S {word}")).facility, facility, "{word}");
        }
        let options = run("-S 9");
        assert_eq!(options.facility, 3);
        assert_eq!(options.warnings, ["Invalid log facility '9'"]);
    }

    #[test]
    fn a_test_never_forks_respawns_or_uses_syslog() {
        let options = run("-t");
        assert!(options.test.is_some() && options.foreground && options.no_syslog && !options.respawn);
        assert_eq!(run("-t/tmp/x").test.flatten().as_deref(), Some(Path::new("/tmp/x")));
    }

    #[test]
    fn signals_have_the_numbers_that_scripts_ask_for() {
        for (name, number) in [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36)] {
            assert_eq!(say(&format!("--signum={name}")), (format!("{number}\n"), String::new(), 0), "{name}");
        }
        assert_eq!(say("--signum FOO"), (String::new(), "Unknown sigfunc FOO\n".to_owned(), 1));
    }

    #[test]
    fn the_version_is_where_tools_look_for_it() {
        let (_, err, status) = say("-v");
        assert_eq!(status, 0);
        assert!(err.starts_with(&format!("Keepalived v{COMPATIBLE_VERSION} (")), "{err}");
        assert!(err.lines().nth(1).is_some_and(|line| line.contains("keepalived-rs")), "{err}");
    }

    #[test]
    fn words_left_over_do_not_stop_the_start() {
        assert_eq!(run("foo -n bar").unexpected, ["foo", "bar"]);
    }

    #[test]
    fn what_is_not_built_yet_is_taken_and_said() {
        let options = run("-x -A /x -M");
        assert_eq!(options.warnings.len(), 3, "{:?}", options.warnings);
    }

    #[test]
    fn every_option_is_in_the_help() {
        let help = help();
        for option in OPTIONS {
            assert!(help.contains(&format!("--{}", option.long)), "{}", option.long);
        }
    }
}
