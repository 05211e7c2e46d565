//! The addresses that an instance holds, has lost, or found at its start.

use super::super::messages::{Burst, KeeperMsg};
use super::Living;
use crate::net::address::{KernelAddress, PROTOCOL_KEEPALIVED};
use crate::sys::clock;
use crate::types::IpPrefix;
use crate::vrrp::event::{Event, State};
use crate::vrrp::settings::{Settings, VirtualAddress};
use std::sync::Arc;

impl Living {
    /// Whether any virtual address stands in the kernel already.
    pub(super) fn addresses_in_kernel(&self) -> bool {
        let settings = self.settings();
        let mirror = self.shared.mirror();
        settings.addresses.iter().chain(&settings.excluded).any(|address| {
            let device = address.device.as_deref().or(settings.interface.as_deref());
            let link = device.and_then(|name| mirror.by_name(name));
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
        if self.machine.state() != State::Master {
            return;
        }
        let settings = Arc::clone(self.settings());
        let all = settings.addresses.iter().chain(&settings.excluded);
        let lost = all.filter(|address| address.prefix.address() == prefix.address()).find(|address| {
            let own = settings.interface.as_deref();
            address.device.as_deref().or(own) == Some(device)
        });
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
            let added = vec![address.clone()];
            self.shared.keeper.cast(KeeperMsg::Replace { settings: Arc::clone(&settings), removed: Vec::new(), added });
            let burst = Burst { only: Some(vec![address.clone()]), repeat: 1, settings: Arc::clone(&settings) };
            self.shared.keeper.cast(KeeperMsg::Announce(burst));
        }
    }

    pub(super) fn change_addresses(&self, settings: &Arc<Settings>, removed: Vec<VirtualAddress>, added: Vec<VirtualAddress>) {
        let burst = Burst { settings: Arc::clone(settings), only: Some(added.clone()), repeat: settings.announce.master_repeat };
        self.shared.keeper.cast(KeeperMsg::Replace { settings: Arc::clone(settings), removed, added });
        self.shared.keeper.cast(KeeperMsg::Announce(burst));
    }

    /// A reload: the addresses that changed are changed here, the rest is the state machine's.
    pub(super) fn replace(&mut self, settings: Arc<Settings>) {
        let old = Arc::clone(self.settings());
        let removed = only_in(&old, &settings);
        let added = only_in(&settings, &old);
        let group_changed = old.transport != settings.transport || old.kernel_rx_buf_size != settings.kernel_rx_buf_size;
        self.name = settings.name.as_str().into();
        if old.sync_group != settings.sync_group {
            (self.held_by_group, self.reported) = (false, None);
        }
        self.shared.keeper.cast(KeeperMsg::Prepare(Arc::clone(&settings)));
        self.feed(Event::SettingsReplaced(Arc::clone(&settings)));
        let shut_changed = old.accept != settings.accept;
        if self.machine.state() == State::Master && !(removed.is_empty() && added.is_empty()) {
            self.change_addresses(&settings, removed, added);
        }
        if self.machine.state() == State::Master && shut_changed {
            self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(&settings)));
        }
        if group_changed {
            self.detach();
        }
        self.watch();
        self.world_changed();
        self.report();
    }
}

/// Addresses of `one` that `other` does not have in every detail.
fn only_in(one: &Settings, other: &Settings) -> Vec<VirtualAddress> {
    let theirs: std::collections::HashSet<_> = other.addresses.iter().chain(&other.excluded).collect();
    one.addresses.iter().chain(&one.excluded).filter(|address| !theirs.contains(address)).cloned().collect()
}
