//! One timer for an actor's earliest deadline.

use crate::sys::clock;
use crate::types::Instant;
use ractor::{ActorRef, Message};
use tokio::task::JoinHandle;

/// Sends an actor a message when its earliest deadline is there; gone with the actor's state.
///
/// tokio's timers are about 1 ms late: good enough for what is looked at, not for what is advertised.
#[derive(Debug, Default)]
pub struct Alarm(Option<(Instant, JoinHandle<()>)>);

impl Alarm {
    /// Rings at `deadline` alone, or never; nothing happens when that is what it was set to.
    pub fn set<M: Message>(&mut self, deadline: Option<Instant>, actor: &ActorRef<M>, message: fn() -> M) {
        if self.0.as_ref().map(|(at, _)| *at) == deadline {
            return;
        }
        self.stop();
        self.0 = deadline.map(|at| {
            let actor = actor.clone();
            let timer = tokio::spawn(async move {
                tokio::time::sleep(at.since(clock::now())).await;
                // An actor that is gone needs no reminder.
                let _ = actor.cast(message());
            });
            (at, timer)
        });
    }

    /// Its message was received: the same deadline may be set again.
    pub fn rang(&mut self) {
        self.0 = None;
    }

    fn stop(&mut self) {
        if let Some((_, timer)) = self.0.take() {
            timer.abort();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.stop();
    }
}
