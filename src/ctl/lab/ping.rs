//! A client that asks whether an address answers: once, or all the time and how long it did not.

use super::host::lock;
use super::{Host, Result, Trouble, now};
use crate::types::Instant;
use nix::poll::{PollFd, PollFlags, ppoll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Every pinger of the process has an identifier of its own: hosts do not share sockets, but a host may have several.
static IDENTIFIER: AtomicU16 = AtomicU16::new(1);

/// An ICMP echo socket on a host towards one address.
#[derive(Debug)]
pub struct Pinger {
    socket: Socket,
    target: IpAddr,
    identifier: u16,
    sequence: u16,
}

impl Pinger {
    /// On `host`, towards `target`.
    pub fn open(host: &Host, target: impl Into<IpAddr>) -> Result<Self> {
        let target = target.into();
        let open = move || -> io::Result<Socket> {
            if target.is_ipv4() {
                Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))
            } else {
                Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))
            }
        };
        let socket = host.run(open)?.trouble("open an ICMP socket")?;
        Ok(Self { socket, target, identifier: IDENTIFIER.fetch_add(1, Ordering::Relaxed), sequence: 0 })
    }

    /// One echo request; whether its reply came within `limit`.
    pub fn answers(&mut self, limit: Duration) -> bool {
        self.sequence = self.sequence.wrapping_add(1);
        self.ask().is_ok() && self.reply(now() + limit)
    }

    fn ask(&self) -> io::Result<()> {
        let [i, j] = self.identifier.to_be_bytes();
        let [s, t] = self.sequence.to_be_bytes();
        // The kernel fills in the ICMPv6 checksum only.
        let kind = if self.target.is_ipv4() { 8 } else { 128 };
        let sum = checksum(&[u16::from(kind) << 8, self.identifier, self.sequence]).to_be_bytes();
        self.socket.send_to(&[kind, 0, sum[0], sum[1], i, j, s, t], &SockAddr::from(SocketAddr::new(self.target, 0))).map(drop)
    }

    fn reply(&mut self, end: Instant) -> bool {
        let mut buffer = [0; 2048];
        while self.is_readable(end.since(now())) {
            match self.socket.read(&mut buffer) {
                Ok(length) if self.is_reply(buffer.get(..length).unwrap_or_default()) => return true,
                // Another's answer; or an error that came in (a host that cannot be reached): told once, and taken by this.
                Ok(_) | Err(_) => {}
            }
        }
        false
    }

    /// Waits for something to read. Exact, where SO_RCVTIMEO waits whole ticks; and what is already there counts, even
    /// when this thread was kept from looking in time.
    fn is_readable(&self, limit: Duration) -> bool {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        matches!(ppoll(&mut sockets, Some(limit.into()), None), Ok(ready) if ready > 0)
    }

    fn is_reply(&self, packet: &[u8]) -> bool {
        let (icmp, kind) = if self.target.is_ipv4() {
            (packet.first().and_then(|first| packet.get(usize::from(first & 15) * 4..)), 0)
        } else {
            (Some(packet), 129)
        };
        let Some(&[k, _, _, _, i, j, s, t]) = icmp.and_then(<[u8]>::first_chunk::<8>) else { return false };
        k == kind && u16::from_be_bytes([i, j]) == self.identifier && u16::from_be_bytes([s, t]) == self.sequence
    }
}

fn checksum(words: &[u16]) -> u16 {
    let mut sum: u32 = words.iter().map(|word| u32::from(*word)).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// One question of a [`PingWatch`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Echo {
    /// When it was asked.
    pub asked: Instant,
    /// When it was known whether it was answered.
    pub known: Instant,
    /// Whether it was.
    pub answered: bool,
}

/// Asks at a steady rhythm and keeps every answer.
#[derive(Debug)]
pub struct PingWatch {
    echoes: Arc<Mutex<Vec<Echo>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PingWatch {
    /// From `host` towards `target`, once every `period`, which is also how long an answer may take.
    pub fn start(host: &Host, target: impl Into<IpAddr>, period: Duration) -> Result<Self> {
        let mut pinger = Pinger::open(host, target)?;
        let (echoes, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (Arc::clone(&echoes), Arc::clone(&stop));
        let body = move || {
            while !until.load(Ordering::Relaxed) {
                let asked = now();
                let answered = pinger.answers(period);
                lock(&into).push(Echo { asked, known: now(), answered });
                thread::sleep((asked + period).since(now()));
            }
        };
        let thread = thread::Builder::new().name("ping".to_owned()).spawn(body).trouble("start a thread")?;
        Ok(Self { echoes, stop, thread: Some(thread) })
    }

    /// Every question so far.
    pub fn echoes(&self) -> Vec<Echo> {
        lock(&self.echoes).clone()
    }

    /// The longest time without an answer since `from`: from the last answered question to the first answer after it
    /// (to now, when none came yet); zero when every question was answered.
    pub fn longest_outage(&self, from: Instant) -> Duration {
        let (mut longest, mut last_good, mut lost) = (Duration::ZERO, from, false);
        for echo in self.echoes().into_iter().filter(|echo| echo.asked >= from) {
            if echo.answered {
                if lost {
                    longest = longest.max(echo.known.since(last_good));
                }
                (last_good, lost) = (echo.asked, false);
            } else {
                lost = true;
            }
        }
        if lost { longest.max(now().since(last_good)) } else { longest }
    }
}

impl Drop for PingWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
