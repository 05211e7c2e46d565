use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;

/// A script as the configuration names it: what to run, and as whom. Never a shell line: words only.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments; never empty, no word holds a NUL byte.
    pub argv: Vec<OsString>,
    /// `user [[:]group]`; the default script user when not written.
    pub user: Option<ScriptUser>,
}

impl Command {
    /// The program as it was written: a path, or a name to be looked up in PATH.
    pub fn program(&self) -> &std::ffi::OsStr {
        self.argv.first().map_or_else(|| std::ffi::OsStr::new(""), OsString::as_os_str)
    }
}

/// `'word' 'word'`, as the data dump shows a command.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, word) in self.argv.iter().enumerate() {
            let blank = if number == 0 { "" } else { " " };
            write!(f, "{blank}'{}'", word.to_string_lossy())?;
        }
        Ok(())
    }
}

/// Whose rights a script runs with: `USER [[:]GROUP]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ScriptUser {
    /// User name.
    pub user: String,
    /// Group, and whether the user's supplementary groups come along.
    pub groups: Groups,
}

impl ScriptUser {
    /// From the words of the configuration: `nobody`, `nobody nogroup`, `nobody :nogroup`, `nobody :`.
    pub fn from_words(user: &str, group: Option<&str>) -> Self {
        let groups = match group {
            None => Groups::Primary,
            Some(text) => match text.strip_prefix(':') {
                None => Groups::Named(text.to_owned()),
                Some("") => Groups::Supplementary(None),
                Some(name) => Groups::Supplementary(Some(name.to_owned())),
            },
        };
        Self { user: user.to_owned(), groups }
    }
}

/// The groups of a script's process (keepalived.conf(5), "script user").
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Groups {
    /// Nothing written: the user's primary group, no other.
    Primary,
    /// `group`: this one, no other.
    Named(String),
    /// `:group` or `:`: this one (or the primary one) and the user's supplementary groups.
    Supplementary(Option<String>),
}

/// How a script's run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ScriptOutcome {
    /// It exited with this status, 0..=255.
    Exited(u8),
    /// This signal ended it.
    Signalled(i32),
    /// Its time was up; it has been ended.
    TimedOut,
    /// It was still running from before, so it was not started again.
    StillRunning,
    /// It could not be started; the text says why.
    NotStarted(String),
}

/// The reason in brackets of `VRRP_Script(NAME) failed (…)`.
impl fmt::Display for ScriptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signalled(signal) => write!(f, "due to signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::StillRunning => f.write_str("still running"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}
