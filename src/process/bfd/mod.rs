//! The BFD child: every session, its sockets and its deadlines.
//!
//! ```text
//!  supervisor ══ pipe ══ Root ── Sessions   one heap of deadlines over one timerfd; a socket a session to send by,
//!                                           one a family and port to hear by
//! ```
//!
//! What a rebuilt actor must know is sent again by Root, and what a successor of the process must know by the supervisor: the
//! neighbour does not notice either when it takes less than its detection time.

mod dump;
mod root;
mod sessions;

#[cfg(test)]
mod tests;

use crate::ipc::messages::{FromBfd, PROTOCOL, ToBfd};
use crate::ipc::{Inbox, Outbox};
use crate::process::rooted;
use root::Root;

/// Runs the BFD child until the supervisor says stop or is gone; returns the exit status.
pub(super) async fn run(outbox: Outbox<FromBfd>, inbox: Inbox<ToBfd>) -> u8 {
    outbox.post(&FromBfd::Hello { protocol: PROTOCOL });
    rooted::run("BFD", Root, outbox.clone(), outbox, inbox).await
}
