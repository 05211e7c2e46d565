//! SIGHUP: what did not change goes on untouched, what changed changes, and what is wrong changes nothing.

mod common;

use common::*;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const INTERVAL: Duration = Duration::from_millis(100);

/// Two routers; the first, of priority 100, holds the address, and a client pings it all the time.
struct Scene<'a> {
    lab: &'a Lab,
    first: Daemon,
    second: Daemon,
    watch: AddressWatch,
    pings: PingWatch,
    start: Instant,
    mark: usize,
}

impl<'a> Scene<'a> {
    #[expect(clippy::unwrap_used, reason = "part of tests")]
    fn new(lab: &'a Lab) -> Self {
        let (first, second) = (start(lab.host("ka1"), &fast(100)), start(lab.host("ka2"), &fast(90)));
        only(lab, "ka1", VIP, secs(5));
        let pings = PingWatch::start(lab.host("client"), VIP, millis(20)).unwrap();
        lab.wait("an answer", secs(3), || pings.echoes().last().is_some_and(|echo| echo.answered)).unwrap();
        let watch = AddressWatch::start(lab.host("ka1")).unwrap();
        Self { lab, first, second, watch, pings, start: lab::now(), mark: lab.capture().mark() }
    }

    fn reload(&self, config: &str) {
        reload(self.lab.host("ka1"), &self.first, config);
    }

    fn adverts(&self) -> Vec<Advert> {
        adverts(self.lab, self.mark, "ka1").into_iter().filter(|advert| advert.vrid == 51).collect()
    }

    /// The instance never silent for long, its address never removed, the backup quiet, the client served.
    #[expect(clippy::unwrap_used, reason = "part of tests")]
    fn assert_untouched(&self) {
        let more = self.adverts().len() + 3;
        self.lab.wait("three more adverts", secs(2), || self.adverts().len() >= more).unwrap();
        // What a backup puts up with. That ours misses none at all is for `benches/`: here other tests run beside.
        let allowed = master_down_interval(INTERVAL, 90);
        let gap = longest_gap(&self.adverts());
        assert!(gap < allowed, "silent for {gap:?}\n{}", self.first.log());
        assert!(self.watch.removed(VIP).is_empty(), "{:?}\n{}", self.watch.removed(VIP), self.first.log());
        assert!(adverts(self.lab, self.mark, "ka2").is_empty(), "{}", self.second.log());
        assert!(self.pings.longest_outage(self.start) < allowed, "{:?}", self.pings.longest_outage(self.start));
    }
}

#[test]
fn a_reload_of_the_same_configuration_touches_nothing_and_keeps_the_processes() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        let processes: Vec<u32> = scene.first.processes().iter().map(|process| process.pid).collect();
        for _ in 0..4 {
            scene.reload(&fast(100));
            std::thread::sleep(millis(400));
        }
        scene.assert_untouched();
        assert_eq!(scene.first.processes().iter().map(|process| process.pid).collect::<Vec<_>>(), processes);
        assert!(scene.adverts().iter().all(|advert| advert.priority == 100));
    });
}

#[test]
fn an_added_address_appears_is_announced_and_advertised_and_a_removed_one_goes() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        let two = Instance { addresses: &["172.25.254.100/24", "172.25.254.200/24"], ..Instance::default() }.to_string();
        scene.reload(&two);
        lab.wait("the second address", secs(3), || lab.host("ka1").has(VIP2)).unwrap();
        lab.wait("its announcement", secs(2), || !announcements(lab, scene.mark, "ka1", VIP2).is_empty()).unwrap();
        lab.wait("it in the adverts", secs(2), || scene.adverts().last().is_some_and(|advert| advert.addresses.len() == 2)).unwrap();
        scene.assert_untouched();
        scene.reload(&fast(100));
        lab.wait("the second address gone", secs(3), || !lab.host("ka1").has(VIP2)).unwrap();
        lab.wait("it out of the adverts", secs(2), || scene.adverts().last().is_some_and(|advert| advert.addresses.len() == 1)).unwrap();
        scene.assert_untouched();
    });
}

#[test]
fn an_added_instance_starts_and_a_removed_one_resigns_while_the_other_goes_on() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        let other = Instance { name: "VI_2", vrid: 52, addresses: &["172.25.254.200/24"], ..Instance::default() };
        scene.reload(&format!("{}{other}", fast(100)));
        lab.wait("the second instance's address", secs(3), || lab.host("ka1").has(VIP2)).unwrap();
        scene.assert_untouched();
        let mark = lab.capture().mark();
        scene.reload(&fast(100));
        lab.wait("its address gone", secs(3), || !lab.host("ka1").has(VIP2)).unwrap();
        let last = adverts(lab, mark, "ka1").into_iter().rfind(|advert| advert.vrid == 52).unwrap();
        assert_eq!(last.priority, 0, "the removed instance did not resign");
        scene.assert_untouched();
    });
}

#[test]
fn a_changed_priority_is_advertised_without_touching_the_address() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        scene.reload(&fast(95));
        lab.wait("priority 95", secs(3), || scene.adverts().last().is_some_and(|advert| advert.priority == 95)).unwrap();
        scene.assert_untouched();
        scene.reload(&fast(80));
        only(lab, "ka2", VIP, secs(5));
    });
}

#[test]
fn a_refused_reload_changes_nothing_and_names_the_file_and_the_line() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let scene = Scene::new(lab);
        let from = scene.first.log().len();
        // Everything in it would show: an address, the priority; and the sixth line has a typo.
        let typo = Instance { priority: 80, addresses: &["172.25.254.200/24"], ..Instance::default() };
        scene.reload(&typo.to_string().replace("    version 3", "    versoin 3"));
        let said = || scene.first.log().split_off(from);
        lab.wait("the place of the mistake", secs(3), || said().contains("keepalived.conf:6")).unwrap();
        assert!(said().contains("versoin"), "{}", said());
        std::thread::sleep(millis(500));
        assert!(scene.adverts().iter().all(|advert| advert.priority == 100));
        assert!(!lab.host("ka1").has(VIP2));
        scene.assert_untouched();
        // And a right one is taken afterwards.
        scene.reload(&fast(95));
        lab.wait("priority 95", secs(3), || scene.adverts().last().is_some_and(|advert| advert.priority == 95)).unwrap();
    });
}

#[test]
fn a_burst_of_reloads_under_traffic_ends_with_the_last_configuration() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        for round in 0..10 {
            scene.reload(&fast(100 + round));
            std::thread::sleep(millis(15));
        }
        scene.reload(&fast(99));
        lab.wait("priority 99", secs(5), || scene.adverts().last().is_some_and(|advert| advert.priority == 99)).unwrap();
        assert!(scene.watch.removed(VIP).is_empty() && adverts(lab, scene.mark, "ka2").is_empty());
    });
}

#[test]
fn a_backup_stays_a_backup_through_a_reload() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        let ka2 = lab.host("ka2");
        for _ in 0..3 {
            reload(ka2, &scene.second, &fast(90));
            std::thread::sleep(millis(300));
        }
        reload(ka2, &scene.second, &Instance { priority: 90, extra: "garp_master_delay 1", ..Instance::default() }.to_string());
        std::thread::sleep(millis(500));
        assert!(!ka2.has(VIP));
        scene.assert_untouched();
    });
}

#[test]
fn settings_of_the_announcements_change_without_a_flap() {
    laboratory(HOSTS, |lab| {
        let scene = Scene::new(lab);
        scene.reload(&fast_with(100, "garp_master_refresh 1"));
        lab.wait("a refresh", secs(4), || announcements(lab, scene.mark, "ka1", VIP).len() >= 2).unwrap();
        scene.assert_untouched();
    });
}
