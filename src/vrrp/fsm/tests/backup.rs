use super::*;

#[test]
fn everybody_but_an_owner_waits_a_whole_down_interval_at_start() {
    for wanted in [WantedState::Backup, WantedState::Master] {
        let mut bench = Bench::started(|settings| settings.wanted = wanted);
        assert_eq!(bench.instance.state(), State::Backup);
        assert_eq!(bench.time_left(), WAIT_100);
        bench.wait();
        assert_eq!(bench.cause(), Some(Cause::MasterDown));
    }
}

#[test]
fn the_startup_delay_is_deaf_and_silent_and_then_the_wait_begins() {
    let mut bench = Bench::new(|_| {});
    let not_before = Some(START + SECOND * 10);
    let priority = Priority::DEFAULT;
    bench.event(Event::Started { faults: BTreeSet::new(), priority, source: None, resume: None, not_before });
    bench.after(SECOND, Event::DeadlineReached);
    bench.hear(200);
    assert_eq!(bench.instance.master(), None);
    bench.wait();
    assert!(bench.out.is_empty());
    assert_eq!(bench.time_left(), WAIT_100);
}

#[test]
fn a_backup_listens_to_equals_and_better_ones_and_lets_the_timer_run_under_weaker_ones() {
    let mut bench = Bench::started(|_| {});
    for (priority, listens) in [(101, true), (100, true), (99, false)] {
        let before = bench.instance.deadline();
        bench.now = bench.now + SECOND;
        bench.hear(priority);
        assert_eq!(bench.instance.deadline() != before, listens, "priority {priority}");
    }
}

#[test]
fn nopreempt_listens_to_everybody_but_an_owner_never_does() {
    let mut bench = Bench::started(|settings| settings.preempt = Preempt::Never);
    bench.now = bench.now + SECOND;
    bench.hear(1);
    assert_eq!(bench.time_left(), WAIT_100);
    let mut owner = Bench::started(|settings| (settings.preempt, settings.priority) = (Preempt::Never, Priority::OWNER));
    let before = owner.instance.deadline();
    owner.now = owner.now + SECOND;
    owner.hear(254);
    assert_eq!(owner.instance.deadline(), before);
}

#[test]
fn preempt_delay_holds_from_the_first_weaker_advert_on() {
    let mut bench = Bench::started(|settings| settings.preempt = Preempt::After(SECOND * 5));
    for second in 0..5 {
        bench.now = START + SECOND * (second + 1);
        bench.hear(50);
        assert_eq!(bench.time_left(), WAIT_100, "second {second}");
    }
    let last = bench.instance.deadline();
    for second in 6..8 {
        bench.now = START + SECOND * second;
        bench.hear(50);
    }
    assert_eq!(bench.instance.deadline(), last, "after the delay the timer runs");
    bench.wait();
    assert_eq!(bench.instance.state(), State::Master);
}

#[test]
fn an_advert_of_our_priority_ends_the_preempt_delay() {
    let mut bench = Bench::started(|settings| settings.preempt = Preempt::After(SECOND * 5));
    bench.hear(50);
    bench.now = bench.now + SECOND * 2;
    bench.hear(100);
    assert!(bench.out.contains(&Action::Note(Note::PreemptDelayStopped)));
    bench.now = bench.now + SECOND * 4;
    bench.hear(50);
    assert_eq!(bench.time_left(), WAIT_100, "the delay has begun anew");
}

#[test]
fn a_resignation_leaves_the_skew_time_and_a_second_one_does_not_prolong_it() {
    let mut bench = Bench::started(|_| {});
    bench.hear(200);
    bench.now = bench.now + SECOND;
    bench.hear(0);
    assert_eq!(bench.time_left(), SKEW_100);
    bench.now = bench.now + SKEW_100 / 2;
    bench.hear(0);
    assert_eq!(bench.time_left(), SKEW_100 - SKEW_100 / 2);
    bench.wait();
    assert_eq!(bench.cause(), Some(Cause::MasterResigned));
}

#[test]
fn a_version_3_backup_takes_the_masters_interval_and_a_version_2_backup_does_not() {
    let slow = CentiSecs::new(400).unwrap();
    for (version, expected) in [(Version::V2, CentiSecs::SECOND), (Version::V3, slow)] {
        let mut bench = Bench::started(|settings| settings.version = version);
        bench.event(Event::AdvertReceived(Advert { source: "192.0.2.1".parse().unwrap(), priority: 200, interval: slow }));
        assert_eq!(bench.instance.master_interval(), expected);
        assert_eq!(bench.time_left(), bench.instance.master_down_interval());
        bench.wait();
        assert_eq!(bench.instance.master_interval(), CentiSecs::SECOND, "a master has its own");
    }
}

#[test]
fn a_backup_that_overslept_listens_for_one_more_advert_before_it_claims() {
    let mut bench = Bench::started(|_| {});
    bench.now = bench.instance.deadline().unwrap() + SECOND * 60;
    bench.event(Event::DeadlineReached);
    assert_eq!(bench.instance.state(), State::Backup);
    assert!(matches!(bench.out[..], [Action::Note(Note::Overslept { late_nanos: 60_000_000_000 })]));
    assert_eq!(bench.time_left(), SECOND + SKEW_100);
    bench.wait();
    assert_eq!(bench.instance.state(), State::Master);
}

#[test]
fn a_backup_that_is_a_little_late_claims() {
    let mut bench = Bench::started(|_| {});
    bench.now = bench.instance.deadline().unwrap() + SECOND;
    bench.event(Event::DeadlineReached);
    assert_eq!(bench.instance.state(), State::Master);
}

#[test]
fn a_machine_that_is_always_late_does_not_wait_for_ever() {
    let mut bench = Bench::started(|_| {});
    for _ in 0..4 {
        bench.now = bench.instance.deadline().unwrap() + SECOND * 10;
        bench.event(Event::DeadlineReached);
    }
    assert_eq!(bench.instance.state(), State::Master);
}
