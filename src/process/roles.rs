//! The one table of roles: what each child process is called, as whom it runs, and what it may do.

use crate::sys::privileges::Capability;
use crate::sys::sandbox::{PathRule, Profile};

/// The child process a role stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RoleName {
    /// Adverts, addresses, netlink.
    Vrrp,
    /// Talks to the mail server.
    Mail,
    /// Health checks and the balancer.
    Checker,
    /// The same, with checks that need raw sockets or a port below 1024.
    CheckerRaw,
    /// BFD sessions.
    Bfd,
}

/// One row.
#[derive(Debug)]
pub(super) struct Role {
    /// Which.
    pub name: RoleName,
    /// In the environment of the child, and in our own messages.
    pub word: &'static str,
    /// In the log, as in `Starting VRRP child process, pid=N`.
    pub title: &'static str,
    /// Syslog ident.
    pub ident: &'static str,
    /// Process name with `process_names`.
    pub process_name: &'static str,
    /// The user it runs as, when that user exists.
    pub user: &'static str,
    /// The only capabilities it keeps.
    pub capabilities: &'static [Capability],
    /// The system calls it may make.
    pub calls: Profile,
    /// The files it may open after start.
    pub files: &'static [PathRule],
    /// Whether it may open TCP connections.
    pub tcp: bool,
}

/// Every role.
pub(super) const ROLES: &[Role] = &[VRRP, CHECKER, CHECKER_RAW, BFD, MAIL];

const VRRP: Role = Role {
    name: RoleName::Vrrp,
    word: "vrrp",
    title: "VRRP",
    ident: "Keepalived_vrrp",
    process_name: "keepalived_vrrp",
    user: "keepalived_script",
    // NET_ADMIN: addresses, nftables, net sysctls, SO_RCVBUFFORCE. NET_RAW: protocol 112, ARP, neighbour discovery.
    capabilities: &[Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW],
    calls: Profile::Network,
    files: &[
        // arp_ignore, promote_secondaries and the like
        PathRule::ReadWrite("/proc/sys/net"),
        // its own memory and limits, as the runtime asks for them
        PathRule::Read("/proc/self"),
        // what is known of interfaces beyond netlink
        PathRule::Read("/sys/class/net"),
        PathRule::Read("/sys/devices"),
    ],
    tcp: false,
};

const CHECKER: Role = Role {
    name: RoleName::Checker,
    word: "healthcheckers",
    title: "Healthcheck",
    ident: "Keepalived_healthcheckers",
    process_name: "keepalived_ipvs",
    user: "keepalived_script",
    // NET_ADMIN: IPVS, fwmark.
    capabilities: &[Capability::CAP_NET_ADMIN],
    calls: Profile::Network,
    files: &[PathRule::Read("/proc/self")],
    tcp: true,
};

const CHECKER_RAW: Role = Role {
    name: RoleName::CheckerRaw,
    word: "healthcheckers_raw",
    // NET_RAW: echoes, bind_if. NET_BIND_SERVICE: bind_port.
    capabilities: &[Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_NET_BIND_SERVICE],
    ..CHECKER
};

const BFD: Role = Role {
    name: RoleName::Bfd,
    word: "bfd",
    title: "BFD",
    ident: "Keepalived_bfd",
    process_name: "keepalived_bfd",
    user: "keepalived_script",
    // Its ports are above 1023; TTL and hop limit anybody may set and read.
    capabilities: &[],
    calls: Profile::Datagrams,
    files: &[PathRule::Read("/proc/self")],
    tcp: false,
};

const MAIL: Role = Role {
    name: RoleName::Mail,
    word: "mail",
    title: "mail",
    ident: "Keepalived_mail",
    process_name: "keepalived_mail",
    user: "keepalived_script",
    capabilities: &[],
    calls: Profile::Client,
    // The supervisor looks up the server's name: this process opens no file for it.
    files: &[PathRule::Read("/proc/self")],
    tcp: true,
};

impl Role {
    /// The row of a role.
    pub(super) fn of(name: RoleName) -> &'static Self {
        // The table has a row for each name; a test holds that.
        ROLES.iter().find(|role| role.name == name).unwrap_or(&VRRP)
    }

    /// The row whose word this is.
    pub(super) fn by_word(word: &str) -> Option<&'static Self> {
        ROLES.iter().find(|role| role.word == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_its_row() {
        assert_eq!(Role::of(RoleName::Vrrp).name, RoleName::Vrrp);
        assert_eq!(Role::of(RoleName::Mail).name, RoleName::Mail);
        for role in ROLES {
            assert_eq!(Role::by_word(role.word).map(|found| found.name), Some(role.name));
            assert!(role.process_name.len() <= 15, "the kernel cuts longer names");
        }
    }

    #[test]
    fn no_child_may_become_another_user_or_load_code() {
        use Capability::*;
        for role in ROLES {
            for power in [CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_DAC_OVERRIDE, CAP_CHOWN] {
                assert!(!role.capabilities.contains(&power), "{}: {power}", role.word);
            }
        }
    }
}
