//! Shuts virtual addresses that are not to answer (`vrrp_strict`, `no_accept`), and keeps quiet what VMACs would say of themselves.

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
    /// It is in the kernel, with sets and rules for so much.
    made: Option<Purpose>,
    wanted: Purpose,
    shut: BTreeSet<Shut>,
    /// VMACs and what they stand on, by index.
    vmacs: BTreeSet<(u32, u32)>,
}

/// What a table is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Purpose {
    /// Addresses that are not to answer.
    pub(super) shuts: bool,
    /// VMACs.
    pub(super) vmacs: bool,
}

/// A VMAC, for the firewall.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Quiet {
    /// What the switches must not hear of it.
    pub family: Family,
    /// Its index.
    pub ifindex: u32,
    /// That of the interface it stands on, which says it instead.
    pub base: u32,
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
        let none = Purpose::default();
        let table = |family| Table { family, made: None, wanted: none, shut: BTreeSet::new(), vmacs: BTreeSet::new() };
        let mut nft = Self { talk: Talk::open()?, settings: settings.clone(), tables: [table(Family::V4), table(Family::V6)] };
        // No nf_tables, no leftovers: whoever needs it will hear of it.
        for table in &mut nft.tables {
            table.made = nft.talk.has_table(table.family, settings)?.then_some(none);
        }
        nft.remove_tables()?;
        Ok(nft)
    }

    /// Makes the table of a family before it is needed, so that becoming master costs no more than an element.
    pub fn prepare(&mut self, family: Family) -> Result<(), NftError> {
        self.want(index(family), |purpose| purpose.shuts = true)
    }

    /// Makes a table anew when it has to serve another purpose too.
    fn want(&mut self, at: usize, more: impl FnOnce(&mut Purpose)) -> Result<(), NftError> {
        let Some(table) = self.tables.get_mut(at) else { return Ok(()) };
        more(&mut table.wanted);
        if table.made == Some(table.wanted) { Ok(()) } else { self.rebuild(at) }
    }

    /// These are the VMACs from now on. What the kernel says by itself on a VMAC would teach switches and routers a wrong place
    /// for its Ethernet address: group membership is said on the interface below instead, and no router is asked for.
    pub fn quieten(&mut self, vmacs: &[Quiet]) -> Result<(), NftError> {
        for at in 0..self.tables.len() {
            let Some(table) = self.tables.get_mut(at) else { continue };
            let of_family = vmacs.iter().filter(|vmac| vmac.family == table.family);
            let now: BTreeSet<(u32, u32)> = of_family.map(|vmac| (vmac.ifindex, vmac.base)).collect();
            let before = std::mem::replace(&mut table.vmacs, now.clone());
            if before == now {
                continue;
            }
            if !table.made.is_some_and(|made| made.vmacs) {
                if let Err(error) = self.want(at, |purpose| purpose.vmacs = true) {
                    // addresses are shut all the same
                    if let Some(table) = self.tables.get_mut(at) {
                        (table.wanted.vmacs, table.vmacs) = (false, BTreeSet::new());
                    }
                    self.rebuild(at)?;
                    return Err(error);
                }
                continue;
            }
            let mut batch = self.talk.begin(table.family, &self.settings);
            batch.vmacs(&before.difference(&now).copied().collect::<Vec<_>>(), false);
            batch.vmacs(&now.difference(&before).copied().collect::<Vec<_>>(), true);
            match self.talk.commit(batch.finish(), "tell of VMACs") {
                // the kernel forgets interfaces that are gone, or somebody flushed it all
                Err(error) if error.is(libc::ENOENT) => self.rebuild(at)?,
                done => done?,
            }
        }
        Ok(())
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
            let Some(table) = self.tables.get_mut(at).filter(|table| table.made.is_some()) else { continue };
            let family = table.family;
            table.shut.clear();
            table.vmacs.clear();
            (table.made, table.wanted) = (None, Purpose::default());
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
            table.wanted.shuts = true;
            let done = if table.made == Some(table.wanted) {
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
            } else if table.made.is_some() {
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
        let wanted = table.wanted;
        batch.sets_chains_and_rules(wanted);
        batch.elements(&table.shut.iter().copied().collect::<Vec<_>>(), true);
        batch.vmacs(&table.vmacs.iter().copied().collect::<Vec<_>>(), true);
        let result = self.talk.commit(batch.finish(), "make the table");
        if let Some(table) = self.tables.get_mut(at) {
            table.made = result.is_ok().then_some(wanted);
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
