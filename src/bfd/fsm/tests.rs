//! Two sessions on a virtual wire, and one against every packet there can be.

use super::*;
use crate::bfd::settings::testing::settings;
use proptest::prelude::*;
use std::collections::VecDeque;

const MS: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Instant {
    Instant::from_nanos(10_000_000_000 + millis * 1_000_000)
}

/// Two ends; a packet arrives at the moment it is sent, unless its direction is cut.
struct Wire {
    ends: [Session; 2],
    cut: [bool; 2],
    now: Instant,
    sent: [u32; 2],
    polls: u32,
    changes: Vec<(usize, bool, Instant)>,
    notes: Vec<(usize, Note)>,
}

impl Wire {
    fn new(one: Settings, other: Settings) -> Self {
        let ends = [Session::new(Arc::new(one), 1, 7, at(0)), Session::new(Arc::new(other), 2, 8, at(0))];
        Self { ends, cut: [false; 2], now: at(0), sent: [0; 2], polls: 0, changes: Vec::new(), notes: Vec::new() }
    }

    fn plain() -> Self {
        Self::new(settings(), settings())
    }

    fn happens(&mut self, end: usize, event: Event) {
        let mut queue = VecDeque::from([(end, event)]);
        while let Some((end, event)) = queue.pop_front() {
            for action in self.ends[end].handle(self.now, &event) {
                match action {
                    Action::Send(packet) => {
                        self.sent[end] += 1;
                        self.polls += u32::from(packet.poll);
                        let packet = Packet::parse(&packet.bytes()).unwrap();
                        if !self.cut[end] {
                            queue.push_back((1 - end, Event::Received(packet)));
                        }
                    }
                    Action::Tell { up } => self.changes.push((end, up, self.now)),
                    Action::Say(note) => self.notes.push((end, note)),
                }
            }
        }
    }

    fn until(&mut self, end: Instant) {
        loop {
            let due = |session: &Session| session.deadline();
            let next = self.ends.iter().enumerate().filter_map(|(at, session)| Some((due(session)?, at))).min();
            let Some((time, session)) = next.filter(|(time, _)| *time <= end) else { break };
            self.now = time.max(self.now);
            self.happens(session, Event::DeadlineReached);
        }
        self.now = end;
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}

#[test]
fn two_ends_that_hear_each_other_come_up_and_agree_on_the_fast_intervals() {
    let mut wire = Wire::plain();
    wire.until(at(1500));
    assert_eq!(wire.states(), [State::Up; 2]);
    assert_eq!(wire.ends[0].parameters().local.detection, 150 * MS);
    assert!(!wire.ends.iter().any(|end| end.intervals.polling), "the poll sequences ended");
    let before = wire.sent;
    wire.until(at(11_500));
    for (now, before) in wire.sent.iter().zip(before) {
        // 50 ms less 0 to 25 %
        assert!((200..=270).contains(&(now - before)), "{}", now - before);
    }
    assert_eq!(wire.states(), [State::Up; 2]);
}

#[test]
fn a_cut_line_is_noticed_within_the_detection_time_and_both_ends_come_back() {
    let mut wire = Wire::plain();
    wire.until(at(2000));
    (wire.cut, wire.changes) = ([true; 2], Vec::new());
    wire.until(at(2151));
    assert_eq!(wire.states(), [State::Down; 2]);
    assert!(wire.changes.iter().all(|(_, up, when)| !up && when.since(at(2000)) > 99 * MS), "{:?}", wire.changes);
    assert!(wire.notes.iter().any(|(_, note)| matches!(note, Note::Expired { .. })));
    assert_eq!(wire.ends[0].diagnostic, Diagnostic::Expired);
    wire.sent = [0; 2];
    wire.until(at(12_151));
    assert!(wire.sent.iter().all(|sent| (10..=15).contains(sent)), "a session that is down sends about once a second: {:?}", wire.sent);
    wire.cut = [false; 2];
    wire.until(at(13_500));
    assert_eq!(wire.states(), [State::Up; 2]);
}

#[test]
fn an_end_that_is_not_heard_is_told_so() {
    let mut wire = Wire::plain();
    wire.until(at(2000));
    wire.cut = [true, false];
    wire.until(at(2200));
    assert_eq!(wire.states(), [State::Down; 2]);
    assert_eq!(wire.ends[0].diagnostic, Diagnostic::Signaled);
    assert_eq!(wire.ends[1].diagnostic, Diagnostic::Expired);
}

#[test]
fn a_passive_end_waits_to_be_spoken_to() {
    let passive = Settings { passive: true, ..settings() };
    let mut wire = Wire::new(passive.clone(), passive.clone());
    wire.until(at(10_000));
    assert_eq!((wire.states(), wire.sent), ([State::Down; 2], [0; 2]));
    let mut wire = Wire::new(passive, settings());
    wire.until(at(2000));
    assert_eq!(wire.states(), [State::Up; 2]);
    wire.cut = [false, true];
    wire.until(at(5000));
    wire.sent = [0; 2];
    wire.until(at(9000));
    assert_eq!(wire.sent[0], 0, "its neighbour is gone: it is silent again");
}

#[test]
fn a_reload_negotiates_while_the_session_stays_up() {
    let mut wire = Wire::plain();
    wire.until(at(2000));
    (wire.changes, wire.polls) = (Vec::new(), 0);
    let slower = Settings { min_tx: 200 * MS, min_rx: 300 * MS, multiplier: 4, ..settings() };
    wire.happens(0, Event::Replaced(Arc::new(slower)));
    assert!(wire.polls >= 1);
    wire.until(at(4000));
    assert_eq!((wire.states(), wire.changes.len()), ([State::Up; 2], 0));
    let Parameters { local, remote } = wire.ends[0].parameters();
    assert_eq!((local.tx, local.detection, remote.tx, remote.detection), (200 * MS, 900 * MS, 300 * MS, 800 * MS));
    wire.happens(0, Event::Replaced(Arc::new(settings())));
    wire.until(at(6000));
    assert_eq!((wire.changes.len(), wire.ends[1].parameters().local.detection), (0, 150 * MS));
}

#[test]
fn a_neighbour_that_was_taken_out_of_service_has_not_failed() {
    let mut wire = Wire::plain();
    wire.until(at(2000));
    wire.changes.clear();
    let admin_down = Packet { state: State::AdminDown, diagnostic: Diagnostic::AdminDown, ..wire.ends[0].packet(false) };
    wire.ends[0] = Session::new(Arc::new(Settings { passive: true, ..settings() }), 1, 7, at(2000));
    wire.cut = [true; 2];
    wire.happens(1, Event::Received(admin_down));
    assert_eq!((wire.ends[1].state(), wire.ends[1].diagnostic), (State::Down, Diagnostic::Signaled));
    wire.until(at(5000));
    assert_eq!((wire.changes.len(), wire.ends[1].snapshot(0).up), (0, true), "nobody is told");
    wire.cut = [false; 2];
    wire.until(at(8000));
    assert_eq!(wire.states(), [State::Up; 2]);
    assert!(matches!(wire.changes.as_slice(), [(0, true, _)]), "only the new end comes up: {:?}", wire.changes);
    wire.cut = [true; 2];
    wire.until(at(9000));
    assert!(wire.changes.iter().any(|(end, up, _)| (*end, *up) == (1, false)), "{:?}", wire.changes);
}

#[test]
fn a_successor_goes_on_and_the_neighbour_does_not_notice() {
    let mut wire = Wire::plain();
    wire.until(at(2000));
    wire.changes.clear();
    let snapshot = wire.ends[0].snapshot(50_000);
    wire.ends[0] = Session::resumed(Arc::new(settings()), &snapshot, 99, at(2000));
    wire.until(at(6000));
    assert_eq!((wire.states(), wire.changes.len(), snapshot.port), ([State::Up; 2], 0, 50_000));
    wire.ends[0] = Session::resumed(Arc::new(settings()), &snapshot, 99, at(6000));
    wire.cut = [true; 2];
    wire.until(at(6151));
    assert_eq!(wire.states(), [State::Down; 2], "what it took over it watches");
}

#[test]
fn a_restarted_neighbour_is_taken_up_anew() {
    let mut wire = Wire::plain();
    wire.until(at(2000));
    wire.ends[1] = Session::new(Arc::new(settings()), 77, 5, at(2000));
    wire.until(at(4500));
    assert_eq!(wire.states(), [State::Up; 2]);
    assert_eq!(wire.ends[0].remote.discriminator, 77);
    assert!(wire.changes.iter().any(|(end, up, when)| (*end, *up) == (0, false) && *when > at(1999)));
}

#[test]
fn who_wants_nothing_gets_nothing_and_who_demands_only_answers() {
    let up = |change: fn(&mut Packet)| {
        let mut session = Session::new(Arc::new(settings()), 1, 7, at(0));
        let mut packet = session.packet(false);
        (packet.mine, packet.yours, packet.state) = (9, 1, State::Init);
        session.handle(at(1), &Event::Received(packet));
        packet.state = State::Up;
        packet.last = true;
        change(&mut packet);
        let actions = session.handle(at(2), &Event::Received(packet));
        (session, actions)
    };
    let (session, _) = up(|_| {});
    assert_eq!(session.state(), State::Up);
    assert!(session.next.is_some());
    let (session, _) = up(|packet| packet.min_rx = Duration::ZERO);
    assert_eq!((session.state(), session.next), (State::Up, None));
    let (session, actions) = up(|packet| (packet.demand, packet.poll) = (true, true));
    assert_eq!(session.next, None);
    assert!(actions.iter().any(|action| matches!(action, Action::Send(answer) if answer.last && !answer.poll)), "{actions:?}");
}

/// RFC 5880 §6.8.6, written down a second time.
fn rfc(state: State, remote: State) -> State {
    match (state, remote) {
        (State::AdminDown, _) => State::AdminDown,
        (_, State::AdminDown) | (State::Up, State::Down) | (State::Down, State::Up) => State::Down,
        (State::Down, State::Down) | (State::Init, State::Down) => State::Init,
        (State::Down | State::Init | State::Up, State::Init | State::Up) => State::Up,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Packet { state: u8, flags: (bool, bool, bool), multiplier: u8, min_tx: u32, min_rx: u32 },
    Wait(u64),
    Replace(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_u8..4, any::<(bool, bool, bool)>(), 1_u8.., any::<u32>(), any::<u32>())
            .prop_map(|(state, flags, multiplier, min_tx, min_rx)| Step::Packet { state, flags, multiplier, min_tx, min_rx }),
        3 => (0_u64..5000).prop_map(Step::Wait),
        1 => (1_u32..100_000, 1_u32..100_000).prop_map(|(tx, rx)| Step::Replace(tx, rx)),
    ]
}

proptest! {
    #[test]
    fn whatever_the_neighbour_sends_the_rfcs_table_holds_and_time_goes_on(steps in proptest::collection::vec(step(), 0..60), passive: bool) {
        let mut session = Session::new(Arc::new(Settings { passive, ..settings() }), 1, 3, at(0));
        let mut now = at(0);
        for step in steps {
            let before = session.state();
            match step {
                Step::Packet { state, flags: (poll, last, demand), multiplier, min_tx, min_rx } => {
                    let micros = |value: u32| Duration::from_micros(u64::from(value));
                    let state = State::from_wire(state);
                    let packet = Packet {
                        diagnostic: Diagnostic::None, state, poll, last, demand, multiplier,
                        mine: 5, yours: 1, min_tx: micros(min_tx), min_rx: micros(min_rx),
                    };
                    let actions = session.handle(now, &Event::Received(packet));
                    prop_assert_eq!(session.state(), rfc(before, state));
                    let answers = actions.iter().filter(|action| matches!(action, Action::Send(packet) if packet.last)).count();
                    prop_assert_eq!(answers, usize::from(poll), "one answer a poll");
                }
                Step::Wait(millis) => {
                    let end = now + Duration::from_millis(millis);
                    // Nobody is asked about a moment more than a few times: time goes on.
                    for _ in 0..10_000 {
                        let Some(due) = session.deadline().filter(|due| *due <= end) else { break };
                        now = due.max(now);
                        session.handle(now, &Event::DeadlineReached);
                    }
                    prop_assert!(session.deadline().is_none_or(|due| due > end));
                    now = end;
                }
                Step::Replace(tx, rx) => {
                    let micros = |value: u32| Duration::from_micros(u64::from(value).max(1000));
                    let other = Settings { passive, min_tx: micros(tx), min_rx: micros(rx), ..settings() };
                    session.handle(now, &Event::Replaced(Arc::new(other)));
                    prop_assert_eq!(session.state(), before, "a reload changes no state");
                }
            }
        }
    }
}
