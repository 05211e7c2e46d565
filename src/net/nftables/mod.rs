//! Shuts virtual addresses that are not to answer (`vrrp_strict`, `no_accept`): nftables, by netlink.

mod rules;

use self::rules::Batch;
use crate::config::model::Firewall;
use crate::net::wire::{Answer, Messages};
use crate::sys::socket;
use crate::types::Family;
use nix::sys::socket::{SockProtocol, setsockopt, sockopt};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// A transaction is one datagram; this many bytes hold over 100,000 addresses. Only a limit.
const SEND_BUFFER_BYTES: usize = 8 << 20;
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// An address that shall answer nothing but neighbour discovery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Shut {
    /// Address.
    pub address: IpAddr,
    /// Its interface: an IPv6 link-local address is shut on this one alone, any other everywhere.
    pub ifindex: u32,
}

impl Shut {
    fn link_local(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.is_unicast_link_local())
    }

    /// What the kernel tells apart: two instances may name the same global address on two interfaces.
    fn canonical(self) -> Self {
        if self.link_local() { self } else { Self { ifindex: 0, ..self } }
    }
}

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
            "; the kernel has no nf_tables for this: load it (modprobe nf_tables), or configure accept and no vrrp_strict"
        }
        _ => "",
    }
}

/// One family's table, and what is in its sets.
#[derive(Debug)]
struct Table {
    family: Family,
    made: bool,
    shut: BTreeSet<Shut>,
}

/// The tables `ip keepalived` and `ip6 keepalived`: each is made when the first address of its family is shut.
#[derive(Debug)]
pub struct Nft {
    fd: OwnedFd,
    settings: Firewall,
    sequence: u32,
    tables: [Table; 2],
}

impl Nft {
    /// Opens, and removes tables that an earlier life left behind.
    pub fn open(settings: &Firewall) -> Result<Self, NftError> {
        let fail = NftError::new("open a netlink socket");
        let fd = socket::netlink(SockProtocol::NetlinkNetFilter).map_err(&fail)?;
        socket::set_receive_buffer(&fd, RECEIVE_BUFFER_BYTES).map_err(&fail)?;
        // Without CAP_NET_ADMIN nothing below works either, and says so.
        let _ = setsockopt(&fd, sockopt::SndBufForce, &SEND_BUFFER_BYTES);
        let table = |family| Table { family, made: false, shut: BTreeSet::new() };
        let mut nft = Self { fd, settings: settings.clone(), sequence: 0, tables: [table(Family::V4), table(Family::V6)] };
        for at in 0..nft.tables.len() {
            nft.look(at)?;
        }
        nft.remove_tables()?;
        Ok(nft)
    }

    /// Looks whether the kernel has a table of this name. A transaction that finds nothing to delete would do as well, but
    /// waits for a grace period of the kernel (10 ms and more), and that at every start.
    fn look(&mut self, at: usize) -> Result<(), NftError> {
        let Some(family) = self.tables.get(at).map(|table| table.family) else { return Ok(()) };
        let made = match self.commit(rules::question(family, &self.settings, self.sequence), "look for the table") {
            Ok(()) => true,
            Err(error) if error.is(libc::EPERM) => return Err(error),
            // Not there; or no nf_tables, no leftovers, and whoever needs it will hear of it.
            Err(_) => false,
        };
        if let Some(table) = self.tables.get_mut(at) {
            table.made = made;
        }
        Ok(())
    }

    /// Makes the table of a family before it is needed, so that becoming master costs no more than an element.
    pub fn prepare(&mut self, family: Family) -> Result<(), NftError> {
        let at = index(family);
        if self.tables.get(at).is_some_and(|table| table.made) { Ok(()) } else { self.rebuild(at) }
    }

    /// Shuts addresses, all at once; already shut ones are fine. To be done before they are added to an interface.
    pub fn block(&mut self, addresses: &[Shut]) -> Result<(), NftError> {
        self.change(addresses, true)
    }

    /// Opens addresses again, all at once; ones that are not shut are fine.
    pub fn unblock(&mut self, addresses: &[Shut]) -> Result<(), NftError> {
        self.change(addresses, false)
    }

    /// Removes the tables and with them all that they shut.
    pub fn remove_tables(&mut self) -> Result<(), NftError> {
        for at in 0..self.tables.len() {
            let Some(table) = self.tables.get_mut(at).filter(|table| table.made) else { continue };
            let family = table.family;
            table.shut.clear();
            table.made = false;
            let mut batch = Batch::new(family, &self.settings, self.sequence);
            batch.delete_table();
            match self.commit(batch.finish(), "remove the table") {
                Err(error) if !error.is(libc::ENOENT) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn change(&mut self, addresses: &[Shut], shut: bool) -> Result<(), NftError> {
        let what = if shut { "shut addresses" } else { "open addresses" };
        for at in 0..self.tables.len() {
            let Some(table) = self.tables.get_mut(at) else { continue };
            let wanted = addresses.iter().filter(|address| Family::of(&address.address) == table.family).map(|address| address.canonical());
            let changed: Vec<Shut> =
                wanted.filter(|address| table.shut.contains(address) != shut).collect::<BTreeSet<_>>().into_iter().collect();
            if changed.is_empty() {
                continue;
            }
            let family = table.family;
            for address in &changed {
                if shut {
                    table.shut.insert(*address);
                } else {
                    table.shut.remove(address);
                }
            }
            let done = if table.made {
                let mut batch = Batch::new(family, &self.settings, self.sequence);
                batch.elements(&changed, shut);
                self.commit(batch.finish(), what)
            } else {
                self.rebuild(at)
            };
            match done {
                // Somebody flushed the ruleset under us (as a restart of nftables.service does): all of it is made anew.
                Err(error) if error.is(libc::ENOENT) => self.rebuild(at)?,
                Err(error) => {
                    self.forget(at, &changed, shut);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// The kernel did nothing of it, so the next attempt must.
    fn forget(&mut self, at: usize, changed: &[Shut], shut: bool) {
        let Some(table) = self.tables.get_mut(at) else { return };
        for address in changed {
            if shut {
                table.shut.remove(address);
            } else {
                table.shut.insert(*address);
            }
        }
    }

    /// Makes a table with everything in it, in one transaction, in place of whatever has its name.
    fn rebuild(&mut self, at: usize) -> Result<(), NftError> {
        let Some(table) = self.tables.get(at) else { return Ok(()) };
        let mut batch = Batch::new(table.family, &self.settings, self.sequence);
        // Made first, so that deleting it cannot fail.
        batch.table();
        batch.delete_table();
        batch.table();
        batch.sets_chains_and_rules();
        batch.elements(&table.shut.iter().copied().collect::<Vec<_>>(), true);
        let result = self.commit(batch.finish(), "make the table");
        if let Some(table) = self.tables.get_mut(at) {
            table.made = result.is_ok();
            if result.is_err() {
                table.shut.clear();
            }
        }
        result
    }

    /// Sends a transaction (or a question); the kernel does all of it or nothing, inside the call.
    fn commit(&mut self, (bytes, last): (Vec<u8>, u32), what: &'static str) -> Result<(), NftError> {
        // The end mark has a number too.
        self.sequence = last.wrapping_add(2);
        socket::netlink_send(&self.fd, &bytes).map_err(NftError::new(what))?;
        self.outcome(what, last)
    }

    /// Reads all answers: the first refusal, or the acknowledgement of the last order.
    fn outcome(&self, what: &'static str, last: u32) -> Result<(), NftError> {
        let mut buffer = [0; 8192];
        let mut refusal = None;
        let mut acknowledged = false;
        loop {
            let length = match socket::netlink_receive(&self.fd, &mut buffer) {
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

const fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

#[cfg(test)]
mod tests;
