//! What the kernel has: a table of links and their addresses, kept by its messages. Pure: no socket here.

pub use super::link::{Address, AddressKey, Addresses, Link};

use super::route::RouteKey;
use super::rule::RuleKey;
use super::wire::{Message, u32_at};
use crate::types::IpPrefix;
use std::collections::{BTreeMap, HashMap};

/// What a message changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A link that was not there.
    LinkAppeared(u32),
    /// Up, carrier, MAC, MTU or another attribute.
    LinkChanged(u32),
    /// A link that is no more.
    LinkGone {
        /// Its index.
        index: u32,
        /// Its last name.
        name: String,
    },
    /// The same link by another name.
    LinkRenamed {
        /// Its index.
        index: u32,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// An address that was not there.
    AddressAppeared {
        /// On.
        ifindex: u32,
        /// Which.
        address: Address,
    },
    /// Flags, label, scope …: an IPv6 address that was tentative is usable now.
    AddressChanged {
        /// On.
        ifindex: u32,
        /// As it is now.
        address: Address,
    },
    /// An address that is no more.
    AddressGone {
        /// On.
        ifindex: u32,
        /// Which.
        prefix: IpPrefix,
    },
    /// A route of ours that is no more. Which routes there are is not kept.
    RouteGone(RouteKey),
    /// A rule of ours that is no more.
    RuleGone(RuleKey),
    /// Messages were lost: any route or rule may be gone.
    PathsUnknown,
}

/// A message that cannot be read: an attribute is shorter than its type, or a header is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("undecodable netlink message of type {0}")]
pub struct Undecodable(pub u16);

/// Links and their addresses.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Mirror {
    links: BTreeMap<u32, Link>,
    names: HashMap<String, u32>,
}

impl Mirror {
    /// By index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// By name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.get(self.names.get(name)?)
    }

    /// All, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// Takes in one message of RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR or of a dump, and adds to `changes`.
    /// Messages of other kinds change nothing.
    pub fn apply(&mut self, message: &Message<'_>, changes: &mut Vec<Change>) -> Result<(), Undecodable> {
        let undecodable = Undecodable(message.kind);
        match message.kind {
            libc::RTM_NEWLINK | libc::RTM_DELLINK => {
                // A bridge tells of its ports with the same types in a family of its own; "deleted" then means "left the bridge".
                if i32::from(*message.payload.first().ok_or(undecodable)?) != libc::AF_UNSPEC {
                    return Ok(());
                }
                if message.kind == libc::RTM_NEWLINK {
                    self.put_link(Link::from_message(message).ok_or(undecodable)?, changes);
                } else {
                    self.remove_link(u32_at(message.payload, 4).ok_or(undecodable)?, changes);
                }
            }
            libc::RTM_NEWADDR | libc::RTM_DELADDR => {
                let (ifindex, address) = Address::from_message(message).ok_or(undecodable)?;
                if message.kind == libc::RTM_NEWADDR {
                    self.put_address(ifindex, address, changes);
                } else {
                    self.remove_address(ifindex, &address.key(), changes);
                }
            }
            libc::RTM_DELROUTE => changes.extend(RouteKey::of_ours(message).map(Change::RouteGone)),
            libc::RTM_DELRULE => changes.extend(RuleKey::of_ours(message).map(Change::RuleGone)),
            _ => {}
        }
        Ok(())
    }

    /// Takes in a link that the kernel was asked for, ahead of its message; without its addresses.
    pub fn learn(&mut self, link: Link) {
        self.put_link(link, &mut Vec::new());
    }

    /// Becomes `fresh`, and tells what differs, as if every lost message had come.
    pub fn replace(&mut self, fresh: Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let gone: Vec<u32> = self.links.keys().filter(|index| !fresh.links.contains_key(index)).copied().collect();
        for index in gone {
            self.remove_link(index, &mut changes);
        }
        for (index, mut link) in fresh.links {
            let addresses = std::mem::take(&mut link.addresses);
            self.put_link(link, &mut changes);
            let before = self.links.get(&index).map(|link| &link.addresses);
            let lost: Vec<AddressKey> = before.into_iter().flatten().map(Address::key).filter(|key| addresses.get(key).is_none()).collect();
            for key in lost {
                self.remove_address(index, &key, &mut changes);
            }
            for address in &addresses {
                self.put_address(index, address.clone(), &mut changes);
            }
            // The fresh order is the kernel's.
            if let Some(link) = self.links.get_mut(&index) {
                link.addresses = addresses;
            }
        }
        changes
    }

    fn put_link(&mut self, mut link: Link, changes: &mut Vec<Change>) {
        let index = link.index;
        let Some(before) = self.links.get_mut(&index) else {
            self.names.insert(link.name.clone(), index);
            self.links.insert(index, link);
            changes.push(Change::LinkAppeared(index));
            return;
        };
        link.addresses = std::mem::take(&mut before.addresses);
        let renamed = before.name != link.name;
        let from = std::mem::replace(&mut before.name, link.name.clone());
        let changed = *before != Link { addresses: Addresses::default(), ..link.clone() };
        *before = link;
        if renamed {
            let to = before.name.clone();
            // Two links may trade names: only our own entry goes.
            if self.names.get(&from) == Some(&index) {
                self.names.remove(&from);
            }
            self.names.insert(to.clone(), index);
            changes.push(Change::LinkRenamed { index, from, to });
        }
        if changed {
            changes.push(Change::LinkChanged(index));
        }
    }

    fn remove_link(&mut self, index: u32, changes: &mut Vec<Change>) {
        let Some(link) = self.links.remove(&index) else { return };
        if self.names.get(&link.name) == Some(&index) {
            self.names.remove(&link.name);
        }
        changes.extend(link.addresses.iter().map(|address| Change::AddressGone { ifindex: index, prefix: address.prefix }));
        changes.push(Change::LinkGone { index, name: link.name });
    }

    fn put_address(&mut self, ifindex: u32, address: Address, changes: &mut Vec<Change>) {
        // An address always comes after its link; a message that says otherwise is of a link that is gone again.
        let Some(link) = self.links.get_mut(&ifindex) else { return };
        match link.addresses.put(address.clone()) {
            None => changes.push(Change::AddressAppeared { ifindex, address }),
            Some(before) if before != address => changes.push(Change::AddressChanged { ifindex, address }),
            Some(_) => {}
        }
    }

    fn remove_address(&mut self, ifindex: u32, key: &AddressKey, changes: &mut Vec<Change>) {
        let Some(link) = self.links.get_mut(&ifindex) else { return };
        if let Some(address) = link.addresses.remove(key) {
            changes.push(Change::AddressGone { ifindex, prefix: address.prefix });
        }
    }
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
