//! What a child may ask of the kernel after its start: files (Landlock) and system calls (seccomp).

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};
use std::collections::BTreeMap;

/// A folder that stays open to the process, with all below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathRule {
    /// To read and list.
    Read(&'static str),
    /// To read, list and write files that exist.
    ReadWrite(&'static str),
}

/// Which system calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// One thread over sockets, timers and netlink; no new process, no new code.
    Network,
    /// The same without netlink and raw frames: streams to servers and nothing else.
    Client,
    /// The same without streams beyond this host: UDP to neighbours and nothing else.
    Datagrams,
}

/// Why a sandbox could not be shut.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Landlock.
    #[error("cannot restrict file access: {0}")]
    Files(#[from] landlock::RulesetError),
    /// The filter is wrong.
    #[error("cannot build the system call filter: {0}")]
    Build(#[from] seccompiler::BackendError),
    /// The kernel has no seccomp, or refuses.
    #[error("cannot install the system call filter: {0}")]
    Calls(#[from] seccompiler::Error),
}

/// Newest Landlock rules asked for; older kernels enforce what they know.
const LANDLOCK: ABI = ABI::V6;

/// Shuts the file system except for `open`, and TCP (unless `tcp`), abstract sockets and signals to strangers altogether.
/// Answers whether this kernel could enforce anything.
///
/// # Errors
/// Wrong rules. A kernel without Landlock is no error.
pub fn restrict_files(open: &[PathRule], tcp: bool) -> Result<bool, SandboxError> {
    let read = AccessFs::from_read(LANDLOCK) & !AccessFs::Execute;
    let write = read | AccessFs::WriteFile | AccessFs::Truncate;
    let paths = |writable: bool| {
        open.iter().filter_map(move |rule| match (rule, writable) {
            (PathRule::Read(path), false) | (PathRule::ReadWrite(path), true) => Some(*path),
            _ => None,
        })
    };
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(LANDLOCK))?;
    if !tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(LANDLOCK))?;
    }
    let status = ruleset
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(paths(false), read))?
        .add_rules(path_beneath_rules(paths(true), write))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// From now on only the profile's system calls are answered: others fail with EPERM, and those that only an intruder
/// would make kill the process. Applies to every thread.
///
/// # Errors
/// The kernel refuses.
pub fn restrict_calls(profile: Profile) -> Result<(), SandboxError> {
    let allowed = match profile {
        Profile::Network => network_calls(FAMILIES),
        Profile::Client => network_calls(CLIENT_FAMILIES),
        Profile::Datagrams => datagram_calls(),
    };
    let refuse = filter(allowed, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
    let deadly = DEADLY_CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let kill = filter(deadly, SeccompAction::Allow, SeccompAction::KillProcess)?;
    // The kernel obeys the strictest answer of all filters. The last one forbids to install another, so it is the longer list.
    seccompiler::apply_filter_all_threads(&kill)?;
    seccompiler::apply_filter_all_threads(&refuse)?;
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn filter(rules: Rules, other: SeccompAction, listed: SeccompAction) -> Result<BpfProgram, SandboxError> {
    #[cfg(target_arch = "x86_64")]
    const ARCH: TargetArch = TargetArch::x86_64;
    #[cfg(target_arch = "aarch64")]
    const ARCH: TargetArch = TargetArch::aarch64;
    #[cfg(target_arch = "riscv64")]
    const ARCH: TargetArch = TargetArch::riscv64;
    Ok(SeccompFilter::new(rules, other, listed, ARCH)?.try_into()?)
}

fn network_calls(families: &[i32]) -> Rules {
    let mut rules: Rules = NETWORK_CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, families.iter().filter_map(|family| equals(0, *family as u64)).collect());
    // Memory that is both written and run is how an intruder brings code along.
    let never_executable: Vec<SeccompRule> = masked(2, libc::PROT_EXEC as u64, 0).into_iter().collect();
    rules.insert(libc::SYS_mmap, never_executable.clone());
    rules.insert(libc::SYS_mprotect, never_executable);
    rules
}

/// Sockets of the syslog are of any kind, those of the network are UDP.
fn datagram_calls() -> Rules {
    let mut rules = network_calls(CLIENT_FAMILIES);
    // The type's other bits are flags: close-on-exec, non-blocking.
    let datagram = |family: i32| {
        let family = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family as u64).ok()?;
        let kind = SeccompCmpOp::MaskedEq(0xf);
        SeccompRule::new(vec![family, SeccompCondition::new(1, SeccompCmpArgLen::Dword, kind, libc::SOCK_DGRAM as u64).ok()?]).ok()
    };
    let udp = [libc::AF_INET, libc::AF_INET6].into_iter().filter_map(datagram);
    rules.insert(libc::SYS_socket, udp.chain(equals(0, libc::AF_UNIX as u64)).collect());
    rules
}

fn equals(argument: u8, value: u64) -> Option<SeccompRule> {
    rule(argument, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Option<SeccompRule> {
    rule(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// `None` cannot happen: the argument numbers above are below 6 and there is one condition.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}

/// syslog and journal, adverts, netlink, ARP.
const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

/// syslog and journal, servers.
const CLIENT_FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// A single-threaded tokio runtime over sockets.
const NETWORK_CALLS: &[i64] = &[
    // bytes
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    // files, as far as Landlock leaves any: net sysctls
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_ftruncate,
    // sockets
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // waiting
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    // clocks (answered without a call where the kernel can)
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    // memory
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_memfd_create,
    // randomness of hash maps
    libc::SYS_getrandom,
    // signals, and alarm for the end of a stuck process
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_setitimer,
    libc::SYS_tgkill,
    // itself
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getcwd,
    libc::SYS_uname,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // their older forms
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_alarm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// What no role ever does: new code, other processes' memory, the kernel's own affairs.
const DEADLY_CALLS: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_swapon,
    libc::SYS_reboot,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_deadly() {
        let allowed = network_calls(FAMILIES);
        for call in DEADLY_CALLS {
            assert!(!allowed.contains_key(call), "system call {call}");
        }
        for call in [libc::SYS_clone, libc::SYS_clone3, libc::SYS_setresuid, libc::SYS_kill] {
            assert!(!allowed.contains_key(&call), "system call {call}");
        }
    }

    #[test]
    fn the_filters_can_be_built() {
        filter(network_calls(CLIENT_FAMILIES), SeccompAction::Errno(1), SeccompAction::Allow).unwrap();
        filter(network_calls(FAMILIES), SeccompAction::Errno(1), SeccompAction::Allow).unwrap();
        filter(datagram_calls(), SeccompAction::Errno(1), SeccompAction::Allow).unwrap();
    }
}
