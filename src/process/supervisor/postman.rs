//! Mail, from a letter to the server's acceptance: a queue here, and a child without any power that talks to the server.
//!
//! The child is started when a mail is due and ends when nothing has been due for a while. What it was delivering when it
//! died is tried again, like everything that the server did not take.

use super::child::signal_text;
use crate::config::model::{Mail, MailTls};
use crate::ipc::messages::{Delivery, FromMail, ToMail};
use crate::ipc::{Inbox, Outbox, channel};
use crate::notify::smtp::message::{self, Message};
use crate::notify::smtp::outbox;
use crate::notify::telling::Letter;
use crate::process::relay;
use crate::sys::calendar::Local;
use crate::sys::clock;
use crate::sys::names;
use crate::sys::process::{self, Spawn, Spawned};
use crate::types::Instant;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Time for each step of a delivery when `smtp_connect_timeout` is not written (keepalived.conf(5)).
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// A child without mail lives this long: a failover brings several.
const IDLE: Duration = Duration::from_secs(5);

/// Longest wait for the resolver to tell our own name: the first mail waits for it.
const OWN_NAME: Duration = Duration::from_secs(2);

/// Longest wait for a name server.
const LOOKUP: Duration = Duration::from_secs(10);

enum Msg {
    Configure(Box<Settings>),
    Letter(Letter),
    Finish(oneshot::Sender<()>),
}

/// What the postman must know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Who gets mail, from whom, by which server.
    pub(super) mail: Mail,
    /// `router_id`; the host's name without.
    pub(super) router: Option<String>,
    /// How the child is started.
    pub(super) spawn: Spawn,
}

/// Speaks to the postman; never waits.
#[derive(Clone, Debug)]
pub(super) struct Postman(mpsc::UnboundedSender<Msg>);

impl Postman {
    /// Starts the postman's task in the running tokio runtime.
    pub(super) fn start() -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        tokio::spawn(Office::default().serve(inbox));
        Self(sender)
    }

    /// From now on this counts.
    pub(super) fn configure(&self, settings: Settings) {
        let _ = self.0.send(Msg::Configure(Box::new(settings)));
    }

    /// One more letter to everybody who asked for mail.
    pub(super) fn letter(&self, letter: Letter) {
        let _ = self.0.send(Msg::Letter(letter));
    }

    /// Waits until everything is delivered or failed once, `patience` at most.
    pub(super) async fn finish(&self, patience: Duration) {
        let (done, finished) = oneshot::channel();
        if self.0.send(Msg::Finish(done)).is_ok() {
            let _ = tokio::time::timeout(patience, finished).await;
        }
    }
}

/// The child that lives now.
struct Courier {
    process: tokio::process::Child,
    outbox: Outbox<ToMail>,
    inbox: Inbox<FromMail>,
    /// The mail it is delivering.
    busy: Option<u64>,
    idle_since: Instant,
    /// The file of authorities that it was told, `None` within for the system's.
    trusts: Option<Option<PathBuf>>,
}

#[derive(Default)]
struct Office {
    settings: Option<Settings>,
    /// This machine's name, asked for when the first settings with a mail server come.
    host: Option<String>,
    waiting: outbox::Outbox,
    courier: Option<Courier>,
    number: u64,
}

impl Office {
    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Msg>) {
        let mut finishing: Option<oneshot::Sender<()>> = None;
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                said = hear(&mut self.courier) => self.heard(said).await,
                message = inbox.recv() => match message {
                    Some(Msg::Configure(settings)) => self.configure(*settings).await,
                    Some(Msg::Letter(letter)) => self.take(&letter),
                    Some(Msg::Finish(done)) => finishing = Some(done),
                    None => return,
                },
                () = clock_reaches(deadline) => self.deadline_reached().await,
            }
            if finishing.is_some() && self.is_done() {
                // The sender's other end waits for nothing more.
                finishing.take();
            }
        }
    }

    /// Nothing is under way, and nothing is due now.
    fn is_done(&self) -> bool {
        let busy = self.courier.as_ref().is_some_and(|courier| courier.busy.is_some());
        !busy && self.waiting.due(clock::now()).is_none()
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.courier {
            Some(courier) if courier.busy.is_some() => None,
            Some(courier) => {
                let end = courier.idle_since + IDLE;
                Some(self.waiting.deadline(clock::now()).map_or(end, |due| due.min(end)))
            }
            None => self.waiting.deadline(clock::now()),
        }
    }

    async fn configure(&mut self, settings: Settings) {
        if settings.mail.server.is_some() && self.host.is_none() {
            let asked = tokio::task::spawn_blocking(names::full_host_name);
            self.host = tokio::time::timeout(OWN_NAME, asked).await.ok().and_then(Result::ok);
        }
        if self.settings.as_ref().is_some_and(|before| before.mail != settings.mail) {
            self.waiting.try_now();
        }
        self.settings = Some(settings);
    }

    fn host(&self) -> String {
        self.host.clone().unwrap_or_else(names::host_name)
    }

    fn take(&mut self, letter: &Letter) {
        let Some(settings) = &self.settings else { return };
        let host = self.host();
        let router = settings.router.as_ref().unwrap_or(&host);
        let sender = format!("{}@{host}", names::user_name());
        let Some(message) = message::message(letter, &settings.mail, router, &sender, &Local::now().mail()) else { return };
        if let Some(dropped) = self.waiting.push(message) {
            tracing::warn!("{} mails wait for the SMTP server: the oldest is dropped ({dropped} so far)", outbox::MOST);
        }
    }

    async fn deadline_reached(&mut self) {
        let now = clock::now();
        let Some(message) = self.waiting.due(now).cloned() else {
            if self.courier.as_ref().is_some_and(|courier| courier.busy.is_none() && courier.idle_since + IDLE <= now) {
                self.retire().await;
            }
            return;
        };
        if let Err(why) = self.send(message).await {
            self.failed(&why);
        }
    }

    /// Hands a mail to the child.
    async fn send(&mut self, message: Message) -> Result<(), String> {
        let Some(settings) = self.settings.clone() else { return Ok(()) };
        let Some((host, port)) = settings.mail.server.clone() else {
            // A reload took the server away: nobody will ever take it.
            self.waiting.done();
            return Ok(());
        };
        let (mail, own_name) = (&settings.mail, self.host());
        let login = relay::login(mail).map_err(|error| error.to_string())?;
        let addresses = resolve(&host, port).await.map_err(|error| format!("SMTP server {host}: {error}"))?;
        let courier = match self.courier.take() {
            Some(courier) => courier,
            None => Courier::start(&settings.spawn).map_err(|error| format!("cannot start the mail child process: {error}"))?,
        };
        let courier = self.courier.insert(courier);
        courier.instruct(mail)?;
        self.number += 1;
        courier.busy = Some(self.number);
        let Message { from, to, text } = message;
        courier.outbox.post(&ToMail::Deliver(Box::new(Delivery {
            number: self.number,
            server: (format!("[{}]:{port}", addresses.first().map_or_else(|| host.clone(), |found| found.ip().to_string())), addresses),
            tls: mail.tls,
            host,
            login,
            helo: mail.helo.clone().unwrap_or(own_name),
            from,
            to,
            text,
            limit: mail.timeout.unwrap_or(DEFAULT_LIMIT),
        })));
        Ok(())
    }

    async fn heard(&mut self, said: Option<FromMail>) {
        let number = match &said {
            Some(FromMail::Delivered { number } | FromMail::Failed { number, .. }) => Some(*number),
            None => None,
        };
        let Some(courier) = &mut self.courier else { return };
        let was_busy = courier.busy;
        if number.is_some() && number != was_busy {
            return; // of an earlier life
        }
        (courier.busy, courier.idle_since) = (None, clock::now());
        match said {
            Some(FromMail::Delivered { .. }) => {
                tracing::info!("SMTP alert successfully sent.");
                self.waiting.done();
            }
            Some(FromMail::Failed { again: true, why, .. }) => self.failed(&why),
            Some(FromMail::Failed { why, .. }) => {
                tracing::error!("{why}: it is not sent");
                self.waiting.done();
            }
            None => {
                let death = self.retire().await;
                if was_busy.is_some() {
                    self.failed(&format!("the mail child process died ({death})"));
                }
            }
        }
    }

    fn failed(&mut self, why: &str) {
        let pause = self.waiting.failed(clock::now());
        tracing::warn!("{why}; {} waiting, trying again in {} s", plural(self.waiting.len()), pause.as_secs());
    }

    /// Ends the child and waits for it: it has nothing under way, or is dead.
    async fn retire(&mut self) -> String {
        let Some(courier) = self.courier.take() else { return String::new() };
        let Courier { mut process, outbox, inbox, .. } = courier;
        drop((outbox, inbox));
        let status = match tokio::time::timeout(Duration::from_secs(1), process.wait()).await {
            Ok(status) => status,
            Err(_) => {
                let _ = process.start_kill();
                process.wait().await
            }
        };
        match status.map(|status| (status.code(), status.signal())) {
            Ok((Some(code), _)) => format!("exited with status {code}"),
            Ok((None, Some(signal))) => format!("signal {signal} ({})", signal_text(signal)),
            Ok((None, None)) | Err(_) => "no status".to_owned(),
        }
    }
}

impl Courier {
    fn start(spawn: &Spawn) -> io::Result<Self> {
        let Spawned { process, stream } = process::spawn(spawn)?;
        let (outbox, inbox) = channel(stream)?;
        tracing::debug!("Starting mail child process, pid={}", process.id().unwrap_or(0));
        Ok(Self { process, outbox, inbox, busy: None, idle_since: clock::now(), trusts: None })
    }

    /// Tells it whose certificates are good, when it must know and does not.
    fn instruct(&mut self, mail: &Mail) -> Result<(), String> {
        if mail.tls != MailTls::Off && self.trusts.as_ref() != Some(&mail.authority) {
            self.outbox.post(&ToMail::Trust(relay::authorities(mail).map_err(|error| error.to_string())?));
            self.trusts = Some(mail.authority.clone());
        }
        Ok(())
    }
}

/// What the child says next; `None` when it is gone. Never, when there is no child.
async fn hear(courier: &mut Option<Courier>) -> Option<FromMail> {
    match courier {
        Some(courier) => courier.inbox.next().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

async fn clock_reaches(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(clock::now())).await,
        None => std::future::pending().await,
    }
}

/// An address as it is written, or all that the name stands for now.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, port))).await??;
    Ok(found.collect())
}

fn plural(count: usize) -> String {
    if count == 1 { "1 mail".to_owned() } else { format!("{count} mails") }
}
