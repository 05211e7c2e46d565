//! What is said about a check, in the words of keepalived 2.2.7 (observed, every checker going up and down).
//!
//! A cause that the original keeps to itself follows its words in brackets.

use super::dialogue::Failure;
use super::http::OddLength;
use super::settings::{Checker, Kind};

/// A checker and those it is about, as they are named in the log.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// What it is.
    pub checker: &'a Checker,
    /// The real server, `[192.0.2.1]:tcp:80`.
    pub server: &'a str,
    /// Its virtual server.
    pub of: &'a str,
}

impl About<'_> {
    /// A check succeeded that had not before, or was down. For HTTP: one page did.
    pub fn success(&self, url: usize) -> Option<String> {
        let server = self.server;
        Some(match &self.checker.kind {
            Kind::Tcp => format!("TCP connection to {server} success."),
            Kind::Udp(_) => format!("UDP connection to {server} success."),
            Kind::Ping => format!("ICMP connection to {server} success."),
            Kind::Smtp(_) => format!("Remote SMTP server {server} succeed on service."),
            Kind::Http(settings) => {
                let page = settings.urls.get(url)?;
                let what = match (&page.regex, &page.digest) {
                    (Some(_), _) => "Regex match",
                    (None, Some(_)) => "MD5 digest",
                    (None, None) => "HTTP status code",
                };
                format!("{what} success to {server} url({})", page.path)
            }
            Kind::Misc(_) => format!("{} succeeded.", self.script()),
            Kind::Dns(_) | Kind::File(_) | Kind::Bfd(_) => return None,
        })
    }

    /// All pages succeeded.
    pub fn pages_succeeded(&self) -> String {
        format!("Remote Web server {} succeed on service.", self.server)
    }

    /// Why a check failed.
    pub fn reason(&self, url: usize, failure: &Failure) -> String {
        let Self { checker, server, .. } = self;
        let target = format!("[{}]:{}", checker.target.address, checker.target.port);
        match &checker.kind {
            Kind::Tcp => match failure {
                Failure::NotConnected(_) | Failure::TooSlow(_) => format!("TCP connection to {server} timeout. ({failure})"),
                failure => format!("TCP connection to {server} failed. ({failure})"),
            },
            Kind::Http(settings) => {
                let path = settings.urls.get(url).map_or("", |page| page.path.as_str());
                let what = match failure {
                    Failure::Status(_) => "HTTP status code error to",
                    Failure::Digest(_) => "MD5 digest error to",
                    Failure::Regex => "Regex match failed",
                    Failure::NotConnected(_) => "Timeout connecting",
                    Failure::TimedOut(_) | Failure::TooSlow(_) => "Timeout HTTP read",
                    Failure::Tls(_) => "SSL handshake/communication error connecting to",
                    _ => "Connection failed",
                };
                format!("{what} server {server}. (url({path}): {failure})")
            }
            Kind::Smtp(_) => match failure {
                Failure::NotConnected(_) => format!("SMTP_CHECK Connection timeout to server {target}"),
                Failure::Connect(why) => format!("SMTP_CHECK Could not connect to server {target} ({why})"),
                Failure::TimedOut(_) | Failure::TooSlow(_) => format!("SMTP_CHECK Read timeout from server {target}"),
                Failure::Greeting(_) => format!("SMTP_CHECK Bad greeting banner from server {target} ({failure})"),
                Failure::Reply(_) => format!("SMTP_CHECK Bad HELO response from server {target} ({failure})"),
                failure => format!("SMTP_CHECK Read failure from server {target} ({failure})"),
            },
            Kind::Dns(_) => match failure {
                Failure::ResponseCode(code) => format!("DNS_CHECK ({server}) read error occurred. (rcode = {code})"),
                Failure::TimedOut(_) | Failure::TooSlow(_) => format!("DNS_CHECK ({server}) read timeout from socket"),
                Failure::Connect(why) => format!("DNS_CHECK ({server}) failed to read socket; {}", errno_first(why)),
                failure => format!("DNS_CHECK ({server}) {failure}"),
            },
            Kind::Udp(_) => match failure {
                Failure::Mismatch => format!("UDP check to {server} reply data mismatch."),
                failure => format!("UDP connection to {server} failed. ({failure})"),
            },
            Kind::Ping => match failure {
                Failure::TimedOut(_) | Failure::TooSlow(_) => format!("ICMP connection to address {server} timeout."),
                failure => format!("ICMP connection to {server} failed. ({failure})"),
            },
            Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => format!("{}: {failure}", self.script()),
        }
    }

    /// `log_all_failures`: a failure that is forgiven, the `count`th in a row.
    pub fn forgiven(&self, url: usize, failure: &Failure, count: u32) -> String {
        let retry = self.checker.timing.retry;
        match self.checker.kind {
            Kind::Misc(_) if count <= 1 => self.script_failure(failure, &format!(", will do {retry} retries")),
            Kind::Misc(_) => self.script_failure(failure, &format!(" on retry {}/{retry}", count - 1)),
            _ => self.reason(url, failure),
        }
    }

    /// The check could not be made; what is known of its server stays.
    pub fn not_made(&self, why: &Failure) -> String {
        format!("{} on service {} of {}: {why}; the server stays as it is", self.checker.kind.keyword(), self.server, self.of)
    }

    /// A page is not as long as it says.
    pub fn odd_length(&self, url: usize, odd: OddLength) -> String {
        let path = match &self.checker.kind {
            Kind::Http(settings) => settings.urls.get(url).map_or("", |page| page.path.as_str()),
            _ => "",
        };
        let OddLength { promised, came } = odd;
        let Self { server, of, .. } = self;
        format!("http_check for RS {server} VS {of} url {path}: content_length ({promised}) does not match received bytes ({came})")
    }

    /// The verdict: down, after so many retries; `first` when it was the first check. With it comes the reason, unless that
    /// is the verdict's own text.
    pub fn failure(&self, url: usize, failure: &Failure, retries: u32, first: bool) -> (Option<String>, String) {
        let Self { checker, server, of } = self;
        let name = checker.kind.log_name();
        let reason = self.reason(url, failure);
        // At its first check a page, and a script, counts the retries that it never made as made.
        let retries = if first && matches!(checker.kind, Kind::Http(_) | Kind::Misc(_)) { checker.timing.retry } else { retries };
        let after = if retries == 0 { String::new() } else { format!(" after {retries} retries") };
        match checker.kind {
            Kind::Smtp(_) => (None, reason),
            Kind::Dns(_) => (None, format!("{reason}{after}")),
            Kind::Ping if retries > 0 => (Some(reason), format!("{name} on service {server} of {of} failed{after}.")),
            Kind::Misc(_) => (None, self.script_failure(failure, &self.after(retries))),
            _ => (Some(reason), format!("{name} on service {server} failed{after}.")),
        }
    }

    fn script(&self) -> String {
        let program = match &self.checker.kind {
            Kind::Misc(settings) => settings.command.program().to_string_lossy(),
            _ => "".into(),
        };
        format!("Misc check for [{} VS {}] by [{program}]", self.server, self.of)
    }

    fn after(&self, retries: u32) -> String {
        match (self.checker.timing.retry, retries) {
            (0, _) => " with retry disabled".to_owned(),
            (_, 0) => String::new(),
            (_, 1) => " after 1 retry".to_owned(),
            (_, retries) => format!(" after {retries} retries"),
        }
    }

    fn script_failure(&self, failure: &Failure, after: &str) -> String {
        let (verb, cause) = match failure {
            Failure::ScriptTimedOut => ("timed out", String::new()),
            Failure::Exited(status) => ("failed", format!(" (exited with status {status})")),
            Failure::Killed(signal) => ("failed", format!(" (due to signal {signal})")),
            failure => ("failed", format!(" ({failure})")),
        };
        format!("{} {verb}{after}{cause}.", self.script())
    }
}

/// A `track_file` takes a server out, or lets it back in.
pub fn file_fault(server: &str, file: &str, fault: bool) -> String {
    format!("({server}): tracked file {file} {} FAULT state", if fault { "now" } else { "leaving" })
}

/// `Connection refused (os error 111)` as `errno 111 (Connection refused)`.
fn errno_first(text: &str) -> String {
    let parts = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (os error "));
    parts.map_or_else(|| text.to_owned(), |(what, number)| format!("errno {number} ({what})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Target, Timing, dns, http, misc, smtp, udp};
    use std::sync::Arc;
    use std::time::Duration;

    const SERVER: &str = "[127.1.0.1]:tcp:80";
    const OF: &str = "[10.8.0.1]:tcp:80";

    fn checker(kind: Kind) -> Checker {
        let target = Target::new([127, 1, 0, 1].into(), 80);
        Checker { kind, target, timing: Timing { retry: 2, ..Timing::default() }, alpha: false, log_all_failures: false }
    }

    /// Reason and verdict.
    fn down(kind: Kind, failure: &Failure, retries: u32) -> (Option<String>, String) {
        let checker = checker(kind);
        About { checker: &checker, server: SERVER, of: OF }.failure(0, failure, retries, retries == 0)
    }

    fn up(kind: Kind) -> Option<String> {
        let checker = checker(kind);
        About { checker: &checker, server: SERVER, of: OF }.success(0)
    }

    fn pages() -> Kind {
        let urls = vec![http::Url::default()];
        Kind::Http(Arc::new(http::Settings {
            tls: false,
            urls,
            protocol: http::Protocol::V1_0,
            sni: false,
            sni_name: None,
            fast_recovery: false,
        }))
    }

    fn script() -> Kind {
        let command = crate::types::Command { argv: vec!["/tmp/misc.sh".into(), "a".into()], user: None };
        Kind::Misc(Box::new(misc::Settings { command, timeout: Duration::from_secs(1), dynamic: false }))
    }

    fn refused() -> Failure {
        Failure::Connect("Connection refused (os error 111)".to_owned())
    }

    #[test]
    fn verdicts_are_the_originals() {
        let verdict = |kind, failure: &Failure, retries| down(kind, failure, retries).1;
        assert_eq!(verdict(Kind::Tcp, &refused(), 0), "TCP_CHECK on service [127.1.0.1]:tcp:80 failed.");
        assert_eq!(verdict(Kind::Tcp, &refused(), 2), "TCP_CHECK on service [127.1.0.1]:tcp:80 failed after 2 retries.");
        assert_eq!(verdict(pages(), &refused(), 0), "HTTP_CHECK on service [127.1.0.1]:tcp:80 failed after 2 retries.");
        assert_eq!(verdict(Kind::Ping, &refused(), 0), "ICMP CHECK on service [127.1.0.1]:tcp:80 failed.");
        assert_eq!(
            verdict(Kind::Ping, &refused(), 2),
            "ICMP CHECK on service [127.1.0.1]:tcp:80 of [10.8.0.1]:tcp:80 failed after 2 retries."
        );
        let dns = || Kind::Dns(dns::Settings { kind: dns::RecordType::A, name: dns::Name::default() });
        assert_eq!(
            verdict(dns(), &refused(), 2),
            "DNS_CHECK ([127.1.0.1]:tcp:80) failed to read socket; errno 111 (Connection refused) after 2 retries"
        );
        assert_eq!(verdict(dns(), &Failure::ResponseCode(3), 0), "DNS_CHECK ([127.1.0.1]:tcp:80) read error occurred. (rcode = 3)");
        let by = "Misc check for [[127.1.0.1]:tcp:80 VS [10.8.0.1]:tcp:80] by [/tmp/misc.sh]";
        assert_eq!(verdict(script(), &Failure::Exited(3), 1), format!("{by} failed after 1 retry (exited with status 3)."));
        assert_eq!(verdict(script(), &Failure::ScriptTimedOut, 2), format!("{by} timed out after 2 retries."));
        assert_eq!(verdict(script(), &Failure::Exited(1), 0), format!("{by} failed after 2 retries (exited with status 1)."));
        let mail = Kind::Smtp(smtp::Settings { helo: "me".to_owned() });
        assert!(verdict(mail, &refused(), 2).starts_with("SMTP_CHECK Could not connect to server [127.1.0.1]:80"));
    }

    #[test]
    fn reasons_begin_with_the_originals_words() {
        let reason = |kind, failure: &Failure| down(kind, failure, 1).0.unwrap();
        assert!(reason(Kind::Tcp, &refused()).starts_with("TCP connection to [127.1.0.1]:tcp:80 failed."));
        assert!(reason(pages(), &Failure::Status(503)).starts_with("HTTP status code error to server [127.1.0.1]:tcp:80."));
        assert!(reason(pages(), &Failure::Regex).starts_with("Regex match failed server [127.1.0.1]:tcp:80."));
        assert!(reason(pages(), &refused()).starts_with("Connection failed server [127.1.0.1]:tcp:80."));
        let udp = Kind::Udp(Box::new(udp::Settings { payload: vec![], reply: None }));
        assert_eq!(reason(udp, &Failure::Mismatch), "UDP check to [127.1.0.1]:tcp:80 reply data mismatch.");
    }

    #[test]
    fn forgiven_failures_of_scripts_are_counted() {
        let checker = checker(script());
        let about = About { checker: &checker, server: SERVER, of: OF };
        let by = "Misc check for [[127.1.0.1]:tcp:80 VS [10.8.0.1]:tcp:80] by [/tmp/misc.sh]";
        assert_eq!(about.forgiven(0, &Failure::Exited(1), 1), format!("{by} failed, will do 2 retries (exited with status 1)."));
        assert_eq!(about.forgiven(0, &Failure::ScriptTimedOut, 2), format!("{by} timed out on retry 1/2."));
    }

    #[test]
    fn an_echo_that_does_not_come_is_a_timeout() {
        let (reason, _) = down(Kind::Ping, &Failure::TimedOut(Duration::from_secs(1)), 1);
        assert_eq!(reason.unwrap(), "ICMP connection to address [127.1.0.1]:tcp:80 timeout.");
    }

    #[test]
    fn a_length_that_is_not_true_is_told_as_by_the_original() {
        let checker = checker(pages());
        let odd = OddLength { promised: 50, came: 5 };
        assert_eq!(
            About { checker: &checker, server: SERVER, of: OF }.odd_length(0, odd),
            "http_check for RS [127.1.0.1]:tcp:80 VS [10.8.0.1]:tcp:80 url /: content_length (50) does not match received bytes (5)"
        );
    }

    #[test]
    fn successes_are_the_originals() {
        assert_eq!(up(Kind::Tcp).unwrap(), "TCP connection to [127.1.0.1]:tcp:80 success.");
        assert_eq!(up(pages()).unwrap(), "HTTP status code success to [127.1.0.1]:tcp:80 url(/)");
        let by = "Misc check for [[127.1.0.1]:tcp:80 VS [10.8.0.1]:tcp:80] by [/tmp/misc.sh]";
        assert_eq!(up(script()).unwrap(), format!("{by} succeeded."));
    }
}
