use super::*;
use crate::net::lab::{self, Lab, NEAR};

#[test]
fn an_interface_name_is_not_a_path() {
    for name in ["", ".", "..", "../../..", "a/b", "a\0b"] {
        assert!(path("ipv4", name, "forwarding").is_err(), "{name:?}");
    }
    assert_eq!(path("ipv6", "eth0.7", "forwarding").unwrap(), PathBuf::from("/proc/sys/net/ipv6/conf/eth0.7/forwarding"));
}

#[test]
fn promote_secondaries_is_put_back() {
    lab::run(|_lab: Lab| async move {
        // /proc/sys shows the namespace of the thread that looks.
        let value = || read(path("ipv4", NEAR, "promote_secondaries").unwrap()).unwrap();
        fs::write(path("ipv4", NEAR, "promote_secondaries").unwrap(), "0").unwrap();
        let switched = switch_on("ipv4", NEAR, "promote_secondaries").unwrap().unwrap();
        assert_eq!(value(), "1");
        assert!(switch_on("ipv4", NEAR, "promote_secondaries").unwrap().is_none(), "on already");
        drop(switched);
        assert_eq!(value(), "0");
        assert!(switch_on("ipv4", "nonesuch", "promote_secondaries").is_err());
    });
}

#[test]
fn forwarding_of_the_interface_or_of_all_makes_a_router() {
    lab::run(|_lab: Lab| async move {
        assert!(!forwards_ipv6(NEAR));
        fs::write(path("ipv6", NEAR, "forwarding").unwrap(), "1").unwrap();
        assert!(forwards_ipv6(NEAR));
        assert!(!forwards_ipv6("nonesuch"));
    });
}

#[test]
fn reverse_path_filtering_goes_to_each_interface_and_comes_back() {
    lab::run(|_lab: Lab| async move {
        let at = |interface: &str| path("ipv4", interface, "rp_filter").unwrap();
        let values = || ["all", "default", "lo", NEAR].map(|interface| read(at(interface)).unwrap());
        for (interface, value) in [("all", "1"), ("default", "0"), ("lo", "0"), (NEAR, "2")] {
            fs::write(at(interface), value).unwrap();
        }
        let spread = spread_rp_filter().unwrap();
        assert_eq!(values(), ["0", "1", "0", "2"]);
        assert!(spread_rp_filter().unwrap().is_empty(), "there is nothing left to spread");
        drop(spread);
        assert_eq!(values(), ["1", "0", "0", "2"]);
    });
}
