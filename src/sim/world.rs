//! All routers together in virtual time, and what must never happen among them.

use crate::sim::network::{Network, Packet, RouterId, Weather};
use crate::sim::random::Random;
use crate::sim::router::Router;
use crate::sim::timeline::{Happening, Timeline};
use crate::types::{Instant, Priority};
use crate::vrrp::event::{Action, Event, Fault, Snapshot, State, Transition};
use crate::vrrp::fsm::Instance;
use crate::vrrp::packet;
use crate::vrrp::receive::{self, Context, Datagram, Verdict};
use crate::vrrp::settings::Transport;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// What the world does to routers and their network.
#[derive(Clone, PartialEq, Debug)]
pub enum Trouble {
    /// The network changes its ways.
    Weather(Weather),
    /// The network splits: the side of each router.
    Split(Vec<u8>),
    /// Nothing runs for a while; datagrams wait in the socket.
    Sleep(Duration),
    /// The process dies; another takes up its state after this long.
    KillProcess(Duration),
    /// The other process is there.
    ReplaceProcess(Box<Snapshot>),
    /// The machine dies, and its addresses with it.
    Crash,
    /// The process starts, or starts again.
    Boot,
    /// An orderly stop.
    Stop,
    /// An interface goes down, say.
    FaultBegins(Fault),
    /// And comes back.
    FaultEnds(Fault),
    /// Trackers make another effective priority.
    Priority(Priority),
}

/// Something that must not happen happened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("at {:.6} s, router {router}: {what}", at.nanos() as f64 / 1e9)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// To which router.
    pub router: RouterId,
    /// What.
    pub what: String,
}

/// What holds once the troubles are over.
#[derive(Clone, Copy, Debug)]
struct Calm {
    /// Longest time with two masters.
    overlap: Duration,
    since: Option<Instant>,
}

/// Routers, network and time.
#[derive(Clone, Debug)]
pub struct World {
    /// Time of the world.
    pub now: Instant,
    /// The segment that joins the routers.
    pub network: Network,
    /// The routers.
    pub routers: Vec<Router>,
    /// What happened.
    pub timeline: Timeline,
    /// Longest time by which a busy machine is late.
    pub lateness: Duration,
    random: Random,
    troubles: BTreeMap<(Instant, usize), (RouterId, Trouble)>,
    last_adverts: Vec<Option<Instant>>,
    calm: Option<Calm>,
    violation: Option<Violation>,
}

impl World {
    /// An empty world. `kept`: whether the timeline is.
    pub const fn new(random: Random, weather: Weather, lateness: Duration, kept: bool) -> Self {
        Self {
            now: Instant::from_nanos(0),
            network: Network::new(weather),
            routers: Vec::new(),
            timeline: Timeline::new(kept),
            lateness,
            random,
            troubles: BTreeMap::new(),
            last_adverts: Vec::new(),
            calm: None,
            violation: None,
        }
    }

    /// Adds a router; its process starts with `Trouble::Boot`.
    pub fn add(&mut self, router: Router) -> RouterId {
        self.routers.push(router);
        self.network.sides.push(0);
        self.last_adverts.push(None);
        self.routers.len() - 1
    }

    /// Makes trouble after `delay`. For `Weather` and `Split` the router does not matter.
    pub fn plan(&mut self, delay: Duration, router: RouterId, trouble: Trouble) {
        let serial = self.troubles.len();
        let mut key = (self.now + delay, serial);
        while self.troubles.contains_key(&key) {
            key.1 += 1;
        }
        self.troubles.insert(key, (router, trouble));
    }

    /// From now on two masters at once longer than `overlap`, and an advert missed by a master, are violations.
    pub const fn calm_down(&mut self, overlap: Duration) {
        self.calm = Some(Calm { overlap, since: None });
    }

    /// Who is master.
    pub fn masters(&self) -> Vec<RouterId> {
        (0..self.routers.len()).filter(|id| self.routers.get(*id).is_some_and(|router| router.state() == State::Master)).collect()
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration) -> Result<(), Violation> {
        let end = self.now + span;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.advance(next)?;
        }
        self.now = end;
        Ok(())
    }

    /// Does what is due at `next`, if anything.
    pub(super) fn advance(&mut self, next: Instant) -> Result<(), Violation> {
        self.now = self.now.max(next);
        self.step();
        self.look_around();
        self.violation.take().map_or(Ok(()), Err)
    }

    pub(super) fn next_time(&mut self) -> Option<Instant> {
        let mut next = self.troubles.keys().next().map(|(at, _)| *at);
        let mut sooner = |at: Option<Instant>| next = [next, at].into_iter().flatten().min();
        sooner(self.network.next_arrival());
        for router in &mut self.routers {
            sooner(router.alarm_at(|| self.random.span(Duration::ZERO, self.lateness)));
            sooner(router.asleep_until);
        }
        next
    }

    /// All that is due now. Datagrams come before deadlines, as the real receiver hands them over.
    fn step(&mut self) {
        while let Some(entry) = self.troubles.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (router, trouble) = entry.remove();
            self.trouble(router, trouble);
        }
        for id in 0..self.routers.len() {
            self.wake_up(id);
        }
        while let Some(packet) = self.network.arrived(self.now) {
            self.deliver(packet);
        }
        for id in 0..self.routers.len() {
            let Some(router) = self.routers.get_mut(id) else { continue };
            let late = || self.random.span(Duration::ZERO, self.lateness);
            if router.alarm_at(late).is_some_and(|at| at <= self.now) {
                self.tell(id, Event::DeadlineReached);
            }
        }
    }

    fn wake_up(&mut self, id: RouterId) {
        let Some(router) = self.routers.get_mut(id) else { return };
        if router.asleep_until.is_none_or(|until| until > self.now) {
            return;
        }
        router.asleep_until = None;
        for packet in std::mem::take(&mut router.inbox) {
            self.deliver(packet);
        }
    }

    /// A datagram reaches a socket, and the machine if it passes the checks.
    fn deliver(&mut self, packet: Packet) {
        let Some(sender) = self.routers.get(packet.from).map(|router| router.source) else { return };
        let Some(router) = self.routers.get_mut(packet.to) else { return };
        let Some(instance) = &router.instance else { return };
        if router.asleep_until.is_some() {
            return router.inbox.push(packet);
        }
        let context = Context { state: instance.state(), master: instance.master(), sequence: 0 };
        let destination = group(instance);
        let datagram = Datagram { source: sender, destination, ttl: Some(255), payload: &packet.bytes, protocol: 112, ip_header: None };
        match receive::check(&router.settings, context, &mut router.stats, &datagram) {
            Verdict::Accepted(advert) | Verdict::AcceptedWithNote(advert, _) => {
                if packet.damaged {
                    return self.accuse(packet.to, format!("took a damaged advert: {advert:?}"));
                }
                router.reckon(router.clock.shows(self.now), &advert);
                self.tell(packet.to, Event::AdvertReceived(advert));
            }
            Verdict::Dropped(discard) => self.timeline.add(self.now, packet.to, || Happening::Dropped(discard)),
        }
    }

    /// Tells a router's machine, and does what it wants done.
    pub(super) fn tell(&mut self, id: RouterId, event: Event) {
        let Some(router) = self.routers.get_mut(id) else { return };
        let local = router.clock.shows(self.now);
        let Some(instance) = &mut router.instance else { return };
        let mut actions = Vec::new();
        instance.handle(local, event, &mut actions);
        for action in actions {
            self.carry_out(id, local, action);
        }
    }

    fn carry_out(&mut self, id: RouterId, local: Instant, action: Action) {
        let Some(router) = self.routers.get_mut(id) else { return };
        router.stats.record(&action);
        match action {
            Action::SendAdvert { priority } => self.send(id, priority),
            Action::InstallAddresses => router.addresses = true,
            Action::RemoveAddresses => router.addresses = false,
            Action::Announce { .. } | Action::AnnounceElsewhere => {}
            Action::Entered(change) => self.entered(id, local, change),
            Action::Note(note) => self.timeline.add(self.now, id, || Happening::Noted(note)),
        }
    }

    fn entered(&mut self, id: RouterId, local: Instant, change: Transition) {
        let Some(router) = self.routers.get_mut(id) else { return };
        if let Some(what) = router.judge(local, &change) {
            self.accuse(id, what);
        }
        if change.to != State::Master
            && let Some(last) = self.last_adverts.get_mut(id)
        {
            *last = None;
        }
        self.timeline.add(self.now, id, || Happening::Entered(change));
    }

    fn send(&mut self, id: RouterId, priority: u8) {
        let Some(router) = self.routers.get(id) else { return };
        let Some(instance) = &router.instance else { return };
        let bytes = packet::emit(&router.settings, priority, router.source, group(instance), None);
        self.network.multicast(self.now, id, &Rc::from(bytes), &mut self.random);
        self.timeline.add(self.now, id, || Happening::Sent { priority });
        let interval = router.settings.advert_interval.duration();
        let Some(last) = self.last_adverts.get_mut(id) else { return };
        let gap = last.replace(self.now).map(|last| self.now.since(last));
        if let (Some(_), Some(gap)) = (self.calm, gap)
            && gap > interval + interval / 1000 + self.lateness
        {
            self.accuse(id, format!("silent for {gap:?} as a master"));
        }
    }

    fn trouble(&mut self, id: RouterId, trouble: Trouble) {
        self.timeline.add(self.now, id, || Happening::Trouble(trouble.clone()));
        let count = self.routers.len();
        let Some(router) = self.routers.get_mut(id) else { return };
        match trouble {
            Trouble::Weather(weather) => self.network.weather = weather,
            Trouble::Split(sides) if sides.len() == count => self.network.sides = sides,
            Trouble::Split(_) => {}
            Trouble::Sleep(span) => {
                router.asleep_until = Some(self.now + span);
                self.forgive_gap(id);
            }
            Trouble::KillProcess(gone) => {
                let Some(snapshot) = router.snapshot() else { return };
                router.instance = None;
                self.plan(gone, id, Trouble::ReplaceProcess(Box::new(snapshot)));
            }
            Trouble::ReplaceProcess(snapshot) if router.instance.is_none() => {
                let event = router.boot(Some(*snapshot));
                self.tell(id, event);
            }
            Trouble::ReplaceProcess(_) => {}
            Trouble::Crash => {
                router.instance = None;
                router.addresses = false;
                self.forgive_gap(id);
            }
            Trouble::Boot if router.instance.is_none() || router.state() == State::Stopped => {
                let event = router.boot(None);
                self.tell(id, event);
            }
            Trouble::Boot => {}
            Trouble::Stop => self.tell(id, Event::StopRequested),
            Trouble::FaultBegins(fault) => {
                router.faults.insert(fault.clone());
                self.tell(id, Event::FaultBegan(fault));
            }
            Trouble::FaultEnds(fault) => {
                router.faults.remove(&fault);
                self.tell(id, Event::FaultEnded(fault));
            }
            Trouble::Priority(priority) => {
                router.priority = priority;
                self.tell(id, Event::PriorityChanged(priority));
            }
        }
    }

    /// The next advert is late for a reason.
    fn forgive_gap(&mut self, id: RouterId) {
        if let Some(last) = self.last_adverts.get_mut(id) {
            *last = None;
        }
    }

    /// What must hold after every step.
    fn look_around(&mut self) {
        for id in 0..self.routers.len() {
            let Some(router) = self.routers.get(id) else { continue };
            if router.instance.is_some() && router.addresses != (router.state() == State::Master) {
                self.accuse(id, format!("{} and addresses installed: {}", router.state(), router.addresses));
            }
        }
        let masters = self.masters();
        let Some(calm) = &mut self.calm else { return };
        if masters.len() < 2 {
            calm.since = None;
            return;
        }
        let since = *calm.since.get_or_insert(self.now);
        if self.now.since(since) > calm.overlap {
            let what = format!("masters {masters:?} for {:?}, {:?} is the most", self.now.since(since), calm.overlap);
            self.accuse(masters.first().copied().unwrap_or_default(), what);
        }
    }

    fn accuse(&mut self, router: RouterId, what: String) {
        self.violation.get_or_insert(Violation { at: self.now, router, what });
    }
}

/// Where an instance's adverts go.
fn group(instance: &Instance) -> IpAddr {
    match &instance.settings().transport {
        Transport::Multicast { group, .. } => *group,
        Transport::Unicast { .. } => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    }
}
