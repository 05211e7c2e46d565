//! A dump waits until every instance has described itself.

use super::super::dump::{self, Section};
use super::super::messages::{InstanceId, InstanceMsg};
use super::super::shared::lock;
use super::Reign;
use crate::ipc::messages::{Dump, FromVrrp};
use crate::report::Tracking;
use std::collections::BTreeMap;

/// A dump that waits for its instances.
pub(super) struct Collecting {
    pub(super) dump: Dump,
    /// Who has not answered yet.
    pub(super) missing: Vec<InstanceId>,
    sections: BTreeMap<InstanceId, Section>,
}

impl Reign {
    pub(super) fn dump(&mut self, dump: Dump) {
        dump::announce(dump);
        let clear = dump == Dump::StatsAndClear;
        let missing: Vec<InstanceId> = self.records.iter().filter(|(_, record)| !record.leaving).map(|(id, _)| *id).collect();
        for id in &missing {
            self.shared.tell(*id, InstanceMsg::Describe { clear });
        }
        self.dumps.push(Collecting { dump, missing, sections: BTreeMap::new() });
        self.say_complete_dumps();
    }

    pub(super) fn described(&mut self, id: InstanceId, section: Section) {
        // answers come in the order of the questions
        if let Some(collecting) = self.dumps.iter_mut().find(|collecting| collecting.missing.contains(&id)) {
            collecting.missing.retain(|missing| *missing != id);
            collecting.sections.insert(id, section);
        }
        self.say_complete_dumps();
    }

    fn say_complete_dumps(&mut self) {
        let (complete, waiting) =
            std::mem::take(&mut self.dumps).into_iter().partition(|collecting: &Collecting| collecting.missing.is_empty());
        self.dumps = waiting;
        for Collecting { dump, sections, .. } in complete {
            let sections: Vec<Section> = sections.into_values().collect();
            let readings = lock(&self.shared.readings);
            let tracking = Tracking {
                host: &self.global,
                groups: &self.groups,
                watched: &self.watched,
                script: &|name| readings.scripts.get(name).copied(),
                file: &|name| readings.files.get(name).copied(),
                session: &|name| readings.sessions.get(name).copied(),
            };
            let text = dump::text(dump, &sections, &tracking, &self.shared.mirror());
            self.outbox.post(&FromVrrp::Dumped { dump, text });
        }
    }
}
