//! Routes and rules, those that move and those that stay, and the groups of instances that follow the latter.

use super::instance::about;
use super::{Line, Reader};
use crate::config::model::VrrpGlobal;
use crate::config::paths::{self, Owner};
use crate::syntax::{Complaint, Span};
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::settings::{Settings, TrackGroup};
use std::sync::Arc;

/// A `track_group` block.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    members: Vec<(String, Span)>,
}

pub(crate) fn group_block(reader: &mut Reader, line: &Line<'_>) {
    let left_out = "the block is left out";
    let Some(name) = line.arg(0) else {
        let complaint = Complaint::error(line.span(), "track_group must have a name - skipping")
            .expected("'track_group NAME { group { INSTANCE … } }'");
        reader.complain(complaint.help(left_out.to_owned()));
        return;
    };
    if reader.track_groups.iter().any(|group| group.name == *name.text) {
        reader.complain(Complaint::error(name.span, format!("track_group {} already defined", &**name)).help(left_out.to_owned()));
        return;
    }
    reader.track_groups.push(Group { name: name.to_string(), members: Vec::new() });
    reader.walk(&line.children);
}

/// `group` of a `track_group`: all words of all lines are names.
pub(crate) fn members(reader: &mut Reader, line: &Line<'_>) {
    let words: Vec<_> = line.children.iter().flat_map(Line::words).map(|word| (word.to_string(), word.span)).collect();
    let Some(group) = reader.track_groups.last_mut() else { return };
    if words.is_empty() {
        let message = format!("track group {} has empty group block", group.name);
        reader.complain(Complaint::warning(line.word.span, message));
        return;
    }
    group.members.extend(words);
}

pub(crate) fn virtual_routes(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        let Some(route) = paths::route(reader, line, Owner::Instance) else { continue };
        if reader.instance().routes.contains(&route) {
            twice(reader, line);
        } else {
            reader.instance().routes.push(route);
        }
    }
}

pub(crate) fn virtual_rules(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        let Some(rule) = paths::rule(reader, line, Owner::Instance) else { continue };
        if reader.instance().rules.contains(&rule) {
            twice(reader, line);
        } else {
            reader.instance().rules.push(rule);
        }
    }
}

fn twice(reader: &mut Reader, line: &Line<'_>) {
    let message = about(reader, "the same line is written twice - ignoring");
    reader.complain(Complaint::remark(line.span(), message));
}

pub(crate) fn static_routes(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        let route = paths::route(reader, line, Owner::Host);
        let known = &mut reader.global.vrrp.static_routes;
        known.extend(route.filter(|route| !known.contains(route)));
    }
}

pub(crate) fn static_rules(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        let rule = paths::rule(reader, line, Owner::Host);
        let known = &mut reader.global.vrrp.static_rules;
        known.extend(rule.filter(|rule| !known.contains(rule)));
    }
}

/// What a static object says that may be followed: its group, and its interface.
fn followed(global: &VrrpGlobal) -> Vec<(String, String)> {
    let pair = |group: &Option<String>, device: Option<&str>| Some((group.clone()?, device?.to_owned()));
    let addresses = global.static_addresses.iter().filter_map(|address| pair(&address.track_group, address.device.as_deref()));
    let routes = global.static_routes.iter().filter_map(|route: &Route| pair(&route.track_group, route.device.as_deref()));
    let rules = global.static_rules.iter().filter_map(|rule: &Rule| pair(&rule.track_group, rule.input.as_deref()));
    addresses.chain(routes).chain(rules).collect()
}

/// Tells instances what they follow; says which members of a group do not exist (the original passes over them).
pub(super) fn follow(reader: &mut Reader, global: &mut VrrpGlobal, instances: Vec<Arc<Settings>>) -> Vec<Arc<Settings>> {
    if reader.track_groups.is_empty() && reader.group_uses.is_empty() {
        return instances;
    }
    look_up(reader, global);
    let mut groups: Vec<TrackGroup> = Vec::new();
    for group in std::mem::take(&mut reader.track_groups) {
        let mut members: Vec<String> = Vec::new();
        for (name, span) in group.members {
            if !instances.iter().any(|instance| instance.name == name) {
                let near = crate::syntax::suggest::nearest(&name, instances.iter().map(|instance| instance.name.as_str()));
                let help = near.map(|near| format!("did you mean '{near}'?"));
                let message = format!("track_group {}: instance {name} does not exist - ignoring", group.name);
                reader.complain(Complaint::remark(span, message).help(help));
            } else if !members.contains(&name) {
                members.push(name);
            }
        }
        if !members.is_empty() {
            groups.push(TrackGroup { name: group.name, members });
        }
    }
    let pairs = followed(global);
    let of = |instance: &str| {
        let mut devices: Vec<String> = Vec::new();
        for group in groups.iter().filter(|group| group.members.iter().any(|member| member == instance)) {
            devices.extend(pairs.iter().filter(|(name, _)| *name == group.name).map(|(_, device)| device.clone()));
        }
        devices.sort();
        devices.dedup();
        devices
    };
    let told = instances.into_iter().map(|mut instance| {
        let follows = of(&instance.name);
        if !follows.is_empty() {
            Arc::make_mut(&mut instance).follows = follows;
        }
        instance
    });
    let told = told.collect();
    global.track_groups = groups;
    told
}

/// Groups may be defined behind what names them; one that is defined nowhere is told, and nobody follows.
fn look_up(reader: &mut Reader, global: &mut VrrpGlobal) {
    let names: Vec<String> = reader.track_groups.iter().map(|group| group.name.clone()).collect();
    for (name, span) in std::mem::take(&mut reader.group_uses) {
        if !names.contains(&name) {
            let near =
                crate::syntax::suggest::nearest(&name, names.iter().map(String::as_str)).map(|near| format!("did you mean '{near}'?"));
            let help = near.unwrap_or_else(|| format!("'track_group {name} {{ group {{ INSTANCE … }} }}' anywhere in the file defines it"));
            reader.complain(Complaint::error(span, format!("track_group {name} not found")).help(help).rule("undefined-object"));
        }
    }
    let forget = |group: &mut Option<String>| {
        group.take_if(|name| !names.contains(name));
    };
    global.static_addresses.iter_mut().for_each(|address| forget(&mut address.track_group));
    global.static_routes.iter_mut().for_each(|route| forget(&mut route.track_group));
    global.static_rules.iter_mut().for_each(|rule| forget(&mut rule.track_group));
}
