//! The scripts of the daemon's own start and end.

use crate::config::model::OnceScript;
use crate::script::runner::Runner;
use crate::script::table::Table;
use crate::types::ScriptOutcome;

/// Runs the script of the daemon's own start or end, and waits for it.
pub(super) async fn once(what: &str, once: &OnceScript, table: &Table) {
    let Some(script) = once.command.as_ref().and_then(|command| table.get(command)) else { return };
    let mut runner = match Runner::new() {
        Ok(runner) => runner,
        Err(error) => return tracing::error!("{what} cannot run: {error}"),
    };
    tracing::info!("Running {what} {}", script.label);
    runner.run((), script, &[], Some(once.timeout));
    let outcome = runner.next().await.1;
    // One that ignores SIGTERM must not outlive this.
    runner.all_gone().await;
    match outcome {
        ScriptOutcome::Exited(0) => tracing::info!("{what} succeeded"),
        ScriptOutcome::TimedOut => tracing::warn!("{what} timed out"),
        outcome => tracing::warn!("{what} {outcome}"),
    }
}
