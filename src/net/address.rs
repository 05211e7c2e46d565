//! The address keeper's hands: adds and deletes addresses, many a system call.

use super::OpenError;
use super::mirror::AddressKey;
use super::wire::{Answer, Builder, Messages};
use crate::sys::socket;
use crate::types::{Family, IpPrefix};
use crate::vrrp::settings::VirtualAddress;
use nix::sys::socket::SockProtocol;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// IFA_PROTO of every address that we add: 18 is keepalived's (`/etc/iproute2/rt_protos`). What carries it is ours to remove.
pub const PROTOCOL_KEEPALIVED: u8 = 18;

pub(super) const IFA_ADDRESS: u16 = 1;
pub(super) const IFA_LOCAL: u16 = 2;
pub(super) const IFA_LABEL: u16 = 3;
pub(super) const IFA_BROADCAST: u16 = 4;
pub(super) const IFA_CACHEINFO: u16 = 6;
pub(super) const IFA_FLAGS: u16 = 8;
pub(super) const IFA_PROTO: u16 = 11;
/// Room for a batch's errors at worst: each answer costs the receive buffer under 1 KiB, and [`BATCH`] of them come at once.
const RECEIVE_BUFFER_BYTES: usize = 512 << 10;
/// Requests in one system call: enough to make the call's own cost vanish, few enough that adverts in between are not late.
const BATCH: usize = 128;
const INFINITE: u32 = u32::MAX;

/// An address as the kernel shall have it (ip-address(8)).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KernelAddress {
    /// Interface.
    pub ifindex: u32,
    /// Address and prefix length; with a `peer` the length is the peer's.
    pub prefix: IpPrefix,
    /// Other end of a point-to-point link.
    pub peer: Option<IpPrefix>,
    /// Broadcast address (IPv4).
    pub broadcast: Option<IpAddr>,
    /// Label (IPv4), e.g. `eth0:1`.
    pub label: Option<String>,
    /// RT_SCOPE_*; the kernel works it out itself for IPv6.
    pub scope: u8,
    /// IFA_F_*.
    pub flags: u32,
    /// Seconds until deprecated; for ever when absent.
    pub preferred_lifetime: Option<u32>,
    /// IFA_PROTO (Linux 5.18; older kernels pass over it, as over any attribute they do not know).
    pub proto: Option<u8>,
}

impl KernelAddress {
    /// A configured address on the interface with this index, marked as ours.
    pub fn from(address: &VirtualAddress, ifindex: u32) -> Self {
        let v4 = address.prefix.family() == Family::V4;
        Self {
            ifindex,
            prefix: address.prefix,
            peer: address.peer,
            broadcast: address.broadcast.filter(|_| v4),
            label: address.label.clone().filter(|_| v4),
            scope: address.scope,
            flags: address.flags,
            preferred_lifetime: address.preferred_lifetime,
            proto: Some(PROTOCOL_KEEPALIVED),
        }
    }

    /// Only what the kernel needs to find it again.
    pub fn bare(ifindex: u32, prefix: IpPrefix, peer: Option<IpPrefix>) -> Self {
        Self { ifindex, prefix, peer, broadcast: None, label: None, scope: 0, flags: 0, preferred_lifetime: None, proto: None }
    }

    /// What the mirror finds it by.
    pub fn key(&self) -> AddressKey {
        let length = self.peer.unwrap_or(self.prefix).length();
        let prefix = IpPrefix::new(self.prefix.address(), length).unwrap_or(self.prefix);
        AddressKey::new(prefix, self.peer.map(IpPrefix::address))
    }

    fn fixed(&self) -> [u8; 8] {
        let family = match self.prefix.family() {
            Family::V4 => libc::AF_INET as u8,
            Family::V6 => libc::AF_INET6 as u8,
        };
        let [a, b, c, d] = self.ifindex.to_ne_bytes();
        // The header's flags have 8 bits; IFA_FLAGS has them all.
        [family, self.peer.unwrap_or(self.prefix).length(), (self.flags & 0xff) as u8, self.scope, a, b, c, d]
    }

    fn identity(&self, m: &mut Builder) {
        octets(m, IFA_LOCAL, self.prefix.address());
        octets(m, IFA_ADDRESS, self.peer.unwrap_or(self.prefix).address());
    }

    fn attributes(&self, m: &mut Builder) {
        self.identity(m);
        if let Some(broadcast) = self.broadcast {
            octets(m, IFA_BROADCAST, broadcast);
        }
        if let Some(label) = &self.label {
            m.text(IFA_LABEL, label);
        }
        if self.flags != 0 {
            m.attribute(IFA_FLAGS, &self.flags.to_ne_bytes());
        }
        if let Some(seconds) = self.preferred_lifetime {
            // ifa_cacheinfo: preferred, valid, created, updated.
            let mut info = [0; 16];
            info[0..4].copy_from_slice(&seconds.to_ne_bytes());
            info[4..8].copy_from_slice(&INFINITE.to_ne_bytes());
            m.attribute(IFA_CACHEINFO, &info);
        }
        if let Some(proto) = self.proto {
            m.attribute(IFA_PROTO, &[proto]);
        }
    }
}

fn octets(m: &mut Builder, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => m.attribute(kind, &address.octets()),
        IpAddr::V6(address) => m.attribute(kind, &address.octets()),
    }
}

/// One order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressOp {
    /// Make it be there. Where it is already, lifetime, flags and protocol number become as ordered; label, broadcast address
    /// and scope stay, since the kernel changes those only through a deletion, and the address would be gone for a moment.
    Add(KernelAddress),
    /// Make it not be there.
    Delete(KernelAddress),
}

impl AddressOp {
    /// The address concerned.
    pub fn address(&self) -> &KernelAddress {
        match self {
            Self::Add(address) | Self::Delete(address) => address,
        }
    }

    fn emit(&self, m: &mut Builder, sequence: u32, mode: Mode) {
        match self {
            Self::Add(address) => {
                let flags = match mode {
                    Mode::Fresh => (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
                    Mode::Replace => (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16,
                };
                m.message(libc::RTM_NEWADDR, flags, sequence, &address.fixed(), |m| address.attributes(m));
            }
            Self::Delete(address) => {
                m.message(libc::RTM_DELADDR, 0, sequence, &address.fixed(), |m| address.identity(m));
            }
        }
    }

    /// Whether the kernel's refusal says that the goal is reached already.
    fn reached(&self, code: i32) -> bool {
        match self {
            // An interface that is gone took its addresses along.
            Self::Delete(_) => matches!(code, libc::EADDRNOTAVAIL | libc::ENODEV),
            Self::Add(_) => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Fresh,
    Replace,
}

/// Why the kernel did not do one order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot {verb} {prefix} on interface {ifindex}: {}{}", io::Error::from_raw_os_error(*code), text.as_ref().map_or(String::new(), |text| format!(" ({text})")))]
pub struct RtnlError {
    /// `add` or `delete`.
    pub verb: &'static str,
    /// Address.
    pub prefix: IpPrefix,
    /// Interface.
    pub ifindex: u32,
    /// errno.
    pub code: i32,
    /// The kernel's own words, if it had any.
    pub text: Option<String>,
}

impl RtnlError {
    fn new(op: &AddressOp, code: i32, text: Option<String>) -> Self {
        let verb = match op {
            AddressOp::Add(_) => "add",
            AddressOp::Delete(_) => "delete",
        };
        Self { verb, prefix: op.address().prefix, ifindex: op.address().ifindex, code, text }
    }
}

/// A netlink socket for orders; notifications go elsewhere, so that they can never crowd out an answer.
///
/// The kernel does what it is asked inside `sendmsg`, so nothing is awaited: one call carries a batch, and one reads what
/// became of it. Only errors are answered, and the last request, whose answer proves that all before it were looked at.
#[derive(Debug)]
pub struct Rtnl {
    fd: OwnedFd,
    sequence: u32,
    request: Builder,
    answer: Vec<u8>,
}

impl Rtnl {
    /// Opens.
    pub fn open() -> Result<Self, OpenError> {
        let fail = OpenError::of("a netlink socket for addresses");
        let fd = socket::netlink(SockProtocol::NetlinkRoute).map_err(&fail)?;
        socket::set_receive_buffer(&fd, RECEIVE_BUFFER_BYTES).map_err(&fail)?;
        Ok(Self { fd, sequence: 0, request: Builder::default(), answer: vec![0; 8192] })
    }

    /// Does all orders, in order; one result each. An order that fails does not stop those behind it.
    pub fn apply(&mut self, ops: &[AddressOp]) -> Vec<Result<(), RtnlError>> {
        let mut results = Vec::with_capacity(ops.len());
        for batch in ops.chunks(BATCH) {
            let batch: Vec<&AddressOp> = batch.iter().collect();
            let mut outcomes = self.exchange(&batch, Mode::Fresh);
            let held: Vec<usize> =
                (0..batch.len()).filter(|&at| matches!(outcomes.get(at), Some(Some(refusal)) if refusal.0 == libc::EEXIST)).collect();
            if !held.is_empty() {
                let there: Vec<&AddressOp> = held.iter().filter_map(|&at| batch.get(at).copied()).collect();
                for (at, outcome) in held.into_iter().zip(self.exchange(&there, Mode::Replace)) {
                    if let Some(slot) = outcomes.get_mut(at) {
                        *slot = outcome;
                    }
                }
            }
            results.extend(batch.iter().zip(outcomes).map(|(op, outcome)| match outcome {
                Some((code, text)) if !op.reached(code) => Err(RtnlError::new(op, code, text)),
                _ => Ok(()),
            }));
        }
        results
    }

    /// Sends one batch and reads what became of it: the refusal of each order, if any.
    fn exchange(&mut self, ops: &[&AddressOp], mode: Mode) -> Vec<Option<Refusal>> {
        let first = self.sequence.wrapping_add(1);
        self.request.clear();
        for op in ops {
            self.sequence = self.sequence.wrapping_add(1);
            op.emit(&mut self.request, self.sequence, mode);
        }
        self.request.acknowledge_last();
        let mut outcomes = vec![None; ops.len()];
        let result = socket::netlink_send(&self.fd, self.request.bytes()).and_then(|()| self.answers(first, &mut outcomes));
        if let Err(error) = result {
            // Nothing proves what happened to the orders that have no answer.
            let code = error.raw_os_error().unwrap_or(libc::EIO);
            for slot in outcomes.iter_mut().filter(|slot| slot.is_none()) {
                *slot = Some((code, Some("no answer from the kernel".to_owned())));
            }
        }
        outcomes
    }

    /// Reads until the last request of the batch is answered: an acknowledgement when it went well.
    fn answers(&mut self, first: u32, outcomes: &mut [Option<Refusal>]) -> io::Result<()> {
        let last = self.sequence;
        loop {
            let length = match socket::netlink_receive(&self.fd, &mut self.answer) {
                Ok(Some(length)) => length,
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for answer in Messages(self.answer.get(..length).unwrap_or_default()).filter_map(|message| Answer::of(&message)) {
                // An answer to an earlier batch that was given up is none of ours.
                let at = answer.sequence.wrapping_sub(first) as usize;
                let Some(slot) = outcomes.get_mut(at) else { continue };
                if answer.code != 0 {
                    *slot = Some((answer.code, answer.text));
                }
                if answer.sequence == last {
                    return Ok(());
                }
            }
        }
    }
}

/// errno, and the kernel's own words.
type Refusal = (i32, Option<String>);

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
