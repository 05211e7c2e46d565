//! Rules about addresses.

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
            let device = instance.place(address);
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

#[cfg(test)]
mod tests {
    use super::super::tests::found;

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
}
