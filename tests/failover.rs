//! Who takes over, and when, after something of the master dies.

mod common;

use common::*;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const INTERVAL: Duration = Duration::from_millis(100);

/// Two routers of priority 100 and 90 with adverts every 0.1 s; the first is master.
fn pair(lab: &Lab) -> (Daemon, Daemon) {
    let daemons = (start(lab.host("ka1"), &fast(100)), start(lab.host("ka2"), &fast(90)));
    only(lab, "ka1", VIP, secs(5));
    follows(lab, &daemons.1);
    daemons
}

#[test]
fn a_power_cut_moves_the_address_after_the_master_down_interval_and_not_before() {
    laboratory(HOSTS, |lab| {
        let (mut first, _second) = pair(lab);
        first.kill_all();
        assert_succession_on_time(lab, "ka1", "ka2", INTERVAL, 90);
        let last = adverts(lab, 0, "ka1").pop().unwrap();
        assert_eq!(last.priority, 100, "a dead daemon cannot resign");
        assert!(lab.host("ka1").has(VIP), "nobody was there to remove it");
        lab.wait("the address on ka2", secs(1), || lab.host("ka2").has(VIP)).unwrap();
    });
}

#[test]
fn a_power_cut_with_version_2_at_one_second_keeps_to_rfc_3768() {
    laboratory(HOSTS, |lab| {
        let config = |priority| Instance { priority, version: 2, advert_int: "1", ..Instance::default() }.to_string();
        let mut first = start(lab.host("ka1"), &config(100));
        let _second = start(lab.host("ka2"), &config(80));
        only(lab, "ka1", VIP, secs(9));
        wait_adverts(lab, 0, "ka1", 2, secs(4));
        first.kill_all();
        assert_succession_on_time(lab, "ka1", "ka2", secs(1), 80);
    });
}

#[test]
fn a_client_is_served_again_right_after_the_take_over() {
    laboratory(HOSTS, |lab| {
        let (mut first, _second) = pair(lab);
        let pings = PingWatch::start(lab.host("client"), VIP, millis(10)).unwrap();
        lab.wait("an answer", secs(2), || pings.echoes().last().is_some_and(|echo| echo.answered)).unwrap();
        let start = lab::now();
        first.kill_all();
        // A dead keepalived is not yet a dead machine: its kernel still answers for the address.
        lab.set_carrier("ka1", false).unwrap();
        lab.wait("the address on ka2", secs(3), || lab.host("ka2").has(VIP)).unwrap();
        lab.wait("an answer", secs(2), || pings.echoes().last().is_some_and(|echo| echo.answered)).unwrap();
        let outage = pings.longest_outage(start);
        assert!(outage < master_down_interval(INTERVAL, 90) + BUSY, "{outage:?}");
    });
}

#[test]
fn an_orderly_stop_resigns_and_the_backup_follows_within_its_skew_time() {
    laboratory(HOSTS, |lab| {
        let (mut first, _second) = pair(lab);
        let mark = lab.capture().mark();
        assert!(first.stop().unwrap().success());
        let resigned = adverts(lab, mark, "ka1").into_iter().find(|advert| advert.priority == 0).unwrap();
        let taken = wait_adverts(lab, mark, "ka2", 1, secs(1))[0].clone();
        let took = taken.at.since(resigned.at);
        let skew = INTERVAL * (256 - 90) / 256;
        assert!(took + Duration::from_micros(100) >= skew && took < master_down_interval(INTERVAL, 90), "{took:?}");
        assert!(!lab.host("ka1").has(VIP));
    });
}

#[test]
fn stop_to_exit_takes_less_than_a_tenth_of_a_second() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, fast(100)).unwrap();
        // The original waits a second for its scripts.
        let allowed = if ours() { millis(100) } else { secs(3) };
        // One of some: the machine may be busy with other tests.
        let mut stops = (0..20).map(|_| {
            let mut daemon = start_again(ka1);
            only(lab, "ka1", VIP, secs(5));
            let start = lab::now();
            assert!(daemon.stop().unwrap().success());
            let took = lab::now().since(start);
            assert!(!ka1.has(VIP));
            assert_eq!(adverts(lab, 0, "ka1").last().map(|advert| advert.priority), Some(0));
            took
        });
        assert!(stops.any(|took| took < allowed), "never within {allowed:?}");
    });
}

#[test]
fn a_killed_vrrp_child_is_replaced_before_the_backup_notices() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let (mut first, second) = pair(lab);
        let watch = AddressWatch::start(ka1).unwrap();
        let mark = lab.capture().mark();
        let child = vrrp_child(ka1).unwrap();
        lab::send(child.pid, Signal::SIGKILL).unwrap();
        lab.wait("another child", secs(2), || vrrp_child(ka1).is_some_and(|now| now.pid != child.pid)).unwrap();
        wait_adverts(lab, mark, "ka1", 20, secs(4));
        assert!(watch.removed(VIP).is_empty(), "the address was removed");
        assert!(adverts(lab, mark, "ka2").is_empty(), "the backup took over: {}", second.log());
        assert!(adverts(lab, mark, "ka1").iter().all(|advert| advert.priority == 100));
        let gap = longest_gap(&adverts(lab, mark, "ka1"));
        assert!(gap < master_down_interval(INTERVAL, 90), "silent for {gap:?}");
        assert!(first.is_running());
    });
}

#[test]
fn a_hung_vrrp_child_is_replaced_and_the_master_goes_on() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let (_first, _second) = pair(lab);
        let child = vrrp_child(ka1).unwrap();
        lab::send(child.pid, Signal::SIGSTOP).unwrap();
        lab.wait("another child", secs(15), || vrrp_child(ka1).is_some_and(|now| now.pid != child.pid)).unwrap();
        let mark = lab.capture().mark();
        wait_adverts(lab, mark, "ka1", 5, secs(5));
        only(lab, "ka1", VIP, secs(5));
        assert!(ka1.process(child.inner).is_none_or(|now| now.state == 'Z'), "the hung child is still there");
    });
}

#[test]
fn a_child_of_a_killed_supervisor_resigns_withdraws_and_exits() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        let (first, _second) = pair(lab);
        let mark = lab.capture().mark();
        lab::send(first.pid(), Signal::SIGKILL).unwrap();
        lab.wait("its processes gone", secs(5), || ka1.processes().iter().all(|process| process.state == 'Z')).unwrap();
        assert!(!ka1.has(VIP), "the address was left behind");
        let resigned = adverts(lab, mark, "ka1").into_iter().find(|advert| advert.priority == 0).unwrap();
        let taken = wait_adverts(lab, mark, "ka2", 1, secs(1))[0].clone();
        assert!(taken.at.since(resigned.at) < master_down_interval(INTERVAL, 90), "the backup had to wait for the down timer");
        only(lab, "ka2", VIP, secs(1));
    });
}

#[test]
fn without_respawn_the_death_of_the_child_ends_the_daemon() {
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, fast(100)).unwrap();
        let mut daemon = start_as(ka1, "keepalived", &["-n", "-l", "-D", "-R"]);
        only(lab, "ka1", VIP, secs(5));
        lab::send(vrrp_child(ka1).unwrap().pid, Signal::SIGKILL).unwrap();
        daemon.wait(secs(10)).unwrap();
    });
}

#[test]
fn leftovers_of_a_crash_converge_without_a_flap() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        let (mut first, _second) = pair(lab);
        first.kill_all();
        succession(lab, "ka1", "ka2", secs(3));
        // ka1 comes back over the address it left; the higher priority takes it again, and ka2 gives it up.
        let watch = AddressWatch::start(ka1).unwrap();
        let _first = start_again(ka1);
        only(lab, "ka1", VIP, secs(5));
        std::thread::sleep(millis(500));
        assert_eq!(lab.holders(VIP), ["ka1"]);
        assert!(watch.removed(VIP).len() <= 1, "flapped: {:?}", watch.changes());
    });
}

#[test]
fn a_partition_makes_two_masters_and_its_end_leaves_the_higher_priority() {
    laboratory(HOSTS, |lab| {
        let (_first, _second) = pair(lab);
        lab.set_isolated("ka1", true).unwrap();
        lab.wait("two masters", secs(3), || lab.holders(VIP) == ["ka1", "ka2"]).unwrap();
        lab.set_isolated("ka1", false).unwrap();
        only(lab, "ka1", VIP, secs(3));
    });
}
