//! One conversation over plain TCP: it goes on by what its socket is ready for, and never waits.

use super::{Outcome, Probe, address, prepare, total};
use crate::check::http::Http;
use crate::check::patience::Patience;
use crate::check::smtp::Smtp;
use crate::check::tcp::Tcp;
use crate::check::{Dialogue, Failure, Step};
use crate::types::Instant;
use nix::sys::epoll::EpollFlags;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Reads at one turn: a peer that sends without end must not keep the others waiting.
const READS: usize = 8;

/// What is said.
#[derive(Debug)]
pub(super) enum Talk {
    /// Nothing.
    Tcp(Tcp),
    /// A page.
    Http(Http),
    /// A greeting.
    Smtp(Smtp),
}

impl Talk {
    fn dialogue(&mut self) -> &mut dyn Dialogue {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Http(http) => http,
            Self::Smtp(smtp) => smtp,
        }
    }
}

/// Where it stands.
#[derive(Debug)]
pub(super) struct Flow {
    probe: Arc<Probe>,
    talk: Talk,
    stream: TcpStream,
    connected: bool,
    /// What the socket had no room for.
    unsent: Vec<u8>,
    /// For the connection, and then for each answer.
    step: Patience,
    /// For all of it.
    whole: Patience,
}

/// What a turn came to.
#[derive(Debug)]
pub(super) enum Turn {
    /// It waits for its socket.
    Waits,
    /// There may be more to read at once.
    Hungry,
    /// It is decided.
    Over(Outcome),
}

impl Flow {
    /// Sends the first packet, with everything that the target asks for.
    pub(super) fn begin(now: Instant, probe: &Arc<Probe>, talk: Talk) -> Result<Self, Failure> {
        let target = &probe.checker.target;
        let local = |error: io::Error| Failure::Local(error.to_string());
        let to = address(target)?;
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None).map_err(local)?;
        prepare(&socket, target)?;
        match socket.connect(&SockAddr::from(to)) {
            Ok(()) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::EINPROGRESS | libc::EINTR) => {}
                // No port, no memory: ours to answer for.
                Some(libc::EADDRNOTAVAIL | libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => return Err(local(error)),
                _ => return Err(Failure::Connect(error.to_string())),
            },
        }
        Ok(Self {
            stream: socket.into(),
            talk,
            connected: false,
            unsent: Vec::new(),
            step: Patience::new(now, target.connect_timeout),
            whole: Patience::new(now, total(&probe.checker)),
            probe: probe.clone(),
        })
    }

    /// Its socket.
    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// When it must be looked at, whatever its socket says.
    pub(super) fn due(&self) -> Instant {
        self.step.due().min(self.whole.due())
    }

    /// Its deadline was heard of: why it is over, when it is.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Outcome> {
        let timeout = self.probe.checker.target.connect_timeout;
        let failure = if self.step.due() <= now && self.step.is_over(now) {
            if self.connected { Failure::TimedOut(timeout) } else { Failure::NotConnected(timeout) }
        } else if self.whole.due() <= now && self.whole.is_over(now) {
            Failure::TooSlow(total(&self.probe.checker))
        } else {
            return None;
        };
        Some(self.outcome(Err(failure)))
    }

    /// Goes on.
    pub(super) fn go_on(&mut self, now: Instant, ready: EpollFlags, buffer: &mut [u8]) -> Turn {
        match self.talks(now, ready, buffer) {
            Ok(turn) => turn,
            Err(failure) => Turn::Over(self.outcome(Err(failure))),
        }
    }

    fn talks(&mut self, now: Instant, ready: EpollFlags, buffer: &mut [u8]) -> Result<Turn, Failure> {
        if !self.connected {
            if ready.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP)
                && let Some(error) = self.refusal()
            {
                return Err(Failure::Connect(error.to_string()));
            }
            if !ready.contains(EpollFlags::EPOLLOUT) {
                return Ok(Turn::Waits);
            }
            self.connected = true;
            let step = self.talk.dialogue().connected();
            if let Some(result) = self.take(now, step)? {
                return Ok(Turn::Over(self.outcome(result)));
            }
        }
        if !self.unsent.is_empty() && ready.contains(EpollFlags::EPOLLOUT) {
            let unsent = std::mem::take(&mut self.unsent);
            self.send(now, unsent)?;
        }
        if ready.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            return self.listen(now, buffer);
        }
        Ok(Turn::Waits)
    }

    /// Why there is no connection.
    fn refusal(&self) -> Option<io::Error> {
        SockRef::from(&self.stream).take_error().unwrap_or_else(Some)
    }

    fn listen(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Turn, Failure> {
        for _ in 0..READS {
            let step = match self.stream.read(buffer) {
                Ok(0) => self.talk.dialogue().closed(),
                Ok(length) => self.talk.dialogue().received(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Waits),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Broken(error.to_string())),
            };
            if let Some(result) = self.take(now, step)? {
                return Ok(Turn::Over(self.outcome(result)));
            }
        }
        Ok(Turn::Hungry)
    }

    /// Takes a step of the dialogue: the result, when it is the last.
    fn take(&mut self, now: Instant, step: Step) -> Result<Option<Result<(), Failure>>, Failure> {
        self.step = Patience::new(now, self.probe.checker.target.connect_timeout);
        match step {
            Step::Done(result) => return Ok(Some(result)),
            Step::Send(bytes) => self.send(now, bytes)?,
            Step::Read => {}
        }
        Ok(None)
    }

    fn send(&mut self, now: Instant, mut bytes: Vec<u8>) -> Result<(), Failure> {
        if !self.unsent.is_empty() {
            self.unsent.append(&mut bytes);
            return Ok(());
        }
        match self.stream.write(&bytes) {
            Ok(length) => {
                self.step = Patience::new(now, self.probe.checker.target.connect_timeout);
                bytes.drain(..length);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(Failure::Broken(error.to_string())),
        }
        // The socket will say when there is room.
        self.unsent = bytes;
        Ok(())
    }

    fn outcome(&self, result: Result<(), Failure>) -> Outcome {
        let odd_length = match &self.talk {
            Talk::Http(http) => http.odd_length(),
            Talk::Tcp(_) | Talk::Smtp(_) => None,
        };
        Outcome { odd_length, ..Outcome::new(result) }
    }
}
