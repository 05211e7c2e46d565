//! The clock: the only place that reads one, and the one timer of a process.

use crate::sys::socket;
use crate::types::Instant;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd as Kernel, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::unix::AsyncFd;

/// Now on CLOCK_MONOTONIC. It stands still while the machine is suspended, which is what lets a late timer be noticed.
pub fn now() -> Instant {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(Instant::from_nanos(0), |time| Instant::from_nanos(nanos(time)))
}

/// Wall-clock time, for people: never for a deadline.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Wall-clock seconds since the epoch, as the state files print them.
pub fn epoch_seconds() -> f64 {
    wall().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

fn nanos(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}

/// One timer on CLOCK_MONOTONIC, armed to an absolute time, so that periods do not drift. tokio's own timers tick every
/// millisecond and are late by one; this one is late by the wake-up alone.
///
/// A wake-up costs `epoll_wait` and the next `timerfd_settime`, never a `read`: tokio polls edge-triggered, so an expired
/// timer reports once, and arming it again sets the kernel's count of expirations back to zero.
#[derive(Debug)]
pub struct TimerFd {
    fd: AsyncFd<OwnedFd>,
    kernel: Kernel,
}

impl TimerFd {
    /// A disarmed timer. Must be called inside a tokio runtime with I/O enabled.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let kernel = Kernel::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // The registration holds a duplicate of the descriptor: both name the same timer.
        let fd = socket::watch(std::os::fd::AsFd::as_fd(&kernel).try_clone_to_owned()?)?;
        Ok(Self { fd, kernel })
    }

    /// Fires once at `at` (at once when that is past); `None` disarms. Replaces what was armed before.
    pub fn arm(&self, at: Option<Instant>) -> io::Result<()> {
        match at {
            None => self.kernel.unset()?,
            Some(at) => {
                // Zero would disarm: the first nanosecond after boot is just as past.
                let at = Duration::from_nanos(at.nanos().max(1));
                self.kernel.set(Expiration::OneShot(TimeSpec::from_duration(at)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
        }
        Ok(())
    }

    /// Waits until the armed time has come. May also return once for a time that was armed before and replaced since: look
    /// at [`now`] before acting. Cancel safe.
    pub async fn fired(&self) -> io::Result<()> {
        self.fd.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_runtime<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn the_timer_is_never_early_and_fires_again_without_a_read() {
        on_runtime(async {
            let timer = TimerFd::new().unwrap();
            for _ in 0..20 {
                let deadline = now() + Duration::from_millis(3);
                timer.arm(Some(deadline)).unwrap();
                timer.fired().await.unwrap();
                assert!(now() >= deadline);
            }
        });
    }

    #[test]
    fn a_past_deadline_fires_at_once() {
        on_runtime(async {
            let timer = TimerFd::new().unwrap();
            timer.arm(Some(Instant::from_nanos(0))).unwrap();
            tokio::time::timeout(Duration::from_secs(10), timer.fired()).await.unwrap().unwrap();
        });
    }

    #[test]
    fn a_disarmed_timer_stays_silent() {
        on_runtime(async {
            let timer = TimerFd::new().unwrap();
            timer.arm(Some(now() + Duration::from_millis(20))).unwrap();
            timer.arm(None).unwrap();
            assert!(tokio::time::timeout(Duration::from_millis(60), timer.fired()).await.is_err());
        });
    }

    #[test]
    fn an_earlier_deadline_replaces_a_later_one() {
        on_runtime(async {
            let timer = TimerFd::new().unwrap();
            timer.arm(Some(now() + Duration::from_secs(3600))).unwrap();
            timer.arm(Some(now() + Duration::from_millis(2))).unwrap();
            tokio::time::timeout(Duration::from_secs(10), timer.fired()).await.unwrap().unwrap();
        });
    }
}
