//! `-g FILE`: a disk can stall, and a file cannot be asked not to wait, so a thread of its own writes it.

use super::queue::Output;
use super::record::Record;
use crate::sys::calendar::Local;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines that may wait for the disk.
const MAX_WAITING_LINES: usize = 1024;

/// Stack of the writing thread, bytes.
const STACK_BYTES: usize = 64 * 1024;

pub(super) struct LogFile {
    writer: Writer,
    lost: u64,
}

enum Writer {
    /// Before the process serves anybody it may wait for the disk.
    Direct(File),
    /// The thread, and the lines on their way to it.
    Thread(SyncSender<String>, JoinHandle<()>),
    /// No thread could be started.
    Gone,
}

impl LogFile {
    /// Appends to the file, mode 0600 when it is new; never through a link, never to a device.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self { writer: Writer::Direct(file), lost: 0 })
    }

    fn post(&mut self, text: &str) -> bool {
        let line = format!("{}: {text}\n", Local::now().ctime());
        match &mut self.writer {
            Writer::Direct(file) => file.write_all(line.as_bytes()).is_ok(),
            Writer::Thread(lines, _) => lines.try_send(line).is_ok(),
            Writer::Gone => false,
        }
    }
}

impl Output for LogFile {
    fn take(&mut self, record: &Record) {
        if self.lost > 0 && self.post(&format!("{} log lines were lost: the disk did not take them in time", self.lost)) {
            self.lost = 0;
        }
        if !self.post(&record.message) {
            self.lost += 1;
        }
    }

    fn flush(&mut self) -> bool {
        true
    }

    fn settled(&mut self) {
        match std::mem::replace(&mut self.writer, Writer::Gone) {
            Writer::Direct(mut file) => {
                let (sender, lines) = sync_channel::<String>(MAX_WAITING_LINES);
                let write = move || {
                    for line in lines {
                        let _ = file.write_all(line.as_bytes());
                    }
                };
                // Without the thread lines count as lost: there is nowhere better to say so.
                if let Ok(thread) = std::thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES).spawn(write) {
                    self.writer = Writer::Thread(sender, thread);
                }
            }
            other => self.writer = other,
        }
    }

    fn finish(&mut self, patience: Duration) {
        if let Writer::Thread(lines, thread) = std::mem::replace(&mut self.writer, Writer::Gone) {
            drop(lines);
            let start = Instant::now();
            while !thread.is_finished() && start.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::log::Severity;

    #[test]
    fn lines_reach_the_file_in_order_before_and_after_the_thread_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::open(&path).unwrap();
        for n in 0..200 {
            if n == 100 {
                log.settled();
            }
            log.write(&Record::new(Severity::Info, format!("line {n}")));
        }
        log.finish(Duration::from_secs(10));
        let text = std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(numbers, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_link_or_a_device_is_refused() {
        assert!(LogFile::open(Path::new("/dev/null")).is_err());
    }
}
