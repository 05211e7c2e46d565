//! Two nodes' configurations beside each other: what keeps them from being one pair.

use super::{Linted, Place, rule};
use crate::config::model::Config;
use crate::syntax::Diagnostic;
use crate::types::Version;
use crate::vrrp::settings::{Preempt, Settings, Transport};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What does not fit between a configuration and its peer's, at the places of the first.
pub fn compare(ours: &Linted, theirs: &Config) -> Vec<Diagnostic> {
    let mut pairs = Pairs { ours, found: Vec::new() };
    pairs.all(theirs);
    pairs.found
}

struct Pairs<'o> {
    ours: &'o Linted,
    found: Vec<Diagnostic>,
}

impl Pairs<'_> {
    fn say(&mut self, id: &str, instance: &Settings, message: String) {
        let Some(rule) = rule(id) else { return };
        let message = format!("({}) {message}", instance.name);
        let place = Place::Instance(instance.name.clone());
        let nowhere = || Diagnostic::unplaced(rule.severity, rule.id, message.clone(), Some(rule.cure.to_owned()));
        self.found.push(self.ours.places.at(&place, rule, message.clone()).unwrap_or_else(nowhere));
    }

    fn all(&mut self, theirs: &Config) {
        let ours = &self.ours.loaded.config;
        let mut met: BTreeSet<usize> = BTreeSet::new();
        for one in &ours.instances {
            match partner(one, &theirs.instances, &met) {
                Some(number) => {
                    met.insert(number);
                    if let Some(other) = theirs.instances.get(number) {
                        self.pair(one, other);
                        self.weights(one, other, "here", ours);
                        self.weights(other, one, "in the peer's file", theirs);
                    }
                }
                None => match theirs.instances.iter().find(|other| other.name == one.name) {
                    Some(other) => {
                        let message =
                            format!("virtual_router_id {} here ({}), {} at the peer ({})", one.vrid, one.family, other.vrid, other.family);
                        self.say("peer-vrid", one, message);
                    }
                    None => self.say("peer-missing", one, format!("the peer has no instance with VRID {} and {}", one.vrid, one.family)),
                },
            }
        }
        for (number, other) in theirs.instances.iter().enumerate().filter(|(number, _)| !met.contains(number)) {
            let named = ours.instances.iter().any(|one| one.name == other.name);
            if !named && !met.contains(&number) {
                self.say("peer-missing", other, format!("only the peer has this instance (VRID {} and {})", other.vrid, other.family));
            }
        }
    }

    fn pair(&mut self, one: &Settings, other: &Settings) {
        if one.version != other.version {
            let message = format!("version {} here, {} at the peer", one.version.number(), other.version.number());
            self.say("peer-version", one, message);
        } else if one.version == Version::V3 && one.v3_checksum_as_v2 != other.v3_checksum_as_v2 {
            self.say("peer-checksum", one, "v3_checksum_as_v2 on one node only".to_owned());
        }
        if one.advert_interval != other.advert_interval {
            let seconds = |settings: &Settings| settings.advert_interval.duration().as_secs_f64();
            self.say("peer-interval", one, format!("advert_int {} here, {} at the peer", seconds(one), seconds(other)));
        }
        if one.auth != other.auth {
            self.say("peer-auth", one, "the authentication differs from the peer's".to_owned());
        }
        self.addresses(one, other);
        self.priority(one, other);
        self.transport(one, other);
        let never = |settings: &Settings| settings.preempt == Preempt::Never;
        if never(one) != never(other) {
            let (has, lacks) = if never(one) { ("here", "at the peer") } else { ("at the peer", "here") };
            self.say("peer-nopreempt", one, format!("nopreempt {has}, not {lacks}"));
        }
    }

    fn addresses(&mut self, one: &Settings, other: &Settings) {
        let set = |settings: &Settings| -> BTreeSet<IpAddr> { settings.addresses.iter().map(|address| address.prefix.address()).collect() };
        let all = |settings: &Settings| -> BTreeSet<IpAddr> {
            settings.addresses.iter().chain(&settings.excluded).map(|address| address.prefix.address()).collect()
        };
        let list = |set: BTreeSet<&IpAddr>| set.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let (ours, theirs) = if all(one) == all(other) { (set(one), set(other)) } else { (all(one), all(other)) };
        let only = |a: &BTreeSet<IpAddr>, b: &BTreeSet<IpAddr>| list(a.difference(b).collect());
        if ours != theirs {
            let parts = [("only here: ", only(&ours, &theirs)), ("only at the peer: ", only(&theirs, &ours))];
            let parts: Vec<_> =
                parts.into_iter().filter(|(_, list)| !list.is_empty()).map(|(label, list)| format!("{label}{list}")).collect();
            self.say("peer-addresses", one, parts.join("; "));
        }
        for address in &one.addresses {
            let same = other.addresses.iter().find(|there| there.prefix.address() == address.prefix.address());
            if let Some(there) = same.filter(|there| there.prefix != address.prefix) {
                self.say("peer-prefix", one, format!("{} here, {} at the peer", address.prefix, there.prefix));
            }
        }
    }

    fn priority(&mut self, one: &Settings, other: &Settings) {
        if one.priority != other.priority {
            return;
        }
        if one.priority.is_owner() {
            self.say("peer-owner", one, "both nodes have priority 255".to_owned());
        } else if one.preempt != Preempt::Never || other.preempt != Preempt::Never {
            self.say("peer-priority", one, format!("both nodes have priority {}", one.priority.get()));
        }
    }

    fn transport(&mut self, one: &Settings, other: &Settings) {
        match (&one.transport, &other.transport) {
            (Transport::Multicast { group: ours, source: here }, Transport::Multicast { group: theirs, source: there }) => {
                if ours != theirs {
                    self.say("peer-group", one, format!("group {ours} here, {theirs} at the peer"));
                }
                if here.is_some() && here == there {
                    self.say("peer-source", one, "mcast_src_ip is the same on both nodes".to_owned());
                }
            }
            (Transport::Unicast { source: here, peers: ours, .. }, Transport::Unicast { source: there, peers: theirs, .. }) => {
                if let Some(source) = here.filter(|_| here == there) {
                    self.say("peer-source", one, format!("unicast_src_ip {source} on both nodes"));
                    return;
                }
                if let Some(there) = there.filter(|there| !ours.iter().any(|peer| peer.address == *there)) {
                    self.say("peer-not-mirrored", one, format!("the peer's unicast_src_ip {there} is not among the unicast peers here"));
                }
                if let Some(here) = here.filter(|here| !theirs.iter().any(|peer| peer.address == *here)) {
                    self.say("peer-not-mirrored", one, format!("unicast_src_ip {here} is not among the peer's unicast peers"));
                }
            }
            (Transport::Unicast { .. }, Transport::Multicast { .. }) => {
                self.say("peer-transport", one, "unicast here, multicast at the peer".to_owned());
            }
            (Transport::Multicast { .. }, Transport::Unicast { .. }) => {
                self.say("peer-transport", one, "multicast here, unicast at the peer".to_owned());
            }
        }
    }

    /// `master` has the addresses when all is well: whether each of its trackers can make it lose them.
    fn weights(&mut self, master: &Settings, backup: &Settings, whose: &str, config: &Config) {
        let (well, there) = (all_well(master), all_well(backup));
        if well <= there || master.priority.is_owner() {
            return;
        }
        let scripts = master.track_scripts.iter().map(|track| ("vrrp_script", &track.name, track.weight));
        let processes = master.track_processes.iter().map(|track| ("vrrp_track_process", &track.name, track.weight));
        let interfaces = master.track_interfaces.iter().map(|track| ("track_interface", &track.name, track.weight));
        let tracked: Vec<_> = scripts.chain(processes).chain(interfaces).filter(|(.., weight)| *weight != 0).collect();
        debug_assert!(config.instances.iter().any(|instance| instance.key() == master.key()), "{} is of that configuration", master.name);
        for (kind, name, weight) in tracked {
            let failed = (well - i32::from(weight.abs())).max(1);
            let needed = well - there + 1;
            let sum = format!(
                "{kind} {name} (weight {weight}, {whose}): when it fails, {} has {failed} and the other node {there}; |weight| must be at least {needed}",
                master.name
            );
            if failed > there {
                self.say("weight-never-moves", master, sum);
            } else if failed == there {
                self.say("weight-always-equal", master, sum);
            }
        }
    }
}

/// The priority when nothing fails: bonuses count, penalties do not.
fn all_well(settings: &Settings) -> i32 {
    let tracks = settings.track_scripts.iter().chain(&settings.track_processes).map(|track| track.weight);
    let interfaces = settings.track_interfaces.iter().map(|track| track.weight);
    let bonus: i32 = tracks.chain(interfaces).filter(|weight| *weight > 0).map(i32::from).sum();
    if settings.priority.is_owner() { 255 } else { (i32::from(settings.priority.get()) + bonus).min(254) }
}

/// The instance of the other node that hears this one: the same router id and family; of several the one with the same interface or name.
fn partner(one: &Settings, others: &[std::sync::Arc<Settings>], met: &BTreeSet<usize>) -> Option<usize> {
    let fits = |other: &Settings| other.vrid == one.vrid && other.family == one.family;
    let candidates: Vec<_> = others.iter().enumerate().filter(|(number, other)| fits(other) && !met.contains(number)).collect();
    let score = |other: &Settings| u8::from(other.name == one.name) * 2 + u8::from(other.interface == one.interface);
    candidates.into_iter().max_by_key(|(number, other)| (score(other), usize::MAX - number)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::super::tests::linted;
    use super::*;
    use crate::config::load_text;

    fn node(priority: u8, vip: &str, lines: &str) -> String {
        format!(
            "vrrp_script chk {{\nscript /bin/true\nweight -20\n}}\nvrrp_instance VI_1 {{\ninterface eth0\nvirtual_router_id 51\npriority {priority}\n\
             virtual_ipaddress {{\n{vip}\n}}\n{lines}\n}}\n"
        )
    }

    fn between(ours: &str, theirs: &str) -> Vec<&'static str> {
        let found = compare(&linted(ours), &load_text(theirs).config);
        assert!(found.iter().all(|one| rule(one.rule).is_some() && one.message.starts_with("(VI_")), "{found:?}");
        found.iter().map(|found| found.rule).collect()
    }

    const VIP: &str = "10.0.0.1/24";

    #[test]
    fn a_proper_pair_has_nothing_to_be_told() {
        assert_eq!(between(&node(110, VIP, ""), &node(100, VIP, "")), [""; 0]);
        let unicast = |source: u8, peer: u8| format!("unicast_src_ip 10.0.0.{source}\nunicast_peer {{\n10.0.0.{peer}\n}}");
        assert_eq!(between(&node(110, VIP, &unicast(2, 3)), &node(100, VIP, &unicast(3, 2))), [""; 0]);
    }

    #[test]
    fn what_differs_is_told() {
        let base = node(110, VIP, "");
        assert_eq!(between(&base, &node(100, "10.0.0.2/24", "")), ["peer-addresses"]);
        assert_eq!(between(&base, &node(100, "10.0.0.1/25", "")), ["peer-prefix"]);
        assert_eq!(between(&base, &node(100, VIP, "advert_int 2")), ["peer-interval"]);
        assert_eq!(between(&base, &node(100, VIP, "version 3")), ["peer-version"]);
        assert_eq!(between(&base, &node(100, VIP, "authentication {\nauth_type PASS\nauth_pass x\n}")), ["peer-auth"]);
        assert_eq!(between(&base, &node(100, VIP, "mcast_dst_ip 224.0.0.19")), ["peer-group"]);
        assert_eq!(between(&base, &node(100, VIP, "nopreempt")), ["peer-nopreempt"]);
        assert_eq!(between(&base, &node(100, VIP, "unicast_peer {\n10.0.0.2\n}")), ["peer-transport"]);
        assert_eq!(between(&base, &base.replace("id 51", "id 52")), ["peer-vrid"]);
        assert_eq!(between(&base, ""), ["peer-missing"]);
        assert_eq!(between("", &base), ["peer-missing"]);
    }

    #[test]
    fn equal_priorities_and_two_owners_are_told() {
        assert_eq!(between(&node(100, VIP, ""), &node(100, VIP, "")), ["peer-priority"]);
        assert_eq!(between(&node(100, VIP, "nopreempt"), &node(100, VIP, "nopreempt")), [""; 0]);
        assert_eq!(between(&node(255, VIP, ""), &node(255, VIP, "")), ["peer-owner"]);
    }

    #[test]
    fn unicast_peers_mirror_each_other() {
        let unicast = |source: u8, peer: u8| format!("unicast_src_ip 10.0.0.{source}\nunicast_peer {{\n10.0.0.{peer}\n}}");
        assert_eq!(between(&node(110, VIP, &unicast(2, 4)), &node(100, VIP, &unicast(3, 2))), ["peer-not-mirrored"]);
        assert_eq!(between(&node(110, VIP, &unicast(2, 3)), &node(100, VIP, &unicast(3, 4))), ["peer-not-mirrored"]);
        assert_eq!(between(&node(110, VIP, &unicast(2, 3)), &node(100, VIP, &unicast(2, 3))), ["peer-source"]);
    }

    #[test]
    fn a_weight_must_be_more_than_the_difference() {
        let track = "track_script {\nchk\n}";
        let pair = |priority| between(&node(priority, VIP, track), &node(100, VIP, track));
        assert_eq!(pair(110), [""; 0]);
        assert_eq!(pair(120), ["weight-always-equal"]);
        assert_eq!(pair(150), ["weight-never-moves"]);
        // The master may be the other node.
        assert_eq!(between(&node(100, VIP, track), &node(150, VIP, track)), ["weight-never-moves"]);
        // A bonus that the backup gets as well.
        let bonus = |priority| node(priority, VIP, track).replace("weight -20", "weight 20");
        assert_eq!(between(&bonus(110), &bonus(100)), [""; 0]);
        assert_eq!(between(&bonus(150), &bonus(100)), ["weight-never-moves"]);
    }
}
