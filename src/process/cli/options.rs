//! The one table of options: spelling, help, what each does.

use super::getopt::{Spelling, Takes};
use super::{COMPATIBLE_VERSION, VERSION_LINE, umask};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What the command line says, defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Options {
    /// `-f`.
    pub config: PathBuf,
    /// `-P`: the VRRP child may run.
    pub vrrp: bool,
    /// `-C` without `-P`: it may not.
    pub check: bool,
    /// `--all`: children run even when the configuration has nothing for them.
    pub all: bool,
    /// `-l`.
    pub console: bool,
    /// How many times `-D`.
    pub detail: u8,
    /// `-S`, as syslog's facility number (3 is daemon, 16 is local0).
    pub facility: u8,
    /// `-g`: the path, when one is given.
    pub log_file: Option<Option<PathBuf>>,
    /// `-G`.
    pub no_syslog: bool,
    /// `-u`.
    pub umask: Option<u32>,
    /// `-V`: addresses stay at exit.
    pub keep_addresses: bool,
    /// `-I`: the IPVS table stays at exit.
    pub keep_ipvs: bool,
    /// Without `-R`: a dead child is replaced.
    pub respawn: bool,
    /// `-n`.
    pub foreground: bool,
    /// `-d`.
    pub dump: bool,
    /// `-p`.
    pub pid: Option<PathBuf>,
    /// `-r`.
    pub vrrp_pid: Option<PathBuf>,
    /// `-c`.
    pub checkers_pid: Option<PathBuf>,
    /// `-b`: nothing writes it yet; what an old run left there goes at a start.
    pub bfd_pid: Option<PathBuf>,
    /// `-B`.
    pub no_bfd: bool,
    /// `-m`, `-M`.
    pub core_dump: bool,
    /// `-s`.
    pub namespace: Option<String>,
    /// `-e`.
    pub all_includes: bool,
    /// `-i`.
    pub config_id: Option<String>,
    /// `-t`, and the file the report goes to.
    pub test: Option<Option<PathBuf>>,
    /// `-a`.
    pub address_monitoring: bool,
    /// `--ignore-sigint`.
    pub ignore_sigint: bool,
    /// What was taken without effect, and why; to be logged.
    pub warnings: Vec<String>,
    /// An option's value was wrong, so that its default stays.
    pub mistaken: bool,
    /// Words that belong to no option.
    pub unexpected: Vec<String>,
}

/// LOG_DAEMON of syslog(3).
const FACILITY_DAEMON: u8 = 3;

impl Default for Options {
    fn default() -> Self {
        Self {
            config: PathBuf::from("/etc/keepalived/keepalived.conf"),
            vrrp: false,
            check: false,
            all: false,
            console: false,
            detail: 0,
            facility: FACILITY_DAEMON,
            log_file: None,
            no_syslog: false,
            umask: None,
            keep_addresses: false,
            keep_ipvs: false,
            respawn: true,
            foreground: false,
            dump: false,
            pid: None,
            vrrp_pid: None,
            checkers_pid: None,
            bfd_pid: None,
            no_bfd: false,
            core_dump: false,
            namespace: None,
            all_includes: false,
            config_id: None,
            test: None,
            address_monitoring: false,
            ignore_sigint: false,
            warnings: Vec::new(),
            mistaken: false,
            unexpected: Vec::new(),
        }
    }
}

impl Options {
    /// Whether the checker child may run: always, unless only other children are asked for (`-P`).
    pub const fn wants_checker(&self) -> bool {
        self.check || !self.vrrp
    }

    /// Whether the VRRP child may run: always, unless only other children are asked for (`-C`).
    pub const fn wants_vrrp(&self) -> bool {
        self.vrrp || !self.check
    }
}

/// What an option did.
pub(super) enum Outcome {
    /// It counts.
    Taken,
    /// Accepted, without effect in this build, and why.
    NotYet(&'static str),
    /// Its value is wrong and the default stays.
    Ignored(String),
    /// Print on standard output and exit 0.
    Out(String),
    /// Print on standard error and exit.
    Err(String, u8),
}

/// One option.
pub(super) struct OptionRow {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
    pub(super) help: &'static str,
    pub(super) set: fn(&mut Options, &str) -> Outcome,
}

impl Spelling for OptionRow {
    fn short(&self) -> Option<char> {
        self.short
    }
    fn long(&self) -> &'static str {
        self.long
    }
    fn takes(&self) -> Takes {
        self.takes
    }
}

const fn row(short: char, long: &'static str, takes: Takes, help: &'static str, set: fn(&mut Options, &str) -> Outcome) -> OptionRow {
    OptionRow { short: if short == ' ' { None } else { Some(short) }, long, takes, help, set }
}

use Takes::{Maybe, Nothing, Value};

const NO_SNMP: &str = "this build has no SNMP agent yet";

/// Sets a field and is taken.
macro_rules! set {
    ($field:ident = $value:expr) => {
        |options, _| {
            options.$field = $value;
            Outcome::Taken
        }
    };
}

pub(super) const OPTIONS: &[OptionRow] = &[
    row('f', "use-file", Value("FILE"), "Use the specified configuration file", |o, value| {
        o.config = PathBuf::from(value);
        Outcome::Taken
    }),
    row('P', "vrrp", Nothing, "Only run with VRRP subsystem", set!(vrrp = true)),
    row('C', "check", Nothing, "Only run with Health-checker subsystem", |o, _| {
        o.check = true;
        Outcome::Taken
    }),
    row('B', "no_bfd", Nothing, "Don't run BFD subsystem", set!(no_bfd = true)),
    row(' ', "all", Nothing, "Run every subsystem, even without configuration for it", set!(all = true)),
    row('l', "log-console", Nothing, "Log messages to local console", set!(console = true)),
    row('D', "log-detail", Nothing, "Detailed log messages", |o, _| {
        o.detail = o.detail.saturating_add(1);
        Outcome::Taken
    }),
    row('S', "log-facility", Value("([0-7]|local[0-7]|user|daemon)"), "Set syslog facility (default daemon)", |o, value| {
        match facility(value) {
            Some(number) => {
                o.facility = number;
                Outcome::Taken
            }
            None => Outcome::Ignored(format!("Invalid log facility '{value}'")),
        }
    }),
    row('g', "log-file", Maybe("FILE"), "Also log to FILE (default /tmp/keepalived.log)", |o, value| {
        o.log_file = Some((!value.is_empty()).then(|| PathBuf::from(value)));
        Outcome::Taken
    }),
    row(' ', "flush-log-file", Nothing, "Flush log file on write (it always is)", |_, _| Outcome::Taken),
    row('G', "no-syslog", Nothing, "Don't log via syslog", set!(no_syslog = true)),
    row('u', "umask", Value("MASK"), "umask for file creation (in numeric form)", |o, value| match umask::parse(value) {
        Some(mask) => {
            o.umask = Some(mask);
            Outcome::Taken
        }
        None => Outcome::Ignored(format!("Invalid --umask option {value}")),
    }),
    row('X', "release-vips", Nothing, "Drop VIP on transition from signal (addresses are always removed)", |_, _| Outcome::Taken),
    row('V', "dont-release-vrrp", Nothing, "Don't remove VRRP VIPs and VROUTEs on daemon stop", set!(keep_addresses = true)),
    row('I', "dont-release-ipvs", Nothing, "Don't remove IPVS topology on daemon stop", set!(keep_ipvs = true)),
    row('R', "dont-respawn", Nothing, "Don't respawn child processes", set!(respawn = false)),
    row('n', "dont-fork", Nothing, "Don't fork the daemon process", set!(foreground = true)),
    row('d', "dump-conf", Nothing, "Dump the configuration data", set!(dump = true)),
    row('p', "pid", Value("FILE"), "Use specified pidfile for parent process", |o, value| {
        o.pid = Some(PathBuf::from(value));
        Outcome::Taken
    }),
    row('r', "vrrp_pid", Value("FILE"), "Use specified pidfile for VRRP child process", |o, value| {
        o.vrrp_pid = Some(PathBuf::from(value));
        Outcome::Taken
    }),
    row('c', "checkers_pid", Value("FILE"), "Use specified pidfile for checkers child process", |o, value| {
        o.checkers_pid = Some(PathBuf::from(value));
        Outcome::Taken
    }),
    row('b', "bfd_pid", Value("FILE"), "Use specified pidfile for BFD child process", |o, value| {
        o.bfd_pid = Some(PathBuf::from(value));
        Outcome::Taken
    }),
    // Looked for before all others: what follows it are options of genhash.
    row('T', "genhash", Nothing, "Enter into genhash utility mode", |_, _| Outcome::Taken),
    row('a', "address-monitoring", Nothing, "Report all address additions/deletions notified via netlink", set!(address_monitoring = true)),
    row('x', "snmp", Nothing, "Enable SNMP subsystem (this build has none yet)", |_, _| Outcome::NotYet(NO_SNMP)),
    row('A', "snmp-agent-socket", Value("ADDRESS"), "Use the specified socket for master agent", |_, _| Outcome::NotYet(NO_SNMP)),
    row('s', "namespace", Value("NAME"), "Run in network namespace NAME (overrides config)", |o, value| {
        o.namespace = Some(value.to_owned());
        Outcome::Taken
    }),
    row('m', "core-dump", Nothing, "Produce core dump if terminate abnormally", set!(core_dump = true)),
    row('M', "core-dump-pattern", Maybe("PATN"), "Produce core dump; the machine's core_pattern stays as it is", |o, _| {
        o.core_dump = true;
        Outcome::NotYet("the machine's core_pattern is not ours to change; core dumps are allowed, as with -m")
    }),
    row('e', "all-config", Nothing, "Error if any configuration file missing", set!(all_includes = true)),
    row('i', "config-id", Value("ID"), "Skip configuration lines beginning '@' that don't match ID, default the node name", |o, value| {
        o.config_id = Some(value.to_owned());
        Outcome::Taken
    }),
    row(' ', "signum", Value("SIGFUNC"), "Return signal number for STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON", |_, value| {
        match signal_number(value) {
            Some(number) => Outcome::Out(format!("{number}\n")),
            None => Outcome::Err(format!("Unknown sigfunc {value}\n"), 1),
        }
    }),
    row('t', "config-test", Maybe("FILE"), "Check the configuration for errors, output to stderr or FILE", |o, value| {
        o.test = Some((!value.is_empty()).then(|| PathBuf::from(value)));
        o.foreground = true;
        o.no_syslog = true;
        o.respawn = false;
        Outcome::Taken
    }),
    row(' ', "config-fd", Value("FD"), "Internal to keepalived", |_, _| {
        Outcome::NotYet("the children of this build get their configuration over a pipe")
    }),
    row(' ', "ignore-sigint", Nothing, "SIGINT does not stop the daemon", set!(ignore_sigint = true)),
    row('v', "version", Nothing, "Display the version number", |_, _| Outcome::Err(version(), 0)),
    row('h', "help", Nothing, "Display this help message", |_, _| Outcome::Err(help(), 0)),
];

fn facility(word: &str) -> Option<u8> {
    match word {
        "user" => Some(1),
        "daemon" => Some(FACILITY_DAEMON),
        _ => match word.strip_prefix("local").unwrap_or(word).as_bytes() {
            [digit @ b'0'..=b'7'] => Some(16 + (digit - b'0')),
            _ => None,
        },
    }
}

/// Signals by the names of `--signum`.
fn signal_number(name: &str) -> Option<i32> {
    use crate::process::signals;
    Some(match name {
        "STOP" => signals::STOP,
        "RELOAD" => signals::RELOAD,
        "DATA" => signals::DATA,
        "STATS" => signals::STATS,
        "STATS_CLEAR" => signals::stats_clear(),
        "JSON" => signals::json(),
        _ => return None,
    })
}

/// `-h`.
pub fn help() -> String {
    let mut text = "Usage: keepalived [OPTION...]\n".to_owned();
    for option in OPTIONS {
        let short = option.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
        let value = match option.takes {
            Takes::Nothing => String::new(),
            Takes::Value(name) => format!("={name}"),
            Takes::Maybe(name) => format!("[={name}]"),
        };
        let spelling = format!("  {short}--{}{value}", option.long);
        let break_line = if spelling.len() > 30 { "\n                               " } else { "" };
        let _ = writeln!(text, "{spelling:<31}{break_line}{}", option.help);
    }
    text
}

/// `-v`: the first line as tools parse it, then who this is.
pub fn version() -> String {
    format!(
        "{VERSION_LINE}\nkeepalived-rs {}, compatible with keepalived {COMPATIBLE_VERSION}\n\nRunning on {}\n\nConfig options: VRRP VRRP_AUTH NFTABLES INIT=systemd SYSTEMD_NOTIFY\n",
        env!("CARGO_PKG_VERSION"),
        running_on(),
    )
}

/// As in `Running on Linux 6.1.0-18-amd64 #1 SMP …`.
pub fn running_on() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "an unknown kernel".to_owned(),
        |name| format!("{} {} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy(), name.version().to_string_lossy()),
    )
}
