//! Held against what ipvsadm sent to a kernel, and what that kernel answered.

use super::*;
use crate::lvs::plan::Change;
use crate::lvs::settings::{Checksum, Forwarding, Granularity, Protocol, SyncDaemon, Timeouts, Tunnel, flag};
use crate::lvs::table::{Destination, DestinationKey, Service, ServiceKey};
use crate::types::Family;
use proptest::prelude::*;
use std::net::IpAddr;

fn golden(command: &str) -> Vec<u8> {
    lines().find(|(name, direction, _)| name == command && *direction == '>').unwrap_or_else(|| panic!("{command}")).2
}

fn lines() -> impl Iterator<Item = (String, char, Vec<u8>)> {
    include_str!("golden.tsv").lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut parts = line.split('\t');
        let (name, direction, hex) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        (name.to_owned(), direction.chars().next().unwrap(), bytes)
    })
}

fn socket(protocol: Protocol, last: u8, port: u16) -> ServiceKey {
    ServiceKey::Socket(protocol, [10, 9, 1, last].into(), port)
}

/// More than 32 bits are IPv6's.
fn service(scheduler: &str, flags: u32, timeout: u32, length: u8, engine: Option<&str>) -> Service {
    let granularity = Granularity::Length(length).in_kernel(if length > 32 { Family::V6 } else { Family::V4 });
    Service { scheduler: scheduler.to_owned(), flags, timeout, granularity, engine: engine.map(str::to_owned) }
}

#[test]
fn services_are_written_as_ipvsadm_writes_them() {
    let add = |key, what| change(&Change::AddService(key, what));
    assert_eq!(add(socket(Protocol::Tcp, 1, 80), service("wrr", 0, 0, 32, None)), golden("ipvsadm -A -t 10.9.1.1:80 -s wrr"));
    assert_eq!(
        add(socket(Protocol::Tcp, 2, 5060), service("rr", flag::PERSISTENT, 50, 24, Some("sip"))),
        golden("ipvsadm -A -t 10.9.1.2:5060 -s rr -p 50 -M 255.255.255.0 --pe sip")
    );
    assert_eq!(
        add(socket(Protocol::Udp, 2, 5060), service("rr", flag::PERSISTENT | flag::ONE_PACKET, 50, 24, Some("sip"))),
        golden("ipvsadm -A -u 10.9.1.2:5060 -s rr -p 50 -M 255.255.255.0 --pe sip -o")
    );
    assert_eq!(
        add(ServiceKey::Mark(Family::V6, 7), service("sh", flag::PERSISTENT | flag::SCHEDULER_1 | flag::SCHEDULER_2, 60, 64, None)),
        golden("ipvsadm -A -f 7 -6 -s sh -b sh-fallback,sh-port -p 60 -M 64")
    );
    let edit = change(&Change::EditService(socket(Protocol::Tcp, 1, 80), service("rr", 0, 0, 32, None)));
    assert_eq!(edit, golden("ipvsadm -E -t 10.9.1.1:80 -s rr"));
}

#[test]
fn destinations_are_written_as_ipvsadm_writes_them() {
    // ipvsadm repeats the whole service, of which the kernel reads the key alone; the key is as in its own dump request.
    let check = |made: Vec<u8>, command: &str| {
        let theirs = golden(command);
        let tail = theirs.len() - 0x60;
        let key = &dump_destinations(&socket(Protocol::Tcp, 1, 80))[4..];
        assert_eq!(made[..4], theirs[..4], "{command}");
        assert_eq!(made[4..4 + key.len()], *key, "{command}");
        assert_eq!(made[4 + key.len()..], theirs[tail..], "{command}");
    };
    let key = socket(Protocol::Tcp, 1, 80);
    let nat = |weight, upper, lower| Destination { forwarding: Forwarding::Nat, weight, upper, lower };
    check(
        change(&Change::AddDestination(key, ([10, 0, 0, 2].into(), 8080), nat(3, 100, 50))),
        "ipvsadm -a -t 10.9.1.1:80 -r 10.0.0.2:8080 -m -w 3 -x 100 -y 50",
    );
    let gue = Destination { forwarding: Forwarding::Tunnel(Tunnel::Gue(6080, Checksum::Whole)), weight: 1, upper: 0, lower: 0 };
    check(
        change(&Change::AddDestination(key, ([10, 0, 0, 3].into(), 80), gue)),
        "ipvsadm -a -t 10.9.1.1:80 -r 10.0.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
    );
    let ipip = Destination { forwarding: Forwarding::Tunnel(Tunnel::Ipip), weight: 1, upper: 0, lower: 0 };
    let six: IpAddr = "2001:db8::6".parse().unwrap();
    check(change(&Change::AddDestination(key, (six, 80), ipip)), "ipvsadm -a -t 10.9.1.1:80 -r [2001:db8::6]:80 -i -w 1");
    check(
        change(&Change::EditDestination(key, ([10, 0, 0, 2].into(), 8080), nat(5, 0, 0))),
        "ipvsadm -e -t 10.9.1.1:80 -r 10.0.0.2:8080 -m -w 5",
    );
}

#[test]
fn the_rest_is_written_as_ipvsadm_writes_it() {
    assert_eq!(set_timeouts(Timeouts { tcp: 900, tcp_fin: 120, udp: 300 }), golden("ipvsadm --set 900 120 300"));
    assert_eq!(flush(), golden("ipvsadm -C"));
    assert_eq!(dump_services(), golden("ipvsadm -Ln"));
    let short = SyncDaemon { interface: "lo".to_owned(), id: 5, max_length: None, port: None, ttl: None, group: None };
    assert_eq!(start_daemon(Mode::Master, &short), golden("ipvsadm --start-daemon master --mcast-interface lo --syncid 5"));
    let long = SyncDaemon { max_length: Some(1000), port: Some(9999), ttl: Some(3), group: Some([224, 0, 0, 82].into()), ..short };
    assert_eq!(
        start_daemon(Mode::Backup, &long),
        golden(
            "ipvsadm --start-daemon backup --mcast-interface lo --syncid 5 --sync-maxlen 1000 --mcast-group 224.0.0.82 --mcast-port 9999 --mcast-ttl 3"
        )
    );
    assert_eq!(stop_daemon(Mode::Master), golden("ipvsadm --stop-daemon master"));
}

#[test]
fn the_kernels_dump_is_what_was_put_in() {
    let mut services = Vec::new();
    let mut destinations = Vec::new();
    for (_, direction, bytes) in lines().filter(|(name, ..)| name.ends_with("-Ln")) {
        match (direction, bytes.first()) {
            ('<', Some(1)) => services.push(read_service(&bytes[4..]).unwrap()),
            ('<', Some(5)) => destinations.push(read_destination(&bytes[4..], Family::V4).unwrap()),
            _ => {}
        }
    }
    let persistent = flag::PERSISTENT;
    assert_eq!(
        services,
        [
            (socket(Protocol::Tcp, 1, 80), service("rr", 0, 0, 32, None)),
            (socket(Protocol::Udp, 2, 5060), service("rr", persistent | flag::ONE_PACKET, 50, 24, Some("sip"))),
            (socket(Protocol::Tcp, 2, 5060), service("rr", persistent, 50, 24, Some("sip"))),
            (ServiceKey::Mark(Family::V6, 7), service("sh", persistent | flag::SCHEDULER_1 | flag::SCHEDULER_2, 60, 64, None)),
        ]
    );
    let tunnel = |tunnel| Destination { forwarding: Forwarding::Tunnel(tunnel), weight: 1, upper: 0, lower: 0 };
    let wanted: [(DestinationKey, Destination); 2] = [
        (("2001:db8::6".parse().unwrap(), 80), tunnel(Tunnel::Ipip)),
        (([10, 0, 0, 3].into(), 80), tunnel(Tunnel::Gue(6080, Checksum::Whole))),
    ];
    assert_eq!(destinations, wanted);
}

#[test]
fn errors_and_ends_are_told_from_answers() {
    let message = |kind: u16, payload: &[u8]| {
        let mut bytes = u32::try_from(16 + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    };
    let mut bytes = message(2, &(-17i32).to_ne_bytes());
    bytes.extend(message(2, &0i32.to_ne_bytes()));
    bytes.extend(message(3, &0i32.to_ne_bytes()));
    bytes.extend(message(28, &[1, 1, 0, 0, 9]));
    let all: Vec<_> = Messages::new(&bytes).map(Result::unwrap).collect();
    assert_eq!(all[0], Message::Ended { seq: 7, errno: 17 });
    assert_eq!(all[1], Message::Ended { seq: 7, errno: 0 });
    assert_eq!(all[2], Message::Done { seq: 7, errno: 0 });
    assert_eq!(all[3], Message::Answer { seq: 7, attributes: &[9] });
    assert_eq!(Messages::new(&bytes[..30]).last(), Some(Err(WireError::Short)));
}

fn services() -> impl Strategy<Value = (ServiceKey, Service)> {
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    let key = prop_oneof![
        (protocol, any::<IpAddr>(), any::<u16>()).prop_map(|(protocol, address, port)| ServiceKey::Socket(protocol, address, port)),
        (prop::bool::ANY, 1u32..).prop_map(|(six, mark)| ServiceKey::Mark(if six { Family::V6 } else { Family::V4 }, mark)),
    ];
    (key, "[a-z]{1,15}", 0u32..64, 1u32..100_000, any::<u32>(), prop::option::of("[a-z]{1,15}")).prop_map(
        |(key, scheduler, flags, timeout, granularity, engine)| {
            let flags = flags & !flag::HASHED;
            let timeout = if flags & flag::PERSISTENT == 0 { 0 } else { timeout };
            (key, Service { scheduler, flags, timeout, granularity, engine })
        },
    )
}

fn destinations() -> impl Strategy<Value = (DestinationKey, Destination)> {
    let checksum = || prop::sample::select(vec![Checksum::None, Checksum::Whole, Checksum::Remote]);
    let forwarding = prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::Direct),
        Just(Forwarding::Tunnel(Tunnel::Ipip)),
        (any::<u16>(), checksum()).prop_map(|(port, checksum)| Forwarding::Tunnel(Tunnel::Gue(port, checksum))),
        checksum().prop_map(|checksum| Forwarding::Tunnel(Tunnel::Gre(checksum))),
    ];
    (any::<IpAddr>(), any::<u16>(), forwarding, 0i64..=2_147_483_647, any::<u32>(), any::<u32>())
        .prop_map(|(address, port, forwarding, weight, upper, lower)| ((address, port), Destination { forwarding, weight, upper, lower }))
}

proptest! {
    #[test]
    fn a_service_is_read_as_it_was_written((key, what) in services()) {
        let bytes = change(&Change::AddService(key, what.clone()));
        prop_assert_eq!(read_service(&bytes[4..]), Ok((key, what)));
    }

    #[test]
    fn a_destination_is_read_as_it_was_written((place, what) in destinations()) {
        let bytes = change(&Change::AddDestination(socket(Protocol::Tcp, 1, 80), place, what));
        prop_assert_eq!(read_destination(&bytes[4..], Family::V4), Ok((place, what)));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        for message in Messages::new(&bytes).take(1000) { let _ = message; }
        let _ = (read_service(&bytes), read_destination(&bytes, Family::V6), family_id(&bytes));
    }

    #[test]
    fn no_damaged_dump_panics(pick in 0usize..100, at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let answers: Vec<_> = lines().filter(|(_, direction, _)| *direction == '<').collect();
        let mut bytes = answers[pick % answers.len()].2.clone();
        let place = at.index(bytes.len());
        bytes[place] = value;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let body = bytes.get(4..).unwrap_or_default();
        let _ = (read_service(body), read_destination(body, Family::V4));
    }
}

#[test]
fn the_balancer_says_what_it_is() {
    // IPVS_INFO_ATTR_VERSION and IPVS_INFO_ATTR_CONN_TAB_SIZE of linux/ip_vs.h; ip_vs(5) of Linux 6.1 says 1.2.1, 4096.
    let number = |kind: u16, value: u32| [8u16.to_ne_bytes(), kind.to_ne_bytes()].concat().into_iter().chain(value.to_ne_bytes());
    let answer: Vec<u8> = number(1, 0x01_02_01).chain(number(2, 4096)).collect();
    assert_eq!(read_info(&answer), Ok(Info { version: (1, 2, 1), buckets: 4096 }));
    assert!(read_info(&answer[..8]).is_err());
    assert_eq!(get_info(), [15, 1, 0, 0]);
    assert_eq!(get_config(), [13, 1, 0, 0]);
    let timeouts = Timeouts { tcp: 900, tcp_fin: 120, udp: 300 };
    // What is set and what is told are the same attributes.
    assert_eq!(read_timeouts(&set_timeouts(timeouts)[4..]), Ok(timeouts));
    assert!(read_timeouts(&set_timeouts(timeouts)[4..20]).is_err());
}
