//! Names of VMACs that something else on this host has already.

use super::super::messages::InstanceId;
use super::Reign;
use crate::net::mirror::Mirror;
use crate::net::vmac::is_vmac;
use crate::vrrp::settings::Settings;
use crate::vrrp::vmac::{self, Vmac};
use std::sync::Arc;

/// Of VMACs whose own name tells of no other.
const PREFIX: &str = "vrrp";

impl Reign {
    /// The same with VMACs renamed whose name belongs to an interface that they are not: the original does not take it away either.
    /// `id`: the instance that there is already.
    pub(super) fn with_free_names(&self, id: Option<InstanceId>, settings: Arc<Settings>) -> Arc<Settings> {
        let mirror = self.shared.mirror();
        if !settings.vmacs().any(|vmac| is_taken(&mirror, vmac, &vmac.name)) {
            return settings;
        }
        let others = self.records.iter().filter(|(other, _)| Some(**other) != id).map(|(_, record)| &record.settings);
        let ours: Vec<String> = others.flat_map(|settings| settings.vmacs()).map(|vmac| vmac.name.clone()).collect();
        let taken: Vec<&Vmac> = settings.vmacs().filter(|vmac| !ours.contains(&vmac.name) && is_taken(&mirror, vmac, &vmac.name)).collect();
        if taken.is_empty() {
            return settings;
        }
        let mut renamed = Settings::clone(&settings);
        for vmac in taken {
            let own = settings.vmacs().map(|vmac| &vmac.name);
            let used: Vec<&String> = ours.iter().chain(own).collect();
            let free = |name: &String| !used.contains(&name) && !is_taken(&mirror, vmac, name);
            let Some(name) = vmac::names(prefix(&settings, &vmac.name), settings.vrid, vmac.family).find(free) else { continue };
            let who = &settings.name;
            tracing::warn!(instance = %who, "({who}) interface {} already exists and is not a private macvlan; its VMAC is called {name}", vmac.name);
            renamed.rename_vmac(&vmac.name, &name);
        }
        Arc::new(renamed)
    }
}

/// Whether another interface has this name. Without the one below it, that cannot be said.
fn is_taken(mirror: &Mirror, vmac: &Vmac, name: &str) -> bool {
    let base = mirror.by_name(&vmac.base);
    mirror.by_name(name).zip(base).is_some_and(|(link, base)| !is_vmac(link, base.index, vmac.mac))
}

/// `abc` of `abc1.51`.
fn prefix<'n>(settings: &Settings, name: &'n str) -> &'n str {
    let stem = name.strip_suffix(&format!(".{}", settings.vrid)).map(|stem| stem.trim_end_matches(|c: char| c.is_ascii_digit()));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(PREFIX)
}
