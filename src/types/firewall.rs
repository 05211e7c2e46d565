//! An nftables table of ours.

use serde::{Deserialize, Serialize};

/// What a table of ours is called, and where its chains stand among others'.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Firewall {
    /// Table name.
    pub table: String,
    /// Chain priority.
    pub priority: i32,
    /// Counters in the rules.
    pub counters: bool,
}

impl Firewall {
    /// Called so, at the original's priority: just before where other people's filters stand.
    pub fn named(table: &str) -> Self {
        Self { table: table.to_owned(), priority: -1, counters: false }
    }
}

/// The table of addresses that do not answer.
impl Default for Firewall {
    fn default() -> Self {
        Self::named("keepalived")
    }
}
