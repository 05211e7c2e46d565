//! One `vrrp_instance`: facts in, orders out, around the pure state machine.

mod adverts;
mod hearing;
mod holding;
mod paths;
mod telling;

use super::deadlines::Haste;
use super::messages::{
    AnnouncerMsg, Burst, GroupOrder, InstanceId, InstanceMsg, KeeperMsg, Leaving, ListenerMsg, ReceiverKey, RootMsg, Service, Watch,
};
use super::restores::{Departures, Restores};
use super::shared::{Shared, lock};
use super::text::{self, Work};
use super::world::{self, World};
use crate::actor::{Part, Then};
use crate::sys::clock;
use crate::types::{Instant, Priority};
use crate::vrrp::auth::Sequence;
use crate::vrrp::discard::Quiet;
use crate::vrrp::event::{Action, Event, Fault, Note, Snapshot, State};
use crate::vrrp::fsm;
use crate::vrrp::group;
use crate::vrrp::settings::Settings;
use crate::vrrp::stats::Stats;
use crate::vrrp::track;
use paths::{tracked_routes, tracked_rules};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) struct InstanceArguments {
    pub(super) id: InstanceId,
    pub(super) settings: Arc<Settings>,
    pub(super) shared: Arc<Shared>,
    /// What a predecessor last said.
    pub(super) resume: Option<Snapshot>,
    /// End of the startup delay.
    pub(super) not_before: Option<Instant>,
}

/// An instance between two messages.
pub(super) struct Living {
    id: InstanceId,
    name: Arc<str>,
    shared: Arc<Shared>,
    machine: fsm::Instance,
    stats: Stats,
    quiet: Quiet,
    /// Counts our authentication headers and those we accepted.
    sequence: Sequence,
    world: World,
    attached: Option<ReceiverKey>,
    faults: BTreeSet<Fault>,
    source: Option<IpAddr>,
    /// Waiting for the first word on every watched interface before it starts.
    pending: Option<Box<Pending>>,
    /// Addresses that a crash left behind are still in the kernel although we are not master.
    leftovers: bool,
    last_transition: f64,
    sending_fails: bool,
    /// `--dont-release-vrrp`: addresses stay in the kernel at the end.
    keep_addresses: bool,
    /// Why it will have stopped.
    leaving: Leaving,
    /// The supervisor knows that it waits for its scripts.
    waiting_said: bool,
    /// What was done to the addresses, to be said after the change of state that it belongs to.
    to_say: Option<Work>,
    /// Another member of the sync group is unfit.
    held_by_group: bool,
    /// What the sync group was last told.
    reported: Option<group::Report>,
    /// It began as a backup, and tells so once its sync group has.
    untold: bool,
    restores: Restores,
    /// VMACs that were missing.
    made: Restores,
    /// What a reload brought, while the VMACs for it are made.
    next: Option<Arc<Settings>>,
    expected: holding::Expected,
    /// Routes and rules that a reload takes away: the kernel will report each as gone.
    leaving_paths: Departures,
}

struct Pending {
    resume: Option<Snapshot>,
    not_before: Option<Instant>,
}

impl Part for Living {
    type Message = InstanceMsg;

    fn handle(&mut self, message: InstanceMsg) -> Then {
        match message {
            InstanceMsg::Begin => self.begin(),
            InstanceMsg::Deadline => self.deadline_came(),
            InstanceMsg::DeadlineHeld => self.feed(Event::DeadlineReached),
            InstanceMsg::Received(datagram) => self.received(&datagram),
            InstanceMsg::Link { name, view } => {
                self.world.link_is(name, view);
                self.make_missing_vmacs();
                self.world_changed();
            }
            InstanceMsg::Vmacs { fault } => {
                if self.world.vmacs_are(fault) {
                    self.watch();
                }
                match self.next.take() {
                    Some(settings) => self.replace(settings),
                    None => self.world_changed(),
                }
            }
            InstanceMsg::ConfiguredSource { present } => {
                self.world.configured_source_is(present);
                self.world_changed();
            }
            InstanceMsg::AddressLost { device, prefix } => self.address_lost(&device, prefix),
            InstanceMsg::RouteLost(key) => self.route_lost(&key),
            InstanceMsg::RuleLost(key) => self.rule_lost(&key),
            InstanceMsg::ReadingsChanged => self.world_changed(),
            InstanceMsg::Group(GroupOrder::GoMaster) => self.feed(Event::GroupMaster),
            InstanceMsg::Group(GroupOrder::BackOff) => self.feed(Event::GroupBackup),
            InstanceMsg::Group(GroupOrder::Announce) => self.feed(Event::GroupAnswered),
            InstanceMsg::Group(GroupOrder::Speak) => self.tell_beginning(),
            InstanceMsg::Group(GroupOrder::Fault(held)) => {
                self.held_by_group = held;
                self.world_changed();
            }
            InstanceMsg::SocketFault(fault) => {
                self.world.sockets_are(fault);
                self.world_changed();
            }
            InstanceMsg::Replace(settings) => self.replace_on_vmacs(settings),
            InstanceMsg::Rebuilt(service) => self.rebuilt(service),
            InstanceMsg::Describe { clear } => self.describe(clear),
            InstanceMsg::Stop { keep_addresses, why } => {
                self.stop(keep_addresses, why);
                return Then::Ends;
            }
            #[cfg(test)]
            InstanceMsg::Panic => std::panic::panic_any("asked to"),
        }
        Then::GoesOn
    }
}

impl Living {
    pub(super) fn new(arguments: InstanceArguments) -> Self {
        let InstanceArguments { id, settings, shared, resume, not_before } = arguments;
        Self {
            id,
            name: settings.name.as_str().into(),
            machine: fsm::Instance::new(settings),
            stats: resume.as_ref().map(|snapshot| snapshot.stats).unwrap_or_default(),
            quiet: Quiet::default(),
            sequence: Sequence::default(),
            world: World::default(),
            attached: None,
            faults: BTreeSet::new(),
            source: None,
            leftovers: false,
            last_transition: resume.as_ref().map_or(0.0, |snapshot| snapshot.last_transition),
            pending: Some(Box::new(Pending { resume, not_before })),
            sending_fails: false,
            keep_addresses: false,
            leaving: Leaving::Stopping,
            waiting_said: false,
            to_say: None,
            held_by_group: false,
            reported: None,
            untold: false,
            restores: Restores::default(),
            made: Restores::default(),
            next: None,
            expected: holding::Expected::default(),
            leaving_paths: Departures::default(),
            shared,
        }
    }

    fn begin(&mut self) {
        text::remark_on(self.settings());
        if self.settings().vmacs().next().is_some() {
            // what is watched then is there already
            self.make_vmacs();
        } else {
            self.watch();
        }
        // A generation that failed may have been told things: the group begins anew with this one.
        self.tell_group(group::Report::SILENT);
    }

    /// An advert that came in time counts, even if nobody had the time to read it.
    fn deadline_came(&mut self) {
        if self.machine.state() == State::Backup {
            self.read_what_waits();
            if !self.shared.instances.is_quiet() {
                return self.shared.tell(self.id, InstanceMsg::DeadlineHeld);
            }
        }
        self.feed(Event::DeadlineReached);
    }

    fn stop(&mut self, keep_addresses: bool, why: Leaving) {
        self.keep_addresses = keep_addresses;
        self.leaving = why;
        self.feed(Event::StopRequested);
        self.shared.listener.cast(ListenerMsg::Forget { id: self.id });
        self.detach();
        // where addresses stay, what they stand on stays
        if !keep_addresses && self.settings().vmacs().next().is_some() {
            self.unmake_vmacs(Vec::new());
        }
        self.shared.root.cast(RootMsg::Stopped(self.id));
    }

    fn make_vmacs(&self) {
        if self.settings().vmacs().next().is_some() {
            self.shared.keeper.cast(KeeperMsg::Make { id: self.id, settings: Arc::clone(self.settings()) });
        }
    }

    fn unmake_vmacs(&self, kept: Vec<String>) {
        self.shared.keeper.cast(KeeperMsg::Unmake { id: self.id, name: Arc::clone(&self.name), kept });
    }

    /// Somebody took one away, or its interface is back.
    fn make_missing_vmacs(&mut self) {
        if self.world.misses_vmac(self.settings()) && self.made.allow(clock::now()) {
            self.make_vmacs();
        }
    }

    fn settings(&self) -> &Arc<Settings> {
        self.machine.settings()
    }

    fn watch(&self) {
        let settings = self.settings();
        let addresses = settings.addresses.iter().chain(&settings.excluded).map(|address| address.prefix.address()).collect();
        let watch = Watch {
            interfaces: world::interfaces_of(settings),
            addresses,
            source: settings.configured_source(),
            destinations: tracked_routes(settings).map(|route| route.destination.network()).collect(),
            priorities: tracked_rules(settings).map(|rule| rule.priority).collect(),
        };
        self.shared.listener.cast(ListenerMsg::Watch { id: self.id, watch });
    }

    /// Facts changed: sockets, source, faults and priority follow.
    fn world_changed(&mut self) {
        if !self.world.is_complete_for(self.settings()) {
            return;
        }
        if let Some(pending) = &self.pending {
            if !self.world.knows_vmacs_of(self.settings()) {
                return;
            }
            // A script of weight 0 decides whether it may be master at all: its first result is waited for, except by one that resumes.
            let resumes = pending.resume.as_ref().is_some_and(|snapshot| snapshot.state != State::Init);
            if !resumes && !world::verdicts_are_in(self.settings(), &lock(&self.shared.readings)) {
                if !std::mem::replace(&mut self.waiting_said, true) {
                    self.report();
                }
                return;
            }
        }
        self.follow_sockets();
        let source = self.world.source(self.settings());
        let track::Outcome { priority, mut faults, sum } = self.world.track(self.settings(), &lock(&self.shared.readings));
        faults.extend(self.world.faults(self.settings()));
        if self.held_by_group {
            faults.extend(self.settings().sync_group.clone().map(Fault::Group));
        }
        if let Some(pending) = self.pending.take() {
            let base = self.settings().priority;
            if priority != base {
                tracing::info!(instance = %self.name, "({}) effective priority: {sum}", self.name);
                tracing::info!(instance = %self.name, "({}) Changing effective priority from {base} to {priority}", self.name);
                if pending.resume.is_none() {
                    self.tell_first_priority(priority);
                }
            }
            self.start(*pending, faults, priority, source);
            return;
        }
        if source != self.source {
            self.source = source;
            if let Some(source) = source {
                self.feed(Event::SourceChanged(source));
            }
        }
        let before = std::mem::replace(&mut self.faults, faults.clone());
        for fault in faults.difference(&before) {
            self.feed(Event::FaultBegan(fault.clone()));
        }
        for fault in before.difference(&faults) {
            self.feed(Event::FaultEnded(fault.clone()));
        }
        if priority != self.machine.priority() {
            tracing::info!(instance = %self.name, "({}) effective priority: {sum}", self.name);
            self.feed(Event::PriorityChanged(priority));
        }
    }

    fn start(&mut self, pending: Pending, faults: BTreeSet<Fault>, priority: Priority, source: Option<IpAddr>) {
        self.source = source;
        self.faults.clone_from(&faults);
        let Pending { resume, not_before } = pending;
        self.leftovers = self.addresses_in_kernel();
        self.shared.keeper.cast(KeeperMsg::Prepare(Arc::clone(self.settings())));
        self.feed(Event::Started { faults, priority, source, resume, not_before });
    }

    fn feed(&mut self, event: Event) {
        let was_advert = matches!(event, Event::AdvertReceived(_));
        let mut actions = std::mem::take(&mut *lock(&self.shared.actions));
        self.machine.handle(clock::now(), event, &mut actions);
        for action in actions.drain(..) {
            self.carry_out(action);
        }
        self.say_work();
        *lock(&self.shared.actions) = actions;
        if self.leftovers && (was_advert || self.machine.state() == State::Fault) {
            self.forget_leftovers();
        }
        let haste = if self.machine.state() == State::Backup { Haste::Takeover } else { Haste::Usual };
        self.shared.deadlines.set(self.id, self.wake_up_at(), haste);
        self.report_to_group();
    }

    /// When the machine wants to be called. A takeover waits for nothing; the adverts of many masters leave together on a grid
    /// of which their interval is a multiple: none is early, their cadence is exact, and fewer wake-ups send (and receive) them.
    fn wake_up_at(&self) -> Option<Instant> {
        const CELLS: u64 = 250;
        let at = self.machine.deadline()?;
        let cell = u64::try_from(self.settings().advert_interval.duration().as_nanos()).unwrap_or(0) / CELLS;
        if self.machine.state() != State::Master || cell == 0 {
            return Some(at);
        }
        Some(Instant::from_nanos(at.nanos().next_multiple_of(cell)))
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            // who keeps the addresses has not resigned: the others wait for silence
            Action::SendAdvert { priority: 0 } if self.keep_addresses => {}
            Action::SendAdvert { priority } => self.send_adverts(priority),
            Action::InstallAddresses => {
                self.leftovers = false;
                self.to_say = Some(Work::Setting);
                self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(self.settings())));
            }
            Action::RemoveAddresses if self.keep_addresses => {}
            // a crash left addresses behind: they serve on until somebody else is master, or we are unfit
            Action::RemoveAddresses if self.leftovers && self.machine.state() == State::Backup => {}
            Action::RemoveAddresses => {
                self.to_say = Some(Work::Removing);
                self.shared.keeper.cast(KeeperMsg::Remove(Arc::clone(self.settings())));
            }
            Action::Announce { repeat, first } => {
                let burst = Burst { settings: Arc::clone(self.settings()), only: None, repeat };
                if first {
                    self.shared.keeper.cast(KeeperMsg::Announce(burst));
                } else {
                    self.shared.announcer.cast(AnnouncerMsg::Burst(burst));
                }
            }
            Action::AnnounceElsewhere => {
                let settings = Arc::clone(self.settings());
                let only = Some(settings.announced_elsewhere().cloned().collect());
                self.shared.announcer.cast(AnnouncerMsg::Burst(Burst { settings, only, repeat: 1 }));
            }
            Action::Entered(transition) => self.entered(&transition),
            Action::Note(note) => {
                text::note(self.machine.settings(), &note);
                self.tell_note(&note);
                self.tell_group_note(&note);
                if matches!(note, Note::MasterChanged { .. } | Note::MasterIntervalChanged { .. }) {
                    self.report();
                }
            }
        }
    }

    /// Another generation of a service knows nothing yet.
    fn rebuilt(&mut self, service: Service) {
        match service {
            Service::Groups => {
                self.reported = None;
                self.report_to_group();
            }
            Service::Sockets => self.attach(),
            Service::Listener => self.watch(),
            Service::Keeper if self.machine.state() == State::Master => {
                self.make_vmacs();
                self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(self.settings())));
            }
            Service::Keeper => self.make_vmacs(),
            Service::Announcer | Service::Timekeeper | Service::Watcher | Service::Stage => {}
        }
    }
}
