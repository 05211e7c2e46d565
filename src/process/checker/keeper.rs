//! Keeps the kernel's table what it should be.

mod audit;
mod converge;
mod leaving;
mod refused;

use super::Ways;
use super::root::RootMsg;
use crate::ipvs::wire::{Info, Mode};
use crate::ipvs::{IpvsError, Socket, Way};
use crate::lvs::marks::Marked;
use crate::lvs::settings::{SyncDaemon, Timeouts};
use crate::lvs::table::{DestinationKey, Entry, ServiceKey, Table};
use crate::net::nftables::marks::Marker;
use crate::net::nftables::{Firewall, NftError};
use audit::Rounds;
use leaving::Leaving;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use refused::Refused;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How often a kernel without IPVS is asked again.
const RETRY: Duration = Duration::from_secs(5);
/// After so many of these looks what the kernel refused is tried again.
const LOOKS: u32 = 6;

/// To the keeper.
#[derive(Debug)]
pub(super) enum Msg {
    /// The whole table is to be this; what was ours and is not in it goes.
    Replace(Table),
    /// These services are to be so; others stay as they are.
    Put {
        /// What should be there.
        part: Table,
        /// Destinations that are down: they go at once.
        dead: BTreeSet<(ServiceKey, DestinationKey)>,
    },
    /// A look at who is leaving.
    Leave,
    /// The same after a reload, and these services are to go.
    Reload {
        /// What should be there of what changed.
        changed: Table,
        /// What should not any more.
        gone: Vec<ServiceKey>,
    },
    /// Connection timeouts; nothing is the kernel's own.
    Timeouts(Option<Timeouts>),
    /// nftables marks this, in the table of that name; nothing without one.
    Mark(Option<Firewall>, BTreeSet<Marked>),
    /// Which halves of connection synchronisation run.
    Sync(Option<SyncDaemon>, Vec<Mode>),
    /// All that was said before is done: the root is told so.
    Tell(ActorRef<RootMsg>),
    /// A look at the kernel's table.
    Audit,
    /// Try again to reach IPVS.
    Open,
    /// Everything that is ours goes (or, with `true`, the whole table); answered when it has.
    Clear(bool, RpcReplyPort<()>),
}

pub(super) struct Keeper;

pub(super) struct Arguments {
    /// The ways to the kernel that are open already.
    pub(super) ways: Ways,
    /// Empty the table first (`lvs_flush`).
    pub(super) flush: bool,
}

pub(super) struct State {
    ways: Ways,
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
    rounds: Rounds,
    timeouts: Option<Timeouts>,
    /// The kernel's, from before ours.
    timeouts_before: Option<Timeouts>,
    sync: (Option<SyncDaemon>, Vec<Mode>),
    running: Vec<(Mode, SyncDaemon)>,
    told: Option<String>,
    marker: Option<Marker>,
    /// Whether the kernel shows what it acknowledges; nobody knows before the first addition. What a kernel shows that does not
    /// (an emulation, a filter in between) is no reason to change anything.
    shows: Option<bool>,
}

impl Actor for Keeper {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        let mut state = State::new(arguments);
        state.open();
        myself.send_interval(audit::PERIOD, || Msg::Audit);
        myself.send_interval(RETRY, || Msg::Open);
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Replace(desired) => state.replace(desired).await,
            Msg::Put { part, dead } => {
                state.dead = dead;
                state.put(part, Vec::new()).await;
                state.dead.clear();
            }
            Msg::Leave => {
                state.looks_again = false;
                state.leave();
            }
            Msg::Reload { changed, gone } => {
                // What the kernel would not have may be another thing now.
                state.refused.forget(|key| changed.contains_key(key));
                state.put(changed, gone).await;
            }
            Msg::Timeouts(timeouts) => {
                state.timeouts = timeouts;
                state.settings();
            }
            Msg::Mark(firewall, wanted) => state.mark(firewall, &wanted),
            Msg::Sync(daemon, modes) => {
                state.sync = (daemon, modes);
                state.synchronise();
            }
            Msg::Tell(root) => _ = root.cast(RootMsg::TableStands),
            Msg::Audit => state.audit().await,
            Msg::Open => {
                if state.socket.is_none() {
                    state.open();
                    if state.socket.is_some() {
                        state.learn(&state.ours.clone());
                        state.settings();
                        state.synchronise();
                        state.converge(state.all()).await;
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
    fn new(arguments: Arguments) -> Self {
        Self {
            ways: arguments.ways,
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
            rounds: Rounds::default(),
            timeouts: None,
            timeouts_before: None,
            sync: (None, Vec::new()),
            running: Vec::new(),
            told: None,
            marker: None,
            shows: None,
        }
    }

    fn open(&mut self) {
        let way = self.ways.balancer.clone().map_or_else(Way::open, Ok);
        match way.and_then(Socket::over) {
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
        if keys.is_empty() || self.shows == Some(false) {
            return;
        }
        let read = self.attempt(|socket| {
            let mut found = Vec::new();
            socket.services(|key, service| {
                if keys.contains(&key) {
                    found.push((key, service));
                }
            })?;
            let entry = |(key, service)| Ok((key, Arc::new(Entry { service, destinations: socket.destinations(&key)? })));
            found.into_iter().map(entry).collect::<Result<Table, IpvsError>>()
        });
        if let Some(table) = read {
            if !table.is_empty() {
                self.shows = Some(true);
            }
            self.actual.retain(|key, _| !keys.contains(key));
            self.actual.extend(table);
        }
    }

    /// What was refused may be had by now.
    async fn try_again(&mut self) {
        self.looks = (self.looks + 1) % LOOKS;
        // Out of reach, the kernel refuses nothing, and accepts nothing.
        if self.looks != 0 || self.socket.is_none() {
            return;
        }
        let services = self.refused.try_again();
        if services.is_empty() {
            return;
        }
        self.converge(services).await;
        if self.socket.is_none() {
            return;
        }
        for change in self.refused.accepted() {
            tracing::info!("IPVS: {} is accepted now", change.service());
        }
    }

    fn settings(&mut self) {
        if self.timeouts.is_some() && self.timeouts_before.is_none() {
            self.timeouts_before = self.attempt(Socket::timeouts);
        }
        let Some(before) = self.timeouts_before else { return };
        let wanted = self.timeouts.unwrap_or_default().or(before);
        self.attempt(|socket| socket.set_timeouts(wanted));
        if self.timeouts.is_none() {
            self.timeouts_before = None;
        }
    }

    /// Starts and stops the halves of connection synchronisation; the one that must not run stops first.
    fn synchronise(&mut self) {
        let (daemon, wanted) = self.sync.clone();
        for (mode, settings) in std::mem::take(&mut self.running) {
            if wanted.contains(&mode) && daemon.as_ref() == Some(&settings) {
                self.running.push((mode, settings));
            } else {
                self.attempt(|socket| socket.stop_daemon(mode));
            }
        }
        let Some(daemon) = daemon else { return };
        for mode in wanted {
            if self.running.iter().all(|(running, _)| *running != mode) {
                // One left over by a predecessor has other settings perhaps.
                self.attempt(|socket| socket.stop_daemon(mode));
                if self.attempt(|socket| socket.start_daemon(mode, &daemon)).is_some() {
                    self.running.push((mode, daemon.clone()));
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
            none => none.insert(match &self.ways.firewall {
                Some(way) => Marker::over(way.clone(), &firewall),
                None => Marker::open(&firewall)?,
            }),
        };
        marker.set(wanted)
    }

    async fn clear(&mut self, whole: bool) {
        self.mark(None, &BTreeSet::new());
        self.sync.1.clear();
        self.synchronise();
        self.timeouts = None;
        self.settings();
        self.desired.clear();
        if whole {
            self.attempt(Socket::flush);
            return;
        }
        // What is there is known: reading it all again would take longer than removing it.
        self.converge(self.all()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::plan::Change;
    use crate::lvs::settings::Protocol;

    #[tokio::test]
    async fn a_kernel_out_of_reach_has_not_accepted_what_it_refused() {
        let mut state = State::new(Arguments { ways: Ways::default(), flush: false });
        let key = ServiceKey::Socket(Protocol::Tcp, [127, 0, 0, 1].into(), 80);
        let service = crate::lvs::table::Service { scheduler: "twos".to_owned(), flags: 0, timeout: 0, granularity: 32, engine: None };
        let change = Change::AddService(key, service);
        assert!(state.refused.note(&change, libc::ENOENT).is_some());
        for _ in 0..LOOKS {
            state.try_again().await;
        }
        assert!(state.refused.holds(&change), "it is known still, and told no second time");
    }
}
