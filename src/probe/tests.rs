//! Against real sockets on loopback.

use super::*;
use crate::check::{Timing, dns, http, smtp, udp};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::time::Instant;

pub(super) fn checker(kind: Kind, port: u16) -> Checker {
    let mut target = Target::new([127, 0, 0, 1].into(), port);
    target.connect_timeout = Duration::from_millis(500);
    Checker {
        kind,
        target,
        timing: Timing { delay_loop: Duration::from_secs(1), ..Timing::default() },
        alpha: false,
        log_all_failures: false,
    }
}

pub(super) async fn made(checker: &Checker, trust: Option<&Arc<Trust>>) -> Outcome {
    let compiled = |regex: &crate::check::regex::Regex| regex.compile().ok().map(Arc::new);
    let probe = Arc::new(Probe::new(Arc::new(checker.clone()), compiled));
    if !probe.is_plain() {
        return probe.make(0, trust).await;
    }
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let crowd = Crowd::start(move |ended| drop(tell.send(ended))).unwrap();
    match crowd.begin((), &probe, 0) {
        Err(outcome) => outcome,
        Ok(()) => told.recv().await.unwrap().remove(0).1,
    }
}

fn run(checker: &Checker) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(made(checker, None)).result
}

/// A server that does `talk` with each connection.
pub(super) fn serve(talk: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(1) {
            talk(stream.unwrap());
        }
    });
    port
}

/// Where nobody listens: an address of its own, so that no other test's port can be it.
fn nowhere(kind: Kind) -> Checker {
    let mut check = checker(kind, 9);
    check.target.address = [127, 91, 0, 1].into();
    check
}

pub(super) fn page(status: (u16, u16)) -> Kind {
    Kind::Http(Arc::new(http::Settings {
        tls: false,
        urls: vec![http::Url { status: vec![status], ..http::Url::default() }],
        protocol: http::Protocol::V1_0,
        sni: false,
        sni_name: None,
        fast_recovery: false,
    }))
}

#[test]
fn a_listener_is_up_and_a_closed_port_is_down() {
    let port = serve(drop);
    assert_eq!(run(&checker(Kind::Tcp, port)), Ok(()));
    assert!(matches!(run(&nowhere(Kind::Tcp)), Err(Failure::Connect(_))));
}

#[test]
fn a_page_is_fetched() {
    let answer = |mut stream: std::net::TcpStream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.0 503 No\r\n\r\nsorry");
    };
    assert_eq!(run(&checker(page((503, 503)), serve(answer))), Ok(()));
    assert_eq!(run(&checker(page((200, 299)), serve(answer))), Err(Failure::Status(503)));
}

#[test]
fn a_trickle_holds_nothing_up() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let begun = Instant::now();
    assert_eq!(run(&checker(page((200, 200)), port)), Err(Failure::TooSlow(Duration::from_millis(1500))));
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_silent_server_is_down() {
    let port = serve(|stream| {
        std::thread::sleep(Duration::from_secs(3));
        drop(stream);
    });
    let mail = Kind::Smtp(smtp::Settings { helo: "x".to_owned() });
    assert_eq!(run(&checker(mail, port)), Err(Failure::TimedOut(Duration::from_millis(500))));
}

#[test]
fn a_name_server_answers() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        let (length, from) = server.recv_from(&mut question).unwrap();
        let mut answer = question[..length].to_vec();
        // A datagram of somebody else first: it must not count.
        server.send_to(&[0xff; 12], from).unwrap();
        answer[2] = 0x81;
        answer[7] = 1;
        server.send_to(&answer, from).unwrap();
    });
    let kind = || Kind::Dns(dns::Settings { kind: dns::RecordType::Soa, name: dns::Name::default() });
    assert_eq!(run(&checker(kind(), port)), Ok(()));
    assert!(matches!(run(&nowhere(kind())), Err(Failure::Connect(_))), "refused by ICMP");
}

#[test]
fn udp_silence_is_success_and_refusal_is_not() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let kind = |reply| Kind::Udp(Box::new(udp::Settings { payload: vec![1], reply }));
    let port = silent.local_addr().unwrap().port();
    assert_eq!(run(&checker(kind(None), port)), Ok(()));
    let reply = udp::Reply { pattern: vec![], min: 0, max: 255 };
    assert_eq!(run(&checker(kind(Some(reply)), port)), Err(Failure::TimedOut(Duration::from_millis(500))));
    assert!(matches!(run(&nowhere(kind(None))), Err(Failure::Connect(_))));
}

#[test]
fn a_reply_is_as_long_as_it_came() {
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = echo.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((_, from)) = echo.recv_from(&mut [0; 64]) {
            echo.send_to(&[7; 20_000], from).unwrap();
        }
    });
    let kind = |min, max| Kind::Udp(Box::new(udp::Settings { payload: vec![1], reply: Some(udp::Reply { pattern: vec![], min, max }) }));
    assert_eq!(run(&checker(kind(20_000, 20_000), port)), Ok(()));
    assert!(run(&checker(kind(0, 19_999), port)).is_err());
}

#[test]
fn a_check_that_panics_has_an_outcome_and_blames_no_server() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let panics = unbroken(async { std::panic::panic_any("asked to") });
    assert!(matches!(runtime.block_on(panics), Err(Failure::Local(_))));
}

#[test]
fn what_cannot_be_bound_fails_with_the_reason() {
    let mut check = checker(Kind::Tcp, 9);
    check.target.bind = Some([192, 0, 2, 1].into());
    let Err(Failure::Local(reason)) = run(&check) else { panic!("not ours to bind") };
    assert!(reason.contains("192.0.2.1"), "{reason}");
}

#[test]
fn who_starves_does_not_blame_the_server() {
    // The answer stands in our socket long before the deadline, but nobody ran to read it.
    let port = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        std::thread::sleep(Duration::from_secs(10));
    });
    let mut check = checker(page((200, 200)), port);
    check.target.connect_timeout = Duration::from_millis(200);
    check.timing.delay_loop = Duration::from_millis(300);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let probe = tokio::spawn(async move { made(&check, None).await.result });
        for _ in 0..3 {
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(800));
        }
        probe.await.unwrap()
    });
    assert_eq!(result, Ok(()));
}
