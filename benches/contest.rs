//! The two daemons, and how one of them is started on a host of the laboratory.

use keepalived_rs::ctl::lab::{Daemon, Host, Lab, LabError, become_root, obstacle};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Why a bench has no figures.
#[derive(Debug)]
pub(crate) struct Problem(String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<LabError> for Problem {
    fn from(error: LabError) -> Self {
        Self(error.to_string())
    }
}

/// A daemon that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) label: String,
    pub(crate) program: PathBuf,
}

/// Ours first, and the original when it is here.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) contenders: Vec<Contender>,
    /// Take the time for more measurements.
    pub(crate) full: bool,
    /// `KEEPALIVED_IPVS`: a library that answers instead of the kernel's balancer.
    pub(crate) stand_in: Option<String>,
}

impl Contest {
    /// Before the first thread: without root it enters a user namespace.
    pub(crate) fn open(full: bool) -> Result<Self, Problem> {
        let powerful = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN).unwrap_or(false);
        if !powerful {
            become_root().map_err(|cause| Problem::new(format!("neither root nor user namespaces are to be had here ({cause})")))?;
        }
        if let Some(why) = obstacle() {
            return Err(Problem::new(why));
        }
        let path = |variable: &str, default: &str| PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| default.into()));
        let mut contenders =
            vec![Contender { label: "ours".to_owned(), program: path("KEEPALIVED_BIN", env!("CARGO_BIN_EXE_keepalived")) }];
        let peer = path("KEEPALIVED_PEER", "/usr/sbin/keepalived");
        if peer.exists() {
            contenders.push(Contender { label: format!("original {}", version(&peer)), program: peer });
        } else {
            println!("no {}: our figures stand alone (install keepalived, or set KEEPALIVED_PEER)", peer.display());
        }
        Ok(Self { contenders, full, stand_in: std::env::var("KEEPALIVED_IPVS").ok() })
    }

    /// Ours, with nobody beside it.
    pub(crate) fn alone(&self) -> Self {
        Self { contenders: self.contenders.iter().take(1).cloned().collect(), full: self.full, stand_in: self.stand_in.clone() }
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = String> {
        self.contenders.iter().map(|contender| contender.label.clone())
    }

    /// The contenders with their columns, in an order that changes with every round: a noisy minute must not hit one alone.
    pub(crate) fn turns(&self, round: usize) -> Vec<(usize, &Contender)> {
        let mut turns: Vec<_> = self.contenders.iter().enumerate().collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        turns
    }

    /// So many measurements by default, and so many with `--full`.
    pub(crate) fn rounds(&self, quick: usize, full: usize) -> usize {
        if self.full { full } else { quick }
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            self.contenders.iter().map(|contender| format!("{} = {}", contender.label, contender.program.display())).collect();
        write!(f, "{}; load average {}", names.join(", "), super::figures::load_average())
    }
}

/// What `-v` says: `Keepalived v2.2.7 (…`.
fn version(program: &Path) -> String {
    let said = Command::new(program).arg("-v").output().map(|output| [output.stderr, output.stdout].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.split_whitespace().find_map(|word| word.strip_prefix('v')).unwrap_or("?").to_owned()
}

/// Where a configuration is, for the host.
pub(crate) const CONFIGURATION: &str = "/etc/keepalived/keepalived.conf";

/// How long anything may take at most, beside the protocol's own time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl Contender {
    /// A laboratory where `keepalived` is this one.
    pub(crate) fn lab(&self, hosts: &[&str]) -> Result<Lab, Problem> {
        Ok(Lab::plan().program("keepalived", &self.program).build(hosts)?)
    }
}

/// Starts the host's `keepalived` with this configuration, in the foreground, logging to memory.
pub(crate) fn start(host: &Arc<Host>, configuration: &str) -> Result<Daemon, Problem> {
    host.write(CONFIGURATION, configuration)?;
    let mut command = host.command("keepalived");
    command.args(["--dont-fork", "--log-console"]);
    Ok(Daemon::start(host, command)?)
}

/// The ids of a daemon's processes.
pub(crate) fn pids(daemon: &Daemon) -> Vec<u32> {
    daemon.processes().iter().map(|process| process.pid).collect()
}

/// Milliseconds with a fraction.
pub(crate) fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
