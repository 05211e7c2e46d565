//! Why a script will not run, and the cure of each reason.

use super::account::UserError;
use super::walk::DeadEnd;
use std::path::PathBuf;
use thiserror::Error;

/// Why a script will not run, and the cure.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Its user.
    #[error(transparent)]
    User(#[from] UserError),
    /// Not in PATH.
    #[error(
        "Cannot find script {program} in path - disabling: nothing of that name in {path} that user {user} may execute; write its whole path"
    )]
    NotInPath {
        /// The program's name.
        program: String,
        /// PATH.
        path: String,
        /// Who would run it.
        user: String,
    },
    /// A component is missing or cannot be looked at.
    #[error("Script {script} cannot be accessed - {} (at {})", end.source, end.at.display())]
    NotFound {
        /// The script as written.
        script: String,
        /// Where the path ends.
        end: DeadEnd,
    },
    /// A directory, a device …
    #[error("'{script}' is not a regular file")]
    NotAFile {
        /// The path.
        script: String,
    },
    /// A directory on the way is closed to the user.
    #[error("user {user} may not enter {}: chmod o+x {}", directory.display(), directory.display())]
    Closed {
        /// The directory.
        directory: PathBuf,
        /// Who.
        user: String,
    },
    /// The file cannot be executed by the user.
    #[error("script '{script}' is not executable for user {user} - disabling: chmod +x {script}")]
    NotExecutable {
        /// The path.
        script: String,
        /// Who.
        user: String,
    },
    /// `enable_script_security` and a component that others than root can change.
    #[error("Unsafe permissions found for script '{script}' - disabling: {fault}")]
    Insecure {
        /// The path as written.
        script: String,
        /// The component.
        fault: Fault,
    },
    /// A word with a NUL byte.
    #[error("an argument of '{script}' holds a NUL byte")]
    Nul {
        /// The path.
        script: String,
    },
}

/// A component of a script's path that somebody else than root can change, and the command that cures it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Another owner.
    #[error("{} belongs to user {uid}, not to root: chown root {}", at.display(), at.display())]
    Owner {
        /// The component.
        at: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// A group other than root's can write.
    #[error("group {gid} may write to {}: chmod g-w {}", at.display(), at.display())]
    Group {
        /// The component.
        at: PathBuf,
        /// Its group.
        gid: u32,
    },
    /// Everybody can write.
    #[error("everybody may write to {}: chmod go-w {}", at.display(), at.display())]
    Others {
        /// The component.
        at: PathBuf,
    },
}
