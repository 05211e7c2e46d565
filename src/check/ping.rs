//! `PING_CHECK`: an echo and its answer (RFC 792, RFC 4443).

use crate::types::Sum;

/// An echo request (RFC 792, RFC 4443); the kernel fills in the checksum of ICMPv6.
pub fn request(six: bool, id: u16, seq: u16) -> Vec<u8> {
    let mut bytes = vec![if six { 128 } else { 8 }, 0, 0, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(b"keepalived check - keepalived ch");
    if !six {
        let sum = Sum::default().with(&bytes).finish().to_be_bytes();
        for (to, from) in bytes.iter_mut().skip(2).zip(sum) {
            *to = from;
        }
    }
    bytes
}

/// Whether what a raw socket heard is the answer to that request. With IPv4 it hears the IP header too.
pub fn is_answer(six: bool, bytes: &[u8], id: u16, seq: u16) -> bool {
    let skip = if six { 0 } else { bytes.first().map_or(0, |first| usize::from(first & 0xf) * 4) };
    let wanted = [id.to_be_bytes(), seq.to_be_bytes()].concat();
    bytes.get(skip) == Some(if six { &129 } else { &0 }) && bytes.get(skip + 4..skip + 8) == Some(wanted.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_our_own_echo_counts() {
        let mut answer = vec![0x45; 20];
        answer.extend([0, 0, 0, 0, 0x12, 0x34, 0, 7]);
        assert!(is_answer(false, &answer, 0x1234, 7));
        assert!(!is_answer(false, &answer, 0x1234, 8));
        assert!(!is_answer(false, &answer[..20], 0x1234, 7));
        assert!(is_answer(true, &[129, 0, 0, 0, 0x12, 0x34, 0, 7], 0x1234, 7));
        assert!(!is_answer(true, &[128, 0, 0, 0, 0x12, 0x34, 0, 7], 0x1234, 7), "our own request on loopback");
    }

    #[test]
    fn a_request_sums_to_nothing() {
        assert_eq!(Sum::default().with(&request(false, 1, 2)).finish(), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_packet_panics(bytes: Vec<u8>, six: bool) {
            is_answer(six, &bytes, 1, 2);
        }
    }
}
