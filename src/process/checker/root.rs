//! The root actor: what the supervisor says becomes checks and health, health becomes the table that the keeper keeps.

mod results;
mod sessions;

use super::keeper::{self, Keeper};
use super::prober::{self, Concerned, Prober};
use super::watches::{self, Said};
use super::{Ways, dump};
use crate::actor::{Backoff, Restarts, tell};
use crate::check::Failure;
use crate::ipc::Outbox;
use crate::ipc::messages::{CheckerId, FromChecker, ToChecker};
use crate::ipvs::wire::Mode;
use crate::lvs::changes::{Changes, Origin};
use crate::lvs::health::Health;
use crate::lvs::marks::marked;
use crate::lvs::name::ServiceName;
use crate::lvs::notice::Notice;
use crate::lvs::settings::{Balancer, FlushOnStop, VirtualServer};
use crate::lvs::table::{ServiceKey, Table, desired, keys};
use crate::lvs::word::Word;
use crate::probe::Trust;
use crate::process::carried::Carried;
use crate::process::rooted::Heard;
use crate::sys::tuning;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent, call_t};
use results::{find, log};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEEPER: &str = "ipvs_keeper";
const PROBER: &str = "prober";
/// The last changes of the table may take this long at a stop, in ms.
const STOP_PATIENCE_MS: u64 = 3000;

impl From<Heard<ToChecker>> for RootMsg {
    fn from(heard: Heard<ToChecker>) -> Self {
        Self::Supervisor(heard)
    }
}

/// To the root.
#[derive(Debug)]
pub(super) enum RootMsg {
    /// What the supervisor says, or its end.
    Supervisor(Heard<ToChecker>),
    /// A checker went up or down.
    Checked {
        /// Which.
        id: Arc<CheckerId>,
        /// Up?
        up: bool,
        /// Why not.
        failure: Option<Failure>,
    },
    /// A checker asks for another weight than the configured one, or for that again (`None`).
    Weighed {
        /// Which.
        id: Arc<CheckerId>,
        /// What it asks for.
        weight: Option<i64>,
    },
    /// How the checkers stand, for the dump that was asked for.
    Stand(dump::Standings),
    /// The script of a `MISC_CHECK` is due.
    RunScript(Arc<CheckerId>),
    /// The keeper has brought the first table to the kernel, as far as that is possible.
    TableStands,
    /// An actor that died is to live again.
    Restart(String),
    /// The others have taken up what they were told: what it was made from can go.
    GiveBack,
}

pub(super) struct Root;

/// What the child begins with.
pub(super) struct RootArguments {
    /// To the supervisor.
    pub(super) outbox: Outbox<FromChecker>,
    /// The ways to the kernel that are open already.
    pub(super) ways: Ways,
}

pub(super) struct State {
    outbox: Outbox<FromChecker>,
    ways: Ways,
    restarts: Restarts,
    balancer: Balancer,
    health: Vec<Health>,
    /// Place in `health` by name.
    places: HashMap<ServiceName, usize>,
    /// What checkers said, for restarts; the rest is as configured.
    said: Said,
    /// Whether BFD sessions are up.
    sessions: HashMap<String, bool>,
    trust: Option<Arc<Trust>>,
    masters: HashSet<String>,
    keep_table: bool,
    configured: bool,
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = State;
    type Arguments = RootArguments;

    async fn pre_start(&self, _: ActorRef<RootMsg>, arguments: RootArguments) -> Result<State, ActorProcessingErr> {
        Ok(State {
            outbox: arguments.outbox,
            ways: arguments.ways,
            restarts: Restarts::new(Backoff::actor()),
            balancer: Balancer::default(),
            health: Vec::new(),
            places: HashMap::new(),
            said: Said::new(),
            sessions: HashMap::new(),
            trust: None,
            masters: HashSet::new(),
            keep_table: false,
            configured: false,
        })
    }

    async fn handle(&self, myself: ActorRef<RootMsg>, message: RootMsg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Supervisor(Heard::Said(message)) => state.obey(&myself, message).await?,
            RootMsg::Supervisor(Heard::Gone) => state.stop(&myself, true).await,
            RootMsg::Checked { id, up, failure } => state.checked(id, up, failure.as_ref()),
            RootMsg::Stand(standings) => {
                state.dump(&standings);
            }
            RootMsg::Weighed { id, weight } => state.weighed(&id, weight),
            RootMsg::RunScript(id) => state.outbox.post(&FromChecker::RunScript(CheckerId::clone(&id))),
            RootMsg::TableStands => state.outbox.post(&FromChecker::TableStands),
            RootMsg::Restart(name) => state.start(&myself, &name).await,
            RootMsg::GiveBack => tuning::give_back_memory(),
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
            let name = restart.name;
            myself.send_after(restart.after, move || RootMsg::Restart(name));
        }
        Ok(())
    }
}

impl State {
    async fn obey(&mut self, myself: &ActorRef<RootMsg>, message: ToChecker) -> Result<(), ActorProcessingErr> {
        match message {
            ToChecker::Configure { balancer, resume, quorums, replaces, keep_table } => {
                self.keep_table = keep_table;
                self.build(*balancer);
                self.resume(resume, quorums);
                self.configure(myself, replaces).await;
                give_back_soon(myself);
                self.outbox.post(&FromChecker::Running);
            }
            ToChecker::Reload(changes) => {
                self.reload(*changes)?;
                give_back_soon(myself);
                self.outbox.post(&FromChecker::Reloaded);
            }
            ToChecker::Master { instance, master } => {
                let changed = if master { self.masters.insert(instance) } else { self.masters.remove(&instance) };
                if changed {
                    self.synchronise();
                }
            }
            ToChecker::FileReads { name, value } => self.file_reads(&name, value),
            ToChecker::Session(reads) => self.session(reads),
            ToChecker::ScriptEnded { checker, outcome } => {
                tell(PROBER, prober::Msg::ScriptEnded { checker, outcome });
            }
            ToChecker::Ping(number) => self.outbox.post(&FromChecker::Pong(number)),
            ToChecker::Dump => {
                tracing::info!("Printing checker data for process({}) on signal", std::process::id());
                // The prober knows how they stand; its answer is on its way through our mailbox when it lives.
                if !tell(PROBER, prober::Msg::Tell) {
                    self.dump(&dump::Standings::default());
                }
            }
            ToChecker::Retire => self.end(myself),
            ToChecker::Stop => self.stop(myself, !self.keep_table).await,
        }
        Ok(())
    }

    fn dump(&self, standings: &dump::Standings) {
        self.outbox.post(&FromChecker::Dumped(dump::text(&self.balancer, &self.health, standings)));
    }

    fn build(&mut self, balancer: Balancer) {
        tracing::info!("Initializing ipvs");
        self.balancer = balancer;
        self.balancer.share_settings();
        self.trust = trust(&self.balancer);
        self.health = self.balancer.servers.iter().map(|server| Health::new(server.clone())).collect();
        self.index();
    }

    /// Takes up where a predecessor left off.
    fn resume(&mut self, words: Vec<(CheckerId, Word)>, quorums: Vec<(ServiceName, bool)>) {
        for (id, word) in &words {
            if let Some(health) = self.places.get(&id.service).and_then(|at| self.health.get_mut(*at))
                && let Some((real, place)) = find(health.settings(), id)
            {
                health.resume(real, place, *word);
            }
        }
        for (of, held) in quorums {
            if let Some(health) = self.places.get(&of).and_then(|at| self.health.get_mut(*at)) {
                health.resume_quorum(held);
            }
        }
        self.said = words.into_iter().filter_map(|(id, word)| Some((Arc::new(id), word.up?))).collect();
    }

    async fn configure(&mut self, myself: &ActorRef<RootMsg>, replaces: bool) {
        let servers = self.balancer.init_notifies && !replaces;
        let mut told = Vec::new();
        for health in &mut self.health {
            let notices = health.start();
            log(&notices);
            told.extend(health.start_told(&notices, servers));
        }
        self.post(&told);
        self.configured = true;
        self.start(myself, KEEPER).await;
        self.start(myself, PROBER).await;
    }

    fn index(&mut self) {
        self.places = self.health.iter().enumerate().map(|(at, health)| (health.settings().name(), at)).collect();
    }

    /// Starts an actor and tells it all that it must know.
    async fn start(&mut self, myself: &ActorRef<RootMsg>, name: &str) {
        let spawned = match name {
            KEEPER => {
                // Only the first one may empty the table: later ones find their own.
                let flush = self.balancer.flush && std::mem::replace(&mut self.balancer.flush, false);
                let arguments = keeper::Arguments { ways: self.ways.clone(), flush };
                Actor::spawn_linked(Some(name.to_owned()), Keeper, arguments, myself.get_cell()).await.map(|(actor, _)| actor.get_cell())
            }
            _ => {
                let arguments =
                    prober::Arguments { root: myself.clone(), trust: self.trust.clone(), warn_days: self.balancer.tls.warn_days };
                Actor::spawn_linked(Some(name.to_owned()), Prober, arguments, myself.get_cell()).await.map(|(actor, _)| actor.get_cell())
            }
        };
        match spawned {
            Ok(actor) => self.restarts.started(name, &actor, Instant::now()),
            Err(error) => {
                let restart = self.restarts.not_started(name, &error.to_string(), Instant::now());
                tracing::error!("{restart}");
                let name = restart.name;
                myself.send_after(restart.after, move || RootMsg::Restart(name));
                return;
            }
        }
        if name == KEEPER {
            tell(KEEPER, keeper::Msg::Timeouts(self.balancer.timeouts));
            tell(KEEPER, keeper::Msg::Replace(self.table()));
            self.mark();
            self.synchronise();
            tell(KEEPER, keeper::Msg::Tell(myself.clone()));
        } else {
            tell(PROBER, prober::Msg::Watch(Concerned::All, watches::all(&self.balancer, &self.said)));
        }
    }

    fn table(&self) -> Table {
        self.health.iter().flat_map(desired).collect()
    }

    /// What did not change is not looked at.
    fn reload(&mut self, changes: Changes) -> Result<(), ActorProcessingErr> {
        tracing::info!("Reinitializing ipvs");
        let (mut balancer, origins) = changes.applied_to(&self.balancer).ok_or("changes of another configuration than the running one")?;
        balancer.share_settings();
        let old = std::mem::replace(&mut self.balancer, balancer);
        self.carry_over(&old);
        let (changed, gone) = self.take_up(&origins);
        if old.tls_files != self.balancer.tls_files || old.tls.warn_days != self.balancer.tls.warn_days {
            self.trust = trust(&self.balancer);
            tell(PROBER, prober::Msg::Trust(self.trust.clone(), self.balancer.tls.warn_days));
        }
        if old.timeouts != self.balancer.timeouts {
            tell(KEEPER, keeper::Msg::Timeouts(self.balancer.timeouts));
        }
        tell(KEEPER, keeper::Msg::Reload { changed, gone });
        self.mark();
        if old.sync != self.balancer.sync {
            self.synchronise();
        }
        if let Some((concerned, watches)) = watches::changed(&old, &self.balancer, &origins, &self.said) {
            tell(PROBER, prober::Msg::Watch(concerned, watches));
            self.follow_all();
        }
        Ok(())
    }

    /// Health for the servers of a reload: what the table should hold of those that changed, and what should not be in it any more.
    fn take_up(&mut self, origins: &[Origin]) -> (Table, Vec<ServiceKey>) {
        let mut old: Vec<Option<Health>> = std::mem::take(&mut self.health).into_iter().map(Some).collect();
        let mut take = |place: usize| old.get_mut(place).and_then(Option::take);
        let kept: Vec<Option<Health>> =
            origins.iter().map(|origin| if let Origin::Kept(place) = origin { take(*place) } else { None }).collect();
        let (mut changed, mut gone) = (Table::new(), Vec::new());
        for (server, health) in self.balancer.servers.clone().iter().zip(kept) {
            let health = health.unwrap_or_else(|| {
                let before = self.places.get(&server.name()).and_then(|place| take(*place));
                gone.extend(before.iter().flat_map(|before| keys(before.settings())));
                let health = self.changed(server, before);
                changed.extend(desired(&health));
                health
            });
            self.health.push(health);
        }
        for health in old.iter().flatten() {
            let (notices, quorum) = health.removed();
            self.say(&notices);
            self.post(quorum.as_slice());
            gone.extend(keys(health.settings()));
        }
        gone.retain(|key| !changed.contains_key(key));
        self.index();
        (changed, gone)
    }

    /// A server that is new, or other than before.
    fn changed(&mut self, server: &Arc<VirtualServer>, before: Option<Health>) -> Health {
        if let Some(mut health) = before {
            self.say(&health.reloaded(server.clone()));
            return health;
        }
        let mut health = Health::new(server.clone());
        let notices = health.start();
        log(&notices);
        self.post(&health.start_told(&notices, false));
        health
    }

    /// What was said of checkers that go on counts under their new places; of others it counts no more.
    fn carry_over(&mut self, old: &Balancer) {
        if !self.said.is_empty() {
            let carried = Carried::between(old, &self.balancer);
            let said = std::mem::take(&mut self.said).into_iter();
            self.said = said.filter_map(|(id, up)| Some((Arc::new(carried.place(&id)?), up))).collect();
        }
    }

    /// What nftables marks follows the services that the marks are for.
    fn mark(&self) {
        let firewall = self.balancer.marking.as_ref().map(|marking| marking.firewall.clone());
        tell(KEEPER, keeper::Msg::Mark(firewall, marked(&self.balancer.servers)));
    }

    /// The sync daemon follows its VRRP instance; without one both halves run.
    fn synchronise(&self) {
        let (daemon, modes) = match &self.balancer.sync {
            None => (None, Vec::new()),
            Some((daemon, None)) => (Some(daemon.clone()), vec![Mode::Master, Mode::Backup]),
            Some((daemon, Some(instance))) => {
                let mode = if self.masters.contains(instance) { Mode::Master } else { Mode::Backup };
                (Some(daemon.clone()), vec![mode])
            }
        };
        tell(KEEPER, keeper::Msg::Sync(daemon, modes));
    }

    async fn stop(&mut self, myself: &ActorRef<RootMsg>, clear: bool) {
        if self.configured {
            tracing::info!("Stopping");
        }
        if clear {
            let flush = self.balancer.flush_on_stop;
            for health in &self.health {
                let mut words = health.last_words();
                if flush == FlushOnStop::Not {
                    log(&health.stop());
                } else {
                    words.retain(|notice| matches!(notice, Notice::Quorum { .. }));
                }
                self.post(&words);
            }
            if let Some(keeper) = crate::actor::current::<keeper::Msg>(KEEPER) {
                let whole = flush == FlushOnStop::Everything;
                if let Err(error) = call_t!(keeper, |reply| keeper::Msg::Clear(whole, reply), STOP_PATIENCE_MS) {
                    tracing::error!("the IPVS table could not be cleared: {error}");
                }
            }
        }
        self.end(myself);
    }

    fn end(&mut self, myself: &ActorRef<RootMsg>) {
        self.restarts.forget(KEEPER);
        self.restarts.forget(PROBER);
        self.outbox.post(&FromChecker::Stopped);
        myself.stop(None);
    }
}

/// When Keeper and Prober are done with a configuration.
fn give_back_soon(myself: &ActorRef<RootMsg>) {
    myself.send_after(Duration::from_secs(2), || RootMsg::GiveBack);
}

/// TLS is set up when a check speaks it.
fn trust(balancer: &Balancer) -> Option<Arc<Trust>> {
    match Trust::new(&balancer.tls_files) {
        Ok(trust) => Some(Arc::new(trust)),
        Err(error) => {
            tracing::error!("{error}");
            None
        }
    }
}
