//! Why a check fails that looks right: signal 0 to another user's process.

use super::policy::Approved;
use std::ffi::{CStr, OsStr};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Most of a script that is looked at, bytes.
const MOST: u64 = 64 * 1024;

/// `killall -0 haproxy`, as every tutorial has it, asks whether a process may be signalled. The kernel refuses that to another
/// user (kill(2), EPERM), and `killall` reports the refusal as if there were no such process.
pub(super) fn about_signals(approved: &Approved) -> Option<String> {
    let user = approved.ids.as_ref().map_or_else(|| nix::unistd::geteuid().as_raw(), |ids| ids.uid);
    if user == 0 || !(asks_itself(approved) || asks_inside(&approved.path)) {
        return None;
    }
    let name = nix::unistd::User::from_uid(user.into()).ok().flatten().map_or_else(|| user.to_string(), |user| user.name);
    Some(format!(
        "'{}' sends signal 0 as user {name}: the kernel allows that only to processes of the same user, so the check fails although the process \
         runs; cure: 'user root' in the block, or 'pgrep -x NAME' instead of 'killall -0 NAME', or a vrrp_track_process",
        approved.label
    ))
}

/// The command line itself, a shell's `-c` included.
fn asks_itself(approved: &Approved) -> bool {
    // As it is called: pkill may be a link to pgrep.
    let name = approved.argv.first().map(|name| OsStr::from_bytes(name.to_bytes())).unwrap_or_default();
    let program = Path::new(name).file_name().unwrap_or_default();
    let words = approved.argv.get(1..).unwrap_or_default();
    let signals_nothing = words.iter().any(|word| word.as_bytes() == b"-0");
    (matches!(program.as_bytes(), b"killall" | b"pkill" | b"kill") && signals_nothing)
        || words.iter().any(|word| is_question(word.to_bytes()))
}

/// The text of a script.
fn asks_inside(path: &CStr) -> bool {
    let mut text = Vec::new();
    let read = std::fs::File::open(OsStr::from_bytes(path.to_bytes())).and_then(|file| file.take(MOST).read_to_end(&mut text));
    read.is_ok() && text.starts_with(b"#!") && text.split(|byte| *byte == b'\n').any(is_question)
}

fn is_question(line: &[u8]) -> bool {
    let code = line.trim_ascii_start();
    !code.starts_with(b"#") && [b"killall -0".as_slice(), b"kill -0", b"pkill -0"].iter().any(|needle| contains(code, needle))
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::Ids;
    use std::ffi::CString;

    fn approved(uid: u32, argv: &[&str]) -> Approved {
        let argv: Vec<CString> = argv.iter().map(|word| CString::new(*word).unwrap()).collect();
        let ids = Some(Ids { uid, gid: uid, groups: vec![uid] });
        Approved { path: argv[0].clone(), label: argv[0].to_string_lossy().into_owned(), argv, ids, found_at: None, insecure: None }
    }

    #[test]
    fn signal_zero_as_an_ordinary_user_is_named_with_its_cure() {
        let hint = about_signals(&approved(65534, &["/usr/bin/killall", "-0", "haproxy"])).unwrap();
        assert!(hint.contains("'user root'") && hint.contains("pgrep"), "{hint}");
        assert!(about_signals(&approved(65534, &["/bin/sh", "-c", "killall -0 nginx || exit 1"])).is_some());
        assert!(about_signals(&approved(0, &["/usr/bin/killall", "-0", "haproxy"])).is_none());
        assert!(about_signals(&approved(65534, &["/usr/bin/pgrep", "-x", "haproxy"])).is_none());
        assert!(about_signals(&approved(65534, &["/usr/bin/kill", "-9", "1"])).is_none());
    }

    #[test]
    fn a_script_that_asks_inside_is_found_and_a_comment_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        let asks = |text: &str| {
            std::fs::write(&path, text).unwrap();
            about_signals(&approved(65534, &[path.to_str().unwrap()])).is_some()
        };
        assert!(asks("#!/bin/bash\n  /usr/bin/killall -0 haproxy\n"));
        assert!(!asks("#!/bin/bash\n# killall -0 haproxy\nexit 0\n"));
    }
}
