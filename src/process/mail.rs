//! The mail child: takes one mail after the other from the supervisor to the server, and keeps nothing.

use crate::ipc::messages::{FromMail, ToMail};
use crate::ipc::{Inbox, Outbox};
use crate::notify::smtp::client;
use crate::notify::smtp::message::Message;

/// Runs until the supervisor has no more mail for it; the exit status.
pub(super) async fn run(outbox: Outbox<FromMail>, mut inbox: Inbox<ToMail>) -> u8 {
    loop {
        match inbox.next().await {
            Ok(Some(ToMail::Deliver { number, server, helo, from, to, text, limit })) => {
                let (name, addresses) = server;
                let delivered = client::deliver(&name, &addresses, &helo, Message { from, to, text }, limit).await;
                outbox.post(&match delivered {
                    Ok(()) => FromMail::Delivered { number },
                    Err(error) => FromMail::Failed { number, again: error.is_worth_another_try(), why: error.to_string() },
                });
            }
            Ok(None) => break,
            Err(error) => {
                tracing::error!("{error}");
                return super::EXIT_SOFTWARE;
            }
        }
    }
    outbox.flushed().await;
    0
}
