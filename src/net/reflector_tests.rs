use super::*;
use crate::net::address::{AddressOp, KernelAddress};
use crate::net::lab::{self, Lab, NEAR};
use crate::net::rtnl::Rtnl;
use crate::types::IpPrefix;
use rtnetlink::LinkUnspec;
use std::net::Ipv4Addr;

fn address(ifindex: u32, at: u16) -> KernelAddress {
    let [high, low] = at.to_be_bytes();
    KernelAddress::bare(ifindex, IpPrefix::host(Ipv4Addr::new(10, 1, high, low).into()), None)
}

/// Follows messages until it holds.
async fn follow(reflector: &mut Reflector, mirror: &mut Mirror, mut holds: impl FnMut(&Mirror) -> bool) -> Vec<Change> {
    let mut all = Vec::new();
    while !holds(mirror) {
        all.extend(tokio::time::timeout(Duration::from_secs(10), reflector.next(mirror)).await.expect("no more messages").unwrap());
    }
    all
}

#[test]
fn the_first_mirror_is_complete() {
    lab::run(|lab: Lab| async move {
        Rtnl::open().unwrap().apply(&[AddressOp::Add(address(lab.near, 1))]);
        let (_, mirror) = Reflector::open(None).await.unwrap();
        let link = mirror.link(lab.near).unwrap();
        assert_eq!((link.name.as_str(), link.kind.as_deref(), link.mac.unwrap().0), (NEAR, Some("veth"), lab::NEAR_MAC));
        assert_eq!((link.is_up(), link.arp, link.loopback, link.mtu), (true, true, false, 1500));
        assert!(link.addresses.has_ip("10.1.0.1".parse().unwrap()));
        assert!(mirror.by_name("lo").unwrap().loopback);
        assert_eq!(mirror.by_name("nonesuch"), None);
    });
}

#[test]
fn links_and_addresses_are_followed() {
    lab::run(|lab: Lab| async move {
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        let net = lab::connect();
        let mut rtnl = Rtnl::open().unwrap();
        let near = lab.near;

        rtnl.apply(&[AddressOp::Add(address(near, 1))]);
        let changes = follow(&mut reflector, &mut mirror, |m| m.link(near).unwrap().addresses.has_ip("10.1.0.1".parse().unwrap())).await;
        assert!(changes.iter().any(|change| matches!(change, Change::AddressAppeared { ifindex, .. } if *ifindex == near)));
        rtnl.apply(&[AddressOp::Delete(address(near, 1))]);
        let changes = follow(&mut reflector, &mut mirror, |m| !m.link(near).unwrap().addresses.has_ip("10.1.0.1".parse().unwrap())).await;
        assert!(changes.contains(&Change::AddressGone { ifindex: near, prefix: address(near, 1).prefix }));

        // The far end goes down: no carrier here.
        lab.on_far(|| lab::output(&["ip", "link", "set", lab::FAR, "down"]));
        let changes = follow(&mut reflector, &mut mirror, |m| !m.link(near).unwrap().running).await;
        assert!(changes.contains(&Change::LinkChanged(near)));
        assert!(mirror.link(near).unwrap().up);

        net.link().set(LinkUnspec::new_with_index(near).down().build()).execute().await.unwrap();
        follow(&mut reflector, &mut mirror, |m| !m.link(near).unwrap().up).await;
        net.link().set(LinkUnspec::new_with_index(near).name("wan").build()).execute().await.unwrap();
        let changes = follow(&mut reflector, &mut mirror, |m| m.by_name("wan").is_some()).await;
        assert!(changes.contains(&Change::LinkRenamed { index: near, from: NEAR.to_owned(), to: "wan".to_owned() }));
        assert_eq!(mirror.by_name(NEAR), None);

        net.link().del(near).execute().await.unwrap();
        let changes = follow(&mut reflector, &mut mirror, |m| m.link(near).is_none()).await;
        assert!(changes.contains(&Change::LinkGone { index: near, name: "wan".to_owned() }));
        assert_eq!(mirror.by_name("wan"), None);
    });
}

#[test]
fn a_port_that_leaves_a_bridge_is_not_a_link_that_is_gone() {
    lab::run(|lab: Lab| async move {
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        lab::output(&["ip", "link", "add", "br0", "type", "bridge"]);
        lab::output(&["ip", "link", "set", NEAR, "master", "br0"]);
        lab::output(&["ip", "link", "set", NEAR, "nomaster"]);
        lab::output(&["ip", "link", "add", "last0", "type", "bridge"]);
        let changes = follow(&mut reflector, &mut mirror, |m| m.by_name("last0").is_some()).await;
        assert!(!changes.iter().any(|change| matches!(change, Change::LinkGone { .. })), "{changes:?}");
        assert!(mirror.link(lab.near).is_some());
    });
}

#[test]
fn after_an_overrun_the_mirror_is_true_again() {
    lab::run(|lab: Lab| async move {
        let (mut reflector, mut mirror) = Reflector::open(Some(4096)).await.unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        let add: Vec<_> = (0..2000).map(|at| AddressOp::Add(address(lab.near, at))).collect();
        let delete: Vec<_> = (0..1000).map(|at| AddressOp::Delete(address(lab.near, at))).collect();
        assert!(rtnl.apply(&add).iter().all(Result::is_ok));
        assert!(rtnl.apply(&delete).iter().all(Result::is_ok));
        let held = |mirror: &Mirror| mirror.link(lab.near).unwrap().addresses.iter().filter(|a| a.prefix.length() == 32).count();
        let changes = follow(&mut reflector, &mut mirror, |m| held(m) == 1000).await;
        assert!(changes.len() < 2000, "nothing was lost: the test is no test");
        let (_, fresh) = Reflector::open(None).await.unwrap();
        assert_eq!(mirror, fresh);
        // And it follows on.
        rtnl.apply(&[AddressOp::Delete(address(lab.near, 1500))]);
        follow(&mut reflector, &mut mirror, |m| held(m) == 999).await;
    });
}

#[test]
fn a_flood_of_changes_is_followed_without_loss() {
    lab::run(|lab: Lab| async move {
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        let add: Vec<_> = (0..2000).map(|at| AddressOp::Add(address(lab.near, at))).collect();
        assert!(Rtnl::open().unwrap().apply(&add).iter().all(Result::is_ok));
        let changes = follow(&mut reflector, &mut mirror, |m| m.link(lab.near).unwrap().addresses.len() >= 2000).await;
        assert_eq!(changes.iter().filter(|change| matches!(change, Change::AddressAppeared { .. })).count(), 2000);
    });
}

#[test]
fn what_another_process_sends_is_not_believed() {
    lab::run(|lab: Lab| async move {
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        let port = nix::sys::socket::getsockname::<nix::sys::socket::NetlinkAddr>(std::os::fd::AsRawFd::as_raw_fd(&reflector.fd)).unwrap();
        let mut forged = Builder::default();
        let mut fixed = [0; 16];
        fixed[4..8].copy_from_slice(&lab.near.to_ne_bytes());
        forged.message(libc::RTM_DELLINK, 0, 0, &fixed, |_| {});
        let stranger = socket::netlink(SockProtocol::NetlinkRoute).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&stranger);
        nix::sys::socket::sendto(fd, forged.bytes(), &port, nix::sys::socket::MsgFlags::empty()).unwrap();
        Rtnl::open().unwrap().apply(&[AddressOp::Add(address(lab.near, 1))]);
        let changes =
            follow(&mut reflector, &mut mirror, |m| m.link(lab.near).is_none_or(|link| link.addresses.has_ip("10.1.0.1".parse().unwrap())))
                .await;
        assert!(!changes.iter().any(|change| matches!(change, Change::LinkGone { .. })), "{changes:?}");
    });
}
