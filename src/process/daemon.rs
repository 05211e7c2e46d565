//! The supervisor's process from the command line to its exit.

use super::cli::{self, Command, Options, VERSION_LINE};
use super::configuration;
use super::paths::{self, PidPaths};
use super::roles::{Role, RoleName};
use super::supervisor::{self, Setup};
use super::{EXIT_CONFIG, EXIT_FATAL, EXIT_PERMISSION, relay, scripts};
use crate::config::Loaded;
use crate::config::copies::Copies;
use crate::config::model::{Config, Global, IpvsNamespace};
use crate::net::connector;
use crate::sys::log::{self, LogOptions};
use crate::sys::netns;
use crate::sys::pidfile::{PidFile, PidFileError};
use crate::sys::privileges::{self, RunAs};
use crate::sys::process::{self, Forked, Report};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Time for the last log lines at exit.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Runs, tests or answers; the exit status.
pub(super) fn main(arguments: &[String], command: Command) -> u8 {
    let mut options = match command {
        Command::Say { out, err, status } => {
            let _ = std::io::stdout().write_all(out.as_bytes());
            let _ = std::io::stderr().write_all(err.as_bytes());
            return status;
        }
        Command::Run(options) => *options,
    };
    for line in complaints(&options) {
        eprintln!("{line}");
    }
    if let Ok(path) = std::path::absolute(&options.config) {
        options.config = path;
    }
    if options.test.is_some() {
        return configuration::test(&options);
    }
    process::set_name("keepalived");
    log::init(&log_options(&options, ""));
    log::log_panics();
    introduce(arguments, &options);
    let status = match start(arguments, options) {
        Ok(setup) => supervisor::run(setup),
        Err(End(status)) => status,
    };
    say_processor_time();
    tracing::info!("Stopped {VERSION_LINE}");
    log::finish(LAST_WORDS);
    status
}

/// The original's line of what the processor spent on this process and on the children that it has buried.
fn say_processor_time() {
    use nix::sys::resource::{UsageWho, getrusage};
    let (Ok(own), Ok(children)) = (getrusage(UsageWho::RUSAGE_SELF), getrusage(UsageWho::RUSAGE_CHILDREN)) else { return };
    let seconds = |time: nix::sys::time::TimeVal| format!("{}.{:06}", time.tv_sec(), time.tv_usec());
    tracing::debug!(
        "CPU usage (self/children) user: {}/{} system: {}/{}",
        seconds(own.user_time()),
        seconds(children.user_time()),
        seconds(own.system_time()),
        seconds(children.system_time())
    );
}

/// What is wrong with the command line without stopping the start.
fn complaints(options: &Options) -> Vec<String> {
    let mut lines = options.warnings.clone();
    if !options.unexpected.is_empty() {
        lines.push(format!("Unexpected argument(s): {}", options.unexpected.join(" ")));
    }
    lines
}

fn log_options(options: &Options, suffix: &str) -> LogOptions {
    LogOptions {
        ident: format!("Keepalived{suffix}"),
        facility: options.facility,
        syslog: !options.no_syslog,
        console: options.console,
        file: paths::log_file(options, None),
        detail: options.detail > 0,
    }
}

fn introduce(arguments: &[String], options: &Options) {
    tracing::info!("Starting {VERSION_LINE}, keepalived-rs {}", env!("CARGO_PKG_VERSION"));
    tracing::info!("Running on {}", cli::running_on());
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    tracing::info!("Command line: {}", words.join(" "));
    for line in complaints(options) {
        tracing::warn!("{line}");
    }
    tracing::info!("Configuration file {}", options.config.display());
}

/// The start ends here, with this exit status; the reason is logged.
struct End(u8);

/// Everything between the command line and the runtime.
fn start(arguments: &[String], options: Options) -> Result<Setup, End> {
    let (mut loaded, copies) = configuration::read(&options);
    let global = loaded.config.global.clone();
    let suffix = paths::ident_suffix(&options, &global);
    if !suffix.is_empty() {
        tracing::debug!("Changing syslog ident to Keepalived{suffix}");
        log::init(&log_options(&options, &suffix));
    }
    settle(&options, &global);
    let namespace = paths::namespace(&options, &global);
    // The kernel tells of processes in its first network namespace only: the socket is made while we are still there.
    let connector = namespace.and_then(|_| connector::socket().ok());
    let balancer = global.net_namespace_ipvs.as_ref().map(balancer_namespace).transpose();
    let joined = namespace.map_or(Ok(()), join_namespace);
    if joined.is_ok() {
        configuration::require_interfaces(&mut loaded);
    }
    let mut config = judge(loaded, &copies)?;
    joined?;
    let balancer = balancer?;
    // Before the pid files: who may not write those lacks the capabilities too, and that is what is to be said.
    require_capabilities(&options)?;
    let pid_paths = paths::pid_paths(&options, &global);
    let pid_file = not_an_originals(&options, lock(&options, &pid_paths.supervisor)?, &pid_paths.supervisor)?;
    let vrrp_pid_file = lock_vrrp(&options, &config, &pid_paths)?;
    let checkers_pid_file = lock_checkers(&options, &config, &pid_paths)?;
    let bfd_pid_file = lock_bfd(&options, &config, &pid_paths)?;
    let run_as = choose_user(&config.global);
    scripts::take_up(&mut config, run_as);
    relay::take_up(&config);
    let report = if options.foreground { None } else { Some(fork_off()?) };
    configuration::save(&copies, &config.global, 0);
    log::settled();
    let arguments = arguments.to_vec();
    Ok(Setup {
        arguments,
        options,
        config,
        pid_paths,
        pid_file,
        vrrp_pid_file,
        checkers_pid_file,
        bfd_pid_file,
        run_as,
        report,
        connector,
        balancer,
    })
}

/// Says what is wrong with the configuration; whether it can run.
fn judge(loaded: Loaded, copies: &Copies) -> Result<Config, End> {
    configuration::log(&loaded.report);
    if let Some(status) = loaded.report.refuses_start() {
        // The line by which people know such an end: in the original it is a child's, and a child's pid.
        if status == EXIT_CONFIG {
            tracing::error!("pid {} exited with permanent error CONFIG. Terminating", std::process::id());
        }
        return Err(End(status));
    }
    configuration::dump(copies, &loaded.config);
    Ok(loaded.config)
}

/// Process name, umask, core dumps.
fn settle(options: &Options, global: &Global) {
    if let Some(name) = &global.process_name {
        process::set_name(name);
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(paths::umask(options, global)));
    if options.core_dump {
        privileges::allow_core_dumps();
    }
}

/// The network namespace with the balancer's table; only the checker child goes there.
fn balancer_namespace(namespace: &IpvsNamespace) -> Result<OwnedFd, End> {
    let opened = match namespace {
        IpvsNamespace::Default => netns::current(),
        IpvsNamespace::Named(name) => named_namespace(name).map(OwnedFd::from),
    };
    opened.map_err(|error| {
        let name = if let IpvsNamespace::Named(name) = namespace { name } else { "" };
        tracing::error!("net_namespace_ipvs {name}: {error} (see `ip netns list`)");
        End(EXIT_FATAL)
    })
}

/// Joins the network namespace that `ip netns` made, with a /run/keepalived of its own.
fn join_namespace(name: &str) -> Result<(), End> {
    if let Err(error) = named_namespace(name).and_then(netns::enter) {
        tracing::error!("cannot join network namespace '{name}': {error} (see `ip netns list`)");
        return Err(End(EXIT_FATAL));
    }
    make_folder(Path::new(paths::RUN_OWN));
    make_folder(&Path::new(paths::RUN_OWN).join(name));
    if let Err(error) = netns::own_folder(Path::new(paths::RUN_OWN), name) {
        tracing::warn!("cannot give network namespace '{name}' its own {}: {error}", paths::RUN_OWN);
    }
    Ok(())
}

/// One that `ip netns` made.
fn named_namespace(name: &str) -> io::Result<fs::File> {
    if name.contains('/') || name.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name, not a path, is needed"));
    }
    fs::File::open(Path::new("/run/netns").join(name))
}

/// In the log, and to whoever typed the command.
fn complain(options: &Options, text: &str) {
    tracing::error!("{text}");
    if !options.console {
        eprintln!("{text}");
    }
}

/// A folder that everybody may look into, whatever the umask. That it cannot be made is said by what needs it.
fn make_folder(path: &Path) {
    if fs::create_dir(path).is_ok() {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
    }
}

fn lock(options: &Options, path: &Path) -> Result<PidFile, End> {
    if let Some(folder) = path.parent().filter(|folder| *folder == Path::new(paths::RUN_OWN)) {
        make_folder(folder);
    }
    PidFile::lock(path).map_err(|error| {
        complain(options, &error.to_string());
        // The original ends with 0 when a daemon is running: scripts rely on it.
        End(if matches!(error, PidFileError::Running { .. }) { 0 } else { EXIT_FATAL })
    })
}

/// keepalived 2.2 holds no lock on its pid file: whose number is in there, and is it one?
fn not_an_originals(options: &Options, file: PidFile, path: &Path) -> Result<PidFile, End> {
    match file.former_owner() {
        Some(pid) if pid != std::process::id() && process::is_alive_as(pid, "keepalived") => {
            complain(options, &PidFileError::Running { path: path.to_owned(), pid: Some(pid.to_string()) }.to_string());
            file.leave();
            Err(End(0))
        }
        _ => Ok(file),
    }
}

/// As for the VRRP child; a file that another daemon's child has is nobody's concern when none is to run.
fn lock_bfd(options: &Options, config: &Config, paths: &PidPaths) -> Result<Option<PidFile>, End> {
    if supervisor::wants_bfd(options, config) {
        return lock(options, &paths.bfd).map(Some);
    }
    remove_stale(&paths.bfd);
    Ok(None)
}

/// The pid file of a child that does not run, unless another daemon's child has it.
fn remove_stale(path: &Path) {
    if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return;
    }
    if let Ok(file) = PidFile::lock(path)
        && file.former_owner().is_some_and(|pid| process::is_alive_as(pid, "keepalived"))
    {
        file.leave();
    }
}

/// Only when the child will run: the file of one that does not is an old one's, and goes.
fn lock_vrrp(options: &Options, config: &Config, paths: &PidPaths) -> Result<Option<PidFile>, End> {
    let file = lock(options, &paths.vrrp)?;
    Ok(supervisor::wants_child(options, config).then_some(file))
}

/// As for the VRRP child.
fn lock_checkers(options: &Options, config: &Config, paths: &PidPaths) -> Result<Option<PidFile>, End> {
    if supervisor::wants_checker(options, config) {
        return lock(options, &paths.checkers).map(Some);
    }
    // an earlier life's file goes; one that is not ours to remove is nobody's concern
    drop(PidFile::lock(&paths.checkers));
    Ok(None)
}

fn require_capabilities(options: &Options) -> Result<(), End> {
    // What a check needs beyond these is missed by that check alone.
    for role in [Role::of(RoleName::Vrrp), Role::of(RoleName::Checker)] {
        if let Err(missing) = privileges::require(role.capabilities) {
            complain(options, &missing.to_string());
            return Err(End(EXIT_PERMISSION));
        }
    }
    Ok(())
}

/// As whom the VRRP child runs: the role's user, else the `script_user` when that is not root. What keeps us from it is said once.
fn choose_user(global: &Global) -> RunAs {
    let wanted = Role::of(RoleName::Vrrp).user;
    let mut choice = privileges::run_as(wanted);
    if choice == RunAs::NoSuchUser
        && let Some((name, _)) = global.script_user.as_ref().filter(|(name, _)| name != "root")
    {
        choice = privileges::run_as(name);
    }
    match choice {
        RunAs::User(..) => {}
        RunAs::Unprivileged => tracing::debug!("not started as root: the children run as this user too"),
        RunAs::NoSuchUser => {
            tracing::warn!(
                "user '{wanted}' does not exist: its children run as root with their other capabilities dropped (cure: useradd -r -s /usr/sbin/nologin {wanted})"
            );
        }
        RunAs::NotMapped => {
            tracing::warn!(
                "this user namespace cannot switch to user '{wanted}': its children run as this user, their other capabilities dropped"
            );
        }
    }
    choice
}

/// Forks; the original process never returns from here, and leaves the pid files to the daemon.
fn fork_off() -> Result<Report, End> {
    match process::daemonise() {
        Ok(Forked::Daemon(report)) => Ok(report),
        Ok(Forked::Parent { outcome }) => {
            std::process::exit(i32::from(outcome.wait()));
        }
        Err(error) => {
            tracing::error!("cannot become a daemon: {error}");
            Err(End(EXIT_FATAL))
        }
    }
}
