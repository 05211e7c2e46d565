//! All scripts of a configuration, approved or refused: looked at once, when the configuration is taken up.

use super::account::UserError;
use super::hint;
use super::policy::{Approved, Policy, Ways};
use super::refusal::Refusal;
use crate::check::{Checker, Kind};
use crate::config::model::Config;
use crate::types::{Command, ScriptUser};
use crate::vrrp::notify::Notify;
use std::collections::HashMap;
use std::sync::Arc;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Gravity {
    /// Worth knowing; `-t` is content.
    Remark,
    /// To be mended.
    Warning,
    /// A script will not run.
    Refused,
    /// Somebody could make us run what he likes (`-t` exits with 6).
    Security,
}

/// Something to say about the scripts of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub gravity: Gravity,
    /// One line.
    pub text: String,
    /// The script that it is about.
    pub about: Option<Command>,
}

impl Finding {
    /// About the configuration as a whole.
    const fn of_all(gravity: Gravity, text: String) -> Self {
        Self { gravity, text, about: None }
    }
}

/// What may run.
#[derive(Clone, Debug, Default)]
pub struct Table {
    approved: HashMap<Command, Arc<Approved>>,
}

impl Table {
    /// The approved form of a configured script; `None`: it was refused.
    pub fn get(&self, command: &Command) -> Option<&Arc<Approved>> {
        self.approved.get(command)
    }
}

/// Everything a configuration may run, in its order, with the name of what asks for it.
fn commands(config: &Config) -> Vec<(String, &Command)> {
    let mut all: Vec<(String, &Command)> = Vec::new();
    let once = [("startup_script", &config.global.startup), ("shutdown_script", &config.global.shutdown)];
    all.extend(once.into_iter().filter_map(|(name, once)| Some((name.to_owned(), once.command.as_ref()?))));
    let fifos = &config.global.fifos;
    let readers = [("notify_fifo_script", &fifos.all), ("vrrp_notify_fifo_script", &fifos.vrrp), ("lvs_notify_fifo_script", &fifos.lvs)];
    all.extend(readers.into_iter().filter_map(|(name, fifo)| Some((name.to_owned(), fifo.reader.as_ref()?))));
    all.extend(config.watched.scripts.iter().map(|check| (format!("vrrp_script {}", check.name), &check.command)));
    for instance in &config.instances {
        all.extend(instance.notify.iter().flat_map(|notify| of_notify(notify)).map(|command| (instance.name.clone(), command)));
    }
    for group in &config.groups {
        all.extend(group.notify.iter().flat_map(|notify| of_notify(notify)).map(|command| (group.name.clone(), command)));
    }
    for server in &config.lvs.servers {
        let quorum = [&server.quorum_up, &server.quorum_down];
        all.extend(quorum.into_iter().flatten().map(|command| (server.to_string(), &**command)));
        for real in &server.real_servers {
            let notify = [&real.notify_up, &real.notify_down].into_iter().flatten().map(Box::as_ref);
            let checks = real.checkers.iter().filter_map(|checker| match &checker.kind {
                Kind::Misc(settings) => Some(&settings.command),
                _ => None,
            });
            all.extend(notify.chain(checks).map(|command| (server.name_of(real), command)));
        }
    }
    all
}

fn of_notify(notify: &Notify) -> impl Iterator<Item = &Command> {
    let all = [&notify.master, &notify.backup, &notify.fault, &notify.stop, &notify.deleted, &notify.lower_priority, &notify.any];
    all.into_iter().flatten()
}

/// Looks at every script as it is now. `unprivileged`: we cannot change user.
pub fn examine(config: &Config, unprivileged: bool) -> (Table, Vec<Finding>) {
    let wanted = commands(config);
    let mut findings = Vec::new();
    let mut table = Table::default();
    if wanted.is_empty() {
        return (table, findings);
    }
    let global = &config.global;
    let script_user = global.script_user.as_ref().map(|(user, group)| ScriptUser::from_words(user, group.as_deref()));
    let ways =
        Ways { secure: global.enable_script_security, keep_links: global.use_symlink_paths, all_groups: global.set_supplementary_groups };
    let policy = match Policy::new(script_user.as_ref(), ways, unprivileged) {
        Ok(policy) => policy,
        Err(error) => {
            let text = format!("no script runs that does not name its user: {error}");
            findings.push(Finding::of_all(Gravity::Refused, text));
            Policy::without_default(ways, unprivileged)
        }
    };
    if script_user.is_none() && policy.default_is_ours() && !unprivileged {
        let text = "WARNING - default user 'keepalived_script' for script execution does not exist - please create.";
        findings.push(Finding::of_all(Gravity::Warning, text.to_owned()));
    }
    let mut insecure = false;
    for (name, command) in wanted {
        if table.approved.contains_key(command) {
            continue;
        }
        match policy.approve(command) {
            Ok(approved) => {
                findings.extend(remarks(&name, command, &approved));
                insecure |= approved.insecure.is_some();
                table.approved.insert(command.clone(), Arc::new(approved));
            }
            Err(refusal) => findings.push(refused(&name, command, &refusal)),
        }
    }
    if !global.enable_script_security && !table.approved.is_empty() {
        let insecure = if insecure { " There are insecure scripts." } else { "" };
        let text = format!("SECURITY VIOLATION - scripts are being executed but script_security not enabled.{insecure}");
        findings.push(Finding::of_all(Gravity::Security, text));
    }
    (table, findings)
}

/// What `-t` exits with over these findings alone: 6 security, 5 a script that will not run.
pub fn test_status(findings: &[Finding]) -> u8 {
    findings.iter().map(|finding| finding.gravity).max().map_or(0, |worst| match worst {
        Gravity::Remark => 0,
        Gravity::Warning | Gravity::Refused => 5,
        Gravity::Security => 6,
    })
}

fn remarks(name: &str, command: &Command, approved: &Approved) -> Vec<Finding> {
    let mut findings = Vec::new();
    let finding = |gravity, text| Finding { gravity, text, about: Some(command.clone()) };
    if let Some(found) = &approved.found_at {
        let text =
            format!("WARNING - script `{}` resolved by path search to `{}`. Please specify full path.", approved.label, found.display());
        findings.push(finding(Gravity::Warning, text));
    }
    if let Some(hint) = hint::about_signals(approved) {
        findings.push(finding(Gravity::Remark, format!("{name}: {hint}")));
    }
    if let Some(fault) = &approved.insecure {
        let text = format!("{name}: script '{}' runs as root although somebody else can change it: {fault}", approved.label);
        findings.push(finding(Gravity::Security, text));
    }
    findings
}

fn refused(name: &str, command: &Command, refusal: &Refusal) -> Finding {
    let gravity = match refusal {
        Refusal::Insecure { .. } => Gravity::Security,
        Refusal::User(UserError::NotOurs { .. } | UserError::NoUser { .. } | UserError::NoGroup { .. } | UserError::Lookup { .. })
        | Refusal::NotInPath { .. }
        | Refusal::NotFound { .. }
        | Refusal::NotAFile { .. }
        | Refusal::Closed { .. }
        | Refusal::NotExecutable { .. }
        | Refusal::Nul { .. } => Gravity::Refused,
    };
    Finding { gravity, text: format!("{name}: {refusal}"), about: Some(command.clone()) }
}

/// Checks whose script will not run watch nothing: they are taken out, and from whoever tracks them.
pub fn drop_refused(config: &mut Config, table: &Table) -> Vec<Finding> {
    let mut findings = drop_refused_of_servers(config, table);
    let refused: Vec<String> =
        config.watched.scripts.iter().filter(|check| table.get(&check.command).is_none()).map(|check| check.name.clone()).collect();
    if refused.is_empty() {
        return findings;
    }
    config.watched.scripts.retain(|check| !refused.contains(&check.name));
    for instance in &mut config.instances {
        if instance.track_scripts.iter().any(|track| refused.contains(&track.name)) {
            Arc::make_mut(instance).track_scripts.retain(|track| !refused.contains(&track.name));
        }
    }
    let text = |name: &String| format!("Disabling track script {name} since not found/accessible");
    findings.extend(refused.iter().map(|name| Finding::of_all(Gravity::Refused, text(name))));
    findings
}

/// A `MISC_CHECK` whose script will not run says nothing about its server.
fn drop_refused_of_servers(config: &mut Config, table: &Table) -> Vec<Finding> {
    let refused = |checker: &Arc<Checker>| matches!(&checker.kind, Kind::Misc(settings) if table.get(&settings.command).is_none());
    let mut findings = Vec::new();
    for server in &mut config.lvs.servers {
        if !server.real_servers.iter().any(|real| real.checkers.iter().any(refused)) {
            continue;
        }
        let server = Arc::make_mut(server);
        let names: Vec<String> = server.real_servers.iter().map(|real| server.name_of(real)).collect();
        for (real, name) in server.real_servers.iter_mut().zip(names) {
            let before = real.checkers.len();
            real.checkers.retain(|checker| !refused(checker));
            if real.checkers.len() < before {
                let text = format!("Disabling MISC_CHECK of {name}: its script cannot run, so it does not take the server out");
                findings.push(Finding::of_all(Gravity::Refused, text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;

    const INSTANCE: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.1\n }\n track_script {\n good\n gone\n }\n}\n";

    #[test]
    fn a_check_that_cannot_run_is_taken_out_and_named() {
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        let text = format!(
            "global_defs {{\n script_user {me}\n enable_script_security\n}}\nvrrp_script good {{\n script /bin/true\n}}\nvrrp_script gone {{\n script /gone/x\n}}\n{INSTANCE}"
        );
        let mut config = load_text(&text).config;
        let (table, findings) = examine(&config, false);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].text.starts_with("vrrp_script gone: Script /gone/x cannot be accessed - No such file"), "{findings:?}");
        let dropped = drop_refused(&mut config, &table);
        assert_eq!(dropped.len(), 1);
        assert_eq!(config.watched.scripts.len(), 1);
        assert_eq!(config.instances[0].track_scripts.len(), 1);
    }

    #[test]
    fn scripts_without_security_are_a_finding_that_people_grep_for() {
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        let text = format!("global_defs {{\n script_user {me}\n}}\nvrrp_script good {{\n script /bin/true\n}}\n{INSTANCE}");
        let (_, findings) = examine(&load_text(&text).config, false);
        let last = findings.last().unwrap();
        assert_eq!(last.gravity, Gravity::Security);
        assert!(last.text.starts_with("SECURITY VIOLATION - scripts are being executed but script_security not enabled."));
    }

    #[test]
    fn no_script_is_no_finding() {
        assert!(examine(&Config::default(), false).1.is_empty());
    }
}
