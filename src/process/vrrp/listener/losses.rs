//! What is gone from the kernel: who is told.

use super::super::messages::{InstanceId, InstanceMsg, Service};
use super::Listening;
use crate::net::mirror::Change;
use crate::types::IpPrefix;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Takes an instance out of the lists under these keys.
pub(super) fn leave<K: Eq + Hash>(lists: &mut HashMap<K, Vec<InstanceId>>, keys: &[K], id: InstanceId) {
    for key in keys {
        if let Some(ids) = lists.get_mut(key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                lists.remove(key);
            }
        }
    }
}

impl Listening {
    pub(super) fn follow_routes(&mut self) {
        if let Err(error) = self.subscription.follow_routes() {
            tracing::error!("cannot follow the kernel's route and rule messages: {error}; one that is taken away is not noticed");
        }
    }

    /// Tells those who miss what is gone.
    pub(super) fn tell_loss(&self, change: &Change) {
        match change {
            Change::AddressGone { ifindex, prefix } => self.tell_lost(*ifindex, *prefix),
            Change::RouteGone(key) => {
                for id in self.destinations.get(&key.destination).into_iter().flatten() {
                    self.shared.tell(*id, InstanceMsg::RouteLost(Box::new(key.clone())));
                }
            }
            Change::RuleGone(key) => {
                for id in self.priorities.get(&key.priority).into_iter().flatten() {
                    self.shared.tell(*id, InstanceMsg::RuleLost(Box::new(key.clone())));
                }
            }
            // Masters ask for everything again; what is there stays as it is.
            Change::PathsUnknown if !self.destinations.is_empty() || !self.priorities.is_empty() => {
                self.shared.instances.tell_all(|| InstanceMsg::Rebuilt(Service::Keeper));
            }
            Change::PathsUnknown | Change::AddressAppeared { .. } | Change::AddressChanged { .. } => {}
            Change::LinkAppeared(_) | Change::LinkChanged(_) | Change::LinkGone { .. } | Change::LinkRenamed { .. } => {}
        }
    }

    /// Tells those whose virtual address this was.
    fn tell_lost(&self, ifindex: u32, prefix: IpPrefix) {
        let Some(ids) = self.addresses.get(&prefix.address()) else { return };
        let Some(device) = self.name_of(ifindex) else { return };
        for id in ids {
            self.shared.tell(*id, InstanceMsg::AddressLost { device: Arc::clone(&device), prefix });
        }
    }
}
