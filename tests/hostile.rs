//! Strangers on the wire: whatever they send that is not a valid advert changes nothing.

mod common;

use common::*;
use keepalived_rs::types::MacAddr;

/// A generator whose numbers depend on its seed alone (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A packet for the instance that a receiver must drop: one field of an otherwise irresistible (or resigning) advert is wrong.
fn malformed(random: &mut Random, right: &Forged) -> Vec<u8> {
    let mut packet = right.clone();
    packet.priority = [255, 254, 0][random.below(3) as usize];
    let version_2 = packet.version == 2;
    match random.below(if version_2 { 9 } else { 6 }) {
        0 => packet.ttl = random.below(255) as u8,
        1 => packet.spoil_checksum = true,
        2 => packet.version = [0, 1, 4, 15, 5 - packet.version][random.below(5) as usize],
        3 => packet.kind = [0, 2, 3, 15][random.below(4) as usize],
        4 => packet.stretch = [-1, -2, -4, -7, -8, 4, 8, 1, 13][random.below(9) as usize],
        5 => {
            let body: Vec<u8> = (0..random.below(64)).map(|_| random.next() as u8).collect();
            return ethernet(packet.mac_from, packet.mac_to, packet.from, packet.to, 255, &body);
        }
        6 => packet.auth_type = [0, 2, 3, 255][random.below(4) as usize],
        7 => packet.auth = random.next().to_be_bytes(),
        _ => packet.interval = [0, 200, 500, 25500][random.below(4) as usize],
    }
    packet.frame()
}

/// 20,000 malformed packets in about five seconds, at a master and a backup whose adverts are `interval` apart.
#[expect(clippy::unwrap_used, reason = "the body of two tests")]
fn bombard(seed: u64, config: impl Fn(u8) -> String, right: impl Fn(Ipv4Addr) -> Forged, interval: Duration) {
    laboratory(&["ka1", "ka2", "client"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let mut first = start(lab.host("ka1"), &config(100));
        let second = start(lab.host("ka2"), &config(90));
        only(lab, "ka1", VIP, secs(9));
        let stranger = lab.host("client");
        let injector = Injector::open(stranger, "eth0").unwrap();
        let watch = AddressWatch::start(lab.host("ka1")).unwrap();
        wait_adverts(lab, 0, "ka1", 2, secs(4));
        let (mark, start) = (lab.capture().mark(), lab::now());
        let (mut random, right) = (Random(seed), right(stranger.ipv4()));
        for round in 1..=250_u32 {
            for _ in 0..80 {
                injector.send(&malformed(&mut random, &right)).unwrap();
            }
            std::thread::sleep((start + round * millis(20)).since(lab::now()));
        }
        wait_adverts(lab, mark, "ka1", 4, secs(5));
        let sent = adverts(lab, mark, "ka1");
        assert!(sent.iter().all(|advert| advert.priority == 100), "the master changed its mind");
        assert!(longest_gap(&sent) < master_down_interval(interval, 90), "silent for {:?}", longest_gap(&sent));
        let rhythm = median_gap(&sent.iter().map(|advert| advert.at).collect::<Vec<_>>());
        assert!(rhythm > interval * 9 / 10 && rhythm < interval * 12 / 10, "{rhythm:?}");
        assert!(adverts(lab, mark, "ka2").is_empty(), "the backup took over: {}", second.log());
        assert!(watch.changes().iter().all(|seen| seen.what.address.ip() != IpAddr::from(VIP)));
        for daemon in [&first, &second] {
            assert!(daemon.log().lines().count() < 300, "{} lines of log", daemon.log().lines().count());
        }
        // And both are as well as before.
        first.kill_all();
        assert_succession_on_time(lab, "ka1", "ka2", interval, 90);
    });
}

#[test]
fn twenty_thousand_malformed_packets_change_nothing_in_version_2_with_a_password() {
    let config = |priority| {
        let extra = "authentication {\n auth_type PASS\n auth_pass 1111\n }";
        Instance { priority, version: 2, advert_int: "1", extra, ..Instance::default() }.to_string()
    };
    bombard(2, config, |from| Forged::v2(from, 51, 255), secs(1));
}

#[test]
fn twenty_thousand_malformed_packets_change_nothing_in_version_3() {
    bombard(3, fast, |from| Forged::v3(from, 51, 255), millis(100));
}

#[test]
fn two_bad_packets_a_second_do_not_silence_a_master() {
    laboratory(&["ka1", "ka2", "client"], |lab| {
        // The original re-arms its advert timer on every packet that it discards, and the backup takes over.
        if !promised_by_ours() {
            return;
        }
        let config = |priority| Instance { priority, version: 2, advert_int: "1", ..Instance::default() }.to_string();
        let _first = start(lab.host("ka1"), &config(100));
        let _second = start(lab.host("ka2"), &config(90));
        only(lab, "ka1", VIP, secs(9));
        let injector = Injector::open(lab.host("client"), "eth0").unwrap();
        let mark = lab.capture().mark();
        for _ in 0..14 {
            injector.send(&Forged { ttl: 1, ..Forged::v2(lab.host("client").ipv4(), 51, 255) }.frame()).unwrap();
            std::thread::sleep(millis(450));
        }
        assert!(longest_gap(&adverts(lab, mark, "ka1")) < master_down_interval(secs(1), 90));
        assert!(adverts(lab, mark, "ka2").is_empty());
    });
}

#[test]
fn adverts_of_other_virtual_routers_and_of_ourselves_do_not_count() {
    laboratory(&["ka1", "client"], |lab| {
        let ka1 = lab.host("ka1");
        let _first = start(ka1, &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let injector = Injector::open(lab.host("client"), "eth0").unwrap();
        let mark = lab.capture().mark();
        for _ in 0..20 {
            injector.send(&Forged::v3(lab.host("client").ipv4(), 52, 255).frame()).unwrap();
            std::thread::sleep(millis(25));
        }
        assert!(ka1.has(VIP) && adverts(lab, mark, "ka1").len() >= 4);
    });
}

#[test]
fn the_laboratory_would_notice_one_valid_packet_among_the_malformed() {
    laboratory(&["ka1", "client"], |lab| {
        let _first = start(lab.host("ka1"), &fast(100));
        only(lab, "ka1", VIP, secs(5));
        let injector = Injector::open(lab.host("client"), "eth0").unwrap();
        injector.send(&Forged { mac_from: MacAddr([2, 0, 0, 0, 0, 9]), ..Forged::v3(lab.host("client").ipv4(), 51, 254) }.frame()).unwrap();
        nobody(lab, VIP, secs(1));
    });
}
