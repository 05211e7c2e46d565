//! The child's root actor: builds the others, rebuilds what fails, and speaks with the supervisor.

mod building;
mod dumps;
mod reload;

use super::deadlines::Haste;
use super::messages::{Held, InstanceId, InstanceMsg, KeeperMsg, Leaving, ListenerMsg, Member, RootMsg, Service, WatcherMsg};
use super::shared::{Shared, lock};
use crate::actor::{Backoff, Restarts};
use crate::config::model::{VrrpChanges, VrrpConfig, VrrpGlobal, Watched};
use crate::ipc::Outbox;
use crate::ipc::messages::{FromVrrp, SessionReads, ToVrrp};
use crate::process::rooted::Heard;
use crate::sys::{clock, tuning};
use crate::types::{Family, Instant};
use crate::vrrp::event::Snapshot;
use crate::vrrp::settings::{GroupSettings, Settings};
use crate::vrrp::track::Reading;
use building::again;
use dumps::Collecting;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Longest time without a question from the supervisor that goes without saying: it asks every 8 s at least.
const SUPERVISOR_SILENCE: Duration = Duration::from_secs(10);

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
    /// Instances that wait for `Begin`.
    waiting: Vec<Arc<Settings>>,
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
            waiting: Vec::new(),
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
            RootMsg::Rebuild(member) => {
                state.build(&myself, member).await;
                state.say_static_again(member);
            }
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

impl Reign {
    async fn supervisor_said(&mut self, myself: &ActorRef<RootMsg>, message: ToVrrp) -> Result<(), ActorProcessingErr> {
        match message {
            ToVrrp::Configure { config, resume, known, sessions, replaces, keep_addresses, waits } => {
                self.keep_addresses = keep_addresses;
                self.known = known;
                let reading = |(name, up): (String, bool)| (name, if up { Reading::Up } else { Reading::Down });
                lock(&self.shared.readings).sessions = sessions.into_iter().map(reading).collect();
                self.configure(myself, *config, replaces).await;
                if waits {
                    tracing::debug!("VRRP waits for the balancer's table");
                } else {
                    self.begin(resume);
                }
            }
            ToVrrp::Begin => self.begin(Vec::new()),
            ToVrrp::Prepare { generation, changes } => self.prepare(generation, changes),
            ToVrrp::Commit { generation } => self.commit(generation),
            ToVrrp::Abandon { generation } => {
                self.prepared.take_if(|(prepared, _)| *prepared == generation);
            }
            ToVrrp::ScriptEnded { name, outcome } => self.shared.watcher.cast(WatcherMsg::ScriptEnded { name, outcome }),
            ToVrrp::FileReads { name, value } => self.shared.watcher.cast(WatcherMsg::FileReads { name, value }),
            ToVrrp::ProcessCount { name, count } => self.shared.watcher.cast(WatcherMsg::ProcessCount { name, count }),
            ToVrrp::Session(reads) => self.session(reads),
            ToVrrp::Ping(number) => self.pinged(myself, number),
            ToVrrp::Dump(dump) => self.dump(dump),
            ToVrrp::Stop => self.withdraw(myself),
        }
        Ok(())
    }

    fn session(&self, SessionReads { name, up, at }: SessionReads) {
        let usec = clock::now().since(at).as_micros();
        tracing::debug!("Received BFD event: instance {name} is in state {} (delivered in {usec} usec)", if up { "Up" } else { "Down" });
        let was_up = lock(&self.shared.readings).sessions.get(&name) == Some(&Reading::Up);
        if was_up != up {
            let tracks = |settings: &Settings| settings.track_bfds.iter().any(|track| track.name == name);
            for record in self.records.values().filter(|record| tracks(&record.settings)) {
                let state = if up { "UP" } else { "DOWN" };
                tracing::info!("VRRP_Instance({}) Tracked BFD instance {name} is {state}", record.settings.name);
            }
        }
        self.shared.watcher.cast(WatcherMsg::Session { name, up });
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

    /// All but the instances.
    async fn configure(&mut self, myself: &ActorRef<RootMsg>, config: VrrpConfig, replaces: bool) {
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
        for (family, channel) in [(Family::V4, "ARP"), (Family::V6, "NDISC")] {
            if config.instances.iter().any(|instance| instance.family == family) {
                tracing::debug!("Registering gratuitous {channel} shared channel");
            }
        }
        for service in Service::ALL {
            self.build(myself, Member::Service(service)).await;
        }
        self.change_static(&Held::default(), &Held::of_host(&self.global));
        self.waiting = config.instances;
    }

    /// The instances take part.
    fn begin(&mut self, resume: Vec<(String, Snapshot)>) {
        let mut resume: HashMap<String, Snapshot> = resume.into_iter().collect();
        for settings in std::mem::take(&mut self.waiting) {
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

    fn changed(&mut self, id: InstanceId, snapshot: Snapshot) {
        let Some(record) = self.records.get_mut(&id) else { return };
        self.outbox.post(&FromVrrp::Changed { instance: record.settings.name.clone(), snapshot: Box::new(snapshot.clone()) });
        record.snapshot = Some(snapshot);
        self.say_running_once_all_are();
    }

    fn say_running_once_all_are(&mut self) {
        let begun = self.phase == Phase::Running && self.waiting.is_empty();
        if !self.running_said && begun && self.records.values().all(|record| record.snapshot.is_some()) {
            self.running_said = true;
            self.outbox.post(&FromVrrp::Running);
            tuning::give_back_memory();
        }
    }

    /// What the host keeps, from this to that.
    fn change_static(&self, from: &Held, to: &Held) {
        let (removed, added) = (from.without(to), to.without(from));
        if from != to {
            self.shared.listener.cast(ListenerMsg::WatchHost(!to.is_empty()));
            self.shared.keeper.cast(KeeperMsg::Static { removed, added, all: to.clone() });
        }
    }

    /// A keeper that was built anew does not know what the host keeps, a listener not that somebody wants to know.
    fn say_static_again(&self, member: Member) {
        if matches!(member, Member::Service(Service::Keeper | Service::Listener)) {
            self.change_static(&Held::default(), &Held::of_host(&self.global));
        }
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
        self.waiting.clear();
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
        // `-V` keeps virtual addresses; these go all the same, as in the original
        self.change_static(&Held::of_host(&self.global), &Held::default());
        if self.shared.keeper.is_set() {
            self.shared.keeper.cast(KeeperMsg::Finish { keep_addresses: self.keep_addresses });
        } else {
            let _ = myself.cast(RootMsg::KeeperFinished);
        }
    }

    #[cfg(test)]
    fn make_panic(&self, member: Member) {
        use super::messages::{AnnouncerMsg, GroupsMsg, SocketsMsg};
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
}
