//! The two halves of a stream between processes. tokio's own stream is told each time the peer has read something, which
//! wakes both processes once more for every message; this one asks for room only when there was none.

use crate::sys::socket;
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, ReadBuf};

/// Reads what arrives.
#[derive(Debug)]
pub(super) struct Reader(AsyncFd<OwnedFd>);

/// Writes; the stream's sending half is shut when it is dropped.
#[derive(Debug)]
pub(super) struct Writer(OwnedFd);

/// Both halves. Must be called inside a tokio runtime.
pub(super) fn split(stream: UnixStream) -> io::Result<(Reader, Writer)> {
    stream.set_nonblocking(true)?;
    let fd = OwnedFd::from(stream);
    let sending = fd.try_clone()?;
    Ok((Reader(socket::watch(fd)?), Writer(sending)))
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let asked = room.len();
            match recv(ready.get_inner().as_raw_fd(), room, MsgFlags::MSG_DONTWAIT) {
                Ok(taken) => {
                    // Less than there was room for: nothing is left, and what comes now is told anew.
                    if 0 < taken && taken < asked {
                        ready.clear_ready();
                    }
                    buffer.advance(taken);
                    return Poll::Ready(Ok(()));
                }
                Err(nix::Error::EAGAIN) => ready.clear_ready(),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

impl Writer {
    /// Writes all of it, waiting for room where there is none.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
                Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                Err(nix::Error::EAGAIN) => self.room().await?,
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns when there may be room, or the peer is gone.
    async fn room(&self) -> io::Result<()> {
        let watched = socket::watch_for_room(self.0.as_fd().try_clone_to_owned()?)?;
        watched.writable().await?.retain_ready();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The reading half holds the same stream open.
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Write);
    }
}
