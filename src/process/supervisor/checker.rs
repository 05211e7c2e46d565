//! Birth, death and reload of the checker child.

use super::child::{self, Child, Died};
use super::heartbeat;
use super::life::write_pid;
use super::{Msg, State, wants_checker};
use crate::actor::Restart;
use crate::check::Kind;
use crate::check::tls::Files;
use crate::ipc::messages::{CheckerId, PROTOCOL, SessionReads, ToChecker};
use crate::lvs::changes::Changes;
use crate::lvs::marks;
use crate::lvs::settings::Balancer;
use crate::process::paths;
use crate::process::roles::{Role, RoleName};
use crate::sys::clock;
use crate::sys::pidfile::PidFile;
use crate::sys::tuning;
use crate::types::{ScriptOutcome, Secret};
use ractor::{Actor, ActorRef};
use std::path::Path;
use std::time::{Duration, Instant};

/// The actor's name in the table of restarts.
pub(super) const NAME: &str = "Healthcheck child process";

/// How long VRRP waits at the start for the kernel's table.
pub(super) const TABLE_PATIENCE: Duration = Duration::from_secs(5);

/// What the checker child says that concerns the supervisor.
#[derive(Debug)]
pub(in crate::process) enum CheckerSaid {
    Hello(u32),
    Running,
    TableStands,
    Reloaded,
    Dumped(String),
}

/// The checker child, as the supervisor knows it.
pub(super) struct Checker {
    child: Option<Living>,
    lives: u64,
    pid_file: Option<PidFile>,
    /// What it was told last.
    told: Balancer,
    /// It ends because a reload left it nothing to do, or needs it with other powers.
    retires: bool,
    /// Some check is a file.
    reads_files: bool,
    /// The kernel's table was what it should be once, or has been waited for long enough.
    table_stands: bool,
}

struct Living {
    actor: ActorRef<child::Msg<ToChecker>>,
    life: u64,
    running: bool,
    role: RoleName,
}

impl Checker {
    pub(super) fn new(pid_file: Option<PidFile>) -> Self {
        Self { child: None, lives: 0, pid_file, told: Balancer::default(), retires: false, reads_files: false, table_stands: false }
    }

    pub(super) const fn exists(&self) -> bool {
        self.child.is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.running)
    }

    fn post(&self, message: ToChecker) {
        if let Some(child) = &self.child {
            let _ = child.actor.cast(child::Msg::Post(Box::new(message)));
        }
    }
}

/// The powers that the checks need.
fn role(balancer: &Balancer) -> RoleName {
    let mut checkers = balancer.servers.iter().flat_map(|server| &server.real_servers).flat_map(|real| &real.checkers);
    let raw = checkers.any(|checker| {
        matches!(checker.kind, Kind::Ping) || checker.target.bind_if.is_some() || (1..1024).contains(&checker.target.bind_port)
    });
    if raw { RoleName::CheckerRaw } else { RoleName::Checker }
}

impl State {
    pub(super) fn wants_checker(&self) -> bool {
        wants_checker(&self.options, &self.config)
    }

    /// What the checker child is told: with the certificates that it may not read itself.
    fn balancer(&self) -> Balancer {
        let mut balancer = self.config.lvs.clone();
        if !self.options.wants_checker() {
            balancer = Balancer { sync: balancer.sync.take(), ..Balancer::default() };
        } else if !self.options.wants_vrrp() {
            balancer.sync = None;
        }
        if let Some(marking) = &balancer.marking {
            marks::assign(&mut balancer.servers, &self.checker.told.servers, marking);
        }
        let tls = &balancer.tls;
        // What cannot be read is empty: nothing is verified by it, so the checks fail, and say so.
        let read = |what: &str, path: &Option<String>| {
            path.as_ref().map(|path| {
                std::fs::read(path).unwrap_or_else(|error| {
                    tracing::error!("SSL {what} {path}: {error}");
                    Vec::new()
                })
            })
        };
        balancer.tls_files = Files {
            authority: read("ca", &tls.authority),
            certificate: read("certificate", &tls.certificate),
            key: read("key", &tls.key).map(|text| Secret::new(String::from_utf8_lossy(&text))),
            password: tls.password.clone(),
            least: tls.least,
        };
        balancer
    }

    /// Starts the checker child, when there is something for it to do.
    pub(super) async fn start_checker(&mut self, myself: &ActorRef<Msg>) {
        if self.stopping || self.checker.exists() || !self.wants_checker() {
            return;
        }
        load_module().await;
        self.checker.lives += 1;
        let balancer = self.balancer();
        self.checker.told = balancer.clone();
        let role = role(&self.config.lvs);
        let arguments = child::Arguments {
            spawn: self.spawn_plan(Role::of(role), self.config.global.checker_process_name.as_ref()),
            life: self.checker.lives,
            first: ToChecker::Configure {
                balancer: Box::new(balancer),
                resume: self.memory.checkers(),
                quorums: self.memory.quorums(),
                replaces: self.checker.lives > 1,
                keep_table: self.options.keep_ipvs,
            },
            beat: heartbeat::SLOW,
            supervisor: myself.clone(),
            memory: self.memory.clone(),
            herald: self.herald.clone(),
        };
        match Actor::spawn_linked(None, Child::<super::speech::Checker>::new(), arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.restarts.started(NAME, &actor.get_cell(), Instant::now());
                self.checker.child = Some(Living { actor, life: self.checker.lives, running: false, role });
                for instance in self.memory.masters() {
                    self.checker.post(ToChecker::Master { instance, master: true });
                }
                for (name, up) in self.sessions_for(|session| session.tells_checkers) {
                    self.checker.post(ToChecker::Session(SessionReads { name, up, at: clock::now() }));
                }
            }
            Err(error) => {
                let restart = self.restarts.not_started(NAME, &error.to_string(), Instant::now());
                tracing::error!("cannot start the checker child process: {error}; trying again in {} s", restart.after.as_secs_f64());
                myself.send_after(restart.after, || Msg::StartChecker);
            }
        }
    }

    /// The process exists: its pid file stands.
    pub(super) fn checker_started(&mut self, pid: u32) {
        tracing::info!("Starting Healthcheck child process, pid={pid}");
        write_pid(&mut self.checker.pid_file, &self.pid_paths.checkers, pid);
        self.stands();
    }

    pub(super) fn checker_said(&mut self, myself: &ActorRef<Msg>, life: u64, what: CheckerSaid) {
        let Some(child) = self.checker.child.as_mut().filter(|child| child.life == life) else { return };
        match what {
            CheckerSaid::Hello(PROTOCOL) => {}
            CheckerSaid::Hello(other) => {
                tracing::error!("the checker child speaks protocol {other}, this supervisor {PROTOCOL}: the executables do not match");
                self.stop(myself, crate::process::EXIT_SOFTWARE);
            }
            CheckerSaid::Running => {
                child.running = true;
                self.say_files();
                self.keep_record();
                self.is_ready();
                tuning::give_back_memory();
                self.reload_if_asked(myself);
            }
            CheckerSaid::TableStands => self.table_stands(),
            CheckerSaid::Reloaded => {
                tracing::debug!("the checker child has reloaded");
                self.say_files();
                self.balanced(myself);
            }
            CheckerSaid::Dumped(text) => {
                let path = paths::checker_dump_path(&self.options, &self.config.global);
                self.put(&path, &format!("{}{text}", self.global_text()));
            }
        }
    }

    /// Whether instances that were never told of have to wait: a master without servers refuses its clients.
    pub(super) fn awaits_table(&self) -> bool {
        self.wants_checker() && !self.config.lvs.servers.is_empty() && !self.checker.table_stands
    }

    fn table_stands(&mut self) {
        self.checker.table_stands = true;
        self.begin();
    }

    /// The addresses may be there for something else too: they do not wait for ever.
    pub(super) fn table_deadline(&mut self) {
        if self.is_held() {
            tracing::warn!("the IPVS table is not complete after {} s: VRRP starts without it", TABLE_PATIENCE.as_secs());
            self.table_stands();
        }
    }

    /// Somebody new listens to what tracked files read.
    fn say_files(&mut self) {
        let mut checkers = self.config.lvs.servers.iter().flat_map(|server| &server.real_servers).flat_map(|real| &real.checkers);
        self.checker.reads_files = checkers.any(|checker| matches!(checker.kind, Kind::File(_)));
        if self.checker.reads_files {
            self.observer.say_all();
        }
    }

    /// An instance is master, or not any more.
    pub(super) fn checker_hears_of(&self, instance: String, master: bool) {
        self.checker.post(ToChecker::Master { instance, master });
    }

    /// A tracked file has another number.
    pub(super) fn checker_hears_of_file(&self, name: &str, value: i64) {
        if self.checker.reads_files {
            self.checker.post(ToChecker::FileReads { name: name.to_owned(), value });
        }
    }

    /// A BFD session is up, or not.
    pub(super) fn checker_hears_of_session(&self, reads: SessionReads) {
        self.checker.post(ToChecker::Session(reads));
    }

    /// The script of a `MISC_CHECK` ended.
    pub(super) fn checker_script_ended(&self, checker: CheckerId, outcome: ScriptOutcome) {
        self.checker.post(ToChecker::ScriptEnded { checker, outcome });
    }

    pub(super) fn checker_dump(&self) {
        self.checker.post(ToChecker::Dump);
    }

    /// A reload is done for the supervisor: the checker child gets what is new for it. Whether it will answer that it took it up.
    pub(super) fn reload_checker(&mut self, myself: &ActorRef<Msg>) -> bool {
        let wanted = self.wants_checker();
        let mut balancer = self.balancer();
        balancer.share_with(&self.checker.told);
        self.memory.carry_checkers(&self.checker.told, &balancer);
        self.config.lvs.share_with(&balancer);
        let Some(child) = &self.checker.child else {
            if wanted {
                let _ = myself.cast(Msg::StartChecker);
            }
            return false;
        };
        if !wanted {
            self.checker.retires = true;
            // What goes is told of as what a reload takes away.
            let changes = Changes::between(&self.checker.told, &Balancer::default());
            self.checker.post(ToChecker::Reload(Box::new(changes)));
            self.checker.post(ToChecker::Stop);
        } else if child.role == RoleName::Checker && role(&self.config.lvs) == RoleName::CheckerRaw {
            tracing::info!("the new checks need other capabilities: the checker child is replaced");
            self.checker.retires = true;
            self.checker.post(ToChecker::Retire);
        } else if self.checker.told != balancer {
            let changes = Changes::between(&self.checker.told, &balancer);
            self.checker.told = balancer;
            self.checker.post(ToChecker::Reload(Box::new(changes)));
            return true;
        }
        false
    }

    /// The child's process ended.
    pub(super) fn checker_ended(&mut self, myself: &ActorRef<Msg>, died: Option<&Died>, restart: &Restart) {
        self.checker.child = None;
        self.balanced(myself);
        if self.stopping {
            self.tell_stop_time(died);
            self.end_if_alone(myself);
        } else if std::mem::take(&mut self.checker.retires) {
            self.restarts.forget(NAME);
            let _ = myself.cast(Msg::StartChecker);
        } else {
            self.replace(myself, died, restart, "Healthcheck", || Msg::StartChecker);
        }
    }

    pub(super) fn stop_checker(&self) {
        self.checker.post(ToChecker::Stop);
    }

    /// Ends the child the hard way.
    pub(super) fn kill_checker(&self, reason: &'static str) {
        if let Some(child) = &self.checker.child {
            tracing::error!("checker child process is killed: {reason}");
            let _ = child.actor.cast(child::Msg::Kill(reason));
        }
    }
}

/// The original loads the kernel's module when it is not there; the child that follows could not.
async fn load_module() {
    if Path::new("/proc/net/ip_vs").exists() || !crate::sys::privileges::is_root() {
        return;
    }
    let program = std::fs::read_to_string("/proc/sys/kernel/modprobe").unwrap_or_default();
    let program = program.trim();
    if !program.starts_with('/') {
        return;
    }
    let output = tokio::process::Command::new(program).args(["-s", "-k", "--", "ip_vs"]).env_clear().output();
    match tokio::time::timeout(Duration::from_secs(5), output).await {
        Ok(Ok(output)) if output.status.success() => tracing::debug!("loaded the kernel module ip_vs"),
        Ok(Ok(_) | Err(_)) | Err(_) => tracing::debug!("cannot load the kernel module ip_vs with {program}"),
    }
}
