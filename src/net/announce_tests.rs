use super::*;
use crate::net::lab::{self, FAR, Lab, NEAR_MAC};
use nix::sys::socket::MsgFlags;
use std::os::fd::AsRawFd;

/// Every frame that arrives, whatever it is.
fn sniffer() -> OwnedFd {
    // ETH_P_ALL; a socket hears every interface of its namespace.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    nix::sys::socket::socket(AddressFamily::Packet, SockType::Raw, flags, nix::sys::socket::SockProtocol::EthAll).unwrap()
}

async fn count(sniffer: &OwnedFd, frame: &[u8], wanted: usize) {
    let mut seen = 0;
    lab::until("all frames arrive", || {
        let mut buffer = [0; 2048];
        while let Ok(length) = nix::sys::socket::recv(sniffer.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            seen += usize::from(buffer[..length] == *frame);
        }
        seen >= wanted
    })
    .await;
    assert_eq!(seen, wanted);
}

#[test]
fn gratuitous_arp_reaches_the_neighbour_as_often_as_asked_and_teaches_it() {
    lab::run(|lab: Lab| async move {
        let mac = MacAddr(NEAR_MAC);
        let address = Ipv4Addr::new(10, 0, 0, 100);
        let sniffer = lab.on_far(sniffer);
        lab.on_far(|| {
            lab::output(&["ip", "addr", "add", "10.0.0.2/24", "dev", FAR]);
            lab::output(&["ip", "neigh", "add", "10.0.0.100", "lladdr", "02:00:00:00:00:99", "dev", FAR, "nud", "stale"]);
        });
        let announcer = Announcer::open().unwrap();
        // More than one sendmmsg.
        announcer.gratuitous_arp(lab.near, mac, address, 37).unwrap();
        count(&sniffer, &arp::gratuitous(mac, address), 37).await;
        lab::until("the neighbour's table follows", || lab.on_far(|| lab::output(&["ip", "neigh"])).contains("02:00:00:00:00:01")).await;
    });
}

#[test]
fn an_unsolicited_advertisement_reaches_the_neighbour_and_teaches_it() {
    lab::run(|lab: Lab| async move {
        let mac = MacAddr(NEAR_MAC);
        let address: Ipv6Addr = "2001:db8::100".parse().unwrap();
        let sniffer = lab.on_far(sniffer);
        lab.on_far(|| {
            lab::output(&["ip", "addr", "add", "2001:db8::2/64", "dev", FAR, "nodad"]);
            lab::output(&["ip", "neigh", "add", "2001:db8::100", "lladdr", "02:00:00:00:00:99", "dev", FAR, "nud", "stale"]);
        });
        let announcer = Announcer::open().unwrap();
        announcer.unsolicited_na(lab.near, None, address, false, 1).unwrap();
        announcer.unsolicited_na(lab.near, Some(mac), address, false, 5).unwrap();
        count(&sniffer, &ndisc::unsolicited(mac, address, false), 5).await;
        lab::until("the neighbour's table follows", || lab.on_far(|| lab::output(&["ip", "neigh"])).contains("02:00:00:00:00:01")).await;
    });
}

#[test]
fn an_interface_that_is_down_or_gone_says_so() {
    lab::run(|lab: Lab| async move {
        let announcer = Announcer::open().unwrap();
        let send = |ifindex| lab::code(announcer.gratuitous_arp(ifindex, MacAddr(NEAR_MAC), Ipv4Addr::LOCALHOST, 1));
        assert_eq!(send(4_000), Some(libc::ENXIO));
        lab::output(&["ip", "link", "set", lab::NEAR, "down"]);
        assert_eq!(send(lab.near), Some(libc::ENETDOWN));
    });
}
