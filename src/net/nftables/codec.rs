//! nfnetlink as bytes: one transaction on one family's table. Integers are in network order, unlike the rest of netlink.

use super::Firewall;
use crate::net::wire::Builder;
use crate::types::Family;

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_NEWSET: u16 = 9;
pub(super) const NFT_MSG_NEWSETELEM: u16 = 12;
pub(super) const NFT_MSG_DELSETELEM: u16 = 14;

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
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_SET_EXPR: u16 = 17;
const NFTA_SET_DESC_CONCAT: u16 = 2;
const NFTA_SET_FIELD_LEN: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_KEY_END: u16 = 10;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

pub(super) const NF_INET_LOCAL_IN: u32 = 1;
pub(super) const NF_INET_LOCAL_OUT: u32 = 3;
pub(super) const NF_DROP: i32 = 0;
pub(super) const NF_ACCEPT: i32 = 1;
pub(super) const NFT_GOTO: i32 = -4;
pub(super) const NFT_RETURN: i32 = -5;
pub(super) const NFT_SET_CONSTANT: u32 = 2;
const NFT_SET_INTERVAL: u32 = 4;
const NFT_SET_MAP: u32 = 8;
const NFT_SET_CONCAT: u32 = 0x80;
const NFT_REG_VERDICT: u32 = 0;
pub(super) const NFT_REG_1: u32 = 1;
pub(super) const NFT_REG_2: u32 = 2;
/// The second four bytes of register 1.
pub(super) const NFT_REG32_01: u32 = 9;
pub(super) const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
pub(super) const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
const NFT_META_MARK: u32 = 3;
pub(super) const NFT_META_IIF: u32 = 4;
pub(super) const NFT_META_OIF: u32 = 5;
pub(super) const NFT_META_L4PROTO: u32 = 16;
pub(super) const NFT_META_OIFKIND: u32 = 27;
const NFT_CMP_EQ: u32 = 0;

/// How nft(8) shows a set's elements; the kernel only keeps it. A concatenation shifts by 6 bits for each part.
pub(super) const TYPE_IPADDR: u32 = 7;
pub(super) const TYPE_IP6ADDR: u32 = 8;
pub(super) const TYPE_INET_SERVICE: u32 = 13;
const TYPE_MARK: u32 = 19;
pub(super) const TYPE_IFINDEX: u32 = 20;
pub(super) const TYPE_ICMP6_TYPE: u32 = 29;

/// Elements of a set in one message: their list is an attribute, which ends at 64 KiB, and one takes 32 bytes at most.
pub(super) const ELEMENTS: usize = 1000;
/// Elements of a map of marks in one message: one of IPv6 takes 72 bytes.
const MAP_ELEMENTS: usize = 800;

/// A range of keys, and the mark that it stands for.
pub(super) struct MapElement {
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    pub(super) mark: u32,
}

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
    pub(super) family: Family,
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

    /// A map of ranges of concatenated keys to marks, the parts of a key so long in bytes.
    pub(super) fn map_to_marks(&mut self, name: &str, key_type: u32, parts: &[u32]) {
        let counters = self.settings.counters;
        let flags = NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_CONCAT;
        let key_length = parts.iter().map(|length| length.next_multiple_of(4)).sum();
        self.new_set(name, key_type, key_length, flags, |m| {
            number(m, NFTA_SET_DATA_TYPE, TYPE_MARK);
            number(m, NFTA_SET_DATA_LEN, 4);
            m.nest(NFTA_SET_DESC, |m| {
                m.nest(NFTA_SET_DESC_CONCAT, |m| {
                    for length in parts {
                        m.nest(NFTA_LIST_ELEM, |m| number(m, NFTA_SET_FIELD_LEN, *length));
                    }
                });
            });
            // For nft(8) alone: NFTNL_UDATA_SET_DATABYTEORDER, its length, BYTEORDER_HOST_ENDIAN.
            m.attribute(NFTA_SET_USERDATA, &[[1, 4].as_slice(), &1u32.to_ne_bytes()].concat());
            if counters {
                m.nest(NFTA_SET_EXPR, |m| {
                    m.text(NFTA_EXPR_NAME, "counter");
                    m.nest(NFTA_EXPR_DATA, |_| {});
                });
            }
        });
    }

    /// Adds elements to such a map.
    pub(super) fn marks(&mut self, map: &str, elements: &[MapElement]) {
        for some in elements.chunks(MAP_ELEMENTS) {
            self.each_element(NFT_MSG_NEWSETELEM, map, some, |m, MapElement { first, last, mark }| {
                m.nest(NFTA_SET_ELEM_KEY, |m| m.attribute(NFTA_DATA_VALUE, first));
                m.nest(NFTA_SET_ELEM_KEY_END, |m| m.attribute(NFTA_DATA_VALUE, last));
                // A mark is a number of this machine, not of the network.
                m.nest(NFTA_SET_ELEM_DATA, |m| m.attribute(NFTA_DATA_VALUE, &mark.to_ne_bytes()));
            });
        }
    }

    /// A map from interfaces to interfaces, by index.
    pub(super) fn map_of_interfaces(&mut self, name: &str) {
        self.new_set(name, TYPE_IFINDEX, 4, NFT_SET_MAP, |m| {
            number(m, NFTA_SET_DATA_TYPE, TYPE_IFINDEX);
            number(m, NFTA_SET_DATA_LEN, 4);
            // For nft(8) alone: NFTNL_UDATA_SET_KEYBYTEORDER and _DATABYTEORDER, their lengths, BYTEORDER_HOST_ENDIAN.
            let host = 1u32.to_ne_bytes();
            m.attribute(NFTA_SET_USERDATA, &[[0, 4].as_slice(), &host, &[1, 4], &host].concat());
        });
    }

    /// Adds pairs to such a map or deletes them.
    pub(super) fn pairs(&mut self, kind: u16, map: &str, pairs: &[(u32, u32)]) {
        for some in pairs.chunks(ELEMENTS) {
            self.each_element(kind, map, some, |m, (key, value)| {
                m.nest(NFTA_SET_ELEM_KEY, |m| m.attribute(NFTA_DATA_VALUE, &key.to_ne_bytes()));
                m.nest(NFTA_SET_ELEM_DATA, |m| m.attribute(NFTA_DATA_VALUE, &value.to_ne_bytes()));
            });
        }
    }

    /// A set of single keys, so long in bytes.
    pub(super) fn set(&mut self, name: &str, key_type: u32, key_length: u32, flags: u32) {
        self.new_set(name, key_type, key_length, flags, |m| {
            if key_type == TYPE_IFINDEX {
                // For nft(8) alone, as of a map.
                m.attribute(NFTA_SET_USERDATA, &[[0, 4].as_slice(), &1u32.to_ne_bytes()].concat());
            }
        });
    }

    fn new_set(&mut self, name: &str, key_type: u32, key_length: u32, flags: u32, more: impl FnOnce(&mut Builder)) {
        self.set_id += 1;
        let id = self.set_id;
        self.order(NFT_MSG_NEWSET, libc::NLM_F_CREATE, |m| {
            m.text(NFTA_SET_NAME, name);
            number(m, NFTA_SET_FLAGS, flags);
            number(m, NFTA_SET_KEY_TYPE, key_type);
            number(m, NFTA_SET_KEY_LEN, key_length);
            number(m, NFTA_SET_ID, id);
            more(m);
        });
    }

    /// A filter chain at this hook.
    pub(super) fn base_chain(&mut self, name: &str, hook: u32) {
        let priority = self.settings.priority;
        self.chain(name, |m| {
            m.nest(NFTA_CHAIN_HOOK, |m| {
                number(m, NFTA_HOOK_HOOKNUM, hook);
                number(m, NFTA_HOOK_PRIORITY, priority.cast_unsigned());
            });
            number(m, NFTA_CHAIN_POLICY, NF_ACCEPT.cast_unsigned());
            m.text(NFTA_CHAIN_TYPE, "filter");
        });
    }

    pub(super) fn chain(&mut self, name: &str, attributes: impl FnOnce(&mut Builder)) {
        self.order(NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |m| {
            m.text(NFTA_CHAIN_NAME, name);
            attributes(m);
        });
    }

    pub(super) fn rule(&mut self, chain: &str, matches: Vec<Expression>, verdict: Expression) {
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

    /// Adds keys to a set or takes them out of it, no more than [`ELEMENTS`].
    pub(super) fn element_list(&mut self, kind: u16, set: &str, keys: &[Vec<u8>]) {
        self.each_element(kind, set, keys, |m, key| m.nest(NFTA_SET_ELEM_KEY, |m| m.attribute(NFTA_DATA_VALUE, key)));
    }

    fn each_element<E>(&mut self, kind: u16, set: &str, elements: &[E], each: impl Fn(&mut Builder, &E)) {
        let flags = if kind == NFT_MSG_NEWSETELEM { libc::NLM_F_CREATE } else { 0 };
        self.order(kind, flags, |m| {
            m.text(NFTA_SET_ELEM_LIST_SET, set);
            m.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |m| {
                for element in elements {
                    m.nest(NFTA_LIST_ELEM, |m| each(m, element));
                }
            });
        });
    }
}

fn number(m: &mut Builder, kind: u16, value: u32) {
    m.attribute(kind, &value.to_be_bytes());
}

/// One step of a rule.
pub(super) struct Expression {
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
pub(super) fn payload(base: u32, offset: u32, length: u32) -> Expression {
    payload_into(NFT_REG_1, base, offset, length)
}

/// The same, into this register.
pub(super) fn payload_into(register: u32, base: u32, offset: u32, length: u32) -> Expression {
    Expression::numbers("payload", &[(1, register), (2, base), (3, offset), (4, length)])
}

/// Loads what is known of the packet beside its bytes: NFTA_META_DREG, _KEY.
pub(super) fn meta(key: u32, register: u32) -> Expression {
    Expression::numbers("meta", &[(1, register), (2, key)])
}

/// Goes on when register 1 is an element of the set: NFTA_LOOKUP_SET, _SREG.
pub(super) fn lookup(set: &str) -> Expression {
    let mut expression = Expression::new("lookup");
    expression.attributes.text(1, set);
    number(&mut expression.attributes, 2, NFT_REG_1);
    expression
}

/// Goes on when register 2 is a key of the map, with what that stands for in register 2: NFTA_LOOKUP_SET, _SREG, _DREG.
pub(super) fn look_up_second(map: &str) -> Expression {
    let mut expression = Expression::new("lookup");
    expression.attributes.text(1, map);
    number(&mut expression.attributes, 2, NFT_REG_2);
    number(&mut expression.attributes, 3, NFT_REG_2);
    expression
}

/// Sends a copy of the packet to the address in register 1 by the interface in register 2: NFTA_DUP_SREG_ADDR, _SREG_DEV.
pub(super) fn duplicate() -> Expression {
    Expression::numbers("dup", &[(1, NFT_REG_1), (2, NFT_REG_2)])
}

/// Goes on when register 1 is a key of the map, with what that stands for in register 1: NFTA_LOOKUP_SET, _SREG, _DREG.
pub(super) fn look_up(map: &str) -> Expression {
    let mut expression = lookup(map);
    number(&mut expression.attributes, 3, NFT_REG_1);
    expression
}

/// Marks the packet with register 1: NFTA_META_KEY, _SREG.
pub(super) fn set_mark() -> Expression {
    Expression::numbers("meta", &[(2, NFT_META_MARK), (3, NFT_REG_1)])
}

/// Goes on when register 1 is this: NFTA_CMP_SREG, _OP, _DATA.
pub(super) fn compare(value: &[u8]) -> Expression {
    let mut expression = Expression::numbers("cmp", &[(1, NFT_REG_1), (2, NFT_CMP_EQ)]);
    expression.attributes.nest(3, |m| m.attribute(NFTA_DATA_VALUE, value));
    expression
}

/// Masks register 1: NFTA_BITWISE_SREG, _DREG, _LEN, _MASK, _XOR.
pub(super) fn bitwise_and(mask: &[u8; 16]) -> Expression {
    let mut expression = Expression::numbers("bitwise", &[(1, NFT_REG_1), (2, NFT_REG_1), (3, 16)]);
    expression.attributes.nest(4, |m| m.attribute(NFTA_DATA_VALUE, mask));
    expression.attributes.nest(5, |m| m.attribute(NFTA_DATA_VALUE, &[0; 16]));
    expression
}

/// Ends the rule: NFTA_IMMEDIATE_DREG, _DATA.
pub(super) fn verdict(code: i32, chain: Option<&str>) -> Expression {
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
