//! The root actor: what the supervisor says becomes sessions; keeps what an actor that died must know.

use super::sessions::{self, Sessions};
use crate::actor::{Backoff, Restarts};
use crate::bfd::event::Snapshot;
use crate::bfd::settings::Settings;
use crate::ipc::Outbox;
use crate::ipc::messages::{FromBfd, ToBfd};
use crate::process::rooted::Heard;
use crate::sys::clock;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

const SESSIONS: &str = "bfd_sessions";

impl From<Heard<ToBfd>> for RootMsg {
    fn from(heard: Heard<ToBfd>) -> Self {
        Self::Supervisor(heard)
    }
}

/// To the root.
#[derive(Debug)]
pub(super) enum RootMsg {
    /// What the supervisor says, or its end.
    Supervisor(Heard<ToBfd>),
    /// What a successor must know of a session.
    Changed { session: String, snapshot: Box<Snapshot> },
    /// The text of a dump.
    Described(String),
    /// The actor that died is to live again.
    Restart,
    /// Make it die, to prove that nothing is lost.
    #[cfg(test)]
    Panic,
}

pub(super) struct Root;

pub(super) struct State {
    outbox: Outbox<FromBfd>,
    restarts: Restarts,
    actor: Option<ActorRef<sessions::Msg>>,
    settings: Vec<Arc<Settings>>,
    known: HashMap<String, Snapshot>,
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = State;
    type Arguments = Outbox<FromBfd>;

    async fn pre_start(&self, _: ActorRef<RootMsg>, outbox: Self::Arguments) -> Result<State, ActorProcessingErr> {
        let restarts = Restarts::new(Backoff::actor());
        Ok(State { outbox, restarts, actor: None, settings: Vec::new(), known: HashMap::new() })
    }

    async fn handle(&self, myself: ActorRef<RootMsg>, message: RootMsg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Supervisor(Heard::Said(message)) => state.obey(&myself, message).await,
            RootMsg::Supervisor(Heard::Gone) => state.stop(&myself),
            RootMsg::Changed { session, snapshot } => {
                state.known.insert(session.clone(), Snapshot::clone(&snapshot));
                state.outbox.post(&FromBfd::Changed { session, snapshot, at: clock::now() });
            }
            RootMsg::Described(text) => state.outbox.post(&FromBfd::Dumped(text)),
            RootMsg::Restart => state.start(&myself).await,
            #[cfg(test)]
            RootMsg::Panic => state.tell(sessions::Msg::Panic),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(restart) = state.restarts.ended(&event, Instant::now()) {
            tracing::error!("{restart}");
            state.actor = None;
            myself.send_after(restart.after, || RootMsg::Restart);
        }
        Ok(())
    }
}

impl State {
    async fn obey(&mut self, myself: &ActorRef<RootMsg>, message: ToBfd) {
        match message {
            ToBfd::Configure { sessions, resume } => {
                self.settings = sessions;
                self.known = resume.into_iter().collect();
                self.start(myself).await;
                self.outbox.post(&FromBfd::Running);
            }
            ToBfd::Reload(sessions) => {
                self.known.retain(|name, _| sessions.iter().any(|session| session.name == *name));
                self.settings = sessions;
                self.tell(sessions::Msg::Reload(self.settings.clone()));
            }
            ToBfd::Ping(number) => self.outbox.post(&FromBfd::Pong(number)),
            ToBfd::Dump => {
                tracing::info!("Printing BFD data for process({}) on signal", std::process::id());
                self.tell(sessions::Msg::Describe);
            }
            ToBfd::Stop => self.stop(myself),
        }
    }

    fn tell(&self, message: sessions::Msg) {
        if let Some(actor) = &self.actor {
            let _ = actor.cast(message);
        }
    }

    async fn start(&mut self, myself: &ActorRef<RootMsg>) {
        let arguments = sessions::Arguments { root: myself.clone(), settings: self.settings.clone(), known: self.known.clone() };
        match Actor::spawn_linked(None, Sessions, arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.restarts.started(SESSIONS, &actor.get_cell(), Instant::now());
                self.actor = Some(actor);
            }
            Err(error) => {
                let restart = self.restarts.not_started(SESSIONS, &error.to_string(), Instant::now());
                tracing::error!("{restart}");
                myself.send_after(restart.after, || RootMsg::Restart);
            }
        }
    }

    /// Falls silent: the neighbours notice.
    fn stop(&mut self, myself: &ActorRef<RootMsg>) {
        tracing::info!("Stopping");
        self.restarts.forget(SESSIONS);
        self.outbox.post(&FromBfd::Stopped);
        myself.stop(None);
    }
}
