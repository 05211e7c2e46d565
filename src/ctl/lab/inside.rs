//! A host from inside: the namespaces of its thread, its own files, its first process.

use super::host::Plan;
use super::netlink::Netlink;
use super::{Result, Trouble};
use crate::sys::host::make_first_process;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where the laboratory keeps its own files inside a host.
pub(super) const OWN: &str = "/run/.lab";

/// What the host's thread has made.
pub(super) struct Inside {
    pub(super) net: OwnedFd,
    pub(super) netlink: Netlink,
    pub(super) first: Child,
}

impl Inside {
    pub(super) fn prepare(plan: &Plan) -> Result<Self> {
        let namespaces = CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC;
        unshare(namespaces).trouble("make namespaces")?;
        // Now, while /proc is still the one that knows this thread.
        let net = fs::File::open("/proc/thread-self/ns/net").trouble("open the network namespace")?;
        make_files(plan).trouble("make a host's own directories")?;
        nix::unistd::sethostname(&plan.name).trouble("set the host name")?;
        let first = start_first().trouble("start a host's first process")?;
        // Another /sys shows another network namespace's interfaces; where it may not be mounted, nothing here needs it.
        let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>);
        quiet_network();
        let mut netlink = Netlink::open().trouble("open netlink")?;
        netlink.set_up("lo", true)?;
        Ok(Self { net: net.into(), netlink, first })
    }
}

/// `sleep`, under a name that lets keepalived 2.2.7 believe in systemd.
fn start_first() -> io::Result<Child> {
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|path| Path::new(path).exists());
    let name = format!("{OWN}/systemd");
    symlink(sleep.ok_or(io::ErrorKind::NotFound)?, &name)?;
    let mut command = Command::new(name);
    command.arg("infinity").env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    make_first_process(&mut command);
    command.spawn()
}

/// No duplicate address detection, no router solicitations, no reverse path filter.
fn quiet_network() {
    for which in ["all", "default"] {
        for (name, value) in [("accept_dad", "0"), ("dad_transmits", "0"), ("accept_ra", "0"), ("router_solicitations", "0")] {
            drop(fs::write(format!("/proc/sys/net/ipv6/conf/{which}/{name}"), value));
        }
        drop(fs::write(format!("/proc/sys/net/ipv4/conf/{which}/rp_filter"), "0"));
    }
}

fn make_files(plan: &Plan) -> io::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    tmpfs("/run", "mode=0755")?;
    for directory in ["bin", "etc", "dev"] {
        fs::create_dir_all(format!("{OWN}/{directory}"))?;
    }
    for (name, program) in &plan.programs {
        bind_file(program, &format!("{OWN}/bin/{name}"))?;
    }
    make_devices()?;
    make_etc(plan)?;
    // Last: a program or a test may come from below these.
    tmpfs("/mnt", "mode=0755")?;
    tmpfs("/var/tmp", "mode=1777")?;
    tmpfs("/tmp", "mode=1777")
}

fn make_devices() -> io::Result<()> {
    let staging = format!("{OWN}/dev");
    tmpfs(&staging, "mode=0755")?;
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        bind_file(Path::new("/dev").join(device).as_path(), &format!("{staging}/{device}"))?;
    }
    symlink("/proc/self/fd", format!("{staging}/fd"))?;
    fs::create_dir(format!("{staging}/shm"))?;
    bind(Path::new(&staging), "/dev")
}

/// `/etc` of links to the machine's, but with accounts and a `keepalived` directory of its own.
fn make_etc(plan: &Plan) -> io::Result<()> {
    let original = format!("{OWN}/etc");
    bind(Path::new("/etc"), &original)?;
    read_only(&original)?;
    tmpfs("/etc", "mode=0755")?;
    fs::create_dir("/etc/keepalived")?;
    for (name, own) in [
        ("passwd", "keepalived_script:x:8765:8765::/nonexistent:/usr/sbin/nologin\n"),
        ("group", "keepalived_script:x:8765:\n"),
        ("shadow", "keepalived_script:!:19000::::::\n"),
    ] {
        let mut text: String = fs::read_to_string(format!("{original}/{name}"))
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.starts_with("keepalived_script:"))
            .map(|line| format!("{line}\n"))
            .collect();
        if plan.script_user {
            text.push_str(own);
        }
        let mut file = fs::File::create(format!("/etc/{name}"))?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(if name == "shadow" { 0o600 } else { 0o644 }))?;
    }
    for entry in fs::read_dir(&original)? {
        let name = entry?.file_name();
        let target = Path::new("/etc").join(&name);
        if target.symlink_metadata().is_err() {
            symlink(Path::new(&original).join(&name), target)?;
        }
    }
    Ok(())
}

fn tmpfs(at: &str, options: &str) -> io::Result<()> {
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID, Some(options)).map_err(|cause| located("mount a tmpfs on", at, cause))
}

fn bind(from: &Path, at: &str) -> io::Result<()> {
    mount(Some(from), at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).map_err(|cause| located("bind", at, cause))
}

/// Nothing that a host does reaches the machine's own files. In a user namespace the kernel may refuse (mount_namespaces(7), locked
/// flags): there nobody has the right to write them anyway.
fn read_only(at: &str) -> io::Result<()> {
    match mount(None::<&str>, at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>) {
        Ok(()) | Err(nix::Error::EPERM) => Ok(()),
        Err(cause) => Err(located("make read-only", at, cause)),
    }
}

fn bind_file(from: &Path, at: &str) -> io::Result<()> {
    fs::File::create(at)?;
    bind(from, at)
}

fn located(what: &str, path: &str, cause: nix::Error) -> io::Error {
    io::Error::new(io::Error::from(cause).kind(), format!("{what} {path}: {cause}"))
}
