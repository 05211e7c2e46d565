//! Everything read, made one configuration: drafts become settings, and what belongs together is looked at together.

use super::finish::{announce, instance};
use super::instance::Draft;
use super::{Reader, bfd, links, lvs, mail, notify, together, tracked, vmac};
use crate::config::model::{Config, InstanceDefaults};
use crate::syntax::{Complaint, Verdict};
use crate::types::Version;
use crate::vrrp::settings::{InstanceKey, Settings, TransportKey};
use std::collections::HashMap;
use std::sync::Arc;

/// Everything read, made one.
pub(crate) fn config(reader: &mut Reader) -> Config {
    notify::settle(reader);
    mail::settle(reader);
    together::complete(reader);
    let bfd = bfd::settle(reader);
    let drafts = std::mem::take(&mut reader.groups);
    let instances = instances(reader, &drafts);
    links::limit_delays(reader, &instances);
    let groups = together::groups(reader, &drafts, &instances);
    // First the balancer: its checks use tracked files too.
    let lvs = lvs::finish::balancer(reader, &instances);
    let watched = together::watched(reader, &instances, &lvs);
    reader.global.instance_defaults = defaults(reader);
    let mut global = std::mem::take(&mut reader.global);
    for address in &mut global.vrrp.static_addresses {
        address.device.get_or_insert_with(|| global.default_interface.clone());
    }
    let instances = tracked::follow(reader, &mut global.vrrp, instances);
    Config { global, instances, groups, watched, lvs, bfd }
}

/// What an instance is that says nothing.
fn defaults(reader: &Reader) -> InstanceDefaults {
    let said = &reader.defaults;
    InstanceDefaults {
        version: said.version.unwrap_or(Version::V2),
        group4: said.group4,
        group6: said.group6,
        announce: announce(reader, &Draft::default(), false),
        down_timer_adverts: said.down_timer_adverts,
        lower_prio_no_advert: said.lower_prio_no_advert,
        higher_prio_send_advert: said.higher_prio_send_advert,
        check_unicast_src: said.check_unicast_src,
        skip_check_adv_addr: said.skip_check_adv_addr,
        strict: said.strict,
        smtp_alert: said.told.mail,
        smtp_alert_vrrp: said.told.mail_vrrp,
    }
}

/// All instances that can run, in order.
fn instances(reader: &mut Reader, groups: &[Draft]) -> Vec<Arc<Settings>> {
    let mut drafts = std::mem::take(&mut reader.drafts);
    vmac::reserve(reader, &mut drafts);
    let membership = together::membership(reader, groups);
    let mut keys: HashMap<InstanceKey, String> = HashMap::with_capacity(drafts.len());
    let mut done = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let span = draft.vrid.map_or(draft.span, |(_, span)| span);
        let group = membership.get(&draft.name).and_then(|number| groups.get(*number));
        let Some(settings) = instance(reader, draft, group) else { continue };
        let key = settings.key().on_the_wire();
        if let Some(other) = keys.get(&key) {
            let message = twice(other, &settings, &key);
            let complaint = Complaint::error(span, message).help(format!("instance {} is left out", settings.name));
            reader.complain(complaint.verdict(Verdict::Unusable).rule("duplicate-vrid"));
            continue;
        }
        keys.insert(key, settings.name.clone());
        done.push(Arc::new(settings));
    }
    done
}

fn twice(other: &str, settings: &Settings, key: &InstanceKey) -> String {
    let on = key.interface.as_ref().map_or(String::new(), |name| format!(" on interface {name}"));
    let from = match key.transport {
        TransportKey::Unicast(Some(source)) => format!(" from {source}"),
        TransportKey::Unicast(None) | TransportKey::Multicast(_) => String::new(),
    };
    format!("{other} and {} both use VRID {} with {}{on}{from}", settings.name, key.vrid, key.family)
}
