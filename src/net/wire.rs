//! Netlink on the wire: messages and attributes, built and read with every length checked.
//!
//! The crates have types for whole messages, and fail on the whole message when one attribute of a newer kernel is not as
//! long as they expect: an interface would then not exist for us. Here only the attributes that are wanted are looked at.
//! All integers are in the host's order, as netlink has them (netlink(7)), unless said otherwise.

use std::net::IpAddr;

const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;
/// NLA_F_NESTED | NLA_F_NET_BYTEORDER: not part of an attribute's number.
const TYPE_MASK: u16 = 0x3fff;

const fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// nlmsg_type, e.g. RTM_NEWADDR.
    pub kind: u16,
    /// NLM_F_*.
    pub flags: u16,
    /// The request that it answers; whatever its sender chose in a notification.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The messages of a datagram; ends at the first whose length is impossible.
#[derive(Clone, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;
    fn next(&mut self) -> Option<Message<'a>> {
        let length = u32_at(self.0, 0)? as usize;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            sequence: u32_at(self.0, 8)?,
            payload: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some(message)
    }
}

/// The attributes of a message, as (number, value); ends at the first whose length is impossible.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);
    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & TYPE_MASK;
        let value = self.0.get(ATTRIBUTE..length)?;
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Two bytes at an offset, host order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Four bytes at an offset, host order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A text attribute, without its terminating zero.
pub fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.split(|byte| *byte == 0).next()?).ok()
}

/// What an NLMSG_ERROR message says (netlink(7)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Sequence number of the request.
    pub sequence: u32,
    /// 0 is an acknowledgement; else a positive errno.
    pub code: i32,
    /// NLMSGERR_ATTR_MSG: the kernel's own words.
    pub text: Option<String>,
}

impl Answer {
    /// Reads an NLMSG_ERROR; `None` for any other or a cut one.
    pub fn of(message: &Message<'_>) -> Option<Self> {
        const NLM_F_CAPPED: u16 = 0x100;
        const NLM_F_ACK_TLVS: u16 = 0x200;
        const NLMSGERR_ATTR_MSG: u16 = 1;
        if i32::from(message.kind) != libc::NLMSG_ERROR {
            return None;
        }
        let code = u32_at(message.payload, 0)?.cast_signed().saturating_neg();
        // The request's header follows, and its body unless capped; then the attributes.
        let request = if message.flags & NLM_F_CAPPED == 0 { align(u32_at(message.payload, 4)? as usize) } else { HEADER };
        let text = (message.flags & NLM_F_ACK_TLVS != 0)
            .then(|| message.payload.get(request.checked_add(4)?..))
            .flatten()
            .and_then(|rest| Attributes(rest).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG))
            .and_then(|(_, value)| text(value))
            .map(str::to_owned);
        Some(Self { sequence: message.sequence, code, text })
    }
}

/// A buffer in which messages are built one behind the other.
#[derive(Clone, Default, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    /// Where the last message begins.
    start: usize,
}

impl Builder {
    /// The bytes so far: whole messages once the last one has ended.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all messages, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Asks for an acknowledgement of the last message, even when all goes well.
    pub fn acknowledge_last(&mut self) {
        if let Some(&mut [ref mut low, ref mut high]) = self.bytes.get_mut(self.start + 6..self.start + 8) {
            [*low, *high] = (u16::from_ne_bytes([*low, *high]) | libc::NLM_F_ACK as u16).to_ne_bytes();
        }
    }

    /// Attributes that were built apart.
    pub fn append(&mut self, attributes: &Self) {
        self.bytes.extend_from_slice(&attributes.bytes);
    }

    /// One message: NLM_F_REQUEST is always set. `fixed` is the family's own header, e.g. `ifaddrmsg`.
    pub fn message(&mut self, kind: u16, flags: u16, sequence: u32, fixed: &[u8], attributes: impl FnOnce(&mut Self)) {
        self.start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(fixed);
        self.pad();
        attributes(self);
        let length = u32::try_from(self.bytes.len() - self.start).unwrap_or(u32::MAX);
        if let Some(field) = self.bytes.get_mut(self.start..self.start + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// An attribute with these bytes.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    /// A text attribute with its terminating zero.
    pub fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    /// An attribute that holds attributes.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.attribute(kind | libc::NLA_F_NESTED as u16, &[]);
        inside(self);
        self.close(start);
    }

    /// The same without NLA_F_NESTED, as what is as old as encapsulations wants it.
    pub fn nest_plain(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.attribute(kind, &[]);
        inside(self);
        self.close(start);
    }

    /// A structure that begins with its own length (`struct rtnexthop`) and ends with attributes.
    pub fn counted(&mut self, two: &[u8; 2], four: &[u8; 4], inside: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(two);
        self.bytes.extend_from_slice(four);
        inside(self);
        self.close(start);
    }

    /// Writes the length of what began there.
    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

/// An attribute that is an address.
pub(super) fn octets(m: &mut Builder, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => m.attribute(kind, &address.octets()),
        IpAddr::V6(address) => m.attribute(kind, &address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_built_reads_back() {
        let mut builder = Builder::default();
        builder.message(20, 0x400, 7, &[1, 2, 3, 4], |m| {
            m.attribute(1, &[9]);
            m.nest(2, |m| m.text(3, "veth"));
        });
        builder.message(21, 0, 8, &[], |_| {});
        let all: Vec<_> = Messages(builder.bytes()).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].kind, all[0].flags, all[0].sequence), (20, 0x401, 7));
        let attributes: Vec<_> = Attributes(&all[0].payload[4..]).collect();
        assert_eq!(attributes[0], (1, &[9u8][..]));
        assert_eq!(Attributes(attributes[1].1).next(), Some((3, &b"veth\0"[..])));
        assert_eq!((all[1].kind, all[1].payload), (21, &[][..]));
    }

    #[test]
    fn an_attribute_that_claims_more_than_there_is_ends_the_walk() {
        assert_eq!(Attributes(&[200, 0, 1, 0, 5]).count(), 0);
        assert_eq!(Attributes(&[0, 0, 1, 0]).count(), 0, "a length below the header must not loop for ever");
        assert_eq!(Messages(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).count(), 0);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for message in Messages(&bytes) {
                let _ = Answer::of(&message);
                let _ = Attributes(message.payload).filter_map(|(_, value)| text(value)).count();
            }
            let _ = Answer::of(&Message { kind: 2, flags: 0x200, sequence: 0, payload: &bytes });
            let _ = Attributes(&bytes).count();
        }
    }
}
