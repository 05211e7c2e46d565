//! Tests on a kernel with IPVS, on a machine whose own has none: the test program runs again in a virtual machine.

use super::machine::{self, Outcome};
use super::*;
use std::sync::OnceLock;

/// Tests wait most of their time; the machine has one CPU.
const THREADS: &str = "4";

/// Whether this kernel has IPVS for the hosts of a laboratory.
pub fn has_ipvs() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(machine::has_ipvs)
}

/// Runs `test` on a kernel with IPVS: this one, or that of a virtual machine.
pub fn with_ipvs<F: FnOnce()>(test: F) {
    with_ipvs_as(std::any::type_name::<F>(), test);
}

/// The same for the test that the closure of this name is written in.
pub fn with_ipvs_as(closure: &str, test: impl FnOnce()) {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    if machine::is_inside() || has_ipvs() {
        return test();
    }
    match OUTCOME.get_or_init(run_again) {
        Outcome::Missing(what) => skip(&format!("no kernel with IPVS: {what}")),
        // No package can mend that.
        Outcome::NoBoot(console) => println!("SKIPPED: the kernel has no IPVS, and User-Mode Linux does not boot here: {console}"),
        Outcome::Ran(said) => judge(test_name(closure), said),
    }
}

/// All the tests that this program was asked for, once, with the same arguments, less those about its output.
fn run_again() -> Outcome {
    let about_output = |word: &String| word == "--nocapture" || word == "--show-output" || word.starts_with("--color");
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|word| !about_output(word)).collect();
    arguments.push("--color=never".to_owned());
    machine::run(arguments, &[("KEEPALIVED_TEST_REQUIRE", "all"), ("RUST_TEST_THREADS", THREADS), ("RUST_BACKTRACE", "0")])
}

/// "balance::reload::a_claim::{{closure}}" is the test `reload::a_claim` of the program `balance`.
fn test_name(closure: &str) -> &str {
    let path = closure.split("::{{").next().unwrap_or_default();
    path.split_once("::").map_or(path, |(_, name)| name)
}

fn judge(name: &str, said: &str) {
    let verdict = said.lines().find_map(|line| line.strip_prefix(&format!("test {name} ... ")));
    if verdict != Some("ok") {
        let begins = said.find(&format!("---- {name} stdout ----")).unwrap_or_default();
        let own = said.get(begins..).unwrap_or_default();
        let ends = own.get(5..).and_then(|rest| rest.find("\n---- ")).map_or(own.len(), |at| at + 5);
        println!("{}", own.get(..ends).unwrap_or_default());
        panic!("{name} in the virtual machine: {}", verdict.unwrap_or("it was not reached"));
    }
}
