//! Birth, death and reload of the BFD child, and who hears of its sessions.

use super::child::{self, Child, Died};
use super::life::write_pid;
use super::{Msg, State, heartbeat, speech, wants_bfd};
use crate::actor::Restart;
use crate::bfd::settings::Settings;
use crate::ipc::messages::{PROTOCOL, SessionReads, ToBfd, ToVrrp};
use crate::process::paths;
use crate::process::roles::{Role, RoleName};
use crate::sys::clock;
use crate::sys::pidfile::PidFile;
use ractor::{Actor, ActorRef};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The actor's name in the table of restarts.
pub(super) const NAME: &str = "BFD child process";

/// Sessions that nobody has watched for so long count as down: what they were last is no news any more.
const ABSENCE: Duration = Duration::from_secs(3);

/// What the BFD child says that concerns the supervisor.
#[derive(Debug)]
pub(in crate::process) enum BfdSaid {
    Hello(u32),
    Running,
    Dumped(String),
}

/// The BFD child, as the supervisor knows it.
pub(super) struct Bfd {
    child: Option<Living>,
    lives: u64,
    pid_file: Option<PidFile>,
    /// What it was told last.
    told: Vec<Arc<Settings>>,
    /// It ends because a reload left it nothing to do.
    retires: bool,
}

struct Living {
    actor: ActorRef<child::Msg<ToBfd>>,
    life: u64,
    running: bool,
}

impl Bfd {
    pub(super) const fn new(pid_file: Option<PidFile>) -> Self {
        Self { child: None, lives: 0, pid_file, told: Vec::new(), retires: false }
    }

    pub(super) const fn exists(&self) -> bool {
        self.child.is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.running)
    }

    fn post(&self, message: ToBfd) {
        if let Some(child) = &self.child {
            let _ = child.actor.cast(child::Msg::Post(Box::new(message)));
        }
    }
}

impl State {
    pub(super) fn wants_bfd(&self) -> bool {
        wants_bfd(&self.options, &self.config)
    }

    /// Starts the BFD child, when there is something for it to do.
    pub(super) async fn start_bfd(&mut self, myself: &ActorRef<Msg>) {
        if self.stopping || self.bfd.exists() || !self.wants_bfd() {
            return;
        }
        self.bfd.lives += 1;
        self.bfd.told.clone_from(&self.config.bfd);
        let arguments = child::Arguments {
            spawn: self.spawn_plan(Role::of(RoleName::Bfd), self.config.global.bfd_process_name.as_ref()),
            life: self.bfd.lives,
            first: ToBfd::Configure { sessions: self.config.bfd.clone(), resume: self.memory.sessions() },
            beat: heartbeat::BRISK,
            supervisor: myself.clone(),
            memory: self.memory.clone(),
            herald: self.herald.clone(),
        };
        match Actor::spawn_linked(None, Child::<speech::Bfd>::new(), arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.restarts.started(NAME, &actor.get_cell(), Instant::now());
                self.bfd.child = Some(Living { actor, life: self.bfd.lives, running: false });
            }
            Err(error) => {
                let restart = self.restarts.not_started(NAME, &error.to_string(), Instant::now());
                tracing::error!("cannot start the BFD child process: {error}; trying again in {} s", restart.after.as_secs_f64());
                myself.send_after(restart.after, || Msg::StartBfd);
            }
        }
    }

    /// The process exists: its pid file stands.
    pub(super) fn bfd_started(&mut self, pid: u32) {
        tracing::info!("Starting BFD child process, pid={pid}");
        write_pid(&mut self.bfd.pid_file, &self.pid_paths.bfd, pid);
        self.stands();
    }

    pub(super) fn bfd_said(&mut self, myself: &ActorRef<Msg>, life: u64, what: BfdSaid) {
        let Some(child) = self.bfd.child.as_mut().filter(|child| child.life == life) else { return };
        match what {
            BfdSaid::Hello(PROTOCOL) => {}
            BfdSaid::Hello(other) => {
                tracing::error!("the BFD child speaks protocol {other}, this supervisor {PROTOCOL}: the executables do not match");
                self.stop(myself, crate::process::EXIT_SOFTWARE);
            }
            BfdSaid::Running => {
                child.running = true;
                self.keep_record();
                self.is_ready();
                self.reload_if_asked(myself);
            }
            BfdSaid::Dumped(text) => {
                let path = paths::bfd_dump_path(&self.options, &self.config.global);
                self.put(&path, &format!("{}{text}", self.global_text()));
            }
        }
    }

    /// What is known of the sessions that somebody hears of.
    pub(super) fn sessions_for(&self, hears: fn(&Settings) -> bool) -> Vec<(String, bool)> {
        let sessions = self.config.bfd.iter().filter(|session| hears(session));
        sessions.map(|session| (session.name.clone(), self.memory.session_is_up(&session.name))).collect()
    }

    /// A session came up, or went down: whoever hears of it is told.
    pub(super) fn session_changed(&self, reads: SessionReads) {
        if self.stopping {
            return;
        }
        let Some(session) = self.config.bfd.iter().find(|session| session.name == reads.name) else { return };
        if session.tells_vrrp {
            self.post(ToVrrp::Session(reads.clone()));
        }
        if session.tells_checkers {
            self.checker_hears_of_session(reads);
        }
    }

    /// Says all that is known, for somebody who may have missed it.
    pub(super) fn say_sessions(&self) {
        for session in &self.config.bfd {
            let (name, up) = (session.name.clone(), self.memory.session_is_up(&session.name));
            self.session_changed(SessionReads { name, up, at: clock::now() });
        }
    }

    pub(super) fn bfd_dump(&self) {
        self.bfd.post(ToBfd::Dump);
    }

    /// A reload is done for the supervisor: the BFD child gets what is new for it.
    pub(super) fn reload_bfd(&mut self, myself: &ActorRef<Msg>) {
        let (old, new) = (std::mem::replace(&mut self.bfd.told, self.config.bfd.clone()), &self.config.bfd);
        self.memory.keep_sessions(|name| {
            let of = |sessions: &[Arc<Settings>]| sessions.iter().find(|session| session.name == name).cloned();
            of(&old).zip(of(new)).is_some_and(|(before, after)| before.is_same_session(&after))
        });
        if old != *new {
            self.say_sessions();
        }
        if !self.bfd.exists() {
            if self.wants_bfd() {
                let _ = myself.cast(Msg::StartBfd);
            }
        } else if !self.wants_bfd() {
            self.bfd.retires = true;
            self.bfd.post(ToBfd::Stop);
        } else if old != *new {
            self.bfd.post(ToBfd::Reload(new.clone()));
        }
    }

    /// The child's process ended.
    pub(super) fn bfd_ended(&mut self, myself: &ActorRef<Msg>, died: Option<&Died>, restart: &Restart) {
        self.bfd.child = None;
        if self.stopping {
            self.tell_stop_time(died);
            self.end_if_alone(myself);
        } else if std::mem::take(&mut self.bfd.retires) {
            self.restarts.forget(NAME);
            self.bfd.pid_file = None;
            let _ = myself.cast(Msg::StartBfd);
        } else {
            let life = self.bfd.lives;
            myself.send_after(ABSENCE, move || Msg::BfdAbsent { life });
            self.replace(myself, died, restart, "BFD", || Msg::StartBfd);
        }
    }

    /// A successor should have been there long ago.
    pub(super) fn bfd_absent(&self, life: u64) {
        if self.bfd.is_running() || self.bfd.lives != life {
            return;
        }
        tracing::error!("nobody watches the BFD sessions: they count as down until somebody does");
        self.memory.keep_sessions(|_| false);
        self.say_sessions();
    }

    pub(super) fn stop_bfd(&self) {
        self.bfd.post(ToBfd::Stop);
    }

    /// Ends the child the hard way.
    pub(super) fn kill_bfd(&self, reason: &'static str) {
        if let Some(child) = &self.bfd.child {
            tracing::error!("BFD child process is killed: {reason}");
            let _ = child.actor.cast(child::Msg::Kill(reason));
        }
    }
}
