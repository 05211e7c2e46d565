//! nftables, by netlink: shuts virtual addresses that are not to answer, keeps VMACs quiet, marks what is for a group of virtual servers.

mod codec;
pub mod marks;
mod shut;

pub use crate::types::Firewall;
pub use shut::{Nft, Quiet, Shut};

use self::codec::Batch;
use crate::net::wire::{Answer, Messages};
use crate::sys::socket;
use crate::types::Family;
use nix::sys::socket::{SockProtocol, setsockopt, sockopt};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A transaction is one datagram; this many bytes hold over 100,000 addresses. Only a limit.
const SEND_BUFFER_BYTES: usize = 8 << 20;
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Why the firewall could not be changed. Nothing of the transaction was done.
#[derive(Debug, thiserror::Error)]
#[error("nftables: cannot {what}: {source}{}{}", text.as_ref().map_or(String::new(), |text| format!(" ({text})")), cure(source))]
pub struct NftError {
    what: &'static str,
    source: io::Error,
    text: Option<String>,
}

impl NftError {
    fn new(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self { what, source, text: None }
    }

    fn is(&self, code: i32) -> bool {
        self.source.raw_os_error() == Some(code)
    }
}

fn cure(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "; it needs CAP_NET_ADMIN",
        Some(libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENOENT | libc::EAFNOSUPPORT) => {
            "; the kernel has no nf_tables for this: load it (modprobe nf_tables), or do without vrrp_strict, no_accept and nftables_ipvs"
        }
        _ => "",
    }
}

/// A way to the firewall of the network namespace in which it was opened: whoever is elsewhere may still go it.
#[derive(Clone, Debug)]
pub struct Way(Arc<OwnedFd>);

impl Way {
    /// Opens one in the current network namespace.
    ///
    /// # Errors
    /// There is no such socket.
    pub fn open() -> Result<Self, NftError> {
        let fail = NftError::new("open a netlink socket");
        let fd = socket::netlink(SockProtocol::NetlinkNetFilter).map_err(&fail)?;
        socket::set_receive_buffer(&fd, RECEIVE_BUFFER_BYTES).map_err(&fail)?;
        // Without CAP_NET_ADMIN nothing below works either, and says so.
        let _ = setsockopt(&fd, sockopt::SndBufForce, &SEND_BUFFER_BYTES);
        Ok(Self(Arc::new(fd)))
    }
}

/// The socket, one transaction after the other.
#[derive(Debug)]
struct Talk {
    way: Way,
    sequence: u32,
}

impl Talk {
    fn open() -> Result<Self, NftError> {
        Ok(Self::over(Way::open()?))
    }

    const fn over(way: Way) -> Self {
        Self { way, sequence: 0 }
    }

    /// A transaction on a family's table, yet to be filled.
    fn begin<'s>(&self, family: Family, settings: &'s Firewall) -> Batch<'s> {
        Batch::new(family, settings, self.sequence)
    }

    /// Whether the kernel has a table of this name. A transaction that finds nothing to delete would do as well, but waits for
    /// a grace period of the kernel (10 ms and more), and that at every start. A kernel without nf_tables has none.
    fn has_table(&mut self, family: Family, settings: &Firewall) -> Result<bool, NftError> {
        match self.commit(codec::question(family, settings, self.sequence), "look for the table") {
            Ok(()) => Ok(true),
            Err(error) if error.is(libc::EPERM) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Removes a family's table with all that is in it; none is fine.
    fn remove_table(&mut self, family: Family, settings: &Firewall) -> Result<(), NftError> {
        let mut batch = self.begin(family, settings);
        batch.delete_table();
        match self.commit(batch.finish(), "remove the table") {
            Err(error) if !error.is(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a transaction (or a question); the kernel does all of it or nothing, inside the call.
    fn commit(&mut self, (bytes, last): (Vec<u8>, u32), what: &'static str) -> Result<(), NftError> {
        // The end mark has a number too.
        self.sequence = last.wrapping_add(2);
        socket::netlink_send(&self.way.0, &bytes).map_err(NftError::new(what))?;
        self.outcome(what, last)
    }

    /// Reads all answers: the first refusal, or the acknowledgement of the last order.
    fn outcome(&self, what: &'static str, last: u32) -> Result<(), NftError> {
        let mut buffer = [0; 8192];
        let mut refusal = None;
        let mut acknowledged = false;
        loop {
            let length = match socket::netlink_receive(&self.way.0, &mut buffer) {
                Ok(length) => length.unwrap_or(0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NftError::new(what)(error)),
            };
            for answer in Messages(buffer.get(..length).unwrap_or_default()).filter_map(|message| Answer::of(&message)) {
                acknowledged |= answer.sequence == last && answer.code == 0;
                if answer.code != 0 && refusal.is_none() {
                    refusal = Some(NftError { what, source: io::Error::from_raw_os_error(answer.code), text: answer.text });
                }
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if acknowledged => Ok(()),
            None => Err(NftError::new(what)(io::Error::other("no answer from the kernel"))),
        }
    }
}
