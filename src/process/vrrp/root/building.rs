//! Who is built when, and built again after a failure.

use super::super::announcer::Announcer;
use super::super::groups::Groups;
use super::super::instance::{InstanceArguments, Living};
use super::super::keeper::{Keeper, KeeperArguments};
use super::super::listener::{Listener, ListenerArguments};
use super::super::messages::{InstanceId, InstanceMsg, Member, RootMsg, Service};
use super::super::sockets::Sockets;
use super::super::stage::Stage;
use super::super::timekeeper::Timekeeper;
use super::super::watcher::{Watcher, WatcherArguments};
use super::Reign;
use crate::actor::Restart;
use crate::ipc::messages::Dump;
use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use std::sync::Arc;

impl Member {
    pub(super) fn name(self) -> String {
        match self {
            Self::Service(service) => format!("{service:?}"),
            Self::Instance(InstanceId(id)) => format!("instance {id}"),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let service = Service::ALL.into_iter().map(Self::Service).find(|member| member.name() == name);
        service.or_else(|| name.strip_prefix("instance ")?.parse().ok().map(|id| Self::Instance(InstanceId(id))))
    }
}

/// Rebuilds after the back-off, at once the first time.
pub(super) fn again(myself: &ActorRef<RootMsg>, restart: &Restart) {
    let Some(member) = Member::from_name(&restart.name) else { return };
    if restart.after.is_zero() {
        let _ = myself.cast(RootMsg::Rebuild(member));
    } else {
        myself.send_after(restart.after, move || RootMsg::Rebuild(member));
    }
}

impl Reign {
    /// Starts a member, for the first time or after it failed.
    pub(super) async fn build(&mut self, myself: &ActorRef<RootMsg>, member: Member) {
        match member {
            Member::Service(service) => self.build_and_tell(myself, service).await,
            Member::Instance(id) => self.build_instance(id),
        }
    }

    async fn build_and_tell(&mut self, myself: &ActorRef<RootMsg>, service: Service) {
        let now = std::time::Instant::now();
        let name = Member::Service(service).name();
        match self.build_service(myself, service).await {
            Ok(cell) => {
                self.restarts.started(&name, &cell, now);
                self.shared.instances.tell_all(|| InstanceMsg::Rebuilt(service));
            }
            Err(error) => {
                let restart = self.restarts.not_started(&name, &error.to_string(), now);
                tracing::error!("{restart}");
                again(myself, &restart);
            }
        }
    }

    async fn build_service(&self, myself: &ActorRef<RootMsg>, service: Service) -> Result<ActorCell, SpawnErr> {
        let shared = Arc::clone(&self.shared);
        let root = myself.get_cell();
        Ok(match service {
            Service::Stage => {
                let actor = Actor::spawn_linked(None, Stage, shared, root).await?.0;
                self.shared.stage.set(actor.clone());
                actor.get_cell()
            }
            Service::Timekeeper => {
                let actor = Actor::spawn_linked(None, Timekeeper, shared, root).await?.0;
                self.shared.timekeeper.set(actor.clone());
                actor.get_cell()
            }
            Service::Announcer => {
                let actor = Actor::spawn_linked(None, Announcer, shared, root).await?.0;
                self.shared.announcer.set(actor.clone());
                actor.get_cell()
            }
            Service::Keeper => {
                let (firewall, silent_igmp) = (self.global.firewall.clone(), self.global.disable_local_igmp);
                let arguments = KeeperArguments { shared, firewall, silent_igmp };
                let actor = Actor::spawn_linked(None, Keeper, arguments, root).await?.0;
                self.shared.keeper.set(actor.clone());
                actor.get_cell()
            }
            Service::Sockets => {
                let actor = Actor::spawn_linked(None, Sockets, shared, root).await?.0;
                self.shared.sockets.set(actor.clone());
                actor.get_cell()
            }
            Service::Groups => {
                let actor = Actor::spawn_linked(None, Groups, (shared, self.groups.clone()), root).await?.0;
                self.shared.groups.set(actor.clone());
                actor.get_cell()
            }
            Service::Watcher => {
                let arguments = WatcherArguments { shared, watched: self.watched.clone(), known: self.known.clone() };
                let actor = Actor::spawn_linked(None, Watcher, arguments, root).await?.0;
                self.shared.watcher.set(actor.clone());
                actor.get_cell()
            }
            Service::Listener => {
                let arguments = ListenerArguments {
                    shared,
                    buffer: self.global.monitor_buffer,
                    monitoring: self.address_monitoring,
                    links: self.global.links.clone(),
                };
                let actor = Actor::spawn_linked(None, Listener, arguments, root).await?.0;
                self.shared.listener.set(actor.clone());
                actor.get_cell()
            }
        })
    }

    /// Nothing when the instance is not wanted any more.
    pub(super) fn build_instance(&self, id: InstanceId) {
        let Some(record) = self.records.get(&id).filter(|record| !record.leaving) else { return };
        let arguments = InstanceArguments {
            id,
            settings: Arc::clone(&record.settings),
            shared: Arc::clone(&self.shared),
            resume: record.snapshot.clone(),
            not_before: self.not_before,
        };
        self.shared.instances.enter(id.0, Box::new(Living::new(arguments)));
        self.shared.tell(id, InstanceMsg::Begin);
        self.ask_again(id);
    }

    /// A question that a failed generation took along is put to the next.
    fn ask_again(&self, id: InstanceId) {
        for collecting in self.dumps.iter().filter(|collecting| collecting.missing.contains(&id)) {
            self.shared.tell(id, InstanceMsg::Describe { clear: collecting.dump == Dump::StatsAndClear });
        }
    }
}
