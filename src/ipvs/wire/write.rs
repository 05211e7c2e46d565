//! Requests: what comes after the netlink header, byte for byte as ipvsadm (libnl) writes it.

use super::{AF_INET, AF_INET6, NESTED, command, daemon, dest, svc, top};
use crate::lvs::plan::Change;
use crate::lvs::settings::{Checksum, Forwarding, SyncDaemon, Timeouts, Tunnel};
use crate::lvs::table::{Destination, DestinationKey, Service, ServiceKey};
use crate::types::Family;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Version of the family.
const VERSION: u8 = 1;

/// Which half of connection synchronisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Mode {
    /// Sends.
    Master,
    /// Receives.
    Backup,
}

/// Attributes as they are written: length, type, payload, padding to four.
struct Attributes(Vec<u8>);

impl Attributes {
    fn command(command: u8) -> Self {
        Self(vec![command, VERSION, 0, 0])
    }

    fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// With its terminating NUL.
    fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Always 16 bytes, an IPv4 address in the first four.
    fn address(&mut self, kind: u16, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(address) => {
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(address.octets()) {
                    *to = from;
                }
                self.bytes(kind, &bytes)
            }
            IpAddr::V6(address) => self.bytes(kind, &address.octets()),
        }
    }

    fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        inside(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        let header = length.to_ne_bytes().into_iter().chain((kind | NESTED).to_ne_bytes());
        for (to, from) in self.0.iter_mut().skip(start).zip(header) {
            *to = from;
        }
        self
    }

    fn key(&mut self, key: &ServiceKey) -> &mut Self {
        self.u16(svc::AF, family_number(key.family()));
        match key {
            ServiceKey::Socket(protocol, address, port) => {
                self.u16(svc::PROTOCOL, protocol.number()).address(svc::ADDR, *address).be16(svc::PORT, *port)
            }
            ServiceKey::Mark(_, mark) => self.u32(svc::FWMARK, *mark),
        }
    }

    fn service(&mut self, key: &ServiceKey, service: &Service) {
        self.key(key).text(svc::SCHED_NAME, &service.scheduler);
        if let Some(engine) = &service.engine {
            self.text(svc::PE_NAME, engine);
        }
        let flags = service.flags.to_ne_bytes().into_iter().chain(u32::MAX.to_ne_bytes()).collect::<Vec<_>>();
        self.bytes(svc::FLAGS, &flags).u32(svc::TIMEOUT, service.timeout);
        match key.family() {
            Family::V4 => self.bytes(svc::NETMASK, &service.granularity.to_be_bytes()),
            Family::V6 => self.u32(svc::NETMASK, service.granularity),
        };
    }

    fn destination(&mut self, key: &DestinationKey, destination: &Destination) {
        let (method, tunnel, port, checksum) = forwarding(destination.forwarding);
        self.u16(dest::ADDR_FAMILY, family_number(Family::of(&key.0)))
            .address(dest::ADDR, key.0)
            .be16(dest::PORT, key.1)
            .u32(dest::FWD_METHOD, method)
            .u32(dest::WEIGHT, u32::try_from(destination.weight.clamp(0, i64::from(i32::MAX))).unwrap_or(0))
            .u8(dest::TUN_TYPE, tunnel)
            .be16(dest::TUN_PORT, port)
            .u16(dest::TUN_FLAGS, checksum)
            .u32(dest::U_THRESH, destination.upper)
            .u32(dest::L_THRESH, destination.lower);
    }
}

const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    }
}

/// IP_VS_CONN_F_*, IP_VS_CONN_F_TUNNEL_TYPE_*, the port and the checksum flags.
const fn forwarding(forwarding: Forwarding) -> (u32, u8, u16, u16) {
    const fn flags(checksum: Checksum) -> u16 {
        match checksum {
            Checksum::None => 0,
            Checksum::Whole => 1,
            Checksum::Remote => 2,
        }
    }
    match forwarding {
        Forwarding::Nat => (0, 0, 0, 0),
        Forwarding::Direct => (3, 0, 0, 0),
        Forwarding::Tunnel(Tunnel::Ipip) => (2, 0, 0, 0),
        Forwarding::Tunnel(Tunnel::Gue(port, checksum)) => (2, 1, port, flags(checksum)),
        Forwarding::Tunnel(Tunnel::Gre(checksum)) => (2, 2, 0, flags(checksum)),
    }
}

/// A change of the table.
pub fn change(change: &Change) -> Vec<u8> {
    let service = |number, key: &ServiceKey, service: &Service| {
        let mut out = Attributes::command(number);
        out.nest(top::SERVICE, |nest| nest.service(key, service));
        out.0
    };
    let destination = |number, key: &ServiceKey, place: &DestinationKey, what: &Destination| {
        let mut out = Attributes::command(number);
        out.nest(top::SERVICE, |nest| _ = nest.key(key)).nest(top::DEST, |nest| nest.destination(place, what));
        out.0
    };
    match change {
        Change::AddService(key, what) => service(command::NEW_SERVICE, key, what),
        Change::EditService(key, what) => service(command::SET_SERVICE, key, what),
        Change::RemoveService(key) => {
            let mut out = Attributes::command(command::DEL_SERVICE);
            out.nest(top::SERVICE, |nest| _ = nest.key(key));
            out.0
        }
        Change::AddDestination(key, place, what) => destination(command::NEW_DEST, key, place, what),
        Change::EditDestination(key, place, what) => destination(command::SET_DEST, key, place, what),
        Change::RemoveDestination(key, place) => {
            let mut out = Attributes::command(command::DEL_DEST);
            out.nest(top::SERVICE, |nest| _ = nest.key(key)).nest(top::DEST, |nest| {
                nest.u16(dest::ADDR_FAMILY, family_number(Family::of(&place.0))).address(dest::ADDR, place.0).be16(dest::PORT, place.1);
            });
            out.0
        }
    }
}

/// All services (with NLM_F_DUMP).
pub fn dump_services() -> Vec<u8> {
    Attributes::command(command::GET_SERVICE).0
}

/// One service.
pub fn get_service(key: &ServiceKey) -> Vec<u8> {
    let mut out = Attributes::command(command::GET_SERVICE);
    out.nest(top::SERVICE, |nest| _ = nest.key(key));
    out.0
}

/// All destinations of a service (with NLM_F_DUMP).
pub fn dump_destinations(key: &ServiceKey) -> Vec<u8> {
    let mut out = Attributes::command(command::GET_DEST);
    out.nest(top::SERVICE, |nest| _ = nest.key(key));
    out.0
}

/// What the balancer is; needs the same permission as every change.
pub fn get_info() -> Vec<u8> {
    Attributes::command(command::GET_INFO).0
}

/// The connection timeouts.
pub fn get_config() -> Vec<u8> {
    Attributes::command(command::GET_CONFIG).0
}

/// Empties the whole table.
pub fn flush() -> Vec<u8> {
    Attributes::command(command::FLUSH).0
}

/// Sets the connection timeouts that are not 0.
pub fn set_timeouts(timeouts: Timeouts) -> Vec<u8> {
    let mut out = Attributes::command(command::SET_CONFIG);
    out.u32(top::TIMEOUT_TCP, timeouts.tcp).u32(top::TIMEOUT_TCP_FIN, timeouts.tcp_fin).u32(top::TIMEOUT_UDP, timeouts.udp);
    out.0
}

const fn state(mode: Mode) -> u32 {
    match mode {
        Mode::Master => 1,
        Mode::Backup => 2,
    }
}

/// Starts one half of connection synchronisation.
pub fn start_daemon(mode: Mode, settings: &SyncDaemon) -> Vec<u8> {
    let mut out = Attributes::command(command::NEW_DAEMON);
    out.nest(top::DAEMON, |nest| {
        nest.u32(daemon::STATE, state(mode)).text(daemon::MCAST_IFN, &settings.interface).u32(daemon::SYNC_ID, u32::from(settings.id));
        if let Some(length) = settings.max_length {
            nest.u16(daemon::SYNC_MAXLEN, length);
        }
        if let Some(port) = settings.port {
            nest.u16(daemon::MCAST_PORT, port);
        }
        if let Some(ttl) = settings.ttl {
            nest.u8(daemon::MCAST_TTL, ttl);
        }
        match settings.group {
            Some(IpAddr::V4(group)) => _ = nest.bytes(daemon::MCAST_GROUP, &group.octets()),
            Some(IpAddr::V6(group)) => _ = nest.bytes(daemon::MCAST_GROUP6, &group.octets()),
            None => {}
        }
    });
    out.0
}

/// Stops it.
pub fn stop_daemon(mode: Mode) -> Vec<u8> {
    let mut out = Attributes::command(command::DEL_DAEMON);
    out.nest(top::DAEMON, |nest| _ = nest.u32(daemon::STATE, state(mode)).text(daemon::MCAST_IFN, "").u32(daemon::SYNC_ID, 0));
    out.0
}

/// Asks the generic netlink controller for the number of the family called IPVS.
pub fn resolve_family() -> Vec<u8> {
    const GETFAMILY: u8 = 3;
    const FAMILY_NAME: u16 = 2;
    let mut out = Attributes::command(GETFAMILY);
    out.text(FAMILY_NAME, "IPVS");
    out.0
}
