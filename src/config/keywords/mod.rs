//! Every keyword of keepalived.conf(5), one row each: parser, TOML, messages and help are derived from these tables.

mod global;
mod instance;
mod lvs;
mod trackers;

use super::read::{
    Reader, Row, bfd as read_bfd, daemon, garp as read_garp, global as read_global, group as read_group, instance as read_instance,
    links as read_links, lists, lvs as read_lvs, tracked, watched as read_watched,
};
use crate::syntax::Keyword;
use crate::syntax::keyword::Table;

/// The root, outside every block.
pub(super) const ROOT: Table<Reader> = &[ROWS];

const ROWS: &[Row] = &[
    K::block("global_defs", "settings of the daemon, and defaults of instances", &[global::GLOBAL]).act(read_global::block),
    K::named("vrrp_instance", "NAME", 0, 255, "a virtual router", &[instance::INSTANCE]).act(read_instance::block),
    K::named("vrrp_sync_group", "NAME", 1, 1, "instances that change state together", &[instance::SYNC_GROUP])
        .lenient()
        .act(read_group::block),
    K::named("vrrp_script", "NAME", 1, 1, "a script whose result changes priorities", &[trackers::SCRIPT]).act(read_watched::script_block),
    K::named("vrrp_track_process", "NAME", 1, 1, "processes whose presence changes priorities", &[trackers::PROCESS])
        .act(read_watched::process_block),
    K::named("track_file", "NAME", 1, 1, "a file whose content changes priorities", &[trackers::FILE]).act(read_watched::file_block),
    K::named("vrrp_track_file", "NAME", 1, 1, "the old name of track_file", &[trackers::FILE])
        .renamed("track_file")
        .act(read_watched::file_block),
    K::named("bfd_instance", "NAME", 1, 1, "a BFD session", &[trackers::BFD]).lenient().act(read_bfd::block),
    K::named("track_group", "NAME", 1, 1, "instances that follow static addresses, routes and rules", &[trackers::GROUP])
        .lenient()
        .act(tracked::group_block),
    K::list("static_ipaddress", "ADDRESS …", "addresses of this host, whatever the state").act(lists::static_ipaddress),
    K::list("static_routes", "ROUTE …", "routes of this host, whatever the state").act(tracked::static_routes),
    K::list("static_rules", "RULE …", "routing rules of this host, whatever the state").act(tracked::static_rules),
    K::block("garp_group", "interfaces that share a rate of gratuitous ARP", &[trackers::GARP_GROUP]).act(read_garp::block),
    K::list("linkbeat_interfaces", "INTERFACE [MII|ETHTOOL|IOCTL] …", "interfaces whose link state is polled").act(read_links::polled),
    K::list("interface_up_down_delays", "INTERFACE DOWN [UP] …", "how long a link must be down or up before it counts")
        .act(read_links::delays),
    K::named("virtual_server", "ADDRESS [PORT] | fwmark N | group NAME", 1, 2, "a balanced service", &[lvs::VIRTUAL_SERVER])
        .act(read_lvs::server::block),
    K::list("virtual_server_group", "ADDRESS[-LAST] [PORT] | fwmark N …", "addresses of a balanced service")
        .counted(1, 1)
        .act(read_lvs::group::block),
    K::block("SSL", "certificates of SSL_GET", &[lvs::SSL]).act(read_lvs::ssl),
    K::flag("linkbeat_use_polling", "poll link states instead of listening to the kernel").act(read_links::poll_all),
    K::value("net_namespace", "NAME", "run in this network namespace")
        .default("the one it is started in")
        .lenient()
        .act(daemon::net_namespace),
    K::values("net_namespace_ipvs", "[NAME]", 0, 1, "configure IPVS in this network namespace")
        .default("net_namespace; the one it is started in when written alone")
        .act(daemon::net_namespace_ipvs),
    K::flag("namespace_with_ipsets", "allow ipsets in a namespace with kernels before 3.13"),
    K::flag("use_pid_dir", "pid files in a directory of their own").act(daemon::use_pid_dir),
    K::value("instance", "NAME", "name of this daemon among several").default("none").lenient().act(daemon::daemon_instance),
    K::value("child_wait_time", "SECONDS", "how long a stop waits for the children")
        .range("0..4294")
        .default("5")
        .act(daemon::child_wait_time),
];

type K = Keyword<Reader>;
