//! `MISC_CHECK`: what a script's end means.

use super::dialogue::Failure;
use crate::types::{Command, ScriptOutcome};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `MISC_CHECK`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// `misc_path` and `user`.
    pub command: Command,
    /// `misc_timeout` (= delay_loop).
    pub timeout: Duration,
    /// `misc_dynamic`: exit codes 2 to 255 set the weight.
    pub dynamic: bool,
}

/// Success with the weight it asks for (`None`: the configured one), or why it failed (keepalived.conf(5), `misc_dynamic`).
pub fn judge(outcome: &ScriptOutcome, dynamic: bool) -> Result<Option<i64>, Failure> {
    match outcome {
        ScriptOutcome::Exited(0) => Ok(None),
        ScriptOutcome::Exited(code @ 2..) if dynamic => Ok(Some(i64::from(*code) - 2)),
        ScriptOutcome::Exited(code) => Err(Failure::Exited(i32::from(*code))),
        ScriptOutcome::Signalled(signal) => Err(Failure::Killed(*signal)),
        ScriptOutcome::TimedOut => Err(Failure::ScriptTimedOut),
        ScriptOutcome::StillRunning => Err(Failure::Local("the script still runs from before".to_owned())),
        ScriptOutcome::NotStarted(why) => Err(Failure::NotStarted(why.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_well_one_is_ill_and_the_rest_is_a_weight_only_when_dynamic() {
        assert_eq!(judge(&ScriptOutcome::Exited(0), true), Ok(None));
        assert_eq!(judge(&ScriptOutcome::Exited(1), true), Err(Failure::Exited(1)));
        assert_eq!(judge(&ScriptOutcome::Exited(2), true), Ok(Some(0)));
        assert_eq!(judge(&ScriptOutcome::Exited(255), true), Ok(Some(253)));
        assert_eq!(judge(&ScriptOutcome::Exited(12), false), Err(Failure::Exited(12)));
        assert_eq!(judge(&ScriptOutcome::TimedOut, true), Err(Failure::ScriptTimedOut));
    }
}
