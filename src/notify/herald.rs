//! The herald: one task beside the supervisor that runs checks and notify scripts and writes FIFOs.

use super::asked::Asked;
use super::balancer::{Balanced, letter as balancer_letter};
use super::fifos::{Fifos, Reader};
use super::queue::{Batch, Queue, Step};
use super::telling::{Letter, Script, telling};
use crate::config::model::Config;
use crate::ipc::messages::CheckerId;
use crate::lvs;
use crate::script::policy::Approved;
use crate::script::runner::Runner;
use crate::script::table::Table;
use crate::sys::clock;
use crate::types::{Command, Instant, ScriptOutcome};
use crate::vrrp::event::State;
use crate::vrrp::notify::{Happened, Notice, Subject};
use crate::vrrp::trackers::script::ScriptCheck;
use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Whose run it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Tag {
    /// A `vrrp_script`, by the number of its name.
    Check(u32),
    /// A notify script: the number of its subject, and which of the scripts of one event.
    Notify(u32, u8),
    /// A `MISC_CHECK`, by the number of its name.
    Server(u32),
    /// The reader of a FIFO, by its place.
    Reader(u8),
}

enum Msg {
    Configure(Box<(Config, Table)>),
    Check(String),
    CheckServer(CheckerId),
    Notice(Notice),
    Balanced(lvs::notice::Notice),
    Finish(oneshot::Sender<()>),
}

/// What the herald gives back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// A check ended so.
    Checked {
        /// The `vrrp_script`'s name.
        name: String,
        /// How.
        outcome: ScriptOutcome,
    },
    /// A `MISC_CHECK`'s script ended so.
    ServerChecked {
        /// Which.
        checker: CheckerId,
        /// How.
        outcome: ScriptOutcome,
    },
    /// To be mailed.
    Letter(Letter),
}

/// Speaks to the herald; never waits.
#[derive(Clone, Debug)]
pub struct Herald(mpsc::UnboundedSender<Msg>);

impl Herald {
    /// Starts the herald's task in the running tokio runtime; what it has to say goes to `reports`.
    ///
    /// # Errors
    /// No /dev/null.
    pub fn start(reports: mpsc::UnboundedSender<Report>) -> io::Result<Self> {
        let (sender, inbox) = mpsc::unbounded_channel();
        let court = Court {
            config: Config::default(),
            table: Table::default(),
            asked: Asked::default(),
            retired_table: Table::default(),
            runner: Runner::new()?,
            numbers: HashMap::new(),
            names: Vec::new(),
            queues: HashMap::new(),
            last: HashMap::new(),
            fifos: Fifos::default(),
            told_not_started: HashMap::new(),
            balanced: Balanced::default(),
            retired_balanced: Balanced::default(),
            checking: HashMap::new(),
            reports,
        };
        tokio::spawn(court.serve(inbox));
        Ok(Self(sender))
    }

    /// From now on this configuration counts, with the scripts in it that may run.
    pub fn configure(&self, config: Config, table: Table) {
        let _ = self.0.send(Msg::Configure(Box::new((config, table))));
    }

    /// Runs the `vrrp_script` of that name once.
    pub fn check(&self, name: String) {
        let _ = self.0.send(Msg::Check(name));
    }

    /// Runs the script of this `MISC_CHECK` once.
    pub fn check_server(&self, checker: CheckerId) {
        let _ = self.0.send(Msg::CheckServer(checker));
    }

    /// Something happened to a server of the balancer.
    pub fn balancer_notice(&self, notice: lvs::notice::Notice) {
        let _ = self.0.send(Msg::Balanced(notice));
    }

    /// Something happened.
    pub fn notice(&self, notice: Notice) {
        let _ = self.0.send(Msg::Notice(notice));
    }

    /// Waits until every notify script has ended, `patience` at most; FIFOs are gone afterwards.
    pub async fn finish(&self, patience: Duration) {
        let (done, finished) = oneshot::channel();
        if self.0.send(Msg::Finish(done)).is_ok() {
            let _ = tokio::time::timeout(patience, finished).await;
        }
    }
}

/// Everything the herald keeps.
struct Court {
    config: Config,
    table: Table,
    /// What subjects asked for.
    asked: Asked,
    /// The scripts that might run before the last reload, for those who have their last word after it.
    retired_table: Table,
    runner: Runner<Tag>,
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    queues: HashMap<u32, Queue<Script>>,
    /// The last state told of each subject.
    last: HashMap<Subject, Happened>,
    fifos: Fifos,
    /// Why a script could not be started, the last time: said once.
    told_not_started: HashMap<String, String>,
    /// What servers of the balancer asked for; and before the last reload.
    balanced: Balanced,
    retired_balanced: Balanced,
    /// Servers whose scripts run, by the number of their name.
    checking: HashMap<u32, CheckerId>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Court {
    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Msg>) {
        let mut finishing: Option<oneshot::Sender<()>> = None;
        loop {
            let deadline = self.queues.values().filter_map(Queue::deadline).min();
            tokio::select! {
                biased;
                (tag, outcome) = self.runner.next() => self.ended(tag, outcome),
                () = reached(deadline) => self.deadline_reached(),
                message = inbox.recv() => match message {
                    Some(Msg::Configure(both)) => self.configure(*both),
                    Some(Msg::Check(name)) => self.check(name),
                    Some(Msg::CheckServer(checker)) => self.check_server(&checker),
                    Some(Msg::Balanced(notice)) => self.balancer_notice(&notice),
                    Some(Msg::Notice(notice)) => self.notice(&notice),
                    Some(Msg::Finish(done)) => finishing = Some(done),
                    None => return,
                },
            }
            if self.queues.values().all(Queue::is_idle)
                && let Some(done) = finishing.take()
            {
                self.close();
                let _ = done.send(());
                return;
            }
        }
    }

    fn configure(&mut self, (config, table): (Config, Table)) {
        self.config = config;
        self.retired_table = std::mem::replace(&mut self.table, table);
        self.asked.replace(&self.config);
        self.retired_balanced = std::mem::replace(&mut self.balanced, Balanced::of(&self.config.lvs));
        for Reader { place, runs } in self.fifos.settle(&self.config.global.fifos) {
            self.runner.stop(&Tag::Reader(place));
            if let Some((command, path)) = runs
                && let Some(script) = self.table.get(&command).map(Arc::clone)
            {
                self.runner.run(Tag::Reader(place), &script, &[path], None);
            }
        }
        if self.config.global.fifos.states_on_reload {
            self.say_states_again();
        }
    }

    fn say_states_again(&mut self) {
        let states: Vec<(Subject, Happened)> = self.last.iter().map(|(subject, state)| (subject.clone(), *state)).collect();
        for (subject, happened) in states {
            let priority = match &subject {
                Subject::Instance(name) => {
                    let instance = self.config.instances.iter().find(|instance| instance.name == *name);
                    match instance {
                        Some(instance) => Some(instance.priority),
                        None => continue,
                    }
                }
                Subject::Group(_) => None,
            };
            if let Some(line) = telling(&Notice { subject, happened, priority }, None, true).line {
                self.fifos.write_vrrp(&line);
            }
        }
    }

    /// Runs a check, when it is one of the configuration's.
    fn check(&mut self, name: String) {
        let check: Option<Arc<ScriptCheck>> = self.config.watched.scripts.iter().find(|check| check.name == name).map(Arc::clone);
        let script = check.as_ref().and_then(|check| self.table.get(&check.command)).map(Arc::clone);
        let (Some(check), Some(script)) = (check, script) else {
            let outcome = ScriptOutcome::NotStarted("it is no script of the configuration".to_owned());
            let _ = self.reports.send(Report::Checked { name, outcome });
            return;
        };
        let tag = Tag::Check(self.number(&name));
        if !self.runner.run(tag, &script, &[], Some(check.timeout)) {
            let _ = self.reports.send(Report::Checked { name, outcome: ScriptOutcome::StillRunning });
        }
    }

    /// The same for a `MISC_CHECK`.
    fn check_server(&mut self, checker: &CheckerId) {
        let found = self.balanced.check(checker);
        let script = found.as_ref().and_then(|(command, _)| self.table.get(command)).map(Arc::clone);
        let (Some((_, timeout)), Some(script)) = (found, script) else {
            let outcome = ScriptOutcome::NotStarted("it is no script of the configuration".to_owned());
            let _ = self.reports.send(Report::ServerChecked { checker: checker.clone(), outcome });
            return;
        };
        let number = self.number(&format!("{} {} {} {}", checker.service, checker.server.0, checker.server.1, checker.place));
        self.checking.insert(number, checker.clone());
        if !self.runner.run(Tag::Server(number), &script, &[], Some(timeout)) {
            let _ = self.reports.send(Report::ServerChecked { checker: checker.clone(), outcome: ScriptOutcome::StillRunning });
        }
    }

    /// A real server or a quorum came or went: the line first, as nothing delays it.
    fn balancer_notice(&mut self, notice: &lvs::notice::Notice) {
        if let Some(line) = notice.fifo_line() {
            self.fifos.write_lvs(&line);
        }
        let told = self.balanced.told(notice).or_else(|| self.retired_balanced.told(notice));
        let Some((name, script, mail)) = told else { return };
        if mail && let Some(letter) = balancer_letter(notice, self.config.global.mail.only_server_changes) {
            let _ = self.reports.send(Report::Letter(letter));
        }
        let Some(command) = script.filter(|command| self.approved(command).is_some()) else { return };
        let subject = self.number(&name);
        let batch = Batch { scripts: vec![Script { command, more: Vec::new() }], is_state: true };
        let step = self.queues.entry(subject).or_default().push(clock::now(), batch);
        self.step(subject, step);
    }

    fn notice(&mut self, notice: &Notice) {
        if let state @ (Happened::Entered(_) | Happened::Deleted) = notice.happened {
            // A process that took up where its predecessor was killed is no news.
            if self.last.get(&notice.subject) == Some(&state) {
                return;
            }
            self.last.insert(notice.subject.clone(), state);
        }
        let told = telling(notice, self.asked.of(&notice.subject), self.config.global.mail.no_faults);
        if let Some(line) = &told.line {
            self.fifos.write_vrrp(line);
        }
        if let Some(letter) = told.letter {
            let _ = self.reports.send(Report::Letter(letter));
        }
        let is_state = matches!(notice.happened, Happened::Entered(_) | Happened::Deleted);
        let scripts: Vec<Script> = told.scripts.into_iter().filter(|script| self.approved(&script.command).is_some()).collect();
        if !scripts.is_empty() {
            let subject = self.number(&format!("{} {}", notice.subject.word(), notice.subject.name()));
            let step = self.queues.entry(subject).or_default().push(clock::now(), Batch { scripts, is_state });
            self.step(subject, step);
        }
        if matches!(notice.happened, Happened::Deleted | Happened::Entered(State::Stopped)) {
            self.last.remove(&notice.subject);
        }
    }

    fn approved(&self, command: &Command) -> Option<Arc<Approved>> {
        self.table.get(command).or_else(|| self.retired_table.get(command)).map(Arc::clone)
    }

    fn step(&mut self, subject: u32, step: Step<Script>) {
        match step {
            Step::Wait => {}
            Step::Start(scripts) => {
                for (place, script) in (0_u8..).zip(scripts) {
                    self.run(Tag::Notify(subject, place), subject, &script);
                }
            }
            Step::EndOld => {
                let name = self.names.get(subject as usize).map_or("", String::as_str);
                tracing::warn!("{name}: a notify script still runs while a newer state waits to be told: ending it");
                let old: Vec<Tag> =
                    self.runner.running().filter(|tag| matches!(tag, Tag::Notify(of, _) if *of == subject)).copied().collect();
                for tag in old {
                    self.runner.stop(&tag);
                }
            }
        }
    }

    fn run(&mut self, tag: Tag, subject: u32, script: &Script) {
        let approved = self.approved(&script.command);
        let more: Vec<CString> = script.more.iter().filter_map(|word| CString::new(word.as_str()).ok()).collect();
        // A reload may have refused it while it waited.
        let runs = approved.is_some_and(|approved| self.runner.run(tag, &approved, &more, None));
        if !runs {
            let step = self.queues.entry(subject).or_default().ended(clock::now());
            self.step(subject, step);
        }
    }

    fn ended(&mut self, tag: Tag, outcome: ScriptOutcome) {
        match tag {
            Tag::Check(number) => {
                if let Some(name) = self.names.get(number as usize).cloned() {
                    let _ = self.reports.send(Report::Checked { name, outcome });
                }
            }
            Tag::Server(number) => {
                if let Some(checker) = self.checking.remove(&number) {
                    let _ = self.reports.send(Report::ServerChecked { checker, outcome });
                }
            }
            Tag::Notify(subject, _) => {
                self.say_failure(subject, &outcome);
                let step = self.queues.entry(subject).or_default().ended(clock::now());
                self.step(subject, step);
            }
            Tag::Reader(place) => {
                let name = Fifos::name(place);
                tracing::warn!("the script of {name} ended ({outcome}): nobody reads the fifo until a reload or restart");
            }
        }
    }

    fn say_failure(&mut self, subject: u32, outcome: &ScriptOutcome) {
        let name = self.names.get(subject as usize).map_or("", String::as_str);
        match outcome {
            ScriptOutcome::Exited(_) | ScriptOutcome::TimedOut | ScriptOutcome::StillRunning => {}
            ScriptOutcome::Signalled(signal) => tracing::warn!("{name}: a notify script ended by signal {signal}"),
            ScriptOutcome::NotStarted(why) => {
                if self.told_not_started.get(name) != Some(why) {
                    tracing::error!("{name}: a notify script could not be started: {why}");
                    self.told_not_started.insert(name.to_owned(), why.clone());
                }
            }
        }
    }

    fn deadline_reached(&mut self) {
        let now = clock::now();
        let due: Vec<u32> =
            self.queues.iter().filter(|(_, queue)| queue.deadline().is_some_and(|due| due <= now)).map(|(subject, _)| *subject).collect();
        for subject in due {
            if let Some(queue) = self.queues.get_mut(&subject) {
                let step = queue.deadline_reached(now);
                self.step(subject, step);
            }
        }
    }

    /// The number that stands for a name in tags.
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn close(&mut self) {
        for place in Fifos::places() {
            self.runner.stop(&Tag::Reader(place));
        }
        self.fifos = Fifos::default();
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(clock::now())).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "herald_tests.rs"]
mod tests;
