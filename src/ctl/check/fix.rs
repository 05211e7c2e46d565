//! `--fix`: the changes whose outcome is certain, made in the files.

use crate::config::lint::Linted;
use crate::config::load::is_toml;
use crate::config::{Diagnostic, Edit};
use crate::ctl::write::replace;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Most rounds: a mended line may show what the old one hid.
const ROUNDS: usize = 8;

/// Why a file is as it was.
#[derive(Debug, Error)]
pub(super) enum FixError {
    /// Places in TOML are those of values, quotes included.
    #[error("{0} is TOML: only text is mended")]
    Toml(String),
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Mends until nothing certain is left; what was done, one line each.
pub(super) fn mend(main: &Path, read: impl Fn() -> Linted) -> Result<String, FixError> {
    if is_toml(main) {
        return Err(FixError::Toml(main.display().to_string()));
    }
    let mut told = String::new();
    for _ in 0..ROUNDS {
        let linted = read();
        let mut edits: BTreeMap<&Path, Vec<(&Edit, &Diagnostic)>> = BTreeMap::new();
        for found in linted.loaded.report.diagnostics() {
            if let Some(edit) = &found.fix {
                edits.entry(&edit.path).or_default().push((edit, found));
            }
        }
        let mut changed = false;
        for (path, edits) in edits {
            changed |= file(path, edits, &mut told).map_err(|source| FixError::Write { path: path.display().to_string(), source })?;
        }
        if !changed {
            break;
        }
    }
    Ok(told)
}

fn file(path: &Path, mut edits: Vec<(&Edit, &Diagnostic)>, told: &mut String) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    // The places are those of the text as it was read: without byte order mark, every byte that is no UTF-8 replaced.
    let Ok(text) = String::from_utf8(bytes) else { return Ok(false) };
    if text.starts_with('\u{feff}') {
        return Ok(false);
    }
    let Some(mended) = apply(&text, &mut edits, |found| {
        let _ = writeln!(told, "mended: {}", found.one_line());
    }) else {
        return Ok(false);
    };
    replace(path, mended.as_bytes())?;
    Ok(true)
}

/// The text with every change made that does not touch another; nothing when there is none.
fn apply(text: &str, edits: &mut [(&Edit, &Diagnostic)], mut tell: impl FnMut(&Diagnostic)) -> Option<String> {
    edits.sort_by_key(|(edit, _)| edit.range.start);
    let mut mended = String::with_capacity(text.len());
    let mut done = 0;
    for (edit, found) in edits.iter() {
        if edit.range.start < done || text.get(edit.range.clone()).is_none_or(|before| before == edit.with) {
            continue;
        }
        mended.push_str(text.get(done..edit.range.start)?);
        mended.push_str(&edit.with);
        done = edit.range.end;
        tell(found);
    }
    mended.push_str(text.get(done..)?);
    (mended != text).then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoadOptions;
    use crate::config::lint::lint;
    use crate::process::files::Disk;

    fn mended(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.conf");
        fs::write(&path, text).unwrap();
        mend(&path, || lint(&Disk, &path, &LoadOptions::default())).unwrap();
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn what_is_certain_is_mended_and_the_rest_is_left() {
        let text = "global_defs {\n    route_id a   # the name\n    vrrp_garp_interval 0\n    lvs_process_name x\n}\nvrrp_script_chk_nginx {\n    script /bin/true\n}\n\
                    vrrp_instance A {\n    state MASTER`\n    nopreempt\n    priority 100\n    interface eth0\n    virtual_router_id 1\n    preempt_delay 5s\n\
                    authentication {\n auth_type PASS\n auth_pass 123456789\n }\n    something else\n    virtual_ipaddress {\n        10.0.0.1\n    }\n}\n";
        let expected = text
            .replace("route_id a", "router_id a")
            .replace("vrrp_garp_interval 0", "")
            .replace("lvs_process_name", "checker_process_name")
            .replace("vrrp_script_chk_nginx", "vrrp_script chk_nginx")
            .replace("MASTER`", "BACKUP")
            .replace("5s", "5")
            .replace("123456789", "12345678");
        assert_eq!(mended(text), expected);
        assert_eq!(mended(&expected), expected);
    }

    #[test]
    fn a_good_file_is_not_touched() {
        let text = include_str!("../../../tests/configs/ok/quoted.conf");
        assert_eq!(mended(text), text);
    }
}
