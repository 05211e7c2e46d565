//! Gratuitous ARP and unsolicited neighbour advertisements: how many, when, and what they say.

mod common;

use common::*;

/// Waits until ka1 is master, for so long after and until there are so many announcements of the address: those.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn announced(lab: &Lab, extra: &str, time: Duration, count: usize) -> Vec<Announcement> {
    let _daemon = start(lab.host("ka1"), &fast_with(100, extra));
    only(lab, "ka1", VIP, secs(5));
    std::thread::sleep(time);
    let seen = || announcements(lab, 0, "ka1", VIP);
    lab.wait(&format!("{count} announcements"), secs(10), || seen().len() >= count).unwrap();
    seen()
}

#[test]
fn a_new_master_announces_its_address_five_times_in_one_batch() {
    laboratory(&["ka1"], |lab| {
        let seen = announced(lab, "", millis(700), 5);
        assert_eq!(seen.len(), 5);
        let mac = lab.host("ka1").link("eth0").unwrap().mac;
        for one in &seen {
            // An ARP request for its own address, to everybody.
            assert_eq!((one.operation, one.mac, one.mac_to.to_string().as_str()), (1, mac, "ff:ff:ff:ff:ff:ff"));
        }
        let adverts = wait_adverts(lab, 0, "ka1", 2, secs(5));
        assert!(adverts[0].at < seen[0].at && seen[4].at < adverts[1].at, "right behind the first advert");
    });
}

#[test]
fn the_second_batch_follows_after_garp_master_delay() {
    laboratory(&["ka1"], |lab| {
        let seen = announced(lab, "garp_master_delay 1\n garp_master_repeat 3", millis(1300), 6);
        assert_eq!(seen.len(), 6, "{seen:?}");
        // Adverts of 100 ms are the clock that is as late as the announcements are.
        let between = adverts(lab, 0, "ka1").iter().filter(|advert| advert.at > seen[2].at && advert.at < seen[3].at).count();
        assert!(between <= 11 && seen[3].at.since(seen[0].at) > millis(900), "{between} adverts");
    });
}

#[test]
fn a_delay_of_zero_means_no_second_batch() {
    laboratory(&["ka1"], |lab| {
        assert_eq!(announced(lab, "garp_master_delay 0\n garp_master_repeat 2", millis(1500), 2).len(), 2);
    });
}

#[test]
fn garp_master_refresh_repeats_the_announcement_for_as_long_as_it_is_master() {
    laboratory(&["ka1"], |lab| {
        let seen = announced(
            lab,
            "garp_master_delay 0\n garp_master_repeat 1\n garp_master_refresh 1\n garp_master_refresh_repeat 2",
            millis(2300),
            5,
        );
        let refreshed = 2 * seen.last().unwrap().at.since(seen[0].at).as_secs_f64().round() as usize;
        assert!(seen.len().abs_diff(1 + refreshed) <= 1, "1 and 2 a second: {seen:?}");
    });
}

#[test]
fn global_settings_are_the_default_of_instances() {
    laboratory(&["ka1"], |lab| {
        let global = "global_defs {\n vrrp_garp_master_repeat 2\n vrrp_garp_master_delay 1\n}\n";
        let _daemon = start(lab.host("ka1"), &format!("{global}{}", fast(100)));
        only(lab, "ka1", VIP, secs(5));
        lab.wait("both batches", secs(10), || announcements(lab, 0, "ka1", VIP).len() >= 4).unwrap();
        std::thread::sleep(millis(300));
        assert_eq!(announcements(lab, 0, "ka1", VIP).len(), 4);
    });
}

#[test]
fn an_advert_of_lower_priority_makes_the_master_announce_again() {
    laboratory(&["ka1", "client"], |lab| {
        let _daemon = start(lab.host("ka1"), &fast_with(100, "garp_master_delay 0\n garp_lower_prio_repeat 2"));
        only(lab, "ka1", VIP, secs(5));
        std::thread::sleep(millis(300));
        let mark = lab.capture().mark();
        let client = lab.host("client");
        Injector::open(client, "eth0").unwrap().send(&Forged::v3(client.ipv4(), 51, 50).frame()).unwrap();
        lab.wait("announcements", secs(1), || announcements(lab, mark, "ka1", VIP).len() >= 2).unwrap();
        std::thread::sleep(millis(200));
        assert_eq!(announcements(lab, mark, "ka1", VIP).len(), 2);
    });
}

#[test]
fn every_address_is_announced_on_its_own_interface_excluded_ones_too() {
    laboratory(&["ka1"], |lab| {
        lab.second_network("eth1", &["ka1"]).unwrap();
        let extra = "virtual_ipaddress_excluded {\n 10.1.1.100/24 dev eth1\n }";
        let config = Instance { addresses: &["172.25.254.100/24", "172.25.254.200/24"], extra, ..Instance::default() };
        let _daemon = start(lab.host("ka1"), &config.to_string());
        let excluded = Ipv4Addr::new(10, 1, 1, 100);
        lab.wait("the addresses", secs(5), || [VIP, VIP2, excluded].iter().all(|ip| lab.host("ka1").has(*ip))).unwrap();
        for (ip, interface) in [(VIP, "eth0"), (VIP2, "eth0"), (excluded, "eth1")] {
            let seen = || announcements(lab, 0, "ka1", ip);
            lab.wait("five announcements", secs(2), || seen().len() >= 5).unwrap();
            assert!(seen().iter().all(|one| one.interface == interface), "{ip}");
        }
    });
}

#[test]
fn garp_interval_spreads_the_announcements_and_loses_none() {
    laboratory(&["ka1"], |lab| {
        // The original loses some of them.
        if !promised_by_ours() {
            return;
        }
        let global = "global_defs {\n vrrp_garp_interval 0.1\n vrrp_garp_master_delay 0\n}\n";
        let _daemon = start(lab.host("ka1"), &format!("{global}{}", fast(100)));
        only(lab, "ka1", VIP, secs(5));
        let seen = || announcements(lab, 0, "ka1", VIP);
        lab.wait("five announcements", secs(3), || seen().len() >= 5).unwrap();
        let seen = seen();
        assert!(median_gap(&seen.iter().map(|one| one.at).collect::<Vec<_>>()) > millis(85), "{seen:?}");
    });
}

#[test]
fn an_ipv6_address_is_announced_by_unsolicited_neighbour_advertisements_that_override() {
    laboratory(&["ka1"], |lab| {
        let config = Instance { addresses: &["fe80::100/64", "fd00:25::100/64"], ..Instance::default() };
        let _daemon = start(lab.host("ka1"), &config.to_string());
        let vip: Ipv6Addr = "fd00:25::100".parse().unwrap();
        let seen = || announcements(lab, 0, "ka1", vip);
        lab.wait("five announcements", secs(5), || seen().len() >= 5).unwrap();
        for one in seen() {
            assert_eq!(one.mac, lab.host("ka1").link("eth0").unwrap().mac);
            assert_eq!(one.mac_to.to_string(), "33:33:00:00:00:01");
            // Override, not solicited.
            assert_eq!(one.operation & 0x60, 0x20);
        }
    });
}
