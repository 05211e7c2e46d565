//! What the tables look like that shut addresses.
//!
//! ```text
//! table ip6 keepalived {                       table ip keepalived: the same without neighbour discovery and link-local
//!     set vips { type ipv6_addr }
//!     set neighbor-discovery { type icmpv6_type; flags constant; elements = { nd-neighbor-solicit, nd-neighbor-advert } }
//!     set vips_link_local { type ipv6_addr . iface_index }
//!     chain in {
//!         type filter hook input priority -1; policy accept;
//!         icmpv6 type @neighbor-discovery accept
//!         ip6 daddr fe80::/10 goto in_link_local
//!         ip6 daddr @vips drop
//!     }
//!     chain in_link_local { ip6 daddr . iif @vips_link_local drop }
//!     chain out, out_link_local: the same with saddr and oif
//! }
//! ```
//!
//! For VMACs (the same in `table ip`, with IGMP, and without router solicitations):
//!
//! ```text
//! table ip6 keepalived {
//!     map vmac_map { type iface_index : iface_index }
//!     set vmac_set { type iface_index }
//!     chain out {
//!         icmpv6 type mld2-listener-report meta oifkind "macvlan" dup to ip6 daddr device oif map @vmac_map drop
//!         icmpv6 type nd-router-solicit meta oifkind "macvlan" oif @vmac_set drop
//!     }
//! }
//! ```

use super::{Purpose, Shut};
use crate::net::nftables::codec::*;
use crate::types::Family;
use std::net::IpAddr;

const VIPS: &str = "vips";
const VIPS_LINK_LOCAL: &str = "vips_link_local";
const NEIGHBOUR_DISCOVERY: &str = "neighbor-discovery";
const VMAC_MAP: &str = "vmac_map";
const VMAC_SET: &str = "vmac_set";
const ROUTER_SOLICITATION: u8 = 133;
const MLD2_LISTENER_REPORT: u8 = 143;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// A side of the filter.
#[derive(Clone, Copy)]
struct Side {
    chain: &'static str,
    link_local_chain: &'static str,
    hook: u32,
    /// Where the virtual address stands in the IP header: destination coming in, source going out.
    ipv4_offset: u32,
    ipv6_offset: u32,
    interface: u32,
}

const IN: Side = Side {
    chain: "in",
    link_local_chain: "in_link_local",
    hook: NF_INET_LOCAL_IN,
    ipv4_offset: 16,
    ipv6_offset: 24,
    interface: NFT_META_IIF,
};

const OUT: Side = Side {
    chain: "out",
    link_local_chain: "out_link_local",
    hook: NF_INET_LOCAL_OUT,
    ipv4_offset: 12,
    ipv6_offset: 8,
    interface: NFT_META_OIF,
};

impl Batch<'_> {
    pub(super) fn sets_chains_and_rules(&mut self, purpose: Purpose) {
        if purpose.vmacs {
            self.sets_of_vmacs();
        }
        if purpose.shuts {
            self.sets_of_addresses();
        }
        if purpose.vmacs || purpose.shuts {
            self.base_chain(OUT.chain, OUT.hook);
        }
        if purpose.vmacs {
            self.rules_of_vmacs();
        }
        if purpose.shuts {
            self.base_chain(IN.chain, IN.hook);
            [IN, OUT].into_iter().for_each(|side| self.rules_of_addresses(side));
        }
    }

    fn sets_of_addresses(&mut self) {
        match self.family {
            Family::V4 => self.set(VIPS, TYPE_IPADDR, 4, 0),
            Family::V6 => {
                self.set(VIPS, TYPE_IP6ADDR, 16, 0);
                self.set(VIPS_LINK_LOCAL, TYPE_IP6ADDR << 6 | TYPE_IFINDEX, 20, 0);
                self.set(NEIGHBOUR_DISCOVERY, TYPE_ICMP6_TYPE, 1, NFT_SET_CONSTANT);
                self.element_list(NFT_MSG_NEWSETELEM, NEIGHBOUR_DISCOVERY, &[vec![NEIGHBOUR_SOLICITATION], vec![NEIGHBOUR_ADVERTISEMENT]]);
            }
        }
    }

    fn rules_of_addresses(&mut self, side: Side) {
        match self.family {
            Family::V4 => {
                let (load, drop) = (payload(NFT_PAYLOAD_NETWORK_HEADER, side.ipv4_offset, 4), verdict(NF_DROP, None));
                self.rule(side.chain, vec![load, lookup(VIPS)], drop);
            }
            Family::V6 => {
                self.chain(side.link_local_chain, |_| {});
                self.ipv6_rules(side);
            }
        }
    }

    fn sets_of_vmacs(&mut self) {
        self.map_of_interfaces(VMAC_MAP);
        if self.family == Family::V6 {
            self.set(VMAC_SET, TYPE_IFINDEX, 4, 0);
        }
    }

    fn rules_of_vmacs(&mut self) {
        let is_macvlan = || [meta(NFT_META_OIFKIND, NFT_REG_1), compare(b"macvlan\0\0\0\0\0\0\0\0\0")];
        let outgoing = || meta(NFT_META_OIF, NFT_REG_2);
        match self.family {
            Family::V4 => {
                let is_igmp = [payload(NFT_PAYLOAD_NETWORK_HEADER, 9, 1), compare(&[libc::IPPROTO_IGMP as u8])];
                let copy = [payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4), outgoing(), look_up_second(VMAC_MAP), duplicate()];
                self.rule(OUT.chain, is_igmp.into_iter().chain(is_macvlan()).chain(copy).collect(), verdict(NF_DROP, None));
            }
            Family::V6 => {
                let is = |kind: u8| {
                    let protocol = [meta(NFT_META_L4PROTO, NFT_REG_1), compare(&[libc::IPPROTO_ICMPV6 as u8])];
                    protocol.into_iter().chain([payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1), compare(&[kind])])
                };
                let copy = [payload(NFT_PAYLOAD_NETWORK_HEADER, 24, 16), outgoing(), look_up_second(VMAC_MAP), duplicate()];
                self.rule(OUT.chain, is(MLD2_LISTENER_REPORT).chain(is_macvlan()).chain(copy).collect(), verdict(NF_DROP, None));
                let ours = [meta(NFT_META_OIF, NFT_REG_1), lookup(VMAC_SET)];
                self.rule(OUT.chain, is(ROUTER_SOLICITATION).chain(is_macvlan()).chain(ours).collect(), verdict(NF_DROP, None));
            }
        }
    }

    /// Adds VMACs, with what they stand on, or deletes them.
    pub(super) fn vmacs(&mut self, pairs: &[(u32, u32)], add: bool) {
        if pairs.is_empty() {
            return;
        }
        let kind = if add { NFT_MSG_NEWSETELEM } else { NFT_MSG_DELSETELEM };
        self.pairs(kind, VMAC_MAP, pairs);
        if self.family == Family::V6 {
            let keys: Vec<Vec<u8>> = pairs.iter().map(|(index, _)| index.to_ne_bytes().to_vec()).collect();
            for some in keys.chunks(ELEMENTS) {
                self.element_list(kind, VMAC_SET, some);
            }
        }
    }

    fn ipv6_rules(&mut self, side: Side) {
        let address = || payload(NFT_PAYLOAD_NETWORK_HEADER, side.ipv6_offset, 16);
        // Neighbours must still be told where the address is.
        let next_header = payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 1);
        let is_icmpv6 = compare(&[libc::IPPROTO_ICMPV6 as u8]);
        let icmpv6_type = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
        self.rule(side.chain, vec![next_header, is_icmpv6, icmpv6_type, lookup(NEIGHBOUR_DISCOVERY)], verdict(NF_ACCEPT, None));
        // fe80::/10: one of many interfaces may have it.
        let (mut prefix, mut mask) = ([0; 16], [0; 16]);
        (prefix[0], prefix[1], mask[0], mask[1]) = (0xfe, 0x80, 0xff, 0xc0);
        self.rule(side.chain, vec![address(), bitwise_and(&mask), compare(&prefix)], verdict(NFT_GOTO, Some(side.link_local_chain)));
        self.rule(side.chain, vec![address(), lookup(VIPS)], verdict(NF_DROP, None));
        let interface = meta(side.interface, NFT_REG_2);
        self.rule(side.link_local_chain, vec![address(), interface, lookup(VIPS_LINK_LOCAL)], verdict(NF_DROP, None));
    }

    /// Adds addresses to the sets or deletes them.
    pub(super) fn elements(&mut self, addresses: &[Shut], add: bool) {
        let kind = if add { NFT_MSG_NEWSETELEM } else { NFT_MSG_DELSETELEM };
        let (link_local, everywhere): (Vec<&Shut>, Vec<&Shut>) = addresses.iter().partition(|address| address.link_local());
        for (set, addresses) in [(VIPS, everywhere), (VIPS_LINK_LOCAL, link_local)] {
            for some in addresses.chunks(ELEMENTS) {
                let keys: Vec<Vec<u8>> = some.iter().map(|address| key(address)).collect();
                self.element_list(kind, set, &keys);
            }
        }
    }
}

fn key(address: &Shut) -> Vec<u8> {
    match address.address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) if address.link_local() => [&ip.octets()[..], &address.ifindex.to_ne_bytes()[..]].concat(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
