//! What processes have used: CPU to the nanosecond, and memory that is theirs alone.

use std::fs;
use std::time::Duration;

/// CPU time of every thread of these processes (the scheduler's own account, `/proc/PID/task/TID/schedstat`).
pub(crate) fn cpu(pids: &[u32]) -> Duration {
    let threads = pids.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// Memory of some processes, in KB.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) proportional: f64,
    /// Pages that no other process maps: also those of the program's file, when nobody else runs it.
    pub(crate) private: f64,
    /// Of these, what was written: nobody else could share it.
    pub(crate) written: f64,
}

/// The sum over these processes (`/proc/PID/smaps_rollup`).
pub(crate) fn memory(pids: &[u32]) -> Memory {
    let mut sum = Memory::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(name), Some(Ok(value))) = (words.next(), words.next().map(str::parse::<f64>)) else { continue };
            match name {
                "Rss:" => sum.resident += value,
                "Pss:" => sum.proportional += value,
                "Private_Clean:" => sum.private += value,
                "Private_Dirty:" => {
                    sum.private += value;
                    sum.written += value;
                }
                _ => {}
            }
        }
    }
    sum
}
