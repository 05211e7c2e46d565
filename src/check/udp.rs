//! `UDP_CHECK`: a payload out; an ICMP error is a failure, silence is fine unless a reply is required.

use super::dialogue::Failure;
use serde::{Deserialize, Serialize};

/// `UDP_CHECK`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// `payload`; empty when not written.
    pub payload: Vec<u8>,
    /// `require_reply`.
    pub reply: Option<Reply>,
}

/// What the reply must be.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Value and mask of the first bytes (an `X` nibble has mask 0).
    pub pattern: Vec<(u8, u8)>,
    /// `min_reply_length` (0).
    pub min: u16,
    /// `max_reply_length` (255).
    pub max: u16,
}

/// Whether a datagram fits.
pub fn judge(settings: &Settings, datagram: &[u8]) -> Result<(), Failure> {
    let Some(reply) = &settings.reply else { return Ok(()) };
    let length = datagram.len();
    let fits = length >= usize::from(reply.min)
        && length <= usize::from(reply.max)
        && length >= reply.pattern.len()
        && reply.pattern.iter().zip(datagram).all(|((value, mask), byte)| byte & mask == *value & mask);
    if fits { Ok(()) } else { Err(Failure::Mismatch) }
}

/// Hex digits, spaces between bytes allowed; a lone digit is a byte with high nibble 0; `X` is any nibble where `wild`.
pub fn pattern(text: &str, wild: bool) -> Option<Vec<(u8, u8)>> {
    let nibble = |character: char| match character {
        'x' | 'X' if wild => Some((0, 0)),
        other => other.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).map(|digit| (digit, 0xf)),
    };
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let nibbles = word.chars().map(nibble).collect::<Option<Vec<_>>>()?;
        for pair in nibbles.chunks(2) {
            bytes.push(match *pair {
                [(high, high_mask), (low, low_mask)] => (high << 4 | low, high_mask << 4 | low_mask),
                [(low, mask)] => (low, 0xf0 | mask),
                _ => return None,
            });
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_fine_unless_a_reply_is_required() {
        let open = Settings { payload: vec![], reply: None };
        assert_eq!(judge(&open, b"anything"), Ok(()));
        let reply = Reply { pattern: pattern("01 XX 0X", true).unwrap(), min: 3, max: 4 };
        let strict = Settings { payload: vec![], reply: Some(reply) };
        assert_eq!(judge(&strict, &[1, 9, 7]), Ok(()));
        assert_eq!(judge(&strict, &[1, 9, 0x17]), Err(Failure::Mismatch));
        assert_eq!(judge(&strict, &[1, 9]), Err(Failure::Mismatch));
        assert_eq!(judge(&strict, &[1, 9, 7, 0, 0]), Err(Failure::Mismatch));
    }

    #[test]
    fn hex_takes_spaces_and_a_lone_digit() {
        assert_eq!(pattern("0a ff7", false), Some(vec![(0x0a, 0xff), (0xff, 0xff), (7, 0xff)]));
        assert_eq!(pattern("0g", false), None);
        assert_eq!(pattern("0x", false), None);
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_and_no_pattern_panic(datagram: Vec<u8>, text in "[0-9a-fxX g]{0,20}", min: u16, max: u16) {
            let Some(pattern) = pattern(&text, true) else { return Ok(()) };
            let fits = judge(&Settings { payload: vec![], reply: Some(Reply { pattern: pattern.clone(), min, max }) }, &datagram).is_ok();
            proptest::prop_assert!(!fits || (datagram.len() >= pattern.len() && datagram.len() >= usize::from(min)));
        }
    }
}
