//! Lines a sink does not take at once wait in a bounded queue; what does not fit is counted, and the count is told.

use super::{Record, Severity};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// Bytes that may wait for one sink.
const MAX_WAITING_BYTES: usize = 64 * 1024;

/// Where records go.
pub(super) trait Output: Send {
    /// `false` when something waits for a later `flush`.
    fn write(&mut self, record: &Record) -> bool {
        self.take(record);
        self.flush()
    }
    /// Takes the line, for a later `flush`.
    fn take(&mut self, record: &Record);
    /// `true` when nothing waits any more.
    fn flush(&mut self) -> bool;
    /// See [`super::settled`].
    fn settled(&mut self) {}
    /// The process ends: no line comes any more, and what waits may take this long.
    fn finish(&mut self, patience: Duration);
}

/// A thing that takes bytes or says that it would block.
pub(super) trait Device: Send {
    /// A record as this device wants it.
    fn render(&self, record: &Record) -> Vec<u8>;

    /// Takes bytes without waiting, and says how many. `WouldBlock` and any passing trouble keep the rest in line;
    /// `BrokenPipe` says that nobody will ever read, `InvalidInput` that this line can never be taken.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether it is worth waiting for at exit.
    fn is_there(&self) -> bool {
        true
    }
}

/// A device with its queue.
pub(super) struct Queued<D> {
    device: D,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    lost: u64,
}

impl<D: Device> Queued<D> {
    pub(super) const fn new(device: D) -> Self {
        Self { device, waiting: VecDeque::new(), bytes: 0, lost: 0 }
    }

    fn push(&mut self, line: Vec<u8>) {
        if self.bytes + line.len() > MAX_WAITING_BYTES {
            self.lost += 1;
        } else {
            self.bytes += line.len();
            self.waiting.push_back(line);
        }
    }

    /// Hands over what waits; `true` when all is gone.
    fn drain(&mut self) -> bool {
        while let Some(line) = self.waiting.front_mut() {
            match self.device.take(line) {
                Ok(taken) if taken < line.len() => {
                    line.drain(..taken);
                    self.bytes -= taken;
                }
                Ok(_) => self.drop_front(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.drop_front(),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.waiting.clear();
                    self.bytes = 0;
                }
                Err(_) => return false,
            }
        }
        true
    }

    fn drop_front(&mut self) {
        if let Some(line) = self.waiting.pop_front() {
            self.bytes -= line.len();
        }
    }
}

impl<D: Device> Output for Queued<D> {
    fn take(&mut self, record: &Record) {
        let line = self.device.render(record);
        if self.bytes + line.len() > MAX_WAITING_BYTES / 2 {
            self.drain();
        }
        self.push(line);
    }

    fn flush(&mut self) -> bool {
        let empty = self.drain();
        if empty && self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            let line = self.device.render(&Record::new(Severity::Warning, format!("{lost} log lines were lost: nobody took them in time")));
            self.push(line);
            return self.drain();
        }
        empty
    }

    fn finish(&mut self, patience: Duration) {
        let start = Instant::now();
        while !self.flush() && self.device.is_there() && start.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Pipe {
        room: usize,
        taken: Vec<u8>,
    }

    impl Device for Pipe {
        fn render(&self, record: &Record) -> Vec<u8> {
            format!("{}\n", record.message).into_bytes()
        }

        fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
    }

    fn line(text: &str) -> Record {
        Record::new(Severity::Info, text.to_owned())
    }

    #[test]
    fn what_does_not_fit_now_comes_later_whole_and_in_order() {
        let mut queued = Queued::new(Pipe { room: 4, taken: Vec::new() });
        assert!(!queued.write(&line("first")));
        assert!(!queued.write(&line("second")));
        queued.device.room = 1000;
        assert!(queued.flush());
        assert_eq!(queued.device.taken, b"first\nsecond\n");
    }

    #[test]
    fn a_full_queue_counts_what_it_loses_and_says_so() {
        let mut queued = Queued::new(Pipe::default());
        let long = "x".repeat(1023);
        for _ in 0..70 {
            queued.write(&line(&long));
        }
        assert!(queued.bytes <= MAX_WAITING_BYTES);
        queued.device.room = usize::MAX;
        assert!(queued.flush());
        let text = String::from_utf8(queued.device.taken).unwrap();
        assert_eq!(text.lines().count(), 65);
        assert_eq!(text.lines().last(), Some("6 log lines were lost: nobody took them in time"));
    }
}
