//! N routers on a virtual clock and a lossy virtual network, driving the real `vrrp` code: bytes, checks and state machine.
//!
//! | file | what is in it |
//! |---|---|
//! | [`random`] | the seeded generator: one seed, one run |
//! | [`network`] | loss, delay, duplication, corruption, partitions |
//! | [`router`] | one router with its own clock, which can sleep, crash and come back |
//! | [`world`] | all of them together in virtual time, and what must never happen |
//! | [`scenario`] | a seed's routers and troubles, and what must be true after them |
//! | [`cluster`] | hosts with sync groups: a segment for each member, and what a group must never do |
//! | [`timeline`] | what happened, for people |

pub mod cluster;
pub mod network;
pub use crate::types::random;
pub mod router;
pub mod scenario;
pub mod timeline;
pub mod world;

#[cfg(test)]
mod tests;
