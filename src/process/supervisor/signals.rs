//! Signals as they reach the supervisor, and what it does about them.

use super::{Msg, State};
use crate::ipc::messages::Dump;
use crate::process::signals;
use futures_util::StreamExt;
use ractor::ActorRef;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook_tokio::SignalsInfo;

impl State {
    pub(super) fn signal(&mut self, myself: &ActorRef<Msg>, number: i32, sender: Option<(i32, u32)>) {
        tracing::info!("{}", arrival(number, sender));
        match number {
            signals::STOP | libc::SIGINT => self.stop(myself, 0),
            signals::RELOAD => self.reload(myself),
            signals::DATA => {
                self.dump_parent();
                self.ask_for(Dump::Data);
                self.checker_dump();
                self.bfd_dump();
            }
            signals::STATS => self.ask_for(Dump::Stats),
            other if other == signals::stats_clear() => self.ask_for(Dump::StatsAndClear),
            other if other == signals::json() => self.ask_for(Dump::Json),
            _ => {}
        }
    }
}

/// As in `SIGTERM received from pid 1 (systemd), user 0`.
fn arrival(number: i32, sender: Option<(i32, u32)>) -> String {
    let name = signals::name(number);
    let Some((pid, user)) = sender else { return format!("{name} received") };
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let comm = comm.trim();
    if comm.is_empty() {
        format!("{name} received from pid {pid}, user {user}")
    } else {
        format!("{name} received from pid {pid} ({comm}), user {user}")
    }
}

pub(super) fn listen_to_signals(myself: &ActorRef<Msg>, ignore_interrupt: bool) -> std::io::Result<()> {
    let mut wanted =
        vec![signals::STOP, signals::RELOAD, signals::DATA, signals::STATS, signals::stats_clear(), signals::json(), libc::SIGINT];
    wanted.extend(signals::ignored());
    let mut arrived = SignalsInfo::<WithOrigin>::new(wanted)?;
    let supervisor = myself.clone();
    tokio::spawn(async move {
        while let Some(origin) = arrived.next().await {
            if origin.signal == libc::SIGINT && ignore_interrupt {
                continue;
            }
            let sender = origin.process.as_ref().map(|process| (process.pid, process.uid));
            if supervisor.cast(Msg::Signal { number: origin.signal, sender }).is_err() {
                break;
            }
        }
    });
    Ok(())
}
