//! The netlink reflector's actor: keeps the mirror and tells instances what changed for them.

mod losses;
#[cfg(test)]
mod tests;

use super::carrier::Carriers;
use super::messages::{InstanceId, InstanceMsg, KeeperMsg, LinkView, ListenerMsg, Watch};
use super::shared::Shared;
use crate::actor::Alarm;
use crate::net::address::PROTOCOL_KEEPALIVED;
use crate::net::mirror::{Change, Link};
use crate::net::reflector::{Reflector, Subscription};
use crate::types::{Family, IpPrefix};
use crate::vrrp::trackers::link::LinkSettings;
use losses::leave;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;

pub(super) struct Listener;

pub(super) struct ListenerArguments {
    pub(super) shared: Arc<Shared>,
    /// Bytes of the netlink socket's receive buffer.
    pub(super) buffer: Option<u32>,
    /// `-a`.
    pub(super) monitoring: bool,
    pub(super) links: LinkSettings,
}

pub(super) struct Listening {
    shared: Arc<Shared>,
    carriers: Carriers,
    alarm: Alarm,
    /// `-a`.
    monitoring: bool,
    reader: JoinHandle<()>,
    /// Who wants to know of an interface, and what they were last told.
    interfaces: HashMap<Arc<str>, Interest>,
    /// Whose virtual address this is.
    addresses: HashMap<IpAddr, Vec<InstanceId>>,
    /// Who sends from this configured address, and whether it was here.
    sources: HashMap<IpAddr, (bool, Vec<InstanceId>)>,
    watching: HashMap<InstanceId, Watch>,
    /// Who has a tracked route to there.
    destinations: HashMap<IpPrefix, Vec<InstanceId>>,
    /// Who has a tracked rule of this priority.
    priorities: HashMap<u32, Vec<InstanceId>>,
    /// The keeper is told of what the host keeps.
    host: bool,
    subscription: Subscription,
}

#[derive(Default)]
struct Interest {
    told: Option<Option<LinkView>>,
    instances: BTreeSet<InstanceId>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Actor for Listener {
    type Msg = ListenerMsg;
    type State = Listening;
    type Arguments = ListenerArguments;

    /// Ready only with a complete mirror.
    async fn pre_start(&self, myself: ActorRef<Self::Msg>, arguments: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        let ListenerArguments { shared, buffer, monitoring, links } = arguments;
        tracing::debug!("Registering Kernel netlink reflector");
        let (reflector, mirror) = Reflector::open(buffer).await?;
        if monitoring {
            for link in mirror.links() {
                link.addresses.iter().for_each(|address| report(address.prefix, "added to", &link.name));
            }
        }
        shared.mirror().replace(mirror);
        let subscription = reflector.subscription()?;
        let reader = tokio::spawn(read(reflector, Arc::clone(&shared), myself));
        Ok(Listening {
            shared,
            carriers: Carriers::new(links),
            alarm: Alarm::default(),
            monitoring,
            reader,
            interfaces: HashMap::new(),
            addresses: HashMap::new(),
            sources: HashMap::new(),
            watching: HashMap::new(),
            destinations: HashMap::new(),
            priorities: HashMap::new(),
            host: false,
            subscription,
        })
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            ListenerMsg::Watch { id, watch } => {
                state.forget(id);
                state.watch(id, watch);
            }
            ListenerMsg::WatchHost(watched) => {
                state.host = watched;
                if watched {
                    state.follow_routes();
                }
            }
            ListenerMsg::Forget { id } => state.forget(id),
            ListenerMsg::LookAt(name) => state.tell_if_changed(&name),
            ListenerMsg::Links(settings) => state.look_otherwise(settings),
            ListenerMsg::LookAgain => state.look_again(),
            ListenerMsg::Changed(changes) => state.heard(changes?),
            #[cfg(test)]
            ListenerMsg::Panic => std::panic::panic_any("asked to"),
        }
        state.alarm.set(state.carriers.deadline(), &myself, || ListenerMsg::LookAgain);
        Ok(())
    }
}

/// Takes what the kernel says into the mirror, and tells the actor what that changed.
async fn read(mut reflector: Reflector, shared: Arc<Shared>, listener: ActorRef<ListenerMsg>) {
    loop {
        let changes = match reflector.wait().await {
            Ok(()) => reflector.take_in(&mut shared.mirror()),
            Err(error) => Err(error),
        };
        let last = changes.is_err();
        if changes.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        if listener.cast(ListenerMsg::Changed(changes)).is_err() || last {
            return;
        }
    }
}

/// The original's line.
fn report(prefix: IpPrefix, what: &str, interface: &str) {
    tracing::info!("Netlink reflector reports IP {} {what} {interface}", prefix.address());
}

impl Listening {
    fn watch(&mut self, id: InstanceId, watch: Watch) {
        for address in &watch.addresses {
            self.addresses.entry(*address).or_default().push(id);
        }
        for name in &watch.interfaces {
            let view = match self.known(name) {
                Some(known) => {
                    // The mirror may be ahead of what the others were told.
                    self.tell_if_changed(&known);
                    self.interfaces.get(&known).and_then(|interest| interest.told.flatten())
                }
                None => self.first_view(name),
            };
            let interest = self.interfaces.entry(Arc::clone(name)).or_default();
            interest.instances.insert(id);
            interest.told = Some(view);
            self.shared.tell(id, InstanceMsg::Link { name: Arc::clone(name), view });
        }
        if let Some(source) = watch.source {
            self.tell_if_source_changed(source);
            let present = self.is_here(source);
            self.sources.entry(source).or_insert((present, Vec::new())).1.push(id);
            self.shared.tell(id, InstanceMsg::ConfiguredSource { present });
        }
        for destination in &watch.destinations {
            self.destinations.entry(*destination).or_default().push(id);
        }
        for priority in &watch.priorities {
            self.priorities.entry(*priority).or_default().push(id);
        }
        if !watch.destinations.is_empty() || !watch.priorities.is_empty() {
            self.follow_routes();
        }
        self.watching.insert(id, watch);
    }

    /// Of an interface that nobody watched.
    fn first_view(&mut self, name: &Arc<str>) -> Option<LinkView> {
        let view = self.view(name);
        for source in view.iter().flat_map(|view| [view.source4, view.source6]).flatten() {
            tracing::debug!("Assigned address {source} for interface {name}");
        }
        view
    }

    fn forget(&mut self, id: InstanceId) {
        let Some(watch) = self.watching.remove(&id) else { return };
        leave(&mut self.addresses, &watch.addresses, id);
        leave(&mut self.destinations, &watch.destinations, id);
        leave(&mut self.priorities, &watch.priorities, id);
        for name in watch.interfaces {
            if let Some(interest) = self.interfaces.get_mut(&name) {
                interest.instances.remove(&id);
                if interest.instances.is_empty() {
                    self.interfaces.remove(&name);
                    self.carriers.forget(&name);
                }
            }
        }
        if let Some(source) = watch.source
            && let Some((_, ids)) = self.sources.get_mut(&source)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.sources.remove(&source);
            }
        }
    }

    fn look_otherwise(&mut self, settings: LinkSettings) {
        self.carriers.replace(settings);
        let names: Vec<Arc<str>> = self.interfaces.keys().cloned().collect();
        names.iter().for_each(|name| self.tell_if_changed(name));
    }

    fn look_again(&mut self) {
        self.alarm.rang();
        for name in self.carriers.look_again() {
            self.tell_if_changed(&name);
        }
    }

    fn heard(&mut self, changes: Vec<Change>) {
        if self.monitoring {
            changes.iter().for_each(|change| self.report(change));
        }
        let mut touched = HashSet::new();
        for change in &changes {
            self.changed(change, &mut touched);
        }
        for name in touched {
            self.tell_if_changed(&name);
        }
        // after the links: an address that went with its interface is not to be put back
        for change in &changes {
            self.tell_loss(change);
        }
        if self.host {
            self.shared.keeper.cast(KeeperMsg::Heard(changes));
        }
    }

    /// `-a`: says which address came or went.
    fn report(&self, change: &Change) {
        let name = |index| self.shared.mirror().link(index).map_or_else(|| format!("interface {index}"), |link| link.name.clone());
        match change {
            Change::AddressAppeared { ifindex, address } => report(address.prefix, "added to", &name(*ifindex)),
            Change::AddressGone { ifindex, prefix } => report(*prefix, "removed from", &name(*ifindex)),
            Change::LinkAppeared(_)
            | Change::LinkChanged(_)
            | Change::LinkGone { .. }
            | Change::LinkRenamed { .. }
            | Change::AddressChanged { .. }
            | Change::RouteGone(_)
            | Change::RuleGone(_)
            | Change::PathsUnknown => {}
        }
    }

    /// Collects the interfaces whose view may have changed; lost addresses are told after them.
    fn changed(&mut self, change: &Change, touched: &mut HashSet<Arc<str>>) {
        match change {
            Change::LinkAppeared(index) | Change::LinkChanged(index) => {
                touched.extend(self.name_of(*index));
            }
            Change::LinkGone { name, .. } => {
                touched.extend(self.known(name));
            }
            Change::LinkRenamed { from, to, .. } => {
                let before = touched.len();
                touched.extend(self.known(from));
                touched.extend(self.known(to));
                if touched.len() > before {
                    tracing::info!("Interface name has changed from {from} to {to}");
                }
            }
            Change::AddressAppeared { ifindex, address } => self.address_changed(*ifindex, address.prefix, true, touched),
            Change::AddressChanged { ifindex, .. } => touched.extend(self.name_of(*ifindex)),
            Change::AddressGone { ifindex, prefix } => self.address_changed(*ifindex, *prefix, false, touched),
            Change::RouteGone(_) | Change::RuleGone(_) | Change::PathsUnknown => {}
        }
    }

    fn address_changed(&mut self, ifindex: u32, prefix: IpPrefix, appeared: bool, touched: &mut HashSet<Arc<str>>) {
        let address = prefix.address();
        if !self.addresses.contains_key(&address)
            && let Some(name) = self.name_of(ifindex)
        {
            if appeared {
                tracing::debug!("Assigned address {address} for interface {name}");
            } else {
                tracing::debug!("Deassigned address {address} from interface {name}");
            }
            touched.insert(name);
        }
        self.tell_if_source_changed(address);
    }

    fn tell_if_source_changed(&mut self, address: IpAddr) {
        if !self.sources.contains_key(&address) {
            return;
        }
        let present = self.is_here(address);
        if let Some((told, ids)) = self.sources.get_mut(&address)
            && *told != present
        {
            *told = present;
            for id in ids {
                self.shared.tell(*id, InstanceMsg::ConfiguredSource { present });
            }
        }
    }

    /// The name of a watched interface.
    fn name_of(&self, ifindex: u32) -> Option<Arc<str>> {
        let mirror = self.shared.mirror();
        self.known(&mirror.link(ifindex)?.name)
    }

    fn known(&self, name: &str) -> Option<Arc<str>> {
        self.interfaces.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    fn tell_if_changed(&mut self, name: &Arc<str>) {
        let view = self.view(name);
        let Some(interest) = self.interfaces.get_mut(name) else { return };
        if interest.told == Some(view) {
            return;
        }
        let was_up = interest.told.flatten().is_some_and(|view| view.up);
        let is_up = view.is_some_and(|view| view.up);
        let who = if self.carriers.polls(name) { "Linkbeat" } else { "Netlink" };
        if interest.told == Some(None) {
            tracing::info!(interface = %name, "Interface {name} added");
        }
        match (was_up, is_up, view) {
            (true, false, Some(_)) => tracing::info!(interface = %name, "{who} reports {name} down"),
            (false, true, _) => tracing::info!(interface = %name, "{who} reports {name} up"),
            (_, _, None) => tracing::info!(interface = %name, "Interface {name} deleted"),
            _ => {}
        }
        interest.told = Some(view);
        for id in &interest.instances {
            self.shared.tell(*id, InstanceMsg::Link { name: Arc::clone(name), view });
        }
    }

    fn view(&mut self, name: &Arc<str>) -> Option<LinkView> {
        let mirror = self.shared.mirror();
        let link = mirror.by_name(name);
        let up = self.carriers.counts_up(name, link);
        let link = link?;
        Some(LinkView {
            index: link.index,
            up,
            mac: link.mac,
            source4: self.source(link, Family::V4),
            source6: self.source(link, Family::V6),
        })
    }

    /// The interface's first address that is nobody's virtual address; an owner's may be both, then it is not of our adding.
    fn source(&self, link: &Link, family: Family) -> Option<IpAddr> {
        let ours: HashSet<IpAddr> =
            link.addresses.iter().filter(|known| known.proto == Some(PROTOCOL_KEEPALIVED)).map(|known| known.prefix.address()).collect();
        link.source(family, |address| self.addresses.contains_key(&address))
            .or_else(|| link.source(family, |address| ours.contains(&address)))
    }

    /// Whether any link holds this address.
    fn is_here(&self, address: IpAddr) -> bool {
        self.shared.mirror().links().any(|link| link.addresses.has_ip(address))
    }
}
