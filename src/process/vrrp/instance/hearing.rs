//! What an instance hears: where it listens, and what it makes of a datagram.

use super::super::messages::{Datagram, ReceiverKey, SocketsMsg};
use super::super::shared::lock;
use super::super::sockets;
use super::Living;
use crate::vrrp::discard::Topic;
use crate::vrrp::event::Event;
use crate::vrrp::settings::{Settings, Transport};
use crate::vrrp::{packet, receive};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

impl Living {
    /// Listens where the interface is now.
    pub(super) fn follow_sockets(&mut self) {
        let settings = Arc::clone(self.settings());
        let ifindex = match (settings.wire(), self.world.wire_link(&settings)) {
            (Some(_), Some(link)) => Some(link.index),
            (Some(_), None) => None,
            (None, _) => Some(0),
        };
        let protocol = packet::ip_protocol(&settings);
        let wanted = ifindex.map(|ifindex| ReceiverKey { family: settings.family, ifindex, protocol });
        if wanted == self.attached {
            return;
        }
        self.detach();
        if let Some(key) = wanted {
            let mut routes = lock(&self.shared.routes);
            let listeners = routes.entry(key).or_default().entry(settings.vrid).or_default();
            // a generation that failed may have left its entry
            if !listeners.contains(&self.id) {
                listeners.push(self.id);
            }
            drop(routes);
            self.attached = Some(key);
            self.attach();
        }
    }

    pub(super) fn attach(&self) {
        let Some(key) = self.attached else { return };
        let settings = self.settings();
        let group = match &settings.transport {
            Transport::Multicast { group, .. } => Some(*group),
            Transport::Unicast { .. } => None,
        };
        let address = group.or_else(|| self.world.source(settings));
        let interface = settings.wire().map(Arc::from);
        // the first advert must not wait for its socket
        if let Err(error) = self.shared.open_sender(settings.family) {
            tracing::error!(instance = %self.name, "({}) {}", self.name, sockets::with_sources(&error));
        }
        let buffer = self.rx_buffer(settings, key);
        self.shared.sockets.cast(SocketsMsg::Attach { id: self.id, key, interface, group, address, buffer });
    }

    /// Its part of the socket's receive buffer, bytes.
    fn rx_buffer(&self, settings: &Settings, key: ReceiverKey) -> Option<u32> {
        let mtu = self.shared.mirror().link(key.ifindex).map_or(0, |link| link.mtu);
        let advert = packet::length_on_the_wire(settings);
        settings.kernel_rx_buf_size.map(|size| size.bytes(mtu, u32::try_from(advert).unwrap_or(u32::MAX)))
    }

    pub(super) fn detach(&mut self) {
        if let Some(key) = self.attached.take() {
            let mut routes = lock(&self.shared.routes);
            let vrid = self.machine.settings().vrid;
            if let Some(vrids) = routes.get_mut(&key) {
                if let Some(ids) = vrids.get_mut(&vrid) {
                    ids.retain(|id| *id != self.id);
                    if ids.is_empty() {
                        vrids.remove(&vrid);
                    }
                }
                if vrids.is_empty() {
                    routes.remove(&key);
                }
            }
            drop(routes);
            self.shared.sockets.cast(SocketsMsg::Detach { id: self.id });
        }
    }

    pub(super) fn read_what_waits(&self) {
        if let Some(key) = &self.attached {
            sockets::read_what_waits(&self.shared, key);
        }
    }

    pub(super) fn received(&mut self, datagram: &Datagram) {
        if Some(datagram.source) == self.source {
            return; // our own, looped back
        }
        let settings = Arc::clone(self.settings());
        let context = receive::Context { state: self.machine.state(), master: self.machine.master(), sequence: self.sequence.highest() };
        let seen = receive::Datagram {
            source: datagram.source,
            destination: datagram.destination,
            ttl: datagram.ttl,
            protocol: datagram.protocol,
            ip_header: datagram.ip_header.as_deref(),
            payload: &datagram.payload,
        };
        let verdict = receive::check(&settings, context, &mut self.stats, &seen);
        let advert = match verdict {
            receive::Verdict::Accepted(advert) => advert,
            receive::Verdict::AcceptedWithNote(advert, remarks) => {
                for remark in remarks {
                    self.complain(datagram.source, remark.topic(), &remark);
                }
                advert
            }
            receive::Verdict::Dropped(discard) => return self.complain(datagram.source, discard.topic(), &discard),
        };
        if let Some(number) = receive::sequence(&seen) {
            self.sequence.heard(number);
        }
        self.feed(Event::AdvertReceived(advert));
    }

    /// Once a kind until the master or the state changes: strangers must not fill the log.
    fn complain(&mut self, source: IpAddr, topic: Topic, what: &dyn fmt::Display) {
        if self.quiet.first(topic, self.machine.state(), self.machine.master()) {
            tracing::warn!(instance = %self.name, source = %source, "({}) {what} (advert from {source})", self.name);
        }
    }
}
