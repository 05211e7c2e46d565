//! What every checker has: where it connects and when it runs.

use super::schedule::Manner;
use super::{dns, file, http, misc, smtp, udp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One checker block of a `real_server`, the defaults of real and virtual server filled in.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Checker {
    /// What it does.
    pub kind: Kind,
    /// Where it connects; nothing for scripts, files and BFD.
    pub target: Target,
    /// When it runs.
    pub timing: Timing,
    /// `alpha`: the server counts as down until the first success.
    pub alpha: bool,
    /// `log_all_failures`: also the ones that are retried.
    pub log_all_failures: bool,
}

/// What a checker does.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// `TCP_CHECK`.
    Tcp,
    /// `HTTP_GET`, `SSL_GET`: of thousands most have the same.
    Http(Arc<http::Settings>),
    /// `SMTP_CHECK`.
    Smtp(smtp::Settings),
    /// `DNS_CHECK`.
    Dns(dns::Settings),
    /// `UDP_CHECK`.
    Udp(Box<udp::Settings>),
    /// `PING_CHECK`.
    Ping,
    /// `MISC_CHECK`.
    Misc(Box<misc::Settings>),
    /// `FILE_CHECK`: the `track_file`'s number is a weight.
    File(file::Settings),
    /// `BFD_CHECK`: the session's name.
    Bfd(String),
}

impl Kind {
    /// The block's keyword.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Tcp => "TCP_CHECK",
            Self::Http(settings) if settings.tls => "SSL_GET",
            Self::Http(_) => "HTTP_GET",
            Self::Smtp(_) => "SMTP_CHECK",
            Self::Dns(_) => "DNS_CHECK",
            Self::Udp(_) => "UDP_CHECK",
            Self::Ping => "PING_CHECK",
            Self::Misc(_) => "MISC_CHECK",
            Self::File(_) => "FILE_CHECK",
            Self::Bfd(_) => "BFD_CHECK",
        }
    }

    /// Its rhythm.
    pub const fn manner(&self) -> Manner {
        Manner { first_decides: !matches!(self, Self::Smtp(_)), from_begin: matches!(self, Self::Misc(_)) }
    }

    /// Its name in a line about a failure, as the original writes it.
    pub fn log_name(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP_CHECK",
            Self::Ping => "ICMP CHECK",
            Self::Tcp | Self::Smtp(_) | Self::Dns(_) | Self::Udp(_) | Self::Misc(_) | Self::File(_) | Self::Bfd(_) => self.keyword(),
        }
    }
}

/// The connection set of a checker (`connect_ip`, `connect_port`, `bindto`, `bind_port`, `bind_if`, `connect_timeout`, `fwmark`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Target {
    /// `connect_ip`, or the real server's address.
    pub address: IpAddr,
    /// `connect_port`, or the real server's port.
    pub port: u16,
    /// `bindto`: our address.
    pub bind: Option<IpAddr>,
    /// `bind_port`: our port; 0 is any.
    pub bind_port: u16,
    /// `bind_if`: leave by this interface.
    pub bind_if: Option<String>,
    /// `fwmark` of our packets; 0 is none.
    pub fwmark: u32,
    /// `connect_timeout` (5 s): to connect, and then for every answer.
    pub connect_timeout: Duration,
}

impl Target {
    /// A target without bindings and with the default timeout.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, bind: None, bind_port: 0, bind_if: None, fwmark: 0, connect_timeout: Duration::from_secs(5) }
    }
}

/// When a checker runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// `delay_loop` (60 s): from the end of one check to the next.
    pub delay_loop: Duration,
    /// `retry` (1; DNS 3, MISC 0): failures that are forgiven.
    pub retry: u32,
    /// `delay_before_retry` (1 s; HTTP 3 s): from a forgiven failure to the next check.
    pub delay_before_retry: Duration,
    /// `warmup` (= delay_loop): the first check falls somewhere in it; zero starts at once.
    pub warmup: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { delay_loop: Duration::from_secs(60), retry: 1, delay_before_retry: Duration::from_secs(1), warmup: Duration::from_secs(60) }
    }
}
