//! `PING_CHECK`: one echo, on a raw socket (with CAP_NET_RAW), which hears every answer and takes its own.

use super::{address, prepare, within};
use crate::check::{Failure, Target};
use crate::types::Sum;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use tokio::net::UdpSocket;

/// A number that a stranger cannot foresee, for identifiers.
pub(super) fn random() -> u16 {
    let bits = RandomState::new().hash_one(0_u8);
    u16::try_from(bits & 0xffff).unwrap_or(0)
}

/// One echo within the target's time.
pub(super) async fn ping(target: &Target) -> Result<(), Failure> {
    let local = |error: io::Error| Failure::Local(error.to_string());
    let to = address(target)?;
    let (domain, protocol) = match to.ip() {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(protocol)).map_err(local)?;
    prepare(&socket, target)?;
    let mut to: std::net::SocketAddr = to;
    to.set_port(0);
    socket.connect(&SockAddr::from(to)).map_err(|error| Failure::Connect(error.to_string()))?;
    let (id, seq) = (random(), random());
    // tokio's UDP socket only reads and writes datagrams: it does the same on a raw one.
    let socket = UdpSocket::from_std(socket.into()).map_err(local)?;
    socket.send(&request(to.is_ipv6(), id, seq)).await.map_err(|error| Failure::Connect(error.to_string()))?;
    let hear = async {
        loop {
            super::udp::readable(&socket).await?;
            let mut answer = [0; 1500];
            match socket.try_recv(&mut answer) {
                Ok(length) if is_answer(to.is_ipv6(), answer.get(..length).unwrap_or_default(), id, seq) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    };
    within(target, hear).await
}

/// An echo request (RFC 792, RFC 4443); the kernel fills in the checksum of ICMPv6.
fn request(six: bool, id: u16, seq: u16) -> Vec<u8> {
    let mut bytes = vec![if six { 128 } else { 8 }, 0, 0, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(b"keepalived check - keepalived ch");
    if !six {
        let sum = Sum::default().with(&bytes).finish().to_be_bytes();
        for (to, from) in bytes.iter_mut().skip(2).zip(sum) {
            *to = from;
        }
    }
    bytes
}

/// A raw IPv4 socket hears the IP header too.
fn is_answer(six: bool, bytes: &[u8], id: u16, seq: u16) -> bool {
    let skip = if six { 0 } else { bytes.first().map_or(0, |first| usize::from(first & 0xf) * 4) };
    let wanted = [id.to_be_bytes(), seq.to_be_bytes()].concat();
    bytes.get(skip) == Some(if six { &129 } else { &0 }) && bytes.get(skip + 4..skip + 8) == Some(wanted.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_our_own_echo_counts() {
        let mut answer = vec![0x45; 20];
        answer.extend([0, 0, 0, 0, 0x12, 0x34, 0, 7]);
        assert!(is_answer(false, &answer, 0x1234, 7));
        assert!(!is_answer(false, &answer, 0x1234, 8));
        assert!(!is_answer(false, &answer[..20], 0x1234, 7));
        assert!(is_answer(true, &[129, 0, 0, 0, 0x12, 0x34, 0, 7], 0x1234, 7));
        assert!(!is_answer(true, &[128, 0, 0, 0, 0x12, 0x34, 0, 7], 0x1234, 7), "our own request on loopback");
    }

    #[test]
    fn a_request_sums_to_nothing() {
        assert_eq!(Sum::default().with(&request(false, 1, 2)).finish(), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_packet_panics(bytes: Vec<u8>, six: bool) {
            is_answer(six, &bytes, 1, 2);
        }
    }
}
