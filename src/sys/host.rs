//! What a laboratory host needs from the kernel that has no safe call: its first process, and packet sockets on one interface.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes `command` the first process of the PID namespace it is spawned into: it dies with the thread that spawned it
/// (and everything in the namespace with it), children that nobody waits for are reaped by the kernel, and `/proc` shows
/// that namespace.
#[expect(unsafe_code, reason = "pre_exec")]
pub fn make_first_process(command: &mut Command) {
    // SAFETY: between fork and exec only system calls on constants are made: no allocation, no lock.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            ignore_children()?;
            let nothing: Option<&CStr> = None;
            nix::mount::mount(Some(c"proc"), c"/proc", Some(c"proc"), nix::mount::MsFlags::empty(), nothing)?;
            Ok(())
        });
    }
}

/// SIGCHLD ignored survives exec: the kernel then reaps every child by itself (signal(7)).
#[expect(unsafe_code, reason = "signal")]
fn ignore_children() -> nix::Result<()> {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn) }.map(drop)
}

/// Makes `command` start in a user namespace of its own, where it is root and everybody else is nobody.
#[expect(unsafe_code, reason = "pre_exec")]
pub fn make_root_of_user_namespace(command: &mut Command) {
    let map = IdMap::of_this_process();
    // SAFETY: between fork and exec only system calls on memory prepared before are made.
    unsafe {
        command.pre_exec(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?;
            map.write()
        });
    }
}

/// Puts the calling process, which must have one thread, into a user namespace where it is root and everybody else is nobody.
pub fn enter_user_namespace() -> io::Result<()> {
    let map = IdMap::of_this_process();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?;
    map.write()
}

/// One user and one group of ours are 0 inside (user_namespaces(7): all that a process without privileges may map).
struct IdMap {
    uid: String,
    gid: String,
}

impl IdMap {
    fn of_this_process() -> Self {
        Self { uid: format!("0 {} 1", nix::unistd::geteuid()), gid: format!("0 {} 1", nix::unistd::getegid()) }
    }

    fn write(&self) -> io::Result<()> {
        write_once(c"/proc/self/setgroups", b"deny")?;
        write_once(c"/proc/self/uid_map", self.uid.as_bytes())?;
        write_once(c"/proc/self/gid_map", self.gid.as_bytes())
    }
}

fn write_once(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    use nix::fcntl::{OFlag, open};
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
    let written = nix::unistd::write(&file, bytes)?;
    if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Binds a packet socket (packet(7)) to the interface with this index, for sending only: protocol 0 receives nothing.
#[expect(unsafe_code, reason = "sockaddr_ll has no safe constructor in nix or socket2")]
pub fn bind_packet_socket(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    let index = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    let family = u16::try_from(libc::AF_PACKET).map_err(|_| io::ErrorKind::InvalidInput)?;
    let address = libc::sockaddr_ll {
        sll_family: family,
        sll_protocol: 0,
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `address` lives across the call and `length` is its size.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
