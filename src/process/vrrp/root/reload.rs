//! The two phases of a reload: what changes is kept ready, then carried out.

use super::super::messages::{GroupsMsg, Held, InstanceMsg, ListenerMsg, WatcherMsg};
use super::Reign;
use crate::config::model::VrrpChanges;
use crate::ipc::messages::FromVrrp;
use std::collections::HashSet;
use std::sync::Arc;

impl Reign {
    pub(super) fn prepare(&mut self, generation: u64, changes: Box<VrrpChanges>) {
        let named = changes.removed.iter().chain(changes.changed.iter().map(|(name, _)| name));
        let reasons: Vec<String> =
            named.filter(|name| !self.names.contains_key(*name)).map(|name| format!("no instance {name} is running")).collect();
        if reasons.is_empty() {
            self.prepared = Some((generation, changes));
            self.outbox.post(&FromVrrp::Prepared { generation });
        } else {
            self.outbox.post(&FromVrrp::Refused { generation, reasons });
        }
    }

    pub(super) fn commit(&mut self, generation: u64) {
        let Some((_, changes)) = self.prepared.take_if(|(prepared, _)| *prepared == generation) else {
            tracing::error!("told to commit reload {generation}, which was not prepared");
            return;
        };
        let VrrpChanges { global, removed, changed, added, groups, watched } = *changes;
        if let Some(groups) = groups {
            self.groups = groups.clone();
            self.shared.groups.cast(GroupsMsg::Replace(groups));
        }
        if let Some(watched) = watched {
            self.watched = watched.clone();
            self.shared.watcher.cast(WatcherMsg::Watch(watched));
        }
        if let Some(global) = global {
            self.change_static(&Held::of_host(&self.global), &Held::of_host(&global));
            if global.links != self.global.links {
                self.shared.listener.cast(ListenerMsg::Links(global.links.clone()));
            }
            self.global = global;
        }
        for name in removed {
            if let Some(id) = self.names.remove(&name) {
                self.dismiss(id);
            }
        }
        // names may change places: all leave before any enters
        let changed: Vec<_> =
            changed.into_iter().filter_map(|(name, settings)| Some((self.names.remove(&name)?, name, settings))).collect();
        let entering: HashSet<&str> = changed.iter().map(|(_, _, settings)| settings.name.as_str()).collect();
        for (_, name, _) in &changed {
            if !entering.contains(name.as_str()) {
                self.outbox.post(&FromVrrp::Removed { instance: name.clone() });
            }
        }
        for (id, _, settings) in changed {
            let settings = self.with_free_names(Some(id), settings);
            self.names.insert(settings.name.clone(), id);
            if let Some(record) = self.records.get_mut(&id) {
                record.settings = Arc::clone(&settings);
            }
            self.shared.tell(id, InstanceMsg::Replace(settings));
        }
        for settings in added {
            let settings = self.with_free_names(None, settings);
            self.add(settings, None);
        }
        self.outbox.post(&FromVrrp::Committed { generation });
    }
}
