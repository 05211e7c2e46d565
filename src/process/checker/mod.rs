//! The checker child: every check, the health that follows from it, and the kernel's table that follows from that.
//!
//! ```text
//!  supervisor ══ pipe ══ Root ─┬─ Prober   one heap of deadlines; a task a running check
//!                        │     └─ Keeper   the socket to IPVS: plan = desired − actual, and an eye on others' changes
//!                        └ health of every virtual server (pure)
//! ```
//!
//! Twenty thousand checkers are entries of one map, not actors: a check costs its sockets and little else. What a rebuilt
//! actor must know is sent again by Root.

mod dump;
mod keeper;
mod prober;
mod root;

#[cfg(test)]
mod tests;

use crate::ipc::messages::{FromChecker, ToChecker};
use crate::ipc::{Inbox, Outbox};
use ractor::Actor;
use root::{Root, RootMsg};

/// Exit status of a child that cannot work at all.
const FATAL: u8 = 1;

/// Runs the checker child until the supervisor says stop or is gone; returns the exit status.
pub async fn run(outbox: Outbox<FromChecker>, mut inbox: Inbox<ToChecker>) -> u8 {
    outbox.post(&FromChecker::Hello { protocol: crate::ipc::messages::PROTOCOL });
    let (root, ended) = match Actor::spawn(None, Root, outbox.clone()).await {
        Ok(spawned) => spawned,
        Err(error) => {
            tracing::error!("checker child cannot start: {error}");
            return FATAL;
        }
    };
    let reader = {
        let root = root.clone();
        tokio::spawn(async move {
            loop {
                let message = match inbox.next().await {
                    Ok(Some(message)) => RootMsg::Supervisor(message),
                    Ok(None) => RootMsg::SupervisorGone,
                    Err(error) => {
                        tracing::error!("cannot read what the supervisor says: {error}");
                        RootMsg::SupervisorGone
                    }
                };
                let last = matches!(message, RootMsg::SupervisorGone);
                if root.cast(message).is_err() || last {
                    return;
                }
            }
        })
    };
    let status = match ended.await {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("checker child ends: {error}");
            FATAL
        }
    };
    reader.abort();
    outbox.flushed().await;
    status
}
