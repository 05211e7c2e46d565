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
        let switched = PromoteSecondaries::set(NEAR).unwrap().unwrap();
        assert_eq!(value(), "1");
        assert!(PromoteSecondaries::set(NEAR).unwrap().is_none(), "on already");
        drop(switched);
        assert_eq!(value(), "0");
        assert!(PromoteSecondaries::set("nonesuch").is_err());
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
