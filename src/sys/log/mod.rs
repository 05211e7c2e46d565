//! Where log lines go: console, syslog, journal, file. Nothing here ever makes the daemon wait.

mod console;
mod file;
mod journal;
mod queue;
mod record;
mod syslog;

pub use record::{Record, Severity};

use super::calendar;
use queue::Output;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};

/// What the command line says about logging.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogOptions {
    /// `Keepalived`, `Keepalived_vrrp`, with `_NETNS` and `_INSTANCE` behind.
    pub ident: String,
    /// Syslog's number of the facility (3 is daemon).
    pub facility: u8,
    /// Without `-G`: to the journal where syslog's socket is the journal's, else to syslog.
    pub syslog: bool,
    /// `-l`: to standard error.
    pub console: bool,
    /// `-g`.
    pub file: Option<PathBuf>,
    /// `-D`: `debug!` lines are shown, at severity info.
    pub detail: bool,
}

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    outputs: Mutex<Vec<Box<dyn Output>>>,
    detail: bool,
    waiting: Notify,
    /// Somebody flushes when there is nothing better to do: a takeover waits for no system call of a log line.
    flushed_later: AtomicBool,
}

/// Opens the sinks and becomes the process's subscriber. A second call only changes where lines go (after the ident is known, after a fork).
/// A log file that cannot be opened is said on the other sinks.
pub fn init(options: &LogOptions) {
    // Reads the time zone while the file can still be read.
    let _ = calendar::Local::now();
    let mut trouble = Vec::new();
    let outputs = open(options, &mut trouble);
    if let Some(log) = LOG.get() {
        log.flush();
        *log.lock() = outputs;
    } else {
        let _ = LOG.set(Log {
            outputs: Mutex::new(outputs),
            detail: options.detail,
            waiting: Notify::new(),
            flushed_later: AtomicBool::new(false),
        });
        let _ = tracing::subscriber::set_global_default(Front { detail: options.detail });
        let _ = tracing_log::LogTracer::builder().with_max_level(tracing_log::log::LevelFilter::Warn).init();
    }
    for line in trouble {
        tracing::warn!("{line}");
    }
}

fn open(options: &LogOptions, trouble: &mut Vec<String>) -> Vec<Box<dyn Output>> {
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    let console_is_journal = journal::is_stderr();
    let journal = journal::available() && (if options.syslog { syslog::is_journal() } else { options.console && console_is_journal });
    if journal {
        outputs.push(Box::new(queue::Queued::new(journal::Journal::new(&options.ident, options.facility))));
    } else if options.syslog {
        outputs.push(Box::new(queue::Queued::new(syslog::Syslog::new(&options.ident, options.facility))));
    }
    if options.console && !(journal && console_is_journal) {
        outputs.push(Box::new(queue::Queued::new(console::Console::new())));
    }
    if let Some(path) = &options.file {
        match file::LogFile::open(path) {
            Ok(file) => outputs.push(Box::new(file)),
            Err(error) => trouble.push(format!("cannot log to {}: {error}", path.display())),
        }
    }
    outputs
}

/// Starts what may only start when the process is what it will be (after a fork, after powers are dropped): the log
/// file's thread. Before this call lines are written to the file at once.
pub fn settled() {
    if let Some(log) = LOG.get() {
        for output in log.lock().iter_mut() {
            output.settled();
        }
    }
}

/// To be called once at the end: gives what still waits this long to go.
pub fn finish(patience: Duration) {
    if let Some(log) = LOG.get() {
        for output in log.lock().iter_mut() {
            output.finish(patience);
        }
    }
}

/// Hands lines to the sinks after the work that is under way, and tries again, with growing pauses, what a sink did not take
/// at once: a syslog that comes back is found within the time that it was away. To be spawned once in each process's runtime.
pub async fn flusher() {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    let Some(log) = LOG.get() else { return };
    log.flushed_later.store(true, Ordering::Relaxed);
    let mut pause = FIRST;
    loop {
        if log.flush() {
            pause = FIRST;
            log.waiting.notified().await;
        } else if tokio::time::timeout(pause, log.waiting.notified()).await.is_err() {
            pause = (pause * 2).min(LONGEST);
        }
        tokio::task::yield_now().await;
    }
}

/// Whether `debug!` lines are shown.
pub fn detailed() -> bool {
    LOG.get().is_some_and(|log| log.detail)
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Output>>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error is handed over at once: it may be the last word.
    fn write(&self, record: &Record) {
        let later = self.flushed_later.load(Ordering::Relaxed) && record.severity > Severity::Error;
        let mut gone = true;
        for output in self.lock().iter_mut() {
            if later {
                output.take(record);
                gone = false;
            } else {
                gone &= output.write(record);
            }
        }
        if !gone {
            self.waiting.notify_one();
        }
    }

    fn flush(&self) -> bool {
        let mut empty = true;
        for output in self.lock().iter_mut() {
            empty &= output.flush();
        }
        empty
    }
}

/// One line past the `tracing` macros, for a parent that has no subscriber (never blocks either).
pub fn write(record: &Record) {
    if let Some(log) = LOG.get() {
        log.write(record);
    }
}

/// The subscriber: spans cost nothing, events become records.
struct Front {
    detail: bool,
}

impl Front {
    /// Our own lines by the detail option; other crates' only from warnings up.
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("keepalived");
        let most = match (ours, self.detail) {
            (true, true) => Level::DEBUG,
            (true, false) => Level::INFO,
            (false, _) => Level::WARN,
        };
        metadata.is_event() && *metadata.level() <= most
    }
}

impl Subscriber for Front {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.detail { LevelFilter::DEBUG } else { LevelFilter::INFO })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        write(&Record::of(event));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Lets a crash say its last words in the log rather than on a console that nobody reads.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a value that is no text");
        tracing::error!("panic at {place}: {text}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_decides_about_our_debug_lines_and_about_nothing_else() {
        assert_eq!(Front { detail: false }.max_level_hint(), Some(LevelFilter::INFO));
        assert_eq!(Front { detail: true }.max_level_hint(), Some(LevelFilter::DEBUG));
    }
}
