//! A process of a host as /proc shows it, and what processes say.

use super::host::lock;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Mutex;

/// A process of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its id for us: what signals are sent to.
    pub pid: u32,
    /// Its parent's id for us.
    pub parent: u32,
    /// Its id inside the host: what its pid files say.
    pub inner: u32,
    /// Its name (`comm`).
    pub name: String,
    /// State letter: `R S D T Z`.
    pub state: char,
}

impl Process {
    /// `None` when it is gone or in another PID namespace.
    pub(super) fn read(pid: u32, namespace: &Path) -> Option<Self> {
        if fs::read_link(format!("/proc/{pid}/ns/pid")).ok()? != namespace {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        Some(Self {
            pid,
            parent: field("PPid")?.parse().ok()?,
            inner: field("NSpid")?.split_whitespace().last()?.parse().ok()?,
            name: field("Name")?.to_owned(),
            state: field("State")?.chars().next()?,
        })
    }

    /// A field of `/proc/PID/status`, such as `CapEff`.
    pub fn status(&self, field: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }
}

/// Text that a process writes and we read, in memory.
#[derive(Debug)]
pub(super) struct Log(Mutex<fs::File>);

impl Log {
    pub(super) fn create() -> io::Result<Self> {
        let file = nix::sys::memfd::memfd_create("log", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
        Ok(Self(Mutex::new(fs::File::from(file))))
    }

    /// Opened anew, so that our reading does not move the place where the process writes.
    pub(super) fn writer(&self) -> io::Result<fs::File> {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}", lock(&self.0).as_raw_fd());
        fs::OpenOptions::new().append(true).open(path)
    }

    pub(super) fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut file = lock(&self.0);
        drop(file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
