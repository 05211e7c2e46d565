//! How the kernel schedules a process and keeps its memory: what needs privileges that a child drops.

use std::io;

/// `priority`, `rt_priority`, `rlimit_rttime`, `no_swap`, `cpu_affinity` of a child (`vrrp_…`, `checker_…`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tuning {
    /// Nice value, -20..=19.
    pub nice: Option<i8>,
    /// SCHED_RR with this priority, 1..=99.
    pub realtime: Option<u8>,
    /// Longest run with a real-time priority that does not sleep, microseconds; the kernel ends a process that runs longer.
    pub realtime_limit: Option<u32>,
    /// Memory is never swapped out.
    pub no_swap: bool,
    /// Processors it may run on; none named is all.
    pub processors: Vec<u16>,
}

impl Tuning {
    /// Applies to the calling thread and its process; what the kernel refused, by keyword without whose it is.
    pub fn apply(&self) -> Vec<(&'static str, io::Error)> {
        let mut refused = Vec::new();
        let mut note = |keyword, result: io::Result<()>| {
            if let Err(error) = result {
                refused.push((keyword, error));
            }
        };
        if let Some(nice) = self.nice {
            note("priority", set_nice(nice));
        }
        if let Some(priority) = self.realtime {
            note("rt_priority", set_realtime(priority));
        }
        if let Some(microseconds) = self.realtime_limit {
            note("rlimit_rttime", set_realtime_limit(microseconds));
        }
        if !self.processors.is_empty() {
            note("cpu_affinity", set_processors(&self.processors));
        }
        if self.no_swap {
            note("no_swap", lock_memory());
        }
        refused
    }

    /// One word, for a child's environment.
    pub fn to_word(&self) -> String {
        let number = |value: Option<String>| value.unwrap_or_default();
        let processors: Vec<String> = self.processors.iter().map(ToString::to_string).collect();
        let nice = number(self.nice.map(|nice| nice.to_string()));
        let realtime = number(self.realtime.map(|priority| priority.to_string()));
        let limit = number(self.realtime_limit.map(|limit| limit.to_string()));
        format!("{nice}:{realtime}:{limit}:{}:{}", u8::from(self.no_swap), processors.join(","))
    }

    /// The reverse; `None` when it is no such word.
    pub fn from_word(word: &str) -> Option<Self> {
        let mut parts = word.split(':');
        let (nice, realtime, limit) = (parts.next()?, parts.next()?, parts.next()?);
        let (no_swap, processors) = (parts.next()?, parts.next()?);
        let processors = processors.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().ok());
        Some(Self {
            nice: optional(nice)?,
            realtime: optional(realtime)?,
            realtime_limit: optional(limit)?,
            no_swap: no_swap == "1",
            processors: processors.collect::<Option<_>>()?,
        })
    }
}

/// Gives freed memory back to the system: after work that took much of it once (reading a configuration). Nothing happens
/// with a C library that has no way to.
#[cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "malloc_trim has no wrapper"))]
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes one number; glibc locks its heap for the call.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Open files that a process with many sockets asks for where it may.
const MANY_FILES: u64 = 1 << 16;

/// Lets this process open as many files as the system allows, and many even where its limit says less, when it has the power
/// for that; answers the limit.
///
/// # Errors
/// The limit cannot be read.
pub fn allow_open_files() -> io::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = [hard.max(MANY_FILES), hard];
    Ok(wanted.into_iter().find(|limit| *limit > soft && setrlimit(Resource::RLIMIT_NOFILE, *limit, *limit).is_ok()).unwrap_or(soft))
}

/// `Some(None)` for nothing written, `None` for what is no number.
fn optional<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

fn answer(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "setpriority has no wrapper in nix")]
fn set_nice(nice: i8) -> io::Result<()> {
    // SAFETY: takes numbers only.
    answer(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, libc::c_int::from(nice)) })
}

#[expect(unsafe_code, reason = "sched_setscheduler has no wrapper in nix")]
fn set_realtime(priority: u8) -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: libc::c_int::from(priority) };
    // SAFETY: the pointer is to a live value for the length of the call. Children of ours do not inherit it.
    answer(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameter) })
}

fn set_realtime_limit(microseconds: u32) -> io::Result<()> {
    let limit = microseconds.into();
    Ok(nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_RTTIME, limit, limit)?)
}

fn set_processors(processors: &[u16]) -> io::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    for processor in processors {
        set.set(usize::from(*processor))?;
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?;
    Ok(())
}

/// Unlimited first: with a limit every allocation beyond it would fail, once CAP_IPC_LOCK is dropped. Where the limit may not be
/// raised, nothing is locked.
#[expect(unsafe_code, reason = "setrlimit, mlockall; nix has them only beside features that bring much more")]
fn lock_memory() -> io::Result<()> {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the pointer is to a live value for the length of the call.
    answer(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) })?;
    // SAFETY: takes one number.
    answer(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_allowed_up_to_the_hard_limit() {
        use nix::sys::resource::{Resource, getrlimit};
        let allowed = allow_open_files().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!((allowed, allowed), (soft, hard));
    }

    #[test]
    fn tuning_survives_the_environment() {
        for tuning in [
            Tuning::default(),
            Tuning { nice: Some(-20), realtime: Some(99), realtime_limit: Some(10_000), no_swap: true, processors: vec![0, 63] },
            Tuning { nice: None, realtime: Some(1), realtime_limit: None, no_swap: false, processors: vec![2] },
        ] {
            assert_eq!(Tuning::from_word(&tuning.to_word()), Some(tuning));
        }
        assert_eq!(Tuning::from_word("x::::"), None);
        assert_eq!(Tuning::from_word(""), None);
    }
}
