//! `global_defs`: to whom mail goes, and how it gets to the mail server.

use super::{Line, Reader};
use crate::config::model::MailTls;
use crate::config::number;
use crate::syntax::{Complaint, Span};
use std::path::PathBuf;
use std::time::Duration;

/// What belongs together and may come in any order.
#[derive(Clone, Debug, Default)]
pub(crate) struct MailDraft {
    server: Option<String>,
    port: Option<u16>,
    authority: Option<Span>,
    user: Option<(String, Span)>,
    password_file: Option<(PathBuf, Span)>,
}

fn text(line: &Line<'_>) -> Option<String> {
    line.arg(0).map(ToString::to_string)
}

pub(crate) fn to(reader: &mut Reader, line: &Line<'_>) {
    for word in line.children.iter().flat_map(Line::words) {
        reader.global.mail.to.push(word.to_string());
    }
}

pub(crate) fn from(reader: &mut Reader, line: &Line<'_>) {
    reader.global.mail.from = text(line);
}

pub(crate) fn server(reader: &mut Reader, line: &Line<'_>) {
    if let Some(host) = text(line).filter(|host| !is_host(host)) {
        let complaint = Complaint::error(line.arg_span(0), format!("Invalid smtp server {host}"));
        reader.complain(complaint.expected("the name or the address of a host").help("the server is left out".to_owned()));
        return;
    }
    let port = match line.arg(1) {
        None => None,
        Some(_) => match number::int(reader, line, 1, 1..=65535, "the server is left out").and_then(|port| u16::try_from(port).ok()) {
            Some(port) => Some(port),
            None => return,
        },
    };
    (reader.mail.server, reader.mail.port) = (text(line), port);
}

/// Whether mail can be sent to it: a name is looked up when there is mail, and not before.
fn is_host(host: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    host.parse::<std::net::IpAddr>().is_ok() || host.trim_end_matches('.').split('.').all(label) || host.contains('%')
}

pub(crate) fn helo(reader: &mut Reader, line: &Line<'_>) {
    reader.global.mail.helo = text(line);
}

pub(crate) fn timeout(reader: &mut Reader, line: &Line<'_>) {
    if let Some(time) = number::seconds(reader, line, "the default is used") {
        reader.global.mail.timeout = Some(time.max(Duration::from_secs(1)));
    }
}

pub(crate) fn tls(reader: &mut Reader, line: &Line<'_>) {
    reader.global.mail.tls = match line.arg(0).map(|word| &*word.text) {
        Some("off") => MailTls::Off,
        None | Some("starttls") => MailTls::StartTls,
        Some("tls") => MailTls::Tls,
        Some(other) => {
            // Whoever writes it wants no clear text.
            let message = format!("smtp_tls '{other}' is none of off, starttls and tls");
            reader
                .complain(Complaint::error(line.arg_span(0), message).expected("off, starttls or tls").help("starttls is used".to_owned()));
            MailTls::StartTls
        }
    };
}

pub(crate) fn authority(reader: &mut Reader, line: &Line<'_>) {
    reader.global.mail.authority = text(line).map(PathBuf::from);
    reader.mail.authority = Some(line.span());
}

pub(crate) fn user(reader: &mut Reader, line: &Line<'_>) {
    reader.mail.user = text(line).map(|name| (name, line.span()));
}

pub(crate) fn password_file(reader: &mut Reader, line: &Line<'_>) {
    reader.mail.password_file = text(line).map(|path| (PathBuf::from(path), line.span()));
}

/// Everything of mail together: the port that is usual, a login only where nobody listens.
pub(super) fn settle(reader: &mut Reader) {
    let draft = std::mem::take(&mut reader.mail);
    let tls = reader.global.mail.tls;
    reader.global.mail.server = draft.server.map(|host| (host, draft.port.unwrap_or(tls.port())));
    let complaint = match (draft.user, draft.password_file) {
        (Some((user, span)), Some(_)) if tls == MailTls::Off => {
            Complaint::error(span, format!("smtp_user {user}: a password is never sent in clear"))
                .expected("smtp_tls starttls, or smtp_tls tls")
        }
        (Some((user, _)), Some((path, span))) if path.is_relative() => {
            Complaint::error(span, format!("smtp_password_file {} of {user} is no absolute path", path.display()))
        }
        (Some((user, _)), Some((path, _))) => {
            reader.global.mail.login = Some((user, path));
            return tls_alone(reader, draft.authority);
        }
        (Some((user, span)), None) => Complaint::error(span, format!("smtp_user {user} without smtp_password_file")),
        (None, Some((_, span))) => Complaint::error(span, "smtp_password_file without smtp_user"),
        (None, None) => return tls_alone(reader, draft.authority),
    };
    reader.complain(complaint.help("mail is sent without login".to_owned()));
    tls_alone(reader, draft.authority);
}

fn tls_alone(reader: &mut Reader, authority: Option<Span>) {
    let off = reader.global.mail.tls == MailTls::Off;
    if let Some(span) = authority.filter(|_| off) {
        reader.complain(
            Complaint::warning(span, "smtp_tls_ca without smtp_tls: mail is sent in clear").expected("smtp_tls starttls, or smtp_tls tls"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;
    use crate::config::model::Mail;

    fn mail(lines: &str) -> (Mail, Vec<String>) {
        let loaded = load_text(&format!("global_defs {{\n{lines}\n}}\n"));
        let told = loaded.report.diagnostics().iter().map(|found| found.message.clone()).collect();
        (loaded.config.global.mail, told)
    }

    #[test]
    fn the_port_is_the_usual_one_of_what_is_spoken() {
        let port = |lines: &str| mail(lines).0.server.unwrap().1;
        assert_eq!(port("smtp_server a"), 25);
        assert_eq!(port("smtp_server a\nsmtp_tls"), 587);
        assert_eq!(port("smtp_tls tls\nsmtp_server a"), 465);
        assert_eq!(port("smtp_tls tls\nsmtp_server a 2525"), 2525);
        assert_eq!(mail("smtp_server a 99999").0.server, None);
    }

    #[test]
    fn a_login_needs_its_file_and_tls() {
        let login = "smtp_user me\nsmtp_password_file /etc/p";
        let (found, told) = mail(&format!("smtp_tls\n{login}"));
        assert_eq!((found.login, told), (Some(("me".to_owned(), "/etc/p".into())), Vec::new()));
        for (lines, problem) in [
            (login, "smtp_user me: a password is never sent in clear"),
            ("smtp_tls\nsmtp_user me", "smtp_user me without smtp_password_file"),
            ("smtp_tls\nsmtp_password_file /etc/p", "smtp_password_file without smtp_user"),
            ("smtp_tls\nsmtp_user me\nsmtp_password_file p", "smtp_password_file p of me is no absolute path"),
        ] {
            let (found, told) = mail(lines);
            assert_eq!((found.login, told), (None, vec![problem.to_owned()]), "{lines}");
        }
    }

    #[test]
    fn a_slip_never_means_clear_text() {
        let (found, told) = mail("smtp_tls on");
        assert_eq!((found.tls, told.len()), (MailTls::StartTls, 1));
        assert_eq!(mail("smtp_tls_ca /x").1, ["smtp_tls_ca without smtp_tls: mail is sent in clear"]);
    }
}
