//! Thin helpers over ractor: a root supervisor with back-off, a timer; and a troupe of actors too many to be ractor's.
//!
//! An actor that supervises others keeps a [`Restarts`] table in its state and overrides `handle_supervisor_evt` (ractor's
//! default stops the supervisor when a child ends):
//!
//! ```text
//! async fn handle_supervisor_evt(&self, myself, event, state) -> Result<(), ActorProcessingErr> {
//!     if let Some(restart) = state.restarts.ended(&event, Instant::now()) {
//!         tracing::error!("{restart}");
//!         let name = restart.name;
//!         myself.send_after(restart.after, move || Msg::Restart(name));
//!     }
//!     Ok(())
//! }
//! ```
//!
//! and calls [`Restarts::started`] after each `spawn_linked` with that name. The messages in a failed actor's mailbox and
//! its state are lost, and an `ActorRef` of the dead generation stays dead: look the current one up by its name with
//! [`current`] or post with [`tell`]. Orders that must not be lost (the desired state) are sent again after a restart.

mod alarm;
mod backoff;
mod restarts;
mod troupe;

pub use alarm::Alarm;
pub use backoff::Backoff;
pub use restarts::{Restart, Restarts};
pub use troupe::{ByNumber, Part, Then, Troupe};

use ractor::{ActorRef, Message};

/// The actor that bears this name now, if one does and it takes `M`.
pub fn current<M: Message>(name: &str) -> Option<ActorRef<M>> {
    ActorRef::where_is(name)
}

/// Posts to the actor that bears this name now; `false` when there is none (between two generations).
pub fn tell<M: Message>(name: &str, message: M) -> bool {
    current::<M>(name).is_some_and(|actor| actor.cast(message).is_ok())
}
