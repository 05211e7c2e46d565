//! Rules about instances: strict mode, authentication, priority, unicast.

use super::{Found, Subject, last, place};
use crate::vrrp::settings::{Auth, Transport, WantedState};

pub(super) fn strict_unreachable(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        if instance.strict && !instance.priority.is_owner() && !instance.accept && !instance.addresses.is_empty() {
            let why = format!("({}) strict mode: its addresses will answer nothing while it is master", instance.name);
            found.say(block.arg_span(0), why);
        }
    }
}

pub(super) fn strict_auth(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances().filter(|(instance, _)| instance.strict) {
        if let Some(auth) = last(block, "authentication") {
            found.say(auth.word.span, format!("({}) strict mode ignores its authentication", instance.name));
        }
    }
}

pub(super) fn strict_unicast(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        if instance.strict && instance.transport.is_unicast() {
            found.say(place(block, "unicast_peer"), format!("({}) strict mode and unicast", instance.name));
        }
    }
}

pub(super) fn auth_pass(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        if matches!(instance.auth, Some(Auth::Password(_))) {
            found.say(place(block, "authentication"), format!("({}) its password travels in clear", instance.name));
        }
    }
}

pub(super) fn owner_backup(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        let written = last(block, "priority");
        if let Some(priority) = written.filter(|_| instance.priority.is_owner() && instance.wanted == WantedState::Backup) {
            found.say(priority.span(), format!("({}) priority 255 with state BACKUP", instance.name));
        }
    }
}

pub(super) fn master_without_priority(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        if instance.priority.is_owner() && last(block, "priority").is_none() {
            found.say(place(block, "state"), format!("({}) state MASTER without priority is priority 255", instance.name));
        }
    }
}

pub(super) fn peer_is_self(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        if let Transport::Unicast { source: Some(source), peers, .. } = &instance.transport
            && peers.iter().any(|peer| peer.address == *source)
        {
            found.say(place(block, "unicast_src_ip"), format!("({}) {source} is its own unicast peer", instance.name));
        }
    }
}

pub(super) fn peer_without_source(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for (instance, block) in subject.instances() {
        if let Transport::Unicast { source: None, peers, .. } = &instance.transport
            && !peers.is_empty()
        {
            found.say(place(block, "unicast_peer"), format!("({}) unicast without unicast_src_ip", instance.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;

    fn instance(lines: &str) -> String {
        format!("vrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n10.0.0.1/24\n}}\n{lines}\n}}\n")
    }

    #[test]
    fn a_plain_instance_has_nothing_to_be_told() {
        assert_eq!(found(&instance("priority 100\nstate BACKUP")), [""; 0]);
    }

    #[test]
    fn strict_mode_shuts_the_address_unless_accept_or_owner() {
        let strict = |lines: &str| found(&instance(&format!("strict_mode on\n{lines}")));
        assert_eq!(strict("priority 100"), ["strict-unreachable"]);
        assert_eq!(strict("version 3\naccept"), [""; 0]);
        assert_eq!(strict("priority 255\nstate MASTER"), [""; 0]);
        assert!(strict("authentication {\nauth_type PASS\nauth_pass 1\n}").contains(&"strict-auth"));
        assert!(strict("unicast_src_ip 10.0.0.8\nunicast_peer {\n10.0.0.9\n}").contains(&"strict-unicast"));
    }

    #[test]
    fn priority_and_owner_are_looked_at() {
        assert_eq!(found(&instance("priority 255\nstate BACKUP")), ["owner-backup"]);
        assert_eq!(found(&instance("state MASTER")), ["master-without-priority"]);
        assert_eq!(found(&instance("state MASTER\npriority 100\nnopreempt")), ["nopreempt-master"]);
    }

    #[test]
    fn unicast_needs_its_own_source_and_others_as_peers() {
        assert_eq!(found(&instance("unicast_src_ip 10.0.0.9\nunicast_peer {\n10.0.0.9\n}")), ["peer-is-self"]);
        assert_eq!(found(&instance("unicast_peer {\n10.0.0.9\n}")), ["peer-without-source"]);
        assert_eq!(found(&instance("authentication {\nauth_type PASS\nauth_pass 12345678\n}")), ["auth-pass"]);
        assert_eq!(found(&instance("authentication {\nauth_type PASS\nauth_pass 123456789\n}")), ["auth-pass", "pass-long"]);
    }
}
