//! Health checks as arithmetic: one file a checker with its settings and its dialogue, and the schedule that they all share.

pub mod certificate;
pub mod dialogue;
pub mod dns;
pub mod file;
pub mod http;
pub mod mail;
pub mod misc;
pub mod patience;
mod pattern;
pub mod ping;
pub mod regex;
pub mod schedule;
pub mod settings;
pub mod smtp;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod words;

pub use dialogue::{Dialogue, Failure, Step};
pub use settings::{Checker, Kind, Target, Timing};

/// One row of the list of checkers: its keyword, and how the original names it in a failure (keepalived 2.2.7).
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The block's keyword in a `real_server`.
    pub keyword: &'static str,
    /// One line of meaning.
    pub means: &'static str,
}

/// Every checker that a `real_server` can hold. Help and completion are made from it.
pub const CHECKERS: &[Row] = &[
    Row { keyword: "TCP_CHECK", means: "a connection is accepted" },
    Row { keyword: "HTTP_GET", means: "pages answer with the right status, digest or text" },
    Row { keyword: "SSL_GET", means: "the same over TLS" },
    Row { keyword: "SMTP_CHECK", means: "a mail server greets and answers HELO" },
    Row { keyword: "DNS_CHECK", means: "a name server answers a question" },
    Row { keyword: "UDP_CHECK", means: "a datagram is answered, or at least not refused" },
    Row { keyword: "PING_CHECK", means: "an echo comes back" },
    Row { keyword: "MISC_CHECK", means: "a script says so" },
    Row { keyword: "FILE_CHECK", means: "a file says so" },
    Row { keyword: "BFD_CHECK", means: "a BFD session is up" },
];
