//! Standard error, in the form that `keepalived -n -l` prints: `Sat Nov 21 06:24:11 2026: (VI_1) Entering MASTER STATE`.

use super::queue::Device;
use super::record::Record;
use crate::sys::calendar::Local;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The daemon's standard error. The file description is shared with whoever started us, so it is not made non-blocking:
/// a pipe or terminal is opened anew, a socket is asked message by message, and a file never makes anybody wait.
pub(super) enum Console {
    Own(OwnedFd),
    Socket,
    Shared,
}

impl Console {
    pub(super) fn new() -> Self {
        let kind = fstat(io::stderr()).map_or(SFlag::empty(), |stat| SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()));
        if kind == SFlag::S_IFSOCK {
            Self::Socket
        } else if kind == SFlag::S_IFIFO || kind == SFlag::S_IFCHR {
            let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            open("/proc/self/fd/2", flags, Mode::empty()).map_or(Self::Shared, Self::Own)
        } else {
            Self::Shared
        }
    }
}

impl Device for Console {
    fn render(&self, record: &Record) -> Vec<u8> {
        format!("{}: {}\n", Local::now().ctime(), record.message).into_bytes()
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match self {
            Self::Own(fd) => nix::unistd::write(fd, bytes),
            Self::Socket => send(io::stderr().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
            Self::Shared => {
                if !has_room() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                nix::unistd::write(io::stderr(), bytes)
            }
        };
        taken.map_err(io::Error::from)
    }
}

/// Whether a write of up to PIPE_BUF bytes would not block.
fn has_room() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(count) if count > 0)
}
