//! Rules about scripts and mail.

use super::{Found, Subject, last, place};
use crate::types::Command;

/// Programs that only ask whether a process is there, by a signal.
const SIGNALLERS: &[&str] = &["killall", "pkill", "kill"];

/// The instances' and groups' lines are looked at through the blocks: there the place is.
fn tracked<'w, 's>(subject: &Subject<'w, 's>) -> impl Iterator<Item = (&'w Command, &'w super::Line<'s>)> {
    let config = subject.config;
    subject.blocks("vrrp_script").filter_map(move |block| {
        let name = block.arg(0)?;
        let check = config.watched.scripts.iter().find(|check| check.name == *name.text)?;
        Some((&check.command, block))
    })
}

pub(super) fn cannot_signal(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    let default = subject.config.global.script_user.as_ref().map(|(user, _)| user.as_str());
    for (command, block) in tracked(subject) {
        let words: Vec<_> = command.argv.iter().map(|word| word.to_string_lossy()).collect();
        let text = words.join(" ");
        let probes = text.split([' ', ';', '&', '|', '"']).collect::<Vec<_>>();
        let signals = probes.windows(2).any(|pair| {
            let program = pair.first().and_then(|word| word.rsplit('/').next()).unwrap_or("");
            SIGNALLERS.contains(&program) && pair.get(1) == Some(&"-0")
        });
        let user = command.user.as_ref().map(|user| user.user.as_str()).or(default);
        if signals && user != Some("root") {
            let who = user.unwrap_or("keepalived_script");
            found.say(place(block, "script"), format!("the script asks for a process with signal 0, as the user {who}"));
        }
    }
}

pub(super) fn relative(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (command, block) in tracked(subject) {
        let program = command.program().to_string_lossy();
        if !program.contains('/') {
            found.say(place(block, "script"), format!("'{program}' is looked up in PATH"));
        }
    }
}

pub(super) fn timeout_longer(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for check in &subject.config.watched.scripts {
        if check.timeout <= check.interval {
            continue;
        }
        let block = subject.blocks("vrrp_script").find(|block| block.arg(0).is_some_and(|name| *name.text == *check.name));
        if let Some(timeout) = block.and_then(|block| last(block, "timeout")) {
            let (long, short) = (check.timeout.as_secs_f64(), check.interval.as_secs_f64());
            found.say(timeout.span(), format!("vrrp_script {}: timeout {long} s, interval {short} s", check.name));
        }
    }
}

pub(super) fn security(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    let global = &subject.config.global;
    let root = global.script_user.as_ref().is_some_and(|(user, _)| user == "root");
    if global.enable_script_security || !root {
        return;
    }
    let scripts = &subject.config.watched.scripts;
    if scripts.is_empty() && subject.config.instances.iter().all(|instance| instance.notify.is_none()) {
        return;
    }
    let block = subject.blocks("global_defs").find_map(|block| last(block, "script_user"));
    if let Some(line) = block {
        found.say(line.span(), "scripts run as root without enable_script_security");
    }
}

pub(super) fn mail_incomplete(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    let mail = &subject.config.global.mail;
    let (word, lacking) = match (mail.server.is_some(), mail.to.is_empty()) {
        (true, true) => ("smtp_server", "notification_email"),
        (false, false) => ("notification_email", "smtp_server"),
        _ => return,
    };
    if let Some(line) = subject.blocks("global_defs").find_map(|block| last(block, word)) {
        found.say(line.word.span, format!("{word} without {lacking}: no mail is sent"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;

    fn script(lines: &str, global: &str) -> String {
        format!(
            "global_defs {{\n{global}\n}}\nvrrp_script chk {{\n{lines}\n}}\nvrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\n\
             virtual_ipaddress {{\n10.0.0.1/24\n}}\ntrack_script {{\nchk\n}}\n}}\n"
        )
    }

    #[test]
    fn a_signal_of_an_ordinary_user_fails() {
        assert_eq!(found(&script("script \"/usr/bin/killall -0 haproxy\"", "")), ["script-cannot-signal"]);
        assert_eq!(found(&script("script \"killall -0 haproxy\"", "")), ["script-cannot-signal", "script-relative"]);
        assert_eq!(found(&script("script \"/usr/bin/killall -0 haproxy\"\nuser root", "")), [""; 0]);
        assert_eq!(found(&script("script \"/bin/sh -c 'kill -0 `cat /run/x`'\"", "script_user nobody")), ["script-cannot-signal"]);
        assert_eq!(found(&script("script \"/usr/bin/pgrep haproxy\"", "")), [""; 0]);
    }

    #[test]
    fn times_and_rights_are_looked_at() {
        assert_eq!(found(&script("script /bin/true\ninterval 2\ntimeout 5", "")), ["timeout-longer"]);
        assert_eq!(found(&script("script /bin/true", "script_user root")), ["script-security"]);
        assert_eq!(found(&script("script /bin/true", "script_user root\nenable_script_security")), [""; 0]);
        assert_eq!(found("global_defs {\nsmtp_server 127.0.0.1\n}\n"), ["mail-incomplete"]);
        assert_eq!(found("global_defs {\nnotification_email {\na@b\n}\n}\n"), ["mail-incomplete"]);
    }
}
