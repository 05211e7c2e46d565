//! VRRP: instances, their addresses, sockets and firewall entries, groups and what is watched.

use super::{Action, Kind, Steps, fields};
use crate::config::diff::diff;
use crate::config::model::Config;
use crate::types::Family;
use crate::vrrp::notify::Notify;
use crate::vrrp::settings::{Auth, Settings, Transport, VirtualAddress};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) fn steps(old: &Config, new: &Config, steps: &mut Steps) {
    instances(old, new, steps);
    steps.between(Kind::Address, &addresses(old), &addresses(new), |held| held.about(), |before, after| before.becomes(after));
    sets(Kind::Route, &routes(old), &routes(new), steps);
    sets(Kind::Rule, &rules(old), &rules(new), steps);
    sets(Kind::Socket, &sockets(old), &sockets(new), steps);
    sets(Kind::Membership, &memberships(old), &memberships(new), steps);
    sets(Kind::Firewall, &shut(old), &shut(new), steps);
    let groups = |config: &Config| config.groups.iter().map(|group| (group.name.clone(), Arc::clone(group))).collect::<BTreeMap<_, _>>();
    let members = |group: &Arc<crate::vrrp::settings::GroupSettings>| group.members.join(", ");
    let mut found = Steps::default();
    found.between(Kind::Group, &groups(old), &groups(new), members, |before, after| {
        fields::between(before.as_ref(), after.as_ref(), &["name", "notify"]).join("; ")
    });
    // Whom it tells is said there.
    steps.0.extend(found.0.into_iter().filter(|step| step.action != Action::Change || !step.detail.is_empty()));
    told(old, new, steps);
    watched(old, new, steps);
}

/// Notify scripts, mail and priorities of what is there before and after.
fn told(old: &Config, new: &Config, steps: &mut Steps) {
    let mut compare = |name: &str, before: &Option<Box<Notify>>, after: &Option<Box<Notify>>| {
        let whole = |notify: &Option<Box<Notify>>| notify.as_deref().cloned().unwrap_or_default();
        for detail in fields::between(&whole(before), &whole(after), &[]) {
            let (keyword, detail) = detail.split_once(": ").unwrap_or((&detail, ""));
            steps.put(Kind::Notify, Action::Change, format!("{keyword} of {name}"), detail);
        }
    };
    let running: HashMap<_, &Arc<Settings>> = old.instances.iter().map(|instance| (instance.key(), instance)).collect();
    for after in &new.instances {
        if let Some(before) = running.get(&after.key()) {
            compare(&after.name, &before.notify, &after.notify);
        }
    }
    for after in &new.groups {
        if let Some(before) = old.groups.iter().find(|group| group.name == after.name) {
            compare(&after.name, &before.notify, &after.notify);
        }
    }
}

/// As the reload matches them: by virtual router id, family, interface and transport.
fn instances(old: &Config, new: &Config, steps: &mut Steps) {
    let changes = diff(old, new);
    let running: HashMap<&str, &Arc<Settings>> = old.instances.iter().map(|instance| (instance.name.as_str(), instance)).collect();
    for name in &changes.removed {
        let about = running.get(name.as_str()).map(|instance| about(instance)).unwrap_or_default();
        steps.put(Kind::Instance, Action::Remove, name, format!("{about}; a master says so with priority 0, and its addresses go"));
    }
    for (name, after) in &changes.changed {
        let Some(before) = running.get(name.as_str()) else { continue };
        let mut details = fields::between(before.as_ref(), after.as_ref(), &["addresses", "excluded", "routes", "rules", "notify"]);
        let lists =
            [("virtual_ipaddress", &before.addresses, &after.addresses), ("virtual_ipaddress_excluded", &before.excluded, &after.excluded)];
        details.extend(
            lists.into_iter().filter(|(_, before, after)| before != after).map(|(keyword, ..)| format!("{keyword}: see the addresses")),
        );
        if !details.is_empty() {
            steps.put(Kind::Instance, Action::Change, name, format!("{}; its state stays", details.join("; ")));
        }
    }
    for instance in &changes.added {
        steps.put(Kind::Instance, Action::Add, &instance.name, about(instance));
    }
}

fn about(instance: &Settings) -> String {
    let interface = instance.interface.as_deref().unwrap_or("no interface");
    format!("{interface}, virtual_router_id {}, {}, priority {}", instance.vrid, family(instance.family), instance.priority)
}

const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// An address and whose it is.
#[derive(PartialEq)]
struct Held<'c> {
    instance: &'c str,
    address: &'c VirtualAddress,
}

impl Held<'_> {
    fn about(&self) -> String {
        format!("of {}", self.instance)
    }

    fn becomes(&self, after: &Self) -> String {
        let mut details = fields::between(self.address, after.address, &["device", "vmac"]);
        if self.instance != after.instance {
            details.push(format!("of {} -> of {}", self.instance, after.instance));
        }
        if details.is_empty() { "written otherwise".to_owned() } else { details.join("; ") }
    }
}

fn addresses(config: &Config) -> BTreeMap<String, Held<'_>> {
    let mut found = BTreeMap::new();
    for instance in &config.instances {
        for address in instance.addresses.iter().chain(&instance.excluded) {
            found.entry(place(instance, address)).or_insert(Held { instance: &instance.name, address });
        }
    }
    found
}

fn place(instance: &Settings, address: &VirtualAddress) -> String {
    let device = instance.place(address).unwrap_or("no interface");
    format!("{} on {device}", address.prefix)
}

/// A route that differs in anything goes and comes again: the kernel has no other way.
fn routes(config: &Config) -> BTreeSet<String> {
    let of_instances =
        config.instances.iter().flat_map(|instance| instance.routes.iter().map(|route| format!("{route} of {}", instance.name)));
    of_instances.chain(config.global.vrrp.static_routes.iter().map(|route| format!("{route} (static)"))).collect()
}

fn rules(config: &Config) -> BTreeSet<String> {
    let of_instances =
        config.instances.iter().flat_map(|instance| instance.rules.iter().map(|rule| format!("{rule} of {}", instance.name)));
    of_instances.chain(config.global.vrrp.static_rules.iter().map(|rule| format!("{rule} (static)"))).collect()
}

/// One an interface, family and protocol.
fn sockets(config: &Config) -> BTreeSet<String> {
    let socket = |instance: &Arc<Settings>| {
        let protocol = if matches!(instance.auth, Some(Auth::Header(_))) { "AH" } else { "VRRP" };
        format!("{} {protocol} on {}", family(instance.family), instance.wire().unwrap_or("every interface"))
    };
    config.instances.iter().map(socket).collect()
}

fn memberships(config: &Config) -> BTreeSet<String> {
    let group = |instance: &Arc<Settings>| match &instance.transport {
        Transport::Multicast { group, .. } => Some(format!("{group} on {}", instance.wire()?)),
        Transport::Unicast { .. } => None,
    };
    config.instances.iter().filter_map(group).collect()
}

fn shut(config: &Config) -> BTreeSet<String> {
    let shut = config.instances.iter().filter(|instance| instance.is_shut());
    shut.flat_map(|instance| instance.addresses.iter().chain(&instance.excluded).map(|address| place(instance, address))).collect()
}

fn sets(kind: Kind, old: &BTreeSet<String>, new: &BTreeSet<String>, steps: &mut Steps) {
    new.difference(old).for_each(|name| steps.put(kind, Action::Add, name, ""));
    old.difference(new).for_each(|name| steps.put(kind, Action::Remove, name, ""));
}

fn watched(old: &Config, new: &Config, steps: &mut Steps) {
    macro_rules! kind {
        ($keyword:literal, $field:ident) => {
            let named = |config: &Config| {
                config.watched.$field.iter().map(|one| (format!("{} {}", $keyword, one.name), Arc::clone(one))).collect::<BTreeMap<_, _>>()
            };
            steps.between(
                Kind::Tracker,
                &named(old),
                &named(new),
                |_| String::new(),
                |before, after| fields::between(before.as_ref(), after.as_ref(), &["name"]).join("; "),
            );
        };
    }
    kind!("vrrp_script", scripts);
    kind!("track_file", files);
    kind!("vrrp_track_process", processes);
}
