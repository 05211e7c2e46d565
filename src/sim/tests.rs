use crate::sim::network::Weather;
use crate::sim::random::Random;
use crate::sim::router::{Clock, Router};
use crate::sim::scenario;
use crate::sim::world::{Trouble, World};
use crate::types::{Family, Instant, Priority, Version};
use crate::vrrp::event::State;
use crate::vrrp::settings::{Preempt, Settings, WantedState};
use std::time::Duration;

#[test]
fn a_seed_is_played_the_same_way_every_time() {
    let story = || scenario::play(42, true).timeline.to_string();
    assert_eq!(story(), story());
}

const SECOND: Duration = Duration::from_secs(1);

/// Routers of these priorities on a perfect network, running and settled.
fn settled(priorities: &[u8], bend: impl Fn(&mut Settings)) -> World {
    let mut world = World::new(Random::new(1), Weather::fair(Duration::ZERO), Duration::ZERO, true);
    for (number, priority) in (10..).zip(priorities) {
        let mut settings = scenario::settings(Version::V2, Family::V4);
        settings.priority = Priority::new(*priority).unwrap();
        bend(&mut settings);
        let id = world.add(Router::new(settings, scenario::source(Family::V4, number), Clock::default()));
        world.plan(Duration::ZERO, id, Trouble::Boot);
    }
    world.run(SECOND * 10).unwrap();
    world
}

/// Runs until somebody else is master; how long that took.
fn until_master(world: &mut World, id: usize) -> Duration {
    let start = world.now;
    while world.masters() != [id] {
        assert!(world.now.since(start) < SECOND * 60, "{}", world.timeline);
        world.run(Duration::from_millis(1)).unwrap();
    }
    world.now.since(start)
}

fn make(world: &mut World, id: usize, trouble: Trouble) {
    world.plan(Duration::ZERO, id, trouble);
    world.run(Duration::ZERO).unwrap();
}

#[test]
fn the_highest_priority_wins_and_of_equals_the_highest_address() {
    assert_eq!(settled(&[100, 150, 120], |_| {}).masters(), [1]);
    assert_eq!(settled(&[100, 100, 100], |_| {}).masters(), [2]);
}

#[test]
fn an_owner_wins_against_nopreempt_and_everybody() {
    assert_eq!(settled(&[254, 255, 254], |settings| settings.preempt = Preempt::Never).masters(), [1]);
    assert_eq!(settled(&[254, 255, 254], |settings| settings.wanted = WantedState::Master).masters(), [1]);
}

#[test]
fn a_crashed_master_is_succeeded_after_the_down_interval_and_not_a_nanosecond_sooner() {
    let mut world = settled(&[150, 100], |_| {});
    // The last advert left at the last whole second after the first, and the first left after 3 + 106/256 s.
    let phase = SECOND * 106 / 256 + SECOND * 3;
    let last = Instant::from_nanos(0) + phase + SECOND * 6;
    make(&mut world, 0, Trouble::Crash);
    let claim = last + SECOND * 3 + SECOND * 156 / 256;
    let nanosecond = Duration::from_nanos(1);
    let span = (claim - nanosecond).since(world.now);
    world.run(span).unwrap();
    assert!(world.masters().is_empty());
    world.run(nanosecond).unwrap();
    assert_eq!(world.masters(), [1]);
}

#[test]
fn a_stopped_master_is_succeeded_after_the_skew_time_by_the_strongest() {
    let mut world = settled(&[150, 100, 120], |_| {});
    make(&mut world, 0, Trouble::Stop);
    let took = until_master(&mut world, 2);
    let skew = SECOND * 136 / 256;
    assert!(took >= skew && took <= skew + Duration::from_millis(1), "{took:?}");
}

#[test]
fn a_master_whose_process_is_killed_and_replaced_stays_master_and_keeps_its_addresses() {
    let mut world = settled(&[150, 100], |_| {});
    let before = world.routers[1].stats.became_master;
    make(&mut world, 0, Trouble::KillProcess(SECOND));
    for _ in 0..100 {
        world.run(SECOND / 10).unwrap();
        assert!(world.routers[0].addresses);
    }
    assert_eq!((world.masters(), world.routers[1].stats.became_master), (vec![0], before));
}

#[test]
fn nopreempt_keeps_the_master_until_it_dies() {
    let mut world = settled(&[150, 100], |settings| settings.preempt = Preempt::Never);
    make(&mut world, 0, Trouble::Crash);
    until_master(&mut world, 1);
    make(&mut world, 0, Trouble::Boot);
    world.run(SECOND * 20).unwrap();
    assert_eq!(world.masters(), [1]);
    make(&mut world, 1, Trouble::Crash);
    until_master(&mut world, 0);
}

#[test]
fn preempt_delay_leaves_the_address_for_its_time_after_a_restart() {
    let mut world = settled(&[150, 100], |settings| settings.preempt = Preempt::After(SECOND * 5));
    make(&mut world, 0, Trouble::Crash);
    until_master(&mut world, 1);
    make(&mut world, 0, Trouble::Boot);
    world.run(SECOND * 5).unwrap();
    assert_eq!(world.masters(), [1]);
    until_master(&mut world, 0);
}

#[test]
fn a_fault_gives_the_address_away_after_the_skew_time_and_its_end_takes_it_back() {
    let mut world = settled(&[150, 100], |_| {});
    let fault = crate::vrrp::event::Fault::Tracker("check".to_owned());
    make(&mut world, 0, Trouble::FaultBegins(fault.clone()));
    assert!(until_master(&mut world, 1) <= SECOND);
    make(&mut world, 0, Trouble::FaultEnds(fault));
    until_master(&mut world, 0);
}

#[test]
fn a_split_network_has_a_master_on_each_side_and_one_after_the_next_advert_when_it_heals() {
    let mut world = settled(&[150, 100], |_| {});
    make(&mut world, 0, Trouble::Split(vec![0, 1]));
    world.run(SECOND * 5).unwrap();
    assert_eq!(world.masters(), [0, 1]);
    make(&mut world, 0, Trouble::Split(vec![0, 0]));
    assert!(until_master(&mut world, 0) <= SECOND);
}

#[test]
fn a_backup_that_slept_through_adverts_does_not_claim_when_it_wakes() {
    let mut world = settled(&[150, 100], |_| {});
    let loss = |loss| Trouble::Weather(Weather { loss, ..Weather::fair(Duration::ZERO) });
    make(&mut world, 1, Trouble::Sleep(SECOND * 30));
    make(&mut world, 0, loss(1000));
    world.run(SECOND * 30 - SECOND / 10).unwrap();
    make(&mut world, 0, loss(0)); // the next advert comes after it woke up
    world.run(SECOND * 10).unwrap();
    assert_eq!(world.routers[1].stats.became_master, 0, "{}", world.timeline);
}

#[test]
fn a_master_that_slept_comes_back_and_ends_the_double_at_once() {
    for (preempt, master) in [(Preempt::AtOnce, 0), (Preempt::Never, 1)] {
        let mut world = settled(&[150, 100], |settings| settings.preempt = preempt);
        make(&mut world, 0, Trouble::Sleep(SECOND * 30));
        world.run(SECOND * 30).unwrap();
        until_master(&mut world, master);
        assert!(world.now.nanos() < 41_100_000_000, "{}", world.timeline);
        world.run(SECOND * 20).unwrap();
        assert_eq!(world.masters(), [master]);
    }
}

#[test]
fn a_lone_nopreempt_master_that_slept_keeps_its_addresses() {
    let mut world = settled(&[150], |settings| settings.preempt = Preempt::Never);
    make(&mut world, 0, Trouble::Sleep(SECOND * 30));
    world.run(SECOND * 60).unwrap();
    assert_eq!(world.routers[0].state(), State::Master);
    assert_eq!(world.routers[0].stats.released_master, 0);
}
