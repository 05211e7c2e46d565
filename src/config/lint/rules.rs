//! The one table of rules: id, how bad, why, what to do, how it is found.

use super::{Found, Subject, addresses, balancer, instances, scripts, sessions, words};
use crate::syntax::Severity::{self, Error, Note, Warning};

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name for tools: lower case and hyphens.
    pub id: &'static str,
    /// How bad a finding is (the reader's own say for themselves).
    pub severity: Severity,
    /// Why it matters: one line.
    pub reason: &'static str,
    /// What to do: one line.
    pub cure: &'static str,
    /// How it is found in one configuration; nothing: the reader finds it, or the comparison with a peer, or the machine.
    pub(super) find: Option<Find>,
}

type Find = fn(&Subject<'_, '_>, &mut Found<'_>);

/// The rule of that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

const fn reader(id: &'static str, severity: Severity, reason: &'static str, cure: &'static str) -> Rule {
    Rule { id, severity, reason, cure, find: None }
}

const fn found(id: &'static str, severity: Severity, reason: &'static str, cure: &'static str, find: Find) -> Rule {
    Rule { id, severity, reason, cure, find: Some(find) }
}

/// Every rule.
pub const RULES: &[Rule] = &[
    // found by the reader
    reader(
        "reader",
        Error,
        "what is written is not what the keyword takes, so it is left out or taken otherwise",
        "write what is expected there",
    ),
    reader("unreadable", Error, "without its file there is no configuration", "correct the path or the rights of the file"),
    reader("unknown-keyword", Error, "no release of keepalived knows the word: its line does nothing", "write the word that was meant"),
    reader("joined-words", Error, "a keyword and its name without a blank between them are one unknown word", "put a blank between them"),
    reader(
        "untracked-route",
        Warning,
        "a route without 'dev' is not watched: nobody notices when it is taken away, or when its link goes down",
        "name its interface: 'dev IF'; or say 'no_track'",
    ),
    reader(
        "rule-preference",
        Warning,
        "a rule without 'preference' gets one by its place in the file: rules then change places with every edit",
        "say which: 'preference N'",
    ),
    reader("not-acted-on", Warning, "the keyword is known, but this build does nothing for it yet", "do not rely on it, or leave it out"),
    reader(
        "extra-words",
        Warning,
        "words that the keyword does not take do nothing: often two keywords share a line",
        "give each keyword its own line",
    ),
    reader(
        "braces",
        Error,
        "a brace that is missing or one too many moves every line after it into another block",
        "add or remove the brace",
    ),
    reader(
        "include-missing",
        Error,
        "an included file that is not there leaves its part of the configuration out",
        "correct the path, or remove the include",
    ),
    reader("include-loop", Error, "a file that includes itself would be read for ever", "remove one of the includes"),
    reader(
        "too-large",
        Error,
        "a configuration of this size is a mistake in a sequence, a definition or an include",
        "look for what grows without end",
    ),
    reader(
        "duplicate-vrid",
        Error,
        "two instances with one virtual router id on one network take each other for masters",
        "give one of them another virtual_router_id",
    ),
    reader("duplicate-name", Error, "the second block of a name is left out", "give it another name"),
    reader(
        "nopreempt-master",
        Warning,
        "nopreempt has no effect on an instance that starts as MASTER",
        "write state BACKUP on both nodes; the priority decides",
    ),
    reader(
        "pass-long",
        Warning,
        "VRRP carries 8 characters of a password; the rest is cut off without a word",
        "write 8 characters or fewer",
    ),
    reader("unit", Warning, "keepalived takes numbers without units and leaves the line out", "write the number alone"),
    reader("zero-interval", Warning, "0 is out of range: keepalived ignores the line", "leave the line out: no limit is the default"),
    reader("undefined-object", Error, "what is tracked is not defined, so its failure is never seen", "define it, or correct the name"),
    reader(
        "interface-missing",
        Error,
        "an instance whose interface is not there cannot run",
        "correct the name, or write dynamic_interfaces in global_defs",
    ),
    // one configuration
    found(
        "written-twice",
        Note,
        "of a keyword that is written twice in one block only one counts, and which one differs from keyword to keyword",
        "keep the one that is meant",
        words::twice,
    ),
    found(
        "strict-unreachable",
        Warning,
        "in strict mode a master that does not own the addresses answers nothing sent to them, not even ping",
        "write 'accept' in the instance (version 3), or remove vrrp_strict",
        instances::strict_unreachable,
    ),
    found(
        "strict-auth",
        Warning,
        "strict mode ignores the authentication block: adverts go out without password",
        "remove the authentication block, or vrrp_strict",
        instances::strict_auth,
    ),
    found(
        "strict-unicast",
        Warning,
        "the RFCs know no unicast adverts, so strict mode and unicast_peer contradict each other",
        "remove unicast_peer, or vrrp_strict",
        instances::strict_unicast,
    ),
    found(
        "auth-pass",
        Note,
        "PASS sends the password in clear in every advert: it keeps mistakes away, not attackers",
        "use auth_hmac, unicast with a firewall, or no authentication",
        instances::auth_pass,
    ),
    found(
        "owner-backup",
        Warning,
        "priority 255 means that the addresses are this host's own; it becomes master whatever state says",
        "write a priority from 1 to 254",
        instances::owner_backup,
    ),
    found(
        "master-without-priority",
        Warning,
        "state MASTER without priority means 255: the owner of the addresses, which never yields",
        "write the priority",
        instances::master_without_priority,
    ),
    found(
        "peer-is-self",
        Error,
        "adverts to the own address come back as another router's",
        "leave the own address out of unicast_peer",
        instances::peer_is_self,
    ),
    found(
        "peer-without-source",
        Note,
        "without unicast_src_ip the source is the interface's first address, which may change and which the peer must list",
        "write unicast_src_ip",
        instances::peer_without_source,
    ),
    found(
        "no-prefix",
        Note,
        "an address without /LENGTH is a single host (/32, /128): no route to its network comes with it",
        "write the length that is meant, /32 or /128 too",
        addresses::no_prefix,
    ),
    found(
        "address-twice",
        Error,
        "two instances that move one address take it from each other",
        "keep it in one of them",
        addresses::address_twice,
    ),
    found(
        "address-of-node",
        Error,
        "an address that adverts are sent from or to must stay on its node",
        "use another address, or remove it from virtual_ipaddress",
        addresses::address_of_node,
    ),
    found(
        "undefined-name",
        Warning,
        "a name that is not defined stays in the text as it is",
        "define it before its use: $NAME=VALUE",
        words::undefined_name,
    ),
    found("old-name", Note, "an old name may be dropped by a later release", "write the new name", words::old_name),
    found(
        "script-cannot-signal",
        Warning,
        "'killall -0' and its like need the right to signal: run by an ordinary user they always fail, and the priority drops",
        "track the process with vrrp_track_process, or write 'user root' for the script",
        scripts::cannot_signal,
    ),
    found(
        "script-relative",
        Note,
        "a program without a path is looked up in PATH, which differs between a shell and the daemon",
        "write the whole path",
        scripts::relative,
    ),
    found(
        "timeout-longer",
        Warning,
        "a run that may last longer than the interval delays the next one: failures are seen late",
        "make the timeout shorter than the interval",
        scripts::timeout_longer,
    ),
    found(
        "script-security",
        Warning,
        "scripts that run as root and could be changed by others give root to them",
        "write enable_script_security in global_defs",
        scripts::security,
    ),
    found(
        "mail-incomplete",
        Warning,
        "mail needs smtp_server and at least one notification_email",
        "write the other one too, or neither",
        scripts::mail_incomplete,
    ),
    found(
        "no-real-server",
        Warning,
        "a virtual server without real servers is not set up at all",
        "write real_server blocks, or remove it",
        balancer::no_real_server,
    ),
    found(
        "no-checker",
        Warning,
        "a real server without a check stays in the table when it is dead",
        "write a check, TCP_CHECK at least",
        balancer::no_checker,
    ),
    found(
        "bfd-unused",
        Warning,
        "a BFD session that nothing follows changes nothing when it goes down",
        "name it in a track_bfd or a BFD_CHECK, or leave it out",
        sessions::unused,
    ),
    found(
        "bfd-hop-limit",
        Note,
        "routers take packets of a single hop with a TTL of 255 only (RFC 5881); keepalived's default over IPv6 is 64",
        "hoplimit 255 at both ends, unless the neighbour is a keepalived that says the same",
        sessions::hop_limit,
    ),
    found(
        "quorum-unreachable",
        Warning,
        "a quorum above the weight of all real servers can never be met",
        "lower the quorum, or add servers",
        balancer::quorum_unreachable,
    ),
    found(
        "check-timeout-longer",
        Warning,
        "a check that may wait longer than delay_loop is still waiting when the next one is due",
        "make connect_timeout (misc_timeout) shorter than delay_loop",
        balancer::timeout_longer,
    ),
    // two nodes (`peer`)
    reader(
        "peer-missing",
        Error,
        "an instance that only one node has is not redundant",
        "write it on both nodes, with the same virtual_router_id",
    ),
    reader(
        "peer-vrid",
        Error,
        "instances of one name with different ids never hear each other: both become master",
        "write the same virtual_router_id on both nodes",
    ),
    reader(
        "peer-version",
        Error,
        "routers of different VRRP versions drop each other's adverts: both become master",
        "write the same version on both nodes",
    ),
    reader(
        "peer-transport",
        Error,
        "one node sends to a group and the other to peers: they never hear each other",
        "use unicast_peer on both nodes, or on none",
    ),
    reader(
        "peer-group",
        Error,
        "nodes that use different multicast groups never hear each other",
        "write the same mcast_dst_ip (vrrp_mcast_group4, vrrp_mcast_group6) on both nodes",
    ),
    reader(
        "peer-not-mirrored",
        Error,
        "a node that is not among the other's unicast peers is not heard or not told",
        "list each node's unicast_src_ip in the other's unicast_peer",
    ),
    reader("peer-source", Error, "two nodes cannot have one source address", "write each node's own address as unicast_src_ip"),
    reader(
        "peer-auth",
        Error,
        "nodes with different authentication drop each other's adverts: both become master",
        "write the same authentication block on both nodes",
    ),
    reader(
        "peer-interval",
        Error,
        "version 2 drops adverts of another interval; version 3 takes the master's, so failover lasts as long as the other's",
        "write the same advert_int on both nodes",
    ),
    reader(
        "peer-addresses",
        Error,
        "an address that only one node has goes away when the other becomes master",
        "write the same virtual_ipaddress lines on both nodes",
    ),
    reader(
        "peer-prefix",
        Warning,
        "the same address with different lengths brings different routes",
        "write the same length on both nodes",
    ),
    reader(
        "peer-owner",
        Error,
        "only one router can own the addresses: two owners never yield to each other",
        "write a priority below 255 on at least one node",
    ),
    reader(
        "peer-priority",
        Warning,
        "with equal priorities the higher source address decides, which nobody sees in the file",
        "write different priorities, or nopreempt on both if either may keep the address",
    ),
    reader("peer-nopreempt", Note, "nopreempt on one node only: it waits, the other takes over", "write it on both nodes, or on none"),
    reader(
        "peer-checksum",
        Error,
        "nodes that compute version 3 checksums differently drop each other's adverts",
        "write the same v3_checksum_as_v2 on both nodes",
    ),
    reader(
        "weight-never-moves",
        Warning,
        "a tracked failure that takes less than the difference of the priorities never moves the addresses",
        "make the weight larger than the difference",
    ),
    reader(
        "weight-always-equal",
        Warning,
        "a tracked failure that makes the priorities equal leaves the decision to the source addresses",
        "make the weight larger than the difference",
    ),
    // the machine
    reader(
        "address-outside",
        Warning,
        "an address outside the networks of its interface is not reachable by its neighbours",
        "use an address of the network, or another interface",
    ),
    reader(
        "owner-without-address",
        Warning,
        "priority 255 says that the addresses are configured on this host, and they are not",
        "write a priority below 255",
    ),
    reader(
        "script-refused",
        Error,
        "a script that is missing or unsafe does not run: its failure is never seen",
        "correct the path, or the owner and mode of the script",
    ),
    reader(
        "script-doubtful",
        Warning,
        "a script that others can change, or that runs with more rights than it needs",
        "tighten its owner and mode",
    ),
    reader("secret-readable", Warning, "everybody on this machine can read the password in the file", "chmod 0600 the file"),
];
