//! Plain TCP.

use super::{address, prepare, within};
use crate::check::{Failure, Target};
use std::net::SocketAddr;
use tokio::net::{TcpSocket, TcpStream};

/// Connects, with everything that the target asks for.
pub(super) async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let to = address(target)?;
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(|error| Failure::Local(error.to_string()))?;
    prepare(&socket, target)?;
    within(target, socket.connect(to)).await.map_err(|failure| match failure {
        Failure::TimedOut(time) => Failure::NotConnected(time),
        Failure::Broken(text) => Failure::Connect(text),
        other => other,
    })
}
