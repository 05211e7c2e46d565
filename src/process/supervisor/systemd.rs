//! sd_notify(3): said whenever NOTIFY_SOCKET is set, to whoever listens.

use sd_notify::NotifyState;
use std::time::Duration;

/// The service manager's ear.
#[derive(Debug)]
pub(super) struct Systemd {
    present: bool,
}

impl Systemd {
    pub(super) fn new() -> Self {
        Self { present: std::env::var_os("NOTIFY_SOCKET").is_some() }
    }

    fn say(&self, states: &[NotifyState<'_>]) {
        if self.present
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::debug!("the service manager does not hear: {error}");
        }
    }

    /// Running, or running again after a reload.
    pub(super) fn ready(&self) {
        self.say(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
    }

    /// A reload began (`Type=notify-reload` wants the time of it, on the monotonic clock).
    pub(super) fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.say(&[NotifyState::Reloading, now]);
        }
    }

    /// One line for `systemctl status`.
    pub(super) fn status(&self, text: &str) {
        self.say(&[NotifyState::Status(text)]);
    }

    /// An orderly stop began.
    pub(super) fn stopping(&self) {
        self.say(&[NotifyState::Stopping]);
    }

    /// Everybody is alive.
    pub(super) fn alive(&self) {
        self.say(&[NotifyState::Watchdog]);
    }

    /// How often to say so: half of what the service manager waits for.
    pub(super) fn watchdog_period(&self) -> Option<Duration> {
        if !self.present {
            return None;
        }
        sd_notify::watchdog_enabled().map(|patience| patience / 2).filter(|period| !period.is_zero())
    }
}
