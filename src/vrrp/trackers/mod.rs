//! What is watched beside interfaces, as arithmetic: scripts, files and processes, each ending in a `track::Reading`.
//!
//! The watching itself (running, inotify, the process connector) is the world's; what an exit status, a file's content or
//! a count of processes means for an instance is decided here.

pub mod file;
pub mod link;
pub mod process;
pub mod script;

use serde::{Deserialize, Serialize};

/// One line of `track_script`, `track_file`, `track_process` or `track_bfd`, with the weight of the tracked object filled in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Track {
    /// Name of the tracked object.
    pub name: String,
    /// Weight, -253..=253, of files and processes -254..=254; 0 is a fault.
    pub weight: i16,
    /// `reverse`: good and bad trade places.
    pub reverse: bool,
}
