//! The state machine (RFC 5880 §6.2, §6.8.6): events and the time go in, orders come out.
//!
//! ```text
//!            neighbour Down                     neighbour Init, Up
//!   Down ─────────────────────▶ Init ─────────────────────────────────▶ Up
//!    │ ▲                         │ │                                     │
//!    │ └─ detection time over ───┘ │                                     │
//!    │    neighbour AdminDown      │                                     │
//!    └── neighbour Init ───────────┼──────────────────────────────▶ Up   │
//!                                  └─ neighbour Down: stays              │
//!   Down ◀── detection time over, neighbour Down or AdminDown ───────────┘
//! ```
//! Who drives it calls `handle` with `DeadlineReached` when [`Session::deadline`] has come, never before, and hands over
//! packets that wait in the socket first: a packet that came in time must count.

use super::event::{Action, Diagnostic, End, Event, Note, Parameters, Remote, Snapshot, State};
use super::intervals::{Intervals, jittered};
use super::packet::Packet;
use super::settings::Settings;
use crate::types::Instant;
use crate::types::random::Random;
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// One `bfd_instance`.
#[derive(Clone, Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    /// What those who listen were told.
    up: bool,
    diagnostic: Diagnostic,
    discriminator: u32,
    intervals: Intervals,
    remote: Remote,
    /// When the neighbour was heard last.
    heard: Option<Instant>,
    /// When our last packet left that was not an answer to a poll.
    sent: Option<Instant>,
    /// When the next one is to leave.
    next: Option<Instant>,
    /// As the log knows them.
    told: Parameters,
    random: Random,
}

impl Session {
    /// One that begins now. `discriminator` is not 0 and no other session's; `seed` makes the jitter.
    pub fn new(settings: Arc<Settings>, discriminator: u32, seed: u64, now: Instant) -> Self {
        let intervals = Intervals::idle(&settings);
        let mut session = Self {
            settings,
            state: State::Down,
            up: false,
            diagnostic: Diagnostic::None,
            discriminator,
            intervals,
            remote: Remote::default(),
            heard: None,
            sent: None,
            next: None,
            told: Parameters::default(),
            random: Random::new(seed),
        };
        // Many sessions that begin together do not send together.
        session.next = session.may_send().then(|| now + session.random.span(Duration::ZERO, Duration::from_millis(100)));
        session
    }

    /// One that a predecessor had, as it left it: the neighbour need not notice. Its detection time begins anew.
    pub fn resumed(settings: Arc<Settings>, snapshot: &Snapshot, seed: u64, now: Instant) -> Self {
        let mut session = Self::new(settings, snapshot.discriminator, seed, now);
        (session.state, session.up, session.diagnostic) = (snapshot.state, snapshot.up, snapshot.diagnostic);
        (session.intervals, session.remote) = (snapshot.intervals, snapshot.remote);
        session.heard = (snapshot.remote.discriminator != 0).then_some(now);
        session.next = session.may_send().then_some(now);
        session.told = session.parameters();
        session
    }

    /// For a successor; `port` is where its packets leave from.
    pub const fn snapshot(&self, port: u16) -> Snapshot {
        let Self { state, up, diagnostic, discriminator, intervals, remote, .. } = self;
        Snapshot {
            state: *state,
            up: *up,
            diagnostic: *diagnostic,
            discriminator: *discriminator,
            intervals: *intervals,
            remote: *remote,
            port,
        }
    }

    /// What it was told.
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// bfd.SessionState.
    pub const fn state(&self) -> State {
        self.state
    }

    /// bfd.LocalDiscr.
    pub const fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// When the neighbour was heard last.
    pub const fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// Both ends' intervals now.
    pub fn parameters(&self) -> Parameters {
        let (ours, theirs, settings) = (&self.intervals, &self.remote, &self.settings);
        let (tx, their_tx) = (ours.transmit(theirs), theirs.min_tx.max(ours.rx_in_use));
        let local =
            End { min_tx: ours.min_tx, min_rx: ours.min_rx, tx, multiplier: settings.multiplier, detection: ours.detection(theirs) };
        let remote = End {
            min_tx: theirs.min_tx,
            min_rx: theirs.min_rx,
            tx: their_tx,
            multiplier: theirs.multiplier,
            detection: tx * u32::from(settings.multiplier),
        };
        Parameters { local, remote }
    }

    /// When it wants `DeadlineReached`.
    pub fn deadline(&self) -> Option<Instant> {
        [self.next, self.expires()].into_iter().flatten().min()
    }

    /// When the neighbour counts as gone.
    fn expires(&self) -> Option<Instant> {
        self.heard.map(|heard| heard + self.intervals.detection(&self.remote))
    }

    /// What is to be done about an event.
    pub fn handle(&mut self, now: Instant, event: &Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match (self.state, event) {
            // §6.8.16: nobody takes a session out of service here; one that has no more configuration falls silent.
            (State::AdminDown, Event::Received(_) | Event::DeadlineReached | Event::Replaced(_)) => {}
            (State::Down | State::Init | State::Up, Event::Received(packet)) => self.received(now, packet, &mut actions),
            (State::Down | State::Init | State::Up, Event::DeadlineReached) => self.deadline_reached(now, &mut actions),
            (State::Down | State::Init | State::Up, Event::Replaced(settings)) => self.replaced(now, settings, &mut actions),
        }
        actions
    }

    /// §6.8.6, from "Set bfd.RemoteDiscr" on.
    fn received(&mut self, now: Instant, packet: &Packet, actions: &mut Vec<Action>) {
        self.heard = Some(now);
        self.remote = Remote {
            discriminator: packet.mine,
            state: packet.state,
            diagnostic: packet.diagnostic,
            demand: packet.demand,
            multiplier: packet.multiplier,
            min_tx: packet.min_tx,
            min_rx: packet.min_rx,
        };
        if packet.last && self.intervals.polling {
            self.intervals.confirmed();
        }
        let (state, diagnostic) = self.follows(packet.state);
        let moved = state != self.state;
        if moved {
            self.enter(state, diagnostic, actions);
        }
        self.tell_parameters(actions);
        if packet.poll {
            // §6.8.7: at once, whenever the next one is due.
            actions.push(Action::Send(self.packet(true)));
        } else if moved {
            // §6.8.7: what differs from the last packet is to be known soon.
            self.send(now, actions);
        }
        self.schedule(now);
    }

    /// Where the neighbour's state leads from ours, and why (§6.8.6).
    const fn follows(&self, remote: State) -> (State, Diagnostic) {
        match (self.state, remote) {
            (State::AdminDown, State::AdminDown | State::Down | State::Init | State::Up) => (State::AdminDown, self.diagnostic),
            (State::Down, State::AdminDown) => (State::Down, self.diagnostic),
            (State::Down, State::Down) => (State::Init, Diagnostic::None),
            (State::Down, State::Init) => (State::Up, Diagnostic::None),
            (State::Down, State::Up) => (State::Down, self.diagnostic),
            (State::Init, State::AdminDown) => (State::Down, Diagnostic::Signaled),
            (State::Init, State::Down) => (State::Init, self.diagnostic),
            (State::Init, State::Init | State::Up) => (State::Up, Diagnostic::None),
            (State::Up, State::AdminDown | State::Down) => (State::Down, Diagnostic::Signaled),
            (State::Up, State::Init | State::Up) => (State::Up, self.diagnostic),
        }
    }

    fn deadline_reached(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Some(due) = self.expires().filter(|due| *due <= now) {
            self.expired(now.since(due), actions);
        }
        if self.next.is_some_and(|due| due <= now) {
            self.send(now, actions);
        }
        self.schedule(now);
    }

    /// §6.8.4, §6.8.1 (bfd.RemoteDiscr): the neighbour is gone, and nothing is known of it any more.
    fn expired(&mut self, overdue: Duration, actions: &mut Vec<Action>) {
        let after = self.intervals.detection(&self.remote);
        let remote = std::mem::take(&mut self.remote);
        self.heard = None;
        match self.state {
            State::Init | State::Up => {
                actions.push(Action::Say(Note::Expired { after, overdue }));
                // What it said of itself last belongs to the line.
                self.remote.diagnostic = remote.diagnostic;
                self.enter(State::Down, Diagnostic::Expired, actions);
                self.remote.diagnostic = Diagnostic::None;
                // To be known soon, if the other direction still works.
                self.next = Some(Instant::default());
            }
            State::AdminDown | State::Down => {}
        }
        self.told = self.parameters();
    }

    fn replaced(&mut self, now: Instant, settings: &Arc<Settings>, actions: &mut Vec<Action>) {
        self.settings = Arc::clone(settings);
        match self.state {
            State::Up => {
                if self.intervals.change(settings.min_tx, settings.min_rx) {
                    actions.push(Action::Say(Note::PollStarted));
                }
                self.send(now, actions);
            }
            State::AdminDown | State::Down | State::Init => self.intervals = Intervals::idle(settings),
        }
        self.tell_parameters(actions);
        self.schedule(now);
    }

    fn enter(&mut self, state: State, diagnostic: Diagnostic, actions: &mut Vec<Action>) {
        let was_up = self.state == State::Up;
        (self.state, self.diagnostic) = (state, diagnostic);
        actions.push(Action::Say(Note::Entering { state, diagnostic, remote: self.remote.diagnostic }));
        if state == State::Up {
            if self.intervals.change(self.settings.min_tx, self.settings.min_rx) {
                actions.push(Action::Say(Note::PollStarted));
            }
        } else if was_up {
            self.intervals = Intervals::idle(&self.settings);
        }
        // RFC 5882 §4.2: a neighbour that was taken out of service has not failed.
        let up = state == State::Up || (self.up && self.remote.state == State::AdminDown);
        if std::mem::replace(&mut self.up, up) != up {
            actions.push(Action::Tell { up });
        }
    }

    /// Whether it sends of its own accord (§6.8.7).
    fn may_send(&self) -> bool {
        let waits_to_be_spoken_to = self.settings.passive && self.remote.discriminator == 0;
        let both_up = self.state == State::Up && self.remote.state == State::Up;
        let on_demand_only = self.remote.demand && both_up && !self.intervals.polling;
        !waits_to_be_spoken_to && !self.remote.min_rx.is_zero() && !on_demand_only && self.state != State::AdminDown
    }

    fn send(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.may_send() {
            actions.push(Action::Send(self.packet(false)));
            (self.sent, self.next) = (Some(now), None);
        }
    }

    /// When the next packet leaves: never later than the interval that holds now says.
    fn schedule(&mut self, now: Instant) {
        if !self.may_send() {
            self.next = None;
            return;
        }
        let pause = jittered(self.intervals.transmit(&self.remote), self.settings.multiplier, &mut self.random);
        let due = self.sent.map_or(now, |sent| sent + pause);
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }

    fn packet(&self, last: bool) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: self.intervals.polling && !last,
            last,
            demand: false,
            multiplier: self.settings.multiplier,
            mine: self.discriminator,
            yours: self.remote.discriminator,
            min_tx: self.intervals.min_tx,
            min_rx: self.intervals.min_rx,
        }
    }

    /// Says what changed of the intervals, if anything did.
    fn tell_parameters(&mut self, actions: &mut Vec<Action>) {
        let parameters = self.parameters();
        let before = std::mem::replace(&mut self.told, parameters);
        if parameters != before {
            actions.push(Action::Say(Note::Parameters(parameters)));
        }
        let (now, was) = (parameters.local.detection, before.local.detection);
        if now != was {
            actions.push(Action::Say(Note::DetectionTime { now, was }));
        }
    }
}
