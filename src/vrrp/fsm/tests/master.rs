use super::*;

#[test]
fn an_owner_that_wants_to_be_master_is_at_once() {
    let bench = Bench::started(|settings| (settings.priority, settings.wanted) = (Priority::OWNER, WantedState::Master));
    assert_eq!(bench.cause(), Some(Cause::Owner));
    assert_eq!(bench.sent(), [255]);
}

#[test]
fn a_new_master_advertises_installs_announces_and_then_says_so() {
    let bench = Bench::master(|_| {});
    let order: Vec<_> = bench.out.iter().filter(|action| !matches!(action, Action::Note(_))).collect();
    assert!(matches!(order[0], Action::SendAdvert { priority: 100 }));
    assert!(matches!(order[1], Action::InstallAddresses));
    assert!(matches!(order[2], Action::Announce { repeat: 5, first: true }));
    assert!(matches!(order[3], Action::Entered(Transition { from: State::Backup, to: State::Master, .. })));
}

#[test]
fn adverts_keep_their_cadence_however_late_each_one_is() {
    let mut bench = Bench::master(|settings| settings.announce.master_delay = Duration::ZERO);
    let first = bench.instance.deadline().unwrap();
    for tick in 0..100_u32 {
        bench.now = first + SECOND * tick + Duration::from_millis(u64::from(tick % 7) * 30);
        bench.event(Event::DeadlineReached);
        assert_eq!(bench.sent(), [100]);
    }
    assert_eq!(bench.instance.deadline(), Some(first + SECOND * 100));
}

#[test]
fn a_master_that_was_late_by_more_than_an_interval_sends_once_and_no_burst() {
    let mut bench = Bench::master(|_| {});
    bench.now = bench.instance.deadline().unwrap() + Duration::from_millis(2500);
    bench.event(Event::DeadlineReached);
    assert_eq!(bench.sent(), [100]);
    assert_eq!(bench.time_left(), SECOND);
}

#[test]
fn a_master_yields_to_the_stronger_and_to_the_higher_address() {
    let mut bench = Bench::master(|_| {});
    bench.hear(101);
    assert_eq!(bench.out[0], Action::RemoveAddresses);
    assert_eq!(bench.instance.state(), State::Backup);
    assert_eq!((bench.instance.master_priority(), bench.time_left()), (101, WAIT_100));
    let mut bench = Bench::master(|_| {});
    bench.hear_from("192.0.2.10", 100);
    assert_eq!(bench.instance.state(), State::Backup);
}

#[test]
fn higher_prio_send_advert_sends_one_more_before_yielding() {
    let mut bench = Bench::master(|settings| settings.higher_prio_send_advert = true);
    bench.hear(101);
    assert_eq!(bench.sent(), [100]);
    assert_eq!(bench.instance.state(), State::Backup);
}

#[test]
fn a_weaker_master_is_answered_at_once_and_neighbours_are_told_twice() {
    let mut bench = Bench::master(|settings| settings.announce.master_delay = Duration::ZERO);
    bench.now = bench.now + SECOND / 2;
    bench.hear(99);
    assert_eq!(bench.sent(), [100]);
    assert!(bench.out.contains(&Action::Announce { repeat: 5, first: false }));
    let second = bench.now + SECOND * 5;
    while bench.now < second {
        bench.wait();
    }
    assert!(bench.out.contains(&Action::Announce { repeat: 5, first: false }));
}

#[test]
fn lower_prio_no_advert_keeps_silent_and_keeps_the_cadence() {
    let mut bench = Bench::master(|settings| settings.lower_prio_no_advert = true);
    let before = bench.instance.deadline();
    bench.now = bench.now + SECOND / 2;
    bench.hear(99);
    assert_eq!((bench.sent(), bench.instance.deadline()), (vec![], before));
}

#[test]
fn a_master_ignores_its_own_address_and_answers_a_resignation() {
    let mut bench = Bench::master(|_| {});
    bench.hear_from("192.0.2.9", 100);
    assert_eq!((bench.sent(), bench.instance.state()), (vec![], State::Master));
    bench.hear(0);
    assert_eq!(bench.sent(), [100]);
}

#[test]
fn of_two_owners_the_lower_address_yields_and_both_say_so() {
    for (other, state) in [("192.0.2.10", State::Backup), ("192.0.2.8", State::Master)] {
        let mut bench = Bench::started(|settings| (settings.priority, settings.wanted) = (Priority::OWNER, WantedState::Master));
        bench.hear_from(other, 255);
        assert_eq!(bench.instance.state(), state);
        assert!(bench.out.contains(&Action::Note(Note::OtherOwner { source: other.parse().unwrap() })));
    }
}

#[test]
fn a_stopping_master_resigns_before_it_removes() {
    let mut bench = Bench::master(|_| {});
    bench.event(Event::StopRequested);
    assert!(matches!(bench.out[..], [Action::SendAdvert { priority: 0 }, Action::RemoveAddresses, Action::Entered(_)]));
    assert_eq!((bench.instance.state(), bench.instance.deadline()), (State::Stopped, None));
}

#[test]
fn a_preempting_master_that_overslept_stays_and_tells_the_neighbours_again() {
    let mut bench = Bench::master(|_| {});
    bench.now = bench.instance.deadline().unwrap() + SECOND * 60;
    bench.event(Event::DeadlineReached);
    assert_eq!((bench.sent(), bench.instance.state()), (vec![100], State::Master));
    assert!(bench.out.contains(&Action::Announce { repeat: 5, first: false }));
    assert!(!bench.out.contains(&Action::RemoveAddresses));
}

#[test]
fn a_nopreempt_master_that_overslept_yields_to_whoever_took_over() {
    let mut bench = Bench::master(|settings| settings.preempt = Preempt::Never);
    bench.now = bench.instance.deadline().unwrap() + SECOND * 60;
    bench.event(Event::DeadlineReached);
    assert_eq!((bench.sent(), bench.instance.state()), (vec![], State::Master));
    let mut alone = Bench { instance: bench.instance.clone(), now: bench.now, out: Vec::new() };
    bench.hear(50);
    assert_eq!(bench.instance.state(), State::Backup);
    while alone.sent().is_empty() {
        alone.wait();
    }
    assert_eq!((alone.sent(), alone.instance.state()), (vec![100], State::Master));
}

#[test]
fn adverts_that_piled_up_get_one_answer() {
    let mut bench = Bench::master(|_| {});
    bench.now = bench.now + SECOND / 2;
    let mut sent = 0;
    for _ in 0..30 {
        bench.hear(50);
        sent += bench.sent().len();
        bench.hear(0);
        sent += bench.sent().len();
        bench.now = bench.now + Duration::from_micros(5);
    }
    assert_eq!(sent, 1);
    bench.now = bench.now + SECOND / 10;
    bench.hear(50);
    assert_eq!(bench.sent(), [100]);
}

#[test]
fn a_nopreempt_master_that_overslept_yields_to_an_advert_that_waited_for_it() {
    let mut bench = Bench::master(|settings| settings.preempt = Preempt::Never);
    bench.now = bench.now + SECOND * 60;
    bench.hear(50);
    assert_eq!((bench.sent(), bench.instance.state()), (vec![], State::Backup));
}

#[test]
fn a_groups_answer_is_announced_by_its_masters_and_sends_no_advert() {
    let mut bench = Bench::master(|settings| settings.announce.lower_prio_repeat = 2);
    bench.event(Event::GroupAnswered);
    assert_eq!(bench.out, [Action::Announce { repeat: 2, first: false }]);
    assert_eq!(bench.instance.state(), State::Master);
    let mut silent = Bench::master(|settings| settings.announce.lower_prio_repeat = 0);
    silent.event(Event::GroupAnswered);
    assert_eq!(silent.out, []);
}

#[test]
fn a_master_whose_route_was_taken_away_resigns_and_waits_as_every_backup() {
    let mut bench = Bench::master(|_| {});
    bench.event(Event::PathLost);
    assert_eq!((bench.sent(), bench.cause()), (vec![0], Some(Cause::PathLost)));
    assert!(bench.out.contains(&Action::RemoveAddresses));
    assert_eq!((bench.instance.state(), bench.time_left()), (State::Backup, WAIT_100));
    bench.event(Event::PathLost);
    assert_eq!(bench.out, [], "a backup has none to lose");
}

#[test]
fn an_owner_puts_back_what_is_missing_and_stays() {
    let mut bench = Bench::started(|settings| (settings.priority, settings.wanted) = (Priority::OWNER, WantedState::Master));
    bench.event(Event::PathLost);
    assert_eq!((bench.out.as_slice(), bench.instance.state()), ([Action::InstallAddresses].as_slice(), State::Master));
}
