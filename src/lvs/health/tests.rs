use super::*;
use crate::check::{Checker, Kind, Target, Timing};
use crate::lvs::settings::{Address, SorryServer};
use crate::types::Family;
use proptest::prelude::*;

fn checker(alpha: bool) -> Checker {
    Checker {
        kind: Kind::Tcp,
        target: Target::new("10.0.0.2".parse().unwrap(), 80),
        timing: Timing::default(),
        alpha,
        log_all_failures: false,
    }
}

fn server(weights: &[u32], quorum: u32, hysteresis: u32, sorry: Option<bool>, inhibit: bool, alpha: bool) -> VirtualServer {
    let mut server = VirtualServer::new(Address::Socket("10.9.1.1".parse().unwrap(), 80), Family::V4);
    server.quorum = quorum;
    server.hysteresis = hysteresis;
    server.sorry = sorry.map(|inhibit| SorryServer {
        address: "127.0.0.99".parse().unwrap(),
        port: 80,
        forwarding: super::super::settings::Forwarding::Direct,
        inhibit,
    });
    server.real_servers = weights
        .iter()
        .zip(2u8..)
        .map(|(weight, last)| RealServer {
            weight: *weight,
            inhibit,
            checkers: vec![checker(alpha).into()],
            ..RealServer::new([127, 0, 0, last].into(), 80)
        })
        .collect();
    server
}

fn lines(notices: Vec<Notice>) -> Vec<String> {
    notices.iter().map(ToString::to_string).collect()
}

#[test]
fn a_quorum_that_is_down_from_the_start_is_told_when_a_sorry_server_serves_and_else_only_logged() {
    for (sorry, told) in [(None, 0), (Some(false), 1)] {
        let mut health = Health::new(Arc::new(server(&[1], 1, 0, sorry, false, true)));
        let started = health.start();
        assert!(started[0].to_string().starts_with("Starting with quorum down"), "{started:?}");
        let quorums = |notices: &[Notice]| notices.iter().filter(|notice| matches!(notice, Notice::Quorum { .. })).count();
        assert_eq!(quorums(&health.start_told(&started, false)), told);
    }
    let mut health = Health::new(Arc::new(server(&[1], 1, 0, None, false, false)));
    let started = health.start();
    let lines: Vec<_> = health.start_told(&started, true).iter().filter_map(Notice::fifo_line).collect();
    assert_eq!(lines, ["RS [127.0.0.2]:tcp:80 [10.9.1.1]:tcp:80 UP\n", "VS [10.9.1.1]:tcp:80 UP\n"], "rs_init_notifies");
}

#[test]
fn a_virtual_server_that_a_reload_takes_away_has_its_last_words() {
    let mut health = Health::new(Arc::new(server(&[1, 1], 1, 0, None, false, false)));
    health.start();
    health.checker_changed(1, 0, false);
    let (notices, quorum) = health.removed();
    let removing = "Removing service [127.0.0.2]:tcp:80 from VS [10.9.1.1]:tcp:80";
    let mail = "[127.0.0.2]:tcp:80 of VS [10.9.1.1]:tcp:80: => Removing <=";
    assert_eq!(lines(notices), ["Removing Virtual Server [10.9.1.1]:tcp:80", removing, mail]);
    assert_eq!(quorum.and_then(|quorum| quorum.fifo_line()).as_deref(), Some("VS [10.9.1.1]:tcp:80 DOWN\n"));
}

#[test]
fn lines_and_places_are_those_of_the_original_with_a_sorry_server() {
    let mut health = Health::new(Arc::new(server(&[2, 1], 2, 0, Some(false), false, false)));
    assert_eq!(lines(health.start()), ["Gained quorum 2+0=2 <= 3 for VS [10.9.1.1]:tcp:80"]);
    assert_eq!(lines(health.checker_changed(1, 0, false)), ["Removing service [127.0.0.3]:tcp:80 from VS [10.9.1.1]:tcp:80"]);
    assert_eq!(
        lines(health.checker_changed(0, 0, false)),
        [
            "Removing service [127.0.0.2]:tcp:80 from VS [10.9.1.1]:tcp:80",
            "Lost quorum 2-0=2 > 0 for VS [10.9.1.1]:tcp:80",
            "Adding sorry server [127.0.0.99]:tcp:80 to VS [10.9.1.1]:tcp:80",
            "Removing alive servers from the pool for VS [10.9.1.1]:tcp:80",
        ]
    );
    assert_eq!(health.places(), (vec![Place::Absent, Place::Absent], Some(Place::Present(1))));
    assert_eq!(
        lines(health.checker_changed(0, 0, true)),
        [
            "Adding service [127.0.0.2]:tcp:80 to VS [10.9.1.1]:tcp:80",
            "Gained quorum 2+0=2 <= 2 for VS [10.9.1.1]:tcp:80",
            "Removing sorry server [127.0.0.99]:tcp:80 from VS [10.9.1.1]:tcp:80",
            "Adding alive servers to the pool for VS [10.9.1.1]:tcp:80",
        ]
    );
    assert_eq!(health.places(), (vec![Place::Present(2), Place::Absent], Some(Place::Absent)));
}

#[test]
fn the_first_quorum_has_to_be_gained() {
    let mut health = Health::new(Arc::new(server(&[2, 1], 3, 2, Some(false), false, false)));
    assert_eq!(
        lines(health.start()),
        [
            "Starting with quorum down 3-2=5 > 3 for VS [10.9.1.1]:tcp:80",
            "Adding sorry server [127.0.0.99]:tcp:80 to VS [10.9.1.1]:tcp:80",
            "Removing alive servers from the pool for VS [10.9.1.1]:tcp:80",
        ]
    );
}

#[test]
fn inhibited_servers_stay_with_weight_zero() {
    let mut health = Health::new(Arc::new(server(&[2, 1], 1, 0, Some(true), true, true)));
    assert_eq!(
        lines(health.start()),
        [
            "Starting with quorum down 1-0=1 > 0 for VS [10.9.1.1]:tcp:80",
            "Enabling sorry server [127.0.0.99]:tcp:80 to VS [10.9.1.1]:tcp:80",
            "Removing alive servers from the pool for VS [10.9.1.1]:tcp:80",
        ]
    );
    assert_eq!(health.places(), (vec![Place::Present(0), Place::Present(0)], Some(Place::Present(1))));
    assert_eq!(
        lines(health.checker_changed(1, 0, true)),
        [
            "Enabling service [127.0.0.3]:tcp:80 of VS [10.9.1.1]:tcp:80",
            "Gained quorum 1+0=1 <= 1 for VS [10.9.1.1]:tcp:80",
            "Disabling sorry server [127.0.0.99]:tcp:80 from VS [10.9.1.1]:tcp:80",
            "Adding alive servers to the pool for VS [10.9.1.1]:tcp:80",
        ]
    );
    assert_eq!(health.places(), (vec![Place::Present(0), Place::Present(1)], Some(Place::Present(0))));
    let stop = lines(health.stop());
    assert_eq!(stop[0], "Shutting down (inhibited) service [127.0.0.2]:tcp:80 from VS [10.9.1.1]:tcp:80");
    assert_eq!(stop[1], "Shutting down service [127.0.0.3]:tcp:80 from VS [10.9.1.1]:tcp:80");
}

#[test]
fn deltas_of_several_checkers_add_up_and_are_clamped() {
    let mut health = Health::new(Arc::new(server(&[5], 1, 0, None, false, false)));
    health.start();
    let first = lines(health.weight_changed(0, 0, 9));
    assert_eq!(first, ["Changing weight from 5 to 14 for active service [127.0.0.2]:tcp:80 of VS [10.9.1.1]:tcp:80"]);
    health.weight_changed(0, 1, -20);
    assert_eq!(health.weight(0), 0);
    assert!(!health.has_quorum(), "a live server of weight 0 carries no quorum");
    health.weight_changed(0, 1, 0);
    assert_eq!(health.weight(0), 14);
    health.weight_changed(0, 1, i64::MAX);
    health.weight_changed(0, 0, i64::MAX);
    assert_eq!(health.weight(0), WEIGHT_MAX, "a file may say any number");
    health.weight_changed(0, 1, 0);
    health.weight_changed(0, 0, i64::from(u32::MAX));
    assert_eq!(health.weight(0), WEIGHT_MAX);
}

#[test]
fn a_reload_keeps_what_checkers_said() {
    let mut health = Health::new(Arc::new(server(&[2, 1], 1, 0, None, false, false)));
    health.start();
    health.checker_changed(0, 0, false);
    let mut changed = server(&[4, 1, 1], 1, 0, None, false, false);
    changed.real_servers.swap(0, 1);
    assert_eq!(
        lines(health.reloaded(Arc::new(changed.clone()))),
        ["Changing weight from 2 to 4 for inactive service [127.0.0.2]:tcp:80 of VS [10.9.1.1]:tcp:80"]
    );
    assert_eq!([health.is_up(0), health.is_up(1), health.is_up(2)], [true, false, true]);
    changed.real_servers.remove(0);
    let gone = lines(health.reloaded(Arc::new(changed)));
    assert_eq!(gone[0], "service [127.0.0.3]:tcp:80 no longer exist");
    assert_eq!(gone[1], "Removing service [127.0.0.3]:tcp:80 from VS [10.9.1.1]:tcp:80");
}

proptest! {
    #[test]
    fn quorum_follows_its_definition(
        weights in prop::collection::vec(0u32..6, 1..6), quorum in 1u32..10, hysteresis in 0u32..10,
        sorry in prop::option::of(prop::bool::ANY), inhibit: bool, alpha: bool,
        events in prop::collection::vec((0usize..6, prop::bool::ANY, -3i64..4), 0..60),
    ) {
        let hysteresis = hysteresis.min(quorum - 1);
        let mut health = Health::new(Arc::new(server(&weights, quorum, hysteresis, sorry, inhibit, alpha)));
        health.start();
        for (at, up, delta) in events {
            let before = health.has_quorum();
            let first = health.checker_changed(at, 0, up);
            let middle = health.has_quorum();
            prop_assert_eq!(before != middle, first.iter().any(|notice| matches!(notice, Notice::Quorum { .. })));
            health.weight_changed(at, 0, delta);
            let weight = health.live_weight();
            let (quorum, hysteresis) = (i64::from(quorum), i64::from(hysteresis));
            if weight == 0 || weight < quorum - hysteresis { prop_assert!(!health.has_quorum()); }
            if weight > 0 && weight >= quorum + hysteresis { prop_assert!(health.has_quorum()); }
            if (quorum - hysteresis..quorum + hysteresis).contains(&weight) && weight > 0 {
                prop_assert_eq!(health.has_quorum(), middle, "between the bounds nothing changes");
            }
            let (places, sorry_place) = health.places();
            let sorry_serves = sorry.is_some() && !health.has_quorum();
            for (at, place) in places.iter().enumerate() {
                let serves = health.is_up(at) && !sorry_serves;
                prop_assert_eq!(serves && health.weight(at) > 0, matches!(place, Place::Present(weight) if *weight > 0));
                if !serves { prop_assert_eq!(*place, if inhibit { Place::Present(0) } else { Place::Absent }); }
            }
            prop_assert_eq!(sorry_place == Some(Place::Present(1)), sorry_serves, "the sorry server serves exactly without quorum");
        }
    }
}

#[test]
fn omega_tells_who_goes_down_at_the_end_and_when_the_quorum_goes() {
    let mut settings = server(&[1, 1], 2, 0, None, false, false);
    let silent = Health::new(Arc::new(settings.clone()));
    assert!(silent.last_words().is_empty());
    settings.omega = true;
    let mut health = Health::new(Arc::new(settings));
    health.start();
    let words: Vec<_> = health.last_words().iter().filter_map(Notice::fifo_line).collect();
    assert_eq!(
        words,
        ["RS [127.0.0.2]:tcp:80 [10.9.1.1]:tcp:80 DOWN\n", "VS [10.9.1.1]:tcp:80 DOWN\n", "RS [127.0.0.3]:tcp:80 [10.9.1.1]:tcp:80 DOWN\n",]
    );
}

#[test]
fn a_weight_that_a_script_asks_for_outlives_a_new_configured_one() {
    let mut settings = server(&[1], 1, 0, None, false, false);
    let command = crate::types::Command { argv: vec!["/load".into()], user: None };
    let script = crate::check::misc::Settings { command, timeout: std::time::Duration::from_secs(1), dynamic: true };
    Arc::make_mut(&mut settings.real_servers[0].checkers[0]).kind = Kind::Misc(Box::new(script));
    let mut health = Health::new(Arc::new(settings.clone()));
    health.start();
    health.weight_changed(0, 0, 19);
    settings.real_servers[0].weight = 4;
    assert_eq!(lines(health.reloaded(Arc::new(settings))), Vec::<String>::new());
    assert_eq!(health.weight(0), 20);
}
