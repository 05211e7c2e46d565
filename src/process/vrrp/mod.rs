//! The VRRP child: one actor an instance around the pure state machine, and the actors that carry out its orders.
//!
//! ```text
//!  supervisor ══ pipe ══ Root ─┬─ Timekeeper   one timerfd; wakes instances whose deadline has come
//!                              ├─ Listener     netlink reflector: links and addresses, as facts to instances
//!                              ├─ Sockets      opens and closes receivers ── Receiver (one an interface and family)
//!                              ├─ Keeper       addresses and the firewall: batches to the kernel
//!                              ├─ Announcer    gratuitous ARP, neighbour advertisements, paced
//!                              ├─ Groups       sync groups: members together
//!                              ├─ Watcher      scripts, files, processes: when to ask, and what they read
//!                              └─ Stage        the instances act here ── Instance … (one a vrrp_instance)
//! ```
//!
//! Adverts leave straight from the instance (one system call, nothing in between); everything else is a message, and
//! nobody awaits anybody's answer. What a rebuilt actor must know is either in [`shared::Shared`] or sent again by Root.

mod announcer;
mod carrier;
mod deadlines;
mod dump;
mod groups;
mod instance;
mod keeper;
mod listener;
mod messages;
mod restores;
mod root;
mod shared;
mod sockets;
mod stage;
mod text;
mod timekeeper;
mod watcher;
mod world;

#[cfg(test)]
mod tests;

use crate::ipc::messages::{FromVrrp, ToVrrp};
use crate::ipc::{Inbox, Outbox};
use crate::process::rooted;
use root::{Root, RootArguments};

/// Runs the VRRP child (`address_monitoring` is `-a`) until the supervisor says stop or is gone; returns the exit status.
pub async fn run(outbox: Outbox<FromVrrp>, inbox: Inbox<ToVrrp>, address_monitoring: bool) -> u8 {
    outbox.post(&FromVrrp::Hello { protocol: crate::ipc::messages::PROTOCOL });
    rooted::run("VRRP", Root, RootArguments { outbox: outbox.clone(), address_monitoring }, outbox, inbox).await
}
