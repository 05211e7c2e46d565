//! No root is needed where user namespaces are allowed: the laboratory and the daemon work for an ordinary user.

mod common;

use common::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn two_nodes_fail_over_whoever_runs_them() {
    laboratory(&["ka1", "ka2", "client"], |lab| {
        let mut first = start(lab.host("ka1"), &fast(100));
        let second = start(lab.host("ka2"), &fast_with(90, "no_accept"));
        only(lab, "ka1", VIP, secs(5));
        assert!(answers(lab, VIP));
        first.kill_all();
        assert_succession_on_time(lab, "ka1", "ka2", millis(100), 90);
        drop(second);
    });
}

#[test]
fn the_same_works_for_an_ordinary_user() {
    if !nix::unistd::geteuid().is_root() {
        // Then the test above was just that.
        return;
    }
    // What that user runs must be where it may look.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).unwrap();
        to
    };
    let (test, daemon) = (place(&std::env::current_exe().unwrap(), "test"), place(&binary(), "keepalived"));
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(test)
        .args(["--exact", "two_nodes_fail_over_whoever_runs_them", "--nocapture"])
        .env("KEEPALIVED_COPY", daemon)
        .current_dir("/")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    if let Some(why) = said.lines().find_map(|line| line.strip_prefix("SKIPPED: ")) {
        return skip(why);
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
