//! What is watched: scripts, processes, files, BFD sessions; and the small root blocks beside them.

use super::K;
use crate::config::read::{Row, bfd, garp, tracked, watched};

/// Inside `vrrp_script`.
pub(super) const SCRIPT: &[Row] = &[
    K::values("script", "SCRIPT", 1, 255, "the command").default("required").lenient().act(watched::script),
    K::value("interval", "SECONDS", "time between runs").range("0.001..4294").default("1").act(watched::interval),
    K::value("timeout", "SECONDS", "a run that lasts longer has failed").range("0.001..4294").default("interval").act(watched::timeout),
    K::values("weight", "-253..253 [reverse]", 1, 2, "added to the priority").default("0: failing is a fault").act(watched::script_weight),
    K::value("rise", "COUNT", "successes until it is up").range("1..4294967295").default("1").act(watched::rise),
    K::value("fall", "COUNT", "failures until it is down").range("1..4294967295").default("1").act(watched::fall),
    K::values("user", "USER [GROUP]", 1, 2, "who runs it").default("script_user").act(watched::user),
    K::flag("init_fail", "down until it has succeeded").act(watched::init_fail),
];

/// Inside `vrrp_track_process`.
pub(super) const PROCESS: &[Row] = &[
    K::values("process", "COMMAND [ARG …]", 1, 255, "the process").default("required").act(watched::process),
    K::values("param_match", "[initial|partial]", 0, 1, "how arguments are compared")
        .default("arguments are not compared; alone: exactly those of process")
        .act(watched::param_match),
    K::values("weight", "-254..254 [reverse]", 1, 2, "added to the priority")
        .default("0: too few is a fault")
        .lenient()
        .act(watched::weight),
    K::value("quorum", "1..65535", "fewest processes").default("1").act(watched::quorum),
    K::value("quorum_max", "0..65535", "most processes").default("no limit").act(watched::quorum_max),
    K::value("delay", "SECONDS", "wait before a change counts").range("0.000001..3600").default("0").act(watched::delay),
    K::value("terminate_delay", "SECONDS", "wait after one ended").range("0.000001..3600").default("delay").act(watched::terminate_delay),
    K::value("fork_delay", "SECONDS", "wait after one started").range("0.000001..3600").default("delay").act(watched::fork_delay),
    K::flag("full_command", "compare the whole command line").act(watched::full_command),
];

/// Inside `track_file`.
pub(super) const FILE: &[Row] = &[
    K::value("file", "PATH", "the file").default("required").lenient().act(watched::file),
    K::values("weight", "-254..254 [reverse]", 1, 2, "factor of the value in the file").default("1").lenient().act(watched::weight),
    K::values("init_file", "[VALUE] [overwrite]", 0, 2, "write the file at start").default("not written; VALUE 0").act(watched::init_file),
];

/// Inside `bfd_instance`.
pub(super) const BFD: &[Row] = &[
    K::value("neighbor_ip", "ADDRESS", "the other end").default("required").act(bfd::neighbour),
    K::value("neighbour_ip", "ADDRESS", "the other end").default("required").act(bfd::neighbour),
    K::value("source_ip", "ADDRESS", "our end").default("any").act(bfd::source),
    K::value("min_rx", "MILLISECONDS", "required receive interval").range("1..4294967").default("10").act(bfd::min_rx),
    K::value("min_tx", "MILLISECONDS", "desired transmit interval").range("1..4294967").default("10").act(bfd::min_tx),
    K::value("idle_tx", "MILLISECONDS", "transmit interval while down").range("1000..4294967").default("1000").act(bfd::idle_tx),
    K::value("multiplier", "1..255", "packets missed until it is down").default("5").act(bfd::multiplier),
    K::flag("passive", "do not start the session").act(bfd::passive),
    K::value("ttl", "1..255", "TTL or hop limit of packets").default("255; IPv6 64").act(bfd::ttl),
    K::value("hoplimit", "1..255", "TTL or hop limit of packets").default("255; IPv6 64").act(bfd::ttl),
    K::value("max_hops", "-1..255", "most hops a received packet made: so much less than ttl it may have left")
        .default("0; -1 and 255 look at nothing")
        .act(bfd::max_hops),
    K::switch("multihop", "multihop port").default("off").since("2.3.2").act(bfd::multihop),
    K::values("weight", "-253..253 [reverse]", 1, 2, "added to the priority").default("0: down is a fault").act(bfd::weight),
    K::flag("vrrp", "only VRRP listens").act(bfd::vrrp),
    K::flag("checker", "only checkers listen").act(bfd::checker),
];

/// Inside `track_group`.
pub(super) const GROUP: &[Row] = &[K::list("group", "INSTANCE …", "the instances").act(tracked::members)];

/// Inside `garp_group`.
pub(super) const GARP_GROUP: &[Row] = &[
    K::value("garp_interval", "SECONDS", "between gratuitous ARPs").range("0.000001..4294").default("no limit").act(garp::garp_interval),
    K::value("gna_interval", "SECONDS", "between neighbour advertisements")
        .range("0.000001..4294")
        .default("no limit")
        .act(garp::gna_interval),
    K::value("interface", "INTERFACE", "the interface").default("none").act(garp::interface),
    K::list("interfaces", "INTERFACE …", "the interfaces").act(garp::interfaces),
];
