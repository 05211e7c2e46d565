//! The child's root actor: builds the others, rebuilds what fails, and speaks with the supervisor.

use super::announcer::Announcer;
use super::deadlines::Haste;
use super::dump::{self, Section};
use super::groups::Groups;
use super::instance::{InstanceArguments, Living};
use super::keeper::Keeper;
use super::listener::{Listener, ListenerArguments};
use super::messages::{GroupsMsg, InstanceId, InstanceMsg, KeeperMsg, Leaving, ListenerMsg, Member, RootMsg, Service, WatcherMsg};
use super::shared::{Shared, lock};
use super::sockets::Sockets;
use super::stage::Stage;
use super::timekeeper::Timekeeper;
use super::watcher::{Watcher, WatcherArguments};
use crate::actor::{Backoff, Restart, Restarts};
use crate::config::model::{VrrpChanges, VrrpConfig, VrrpGlobal, Watched};
use crate::ipc::Outbox;
use crate::ipc::messages::{Dump, FromVrrp, ToVrrp};
use crate::process::rooted::Heard;
use crate::report::Tracking;
use crate::sys::{clock, tuning};
use crate::types::Instant;
use crate::vrrp::event::Snapshot;
use crate::vrrp::settings::{GroupSettings, Settings};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Longest time without a heartbeat from the supervisor that goes without saying.
const SUPERVISOR_SILENCE: Duration = Duration::from_secs(5);

pub(super) struct Root;

pub(super) struct RootArguments {
    pub(super) outbox: Outbox<FromVrrp>,
    /// `-a`: every address that the kernel reports is logged.
    pub(super) address_monitoring: bool,
}

pub(super) struct Reign {
    outbox: Outbox<FromVrrp>,
    shared: Arc<Shared>,
    restarts: Restarts,
    global: VrrpGlobal,
    keep_addresses: bool,
    address_monitoring: bool,
    not_before: Option<Instant>,
    next_id: u32,
    names: HashMap<String, InstanceId>,
    records: BTreeMap<InstanceId, Record>,
    groups: Vec<Arc<GroupSettings>>,
    watched: Watched,
    known: Vec<(String, bool)>,
    prepared: Option<(u64, Box<VrrpChanges>)>,
    dumps: Vec<Collecting>,
    running_said: bool,
    last_ping: Option<Instant>,
    supervisor_silent: bool,
    phase: Phase,
}

/// What Root knows of an instance.
struct Record {
    settings: Arc<Settings>,
    snapshot: Option<Snapshot>,
    /// A reload or the end of the process took it away.
    leaving: bool,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Unconfigured,
    Running,
    /// Instances withdraw.
    Withdrawing,
    /// The keeper carries out the last requests.
    Finishing,
}

/// A dump that waits for its instances.
struct Collecting {
    dump: Dump,
    missing: Vec<InstanceId>,
    sections: BTreeMap<InstanceId, Section>,
}

impl Member {
    fn name(self) -> String {
        match self {
            Self::Service(service) => format!("{service:?}"),
            Self::Instance(InstanceId(id)) => format!("instance {id}"),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let service = Service::ALL.into_iter().map(Self::Service).find(|member| member.name() == name);
        service.or_else(|| name.strip_prefix("instance ")?.parse().ok().map(|id| Self::Instance(InstanceId(id))))
    }
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = Reign;
    type Arguments = RootArguments;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, arguments: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        let shared = Arc::new(Shared::new()?);
        shared.root.set(myself);
        Ok(Reign {
            outbox: arguments.outbox,
            shared,
            restarts: Restarts::new(Backoff::actor()),
            global: VrrpGlobal::default(),
            keep_addresses: false,
            address_monitoring: arguments.address_monitoring,
            not_before: None,
            next_id: 0,
            names: HashMap::new(),
            records: BTreeMap::new(),
            groups: Vec::new(),
            watched: Watched::default(),
            known: Vec::new(),
            prepared: None,
            dumps: Vec::new(),
            running_said: false,
            last_ping: None,
            supervisor_silent: false,
            phase: Phase::Unconfigured,
        })
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Supervisor(Heard::Said(message)) => state.supervisor_said(&myself, message).await?,
            RootMsg::Supervisor(Heard::Gone) => {
                tracing::error!("the supervisor is gone: withdrawing");
                state.withdraw(&myself);
            }
            RootMsg::InstanceFailed { id, why } => {
                let name = Member::Instance(id).name();
                let restart = state.restarts.failed(&name, &why, std::time::Instant::now());
                tracing::error!("{restart}");
                again(&myself, &restart);
            }
            RootMsg::Rebuild(member) => state.build(&myself, member).await,
            RootMsg::Changed { id, snapshot } => state.changed(id, snapshot),
            RootMsg::Say(message) => state.outbox.post(&message),
            RootMsg::ListenForSupervisor => state.listen_for_supervisor(&myself),
            RootMsg::Stopped(id) => state.stopped(&myself, id),
            RootMsg::Described { id, section } => state.described(id, *section),
            #[cfg(test)]
            RootMsg::Panic(member) => state.make_panic(member),
            RootMsg::KeeperFinished => {
                state.outbox.post(&FromVrrp::Stopped);
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(restart) = state.restarts.ended(&event, std::time::Instant::now()) {
            tracing::error!("{restart}");
            again(&myself, &restart);
        }
        Ok(())
    }
}

/// Rebuilds after the back-off, at once the first time.
fn again(myself: &ActorRef<RootMsg>, restart: &Restart) {
    let Some(member) = Member::from_name(&restart.name) else { return };
    if restart.after.is_zero() {
        let _ = myself.cast(RootMsg::Rebuild(member));
    } else {
        myself.send_after(restart.after, move || RootMsg::Rebuild(member));
    }
}

impl Reign {
    async fn supervisor_said(&mut self, myself: &ActorRef<RootMsg>, message: ToVrrp) -> Result<(), ActorProcessingErr> {
        match message {
            ToVrrp::Configure { config, resume, known, replaces, keep_addresses } => {
                self.keep_addresses = keep_addresses;
                self.known = known;
                self.configure(myself, *config, resume, replaces).await;
            }
            ToVrrp::Prepare { generation, changes } => self.prepare(generation, changes),
            ToVrrp::Commit { generation } => self.commit(generation),
            ToVrrp::Abandon { generation } => {
                self.prepared.take_if(|(prepared, _)| *prepared == generation);
            }
            ToVrrp::ScriptEnded { name, outcome } => self.shared.watcher.cast(WatcherMsg::ScriptEnded { name, outcome }),
            ToVrrp::FileReads { name, value } => self.shared.watcher.cast(WatcherMsg::FileReads { name, value }),
            ToVrrp::ProcessCount { name, count } => self.shared.watcher.cast(WatcherMsg::ProcessCount { name, count }),
            ToVrrp::Ping(number) => self.pinged(myself, number),
            ToVrrp::Dump(dump) => {
                dump::announce(dump);
                self.dump(dump);
            }
            ToVrrp::Stop => self.withdraw(myself),
        }
        Ok(())
    }

    fn pinged(&mut self, myself: &ActorRef<RootMsg>, number: u64) {
        if self.last_ping.replace(clock::now()).is_none() {
            myself.send_after(SUPERVISOR_SILENCE, || RootMsg::ListenForSupervisor);
        }
        if std::mem::take(&mut self.supervisor_silent) {
            tracing::info!("the supervisor answers again");
        }
        self.outbox.post(&FromVrrp::Pong(number));
    }

    /// The other half of the heartbeat: a supervisor that hangs is said once; the protocol goes on without it.
    fn listen_for_supervisor(&mut self, myself: &ActorRef<RootMsg>) {
        let silent = self.last_ping.is_some_and(|last| clock::now().since(last) > SUPERVISOR_SILENCE);
        if silent && !self.supervisor_silent {
            tracing::error!("the supervisor has said nothing for {} s: VRRP goes on without it", SUPERVISOR_SILENCE.as_secs());
        }
        self.supervisor_silent = silent;
        myself.send_after(SUPERVISOR_SILENCE, || RootMsg::ListenForSupervisor);
    }

    async fn configure(&mut self, myself: &ActorRef<RootMsg>, config: VrrpConfig, resume: Vec<(String, Snapshot)>, replaces: bool) {
        if self.phase != Phase::Unconfigured {
            tracing::error!("configured twice: the second configuration is ignored");
            return;
        }
        self.phase = Phase::Running;
        self.global = config.global;
        self.groups = config.groups;
        self.watched = config.watched;
        let delay = self.global.startup_delay;
        self.not_before = (!delay.is_zero() && !replaces).then(|| clock::now() + delay);
        if self.not_before.is_some() {
            tracing::info!("Delaying startup for {} seconds", delay.as_secs_f64());
        }
        for service in Service::ALL {
            self.build(myself, Member::Service(service)).await;
        }
        let mut resume: HashMap<String, Snapshot> = resume.into_iter().collect();
        for settings in config.instances {
            let snapshot = resume.remove(&settings.name);
            self.add(settings, snapshot);
        }
        self.say_running_once_all_are();
    }

    fn add(&mut self, settings: Arc<Settings>, snapshot: Option<Snapshot>) {
        let id = InstanceId(self.next_id);
        self.next_id += 1;
        self.names.insert(settings.name.clone(), id);
        self.records.insert(id, Record { settings, snapshot, leaving: false });
        self.build_instance(id);
    }

    /// Starts a member, for the first time or after it failed.
    async fn build(&mut self, myself: &ActorRef<RootMsg>, member: Member) {
        match member {
            Member::Service(service) => self.build_and_tell(myself, service).await,
            Member::Instance(id) => self.build_instance(id),
        }
    }

    async fn build_and_tell(&mut self, myself: &ActorRef<RootMsg>, service: Service) {
        let now = std::time::Instant::now();
        let name = Member::Service(service).name();
        match self.build_service(myself, service).await {
            Ok(cell) => {
                self.restarts.started(&name, &cell, now);
                self.shared.instances.tell_all(|| InstanceMsg::Rebuilt(service));
            }
            Err(error) => {
                let restart = self.restarts.not_started(&name, &error.to_string(), now);
                tracing::error!("{restart}");
                again(myself, &restart);
            }
        }
    }

    async fn build_service(&self, myself: &ActorRef<RootMsg>, service: Service) -> Result<ActorCell, SpawnErr> {
        let shared = Arc::clone(&self.shared);
        let root = myself.get_cell();
        Ok(match service {
            Service::Stage => {
                let actor = Actor::spawn_linked(None, Stage, shared, root).await?.0;
                self.shared.stage.set(actor.clone());
                actor.get_cell()
            }
            Service::Timekeeper => {
                let actor = Actor::spawn_linked(None, Timekeeper, shared, root).await?.0;
                self.shared.timekeeper.set(actor.clone());
                actor.get_cell()
            }
            Service::Announcer => {
                let actor = Actor::spawn_linked(None, Announcer, shared, root).await?.0;
                self.shared.announcer.set(actor.clone());
                actor.get_cell()
            }
            Service::Keeper => {
                let actor = Actor::spawn_linked(None, Keeper, (shared, self.global.firewall.clone()), root).await?.0;
                self.shared.keeper.set(actor.clone());
                actor.get_cell()
            }
            Service::Sockets => {
                let actor = Actor::spawn_linked(None, Sockets, shared, root).await?.0;
                self.shared.sockets.set(actor.clone());
                actor.get_cell()
            }
            Service::Groups => {
                let actor = Actor::spawn_linked(None, Groups, (shared, self.groups.clone()), root).await?.0;
                self.shared.groups.set(actor.clone());
                actor.get_cell()
            }
            Service::Watcher => {
                let arguments = WatcherArguments { shared, watched: self.watched.clone(), known: self.known.clone() };
                let actor = Actor::spawn_linked(None, Watcher, arguments, root).await?.0;
                self.shared.watcher.set(actor.clone());
                actor.get_cell()
            }
            Service::Listener => {
                let arguments = ListenerArguments {
                    shared,
                    buffer: self.global.monitor_buffer,
                    monitoring: self.address_monitoring,
                    links: self.global.links.clone(),
                };
                let actor = Actor::spawn_linked(None, Listener, arguments, root).await?.0;
                self.shared.listener.set(actor.clone());
                actor.get_cell()
            }
        })
    }

    /// Nothing when the instance is not wanted any more.
    fn build_instance(&self, id: InstanceId) {
        let Some(record) = self.records.get(&id).filter(|record| !record.leaving) else { return };
        let arguments = InstanceArguments {
            id,
            settings: Arc::clone(&record.settings),
            shared: Arc::clone(&self.shared),
            resume: record.snapshot.clone(),
            not_before: self.not_before,
        };
        self.shared.instances.enter(id.0, Box::new(Living::new(arguments)));
        self.shared.tell(id, InstanceMsg::Begin);
        self.ask_again(id);
    }

    /// A question that a failed generation took along is put to the next.
    fn ask_again(&self, id: InstanceId) {
        for collecting in self.dumps.iter().filter(|collecting| collecting.missing.contains(&id)) {
            self.shared.tell(id, InstanceMsg::Describe { clear: collecting.dump == Dump::StatsAndClear });
        }
    }

    fn changed(&mut self, id: InstanceId, snapshot: Snapshot) {
        let Some(record) = self.records.get_mut(&id) else { return };
        self.outbox.post(&FromVrrp::Changed { instance: record.settings.name.clone(), snapshot: Box::new(snapshot.clone()) });
        record.snapshot = Some(snapshot);
        self.say_running_once_all_are();
    }

    fn say_running_once_all_are(&mut self) {
        if !self.running_said && self.phase == Phase::Running && self.records.values().all(|record| record.snapshot.is_some()) {
            self.running_said = true;
            self.outbox.post(&FromVrrp::Running);
            tuning::give_back_memory();
        }
    }

    fn prepare(&mut self, generation: u64, changes: Box<VrrpChanges>) {
        let named = changes.removed.iter().chain(changes.changed.iter().map(|(name, _)| name));
        let reasons: Vec<String> =
            named.filter(|name| !self.names.contains_key(*name)).map(|name| format!("no instance {name} is running")).collect();
        if reasons.is_empty() {
            self.prepared = Some((generation, changes));
            self.outbox.post(&FromVrrp::Prepared { generation });
        } else {
            self.outbox.post(&FromVrrp::Refused { generation, reasons });
        }
    }

    fn commit(&mut self, generation: u64) {
        let Some((_, changes)) = self.prepared.take_if(|(prepared, _)| *prepared == generation) else {
            tracing::error!("told to commit reload {generation}, which was not prepared");
            return;
        };
        let VrrpChanges { global, removed, changed, added, groups, watched } = *changes;
        if let Some(groups) = groups {
            self.groups = groups.clone();
            self.shared.groups.cast(GroupsMsg::Replace(groups));
        }
        if let Some(watched) = watched {
            self.watched = watched.clone();
            self.shared.watcher.cast(WatcherMsg::Watch(watched));
        }
        if let Some(global) = global {
            if global.links != self.global.links {
                self.shared.listener.cast(ListenerMsg::Links(global.links.clone()));
            }
            self.global = global;
        }
        for name in removed {
            if let Some(id) = self.names.remove(&name) {
                self.dismiss(id);
            }
        }
        for (name, settings) in changed {
            let Some(id) = self.names.remove(&name) else { continue };
            if name != settings.name {
                self.outbox.post(&FromVrrp::Removed { instance: name });
            }
            self.names.insert(settings.name.clone(), id);
            if let Some(record) = self.records.get_mut(&id) {
                record.settings = Arc::clone(&settings);
            }
            self.shared.tell(id, InstanceMsg::Replace(settings));
        }
        for settings in added {
            self.add(settings, None);
        }
        self.outbox.post(&FromVrrp::Committed { generation });
    }

    /// Tells an instance to withdraw for good.
    fn dismiss(&mut self, id: InstanceId) {
        if let Some(record) = self.records.get_mut(&id) {
            record.leaving = true;
        }
        self.restarts.forget(&Member::Instance(id).name());
        let withdrawing = self.phase == Phase::Withdrawing;
        let why = if withdrawing { Leaving::Stopping } else { Leaving::Deleted };
        self.shared.tell(id, InstanceMsg::Stop { keep_addresses: self.keep_addresses && withdrawing, why });
    }

    fn stopped(&mut self, myself: &ActorRef<RootMsg>, id: InstanceId) {
        if let Some(record) = self.records.remove(&id) {
            self.outbox.post(&FromVrrp::Removed { instance: record.settings.name.clone() });
        }
        self.shared.deadlines.set(id, None, Haste::Usual);
        self.finish_once_all_have_withdrawn(myself);
    }

    fn withdraw(&mut self, myself: &ActorRef<RootMsg>) {
        if self.phase == Phase::Withdrawing || self.phase == Phase::Finishing {
            return;
        }
        tracing::info!("Stopping");
        self.phase = Phase::Withdrawing;
        let ids: Vec<InstanceId> = self.records.keys().copied().collect();
        for id in ids {
            if self.shared.knows(id) {
                self.dismiss(id);
            } else {
                self.records.remove(&id);
            }
        }
        self.finish_once_all_have_withdrawn(myself);
    }

    fn finish_once_all_have_withdrawn(&mut self, myself: &ActorRef<RootMsg>) {
        if self.phase != Phase::Withdrawing || !self.records.is_empty() {
            return;
        }
        self.phase = Phase::Finishing;
        if self.shared.keeper.is_set() {
            self.shared.keeper.cast(KeeperMsg::Finish { keep_addresses: self.keep_addresses });
        } else {
            let _ = myself.cast(RootMsg::KeeperFinished);
        }
    }

    fn dump(&mut self, dump: Dump) {
        let what = match dump {
            Dump::Data => "Printing VRRP data",
            Dump::Stats => "Printing VRRP stats",
            Dump::StatsAndClear => "Printing and clearing VRRP stats",
            Dump::Json => "Printing VRRP as json",
        };
        tracing::info!("{what} for process({}) on signal", std::process::id());
        let clear = dump == Dump::StatsAndClear;
        let missing: Vec<InstanceId> = self.records.iter().filter(|(_, record)| !record.leaving).map(|(id, _)| *id).collect();
        for id in &missing {
            self.shared.tell(*id, InstanceMsg::Describe { clear });
        }
        self.dumps.push(Collecting { dump, missing, sections: BTreeMap::new() });
        self.say_complete_dumps();
    }

    fn described(&mut self, id: InstanceId, section: Section) {
        // answers come in the order of the questions
        if let Some(collecting) = self.dumps.iter_mut().find(|collecting| collecting.missing.contains(&id)) {
            collecting.missing.retain(|missing| *missing != id);
            collecting.sections.insert(id, section);
        }
        self.say_complete_dumps();
    }

    #[cfg(test)]
    fn make_panic(&self, member: Member) {
        use super::messages::{AnnouncerMsg, ListenerMsg, SocketsMsg};
        match member {
            Member::Instance(id) => self.shared.tell(id, InstanceMsg::Panic),
            Member::Service(Service::Stage) => self.shared.stage.kill(),
            Member::Service(Service::Timekeeper) => self.shared.timekeeper_fails.store(true, std::sync::atomic::Ordering::Relaxed),
            Member::Service(Service::Listener) => self.shared.listener.cast(ListenerMsg::Panic),
            Member::Service(Service::Sockets) => self.shared.sockets.cast(SocketsMsg::Panic),
            Member::Service(Service::Keeper) => self.shared.keeper.cast(KeeperMsg::Panic),
            Member::Service(Service::Announcer) => self.shared.announcer.cast(AnnouncerMsg::Panic),
            Member::Service(Service::Groups) => self.shared.groups.cast(GroupsMsg::Panic),
            Member::Service(Service::Watcher) => self.shared.watcher.cast(WatcherMsg::Panic),
        }
    }

    fn say_complete_dumps(&mut self) {
        let (complete, waiting) =
            std::mem::take(&mut self.dumps).into_iter().partition(|collecting: &Collecting| collecting.missing.is_empty());
        self.dumps = waiting;
        for Collecting { dump, sections, .. } in complete {
            let sections: Vec<Section> = sections.into_values().collect();
            let readings = lock(&self.shared.readings);
            let tracking = Tracking {
                groups: &self.groups,
                watched: &self.watched,
                script: &|name| readings.scripts.get(name).copied(),
                file: &|name| readings.files.get(name).copied(),
            };
            let text = dump::text(dump, &sections, &tracking, &self.shared.mirror());
            self.outbox.post(&FromVrrp::Dumped { dump, text });
        }
    }
}
