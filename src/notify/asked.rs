//! What instances and sync groups asked to be told, in the running configuration and in the one before.

use crate::config::model::Config;
use crate::vrrp::notify::{Notify, Subject};
use std::collections::{HashMap, HashSet};

/// Only of those who asked for something: thousands may be content with the FIFO.
#[derive(Default)]
pub(super) struct Asked {
    now: HashMap<Subject, Box<Notify>>,
    /// Of those whom the last reload took away: their last word comes after it.
    retired: HashMap<Subject, Box<Notify>>,
}

impl Asked {
    /// From now on this configuration counts.
    pub(super) fn replace(&mut self, config: &Config) {
        let instances = config.instances.iter().map(|instance| (Subject::Instance(instance.name.clone()), &instance.notify));
        let groups = config.groups.iter().map(|group| (Subject::Group(group.name.clone()), &group.notify));
        self.retired = std::mem::take(&mut self.now);
        let mut known = HashSet::new();
        for (subject, notify) in instances.chain(groups) {
            if let Some(notify) = notify {
                self.now.insert(subject.clone(), notify.clone());
            }
            if !self.retired.is_empty() {
                known.insert(subject);
            }
        }
        self.retired.retain(|subject, _| !known.contains(subject));
    }

    /// What a subject asked for: in the running configuration, else, when that does not know it, in the one before.
    pub(super) fn of(&self, subject: &Subject) -> Option<&Notify> {
        self.now.get(subject).or_else(|| self.retired.get(subject)).map(|notify| &**notify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;

    fn config(block: &str) -> Config {
        load_text(&format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n 10.0.0.1\n }}\n {block}\n}}\n"
        ))
        .config
    }

    #[test]
    fn who_is_taken_away_is_remembered_for_one_reload_and_who_asks_no_more_is_not() {
        let (asks, asks_not) = (config("notify_master /bin/true"), config(""));
        let instance = Subject::Instance("A".to_owned());
        let mut asked = Asked::default();
        asked.replace(&asks);
        assert!(asked.of(&instance).is_some());
        asked.replace(&asks_not);
        assert!(asked.of(&instance).is_none(), "it is still there, and asks for nothing");
        asked.replace(&asks);
        asked.replace(&Config::default());
        assert!(asked.of(&instance).is_some());
        asked.replace(&Config::default());
        assert!(asked.of(&instance).is_none());
    }
}
