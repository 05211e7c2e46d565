//! Network namespaces: laboratories and tests run in their own, so that nothing leaves it.

use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Moves the calling thread into the network namespace behind `fd`. Sockets opened before stay where they were.
pub fn enter(fd: impl AsFd) -> io::Result<()> {
    nix::sched::setns(fd, CloneFlags::CLONE_NEWNET)?;
    Ok(())
}

/// Binds `folder/name` (both exist) over `folder` in a mount namespace of our own, so that daemons of several network namespaces keep
/// their files apart and find them under the usual paths.
pub fn own_folder(folder: &Path, name: &str) -> io::Result<()> {
    let own = folder.join(name);
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    // What happens to mounts outside still reaches us, what we mount stays ours.
    nix::mount::mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
    nix::mount::mount(Some(&own), folder, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(())
}

/// The calling thread's network namespace.
pub fn current() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
}

/// A new, empty network namespace; the calling thread stays where it is. It exists as long as the descriptor, a thread or a socket in it.
pub fn create() -> io::Result<OwnedFd> {
    in_thread(|| {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
        current()
    })
}

/// Runs `work` on a thread of its own in a network namespace of its own, and gives back its result. A namespace belongs to a
/// thread, so no async runtime may be carried over from the caller: make one inside. Needs CAP_SYS_ADMIN.
pub fn in_new_netns<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    in_thread(|| {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })
}

/// Runs `work` on a thread of its own inside an existing network namespace.
pub fn in_netns<T: Send>(fd: &OwnedFd, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    in_thread(|| {
        enter(fd)?;
        Ok(work())
    })
}

fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
