//! Virtual and real servers as every log line, FIFO line and mail names them.

use super::settings::{Address, GroupEntry, Protocol, RealServer, SorryServer, VirtualServer};
use crate::types::Family;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

impl fmt::Display for VirtualServer {
    /// `[10.0.0.1]:tcp:80`, `FWM 7`, `[GROUP]:0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Socket(address, port) => socket(f, *address, Some(self.protocol), *port),
            Address::Mark(mark) => write!(f, "FWM {mark}"),
            // Not a port: the protocol's place in the original's list.
            Address::Group(name, _) => {
                let place = match self.named_protocol() {
                    Some(Protocol::Tcp) | None => 0,
                    Some(Protocol::Udp) => 1,
                    Some(Protocol::Sctp) => 2,
                };
                write!(f, "[{name}]:{place}")
            }
        }
    }
}

/// A real server's name: `[10.0.0.2]:tcp:80`. `protocol` is [`VirtualServer::named_protocol`].
pub fn of_real((address, port): (IpAddr, u16), protocol: Option<Protocol>) -> String {
    Socket(address, protocol, port).to_string()
}

/// A virtual server by its name, and by what that leaves out: a group may serve several protocols, a mark both families.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ServiceName {
    text: Arc<str>,
    left_out: Option<(Protocol, Family)>,
}

impl ServiceName {
    /// As it is told: `[10.0.0.1]:tcp:80`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// With what the name leaves out: `[GROUP]:0 (udp, IPv4)`.
    pub fn in_full(&self) -> String {
        self.left_out.map_or_else(|| self.text.to_string(), |(protocol, family)| format!("{} ({}, {family})", self.text, protocol.word()))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl VirtualServer {
    /// What no other virtual server of a configuration has.
    pub fn name(&self) -> ServiceName {
        let left_out = match self.address {
            Address::Socket(..) => None,
            Address::Mark(_) | Address::Group(..) => Some((self.protocol, self.family)),
        };
        ServiceName { text: self.to_string().into(), left_out }
    }

    /// What stands for the protocol in its servers' names: firewall marks have none.
    pub fn named_protocol(&self) -> Option<Protocol> {
        let named = match &self.address {
            Address::Mark(_) => false,
            Address::Socket(..) => true,
            Address::Group(_, entries) => entries.iter().any(|entry| matches!(entry, GroupEntry::Range { .. })),
        };
        named.then_some(self.protocol)
    }

    /// `[10.0.0.2]:tcp:80`.
    pub fn name_of(&self, server: &RealServer) -> String {
        of_real(server.key(), self.named_protocol())
    }

    /// The real server of that name.
    pub fn server_named(&self, name: &str) -> Option<&RealServer> {
        let (address, rest) = name.strip_prefix('[')?.split_once("]:")?;
        let key = (address.parse().ok()?, rest.rsplit(':').next()?.parse().ok()?);
        self.real_servers.iter().find(|server| server.key() == key)
    }

    /// `[10.0.0.9]:tcp:80`.
    pub fn name_of_sorry(&self, server: &SorryServer) -> String {
        Socket(server.address, self.named_protocol(), server.port).to_string()
    }
}

struct Socket(IpAddr, Option<Protocol>, u16);

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        socket(f, self.0, self.1, self.2)
    }
}

fn socket(f: &mut fmt::Formatter<'_>, address: IpAddr, protocol: Option<Protocol>, port: u16) -> fmt::Result {
    write!(f, "[{address}]:{}:{port}", protocol.map_or("none", Protocol::word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_originals() {
        let ten = "10.0.0.1".parse().unwrap();
        let mut server = VirtualServer::new(Address::Socket(ten, 80), Family::V4);
        assert_eq!(server.to_string(), "[10.0.0.1]:tcp:80");
        assert_eq!(server.name_of(&RealServer::new("2001:db8::1".parse().unwrap(), 8080)), "[2001:db8::1]:tcp:8080");
        server.address = Address::Mark(7);
        assert_eq!(server.to_string(), "FWM 7");
        assert_eq!(server.name_of(&RealServer::new("127.0.0.4".parse().unwrap(), 0)), "[127.0.0.4]:none:0");
        server.address = Address::Group("G1".to_owned(), vec![GroupEntry::Mark(7, None)]);
        assert_eq!(server.name_of(&RealServer::new(ten, 81)), "[10.0.0.1]:none:81");
        server.address = Address::Group("G1".to_owned(), vec![GroupEntry::Range { first: ten, last: ten, port: 80 }]);
        assert_eq!(server.to_string(), "[G1]:0");
        let tcp = server.name();
        server.protocol = Protocol::Udp;
        assert_eq!(server.to_string(), "[G1]:1");
        assert_ne!(server.name(), tcp);
        server.protocol = Protocol::Tcp;
        assert_eq!(server.name_of(&RealServer::new(ten, 81)), "[10.0.0.1]:tcp:81");
        server.real_servers = vec![RealServer::new(ten, 81), RealServer::new("2001:db8::1".parse().unwrap(), 0)];
        for real in &server.real_servers {
            assert_eq!(server.server_named(&server.name_of(real)), Some(real));
        }
        assert_eq!(server.server_named("[10.0.0.1]:tcp:82"), None);
    }
}
