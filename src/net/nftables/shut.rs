//! Shuts virtual addresses that are not to answer (`vrrp_strict`, `no_accept`).

mod rules;

use super::{Firewall, NftError, Talk};
use crate::types::Family;
use std::collections::BTreeSet;
use std::net::IpAddr;

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
    talk: Talk,
    settings: Firewall,
    tables: [Table; 2],
}

impl Nft {
    /// Opens, and removes tables that an earlier life left behind.
    pub fn open(settings: &Firewall) -> Result<Self, NftError> {
        let table = |family| Table { family, made: false, shut: BTreeSet::new() };
        let mut nft = Self { talk: Talk::open()?, settings: settings.clone(), tables: [table(Family::V4), table(Family::V6)] };
        // No nf_tables, no leftovers: whoever needs it will hear of it.
        for table in &mut nft.tables {
            table.made = nft.talk.has_table(table.family, settings)?;
        }
        nft.remove_tables()?;
        Ok(nft)
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
            self.talk.remove_table(family, &self.settings)?;
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
                let mut batch = self.talk.begin(family, &self.settings);
                batch.elements(&changed, shut);
                match self.talk.commit(batch.finish(), what) {
                    // Somebody flushed the ruleset under us (as a restart of nftables.service does): all of it is made anew.
                    Err(error) if error.is(libc::ENOENT) => self.rebuild(at),
                    done => done,
                }
            } else {
                self.rebuild(at)
            };
            if let Err(error) = done {
                self.forget(at, &changed, shut);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The kernel did nothing of it, so the next attempt must. Where there is no table everything is open.
    fn forget(&mut self, at: usize, changed: &[Shut], shut: bool) {
        let Some(table) = self.tables.get_mut(at) else { return };
        for address in changed {
            if shut {
                table.shut.remove(address);
            } else if table.made {
                table.shut.insert(*address);
            }
        }
    }

    /// Makes a table with everything in it, in one transaction, in place of whatever has its name. Where the kernel would not,
    /// the next attempt makes all of it.
    fn rebuild(&mut self, at: usize) -> Result<(), NftError> {
        let Some(table) = self.tables.get(at) else { return Ok(()) };
        let mut batch = self.talk.begin(table.family, &self.settings);
        // Made first, so that deleting it cannot fail.
        batch.table();
        batch.delete_table();
        batch.table();
        batch.sets_chains_and_rules();
        batch.elements(&table.shut.iter().copied().collect::<Vec<_>>(), true);
        let result = self.talk.commit(batch.finish(), "make the table");
        if let Some(table) = self.tables.get_mut(at) {
            table.made = result.is_ok();
        }
        result
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
