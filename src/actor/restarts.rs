//! Which supervised actors live, and when a dead one is started again.

use super::Backoff;
use ractor::{ActorCell, ActorId, SupervisionEvent};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// The actors a supervisor answers for, by name.
#[derive(Debug)]
pub struct Restarts {
    fresh: Backoff,
    actors: HashMap<String, Life>,
}

#[derive(Debug)]
struct Life {
    /// `None` while it is not running.
    id: Option<ActorId>,
    since: Instant,
    backoff: Backoff,
}

/// An actor ended that nobody had [forgotten](Restarts::forget): start it again after the wait.
#[derive(Debug, PartialEq, Eq)]
pub struct Restart {
    /// Its name.
    pub name: String,
    /// How long to wait; zero is at once.
    pub after: Duration,
    /// Why it ended: a panic's text, an error's text, or that it stopped.
    pub why: String,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {} failed, restarting in {} ms: {}", self.name, self.after.as_millis(), self.why)
    }
}

impl Restarts {
    /// An empty table whose actors start with this back-off.
    pub fn new(backoff: Backoff) -> Self {
        Self { fresh: backoff, actors: HashMap::new() }
    }

    /// A generation of `name` was spawned. The name given at `spawn_linked` and this one should be the same.
    pub fn started(&mut self, name: &str, actor: &ActorCell, now: Instant) {
        let life = self.life(name, now);
        life.id = Some(actor.get_id());
        life.since = now;
    }

    /// What to do about a supervision event: `None` for a start, a forgotten actor, or one of an older generation.
    pub fn ended(&mut self, event: &SupervisionEvent, now: Instant) -> Option<Restart> {
        let (actor, why) = match event {
            SupervisionEvent::ActorFailed(actor, error) => (actor, error.to_string()),
            SupervisionEvent::ActorTerminated(actor, _, reason) => (actor, reason.clone().unwrap_or_else(|| "it stopped".to_owned())),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return None,
        };
        let (name, life) = self.actors.iter_mut().find(|(_, life)| life.id == Some(actor.get_id()))?;
        life.id = None;
        let after = life.backoff.died(now.saturating_duration_since(life.since));
        Some(Restart { name: name.clone(), after, why })
    }

    /// An actor that is not ractor's failed. Only those that ever failed have an entry: the first life counts as a long one.
    pub fn failed(&mut self, name: &str, why: &str, now: Instant) -> Restart {
        let life = self.life(name, now);
        let after = life.backoff.died(now.saturating_duration_since(life.since));
        life.since = now;
        Restart { name: name.to_owned(), after, why: why.to_owned() }
    }

    /// A start failed (`spawn_linked` answered an error, and sends no event): when to try again.
    pub fn not_started(&mut self, name: &str, why: &str, now: Instant) -> Restart {
        let after = self.life(name, now).backoff.died(Duration::ZERO);
        Restart { name: name.to_owned(), after, why: why.to_owned() }
    }

    /// Its end is wanted: no restart.
    pub fn forget(&mut self, name: &str) {
        self.actors.remove(name);
    }

    fn life(&mut self, name: &str, now: Instant) -> &mut Life {
        let fresh = &self.fresh;
        self.actors.entry(name.to_owned()).or_insert_with(|| Life { id: None, since: now, backoff: fresh.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::{current, tell};
    use ractor::{Actor, ActorProcessingErr, ActorRef};
    use tokio::sync::mpsc;

    struct Worker;

    impl Actor for Worker {
        type Msg = u32;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<u32>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(&self, _: ActorRef<u32>, message: u32, (): &mut ()) -> Result<(), ActorProcessingErr> {
            assert_ne!(message, 13, "unlucky");
            Ok(())
        }
    }

    struct Root(mpsc::UnboundedSender<Restart>);

    impl Actor for Root {
        type Msg = &'static str;
        type State = Restarts;
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<&'static str>, (): ()) -> Result<Restarts, ActorProcessingErr> {
            Ok(Restarts::new(Backoff::actor()))
        }

        async fn handle(
            &self,
            myself: ActorRef<&'static str>,
            name: &'static str,
            restarts: &mut Restarts,
        ) -> Result<(), ActorProcessingErr> {
            let (actor, _) = Actor::spawn_linked(Some(name.to_owned()), Worker, (), myself.get_cell()).await?;
            restarts.started(name, &actor.get_cell(), Instant::now());
            Ok(())
        }

        async fn handle_supervisor_evt(
            &self,
            myself: ActorRef<&'static str>,
            event: SupervisionEvent,
            restarts: &mut Restarts,
        ) -> Result<(), ActorProcessingErr> {
            if let Some(restart) = restarts.ended(&event, Instant::now()) {
                myself.send_after(restart.after, || "restarts_test_worker");
                let _ = self.0.send(restart);
            }
            Ok(())
        }
    }

    #[test]
    fn an_actor_that_panics_is_back_under_its_name_and_the_next_death_waits_longer() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (sender, mut restarts) = mpsc::unbounded_channel();
            let (root, _) = Actor::spawn(None, Root(sender), ()).await.unwrap();
            root.cast("restarts_test_worker").unwrap();
            for wait in [0, 10, 20] {
                while !tell("restarts_test_worker", 13_u32) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let restart = restarts.recv().await.unwrap();
                assert_eq!(restart.name, "restarts_test_worker");
                assert_eq!(restart.after, Duration::from_millis(wait));
                assert!(restart.why.contains("unlucky"), "{}", restart.why);
            }
            assert!(current::<String>("restarts_test_worker").is_none(), "a name is looked up together with its message type");
        });
    }

    #[test]
    fn what_fails_again_at_once_waits_ever_longer() {
        let (mut restarts, now) = (Restarts::new(Backoff::actor()), Instant::now());
        let mut wait = |seconds| restarts.failed("x", "unlucky", now + Duration::from_secs(seconds)).after.as_millis();
        assert_eq!([wait(0), wait(0), wait(0), wait(60)], [0, 10, 20, 0]);
    }

    #[test]
    fn starts_that_fail_wait_ever_longer() {
        let mut restarts = Restarts::new(Backoff::actor());
        let waits: Vec<u128> = (0..3).map(|_| restarts.not_started("x", "no such interface", Instant::now()).after.as_millis()).collect();
        assert_eq!(waits, [0, 10, 20]);
    }
}
