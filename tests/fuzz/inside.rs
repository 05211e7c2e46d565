//! What comes from nearer: the kernel, the administrator, a process of our own that somebody has taken over.

use crate::hex;
use crate::recipe::Recipe;
use keepalived_rs::check::regex::Regex;
use keepalived_rs::config::load_text;
use keepalived_rs::ipc::messages::{CheckerId, FromBfd, FromChecker, FromMail, FromVrrp, ToBfd, ToChecker, ToMail, ToVrrp};
use keepalived_rs::ipvs::wire::{self as ipvs, family_id, read_destination, read_service};
use keepalived_rs::lvs::plan::Change;
use keepalived_rs::net::connector::Event;
use keepalived_rs::net::mirror::Mirror;
use keepalived_rs::net::wire::Messages;
use keepalived_rs::types::Family;
use keepalived_rs::vrrp::trackers::file::number;
use std::path::Path;

/// Recorded beside ipvsadm: name, direction, payload.
const GOLDEN: &str = include_str!("../../src/ipvs/wire/golden.tsv");

#[test]
fn ipvs_netlink() {
    let rows = GOLDEN.lines().filter_map(|line| line.split('\t').nth(2));
    let datagram = |payload: Vec<u8>| {
        let mut bytes = u32::try_from(16 + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(hex("3100000001000000e8030000"));
        bytes.extend(payload);
        bytes
    };
    let seeds: Vec<Vec<u8>> = rows.map(|row| datagram(hex(row))).collect();
    assert!(seeds.len() > 10);
    feed!(seeds, |bytes: &[u8], _: &Recipe| {
        for message in ipvs::Messages::new(bytes).take(1000) {
            let Ok(ipvs::Message::Answer { attributes, .. }) = message else { continue };
            let _ = family_id(attributes);
            for family in [Family::V4, Family::V6] {
                let _ = read_destination(attributes, family);
            }
            // What was read is written so that it is read as the same.
            let Ok((key, service)) = read_service(attributes) else { continue };
            let again = ipvs::change(&Change::AddService(key, service.clone()));
            assert_eq!(read_service(&again[4..]).unwrap(), (key, service));
        }
    });
}

#[test]
fn route_netlink() {
    // RTM_NEWLINK of lo and RTM_NEWADDR of 127.0.0.1/8, as the kernel sends them.
    let link = hex("34000000100000000000000000000000000004030100000049000100000000000700030006c6f000000008000d00e8030000");
    let address = hex("3800000014000000000000000000000002088000010000000800010007f00000108000200007f0000010700030006c6f0000");
    feed!(vec![link.clone(), address.clone(), [link, address].concat()], |bytes: &[u8], _: &Recipe| {
        let mut mirror = Mirror::default();
        let mut changes = Vec::new();
        for message in Messages(bytes).take(1000) {
            let _ = mirror.apply(&message, &mut changes);
        }
        let _ = Mirror::default().replace(mirror);
        let _ = Event::of(bytes, 1);
    });
}

/// The texts below a folder of the tests' configurations.
fn configurations(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "conf"));
    texts.map(|path| std::fs::read(path).unwrap()).filter(|text| text.len() < 4000).collect()
}

#[test]
fn configuration() {
    let seeds: Vec<Vec<u8>> = ["seeds", "ok", "bad"].into_iter().flat_map(configurations).collect();
    assert!(seeds.len() > 10);
    feed!(seeds, |bytes: &[u8], _: &Recipe| {
        let text = String::from_utf8_lossy(bytes);
        let loaded = load_text(&text);
        for told in loaded.report.diagnostics().iter().filter_map(|told| told.place.as_ref()) {
            assert!(told.line >= 1, "a place is a line of the text");
        }
    });
}

#[test]
fn frames_between_processes() {
    let at = keepalived_rs::lvs::settings::Address::Socket([10, 0, 0, 1].into(), 80);
    let service = keepalived_rs::lvs::settings::VirtualServer::new(at, keepalived_rs::types::Family::V4).name();
    let checker = CheckerId { service, server: ([10, 0, 0, 2].into(), 80), place: 0 };
    let messages = [FromChecker::Checked { checker, up: true }, FromChecker::Dumped("text".to_owned()), FromChecker::Stopped];
    let seeds = messages.iter().map(|message| postcard::to_allocvec(message).unwrap()).collect();
    feed!(seeds, |bytes: &[u8], _: &Recipe| {
        let _ = postcard::from_bytes::<ToVrrp>(bytes);
        let _ = postcard::from_bytes::<FromVrrp>(bytes);
        let _ = postcard::from_bytes::<ToChecker>(bytes);
        let _ = postcard::from_bytes::<ToMail>(bytes);
        let _ = postcard::from_bytes::<FromMail>(bytes);
        let _ = postcard::from_bytes::<ToBfd>(bytes);
        let _ = postcard::from_bytes::<FromBfd>(bytes);
        // What is read is written so that it is read as the same.
        if let Ok(message) = postcard::from_bytes::<FromChecker>(bytes) {
            let again = postcard::to_allocvec(&message).unwrap();
            assert_eq!(postcard::from_bytes::<FromChecker>(&again).unwrap(), message);
        }
    });
}

#[test]
fn expression_and_page() {
    let seeds = ["hello$\0hello\n", "(a)|b\\1(?=c)\0abc", "[]a]+\\Q.\\E\0]a", "(?m)^x$\0x\ny"];
    feed!(seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect(), |bytes: &[u8], _: &Recipe| {
        let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let (pattern, page) = bytes.split_at(at);
        let regex = Regex { pattern: String::from_utf8_lossy(pattern).into_owned(), min: 1, max: Some(9), ..Regex::default() };
        if let Ok(expression) = regex.compile() {
            let opposite = Regex { wanted: false, ..regex }.compile().unwrap();
            assert_ne!(expression.fits(page), opposite.fits(page));
        }
    });
}

#[test]
fn tracked_file() {
    feed!(vec![b"42\n".to_vec(), b" -0x1f".to_vec(), b"010".to_vec()], |bytes: &[u8], _: &Recipe| {
        let value = number(bytes);
        assert_eq!(number(value.to_string().as_bytes()), value);
    });
}
