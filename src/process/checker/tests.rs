//! The child whole, against real sockets; with or without IPVS in the kernel.

use super::*;
use crate::check::{Checker, Kind, Target, Timing};
use crate::ipc::messages::CheckerId;
use crate::ipc::{Inbox, Outbox, channel};
use crate::lvs::changes::Changes;
use crate::lvs::name::ServiceName;
use crate::lvs::notice::Notice;
use crate::lvs::settings::{Address, Balancer, RealServer, VirtualServer};
use crate::lvs::word::{Wish, Word};
use crate::types::Family;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The supervisor's end of a running child.
struct Child {
    to: Outbox<ToChecker>,
    from: Inbox<FromChecker>,
    child: tokio::task::JoinHandle<u8>,
    /// What it told before it ran.
    first: Vec<Notice>,
}

impl Child {
    async fn start(balancer: Balancer) -> Self {
        Self::follow(balancer, vec![], vec![]).await
    }

    /// One that follows another, which heard and had this.
    async fn follow(balancer: Balancer, resume: Vec<(CheckerId, Word)>, quorums: Vec<(ServiceName, bool)>) -> Self {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (outbox, inbox) = channel(theirs).unwrap();
        let child = tokio::spawn(run(outbox, inbox, Ways::default()));
        let (to, from) = channel(ours).unwrap();
        let mut this = Self { to, from, child, first: Vec::new() };
        let replaces = !quorums.is_empty();
        this.to.post(&ToChecker::Configure { balancer: Box::new(balancer), resume, quorums, replaces, keep_table: false });
        let mut first = Vec::new();
        let stands = |said| match said {
            FromChecker::Notice(notice) => {
                first.push(notice);
                None
            }
            FromChecker::TableStands => Some(()),
            _ => None,
        };
        this.until(stands).await;
        this.first = first;
        this
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(FromChecker) -> Option<T>) -> T {
        let search = async {
            loop {
                let said = self.from.next().await.unwrap().expect("the child goes on");
                if let Some(found) = wanted(said) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), search).await.expect("in time")
    }

    async fn goes(&mut self, up: bool) {
        self.until(|said| matches!(said, FromChecker::Checked { up: now, .. } if now == up).then_some(())).await;
    }

    async fn stop(mut self) {
        self.to.post(&ToChecker::Stop);
        self.until(|said| matches!(said, FromChecker::Stopped).then_some(())).await;
        assert_eq!(self.child.await.unwrap(), 0);
    }
}

fn balancer(port: u16, weight: u32) -> Balancer {
    let timing =
        Timing { delay_loop: Duration::from_millis(50), retry: 1, delay_before_retry: Duration::from_millis(20), warmup: Duration::ZERO };
    let target = Target::new([127, 0, 0, 1].into(), port);
    let checker = Checker { kind: Kind::Tcp, target, timing, alpha: true, log_all_failures: false };
    let mut server = VirtualServer::new(Address::Socket([192, 0, 2, 1].into(), 80), Family::V4);
    server.real_servers = vec![RealServer { weight, checkers: vec![checker.into()], ..RealServer::new([127, 0, 0, 1].into(), port) }];
    Balancer { servers: vec![Arc::new(server)], ..Balancer::default() }
}

/// Actors have names in the process: two children cannot live in it at once.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn equal_checks_of_two_virtual_servers_are_one_connection_and_both_follow_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut both = balancer(port, 1);
        let mut other = VirtualServer::clone(&both.servers[0]);
        other.address = Address::Socket([192, 0, 2, 2].into(), 80);
        Arc::make_mut(&mut other.real_servers[0].checkers[0]).alpha = false;
        both.servers.push(Arc::new(other));
        let mut child = Child::start(both).await;
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });
        // The first was down until checked; the second was up all the time.
        child.goes(true).await;
        while accepted.load(Ordering::Relaxed) < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.to.post(&ToChecker::Dump);
        let text = child.until(|said| if let FromChecker::Dumped(text) = said { Some(text) } else { None }).await;
        assert_eq!(text.matches("   Up = yes\n").count(), 2, "{text}");
        server.abort();
        let _ = server.await;
        child.goes(false).await;
        child.goes(false).await;
        child.stop().await;
    });
}

#[test]
fn checks_follow_the_server_through_a_reload_and_the_death_of_the_prober() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut child = Child::start(balancer(port, 1)).await;
        child.goes(true).await;
        child.to.post(&ToChecker::Reload(Box::new(Changes::between(&balancer(port, 1), &balancer(port, 7)))));
        child.until(|said| matches!(said, FromChecker::Reloaded).then_some(())).await;
        child.to.post(&ToChecker::Dump);
        let text = child.until(|said| if let FromChecker::Dumped(text) = said { Some(text) } else { None }).await;
        assert!(text.contains("WEIGHT = 7 EFF WEIGHT = 7"), "{text}");
        assert!(text.contains("alive = 1\n   num failed checkers = 0"), "a reload keeps the server up: {text}");
        crate::actor::current::<prober::Msg>("prober").expect("it lives").stop(None);
        drop(listener);
        child.goes(false).await;
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        child.goes(true).await;
        child.to.post(&ToChecker::Ping(5));
        child.until(|said| (said == FromChecker::Pong(5)).then_some(())).await;
        drop(listener);
        child.stop().await;
    });
}

#[test]
fn a_script_that_still_runs_from_before_is_asked_for_again() {
    use crate::types::{Command, ScriptOutcome};
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut scripted = balancer(80, 1);
        let mut server = VirtualServer::clone(&scripted.servers[0]);
        let command = Command { argv: vec!["/check".into()], user: None };
        let settings = crate::check::misc::Settings { command, timeout: Duration::from_secs(1), dynamic: false };
        Arc::make_mut(&mut server.real_servers[0].checkers[0]).kind = Kind::Misc(Box::new(settings));
        scripted.servers = vec![Arc::new(server)];
        let mut child = Child::start(scripted).await;
        let asked = |said| if let FromChecker::RunScript(checker) = said { Some(checker) } else { None };
        for outcome in [ScriptOutcome::Exited(0), ScriptOutcome::TimedOut, ScriptOutcome::StillRunning, ScriptOutcome::StillRunning] {
            let checker = child.until(asked).await;
            child.to.post(&ToChecker::ScriptEnded { checker, outcome });
        }
        let checker = child.until(asked).await;
        child.to.post(&ToChecker::Dump);
        let text = child.until(|said| if let FromChecker::Dumped(text) = said { Some(text) } else { None }).await;
        assert!(text.contains("   Has run = yes\n") && text.contains("   Retries iterations = 1\n"), "{text}");
        assert!(text.contains("   Last status = timed out\n"), "{text}");
        child.to.post(&ToChecker::ScriptEnded { checker, outcome: ScriptOutcome::Exited(3) });
        child.goes(false).await;
        child.stop().await;
    });
}

#[test]
fn a_check_that_cannot_be_made_takes_no_server_out() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut bound = balancer(listener.local_addr().unwrap().port(), 1);
        let mut server = VirtualServer::clone(&bound.servers[0]);
        let checker = Arc::make_mut(&mut server.real_servers[0].checkers[0]);
        // As on a backup, whose address to bind is the master's.
        checker.target.bind = Some([192, 0, 2, 77].into());
        checker.alpha = false;
        bound.servers = vec![Arc::new(server)];
        let mut child = Child::start(bound).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        child.to.post(&ToChecker::Dump);
        let silent = |said| match said {
            FromChecker::Checked { .. } => panic!("nothing is known of the server"),
            FromChecker::Dumped(text) => Some(text),
            _ => None,
        };
        let text = child.until(silent).await;
        assert!(text.contains("   Up = yes\n   Has run = no\n"), "{text}");
        child.stop().await;
    });
}

#[test]
fn a_successor_knows_weights_and_the_side_of_a_quorum_and_has_no_news_of_them() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut guarded = balancer(80, 4);
        let mut server = VirtualServer::clone(&guarded.servers[0]);
        // Between quorum - hysteresis and quorum + hysteresis the past decides.
        (server.quorum, server.hysteresis) = (6, 2);
        let (service, real) = (server.name(), server.real_servers[0].key());
        let settings = crate::check::file::Settings { name: "load".to_owned(), weight: 1, reverse: false };
        Arc::make_mut(&mut server.real_servers[0].checkers[0]).kind = Kind::File(settings);
        guarded.servers = vec![Arc::new(server)];
        let id = CheckerId { service: service.clone(), server: real, place: 0 };
        let words = |wish| vec![(id.clone(), Word { up: Some(true), wish })];
        for (wish, held, weight, news) in [
            (Some(Wish::More(1)), true, 5, None),
            (Some(Wish::Weight(7)), true, 7, None),
            (Some(Wish::Weight(7)), false, 7, None),
            (None, true, 4, None),
            (Some(Wish::Weight(3)), true, 3, Some(false)),
            (Some(Wish::Weight(8)), false, 8, Some(true)),
        ] {
            let mut child = Child::follow(guarded.clone(), words(wish), vec![(service.clone(), held)]).await;
            child.to.post(&ToChecker::Dump);
            let text = child.until(|said| if let FromChecker::Dumped(text) = said { Some(text) } else { None }).await;
            assert!(text.contains(&format!("EFF WEIGHT = {weight}\n")), "{wish:?}: {text}");
            assert!(text.contains(&format!("quorum_state_up = {}\n", u8::from(news.unwrap_or(held)))), "{wish:?} {held}: {text}");
            let told = child.first.iter().find_map(|notice| if let Notice::Quorum { up, .. } = notice { Some(*up) } else { None });
            assert_eq!(told, news, "{wish:?} {held}");
            child.stop().await;
        }
    });
}
