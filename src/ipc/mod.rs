//! Typed messages between processes: one enum a direction, framing, and a version handshake.

pub mod channel;
pub mod messages;
mod pipe;

pub use channel::{Inbox, Interrupt, IpcError, Outbox, channel};
