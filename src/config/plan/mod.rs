//! What a reload would change, object by object, before it happens.

mod balancer;
mod fields;
mod router;

use super::diff::keep_what_needs_a_restart;
use super::model::Config;
use crate::bfd::settings::Settings as Session;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What kind of object.
    pub kind: Kind,
    /// What happens to it.
    pub action: Action,
    /// Which one.
    pub name: String,
    /// How it differs, or what follows; may be empty.
    pub detail: String,
}

/// What becomes of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// It is new.
    Add,
    /// It goes on, otherwise.
    Change,
    /// It goes.
    Remove,
    /// It stays as it is: only a restart can change it.
    Keep,
}

impl Action {
    /// The sign before a line.
    pub const fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
            Self::Keep => '!',
        }
    }

    /// One word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Keep => "needs a restart",
        }
    }
}

/// Kinds of objects, in the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Children of the supervisor.
    Process,
    /// `vrrp_instance`.
    Instance,
    /// Addresses of interfaces, on the node that is master.
    Address,
    /// Routes, on the node that is master or on every one.
    Route,
    /// Routing rules, likewise.
    Rule,
    /// Sockets that adverts arrive on.
    Socket,
    /// Multicast groups that are joined.
    Membership,
    /// Addresses that nftables shuts on a master that does not accept.
    Firewall,
    /// `vrrp_sync_group`.
    Group,
    /// `vrrp_script`, `track_file`, `vrrp_track_process`.
    Tracker,
    /// `bfd_instance`.
    Session,
    /// Scripts that are told.
    Notify,
    /// Services of IPVS.
    Service,
    /// Destinations of IPVS, when every check succeeds.
    Destination,
    /// Settings of virtual and real servers that the kernel does not see.
    Server,
    /// Health checks.
    Checker,
    /// The connection synchronisation of IPVS, its timeouts.
    Balancer,
    /// `global_defs` and the root's keywords.
    Setting,
}

impl Kind {
    /// A heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Process => "processes",
            Self::Instance => "vrrp instances",
            Self::Address => "addresses (where the instance is master)",
            Self::Route => "routes",
            Self::Rule => "routing rules",
            Self::Socket => "advert sockets",
            Self::Membership => "multicast memberships",
            Self::Firewall => "nftables: addresses that do not answer",
            Self::Group => "sync groups",
            Self::Tracker => "scripts, files and processes that are watched",
            Self::Session => "BFD sessions",
            Self::Notify => "scripts that are told",
            Self::Service => "IPVS services",
            Self::Destination => "IPVS destinations (when every check succeeds)",
            Self::Server => "virtual and real servers",
            Self::Checker => "health checks",
            Self::Balancer => "IPVS",
            Self::Setting => "settings",
        }
    }
}

/// `+ NAME: detail`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.sign(), self.name)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

/// Everything that turns `old` into `new`; empty when a reload would change nothing. What only a restart can change is among it,
/// as [`Action::Keep`].
pub fn plan(old: &Config, new: &Config) -> Vec<Step> {
    let mut new = new.clone();
    let mut steps = Steps::default();
    for keyword in keep_what_needs_a_restart(old, &mut new) {
        steps.put(Kind::Setting, Action::Keep, keyword, "cannot be changed by a reload: the old value stays until a restart");
    }
    processes(old, &new, &mut steps);
    router::steps(old, &new, &mut steps);
    sessions(&old.bfd, &new.bfd, &mut steps);
    balancer::steps(&old.lvs, &new.lvs, &mut steps);
    for detail in fields::between(&old.global, &new.global, &["static_routes", "static_rules"]) {
        let (name, detail) = detail.split_once(": ").unwrap_or((&detail, ""));
        steps.put(Kind::Setting, Action::Change, name, detail);
    }
    steps.0.sort_by_key(|step| step.kind);
    steps.0
}

fn processes(old: &Config, new: &Config, steps: &mut Steps) {
    let mut process = |name: &str, before: bool, after: bool| match (before, after) {
        (false, true) => steps.put(Kind::Process, Action::Add, name, "starts"),
        (true, false) => steps.put(Kind::Process, Action::Remove, name, "stops"),
        (true, true) | (false, false) => {}
    };
    let has_vrrp = |config: &Config| !config.instances.is_empty() || config.global.vrrp.keeps_something();
    process("VRRP child", has_vrrp(old), has_vrrp(new));
    process("checker child", !old.lvs.is_idle(), !new.lvs.is_idle());
    process("BFD child", !old.bfd.is_empty(), !new.bfd.is_empty());
}

/// A session with another name or other addresses is another one; what differs else is negotiated while it is up.
fn sessions(old: &[Arc<Session>], new: &[Arc<Session>], steps: &mut Steps) {
    for session in new {
        match old.iter().find(|before| before.name == session.name) {
            Some(before) if before == session => {}
            Some(before) => {
                let details = fields::between(before.as_ref(), session.as_ref(), &[]).join("; ");
                let how = if before.is_same_session(session) { "it stays up" } else { "it begins anew" };
                steps.put(Kind::Session, Action::Change, &session.name, format!("{details} ({how})"));
            }
            None => steps.put(Kind::Session, Action::Add, &session.name, format!("with {}", session.neighbour)),
        }
    }
    for session in old.iter().filter(|session| !new.iter().any(|other| other.name == session.name)) {
        steps.put(Kind::Session, Action::Remove, &session.name, format!("with {}", session.neighbour));
    }
}

/// Steps being collected.
#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn put(&mut self, kind: Kind, action: Action, name: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Step { kind, action, name: name.into(), detail: detail.into() });
    }

    /// Objects by name: new ones, gone ones, and those that differ.
    fn between<V: PartialEq>(
        &mut self,
        kind: Kind,
        old: &BTreeMap<String, V>,
        new: &BTreeMap<String, V>,
        about: impl Fn(&V) -> String,
        differs: impl Fn(&V, &V) -> String,
    ) {
        for (name, value) in new {
            match old.get(name) {
                None => self.put(kind, Action::Add, name, about(value)),
                Some(before) if before != value => self.put(kind, Action::Change, name, differs(before, value)),
                Some(_) => {}
            }
        }
        for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            self.put(kind, Action::Remove, name, about(value));
        }
    }
}

#[cfg(test)]
mod tests;
