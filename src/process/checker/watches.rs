//! Which checkers the prober runs, and what a reload changes of that.

use super::prober::{Concerned, Watch};
use crate::check::Kind;
use crate::ipc::messages::CheckerId;
use crate::lvs::changes::Origin;
use crate::lvs::name::ServiceName;
use crate::lvs::settings::{Balancer, RealServer, VirtualServer};
use crate::lvs::table::addresses;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What checkers said so far.
pub(super) type Said = HashMap<Arc<CheckerId>, bool>;

/// A real server within its virtual server.
type Key = (IpAddr, u16);

/// All.
pub(super) fn all(balancer: &Balancer, said: &Said) -> Vec<Watch> {
    let mut watches = Vec::new();
    for server in &balancer.servers {
        add(&mut watches, server, said, |_| true);
    }
    watches
}

fn add(watches: &mut Vec<Watch>, server: &VirtualServer, said: &Said, wanted: impl Fn(&Key) -> bool) {
    let (service, protocol) = (server.name(), server.named_protocol());
    let only_with: Arc<[IpAddr]> = if server.ha_suspend { addresses(server).into() } else { Arc::new([]) };
    for real in server.real_servers.iter().filter(|real| wanted(&real.key())) {
        for (place, checker) in (0u32..).zip(&real.checkers) {
            // Files are looked at by the supervisor.
            if matches!(checker.kind, Kind::File(_) | Kind::Bfd(_)) {
                continue;
            }
            let id = Arc::new(CheckerId { service: service.clone(), server: real.key(), place });
            let resume = said.get(&id).copied();
            watches.push(Watch { id, protocol, checker: Arc::clone(checker), only_with: only_with.clone(), resume });
        }
    }
}

/// What makes the new checks of the old: whose are other than before, and theirs. `origins` says of each new virtual server
/// where it is from; those that were kept are not looked at.
pub(super) fn changed(old: &Balancer, new: &Balancer, origins: &[Origin], said: &Said) -> Option<(Concerned, Vec<Watch>)> {
    let kept = |origin: &Origin| if let Origin::Kept(place) = origin { Some(*place) } else { None };
    let stay: HashSet<usize> = origins.iter().filter_map(kept).collect();
    let others = old.servers.iter().enumerate().filter(|(place, _)| !stay.contains(place));
    let mut before: HashMap<ServiceName, &Arc<VirtualServer>> = others.map(|(_, server)| (server.name(), server)).collect();
    let (mut concerned, mut watches) = (HashMap::new(), Vec::new());
    for (server, _) in new.servers.iter().zip(origins).filter(|(_, origin)| **origin == Origin::Other) {
        let service = server.name();
        let servers = differing(before.remove(&service).map(Arc::as_ref), server);
        if !servers.is_empty() {
            add(&mut watches, server, said, |key| servers.contains(key));
            concerned.insert(service, servers);
        }
    }
    concerned.extend(before.into_iter().map(|(service, gone)| (service, keys(gone).collect())));
    (!concerned.is_empty()).then_some((Concerned::Some(concerned), watches))
}

fn keys(server: &VirtualServer) -> impl Iterator<Item = Key> {
    server.real_servers.iter().map(RealServer::key)
}

/// Real servers that only one of the two has, or that are checked otherwise.
fn differing(old: Option<&VirtualServer>, new: &VirtualServer) -> HashSet<Key> {
    let Some(old) = old else { return keys(new).collect() };
    if (&old.address, old.protocol, old.ha_suspend) != (&new.address, new.protocol, new.ha_suspend) {
        return keys(old).chain(keys(new)).collect();
    }
    let mut before: HashMap<Key, &RealServer> = old.real_servers.iter().map(|real| (real.key(), real)).collect();
    let mut is_other = |real: &RealServer| before.remove(&real.key()).is_none_or(|old| old.checkers != real.checkers);
    let mut differ: HashSet<Key> = new.real_servers.iter().filter(|real| is_other(real)).map(RealServer::key).collect();
    differ.extend(before.into_keys());
    differ
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;
    use crate::lvs::changes::Changes;

    fn server(address: u8, words: &str, reals: &[(u8, &str)]) -> String {
        let real = |(last, inner): &(u8, &str)| format!(" real_server 10.0.1.{last} 80 {{\n{inner}\n }}\n");
        let reals: String = reals.iter().map(real).collect();
        format!("virtual_server 10.0.0.{address} 80 {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n{words}\n{reals}}}\n")
    }

    /// Whose checks a reload concerns, as the last numbers of virtual and real servers, and those with a watch.
    fn concerned(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
        let (old, mut new) = (load_text(old).config.lvs, load_text(new).config.lvs);
        new.share_with(&old);
        let (new, origins) = Changes::between(&old, &new).applied_to(&old).unwrap();
        let Some((Concerned::Some(services), watches)) = changed(&old, &new, &origins, &Said::new()) else { return (vec![], vec![]) };
        let last = |address: IpAddr| address.to_string().rsplit('.').next().unwrap().to_owned();
        let short = |service: &ServiceName, server: Key| {
            let rest = service.as_str().strip_prefix("[10.0.0.").unwrap();
            format!("{}/{}", rest.split(']').next().unwrap(), last(server.0))
        };
        let mut who: Vec<String> =
            services.iter().flat_map(|(service, servers)| servers.iter().map(move |server| short(service, *server))).collect();
        who.sort();
        (who, watches.iter().map(|watch| short(&watch.id.service, watch.id.server)).collect())
    }

    const TCP: &str = "TCP_CHECK {\n }";

    #[test]
    fn a_reload_concerns_only_whose_checks_are_other() {
        let both = |first: String| first + &server(2, "", &[(1, TCP)]);
        let old = both(server(1, "", &[(1, TCP), (2, TCP), (3, TCP)]));
        let none = (vec![], vec![]);
        assert_eq!(concerned(&old, &old), none);
        let weighed = both(server(1, "", &[(3, TCP), (1, "weight 7\nTCP_CHECK {\n }"), (2, TCP)]));
        assert_eq!(concerned(&old, &weighed), none, "weights and order are no matter of checks");
        let other = both(server(1, "", &[(1, TCP), (2, "TCP_CHECK {\n retry 4\n }"), (4, TCP)]));
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(concerned(&old, &other), (names(&["1/2", "1/3", "1/4"]), names(&["1/2", "1/4"])));
        assert_eq!(concerned(&old, &server(2, "", &[(1, TCP)])), (names(&["1/1", "1/2", "1/3"]), vec![]));
        let suspended = both(server(1, "ha_suspend", &[(1, TCP), (2, TCP), (3, TCP)]));
        let all = names(&["1/1", "1/2", "1/3"]);
        assert_eq!(concerned(&old, &suspended), (all.clone(), all));
        let new = old.clone() + &server(3, "", &[(9, TCP)]);
        assert_eq!(concerned(&old, &new), (names(&["3/9"]), names(&["3/9"])));
    }
}
