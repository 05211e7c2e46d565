//! The child whole, on real sockets: two sessions of one child that are each other's neighbour.

use super::*;
use crate::bfd::event::{Diagnostic, Snapshot, State};
use crate::bfd::settings::Settings;
use crate::ipc::channel;
use crate::net::lab;
use crate::process::rooted::Heard;
use ractor::{Actor, ActorRef};
use root::RootMsg;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A running child, with its pipe's other end.
struct Child {
    root: ActorRef<RootMsg>,
    from: Inbox<FromBfd>,
    known: HashMap<String, Snapshot>,
    changes: Vec<(String, State)>,
}

fn session(name: &str, source: [u8; 4], neighbour: [u8; 4]) -> Arc<Settings> {
    let ms = Duration::from_millis;
    let (min_rx, min_tx) = (ms(100), ms(100));
    let base = crate::bfd::settings::testing::settings();
    Arc::new(Settings {
        name: name.to_owned(),
        source: Some(source.into()),
        neighbour: neighbour.into(),
        min_rx,
        min_tx,
        multiplier: 20,
        ..base
    })
}

fn pair() -> Vec<Arc<Settings>> {
    vec![session("a", [127, 0, 0, 1], [127, 0, 0, 2]), session("b", [127, 0, 0, 2], [127, 0, 0, 1])]
}

impl Child {
    async fn start(sessions: Vec<Arc<Settings>>, resume: HashMap<String, Snapshot>) -> Self {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (outbox, _) = channel::<FromBfd, ToBfd>(theirs).unwrap();
        let (root, _) = Actor::spawn(None, Root, outbox).await.unwrap();
        let (_, from) = channel::<ToBfd, FromBfd>(ours).unwrap();
        let this = Self { root, from, known: HashMap::new(), changes: Vec::new() };
        this.say(ToBfd::Configure { sessions, resume: resume.into_iter().collect() });
        this
    }

    fn say(&self, message: ToBfd) {
        self.root.cast(RootMsg::Supervisor(Heard::Said(message))).unwrap();
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(&Self, &FromBfd) -> Option<T>) -> T {
        let search = async {
            loop {
                let said = self.from.next().await.unwrap().expect("the child goes on");
                if let FromBfd::Changed { session, snapshot, .. } = &said {
                    let before = self.known.insert(session.clone(), Snapshot::clone(snapshot));
                    if before.is_none_or(|before| before.state != snapshot.state) {
                        self.changes.push((session.clone(), snapshot.state));
                    }
                }
                if let Some(found) = wanted(self, &said) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), search).await.expect("in time")
    }

    fn all_are(&self, state: State) -> bool {
        self.known.len() == 2 && self.known.values().all(|known| known.state == state)
    }

    /// Up, and all intervals confirmed.
    async fn up(&mut self) {
        self.until(|this, _| {
            let settled = this.known.values().all(|known| !known.intervals.polling && known.port != 0);
            (this.all_are(State::Up) && settled).then_some(())
        })
        .await;
    }

    async fn down(&mut self, session: &str) {
        self.until(|this, _| (this.known[session].state == State::Down).then_some(())).await;
    }

    async fn stop(mut self) {
        self.say(ToBfd::Stop);
        self.until(|_, said| matches!(said, FromBfd::Stopped).then_some(())).await;
    }
}

#[test]
fn two_sessions_come_up_and_a_dump_tells_of_them() {
    lab::run(|_| async {
        let mut child = Child::start(pair(), HashMap::new()).await;
        child.up().await;
        assert!(child.known["a"].remote.discriminator == child.known["b"].discriminator && child.known["b"].discriminator != 0);
        child.say(ToBfd::Dump);
        let text = child.until(|_, said| if let FromBfd::Dumped(text) = said { Some(text.clone()) } else { None }).await;
        for line in [
            "------< BFD Data >------",
            " BFD Instance = a",
            "   local state = Up",
            "   local detection time = 2000000 us",
            "   last seen = ",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        child.say(ToBfd::Ping(7));
        child.until(|_, said| (*said == FromBfd::Pong(7)).then_some(())).await;
        child.stop().await;
    });
}

#[test]
fn an_actor_that_dies_is_replaced_and_the_sessions_stay_up() {
    lab::run(|_| async {
        let mut child = Child::start(pair(), HashMap::new()).await;
        child.up().await;
        let before = child.known.clone();
        child.changes.clear();
        child.root.cast(RootMsg::Panic).unwrap();
        // The successor negotiates: it lives.
        let other: Vec<_> = pair().iter().map(|session| Arc::new(Settings { multiplier: 30, ..Settings::clone(session) })).collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        child.say(ToBfd::Reload(other));
        child.until(|this, _| (this.known.values().all(|known| known.remote.multiplier == 30)).then_some(())).await;
        assert_eq!(child.changes, []);
        for (name, known) in &child.known {
            assert_eq!((known.discriminator, known.port), (before[name].discriminator, before[name].port), "{name}");
        }
        child.stop().await;
    });
}

#[test]
fn a_successor_takes_the_sessions_up_where_they_were_and_watches_them() {
    lab::run(|_| async {
        let mut child = Child::start(pair(), HashMap::new()).await;
        child.up().await;
        let before = child.known.clone();
        child.root.kill();
        let mut child = Child::start(pair(), before.clone()).await;
        child.until(|this, _| this.all_are(State::Up).then_some(())).await;
        for (name, known) in &child.known {
            assert_eq!((known.discriminator, known.port), (before[name].discriminator, before[name].port), "{name}");
        }
        // One end goes; what is left notices.
        child.say(ToBfd::Reload(pair().into_iter().take(1).collect()));
        child.down("a").await;
        assert_eq!((child.known["a"].diagnostic, child.known["a"].up), (Diagnostic::Expired, false));
        let downs = child.changes.iter().filter(|(name, state)| name == "a" && *state == State::Down).count();
        assert_eq!(downs, 1, "{:?}", child.changes);
        child.stop().await;
    });
}

#[test]
fn a_reload_negotiates_what_changed_and_touches_nothing_else() {
    lab::run(|_| async {
        let mut child = Child::start(pair(), HashMap::new()).await;
        child.up().await;
        child.changes.clear();
        let slower = |session: &Arc<Settings>| {
            let min_rx = Duration::from_millis(250);
            Arc::new(Settings { min_rx, ttl: 254, max_hops: Some(1), ..Settings::clone(session) })
        };
        let mut sessions = pair();
        sessions[0] = slower(&sessions[0]);
        sessions[1] = Arc::new(Settings { max_hops: Some(1), ..Settings::clone(&sessions[1]) });
        child.say(ToBfd::Reload(sessions));
        child.until(|this, _| (this.known["b"].remote.min_rx == Duration::from_millis(250)).then_some(())).await;
        child.until(|this, _| (!this.known["a"].intervals.polling).then_some(())).await;
        assert_eq!(child.changes, []);
        child.stop().await;
    });
}
