//! The dialogue of one mail (RFC 5321 §4.1.1): replies in, commands out.

use super::message::Message;
use std::fmt::Write as _;

/// Where the dialogue is: which reply it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Greeting,
    Helo,
    From,
    /// The recipient with this number.
    To(usize),
    Data,
    Text,
    Quit,
}

/// What is to be done after a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this.
    Send(String),
    /// More lines of the same reply will come.
    More,
    /// The mail is delivered; send this and part.
    Delivered(String),
    /// It will be tried again: the server is busy or its answer made no sense.
    Later(String),
    /// It will never be taken.
    Refused(String),
}

/// One mail being delivered.
#[derive(Clone, Debug)]
pub struct Dialogue {
    message: Message,
    helo: String,
    stage: Stage,
    /// At least one recipient was taken.
    anybody: bool,
}

impl Dialogue {
    /// Waits for the greeting.
    pub fn new(message: Message, helo: String) -> Self {
        Self { message, helo, stage: Stage::Greeting, anybody: false }
    }

    /// One line of a reply, without its end.
    pub fn reply(&mut self, line: &str) -> Step {
        let (code, last) = match (line.get(..3).and_then(|digits| digits.parse::<u16>().ok()), line.as_bytes().get(3)) {
            (Some(code), None | Some(b' ')) => (code, true),
            (Some(code), Some(b'-')) => (code, false),
            _ => return Step::Later(format!("'{}' is no SMTP reply", line.escape_debug())),
        };
        if !last {
            return Step::More;
        }
        self.next(code, line)
    }

    fn next(&mut self, code: u16, line: &str) -> Step {
        match (self.stage, code) {
            (Stage::Greeting, 220) => self.go(Stage::Helo, format!("HELO {}\r\n", self.helo)),
            (Stage::Helo, 250) => self.go(Stage::From, format!("MAIL FROM:<{}>\r\n", self.message.from)),
            (Stage::From, 250) => self.recipient(0),
            (Stage::To(number), 250 | 251) => {
                self.anybody = true;
                self.recipient(number + 1)
            }
            // One address that is refused does not keep the mail from the others.
            (Stage::To(number), 550..=559) => self.recipient(number + 1),
            (Stage::Data, 354) => self.go(Stage::Text, format!("{}.\r\n", self.message.text)),
            (Stage::Text, 250) => {
                self.stage = Stage::Quit;
                Step::Delivered("QUIT\r\n".to_owned())
            }
            (_, 500..=599) => Step::Refused(line.to_owned()),
            (_, _) => Step::Later(line.to_owned()),
        }
    }

    fn recipient(&mut self, number: usize) -> Step {
        match self.message.to.get(number) {
            Some(to) => {
                let mut command = String::new();
                let _ = write!(command, "RCPT TO:<{to}>\r\n");
                self.go(Stage::To(number), command)
            }
            None if self.anybody => self.go(Stage::Data, "DATA\r\n".to_owned()),
            None => Step::Refused("no recipient was accepted".to_owned()),
        }
    }

    fn go(&mut self, stage: Stage, command: String) -> Step {
        self.stage = stage;
        Step::Send(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dialogue() -> Dialogue {
        let message = Message { from: "me@x".into(), to: vec!["a@x".into(), "b@x".into()], text: "Subject: s\r\n\r\nb\r\n".into() };
        Dialogue::new(message, "host".into())
    }

    fn said(dialogue: &mut Dialogue, replies: &[&str]) -> Vec<Step> {
        replies.iter().map(|reply| dialogue.reply(reply)).collect()
    }

    #[test]
    fn a_mail_goes_step_by_step() {
        let steps = said(&mut dialogue(), &["220-welcome", "220 here", "250 hi", "250 ok", "250 ok", "250 ok", "354 go", "250 queued"]);
        let send = |text: &str| Step::Send(text.to_owned());
        assert_eq!(
            steps,
            [
                Step::More,
                send("HELO host\r\n"),
                send("MAIL FROM:<me@x>\r\n"),
                send("RCPT TO:<a@x>\r\n"),
                send("RCPT TO:<b@x>\r\n"),
                send("DATA\r\n"),
                send("Subject: s\r\n\r\nb\r\n.\r\n"),
                Step::Delivered("QUIT\r\n".to_owned()),
            ]
        );
    }

    #[test]
    fn one_refused_recipient_does_not_keep_it_from_the_others() {
        let steps = said(&mut dialogue(), &["220", "250", "250", "550 no such user", "250"]);
        assert_eq!(steps.last(), Some(&Step::Send("DATA\r\n".to_owned())));
        let steps = said(&mut dialogue(), &["220", "250", "250", "550", "550"]);
        assert_eq!(steps.last(), Some(&Step::Refused("no recipient was accepted".to_owned())));
    }

    #[test]
    fn busy_is_later_and_no_is_never() {
        assert_eq!(said(&mut dialogue(), &["421 busy"]), [Step::Later("421 busy".to_owned())]);
        assert_eq!(said(&mut dialogue(), &["220", "550 go away"])[1], Step::Refused("550 go away".to_owned()));
        assert!(matches!(said(&mut dialogue(), &["SSH-2.0"])[0], Step::Later(_)));
    }

    proptest! {
        #[test]
        fn no_server_makes_it_panic(replies in proptest::collection::vec("\\PC{0,12}", 0..20)) {
            let mut dialogue = dialogue();
            for reply in replies {
                dialogue.reply(&reply);
            }
        }
    }
}
