//! What a mail says about a real server, check by check: keepalived 2.4's lines.

use super::dialogue::Failure;
use super::settings::{Checker, Kind, Target};

/// The one line of the mail that this checker's word gives; `failure` is why it says down.
pub fn body(checker: &Checker, up: bool, failure: Option<&Failure>) -> String {
    let verb = if up { "succeed" } else { "failed" };
    match (&checker.kind, failure) {
        (Kind::Tcp, _) => format!("=> TCP CHECK {verb} on service <="),
        (Kind::Udp(_), _) => format!("=> UDP CHECK {verb} on service <="),
        (Kind::Ping, _) => format!("=> ICMP CHECK {verb} on service <="),
        (Kind::Dns(_), _) => format!("=> DNS_CHECK: {verb} on service <="),
        (Kind::Http(_), _) if !up => "=> CHECK failed on service : HTTP/SSL request failed <=".to_owned(),
        (Kind::Smtp(_), Some(failure)) if !up => format!("=> CHECK failed on service : {} <=", smtp(&checker.target, failure)),
        (Kind::Misc(_), Some(Failure::ScriptTimedOut)) if !up => "=> MISC CHECK timed out on service <=".to_owned(),
        (Kind::Misc(_), _) => format!("=> MISC CHECK {} on service <=", if up { "succeeded" } else { verb }),
        (Kind::Bfd(name), _) => format!("=> BFD CHECK {name} {} on service <=", if up { "succeeded" } else { verb }),
        (Kind::Http(_) | Kind::Smtp(_) | Kind::File(_), _) => format!("=> CHECK {verb} on service <="),
    }
}

/// Why a mail server is down, as the log says it. Its own words may be in there: none of them ends the line.
fn smtp(target: &Target, failure: &Failure) -> String {
    let target = format!("[{}]:{}", target.address, target.port);
    let text = match failure {
        Failure::Connect(_) => format!("Could not connect to server {target}"),
        Failure::Broken(_) | Failure::ClosedEarly => format!("Read failure from server {target}"),
        Failure::TimedOut(_) => format!("Read timeout from server {target}"),
        Failure::Reply(text) => format!("Bad response from server {target}: {text}"),
        other => other.to_string(),
    };
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Timing, dns, misc, udp};
    use crate::types::Command;
    use std::time::Duration;

    fn body(kind: &Kind, up: bool, failure: Option<&Failure>) -> String {
        let target = Target::new([10, 0, 0, 2].into(), 25);
        let checker = Checker { kind: kind.clone(), target, timing: Timing::default(), alpha: false, log_all_failures: false };
        super::body(&checker, up, failure)
    }

    #[test]
    fn every_check_has_its_own_words() {
        let misc = || {
            let command = Command { argv: vec!["/m".into()], user: None };
            Kind::Misc(Box::new(misc::Settings { command, timeout: Duration::from_secs(1), dynamic: false }))
        };
        let dns = Kind::Dns(dns::Settings { kind: dns::RecordType::Soa, name: dns::Name::default() });
        for (kind, up, down) in [
            (Kind::Tcp, "=> TCP CHECK succeed on service <=", "=> TCP CHECK failed on service <="),
            (Kind::Ping, "=> ICMP CHECK succeed on service <=", "=> ICMP CHECK failed on service <="),
            (
                Kind::Udp(Box::new(udp::Settings { payload: Vec::new(), reply: None })),
                "=> UDP CHECK succeed on service <=",
                "=> UDP CHECK failed on service <=",
            ),
            (dns, "=> DNS_CHECK: succeed on service <=", "=> DNS_CHECK: failed on service <="),
            (misc(), "=> MISC CHECK succeeded on service <=", "=> MISC CHECK failed on service <="),
            (Kind::Bfd("b1".into()), "=> BFD CHECK b1 succeeded on service <=", "=> BFD CHECK b1 failed on service <="),
        ] {
            assert_eq!((body(&kind, true, None).as_str(), body(&kind, false, None).as_str()), (up, down));
        }
        assert_eq!(body(&misc(), false, Some(&Failure::ScriptTimedOut)), "=> MISC CHECK timed out on service <=");
        let mail = Kind::Smtp(crate::check::smtp::Settings { helo: "h".into() });
        assert_eq!(body(&mail, false, None), "=> CHECK failed on service <=");
        assert_eq!(body(&mail, true, None), "=> CHECK succeed on service <=");
        let reply = Failure::Reply("554 no\r\nBcc: x".into());
        assert_eq!(
            body(&mail, false, Some(&reply)),
            "=> CHECK failed on service : Bad response from server [10.0.0.2]:25: 554 no  Bcc: x <="
        );
    }
}
