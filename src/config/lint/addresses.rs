//! Rules about addresses and names.

use super::{Found, Subject};
use crate::vrrp::settings::Transport;
use std::collections::HashMap;
use std::net::IpAddr;

pub(super) fn no_prefix(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        let lists = block.children.iter().filter(|line| line.word.starts_with("virtual_ipaddress"));
        for line in lists.flat_map(|list| &list.children) {
            let far = line.args.iter().any(|word| &*word.text == "peer");
            if !far && line.word.parse::<IpAddr>().is_ok() {
                let host = if line.word.contains(':') { 128 } else { 32 };
                found.say(line.word.span, format!("({}) {} is taken as {}/{host}", instance.name, &*line.word, &*line.word));
            }
        }
    }
}

pub(super) fn address_twice(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    let mut owners: HashMap<(IpAddr, Option<&str>), &str> = HashMap::new();
    for (instance, block) in subject.instances() {
        for address in instance.addresses.iter().chain(&instance.excluded) {
            let device = address.device.as_deref().or(instance.interface.as_deref());
            let ip = address.prefix.address();
            match owners.insert((ip, device), &instance.name) {
                Some(other) if other != instance.name => {
                    found.say(block.arg_span(0), format!("{other} and {} both have {ip}", instance.name));
                }
                _ => {}
            }
        }
    }
}

pub(super) fn address_of_node(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances().filter(|(instance, _)| !instance.priority.is_owner()) {
        let nodes: Vec<IpAddr> = match &instance.transport {
            Transport::Multicast { source, .. } => source.iter().copied().collect(),
            Transport::Unicast { source, peers, .. } => source.iter().copied().chain(peers.iter().map(|peer| peer.address)).collect(),
        };
        for address in instance.addresses.iter().map(|address| address.prefix.address()).filter(|address| nodes.contains(address)) {
            found.say(block.arg_span(0), format!("({}) {address} is virtual, and a node's own address", instance.name));
        }
    }
}

pub(super) fn undefined_name(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    subject.every(|line| {
        for word in line.words().filter(|word| names_something(word)) {
            found.say(word.span, format!("'{}' is not defined", &**word));
        }
    });
}

/// `$NAME` or `${NAME}` at its beginning or in it; a regular expression may end in a dollar.
fn names_something(word: &str) -> bool {
    word.match_indices('$').any(|(at, _)| {
        let rest = word.get(at + 1..).unwrap_or("");
        let bare = rest.strip_prefix('{').unwrap_or(rest);
        bare.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && (at == 0 || rest.starts_with('{'))
    })
}

pub(super) fn old_name(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    subject.every(|line| {
        if let Some(new) = line.row.and_then(|row| row.renamed) {
            found.mend(line.word.span, format!("'{}' is the old name of '{new}'", &*line.word), line.word.span, new);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, linted};

    fn two(first: &str, second: &str) -> String {
        let one = |name: &str, vrid: u8, vip: &str| {
            format!("vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\nvirtual_ipaddress {{\n{vip}\n}}\n}}\n")
        };
        one("A", 1, first) + &one("B", 2, second)
    }

    #[test]
    fn an_address_belongs_to_one_instance() {
        assert_eq!(found(&two("10.0.0.1/24", "10.0.0.2/24")), [""; 0]);
        assert_eq!(found(&two("10.0.0.1/24", "10.0.0.1/24")), ["address-twice"]);
        assert_eq!(found(&two("10.0.0.1/24", "10.0.0.1/24 dev eth1")), [""; 0]);
        assert_eq!(found(&two("10.0.0.1", "10.0.0.2/24")), ["no-prefix"]);
        let own = two("10.0.0.1/24", "10.0.0.2/24").replace("virtual_router_id 2", "virtual_router_id 2\nmcast_src_ip 10.0.0.2");
        assert_eq!(found(&own), ["address-of-node"]);
    }

    #[test]
    fn a_name_without_definition_is_seen() {
        assert_eq!(found("global_defs {\nrouter_id $NODE\n}\n"), ["undefined-name"]);
        assert_eq!(found("global_defs {\nrouter_id x${NODE}y\n}\n"), ["undefined-name"]);
        assert_eq!(found("$NODE=a\nglobal_defs {\nrouter_id $NODE\n}\n"), [""; 0]);
        assert_eq!(found("global_defs {\nrouter_id a$\n}\n"), [""; 0]);
    }

    #[test]
    fn an_old_name_is_mended() {
        let linted = linted("global_defs {\nlvs_process_name x\n}\n");
        let old = linted.loaded.report.diagnostics().iter().find(|one| one.rule == "old-name").unwrap();
        let fix = old.fix.clone().unwrap();
        assert_eq!((fix.range, fix.with.as_str()), (14..30, "checker_process_name"));
    }
}
