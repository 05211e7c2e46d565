//! Sync groups: members report what they are, and are told together what to become.

use super::messages::{GroupOrder, GroupsMsg, InstanceId, InstanceMsg, RootMsg, Service};
use super::shared::Shared;
use crate::ipc::messages::FromVrrp;
use crate::vrrp::group::{Group, Order, Report};
use crate::vrrp::notify::{Happened, Notice, Subject};
use crate::vrrp::settings::GroupSettings;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Groups;

pub(super) struct Assembly {
    shared: Arc<Shared>,
    groups: HashMap<String, Entry>,
}

struct Entry {
    settings: Arc<GroupSettings>,
    machine: Group,
    /// Place of each member by its name.
    places: HashMap<String, usize>,
    /// Who reported for each place.
    ids: Vec<Option<InstanceId>>,
}

impl Entry {
    fn new(settings: Arc<GroupSettings>, running: bool) -> Self {
        let count = settings.members.len();
        let machine = if running { Group::of_running } else { Group::new };
        let places = settings.members.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Self { machine: machine(settings.name.clone(), count), places, ids: vec![None; count], settings }
    }
}

impl Actor for Groups {
    type Msg = GroupsMsg;
    type State = Assembly;
    type Arguments = (Arc<Shared>, Vec<Arc<GroupSettings>>);

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (shared, settings): Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        let groups = settings.into_iter().map(|settings| (settings.name.clone(), Entry::new(settings, false))).collect();
        Ok(Assembly { shared, groups })
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            GroupsMsg::Replace(settings) => state.replace(settings),
            GroupsMsg::Reported { id, group, member, report } => state.reported(id, &group, &member, report),
            GroupsMsg::Answered { id, group } => state.answered(id, &group),
            #[cfg(test)]
            GroupsMsg::Panic => std::panic::panic_any("asked to"),
        }
        Ok(())
    }
}

impl Assembly {
    /// A group with the same members goes on; any other starts from what its members say anew.
    fn replace(&mut self, settings: Vec<Arc<GroupSettings>>) {
        let mut before = std::mem::take(&mut self.groups);
        for settings in settings {
            let entry = match before.remove(&settings.name) {
                Some(entry) if entry.settings.members == settings.members => Entry { settings: Arc::clone(&settings), ..entry },
                Some(_) | None => Entry::new(Arc::clone(&settings), true),
            };
            self.groups.insert(settings.name.clone(), entry);
        }
        self.shared.instances.tell_all(|| InstanceMsg::Rebuilt(Service::Groups));
    }

    fn answered(&self, id: InstanceId, group: &str) {
        let members = self.groups.get(group).into_iter().flat_map(|entry| entry.ids.iter().flatten());
        for other in members.filter(|other| **other != id) {
            self.shared.tell(*other, InstanceMsg::Group(GroupOrder::Announce));
        }
    }

    fn reported(&mut self, id: InstanceId, group: &str, member: &str, report: Report) {
        let speak = || self.shared.tell(id, InstanceMsg::Group(GroupOrder::Speak));
        let Some(entry) = self.groups.get_mut(group) else { return speak() };
        let Some(place) = entry.places.get(member).copied() else { return speak() };
        if let Some(slot) = entry.ids.get_mut(place) {
            *slot = Some(id);
        }
        for order in entry.machine.reported(place, report) {
            let tell = |place: usize, order: GroupOrder| {
                if let Some(id) = entry.ids.get(place).copied().flatten() {
                    self.shared.tell(id, InstanceMsg::Group(order));
                }
            };
            match order {
                Order::Say(line) => tracing::info!(group, "{line}"),
                Order::GoMaster(place) => tell(place, GroupOrder::GoMaster),
                Order::BackOff(place) => tell(place, GroupOrder::BackOff),
                Order::FaultBegan(place) => tell(place, GroupOrder::Fault(true)),
                Order::FaultEnded(place) => tell(place, GroupOrder::Fault(false)),
                Order::Speak(place) => tell(place, GroupOrder::Speak),
                Order::Entered(state) => {
                    let subject = Subject::Group(group.to_owned());
                    let notice = Notice { subject, happened: Happened::Entered(state), priority: None };
                    self.shared.root.cast(RootMsg::Say(FromVrrp::Notice(notice)));
                }
            }
        }
    }
}
