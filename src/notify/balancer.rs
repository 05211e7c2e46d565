//! A notice about a real server or a quorum into what it gives: a script, a letter; and which scripts check servers.

use super::telling::Letter;
use crate::check::Kind;
use crate::ipc::messages::CheckerId;
use crate::lvs::notice::Notice;
use crate::lvs::settings::{Balancer, VirtualServer};
use crate::types::Command;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the servers of a configuration asked for: looked up in it, so that thousands of servers cost nothing here.
#[derive(Clone, Debug, Default)]
pub struct Balanced {
    servers: HashMap<String, Arc<VirtualServer>>,
}

impl Balanced {
    /// Of that configuration.
    pub fn of(balancer: &Balancer) -> Self {
        Self { servers: balancer.servers.iter().map(|server| (server.to_string(), server.clone())).collect() }
    }

    /// The script of a `MISC_CHECK`, and how long it may take.
    pub fn check(&self, checker: &CheckerId) -> Option<(Command, Duration)> {
        let real = self.servers.get(&checker.service)?.real_servers.iter().find(|real| real.key() == checker.server)?;
        match &real.checkers.get(usize::try_from(checker.place).ok()?)?.kind {
            Kind::Misc(settings) => Some((settings.command.clone(), settings.timeout)),
            _ => None,
        }
    }

    /// Whom a notice is about, the script that it asks for, and whether a letter.
    pub fn told(&self, notice: &Notice) -> Option<(String, Option<Command>, bool)> {
        let (name, on_up, on_down, mail, up) = match notice {
            Notice::Check { server, of, .. } => {
                let real = self.servers.get(of)?.server_named(server)?;
                return Some((subject(Some(server), of), None, real.smtp_alert));
            }
            Notice::Server { server, of, up, .. } => {
                let real = self.servers.get(of)?.server_named(server)?;
                (subject(Some(server), of), &real.notify_up, &real.notify_down, real.smtp_alert, *up)
            }
            Notice::Quorum { of, up, .. } => {
                let server = self.servers.get(of)?;
                (subject(None, of), &server.quorum_up, &server.quorum_down, server.smtp_alert, *up)
            }
            Notice::Weight { .. } | Notice::Sorry { .. } | Notice::Pool { .. } | Notice::ShutDown { .. } | Notice::Gone { .. } => {
                return None;
            }
        };
        let asks = on_up.is_some() || on_down.is_some() || mail;
        asks.then(|| (name, if up { on_up } else { on_down }.as_deref().cloned(), mail))
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
