//! `keepalived_check.data`, in the layout of keepalived 2.2.7. What only the configuration's text knows (times that are written
//! for a whole server and hold in its checkers) stands with the checkers.

mod checkers;
mod topology;

use super::prober::Standing;
use crate::check::tls;
use crate::ipc::messages::CheckerId;
use crate::lvs::health::Health;
use crate::lvs::settings::{Address, Balancer};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What the prober knows of the checkers.
pub(super) type Standings = HashMap<Arc<CheckerId>, Standing>;

/// The whole text, but the global definitions, which the supervisor puts before it.
pub(super) fn text(balancer: &Balancer, health: &[Health], standings: &Standings) -> String {
    let mut out = String::new();
    ssl(&mut out, &balancer.tls);
    out.push_str("------< LVS Topology >------\n");
    for server in &balancer.servers {
        if let Address::Group(name, entries) = &server.address {
            topology::group(&mut out, name, entries);
        }
    }
    for health in health {
        topology::virtual_server(&mut out, health);
    }
    out.push_str("------< Health checkers >------\n");
    for health in health {
        checkers::of(&mut out, health, standings);
    }
    checkers::files(&mut out, health);
    checkers::sessions(&mut out, health);
    out
}

/// The `SSL` block.
fn ssl(out: &mut String, settings: &tls::Settings) {
    if *settings == tls::Settings::default() {
        return;
    }
    out.push_str("------< SSL definitions >------\n");
    let files = [("Certificate", &settings.certificate), ("Key", &settings.key), ("CA", &settings.authority)];
    for (name, path) in files {
        if let Some(path) = path {
            let _ = writeln!(out, " {name} file : {path}");
        }
    }
    let _ = writeln!(out, " Least version of TLS : {}\n Days of warning : {}", settings.least.word(), settings.warn_days);
}
