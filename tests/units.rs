//! The systemd units: their exposure stays below its bar, and systemd finds no fault in them.

mod common;

use std::path::PathBuf;
use std::process::{Command, Output};

/// A unit and the highest exposure (tenths, of 100) that `systemd-analyze security` may find.
const UNITS: [(&str, u32); 2] = [("keepalived.service", 40), ("keepalived-unprivileged.service", 25)];

/// What systemd older than 253 says of the second `Type=` line, on purpose: it keeps the first.
const OLD_SYSTEMD: &str = "Failed to parse service type, ignoring: notify-reload";

fn unit(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// `None`, and a line that says so, when systemd-analyze is not here; a failure where nothing may be skipped.
fn systemd_analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).env("SYSTEMD_COLORS", "0").output() {
        Ok(output) => Some(output),
        Err(error) => {
            common::skip(&format!("systemd-analyze cannot be run: {error}"));
            None
        }
    }
}

/// The figure at the end of `→ Overall exposure level for keepalived.service: 3.7 OK`, in tenths.
fn exposure(report: &str) -> Option<u32> {
    let line = report.lines().find(|line| line.contains("Overall exposure level"))?;
    let figure = line.rsplit_once(": ")?.1.split_whitespace().next()?;
    let (whole, tenth) = figure.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?)
}

#[test]
fn exposure_is_read_from_the_last_line() {
    assert_eq!(exposure("x\n→ Overall exposure level for keepalived.service: 3.7 OK 🙂\n"), Some(37));
    assert_eq!(exposure("→ Overall exposure level for a.service: 10.0 DANGEROUS\n"), Some(100));
    assert_eq!(exposure("no such line"), None);
}

#[test]
fn units_are_not_more_exposed_than_promised() {
    for (name, bar) in UNITS {
        let path = unit(name);
        let Some(output) = systemd_analyze(&["security", "--no-pager", "--offline=true", &path.to_string_lossy()]) else { return };
        let report = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let found = exposure(&report).unwrap_or_else(|| panic!("{name}: no figure in\n{report}{errors}"));
        println!("{name}: exposure {}.{} (at most {}.{})", found / 10, found % 10, bar / 10, bar % 10);
        assert!(found <= bar, "{name} is more exposed than promised:\n{report}");
    }
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    for (name, _) in UNITS {
        // The program need not be installed here: any file that can be executed stands in for it.
        let text = std::fs::read_to_string(unit(name)).unwrap().replace("/usr/sbin/keepalived", "/bin/true");
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(name);
        std::fs::write(&copy, text).unwrap();
        let output = systemd_analyze(&["verify", "--man=no", "--recursive-errors=one", &copy.to_string_lossy()]);
        let Some(output) = output else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        let faults: Vec<&str> = said.lines().filter(|line| line.contains("keepalived") && !line.contains(OLD_SYSTEMD)).collect();
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[test]
fn an_ordinary_users_pid_files_stand_where_it_may_write() {
    let help = Command::new(common::binary()).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stderr);
    let options = help.lines().filter(|line| line.contains("pidfile")).filter_map(|line| line.split("--").nth(1)?.split('=').next());
    let unit = std::fs::read_to_string(unit("keepalived-unprivileged.service")).unwrap();
    let mut count = 0;
    for option in options {
        assert!(unit.contains(&format!(" --{option}=/run/keepalived/")), "no --{option}");
        count += 1;
    }
    assert!(count >= 3, "{help}");
}

#[test]
fn both_units_start_the_daemon_alike() {
    for (name, _) in UNITS {
        let text = std::fs::read_to_string(unit(name)).unwrap();
        for line in [
            "Type=notify-reload",
            "ExecStart=/usr/sbin/keepalived --dont-fork ",
            "EnvironmentFile=-/etc/default/keepalived",
            "EnvironmentFile=-/etc/sysconfig/keepalived",
            "WatchdogSec=",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{name} lacks {line}");
        }
    }
}
