//! What an instance says on the wire.

use super::super::messages::KeeperMsg;
use super::super::shared::lock;
use super::super::text;
use super::Living;
use crate::net::advert::Outgoing;
use crate::sys::clock;
use crate::vrrp::packet;
use crate::vrrp::settings::{Settings, Transport};
use std::net::IpAddr;
use std::sync::Arc;

/// TTL of every multicast advert, and of unicast ones unless told otherwise (RFC 9568 §5.1.1.3).
const TTL: u8 = 255;

impl Living {
    pub(super) fn send_adverts(&mut self, priority: u8) {
        if priority != 0 && self.restores.overdue(clock::now()) {
            self.shared.keeper.cast(KeeperMsg::Install(Arc::clone(self.settings())));
        }
        let settings = Arc::clone(self.settings());
        let Some(source) = self.source else { return };
        let ifindex = self.world.wire_link(&settings).map(|link| link.index);
        if settings.interface.is_some() && ifindex.is_none() {
            return;
        }
        match &settings.transport {
            Transport::Multicast { group, .. } => self.send_advert(&settings, priority, source, *group, ifindex, TTL),
            Transport::Unicast { peers, ttl, .. } => {
                for peer in peers {
                    self.send_advert(&settings, priority, source, peer.address, ifindex, ttl.unwrap_or(TTL));
                }
            }
        }
        self.stats.adverts_sent += 1;
        if priority == 0 {
            self.stats.priority_zero_sent += 1;
            tracing::debug!(instance = %self.name, "({}) sent 0 priority", self.name);
        }
    }

    fn send_advert(&mut self, settings: &Settings, priority: u8, source: IpAddr, destination: IpAddr, ifindex: Option<u32>, ttl: u8) {
        let shared = Arc::clone(&self.shared);
        let mut pdu = lock(&shared.pdu);
        packet::emit_into(&mut pdu, settings, priority, source, destination, self.sequence.next());
        let protocol = packet::ip_protocol(settings);
        let advert = Outgoing { ifindex, source, destination, ttl, protocol, payload: &pdu };
        match self.shared.send(settings.family, &advert) {
            Ok(()) => self.sending_fails = false,
            Err(error) if !self.sending_fails => {
                self.sending_fails = true;
                let why = text::send_error(&error);
                tracing::warn!(instance = %self.name, "({}): {why} to {destination}; said once until one leaves again", self.name);
            }
            Err(_) => {}
        }
    }
}
