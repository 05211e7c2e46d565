//! Mail over SMTP (RFC 5321): the dialogue as a pure machine, the message, the queue, and a client on tokio.
//!
//! In clear as the original, or encrypted (STARTTLS, TLS) and then, when asked to, with a login.

pub mod client;
pub mod dialogue;
pub mod message;
pub mod outbox;
pub mod secure;
#[cfg(test)]
mod secure_tests;
