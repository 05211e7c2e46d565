//! The keeper: puts virtual addresses, routes and rules into the kernel and takes out what is ours, many in one system call.

mod host;
mod paths;
mod vmacs;

use super::messages::{AnnouncerMsg, Burst, Held, InstanceId, KeeperMsg, RootMsg};
use super::shared::Shared;
use crate::net::address::{AddressOp, KernelAddress, PROTOCOL_KEEPALIVED};
use crate::net::mirror::AddressKey;
use crate::net::nftables::{Nft, NftError, Shut};
use crate::net::route::RouteOp;
use crate::net::rtnl::{self, Mode, Rtnl, RtnlError};
use crate::net::rule::RuleOp;
use crate::net::sysctl::{self, Changed};
use crate::net::wire::Builder;
use crate::types::Family;
use crate::types::Firewall;
use crate::vrrp::settings::{Settings, VirtualAddress};
use host::Host;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use vmacs::Vmacs;

/// Requests carried out before anybody else gets a turn: about a millisecond.
const BATCH: usize = 64;

pub(super) struct Keeper;

pub(super) struct KeeperArguments {
    pub(super) shared: Arc<Shared>,
    pub(super) firewall: Firewall,
    /// `disable_local_igmp`.
    pub(super) silent_igmp: bool,
}

pub(super) struct Keeping {
    shared: Arc<Shared>,
    rtnl: Rtnl,
    firewall: Firewall,
    nft: Option<Nft>,
    firewall_fails: bool,
    queue: VecDeque<Order>,
    /// What this process added, for kernels that do not keep our protocol number.
    added: HashSet<(u32, AddressKey)>,
    /// Interfaces whose `promote_secondaries` we look after; dropping puts back what was there.
    promoted: BTreeMap<Arc<str>, Option<Changed>>,
    host: Host,
    vmacs: Vmacs,
}

/// Whose address it is.
struct Holder<'a> {
    name: &'a str,
    settings: Option<&'a Settings>,
    owner: bool,
}

impl<'a> Holder<'a> {
    fn of(settings: &'a Settings) -> Self {
        Self { name: &settings.name, settings: Some(settings), owner: settings.priority.is_owner() }
    }
}

/// What a firewall that does not work means for them.
const SHUT: &str = "addresses that are not to be accepted stay open";

/// The host itself. As with an address owner, what somebody else put there stays as it is.
const STATIC: Holder<'static> = Holder { name: "static_ipaddress", settings: None, owner: true };

enum Order {
    Change { name: Arc<str>, op: Op },
    Shut(Vec<Shut>),
    Open(Vec<Shut>),
    Announce(Burst),
    Unmake { id: InstanceId, name: Arc<str>, kept: Vec<String> },
}

/// One request to the kernel.
enum Op {
    /// On the device of this name.
    Address(AddressOp, Arc<str>),
    Route(Box<RouteOp>),
    Rule(Box<RuleOp>),
}

impl rtnl::Order for Op {
    fn emit(&self, m: &mut Builder, sequence: u32, mode: Mode) {
        match self {
            Self::Address(op, _) => op.emit(m, sequence, mode),
            Self::Route(op) => op.emit(m, sequence, mode),
            Self::Rule(op) => op.emit(m, sequence, mode),
        }
    }

    fn reached(&self, code: i32) -> bool {
        match self {
            Self::Address(op, _) => op.reached(code),
            Self::Route(op) => op.reached(code),
            Self::Rule(op) => op.reached(code),
        }
    }

    fn replaces(&self) -> bool {
        match self {
            Self::Address(op, _) => op.replaces(),
            Self::Route(op) => op.replaces(),
            Self::Rule(op) => op.replaces(),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Address(op, _) => op.what(),
            Self::Route(op) => op.what(),
            Self::Rule(op) => op.what(),
        }
    }
}

impl Actor for Keeper {
    type Msg = KeeperMsg;
    type State = Keeping;
    type Arguments = KeeperArguments;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, arguments: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        let KeeperArguments { shared, firewall, silent_igmp } = arguments;
        tracing::debug!("Registering Kernel netlink command channel");
        // opened even if nothing is to be shut: an earlier life may have left a table that still shuts our addresses
        let nft = Nft::open(&firewall).map_err(|error| tracing::debug!("{error}")).ok();
        Ok(Keeping {
            shared,
            rtnl: Rtnl::open()?,
            firewall,
            nft,
            firewall_fails: false,
            queue: VecDeque::new(),
            added: HashSet::new(),
            promoted: BTreeMap::new(),
            host: Host::default(),
            vmacs: Vmacs::new(silent_igmp),
        })
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        let idle = state.queue.is_empty();
        match message {
            KeeperMsg::Prepare(settings) => state.prepare(&settings),
            KeeperMsg::Install(settings) => state.install(&settings),
            KeeperMsg::Remove(settings) => state.remove(&settings),
            KeeperMsg::Replace { settings, removed, added } => {
                state.let_go(&Holder::of(&settings), &removed);
                state.hold(&Holder::of(&settings), &added);
            }
            KeeperMsg::Static { removed, added, all } => {
                state.keep_otherwise(&removed, &added, all);
            }
            KeeperMsg::Make { id, settings } => {
                // another may have to make room first
                while !state.queue.is_empty() {
                    state.carry_out();
                }
                state.make_vmacs(id, &settings);
            }
            KeeperMsg::Unmake { id, name, kept } => state.queue.push_back(Order::Unmake { id, name, kept }),
            KeeperMsg::Heard(changes) => state.restore(&changes),
            KeeperMsg::Announce(burst) if idle => state.shared.announcer.cast(AnnouncerMsg::Burst(burst)),
            KeeperMsg::Announce(burst) => state.queue.push_back(Order::Announce(burst)),
            KeeperMsg::Flush => {
                state.carry_out();
                if !state.queue.is_empty() {
                    myself.cast(KeeperMsg::Flush)?;
                    // the announcer tells of these addresses while we go on
                    tokio::task::yield_now().await;
                }
                return Ok(());
            }
            KeeperMsg::Finish { keep_addresses } => {
                while !state.queue.is_empty() {
                    state.carry_out();
                }
                state.finish(keep_addresses);
                state.shared.root.cast(RootMsg::KeeperFinished);
                return Ok(());
            }
            #[cfg(test)]
            KeeperMsg::Panic => std::panic::panic_any("asked to"),
        }
        if idle && !state.queue.is_empty() {
            myself.cast(KeeperMsg::Flush)?;
        }
        Ok(())
    }
}

impl Keeping {
    /// What becoming master must not wait for.
    fn prepare(&mut self, settings: &Settings) {
        if settings.promote_secondaries
            && let Some(interface) = settings.home()
        {
            self.promote(interface);
        }
        if settings.is_shut() {
            let families: BTreeSet<Family> =
                settings.addresses.iter().chain(&settings.excluded).map(|address| address.prefix.family()).collect();
            for family in families {
                self.with_firewall(SHUT, |nft| nft.prepare(family));
            }
        }
    }

    /// The addresses to shut, on the interfaces where they are.
    fn shut(&self, settings: &Settings) -> Vec<Shut> {
        let all = settings.addresses.iter().chain(&settings.excluded);
        let placed = all.filter_map(|address| Some((address, self.device(Some(settings), address)?.1)));
        placed.map(|(address, ifindex)| Shut { address: address.prefix.address(), ifindex }).collect()
    }

    fn install(&mut self, settings: &Settings) {
        self.prepare(settings);
        if settings.is_shut() {
            self.queue.push_back(Order::Shut(self.shut(settings)));
        }
        let holder = Holder::of(settings);
        for address in settings.addresses.iter().chain(&settings.excluded) {
            self.queue_add(&holder, address);
        }
        self.add_paths(&holder, &settings.routes, &settings.rules);
    }

    /// What stands on something goes before it: rules before the routes of their tables, routes before the addresses they start from.
    fn remove(&mut self, settings: &Settings) {
        self.delete_paths(&Holder::of(settings), &settings.routes, &settings.rules);
        for address in settings.addresses.iter().chain(&settings.excluded) {
            self.queue_delete(&Holder::of(settings), address);
        }
        if settings.is_shut() {
            self.queue.push_back(Order::Open(self.shut(settings)));
        }
    }

    fn hold(&mut self, holder: &Holder<'_>, held: &Held) {
        for address in &held.addresses {
            self.queue_add(holder, address);
        }
        self.add_paths(holder, &held.routes, &held.rules);
    }

    fn let_go(&mut self, holder: &Holder<'_>, held: &Held) {
        self.delete_paths(holder, &held.routes, &held.rules);
        for address in &held.addresses {
            self.queue_delete(holder, address);
        }
    }

    /// The device's name and index, when it exists.
    fn device(&self, settings: Option<&Settings>, address: &VirtualAddress) -> Option<(Arc<str>, u32)> {
        let name = settings.map_or(address.device.as_deref(), |settings| settings.place(address))?;
        let index = self.shared.mirror().by_name(name)?.index;
        Some((name.into(), index))
    }

    /// Whether the kernel has no such address.
    fn is_absent(&self, address: &VirtualAddress, ifindex: u32) -> bool {
        self.in_kernel(&KernelAddress::from(address, ifindex)).is_none()
    }

    /// Whether the kernel has this address, and with whose protocol number.
    fn in_kernel(&self, address: &KernelAddress) -> Option<Option<u8>> {
        self.shared.mirror().link(address.ifindex)?.addresses.get(&address.key()).map(|known| known.proto)
    }

    /// Whether an address that stands in the kernel may be taken for ours. What the configuration calls virtual is, whoever
    /// added it (an earlier life, another implementation, a hand); only an owner's may be the interface's very own.
    fn is_ours(&self, holder: &Holder<'_>, address: &KernelAddress) -> bool {
        let marked = || self.in_kernel(address) == Some(Some(PROTOCOL_KEEPALIVED));
        !holder.owner || self.added.contains(&(address.ifindex, address.key())) || marked()
    }

    fn queue_add(&mut self, holder: &Holder<'_>, address: &VirtualAddress) {
        let name = holder.name;
        let Some((device, ifindex)) = self.device(holder.settings, address) else {
            tracing::warn!(instance = name, "({name}) cannot add {}: its interface does not exist", address.prefix);
            return;
        };
        let wanted = KernelAddress::from(address, ifindex);
        if self.in_kernel(&wanted).is_some() && !self.is_ours(holder, &wanted) {
            tracing::info!(instance = name, "({name}) {} is already on {device} and stays as it is", address.prefix);
            return;
        }
        self.added.insert((ifindex, wanted.key()));
        self.queue.push_back(Order::Change { name: name.into(), op: Op::Address(AddressOp::Add(wanted), device) });
    }

    fn queue_delete(&mut self, holder: &Holder<'_>, address: &VirtualAddress) {
        let Some((device, ifindex)) = self.device(holder.settings, address) else { return };
        let unwanted = KernelAddress::from(address, ifindex);
        let there = self.added.contains(&(ifindex, unwanted.key())) || self.in_kernel(&unwanted).is_some();
        if there && self.is_ours(holder, &unwanted) {
            self.added.remove(&(ifindex, unwanted.key()));
            self.queue.push_back(Order::Change { name: holder.name.into(), op: Op::Address(AddressOp::Delete(unwanted), device) });
        }
    }

    /// The next batch: a run of changes in one request, or what stands between two runs.
    fn carry_out(&mut self) {
        let mut changes = Vec::new();
        let mut who = Vec::new();
        let mut bursts = Vec::new();
        while changes.len() < BATCH {
            match self.queue.pop_front() {
                Some(Order::Change { name, op }) => {
                    changes.push(op);
                    who.push(name);
                }
                Some(Order::Announce(burst)) => bursts.push(burst),
                Some(order @ Order::Unmake { .. }) if !changes.is_empty() => {
                    self.queue.push_front(order);
                    break;
                }
                Some(Order::Unmake { id, name, kept }) => self.unmake(id, &name, &kept),
                Some(Order::Shut(addresses)) => self.with_firewall(SHUT, |nft| nft.block(&addresses)),
                Some(Order::Open(addresses)) => {
                    // only once the addresses are gone
                    if !changes.is_empty() {
                        self.queue.push_front(Order::Open(addresses));
                        break;
                    }
                    self.with_firewall(SHUT, |nft| nft.unblock(&addresses));
                }
                None => break,
            }
        }
        for ((op, name), result) in changes.iter().zip(who).zip(self.rtnl.apply(&changes)) {
            if let Err(error) = result {
                report_failure(op, &name, &error);
            }
        }
        for burst in bursts {
            self.shared.announcer.cast(AnnouncerMsg::Burst(burst));
        }
    }

    /// Opens the firewall when first needed. An error is said once: it would be the same for every address.
    fn with_firewall(&mut self, otherwise: &str, work: impl FnOnce(&mut Nft) -> Result<(), NftError>) {
        let worked = match self.nft.as_mut() {
            Some(nft) => work(nft),
            None => Nft::open(&self.firewall).and_then(|nft| work(self.nft.insert(nft))),
        };
        match worked {
            Ok(()) => self.firewall_fails = false,
            Err(error) if !self.firewall_fails => {
                self.firewall_fails = true;
                tracing::error!("{otherwise}: {error}");
            }
            Err(_) => {}
        }
    }

    fn promote(&mut self, interface: &str) {
        if self.promoted.contains_key(interface) {
            return;
        }
        match sysctl::switch_on("ipv4", interface, "promote_secondaries") {
            Ok(before) => {
                self.promoted.insert(interface.into(), before);
            }
            Err(error) => tracing::warn!("cannot set promote_secondaries on {interface}: {error}"),
        }
    }

    fn finish(&mut self, keep_addresses: bool) {
        self.promoted.clear();
        self.leave_vmacs();
        if !keep_addresses && let Some(mut nft) = self.nft.take() {
            let _ = nft.remove_tables();
        }
    }
}

fn report_failure(op: &Op, name: &str, error: &RtnlError) {
    let (verb, address, device) = match op {
        Op::Address(AddressOp::Add(address), device) => ("add", address, device),
        Op::Address(AddressOp::Delete(address), device) => ("remove", address, device),
        Op::Route(_) | Op::Rule(_) => {
            tracing::error!(instance = name, "({name}) {error}");
            return;
        }
    };
    let why = super::sockets::with_sources(error);
    tracing::error!(instance = name, "({name}) cannot {verb} {} on {device}: {why}", address.prefix);
}
