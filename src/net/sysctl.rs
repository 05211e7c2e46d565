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

/// A switch that was set. The value from before comes back when this is dropped.
#[derive(Debug)]
pub struct Changed {
    path: PathBuf,
    before: String,
    stays: bool,
}

impl Changed {
    /// Lets it stay as it is now.
    pub fn keep(mut self) {
        self.stays = true;
    }
}

/// Switches on what is off (0): `None` when it was on already, and nothing has to be put back. `family` is `ipv4` or `ipv6`.
pub fn switch_on(family: &str, interface: &str, key: &str) -> io::Result<Option<Changed>> {
    let path = path(family, interface, key)?;
    let before = read(path.clone())?;
    if before != "0" {
        return Ok(None);
    }
    fs::write(&path, "1")?;
    Ok(Some(Changed { path, before, stays: false }))
}

/// Switches off (0) the kernel's word to switches about groups that they must forward everywhere anyway (224.0.0.0/24, RFC 4541):
/// `None` when it is off already.
pub fn silence_local_igmp() -> io::Result<Option<Changed>> {
    let path = PathBuf::from("/proc/sys/net/ipv4/igmp_link_local_mcast_reports");
    let before = read(path.clone())?;
    if before == "0" {
        return Ok(None);
    }
    fs::write(&path, "0")?;
    Ok(Some(Changed { path, before, stays: false }))
}

/// Sets a switch of an interface that goes away with us: nothing is put back.
pub fn set(family: &str, interface: &str, key: &str, value: &str) -> io::Result<()> {
    let path = path(family, interface, key)?;
    if read(path.clone())? == value { Ok(()) } else { fs::write(path, value) }
}

/// Takes `rp_filter` from all interfaces at once to each of them, so that single ones can do without: what holds for an
/// interface is the larger of its own and that of `all` (ip-sysctl). Nothing to put back when `all` says 0.
pub fn spread_rp_filter() -> io::Result<Vec<Changed>> {
    let all = path("ipv4", "all", "rp_filter")?;
    let strictness = read(all.clone())?;
    if strictness == "0" {
        return Ok(Vec::new());
    }
    let mut singles = Vec::new();
    for entry in fs::read_dir("/proc/sys/net/ipv4/conf")? {
        let entry = entry?;
        // what a host says to itself came from nowhere else
        if entry.file_name() == "lo" {
            continue;
        }
        let path = entry.path().join("rp_filter");
        // an interface may go at any moment
        let Ok(before) = read(path.clone()) else { continue };
        if path != all && number(&before) < number(&strictness) && fs::write(&path, &strictness).is_ok() {
            if entry.file_name() == "default" {
                tracing::info!("NOTICE: setting sysctl net.ipv4.conf.default.rp_filter from {before} to {strictness}");
            }
            singles.push(Changed { path, before, stays: false });
        }
    }
    fs::write(&all, "0")?;
    tracing::info!("NOTICE: setting sysctl net.ipv4.conf.all.rp_filter from {strictness} to 0");
    // what is dropped first is put back first: no interface is ever without
    let mut changed = vec![Changed { path: all, before: strictness, stays: false }];
    changed.append(&mut singles);
    Ok(changed)
}

/// Undoes that.
pub fn put_rp_filter_back(spread: Vec<Changed>) {
    for Changed { path, before, .. } in &spread {
        for interface in ["all", "default"] {
            if path.ends_with(format!("{interface}/rp_filter")) {
                tracing::info!("NOTICE: resetting sysctl net.ipv4.conf.{interface}.rp_filter to {before}");
            }
        }
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

impl Drop for Changed {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
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
