//! Broken files: each of ten good configurations with one character deleted, 300 of them, and with the mistakes that people make.
//! Nothing panics, every problem names file, line and column, and `-t` says what the installed original (2.2.7) says of the
//! same text: its exit status, and every line it complains about.
//!
//! The original's verdicts are in `tests/verdicts/recorded.tsv`, so that this runs without it; `cargo test --test verdicts -- --ignored`
//! records them anew. What differs on purpose is in `tests/verdicts/differences.tsv`, with its reason.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{Lab, lab, skip};
use keepalived_rs::config::{Diagnostic, Files, Severity};
use keepalived_rs::config::{LoadOptions, Loaded, load};
use keepalived_rs::script::table;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Good configurations of every kind: the original's `-t` exits 0 (5 for the tutorials' `vrrp_garp_interval 0`).
const GOOD: &[(&str, &str)] = &[
    ("globals", include_str!("configs/ok/globals.conf")),
    ("tracked", include_str!("configs/ok/tracked.conf")),
    ("balancer", include_str!("configs/ok/balancer.conf")),
    ("strict", include_str!("configs/ok/strict.conf")),
    ("v6", include_str!("configs/ok/v6.conf")),
    ("definitions", include_str!("configs/ok/definitions.conf")),
    ("addresses", include_str!("configs/ok/addresses.conf")),
    ("seed_dual", include_str!("configs/ok/seed_dual.conf")),
    ("process", include_str!("configs/ok/process.conf")),
    ("oneline", include_str!("configs/ok/oneline.conf")),
];
const DELETIONS: usize = 30;
const MISTAKES: usize = 40;

/// Where the file is, for both.
const PATH: &str = "/etc/keepalived/keepalived.conf";
/// The interfaces that every file names.
const INTERFACES: [&str; 2] = ["eth0", "ens33"];

/// splitmix64: the same choice on every machine, for ever.
struct Choice(u64);

impl Choice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// A broken file, and what it is called in the records.
struct Broken {
    name: String,
    text: String,
}

fn all() -> Vec<Broken> {
    let mut all = Vec::new();
    for (number, (name, text)) in (1..).zip(GOOD) {
        all.push(Broken { name: format!("{name} as it is"), text: (*text).to_owned() });
        deletions(name, text, &mut Choice(number), &mut all);
        mistakes(name, text, &mut Choice(number << 32), &mut all);
    }
    all
}

/// One character less. Inside comments nothing would change.
fn deletions(name: &str, text: &str, choice: &mut Choice, all: &mut Vec<Broken>) {
    let mut places: Vec<(usize, char)> = Vec::new();
    for (start, line) in lines(text) {
        let content = line.split(['#', '!']).next().unwrap_or("");
        places.extend(content.trim_end().char_indices().map(|(at, c)| (start + at, c)).filter(|(_, c)| !c.is_whitespace()));
        places.push((start + line.len(), '\n'));
    }
    for _ in 0..DELETIONS {
        let (at, gone) = places.swap_remove(choice.below(places.len()));
        let mut broken = text.to_owned();
        if broken.get(at..).is_some_and(|rest| rest.starts_with(gone)) {
            broken.remove(at);
        }
        let line = text[..at].matches('\n').count() + 1;
        all.push(Broken { name: format!("{name} without {gone:?} at byte {at} of line {line}"), text: broken });
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line.trim_end_matches('\n')))
    })
}

/// A line, spoilt.
type Slip = fn(&str) -> String;

/// What people do to a line.
const SLIPS: &[(&str, Slip)] = &[
    ("last word gone", |line| line.trim_end().rsplit_once(' ').map_or_else(String::new, |(head, _)| head.to_owned())),
    ("last word zzz", |line| last(line, |_| "zzz".to_owned())),
    ("last word -1", |line| last(line, |_| "-1".to_owned())),
    ("last word 99999999999", |line| last(line, |_| "99999999999".to_owned())),
    ("last word with unit", |line| last(line, |word| format!("{word}s"))),
    ("last word 0", |line| last(line, |_| "0".to_owned())),
    ("one word more", |line| format!("{} extra", line.trim_end())),
    ("line twice", |line| format!("{line}\n{line}")),
    ("keyword with a letter twice", |line| {
        let at = line.len() - line.trim_start().len();
        line.get(at..=at).map_or_else(String::new, |first| format!("{}{first}{}", &line[..at], &line[at..]))
    }),
    ("line gone", |_| String::new()),
    ("quote opened", |line| last(line, |word| format!("\"{word}"))),
    ("no blank", |line| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        format!("{indent}{}", rest.replacen(' ', "", 1))
    }),
];

fn last(line: &str, change: impl Fn(&str) -> String) -> String {
    let line = line.trim_end();
    let (line, brace) = line.strip_suffix('{').map_or((line, ""), |head| (head.trim_end(), " {"));
    match line.rsplit_once([' ', '\t']) {
        Some((head, word)) => format!("{head} {}{brace}", change(word)),
        None => format!("{line}{brace}"),
    }
}

fn mistakes(name: &str, text: &str, choice: &mut Choice, all: &mut Vec<Broken>) {
    let lines: Vec<&str> = text.lines().collect();
    let (mut made, mut tries) = (BTreeSet::new(), 0);
    // A short file has fewer mistakes than asked for.
    while made.len() < MISTAKES && tries < 100 * MISTAKES {
        let (number, (slip, change)) = (choice.below(lines.len()), SLIPS[choice.below(SLIPS.len())]);
        let line = lines[number];
        let changed = change(line);
        tries += 1;
        if line.trim().is_empty() || line.trim_start().starts_with(['#', '!']) || changed == line || !made.insert((number, slip)) {
            continue;
        }
        let mut broken: Vec<&str> = lines.clone();
        broken[number] = &changed;
        all.push(Broken { name: format!("{name} line {}: {slip}", number + 1), text: broken.join("\n") + "\n" });
    }
}

/// What is said of a file: the exit status of `-t`, and the lines that are complained about.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Verdict {
    exit: u8,
    lines: BTreeSet<u32>,
}

struct One<'t>(&'t str);

impl Files for One<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new(PATH) { Ok(self.0.as_bytes().to_vec()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn read(text: &str) -> Loaded {
    let options = LoadOptions { config_id: "lab".to_owned(), config_test: true, ..LoadOptions::default() };
    let mut loaded = load(&One(text), Path::new(PATH), &options);
    loaded.require_interfaces(|name| INTERFACES.contains(&name));
    loaded
}

fn ours(text: &str) -> (Verdict, Vec<Diagnostic>) {
    let loaded = read(text);
    let (_, scripts) = table::examine(&loaded.config, false);
    let about_script = |finding: &table::Finding| {
        let command = finding.about.as_ref()?;
        Some(loaded.about_script(command, Severity::Error, "script-refused", finding.text.clone()))
    };
    let mut found = loaded.report.diagnostics().to_vec();
    found.extend(scripts.iter().filter_map(about_script));
    let used = found.iter().filter_map(|found| Some(found.place.as_ref()?.line));
    let defined = found.iter().flat_map(|found| &found.expansion).flat_map(|line| &line.origins).map(|(_, at)| at.line);
    let lines = used.chain(defined).collect();
    (Verdict { exit: loaded.report.test_exit_code_with(table::test_status(&scripts)), lines }, found)
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts").join(name)
}

/// The original says of the `}` of an unknown block, and of each after it, that it is one too many: here the unknown block is told.
fn closes_only(text: &str, line: u32) -> bool {
    let line = usize::try_from(line).unwrap().checked_sub(1).and_then(|index| text.lines().nth(index));
    line.is_some_and(|line| line.trim() == "}")
}

/// `NAME <tab> EXIT <tab> LINE LINE …`
fn recorded() -> BTreeMap<String, Verdict> {
    let text = std::fs::read_to_string(file("recorded.tsv")).unwrap();
    let row = |line: &str| {
        let mut parts = line.split('\t');
        let (name, exit) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        let lines = parts.next().unwrap_or("").split_ascii_whitespace().filter_map(|line| line.parse().ok()).collect();
        Some((name, Verdict { exit, lines }))
    };
    text.lines().filter_map(row).collect()
}

/// `NAME <tab> REASON`: what differs on purpose.
fn differences() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file("differences.tsv")).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('\t')).map(|(name, why)| (name.to_owned(), why.to_owned())).collect()
}

#[test]
fn every_broken_file_is_answered_soon_and_with_file_line_and_column() {
    let broken = all();
    assert!(broken.len() >= 600, "{}", broken.len());
    for one in &broken {
        let start = Instant::now();
        let (verdict, found) = ours(&one.text);
        assert!(start.elapsed() < Duration::from_secs(20), "{}: {:?}", one.name, start.elapsed());
        for problem in found.iter().filter(|problem| problem.severity == Severity::Error) {
            let at = problem.place.as_ref().unwrap_or_else(|| panic!("{}: {problem:?} is nowhere", one.name));
            assert!(at.line >= 1 && at.column >= 1 && at.path == Path::new(PATH), "{}: {problem:?}", one.name);
        }
        assert!(verdict.exit == 0 || !found.is_empty() || verdict.exit == 6, "{}", one.name);
    }
}

#[test]
fn the_verdicts_are_those_of_the_original_but_where_a_reason_is_written_down() {
    let (recorded, reasons) = (recorded(), differences());
    let mut wrong = String::new();
    let mut differ = BTreeSet::new();
    for one in all() {
        let Some(original) = recorded.get(&one.name) else {
            writeln!(wrong, "{}: not recorded", one.name).unwrap();
            continue;
        };
        let (verdict, found) = ours(&one.text);
        let unheard: Vec<_> = original.lines.difference(&verdict.lines).filter(|line| !closes_only(&one.text, **line)).collect();
        if original.exit == verdict.exit && unheard.is_empty() {
            continue;
        }
        differ.insert(one.name.clone());
        if !reasons.contains_key(&one.name) {
            let told: Vec<_> = found.iter().map(Diagnostic::one_line).collect();
            let (exit, ours) = (original.exit, verdict.exit);
            writeln!(wrong, "{}\texit {exit}, ours {ours}; lines unheard {unheard:?}; ours: {told:#?}", one.name).unwrap();
        }
    }
    for stale in reasons.keys().filter(|name| !differ.contains(*name)) {
        writeln!(wrong, "{stale}: does not differ any more").unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Asks the installed original.
#[test]
#[ignore = "writes tests/verdicts/recorded.tsv from what the installed original says"]
fn record() {
    const ORIGINAL: &str = "/usr/sbin/keepalived";
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    if let Some(why) = lab::obstacle() {
        return skip(&why);
    }
    let lab = Lab::plan().build(&["ka1"]).unwrap();
    lab.second_network("ens33", &["ka1"]).unwrap();
    let host = lab.host("ka1");
    let mut rows = String::new();
    let mut said = String::new();
    for one in all() {
        host.write(PATH, &one.text).unwrap();
        // It does not end over some of them: 124 then.
        let mut command = host.command("timeout");
        command.args(["--signal=KILL", "--foreground", "3", ORIGINAL, "-t", "-i", "lab", "-f", PATH]);
        let output = host.output(command).unwrap();
        let hangs = output.status.code().is_none_or(|code| code == 124 || code == 137);
        let lines: BTreeSet<u32> = output.text.lines().filter_map(line_of).collect();
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        writeln!(rows, "{}\t{}\t{}", one.name, if hangs { 124 } else { output.status.code().unwrap() }, lines.join(" ")).unwrap();
        writeln!(said, "### {}\n{}", one.name, output.text).unwrap();
    }
    std::fs::create_dir_all(file("")).unwrap();
    std::fs::write(file("recorded.tsv"), rows).unwrap();
    std::fs::write(std::env::temp_dir().join("keepalived-said.txt"), said).unwrap();
}

/// The number in `(Line N) text` or `(FILE: Line N) text`.
fn line_of(text: &str) -> Option<u32> {
    let (place, _) = text.strip_prefix('(')?.split_once(')')?;
    place.rsplit_once("Line ")?.1.parse().ok()
}
