//! Virtual and real servers as every log line, FIFO line and mail names them.

use super::settings::{Address, Protocol, RealServer, SorryServer, VirtualServer};
use std::fmt;
use std::net::IpAddr;

impl fmt::Display for VirtualServer {
    /// `[10.0.0.1]:tcp:80`, `FWM 7`, `[GROUP]:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Socket(address, port) => socket(f, *address, Some(self.protocol), *port),
            Address::Mark(mark) => write!(f, "FWM {mark}"),
            // The original prints the port that a group block does not have.
            Address::Group(name, _) => write!(f, "[{name}]:0"),
        }
    }
}

impl VirtualServer {
    /// What stands for the protocol in its servers' names: a firewall mark has none.
    const fn named_protocol(&self) -> Option<Protocol> {
        match self.address {
            Address::Mark(_) => None,
            Address::Socket(..) | Address::Group(..) => Some(self.protocol),
        }
    }

    /// `[10.0.0.2]:tcp:80`.
    pub fn name_of(&self, server: &RealServer) -> String {
        Socket(server.address, self.named_protocol(), server.port).to_string()
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
    use crate::types::Family;

    #[test]
    fn names_are_the_originals() {
        let ten = "10.0.0.1".parse().unwrap();
        let mut server = VirtualServer::new(Address::Socket(ten, 80), Family::V4);
        assert_eq!(server.to_string(), "[10.0.0.1]:tcp:80");
        assert_eq!(server.name_of(&RealServer::new("2001:db8::1".parse().unwrap(), 8080)), "[2001:db8::1]:tcp:8080");
        server.address = Address::Mark(7);
        assert_eq!(server.to_string(), "FWM 7");
        assert_eq!(server.name_of(&RealServer::new("127.0.0.4".parse().unwrap(), 0)), "[127.0.0.4]:none:0");
        server.address = Address::Group("G1".to_owned(), vec![]);
        assert_eq!(server.to_string(), "[G1]:0");
        assert_eq!(server.name_of(&RealServer::new(ten, 81)), "[10.0.0.1]:tcp:81");
        server.real_servers = vec![RealServer::new(ten, 81), RealServer::new("2001:db8::1".parse().unwrap(), 0)];
        for real in &server.real_servers {
            assert_eq!(server.server_named(&server.name_of(real)), Some(real));
        }
        assert_eq!(server.server_named("[10.0.0.1]:tcp:82"), None);
    }
}
