//! What the tables look like, as nfnetlink has it: integers in network order, unlike the rest of netlink.
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

use super::Shut;
use crate::config::model::Firewall;
use crate::net::wire::Builder;
use crate::types::Family;
use std::net::IpAddr;

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_DELSETELEM: u16 = 14;

/// NFTA_*_TABLE and NFTA_TABLE_NAME: the table's name comes first everywhere.
const TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

const NF_INET_LOCAL_IN: u32 = 1;
const NF_INET_LOCAL_OUT: u32 = 3;
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_GOTO: i32 = -4;
const NFT_SET_CONSTANT: u32 = 2;
const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NFT_REG_2: u32 = 2;
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_META_IIF: u32 = 4;
const NFT_META_OIF: u32 = 5;
const NFT_CMP_EQ: u32 = 0;

/// How nft(8) shows a set's elements; the kernel only keeps it. A concatenation shifts by 6 bits for each part.
const TYPE_IPADDR: u32 = 7;
const TYPE_IP6ADDR: u32 = 8;
const TYPE_IFINDEX: u32 = 20;
const TYPE_ICMP6_TYPE: u32 = 29;

const VIPS: &str = "vips";
const VIPS_LINK_LOCAL: &str = "vips_link_local";
const NEIGHBOUR_DISCOVERY: &str = "neighbor-discovery";
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Elements in one message: their list is an attribute, and an attribute ends at 64 KiB.
const ELEMENTS: usize = 1000;

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

/// A message of nf_tables: its header is `nfgenmsg` with the family, version 0, no resource.
fn message(to: &mut Builder, kind: u16, flags: libc::c_int, sequence: u32, family: Family, attributes: impl FnOnce(&mut Builder)) {
    let family = match family {
        Family::V4 => libc::NFPROTO_IPV4,
        Family::V6 => libc::NFPROTO_IPV6,
    };
    to.message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags as u16, sequence, &[family as u8, 0, 0, 0], attributes);
}

/// Whether there is a table, outside of any transaction: acknowledged when there is, ENOENT when not. The bytes and its
/// sequence number.
pub(super) fn question(family: Family, settings: &Firewall, sequence: u32) -> (Vec<u8>, u32) {
    let mut builder = Builder::default();
    message(&mut builder, NFT_MSG_GETTABLE, libc::NLM_F_ACK, sequence, family, |m| m.text(TABLE, &settings.table));
    (builder.bytes().to_vec(), sequence)
}

/// One transaction on one family's table.
pub(super) struct Batch<'s> {
    builder: Builder,
    settings: &'s Firewall,
    family: Family,
    sequence: u32,
    set_id: u32,
}

impl<'s> Batch<'s> {
    pub(super) fn new(family: Family, settings: &'s Firewall, sequence: u32) -> Self {
        let mut batch = Self { builder: Builder::default(), settings, family, sequence, set_id: 0 };
        batch.mark(NFNL_MSG_BATCH_BEGIN);
        batch
    }

    /// The bytes, and the sequence number of the last order, which is acknowledged.
    pub(super) fn finish(mut self) -> (Vec<u8>, u32) {
        let last = self.sequence.wrapping_sub(1);
        self.builder.acknowledge_last();
        self.mark(NFNL_MSG_BATCH_END);
        (self.builder.bytes().to_vec(), last)
    }

    fn mark(&mut self, kind: u16) {
        // nfgenmsg: any family, version 0, the subsystem.
        let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
        self.builder.message(kind, 0, self.sequence, &[0, 0, high, low], |_| {});
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn order(&mut self, kind: u16, flags: libc::c_int, attributes: impl FnOnce(&mut Builder)) {
        message(&mut self.builder, kind, flags, self.sequence, self.family, |m| {
            m.text(TABLE, &self.settings.table);
            attributes(m);
        });
        self.sequence = self.sequence.wrapping_add(1);
    }

    pub(super) fn table(&mut self) {
        self.order(NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |_| {});
    }

    pub(super) fn delete_table(&mut self) {
        self.order(NFT_MSG_DELTABLE, 0, |_| {});
    }

    pub(super) fn sets_chains_and_rules(&mut self) {
        match self.family {
            Family::V4 => {
                self.set(VIPS, TYPE_IPADDR, 4, 0);
                for side in [IN, OUT] {
                    self.base_chain(side);
                    let (load, drop) = (payload(NFT_PAYLOAD_NETWORK_HEADER, side.ipv4_offset, 4), verdict(NF_DROP, None));
                    self.rule(side.chain, vec![load, lookup(VIPS)], drop);
                }
            }
            Family::V6 => {
                self.set(VIPS, TYPE_IP6ADDR, 16, 0);
                self.set(VIPS_LINK_LOCAL, TYPE_IP6ADDR << 6 | TYPE_IFINDEX, 20, 0);
                self.set(NEIGHBOUR_DISCOVERY, TYPE_ICMP6_TYPE, 1, NFT_SET_CONSTANT);
                self.element_list(NFT_MSG_NEWSETELEM, NEIGHBOUR_DISCOVERY, &[vec![NEIGHBOUR_SOLICITATION], vec![NEIGHBOUR_ADVERTISEMENT]]);
                for side in [IN, OUT] {
                    self.base_chain(side);
                    self.chain(side.link_local_chain, |_| {});
                    self.ipv6_rules(side);
                }
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

    fn set(&mut self, name: &str, key_type: u32, key_length: u32, flags: u32) {
        self.set_id += 1;
        let id = self.set_id;
        self.order(NFT_MSG_NEWSET, libc::NLM_F_CREATE, |m| {
            m.text(NFTA_SET_NAME, name);
            number(m, NFTA_SET_FLAGS, flags);
            number(m, NFTA_SET_KEY_TYPE, key_type);
            number(m, NFTA_SET_KEY_LEN, key_length);
            number(m, NFTA_SET_ID, id);
        });
    }

    fn base_chain(&mut self, side: Side) {
        let priority = self.settings.priority;
        self.chain(side.chain, |m| {
            m.nest(NFTA_CHAIN_HOOK, |m| {
                number(m, NFTA_HOOK_HOOKNUM, side.hook);
                number(m, NFTA_HOOK_PRIORITY, priority.cast_unsigned());
            });
            number(m, NFTA_CHAIN_POLICY, NF_ACCEPT.cast_unsigned());
            m.text(NFTA_CHAIN_TYPE, "filter");
        });
    }

    fn chain(&mut self, name: &str, attributes: impl FnOnce(&mut Builder)) {
        self.order(NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |m| {
            m.text(NFTA_CHAIN_NAME, name);
            attributes(m);
        });
    }

    fn rule(&mut self, chain: &str, matches: Vec<Expression>, verdict: Expression) {
        let counter = self.settings.counters.then(|| Expression::new("counter"));
        self.order(NFT_MSG_NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, |m| {
            m.text(NFTA_RULE_CHAIN, chain);
            m.nest(NFTA_RULE_EXPRESSIONS, |m| {
                for expression in matches.iter().chain(&counter).chain([&verdict]) {
                    expression.emit(m);
                }
            });
        });
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

    fn element_list(&mut self, kind: u16, set: &str, keys: &[Vec<u8>]) {
        let flags = if kind == NFT_MSG_NEWSETELEM { libc::NLM_F_CREATE } else { 0 };
        self.order(kind, flags, |m| {
            m.text(NFTA_SET_ELEM_LIST_SET, set);
            m.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |m| {
                for key in keys {
                    m.nest(NFTA_LIST_ELEM, |m| m.nest(NFTA_SET_ELEM_KEY, |m| m.attribute(NFTA_DATA_VALUE, key)));
                }
            });
        });
    }
}

fn key(address: &Shut) -> Vec<u8> {
    match address.address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) if address.link_local() => [&ip.octets()[..], &address.ifindex.to_ne_bytes()[..]].concat(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn number(m: &mut Builder, kind: u16, value: u32) {
    m.attribute(kind, &value.to_be_bytes());
}

/// One step of a rule.
struct Expression {
    name: &'static str,
    attributes: Builder,
}

impl Expression {
    fn new(name: &'static str) -> Self {
        Self { name, attributes: Builder::default() }
    }

    fn numbers(name: &'static str, numbers: &[(u16, u32)]) -> Self {
        let mut expression = Self::new(name);
        for &(kind, value) in numbers {
            number(&mut expression.attributes, kind, value);
        }
        expression
    }

    fn emit(&self, m: &mut Builder) {
        m.nest(NFTA_LIST_ELEM, |m| {
            m.text(NFTA_EXPR_NAME, self.name);
            m.nest(NFTA_EXPR_DATA, |m| m.append(&self.attributes));
        });
    }
}

/// Loads bytes of the packet into register 1: NFTA_PAYLOAD_DREG, _BASE, _OFFSET, _LEN.
fn payload(base: u32, offset: u32, length: u32) -> Expression {
    Expression::numbers("payload", &[(1, NFT_REG_1), (2, base), (3, offset), (4, length)])
}

/// Loads the interface's index: NFTA_META_DREG, _KEY.
fn meta(key: u32, register: u32) -> Expression {
    Expression::numbers("meta", &[(1, register), (2, key)])
}

/// Goes on when register 1 is an element of the set: NFTA_LOOKUP_SET, _SREG.
fn lookup(set: &str) -> Expression {
    let mut expression = Expression::new("lookup");
    expression.attributes.text(1, set);
    number(&mut expression.attributes, 2, NFT_REG_1);
    expression
}

/// Goes on when register 1 is this: NFTA_CMP_SREG, _OP, _DATA.
fn compare(value: &[u8]) -> Expression {
    let mut expression = Expression::numbers("cmp", &[(1, NFT_REG_1), (2, NFT_CMP_EQ)]);
    expression.attributes.nest(3, |m| m.attribute(NFTA_DATA_VALUE, value));
    expression
}

/// Masks register 1: NFTA_BITWISE_SREG, _DREG, _LEN, _MASK, _XOR.
fn bitwise_and(mask: &[u8; 16]) -> Expression {
    let mut expression = Expression::numbers("bitwise", &[(1, NFT_REG_1), (2, NFT_REG_1), (3, 16)]);
    expression.attributes.nest(4, |m| m.attribute(NFTA_DATA_VALUE, mask));
    expression.attributes.nest(5, |m| m.attribute(NFTA_DATA_VALUE, &[0; 16]));
    expression
}

/// Ends the rule: NFTA_IMMEDIATE_DREG, _DATA.
fn verdict(code: i32, chain: Option<&str>) -> Expression {
    let mut expression = Expression::numbers("immediate", &[(1, NFT_REG_VERDICT)]);
    expression.attributes.nest(2, |m| {
        m.nest(NFTA_DATA_VERDICT, |m| {
            number(m, NFTA_VERDICT_CODE, code.cast_unsigned());
            if let Some(chain) = chain {
                m.text(NFTA_VERDICT_CHAIN, chain);
            }
        });
    });
    expression
}
