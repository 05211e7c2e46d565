//! What is worth telling, to whom: which scripts, FIFO lines and mails a change gives, and in which order they go out.
//!
//! | file | what is in it |
//! |---|---|
//! | [`telling`] | pure: a notice into scripts, a line and a letter |
//! | [`balancer`] | pure: the same for real servers and quorums |
//! | [`queue`] | pure: one subject's scripts in order; the latest state wins |
//! | `asked` | what instances and groups asked to be told |
//! | `fifos` | the notify FIFOs |
//! | [`smtp`] | mail: message, dialogue, queue (pure), client |
//! | [`herald`] | runs them beside the supervisor: scripts, trackers' checks, FIFOs |

mod asked;
pub mod balancer;
mod fifos;
pub mod herald;
pub mod queue;
pub mod smtp;
pub mod telling;
