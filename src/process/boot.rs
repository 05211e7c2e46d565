//! What a child must know before its first message: handed over in its environment.

use super::roles::Role;
use crate::sys::tuning::Tuning;

/// A child's start.
#[derive(Debug)]
pub(super) struct Boot {
    /// Who it is.
    pub role: &'static Role,
    /// Process name.
    pub process_name: String,
    /// Syslog ident.
    pub ident: String,
    /// User and group to become; `None` stays what we are.
    pub user: Option<(u32, u32)>,
    /// Scheduling and memory, while it still has the privileges for it.
    pub tuning: Tuning,
    /// The supervisor's pid, to notice that it died while we started.
    pub parent: u32,
    /// The supervisor's descriptor of the network namespace with the balancer's table, when that is another one.
    pub balancer: Option<i32>,
}

const ROLE: &str = "KEEPALIVED_ROLE";
const NAME: &str = "KEEPALIVED_PROCESS_NAME";
const IDENT: &str = "KEEPALIVED_IDENT";
const USER: &str = "KEEPALIVED_USER";
const TUNING: &str = "KEEPALIVED_TUNING";
const PARENT: &str = "KEEPALIVED_PARENT";
const BALANCER: &str = "KEEPALIVED_BALANCER";

impl Boot {
    /// As environment variables.
    pub(super) fn to_environment(&self) -> Vec<(&'static str, String)> {
        let user = self.user.map(|(user, group)| format!("{user}:{group}")).unwrap_or_default();
        vec![
            (ROLE, self.role.word.to_owned()),
            (NAME, self.process_name.clone()),
            (IDENT, self.ident.clone()),
            (USER, user),
            (TUNING, self.tuning.to_word()),
            (PARENT, self.parent.to_string()),
            (BALANCER, self.balancer.map(|fd| fd.to_string()).unwrap_or_default()),
        ]
    }

    /// `Ok(None)` when this process is no child.
    ///
    /// # Errors
    /// Set by hand, and wrong.
    pub(super) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let Some(word) = variable(ROLE) else { return Ok(None) };
        let role = Role::by_word(&word).ok_or_else(|| format!("{ROLE}={word}: no such role"))?;
        let text = |name: &str| variable(name).ok_or_else(|| format!("{ROLE} is set but {name} is not: it is internal to keepalived"));
        let wrong = |name: &str, value: &str| format!("{name}={value}: not a number");
        let user = text(USER)?;
        let user = match user.split_once(':') {
            None => None,
            Some((uid, gid)) => Some((uid.parse().map_err(|_| wrong(USER, &user))?, gid.parse().map_err(|_| wrong(USER, &user))?)),
        };
        let tuning = text(TUNING)?;
        let tuning = Tuning::from_word(&tuning).ok_or_else(|| format!("{TUNING}={tuning}: not understood"))?;
        let parent = text(PARENT)?;
        let parent = parent.parse().map_err(|_| wrong(PARENT, &parent))?;
        let balancer = Some(text(BALANCER)?).filter(|text| !text.is_empty());
        let balancer = balancer.map(|text| text.parse().map_err(|_| wrong(BALANCER, &text))).transpose()?;
        Ok(Some(Self { role, process_name: text(NAME)?, ident: text(IDENT)?, user, tuning, parent, balancer }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::roles::RoleName;
    use std::collections::HashMap;

    fn reread(boot: &Boot) -> Boot {
        let environment: HashMap<&str, String> = boot.to_environment().into_iter().collect();
        Boot::from_environment(|name| environment.get(name).cloned()).unwrap().unwrap()
    }

    #[test]
    fn a_child_reads_what_its_supervisor_wrote() {
        for (user, balancer) in [(None, None), (Some((998, 997)), Some(11))] {
            let boot = Boot {
                role: Role::of(RoleName::Vrrp),
                process_name: "keepalived".to_owned(),
                ident: "Keepalived_vrrp_blue".to_owned(),
                user,
                tuning: Tuning { nice: Some(-10), ..Tuning::default() },
                parent: 4711,
                balancer,
            };
            let again = reread(&boot);
            assert_eq!((again.role.name, again.user, again.parent), (RoleName::Vrrp, user, 4711));
            assert_eq!(again.balancer, balancer);
            assert_eq!(again.tuning, boot.tuning);
            assert_eq!((again.process_name, again.ident), (boot.process_name, boot.ident));
        }
    }

    #[test]
    fn without_the_marker_a_process_is_no_child_and_half_a_marker_is_an_error() {
        assert!(Boot::from_environment(|_| None).unwrap().is_none());
        assert!(Boot::from_environment(|name| (name == ROLE).then(|| "vrrp".to_owned())).is_err());
        assert!(Boot::from_environment(|name| (name == ROLE).then(|| "queen".to_owned())).is_err());
    }
}
