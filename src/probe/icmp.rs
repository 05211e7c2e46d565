//! `PING_CHECK`: one echo, on a raw socket (with CAP_NET_RAW), which hears every answer and takes its own.

use super::{address, in_time, prepare};
use crate::check::ping::{is_answer, request};
use crate::check::{Failure, Target};
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
    match in_time(target.connect_timeout, hear).await {
        Some(heard) => heard.map_err(|error: io::Error| Failure::Connect(error.to_string())),
        None => Err(Failure::TimedOut(target.connect_timeout)),
    }
}
