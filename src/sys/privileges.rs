//! Users and capabilities: what we have, and how a child gives up all it does not need.

pub use caps::Capability;

use caps::{CapSet, CapsHashSet};
use nix::unistd::{Gid, Uid, User};
use std::fs;

/// Why a process could not become what its role says. Nothing was gained; some of it may be given up already, so exit.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// The user could not be changed.
    #[error("cannot become user {user}, group {group}: {cause}")]
    User {
        /// Wanted user id.
        user: u32,
        /// Wanted group id.
        group: u32,
        /// Which call's error.
        cause: nix::Error,
    },
    /// Capabilities the role cannot work without.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// A capability set could not be changed.
    #[error("cannot change capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// The supervisor died meanwhile.
    #[error("the supervisor is gone")]
    Orphan,
}

/// Capabilities we do not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing {}: run as root, or with AmbientCapabilities={} in the unit, or `setcap {}=ep` on the executable",
    list(.0, ", "), list(.0, " "), list(.0, ",").to_lowercase())]
pub struct Missing(pub Vec<Capability>);

fn list(capabilities: &[Capability], separator: &str) -> String {
    capabilities.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// Whether we may use all of these.
///
/// # Errors
/// The ones we may not.
pub fn require(wanted: &[Capability]) -> Result<(), Missing> {
    let permitted = caps::read(None, CapSet::Permitted).unwrap_or_default();
    let missing: Vec<Capability> = wanted.iter().copied().filter(|capability| !permitted.contains(capability)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
}

/// Whether we are root (of our user namespace).
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// As whom a child is to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunAs {
    /// This user and group.
    User(u32, u32),
    /// As we are: we are not root, so there is no choice.
    Unprivileged,
    /// As we are, though we are root: no such user.
    NoSuchUser,
    /// As we are: our user namespace maps no such user, or forbids to change groups.
    NotMapped,
}

/// Looks up the user by name, and whether we could become it.
pub fn run_as(name: &str) -> RunAs {
    if !is_root() {
        return RunAs::Unprivileged;
    }
    match User::from_name(name) {
        Ok(Some(user)) => {
            let mapped = maps("/proc/self/uid_map", user.uid.as_raw()) && maps("/proc/self/gid_map", user.gid.as_raw());
            let groups = fs::read_to_string("/proc/self/setgroups").map_or(true, |word| word.trim() != "deny");
            if mapped && groups { RunAs::User(user.uid.as_raw(), user.gid.as_raw()) } else { RunAs::NotMapped }
        }
        Ok(None) | Err(_) => RunAs::NoSuchUser,
    }
}

/// Whether a user namespace's map (user_namespaces(7): lines `inside outside length`) has this id.
fn maps(path: &str, id: u32) -> bool {
    fs::read_to_string(path).map_or(true, |text| text.lines().any(|line| covers(line, id)))
}

fn covers(line: &str, id: u32) -> bool {
    let mut numbers = line.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(inside)), Some(Ok(_)), Some(Ok(length))) = (numbers.next(), numbers.next(), numbers.next()) else { return false };
    (inside..inside.saturating_add(length)).contains(&u64::from(id))
}

/// Gives up everything but `kept`, for good: bounding set, user and groups, permitted and ambient sets, and the way back
/// (no_new_privs, securebits). Asks again for a signal at the death of `parent`, which the kernel forgets when the user
/// changes. Must run before any other thread exists: capabilities are a thread's.
///
/// # Errors
/// See [`DropError`]. What an unprivileged process may not do (shrink its bounding set) is not an error.
pub fn drop_to(user: Option<(u32, u32)>, kept: &[Capability], parent: u32) -> Result<(), DropError> {
    require(kept)?;
    let kept: CapsHashSet = kept.iter().copied().collect();
    for capability in caps::all().difference(&kept) {
        let _ = caps::drop(None, CapSet::Bounding, *capability);
    }
    lock_securebits();
    if let Some((user, group)) = user {
        caps::securebits::set_keepcaps(true)?;
        become_user(user, group)?;
        caps::securebits::set_keepcaps(false)?;
    }
    let _ = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::clear(None, CapSet::Inheritable)?;
    let _ = nix::sys::prctl::set_no_new_privs();
    super::process::die_with(parent).map_err(|_| DropError::Orphan)
}

fn become_user(user: u32, group: u32) -> Result<(), DropError> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
    nix::unistd::setgroups(&[])
        .and_then(|()| nix::unistd::setresgid(gid, gid, gid))
        .and_then(|()| nix::unistd::setresuid(uid, uid, uid))
        .map_err(|cause| DropError::User { user, group, cause })
}

/// User id 0 gives no capabilities at exec, and none become ambient, ever again (capabilities(7)). Needs CAP_SETPCAP;
/// without it there is no user id 0 either.
#[expect(unsafe_code, reason = "PR_SET_SECUREBITS has no wrapper in nix or caps")]
fn lock_securebits() {
    const NOROOT: libc::c_ulong = 1 << 0 | 1 << 1;
    const NO_AMBIENT_RAISE: libc::c_ulong = 1 << 6 | 1 << 7;
    // SAFETY: takes one number and no pointer.
    unsafe {
        libc::prctl(libc::PR_SET_SECUREBITS, NOROOT | NO_AMBIENT_RAISE, 0, 0, 0);
    }
}

/// Core dumps: allowed without limit (`-m`), even for a process that changed its user.
pub fn allow_core_dumps() {
    let unlimited = nix::sys::resource::RLIM_INFINITY;
    let resource = nix::sys::resource::Resource::RLIMIT_CORE;
    if nix::sys::resource::setrlimit(resource, unlimited, unlimited).is_err()
        && let Ok((_, hard)) = nix::sys::resource::getrlimit(resource)
    {
        let _ = nix::sys::resource::setrlimit(resource, hard, hard);
    }
    let _ = nix::sys::prctl::set_dumpable(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_named_with_its_cure() {
        let text = Missing(vec![Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW]).to_string();
        assert!(text.contains("missing CAP_NET_ADMIN, CAP_NET_RAW"), "{text}");
        assert!(text.contains("AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"), "{text}");
        assert!(text.contains("setcap cap_net_admin,cap_net_raw=ep"), "{text}");
    }

    #[test]
    fn a_user_namespace_of_one_user_maps_nobody_else() {
        assert!(covers("         0       1000          1", 0));
        assert!(!covers("         0       1000          1", 998));
        assert!(covers("         0          0 4294967295", 998));
        assert!(!covers("garbage", 0));
    }
}
