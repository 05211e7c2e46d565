//! The operator's tool. Called by the daemon's name it is the daemon, so that the demonstration needs one program only.

use std::env::args_os;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if args_os().next().is_some_and(|name| is_daemon(&name)) { keepalived_rs::process::main() } else { keepalived_rs::ctl::main(args_os()) }
}

fn is_daemon(name: &OsStr) -> bool {
    Path::new(name).file_name().is_some_and(|name| name == "keepalived")
}
