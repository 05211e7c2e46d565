//! A reload moves checkers about: which is which, so that what was known of one before is known of it afterwards.

use crate::ipc::messages::CheckerId;
use crate::lvs::name::ServiceName;
use crate::lvs::settings::{Balancer, VirtualServer};
use std::collections::HashMap;
use std::sync::Arc;

/// The virtual servers that are in both of two configurations, by name: before and after.
pub(super) struct Carried<'a>(HashMap<ServiceName, (&'a Arc<VirtualServer>, &'a Arc<VirtualServer>)>);

impl<'a> Carried<'a> {
    pub(super) fn between(old: &'a Balancer, new: &'a Balancer) -> Self {
        let before: HashMap<ServiceName, &Arc<VirtualServer>> = old.servers.iter().map(|server| (server.name(), server)).collect();
        let pair = |after: &'a Arc<VirtualServer>| {
            let name = after.name();
            before.get(&name).copied().map(|before| (name, (before, after)))
        };
        Self(new.servers.iter().filter_map(pair).collect())
    }

    /// The same checker of the same real server afterwards; nothing when it is not there any more.
    pub(super) fn place(&self, id: &CheckerId) -> Option<CheckerId> {
        let (before, after) = self.0.get(&id.service)?;
        let real = |server: &'a VirtualServer| server.real_servers.iter().find(|real| real.key() == id.server);
        let (before, after) = (real(before)?, real(after)?);
        let was = before.checkers.get(usize::try_from(id.place).ok()?)?;
        let place = after.checkers.iter().position(|other| other.kind == was.kind && other.target == was.target)?;
        Some(CheckerId { place: u32::try_from(place).ok()?, ..id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;

    fn balancer(reals: &str) -> Balancer {
        load_text(&format!("virtual_server 10.0.0.1 80 {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n{reals}\n}}\n")).config.lvs
    }

    #[test]
    fn a_checker_is_itself_wherever_it_stands_in_its_block() {
        let old = balancer("real_server 10.0.0.2 80 {\n TCP_CHECK {\n }\n PING_CHECK {\n }\n }");
        let new = balancer("real_server 10.0.0.3 80 {\n }\n real_server 10.0.0.2 80 {\n weight 7\n PING_CHECK {\n retry 4\n }\n }");
        let carried = Carried::between(&old, &new);
        let id = |place| CheckerId { service: old.servers[0].name(), server: ("10.0.0.2".parse().unwrap(), 80), place };
        assert_eq!(carried.place(&id(0)), None, "it is gone");
        assert_eq!(carried.place(&id(1)), Some(id(0)), "it moved up, and has other retries");
        assert_eq!(Carried::between(&old, &Balancer::default()).place(&id(0)), None, "its virtual server is gone");
    }
}
