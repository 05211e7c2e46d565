//! Many conversations at once, against real sockets on loopback.

use super::tests::{checker, page};
use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Told = UnboundedReceiver<Vec<(usize, Outcome)>>;

fn with_crowd<T>(test: impl AsyncFnOnce(Crowd<usize>, Told) -> T) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (tell, told) = unbounded_channel();
        test(Crowd::start(move |ended| drop(tell.send(ended))).unwrap(), told).await
    })
}

fn probe(kind: Kind, port: u16) -> Arc<Probe> {
    let mut checker = checker(kind, port);
    checker.target.connect_timeout = Duration::from_secs(60);
    Arc::new(Probe::new(Arc::new(checker), |_| None))
}

/// A server that does `talk` with each connection, in a thread each.
fn serve(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let talk = talk.clone();
            std::thread::spawn(move || talk(stream.unwrap()));
        }
    });
    port
}

async fn all(told: &mut Told, count: usize) -> Vec<(usize, Outcome)> {
    let mut ended = Vec::new();
    while ended.len() < count {
        let more = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
        ended.append(&mut more.expect("nothing ended in 60 s").unwrap());
    }
    ended.sort_by_key(|(tag, _)| *tag);
    ended
}

#[test]
fn each_of_many_gets_its_own_answer_and_their_places_are_used_again() {
    let good = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let bad = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.0 500 No\r\n\r\n");
    });
    with_crowd(async |crowd, mut told| {
        let probes = [probe(page((200, 200)), good), probe(page((200, 200)), bad)];
        for _ in 0..10 {
            for tag in 0..60 {
                crowd.begin(tag, &probes[tag % 2], 0).unwrap();
            }
            for (at, (tag, outcome)) in all(&mut told, 60).await.into_iter().enumerate() {
                let wanted = if tag % 2 == 0 { Ok(()) } else { Err(Failure::Status(500)) };
                assert_eq!((at, outcome.result), (tag, wanted));
            }
        }
        assert!(crowd.places() <= 60, "{}", crowd.places());
    });
}

#[test]
fn who_sends_without_end_keeps_nobody_waiting() {
    let flood = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    let quiet = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
    });
    with_crowd(async |crowd, mut told| {
        crowd.begin(0, &probe(page((200, 200)), flood), 0).unwrap();
        for tag in 1..50 {
            crowd.begin(tag, &probe(page((200, 200)), quiet), 0).unwrap();
            let ended = all(&mut told, 1).await;
            assert_eq!((ended[0].0, &ended[0].1.result), (tag, &Ok(())));
        }
    });
}

#[test]
fn who_sends_without_end_is_not_heard_for_ever_and_holds_up_no_deadline() {
    let flood = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    });
    let silent = serve(|_stream| std::thread::park());
    let short = |port| {
        let mut checker = checker(page((200, 200)), port);
        checker.target.connect_timeout = Duration::from_millis(200);
        checker.timing.delay_loop = Duration::from_millis(200);
        Arc::new(Probe::new(Arc::new(checker), |_| None))
    };
    with_crowd(async |crowd, mut told| {
        // More than one, so that there is always somebody to listen to.
        for tag in 0..8 {
            crowd.begin(tag, &short(flood), 0).unwrap();
        }
        crowd.begin(8, &short(silent), 0).unwrap();
        for (tag, outcome) in all(&mut told, 9).await {
            let slow = matches!(outcome.result, Err(Failure::TooSlow(_) | Failure::TimedOut(_)));
            assert!(slow, "{tag}: {:?}", outcome.result);
        }
    });
}

#[test]
fn what_is_over_leaves_no_deadline_behind_for_long() {
    let port = serve(drop);
    let probe = probe(Kind::Tcp, port);
    with_crowd(async |crowd, mut told| {
        for tag in 0..3000 {
            crowd.begin(tag, &probe, 0).unwrap();
            all(&mut told, 1).await;
        }
        assert!(crowd.deadlines() < 2000, "{}", crowd.deadlines());
    });
}

#[test]
fn a_panic_is_told_by_telling_of_nobody() {
    let port = serve(drop);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (tell, mut told) = unbounded_channel();
        let crowd = Crowd::start(move |ended: Vec<((), Outcome)>| {
            assert!(ended.is_empty(), "unlucky");
            let _ = tell.send(());
        })
        .unwrap();
        crowd.begin((), &probe(Kind::Tcp, port), 0).unwrap();
        assert_eq!(told.recv().await, Some(()));
    });
}

#[test]
fn an_answer_that_came_while_nobody_ran_counts() {
    let port = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        std::thread::sleep(Duration::from_secs(30));
    });
    let mut checker = checker(page((200, 200)), port);
    checker.target.connect_timeout = Duration::from_millis(100);
    checker.timing.delay_loop = Duration::from_millis(100);
    let probe = Arc::new(Probe::new(Arc::new(checker), |_| None));
    with_crowd(async |crowd, mut told| {
        // More than are looked at in one turn.
        for tag in 0..100 {
            crowd.begin(tag, &probe, 0).unwrap();
        }
        for _ in 0..3 {
            std::thread::sleep(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        for (tag, outcome) in all(&mut told, 100).await {
            assert_eq!(outcome.result, Ok(()), "{tag}");
        }
    });
}
