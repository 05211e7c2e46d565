//! The kernel's per-interface switches under `/proc/sys/net`, and putting them back.

use std::fs;
use std::io;
use std::path::PathBuf;

/// Whether this node forwards IPv6: then its neighbour advertisements say that they come from a router (RFC 4861 §7.2.6).
/// An interface's own setting wins over that of all.
pub fn forwards_ipv6(interface: &str) -> bool {
    let flag = |name: &str| path("ipv6", name, "forwarding").and_then(read).is_ok_and(|value| value != "0");
    flag(interface) || flag("all")
}

/// `promote_secondaries` of an interface: when its first address goes, the next of the same network takes its place instead of
/// going as well (ip-sysctl). The value from before comes back when this is dropped.
#[derive(Debug)]
pub struct PromoteSecondaries {
    path: PathBuf,
    before: String,
}

impl PromoteSecondaries {
    /// Switches it on; `None` when it was on already, and nothing has to be put back.
    pub fn set(interface: &str) -> io::Result<Option<Self>> {
        let path = path("ipv4", interface, "promote_secondaries")?;
        let before = read(path.clone())?;
        if before != "0" {
            return Ok(None);
        }
        fs::write(&path, "1")?;
        Ok(Some(Self { path, before }))
    }
}

impl Drop for PromoteSecondaries {
    fn drop(&mut self) {
        match fs::write(&self.path, &self.before) {
            // An interface that is gone took its settings along.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("cannot put {} back to {}: {error}", self.path.display(), self.before);
            }
            _ => {}
        }
    }
}

fn read(path: PathBuf) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

/// An interface's name is part of a path here: it must not be one itself.
fn path(family: &str, interface: &str, key: &str) -> io::Result<PathBuf> {
    if interface.is_empty() || interface == "." || interface == ".." || interface.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an interface name"));
    }
    Ok(["/proc/sys/net", family, "conf", interface, key].iter().collect())
}

#[cfg(test)]
#[path = "sysctl_tests.rs"]
mod tests;
