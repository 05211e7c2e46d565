//! What a change of health is worth telling: the log line, and what notification it asks for.

use super::name::ServiceName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing to tell; `Display` is the line that people grep for (observed with keepalived 2.2.7).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// A real server went up or down.
    Server {
        /// Its name.
        server: String,
        /// Its virtual server's name.
        of: ServiceName,
        /// Up now?
        up: bool,
        /// It stays in the table with weight 0 while down.
        inhibit: bool,
    },
    /// A checker of a real server changed its mind: what a mail says.
    Check {
        /// The real server's name.
        server: String,
        /// Its virtual server's name.
        of: ServiceName,
        /// Is the real server up now?
        up: bool,
        /// Did it go up or down by this?
        changed: bool,
        /// The mail's line.
        text: String,
    },
    /// The weight of a real server changed.
    Weight {
        /// Its name.
        server: String,
        /// Its virtual server's name.
        of: ServiceName,
        /// Before.
        from: i64,
        /// After.
        to: i64,
        /// Is it up?
        active: bool,
    },
    /// The quorum was gained or lost.
    Quorum {
        /// The virtual server's name.
        of: ServiceName,
        /// Gained?
        up: bool,
        /// `quorum`.
        quorum: u32,
        /// `hysteresis`.
        hysteresis: u32,
        /// Sum of the weights of the live servers.
        weight: i64,
        /// It is the first state of this virtual server.
        start: bool,
    },
    /// The sorry server takes over or leaves.
    Sorry {
        /// Its name.
        server: String,
        /// The virtual server's name.
        of: ServiceName,
        /// Takes over?
        up: bool,
        /// It stays in the table with weight 0 while it is not wanted.
        inhibit: bool,
    },
    /// Live servers leave for the sorry server, or come back.
    Pool {
        /// The virtual server's name.
        of: ServiceName,
        /// Come back?
        up: bool,
    },
    /// A real server leaves because the daemon stops.
    ShutDown {
        /// Its name.
        server: String,
        /// Its virtual server's name.
        of: ServiceName,
        /// It was there with weight 0.
        inhibited: bool,
    },
    /// A reload took a virtual server away.
    Removed {
        /// Its name.
        of: ServiceName,
    },
    /// A reload took a real server away.
    Gone {
        /// Its name.
        server: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { server, of, up, inhibit } => {
                let (verb, link) = match (up, inhibit) {
                    (true, false) => ("Adding", "to"),
                    (true, true) => ("Enabling", "of"),
                    (false, false) => ("Removing", "from"),
                    (false, true) => ("Disabling", "of"),
                };
                write!(f, "{verb} service {server} {link} VS {of}")
            }
            Self::Check { server, of, text, .. } => write!(f, "{server} of VS {of}: {text}"),
            Self::Weight { server, of, from, to, active } => {
                let state = if *active { "active" } else { "inactive" };
                write!(f, "Changing weight from {from} to {to} for {state} service {server} of VS {of}")
            }
            Self::Quorum { of, up, quorum, hysteresis, weight, start } => {
                let (quorum, hysteresis) = (i64::from(*quorum), i64::from(*hysteresis));
                match (up, start) {
                    (true, _) => write!(f, "Gained quorum {quorum}+{hysteresis}={} <= {weight} for VS {of}", quorum + hysteresis),
                    (false, true) => {
                        // The original writes a minus and adds: what was missed is the bound for gaining.
                        write!(f, "Starting with quorum down {quorum}-{hysteresis}={} > {weight} for VS {of}", quorum + hysteresis)
                    }
                    (false, false) => write!(f, "Lost quorum {quorum}-{hysteresis}={} > {weight} for VS {of}", quorum - hysteresis),
                }
            }
            Self::Sorry { server, of, up, inhibit } => {
                let (verb, link) = match (up, inhibit) {
                    (true, false) => ("Adding", "to"),
                    (true, true) => ("Enabling", "to"),
                    (false, false) => ("Removing", "from"),
                    (false, true) => ("Disabling", "from"),
                };
                write!(f, "{verb} sorry server {server} {link} VS {of}")
            }
            Self::Pool { of, up } => {
                let (verb, link) = if *up { ("Adding", "to") } else { ("Removing", "from") };
                write!(f, "{verb} alive servers {link} the pool for VS {of}")
            }
            Self::ShutDown { server, of, inhibited } => {
                write!(f, "Shutting down {}service {server} from VS {of}", if *inhibited { "(inhibited) " } else { "" })
            }
            Self::Removed { of } => write!(f, "Removing Virtual Server {of}"),
            Self::Gone { server } => write!(f, "service {server} no longer exist"),
        }
    }
}

impl Notice {
    /// The line of the LVS FIFO; nothing for what has none.
    pub fn fifo_line(&self) -> Option<String> {
        let word = |up: &bool| if *up { "UP" } else { "DOWN" };
        match self {
            Self::Server { server, of, up, .. } => Some(format!("RS {server} {of} {}\n", word(up))),
            Self::Quorum { of, up, .. } => Some(format!("VS {of} {}\n", word(up))),
            Self::Check { .. }
            | Self::Weight { .. }
            | Self::Sorry { .. }
            | Self::Pool { .. }
            | Self::ShutDown { .. }
            | Self::Removed { .. }
            | Self::Gone { .. } => None,
        }
    }

    /// Whether scripts, FIFOs or mail may want to know.
    pub const fn is_told(&self) -> bool {
        matches!(self, Self::Server { .. } | Self::Quorum { .. } | Self::Check { .. })
    }
}
