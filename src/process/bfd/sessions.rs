//! The sessions, driven: packets and deadlines in, packets out.
//!
//! A deadline that has come is acted on only when every packet that waits has been read: one that came in time must count,
//! however late this process runs.

use super::dump;
use super::root::RootMsg;
use crate::bfd::event::{Action, Event, Snapshot};
use crate::bfd::fsm::Session;
use crate::bfd::packet::Packet;
use crate::bfd::settings::Settings;
use crate::net::control::{Received, Receiver, SOURCE_PORTS, Sender};
use crate::sys::clock::{self, TimerFd};
use crate::types::random::Random;
use crate::types::{Family, Instant};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// So many packets are read before deadlines get their turn.
const PORTION: usize = 256;

/// So many times that many at most, when a deadline has come: who floods us must not stop the clock.
const PORTIONS: u32 = 16;

/// A socket that could not be opened is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// Packets that count for nobody are told of no more often than this.
const DISCARD_PAUSE: Duration = Duration::from_secs(10);

/// So many ports are tried for a session.
const PORT_TRIES: usize = 64;

/// To the actor.
pub(super) enum Msg {
    /// Packets wait.
    Readable,
    /// A deadline may have come.
    Timer,
    /// Sockets that could not be opened may open now.
    Open,
    /// These are the sessions from now on; what did not change goes on untouched.
    Reload(Vec<Arc<Settings>>),
    /// Say all.
    Describe,
    /// Fail, to prove that nothing is lost.
    #[cfg(test)]
    Panic,
}

pub(super) struct Arguments {
    pub(super) root: ActorRef<RootMsg>,
    pub(super) settings: Vec<Arc<Settings>>,
    /// What is known of sessions by name.
    pub(super) known: HashMap<String, Snapshot>,
}

pub(super) struct Sessions;

/// One session with its socket.
pub(super) struct Entry {
    pub(super) session: Session,
    pub(super) sender: Option<Sender>,
    /// Of its first packet, and of all after it.
    port: u16,
    /// The last packet could not be sent, and that was said.
    pub(super) send_failed: bool,
    /// Its socket could not be opened, and that was said.
    open_failed: bool,
    /// Its place among the deadlines.
    queued: Option<Instant>,
    /// What the supervisor knows.
    told: Option<Snapshot>,
}

pub(super) struct State {
    root: ActorRef<RootMsg>,
    /// By bfd.LocalDiscr, in the order of nothing.
    entries: HashMap<u32, Entry>,
    /// bfd.LocalDiscr by neighbour, which no two have in common.
    neighbours: HashMap<IpAddr, u32>,
    deadlines: BTreeSet<(Instant, u32)>,
    timer: Arc<TimerFd>,
    armed: Option<Instant>,
    ears: Vec<Ear>,
    /// Receivers that could not be opened, and that was said.
    deaf: Vec<(Family, u16)>,
    /// It is tried again soon to open what is not open.
    retries: bool,
    random: Random,
    discarded: u64,
    discard_said: Option<Instant>,
    _watch: Task,
}

/// A receiver and the task that waits for it.
struct Ear {
    receiver: Arc<Receiver>,
    _watch: Task,
}

/// Ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Actor for Sessions {
    type Msg = Msg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(&self, myself: ActorRef<Msg>, arguments: Arguments) -> Result<State, ActorProcessingErr> {
        let Arguments { root, settings, known } = arguments;
        let timer = Arc::new(TimerFd::new()?);
        let (fires, actor) = (timer.clone(), myself.clone());
        let watch = Task(tokio::spawn(async move { while fires.fired().await.is_ok() && actor.cast(Msg::Timer).is_ok() {} }));
        let mut state = State {
            root,
            entries: HashMap::new(),
            neighbours: HashMap::new(),
            deadlines: BTreeSet::new(),
            timer,
            armed: None,
            ears: Vec::new(),
            deaf: Vec::new(),
            retries: false,
            random: Random::new(RandomState::new().hash_one(std::process::id())),
            discarded: 0,
            discard_said: None,
            _watch: watch,
        };
        for settings in settings {
            let known = known.get(&settings.name);
            state.begin(settings, known);
        }
        state.open(&myself);
        state.arm();
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Readable => {
                if state.receive() {
                    let _ = myself.cast(Msg::Readable);
                }
            }
            Msg::Timer => {
                state.armed = None;
                let mut portions = PORTIONS;
                while state.receive() && portions > 0 {
                    portions -= 1;
                }
            }
            Msg::Open => {
                state.retries = false;
                state.open(&myself);
            }
            Msg::Reload(settings) => state.reload(&myself, settings),
            Msg::Describe => _ = state.root.cast(RootMsg::Described(state.describe())),
            #[cfg(test)]
            Msg::Panic => std::panic::panic_any("asked to"),
        }
        state.deadlines();
        state.arm();
        Ok(())
    }
}

impl State {
    /// A session begins, or goes on where a predecessor left it.
    fn begin(&mut self, settings: Arc<Settings>, known: Option<&Snapshot>) {
        let (seed, now) = (self.random.bits(), clock::now());
        let neighbour = settings.neighbour;
        let (session, port) = match known.filter(|known| !self.entries.contains_key(&known.discriminator)) {
            Some(known) => (Session::resumed(settings, known, seed, now), known.port),
            None => (Session::new(settings, self.free_discriminator(), seed, now), 0),
        };
        let discriminator = session.discriminator();
        let entry = Entry { session, sender: None, port, send_failed: false, open_failed: false, queued: None, told: None };
        self.neighbours.insert(neighbour, discriminator);
        self.entries.insert(discriminator, entry);
        self.settle(discriminator);
    }

    /// Nonzero, and no other session's (RFC 5880 §6.8.1).
    fn free_discriminator(&mut self) -> u32 {
        loop {
            let number = u32::try_from(self.random.bits() >> 32).unwrap_or(0);
            if number != 0 && !self.entries.contains_key(&number) {
                return number;
            }
        }
    }

    /// Opens what is wanted and not open.
    fn open(&mut self, myself: &ActorRef<Msg>) {
        let wanted: BTreeSet<(bool, u16)> = self.entries.values().map(|entry| hears(entry.session.settings())).collect();
        let family = |six: bool| if six { Family::V6 } else { Family::V4 };
        self.ears.retain(|ear| wanted.iter().any(|(six, port)| ear.receiver.hears() == (family(*six), *port)));
        let mut again = false;
        for (six, port) in wanted {
            let what = (family(six), port);
            if !self.ears.iter().any(|ear| ear.receiver.hears() == what) {
                again |= !self.listen(myself, what);
            }
        }
        for entry in self.entries.values_mut().filter(|entry| entry.sender.is_none()) {
            again |= !entry.open(&mut self.random);
        }
        if again && !std::mem::replace(&mut self.retries, true) {
            myself.send_after(RETRY, || Msg::Open);
        }
        let all: Vec<u32> = self.entries.keys().copied().collect();
        for discriminator in all {
            self.settle(discriminator);
        }
    }

    /// Whether it could be done.
    fn listen(&mut self, myself: &ActorRef<Msg>, (family, port): (Family, u16)) -> bool {
        match Receiver::open(family, port) {
            Ok(receiver) => {
                let receiver = Arc::new(receiver);
                let (ear, actor) = (receiver.clone(), myself.clone());
                let watch = tokio::spawn(async move { while ear.readable().await.is_ok() && actor.cast(Msg::Readable).is_ok() {} });
                self.ears.push(Ear { receiver, _watch: Task(watch) });
                self.deaf.retain(|known| *known != (family, port));
                true
            }
            Err(error) => {
                if !self.deaf.contains(&(family, port)) {
                    self.deaf.push((family, port));
                    tracing::error!("BFD cannot listen on {family} port {port}: {error}; it is tried again every second");
                }
                false
            }
        }
    }

    /// Reads packets that wait; whether more may.
    fn receive(&mut self) -> bool {
        let receivers: Vec<Arc<Receiver>> = self.ears.iter().map(|ear| ear.receiver.clone()).collect();
        let mut more = false;
        for receiver in receivers {
            let (_, port) = receiver.hears();
            match receiver.receive(PORTION, |packet| self.received(port, packet)) {
                Ok(rest) => more |= rest,
                Err(error) => tracing::debug!("BFD port {port}: {error}"),
            }
        }
        more
    }

    fn received(&mut self, port: u16, received: &Received<'_>) {
        match self.addressee(port, received) {
            Ok((discriminator, packet)) => self.happens(discriminator, &Event::Received(packet)),
            Err(why) => self.discard(received.source, &why),
        }
    }

    /// Whose packet it is (RFC 5880 §6.8.6, RFC 5881 §5).
    fn addressee(&self, port: u16, received: &Received<'_>) -> Result<(u32, Packet), String> {
        let discriminator = *self.neighbours.get(&received.source).ok_or("no session has such a neighbour")?;
        let entry = self.entries.get(&discriminator).ok_or("no such session")?;
        let settings = entry.session.settings();
        if settings.port() != port {
            return Err(format!("it came to port {port}"));
        }
        if let (Some(ours), Some(destination)) = (settings.source, received.destination)
            && ours != destination
        {
            return Err(format!("it was sent to {destination}, not to {ours}"));
        }
        let (ttl, least) = (received.ttl.unwrap_or(0), settings.least_ttl());
        if ttl < least {
            return Err(format!("TTL {ttl} is less than {least}"));
        }
        let packet = Packet::parse(received.payload).map_err(|flaw| flaw.to_string())?;
        if packet.yours != 0 && packet.yours != discriminator {
            return Err(format!("your discriminator {:#x} is not ours", packet.yours));
        }
        Ok((discriminator, packet))
    }

    fn discard(&mut self, source: IpAddr, why: &str) {
        self.discarded += 1;
        let now = clock::now();
        if self.discard_said.is_none_or(|said| now.since(said) >= DISCARD_PAUSE) {
            self.discard_said = Some(now);
            tracing::info!("BFD packet from {source} discarded: {why} ({} so far)", self.discarded);
        }
    }

    /// Everything that is due.
    fn deadlines(&mut self) {
        let now = clock::now();
        while let Some((due, discriminator)) = self.deadlines.first().copied().filter(|(due, _)| *due <= now) {
            self.deadlines.remove(&(due, discriminator));
            if let Some(entry) = self.entries.get_mut(&discriminator) {
                entry.queued = None;
            }
            self.happens(discriminator, &Event::DeadlineReached);
        }
    }

    fn happens(&mut self, discriminator: u32, event: &Event) {
        let Some(entry) = self.entries.get_mut(&discriminator) else { return };
        for action in entry.session.handle(clock::now(), event) {
            match action {
                Action::Send(packet) => entry.send(&packet),
                // What a successor must know says it.
                Action::Tell { .. } => {}
                Action::Say(note) => {
                    for line in note.lines(&entry.session.settings().name) {
                        if note.is_detail() {
                            tracing::debug!("{line}");
                        } else {
                            tracing::info!("{line}");
                        }
                    }
                }
            }
        }
        self.settle(discriminator);
    }

    /// Its deadline takes its place, and the supervisor hears what is new.
    fn settle(&mut self, discriminator: u32) {
        let Some(entry) = self.entries.get_mut(&discriminator) else { return };
        let deadline = entry.session.deadline();
        if deadline != entry.queued {
            if let Some(queued) = entry.queued {
                self.deadlines.remove(&(queued, discriminator));
            }
            self.deadlines.extend(deadline.map(|due| (due, discriminator)));
            entry.queued = deadline;
        }
        let snapshot = entry.session.snapshot(entry.port);
        if entry.told.as_ref() != Some(&snapshot) {
            entry.told = Some(snapshot.clone());
            let session = entry.session.settings().name.clone();
            let _ = self.root.cast(RootMsg::Changed { session, snapshot: Box::new(snapshot) });
        }
    }

    fn arm(&mut self) {
        let first = self.deadlines.first().map(|(due, _)| *due);
        if first != self.armed {
            match self.timer.arm(first) {
                Ok(()) => self.armed = first,
                Err(error) => tracing::error!("BFD timer: {error}"),
            }
        }
    }

    fn reload(&mut self, myself: &ActorRef<Msg>, settings: Vec<Arc<Settings>>) {
        let same = |entry: &Entry, new: &Settings| entry.session.settings().is_same_session(new);
        let gone: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, entry)| !settings.iter().any(|new| same(entry, new)))
            .map(|(discriminator, _)| *discriminator)
            .collect();
        for discriminator in gone {
            self.dismiss(discriminator);
        }
        for new in settings {
            let running = self.entries.iter().find(|(_, entry)| same(entry, &new)).map(|(discriminator, _)| *discriminator);
            match running {
                None => self.begin(new, None),
                Some(discriminator) => self.replace(discriminator, &new),
            }
        }
        self.open(myself);
    }

    fn replace(&mut self, discriminator: u32, new: &Arc<Settings>) {
        let Some(entry) = self.entries.get_mut(&discriminator).filter(|entry| entry.session.settings() != new) else { return };
        if entry.session.settings().ttl != new.ttl {
            // From the same port, so that it stays the same session.
            entry.sender = None;
            entry.open_with(new, &mut self.random);
        }
        self.happens(discriminator, &Event::Replaced(Arc::clone(new)));
    }

    /// Falls silent, as the original: its neighbour notices within the detection time. Told that this end is AdminDown, the original's
    /// VRRP would go on as if all were well.
    fn dismiss(&mut self, discriminator: u32) {
        if let Some(entry) = self.entries.remove(&discriminator) {
            if let Some(queued) = entry.queued {
                self.deadlines.remove(&(queued, discriminator));
            }
            let neighbour = entry.session.settings().neighbour;
            self.neighbours.retain(|address, known| *address != neighbour || *known != discriminator);
        }
    }

    fn describe(&self) -> String {
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_by(|one, other| one.session.settings().name.cmp(&other.session.settings().name));
        let ears: Vec<i32> = self.ears.iter().map(|ear| ear.receiver.number()).collect();
        dump::text(&ears, self.discarded, &entries)
    }
}

/// The receiver that a session needs: whether of IPv6, and the port.
const fn hears(settings: &Settings) -> (bool, u16) {
    (settings.neighbour.is_ipv6(), settings.port())
}

impl Entry {
    /// Whether it could be done.
    fn open(&mut self, random: &mut Random) -> bool {
        let settings = Arc::clone(self.session.settings());
        self.open_with(&settings, random)
    }

    fn open_with(&mut self, settings: &Settings, random: &mut Random) -> bool {
        let (first, last) = (u64::from(*SOURCE_PORTS.start()), u64::from(*SOURCE_PORTS.end()));
        let drawn = (0..PORT_TRIES).filter_map(|_| u16::try_from(random.between(first, last)).ok());
        let ports = (self.port != 0).then_some(self.port).into_iter().chain(drawn);
        let to = SocketAddr::new(settings.neighbour, settings.port());
        match Sender::open(settings.source, to, settings.ttl, ports) {
            Ok(sender) => {
                self.port = sender.port();
                self.sender = Some(sender);
                self.open_failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.open_failed, true) {
                    tracing::error!("({}) Unable to open output socket: {error}; it is tried again every second", settings.name);
                }
            }
        }
        self.sender.is_some()
    }

    fn send(&mut self, packet: &Packet) {
        let Some(sender) = &self.sender else { return };
        let name = &self.session.settings().name;
        match sender.send(&packet.bytes()) {
            Ok(()) => {
                if std::mem::take(&mut self.send_failed) {
                    tracing::info!("({name}) packets can be sent again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.send_failed, true) {
                    tracing::warn!("({name}) packets cannot be sent: {error}");
                }
            }
        }
    }
}
