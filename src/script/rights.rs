//! What the permission bits on the way to a script allow: to its user, and to strangers who could change what root runs.

use super::account::Account;
use super::refusal::{Fault, Refusal};
use super::walk::Stop;
use crate::sys::spawn::Ids;

/// Whether this account has the execute (search) bit. Root needs any of the three on a file, none on a directory.
fn may_execute(stop: &Stop, ids: &Ids) -> bool {
    let (node, mode) = (stop.node, stop.node.mode);
    if ids.uid == 0 {
        return node.is(libc::S_IFDIR) || mode & 0o111 != 0;
    }
    if node.uid == ids.uid {
        mode & 0o100 != 0
    } else if node.gid == ids.gid || ids.groups.contains(&node.gid) {
        mode & 0o010 != 0
    } else {
        mode & 0o001 != 0
    }
}

/// Whether this account may run the file at the end of a walked path.
pub(super) fn may_run(stops: &[Stop], account: &Account, label: &str) -> Result<(), Refusal> {
    let (file, way) = match stops.split_last() {
        Some((file, way)) if file.node.is(libc::S_IFREG) => (file, way),
        _ => return Err(Refusal::NotAFile { script: label.to_owned() }),
    };
    if let Some(shut) = way.iter().find(|stop| stop.node.is(libc::S_IFDIR) && !may_execute(stop, &account.ids)) {
        return Err(Refusal::Closed { directory: shut.path.clone(), user: account.name.clone() });
    }
    if !may_execute(file, &account.ids) {
        return Err(Refusal::NotExecutable { script: label.to_owned(), user: account.name.clone() });
    }
    Ok(())
}

/// The check is only for what runs with root's rights: as root, as root's group, or set-uid or set-gid to it.
pub(super) fn runs_as_root(stops: &[Stop], account: &Account) -> bool {
    let set = stops.last().is_some_and(|file| {
        let node = file.node;
        (node.mode & libc::S_ISUID != 0 && node.uid == 0) || (node.mode & libc::S_ISGID != 0 && node.gid == 0)
    });
    set || account.ids.uid == 0 || account.ids.gid == 0
}

/// The first component that somebody else than root can change. A link's own mode means nothing; in a sticky directory
/// nobody can replace what is root's.
pub(super) fn fault(stops: &[Stop]) -> Option<Fault> {
    stops.iter().find_map(|stop| {
        let (at, node) = (stop.path.clone(), stop.node);
        if node.uid != 0 {
            return Some(Fault::Owner { at, uid: node.uid });
        }
        if node.is(libc::S_IFLNK) || (node.is(libc::S_IFDIR) && node.mode & libc::S_ISVTX != 0) {
            return None;
        }
        if node.mode & 0o002 != 0 {
            return Some(Fault::Others { at });
        }
        (node.mode & 0o020 != 0 && node.gid != 0).then_some(Fault::Group { at, gid: node.gid })
    })
}
