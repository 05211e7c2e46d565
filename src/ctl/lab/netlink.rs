//! The few rtnetlink requests that a laboratory makes, one after the other and without a runtime.

use super::{LabError, Result};
use crate::types::{IpPrefix, MacAddr};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope};
use netlink_packet_route::link::{
    BridgePortState, BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoVeth, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage, State,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An address as the kernel reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The local address with its prefix length.
    pub prefix: IpPrefix,
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// Index of its interface.
    pub interface: u32,
    /// Scope as `ip address` prints it: `global`, `site`, `link`, `host`.
    pub scope: String,
    /// Label (IPv4).
    pub label: Option<String>,
    /// Broadcast address.
    pub broadcast: Option<IpAddr>,
    /// Number of the program that added it (IFA_PROTO), 0 when none.
    pub protocol: u8,
    /// Seconds of preferred life; `u32::MAX` is for ever, 0 is deprecated.
    pub preferred: u32,
    /// IFA_F_SECONDARY.
    pub secondary: bool,
    /// IFA_F_NODAD.
    pub nodad: bool,
    /// IFA_F_NOPREFIXROUTE.
    pub noprefixroute: bool,
    /// IFA_F_TENTATIVE.
    pub tentative: bool,
}

impl Address {
    /// The address alone.
    pub const fn ip(&self) -> IpAddr {
        self.prefix.address()
    }
}

/// An interface as the kernel reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Name.
    pub name: String,
    /// Index.
    pub index: u32,
    /// IFF_UP.
    pub up: bool,
    /// IFF_RUNNING: up and with carrier.
    pub running: bool,
    /// Ethernet address.
    pub mac: MacAddr,
}

/// A command socket in one network namespace.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// In the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    pub(super) fn links(&mut self) -> Result<Vec<Link>> {
        let replies = self.request("dump links", RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        Ok(replies
            .iter()
            .filter_map(|reply| if let RouteNetlinkMessage::NewLink(link) = reply { Some(read_link(link)) } else { None })
            .collect())
    }

    pub(super) fn link(&mut self, name: &str) -> Result<Link> {
        let found = self.links()?.into_iter().find(|link| link.name == name);
        found.ok_or_else(|| LabError::new(format!("interface {name}"), io::ErrorKind::NotFound.into()))
    }

    /// Whether an interface with its cable plugged in carries frames already: operational, and forwarding if it is a port of
    /// a bridge. IFF_RUNNING comes earlier, and what is sent then is dropped.
    pub(super) fn carries_frames(&mut self, name: &str) -> Result<bool> {
        let message = RouteNetlinkMessage::GetLink(self.named(name)?);
        let replies = self.request(&format!("look at {name}"), message, NLM_F_ACK)?;
        Ok(replies.iter().any(|reply| matches!(reply, RouteNetlinkMessage::NewLink(link) if is_operational(link) && !is_blocked(link))))
    }

    pub(super) fn addresses(&mut self) -> Result<Vec<Address>> {
        let replies = self.request("dump addresses", RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)?;
        Ok(replies
            .iter()
            .filter_map(|reply| if let RouteNetlinkMessage::NewAddress(address) = reply { read_address(address) } else { None })
            .collect())
    }

    /// A bridge that forwards from the first frame and floods multicast.
    pub(super) fn create_bridge(&mut self, name: &str) -> Result<()> {
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(vec![
                    InfoBridge::StpState(BridgeStpState::Disabled),
                    InfoBridge::ForwardDelay(0),
                    InfoBridge::MulticastSnooping(false),
                ])),
            ]),
        ];
        self.create(&format!("create bridge {name}"), link)
    }

    /// A pair of interfaces: `port` here, up and in `bridge`, `peer` in the namespace `there`, down.
    pub(super) fn create_veth(&mut self, port: &str, bridge: u32, peer: &str, there: BorrowedFd<'_>) -> Result<()> {
        let mut other = LinkMessage::default();
        other.attributes = vec![LinkAttribute::IfName(peer.to_owned()), LinkAttribute::NetNsFd(there.as_raw_fd())];
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = vec![
            LinkAttribute::IfName(port.to_owned()),
            LinkAttribute::Controller(bridge),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other)))]),
        ];
        self.create(&format!("create veth {port}"), link)
    }

    pub(super) fn set_up(&mut self, name: &str, up: bool) -> Result<()> {
        let mut link = self.named(name)?;
        link.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        link.header.change_mask = LinkFlags::Up;
        self.change(&format!("set {name} {}", if up { "up" } else { "down" }), RouteNetlinkMessage::SetLink(link))
    }

    /// Puts a port into a bridge, or (0) takes it out of any.
    pub(super) fn set_bridge(&mut self, name: &str, bridge: u32) -> Result<()> {
        let mut link = self.named(name)?;
        link.attributes = vec![LinkAttribute::Controller(bridge)];
        self.change(&format!("set bridge of {name}"), RouteNetlinkMessage::SetLink(link))
    }

    pub(super) fn delete_link(&mut self, name: &str) -> Result<()> {
        let link = self.named(name)?;
        self.change(&format!("delete {name}"), RouteNetlinkMessage::DelLink(link))
    }

    pub(super) fn add_address(&mut self, interface: &str, prefix: IpPrefix) -> Result<()> {
        let message = RouteNetlinkMessage::NewAddress(self.address_message(interface, prefix)?);
        self.request(&format!("add {prefix} to {interface}"), message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    pub(super) fn delete_address(&mut self, interface: &str, prefix: IpPrefix) -> Result<()> {
        let message = RouteNetlinkMessage::DelAddress(self.address_message(interface, prefix)?);
        self.change(&format!("delete {prefix} from {interface}"), message)
    }

    fn address_message(&mut self, interface: &str, prefix: IpPrefix) -> Result<AddressMessage> {
        let mut message = AddressMessage::default();
        message.header.index = self.link(interface)?.index;
        message.header.prefix_len = prefix.length();
        message.header.family = if prefix.address().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.attributes = vec![AddressAttribute::Local(prefix.address()), AddressAttribute::Address(prefix.address())];
        if let (IpAddr::V4(address), 1..=30) = (prefix.address(), prefix.length()) {
            let hosts = u32::MAX >> prefix.length();
            message.attributes.push(AddressAttribute::Broadcast((u32::from(address) | hosts).into()));
        }
        Ok(message)
    }

    fn named(&mut self, name: &str) -> Result<LinkMessage> {
        let mut link = LinkMessage::default();
        link.header.index = self.link(name)?.index;
        Ok(link)
    }

    fn create(&mut self, what: &str, link: LinkMessage) -> Result<()> {
        self.request(what, RouteNetlinkMessage::NewLink(link), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    fn change(&mut self, what: &str, message: RouteNetlinkMessage) -> Result<()> {
        self.request(what, message, NLM_F_ACK).map(drop)
    }

    fn request(&mut self, what: &str, message: RouteNetlinkMessage, flags: u16) -> Result<Vec<RouteNetlinkMessage>> {
        self.exchange(message, flags).map_err(|cause| LabError::new(what, cause))
    }

    fn exchange(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut replies = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for reply in messages(&datagram) {
                if reply.header.sequence_number != self.sequence {
                    continue;
                }
                match reply.payload {
                    NetlinkPayload::InnerMessage(inner) => replies.push(inner),
                    NetlinkPayload::Done(_) => return Ok(replies),
                    NetlinkPayload::Error(error) => return if error.code.is_none() { Ok(replies) } else { Err(error.to_io()) },
                    NetlinkPayload::Noop | NetlinkPayload::Overrun(_) => {}
                    _ => {}
                }
            }
        }
    }
}

/// The messages of one datagram; those that do not decode are left out.
pub(super) fn messages(mut datagram: &[u8]) -> Vec<NetlinkMessage<RouteNetlinkMessage>> {
    let mut found = Vec::new();
    while let Some(&[a, b, c, d]) = datagram.first_chunk::<4>() {
        let length = u32::from_ne_bytes([a, b, c, d]) as usize;
        if length < 16 || length > datagram.len() {
            break;
        }
        if let Ok(message) = NetlinkMessage::deserialize(&datagram[..length]) {
            found.push(message);
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn is_operational(message: &LinkMessage) -> bool {
    // Until the kernel has activated it, its queue is the one that drops all.
    let drops = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::Qdisc(name) if name == "noop");
    message.attributes.contains(&LinkAttribute::OperState(State::Up)) && !message.attributes.iter().any(drops)
}

fn is_blocked(message: &LinkMessage) -> bool {
    let infos =
        message.attributes.iter().filter_map(|attribute| if let LinkAttribute::LinkInfo(infos) = attribute { Some(infos) } else { None });
    let ports =
        infos.flatten().filter_map(|info| if let LinkInfo::PortData(InfoPortData::BridgePort(port)) = info { Some(port) } else { None });
    ports.flatten().any(|state| matches!(state, InfoBridgePort::State(state) if *state != BridgePortState::Forwarding))
}

fn read_link(message: &LinkMessage) -> Link {
    let mut link = Link {
        name: String::new(),
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        running: message.header.flags.contains(LinkFlags::Running),
        mac: MacAddr([0; 6]),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = MacAddr(bytes.as_slice().try_into().unwrap_or_default()),
            _ => {}
        }
    }
    link
}

/// `None` for a message without an address.
pub(super) fn read_address(message: &AddressMessage) -> Option<Address> {
    let (mut local, mut far, mut label, mut broadcast, mut protocol, mut preferred) = (None, None, None, None, 0, u32::MAX);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => far = Some(*ip),
            AddressAttribute::Label(text) => label = Some(text.clone()),
            AddressAttribute::Broadcast(ip) => broadcast = Some(IpAddr::V4(*ip)),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::Protocol(number) => protocol = protocol_number(*number),
            AddressAttribute::CacheInfo(cache) => preferred = cache.ifa_preferred,
            _ => {}
        }
    }
    let ip = local.or(far)?;
    Some(Address {
        prefix: IpPrefix::new(ip, message.header.prefix_len)?,
        peer: far.filter(|far| *far != ip),
        interface: message.header.index,
        scope: scope_name(message.header.scope),
        label,
        broadcast,
        protocol,
        preferred,
        secondary: flags.contains(AddressFlags::Secondary),
        nodad: flags.contains(AddressFlags::Nodad),
        noprefixroute: flags.contains(AddressFlags::Noprefixroute),
        tentative: flags.contains(AddressFlags::Tentative),
    })
}

fn protocol_number(protocol: AddressProtocol) -> u8 {
    protocol.into()
}

fn scope_name(scope: AddressScope) -> String {
    match scope {
        AddressScope::Universe => "global".to_owned(),
        AddressScope::Site => "site".to_owned(),
        AddressScope::Link => "link".to_owned(),
        AddressScope::Host => "host".to_owned(),
        AddressScope::Nowhere => "nowhere".to_owned(),
        other => u8::from(other).to_string(),
    }
}
