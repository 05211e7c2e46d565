use super::*;
use crate::net::lab::{self, FAR, Lab, NEAR};
use std::io;

fn shut(text: &str, ifindex: u32) -> Shut {
    Shut { address: text.parse().unwrap(), ifindex }
}

fn ruleset() -> String {
    lab::output(&["nft", "list", "ruleset"])
}

/// Lines without indentation and handles, as nft(8) shows them.
fn lines(ruleset: &str) -> Vec<&str> {
    ruleset.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn answers(lab: &Lab, address: &str) -> bool {
    lab.on_far(|| std::process::Command::new("ping").args(["-c1", "-W1", address]).output().unwrap().status.success())
}

#[test]
fn the_tables_are_what_keepalived_2_2_7_makes() {
    lab::run(|lab: Lab| async move {
        let mut nft = Nft::open(&Firewall::default()).unwrap();
        assert_eq!(ruleset(), "", "no table before it is needed");
        nft.block(&[shut("10.0.0.100", lab.near), shut("10.0.0.101", lab.near)]).unwrap();
        nft.block(&[shut("fe80::1234", lab.near), shut("fd00::100", lab.near)]).unwrap();
        let shown = ruleset();
        let shown = lines(&shown);
        for line in [
            "table ip keepalived {",
            "type ipv4_addr",
            "elements = { 10.0.0.100, 10.0.0.101 }",
            "type filter hook output priority filter - 1; policy accept;",
            "ip saddr @vips drop",
            "type filter hook input priority filter - 1; policy accept;",
            "ip daddr @vips drop",
            "table ip6 keepalived {",
            "type ipv6_addr",
            "elements = { fd00::100 }",
            "type icmpv6_type",
            "flags constant",
            "type ipv6_addr . iface_index",
            "elements = { fe80::1234 . \"eth0\" }",
            "icmpv6 type @neighbor-discovery accept",
            "ip6 saddr fe80::/10 goto out_link_local",
            "ip6 saddr @vips drop",
            "ip6 daddr fe80::/10 goto in_link_local",
            "ip6 daddr @vips drop",
            "ip6 daddr . iif @vips_link_local drop",
            "ip6 saddr . oif @vips_link_local drop",
        ] {
            assert!(shown.contains(&line), "{line}\n{shown:#?}");
        }
        nft.remove_tables().unwrap();
        assert_eq!(ruleset(), "");
        nft.remove_tables().unwrap();
    });
}

#[test]
fn a_shut_address_does_not_answer_and_an_opened_one_does() {
    lab::run(|lab: Lab| async move {
        let addresses = [("10.0.0.100", "10.0.0.100"), ("fd00::100", "fd00::100"), ("fe80::1234", "fe80::1234%far0")];
        for address in ["10.0.0.100/24", "fd00::100/64", "fe80::1234/64"] {
            lab::output(&["ip", "addr", "add", address, "dev", NEAR, "nodad"]);
        }
        lab.on_far(|| {
            for address in ["10.0.0.2/24", "fd00::2/64", "fe80::2/64"] {
                lab::output(&["ip", "addr", "add", address, "dev", FAR, "nodad"]);
            }
        });
        let all: Vec<_> = addresses.iter().map(|(address, _)| shut(address, lab.near)).collect();
        let mut nft = Nft::open(&Firewall::default()).unwrap();
        for (_, address) in addresses {
            lab::until("it answers", || answers(&lab, address)).await;
        }
        nft.block(&all).unwrap();
        nft.block(&all).unwrap();
        for (_, address) in addresses {
            assert!(!answers(&lab, address), "{address}");
        }
        nft.unblock(&all).unwrap();
        nft.unblock(&all).unwrap();
        for (_, address) in addresses {
            assert!(answers(&lab, address), "{address}");
        }
        // On another interface the same link-local address is another address.
        nft.block(&[shut("fe80::1234", 1)]).unwrap();
        assert!(answers(&lab, "fe80::1234%far0"));
    });
}

#[test]
fn what_an_earlier_life_left_is_removed_at_start() {
    lab::run(|lab: Lab| async move {
        Nft::open(&Firewall::default()).unwrap().block(&[shut("10.0.0.100", lab.near), shut("fd00::1", lab.near)]).unwrap();
        lab::output(&["nft", "add", "table", "ip", "other"]);
        assert!(ruleset().contains("10.0.0.100"));
        Nft::open(&Firewall::default()).unwrap();
        assert_eq!(lines(&ruleset()), ["table ip other {", "}"]);
    });
}

#[test]
fn a_ruleset_flushed_by_somebody_else_is_made_anew() {
    lab::run(|lab: Lab| async move {
        let mut nft = Nft::open(&Firewall::default()).unwrap();
        nft.block(&[shut("10.0.0.1", lab.near), shut("10.0.0.2", lab.near)]).unwrap();
        lab::output(&["nft", "flush", "ruleset"]);
        nft.block(&[shut("10.0.0.3", lab.near)]).unwrap();
        assert!(ruleset().contains("elements = { 10.0.0.1, 10.0.0.2,\n\t\t\t     10.0.0.3 }"), "{}", ruleset());
        lab::output(&["nft", "flush", "ruleset"]);
        nft.unblock(&[shut("10.0.0.3", lab.near)]).unwrap();
        assert!(ruleset().contains("elements = { 10.0.0.1, 10.0.0.2 }"), "{}", ruleset());
    });
}

#[test]
fn what_was_shut_is_shut_again_by_the_next_attempt_when_making_the_table_anew_failed() {
    lab::run(|lab: Lab| async move {
        let mut nft = Nft::open(&Firewall::default()).unwrap();
        nft.block(&[shut("10.0.0.1", lab.near), shut("10.0.0.2", lab.near)]).unwrap();
        lab::output(&["nft", "flush", "ruleset"]);
        // No table bears such a name.
        let name = std::mem::replace(&mut nft.settings.table, "x".repeat(300));
        assert!(nft.tables[0].made.is_some() && nft.rebuild(0).is_err());
        assert!(nft.unblock(&[shut("10.0.0.2", lab.near)]).is_err());
        nft.settings.table = name;
        nft.block(&[shut("10.0.0.3", lab.near)]).unwrap();
        assert!(ruleset().contains("elements = { 10.0.0.1, 10.0.0.3 }"), "{}", ruleset());
    });
}

#[test]
fn name_priority_and_counters_are_settable() {
    lab::run(|lab: Lab| async move {
        let settings = Firewall { table: "mine".to_owned(), priority: 5, counters: true };
        let mut nft = Nft::open(&settings).unwrap();
        nft.prepare(Family::V4).unwrap();
        let shown = ruleset();
        assert!(shown.contains("table ip mine {"), "{shown}");
        assert!(shown.contains("priority filter + 5"), "{shown}");
        assert!(shown.contains("ip daddr @vips counter packets 0 bytes 0 drop"), "{shown}");
        assert!(!shown.contains("elements"), "{shown}");
        nft.block(&[shut("10.0.0.1", lab.near)]).unwrap();
        assert!(ruleset().contains("elements = { 10.0.0.1 }"));
    });
}

#[test]
fn thousands_of_addresses_are_one_transaction() {
    lab::run(|lab: Lab| async move {
        let mut nft = Nft::open(&Firewall::default()).unwrap();
        let all: Vec<_> = (0..4000u32).map(|at| shut(&format!("fd00::{at:x}"), lab.near)).collect();
        nft.block(&all).unwrap();
        let shown = ruleset();
        assert_eq!(shown.matches("fd00::").count(), 4000);
        nft.unblock(&all[1..]).unwrap();
        assert_eq!(ruleset().matches("fd00::").count(), 1);
    });
}

#[test]
fn a_refusal_names_its_cure_and_leaves_the_next_attempt_whole() {
    let error = NftError { what: "make the table", source: io::Error::from_raw_os_error(libc::EOPNOTSUPP), text: None };
    assert!(error.to_string().contains("modprobe nf_tables"), "{error}");
    lab::run(|lab: Lab| async move {
        // A table's name has a limit.
        let mut nft = Nft::open(&Firewall { table: "x".repeat(300), ..Firewall::default() }).unwrap();
        assert!(nft.block(&[shut("10.0.0.1", lab.near)]).is_err());
        nft.settings.table = "keepalived".to_owned();
        nft.block(&[shut("10.0.0.1", lab.near)]).unwrap();
        assert!(ruleset().contains("10.0.0.1"));
    });
}
