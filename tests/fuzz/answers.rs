//! What strangers send over the network: servers that are checked, other routers.

use crate::hex;
use crate::recipe::Recipe;
use keepalived_rs::bfd::event::{Action, Event};
use keepalived_rs::bfd::fsm::Session;
use keepalived_rs::bfd::packet::Packet;
use keepalived_rs::check::http::{self, Http, Request, Url};
use keepalived_rs::check::regex::Regex;
use keepalived_rs::check::smtp::{self, Smtp};
use keepalived_rs::check::{Dialogue, Step, certificate, dns, ping, udp};
use keepalived_rs::config::load_text;
use keepalived_rs::types::Instant;
use keepalived_rs::vrrp::event::State;
use keepalived_rs::vrrp::packet::{Pdu, emit, ip_protocol};
use keepalived_rs::vrrp::receive::{Context, Datagram, Verdict, check, sequence};
use keepalived_rs::vrrp::stats::Stats;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// How the conversation ends when the peer says this, in these pieces, and hangs up.
fn ends(dialogue: &mut impl Dialogue, pieces: &[&[u8]]) -> Step {
    dialogue.connected();
    for piece in pieces {
        if let done @ Step::Done(_) = dialogue.received(piece) {
            return done;
        }
    }
    dialogue.closed()
}

#[test]
fn http_answer() {
    let seeds = texts(&[
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello",
        "ICY 200 OK\n\nhello",
    ]);
    let regex = Regex { pattern: "^h(e)l+(?=o)".to_owned(), min: 0, max: Some(40), ..Regex::default() };
    let compiled = Arc::new(regex.compile().unwrap());
    let digest = http::digest_of("5d41402abc4b2a76b9719d911017c592");
    let url = Url { digest, regex: Some(regex), ..Url::default() };
    let protocol = http::Protocol::V1_1;
    let settings = http::Settings { tls: false, urls: vec![url.clone()], protocol, sni: false, sni_name: None, fast_recovery: false };
    let request = Arc::new(Request::new(&settings, &url, HERE, 80, Some(compiled)));
    feed!(seeds, |bytes: &[u8], recipe: &Recipe| {
        let whole = ends(&mut Http::new(request.clone()), &[bytes]);
        let mut dialogue = Http::new(request.clone());
        let cut = ends(&mut dialogue, &recipe.pieces(bytes));
        // A header that is too long may be so before or after its end has come.
        if bytes.len() < 32 * 1024 {
            assert_eq!(whole, cut, "reads of another size, another verdict");
        }
        if let Some(odd) = dialogue.odd_length() {
            assert_ne!(odd.promised, odd.came);
        }
    });
}

#[test]
fn smtp_answer() {
    let seeds = texts(&["220 mx ESMTP\r\n250 mx\r\n221 bye\r\n", "220-a\r\n220 b\r\n250-x\r\n250 y\r\n", "554 no\r\n", "220\n250\n"]);
    feed!(seeds, |bytes: &[u8], recipe: &Recipe| {
        let mut dialogue = Smtp::new(&smtp::Settings { helo: "fuzz.example".to_owned() });
        if let Step::Done(Ok(())) = ends(&mut dialogue, &recipe.pieces(bytes)) {
            let text = String::from_utf8_lossy(bytes);
            assert!(text.contains("220") && text.contains("250"), "{text}");
        }
    });
}

#[test]
fn dns_answer() {
    let answer = hex("1234818000010001000000000161026263000001000100016100000100010000003c0004c0000201");
    let refused = hex("123481850001000000000000016102626300000f0001");
    feed!(vec![answer, refused, hex("123401000001000000000000")], |bytes: &[u8], _: &Recipe| {
        if let Some(Ok(())) = dns::judge(0x1234, bytes) {
            assert!(bytes.len() >= 12 && bytes[..2] == [0x12, 0x34] && bytes[2] & 0x80 != 0 && bytes[3] & 0xf == 0);
        }
    });
}

#[test]
fn icmp_reply() {
    let mut answer = ping::request(false, 0x1234, 7);
    answer[0] = 0;
    let mut with_header = hex("4500003c000040004001f96ac0000201c0000202");
    with_header.extend_from_slice(&answer);
    let mut six = ping::request(true, 0x1234, 7);
    six[0] = 129;
    feed!(vec![with_header, six], |bytes: &[u8], _: &Recipe| {
        for family in [false, true] {
            if ping::is_answer(family, bytes, 0x1234, 7) {
                assert!(bytes.windows(4).any(|four| four == [0x12, 0x34, 0, 7]));
            }
        }
    });
}

#[test]
fn udp_reply() {
    feed!(texts(&["pong", "01 XX 0X", "ff 0"]), |bytes: &[u8], _: &Recipe| {
        let text = String::from_utf8_lossy(bytes);
        let Some(pattern) = udp::pattern(&text, true) else { return };
        let reply = udp::Reply { pattern: pattern.clone(), min: 0, max: 255 };
        let settings = udp::Settings { payload: Vec::new(), reply: Some(reply) };
        // What the pattern itself says fits it; so does nothing that is shorter.
        let same: Vec<u8> = pattern.iter().map(|(value, _)| *value).collect();
        assert_eq!(udp::judge(&settings, &same).is_ok(), same.len() <= 255);
        if let Some((_, shorter)) = same.split_last() {
            assert!(udp::judge(&settings, shorter).is_err());
        }
        let _ = udp::judge(&settings, bytes);
    });
}

#[test]
fn server_certificate() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der().to_vec();
    assert!(certificate::not_after(&der).is_some());
    feed!(vec![der], |bytes: &[u8], _: &Recipe| {
        let _ = certificate::not_after(bytes);
    });
}

#[test]
fn vrrp_advert() {
    let instance = |name: &str, vrid: u8, words: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority 100\n {words}\n virtual_ipaddress {{\n 192.0.2.9\n }}\n}}\n"
        )
    };
    let config = [
        instance("V2", 1, "version 2"),
        instance("PASS", 2, "version 2\n authentication {\n auth_type PASS\n auth_pass 1111\n }"),
        instance("AH", 3, "version 2\n authentication {\n auth_type AH\n auth_pass 1111\n }"),
        instance("V3", 4, "version 3\n advert_int 0.1"),
    ];
    let instances = load_text(&config.concat()).config.instances;
    assert_eq!(instances.len(), 4);
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    let group = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
    let seeds = instances.iter().map(|settings| emit(settings, 150, source, group, Some(5))).collect();
    let context = Context { state: State::Backup, master: Some(source), sequence: 0 };
    feed!(seeds, |bytes: &[u8], _: &Recipe| {
        let _ = Pdu::new(bytes).map(|pdu| pdu.version());
        for settings in &instances {
            let protocol = ip_protocol(settings);
            let datagram = Datagram { source, destination: group, ttl: Some(255), payload: bytes, protocol, ip_header: None };
            let _ = sequence(&datagram);
            let mut stats = Stats::default();
            let accepted = !matches!(check(settings, context, &mut stats, &datagram), Verdict::Dropped(_));
            assert_eq!(stats.adverts_received, u64::from(accepted), "what is dropped is not counted as received");
        }
    });
}

/// A stream of control packets: what counts drives a session, whose every answer counts too.
#[test]
fn bfd_packets() {
    let sessions = load_text("bfd_instance peer {\n neighbor_ip 192.0.2.2\n min_rx 50\n min_tx 50\n}\n").config.bfd;
    assert_eq!(sessions.len(), 1);
    // As keepalived 2.2.7 sends them: Down, Init, Up with Poll, Up with Final.
    let down = "204003186c37904c00000000000f42400000c35000000000";
    let init = "208003186c37904c00000001000f42400000c35000000000";
    let poll = "20e003186c37904c000000010000c3500000c35000000000";
    let last = "20d003186c37904c000000010000c3500000c35000000000";
    let seeds = [[down, init, poll].concat(), [down, init, last, poll].concat(), last.to_owned()].map(|text| hex(&text));
    feed!(seeds.to_vec(), |bytes: &[u8], _: &Recipe| {
        let mut now = Instant::from_nanos(1_000_000_000);
        let mut session = Session::new(Arc::clone(&sessions[0]), 1, 7, now);
        for part in bytes.chunks(24) {
            let Ok(packet) = Packet::parse(part) else { continue };
            assert_eq!(Packet::parse(&packet.bytes()), Ok(packet));
            let mut actions = session.handle(now, &Event::Received(packet));
            if let Some(due) = session.deadline() {
                now = due.max(now);
                actions.extend(session.handle(now, &Event::DeadlineReached));
            }
            for action in actions {
                if let Action::Send(answer) = action {
                    assert_eq!(Packet::parse(&answer.bytes()), Ok(answer));
                }
            }
        }
    });
}
