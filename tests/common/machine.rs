//! A virtual machine with IPVS in its kernel: User-Mode Linux, an ordinary program that boots in seconds and needs no
//! virtualisation. It sees the machine's files and runs one program.

use keepalived_rs::ipvs::{IpvsError, Socket};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, killpg};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The kernel, as Debian's package `user-mode-linux` installs it.
const KERNEL: &str = "/usr/bin/linux.uml";
/// Set for what runs inside.
const INSIDE: &str = "KEEPALIVED_TEST_VM";
/// Memory of the machine, in MiB; only what is used is taken.
const MEMORY: u64 = 1024;
/// A boot takes 2 to 8 s.
const BOOT: Duration = Duration::from_secs(120);
const LIMIT: Duration = Duration::from_secs(1800);

/// How a program fared inside.
pub enum Outcome {
    /// Some package is not installed.
    Missing(String),
    /// User-Mode Linux cannot run on this machine.
    NoBoot(String),
    /// What it said.
    Ran(String),
}

/// Whether this is the virtual machine.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether this kernel has IPVS for network namespaces of ours.
pub fn has_ipvs() -> bool {
    let attempt = std::thread::spawn(|| {
        let _ = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET);
        Socket::open().map(drop)
    });
    match attempt.join().unwrap() {
        Ok(()) => true,
        Err(IpvsError::Absent | IpvsError::NotPermitted) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Runs this program with these arguments and further environment inside; returns when it has ended.
pub fn run(arguments: Vec<String>, environment: &[(&str, &str)]) -> Outcome {
    let script = script(arguments, environment);
    // The machine dies with the thread that started it, and is pinned to the CPU that this is pinned to.
    std::thread::spawn(move || run_script(&script)).join().unwrap()
}

fn run_script(script: &str) -> Outcome {
    for (file, package) in [(KERNEL, "user-mode-linux"), ("/bin/busybox", "busybox-static"), ("/usr/sbin/ipvsadm", "ipvsadm")] {
        if !Path::new(file).exists() {
            return Outcome::Missing(format!("install {package}"));
        }
    }
    let job = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vm-{}", std::process::id()));
    fs::create_dir_all(&job).unwrap();
    let outcome = boot(&job, script);
    fs::remove_dir_all(&job).unwrap();
    outcome
}

fn boot(job: &Path, script: &str) -> Outcome {
    write_job(job, script);
    let mut child = start_machine(job);
    let (out, console) = (job.join("out"), job.join("console"));
    let said = || String::from_utf8_lossy(&fs::read(&out).unwrap_or_default()).into_owned();
    let began = Instant::now();
    let started = |said: &str| said.contains("vm: started");
    let ended = loop {
        let over = child.try_wait().unwrap().is_some();
        if over || began.elapsed() > LIMIT || (began.elapsed() > BOOT && !started(&said())) {
            break over;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if !ended {
        // Its helpers are in its process group.
        let _ = killpg(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL);
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

/// What is run inside: this program, in this directory, with what is ours of the environment.
fn script(arguments: Vec<String>, environment: &[(&str, &str)]) -> String {
    let quote = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let mut script = "echo 'vm: started'\n".to_owned();
    let passed = std::env::vars().filter(|(name, _)| name.starts_with("KEEPALIVED_"));
    let given = environment.iter().chain(&[(INSIDE, "1")]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    for (name, value) in passed.chain(given) {
        script += &format!("export {name}={}\n", quote(&value));
    }
    let program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let words: Vec<String> = std::iter::once(program).chain(arguments).map(|word| quote(&word)).collect();
    script + &format!("cd {}\nexec {}\n", quote(env!("CARGO_MANIFEST_DIR")), words.join(" "))
}

fn write_job(job: &Path, script: &str) {
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
    command.process_group(0).spawn().unwrap()
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
