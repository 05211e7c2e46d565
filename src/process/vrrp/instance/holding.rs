//! The addresses that an instance holds, has lost, or found at its start.

use super::super::messages::{Burst, Held, KeeperMsg};
use super::Living;
use crate::net::address::{KernelAddress, PROTOCOL_KEEPALIVED};
use crate::sys::clock;
use crate::types::{Instant, IpPrefix};
use crate::vrrp::event::{Event, State};
use crate::vrrp::settings::{Settings, VirtualAddress};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

impl Living {
    /// Whether any virtual address stands in the kernel already.
    pub(super) fn addresses_in_kernel(&self) -> bool {
        let settings = self.settings();
        let mirror = self.shared.mirror();
        settings.addresses.iter().chain(&settings.excluded).any(|address| {
            let link = settings.place(address).and_then(|name| mirror.by_name(name));
            let known = link.and_then(|link| link.addresses.get(&KernelAddress::from(address, link.index).key()));
            known.is_some_and(|known| known.proto == Some(PROTOCOL_KEEPALIVED) || !settings.priority.is_owner())
        })
    }

    /// Somebody else is master, or we are unfit: what a crash left behind goes.
    pub(super) fn forget_leftovers(&mut self) {
        self.leftovers = false;
        if self.machine.state() != State::Master {
            tracing::info!(instance = %self.name, "({}) removing VIPs left behind by a previous run.", self.name);
            self.shared.keeper.cast(KeeperMsg::Remove(Arc::clone(self.settings())));
        }
    }

    pub(super) fn address_lost(&mut self, device: &Arc<str>, prefix: IpPrefix) {
        if self.machine.state() != State::Master || self.expected.explains(prefix.address(), clock::now()) {
            return;
        }
        let settings = Arc::clone(self.settings());
        let all = settings.addresses.iter().chain(&settings.excluded);
        let mut lost = all.filter(|address| address.prefix.address() == prefix.address());
        let lost = lost.find(|address| settings.place(address) == Some(device));
        if let Some(address) = lost.filter(|address| !address.no_track) {
            tracing::warn!(
                instance = %self.name,
                "({}) Netlink reflector reports IP {} removed from {device}: putting it back, something else manages this interface",
                self.name,
                prefix.address()
            );
            if !self.restores.allow(clock::now()) {
                tracing::error!(
                    instance = %self.name,
                    "({}) something removes {} again and again: putting it back more slowly; find out what manages {device}",
                    self.name,
                    prefix.address()
                );
                return;
            }
            let added = Held { addresses: vec![address.clone()], ..Held::default() };
            self.shared.keeper.cast(KeeperMsg::Replace { settings: Arc::clone(&settings), removed: Held::default(), added });
            let burst = Burst { only: Some(vec![address.clone()]), repeat: 1, settings: Arc::clone(&settings) };
            self.shared.keeper.cast(KeeperMsg::Announce(burst));
        }
    }

    fn change_held(&mut self, settings: &Arc<Settings>, removed: Held, added: Held) {
        let burst = Burst { settings: Arc::clone(settings), only: Some(added.addresses.clone()), repeat: settings.announce.master_repeat };
        self.expected.expect(&removed.addresses, &added.addresses, clock::now());
        self.expect_paths(&removed);
        self.shared.keeper.cast(KeeperMsg::Replace { settings: Arc::clone(settings), removed, added });
        self.shared.keeper.cast(KeeperMsg::Announce(burst));
    }

    /// A reload: what addresses are to stand on comes before them.
    pub(super) fn replace_on_vmacs(&mut self, settings: Arc<Settings>) {
        // An earlier one that still waits for its VMACs is overtaken.
        self.next = None;
        let known: Vec<_> = self.settings().vmacs().collect();
        if settings.vmacs().all(|vmac| known.contains(&vmac)) {
            return self.replace(settings);
        }
        self.shared.keeper.cast(KeeperMsg::Make { id: self.id, settings: Arc::clone(&settings) });
        self.next = Some(settings);
    }

    /// A reload: the addresses that changed are changed here, the rest is the state machine's.
    pub(super) fn replace(&mut self, settings: Arc<Settings>) {
        let old = Arc::clone(self.settings());
        let (mut removed, mut added) = (held(&old).without(&held(&settings)), held(&settings).without(&held(&old)));
        (removed.addresses, added.addresses) = (only_in(&old, &settings), only_in(&settings, &old));
        let group_changed = old.transport != settings.transport || old.kernel_rx_buf_size != settings.kernel_rx_buf_size;
        self.name = settings.name.as_str().into();
        if old.sync_group != settings.sync_group {
            (self.held_by_group, self.reported) = (false, None);
        }
        self.shared.keeper.cast(KeeperMsg::Prepare(Arc::clone(&settings)));
        self.world.settings_are(&settings, &old);
        self.feed(Event::SettingsReplaced(Arc::clone(&settings)));
        let shut_changed = old.accept != settings.accept;
        if self.machine.state() == State::Master && !(removed.is_empty() && added.is_empty()) {
            self.change_held(&settings, removed, added);
        }
        if self.machine.state() == State::Master && shut_changed {
            self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(&settings)));
        }
        let kept: Vec<String> = settings.vmacs().map(|vmac| vmac.name.clone()).collect();
        if old.vmacs().any(|vmac| !kept.contains(&vmac.name)) {
            self.unmake_vmacs(kept);
        }
        if group_changed {
            self.detach();
        }
        self.watch();
        self.world_changed();
        self.report();
    }
}

/// Routes and rules; which addresses differ is a finer question.
fn held(settings: &Settings) -> Held {
    Held { addresses: Vec::new(), routes: settings.routes.clone(), rules: settings.rules.clone() }
}

/// Addresses of `one` that the kernel would have to hear of, coming from `other`. The words may differ: a `dev` that names the
/// instance's own interface says what its absence says.
fn only_in(one: &Settings, other: &Settings) -> Vec<VirtualAddress> {
    let in_kernel = |settings: &Settings, address: &VirtualAddress| VirtualAddress {
        device: settings.place(address).map(str::to_owned),
        vmac: None,
        no_track: false,
        ..address.clone()
    };
    let theirs: HashSet<_> = other.addresses.iter().chain(&other.excluded).map(|address| in_kernel(other, address)).collect();
    one.addresses.iter().chain(&one.excluded).filter(|address| !theirs.contains(&in_kernel(one, address))).cloned().collect()
}

/// Addresses that we delete only to add them anew: the kernel will report each as gone once, and nobody took it away.
#[derive(Default)]
pub(super) struct Expected(Vec<(IpAddr, Instant)>);

impl Expected {
    /// The kernel's word comes within this time or never.
    const PATIENCE: Duration = Duration::from_secs(2);

    fn expect(&mut self, removed: &[VirtualAddress], added: &[VirtualAddress], now: Instant) {
        let again = |address: &&VirtualAddress| added.iter().any(|other| other.prefix.address() == address.prefix.address());
        self.0.retain(|(_, since)| now.since(*since) < Self::PATIENCE);
        self.0.extend(removed.iter().filter(again).map(|address| (address.prefix.address(), now)));
    }

    /// Whether this loss is our own doing.
    fn explains(&mut self, address: IpAddr, now: Instant) -> bool {
        let found = self.0.iter().position(|(expected, since)| *expected == address && now.since(*since) < Self::PATIENCE);
        found.map(|index| self.0.swap_remove(index)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vips: &str) -> Settings {
        let text = format!("vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n{vips}\n }}\n}}\n");
        Settings::clone(&crate::config::load_text(&text).config.instances[0])
    }

    #[test]
    fn an_address_whose_words_changed_and_nothing_else_is_left_alone() {
        let (bare, wordy) = (settings("10.0.0.1/24"), settings("10.0.0.1/24 dev eth0 no_track"));
        assert!(only_in(&bare, &wordy).is_empty() && only_in(&wordy, &bare).is_empty());
        let elsewhere = settings("10.0.0.1/24 dev eth1");
        assert_eq!(only_in(&bare, &elsewhere).len(), 1);
        assert_eq!(only_in(&bare, &settings("10.0.0.1/24 label eth0:1")).len(), 1);
    }

    #[test]
    fn a_loss_of_our_own_making_is_explained_once_and_not_for_long() {
        let (old, new) = (settings("10.0.0.1/24\n10.0.0.2/24"), settings("10.0.0.1/32"));
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let (kept, gone) = (old.addresses[0].prefix.address(), old.addresses[1].prefix.address());
        let mut expected = Expected::default();
        expected.expect(&old.addresses, &new.addresses, at(1));
        assert!(!expected.explains(gone, at(1)), "it does not come back: its loss is no loss of the new settings");
        assert!(expected.explains(kept, at(1)));
        assert!(!expected.explains(kept, at(1)));
        expected.expect(&old.addresses, &new.addresses, at(1));
        assert!(!expected.explains(kept, at(4)));
    }
}
