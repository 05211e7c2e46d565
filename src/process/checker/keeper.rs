//! Keeps the kernel's table what it should be.

mod leaving;
mod refused;

use crate::ipvs::wire::Mode;
use crate::ipvs::{IpvsError, Socket};
use crate::lvs::plan::{Change, apply, plan};
use crate::lvs::settings::{SyncDaemon, Timeouts};
use crate::lvs::table::{DestinationKey, Entry, ServiceKey, Table};
use leaving::Leaving;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use refused::Refused;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often others' changes are looked for.
const AUDIT: Duration = Duration::from_secs(1);
/// Services whose destinations are read at one look: a large table is looked through in turns.
const AUDITED: usize = 64;
/// How often a kernel without IPVS is asked again.
const RETRY: Duration = Duration::from_secs(5);
/// After so many of these looks what the kernel refused is tried again.
const LOOKS: u32 = 6;
/// Changes between two breaths: other actors must get their turn.
const SLICE: usize = 512;

/// To the keeper.
#[derive(Debug)]
pub(super) enum Msg {
    /// The whole table is to be this; what was ours and is not in it goes.
    Replace {
        /// What should be there.
        desired: Table,
        /// Asked once it is.
        done: Option<RpcReplyPort<()>>,
    },
    /// These services are to be so; others stay as they are.
    Put {
        /// What should be there.
        part: Table,
        /// Destinations that are down: they go at once.
        dead: BTreeSet<(ServiceKey, DestinationKey)>,
    },
    /// A look at who is leaving.
    Leave,
    /// Connection timeouts.
    Timeouts(Timeouts),
    /// Which halves of connection synchronisation run.
    Sync(Option<SyncDaemon>, Vec<Mode>),
    /// A look at the kernel's table.
    Audit,
    /// Try again to reach IPVS.
    Open,
    /// Everything that is ours goes (or, with `true`, the whole table); answered when it has.
    Clear(bool, RpcReplyPort<()>),
}

pub(super) struct Keeper;

pub(super) struct Arguments {
    /// Empty the table first (`lvs_flush`).
    pub(super) flush: bool,
}

pub(super) struct State {
    socket: Option<Socket>,
    desired: Table,
    /// What we know of the kernel's: of our services alone.
    actual: Table,
    /// Everything that we ever asked for.
    ours: BTreeSet<ServiceKey>,
    /// What the kernel will not have: a link-local destination, say, or a scheduler that it lacks.
    refused: Refused,
    looks: u32,
    /// Who may go when its connections are over.
    leaving: Leaving,
    looks_again: bool,
    /// Who goes at once in the change that is being made.
    dead: BTreeSet<(ServiceKey, DestinationKey)>,
    flush: bool,
    next_audited: usize,
    timeouts: Option<Timeouts>,
    sync: (Option<SyncDaemon>, Vec<Mode>),
    running: Vec<Mode>,
    told: Option<String>,
}

impl Actor for Keeper {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        let mut state = State {
            socket: None,
            desired: Table::new(),
            actual: Table::new(),
            ours: BTreeSet::new(),
            refused: Refused::default(),
            looks: 0,
            leaving: Leaving::default(),
            looks_again: false,
            dead: BTreeSet::new(),
            flush: arguments.flush,
            next_audited: 0,
            timeouts: None,
            sync: (None, Vec::new()),
            running: Vec::new(),
            told: None,
        };
        state.open();
        myself.send_interval(AUDIT, || Msg::Audit);
        myself.send_interval(RETRY, || Msg::Open);
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Replace { desired, done } => {
                // What was ours before is known; only what is new may hold leftovers of somebody before us.
                let unknown: BTreeSet<ServiceKey> = desired.keys().filter(|key| !state.ours.contains(*key)).copied().collect();
                state.ours.extend(&unknown);
                state.desired = desired;
                state.refused.forget();
                state.learn(&unknown);
                state.converge(None).await;
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Msg::Put { part, dead } => {
                let keys: Vec<ServiceKey> = part.keys().copied().collect();
                state.ours.extend(&keys);
                state.desired.extend(part);
                state.dead = dead;
                state.converge(Some(keys)).await;
                state.dead.clear();
            }
            Msg::Leave => {
                state.looks_again = false;
                state.leave();
            }
            Msg::Timeouts(timeouts) => {
                state.timeouts = Some(timeouts);
                state.settings();
            }
            Msg::Sync(daemon, modes) => {
                state.sync = (daemon, modes);
                state.synchronise();
            }
            Msg::Audit => state.audit().await,
            Msg::Open => {
                if state.socket.is_none() {
                    state.open();
                    if state.socket.is_some() {
                        state.learn(&state.ours.clone());
                        state.settings();
                        state.synchronise();
                        state.converge(None).await;
                    }
                }
                state.try_again().await;
            }
            Msg::Clear(whole, done) => {
                state.clear(whole).await;
                let _ = done.send(());
            }
        }
        if !state.leaving.is_empty() && !std::mem::replace(&mut state.looks_again, true) {
            myself.send_after(leaving::LOOK, || Msg::Leave);
        }
        Ok(())
    }
}

impl State {
    fn open(&mut self) {
        match Socket::open() {
            Ok(socket) => {
                self.socket = Some(socket);
                self.told = None;
                if std::mem::take(&mut self.flush) {
                    self.attempt(Socket::flush);
                }
            }
            Err(error) => self.tell(&error),
        }
    }

    /// The same trouble is told once, until it is over.
    fn tell(&mut self, error: &IpvsError) {
        let text = error.to_string();
        if self.told.as_ref() != Some(&text) {
            tracing::error!("IPVS: {text}");
            self.told = Some(text);
        }
    }

    /// Something with the socket; a broken one is opened anew later.
    fn attempt<T>(&mut self, what: impl FnOnce(&mut Socket) -> Result<T, IpvsError>) -> Option<T> {
        let socket = self.socket.as_mut()?;
        match what(socket) {
            Ok(value) => {
                self.told = None;
                Some(value)
            }
            Err(error) => {
                if matches!(error, IpvsError::Socket(_) | IpvsError::Silent | IpvsError::Wire(_)) {
                    self.socket = None;
                }
                self.tell(&error);
                None
            }
        }
    }

    /// Reads these services of the kernel's table.
    fn learn(&mut self, keys: &BTreeSet<ServiceKey>) {
        if keys.is_empty() {
            return;
        }
        let read = self.attempt(|socket| {
            let mut table = Table::new();
            for (key, service) in socket.services()? {
                if keys.contains(&key) {
                    let destinations = socket.destinations(&key)?;
                    table.insert(key, Entry { service, destinations });
                }
            }
            Ok(table)
        });
        if let Some(table) = read {
            self.actual.retain(|key, _| !keys.contains(key));
            self.actual.extend(table);
        }
    }

    /// Makes the kernel's table what it should be: all of it, or these services.
    async fn converge(&mut self, only: Option<Vec<ServiceKey>>) {
        let changes = match &only {
            None => plan(&self.desired, &self.actual, &self.ours),
            Some(keys) => {
                let part = |table: &Table| keys.iter().filter_map(|key| Some((*key, table.get(key)?.clone()))).collect::<Table>();
                plan(&part(&self.desired), &part(&self.actual), &self.ours)
            }
        };
        self.carry_out(changes).await;
    }

    async fn carry_out(&mut self, mut changes: Vec<Change>) {
        changes.retain(|change| !self.refused.holds(change));
        let changes = self.leaving.instead(Instant::now(), changes, &self.actual, &self.dead);
        if !changes.is_empty() {
            tracing::debug!("IPVS: {} changes of the table", changes.len());
        }
        for slice in changes.chunks(SLICE) {
            if !self.make(slice) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Some changes at once; whether the kernel could be asked.
    fn make(&mut self, changes: &[Change]) -> bool {
        let Some(refused) = self.attempt(|socket| socket.apply(changes)) else { return false };
        for (at, change) in changes.iter().enumerate() {
            match refused.iter().find(|(place, _)| *place == at) {
                None => apply(&mut self.actual, change),
                Some((_, errno)) => {
                    if let Some(told) = self.refused.note(change, *errno) {
                        tracing::error!("{told}");
                    }
                }
            }
        }
        true
    }

    /// Takes those out whose last connections are over.
    fn leave(&mut self) {
        for service in self.leaving.services() {
            let Some(connections) = self.attempt(|socket| socket.connections(&service)) else { return };
            let wanted = |key: &DestinationKey| self.desired.get(&service).is_some_and(|entry| entry.destinations.contains_key(key));
            let changes = self.leaving.go(Instant::now(), service, &connections, wanted);
            self.make(&changes);
        }
    }

    /// What was refused may be had by now.
    async fn try_again(&mut self) {
        self.looks = (self.looks + 1) % LOOKS;
        if self.looks != 0 {
            return;
        }
        let services = self.refused.try_again();
        if services.is_empty() {
            return;
        }
        self.converge(Some(services)).await;
        for change in self.refused.accepted() {
            tracing::info!("IPVS: {} is accepted now", change.service());
        }
    }

    /// Looks for what others changed, and puts it right: at all services, and at the destinations of some of them.
    async fn audit(&mut self) {
        let Some(services) = self.attempt(Socket::services) else { return };
        let found: BTreeMap<_, _> = services.into_iter().filter(|(key, _)| self.desired.contains_key(key)).collect();
        self.actual.retain(|key, _| found.contains_key(key) || !self.desired.contains_key(key));
        let turn: Vec<ServiceKey> = {
            let start = if self.next_audited < found.len() { self.next_audited } else { 0 };
            self.next_audited = start + AUDITED;
            found.keys().skip(start).take(AUDITED).copied().collect()
        };
        let mut suspects: BTreeSet<ServiceKey> = turn.iter().copied().collect();
        suspects.extend(self.desired.keys().filter(|key| !found.contains_key(*key)));
        for (key, service) in found {
            let entry = self.actual.entry(key).or_insert_with(|| Entry { service: service.clone(), destinations: BTreeMap::new() });
            if entry.service != service {
                entry.service = service;
                suspects.insert(key);
            }
        }
        for key in turn {
            let Some(destinations) = self.attempt(|socket| socket.destinations(&key)) else { return };
            if let Some(entry) = self.actual.get_mut(&key) {
                entry.destinations = destinations;
            }
        }
        let part = |table: &Table| suspects.iter().filter_map(|key| Some((*key, table.get(key)?.clone()))).collect::<Table>();
        let mut repairs = plan(&part(&self.desired), &part(&self.actual), &BTreeSet::new());
        repairs.retain(|change| !self.refused.holds(change) && !self.leaving.holds(change));
        for change in &repairs {
            tracing::warn!("IPVS: somebody else changed the table: {}", describe(change));
        }
        self.carry_out(repairs).await;
    }

    fn settings(&mut self) {
        if let Some(timeouts) = self.timeouts {
            self.attempt(|socket| socket.set_timeouts(timeouts));
        }
    }

    /// Starts and stops the halves of connection synchronisation; the one that must not run stops first.
    fn synchronise(&mut self) {
        let (daemon, wanted) = self.sync.clone();
        for mode in std::mem::take(&mut self.running) {
            if wanted.contains(&mode) && daemon.is_some() {
                self.running.push(mode);
            } else {
                self.attempt(|socket| socket.stop_daemon(mode));
            }
        }
        let Some(daemon) = daemon else { return };
        for mode in wanted {
            if !self.running.contains(&mode) {
                // One left over by a predecessor has other settings perhaps.
                self.attempt(|socket| socket.stop_daemon(mode));
                if self.attempt(|socket| socket.start_daemon(mode, &daemon)).is_some() {
                    self.running.push(mode);
                }
            }
        }
    }

    async fn clear(&mut self, whole: bool) {
        self.sync.1.clear();
        self.synchronise();
        self.desired.clear();
        if whole {
            self.attempt(Socket::flush);
            return;
        }
        self.learn(&self.ours.clone());
        self.converge(None).await;
    }
}

fn describe(change: &Change) -> String {
    match change {
        Change::AddService(key, _) => format!("{key} was removed, it is put back"),
        Change::EditService(key, _) => format!("{key} was changed, it is set right"),
        Change::RemoveService(key) => format!("{key} was added, it is removed"),
        Change::AddDestination(key, (address, port), _) => format!("{key} -> [{address}]:{port} was removed, it is put back"),
        Change::EditDestination(key, (address, port), _) => format!("{key} -> [{address}]:{port} was changed, it is set right"),
        Change::RemoveDestination(key, (address, port)) => format!("{key} -> [{address}]:{port} was added, it is removed"),
    }
}
