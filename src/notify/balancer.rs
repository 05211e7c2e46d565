//! A notice about a real server or a quorum into what it gives: a script, a letter; and which scripts check servers.

use super::telling::Letter;
use crate::check::Kind;
use crate::ipc::messages::CheckerId;
use crate::lvs::notice::Notice;
use crate::lvs::settings::Balancer;
use crate::types::Command;
use std::collections::HashMap;
use std::time::Duration;

/// What somebody asked for, by going up and down.
#[derive(Clone, Debug, Default)]
struct Wish {
    up: Option<Command>,
    down: Option<Command>,
    mail: bool,
}

/// Everything that the servers of a configuration asked for.
#[derive(Clone, Debug, Default)]
pub struct Balanced {
    wishes: HashMap<String, Wish>,
    checks: HashMap<CheckerId, (Command, Duration)>,
}

impl Balanced {
    /// Of that configuration.
    pub fn of(balancer: &Balancer) -> Self {
        let mut all = Self::default();
        for server in &balancer.servers {
            let of = server.to_string();
            for real in &server.real_servers {
                let wish = Wish { up: real.notify_up.clone(), down: real.notify_down.clone(), mail: real.smtp_alert };
                if wish.up.is_some() || wish.down.is_some() || wish.mail {
                    all.wishes.insert(subject(Some(&server.name_of(real)), &of), wish);
                }
                for (place, checker) in (0u32..).zip(&real.checkers) {
                    if let Kind::Misc(settings) = &checker.kind {
                        let id = CheckerId { service: of.clone(), server: real.key(), place };
                        all.checks.insert(id, (settings.command.clone(), settings.timeout));
                    }
                }
            }
            let wish = Wish { up: server.quorum_up.clone(), down: server.quorum_down.clone(), mail: server.smtp_alert };
            if wish.up.is_some() || wish.down.is_some() || wish.mail {
                all.wishes.insert(subject(None, &of), wish);
            }
        }
        all
    }

    /// The script of a `MISC_CHECK`, and how long it may take.
    pub fn check(&self, checker: &CheckerId) -> Option<(Command, Duration)> {
        self.checks.get(checker).cloned()
    }

    /// Whom a notice is about, the script that it asks for, and whether a letter.
    pub fn told(&self, notice: &Notice) -> Option<(String, Option<Command>, bool)> {
        let (name, up) = match notice {
            Notice::Check { server, of, .. } => {
                let name = subject(Some(server), of);
                let mail = self.wishes.get(&name)?.mail;
                return Some((name, None, mail));
            }
            Notice::Server { server, of, up, .. } => (subject(Some(server), of), *up),
            Notice::Quorum { of, up, .. } => (subject(None, of), *up),
            Notice::Weight { .. } | Notice::Sorry { .. } | Notice::Pool { .. } | Notice::ShutDown { .. } | Notice::Gone { .. } => {
                return None;
            }
        };
        let wish = self.wishes.get(&name)?;
        let script = if up { &wish.up } else { &wish.down };
        Some((name, script.clone(), wish.mail))
    }
}

fn subject(server: Option<&str>, of: &str) -> String {
    match server {
        Some(server) => format!("RS {server} of VS {of}"),
        None => format!("VS {of}"),
    }
}

/// What a mail about it says. `only_changes` (`no_checker_emails`): a checker alone is not worth one.
pub fn letter(notice: &Notice, only_changes: bool) -> Option<Letter> {
    let word = |up: &bool| if *up { "UP" } else { "DOWN" };
    match notice {
        Notice::Check { changed: false, .. } if only_changes => None,
        Notice::Check { server, of, up, text, .. } => {
            Some(Letter { subject: format!("Realserver {server} of virtual server {of} - {}", word(up)), body: text.clone() })
        }
        Notice::Quorum { of, up, quorum, hysteresis, weight, start } => {
            let verb = match (start, up) {
                (true, true) => "Starting with quorum up",
                (true, false) => "Starting with quorum down",
                (false, true) => "Gained quorum",
                (false, false) => "Lost quorum",
            };
            let bound = i64::from(*quorum) + i64::from(*hysteresis);
            Some(Letter {
                subject: format!("Virtualserver {of} - {}", word(up)),
                body: format!("=> {verb} {quorum}+{hysteresis}={bound} <= {weight} <="),
            })
        }
        // Its checkers' own words are in the mails about it.
        Notice::Server { .. } => None,
        Notice::Weight { .. } | Notice::Sorry { .. } | Notice::Pool { .. } | Notice::ShutDown { .. } | Notice::Gone { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;

    #[test]
    fn a_checkers_word_is_mailed_and_no_checker_emails_leaves_only_changes() {
        let check = |up, changed| Notice::Check { server: "[r]".into(), of: "[v]".into(), up, changed, text: "=> x <=".into() };
        let wanted = Letter { subject: "Realserver [r] of virtual server [v] - UP".into(), body: "=> x <=".into() };
        assert_eq!(letter(&check(true, false), false).as_ref(), Some(&wanted));
        assert_eq!(letter(&check(true, true), true).as_ref(), Some(&wanted));
        assert_eq!(letter(&check(true, false), true), None);
    }

    const TEXT: &str = "virtual_server 10.0.0.1 80 {\n lb_algo rr\n lb_kind DR\n protocol TCP\n quorum_down \"/q down\"\n real_server 10.0.0.2 80 {\n notify_up /up\n MISC_CHECK {\n misc_path \"/m a\"\n misc_timeout 3\n user nobody\n }\n }\n}\n";

    #[test]
    fn a_server_and_a_quorum_have_scripts_of_their_own() {
        let config = load_text(TEXT).config;
        let balanced = Balanced::of(&config.lvs);
        let of = "[10.0.0.1]:tcp:80".to_owned();
        let server = |up| Notice::Server { server: "[10.0.0.2]:tcp:80".to_owned(), of: of.clone(), up, inhibit: false };
        let script = |notice: &Notice| balanced.told(notice).and_then(|(_, script, _)| script).map(|script| script.to_string());
        assert_eq!(script(&server(true)).as_deref(), Some("'/up'"));
        assert_eq!(script(&server(false)), None);
        let quorum = Notice::Quorum { of: of.clone(), up: false, quorum: 1, hysteresis: 0, weight: 0, start: false };
        assert_eq!(script(&quorum).as_deref(), Some("'/q' 'down'"));
        let id = CheckerId { service: of.clone(), server: ("10.0.0.2".parse().unwrap(), 80), place: 0 };
        let (command, timeout) = balanced.check(&id).unwrap();
        assert_eq!((command.to_string().as_str(), timeout), ("'/m' 'a'", Duration::from_secs(3)));
        assert_eq!(command.user.unwrap().user, "nobody");
    }
}
