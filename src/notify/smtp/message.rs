//! One mail as it travels, byte for byte as keepalived sends it.

use crate::config::model::Mail;
use crate::notify::telling::Letter;

/// Envelope and text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Address in `MAIL FROM`.
    pub from: String,
    /// Addresses in `RCPT TO`, one each.
    pub to: Vec<String>,
    /// Header and body, lines ended by CRLF, dots at the beginning of lines doubled (RFC 5321 §4.5.2).
    pub text: String,
}

/// A message from a letter. `date` is an RFC 5322 date; `sender` is the address when the configuration has none. `None`: nobody to
/// send it to.
pub fn message(letter: &Letter, mail: &Mail, router: &str, sender: &str, date: &str) -> Option<Message> {
    if mail.to.is_empty() || mail.server.is_none() {
        return None;
    }
    let from = mail.from.as_deref().unwrap_or(sender);
    let subject = one_line(&format!("[{router}] {}", letter.subject));
    let to: Vec<String> = mail.to.iter().map(|to| mailbox(to)).collect();
    let header = format!(
        "Date: {date}\r\nFrom: {}\r\nSubject: {}\r\nX-Mailer: Keepalived\r\nTo: {}\r\n",
        mailbox(from),
        encoded(&subject),
        to.join(", ")
    );
    let body: String = letter.body.lines().map(|line| format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" })).collect();
    Some(Message { from: address(from), to: mail.to.iter().map(|to| address(to)).collect(), text: format!("{header}\r\n{body}\r\n") })
}

/// `Name <a@b>` is written in headers; the envelope wants `a@b` alone.
fn address(written: &str) -> String {
    let inner = written.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(written, |(inner, _)| inner);
    inner.chars().filter(|character| !character.is_control() && !matches!(character, ' ' | '<' | '>')).collect()
}

/// A mailbox for a header: a display name that RFC 5322 §3.2.3 does not allow as it is goes into quotes, one that is not ASCII
/// becomes an encoded word.
fn mailbox(written: &str) -> String {
    const SPECIALS: &str = "()<>[]:;@\\,.\"";
    let written = one_line(written);
    let Some((name, rest)) = written.rsplit_once('<') else { return written };
    let name = name.trim();
    let is_quoted = name.len() > 1 && name.starts_with('"') && name.ends_with('"');
    if !name.is_ascii() {
        let bare = if is_quoted { name.trim_matches('"') } else { name };
        format!("{} <{rest}", encoded(bare))
    } else if is_quoted || !name.contains(|character| SPECIALS.contains(character)) {
        written
    } else {
        format!("\"{}\" <{rest}", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// No text of ours may end a header line.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A subject in ASCII stays as it is; any other becomes an encoded word (RFC 2047).
fn encoded(subject: &str) -> String {
    if subject.is_ascii() {
        return subject.to_owned();
    }
    let words: Vec<String> = pieces(subject, 30).into_iter().map(|piece| format!("=?UTF-8?Q?{}?=", quoted(piece))).collect();
    words.join("\r\n ")
}

/// Cut at characters, so many bytes each at most: an encoded word has 75 characters.
fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = most.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end.max(1));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn quoted(piece: &str) -> String {
    piece
        .bytes()
        .map(|byte| match byte {
            b' ' => "_".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("={other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &[&str]) -> Mail {
        Mail {
            to: to.iter().map(ToString::to_string).collect(),
            from: Some("me@example.com".into()),
            server: Some(("127.0.0.1".into(), 25)),
            ..Mail::default()
        }
    }

    fn letter() -> Letter {
        Letter { subject: "VRRP Instance VI_1 - Entering MASTER state".into(), body: "=> VRRP Instance is now owning VRRP VIPs <=".into() }
    }

    #[test]
    fn the_text_is_the_originals_byte_for_byte() {
        let message =
            message(&letter(), &mail(&["a@example.com", "B C <b@example.com>"]), "R1", "h", "Sat, 21 Nov 2026 07:09:59 +0000").unwrap();
        let wanted = "Date: Sat, 21 Nov 2026 07:09:59 +0000\r\nFrom: me@example.com\r\nSubject: [R1] VRRP Instance VI_1 - Entering MASTER state\r\n\
            X-Mailer: Keepalived\r\nTo: a@example.com, B C <b@example.com>\r\n\r\n=> VRRP Instance is now owning VRRP VIPs <=\r\n\r\n";
        assert_eq!(message.text, wanted);
        assert_eq!(message.to, ["a@example.com", "b@example.com"]);
    }

    #[test]
    fn nothing_configured_can_add_a_header_or_a_command() {
        let message = message(&letter(), &mail(&["a@b>\r\nDATA\r\n"]), "R\r\nBcc: x@y", "h", "d").unwrap();
        assert!(!message.text.contains("\r\nBcc"));
        assert_eq!(message.to, ["a@bDATA"]);
    }

    #[test]
    fn a_dot_at_the_beginning_of_a_line_is_doubled() {
        let letter = Letter { subject: "s".into(), body: ".\n..x".into() };
        let message = message(&letter, &mail(&["a@b"]), "R", "h", "d").unwrap();
        assert!(message.text.ends_with("\r\n\r\n..\r\n...x\r\n\r\n"));
    }

    #[test]
    fn a_subject_that_is_not_ascii_is_encoded() {
        assert_eq!(encoded("é 1"), "=?UTF-8?Q?=C3=A9_1?=");
        assert!(encoded(&"ж".repeat(60)).lines().all(|line| line.len() <= 120));
    }

    #[test]
    fn a_display_name_is_written_so_that_a_header_may_have_it() {
        assert_eq!(mailbox("a@b"), "a@b");
        assert_eq!(mailbox("B C <b@c>"), "B C <b@c>");
        assert_eq!(mailbox("Doe, J. <j@c>"), "\"Doe, J.\" <j@c>");
        assert_eq!(mailbox("\"Doe, J.\" <j@c>"), "\"Doe, J.\" <j@c>");
        assert_eq!(mailbox("Jörg <j@c>"), "=?UTF-8?Q?J=C3=B6rg?= <j@c>");
        assert_eq!(mailbox("<j@c>"), "<j@c>");
    }

    #[test]
    fn without_from_the_sender_is_who_runs_us() {
        let mail = Mail { from: None, ..mail(&["a@b"]) };
        let message = message(&letter(), &mail, "R", "root@ka1.example.net", "d").unwrap();
        assert_eq!(message.from, "root@ka1.example.net");
        assert!(message.text.contains("\r\nFrom: root@ka1.example.net\r\n"));
    }

    #[test]
    fn without_a_server_or_anybody_there_is_no_mail() {
        assert_eq!(message(&letter(), &mail(&[]), "R", "h", "d"), None);
        assert_eq!(message(&letter(), &Mail { server: None, ..mail(&["a@b"]) }, "R", "h", "d"), None);
    }
}
