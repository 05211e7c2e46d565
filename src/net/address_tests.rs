use super::*;
use crate::net::lab::{self, Lab, NEAR};
use crate::net::mirror::Mirror;
use crate::net::reflector::Reflector;
use crate::net::rtnl::Rtnl;

fn prefix(text: &str) -> IpPrefix {
    let (address, length) = text.split_once('/').unwrap();
    IpPrefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap()
}

fn configured(text: &str) -> VirtualAddress {
    let prefix = prefix(text);
    let v6 = prefix.family() == Family::V6;
    VirtualAddress { flags: if v6 { libc::IFA_F_NODAD } else { 0 }, ..VirtualAddress::plain(prefix) }
}

async fn mirror() -> Mirror {
    Reflector::open(None).await.unwrap().1
}

#[test]
fn an_address_comes_with_all_it_was_configured_with() {
    lab::run(|lab: Lab| async move {
        let mut rtnl = Rtnl::open().unwrap();
        let labelled = VirtualAddress {
            label: Some("eth0:1".to_owned()),
            broadcast: Some("172.25.254.255".parse().unwrap()),
            scope: 253,
            preferred_lifetime: Some(0),
            ..configured("172.25.254.100/24")
        };
        let pointed = VirtualAddress { peer: Some(prefix("10.9.0.1/32")), ..configured("10.0.0.101/32") };
        let wanted = [labelled, pointed, configured("2001:db8::100/64"), configured("fe80::100/64")];
        let ops: Vec<_> = wanted.iter().map(|address| AddressOp::Add(KernelAddress::from(address, lab.near))).collect();
        assert_eq!(rtnl.apply(&ops), vec![Ok(()); 4]);

        let mirror = mirror().await;
        let link = mirror.by_name(NEAR).unwrap();
        let get = |at: usize| link.addresses.get(&KernelAddress::from(&wanted[at], lab.near).key()).unwrap();
        assert_eq!((get(0).label.as_deref(), get(0).scope), (Some("eth0:1"), 253));
        assert_eq!(get(0).broadcast, Some("172.25.254.255".parse().unwrap()));
        assert!(get(0).flags & libc::IFA_F_DEPRECATED != 0);
        assert_eq!((get(1).prefix, get(1).peer), (prefix("10.0.0.101/32"), Some("10.9.0.1".parse().unwrap())));
        assert!(get(2).flags & libc::IFA_F_NODAD != 0 && get(2).flags & libc::IFA_F_TENTATIVE == 0);
        assert_eq!((get(3).prefix, get(3).scope), (prefix("fe80::100/64"), 253));
        for at in 0..4 {
            // Linux 5.18 keeps who added an address.
            assert_eq!(get(at).proto, Some(PROTOCOL_KEEPALIVED));
        }
        // An independent reader agrees.
        let shown = lab::output(&["ip", "-4", "addr", "show", "dev", NEAR]);
        assert!(shown.contains("inet 172.25.254.100/24 brd 172.25.254.255 scope link deprecated"), "{shown}");
        assert!(shown.contains("inet 10.0.0.101 peer 10.9.0.1/32"), "{shown}");

        let ops: Vec<_> = wanted.iter().map(|address| AddressOp::Delete(KernelAddress::from(address, lab.near))).collect();
        assert_eq!(rtnl.apply(&ops), vec![Ok(()); 4]);
        let after = super::tests::mirror().await;
        assert!(wanted.iter().all(|gone| !after.by_name(NEAR).unwrap().addresses.has_ip(gone.prefix.address())));
    });
}

#[test]
fn adding_again_replaces_and_deleting_again_is_fine() {
    lab::run(|lab: Lab| async move {
        let mut rtnl = Rtnl::open().unwrap();
        for text in ["10.0.0.100/24", "2001:db8::100/64"] {
            let mut wanted = KernelAddress { proto: None, ..KernelAddress::from(&configured(text), lab.near) };
            assert_eq!(rtnl.apply(&[AddressOp::Add(wanted.clone())]), [Ok(())]);
            wanted.preferred_lifetime = Some(0);
            wanted.proto = Some(PROTOCOL_KEEPALIVED);
            assert_eq!(rtnl.apply(&[AddressOp::Add(wanted.clone())]), [Ok(())]);
            let mirror = mirror().await;
            let there = mirror.by_name(NEAR).unwrap().addresses.get(&wanted.key()).unwrap();
            assert!(there.flags & libc::IFA_F_DEPRECATED != 0);
            assert_eq!(there.proto, Some(PROTOCOL_KEEPALIVED));
            let gone = AddressOp::Delete(wanted);
            assert_eq!(rtnl.apply(&[gone.clone(), gone]), [Ok(()), Ok(())]);
        }
    });
}

#[test]
fn of_a_thousand_orders_only_the_bad_ones_fail() {
    lab::run(|lab: Lab| async move {
        let mut rtnl = Rtnl::open().unwrap();
        let order = |at: u16| {
            let [high, low] = at.to_be_bytes();
            let ifindex = if at % 100 == 7 { 4_000 } else { lab.near };
            KernelAddress::from(&configured(&format!("10.1.{high}.{low}/32")), ifindex)
        };
        let ops: Vec<_> = (0..1000).map(|at| AddressOp::Add(order(at))).collect();
        let results = rtnl.apply(&ops);
        let failed: Vec<_> = (0..1000).filter(|&at| results[at].is_err()).collect();
        assert_eq!(failed, (0..10).map(|hundred| hundred * 100 + 7).collect::<Vec<_>>());
        let error = results[7].as_ref().unwrap_err();
        assert_eq!(error.code, libc::ENODEV);
        assert!(error.to_string().starts_with("cannot add 10.1.0.7/32 on interface 4000: No such device"), "{error}");
        assert_eq!(mirror().await.by_name(NEAR).unwrap().addresses.iter().filter(|a| a.prefix.length() == 32).count(), 990);

        let ops: Vec<_> = (0..1000).map(|at| AddressOp::Delete(order(at))).collect();
        assert_eq!(rtnl.apply(&ops), vec![Ok(()); 1000], "an interface that is gone holds no address");
    });
}

#[test]
fn a_whole_batch_of_refusals_is_answered_in_full() {
    lab::run(|lab: Lab| async move {
        let bad = KernelAddress {
            label: Some("not-the-name:1".to_owned()),
            ..KernelAddress::from(&configured("10.0.0.1/33".replace("33", "32").as_str()), lab.near)
        };
        let ops: Vec<_> = (0..500).map(|_| AddressOp::Add(KernelAddress { ifindex: 9_999, ..bad.clone() })).collect();
        let results = Rtnl::open().unwrap().apply(&ops);
        assert_eq!(results.len(), 500);
        assert!(results.iter().all(|result| matches!(result, Err(error) if error.code == libc::ENODEV)));
    });
}

#[test]
fn the_kernels_own_words_are_in_the_error() {
    lab::run(|lab: Lab| async move {
        // IFA_F_MANAGETEMPADDR needs a /64: Linux 6.3 says so in words, older ones by number alone.
        let mut bad = KernelAddress::from(&configured("2001:db8::1/65"), lab.near);
        bad.flags |= libc::IFA_F_MANAGETEMPADDR;
        let error = Rtnl::open().unwrap().apply(&[AddressOp::Add(bad)]).remove(0).unwrap_err();
        assert_eq!(error.code, libc::EINVAL);
        if let Some(text) = &error.text {
            assert!(error.to_string().ends_with(&format!("({text})")));
        }
    });
}
