//! A child as its root actor: what the supervisor says becomes that actor's messages, its end is the child's.

use super::EXIT_FATAL;
use crate::ipc::{Inbox, Outbox};
use ractor::{Actor, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a child's root hears of the supervisor.
#[derive(Debug)]
pub(super) enum Heard<M> {
    /// This.
    Said(M),
    /// Nothing more: it is dead, or what it says cannot be read.
    Gone,
}

/// Runs the root of the child called `title` until it ends; the exit status, when the last message has left.
pub(super) async fn run<A, Up, Down>(title: &str, root: A, arguments: A::Arguments, outbox: Outbox<Up>, inbox: Inbox<Down>) -> u8
where
    A: Actor,
    A::Msg: From<Heard<Down>>,
    Up: Serialize,
    Down: DeserializeOwned + Message,
{
    let (root, ended) = match Actor::spawn(None, root, arguments).await {
        Ok(spawned) => spawned,
        Err(error) => {
            tracing::error!("{title} child cannot start: {error}");
            return EXIT_FATAL;
        }
    };
    let reader = tokio::spawn(hear(inbox, move |heard| root.cast(heard.into()).is_ok()));
    let status = match ended.await {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{title} child ends: {error}");
            EXIT_FATAL
        }
    };
    reader.abort();
    outbox.flushed().await;
    status
}

/// Passes on what comes, until the last word or until nobody listens.
async fn hear<Down: DeserializeOwned>(mut inbox: Inbox<Down>, tell: impl Fn(Heard<Down>) -> bool) {
    loop {
        let heard = match inbox.next().await {
            Ok(Some(message)) => Heard::Said(message),
            Ok(None) => Heard::Gone,
            Err(error) => {
                tracing::error!("cannot read what the supervisor says: {error}");
                Heard::Gone
            }
        };
        let last = matches!(heard, Heard::Gone);
        if !tell(heard) || last {
            return;
        }
    }
}
