//! Opens and closes the sockets that adverts arrive on: one an interface and family, shared by its instances.

use super::messages::{Datagram, InstanceId, InstanceMsg, ReceiverKey, SocketsMsg};
use super::shared::{ByVrid, Shared, lock};
use crate::net::advert::{PROTOCOL_AH, Received, Receiver, ReceiverSpec};
use crate::vrrp::packet;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// System calls that take adverts from one socket before the others get their turn.
const TURNS: usize = 4;

pub(super) struct Sockets;

pub(super) struct Open {
    shared: Arc<Shared>,
    receivers: HashMap<ReceiverKey, Listening>,
    attached: HashMap<InstanceId, ReceiverKey>,
}

struct Listening {
    socket: Arc<Receiver>,
    actor: ActorRef<ReceiverMsg>,
    users: HashMap<InstanceId, User>,
    /// Bytes of receive buffer that were asked of the kernel; 0 while nobody wants other than ours.
    buffer: u32,
}

/// Who listens.
struct User {
    /// To which group.
    group: Option<IpAddr>,
    /// Its part of the receive buffer, bytes.
    buffer: Option<u32>,
}

impl Listening {
    fn hears(&self, group: Option<IpAddr>) -> bool {
        self.users.values().any(|user| user.group == group)
    }

    /// What users want of the receive buffer adds up.
    fn fit_buffer(&mut self) {
        let wanted = self.users.values().filter_map(|user| user.buffer).fold(0, u32::saturating_add);
        if wanted != 0 && wanted != self.buffer {
            self.buffer = wanted;
            if let Err(error) = self.socket.set_buffer(wanted) {
                tracing::warn!("cannot give a socket {wanted} bytes of receive buffer: {error}");
            }
        }
    }
}

impl Actor for Sockets {
    type Msg = SocketsMsg;
    type State = Open;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, shared: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        Ok(Open { shared, receivers: HashMap::new(), attached: HashMap::new() })
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            SocketsMsg::Attach { id, key, interface, group, address, buffer } => {
                state.detach(id);
                let news = state.is_new(&key, group);
                let fault = state.attach(&myself, id, key, interface, group, buffer).await.err();
                if let (true, Some(address)) = (news, address) {
                    state.tell(&key, group.is_some(), address);
                }
                state.shared.tell(id, InstanceMsg::SocketFault(fault));
            }
            SocketsMsg::Detach { id } => state.detach(id),
            #[cfg(test)]
            SocketsMsg::Panic => std::panic::panic_any("asked to"),
        }
        Ok(())
    }

    /// A receiver that failed is started again on the same socket.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(cell, error) = event {
            tracing::error!("a receiver of adverts failed: {error}: rebuilding it");
            let failed = state.receivers.iter_mut().find(|(_, listening)| listening.actor.get_id() == cell.get_id());
            if let Some((key, listening)) = failed {
                let arguments = (Arc::clone(&state.shared), *key, Arc::clone(&listening.socket));
                listening.actor = Actor::spawn_linked(None, Receiving, arguments, myself.get_cell()).await?.0;
            }
        }
        Ok(())
    }
}

impl Open {
    async fn attach(
        &mut self,
        myself: &ActorRef<SocketsMsg>,
        id: InstanceId,
        key: ReceiverKey,
        interface: Option<Arc<str>>,
        group: Option<IpAddr>,
        buffer: Option<u32>,
    ) -> Result<(), String> {
        if !self.receivers.contains_key(&key) {
            let interface = interface.map(|name| (name.to_string(), key.ifindex));
            let spec = ReceiverSpec { family: key.family, protocol: key.protocol, interface };
            let socket = Arc::new(Receiver::open(&spec).map_err(|error| with_sources(&error))?);
            let arguments = (Arc::clone(&self.shared), key, Arc::clone(&socket));
            let spawned = Actor::spawn_linked(None, Receiving, arguments, myself.get_cell()).await;
            let (actor, _) = spawned.map_err(|error| error.to_string())?;
            lock(&self.shared.receivers).insert(key, Arc::clone(&socket));
            self.receivers.insert(key, Listening { socket, actor, users: HashMap::new(), buffer: 0 });
        }
        let Some(listening) = self.receivers.get_mut(&key) else { return Ok(()) };
        let joined = match group {
            Some(address) if !listening.hears(group) => listening.socket.join(address, key.ifindex),
            _ => Ok(()),
        };
        listening.users.insert(id, User { group, buffer });
        listening.fit_buffer();
        self.attached.insert(id, key);
        joined.map_err(|error| match group {
            Some(group) => format!("cannot join {group}: {error}"),
            None => error.to_string(),
        })
    }

    /// Whether nobody listens there, to that group, yet.
    fn is_new(&self, key: &ReceiverKey, group: Option<IpAddr>) -> bool {
        self.receivers.get(key).is_none_or(|listening| !listening.hears(group))
    }

    /// The original's line; -1 is a socket that could not be opened.
    fn tell(&self, key: &ReceiverKey, multicast: bool, address: IpAddr) {
        let (ifindex, family, protocol) = (key.ifindex, key.family, key.protocol);
        let receives = self.receivers.get(key).map_or(-1, |listening| listening.socket.number());
        let sends = self.shared.sender_number(family);
        let cast = if multicast { "multicast" } else { ", unicast" };
        tracing::debug!(
            "VRRP sockpool: [ifindex({ifindex:3}), family({family}), proto({protocol}), fd({receives},{sends}) {cast}, address({address})]"
        );
    }

    fn detach(&mut self, id: InstanceId) {
        let Some(key) = self.attached.remove(&id) else { return };
        let Some(listening) = self.receivers.get_mut(&key) else { return };
        let group = listening.users.remove(&id).and_then(|user| user.group);
        if listening.users.is_empty() {
            listening.actor.kill();
            self.receivers.remove(&key);
            lock(&self.shared.receivers).remove(&key);
        } else if let Some(group) = group
            && !listening.hears(Some(group))
            && let Err(error) = listening.socket.leave(group, key.ifindex)
        {
            tracing::debug!("cannot leave {group}: {error}");
        }
    }
}

/// An error and its causes in one line.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

struct Receiving;

enum ReceiverMsg {
    /// Wait for datagrams and hand them on, for ever.
    Read,
}

struct Reading {
    shared: Arc<Shared>,
    key: ReceiverKey,
    socket: Arc<Receiver>,
}

impl Actor for Receiving {
    type Msg = ReceiverMsg;
    type State = Reading;
    type Arguments = (Arc<Shared>, ReceiverKey, Arc<Receiver>);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (shared, key, socket): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(ReceiverMsg::Read)?;
        Ok(Reading { shared, key, socket })
    }

    /// Never comes back: there is nothing else to be told, and a kill ends it wherever it waits.
    async fn handle(&self, _: ActorRef<Self::Msg>, _: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        loop {
            state.socket.readable().await?;
            state.shared.show_life();
            if read(&state.shared, &state.key, &state.socket) == Rest::MayBeMore {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Hands on whatever waits in the socket of this receiver, now.
pub(super) fn read_what_waits(shared: &Shared, key: &ReceiverKey) {
    /// More than a receive buffer holds.
    const READS: usize = 64;
    let socket = lock(&shared.receivers).get(key).map(Arc::clone);
    if let Some(socket) = socket {
        let _ = (0..READS).any(|_| read(shared, key, &socket) == Rest::Nothing);
    }
}

/// What is left in a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    MayBeMore,
}

fn read(shared: &Shared, key: &ReceiverKey, socket: &Receiver) -> Rest {
    let mut room = lock(&shared.room);
    let routes = lock(&shared.routes);
    let routes = routes.get(key);
    for _ in 0..TURNS {
        match socket.receive_waiting(&mut room, |received| deliver(shared, routes, received)) {
            Ok(true) => {}
            Ok(false) => return Rest::Nothing,
            Err(error) => {
                tracing::debug!("cannot receive adverts: {error}");
                return Rest::Nothing;
            }
        }
    }
    Rest::MayBeMore
}

/// To every instance with this VRID that listens on this receiver.
fn deliver(shared: &Shared, routes: Option<&ByVrid>, received: &Received<'_>) {
    let Some(vrid) = packet::vrid_of(received.payload) else { return };
    for id in routes.and_then(|routes| routes.get(&vrid)).into_iter().flatten() {
        let datagram = Datagram {
            source: received.source,
            destination: received.destination,
            ttl: received.ttl,
            protocol: received.protocol,
            // only the digest of an authentication header covers it
            ip_header: received.ip_header.filter(|_| received.protocol == PROTOCOL_AH).map(Into::into),
            payload: received.payload.into(),
        };
        shared.tell(*id, InstanceMsg::Received(datagram));
    }
}
