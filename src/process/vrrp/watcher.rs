//! Scripts, files, processes and BFD sessions that instances track: when to ask for a run, and what everything reads now.

use super::messages::{InstanceMsg, RootMsg, WatcherMsg};
use super::shared::{Shared, lock};
use crate::actor::Alarm;
use crate::config::model::Watched;
use crate::ipc::messages::FromVrrp;
use crate::sys::clock;
use crate::vrrp::track::Reading;
use crate::vrrp::trackers::process::ProcessWatch;
use crate::vrrp::trackers::script::{Fact, Order, ScriptWatch};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::HashMap;
use std::sync::Arc;

/// What every tracked object reads now; absent: nothing is known yet.
#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) scripts: HashMap<String, Reading>,
    pub(super) files: HashMap<String, Reading>,
    pub(super) processes: HashMap<String, Reading>,
    pub(super) sessions: HashMap<String, Reading>,
}

pub(super) struct Watcher;

pub(super) struct WatcherArguments {
    pub(super) shared: Arc<Shared>,
    pub(super) watched: Watched,
    /// What a predecessor knew of scripts.
    pub(super) known: Vec<(String, bool)>,
}

pub(super) struct Watching {
    shared: Arc<Shared>,
    watched: Watched,
    scripts: HashMap<String, ScriptWatch>,
    processes: HashMap<String, ProcessWatch>,
    alarm: Alarm,
}

impl Actor for Watcher {
    type Msg = WatcherMsg;
    type State = Watching;
    type Arguments = WatcherArguments;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, arguments: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        let WatcherArguments { shared, watched, known } = arguments;
        let (scripts, processes) = (HashMap::new(), HashMap::new());
        let mut state = Watching { shared, watched: Watched::default(), scripts, processes, alarm: Alarm::default() };
        for (name, good) in known {
            let reading = if good { Reading::Up } else { Reading::Down };
            lock(&state.shared.readings).scripts.entry(name).or_insert(reading);
        }
        state.watch(watched);
        state.set_alarm(&myself);
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            WatcherMsg::Watch(watched) => state.watch(watched),
            WatcherMsg::Alarm => state.alarm(),
            WatcherMsg::ScriptEnded { name, outcome } => state.feed(&name, Fact::Ended(outcome)),
            WatcherMsg::FileReads { name, value } => state.file_reads(name, value),
            WatcherMsg::ProcessCount { name, count } => state.process_count(&name, count),
            WatcherMsg::Session { name, up } => state.session_reads(name, up),
            #[cfg(test)]
            WatcherMsg::Panic => std::panic::panic_any("asked to"),
        }
        state.set_alarm(&myself);
        Ok(())
    }
}

impl Watching {
    /// Takes up a set of tracked objects: what was watched before keeps what is known of it.
    fn watch(&mut self, watched: Watched) {
        let now = clock::now();
        let mut before = std::mem::take(&mut self.scripts);
        for check in &watched.scripts {
            let watch = match before.remove(&check.name) {
                Some(mut watch) if watch.check().command == check.command => {
                    if let Some(line) = watch.replace(Arc::clone(check), now) {
                        tracing::info!("{line}");
                    }
                    watch
                }
                Some(_) | None => {
                    let known = lock(&self.shared.readings).scripts.get(&check.name).copied();
                    ScriptWatch::resumed(Arc::clone(check), now, known)
                }
            };
            if let Some(reading) = watch.reading() {
                lock(&self.shared.readings).scripts.insert(check.name.clone(), reading);
            }
            self.scripts.insert(check.name.clone(), watch);
        }
        self.processes.retain(|name, watch| watched.processes.iter().any(|check| check.name == *name && check == watch.check()));
        self.forget_all_but(&watched);
        self.watched = watched;
        self.shared.instances.tell_all(|| InstanceMsg::ReadingsChanged);
    }

    fn forget_all_but(&self, watched: &Watched) {
        let mut readings = lock(&self.shared.readings);
        readings.scripts.retain(|name, _| watched.scripts.iter().any(|check| check.name == *name));
        readings.files.retain(|name, _| watched.files.iter().any(|check| check.name == *name));
        readings.processes.retain(|name, _| watched.processes.iter().any(|check| check.name == *name));
    }

    fn alarm(&mut self) {
        self.alarm.rang();
        let now = clock::now();
        let due: Vec<String> = self.scripts.iter().filter(|(_, watch)| watch.deadline() <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.feed(&name, Fact::DeadlineReached);
        }
        let mut changed = Vec::new();
        for (name, watch) in &mut self.processes {
            changed.extend(watch.deadline_reached(now).map(|reading| (name.clone(), reading)));
        }
        for (name, reading) in changed {
            self.process_reads(name, reading);
        }
    }

    fn feed(&mut self, name: &str, fact: Fact) {
        let Some(watch) = self.scripts.get_mut(name) else { return };
        for order in watch.handle(clock::now(), fact) {
            match order {
                Order::Run => self.shared.root.cast(RootMsg::Say(FromVrrp::RunScript { name: name.to_owned() })),
                Order::Say(line) => tracing::info!(script = name, "{line}"),
                Order::Tell(reading) => {
                    lock(&self.shared.readings).scripts.insert(name.to_owned(), reading);
                    let good = reading == Reading::Up;
                    self.shared.root.cast(RootMsg::Say(FromVrrp::ScriptReads { name: name.to_owned(), good }));
                    self.shared.instances.tell_all(|| InstanceMsg::ReadingsChanged);
                }
            }
        }
    }

    fn file_reads(&mut self, name: String, value: i64) {
        if !self.watched.files.iter().any(|check| check.name == name) {
            return;
        }
        let reading = Reading::Value(value);
        if lock(&self.shared.readings).files.insert(name.clone(), reading) != Some(reading) {
            tracing::debug!("track file {name} now reads {value}");
            self.shared.instances.tell_all(|| InstanceMsg::ReadingsChanged);
        }
    }

    fn session_reads(&self, name: String, up: bool) {
        let reading = if up { Reading::Up } else { Reading::Down };
        if lock(&self.shared.readings).sessions.insert(name, reading) != Some(reading) {
            self.shared.instances.tell_all(|| InstanceMsg::ReadingsChanged);
        }
    }

    fn process_count(&mut self, name: &str, count: u32) {
        if let Some(watch) = self.processes.get_mut(name) {
            if let Some(reading) = watch.counted(clock::now(), count) {
                self.process_reads(name.to_owned(), reading);
            }
        } else if let Some(check) = self.watched.processes.iter().find(|check| check.name == name) {
            let watch = ProcessWatch::new(Arc::clone(check), count);
            let reading = watch.reading();
            self.processes.insert(name.to_owned(), watch);
            self.process_reads(name.to_owned(), reading);
        }
    }

    fn process_reads(&mut self, name: String, reading: Reading) {
        let count = self.processes.get(&name).map_or(0, ProcessWatch::count);
        let what = if reading == Reading::Up { "Quorum gained" } else { "Quorum lost" };
        tracing::info!("{what} for tracked process {name} ({count} running)");
        lock(&self.shared.readings).processes.insert(name, reading);
        self.shared.instances.tell_all(|| InstanceMsg::ReadingsChanged);
    }

    fn set_alarm(&mut self, myself: &ActorRef<WatcherMsg>) {
        let processes = self.processes.values().filter_map(ProcessWatch::deadline);
        let earliest = self.scripts.values().map(ScriptWatch::deadline).chain(processes).min();
        self.alarm.set(earliest, myself, || WatcherMsg::Alarm);
    }
}
