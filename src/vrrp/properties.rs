//! What holds for every packet and every sequence of events.

use crate::types::{CentiSecs, Family, Instant, Priority, Version, Vrid};
use crate::vrrp::event::{Action, Advert, Event, Fault, Snapshot, State};
use crate::vrrp::fsm::Instance;
use crate::vrrp::packet;
use crate::vrrp::receive::{self, Context, Datagram, Verdict};
use crate::vrrp::settings::{Auth, Peer, Preempt, Settings, Transport, WantedState};
use crate::vrrp::stats::Stats;
use crate::vrrp::testing;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

fn settings() -> impl Strategy<Value = Settings> {
    let shape =
        (prop_oneof![Just((Version::V2, Family::V4)), Just((Version::V3, Family::V4)), Just((Version::V3, Family::V6))], any::<bool>());
    let numbers = (1..=255_u8, 1..=255_u8, 1..=40_u16, proptest::collection::vec(any::<u32>(), 0..20));
    let choices = (
        prop_oneof![Just(Preempt::AtOnce), Just(Preempt::Never), (0..20_u64).prop_map(|secs| Preempt::After(Duration::from_secs(secs)))],
        prop_oneof![Just(None), Just(None), any::<[u8; 8]>().prop_map(|word| Some(Auth::Password(word)))],
        any::<[bool; 5]>(),
    );
    (shape, numbers, choices).prop_map(|(((version, family), unicast), (vrid, priority, seconds, hosts), (preempt, auth, flags))| {
        let host = |number: u32| match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(number)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(u128::from(number) | 0xfe80 << 112)),
        };
        let group = if family == Family::V4 { "224.0.0.18" } else { "ff02::12" };
        let peer = Peer { address: host(0x0a00_0001), min_ttl: None, max_ttl: None };
        Settings {
            vrid: Vrid::new(vrid).unwrap(),
            priority: Priority::new(priority).unwrap(),
            version,
            family,
            advert_interval: CentiSecs::new(seconds * 100).unwrap(),
            addresses: hosts.iter().map(|number| testing::virtual_address(&host(*number).to_string())).collect(),
            transport: if unicast {
                Transport::Unicast { source: None, peers: vec![peer], ttl: None }
            } else {
                Transport::Multicast { group: group.parse().unwrap(), source: None }
            },
            preempt,
            auth: auth.filter(|_| version == Version::V2),
            wanted: if flags[0] { WantedState::Master } else { WantedState::Backup },
            lower_prio_no_advert: flags[1],
            higher_prio_send_advert: flags[2],
            owner_ignore_adverts: flags[3],
            skip_check_adv_addr: flags[4],
            ..testing::settings()
        }
    })
}

fn ends(settings: &Settings) -> (IpAddr, IpAddr) {
    let source: IpAddr = if settings.family == Family::V4 { "10.0.0.1".parse().unwrap() } else { "fe80::a00:1".parse().unwrap() };
    match &settings.transport {
        Transport::Multicast { group, .. } => (source, *group),
        Transport::Unicast { peers, .. } => (source, peers[0].address),
    }
}

fn verdict(settings: &Settings, payload: &[u8], protocol: u8, ttl: Option<u8>) -> Verdict {
    let (source, destination) = ends(settings);
    let context = Context { state: State::Backup, master: None, sequence: 0 };
    let datagram = Datagram { source, destination, ttl, payload, protocol, ip_header: None };
    receive::check(settings, context, &mut Stats::default(), &datagram)
}

fn advert() -> impl Strategy<Value = Advert> {
    (1..=4_u8, any::<u8>(), 1..=4095_u16).prop_map(|(host, priority, interval)| Advert {
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)),
        priority,
        interval: CentiSecs::new(interval).unwrap(),
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::InterfaceDown("eth0".to_owned())), Just(Fault::InterfaceDown("eth1".to_owned()))]
}

fn priority() -> impl Strategy<Value = Priority> {
    (1..=255_u8).prop_map(|value| Priority::new(value).unwrap())
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let state = prop_oneof![Just(State::Init), Just(State::Backup), Just(State::Master), Just(State::Fault), Just(State::Stopped)];
    (state, 1..=4095_u16).prop_map(|(state, interval)| Snapshot {
        state,
        master_interval: CentiSecs::new(interval).unwrap(),
        master: None,
        master_priority: 0,
        stats: Stats::default(),
        last_transition: 0.0,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let started =
        (proptest::collection::btree_set(fault(), 0..2), priority(), proptest::option::of(snapshot()), proptest::option::of(0..9_u64));
    prop_oneof![
        4 => started.prop_map(|(faults, priority, resume, wait)| Event::Started {
            faults,
            priority,
            source: Some("192.0.2.2".parse().unwrap()),
            resume,
            not_before: wait.map(|secs| Instant::from_nanos(secs * 1_000_000_000)),
        }),
        20 => Just(Event::DeadlineReached),
        20 => advert().prop_map(Event::AdvertReceived),
        2 => fault().prop_map(Event::FaultBegan),
        4 => fault().prop_map(Event::FaultEnded),
        2 => priority().prop_map(Event::PriorityChanged),
        1 => (1..=4_u8).prop_map(|host| Event::SourceChanged(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)))),
        1 => settings().prop_map(|settings| Event::SettingsReplaced(Arc::new(settings))),
        1 => Just(Event::StopRequested),
    ]
}

proptest! {
    #[test]
    fn what_we_emit_is_accepted_and_says_the_same(settings in settings(), priority: u8) {
        let (source, destination) = ends(&settings);
        let bytes = packet::emit(&settings, priority, source, destination, None);
        prop_assert_eq!(packet::vrid_of(&bytes), Some(settings.vrid));
        let receiver = Settings { owner_ignore_adverts: false, ..settings };
        let expected = Advert { source, priority, interval: receiver.advert_interval };
        prop_assert_eq!(verdict(&receiver, &bytes, 112, Some(255)), Verdict::Accepted(expected));
    }

    #[test]
    fn an_advert_with_any_one_bit_flipped_is_dropped(settings in settings(), priority: u8, position: prop::sample::Index) {
        let (source, destination) = ends(&settings);
        let mut bytes = packet::emit(&settings, priority, source, destination, None);
        let bit = position.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(matches!(verdict(&settings, &bytes, 112, Some(255)), Verdict::Dropped(_)), "bit {}", bit);
    }

    #[test]
    fn no_bytes_make_the_checks_panic(settings in settings(), bytes: Vec<u8>, ah: bool, ttl: Option<u8>) {
        let _ = packet::vrid_of(&bytes);
        let settings = if ah { Settings { auth: Some(Auth::Header([7; 8])), version: Version::V2, ..settings } } else { settings };
        let _ = verdict(&settings, &bytes, if ah { 51 } else { 112 }, ttl);
    }

    #[test]
    fn no_events_make_the_machine_panic_and_only_init_fault_and_stop_have_no_deadline(
        settings in settings(),
        events in proptest::collection::vec((0..3_000_u64, event()), 0..120),
    ) {
        let mut instance = Instance::new(Arc::new(settings));
        let mut now = Instant::from_nanos(1);
        let mut addresses = false;
        let mut out = Vec::new();
        for (millis, event) in events {
            now = now + Duration::from_millis(millis);
            let before = instance.state();
            instance.handle(now, event, &mut out);
            let state = instance.state();
            let idle = matches!(state, State::Init | State::Fault | State::Stopped);
            prop_assert_eq!(instance.deadline().is_none(), idle, "{:?}", state);
            let changes = out.iter().filter(|action| matches!(action, Action::Entered(_))).count();
            prop_assert_eq!(changes, usize::from(before != state), "one transition a change of state");
            for action in out.drain(..) {
                match action {
                    Action::InstallAddresses => addresses = true,
                    Action::RemoveAddresses => addresses = false,
                    Action::SendAdvert { .. } | Action::Entered(_) | Action::Note(_) => {}
                    Action::Announce { .. } | Action::AnnounceElsewhere => {}
                }
            }
            prop_assert_eq!(addresses, state == State::Master, "the addresses are where the master is");
        }
    }

    #[test]
    fn the_stronger_backup_is_always_first(weaker in 1..=253_u8, by in 1..=253_u8, interval in 1..=4095_u16, v3: bool) {
        let stronger = weaker.saturating_add(by).min(254);
        prop_assume!(stronger > weaker);
        let wait = |value: u8| {
            let version = if v3 { Version::V3 } else { Version::V2 };
            let settings = Settings { version, priority: Priority::new(value).unwrap(), advert_interval: CentiSecs::new(interval).unwrap(), ..testing::settings() };
            Instance::new(Arc::new(settings)).master_down_interval()
        };
        prop_assert!(wait(stronger) < wait(weaker));
    }
}
