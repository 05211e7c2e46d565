//! The demonstration of the README does all that it shows, and leaves nothing behind when it is interrupted.

mod common;

use common::*;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[expect(clippy::unwrap_used, reason = "a test may")]
fn demo(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepalivedctl"));
    command.arg("demo").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Whether it could not begin, which it says in one line.
fn skipped(said: &str) -> bool {
    let obstacle = said.contains("user namespaces");
    if obstacle {
        skip(said.trim());
    }
    obstacle
}

/// What any thread of a process has started, and still runs.
fn children(pid: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_act_happens_within_half_a_minute() {
    let start = lab::now();
    let output = demo(&[]).wait_with_output().unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() && skipped(&complaints) {
        return;
    }
    assert!(output.status.success(), "{said}{complaints}");
    assert!(lab::now().since(start) < Duration::from_secs(30), "{said}");
    for line in ["node-b is MASTER", "node-a dies", "node-a resigns", "10.77.0.101 answers", "What the client saw"] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    assert!(!said.contains('\x1b'), "no colours where there is no terminal:\n{said}");
}

#[test]
fn interrupted_it_cleans_up_and_says_so() {
    let mut running = demo(&["--hold"]);
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    if !lines.any(|line| line.contains("node-a is MASTER")) {
        let output = running.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(skipped(&complaints), "{complaints}");
        return;
    }
    let started = children(running.id());
    assert!(started.len() >= 5, "three hosts and two supervisors: {started:?}");
    lab::send(running.id(), Signal::SIGINT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert!(lines.any(|line| line.contains("everything is cleaned up")));
    for pid in started {
        let gone = || !Path::new("/proc").join(&pid).exists();
        lab::until("the end of what it had started", Duration::from_secs(5), gone).unwrap();
    }
}
