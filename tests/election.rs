//! Who is master among routers that hear each other, and the settings that change it.

mod common;

use common::*;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const INTERVAL: Duration = Duration::from_millis(100);

/// An instance with adverts every two seconds (version 3): there is time to look between two of them.
fn slow(priority: u8, extra: &str) -> String {
    Instance { priority, advert_int: "2", extra, ..Instance::default() }.to_string()
}
const SLOW: Duration = Duration::from_secs(2);

/// Sends an advert for the usual instance from the client.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn inject(lab: &Lab, priority: u8, interval: u16) {
    let client = lab.host("client");
    let packet = Forged { interval, ..Forged::v3(client.ipv4(), 51, priority) };
    Injector::open(client, "eth0").unwrap().send(&packet.frame()).unwrap();
}

/// Adverts of ka1, which sends [`slow`]ly, before its next one is due, after one of that priority is injected behind one of its own.
fn after_injection(lab: &Lab, priority: u8) -> usize {
    let own = wait_adverts(lab, lab.capture().mark(), "ka1", 1, secs(3)).remove(0);
    let mark = lab.capture().mark();
    inject(lab, priority, 200);
    let due = own.at + SLOW * 9 / 10;
    std::thread::sleep((due + BUSY).since(lab::now()));
    adverts(lab, mark, "ka1").iter().filter(|advert| advert.at < due).count()
}

#[test]
fn of_two_masters_with_the_same_priority_the_higher_address_stays() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let _second = start(lab.host("ka2"), &fast(100));
        never(lab, "an equal priority takes over from a living master", secs(1), || lab.host("ka2").has(VIP));
        lab.set_isolated("ka1", true).unwrap();
        lab.wait("two masters", secs(3), || lab.holders(VIP).len() == 2).unwrap();
        lab.set_isolated("ka1", false).unwrap();
        only(lab, "ka2", VIP, secs(3));
    });
}

#[test]
fn the_higher_priority_preempts_and_three_routers_keep_one_master() {
    laboratory(&["ka1", "ka2", "ka3"], |lab| {
        let _third = start(lab.host("ka3"), &fast(80));
        only(lab, "ka3", VIP, secs(5));
        let mut second = start(lab.host("ka2"), &fast(90));
        only(lab, "ka2", VIP, secs(5));
        let mut first = start(lab.host("ka1"), &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let mark = lab.capture().mark();
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(3));
        assert!(adverts(lab, mark, "ka3").is_empty(), "the lowest priority was master in between");
        second.stop().unwrap();
        only(lab, "ka3", VIP, secs(3));
    });
}

#[test]
fn the_owner_is_master_at_once() {
    laboratory(&["ka1"], |lab| {
        let owner = Instance { state: "MASTER", priority: 255, advert_int: "1", ..Instance::default() };
        let from = lab::now();
        let daemon = start(lab.host("ka1"), &owner.to_string());
        wait_log(lab, &daemon, "(VI_1) Entering MASTER STATE", secs(5));
        lab.wait("the address", secs(1), || lab.host("ka1").has(VIP)).unwrap();
        let first = wait_adverts(lab, 0, "ka1", 1, secs(1)).remove(0);
        let took = first.at.since(from);
        assert!(first.priority == 255 && took < master_down_interval(secs(1), 255), "it waited like everybody else: {took:?}");
    });
}

#[test]
fn state_master_without_owning_the_address_waits_like_everybody_else() {
    laboratory(&["ka1"], |lab| {
        let start_time = lab::now();
        let _daemon = start(lab.host("ka1"), &Instance { state: "MASTER", ..Instance::default() }.to_string());
        let first = wait_adverts(lab, 0, "ka1", 1, secs(5))[0].clone();
        assert!(first.at.since(start_time) > master_down_interval(INTERVAL, 100));
    });
}

#[test]
fn nopreempt_leaves_a_weaker_master_alone_until_it_is_gone() {
    laboratory(HOSTS, |lab| {
        let mut second = start(lab.host("ka2"), &fast(90));
        only(lab, "ka2", VIP, secs(5));
        let _first = start(lab.host("ka1"), &fast_with(100, "nopreempt"));
        never(lab, "preemption in spite of nopreempt", secs(1), || lab.host("ka1").has(VIP));
        second.stop().unwrap();
        only(lab, "ka1", VIP, secs(3));
    });
}

#[test]
fn preempt_delay_postpones_preemption_but_not_the_rescue_of_a_dead_master() {
    laboratory(HOSTS, |lab| {
        let mut second = start(lab.host("ka2"), &fast(90));
        only(lab, "ka2", VIP, secs(5));
        let from = lab::now();
        let mut first = start(lab.host("ka1"), &fast_with(100, "preempt_delay 2"));
        let moved = only(lab, "ka1", VIP, secs(6)).since(from);
        assert!(moved > secs(2) && moved < secs(2) + 2 * BUSY, "{moved:?}");
        first.stop().unwrap();
        only(lab, "ka2", VIP, secs(3));
        let first = start_again(lab.host("ka1"));
        wait_log(lab, &first, "Entering BACKUP STATE", secs(10));
        let dead = lab::now();
        second.stop().unwrap();
        let rescued = only(lab, "ka1", VIP, secs(3)).since(dead);
        assert!(rescued < secs(2), "it waited for the delay: {rescued:?}");
    });
}

#[test]
fn an_advert_of_lower_priority_is_answered_at_once() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &slow(100, "garp_lower_prio_repeat 0"));
        only(lab, "ka1", VIP, secs(9));
        assert_eq!(after_injection(lab, 50), 1);
    });
}

#[test]
fn lower_prio_no_advert_leaves_a_lower_priority_unanswered() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &slow(100, "lower_prio_no_advert"));
        only(lab, "ka1", VIP, secs(9));
        assert_eq!(after_injection(lab, 50), 0);
        assert!(lab.host("ka1").has(VIP));
    });
}

#[test]
fn a_higher_priority_makes_the_master_yield_and_higher_prio_send_advert_sends_one_more_first() {
    for (extra, expected) in [("", 0), ("higher_prio_send_advert", 1)] {
        laboratory(HOSTS, |lab| {
            let daemon = start(lab.host("ka1"), &slow(100, extra));
            only(lab, "ka1", VIP, secs(9));
            assert_eq!(after_injection(lab, 200), expected, "{extra}");
            nobody(lab, VIP, secs(1));
            let line = "(VI_1) Master received advert from 172.25.254.50 with higher priority 200, ours 100";
            wait_log(lab, &daemon, line, secs(1));
        });
    }
}

#[test]
fn a_master_that_hears_priority_zero_advertises_at_once() {
    laboratory(HOSTS, |lab| {
        let _first = start(lab.host("ka1"), &slow(100, ""));
        only(lab, "ka1", VIP, secs(9));
        assert_eq!(after_injection(lab, 0), 1);
        assert!(lab.host("ka1").has(VIP));
    });
}

#[test]
fn down_timer_adverts_lengthens_the_wait_for_a_silent_master() {
    laboratory(HOSTS, |lab| {
        let mut first = start(lab.host("ka1"), &fast(100));
        let second = start(lab.host("ka2"), &fast_with(90, "down_timer_adverts 6"));
        only(lab, "ka1", VIP, secs(5));
        follows(lab, &second);
        first.kill_all();
        let (last, first) = succession(lab, "ka1", "ka2", secs(3));
        let took = first.at.since(last.at);
        let due = master_down_interval(INTERVAL, 90) + 3 * INTERVAL;
        assert!(took + Duration::from_micros(100) >= due && took < due + BUSY, "{took:?}, due {due:?}");
    });
}

#[test]
fn vrrp_startup_delay_keeps_everything_quiet_first() {
    laboratory(&["ka1"], |lab| {
        let from = lab::now();
        let _daemon = start(lab.host("ka1"), &format!("global_defs {{\n vrrp_startup_delay 1.5\n}}\n{}", fast(100)));
        let first = wait_adverts(lab, 0, "ka1", 1, secs(6))[0].clone();
        let took = first.at.since(from);
        let due = millis(1500) + master_down_interval(INTERVAL, 100);
        assert!(took > due && took < due + 2 * BUSY, "{took:?}");
    });
}

#[test]
fn a_version_3_backup_adopts_the_masters_interval() {
    laboratory(HOSTS, |lab| {
        let mut first = start(lab.host("ka1"), &fast(100));
        let second = start(lab.host("ka2"), &slow(90, ""));
        only(lab, "ka1", VIP, secs(5));
        follows(lab, &second);
        first.kill_all();
        assert_succession_on_time(lab, "ka1", "ka2", INTERVAL, 90);
        assert_eq!(succession(lab, "ka1", "ka2", secs(1)).1.interval, 200, "it advertises its own");
    });
}

#[test]
fn a_version_2_router_drops_adverts_of_another_interval() {
    laboratory(HOSTS, |lab| {
        let config = |priority, advert_int| Instance { priority, version: 2, advert_int, ..Instance::default() }.to_string();
        let _first = start(lab.host("ka1"), &config(100, "1"));
        let _second = start(lab.host("ka2"), &config(90, "2"));
        lab.wait("two masters that do not hear each other", secs(12), || lab.holders(VIP).len() == 2).unwrap();
    });
}

#[test]
fn centisecond_adverts_keep_their_rhythm_and_say_it() {
    laboratory(HOSTS, |lab| {
        let config = |priority| Instance { priority, advert_int: "0.02", ..Instance::default() }.to_string();
        let mut first = start(lab.host("ka1"), &config(100));
        let _second = start(lab.host("ka2"), &config(90));
        only(lab, "ka1", VIP, secs(3));
        let mark = lab.capture().mark();
        let seen = wait_adverts(lab, mark, "ka1", 100, secs(5));
        assert!(seen.iter().all(|advert| advert.interval == 2 && advert.version == 3 && advert.checksum_ok && advert.length == 12));
        let rhythm = median_gap(&seen.iter().map(|advert| advert.at).collect::<Vec<_>>());
        assert!(rhythm > millis(18) && rhythm < millis(24), "{rhythm:?}");
        first.kill_all();
        assert_succession_on_time(lab, "ka1", "ka2", millis(20), 90);
    });
}

#[test]
fn a_different_address_list_is_counted_and_not_dropped() {
    laboratory(HOSTS, |lab| {
        // Since keepalived 2.3; 2.2.7 drops such adverts, and both are masters.
        if !promised_by_ours() {
            return;
        }
        let _first = start(lab.host("ka1"), &fast(100));
        let second =
            start(lab.host("ka2"), &Instance { priority: 90, addresses: &["172.25.254.200/24"], ..Instance::default() }.to_string());
        only(lab, "ka1", VIP, secs(5));
        lab.wait("three of them counted", secs(10), || counter(lab, &second, "Address List") >= 3).unwrap();
        assert!(!lab.host("ka2").has(VIP2), "it must stay a backup");
    });
}

#[test]
fn skip_check_adv_addr_does_not_look_at_the_list_of_the_current_master() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let _first = start(lab.host("ka1"), &fast(100));
        let extra = "skip_check_adv_addr";
        let config = Instance { priority: 90, addresses: &["172.25.254.200/24"], extra, ..Instance::default() };
        let second = start(lab.host("ka2"), &config.to_string());
        only(lab, "ka1", VIP, secs(5));
        follows(lab, &second);
        wait_adverts(lab, lab.capture().mark(), "ka1", 8, secs(5));
        // The first advert is of a master not yet known.
        assert!(counter(lab, &second, "Address List") <= 1);
    });
}

/// A line of the statistics file of ka2.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn counter(lab: &Lab, daemon: &Daemon, name: &str) -> u64 {
    let ka2 = lab.host("ka2");
    daemon.signal(Signal::SIGUSR2).unwrap();
    let read = || {
        ka2.read("/tmp/keepalived.stats")
            .and_then(|text| text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": ")?.parse().ok()))
    };
    lab.wait("the statistics file", secs(2), || read().is_some()).unwrap();
    read().unwrap()
}
