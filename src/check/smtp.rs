//! `SMTP_CHECK`: greeting, HELO, QUIT.

use super::dialogue::{Dialogue, Failure, Step};
use serde::{Deserialize, Serialize};

/// Most bytes of one reply.
const REPLY_LIMIT: usize = 4096;

/// `SMTP_CHECK`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// `helo_name`.
    pub helo: String,
}

/// Where the conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Greeting,
    Helo,
    Quit,
}

/// The conversation.
#[derive(Debug)]
pub struct Smtp {
    helo: String,
    stage: Stage,
    pending: Vec<u8>,
}

impl Smtp {
    /// A new one.
    pub fn new(settings: &Settings) -> Self {
        Self { helo: settings.helo.clone(), stage: Stage::Greeting, pending: Vec::new() }
    }

    /// Whether a whole reply, and a good one, was in the buffer, which it leaves (RFC 5321 §4.2: `250-` goes on, `250 ` ends).
    fn reply(&mut self) -> Result<bool, Failure> {
        let mut start = 0;
        while let Some(length) = self.pending.get(start..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
            let line = self.pending.get(start..start + length).unwrap_or_default();
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            start += length + 1;
            let ends = matches!(text.as_bytes().get(3), None | Some(b' ' | b'-'));
            let code = text.get(..3).filter(|_| ends).and_then(|digits| digits.parse::<u16>().ok());
            if code.is_none() || text.as_bytes().get(3) != Some(&b'-') {
                match (self.stage, code) {
                    (Stage::Quit, _) | (Stage::Greeting, Some(220)) | (Stage::Helo, Some(250)) => {}
                    (Stage::Greeting, _) => return Err(Failure::Greeting(text)),
                    (Stage::Helo, _) => return Err(Failure::Reply(text)),
                }
                self.pending.drain(..start);
                return Ok(true);
            }
        }
        if self.pending.len() > REPLY_LIMIT { Err(Failure::TooLong(REPLY_LIMIT)) } else { Ok(false) }
    }
}

impl Dialogue for Smtp {
    fn connected(&mut self) -> Step {
        Step::Read
    }

    fn received(&mut self, bytes: &[u8]) -> Step {
        self.pending.extend_from_slice(bytes);
        match (self.reply(), self.stage) {
            (Err(failure), _) => Step::Done(Err(failure)),
            (Ok(false), _) => Step::Read,
            (Ok(true), Stage::Greeting) => {
                self.stage = Stage::Helo;
                Step::Send(format!("HELO {}\r\n", self.helo).into_bytes())
            }
            (Ok(true), Stage::Helo) => {
                self.stage = Stage::Quit;
                Step::Send(b"QUIT\r\n".to_vec())
            }
            (Ok(true), Stage::Quit) => Step::Done(Ok(())),
        }
    }

    fn closed(&mut self) -> Step {
        // After QUIT a server may simply hang up.
        Step::Done(if self.stage == Stage::Quit { Ok(()) } else { Err(Failure::ClosedEarly) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp() -> Smtp {
        Smtp::new(&Settings { helo: "me".to_owned() })
    }

    #[test]
    fn greets_says_helo_and_quits() {
        let mut check = smtp();
        assert_eq!(check.connected(), Step::Read);
        assert_eq!(check.received(b"220 mx re"), Step::Read);
        assert_eq!(check.received(b"ady\r\n"), Step::Send(b"HELO me\r\n".to_vec()));
        assert_eq!(check.received(b"250-mx\r\n250 fine\r\n"), Step::Send(b"QUIT\r\n".to_vec()));
        assert_eq!(check.received(b"221 bye\r\n"), Step::Done(Ok(())));
    }

    #[test]
    fn a_refusal_fails_with_its_text() {
        let mut check = smtp();
        assert_eq!(check.received(b"554 go away\r\n"), Step::Done(Err(Failure::Greeting("554 go away".to_owned()))));
        assert_eq!(smtp().received(b"2200 hi\r\n"), Step::Done(Err(Failure::Greeting("2200 hi".to_owned()))));
        let mut check = smtp();
        check.received(b"220 hi\r\n");
        assert_eq!(check.received(b"502 no\r\n"), Step::Done(Err(Failure::Reply("502 no".to_owned()))));
    }

    #[test]
    fn a_greeting_without_end_fails() {
        let mut check = smtp();
        assert_eq!(check.received(&[b'2'; REPLY_LIMIT + 1]), Step::Done(Err(Failure::TooLong(REPLY_LIMIT))));
        assert_eq!(smtp().closed(), Step::Done(Err(Failure::ClosedEarly)));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_panics(chunks: Vec<Vec<u8>>) {
            let mut check = smtp();
            for chunk in chunks {
                if let Step::Done(_) = check.received(&chunk) { break; }
                proptest::prop_assert!(check.pending.len() <= REPLY_LIMIT);
            }
            check.closed();
        }
    }
}
