//! Keeps the kernel's table what it should be.

use crate::ipvs::wire::{Info, Mode};
use crate::ipvs::{IpvsError, Socket};
use crate::lvs::marks::Marked;
use crate::lvs::plan::{Change, apply, plan};
use crate::lvs::settings::{SyncDaemon, Timeouts};
use crate::lvs::table::{Destination, DestinationKey, Entry, ServiceKey, Table};
use crate::net::nftables::marks::Marker;
use crate::net::nftables::{Firewall, NftError};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often others' changes are looked for.
const AUDIT: Duration = Duration::from_secs(1);
/// Services whose destinations are read at one look: a large table is looked through in turns.
const AUDITED: usize = 64;
/// How often a kernel without IPVS is asked again.
const RETRY: Duration = Duration::from_secs(5);
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
    Put(Table),
    /// Connection timeouts.
    Timeouts(Timeouts),
    /// nftables marks this, in the table of that name; nothing without one.
    Mark(Option<Firewall>, BTreeSet<Marked>),
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
    /// The socket, when it is open already.
    pub(super) socket: Option<Socket>,
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
    /// Destinations that the kernel will not have (a link-local one, say): told once, not tried every second.
    hopeless: BTreeMap<(ServiceKey, DestinationKey), Destination>,
    flush: bool,
    next_audited: usize,
    timeouts: Option<Timeouts>,
    sync: (Option<SyncDaemon>, Vec<Mode>),
    running: Vec<Mode>,
    told: Option<String>,
    marker: Option<Marker>,
    /// The kernel acknowledges and shows nothing: what it shows is no reason to change anything.
    blind: bool,
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
            hopeless: BTreeMap::new(),
            flush: arguments.flush,
            next_audited: 0,
            timeouts: None,
            sync: (None, Vec::new()),
            running: Vec::new(),
            told: None,
            marker: None,
            blind: false,
        };
        state.open(arguments.socket);
        myself.send_interval(AUDIT, || Msg::Audit);
        myself.send_interval(RETRY, || Msg::Open);
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Replace { desired, done } => {
                // What was ours before is known; only what is new may hold leftovers of somebody before us.
                let unknown: BTreeSet<ServiceKey> = desired.keys().filter(|key| !state.ours.contains(*key)).copied().collect();
                state.ours.extend(&unknown);
                state.desired = desired;
                state.hopeless.clear();
                state.learn(&unknown);
                state.converge(None).await;
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Msg::Put(part) => {
                let keys: Vec<ServiceKey> = part.keys().copied().collect();
                state.ours.extend(&keys);
                state.desired.extend(part);
                state.converge(Some(keys)).await;
            }
            Msg::Timeouts(timeouts) => {
                state.timeouts = Some(timeouts);
                state.settings();
            }
            Msg::Mark(firewall, wanted) => state.mark(firewall, &wanted),
            Msg::Sync(daemon, modes) => {
                state.sync = (daemon, modes);
                state.synchronise();
            }
            Msg::Audit => state.audit().await,
            Msg::Open => {
                if state.socket.is_none() {
                    state.open(None);
                    if state.socket.is_some() {
                        state.learn(&state.ours.clone());
                        state.settings();
                        state.synchronise();
                        state.converge(None).await;
                    }
                }
            }
            Msg::Clear(whole, done) => {
                state.clear(whole).await;
                let _ = done.send(());
            }
        }
        Ok(())
    }
}

impl State {
    /// Takes up the socket that is `ready`, or opens one.
    fn open(&mut self, ready: Option<Socket>) {
        match ready.map_or_else(Socket::open, Ok) {
            Ok(socket) => {
                let Info { version: (major, minor, patch), buckets } = socket.info();
                tracing::debug!("IPVS {major}.{minor}.{patch}, {buckets} buckets for connections");
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
        if keys.is_empty() || self.blind {
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
        self.carry_out(&changes).await;
        if only.is_none() && changes.iter().any(|change| matches!(change, Change::AddService(..))) {
            self.look_once();
        }
    }

    /// Whether the kernel shows at least something of what it has just acknowledged. One that does not (an emulation, a
    /// filter in between) would have everything put back every second.
    fn look_once(&mut self) {
        let Some(services) = self.attempt(Socket::services) else { return };
        let blind = services.is_empty() && !self.actual.is_empty();
        if blind && !self.blind {
            tracing::warn!(
                "IPVS shows an empty table after it acknowledged {} services: changes by others cannot be seen",
                self.actual.len()
            );
        }
        self.blind = blind;
    }

    async fn carry_out(&mut self, changes: &[Change]) {
        let changes: Vec<Change> = changes.iter().filter(|change| !self.is_hopeless(change)).cloned().collect();
        for slice in changes.chunks(SLICE) {
            let Some(refused) = self.attempt(|socket| socket.apply(slice)) else { return };
            for (at, change) in slice.iter().enumerate() {
                match refused.iter().find(|(place, _)| *place == at) {
                    None => apply(&mut self.actual, change),
                    Some((_, errno)) => self.refused(change, *errno),
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// The kernel would not: either our picture of it is old, which the next look mends, or the order makes no sense.
    fn refused(&mut self, change: &Change, errno: i32) {
        let text = crate::ipvs::explain(errno);
        match change {
            Change::AddService(key, _) | Change::EditService(key, _) | Change::RemoveService(key) => {
                tracing::error!("IPVS error: {text} ({key})");
            }
            Change::AddDestination(key, (address, port), _)
            | Change::EditDestination(key, (address, port), _)
            | Change::RemoveDestination(key, (address, port)) => {
                tracing::error!("IPVS error: {text} ({key} -> {address}:{port})");
                if let (Change::AddDestination(_, place, what), libc::EINVAL) = (change, errno) {
                    self.hopeless.insert((*key, *place), *what);
                }
            }
        }
    }

    fn is_hopeless(&self, change: &Change) -> bool {
        match change {
            Change::AddDestination(key, place, what) => self.hopeless.get(&(*key, *place)) == Some(what),
            Change::AddService(..)
            | Change::EditService(..)
            | Change::RemoveService(_)
            | Change::EditDestination(..)
            | Change::RemoveDestination(..) => false,
        }
    }

    /// Looks for what others changed, and puts it right: at all services, and at the destinations of some of them.
    async fn audit(&mut self) {
        if self.blind {
            return;
        }
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
        repairs.retain(|change| !self.is_hopeless(change));
        for change in &repairs {
            tracing::warn!("IPVS: somebody else changed the table: {}", describe(change));
        }
        self.carry_out(&repairs).await;
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

    fn mark(&mut self, firewall: Option<Firewall>, wanted: &BTreeSet<Marked>) {
        if let Err(error) = self.marks(firewall, wanted) {
            tracing::error!("{error}; what is sent to virtual server groups reaches no server");
        }
    }

    /// Has `wanted` marked in the tables of this name; tables that had another name before go.
    fn marks(&mut self, firewall: Option<Firewall>, wanted: &BTreeSet<Marked>) -> Result<(), NftError> {
        if self.marker.as_ref().map(Marker::settings) != firewall.as_ref()
            && let Some(mut before) = self.marker.take()
        {
            before.set(&BTreeSet::new())?;
        }
        let Some(firewall) = firewall else { return Ok(()) };
        let marker = match &mut self.marker {
            Some(marker) => marker,
            none => none.insert(Marker::open(&firewall)?),
        };
        marker.set(wanted)
    }

    async fn clear(&mut self, whole: bool) {
        self.mark(None, &BTreeSet::new());
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
