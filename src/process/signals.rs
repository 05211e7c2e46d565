//! The daemon's signals by what they ask for (keepalived(8), `--signum`).

/// Orderly stop; SIGINT does the same.
pub const STOP: i32 = libc::SIGTERM;
/// Reload.
pub const RELOAD: i32 = libc::SIGHUP;
/// Write keepalived.data.
pub const DATA: i32 = libc::SIGUSR1;
/// Write keepalived.stats.
pub const STATS: i32 = libc::SIGUSR2;

/// Write keepalived.stats, then count from zero.
pub fn stats_clear() -> i32 {
    libc::SIGRTMAX() - 1
}

/// Write keepalived.json.
pub fn json() -> i32 {
    libc::SIGRTMIN() + 2
}

/// What ends other programs and not this one, as with the original: nobody's alarm or stray real-time signal takes a router down.
pub fn ignored() -> impl Iterator<Item = i32> {
    let ours = [stats_clear(), json()];
    [libc::SIGQUIT, libc::SIGALRM].into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).filter(move |signal| !ours.contains(signal))
}

/// As the shell's `kill -l` writes it.
pub fn name(number: i32) -> String {
    match number {
        STOP => "SIGTERM".to_owned(),
        RELOAD => "SIGHUP".to_owned(),
        DATA => "SIGUSR1".to_owned(),
        STATS => "SIGUSR2".to_owned(),
        libc::SIGINT => "SIGINT".to_owned(),
        libc::SIGQUIT => "SIGQUIT".to_owned(),
        libc::SIGALRM => "SIGALRM".to_owned(),
        other if other == stats_clear() => "SIGRTMAX-1".to_owned(),
        other if other == json() => "SIGRTMIN+2".to_owned(),
        other => format!("signal {other}"),
    }
}
