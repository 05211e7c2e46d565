//! A kernel with IPVS for tests on a machine whose own has none: User-Mode Linux, an ordinary program that boots in seconds and
//! needs no virtualisation. It sees the machine's files and runs the test program again.

use super::*;
use keepalived_rs::ipvs::{IpvsError, Socket};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;

/// The kernel, as Debian's package `user-mode-linux` installs it.
const KERNEL: &str = "/usr/bin/linux.uml";
/// Set for what runs inside.
const INSIDE: &str = "KEEPALIVED_TEST_VM";
/// Memory of the machine, in MiB; only what is used is taken.
const MEMORY: u64 = 1024;
/// A boot takes 2 to 8 s.
const BOOT: Duration = secs(120);
const LIMIT: Duration = secs(900);
/// Tests wait most of their time; the machine has one CPU.
const THREADS: &str = "4";

/// How the test program fared inside.
enum Outcome {
    /// Some package is not installed.
    Missing(String),
    /// User-Mode Linux cannot run on this machine.
    NoBoot(String),
    /// What it said.
    Ran(String),
}

/// Runs `test` on a kernel with IPVS: this one, or that of a virtual machine.
pub fn with_ipvs<F: FnOnce()>(test: F) {
    with_ipvs_as(std::any::type_name::<F>(), test);
}

/// The same for the test that the closure of this name is written in.
pub fn with_ipvs_as(closure: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() || has_ipvs() {
        return test();
    }
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    // The machine dies with the thread that started it, and is pinned to the CPU that this is pinned to.
    match OUTCOME.get_or_init(|| std::thread::spawn(run_inside).join().unwrap()) {
        Outcome::Missing(what) => skip(&format!("no kernel with IPVS: {what}")),
        // No package can mend that.
        Outcome::NoBoot(console) => println!("SKIPPED: the kernel has no IPVS, and User-Mode Linux does not boot here: {console}"),
        Outcome::Ran(said) => judge(test_name(closure), said),
    }
}

/// Whether this kernel has IPVS for the hosts of a laboratory.
pub fn has_ipvs() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let attempt = std::thread::spawn(|| {
            let _ = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET);
            Socket::open().map(drop)
        });
        match attempt.join().unwrap() {
            Ok(()) => true,
            Err(IpvsError::Absent | IpvsError::NotPermitted) => false,
            Err(error) => panic!("{error}"),
        }
    })
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

fn run_inside() -> Outcome {
    for (file, package) in [(KERNEL, "user-mode-linux"), ("/bin/busybox", "busybox-static"), ("/usr/sbin/ipvsadm", "ipvsadm")] {
        if !Path::new(file).exists() {
            return Outcome::Missing(format!("install {package}"));
        }
    }
    let job = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vm-{}", std::process::id()));
    fs::create_dir_all(&job).unwrap();
    let outcome = boot(&job);
    fs::remove_dir_all(&job).unwrap();
    outcome
}

fn boot(job: &Path) -> Outcome {
    write_job(job);
    let mut child = start_machine(job);
    let (out, console) = (job.join("out"), job.join("console"));
    let said = || String::from_utf8_lossy(&fs::read(&out).unwrap_or_default()).into_owned();
    let began = std::time::Instant::now();
    let started = |said: &str| said.contains("vm: started");
    let ended = loop {
        let over = child.try_wait().unwrap().is_some();
        if over || began.elapsed() > LIMIT || (began.elapsed() > BOOT && !started(&said())) {
            break over;
        }
        std::thread::sleep(millis(100));
    };
    if !ended {
        // Its helpers are in its process group.
        let _ = nix::sys::signal::killpg(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL);
        let _ = child.wait();
    }
    let said = said();
    if started(&said) {
        return Outcome::Ran(said);
    }
    let console = fs::read(&console).unwrap_or_default();
    let console = format!("{said}{}", String::from_utf8_lossy(&console));
    let last: Vec<&str> = console.lines().rev().take(5).collect();
    Outcome::NoBoot(last.into_iter().rev().collect::<Vec<_>>().join(" | "))
}

/// What is run inside: this test program with the same arguments, less those about its output.
fn write_job(job: &Path) {
    let quote = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let given = std::env::args().skip(1).filter(|word| word != "--nocapture" && word != "--show-output" && !word.starts_with("--color"));
    let mut words = vec![std::env::current_exe().unwrap().to_string_lossy().into_owned()];
    words.extend(given);
    words.push("--color=never".to_owned());
    let mut script = "echo 'vm: started'\n".to_owned();
    let passed = std::env::vars().filter(|(name, _)| name.starts_with("KEEPALIVED_"));
    let own = [(INSIDE, "1"), ("KEEPALIVED_TEST_REQUIRE", "all"), ("RUST_TEST_THREADS", THREADS), ("RUST_BACKTRACE", "0")];
    for (name, value) in passed.chain(own.map(|(name, value)| (name.to_owned(), value.to_owned()))) {
        script += &format!("export {name}={}\n", quote(&value));
    }
    script +=
        &format!("cd {}\nexec {}\n", quote(env!("CARGO_MANIFEST_DIR")), words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "));
    fs::write(job.join("run"), script).unwrap();
    fs::write(job.join("init"), include_str!("vm-init.sh")).unwrap();
    fs::set_permissions(job.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn start_machine(job: &Path) -> Child {
    pin();
    let file = |name: &str| fs::File::create(job.join(name)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", KERNEL]).arg(format!("mem={MEMORY}M")).arg(format!("init={}", job.join("init").display()));
    command.args(["root=none", "rootfstype=hostfs", "rootflags=/", "ro", "panic=-1", "quiet"]);
    // The console is its standard error, the first serial line its standard output.
    command.args(["con=null", "con0=null,fd:2", "ssl=null", "ssl0=null,fd:1"]).arg(format!("VM_JOB={}", job.display()));
    command.env("TMPDIR", memory_directory(job)).env("HOME", job).stdin(Stdio::null()).stdout(file("out")).stderr(file("console"));
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().unwrap()
}

/// It is one traced thread: hopping between CPUs makes its system calls five times as slow.
fn pin() {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let all: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    one.set(all[std::process::id() as usize % all.len()]).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}

/// Its memory is a mapped file: in memory, where that may be executed and is large enough.
fn memory_directory(job: &Path) -> PathBuf {
    let shm = Path::new("/dev/shm");
    let fits = statvfs(shm).is_ok_and(|found| {
        !found.flags().contains(FsFlags::ST_NOEXEC) && found.blocks_available() * found.fragment_size() > (MEMORY << 20)
    });
    if fits { shm.to_owned() } else { job.to_owned() }
}
