//! What happened, for people: kept only when somebody wants to read it.

use crate::sim::network::RouterId;
use crate::sim::world::Trouble;
use crate::types::Instant;
use crate::vrrp::discard::Discard;
use crate::vrrp::event::{Note, Transition};
use std::fmt;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An advert left.
    Sent {
        /// Priority on the wire.
        priority: u8,
    },
    /// A datagram did not count.
    Dropped(Discard),
    /// A state changed.
    Entered(Transition),
    /// The machine had something to say.
    Noted(Note),
    /// The world made trouble.
    Trouble(Trouble),
}

/// A list of happenings in the order of time.
#[derive(Clone, Default, Debug)]
pub struct Timeline {
    kept: bool,
    entries: Vec<(Instant, RouterId, Happening)>,
}

impl Timeline {
    /// Keeps entries, or forgets them at once: a thousand runs that go well need none.
    pub const fn new(kept: bool) -> Self {
        Self { kept, entries: Vec::new() }
    }

    /// Adds one; `happening` is made only when it is kept.
    pub fn add(&mut self, at: Instant, router: RouterId, happening: impl FnOnce() -> Happening) {
        if self.kept {
            self.entries.push((at, router, happening()));
        }
    }

    /// What happened so far.
    pub fn entries(&self) -> &[(Instant, RouterId, Happening)] {
        &self.entries
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, router, happening) in &self.entries {
            let nanos = at.nanos();
            write!(f, "{:6}.{:06} r{router} ", nanos / 1_000_000_000, nanos / 1000 % 1_000_000)?;
            match happening {
                Happening::Sent { priority } => writeln!(f, "  advert {priority}")?,
                Happening::Dropped(discard) => writeln!(f, "  dropped: {discard}")?,
                Happening::Entered(change) => writeln!(f, "{} -> {} ({:?})", change.from, change.to, change.cause)?,
                Happening::Noted(note) => writeln!(f, "  {note:?}")?,
                Happening::Trouble(trouble) => writeln!(f, "* {trouble:?}")?,
            }
        }
        Ok(())
    }
}
