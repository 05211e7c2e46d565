//! The supervisor: starts the children, replaces dead ones, obeys signals, reloads, writes files.

mod bfd;
mod checker;
mod child;
mod dump;
mod heartbeat;
mod life;
mod memory;

mod once;
mod planned;
mod postman;
mod reload;
mod signals;
mod speech;
mod systemd;

use super::EXIT_FATAL;
use super::cli::Options;
use super::paths::PidPaths;
use super::roles::RoleName;
use super::running::Record;
use super::scripts;
use crate::actor::{Backoff, Restarts};
use crate::config::model::{Config, OnceScript};
use crate::ipc::messages::{CheckerId, Dump, PROTOCOL, SessionReads, ToVrrp};
use crate::notify::herald::{Herald, Report};
use crate::script::observer::{Observer, Seen, Tracked};
use crate::script::table::Table;
use crate::sys::log;
use crate::sys::pidfile::PidFile;
use crate::sys::privileges::RunAs;
use crate::sys::process::Report as Outcome;
use crate::types::ScriptOutcome;
use crate::vrrp::notify::Notice;
use memory::Memory;
use once::once;
use planned::Planned;
use postman::Postman;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use reload::Reload;
use signals::listen_to_signals;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};
use systemd::Systemd;
use tokio::sync::{mpsc, watch};

/// Changes of state are gathered this long before the status line is told anew.
const STATUS_PAUSE: Duration = Duration::from_millis(20);

/// At the end the scripts of the last notices get this long, as in the original.
const LAST_NOTICES: Duration = Duration::from_secs(1);

/// All the supervisor starts with.
pub(super) struct Setup {
    /// Command line as given: the children get the same.
    pub(super) arguments: Vec<String>,
    /// The same, understood.
    pub(super) options: Options,
    /// Read and fit to run.
    pub(super) config: Config,
    /// Where the pid files are; for messages.
    pub(super) pid_paths: PidPaths,
    /// Ours, locked.
    pub(super) pid_file: PidFile,
    /// The VRRP child's, locked by us.
    pub(super) vrrp_pid_file: Option<PidFile>,
    /// The checker child's, locked by us.
    pub(super) checkers_pid_file: Option<PidFile>,
    /// The BFD child's, locked by us.
    pub(super) bfd_pid_file: Option<PidFile>,
    /// As whom children run.
    pub(super) run_as: RunAs,
    /// Whoever waits for the daemon to stand.
    pub(super) report: Option<Outcome>,
    /// For process events, of the network namespace in which we were started.
    pub(super) connector: Option<OwnedFd>,
    /// The network namespace with the balancer's table, when it is another one.
    pub(super) balancer: Option<OwnedFd>,
}

/// To the supervisor.
#[derive(Debug)]
pub(super) enum Msg {
    /// A signal arrived, from this process and user when the kernel knows.
    Signal { number: i32, sender: Option<(i32, u32)> },
    /// Start the VRRP child.
    Start,
    /// The process exists.
    Started { role: RoleName, pid: u32 },
    /// Start the checker child.
    StartChecker,
    /// The checker child of this life says.
    CheckerSaid { life: u64, what: checker::CheckerSaid },
    /// Start the BFD child.
    StartBfd,
    /// The BFD child of this life says.
    BfdSaid { life: u64, what: bfd::BfdSaid },
    /// A BFD session came up, or went down.
    SessionChanged(SessionReads),
    /// Nobody has watched the sessions since the BFD child of this life died.
    BfdAbsent { life: u64 },
    /// The child of this life says.
    Said { life: u64, what: ChildSaid },
    /// An instance is in another state.
    StateChanged { instance: String, master: bool },
    /// Tell the service manager who is what.
    TellStatus,
    /// Tell the service manager that we live.
    Watchdog,
    /// The balancer's table takes too long.
    TableDeadline,
    /// A stop takes too long.
    StopDeadline,
    /// A reload takes too long.
    ReloadDeadline(u64),
    /// A check ended so.
    Checked { name: String, outcome: ScriptOutcome },
    /// The same of a real server's checker.
    ServerChecked { checker: CheckerId, outcome: ScriptOutcome },
    /// Look whether a planned reload is due.
    LookAtPlan,
    /// A tracked file or process is other than it was.
    Seen(Seen),
}

/// What a child says that concerns the supervisor.
#[derive(Debug)]
pub(super) enum ChildSaid {
    Hello(u32),
    Running,
    Prepared(u64),
    Refused(u64, Vec<String>),
    Committed(u64),
    Dumped(Dump, String),
    RunScript(String),
    Notice(Notice),
}

/// Runs until it is told to stop, or must; the exit status.
pub(super) fn run(setup: Setup) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            return EXIT_FATAL;
        }
    };
    runtime.block_on(async {
        tokio::spawn(log::flusher());
        let exit = Arc::new(AtomicU8::new(super::EXIT_SOFTWARE));
        let (sender, reports) = mpsc::unbounded_channel();
        let herald = match Herald::start(sender) {
            Ok(herald) => herald,
            Err(error) => {
                tracing::error!("scripts cannot run: {error}");
                return EXIT_FATAL;
            }
        };
        let table = scripts::table(&setup.config, setup.run_as);
        herald.configure(setup.config.clone(), table.clone());
        once("startup script", &setup.config.global.startup, &table).await;
        let (farewell, last) = watch::channel((setup.config.global.shutdown.clone(), table));
        let postman = Postman::start();
        match Actor::spawn(None, Supervisor, (setup, herald.clone(), postman.clone(), farewell, exit.clone())).await {
            Ok((supervisor, end)) => {
                let forwarding = tokio::spawn(forward(reports, supervisor, postman.clone()));
                let _ = end.await;
                herald.finish(LAST_NOTICES).await;
                // The herald is gone; what it said last is on its way.
                let _ = tokio::time::timeout(LAST_NOTICES, forwarding).await;
                postman.finish(LAST_NOTICES).await;
            }
            Err(error) => tracing::error!("cannot start the supervisor: {error}"),
        }
        let (shutdown, table) = last.borrow().clone();
        once("shutdown script", &shutdown, &table).await;
        exit.load(Ordering::Relaxed)
    })
}

/// What the herald reports becomes messages; letters also after the supervisor's end.
async fn forward(mut reports: mpsc::UnboundedReceiver<Report>, supervisor: ActorRef<Msg>, postman: Postman) {
    while let Some(report) = reports.recv().await {
        match report {
            Report::Checked { name, outcome } => {
                let _ = supervisor.cast(Msg::Checked { name, outcome });
            }
            Report::ServerChecked { checker, outcome } => {
                let _ = supervisor.cast(Msg::ServerChecked { checker, outcome });
            }
            Report::Letter(letter) => postman.letter(letter),
        }
    }
}

struct Supervisor;

/// What runs when all is over, as configured last.
type Farewell = watch::Sender<(OnceScript, Table)>;

/// The child that lives now.
struct ChildRef {
    actor: ActorRef<child::Msg<ToVrrp>>,
    life: u64,
    running: bool,
    /// Its instances wait for the balancer's table.
    held: bool,
}

struct State {
    record: Record,
    /// The record says what runs.
    recorded: bool,
    arguments: Vec<String>,
    options: Options,
    config: Config,
    pid_paths: PidPaths,
    vrrp_pid_file: Option<PidFile>,
    balancer: Option<OwnedFd>,
    run_as: RunAs,
    report: Option<Outcome>,
    memory: Memory,
    systemd: Systemd,
    restarts: Restarts,
    child: Option<ChildRef>,
    checker: checker::Checker,
    bfd: bfd::Bfd,
    lives: u64,
    herald: Herald,
    postman: Postman,
    farewell: Farewell,
    observer: Observer,
    reload: Reload,
    planned: Planned,
    status_pending: bool,
    ready: bool,
    stopping: bool,
    exit: Arc<AtomicU8>,
    _pid_file: PidFile,
}

impl Actor for Supervisor {
    type Msg = Msg;
    type State = State;
    type Arguments = (Setup, Herald, Postman, Farewell, Arc<AtomicU8>);

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        (setup, herald, postman, farewell, exit): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        // Whoever reads the pid may send a signal at once.
        listen_to_signals(&myself, setup.options.ignore_sigint)?;
        setup.pid_file.write(std::process::id())?;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let observer = Observer::start(sender, setup.connector);
        observer.observe(tracked(&setup.config));
        let supervisor = myself.clone();
        tokio::spawn(async move {
            while let Some(seen) = seen.recv().await {
                let _ = supervisor.cast(Msg::Seen(seen));
            }
        });
        let systemd = Systemd::new();
        if let Some(period) = systemd.watchdog_period() {
            myself.send_interval(period, || Msg::Watchdog);
        }
        myself.cast(Msg::StartChecker)?;
        myself.cast(Msg::Start)?;
        myself.cast(Msg::StartBfd)?;
        let mut state = State {
            record: Record::new(&setup.pid_paths.supervisor),
            recorded: false,
            arguments: setup.arguments,
            options: setup.options,
            config: setup.config,
            pid_paths: setup.pid_paths,
            vrrp_pid_file: setup.vrrp_pid_file,
            balancer: setup.balancer,
            run_as: setup.run_as,
            report: setup.report,
            memory: Memory::new(),
            systemd,
            restarts: Restarts::new(Backoff::process()),
            child: None,
            checker: checker::Checker::new(setup.checkers_pid_file),
            bfd: bfd::Bfd::new(setup.bfd_pid_file),
            lives: 0,
            herald,
            postman,
            farewell,
            observer,
            reload: Reload::default(),
            planned: Planned::default(),
            status_pending: false,
            ready: false,
            stopping: false,
            exit,
            _pid_file: setup.pid_file,
        };
        state.watch_for_planned_reloads(&myself);
        state.instruct_postman();
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Msg>, message: Msg, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::Signal { number, sender } => state.signal(&myself, number, sender),
            Msg::Start => state.start(&myself).await,
            Msg::Started { role: RoleName::Vrrp, pid } => state.started(pid),
            Msg::Started { role: RoleName::Checker | RoleName::CheckerRaw, pid } => state.checker_started(pid),
            Msg::Started { role: RoleName::Bfd, pid } => state.bfd_started(pid),
            // The postman starts its own.
            Msg::Started { role: RoleName::Mail, .. } => {}
            Msg::StartChecker => state.start_checker(&myself).await,
            Msg::StartBfd => state.start_bfd(&myself).await,
            Msg::BfdSaid { life, what } => state.bfd_said(&myself, life, what),
            Msg::SessionChanged(reads) => state.session_changed(reads),
            Msg::BfdAbsent { life } => state.bfd_absent(life),
            Msg::CheckerSaid { life, what } => state.checker_said(&myself, life, what),
            Msg::Said { life, what } => {
                // What a dead child said last arrives after its death: only of the living one it means anything.
                if state.child.as_ref().is_some_and(|child| child.life == life) {
                    state.said(&myself, what);
                }
            }
            Msg::StateChanged { instance, master } => {
                state.checker_hears_of(instance, master);
                if !std::mem::replace(&mut state.status_pending, true) {
                    myself.send_after(STATUS_PAUSE, || Msg::TellStatus);
                }
            }
            Msg::TellStatus => {
                state.status_pending = false;
                state.tell_status();
            }
            Msg::Watchdog => state.watchdog(),
            Msg::TableDeadline => state.table_deadline(),
            Msg::StopDeadline => {
                state.kill_child("it did not stop in time");
                state.kill_checker("it did not stop in time");
                state.kill_bfd("it did not stop in time");
            }
            Msg::ReloadDeadline(generation) => state.reload_deadline(&myself, generation),
            Msg::Checked { name, outcome } => state.post(ToVrrp::ScriptEnded { name, outcome }),
            Msg::ServerChecked { checker, outcome } => state.checker_script_ended(checker, outcome),
            Msg::LookAtPlan => state.look_at_plan(&myself),
            Msg::Seen(seen) => state.seen(seen),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Msg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.child_event(&myself, &event);
        Ok(())
    }
}

impl State {
    /// From when on a configuration plans reloads, first or later.
    fn watch_for_planned_reloads(&mut self, myself: &ActorRef<Msg>) {
        if self.config.global.reload_time_file.is_some() && !self.planned.is_watched() {
            myself.send_interval(planned::PERIOD, || Msg::LookAtPlan);
        }
    }

    fn look_at_plan(&mut self, myself: &ActorRef<Msg>) {
        let global = &self.config.global;
        let Some(path) = &global.reload_time_file else { return };
        if self.planned.due(Path::new(path), global.reload_repeat, SystemTime::now()) {
            self.reload(myself);
        }
    }

    fn said(&mut self, myself: &ActorRef<Msg>, what: ChildSaid) {
        match what {
            ChildSaid::Hello(PROTOCOL) => {
                self.stands();
                self.observer.say_all();
            }
            ChildSaid::Hello(other) => {
                tracing::error!("the VRRP child speaks protocol {other}, this supervisor {PROTOCOL}: the executables do not match");
                self.stop(myself, super::EXIT_SOFTWARE);
            }
            ChildSaid::Running => self.running(myself),
            ChildSaid::Prepared(generation) => self.prepared(generation),
            ChildSaid::Refused(generation, reasons) => self.refused(myself, generation, &reasons),
            ChildSaid::Committed(generation) => self.committed(myself, generation),
            ChildSaid::Dumped(dump, text) => self.write_dump(dump, &text),
            ChildSaid::RunScript(name) => self.herald.check(name),
            ChildSaid::Notice(notice) => self.herald.notice(notice),
        }
    }

    fn seen(&self, seen: Seen) {
        self.post(match seen {
            Seen::File { name, value } => {
                self.checker_hears_of_file(&name, value);
                ToVrrp::FileReads { name, value }
            }
            Seen::Processes { name, count } => ToVrrp::ProcessCount { name, count },
        });
    }

    /// The configuration that counts from now on, for everybody beside the child.
    fn take_up(&mut self, config: Config, table: Table) {
        self.config = config;
        self.recorded = false;
        self.farewell.send_replace((self.config.global.shutdown.clone(), table.clone()));
        self.herald.configure(self.config.clone(), table);
        self.instruct_postman();
        self.observer.observe(tracked(&self.config));
    }

    /// What runs stands in its file.
    fn keep_record(&mut self) {
        if !std::mem::replace(&mut self.recorded, true) {
            self.record.write(&self.options, &self.config, scripts::unprivileged(self.run_as));
        }
    }

    /// To the living child, if there is one.
    fn post(&self, message: ToVrrp) {
        if let Some(child) = &self.child {
            let _ = child.actor.cast(child::Msg::Post(Box::new(message)));
        }
    }

    fn tell_status(&self) {
        self.systemd.status(&self.memory.summary());
    }

    /// Says that we live only while the child answers: a service manager that hears nothing starts us anew.
    fn watchdog(&self) {
        let Some(period) = self.systemd.watchdog_period() else { return };
        if !self.wants_child() || self.memory.silence() < period.max(heartbeat::SLOW * 2) {
            self.systemd.alive();
        }
    }

    fn wants_child(&self) -> bool {
        wants_child(&self.options, &self.config)
    }
}

/// What the observer is to look at.
fn tracked(config: &Config) -> Tracked {
    let watched = &config.watched;
    Tracked { files: watched.files.clone(), processes: watched.processes.clone(), process_buffer: config.global.process_buffer }
}

/// Whether the checker child has something to do.
pub(super) fn wants_checker(options: &Options, config: &Config) -> bool {
    if !options.wants_checker() {
        // `-P`: connection synchronisation is VRRP's matter, whoever fills the table.
        return config.lvs.sync.is_some();
    }
    options.all || !config.lvs.is_idle()
}

/// Whether the BFD child has something to do.
pub(super) fn wants_bfd(options: &Options, config: &Config) -> bool {
    !options.no_bfd && (options.all || !config.bfd.is_empty())
}

/// Whether the VRRP child has something to do.
pub(super) fn wants_child(options: &Options, config: &Config) -> bool {
    options.wants_vrrp() && (options.all || !config.instances.is_empty() || config.global.vrrp.keeps_something())
}
