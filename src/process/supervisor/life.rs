//! Birth, death and succession of the VRRP child, and the end of it all.

use super::checker::TABLE_PATIENCE;
use super::child::{self, Child, Died};
use super::{ChildRef, Msg, State, heartbeat, postman, speech};
use crate::actor::Restart;
use crate::config::model::Scheduling;
use crate::ipc::messages::ToVrrp;
use crate::process::boot::Boot;
use crate::process::paths::ident_suffix;
use crate::process::roles::{Role, RoleName};
use crate::sys::pidfile::PidFile;
use crate::sys::privileges::RunAs;
use crate::sys::process::Spawn;
use crate::sys::tuning::{self, Tuning};
use ractor::{Actor, ActorRef, SupervisionEvent};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The actor's name in the table of restarts.
const NAME: &str = "VRRP child process";

/// A child that stopped in good order without being asked (SIGTERM to it alone) is replaced after this pause: when it was
/// `killall`, our own SIGTERM is already under way.
const AFTER_STOP: Duration = Duration::from_secs(1);

/// What such a status is called in the original's line.
const fn permanent(status: i32) -> &'static str {
    match status {
        2 => "CONFIG",
        4 => "missing permission",
        _ => "FATAL",
    }
}

/// Exit statuses that a new child would have again: fatal, configuration, permission (the original's list).
const PERMANENT: [i32; 3] = [1, 2, 4];

impl State {
    /// Starts the VRRP child, when there is something for it to do.
    pub(super) async fn start(&mut self, myself: &ActorRef<Msg>) {
        if self.stopping || self.child.is_some() {
            return;
        }
        if !self.wants_child() {
            if self.wants_checker() || self.wants_bfd() {
                self.stands();
                return;
            }
            tracing::warn!(
                "Warning - keepalived has no configuration to run: no VRRP instance and no virtual server, until a reload brings one"
            );
            self.stands();
            self.keep_record();
            self.is_ready();
            return;
        }
        self.lives += 1;
        let resume = self.memory.snapshots(&self.config.instances);
        // A master that resumes does not wait: others would take over.
        let held = resume.is_empty() && self.awaits_table();
        let arguments = child::Arguments {
            spawn: self.spawn_plan(Role::of(RoleName::Vrrp), self.config.global.vrrp_process_name.as_ref()),
            life: self.lives,
            first: ToVrrp::Configure {
                config: Box::new(crate::config::vrrp(&self.config)),
                resume,
                known: self.memory.known(),
                sessions: self.sessions_for(|session| session.tells_vrrp),
                replaces: self.lives > 1,
                keep_addresses: self.options.keep_addresses,
                waits: held,
            },
            beat: self.beat(),
            supervisor: myself.clone(),
            memory: self.memory.clone(),
            herald: self.herald.clone(),
        };
        self.memory.answered();
        match Actor::spawn_linked(None, Child::<speech::Vrrp>::new(), arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.restarts.started(NAME, &actor.get_cell(), Instant::now());
                self.child = Some(ChildRef { actor, life: self.lives, running: false, held });
                if held {
                    myself.send_after(TABLE_PATIENCE, || Msg::TableDeadline);
                }
            }
            Err(error) => {
                let restart = self.restarts.not_started(NAME, &error.to_string(), Instant::now());
                tracing::error!("cannot start the VRRP child process: {error}; trying again in {} s", restart.after.as_secs_f64());
                myself.send_after(restart.after, || Msg::Start);
            }
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.held)
    }

    /// Instances that wait take part from now on.
    pub(super) fn begin(&mut self) {
        if let Some(child) = self.child.as_mut().filter(|child| child.held) {
            child.held = false;
            self.post(ToVrrp::Begin);
        }
    }

    /// How long a child may be silent until it is asked whether it lives.
    pub(super) fn beat(&self) -> Duration {
        heartbeat::silence_before_question(self.config.instances.iter().map(|instance| instance.advert_interval.duration()).min())
    }

    /// Whom mail goes to and by which child, as configured now.
    pub(super) fn instruct_postman(&self) {
        let global = &self.config.global;
        self.postman.configure(postman::Settings {
            mail: global.mail.clone(),
            router: global.router_id.clone(),
            spawn: self.spawn_plan(Role::of(RoleName::Mail), None),
        });
    }

    /// How a child of this role is started, with this name when the configuration gives one.
    pub(super) fn spawn_plan(&self, role: &'static Role, name: Option<&String>) -> Spawn {
        let global = &self.config.global;
        let process_name = match name {
            Some(name) => name.clone(),
            None if global.process_names => role.process_name.to_owned(),
            None => "keepalived".to_owned(),
        };
        let boot = Boot {
            role,
            process_name,
            ident: format!("{}{}", role.ident, ident_suffix(&self.options, global)),
            user: match self.run_as {
                RunAs::User(user, group) => Some((user, group)),
                RunAs::Unprivileged | RunAs::NoSuchUser | RunAs::NotMapped => None,
            },
            tuning: match role.name {
                RoleName::Vrrp => tuning_of(&global.vrrp_process),
                RoleName::Checker | RoleName::CheckerRaw => tuning_of(&global.checker_process),
                RoleName::Bfd => tuning_of(&global.bfd_process),
                RoleName::Mail => Tuning::default(),
            },
            parent: std::process::id(),
            balancer: self.balancer.as_ref().map(AsRawFd::as_raw_fd),
        };
        Spawn {
            arguments: self.arguments.iter().map(Into::into).collect(),
            environment: boot.to_environment(),
            detached: !self.options.foreground,
        }
    }

    /// The process exists: its pid file stands.
    pub(super) fn started(&mut self, pid: u32) {
        tracing::info!("Starting VRRP child process, pid={pid}");
        write_pid(&mut self.vrrp_pid_file, &self.pid_paths.vrrp, pid);
    }

    /// All pid files stand: whoever started the daemon may go on.
    pub(super) fn stands(&mut self) {
        let missing = (self.wants_child() && self.child.is_none())
            || (self.wants_checker() && !self.checker.exists())
            || (self.wants_bfd() && !self.bfd.exists());
        if missing {
            return;
        }
        if let Some(report) = self.report.take() {
            if let Err(error) = crate::sys::process::detach() {
                tracing::warn!("cannot leave the terminal: {error}");
            }
            report.tell(0);
        }
    }

    /// The child is configured.
    pub(super) fn running(&mut self, myself: &ActorRef<Msg>) {
        if let Some(child) = &mut self.child {
            child.running = true;
        }
        self.keep_record();
        self.is_ready();
        self.tell_status();
        tuning::give_back_memory();
        self.reload_if_asked(myself);
    }

    pub(super) fn is_ready(&mut self) {
        let vrrp = self.child.as_ref().map_or(!self.wants_child(), |child| child.running);
        let others = (!self.wants_checker() || self.checker.is_running()) && (!self.wants_bfd() || self.bfd.is_running());
        if !vrrp || !others {
            return;
        }
        if !std::mem::replace(&mut self.ready, true) {
            tracing::info!("Startup complete");
            self.systemd.ready();
        }
    }

    /// Something happened to the child's actor.
    pub(super) fn child_event(&mut self, myself: &ActorRef<Msg>, event: &SupervisionEvent) {
        let Some(restart) = self.restarts.ended(event, Instant::now()) else { return };
        let died = match event {
            SupervisionEvent::ActorFailed(_, error) => error.downcast_ref::<Died>(),
            _ => None,
        };
        if restart.name == super::checker::NAME {
            self.checker_ended(myself, died, &restart);
            return;
        }
        if restart.name == super::bfd::NAME {
            self.bfd_ended(myself, died, &restart);
            return;
        }
        self.child = None;
        self.reload_lost_child(myself);
        self.memory.lost(died.is_some_and(|died| died.reason.is_some()));
        if self.stopping {
            self.tell_stop_time(died);
            self.stop_checker();
            self.end_if_alone(myself);
        } else if self.reload.retires_child() {
            self.committed_without_child(myself);
        } else {
            self.replace(myself, died, &restart, "VRRP", || Msg::Start);
        }
    }

    /// Logs the death and orders a successor, unless that would be of no use.
    pub(super) fn replace(&mut self, myself: &ActorRef<Msg>, died: Option<&Died>, restart: &Restart, title: &str, start: fn() -> Msg) {
        let Some(died) = died else {
            tracing::error!("{restart}");
            myself.send_after(restart.after, start);
            return;
        };
        tracing::error!("{died}");
        let pid = died.pid;
        let code = died.status.and_then(|status| status.code());
        if let Some(code) = code.filter(|code| PERMANENT.contains(code)) {
            tracing::error!("pid {pid} exited with permanent error {}. Terminating", permanent(code));
            self.stop(myself, u8::try_from(code).unwrap_or(crate::process::EXIT_FATAL));
        } else if !self.options.respawn {
            tracing::error!("{title} child process({pid}) died: Exiting");
            self.stop(myself, 0);
        } else {
            let after = if died.said_stopped { restart.after.max(AFTER_STOP) } else { restart.after };
            tracing::error!("{title} child process({pid}) died: Respawning");
            tracing::info!("Restart of {title} process delayed {} seconds to limit respawn rate", after.as_secs_f64());
            if after.is_zero() {
                let _ = myself.cast(start());
            } else {
                myself.send_after(after, start);
            }
        }
    }

    /// Orderly stop; a second call changes nothing.
    pub(super) fn stop(&mut self, myself: &ActorRef<Msg>, status: u8) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        tracing::info!("Stopping");
        self.systemd.stopping();
        self.exit.store(status, Ordering::Relaxed);
        self.stop_bfd();
        match &self.child {
            // Its addresses first: as long as clients are sent here, there must be servers for them.
            Some(_) => self.post(ToVrrp::Stop),
            None => self.stop_checker(),
        }
        myself.send_after(self.config.global.child_wait_time, || Msg::StopDeadline);
        self.end_if_alone(myself);
    }

    /// The last child is gone.
    pub(super) fn end_if_alone(&self, myself: &ActorRef<Msg>) {
        if self.child.is_none() && !self.checker.exists() && !self.bfd.exists() {
            myself.stop(None);
        }
    }

    /// Ends the child the hard way.
    pub(super) fn kill_child(&self, reason: &'static str) {
        if let Some(child) = &self.child {
            tracing::error!("VRRP child process is killed: {reason}");
            let _ = child.actor.cast(child::Msg::Kill(reason));
        }
    }

    pub(super) fn tell_stop_time(&self, died: Option<&Died>) {
        if let Some(died) = died
            && died.status.is_none_or(|status| !status.success())
        {
            tracing::error!("{died}");
        }
    }
}

/// Writes a child's pid into its file, which is locked first when it is not yet.
pub(super) fn write_pid(place: &mut Option<PidFile>, path: &Path, pid: u32) {
    let file = place.take().map_or_else(|| PidFile::lock(path), Ok);
    if let Err(error) = file.and_then(|file| place.insert(file).write(pid)) {
        tracing::error!("{error}");
    }
}

fn tuning_of(process: &Scheduling) -> Tuning {
    Tuning {
        nice: process.nice,
        realtime: process.rt_priority,
        realtime_limit: process.rlimit_rttime,
        no_swap: process.no_swap,
        processors: process.cpu_affinity.clone(),
    }
}
