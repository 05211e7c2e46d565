//! `HTTP_GET` and `SSL_GET`: a page asked for as keepalived asks, its status, its digest. One conversation is one URL.
//!
//! The client is our own because the digest is that of the bytes after the header *as they were sent* (genhash prints the same):
//! a library that takes chunks apart would find another.

mod digest;
mod round;

pub use digest::{digest_of, hex};
pub use round::{Progress, Round};

use super::dialogue::{Dialogue, Failure, Step};
use super::regex::{Expression, PAGE_LIMIT, Regex};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Most bytes of a header.
const HEADER_LIMIT: usize = 64 * 1024;

/// `HTTP_GET`, `SSL_GET`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Over TLS (`SSL_GET`).
    pub tls: bool,
    /// `url` blocks, at least one.
    pub urls: Vec<Url>,
    /// `http_protocol`.
    pub protocol: Protocol,
    /// `enable_sni`: a name is sent in the TLS greeting.
    pub sni: bool,
    /// `sni_name`: that name, also the one that a verified certificate must have; else the url's `virtualhost`.
    pub sni_name: Option<String>,
    /// `fast_recovery`: the next URL at once while the checker is down or has not run.
    pub fast_recovery: bool,
}

/// One `url` block.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Url {
    /// `path`.
    pub path: String,
    /// `digest`: MD5 of the body as sent.
    pub digest: Option<[u8; 16]>,
    /// `status_code`: ranges, both ends included (200-299).
    pub status: Vec<(u16, u16)>,
    /// `virtualhost` of the url, the checker, the real or the virtual server.
    pub virtualhost: Option<String>,
    /// `regex`.
    pub regex: Option<Regex>,
    /// `tls_compliant`: an end without TLS's own word for it (close_notify) is a failure.
    #[serde(default)]
    pub tls_compliant: bool,
}

impl Default for Url {
    fn default() -> Self {
        Self { path: "/".to_owned(), digest: None, status: vec![(200, 299)], virtualhost: None, regex: None, tls_compliant: false }
    }
}

impl Settings {
    /// The name of the server in TLS, without a port: what is sent with `enable_sni`, and what a verified certificate must have.
    pub fn tls_name<'a>(&'a self, url: &'a Url) -> Option<&'a str> {
        let name = self.sni_name.as_deref().or(url.virtualhost.as_deref())?;
        let bare = name.rsplit_once(':').filter(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok());
        Some(bare.map_or(name, |(host, _)| host))
    }
}

/// `http_protocol`: what stands in the request line, and whether the connection is asked to end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// `1.0`.
    #[default]
    V1_0,
    /// `1.0c`, `1.0C`: with `Connection: close`.
    V1_0Close,
    /// `1.1`: with `Connection: close`.
    V1_1,
}

impl Protocol {
    /// As it is written in a configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_0Close => "1.0C",
            Self::V1_1 => "1.1",
        }
    }
}

/// What one conversation is about, made once for all checks of a URL.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request's bytes.
    bytes: Vec<u8>,
    status: Vec<(u16, u16)>,
    digest: Option<[u8; 16]>,
    regex: Option<Arc<Expression>>,
}

impl Request {
    /// The request for `url` on a server at `address` and `port`. The expression is `url.regex`, compiled.
    pub fn new(settings: &Settings, url: &Url, address: IpAddr, port: u16, regex: Option<Arc<Expression>>) -> Self {
        Self { bytes: request(settings.protocol, url, address, port), status: url.status.clone(), digest: url.digest, regex }
    }
}

/// A request as keepalived 2.2.7 words it.
pub fn request(protocol: Protocol, url: &Url, address: IpAddr, port: u16) -> Vec<u8> {
    let host = url.virtualhost.clone().unwrap_or_else(|| match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    });
    let (version, close) = match protocol {
        Protocol::V1_0 => ("1.0", ""),
        Protocol::V1_0Close => ("1.0", "Connection: close\r\n"),
        Protocol::V1_1 => ("1.1", "Connection: close\r\n"),
    };
    format!("GET {} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {host}\r\n\r\n", url.path).into_bytes()
}

/// The part of the answer that is being read.
#[derive(Debug)]
enum Stage {
    Header(Vec<u8>),
    Body { status: u16, left: Option<u64>, digest: Option<Md5>, page: Vec<u8> },
    Over,
}

/// A page whose header promises another length than it has. It is judged as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OddLength {
    /// Content-Length.
    pub promised: u64,
    /// Bytes that came before the end, or together with the last that was promised.
    pub came: u64,
}

/// The conversation.
#[derive(Debug)]
pub struct Http {
    request: Arc<Request>,
    stage: Stage,
    promised: Option<u64>,
    came: u64,
}

impl Http {
    /// A new one.
    pub const fn new(request: Arc<Request>) -> Self {
        Self { request, stage: Stage::Header(Vec::new()), promised: None, came: 0 }
    }

    /// Once it is over: whether the page was not as long as its header says.
    pub fn odd_length(&self) -> Option<OddLength> {
        let promised = self.promised.filter(|promised| matches!(self.stage, Stage::Over) && *promised != self.came)?;
        Some(OddLength { promised, came: self.came })
    }

    /// Takes bytes of the header and reads it when it is whole; answers the body bytes that came with it.
    fn header(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let Stage::Header(pending) = &mut self.stage else { return Ok(None) };
        // Its end is four bytes long. A header that trickles in is not looked through again for every byte.
        let seen = pending.len().saturating_sub(3);
        pending.extend_from_slice(bytes);
        let Some((end, body)) = header_end(pending.get(seen..).unwrap_or_default()).map(|(end, body)| (seen + end, seen + body)) else {
            return if pending.len() > HEADER_LIMIT { Err(Failure::TooLong(HEADER_LIMIT)) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(pending.get(..end).unwrap_or_default()).into_owned();
        let rest = pending.split_off(body);
        let status = status_code(&head).ok_or(Failure::Malformed("no HTTP status line"))?;
        let digest = self.request.digest.map(|_| Md5::new());
        self.promised = content_length(&head);
        self.stage = Stage::Body { status, left: self.promised, digest, page: Vec::new() };
        Ok(Some(rest))
    }

    /// Takes body bytes; the verdict once all are there.
    fn body(&mut self, bytes: &[u8]) -> Step {
        let Stage::Body { left, digest, page, .. } = &mut self.stage else { return Step::Read };
        self.came += bytes.len() as u64;
        let bytes = match left {
            Some(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(taken as u64);
                bytes.get(..taken).unwrap_or_default()
            }
            None => bytes,
        };
        if let Some(digest) = digest {
            digest.update(bytes);
        }
        if self.request.regex.is_some() {
            let room = PAGE_LIMIT.saturating_sub(page.len()).min(bytes.len());
            page.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
        if *left == Some(0) { self.verdict() } else { Step::Read }
    }

    fn verdict(&mut self) -> Step {
        let Stage::Body { status, digest, page, .. } = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Step::Done(Err(Failure::ClosedEarly));
        };
        if !self.request.status.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
            return Step::Done(Err(Failure::Status(status)));
        }
        if let (Some(digest), Some(wanted)) = (digest, self.request.digest) {
            let got: [u8; 16] = digest.finalize().into();
            if got != wanted {
                return Step::Done(Err(Failure::Digest(hex(&got))));
            }
        }
        if self.request.regex.as_ref().is_some_and(|regex| !regex.fits(&page)) {
            return Step::Done(Err(Failure::Regex));
        }
        Step::Done(Ok(()))
    }
}

impl Dialogue for Http {
    fn connected(&mut self) -> Step {
        Step::Send(self.request.bytes.clone())
    }

    fn received(&mut self, bytes: &[u8]) -> Step {
        match &self.stage {
            Stage::Header(_) => match self.header(bytes) {
                Ok(Some(rest)) => self.body(&rest),
                Ok(None) => Step::Read,
                Err(failure) => Step::Done(Err(failure)),
            },
            Stage::Body { .. } => self.body(bytes),
            Stage::Over => Step::Done(Err(Failure::ClosedEarly)),
        }
    }

    fn closed(&mut self) -> Step {
        match &self.stage {
            Stage::Header(_) => Step::Done(Err(Failure::ClosedEarly)),
            Stage::Body { .. } | Stage::Over => self.verdict(),
        }
    }
}

/// The header's length and where the body begins; some servers end lines with LF alone.
pub fn header_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let crlf = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| (at, at + 4));
    let lf = bytes.windows(2).position(|two| two == b"\n\n").map(|at| (at, at + 2));
    match (crlf, lf) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// `HTTP/1.1 200 OK` -> 200, leniently: the reason may be missing, and the first word is another with Icecast (`ICY 200 OK`)
/// and RTSP, which are checked this way too.
fn status_code(head: &str) -> Option<u16> {
    let word = head.lines().next()?.split_ascii_whitespace().nth(1)?;
    if word.len() == 3 && word.bytes().all(|digit| digit.is_ascii_digit()) { word.parse().ok() } else { None }
}

fn content_length(head: &str) -> Option<u64> {
    head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.trim().eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings() -> Settings {
        Settings { tls: false, urls: vec![url(None)], protocol: Protocol::V1_0, sni: false, sni_name: None, fast_recovery: false }
    }

    fn url(digest: Option<&str>) -> Url {
        Url { digest: digest.map(|text| digest_of(text).unwrap()), ..Url::default() }
    }

    fn http(digest: Option<&str>) -> Http {
        Http::new(Arc::new(Request::new(&settings(), &url(digest), "127.0.0.3".parse().unwrap(), 80, None)))
    }

    const HELLO: &str = "5d41402abc4b2a76b9719d911017c592";

    #[test]
    fn the_request_is_the_originals() {
        let sent = b"GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.3:80\r\n\r\n".to_vec();
        assert_eq!(http(None).connected(), Step::Send(sent));
    }

    #[test]
    fn the_name_in_tls_has_no_port_and_is_the_checkers_own_word_first() {
        let mut settings = settings();
        let url = |host: &str| Url { virtualhost: Some(host.to_owned()), ..Url::default() };
        assert_eq!(settings.tls_name(&url("a.example:8443")), Some("a.example"));
        assert_eq!(settings.tls_name(&url("2001:db8::1")), Some("2001:db8::1"));
        assert_eq!(settings.tls_name(&Url::default()), None);
        settings.sni_name = Some("b.example".to_owned());
        assert_eq!(settings.tls_name(&url("a.example")), Some("b.example"));
    }

    #[test]
    fn a_page_is_judged_at_its_end_of_file_or_length() {
        let mut check = http(Some(HELLO));
        assert_eq!(check.received(b"HTTP/1.0 200 OK\r\n\r\nhel"), Step::Read);
        assert_eq!(check.received(b"lo"), Step::Read);
        assert_eq!(check.closed(), Step::Done(Ok(())));
        let mut check = http(Some(HELLO));
        assert_eq!(check.received(b"HTTP/1.1 204\nContent-Length: 5\n\nhello and more"), Step::Done(Ok(())));
    }

    #[test]
    fn a_length_that_is_not_true_is_told_and_not_judged() {
        let mut check = http(Some(HELLO));
        check.received(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhel");
        check.received(b"lo");
        assert_eq!(check.odd_length(), None, "more may come");
        assert_eq!(check.closed(), Step::Done(Ok(())));
        assert_eq!(check.odd_length(), Some(OddLength { promised: 50, came: 5 }));
        let mut check = http(Some(HELLO));
        assert_eq!(check.received(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!"), Step::Done(Ok(())));
        assert_eq!(check.odd_length(), Some(OddLength { promised: 5, came: 6 }));
    }

    #[test]
    fn a_status_has_three_digits_whatever_word_stands_before_it() {
        let status = |line: &str| status_code(&format!("{line}\r\n"));
        assert_eq!([status("HTTP/1.1 200 OK"), status("ICY 200 OK"), status("RTSP/1.0 400")], [Some(200), Some(200), Some(400)]);
        for line in ["HTTP/1.1 20 x", "HTTP/1.1 2000 x", "HTTP/1.1 +20 x", "200 OK", "", "SSH-2.0-x"] {
            assert_eq!(status(line), None, "{line}");
        }
    }

    #[test]
    fn a_wrong_status_and_a_wrong_digest_fail() {
        let mut check = http(None);
        let Step::Read = check.received(b"HTTP/1.0 404 Not Found\r\n\r\n") else { panic!("read on") };
        assert_eq!(check.closed(), Step::Done(Err(Failure::Status(404))));
        let mut check = http(Some("00000000000000000000000000000000"));
        assert_eq!(check.received(b"HTTP/1.0 200\r\nContent-length:5\r\n\r\nhello"), Step::Done(Err(Failure::Digest(HELLO.to_owned()))));
    }

    #[test]
    fn chunks_count_as_they_were_sent() {
        let mut check = http(Some("9a1b3d3c8c8d9a3a8a8c3a9a3a8a8c3a"));
        check.received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let Step::Done(Err(Failure::Digest(got))) = check.closed() else { panic!("done") };
        assert_eq!(got, hex(&<[u8; 16]>::from(Md5::digest(b"5\r\nhello\r\n0\r\n\r\n"))));
    }

    #[test]
    fn no_status_line_or_no_header_end_fails() {
        assert_eq!(http(None).received(b"SSH-2.0-x\r\n\r\n"), Step::Done(Err(Failure::Malformed("no HTTP status line"))));
        assert_eq!(http(None).closed(), Step::Done(Err(Failure::ClosedEarly)));
        assert_eq!(http(None).received(&vec![b'a'; HEADER_LIMIT + 1]), Step::Done(Err(Failure::TooLong(HEADER_LIMIT))));
    }

    proptest! {
        #[test]
        fn no_answer_panics(chunks: Vec<Vec<u8>>, prefix in prop::bool::ANY) {
            let mut check = http(Some(HELLO));
            check.connected();
            if prefix { check.received(b"HTTP/1.0 200 OK\r\n"); }
            for chunk in chunks {
                check.received(&chunk);
                if let Stage::Header(pending) = &check.stage {
                    prop_assert!(pending.len() <= HEADER_LIMIT);
                }
            }
            check.closed();
        }

        #[test]
        fn a_status_is_a_number_or_the_answer_is_malformed(line in r"(HTTP/[0-9.]{0,3} ?[0-9]{0,4}|[ -~]{0,20})", lengths in "(-|[0-9]{0,25})") {
            let mut check = http(None);
            check.connected();
            let answer = format!("{line}\r\nContent-Length: {lengths}\r\n\r\nbody");
            let step = match check.received(answer.as_bytes()) {
                Step::Read => check.closed(),
                step => step,
            };
            let decided = matches!(step, Step::Done(Ok(()) | Err(Failure::Status(_) | Failure::Malformed(_) | Failure::ClosedEarly)));
            prop_assert!(decided, "{step:?}");
        }

        #[test]
        fn the_verdict_does_not_depend_on_how_the_answer_was_cut(cuts in prop::collection::vec(0usize..60, 0..6)) {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(answer.len())).collect();
            cuts.extend([0, answer.len()]);
            cuts.sort_unstable();
            let mut check = http(Some(HELLO));
            let mut last = Step::Read;
            for pair in cuts.windows(2) {
                if last == Step::Read { last = check.received(&answer[pair[0]..pair[1]]); }
            }
            prop_assert_eq!(last, Step::Done(Ok(())));
        }
    }
}
