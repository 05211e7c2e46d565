//! The daemon.

fn main() -> std::process::ExitCode {
    keepalived_rs::process::main()
}
