//! What only this machine can tell: interfaces, their networks, scripts, who may read a file.

use crate::config::lint::{Linted, Place, Rule, rule};
use crate::config::{Diagnostic, Severity};
use crate::script::table::{self, Finding, Gravity};
use crate::types::IpPrefix;
use crate::vrrp::settings::{Settings, VirtualAddress};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

/// The addresses of each interface.
type Networks = BTreeMap<String, Vec<IpPrefix>>;

/// Every finding that needs the machine.
pub(super) fn look(linted: &mut Linted) -> Vec<Diagnostic> {
    linted.loaded.require_interfaces(|name| nix::net::if_::if_nametoindex(name).is_ok());
    let mut found = secrets(linted);
    found.extend(scripts(linted));
    // Another network namespace has other interfaces.
    if linted.loaded.config.global.net_namespace.is_none() {
        found.extend(addresses(linted, &networks()));
    }
    found
}

fn unplaced(rule: &Rule, message: String) -> Diagnostic {
    Diagnostic::unplaced(rule.severity, rule.id, message, Some(rule.cure.to_owned()))
}

fn secrets(linted: &Linted) -> Vec<Diagnostic> {
    let Some(rule) = rule("secret-readable") else { return Vec::new() };
    let open = linted.secret_files.iter().filter_map(|path| {
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o004 != 0).then(|| unplaced(rule, format!("{} holds a password and has mode {mode:04o}", path.display())))
    });
    open.collect()
}

fn scripts(linted: &Linted) -> Vec<Diagnostic> {
    let (_, findings) = table::examine(&linted.loaded.config, !nix::unistd::geteuid().is_root());
    let id = |gravity| if gravity == Gravity::Warning { "script-doubtful" } else { "script-refused" };
    let place = |finding: Finding| {
        let rule = rule(id(finding.gravity))?;
        Some(match &finding.about {
            Some(command) => {
                let found = linted.loaded.about_script(command, rule.severity, rule.id, finding.text);
                Diagnostic { help: Some(rule.cure.to_owned()), ..found }
            }
            None => unplaced(rule, finding.text),
        })
    };
    findings.into_iter().filter_map(place).collect()
}

fn networks() -> Networks {
    let mut networks = Networks::new();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let address = interface.address.as_ref().and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        });
        let length = interface.netmask.as_ref().and_then(|mask| {
            let v4 = mask.as_sockaddr_in().map(|v4| v4.ip().to_bits().count_ones());
            v4.or_else(|| mask.as_sockaddr_in6().map(|v6| u128::from(v6.ip()).count_ones()))
        });
        let known = networks.entry(interface.interface_name).or_default();
        known.extend(address.zip(length).and_then(|(address, length)| IpPrefix::new(address, u8::try_from(length).ok()?)));
    }
    networks
}

fn addresses(linted: &Linted, networks: &Networks) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for instance in &linted.loaded.config.instances {
        found.extend(owner(linted, instance, networks));
        found.extend(instance.addresses.iter().filter_map(|address| outside(linted, instance, address, networks)));
    }
    found
}

fn outside(linted: &Linted, instance: &Settings, address: &VirtualAddress, networks: &Networks) -> Option<Diagnostic> {
    let device = address.device.as_deref().or(instance.interface.as_deref())?;
    let ip = address.prefix.address();
    let own: Vec<_> = networks.get(device)?.iter().filter(|own| own.address().is_ipv4() == ip.is_ipv4() && own.address() != ip).collect();
    if own.is_empty() || own.iter().any(|own| within(own, ip)) {
        return None;
    }
    let list: Vec<_> = own.iter().map(ToString::to_string).collect();
    let message = format!("({}) {} is outside the networks of {device} ({})", instance.name, address.prefix, list.join(" "));
    let rule = rule("address-outside").filter(|rule| rule.severity >= Severity::Warning)?;
    let written = [address.prefix.to_string(), ip.to_string()].map(|text| Place::Address(instance.name.clone(), text));
    written.iter().find_map(|place| linted.places.at(place, rule, message.clone())).or_else(|| Some(unplaced(rule, message)))
}

fn within(network: &IpPrefix, ip: IpAddr) -> bool {
    let shift = |bits: u32| bits - u32::from(network.length());
    match (network.address(), ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0,
        _ => false,
    }
}

fn owner(linted: &Linted, instance: &Settings, networks: &Networks) -> Option<Diagnostic> {
    let first = instance.addresses.first().filter(|_| instance.priority.is_owner())?;
    let here = networks.values().flatten().any(|own| own.address() == first.prefix.address());
    if here {
        return None;
    }
    let message = format!("({}) priority 255, and {} is not configured here", instance.name, first.prefix.address());
    linted.places.at(&Place::Instance(instance.name.clone()), rule("owner-without-address")?, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoadOptions;
    use crate::config::lint::lint;
    use crate::syntax::Files;
    use std::io;
    use std::path::{Path, PathBuf};

    struct One(&'static str);

    impl Files for One {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Ok(self.0.as_bytes().to_vec())
        }

        fn glob(&self, _: &str) -> Vec<PathBuf> {
            Vec::new()
        }
    }

    fn rules(text: &'static str) -> Vec<(&'static str, u32)> {
        let linted = lint(&One(text), Path::new("a.conf"), &LoadOptions::default());
        let prefix = |text: &str, length| IpPrefix::new(text.parse().unwrap(), length).unwrap();
        let networks = Networks::from([("eth0".to_owned(), vec![prefix("192.168.1.5", 24), prefix("2001:db8::5", 64)])]);
        addresses(&linted, &networks).into_iter().map(|one| (one.rule, one.place.map_or(0, |at| at.line))).collect()
    }

    #[test]
    fn an_address_must_be_in_a_network_of_its_interface() {
        let text = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.168.1.9/24\n192.168.2.9/24\n192.168.3.9\n10.0.0.1 dev eth9\n}\n}\n";
        assert_eq!(rules(text), [("address-outside", 6), ("address-outside", 7)]);
        assert_eq!(rules("vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n2001:db8::77/64\n}\n}\n"), []);
    }

    #[test]
    fn an_owner_has_its_address() {
        let owner = "vrrp_instance A {\ninterface eth0\npriority 255\nvirtual_router_id 1\nvirtual_ipaddress {\n192.168.1.9/24\n}\n}\n";
        assert_eq!(rules(owner), [("owner-without-address", 1)]);
        assert_eq!(
            rules("vrrp_instance A {\ninterface eth0\npriority 255\nvirtual_router_id 1\nvirtual_ipaddress {\n192.168.1.5/24\n}\n}\n"),
            []
        );
    }

    /// A configuration in a file of its own, and what the machine has to say about it.
    fn on_disk(mode: u32, text: &str) -> Vec<(&'static str, u32)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.conf");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let linted = lint(&crate::process::files::Disk, &path, &LoadOptions::default());
        let found = secrets(&linted).into_iter().chain(scripts(&linted));
        found.map(|one| (one.rule, one.place.map_or(0, |at| at.line))).collect()
    }

    #[test]
    fn a_secret_is_for_its_owner_alone() {
        let text = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nauthentication {\nauth_type PASS\nauth_pass 1\n}\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n";
        assert_eq!(on_disk(0o644, text), [("secret-readable", 0)]);
        assert_eq!(on_disk(0o640, text), []);
        assert_eq!(on_disk(0o644, "global_defs {\nrouter_id a\n}\n"), []);
    }

    #[test]
    fn a_script_that_is_missing_or_unsafe_is_told_where_it_is_written() {
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        let notify = |script: &str| {
            format!(
                "global_defs {{\nscript_user {me}\nenable_script_security\n}}\nvrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\n\
                 virtual_ipaddress {{\n10.0.0.1/24\n}}\nnotify {script}\n}}\n"
            )
        };
        assert_eq!(on_disk(0o600, &notify("/bin/true")), []);
        assert_eq!(on_disk(0o600, &notify("/gone/x.sh")), [("script-refused", 11)]);
        // Found by its name alone: it may be another one tomorrow.
        assert_eq!(on_disk(0o600, &notify("true")), [("script-doubtful", 11)]);
    }
}
