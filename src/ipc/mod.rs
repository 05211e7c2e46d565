//! Typed messages between processes: one enum a direction, framing, and a version handshake.

pub mod channel;
pub mod messages;

pub use channel::{Inbox, Interrupt, IpcError, Outbox, channel};
