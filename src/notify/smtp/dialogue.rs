//! The dialogue of one mail (RFC 5321 §4.1.1, STARTTLS of RFC 3207, AUTH of RFC 4954): replies in, commands out.

use super::message::Message;
use crate::config::model::MailTls;
use crate::ipc::messages::Login;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Where the dialogue is: which reply it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Greeting,
    /// Of HELO or EHLO.
    Hello,
    /// Of STARTTLS; its success is followed by a handshake.
    StartTls,
    Login(Asked),
    From,
    /// The recipient with this number.
    To(usize),
    Data,
    Text,
    Quit,
}

/// What of a login was sent last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// AUTH PLAIN with everything.
    Plain,
    /// AUTH LOGIN; the server asks for the name.
    LoginName,
    /// The name; the server asks for the password.
    LoginPassword,
    /// The password.
    LoginEnd,
}

/// What is to be done after a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this.
    Send(String),
    /// More lines of the same reply will come.
    More,
    /// Make the connection an encrypted one, then send what [`Dialogue::secured`] says.
    Secure,
    /// The mail is delivered; send this and part.
    Delivered(String),
    /// It will be tried again: the server is busy or its answer made no sense.
    Later(String),
    /// It will never be taken.
    Refused(String),
    /// What is configured and what the server can do do not fit together; the mail itself may be good.
    Unfit(Unfit),
}

/// How they do not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It offers no STARTTLS, or refuses it: nothing is sent in clear.
    NoStartTls,
    /// It offers neither AUTH PLAIN nor AUTH LOGIN.
    NoLogin,
    /// It does not take this user with this password; its reply.
    Login(String),
}

/// What the server said it can do.
#[derive(Clone, Copy, Default, Debug)]
struct Offers {
    start_tls: bool,
    plain: bool,
    login: bool,
}

/// How the dialogue is led.
#[derive(Clone, Debug)]
pub struct Manner {
    /// What to say at HELO.
    pub helo: String,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Who logs in. Without TLS nobody does.
    pub login: Option<Login>,
}

/// One mail being delivered.
#[derive(Clone, Debug)]
pub struct Dialogue {
    message: Message,
    manner: Manner,
    stage: Stage,
    offers: Offers,
    /// The connection is encrypted.
    secure: bool,
    /// At least one recipient was taken.
    anybody: bool,
}

impl Dialogue {
    /// Waits for the greeting.
    pub fn new(message: Message, manner: Manner) -> Self {
        let secure = manner.tls == MailTls::Tls;
        Self { message, manner, stage: Stage::Greeting, offers: Offers::default(), secure, anybody: false }
    }

    /// One line of a reply, without its end.
    pub fn reply(&mut self, line: &str) -> Step {
        let (code, last) = match (line.get(..3).and_then(|digits| digits.parse::<u16>().ok()), line.as_bytes().get(3)) {
            (Some(code), None | Some(b' ')) => (code, true),
            (Some(code), Some(b'-')) => (code, false),
            _ => return Step::Later(format!("'{}' is no SMTP reply", line.escape_debug())),
        };
        if (self.stage, code) == (Stage::Hello, 250) {
            self.note(line.get(4..).unwrap_or_default());
        }
        if !last {
            return Step::More;
        }
        self.next(code, line)
    }

    /// The handshake that [`Step::Secure`] asked for is done: what to send. All that was said before it is forgotten (RFC 3207 §4.2).
    pub fn secured(&mut self) -> String {
        (self.secure, self.offers) = (true, Offers::default());
        self.stage = Stage::Hello;
        self.hello()
    }

    fn next(&mut self, code: u16, line: &str) -> Step {
        match (self.stage, code) {
            (Stage::Greeting, 220) => {
                let hello = self.hello();
                self.go(Stage::Hello, hello)
            }
            (Stage::Hello, 250) => self.protect(),
            (Stage::StartTls, 220) => Step::Secure,
            (Stage::StartTls, _) => Step::Unfit(Unfit::NoStartTls),
            (Stage::Login(asked), _) => self.log_in(asked, code, line),
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

    /// EHLO asks what the server can do; who needs nothing of that says HELO, as the original.
    fn hello(&self) -> String {
        let word = if self.manner.tls == MailTls::Off { "HELO" } else { "EHLO" };
        format!("{word} {}\r\n", self.manner.helo)
    }

    /// One line of the answer to EHLO.
    fn note(&mut self, offer: &str) {
        let mut words = offer.split_ascii_whitespace();
        let Some(word) = words.next() else { return };
        if word.eq_ignore_ascii_case("STARTTLS") {
            self.offers.start_tls = true;
        } else if word.eq_ignore_ascii_case("AUTH") {
            for kind in words {
                self.offers.plain |= kind.eq_ignore_ascii_case("PLAIN");
                self.offers.login |= kind.eq_ignore_ascii_case("LOGIN");
            }
        }
    }

    /// Said hello: first the connection is made safe, then we say who we are, then the mail goes.
    fn protect(&mut self) -> Step {
        match (self.manner.tls, &self.manner.login) {
            (MailTls::StartTls, _) if !self.secure && self.offers.start_tls => self.go(Stage::StartTls, "STARTTLS\r\n".to_owned()),
            (MailTls::StartTls, _) if !self.secure => Step::Unfit(Unfit::NoStartTls),
            (MailTls::Off, _) | (MailTls::StartTls | MailTls::Tls, None) => self.sender(),
            (MailTls::StartTls | MailTls::Tls, Some(login)) if self.offers.plain => {
                let all = format!("\0{}\0{}", login.user, login.password.reveal());
                self.go(Stage::Login(Asked::Plain), format!("AUTH PLAIN {}\r\n", BASE64.encode(all)))
            }
            (MailTls::StartTls | MailTls::Tls, Some(_)) if self.offers.login => {
                self.go(Stage::Login(Asked::LoginName), "AUTH LOGIN\r\n".to_owned())
            }
            (MailTls::StartTls | MailTls::Tls, Some(_)) => Step::Unfit(Unfit::NoLogin),
        }
    }

    fn log_in(&mut self, asked: Asked, code: u16, line: &str) -> Step {
        let word = |word: &str| format!("{}\r\n", BASE64.encode(word));
        match (asked, code, &self.manner.login) {
            (Asked::Plain | Asked::LoginEnd, 235, _) => self.sender(),
            (Asked::LoginName, 334, Some(login)) => {
                let name = word(&login.user);
                self.go(Stage::Login(Asked::LoginPassword), name)
            }
            (Asked::LoginPassword, 334, Some(login)) => {
                let password = word(login.password.reveal());
                self.go(Stage::Login(Asked::LoginEnd), password)
            }
            // Busy is not refused (RFC 4954 §4: 454).
            (_, 400..=499, _) => Step::Later(line.to_owned()),
            (_, _, _) => Step::Unfit(Unfit::Login(line.to_owned())),
        }
    }

    fn sender(&mut self) -> Step {
        let command = format!("MAIL FROM:<{}>\r\n", self.message.from);
        self.go(Stage::From, command)
    }

    fn recipient(&mut self, number: usize) -> Step {
        match self.message.to.get(number) {
            Some(to) => {
                let command = format!("RCPT TO:<{to}>\r\n");
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
    use crate::types::Secret;
    use proptest::prelude::*;

    fn dialogue_with(tls: MailTls, login: bool) -> Dialogue {
        let message = Message { from: "me@x".into(), to: vec!["a@x".into(), "b@x".into()], text: "Subject: s\r\n\r\nb\r\n".into() };
        let login = login.then(|| Login { user: "me".into(), password: Secret::new("pw") });
        Dialogue::new(message, Manner { helo: "host".into(), tls, login })
    }

    fn dialogue() -> Dialogue {
        dialogue_with(MailTls::Off, false)
    }

    fn send(text: &str) -> Step {
        Step::Send(text.to_owned())
    }

    fn said(dialogue: &mut Dialogue, replies: &[&str]) -> Vec<Step> {
        replies.iter().map(|reply| dialogue.reply(reply)).collect()
    }

    #[test]
    fn a_mail_goes_step_by_step() {
        let steps = said(&mut dialogue(), &["220-welcome", "220 here", "250 hi", "250 ok", "250 ok", "250 ok", "354 go", "250 queued"]);
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

    #[test]
    fn starttls_comes_before_everything_and_what_was_offered_before_it_does_not_count() {
        let mut dialogue = dialogue_with(MailTls::StartTls, true);
        let steps = said(&mut dialogue, &["220 x", "250-x", "250-AUTH PLAIN LOGIN", "250 STARTTLS", "220 go"]);
        assert_eq!(steps, [send("EHLO host\r\n"), Step::More, Step::More, send("STARTTLS\r\n"), Step::Secure]);
        assert_eq!(dialogue.secured(), "EHLO host\r\n");
        assert_eq!(said(&mut dialogue, &["250 x"]), [Step::Unfit(Unfit::NoLogin)]);
    }

    #[test]
    fn without_starttls_nothing_is_said_in_clear() {
        for login in [true, false] {
            let steps = said(&mut dialogue_with(MailTls::StartTls, login), &["220 x", "250-x", "250 AUTH PLAIN"]);
            assert_eq!(steps[2], Step::Unfit(Unfit::NoStartTls));
            let steps = said(&mut dialogue_with(MailTls::StartTls, login), &["220 x", "250 STARTTLS", "454 not now"]);
            assert_eq!(steps[2], Step::Unfit(Unfit::NoStartTls));
        }
    }

    #[test]
    fn a_login_is_plain_where_it_can_be_and_login_else() {
        let steps = said(&mut dialogue_with(MailTls::Tls, true), &["220 x", "250 auth login plain", "235 welcome"]);
        assert_eq!(steps[1..], [send("AUTH PLAIN AG1lAHB3\r\n"), send("MAIL FROM:<me@x>\r\n")]);
        let replies = ["220 x", "250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 welcome"];
        let steps = said(&mut dialogue_with(MailTls::Tls, true), &replies);
        assert_eq!(steps[1..], [send("AUTH LOGIN\r\n"), send("bWU=\r\n"), send("cHc=\r\n"), send("MAIL FROM:<me@x>\r\n")]);
    }

    #[test]
    fn a_refused_login_is_told_as_such_and_a_busy_server_is_later() {
        let reply = |reply| said(&mut dialogue_with(MailTls::Tls, true), &["220 x", "250 AUTH PLAIN", reply]).pop();
        assert_eq!(reply("535 no"), Some(Step::Unfit(Unfit::Login("535 no".to_owned()))));
        assert_eq!(reply("454 later"), Some(Step::Later("454 later".to_owned())));
    }

    #[test]
    fn nobody_logs_in_in_clear_whatever_is_configured() {
        let steps = said(&mut dialogue_with(MailTls::Off, true), &["220 x", "250 AUTH PLAIN"]);
        assert_eq!(steps, [send("HELO host\r\n"), send("MAIL FROM:<me@x>\r\n")]);
    }

    proptest! {
        #[test]
        fn no_server_makes_it_panic(replies in proptest::collection::vec("(220|250|334|235|354)?[ -]?\\PC{0,12}", 0..20), tls in 0_u8..3) {
            let mut dialogue = dialogue_with([MailTls::Off, MailTls::StartTls, MailTls::Tls][usize::from(tls)], true);
            for reply in replies {
                if dialogue.reply(&reply) == Step::Secure {
                    dialogue.secured();
                }
            }
        }
    }
}
