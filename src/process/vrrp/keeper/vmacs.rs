//! VMACs: made before their instances begin, found again after a crash, taken away with the last instance that needs them.

use super::super::messages::{InstanceId, InstanceMsg, ListenerMsg};
use super::Keeping;
use crate::net::address::{AddressOp, KernelAddress, PROTOCOL_KEEPALIVED};
use crate::net::link::Link;
use crate::net::nftables::Quiet;
use crate::net::sysctl::{self, Changed};
use crate::net::vmac::{self, AddressesByHand, LinkOp};
use crate::types::{Family, IpPrefix};
use crate::vrrp::settings::Settings;
use crate::vrrp::vmac::Vmac;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// RT_SCOPE_LINK.
const SCOPE_LINK: u8 = 253;

/// The VMACs that stand now, and what was changed for them.
#[derive(Default)]
pub(super) struct Vmacs {
    standing: BTreeMap<String, Standing>,
    /// Switches of interfaces that carry IPv4 VMACs, by index: only the VMAC is to answer for its addresses.
    bases: HashMap<u32, Vec<Changed>>,
    /// `rp_filter` of all interfaces, moved to each.
    reverse_path: Vec<Changed>,
    /// `disable_local_igmp`.
    silent_igmp: bool,
    igmp: Option<Changed>,
}

struct Standing {
    vmac: Vmac,
    index: u32,
    base: u32,
    users: BTreeSet<InstanceId>,
}

impl Keeping {
    /// Makes what an instance needs and the kernel lacks; why it cannot, told to the instance. What stands on an interface that
    /// does not exist yet has to wait for it, and that is no error.
    pub(super) fn make_vmacs(&mut self, id: InstanceId, settings: &Settings) {
        let failures: Vec<String> = settings.vmacs().filter_map(|vmac| self.make(id, &settings.name, vmac).err()).collect();
        self.keep_quiet();
        self.shared.tell(id, InstanceMsg::Vmacs { fault: failures.into_iter().next() });
    }

    fn make(&mut self, id: InstanceId, name: &str, vmac: &Vmac) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot look for interface {}: {error}", vmac.name);
        let Some(base) = self.rtnl.link(&vmac.base).map_err(failed)? else { return Ok(()) };
        let known = self.vmacs.standing.get(&vmac.name).map(|standing| standing.index);
        // before it is there: it is the one that is to do without
        if vmac.family == Family::V4 && self.vmacs.reverse_path.is_empty() {
            self.spread_rp_filter();
        }
        let link = match self.rtnl.link(&vmac.name).map_err(failed)? {
            Some(link) if !vmac::is_vmac(&link, base.index, vmac.mac) => {
                return Err(format!(
                    "interface {} already exists and is not a private macvlan with {} on {}",
                    vmac.name, vmac.mac, vmac.base
                ));
            }
            Some(link) => {
                if known != Some(link.index) {
                    tracing::info!(instance = name, "({name}) Found matching interface {}", vmac.name);
                    self.prepare_vmac(name, vmac, &link)?;
                }
                link
            }
            None => {
                self.remove_namesakes(vmac, &base);
                let order = LinkOp::Make { name: vmac.name.clone(), base: base.index, mac: vmac.mac };
                self.order(order)?;
                let Some(link) = self.rtnl.link(&vmac.name).map_err(failed)? else { return Ok(()) };
                self.prepare_vmac(name, vmac, &link)?;
                tracing::info!(instance = name, "({name}): Success creating VMAC interface {}", vmac.name);
                link
            }
        };
        if known != Some(link.index) {
            self.show(vmac)?;
        }
        let users = self.vmacs.standing.remove(&vmac.name).map(|standing| standing.users).unwrap_or_default();
        let mut standing = Standing { vmac: vmac.clone(), index: link.index, base: base.index, users };
        standing.users.insert(id);
        self.vmacs.standing.insert(vmac.name.clone(), standing);
        self.borrow_link_local(vmac, &base, &link);
        Ok(())
    }

    /// Whoever waits for it need not wait for the kernel's message.
    fn show(&mut self, vmac: &Vmac) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot look for interface {}: {error}", vmac.name);
        if let Some(link) = self.rtnl.link(&vmac.name).map_err(failed)? {
            self.shared.mirror().learn(link);
            self.shared.listener.cast(ListenerMsg::LookAt(vmac.name.as_str().into()));
        }
        Ok(())
    }

    fn spread_rp_filter(&mut self) {
        match sysctl::spread_rp_filter() {
            Ok(changed) => self.vmacs.reverse_path = changed,
            Err(error) => tracing::warn!("cannot move rp_filter from all interfaces to each: {error}"),
        }
    }

    fn order(&mut self, order: LinkOp) -> Result<(), String> {
        self.rtnl.apply(&[order]).into_iter().next().unwrap_or(Ok(())).map_err(|error| error.to_string())
    }

    /// The kernel has one macvlan with an Ethernet address on an interface. One of ours that somebody renamed makes room.
    fn remove_namesakes(&mut self, vmac: &Vmac, base: &Link) {
        let same: Vec<u32> = {
            let mirror = self.shared.mirror();
            mirror.links().filter(|link| vmac::is_vmac(link, base.index, vmac.mac)).map(|link| link.index).collect()
        };
        for index in same {
            if let Err(error) = self.order(LinkOp::Delete(index)) {
                tracing::warn!("{error}");
            }
        }
    }

    /// Everything that must be set before it is switched on, and that.
    fn prepare_vmac(&mut self, name: &str, vmac: &Vmac, link: &Link) -> Result<(), String> {
        let by_hand = self.rtnl.apply(&[AddressesByHand(link.index)]).into_iter().find_map(Result::err);
        let mut problems: Vec<String> = by_hand.map(|error| error.to_string()).into_iter().collect();
        let mut set = |family, interface: &str, key: &str, value| {
            if let Err(error) = sysctl::set(family, interface, key, value)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                problems.push(format!("cannot set {key} of {interface}: {error}"));
            }
        };
        if !vmac.ipv6 {
            set("ipv6", &vmac.name, "disable_ipv6", "1");
        }
        if vmac.family == Family::V4 {
            for (key, value) in [("arp_ignore", "1"), ("accept_local", "1"), ("rp_filter", "0"), ("promote_secondaries", "1")] {
                set("ipv4", &vmac.name, key, value);
            }
            problems.extend(self.vmacs.leave_arp_to(vmac, link.parent.unwrap_or(0)));
        }
        for problem in problems {
            tracing::warn!(instance = name, "({name}) {problem}");
        }
        if link.up { Ok(()) } else { self.order(LinkOp::SwitchOn(link.index)).map_err(|error| format!("{error} ({})", vmac.name)) }
    }

    /// IPv6 adverts come from a link-local address of the interface that they leave by, and are to come from the base's.
    fn borrow_link_local(&mut self, vmac: &Vmac, base: &Link, link: &Link) {
        if !vmac.link_local {
            return;
        }
        let address = {
            let mirror = self.shared.mirror();
            let ours = |address: IpAddr| {
                let found = mirror.link(base.index).and_then(|base| base.addresses.iter().find(|known| known.prefix.address() == address));
                found.is_some_and(|known| known.proto == Some(PROTOCOL_KEEPALIVED))
            };
            mirror.link(base.index).and_then(|base| base.source(Family::V6, ours))
        };
        let Some(prefix) = address.and_then(|address| IpPrefix::new(address, 64)) else { return };
        let wanted = KernelAddress {
            flags: libc::IFA_F_NODAD,
            scope: SCOPE_LINK,
            preferred_lifetime: Some(0),
            ..KernelAddress::bare(link.index, prefix, None)
        };
        for error in self.rtnl.apply(&[AddressOp::Add(wanted)]).into_iter().filter_map(Result::err) {
            tracing::warn!("{error}");
        }
    }

    /// What the switches would hear of a VMAC beside its adverts.
    fn keep_quiet(&mut self) {
        let all = self.vmacs.standing.values();
        let quiet = all.flat_map(|Standing { vmac, index, base, .. }| {
            let of = |family| Quiet { family, ifindex: *index, base: *base };
            let v4 = (vmac.family == Family::V4 && !self.vmacs.silent_igmp).then(|| of(Family::V4));
            v4.into_iter().chain(vmac.ipv6.then(|| of(Family::V6)))
        });
        let quiet: Vec<Quiet> = quiet.collect();
        if quiet.is_empty() && self.nft.is_none() {
            return;
        }
        self.with_firewall("group membership is said on VMACs too", |nft| nft.quieten(&quiet));
    }

    /// An instance needs its VMACs no more, but for those that it keeps.
    pub(super) fn unmake(&mut self, id: InstanceId, name: &str, kept: &[String]) {
        let mine = self.vmacs.standing.iter().filter(|(name, standing)| standing.users.contains(&id) && !kept.contains(name));
        let mine: Vec<String> = mine.map(|(name, _)| name.clone()).collect();
        for vmac in mine {
            let Some(standing) = self.vmacs.standing.get_mut(&vmac) else { continue };
            standing.users.remove(&id);
            if !standing.users.is_empty() {
                continue;
            }
            let Some(Standing { index, base, .. }) = self.vmacs.standing.remove(&vmac) else { continue };
            match self.order(LinkOp::Delete(index)) {
                Ok(()) => tracing::info!(instance = name, "({name}) Success removing VMAC interface {vmac}"),
                Err(error) => tracing::warn!(instance = name, "({name}) {error} ({vmac})"),
            }
            self.vmacs.give_arp_back(base);
        }
        self.keep_quiet();
    }

    /// `--dont-release-vrrp`: what stands stays, and is to work on.
    pub(super) fn leave_vmacs(&mut self) {
        let vmacs = std::mem::take(&mut self.vmacs);
        if !vmacs.standing.is_empty() {
            vmacs.bases.into_values().flatten().chain(vmacs.reverse_path).chain(vmacs.igmp).for_each(Changed::keep);
        }
    }
}

impl Vmacs {
    /// Says nothing of groups that every switch forwards, if so told.
    pub(super) fn new(silent_igmp: bool) -> Self {
        let silenced = if silent_igmp { sysctl::silence_local_igmp() } else { Ok(None) };
        let igmp = silenced.unwrap_or_else(|error| {
            tracing::warn!("cannot set igmp_link_local_mcast_reports: {error}");
            None
        });
        Self { silent_igmp, igmp, ..Self::default() }
    }

    /// The base interface no longer answers ARP for what is on the VMAC; what could not be set.
    fn leave_arp_to(&mut self, vmac: &Vmac, base: u32) -> Vec<String> {
        let Entry::Vacant(entry) = self.bases.entry(base) else { return Vec::new() };
        let changed = entry.insert(Vec::new());
        let mut problems = Vec::new();
        for key in ["arp_ignore", "arp_filter"] {
            match sysctl::switch_on("ipv4", &vmac.base, key) {
                Ok(before) => changed.extend(before),
                Err(error) => problems.push(format!("cannot set {key} of {}: {error}", vmac.base)),
            }
        }
        problems
    }

    /// Puts back what nobody needs any more; dropping does it.
    fn give_arp_back(&mut self, base: u32) {
        let mut v4 = self.standing.values().filter(|standing| standing.vmac.family == Family::V4).peekable();
        if v4.peek().is_none() {
            sysctl::put_rp_filter_back(std::mem::take(&mut self.reverse_path));
        }
        if !v4.any(|standing| standing.base == base) {
            self.bases.remove(&base);
        }
    }
}
