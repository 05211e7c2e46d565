//! Keeps a [`Mirror`] true: subscribes to the kernel's messages, dumps first and whenever messages were lost.

use super::OpenError;
use super::mirror::{Change, Mirror, Undecodable};
use super::wire::{Answer, Builder, Messages};
use crate::sys::socket;
use nix::sys::socket::SockProtocol;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `vrrp_netlink_monitor_rcv_bufs` when it is not written. Only a limit: memory is used while messages wait.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// No message of the groups below is longer: the kernel builds dumps in pieces of at most 32 KiB.
const DATAGRAM_BYTES: usize = 64 << 10;
/// Messages taken in before the caller sees the changes, so that a flood does not hold up adverts.
const BATCH: usize = 256;
/// A dump that takes longer has lost its end.
const DUMP_LIMIT: Duration = Duration::from_secs(10);
/// A dump that changes while it is read is read again, this many times; what then still differs comes as a message.
const DUMP_TRIES: usize = 5;

/// Why the kernel's messages cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ReflectorError {
    /// Opening.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Reading messages.
    #[error("cannot read the kernel's link and address messages: {0}")]
    Read(#[source] io::Error),
    /// Asking for everything.
    #[error("cannot list links and addresses: {0}")]
    Dump(#[source] io::Error),
    /// The end of the list did not come.
    #[error("the kernel's list of links and addresses did not end within {} s", DUMP_LIMIT.as_secs())]
    DumpTime,
}

/// The subscription.
///
/// The socket is read directly, not through rtnetlink's connection task: a mass failover is thousands of messages, and each
/// would be decoded in full, attribute by attribute, boxed and queued, to be looked at for four of them; and one attribute
/// of a newer kernel that the crate cannot decode would hide its whole message.
#[derive(Debug)]
pub struct Reflector {
    fd: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
    /// Messages were lost, and the mirror is not yet true again.
    lost: bool,
    /// The list that was read after a loss, for [`Reflector::take_in`].
    fresh: Option<Mirror>,
    told_undecodable: bool,
}

impl Reflector {
    /// Subscribes, then dumps: the mirror is complete. `buffer` is the receive buffer in bytes. Must be called inside a tokio
    /// runtime with I/O and time enabled.
    pub async fn open(buffer: Option<u32>) -> Result<(Self, Mirror), ReflectorError> {
        let fail = OpenError::of("a netlink socket for link and address messages");
        let fd = socket::netlink(SockProtocol::NetlinkRoute).map_err(&fail)?;
        socket::set_receive_buffer(&fd, buffer.map_or(RECEIVE_BUFFER_BYTES, |bytes| bytes as usize)).map_err(&fail)?;
        for group in [libc::RTNLGRP_LINK, libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR] {
            let group = libc::c_int::try_from(group).unwrap_or(0);
            socket::set_int(fd.as_fd(), libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group).map_err(&fail)?;
        }
        let fd = socket::watch(fd).map_err(&fail)?;
        let mut reflector = Self { fd, buffer: vec![0; DATAGRAM_BYTES], lost: false, fresh: None, told_undecodable: false };
        let mirror = reflector.dump().await?;
        Ok((reflector, mirror))
    }

    /// Waits for messages and takes them into the mirror; at least one change, at most a few hundred at a time. Cancel safe:
    /// a change is either returned or not yet read.
    pub async fn next(&mut self, mirror: &mut Mirror) -> Result<Vec<Change>, ReflectorError> {
        loop {
            self.wait().await?;
            let changes = self.take_in(mirror)?;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    /// Waits until [`Reflector::take_in`] has something to take. Apart from it, so that a mirror which others look at need
    /// not be held meanwhile.
    pub async fn wait(&mut self) -> Result<(), ReflectorError> {
        if self.lost && self.fresh.is_none() {
            self.fresh = Some(self.dump().await?);
        }
        if self.fresh.is_none() {
            self.fd.readable().await.map_err(ReflectorError::Read)?.retain_ready();
        }
        Ok(())
    }

    /// Takes what waits into the mirror, without waiting: a few hundred messages at most, or the fresh list after a loss.
    pub fn take_in(&mut self, mirror: &mut Mirror) -> Result<Vec<Change>, ReflectorError> {
        if let Some(fresh) = self.fresh.take() {
            self.lost = false;
            let mut changes = mirror.replace(fresh);
            changes.push(Change::PathsUnknown);
            return Ok(changes);
        }
        let mut changes = Vec::new();
        for _ in 0..BATCH {
            match self.receive() {
                Ok(Some(length)) => {
                    for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                        if let Err(error) = mirror.apply(&message, &mut changes) {
                            note(&mut self.told_undecodable, error);
                        }
                    }
                }
                Ok(None) => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    tracing::warn!(
                        "Netlink: Receive buffer overrun on monitor socket - (No buffer space available); links and addresses are read afresh"
                    );
                    self.lost = true;
                    // What still waits is older than the dump to come, and would undo it.
                    self.discard()?;
                    break;
                }
                Err(error) => return Err(ReflectorError::Read(error)),
            }
        }
        Ok(changes)
    }

    /// One datagram into the buffer; `None` when there is none. A datagram that did not come from the kernel has length 0.
    fn receive(&mut self) -> io::Result<Option<usize>> {
        let buffer = &mut self.buffer;
        match self.fd.try_io(Interest::READABLE, |fd| socket::netlink_receive(fd, buffer)) {
            Ok(length) => Ok(Some(length.unwrap_or(0))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Empties the queue, which also ends the kernel's congestion of it.
    fn discard(&mut self) -> Result<(), ReflectorError> {
        loop {
            match self.receive() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(ReflectorError::Read(error)),
            }
        }
    }

    /// The other end of the subscription, for whoever decides what it covers.
    pub fn subscription(&self) -> io::Result<Subscription> {
        Ok(Subscription { fd: self.fd.get_ref().try_clone()?, routes: false })
    }

    async fn dump(&mut self) -> Result<Mirror, ReflectorError> {
        tokio::time::timeout(DUMP_LIMIT, self.dump_untimed()).await.map_err(|_| ReflectorError::DumpTime)?
    }

    async fn dump_untimed(&mut self) -> Result<Mirror, ReflectorError> {
        let mut tries = DUMP_TRIES;
        loop {
            tries -= 1;
            let mut mirror = Mirror::default();
            // A socket of its own, which no notification can crowd out.
            let fail = OpenError::of("a netlink socket to list links and addresses");
            let fd = socket::netlink(SockProtocol::NetlinkRoute).and_then(socket::watch).map_err(fail)?;
            // Links first: an address without its link has no place.
            let links = self.dump_kind(&fd, libc::RTM_GETLINK, &mut mirror).await.map_err(ReflectorError::Dump)?;
            let addresses = self.dump_kind(&fd, libc::RTM_GETADDR, &mut mirror).await.map_err(ReflectorError::Dump)?;
            if links && addresses || tries == 0 {
                return Ok(mirror);
            }
        }
    }

    /// Takes one list into the mirror; `false` when it changed while it was read (NLM_F_DUMP_INTR).
    async fn dump_kind(&mut self, fd: &AsyncFd<OwnedFd>, kind: u16, mirror: &mut Mirror) -> io::Result<bool> {
        socket::netlink_send(fd.get_ref(), &dump_request(kind))?;
        let mut consistent = true;
        let mut changes = Vec::new();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            // Each turn waits for the runtime, so that adverts go out between the pieces of a long list.
            let length = fd.async_io(Interest::READABLE, |fd| socket::netlink_receive(fd, &mut buffer)).await?;
            for message in Messages(buffer.get(..length.unwrap_or(0)).unwrap_or_default()) {
                consistent &= message.flags & libc::NLM_F_DUMP_INTR as u16 == 0;
                if i32::from(message.kind) == libc::NLMSG_DONE {
                    return Ok(consistent);
                }
                if let Some(answer) = Answer::of(&message) {
                    return Err(io::Error::from_raw_os_error(answer.code));
                }
                if let Err(error) = mirror.apply(&message, &mut changes) {
                    note(&mut self.told_undecodable, error);
                }
            }
            changes.clear();
        }
    }
}

/// What a [`Reflector`] is told of beyond links and addresses.
#[derive(Debug)]
pub struct Subscription {
    fd: OwnedFd,
    routes: bool,
}

impl Subscription {
    /// From now on also routes and rules. A router with a full table of the Internet has many changes of no interest to us, so
    /// this is for those who have routes of their own.
    pub fn follow_routes(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.routes, true) {
            return Ok(());
        }
        for group in [libc::RTNLGRP_IPV4_ROUTE, libc::RTNLGRP_IPV6_ROUTE, libc::RTNLGRP_IPV4_RULE, libc::RTNLGRP_IPV6_RULE] {
            let group = libc::c_int::try_from(group).unwrap_or(0);
            socket::set_int(self.fd.as_fd(), libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group)?;
        }
        Ok(())
    }
}

fn dump_request(kind: u16) -> Vec<u8> {
    const IFLA_EXT_MASK: u16 = 29;
    const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
    let mut request = Builder::default();
    let link = kind == libc::RTM_GETLINK;
    // ifinfomsg or ifaddrmsg, any family, any interface.
    let fixed: &[u8] = if link { &[0; 16] } else { &[0; 8] };
    request.message(kind, libc::NLM_F_DUMP as u16, 1, fixed, |m| {
        if link {
            m.attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        }
    });
    request.bytes().to_vec()
}

fn note(told: &mut bool, error: Undecodable) {
    if !std::mem::replace(told, true) {
        tracing::warn!("Netlink: {error}; it is passed over, as are others like it");
    }
}

#[cfg(test)]
#[path = "reflector_tests.rs"]
mod tests;
