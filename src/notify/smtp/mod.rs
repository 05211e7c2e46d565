//! Mail over plain SMTP (RFC 5321): the dialogue as a pure machine, the message, the queue, and a client on tokio.
//!
//! STARTTLS, TLS and AUTH are not spoken yet: the relay must take mail from this host as it is.

pub mod client;
pub mod dialogue;
pub mod message;
pub mod outbox;
