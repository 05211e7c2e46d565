//! What is said about a check, in the words of keepalived 2.2.7.

use super::dialogue::Failure;
use super::settings::{Checker, Kind};

/// A check succeeded that had not before, or was down. For HTTP: one page did.
pub fn success(checker: &Checker, server: &str, url: usize) -> Option<String> {
    Some(match &checker.kind {
        Kind::Tcp => format!("TCP connection to {server} success."),
        Kind::Udp(_) => format!("UDP connection to {server} success."),
        Kind::Ping => format!("ICMP connection to {server} success."),
        Kind::Smtp(_) => format!("Remote SMTP server {server} succeed on service."),
        Kind::Http(settings) => {
            let page = settings.urls.get(url)?;
            let what = if page.digest.is_some() { "MD5 digest" } else { "HTTP status code" };
            format!("{what} success to {server} url({})", page.path)
        }
        Kind::Dns(_) | Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => return None,
    })
}

/// All pages succeeded.
pub fn pages_succeeded(server: &str) -> String {
    format!("Remote Web server {server} succeed on service.")
}

/// Why a check failed; nothing where the original has no word before the verdict.
pub fn reason(checker: &Checker, server: &str, url: usize, failure: &Failure) -> String {
    let target = format!("[{}]:{}", checker.target.address, checker.target.port);
    match (&checker.kind, failure) {
        (Kind::Http(settings), Failure::Status(_) | Failure::Digest(_)) => {
            let path = settings.urls.get(url).map_or("", |page| page.path.as_str());
            let what = if matches!(failure, Failure::Status(_)) { "HTTP status code" } else { "MD5 digest" };
            format!("{what} error to {server} url({path}), {failure}.")
        }
        (Kind::Smtp(_), Failure::Connect(_)) => format!("SMTP_CHECK Could not connect to server {target}"),
        (Kind::Smtp(_), Failure::TimedOut(_)) => format!("SMTP_CHECK Read timeout from server {target}"),
        (Kind::Smtp(_), Failure::Reply(text)) => format!("SMTP_CHECK Bad response from server {target}: {text}"),
        (Kind::Dns(_), Failure::ResponseCode(code)) => format!("DNS_CHECK ({server}) read error occurred. (rcode = {code})"),
        (Kind::Dns(_), Failure::TimedOut(_)) => format!("DNS_CHECK ({server}) read timeout from socket"),
        (kind, failure) => format!("{} of {server} at {target}: {failure}", kind.keyword()),
    }
}

/// The verdict: down, after so many retries.
pub fn failure(checker: &Checker, server: &str, retries: u32) -> String {
    let name = checker.kind.log_name();
    match retries {
        0 => format!("{name} on service {server} failed."),
        retries => format!("{name} on service {server} failed after {retries} retries."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Target, Timing};

    #[test]
    fn lines_are_the_originals() {
        let target = Target::new([127, 0, 0, 2].into(), 80);
        let tcp = Checker { kind: Kind::Tcp, target, timing: Timing::default(), alpha: false, log_all_failures: false };
        let name = "[127.0.0.2]:tcp:80";
        assert_eq!(failure(&tcp, name, 0), "TCP_CHECK on service [127.0.0.2]:tcp:80 failed.");
        assert_eq!(failure(&tcp, name, 1), "TCP_CHECK on service [127.0.0.2]:tcp:80 failed after 1 retries.");
        assert_eq!(success(&tcp, name, 0).unwrap(), "TCP connection to [127.0.0.2]:tcp:80 success.");
        let ping = Checker { kind: Kind::Ping, ..tcp };
        assert_eq!(failure(&ping, name, 0), "ICMP CHECK on service [127.0.0.2]:tcp:80 failed.");
    }
}
