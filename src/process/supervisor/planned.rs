//! `reload_time_file`: a reload at the time that a file names.

use crate::sys::calendar;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often the file is looked at.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

/// What the file said when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Planned {
    path: PathBuf,
    seen: Option<(u64, i64, i64)>,
    at: Option<SystemTime>,
    watched: bool,
}

impl Planned {
    /// Whether somebody looks already; from now on somebody does.
    pub(super) fn is_watched(&mut self) -> bool {
        std::mem::replace(&mut self.watched, true)
    }

    /// A look at the file and the clock; whether to reload now. Without `repeat` the file goes then, as the original removes it.
    pub(super) fn due(&mut self, path: &Path, repeat: bool, now: SystemTime) -> bool {
        if self.path != path {
            *self = Self { path: path.to_owned(), watched: self.watched, ..Self::default() };
        }
        let seen = fs::metadata(path).ok().map(|file| (file.ino(), file.mtime(), file.mtime_nsec()));
        if seen != self.seen {
            self.seen = seen;
            self.at = seen.and_then(|_| self.read(now));
        }
        if self.at.is_none_or(|at| now < at) {
            return false;
        }
        tracing::info!("Reloading as {} says", path.display());
        // A time of the day comes again tomorrow.
        self.at = if repeat { self.read(now) } else { None };
        if !repeat && let Err(error) = fs::remove_file(path) {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
        true
    }

    fn read(&self, now: SystemTime) -> Option<SystemTime> {
        let path = self.path.display();
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        match calendar::moment(text.trim(), now) {
            Some(at) if at > now => {
                tracing::info!("A reload is planned for {}, in {} s", text.trim(), at.duration_since(now).unwrap_or_default().as_secs());
                Some(at)
            }
            Some(_) => {
                tracing::warn!("{path}: {} is past: no reload is planned", text.trim());
                None
            }
            None => {
                tracing::warn!(
                    "{path}: '{}' is no time (HH:MM:SS or YYYY-MM-DD HH:MM:SS, with Z for UTC): no reload is planned",
                    text.trim()
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_planned_reload_comes_once_and_takes_the_file_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reload");
        // 2001-09-09 01:46:40 UTC
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let mut planned = Planned::default();
        assert!(!planned.due(&path, false, now), "there is no file");
        fs::write(&path, "01-09-09 01:46:45Z\n").unwrap();
        assert!(!planned.due(&path, false, now));
        assert!(planned.due(&path, false, now + Duration::from_secs(5)));
        assert!(!path.exists());
        fs::write(&path, "01:46:45Z").unwrap();
        assert!(!planned.due(&path, true, now));
        assert!(planned.due(&path, true, now + Duration::from_secs(5)));
        assert!(!planned.due(&path, true, now + Duration::from_secs(6)));
        assert!(planned.due(&path, true, now + Duration::from_secs(86_405)), "it repeats");
    }
}
