//! Gratuitous ARP and unsolicited neighbour advertisements, at once or paced by `vrrp_garp_interval` and `vrrp_gna_interval`.

use super::messages::{AnnouncerMsg, Burst, Lane};
use super::shared::Shared;
use crate::net::{announce, sysctl};
use crate::types::{Family, MacAddr};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Announcer;

pub(super) struct Announcing {
    shared: Arc<Shared>,
    wire: announce::Announcer,
    /// Messages that wait for their turn. An entry exists while its pause runs.
    waiting: HashMap<Lane, VecDeque<Message>>,
    /// Interfaces on which sending failed: said once until it works again.
    failing: HashSet<u32>,
}

#[derive(Clone)]
struct Message {
    device: Arc<str>,
    ifindex: u32,
    mac: Option<MacAddr>,
    address: IpAddr,
    router: bool,
    pause: Duration,
}

impl Message {
    const fn lane(&self) -> Lane {
        Lane { ifindex: self.ifindex, family: Family::of(&self.address) }
    }
}

impl Actor for Announcer {
    type Msg = AnnouncerMsg;
    type State = Announcing;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, shared: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        Ok(Announcing { shared, wire: announce::Announcer::open()?, waiting: HashMap::new(), failing: HashSet::new() })
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            AnnouncerMsg::Burst(burst) => state.burst(&myself, &burst),
            AnnouncerMsg::Next(lane) => state.next(&myself, lane),
            #[cfg(test)]
            AnnouncerMsg::Panic => std::panic::panic_any("asked to"),
        }
        Ok(())
    }
}

impl Announcing {
    fn burst(&mut self, myself: &ActorRef<AnnouncerMsg>, burst: &Burst) {
        let settings = &burst.settings;
        let all = settings.addresses.iter().chain(&settings.excluded);
        let addresses: Vec<_> = match &burst.only {
            Some(only) => only.iter().collect(),
            None => all.collect(),
        };
        let mut paced = Vec::new();
        for address in addresses {
            let Some(device) = settings.place(address) else { continue };
            let Some((ifindex, mac)) = self.link(device) else { continue };
            let ip = address.prefix.address();
            let what = if ip.is_ipv4() { "gratuitous ARPs" } else { "Unsolicited Neighbour Adverts" };
            tracing::debug!(instance = %settings.name, "({}) Sending/queueing {what} on {device} for {ip}", settings.name);
            let pause = if ip.is_ipv4() { settings.announce.garp_interval } else { settings.announce.gna_interval };
            let router = ip.is_ipv6() && sysctl::forwards_ipv6(device);
            let message = Message { device: device.into(), ifindex, mac, address: ip, router, pause };
            if message.pause.is_zero() && !self.waiting.contains_key(&message.lane()) {
                self.send(&message, burst.repeat);
            } else {
                paced.push(message);
            }
        }
        // round by round: every address is told of once before any is told of again
        for _ in 0..burst.repeat {
            for message in &paced {
                self.wait_in_lane(myself, message.clone());
            }
        }
    }

    /// Index and Ethernet address of a device that takes part in ARP.
    fn link(&self, device: &str) -> Option<(u32, Option<MacAddr>)> {
        let mirror = self.shared.mirror();
        mirror.by_name(device).filter(|link| link.arp && !link.loopback).map(|link| (link.index, link.mac))
    }

    fn wait_in_lane(&mut self, myself: &ActorRef<AnnouncerMsg>, message: Message) {
        let lane = message.lane();
        let idle = !self.waiting.contains_key(&lane);
        self.waiting.entry(lane).or_default().push_back(message);
        if idle {
            self.next(myself, lane);
        }
    }

    fn next(&mut self, myself: &ActorRef<AnnouncerMsg>, lane: Lane) {
        let Some(queue) = self.waiting.get_mut(&lane) else { return };
        match queue.pop_front() {
            Some(message) => {
                self.send(&message, 1);
                myself.send_after(message.pause, move || AnnouncerMsg::Next(lane));
            }
            None => {
                self.waiting.remove(&lane);
            }
        }
    }

    fn send(&mut self, message: &Message, repeat: u32) {
        let Message { device, ifindex, mac, address, router, .. } = message;
        let (what, sent) = match (address, mac) {
            (IpAddr::V4(address), Some(mac)) => {
                ("gratuitous ARP", self.wire.gratuitous_arp(*ifindex, *mac, *address, repeat).map_err(|error| error.to_string()))
            }
            (IpAddr::V4(_), None) => return,
            (IpAddr::V6(address), mac) => (
                "unsolicited Neighbour Advert",
                self.wire.unsolicited_na(*ifindex, *mac, *address, *router, repeat).map_err(|error: io::Error| error.to_string()),
            ),
        };
        match sent {
            Ok(()) => {
                self.failing.remove(ifindex);
                for _ in 0..repeat {
                    tracing::debug!("Sending {what} on {device} for {address}");
                }
            }
            Err(error) if self.failing.insert(*ifindex) => tracing::warn!("cannot send {what} on {device} for {address}: {error}"),
            Err(_) => {}
        }
    }
}
