//! One `vrrp_instance`: facts in, orders out, around the pure state machine.

use super::deadlines::Haste;
use super::dump;
use super::messages::{
    AnnouncerMsg, Burst, Datagram, GroupOrder, GroupsMsg, InstanceId, InstanceMsg, KeeperMsg, Leaving, ListenerMsg, ReceiverKey, RootMsg,
    Service, SocketsMsg,
};
use super::restores::Restores;
use super::shared::{Shared, lock};
use super::text::{self, Work};
use super::world::{self, World};
use crate::actor::{Part, Then};
use crate::ipc::messages::FromVrrp;
use crate::net::address::{KernelAddress, PROTOCOL_KEEPALIVED};
use crate::net::advert::Outgoing;
use crate::sys::clock;
use crate::types::{Instant, IpPrefix, Priority};
use crate::vrrp::auth::Sequence;
use crate::vrrp::discard::{Quiet, Topic};
use crate::vrrp::event::{Action, Event, Fault, Note, Snapshot, State, Transition};
use crate::vrrp::group;
use crate::vrrp::notify::{Happened, Notice, Notify, Subject};
use crate::vrrp::receive;
use crate::vrrp::settings::{Settings, Transport, VirtualAddress};
use crate::vrrp::stats::Stats;
use crate::vrrp::track;
use crate::vrrp::trackers::Track;
use crate::vrrp::{fsm, packet};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// TTL of every multicast advert, and of unicast ones unless told otherwise (RFC 9568 §5.1.1.3).
const TTL: u8 = 255;

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
    restores: Restores,
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
                self.world_changed();
            }
            InstanceMsg::ConfiguredSource { present } => {
                self.world.configured_source_is(present);
                self.world_changed();
            }
            InstanceMsg::AddressLost { device, prefix } => self.address_lost(&device, prefix),
            InstanceMsg::ReadingsChanged => self.world_changed(),
            InstanceMsg::Group(GroupOrder::GoMaster) => self.feed(Event::GroupMaster),
            InstanceMsg::Group(GroupOrder::BackOff) => self.feed(Event::GroupBackup),
            InstanceMsg::Group(GroupOrder::Announce) => self.feed(Event::GroupAnswered),
            InstanceMsg::Group(GroupOrder::Fault(held)) => {
                self.held_by_group = held;
                self.world_changed();
            }
            InstanceMsg::SocketFault(fault) => {
                self.world.sockets_are(fault);
                self.world_changed();
            }
            InstanceMsg::Replace(settings) => self.replace(settings),
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
            restores: Restores::default(),
            shared,
        }
    }

    fn begin(&mut self) {
        self.watch();
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

    fn describe(&mut self, clear: bool) {
        let section = Box::new(dump::describe(&self.machine, &self.stats, self.source, self.last_transition, self.waits_for()));
        self.shared.root.cast(RootMsg::Described { id: self.id, section });
        if clear {
            self.stats = Stats::default();
        }
    }

    fn stop(&mut self, keep_addresses: bool, why: Leaving) {
        self.keep_addresses = keep_addresses;
        self.leaving = why;
        self.feed(Event::StopRequested);
        self.shared.listener.cast(ListenerMsg::Forget { id: self.id });
        self.detach();
        self.shared.root.cast(RootMsg::Stopped(self.id));
    }

    fn settings(&self) -> &Arc<Settings> {
        self.machine.settings()
    }

    fn watch(&self) {
        let settings = self.settings();
        let addresses = settings.addresses.iter().chain(&settings.excluded).map(|address| address.prefix.address()).collect();
        self.shared.listener.cast(ListenerMsg::Watch {
            id: self.id,
            interfaces: world::interfaces_of(settings),
            addresses,
            source: settings.configured_source(),
        });
    }

    /// Facts changed: sockets, source, faults and priority follow.
    fn world_changed(&mut self) {
        if let Some(pending) = &self.pending {
            if !self.world.is_complete_for(self.settings()) {
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

    /// Whether any virtual address stands in the kernel already.
    fn addresses_in_kernel(&self) -> bool {
        let settings = self.settings();
        let mirror = self.shared.mirror();
        settings.addresses.iter().chain(&settings.excluded).any(|address| {
            let device = address.device.as_deref().or(settings.interface.as_deref());
            let link = device.and_then(|name| mirror.by_name(name));
            let known = link.and_then(|link| link.addresses.get(&KernelAddress::from(address, link.index).key()));
            known.is_some_and(|known| known.proto == Some(PROTOCOL_KEEPALIVED) || !settings.priority.is_owner())
        })
    }

    /// Listens where the interface is now.
    fn follow_sockets(&mut self) {
        let settings = Arc::clone(self.settings());
        let ifindex = match (&settings.interface, self.world.own_link(&settings)) {
            (Some(_), Some(link)) => Some(link.index),
            (Some(_), None) => None,
            (None, _) => Some(0),
        };
        let protocol = packet::ip_protocol(&settings);
        let wanted = ifindex.map(|ifindex| ReceiverKey { family: settings.family, ifindex, protocol });
        if wanted == self.attached {
            return;
        }
        self.detach();
        if let Some(key) = wanted {
            let mut routes = lock(&self.shared.routes);
            let listeners = routes.entry(key).or_default().entry(settings.vrid).or_default();
            // a generation that failed may have left its entry
            if !listeners.contains(&self.id) {
                listeners.push(self.id);
            }
            drop(routes);
            self.attached = Some(key);
            self.attach();
        }
    }

    fn attach(&self) {
        let Some(key) = self.attached else { return };
        let settings = self.settings();
        let group = match &settings.transport {
            Transport::Multicast { group, .. } => Some(*group),
            Transport::Unicast { .. } => None,
        };
        let interface = settings.interface.as_deref().map(Arc::from);
        // the first advert must not wait for its socket
        if let Err(error) = self.shared.open_sender(settings.family) {
            tracing::error!(instance = %self.name, "({}) {}", self.name, super::sockets::with_sources(&error));
        }
        self.shared.sockets.cast(SocketsMsg::Attach { id: self.id, key, interface, group, buffer: settings.kernel_rx_buf_size });
    }

    fn detach(&mut self) {
        if let Some(key) = self.attached.take() {
            let mut routes = lock(&self.shared.routes);
            let vrid = self.machine.settings().vrid;
            if let Some(vrids) = routes.get_mut(&key) {
                if let Some(ids) = vrids.get_mut(&vrid) {
                    ids.retain(|id| *id != self.id);
                    if ids.is_empty() {
                        vrids.remove(&vrid);
                    }
                }
                if vrids.is_empty() {
                    routes.remove(&key);
                }
            }
            drop(routes);
            self.shared.sockets.cast(SocketsMsg::Detach { id: self.id });
        }
    }

    fn read_what_waits(&self) {
        if let Some(key) = &self.attached {
            super::sockets::read_what_waits(&self.shared, key);
        }
    }

    fn received(&mut self, datagram: &Datagram) {
        if Some(datagram.source) == self.source {
            return; // our own, looped back
        }
        let settings = Arc::clone(self.settings());
        let context = receive::Context { state: self.machine.state(), master: self.machine.master(), sequence: self.sequence.highest() };
        let seen = receive::Datagram {
            source: datagram.source,
            destination: datagram.destination,
            ttl: datagram.ttl,
            protocol: datagram.protocol,
            ip_header: datagram.ip_header.as_deref(),
            payload: &datagram.payload,
        };
        let verdict = receive::check(&settings, context, &mut self.stats, &seen);
        let advert = match verdict {
            receive::Verdict::Accepted(advert) => advert,
            receive::Verdict::AcceptedWithNote(advert, remarks) => {
                for remark in remarks {
                    self.complain(datagram.source, remark.topic(), &remark);
                }
                advert
            }
            receive::Verdict::Dropped(discard) => return self.complain(datagram.source, discard.topic(), &discard),
        };
        if let Some(number) = receive::sequence(&seen) {
            self.sequence.heard(number);
        }
        self.feed(Event::AdvertReceived(advert));
    }

    /// Once a kind until the master or the state changes: strangers must not fill the log.
    fn complain(&mut self, source: IpAddr, topic: Topic, what: &dyn fmt::Display) {
        if self.quiet.first(topic, self.machine.state(), self.machine.master()) {
            tracing::warn!(instance = %self.name, source = %source, "({}) {what} (advert from {source})", self.name);
        }
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

    /// What it is now, when that is news to its sync group.
    fn report_to_group(&mut self) {
        if self.settings().sync_group.is_none() {
            return;
        }
        let own_fault = self.machine.faults().iter().any(|fault| !matches!(fault, Fault::Group(_)));
        let report = group::Report { state: self.machine.state(), wants_master: self.machine.wants_master(), own_fault };
        if self.reported != Some(report) {
            self.tell_group(report);
        }
    }

    fn tell_group(&mut self, report: group::Report) {
        self.reported = Some(report);
        if let Some(group) = self.settings().sync_group.clone() {
            let member = Arc::clone(&self.name);
            self.shared.groups.cast(GroupsMsg::Reported { id: self.id, group, member, report });
        }
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

    /// Somebody else is master, or we are unfit: what a crash left behind goes.
    fn forget_leftovers(&mut self) {
        self.leftovers = false;
        if self.machine.state() != State::Master {
            tracing::info!(instance = %self.name, "({}) removing VIPs left behind by a previous run.", self.name);
            self.shared.keeper.cast(KeeperMsg::Remove(Arc::clone(self.settings())));
        }
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
            Action::Entered(transition) => self.entered(&transition),
            Action::Note(note) => {
                text::note(self.machine.settings(), &note);
                self.tell_note(&note);
                if matches!(note, Note::LowerPriorityAdvert { .. })
                    && let Some(group) = self.settings().sync_group.clone()
                {
                    self.shared.groups.cast(GroupsMsg::Answered { id: self.id, group });
                }
                if matches!(note, Note::MasterChanged { .. } | Note::MasterIntervalChanged { .. }) {
                    self.report();
                }
            }
        }
    }

    /// Tracked scripts of weight 0 that have not spoken yet.
    fn waits_for(&self) -> usize {
        let readings = lock(&self.shared.readings);
        let silent = |track: &&Track| track.weight == 0 && !readings.scripts.contains_key(&track.name);
        self.settings().track_scripts.iter().filter(silent).count()
    }

    fn say_work(&mut self) {
        if let Some(work) = self.to_say.take() {
            text::work(self.machine.settings(), work);
        }
    }

    fn entered(&mut self, transition: &Transition) {
        self.last_transition = clock::epoch_seconds();
        if transition.to == State::Master {
            self.stats.became_master += 1;
        } else if transition.from == State::Master {
            self.stats.released_master += 1;
        }
        if transition.from == State::Init {
            self.say_work();
        }
        text::transition(&self.name, transition, self.waiting_said);
        self.say_work();
        let happened = match (transition.to, self.leaving) {
            (State::Stopped, Leaving::Deleted) if self.notify().is_some_and(|notify| notify.says_deleted) => Happened::Deleted,
            (State::Stopped, Leaving::Deleted) => Happened::Entered(State::Fault),
            (state, _) => Happened::Entered(state),
        };
        self.tell(happened, transition.priority);
        self.report();
    }

    fn notify(&self) -> Option<&Notify> {
        self.settings().notify.as_deref()
    }

    /// To scripts, FIFOs and people, by way of the supervisor.
    fn tell(&self, happened: Happened, priority: Priority) {
        let subject = Subject::Instance(self.name.to_string());
        self.shared.root.cast(RootMsg::Say(FromVrrp::Notice(Notice { subject, happened, priority: Some(priority) })));
    }

    fn tell_note(&self, note: &Note) {
        let Some(notify) = self.notify() else { return };
        let priority = self.machine.priority();
        match note {
            Note::PriorityChanged { .. } if notify.priority_changes => {
                self.tell(Happened::PriorityChanged(self.machine.state()), priority);
            }
            Note::LowerPriorityAdvert { .. } if notify.lower_priority.is_some() => self.tell(Happened::LowerPriorityHeard, priority),
            _ => {}
        }
    }

    fn report(&self) {
        let snapshot = self.machine.snapshot(&self.stats, self.last_transition);
        self.shared.root.cast(RootMsg::Changed { id: self.id, snapshot });
    }

    fn send_adverts(&mut self, priority: u8) {
        if priority != 0 && self.restores.overdue(clock::now()) {
            self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(self.settings())));
        }
        let settings = Arc::clone(self.settings());
        let Some(source) = self.source else { return };
        let ifindex = self.world.own_link(&settings).map(|link| link.index);
        if settings.interface.is_some() && ifindex.is_none() {
            return;
        }
        match &settings.transport {
            Transport::Multicast { group, .. } => self.send_advert(&settings, priority, source, *group, ifindex, TTL),
            Transport::Unicast { peers, ttl, .. } => {
                for peer in peers {
                    self.send_advert(&settings, priority, source, peer.address, ifindex, ttl.unwrap_or(TTL));
                }
            }
        }
        self.stats.adverts_sent += 1;
        if priority == 0 {
            self.stats.priority_zero_sent += 1;
            tracing::debug!(instance = %self.name, "({}) sent 0 priority", self.name);
        }
    }

    fn send_advert(&mut self, settings: &Settings, priority: u8, source: IpAddr, destination: IpAddr, ifindex: Option<u32>, ttl: u8) {
        let shared = Arc::clone(&self.shared);
        let mut pdu = lock(&shared.pdu);
        packet::emit_into(&mut pdu, settings, priority, source, destination, self.sequence.next());
        let protocol = packet::ip_protocol(settings);
        let advert = Outgoing { ifindex, source, destination, ttl, protocol, payload: &pdu };
        match self.shared.send(settings.family, &advert) {
            Ok(()) => self.sending_fails = false,
            Err(error) if !self.sending_fails => {
                self.sending_fails = true;
                let why = text::send_error(&error);
                tracing::warn!(instance = %self.name, "({}): {why} to {destination}; said once until one leaves again", self.name);
            }
            Err(_) => {}
        }
    }

    fn address_lost(&mut self, device: &Arc<str>, prefix: IpPrefix) {
        if self.machine.state() != State::Master {
            return;
        }
        let settings = Arc::clone(self.settings());
        let all = settings.addresses.iter().chain(&settings.excluded);
        let lost = all.filter(|address| address.prefix.address() == prefix.address()).find(|address| {
            let own = settings.interface.as_deref();
            address.device.as_deref().or(own) == Some(device)
        });
        if let Some(address) = lost.filter(|address| !address.no_track) {
            tracing::warn!(
                instance = %self.name,
                "({}) Netlink reflector reports IP {} removed from {device}: putting it back, something else manages this interface",
                self.name,
                prefix.address()
            );
            if !self.restores.allow(clock::now()) {
                tracing::error!(
                    instance = %self.name,
                    "({}) something removes {} again and again: putting it back more slowly; find out what manages {device}",
                    self.name,
                    prefix.address()
                );
                return;
            }
            let added = vec![address.clone()];
            self.shared.keeper.cast(KeeperMsg::Replace { settings: Arc::clone(&settings), removed: Vec::new(), added });
            let burst = Burst { only: Some(vec![address.clone()]), repeat: 1, settings: Arc::clone(&settings) };
            self.shared.keeper.cast(KeeperMsg::Announce(burst));
        }
    }

    /// A reload: the addresses that changed are changed here, the rest is the state machine's.
    fn replace(&mut self, settings: Arc<Settings>) {
        let old = Arc::clone(self.settings());
        let removed = only_in(&old, &settings);
        let added = only_in(&settings, &old);
        let group_changed = old.transport != settings.transport || old.kernel_rx_buf_size != settings.kernel_rx_buf_size;
        self.name = settings.name.as_str().into();
        if old.sync_group != settings.sync_group {
            (self.held_by_group, self.reported) = (false, None);
        }
        self.shared.keeper.cast(KeeperMsg::Prepare(Arc::clone(&settings)));
        self.feed(Event::SettingsReplaced(Arc::clone(&settings)));
        let shut_changed = old.accept != settings.accept;
        if self.machine.state() == State::Master && !(removed.is_empty() && added.is_empty()) {
            self.change_addresses(&settings, removed, added);
        }
        if self.machine.state() == State::Master && shut_changed {
            self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(&settings)));
        }
        if group_changed {
            self.detach();
        }
        self.watch();
        self.world_changed();
        self.report();
    }

    fn change_addresses(&self, settings: &Arc<Settings>, removed: Vec<VirtualAddress>, added: Vec<VirtualAddress>) {
        let burst = Burst { settings: Arc::clone(settings), only: Some(added.clone()), repeat: settings.announce.master_repeat };
        self.shared.keeper.cast(KeeperMsg::Replace { settings: Arc::clone(settings), removed, added });
        self.shared.keeper.cast(KeeperMsg::Announce(burst));
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
                self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(self.settings())));
            }
            Service::Keeper | Service::Announcer | Service::Timekeeper | Service::Watcher | Service::Stage => {}
        }
    }
}

/// Addresses of `one` that `other` does not have in every detail.
fn only_in(one: &Settings, other: &Settings) -> Vec<VirtualAddress> {
    let theirs: std::collections::HashSet<_> = other.addresses.iter().chain(&other.excluded).collect();
    one.addresses.iter().chain(&one.excluded).filter(|address| !theirs.contains(address)).cloned().collect()
}
