//! What the tables say, printed: `doc`, `man`, `completions`, `schema`.

use super::print;
use crate::config::lint::{self, Rule};
use crate::config::manual;
use crate::process::cli;
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use std::io;
use std::process::ExitCode;

#[derive(Args, Debug)]
pub(super) struct DocOptions {
    /// A keyword of the configuration, or a rule of `keepalivedctl check`
    keyword: String,
}

#[derive(Args, Debug)]
pub(super) struct ManOptions {
    /// Which page
    #[arg(value_enum)]
    page: Page,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum Page {
    #[value(name = "keepalived.conf")]
    Conf,
    #[value(name = "keepalived")]
    Keepalived,
    #[value(name = "keepalivedctl")]
    Keepalivedctl,
}

#[derive(Args, Debug)]
pub(super) struct CompletionOptions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,

    /// Of which program
    #[arg(value_enum, default_value = "keepalivedctl")]
    program: Program,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum Program {
    Keepalived,
    Keepalivedctl,
}

pub(super) fn doc(options: &DocOptions) -> ExitCode {
    match manual::doc(&options.keyword) {
        Ok(text) => print(&text),
        Err(_) if lint::rule(&options.keyword).is_some() => print(&lint::rule(&options.keyword).map_or(String::new(), one_rule)),
        Err(unknown) => {
            eprintln!("keepalivedctl doc: {unknown}");
            ExitCode::FAILURE
        }
    }
}

fn one_rule(rule: &Rule) -> String {
    format!("{} ({}), a rule of keepalivedctl check\n  why:  {}\n  cure: {}\n", rule.id, rule.severity.word(), rule.reason, rule.cure)
}

pub(super) fn man(options: &ManOptions) -> ExitCode {
    let page = match options.page {
        Page::Conf => Ok(manual::conf5()),
        Page::Keepalived => keepalived8(),
        Page::Keepalivedctl => keepalivedctl1(),
    };
    match page {
        Ok(page) => print(&page),
        Err(error) => {
            eprintln!("keepalivedctl man: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(super) fn completions(options: &CompletionOptions) -> ExitCode {
    let (mut command, name) = match options.program {
        Program::Keepalived => (cli::command(), "keepalived"),
        Program::Keepalivedctl => (super::command(), "keepalivedctl"),
    };
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut command, name, &mut text);
    print(&String::from_utf8_lossy(&text))
}

pub(super) fn schema() -> ExitCode {
    print(&format!("{:#}\n", manual::schema()))
}

const SIGNALS: &str = ".SH SIGNALS
.TP
.B SIGHUP
Reload: the new configuration is checked first, and refused whole when there is an error in it.
.TP
.B SIGTERM, SIGINT
Stop: adverts of priority 0, addresses removed.
.TP
.B SIGUSR1
Dump the data to /tmp/keepalived.data and its like.
.TP
.B SIGUSR2
Dump the statistics to /tmp/keepalived.stats.
.PP
.B \\-\\-signum
prints the numbers, also those of STATS_CLEAR and JSON.
";

const STATUS: &str = ".SH EXIT STATUS
.TP
.B 0
All is well.
.TP
.B 1
Fatal, or wrong usage.
.TP
.B 2
The configuration lacks a mandatory argument, or cannot be used.
.TP
.B 4
A capability is missing; with \\-t: it could not run.
.TP
.B 5
With \\-t: there are problems, and it would run.
.TP
.B 6
The configuration cannot be read; with \\-t also: script security.
.TP
.B 70
An error in the program.
";

const FILES: &str = ".SH FILES
/etc/keepalived/keepalived.conf, /run/keepalived.pid, /run/vrrp.pid, /run/checkers.pid; options in the environment file
/etc/default/keepalived (KEEPALIVED_OPTIONS).
.SH SEE ALSO
.BR keepalived.conf (5),
.BR keepalivedctl (1)
";

fn keepalived8() -> io::Result<String> {
    let page = clap_mangen::Man::new(cli::command()).section("8").manual("System administration");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    text.extend_from_slice(DESCRIPTION.as_bytes());
    page.render_options_section(&mut text)?;
    text.extend([SIGNALS, STATUS, FILES].concat().into_bytes());
    Ok(String::from_utf8_lossy(&text).into_owned())
}

const DESCRIPTION: &str = ".SH DESCRIPTION
Two or more machines share an address; when the one that has it dies, stops or loses its link, another takes it over within the
time that VRRP allows (version 2: RFC 3768; version 3: RFC 5798, RFC 9568). Connections are balanced over real servers that its
health checks prove alive. Long options may be abbreviated as long as they stay unambiguous.
";

fn keepalivedctl1() -> io::Result<String> {
    let mut command = super::command();
    command.build();
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone()).section("1");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    text.extend_from_slice(b".SH VERBS\n");
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = verb.get_name().replace('-', "\\-");
        text.extend(format!(".SS \"{name}\"\n").into_bytes());
        let page = clap_mangen::Man::new(verb.clone());
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    text.extend_from_slice(rules().as_bytes());
    text.extend_from_slice(b".SH SEE ALSO\n.BR keepalived (8),\n.BR keepalived.conf (5)\n");
    // A verb's sections are parts of its own section.
    let text = String::from_utf8_lossy(&text).replace(".SH DESCRIPTION\n", ".PP\n").replace(".SH OPTIONS\n", ".PP\n");
    Ok(text)
}

/// The rules of `check`, as roff.
fn rules() -> String {
    let escaped = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    let one = |rule: &Rule| {
        let (id, reason, cure) = (escaped(rule.id), escaped(rule.reason), escaped(rule.cure));
        format!(".TP\n.B {id} ({})\nBecause {reason}. Cure: {cure}.\n", rule.severity.word())
    };
    format!(".SH RULES OF CHECK\n{}", lint::RULES.iter().map(one).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_and_verb_is_in_its_page() {
        let page = keepalived8().unwrap();
        for argument in cli::command().get_arguments() {
            let long = argument.get_long().unwrap_or_default().replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{long}")), "{long}");
        }
        let page = keepalivedctl1().unwrap();
        for rule in lint::RULES {
            assert!(page.contains(&format!(".B {} (", rule.id.replace('-', "\\-"))), "{}", rule.id);
        }
        for verb in super::super::command().get_subcommands() {
            assert!(page.contains(&format!(".SS \"{}\"", verb.get_name())) || verb.get_name() == "help", "{}", verb.get_name());
        }
    }

    #[test]
    fn every_shell_gets_completions_of_both_programs() {
        for shell in Shell::value_variants() {
            for (mut command, name) in [(cli::command(), "keepalived"), (crate::ctl::command(), "keepalivedctl")] {
                let mut text = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut text);
                assert!(String::from_utf8_lossy(&text).contains(name), "{shell} {name}");
            }
        }
    }
}
