//! What outlives any single actor: who is who now, deadlines, the kernel's mirror, the senders.

use super::deadlines::Deadlines;
use super::instance::Living;
use super::messages::{
    AnnouncerMsg, GroupsMsg, InstanceId, InstanceMsg, KeeperMsg, ListenerMsg, ReceiverKey, RootMsg, SocketsMsg, StageMsg, TimekeeperMsg,
    WatcherMsg,
};
use super::watcher::Readings;
use crate::actor::Troupe;
use crate::ipc::messages::FromVrrp;
use crate::net::OpenError;
use crate::net::advert::{Outgoing, Receiver, Room, Sender};
use crate::net::mirror::Mirror;
use crate::sys::clock;
use crate::types::{Family, Instant, Vrid};
use crate::vrrp::event::Action;
use ractor::{ActorRef, Message};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Adverts come as often as every 10 ms; signs of life do not, and yet twice in the shortest silence that the supervisor
/// allows us.
const BETWEEN_SIGNS: Duration = Duration::from_millis(200);

/// The process is single-threaded, so no lock here is ever contended, and none is held across a call that could panic
/// halfway through an update: a poisoned lock is entered all the same.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The current generation of an actor that exists once.
pub(super) struct Slot<M: Message>(Mutex<Option<ActorRef<M>>>);

impl<M: Message> Default for Slot<M> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<M: Message> Slot<M> {
    pub(super) fn set(&self, actor: ActorRef<M>) {
        *lock(&self.0) = Some(actor);
    }

    /// To the current generation. A message to an actor that is just being rebuilt is lost, which is why Root tells
    /// everybody to say again what it must know.
    pub(super) fn cast(&self, message: M) {
        if let Some(actor) = lock(&self.0).as_ref() {
            let _ = actor.cast(message);
        }
    }

    /// Fail, for one that listens to no message.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        if let Some(actor) = lock(&self.0).as_ref() {
            actor.kill();
        }
    }

    pub(super) fn is_set(&self) -> bool {
        lock(&self.0).is_some()
    }
}

/// Which instances a datagram of one receiver is for.
pub(super) type ByVrid = BTreeMap<Vrid, Vec<InstanceId>>;

pub(super) struct Shared {
    pub(super) root: Slot<RootMsg>,
    pub(super) stage: Slot<StageMsg>,
    pub(super) timekeeper: Slot<TimekeeperMsg>,
    pub(super) keeper: Slot<KeeperMsg>,
    pub(super) announcer: Slot<AnnouncerMsg>,
    pub(super) sockets: Slot<SocketsMsg>,
    pub(super) listener: Slot<ListenerMsg>,
    pub(super) instances: Troupe<Living>,
    /// What a machine orders and what it sends, between two uses: one for all of them.
    pub(super) actions: Mutex<Vec<Action>>,
    pub(super) pdu: Mutex<Vec<u8>>,
    pub(super) routes: Mutex<HashMap<ReceiverKey, ByVrid>>,
    pub(super) groups: Slot<GroupsMsg>,
    pub(super) watcher: Slot<WatcherMsg>,
    /// What tracked objects read.
    pub(super) readings: Mutex<Readings>,
    /// The sockets that adverts arrive on.
    pub(super) receivers: Mutex<HashMap<ReceiverKey, Arc<Receiver>>>,
    /// What adverts are read into.
    pub(super) room: Mutex<Room>,
    pub(super) deadlines: Deadlines,
    /// When the supervisor was last shown that we live.
    showed_life: Mutex<Option<Instant>>,
    mirror: Mutex<Mirror>,
    sender4: Mutex<Option<Sender>>,
    sender6: Mutex<Option<Sender>>,
    /// Its next look at the deadlines is to panic.
    #[cfg(test)]
    pub(super) timekeeper_fails: std::sync::atomic::AtomicBool,
}

impl Shared {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            root: Slot::default(),
            stage: Slot::default(),
            timekeeper: Slot::default(),
            keeper: Slot::default(),
            announcer: Slot::default(),
            sockets: Slot::default(),
            listener: Slot::default(),
            groups: Slot::default(),
            watcher: Slot::default(),
            readings: Mutex::default(),
            instances: Troupe::default(),
            actions: Mutex::default(),
            pdu: Mutex::default(),
            routes: Mutex::default(),
            receivers: Mutex::default(),
            room: Mutex::default(),
            deadlines: Deadlines::new()?,
            showed_life: Mutex::default(),
            mirror: Mutex::default(),
            sender4: Mutex::default(),
            sender6: Mutex::default(),
            #[cfg(test)]
            timekeeper_fails: std::sync::atomic::AtomicBool::default(),
        })
    }

    /// To be called when an advert woke us: now and then the supervisor is told that we live, so that it need not wake us
    /// to ask.
    pub(super) fn show_life(&self) {
        let now = clock::now();
        let mut last = lock(&self.showed_life);
        if last.is_none_or(|last| now.since(last) >= BETWEEN_SIGNS) {
            *last = Some(now);
            self.root.cast(RootMsg::Say(FromVrrp::Alive));
        }
    }

    /// What the kernel has, as last heard.
    pub(super) fn mirror(&self) -> MutexGuard<'_, Mirror> {
        lock(&self.mirror)
    }

    pub(super) fn knows(&self, id: InstanceId) -> bool {
        self.instances.has(id.0)
    }

    pub(super) fn tell(&self, id: InstanceId, message: InstanceMsg) {
        self.instances.tell(id.0, message);
    }

    fn sender(&self, family: Family) -> &Mutex<Option<Sender>> {
        match family {
            Family::V4 => &self.sender4,
            Family::V6 => &self.sender6,
        }
    }

    /// Opens the sender of a family, unless it is open.
    pub(super) fn open_sender(&self, family: Family) -> Result<(), SendError> {
        let mut slot = lock(self.sender(family));
        if slot.is_none() {
            *slot = Some(Sender::open(family)?);
        }
        Ok(())
    }

    /// The number of a family's sending socket, for the log; -1 while it is not open.
    pub(super) fn sender_number(&self, family: Family) -> i32 {
        lock(self.sender(family)).as_ref().map_or(-1, Sender::number)
    }

    /// One system call.
    pub(super) fn send(&self, family: Family, advert: &Outgoing<'_>) -> Result<(), SendError> {
        self.open_sender(family)?;
        match lock(self.sender(family)).as_ref() {
            Some(sender) => sender.send(advert).map_err(SendError::Send),
            None => Ok(()),
        }
    }
}

/// An advert did not leave.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("cannot open the socket to send adverts")]
    Open(#[from] OpenError),
    #[error("cannot send an advert")]
    Send(#[source] io::Error),
}
