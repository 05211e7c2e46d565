//! `DNS_CHECK`: a question, and an answer without error that holds a record (RFC 1035 §4).

use super::dialogue::Failure;
use serde::{Deserialize, Serialize};

/// `DNS_CHECK`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// `type` (SOA).
    pub kind: RecordType,
    /// `name`; empty is the root.
    pub name: Name,
}

/// A domain name as labels.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Name(Vec<String>);

impl Name {
    /// `None` for an empty label, one over 63 bytes or a name over 255 (RFC 1035 §2.3.4). A final dot is taken.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Some(Self::default());
        }
        let labels: Vec<String> = text.split('.').map(str::to_owned).collect();
        let fits = text.len() <= 253 && labels.iter().all(|label| (1..=63).contains(&label.len()));
        fits.then_some(Self(labels))
    }

    fn write(&self, out: &mut Vec<u8>) {
        for label in &self.0 {
            out.push(u8::try_from(label.len()).unwrap_or(0));
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Record types that can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the records' own")]
pub enum RecordType {
    A,
    Ns,
    Cname,
    #[default]
    Soa,
    Mx,
    Txt,
    Aaaa,
    Rrsig,
    Dnskey,
}

impl RecordType {
    /// Every one, with the word in the configuration and the number on the wire.
    pub const ALL: &'static [(Self, &'static str, u16)] = &[
        (Self::A, "A", 1),
        (Self::Ns, "NS", 2),
        (Self::Cname, "CNAME", 5),
        (Self::Soa, "SOA", 6),
        (Self::Mx, "MX", 15),
        (Self::Txt, "TXT", 16),
        (Self::Aaaa, "AAAA", 28),
        (Self::Rrsig, "RRSIG", 46),
        (Self::Dnskey, "DNSKEY", 48),
    ];

    /// By its word, any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1.eq_ignore_ascii_case(word)).map(|row| row.0)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("SOA", |row| row.1)
    }

    fn number(self) -> u16 {
        Self::ALL.iter().find(|row| row.0 == self).map_or(6, |row| row.2)
    }
}

/// The question as a datagram: recursion desired, class IN.
pub fn question(settings: &Settings, id: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    settings.name.write(&mut out);
    out.extend_from_slice(&settings.kind.number().to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

/// Whether a datagram answers question `id` well; `None` when it is not an answer to it at all (read on).
pub fn judge(id: u16, datagram: &[u8]) -> Option<Result<(), Failure>> {
    let word = |at: usize| Some(u16::from_be_bytes([*datagram.get(at)?, *datagram.get(at + 1)?]));
    let (Some(theirs), Some(flags), Some(answers)) = (word(0), word(2), word(6)) else {
        return Some(Err(Failure::Malformed("DNS header too short")));
    };
    if theirs != id || flags & 0x8000 == 0 {
        return None;
    }
    Some(match u8::try_from(flags & 0xf).unwrap_or(0xf) {
        0 if datagram.len() < 12 => Err(Failure::Malformed("DNS header too short")),
        0 if answers == 0 => Err(Failure::NoAnswer),
        0 => Ok(()),
        code => Err(Failure::ResponseCode(code)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_rfc_1035() {
        let settings = Settings { kind: RecordType::parse("mx").unwrap(), name: Name::parse("a.bc.").unwrap() };
        let wire = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 2, b'b', b'c', 0, 0, 15, 0, 1];
        assert_eq!(question(&settings, 0x1234), wire);
    }

    #[test]
    fn an_answer_needs_no_error_and_a_record() {
        let answer = |flags: u16, count: u8| {
            let [high, low] = flags.to_be_bytes();
            judge(7, &[0, 7, high, low, 0, 1, 0, count, 0, 0, 0, 0])
        };
        assert_eq!(answer(0x8180, 1), Some(Ok(())));
        assert_eq!(answer(0x8180, 0), Some(Err(Failure::NoAnswer)));
        assert_eq!(answer(0x8183, 0), Some(Err(Failure::ResponseCode(3))));
        assert_eq!(answer(0x0100, 1), None, "a question is no answer");
        assert_eq!(judge(8, &[0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]), None, "another question's answer");
        assert_eq!(judge(7, &[0, 7]), Some(Err(Failure::Malformed("DNS header too short"))));
    }

    #[test]
    fn names_have_no_empty_or_long_labels() {
        assert!(Name::parse("").is_some() && Name::parse(".").is_some());
        assert!(Name::parse("a..b").is_none());
        assert!(Name::parse(&"a".repeat(64)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_panics(bytes: Vec<u8>) {
            judge(0, &bytes);
        }
    }
}
