//! Configurations made to hurt the reader: each ends in one clear error, soon and without eating the machine.

#![expect(clippy::unwrap_used, reason = "a test may")]

use keepalived_rs::config::{Files, LoadOptions, Loaded, Severity, load};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Far beyond what any of them takes, also without optimisation on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// What the whole test may have used at its height, KB; one at a time, so this is the largest.
const MEMORY_KB: u64 = 1_500_000;

/// Every path holds what the function says.
struct Made(fn(&Path) -> String);

impl Files for Made {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok((self.0)(path).into_bytes())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        vec![PathBuf::from(pattern.replace('*', "0"))]
    }
}

fn included(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

struct Bomb {
    name: &'static str,
    text: fn(&Path) -> String,
    says: &'static str,
}

const BOMBS: &[Bomb] = &[
    Bomb { name: "a sequence of 10^9", text: |_| "~SEQ(N,1,1000000000) vrrp_instance V$N {\n".to_owned(), says: "turns" },
    Bomb {
        name: "sequences in sequences",
        text: |_| "~SEQ(A,100000) ~SEQ(B,100000) ~SEQ(C,100000) static_ipaddress { 10.0.0.$A }\n".to_owned(),
        says: "is larger than",
    },
    Bomb { name: "a billion laughs", text: |_| laughs(), says: "substitution" },
    Bomb {
        name: "a definition of many lines in itself many times",
        text: |_| "$A=\\\nx\\\ny\n$B=\\\n$A\\\n$A\\\n$A\n$C=\\\n$B\\\n$B\\\n$B\n".to_owned() + &"$C\n".repeat(100_000),
        says: "is larger than",
    },
    Bomb { name: "a line of 100 MB", text: |_| "x".repeat(100 << 20), says: "is larger than" },
    Bomb { name: "a line of 20 MB", text: |_| format!("router_id {}\n", "x".repeat(20 << 20)), says: "a line of" },
    Bomb { name: "an include of itself", text: |_| "include a.conf\n".to_owned(), says: "includes itself" },
    Bomb { name: "includes without end", text: |path| format!("include {}.conf\n", included(path) + 1), says: "nested more than" },
    Bomb {
        name: "includes that grow",
        text: |path| format!("include {0}.conf\ninclude {0}.conf\n", included(path) + 1),
        says: "is larger than",
    },
    Bomb { name: "braces without end", text: |_| format!("include {}\n", "{a,b}".repeat(5_000)), says: "a path of" },
    Bomb { name: "braces as many as fit", text: |_| format!("include {}\n", "{a,b}".repeat(800)), says: "is larger than" },
    Bomb { name: "blocks in blocks", text: |_| "virtual_server 10.0.0.1 80 {\n".repeat(100_000), says: "Unknown keyword" },
    Bomb { name: "nothing but open braces", text: |_| "{".repeat(3 << 20), says: "a line of" },
    Bomb { name: "a quarter of a million unknown words", text: |_| "virtual_ruter_id\n".repeat(1 << 18), says: "Unknown keyword" },
    Bomb { name: "a definition that doubles", text: |_| "$A=$A $A\n$A\n".to_owned(), says: "substitution" },
];

/// Each name is ten of the one before it.
fn laughs() -> String {
    let define = |n: u32| format!("$L{n}={}\n", format!("${{L{}}} ", n - 1).repeat(10));
    "$L0=ha\n".to_owned() + &(1..=12).map(define).collect::<String>() + "router_id ${L12}\n"
}

fn read(bomb: &Bomb, name: &str) -> Loaded {
    load(&Made(bomb.text), Path::new(name), &LoadOptions::default())
}

fn height_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap()
}

#[test]
fn every_bomb_ends_in_a_clear_error_in_bounded_time_and_memory() {
    for bomb in BOMBS {
        let start = Instant::now();
        let loaded = read(bomb, "a.conf");
        let took = start.elapsed();
        let found = loaded.report.diagnostics();
        eprintln!("{}: {took:?}, {} problems, at most {} KB so far", bomb.name, found.len(), height_kb());
        let told = found.iter().filter(|one| one.severity == Severity::Error && one.message.contains(bomb.says)).count();
        // A limit is told once, however often it is run into.
        let once = matches!(bomb.says, "is larger than" | "turns" | "includes itself");
        assert!(
            if once { told == 1 } else { told >= 1 },
            "{}: {:?}",
            bomb.name,
            found.iter().take(5).map(|one| one.one_line()).collect::<Vec<_>>()
        );
        assert!(found.len() <= 1_003, "{}: {} problems", bomb.name, found.len());
        assert!(found.iter().all(|one| one.render().len() < 4_000), "{}", bomb.name);
        assert!(took < LIMIT, "{}: {took:?}", bomb.name);
        assert!(height_kb() < MEMORY_KB, "{}: {} KB", bomb.name, height_kb());
    }
}
