use super::*;
use crate::net::address::{AddressOp, KernelAddress};
use crate::net::lab::{self, FAR, Lab};
use crate::net::rtnl::Rtnl;
use crate::types::IpPrefix;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::time::Duration;

const GROUP4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
const ADVERT: &[u8] = &[0x21, 51, 100, 1, 0, 1, 0, 0, 10, 0, 0, 100];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn spec(family: Family, ifindex: u32) -> ReceiverSpec {
    ReceiverSpec { family, interface: Some((FAR.to_owned(), ifindex)), protocol: PROTOCOL_VRRP }
}

fn address(ifindex: u32, text: &str, length: u8) {
    let mut wanted = KernelAddress::bare(ifindex, IpPrefix::new(ip(text), length).unwrap(), None);
    wanted.flags = libc::IFA_F_NODAD;
    assert_eq!(Rtnl::open().unwrap().apply(&[AddressOp::Add(wanted)]), [Ok(())]);
}

async fn next<'b>(receiver: &Receiver, buffer: &'b mut [u8]) -> Received<'b> {
    // Two looks at the buffer: the borrow checker cannot see that a `None` lends nothing.
    loop {
        tokio::time::timeout(Duration::from_secs(10), receiver.readable()).await.expect("nothing came").unwrap();
        let taken = receiver.fd.try_io(Interest::READABLE, |fd| take(fd, receiver.family, buffer));
        if let Ok(taken) = taken {
            return taken.read(buffer, receiver.protocol, receiver.bound.unwrap_or(0)).unwrap();
        }
    }
}

async fn nothing(receiver: &Receiver) {
    let mut buffer = [0; BUFFER_BYTES];
    let _ = tokio::time::timeout(Duration::from_millis(50), receiver.readable()).await;
    assert_eq!(receiver.try_receive(&mut buffer).unwrap(), None);
}

#[test]
fn a_multicast_advert_arrives_with_ttl_destination_and_interface() {
    lab::run(|lab: Lab| async move {
        let receiver = lab.on_far(|| Receiver::open(&spec(Family::V4, lab.far))).unwrap();
        let sender = Sender::open(Family::V4).unwrap();
        let advert = Outgoing {
            ifindex: Some(lab.near),
            // mcast_src_ip may be an address that this machine does not have.
            source: ip("192.0.2.7"),
            destination: GROUP4,
            ttl: 255,
            protocol: PROTOCOL_VRRP,
            payload: ADVERT,
        };
        lab.on_far(|| {
            address(lab.far, "192.0.2.2", 24);
            receiver.join(GROUP4, lab.far).unwrap();
            receiver.join(GROUP4, lab.far).unwrap();
        });
        sender.send(&advert).unwrap();
        let mut buffer = [0; BUFFER_BYTES];
        let seen = next(&receiver, &mut buffer).await;
        assert_eq!((seen.source, seen.destination, seen.ttl), (advert.source, GROUP4, Some(255)));
        assert_eq!((seen.ifindex, seen.protocol, seen.payload), (lab.far, PROTOCOL_VRRP, ADVERT));
        let header = seen.ip_header.unwrap();
        assert_eq!((header[0], header[1], header.len()), (0x45, 0xc0, 20));
        nothing(&receiver).await;

        receiver.leave(GROUP4, lab.far).unwrap();
        receiver.leave(GROUP4, lab.far).unwrap();
        sender.send(&advert).unwrap();
        nothing(&receiver).await;
    });
}

#[test]
fn a_burst_arrives_whole_and_in_order() {
    lab::run(|lab: Lab| async move {
        let receiver = lab.on_far(|| {
            address(lab.far, "192.0.2.2", 24);
            let receiver = Receiver::open(&spec(Family::V4, lab.far)).unwrap();
            receiver.join(GROUP4, lab.far).unwrap();
            receiver
        });
        let sender = Sender::open(Family::V4).unwrap();
        let sent: Vec<Vec<u8>> = (0..3 * BATCH + 1).map(|n| vec![n as u8; 20 + n]).collect();
        for payload in &sent {
            let source = ip("192.0.2.7");
            let advert = Outgoing { ifindex: Some(lab.near), source, destination: GROUP4, ttl: 255, protocol: PROTOCOL_VRRP, payload };
            sender.send(&advert).unwrap();
        }
        let (mut seen, mut room) = (Vec::new(), Room::default());
        while seen.len() < sent.len() {
            tokio::time::timeout(Duration::from_secs(10), receiver.readable()).await.expect("nothing came").unwrap();
            while receiver.receive_waiting(&mut room, |received| seen.push(received.payload.to_vec())).unwrap() {}
        }
        assert_eq!(seen, sent);
        nothing(&receiver).await;
    });
}

#[test]
fn an_ipv6_advert_arrives_with_hop_limit_destination_and_interface() {
    lab::run(|lab: Lab| async move {
        address(lab.near, "fe80::51", 64);
        let receiver = lab.on_far(|| Receiver::open(&spec(Family::V6, lab.far))).unwrap();
        lab.on_far(|| receiver.join(GROUP6, lab.far)).unwrap();
        let sender = Sender::open(Family::V6).unwrap();
        let advert = Outgoing {
            ifindex: Some(lab.near),
            source: ip("fe80::51"),
            destination: GROUP6,
            ttl: 254,
            protocol: PROTOCOL_VRRP,
            payload: ADVERT,
        };
        sender.send(&advert).unwrap();
        let mut buffer = [0; BUFFER_BYTES];
        let seen = next(&receiver, &mut buffer).await;
        assert_eq!((seen.source, seen.destination, seen.ttl), (advert.source, GROUP6, Some(254)));
        assert_eq!((seen.ifindex, seen.payload, seen.ip_header), (lab.far, ADVERT, None));
    });
}

async fn again_and_again(sender: &Sender, advert: &Outgoing<'_>) {
    loop {
        sender.send(advert).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn unicast_goes_by_the_routing_table_with_its_own_ttl() {
    lab::run(|lab: Lab| async move {
        address(lab.near, "192.0.2.1", 24);
        address(lab.near, "2001:db8::1", 64);
        lab.on_far(|| address(lab.far, "192.0.2.2", 24));
        lab.on_far(|| address(lab.far, "2001:db8::2", 64));
        for (from, to) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            let family = Family::of(&ip(from));
            let receiver = lab.on_far(|| Receiver::open(&ReceiverSpec { interface: None, ..spec(family, 0) })).unwrap();
            let sender = Sender::open(family).unwrap();
            let advert =
                Outgoing { ifindex: None, source: ip(from), destination: ip(to), ttl: 7, protocol: PROTOCOL_VRRP, payload: ADVERT };
            let mut buffer = [0; BUFFER_BYTES];
            let seen = tokio::select! {
                seen = next(&receiver, &mut buffer) => seen,
                // until the neighbour is resolved, packets may be lost
                () = again_and_again(&sender, &advert) => unreachable!(),
            };
            assert_eq!((seen.source, seen.destination, seen.ttl), (ip(from), ip(to), Some(7)));
            assert_eq!((seen.ifindex, seen.payload), (lab.far, ADVERT));
        }
    });
}

#[test]
fn our_own_multicast_does_not_come_back() {
    lab::run(|lab: Lab| async move {
        address(lab.near, "192.0.2.1", 24);
        address(lab.near, "fe80::51", 64);
        for (source, group) in [("192.0.2.1", GROUP4), ("fe80::51", GROUP6)] {
            let family = Family::of(&group);
            let far = lab.on_far(|| Receiver::open(&spec(family, lab.far))).unwrap();
            lab.on_far(|| {
                let source = if family == Family::V4 { "192.0.2.2" } else { "fe80::52" };
                address(lab.far, source, 24);
                far.join(group, lab.far).unwrap();
            });
            let own = Receiver::open(&ReceiverSpec { interface: None, ..spec(family, 0) }).unwrap();
            own.join(group, lab.near).unwrap();
            let sender = Sender::open(family).unwrap();
            let advert = Outgoing {
                ifindex: Some(lab.near),
                source: ip(source),
                destination: group,
                ttl: 255,
                protocol: PROTOCOL_VRRP,
                payload: ADVERT,
            };
            sender.send(&advert).unwrap();
            // Once the far host has it, ours would have it too.
            next(&far, &mut [0; BUFFER_BYTES]).await;
            nothing(&own).await;
        }
    });
}

#[test]
fn a_receiver_hears_only_the_groups_it_joined() {
    lab::run(|lab: Lab| async move {
        let deaf = lab.on_far(|| Receiver::open(&spec(Family::V4, lab.far))).unwrap();
        let other = lab.on_far(|| Receiver::open(&spec(Family::V4, lab.far))).unwrap();
        lab.on_far(|| {
            address(lab.far, "192.0.2.2", 24);
            other.join(GROUP4, lab.far).unwrap();
        });
        let sender = Sender::open(Family::V4).unwrap();
        let (source, ifindex) = (ip("192.0.2.1"), Some(lab.near));
        sender.send(&Outgoing { ifindex, source, destination: GROUP4, ttl: 255, protocol: PROTOCOL_VRRP, payload: ADVERT }).unwrap();
        next(&other, &mut [0; BUFFER_BYTES]).await;
        nothing(&deaf).await;
    });
}

#[test]
fn an_ipv6_source_need_not_be_on_this_machine() {
    lab::run(|lab: Lab| async move {
        let receiver = lab.on_far(|| Receiver::open(&spec(Family::V6, lab.far))).unwrap();
        lab.on_far(|| receiver.join(GROUP6, lab.far)).unwrap();
        let sender = Sender::open(Family::V6).unwrap();
        let source = ip("fe80::77");
        let advert = Outgoing { ifindex: Some(lab.near), source, destination: GROUP6, ttl: 255, protocol: PROTOCOL_VRRP, payload: ADVERT };
        sender.send(&advert).unwrap();
        let mut buffer = [0; BUFFER_BYTES];
        assert_eq!(next(&receiver, &mut buffer).await.source, source);
    });
}

#[test]
fn an_authentication_header_is_received_by_its_own_receiver() {
    lab::run(|lab: Lab| async move {
        let receiver = lab.on_far(|| Receiver::open(&ReceiverSpec { protocol: PROTOCOL_AH, ..spec(Family::V4, lab.far) })).unwrap();
        lab.on_far(|| {
            address(lab.far, "192.0.2.2", 24);
            receiver.join(GROUP4, lab.far).unwrap();
        });
        let advert = Outgoing {
            ifindex: Some(lab.near),
            source: ip("192.0.2.1"),
            destination: GROUP4,
            ttl: 255,
            protocol: PROTOCOL_AH,
            payload: ADVERT,
        };
        Sender::open(Family::V4).unwrap().send(&advert).unwrap();
        let mut buffer = [0; BUFFER_BYTES];
        let seen = next(&receiver, &mut buffer).await;
        assert_eq!((seen.protocol, seen.payload), (PROTOCOL_AH, ADVERT));
    });
}

#[test]
fn hundreds_of_adverts_wait_without_loss() {
    lab::run(|lab: Lab| async move {
        let receiver = lab.on_far(|| Receiver::open(&spec(Family::V4, lab.far))).unwrap();
        lab.on_far(|| {
            address(lab.far, "192.0.2.2", 24);
            receiver.join(GROUP4, lab.far).unwrap();
        });
        let sender = Sender::open(Family::V4).unwrap();
        let source = ip("192.0.2.1");
        let advert = Outgoing { ifindex: Some(lab.near), source, destination: GROUP4, ttl: 255, protocol: PROTOCOL_VRRP, payload: ADVERT };
        for _ in 0..1000 {
            sender.send(&advert).unwrap();
        }
        receiver.readable().await.unwrap();
        let mut seen = 0;
        while receiver.try_receive(&mut [0; BUFFER_BYTES]).unwrap().is_some() {
            seen += 1;
        }
        assert_eq!(seen, 1000);
    });
}

#[test]
fn ipv6_has_no_authentication_header_and_families_do_not_mix() {
    lab::run(|lab: Lab| async move {
        let sender = Sender::open(Family::V6).unwrap();
        let good = Outgoing {
            ifindex: Some(lab.near),
            source: ip("fe80::1"),
            destination: GROUP6,
            ttl: 255,
            protocol: PROTOCOL_AH,
            payload: ADVERT,
        };
        assert_eq!(sender.send(&good).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let mixed = Outgoing { source: ip("10.0.0.1"), protocol: PROTOCOL_VRRP, ..good };
        assert_eq!(sender.send(&mixed).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), length in 0usize..200) {
        for family in [Family::V4, Family::V6] {
            let taken = Taken { length, family, source: Some(Ipv6Addr::LOCALHOST), destination: None, hop_limit: None, ifindex: None };
            let _ = taken.understood(&bytes);
            let _ = taken.read(&bytes, PROTOCOL_VRRP, 1);
        }
    }
}
