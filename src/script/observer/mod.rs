//! Tracked files and processes: what is in them, how many there are, told whenever it changes.

mod files;
mod processes;

use crate::vrrp::trackers::file::FileCheck;
use crate::vrrp::trackers::process::ProcessCheck;
use files::Files;
use processes::Processes;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Between two looks at what the kernel does not tell of.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The number in a tracked file; 0 when there is none.
    File {
        /// The `track_file`'s name.
        name: String,
        /// The number.
        value: i64,
    },
    /// How many processes match.
    Processes {
        /// The `vrrp_track_process`'s name.
        name: String,
        /// How many.
        count: u32,
    },
}

/// What is tracked.
#[derive(Clone, Debug, Default)]
pub struct Tracked {
    /// `track_file`.
    pub files: Vec<Arc<FileCheck>>,
    /// `vrrp_track_process`.
    pub processes: Vec<Arc<ProcessCheck>>,
    /// `process_monitor_rcv_bufs`, bytes.
    pub process_buffer: Option<u32>,
}

enum Msg {
    Observe(Tracked),
    SayAll,
}

/// Speaks to the observer's task.
#[derive(Clone, Debug)]
pub struct Observer(mpsc::UnboundedSender<Msg>);

impl Observer {
    /// Starts the task in the running tokio runtime; what it sees goes to `seen`. `connector` is a
    /// [`crate::net::connector::socket`] that was made before another network namespace was joined.
    pub fn start(seen: mpsc::UnboundedSender<Seen>, connector: Option<OwnedFd>) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        let (files, processes) = (Files::new(seen.clone()), Processes::new(seen, connector));
        tokio::spawn(serve(files, processes, inbox));
        Self(sender)
    }

    /// These are tracked from now on. `init_file`s are written when they were not tracked before.
    pub fn observe(&self, tracked: Tracked) {
        let _ = self.0.send(Msg::Observe(tracked));
    }

    /// Says again what everything reads: somebody new listens.
    pub fn say_all(&self) {
        let _ = self.0.send(Msg::SayAll);
    }
}

async fn serve(mut files: Files, mut processes: Processes, mut inbox: mpsc::UnboundedReceiver<Msg>) {
    loop {
        tokio::select! {
            message = inbox.recv() => match message {
                Some(Msg::Observe(tracked)) => {
                    files.observe(tracked.files);
                    processes.observe(tracked.processes, tracked.process_buffer);
                }
                Some(Msg::SayAll) => {
                    files.say_all();
                    processes.say_all();
                }
                None => return,
            },
            () = files.follow() => {}
            () = processes.follow() => {}
        }
    }
}

/// Until then, or for ever.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::trackers::file::InitFile;
    use crate::vrrp::trackers::process::ParameterMatch;

    async fn until(seen: &mut mpsc::UnboundedReceiver<Seen>, wanted: &Seen) {
        let wait = async {
            while let Some(found) = seen.recv().await {
                if found == *wanted {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_is_followed_through_writing_replacing_and_removing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        let (sender, mut seen) = mpsc::unbounded_channel();
        let observer = Observer::start(sender, None);
        let init = Some(InitFile { value: 3, overwrite: false });
        observer.observe(Tracked { files: vec![Arc::new(FileCheck { name: "f".into(), path: path.clone(), init })], ..Tracked::default() });
        let file = |value| Seen::File { name: "f".into(), value };
        until(&mut seen, &file(3)).await;
        std::fs::write(&path, "-7\n").unwrap();
        until(&mut seen, &file(-7)).await;
        std::fs::write(folder.path().join("new"), "12").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        until(&mut seen, &file(12)).await;
        std::fs::remove_file(&path).unwrap();
        until(&mut seen, &file(0)).await;
    }

    fn sleepers(number: u32) -> ProcessCheck {
        ProcessCheck {
            name: "p".into(),
            command: "sleep".into(),
            parameters: vec![format!("3{number}{}", std::process::id())],
            matching: ParameterMatch::Exact,
            full_command: false,
            quorum: 1,
            quorum_max: None,
            gain_delay: Duration::ZERO,
            loss_delay: Duration::ZERO,
        }
    }

    async fn until_count(seen: &mut mpsc::UnboundedReceiver<Seen>, wanted: u32) {
        until(seen, &Seen::Processes { name: "p".into(), count: wanted }).await;
    }

    async fn come_and_go(connector: Option<OwnedFd>, buffer: Option<u32>, check: ProcessCheck) {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let observer = Observer::start(sender, connector);
        observer.observe(Tracked { processes: vec![Arc::new(check.clone())], process_buffer: buffer, ..Tracked::default() });
        until_count(&mut seen, 0).await;
        let start = || std::process::Command::new("sleep").args(&check.parameters).spawn().unwrap();
        let (mut one, mut two) = (start(), start());
        until_count(&mut seen, 2).await;
        one.kill().unwrap();
        until_count(&mut seen, 1).await;
        two.kill().unwrap();
        until_count(&mut seen, 0).await;
        one.wait().unwrap();
        two.wait().unwrap();
        // Many that hardly live: what is counted at the end is what is there.
        for _ in 0..200 {
            std::process::Command::new("true").status().unwrap();
        }
        let mut last = start();
        until_count(&mut seen, 1).await;
        last.kill().unwrap();
        last.wait().unwrap();
        until_count(&mut seen, 0).await;
    }

    /// By the kernel's events where this machine gives them to us, else by looks.
    #[tokio::test]
    async fn processes_are_counted_as_they_come_and_go() {
        come_and_go(None, None, sleepers(1)).await;
    }

    /// The smallest buffer that the kernel allows holds three events: most of them are lost.
    #[tokio::test]
    async fn processes_are_counted_although_events_are_lost() {
        come_and_go(None, Some(1), sleepers(2)).await;
    }

    /// A socket that gives no events: any other netlink socket.
    #[tokio::test]
    async fn processes_are_counted_where_there_are_no_events() {
        let other = crate::sys::socket::netlink(nix::sys::socket::SockProtocol::NetlinkRoute).unwrap();
        come_and_go(Some(other), None, sleepers(3)).await;
    }
}
