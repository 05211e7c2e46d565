//! A child process from its first instruction to its exit: powers are dropped before the first message is read.

use super::boot::Boot;
use super::cli::{Command, Options};
use super::roles::RoleName;
use super::{EXIT_FATAL, EXIT_PERMISSION, EXIT_SOFTWARE, bfd, checker, mail, paths, signals, vrrp};
use crate::ipc::messages::{Dump, ToBfd, ToChecker, ToVrrp};
use crate::ipc::{Interrupt, channel};
use crate::ipvs::{Socket, Way};
use crate::net::nftables;
use crate::sys::log::{self, LogOptions};
use crate::sys::privileges::{self, DropError};
use crate::sys::{netns, process, sandbox, tuning};
use futures_util::StreamExt;
use signal_hook_tokio::Signals;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a stuck child outlives the end that it was asked for: its supervisor is dead then, and cannot kill it.
const LAST_RESORT_SECONDS: u32 = 10;

/// Time for the last log lines at exit.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// Runs the child; the exit status.
pub(super) fn main(boot: &Boot, command: Command) -> u8 {
    let Command::Run(options) = command else { return EXIT_FATAL };
    process::set_name(&boot.process_name);
    log::init(&log_options(boot, &options));
    log::log_panics();
    let status = run(boot, &options);
    say_stopped(options.detail > 0);
    log::finish(LAST_WORDS);
    status
}

/// The original's last line of a child: with `-D` it tells the time that the processor spent.
fn say_stopped(detail: bool) {
    match nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) {
        Ok(usage) if detail => {
            let seconds = |time: nix::sys::time::TimeVal| format!("{}.{:06}", time.tv_sec(), time.tv_usec());
            tracing::info!("Stopped - used {} user time, {} system time", seconds(usage.user_time()), seconds(usage.system_time()));
        }
        Ok(_) | Err(_) => tracing::info!("Stopped"),
    }
}

fn log_options(boot: &Boot, options: &Options) -> LogOptions {
    LogOptions {
        ident: boot.ident.clone(),
        facility: options.facility,
        syslog: !options.no_syslog,
        console: options.console,
        file: paths::log_file(options, Some(boot.role.word)),
        detail: options.detail > 0,
    }
}

fn run(boot: &Boot, options: &Options) -> u8 {
    let stream = match process::take_channel() {
        Ok(stream) => stream,
        Err(error) => {
            tracing::error!("cannot reach the supervisor: {error}");
            return EXIT_FATAL;
        }
    };
    for (keyword, error) in boot.tuning.apply() {
        tracing::warn!("{}_{keyword} has no effect: {error}", keyword_prefix(boot.role.name));
    }
    let ways = match ways(boot) {
        Ok(way) => way,
        Err(error) => {
            tracing::error!("cannot enter the network namespace of net_namespace_ipvs: {error}");
            return EXIT_FATAL;
        }
    };
    if let Err(error) = drop_powers(boot, options) {
        tracing::error!("{} child: {error}", boot.role.title);
        return if matches!(error, DropError::Missing(_)) { EXIT_PERMISSION } else { EXIT_FATAL };
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            return EXIT_FATAL;
        }
    };
    runtime.block_on(serve(boot, options, stream, ways))
}

/// Whose words the scheduling of a role is written in.
const fn keyword_prefix(role: RoleName) -> &'static str {
    match role {
        RoleName::Vrrp | RoleName::Mail => "vrrp",
        RoleName::Checker | RoleName::CheckerRaw => "checker",
        RoleName::Bfd => "bfd",
    }
}

/// The way to the kernel's balancer, and files enough, for who needs it, while all powers are there: the kernel may load its
/// module for it, and it may be that of another network namespace. When there is no balancer yet, the child says so, and asks again
/// the same way.
fn ways(boot: &Boot) -> io::Result<checker::Ways> {
    if !matches!(boot.role.name, RoleName::Checker | RoleName::CheckerRaw) {
        return Ok(checker::Ways::default());
    }
    // A check under way is an open file.
    if let Err(error) = tuning::allow_open_files() {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
    let open = || {
        let way = Way::open().ok()?;
        // Only that it was asked for matters here.
        drop(Socket::over(way.clone()));
        Some(way)
    };
    match boot.balancer {
        None => Ok(checker::Ways { balancer: open(), firewall: None }),
        Some(number) => {
            let namespace = File::open(format!("/proc/{}/fd/{number}", boot.parent))?;
            // Without ways there the keeper would open its own, here.
            let open = || Some(checker::Ways { balancer: Some(open()?), firewall: Some(nftables::Way::open().ok()?) });
            netns::in_netns(&namespace.into(), open)?.ok_or_else(|| io::Error::other("no netlink socket"))
        }
    }
}

/// User, capabilities, files, system calls, in this order: each step needs what the next one takes away.
fn drop_powers(boot: &Boot, options: &Options) -> Result<(), DropError> {
    privileges::drop_to(boot.user, boot.role.capabilities, boot.parent)?;
    if options.core_dump {
        privileges::allow_core_dumps();
    }
    match sandbox::restrict_files(boot.role.files, boot.role.tcp) {
        Ok(true) => {}
        Ok(false) => {
            tracing::debug!("this kernel has no Landlock: the {} child's file access is limited by its user alone", boot.role.title)
        }
        Err(error) => tracing::warn!("{} child: {error}", boot.role.title),
    }
    // The log file's thread must be born under the rules above and before threads are forbidden.
    log::settled();
    if let Err(error) = sandbox::restrict_calls(boot.role.calls) {
        tracing::warn!("{} child: {error}", boot.role.title);
    }
    Ok(())
}

async fn serve(boot: &Boot, options: &Options, stream: UnixStream, ways: checker::Ways) -> u8 {
    tokio::spawn(log::flusher());
    play(boot, options, stream, ways).await.unwrap_or_else(|error| {
        tracing::error!("cannot reach the supervisor: {error}");
        EXIT_SOFTWARE
    })
}

async fn play(boot: &Boot, options: &Options, stream: UnixStream, ways: checker::Ways) -> io::Result<u8> {
    Ok(match boot.role.name {
        RoleName::Vrrp => {
            let (outbox, inbox) = channel(stream)?;
            tokio::spawn(obey_signals(inbox.interrupt(), ToVrrp::Stop, meaning));
            let status = vrrp::run(outbox.clone(), inbox, options.address_monitoring).await;
            outbox.flushed().await;
            status
        }
        RoleName::Mail => {
            let (outbox, inbox) = channel(stream)?;
            tokio::spawn(outlive_signals());
            mail::run(outbox, inbox).await
        }
        RoleName::Checker | RoleName::CheckerRaw => {
            let (outbox, inbox) = channel(stream)?;
            tokio::spawn(obey_signals(inbox.interrupt(), ToChecker::Stop, checker_meaning));
            checker::run(outbox, inbox, ways).await
        }
        RoleName::Bfd => {
            let (outbox, inbox) = channel(stream)?;
            tokio::spawn(obey_signals(inbox.interrupt(), ToBfd::Stop, bfd_meaning));
            bfd::run(outbox, inbox).await
        }
    })
}

/// A mail child ends when its supervisor has no more mail for it, not when somebody says `killall`: the last mail is
/// about exactly that.
async fn outlive_signals() {
    let wanted = [signals::STOP, libc::SIGINT, signals::RELOAD, signals::DATA, signals::STATS, signals::stats_clear(), signals::json()];
    let Ok(mut arrived) = Signals::new(wanted) else { return };
    while let Some(signal) = arrived.next().await {
        if matches!(signal, signals::STOP | libc::SIGINT) {
            process::exit_at_latest(LAST_RESORT_SECONDS);
        }
    }
}

/// Signals reach a child by hand or by `killall`: they become the messages that the supervisor would send. HUP is the
/// supervisor's alone.
async fn obey_signals<M: PartialEq>(inbox: Interrupt<M>, stop: M, meaning: fn(i32) -> Option<M>) {
    let wanted = [signals::STOP, libc::SIGINT, signals::RELOAD, signals::DATA, signals::STATS, signals::stats_clear(), signals::json()];
    let mut arrived = match Signals::new(wanted.into_iter().chain(signals::ignored())) {
        Ok(arrived) => arrived,
        Err(error) => {
            tracing::warn!("signals are not heard: {error}");
            return;
        }
    };
    while let Some(signal) = arrived.next().await {
        if let Some(message) = meaning(signal) {
            if message == stop {
                process::exit_at_latest(LAST_RESORT_SECONDS);
            }
            inbox.post(message);
        }
    }
}

fn meaning(signal: i32) -> Option<ToVrrp> {
    match signal {
        signals::STOP | libc::SIGINT => Some(ToVrrp::Stop),
        signals::DATA => Some(ToVrrp::Dump(Dump::Data)),
        signals::STATS => Some(ToVrrp::Dump(Dump::Stats)),
        other if other == signals::stats_clear() => Some(ToVrrp::Dump(Dump::StatsAndClear)),
        other if other == signals::json() => Some(ToVrrp::Dump(Dump::Json)),
        _ => None,
    }
}

fn bfd_meaning(signal: i32) -> Option<ToBfd> {
    match signal {
        signals::STOP | libc::SIGINT => Some(ToBfd::Stop),
        signals::DATA => Some(ToBfd::Dump),
        _ => None,
    }
}

fn checker_meaning(signal: i32) -> Option<ToChecker> {
    match signal {
        signals::STOP | libc::SIGINT => Some(ToChecker::Stop),
        signals::DATA => Some(ToChecker::Dump),
        _ => None,
    }
}
