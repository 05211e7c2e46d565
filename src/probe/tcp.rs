//! Plain TCP.

use super::{Bytes, address, carry, prepare, within};
use crate::check::{Dialogue, Failure, Step, Target};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpSocket, TcpStream};

/// Bytes read at once, on the stack and not in the waiting task.
const CHUNK: usize = 8192;

/// Connects, with everything that the target asks for.
pub(super) async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let to = address(target)?;
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(|error| Failure::Local(error.to_string()))?;
    prepare(&socket, target)?;
    within(target, socket.connect(to)).await
}

/// A whole conversation.
pub(super) async fn converse(target: &Target, dialogue: &mut impl Dialogue) -> Result<(), Failure> {
    let mut stream = connect(target).await?;
    carry(target, &mut stream, dialogue).await
}

impl Bytes for TcpStream {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn read_into(&mut self, target: &Target, dialogue: &mut impl Dialogue) -> Result<Step, Failure> {
        loop {
            within(target, self.readable()).await?;
            let mut chunk = [0; CHUNK];
            match self.try_read(&mut chunk) {
                Ok(0) => return Ok(dialogue.closed()),
                Ok(length) => return Ok(dialogue.received(chunk.get(..length).unwrap_or_default())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Failure::Connect(error.to_string())),
            }
        }
    }
}
