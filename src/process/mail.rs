//! The mail child: takes one mail after the other from the supervisor to the server, and keeps nothing.

use crate::ipc::messages::{Delivery, FromMail, ToMail};
use crate::ipc::{Inbox, Outbox};
use crate::notify::smtp::client::{self, Server};
use crate::notify::smtp::dialogue::Manner;
use crate::notify::smtp::message::Message;
use crate::notify::smtp::secure::Trust;

/// Runs until the supervisor has no more mail for it; the exit status.
pub(super) async fn run(outbox: Outbox<FromMail>, mut inbox: Inbox<ToMail>) -> u8 {
    let mut trusted: Option<Trust> = None;
    loop {
        match inbox.next().await {
            Ok(Some(ToMail::Trust(authorities))) => match Trust::new(authorities) {
                Ok(trust) => trusted = Some(trust),
                Err(why) => tracing::error!("mail cannot be encrypted: {why}"),
            },
            Ok(Some(ToMail::Deliver(delivery))) => {
                let Delivery { number, server: (name, addresses), tls, host, login, helo, from, to, text, limit } = *delivery;
                let server = Server { name, addresses, host, trust: trusted.clone() };
                let delivered = client::deliver(&server, Manner { helo, tls, login }, Message { from, to, text }, limit).await;
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
