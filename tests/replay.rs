//! Replays: what happened to one instance, and everything it did about it.
//!
//! `tests/replays/NAME/` is one replay:
//! - `config`: JSON: the `settings`, the `end` in nanoseconds, and `timers`: `exact` lets deadlines be reached to the nanosecond, `recorded`
//!   takes them from the events, as late as they were.
//! - `events`: a JSON object a line, `at` in nanoseconds: an `event` of the state machine, or a `datagram` that goes through the checks first.
//! - `expect`: what came of it, a line each, and the statistics. `REPLAY_BLESS=1 cargo test --test replay` writes it; read it before you keep it.

#![expect(clippy::unwrap_used, reason = "part of tests")]

use keepalived_rs::types::Instant;
use keepalived_rs::vrrp::event::{Action, Event};
use keepalived_rs::vrrp::fsm::Instance;
use keepalived_rs::vrrp::receive::{self, Context, Datagram, Verdict};
use keepalived_rs::vrrp::settings::Settings;
use keepalived_rs::vrrp::stats::Stats;
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

#[derive(Deserialize)]
struct Config {
    settings: Settings,
    timers: Timers,
    end: Instant,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Timers {
    Exact,
    Recorded,
}

#[derive(Deserialize)]
struct Line {
    at: Instant,
    #[serde(flatten)]
    input: Input,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Input {
    Event(Event),
    Datagram(Wire),
}

#[derive(Deserialize)]
struct Wire {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    /// What follows the IP header, in hexadecimal.
    payload: String,
}

impl Wire {
    fn bytes(&self) -> Vec<u8> {
        let digits: Vec<u8> = self.payload.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}

/// An instance, its counters, and the text of all that it did.
struct Player {
    instance: Instance,
    stats: Stats,
    text: String,
}

impl Player {
    fn say(&mut self, at: Instant, what: &str) {
        let nanos = at.nanos();
        writeln!(self.text, "{}.{:09} {what}", nanos / 1_000_000_000, nanos % 1_000_000_000).unwrap();
    }

    fn event(&mut self, at: Instant, event: Event) {
        let mut actions: Vec<Action> = Vec::new();
        self.instance.handle(at, event, &mut actions);
        for action in actions {
            self.stats.record(&action);
            self.say(at, &serde_json::to_string(&action).unwrap());
        }
    }

    fn datagram(&mut self, at: Instant, wire: &Wire) {
        let context = Context { state: self.instance.state(), master: self.instance.master(), sequence: 0 };
        let payload = wire.bytes();
        let datagram = Datagram {
            source: wire.source,
            destination: wire.destination,
            ttl: Some(wire.ttl),
            payload: &payload,
            protocol: 112,
            ip_header: None,
        };
        match receive::check(self.instance.settings(), context, &mut self.stats, &datagram) {
            Verdict::Accepted(advert) => self.event(at, Event::AdvertReceived(advert)),
            Verdict::AcceptedWithNote(advert, remarks) => {
                remarks.iter().for_each(|remark| self.say(at, &format!("remark: {remark}")));
                self.event(at, Event::AdvertReceived(advert));
            }
            Verdict::Dropped(discard) => self.say(at, &format!("dropped: {discard}")),
        }
    }

    /// Lets every deadline before `until` be reached.
    fn run_timers(&mut self, until: Instant) {
        while let Some(deadline) = self.instance.deadline().filter(|deadline| *deadline < until) {
            self.event(deadline, Event::DeadlineReached);
        }
    }
}

fn play(folder: &Path) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name} of {folder:?}: {error}"));
    let config: Config = serde_json::from_str(&read("config")).unwrap_or_else(|error| panic!("config of {folder:?}: {error}"));
    let mut player = Player { instance: Instance::new(Arc::new(config.settings)), stats: Stats::default(), text: String::new() };
    for (number, line) in read("events").lines().enumerate() {
        let line: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("events:{} of {folder:?}: {error}", number + 1));
        if config.timers == Timers::Exact {
            player.run_timers(line.at);
        }
        match line.input {
            Input::Event(event) => player.event(line.at, event),
            Input::Datagram(wire) => player.datagram(line.at, &wire),
        }
    }
    if config.timers == Timers::Exact {
        player.run_timers(config.end);
    }
    player.say(config.end, &format!("{}", player.instance.state()));
    let name = player.instance.settings().name.clone();
    player.stats.write_text(&name, &mut player.text);
    player.text
}

#[test]
fn every_replay_does_what_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replays");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 6, "replays are missing");
    for replay in names {
        let text = play(&replay);
        let expect = replay.join("expect");
        if std::env::var_os("REPLAY_BLESS").is_some() {
            fs::write(&expect, &text).unwrap();
        }
        let expected = fs::read_to_string(&expect).unwrap_or_default();
        let difference = text.lines().zip(expected.lines().chain(std::iter::repeat(""))).position(|(got, wanted)| got != wanted);
        let at = difference.unwrap_or_else(|| text.lines().count());
        assert!(
            text == expected,
            "{replay:?} differs from line {} on\n got: {}\nwant: {}",
            at + 1,
            text.lines().nth(at).unwrap_or("(nothing)"),
            expected.lines().nth(at).unwrap_or("(nothing)")
        );
    }
}
