//! The demonstration: two nodes and a client in namespaces of their own; a crash, a return, an orderly stop and a reload,
//! with the client's outage of each.

mod stage;
mod story;
mod timeline;

use crate::ctl::lab;
use stage::{Powers, Stage, Trouble};
use std::path::PathBuf;
use std::process::ExitCode;
use timeline::{Look, Timeline};

/// Exit code of a program that SIGINT ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// What the demonstration can be told.
#[derive(clap::Args, Debug)]
pub(super) struct Options {
    /// Go on running after the last act, until Ctrl-C, and say how to enter the nodes
    #[arg(long)]
    hold: bool,

    /// Show another keepalived; without this, the one in this program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Shows everything; success means that all of it happened.
pub(super) fn main(options: &Options) -> ExitCode {
    let powers = match prepare() {
        Ok(powers) => powers,
        Err(why) => {
            eprintln!("keepalivedctl demo: {why}");
            return ExitCode::FAILURE;
        }
    };
    let timeline = Timeline::start();
    match Stage::build(timeline, powers, options.program.as_deref()).and_then(|mut stage| story::tell(&mut stage, options.hold)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Interrupted) => {
            timeline.line("\ninterrupted: everything is cleaned up");
            ExitCode::from(INTERRUPTED)
        }
        Err(trouble) => {
            timeline.line(format_args!("\n{}: {trouble}", timeline.paint(Look::Bad, "this did not go as it should")));
            ExitCode::FAILURE
        }
    }
}

/// Becomes able to make namespaces: as root, or as root of a user namespace. Before the first thread, as the kernel wants it.
fn prepare() -> Result<Powers, String> {
    let powerful = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN).unwrap_or(false);
    if !powerful {
        lab::become_root().map_err(|cause| {
            format!(
                "neither root nor user namespaces are to be had here ({cause}): run it with sudo, or allow them \
                 (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces=10000)"
            )
        })?;
    }
    lab::obstacle().map_or(Ok(if powerful { Powers::Root } else { Powers::UserNamespace }), Err)
}
