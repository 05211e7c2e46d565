//! What a reload changes.

use super::model::{Config, VrrpChanges, VrrpConfig};
use crate::vrrp::settings::{InstanceKey, Settings};
use std::collections::HashMap;
use std::sync::Arc;

/// What the VRRP child gets at its start.
pub fn vrrp(config: &Config) -> VrrpConfig {
    VrrpConfig {
        global: config.global.vrrp.clone(),
        instances: config.instances.clone(),
        groups: config.groups.clone(),
        watched: config.watched.clone(),
    }
}

/// What turns `old` into `new` for the VRRP child. Instances are the same when their keys are (virtual router id, family,
/// interface, transport), whatever their names; the work grows with the number of instances, not with its square.
pub fn diff(old: &Config, new: &Config) -> VrrpChanges {
    let mut running: HashMap<InstanceKey, &Arc<Settings>> = old.instances.iter().map(|instance| (instance.key(), instance)).collect();
    let mut changes = VrrpChanges::default();
    for instance in &new.instances {
        match running.remove(&instance.key()) {
            None => changes.added.push(Arc::clone(instance)),
            Some(before) if before == instance => {}
            Some(before) => changes.changed.push((before.name.clone(), Arc::clone(instance))),
        }
    }
    changes.removed =
        old.instances.iter().filter(|instance| running.contains_key(&instance.key())).map(|instance| instance.name.clone()).collect();
    if old.global.vrrp != new.global.vrrp {
        changes.global = Some(new.global.vrrp.clone());
    }
    changes.groups = (old.groups != new.groups).then(|| new.groups.clone());
    changes.watched = (old.watched != new.watched).then(|| new.watched.clone());
    changes
}

/// Keeps what a running daemon cannot change as it is; the keywords that wanted it otherwise.
pub fn keep_what_needs_a_restart(old: &Config, new: &mut Config) -> Vec<&'static str> {
    let (old, new) = (&old.global, &mut new.global);
    let mut kept = Vec::new();
    let mut keep = |keyword, same: bool| {
        if !same {
            kept.push(keyword);
        }
    };
    keep("net_namespace", old.net_namespace == new.net_namespace);
    keep("net_namespace_ipvs", old.net_namespace_ipvs == new.net_namespace_ipvs);
    keep("instance", old.instance == new.instance);
    keep("use_pid_dir", old.use_pid_dir == new.use_pid_dir);
    new.net_namespace.clone_from(&old.net_namespace);
    new.net_namespace_ipvs.clone_from(&old.net_namespace_ipvs);
    new.instance.clone_from(&old.instance);
    new.use_pid_dir = old.use_pid_dir;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;

    fn config(text: &str) -> Config {
        load_text(text).config
    }

    fn instance(name: &str, vrid: u8, vip: &str) -> String {
        format!("vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n virtual_ipaddress {{\n {vip}\n }}\n}}\n")
    }

    #[test]
    fn the_same_text_changes_nothing() {
        let text = instance("VI_1", 1, "10.0.0.1");
        assert!(diff(&config(&text), &config(&text)).is_empty());
    }

    #[test]
    fn an_instance_is_known_by_its_key_not_by_its_name() {
        let changes = diff(&config(&instance("A", 1, "10.0.0.1")), &config(&instance("B", 1, "10.0.0.1")));
        assert_eq!(changes.changed.len(), 1);
        assert_eq!((changes.changed[0].0.as_str(), changes.changed[0].1.name.as_str()), ("A", "B"));
        assert!(changes.removed.is_empty() && changes.added.is_empty() && changes.global.is_none());
    }

    #[test]
    fn a_reload_keeps_what_needs_a_restart() {
        let old = Config::default();
        let mut new = Config::default();
        new.global.net_namespace = Some("red".to_owned());
        new.global.router_id = Some("r2".to_owned());
        assert_eq!(keep_what_needs_a_restart(&old, &mut new), ["net_namespace"]);
        assert_eq!(new.global.net_namespace, None);
        assert_eq!(new.global.router_id.as_deref(), Some("r2"));
    }

    #[test]
    fn only_what_changed_is_named() {
        let old = instance("A", 1, "10.0.0.1") + &instance("B", 2, "10.0.0.2") + &instance("C", 3, "10.0.0.3");
        let new = instance("A", 1, "10.0.0.1") + &instance("B", 2, "10.0.0.22") + &instance("D", 4, "10.0.0.4");
        let changes = diff(&config(&old), &config(&new));
        assert_eq!(changes.removed, ["C"]);
        assert_eq!(changes.changed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["B"]);
        assert_eq!(changes.added.iter().map(|added| added.name.as_str()).collect::<Vec<_>>(), ["D"]);
    }
}
