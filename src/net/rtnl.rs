//! The keeper's hands: asks the kernel for addresses, routes and rules, many a system call.

use super::OpenError;
use super::link::{IFLA_IFNAME, LINK_HEADER, Link};
use super::wire::{Answer, Builder, Messages};
use crate::sys::socket;
use nix::sys::socket::SockProtocol;
use std::io;
use std::os::fd::OwnedFd;

/// Room for a batch's errors at worst: each answer costs the receive buffer under 1 KiB, and [`BATCH`] of them come at once.
const RECEIVE_BUFFER_BYTES: usize = 512 << 10;
/// Requests in one system call: enough to make the call's own cost vanish, few enough that adverts in between are not late.
const BATCH: usize = 128;

/// How an order is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It is not there yet.
    Fresh,
    /// It is there: it becomes as ordered.
    Replace,
}

/// Something that the kernel is asked for over rtnetlink.
pub trait Order {
    /// Appends the request.
    fn emit(&self, m: &mut Builder, sequence: u32, mode: Mode);

    /// Whether the kernel's refusal says that the goal is reached already.
    fn reached(&self, code: i32) -> bool;

    /// Whether EEXIST is answered by asking again, to replace what is there.
    fn replaces(&self) -> bool {
        true
    }

    /// For messages: `add 192.0.2.1/24 on interface 3`.
    fn what(&self) -> String;
}

/// Why the kernel did not do one order.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot {what}: {}{}", io::Error::from_raw_os_error(*code), text.as_ref().map_or(String::new(), |text| format!(" ({text})")))]
pub struct RtnlError {
    /// What it was asked for.
    pub what: String,
    /// errno.
    pub code: i32,
    /// The kernel's own words, if it had any.
    pub text: Option<String>,
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
        let fail = OpenError::of("a netlink socket for addresses, routes and rules");
        let fd = socket::netlink(SockProtocol::NetlinkRoute).map_err(&fail)?;
        socket::set_receive_buffer(&fd, RECEIVE_BUFFER_BYTES).map_err(&fail)?;
        Ok(Self { fd, sequence: 0, request: Builder::default(), answer: vec![0; 8192] })
    }

    /// Does all orders, in order; one result each. An order that fails does not stop those behind it.
    pub fn apply<O: Order>(&mut self, ops: &[O]) -> Vec<Result<(), RtnlError>> {
        let mut results = Vec::with_capacity(ops.len());
        for batch in ops.chunks(BATCH) {
            let batch: Vec<&O> = batch.iter().collect();
            let mut outcomes = self.exchange(&batch, Mode::Fresh);
            let held: Vec<usize> = (0..batch.len())
                .filter(|&at| matches!(outcomes.get(at), Some(Some(refusal)) if refusal.0 == libc::EEXIST))
                .filter(|&at| batch.get(at).is_some_and(|op| op.replaces()))
                .collect();
            if !held.is_empty() {
                let there: Vec<&O> = held.iter().filter_map(|&at| batch.get(at).copied()).collect();
                for (at, outcome) in held.into_iter().zip(self.exchange(&there, Mode::Replace)) {
                    if let Some(slot) = outcomes.get_mut(at) {
                        *slot = outcome;
                    }
                }
            }
            results.extend(batch.iter().zip(outcomes).map(|(op, outcome)| match outcome {
                Some((code, text)) if !op.reached(code) => Err(RtnlError { what: op.what(), code, text }),
                _ => Ok(()),
            }));
        }
        results
    }

    /// The link of this name as it is now, which no notification need have told of yet; without its addresses.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        const IFLA_EXT_MASK: u16 = 29;
        const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
        self.sequence = self.sequence.wrapping_add(1);
        self.request.clear();
        self.request.message(libc::RTM_GETLINK, 0, self.sequence, &[0; LINK_HEADER], |m| {
            m.attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
            m.text(IFLA_IFNAME, name);
        });
        socket::netlink_send(&self.fd, self.request.bytes())?;
        loop {
            let length = match socket::netlink_receive(&self.fd, &mut self.answer) {
                Ok(length) => length.unwrap_or(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for message in Messages(self.answer.get(..length).unwrap_or_default()) {
                match Answer::of(&message) {
                    _ if message.sequence != self.sequence => {}
                    Some(answer) if answer.code == libc::ENODEV => return Ok(None),
                    Some(answer) => return Err(io::Error::from_raw_os_error(answer.code)),
                    None => return Ok(Link::from_message(&message)),
                }
            }
        }
    }

    /// Sends one batch and reads what became of it: the refusal of each order, if any.
    fn exchange<O: Order>(&mut self, ops: &[&O], mode: Mode) -> Vec<Option<Refusal>> {
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
