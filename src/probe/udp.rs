//! UDP: a datagram out, at most one that counts back. Connected sockets, so that an ICMP error comes back as an error.

use super::{address, in_time, prepare};
use crate::check::{Failure, Target, dns, udp};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What the original sends when no payload is configured.
const PAYLOAD: &[u8] = b"keepalived check - keepalived ch";

/// No datagram is longer: `max_reply_length` may say as much.
const DATAGRAM_BYTES: usize = 65_536;

fn open(target: &Target) -> Result<UdpSocket, Failure> {
    let local = |error: io::Error| Failure::Local(error.to_string());
    let to = address(target)?;
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::DGRAM.nonblocking(), None).map_err(local)?;
    prepare(&socket, target)?;
    match to {
        SocketAddr::V4(_) | SocketAddr::V6(_) => socket.connect(&to.into()).map_err(|error| Failure::Connect(error.to_string()))?,
    }
    UdpSocket::from_std(socket.into()).map_err(local)
}

/// Waits for a datagram, or for the ICMP error that the kernel noted on the socket.
pub(super) async fn readable(socket: &UdpSocket) -> io::Result<()> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        if ready.is_error() {
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            // Forget it: it was no error of ours.
            let _ = socket.try_io(Interest::ERROR, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        if ready.is_readable() {
            return Ok(());
        }
    }
}

/// Reads until `judge` knows, or the time is up (`None`).
async fn listen(
    socket: &UdpSocket,
    time: Duration,
    mut judge: impl FnMut(&[u8]) -> Option<Result<(), Failure>>,
) -> Option<Result<(), Failure>> {
    let hear = async {
        loop {
            readable(socket).await?;
            let mut datagram = vec![0; DATAGRAM_BYTES];
            match socket.try_recv(&mut datagram) {
                Ok(length) => {
                    if let Some(verdict) = judge(datagram.get(..length).unwrap_or_default()) {
                        return Ok(verdict);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    };
    in_time(time, hear).await.map(|heard: io::Result<_>| heard.unwrap_or_else(|error| Err(Failure::Connect(error.to_string()))))
}

/// `UDP_CHECK`.
pub(super) async fn exchange(target: &Target, settings: &udp::Settings) -> Result<(), Failure> {
    let socket = open(target)?;
    let payload = if settings.payload.is_empty() { PAYLOAD } else { &settings.payload };
    socket.send(payload).await.map_err(|error| Failure::Connect(error.to_string()))?;
    match listen(&socket, target.connect_timeout, |datagram| Some(udp::judge(settings, datagram))).await {
        Some(verdict) => verdict,
        None if settings.reply.is_some() => Err(Failure::TimedOut(target.connect_timeout)),
        None => Ok(()),
    }
}

/// `DNS_CHECK`.
pub(super) async fn resolve(target: &Target, settings: &dns::Settings) -> Result<(), Failure> {
    let socket = open(target)?;
    let id = super::icmp::random();
    socket.send(&dns::question(settings, id)).await.map_err(|error| Failure::Connect(error.to_string()))?;
    listen(&socket, target.connect_timeout, |datagram| dns::judge(id, datagram))
        .await
        .unwrap_or(Err(Failure::TimedOut(target.connect_timeout)))
}
