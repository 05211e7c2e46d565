//! Which scripts of a configuration may run: looked at when it is taken up, and said.

use crate::config::model::Config;
use crate::config::{Loaded, Severity};
use crate::script::table::{self, Finding, Gravity, Table};
use crate::sys::privileges::RunAs;

/// Whether scripts cannot run as anybody but ourselves.
pub(super) const fn unprivileged(run_as: RunAs) -> bool {
    matches!(run_as, RunAs::Unprivileged | RunAs::NotMapped)
}

/// Examines all scripts, logs what is found, and takes out checks that cannot run.
pub(super) fn take_up(config: &mut Config, run_as: RunAs) -> Table {
    let (table, findings) = table::examine(config, unprivileged(run_as));
    findings.iter().for_each(log);
    table::drop_refused(config, &table).iter().for_each(log);
    table
}

/// The same, of a configuration that has been taken up: nothing is said again.
pub(super) fn table(config: &Config, run_as: RunAs) -> Table {
    table::examine(config, unprivileged(run_as)).0
}

const fn severity(gravity: Gravity) -> Severity {
    match gravity {
        Gravity::Remark | Gravity::Warning => Severity::Warning,
        Gravity::Refused | Gravity::Security => Severity::Error,
    }
}

fn log(finding: &Finding) {
    match finding.gravity {
        Gravity::Remark | Gravity::Warning => tracing::warn!("{}", finding.text),
        Gravity::Refused | Gravity::Security => tracing::error!("{}", finding.text),
    }
}

/// For `-t`: the lines, and the exit status that they ask for (6: security, 5: a script that will not run).
pub(super) fn test(loaded: &Loaded) -> (String, u8) {
    let unprivileged = !nix::unistd::geteuid().is_root();
    let (_, findings) = table::examine(&loaded.config, unprivileged);
    let text = findings.iter().map(|finding| match &finding.about {
        Some(command) => loaded.about_script(command, severity(finding.gravity), "script-refused", finding.text.clone()).render(),
        None => format!("{}\n", finding.text),
    });
    let text = text.collect();
    (text, table::test_status(&findings))
}
