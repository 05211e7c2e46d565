//! The checker child: every check, the health that follows from it, and the kernel's table that follows from that.
//!
//! ```text
//!  supervisor ══ pipe ══ Root ─┬─ Prober   one heap of deadlines; one crowd of TCP conversations, a task for any other check
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
mod watches;

#[cfg(test)]
mod tests;

use crate::ipc::messages::{FromChecker, ToChecker};
use crate::ipc::{Inbox, Outbox};
use crate::ipvs::Way;
use crate::net::nftables;
use crate::process::rooted;
use root::{Root, RootArguments};

/// What was opened before powers were dropped; what was not the keeper opens where it is.
#[derive(Clone, Default)]
pub struct Ways {
    /// To the kernel's balancer.
    pub balancer: Option<Way>,
    /// To the firewall that marks what is for it, when that is in another network namespace.
    pub firewall: Option<nftables::Way>,
}

/// Runs the checker child until the supervisor says stop or is gone; returns the exit status.
pub async fn run(outbox: Outbox<FromChecker>, inbox: Inbox<ToChecker>, ways: Ways) -> u8 {
    outbox.post(&FromChecker::Hello { protocol: crate::ipc::messages::PROTOCOL });
    rooted::run("checker", Root, RootArguments { outbox: outbox.clone(), ways }, outbox, inbox).await
}
