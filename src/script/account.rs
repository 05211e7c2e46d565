//! Users and groups by name: whose rights a script gets, as the kernel knows them.

use crate::sys::spawn::Ids;
use crate::types::{Groups, ScriptUser};
use std::ffi::CString;
use thiserror::Error;

/// The user that scripts run as when nobody says otherwise and it exists.
pub const DEFAULT_USER: &str = "keepalived_script";

/// Why a user or group of a script cannot be used.
#[derive(Debug, Error)]
pub enum UserError {
    /// No such user.
    #[error("unable to resolve script user '{user}': there is no such user; `useradd -r -s /usr/sbin/nologin {user}` makes one")]
    NoUser {
        /// Its name.
        user: String,
    },
    /// No such group.
    #[error("unable to resolve script group '{group}': there is no such group; `groupadd -r {group}` makes one")]
    NoGroup {
        /// Its name.
        group: String,
    },
    /// The user data base cannot be read.
    #[error("cannot look up '{name}': {source}")]
    Lookup {
        /// User or group.
        name: String,
        /// Why.
        source: nix::Error,
    },
    /// We run as an ordinary user.
    #[error(
        "script user '{user}' is not ours: without root's rights scripts run as the daemon's own user; remove the user from the script, or start the daemon as root"
    )]
    NotOurs {
        /// Its name.
        user: String,
    },
}

/// A user as the kernel knows it, and its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Name, for messages.
    pub name: String,
    /// Numbers.
    pub ids: Ids,
}

/// Resolves names to numbers.
///
/// # Errors
/// Nobody of that name.
pub fn account(user: &ScriptUser) -> Result<Account, UserError> {
    account_with(user, false)
}

/// `all_groups`: with the user's supplementary groups even when they are not asked for.
pub(super) fn account_with(user: &ScriptUser, all_groups: bool) -> Result<Account, UserError> {
    let lookup = |source| UserError::Lookup { name: user.user.clone(), source };
    let found = nix::unistd::User::from_name(&user.user).map_err(lookup)?.ok_or_else(|| UserError::NoUser { user: user.user.clone() })?;
    let named = match &user.groups {
        Groups::Primary | Groups::Supplementary(None) => None,
        Groups::Named(group) | Groups::Supplementary(Some(group)) => Some(group),
    };
    let gid = match named {
        None => found.gid,
        Some(name) => {
            let lookup = |source| UserError::Lookup { name: name.clone(), source };
            nix::unistd::Group::from_name(name).map_err(lookup)?.ok_or_else(|| UserError::NoGroup { group: name.clone() })?.gid
        }
    };
    let groups = match &user.groups {
        Groups::Primary | Groups::Named(_) if !all_groups => vec![gid.as_raw()],
        Groups::Primary | Groups::Named(_) | Groups::Supplementary(_) => {
            let name = CString::new(user.user.as_str()).map_err(|_| UserError::NoUser { user: user.user.clone() })?;
            let list = nix::unistd::getgrouplist(&name, gid).map_err(lookup)?;
            list.into_iter().map(nix::unistd::Gid::as_raw).collect()
        }
    };
    Ok(Account { name: user.user.clone(), ids: Ids { uid: found.uid.as_raw(), gid: gid.as_raw(), groups } })
}

/// Whoever this process is.
pub(super) fn ourselves() -> Account {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    Account { name, ids: Ids { uid: uid.as_raw(), gid: gid.as_raw(), groups: vec![gid.as_raw()] } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_users_and_groups_are_named() {
        let error = account(&ScriptUser::from_words("no_such_user_here", None)).unwrap_err().to_string();
        assert!(error.contains("'no_such_user_here'"));
        let error = account(&ScriptUser::from_words("root", Some("no_such_group_here"))).unwrap_err().to_string();
        assert!(error.contains("'no_such_group_here'"));
        assert_eq!(account(&ScriptUser::from_words("root", None)).unwrap().ids, Ids { uid: 0, gid: 0, groups: vec![0] });
    }
}
