//! What a checker said last of its server, for whoever takes up where another left off.

use serde::{Deserialize, Serialize};

/// What a checker said last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Word {
    /// Up? Nothing before it said so: then its server is as configured.
    pub up: Option<bool>,
    /// What it wants of its server's weight.
    pub wish: Option<Wish>,
}

/// What a checker wants of its server's weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// This instead of the configured one (`misc_dynamic`).
    Weight(i64),
    /// So much more than the configured one (`FILE_CHECK`).
    More(i64),
}

impl Wish {
    /// What it adds to this configured weight.
    pub fn on_top_of(self, configured: u32) -> i64 {
        match self {
            Self::Weight(weight) => weight - i64::from(configured),
            Self::More(delta) => delta,
        }
    }
}
