//! The checker blocks of a `real_server`.

use super::super::{Line, Reader};
use super::times::Times;
use super::{LEFT_OUT, bad, ip, none_of, port};
use crate::check::http::{Protocol, digest_of};
use crate::check::regex::{self, Regex};
use crate::check::udp::pattern;
use crate::check::{dns, udp};
use crate::config::number::{self, Decimal};
use crate::config::read::notify::{script, twice};
use crate::syntax::command::{Inline, split};
use crate::syntax::{Complaint, Span};
use crate::types::{Command, ScriptUser};
use std::net::IpAddr;
use std::time::Duration;

/// One block as far as it has been read; each kind uses its own words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(super) keyword: String,
    pub(super) span: Span,
    pub(super) times: Times,
    pub(super) alpha: Option<bool>,
    pub(super) log_all: Option<bool>,
    pub(super) connect_ip: Option<IpAddr>,
    pub(super) connect_port: Option<u16>,
    pub(super) bind: Option<IpAddr>,
    pub(super) bind_port: u16,
    pub(super) bind_if: Option<String>,
    pub(super) fwmark: u32,
    pub(super) urls: Vec<Url>,
    pub(super) protocol: Protocol,
    pub(super) virtualhost: Option<String>,
    pub(super) sni: bool,
    pub(super) sni_name: Option<String>,
    pub(super) fast_recovery: bool,
    pub(super) tls_compliant: bool,
    pub(super) payload: Vec<u8>,
    pub(super) reply: Option<udp::Reply>,
    pub(super) lengths: (Option<u16>, Option<u16>),
    /// `host` blocks of SMTP_CHECK: each is a checker.
    pub(super) hosts: Vec<Draft>,
    pub(super) file: Option<String>,
    pub(super) file_weight: Option<(i64, bool)>,
    pub(super) bfd: Option<String>,
    pub(super) script: Option<Command>,
    pub(super) user: Option<ScriptUser>,
    pub(super) timeout: Option<Duration>,
    pub(super) dynamic: bool,
    pub(super) helo: Option<String>,
    pub(super) record: dns::RecordType,
    pub(super) name: dns::Name,
}

impl Draft {
    /// Whether a word of the connection set is written in it.
    const fn says_where(&self) -> bool {
        let connects = self.connect_ip.is_some() || self.connect_port.is_some() || self.times.connect_timeout.is_some();
        connects || self.bind.is_some() || self.bind_port != 0 || self.bind_if.is_some() || self.fwmark != 0
    }
}

/// One `url` block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Url {
    pub(super) path: Option<String>,
    pub(super) digest: Option<[u8; 16]>,
    pub(super) status: Vec<(u16, u16)>,
    pub(super) virtualhost: Option<String>,
    pub(super) regex: Option<Regex>,
    pub(super) tls_compliant: Option<bool>,
}

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    reader.lvs.checker = Some(Draft { keyword: line.word.to_string(), span: line.word.span, ..Draft::default() });
    reader.walk(&line.children);
    let mut draft = reader.lvs.checker.take();
    let hosts = draft.as_mut().map(|draft| std::mem::take(&mut draft.hosts)).unwrap_or_default();
    if !hosts.is_empty() {
        let message = "The SMTP_CHECK host block is deprecated. Please define additional checkers.";
        reader.complain(Complaint::remark(line.word.span, message));
    }
    if let Some(real) = &mut reader.lvs.real {
        if hosts.is_empty() {
            // Most servers have one checker: no room for four.
            real.checkers.reserve_exact(1);
            real.checkers.extend(draft);
            return;
        }
        // Words of a connection beside the host blocks are a host of their own.
        if let Some(draft) = draft.as_ref().filter(|draft| draft.says_where()) {
            real.checkers.push(draft.clone());
        }
        // What else stands there holds in all of them, wherever it stands.
        for mut host in hosts {
            if let Some(draft) = &draft {
                host.times = host.times.or(&draft.times);
                host.helo = host.helo.or_else(|| draft.helo.clone());
                host.alpha = host.alpha.or(draft.alpha);
                host.log_all = host.log_all.or(draft.log_all);
            }
            real.checkers.push(host);
        }
    }
}

/// `host { … }` of SMTP_CHECK.
pub(crate) fn host(reader: &mut Reader, line: &Line<'_>) {
    let Some(outer) = reader.lvs.checker.take() else { return };
    reader.lvs.checker = Some(Draft { keyword: outer.keyword.clone(), span: line.word.span, ..Draft::default() });
    reader.walk(&line.children);
    let host = reader.lvs.checker.replace(outer);
    draft(reader, |draft| draft.hosts.extend(host));
}

fn draft(reader: &mut Reader, change: impl FnOnce(&mut Draft)) {
    if let Some(draft) = &mut reader.lvs.checker {
        change(draft);
    }
}

pub(crate) fn connect_ip(reader: &mut Reader, line: &Line<'_>) {
    let address = ip(reader, line);
    draft(reader, |draft| draft.connect_ip = address);
}

pub(crate) fn connect_port(reader: &mut Reader, line: &Line<'_>) {
    let port = port(reader, line);
    draft(reader, |draft| draft.connect_port = port);
}

pub(crate) fn bindto(reader: &mut Reader, line: &Line<'_>) {
    let address = ip(reader, line);
    draft(reader, |draft| draft.bind = address);
}

pub(crate) fn bind_port(reader: &mut Reader, line: &Line<'_>) {
    let port = port(reader, line).unwrap_or(0);
    draft(reader, |draft| draft.bind_port = port);
}

pub(crate) fn bind_if(reader: &mut Reader, line: &Line<'_>) {
    let name = line.arg(0).map(ToString::to_string);
    draft(reader, |draft| draft.bind_if = name);
}

pub(crate) fn fwmark(reader: &mut Reader, line: &Line<'_>) {
    let mark = number::unsigned(reader, line, 0, LEFT_OUT).unwrap_or(0);
    draft(reader, |draft| draft.fwmark = mark);
}

pub(crate) fn log_all(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    draft(reader, |draft| draft.log_all = value);
}

// HTTP_GET, SSL_GET

pub(crate) fn url(reader: &mut Reader, line: &Line<'_>) {
    reader.lvs.url = Some(Url::default());
    reader.walk(&line.children);
    let url = reader.lvs.url.take();
    if url.as_ref().is_some_and(|url| url.path.is_none()) {
        bad(reader, line.word.span, "HTTP/SSL_GET checker url has no path - ignoring".to_owned(), "'path PATH' in it");
        return;
    }
    draft(reader, |draft| draft.urls.extend(url));
}

pub(crate) fn path(reader: &mut Reader, line: &Line<'_>) {
    if let Some(url) = &mut reader.lvs.url {
        url.path = line.arg(0).map(ToString::to_string);
    }
}

pub(crate) fn digest(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let Some(digest) = digest_of(word) else {
        return bad(reader, word.span, format!("digest: '{}' is no MD5 digest", &**word), "32 hex digits, as genhash prints them");
    };
    if let Some(url) = &mut reader.lvs.url {
        url.digest = Some(digest);
    }
}

pub(crate) fn status_code(reader: &mut Reader, line: &Line<'_>) {
    for word in &line.args {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let code = |text: &str| text.parse::<u16>().ok().filter(|code| (100..=599).contains(code));
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => {
                if let Some(url) = &mut reader.lvs.url {
                    url.status.push((first, last));
                }
            }
            _ => bad(reader, word.span, format!("Invalid status code '{}' - ignoring", &**word), "N or N-N, each 100..599"),
        }
    }
}

fn with_regex(reader: &mut Reader, change: impl FnOnce(&mut Regex)) {
    if let Some(url) = &mut reader.lvs.url {
        change(url.regex.get_or_insert_with(Regex::default));
    }
}

pub(crate) fn regex(reader: &mut Reader, line: &Line<'_>) {
    // Escapes are undone once before the expression sees them, as in the original: a backslash for it is written twice.
    let words: Vec<String> = match line.raw.0.map(split) {
        Some(Ok(words)) => words.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        Some(Err(error)) => return bad(reader, line.span(), format!("regex: {error}"), "an expression, quoted when it has blanks"),
        None => line.args.iter().map(ToString::to_string).collect(),
    };
    let pattern = words.join(" ");
    with_regex(reader, |regex| regex.pattern = pattern);
}

pub(crate) fn regex_no_match(reader: &mut Reader, _: &Line<'_>) {
    with_regex(reader, |regex| regex.wanted = false);
}

pub(crate) fn regex_options(reader: &mut Reader, line: &Line<'_>) {
    for word in &line.args {
        let known = regex::OPTIONS.iter().find(|row| row.0 == &*word.text).map(|row| row.1);
        match known {
            Some(option) => with_regex(reader, |regex| regex.set(option)),
            None => {
                let known: Vec<_> = regex::OPTIONS.iter().map(|row| row.0).collect();
                let complaint = Complaint::warning(word.span, format!("regex_options: unknown option '{}'", &**word));
                reader.complain(complaint.expected(known.join(", ")));
            }
        }
    }
}

/// `regex_stack START MAX`: sizes of a stack that only PCRE2 has.
pub(crate) fn regex_stack(reader: &mut Reader, line: &Line<'_>) {
    let (start, max) = (number::unsigned(reader, line, 0, LEFT_OUT), number::unsigned(reader, line, 1, LEFT_OUT));
    if let (Some(start), Some(max)) = (start, max)
        && start > max
    {
        bad(reader, line.span(), "regex stack start cannot exceed max value".to_owned(), "START MAX");
    }
}

pub(crate) fn tls_compliant(reader: &mut Reader, line: &Line<'_>) {
    let Some(value) = number::switch(reader, line, LEFT_OUT) else { return };
    match &mut reader.lvs.url {
        Some(url) => url.tls_compliant = Some(value),
        None => draft(reader, |draft| draft.tls_compliant = value),
    }
}

pub(crate) fn regex_offset(reader: &mut Reader, line: &Line<'_>) {
    let Some(value) = number::unsigned(reader, line, 0, LEFT_OUT) else { return };
    let first = &*line.word.text == "regex_min_offset";
    with_regex(reader, |regex| if first { regex.min = value } else { regex.max = (value != 0).then_some(value) });
}

pub(crate) fn http_protocol(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let protocol = match &*word.text {
        "1.0" => Protocol::V1_0,
        "1.0c" | "1.0C" => Protocol::V1_0Close,
        "1.1" => Protocol::V1_1,
        other => return bad(reader, word.span, format!("Invalid http_protocol version {other}"), "1.0, 1.0c, 1.0C or 1.1"),
    };
    draft(reader, |draft| draft.protocol = protocol);
}

pub(crate) fn enable_sni(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT).unwrap_or(false);
    draft(reader, |draft| draft.sni = value);
}

pub(crate) fn sni_name(reader: &mut Reader, line: &Line<'_>) {
    let name = line.arg(0).map(ToString::to_string);
    draft(reader, |draft| {
        draft.sni = true;
        draft.sni_name = name;
    });
}

pub(crate) fn fast_recovery(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT).unwrap_or(false);
    draft(reader, |draft| draft.fast_recovery = value);
}

// UDP_CHECK

fn hex(reader: &mut Reader, line: &Line<'_>, wild: bool) -> Option<Vec<(u8, u8)>> {
    let text = line.args.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
    let bytes = pattern(&text, wild);
    if bytes.is_none() {
        bad(reader, line.span(), format!("Invalid hex string for UDP_CHECK {}", &*line.word), "hex digits");
    }
    bytes
}

pub(crate) fn payload(reader: &mut Reader, line: &Line<'_>) {
    let bytes = hex(reader, line, false).unwrap_or_default();
    draft(reader, |draft| draft.payload = bytes.into_iter().map(|(byte, _)| byte).collect());
}

pub(crate) fn require_reply(reader: &mut Reader, line: &Line<'_>) {
    let Some(pattern) = hex(reader, line, true) else { return };
    draft(reader, |draft| draft.reply = Some(udp::Reply { pattern, min: 0, max: 255 }));
}

pub(crate) fn reply_length(reader: &mut Reader, line: &Line<'_>) {
    let value = number::int(reader, line, 0, 0..=65535, LEFT_OUT).and_then(|value| u16::try_from(value).ok());
    let least = &*line.word.text == "min_reply_length";
    draft(reader, |draft| if least { draft.lengths.0 = value } else { draft.lengths.1 = value });
}

// FILE_CHECK

pub(crate) fn track_file(reader: &mut Reader, line: &Line<'_>) {
    let name = line.arg(0).map(ToString::to_string);
    draft(reader, |draft| draft.file = name);
}

pub(crate) fn file_weight(reader: &mut Reader, line: &Line<'_>) {
    let Some(weight) = number::int(reader, line, 0, -i64::from(i32::MAX)..=i64::from(i32::MAX), LEFT_OUT) else { return };
    let reverse = line.arg(1).is_some_and(|word| &*word.text == "reverse");
    draft(reader, |draft| draft.file_weight = Some((weight, reverse)));
}

// BFD_CHECK

pub(crate) fn bfd_name(reader: &mut Reader, line: &Line<'_>) {
    let name = line.arg(0).map(ToString::to_string);
    draft(reader, |draft| draft.bfd = name);
}

// MISC_CHECK

pub(crate) fn misc_path(reader: &mut Reader, line: &Line<'_>) {
    let Some(command) = script(reader, line, Inline::Nothing) else { return };
    draft(reader, |draft| draft.script = Some(command));
}

pub(crate) fn misc_timeout(reader: &mut Reader, line: &Line<'_>) {
    let kind = Decimal { range: 1..=4_294_967_295, instead: LEFT_OUT, zero_is_usual: false, unit: true };
    let value = number::decimal(reader, line, &kind);
    draft(reader, |draft| draft.timeout = value.or(draft.timeout));
}

pub(crate) fn misc_dynamic(reader: &mut Reader, _: &Line<'_>) {
    draft(reader, |draft| draft.dynamic = true);
}

pub(crate) fn user(reader: &mut Reader, line: &Line<'_>) {
    let user = line.arg(0).map(|user| ScriptUser::from_words(user, line.arg(1).map(|group| &*group.text)));
    draft(reader, |draft| draft.user = user);
}

// SMTP_CHECK, DNS_CHECK

pub(crate) fn helo_name(reader: &mut Reader, line: &Line<'_>) {
    let name = line.arg(0).map(ToString::to_string);
    draft(reader, |draft| draft.helo = name);
}

pub(crate) fn dns_type(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let Some(record) = dns::RecordType::parse(word) else {
        let known: Vec<_> = dns::RecordType::ALL.iter().map(|row| row.1).collect();
        return none_of(reader, word, format!("Unknown DNS check type {} - ignoring", &**word), &known);
    };
    draft(reader, |draft| draft.record = record);
}

pub(crate) fn dns_name(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else { return };
    let Some(name) = dns::Name::parse(word) else {
        return bad(reader, word.span, format!("DNS_CHECK name '{}' has empty label - ignoring", &**word), "a domain name");
    };
    if reader.lvs.checker.as_ref().is_some_and(|draft| draft.name != dns::Name::default()) {
        return twice(reader, line);
    }
    draft(reader, |draft| draft.name = name);
}
