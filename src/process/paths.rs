//! Where the daemon's own files are: pid files, dumps, log file.

use super::cli::Options;
use crate::config::model::Global;
use crate::ipc::messages::Dump;
use crate::sys::safefile::temporary_folder;
use std::path::{Path, PathBuf};

const RUN: &str = "/run";
/// Pid files of daemons that are not the only one of their machine.
pub(super) const RUN_OWN: &str = "/run/keepalived";

/// Pid files of the processes of this build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PidPaths {
    /// The supervisor's.
    pub supervisor: PathBuf,
    /// The VRRP child's.
    pub vrrp: PathBuf,
    /// The checker child's.
    pub checkers: PathBuf,
    /// The BFD child's.
    pub bfd: PathBuf,
}

/// `-p`, `-r`; else /run/keepalived.pid and /run/vrrp.pid; with `use_pid_dir`, `instance` or a network namespace
/// /run/keepalived/{keepalived,vrrp}[_INSTANCE].pid.
pub(super) fn pid_paths(options: &Options, global: &Global) -> PidPaths {
    let own = global.use_pid_dir || global.instance.is_some() || namespace(options, global).is_some();
    let folder = Path::new(if own { RUN_OWN } else { RUN });
    let suffix = global.instance.as_ref().map(|name| format!("_{name}")).unwrap_or_default();
    let default = |stem: &str| folder.join(format!("{stem}{suffix}.pid"));
    PidPaths {
        supervisor: options.pid.clone().unwrap_or_else(|| default("keepalived")),
        vrrp: options.vrrp_pid.clone().unwrap_or_else(|| default("vrrp")),
        checkers: options.checkers_pid.clone().unwrap_or_else(|| default("checkers")),
        bfd: options.bfd_pid.clone().unwrap_or_else(|| default("bfd")),
    }
}

/// The network namespace to join: `-s`, else `net_namespace`.
pub(super) fn namespace<'a>(options: &'a Options, global: &'a Global) -> Option<&'a str> {
    options.namespace.as_deref().or(global.net_namespace.as_deref())
}

/// `_NETNS_INSTANCE`, as far as present: what tells several daemons of one machine apart in logs.
pub(super) fn ident_suffix(options: &Options, global: &Global) -> String {
    let parts = [namespace(options, global), global.instance.as_deref()];
    parts.into_iter().flatten().map(|part| format!("_{part}")).collect()
}

/// The file a dump goes to: /tmp/keepalived.{data,stats,json}, or as `state_dump_file` and its like say. With `data_use_instance`
/// that of SIGUSR1 has `.NETNS_INSTANCE` before its extension; the others have not (as the original, whatever its manual says).
pub(super) fn dump_path(dump: Dump, options: &Options, global: &Global) -> PathBuf {
    let (configured, extension) = match dump {
        Dump::Data => (&global.state_dump_file, "data"),
        Dump::Stats | Dump::StatsAndClear => (&global.stats_dump_file, "stats"),
        Dump::Json => (&global.json_dump_file, "json"),
    };
    let suffix = if dump == Dump::Data { dump_suffix(options, global) } else { String::new() };
    let default = format!("keepalived{suffix}.{extension}");
    match configured {
        None => temporary_folder().join(default),
        Some(path) if path.ends_with('/') => Path::new(path).join(default),
        Some(path) => temporary_folder().join(path),
    }
}

/// The file for the checker child's state.
pub(super) fn checker_dump_path(options: &Options, global: &Global) -> PathBuf {
    temporary_folder().join(format!("keepalived_check{}.data", dump_suffix(options, global)))
}

/// The file for the BFD child's state.
pub(super) fn bfd_dump_path(options: &Options, global: &Global) -> PathBuf {
    temporary_folder().join(format!("keepalived_bfd{}.data", dump_suffix(options, global)))
}

/// The file for the supervisor's own state.
pub(super) fn parent_dump_path(options: &Options, global: &Global) -> PathBuf {
    temporary_folder().join(format!("keepalived_parent{}.data", dump_suffix(options, global)))
}

fn dump_suffix(options: &Options, global: &Global) -> String {
    let parts: Vec<&str> = [namespace(options, global), global.instance.as_deref()].into_iter().flatten().collect();
    if global.data_use_instance && !parts.is_empty() { format!(".{}", parts.join("_")) } else { String::new() }
}

/// The file mode creation mask: `-u`, else `umask`, else nobody but the owner reads or executes.
pub(super) fn umask(options: &Options, global: &Global) -> u32 {
    const DEFAULT: u32 = 0o177;
    options.umask.or(global.umask).unwrap_or(DEFAULT)
}

/// `-g` without a name is /tmp/keepalived.log; a child's has `_vrrp` before the last dot.
pub(super) fn log_file(options: &Options, child: Option<&str>) -> Option<PathBuf> {
    let path = options.log_file.clone()?.unwrap_or_else(|| temporary_folder().join("keepalived.log"));
    let Some(child) = child else { return Some(path) };
    let name = path.file_name()?.to_string_lossy().into_owned();
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}_{child}.{extension}"),
        None => format!("{name}_{child}"),
    };
    Some(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_files_are_where_monitoring_looks() {
        let (options, mut global) = (Options::default(), Global::default());
        assert_eq!(pid_paths(&options, &global).supervisor, Path::new("/run/keepalived.pid"));
        assert_eq!(pid_paths(&options, &global).vrrp, Path::new("/run/vrrp.pid"));
        global.instance = Some("blue".to_owned());
        assert_eq!(pid_paths(&options, &global).vrrp, Path::new("/run/keepalived/vrrp_blue.pid"));
        let options = Options { pid: Some("/x/k.pid".into()), ..options };
        assert_eq!(pid_paths(&options, &global).supervisor, Path::new("/x/k.pid"));
    }

    #[test]
    fn several_daemons_are_told_apart() {
        let options = Options { namespace: Some("red".to_owned()), ..Options::default() };
        let mut global = Global { instance: Some("blue".to_owned()), ..Global::default() };
        assert_eq!(ident_suffix(&options, &global), "_red_blue");
        assert!(dump_path(Dump::Data, &options, &global).ends_with("keepalived.data"));
        global.data_use_instance = true;
        assert!(dump_path(Dump::Data, &options, &global).ends_with("keepalived.red_blue.data"));
        assert!(dump_path(Dump::Stats, &options, &global).ends_with("keepalived.stats"));
    }

    #[test]
    fn a_childs_log_file_has_its_name_before_the_last_dot() {
        let options = Options { log_file: Some(Some("/var/log/k.d/keep.alived.log".into())), ..Options::default() };
        assert_eq!(log_file(&options, Some("vrrp")).unwrap(), Path::new("/var/log/k.d/keep.alived_vrrp.log"));
        assert_eq!(log_file(&options, None).unwrap(), Path::new("/var/log/k.d/keep.alived.log"));
        assert_eq!(log_file(&Options::default(), None), None);
    }
}
