//! The house keeps its order: a room uses only rooms named before it in `src/lib.rs`, pure rooms do not touch the world,
//! and `unsafe` lives in `sys` alone.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms below this one in the map touch no clock, file, socket or task.
const FIRST_ROOM_OF_THE_WORLD: &str = "sys";

/// What a pure room may not name.
const WORLD: &[&str] = &[
    "tokio",
    "ractor",
    "nix",
    "libc",
    "socket2",
    "std::fs",
    "std::process",
    "std::thread",
    "std::os",
    "std::env",
    "Instant::now",
    "SystemTime",
    "TcpStream",
    "UdpSocket",
];

/// A source file without comments, strings and characters.
struct Source {
    path: PathBuf,
    room: String,
    code: String,
}

impl Source {
    fn read(path: PathBuf, root: &Path) -> Self {
        let inside = path.strip_prefix(root).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let code = without_text(&fs::read_to_string(&path).unwrap());
        Self { room: first.trim_end_matches(".rs").to_owned(), path, code }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn sources() -> Vec<Source> {
    files(&root()).into_iter().map(|path| Source::read(path, &root())).collect()
}

/// The rooms in the order of the map.
fn rooms() -> Vec<String> {
    let map = without_text(&fs::read_to_string(root().join("lib.rs")).unwrap());
    let rooms: Vec<String> =
        map.lines().filter_map(|line| Some(line.trim().strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned())).collect();
    assert!(rooms.len() > 8, "{rooms:?}");
    rooms
}

/// Removes comments and the inside of literals, keeping lines.
fn without_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let (mut code, mut at) = (String::new(), 0);
    while let Some(&here) = chars.get(at) {
        let rest = &chars[at..];
        let length = match here {
            '/' if rest.starts_with(&['/', '/']) => rest.iter().take_while(|c| **c != '\n').count(),
            '/' if rest.starts_with(&['/', '*']) => block_comment(rest),
            '"' => quoted(rest, '"'),
            'r' | 'b' | 'c' if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string(rest),
            '\'' if rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'') => quoted(rest, '\''),
            _ => 0,
        };
        if length == 0 {
            code.push(here);
            at += 1;
        } else {
            code.extend(rest[..length].iter().filter(|c| **c == '\n'));
            code.push(' ');
            at += length;
        }
    }
    code
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match rest.get(at..at + 2) {
            Some(['/', '*']) => (depth, at) = (depth + 1, at + 2),
            Some(['*', '/']) => (depth, at) = (depth - 1, at + 2),
            Some(_) => at += 1,
            None => return rest.len(),
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Length of a literal with escapes, its quotes included.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while let Some(&c) = rest.get(at) {
        at += if c == '\\' { 2 } else { 1 };
        if c == quote {
            break;
        }
    }
    at.min(rest.len())
}

/// Length of `r#"…"#` and its kin; 0 when it is none.
fn raw_string(rest: &[char]) -> usize {
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') || rest[prefix - 1] != 'r' {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = prefix + hashes + 1;
    (body..rest.len()).find(|at| rest[*at..].starts_with(&end)).map_or(rest.len(), |at| at + end.len())
}

/// Names of rooms that follow `crate::`, in braces too, and where `super` leads out of a room.
fn used(code: &str, rooms: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.push(word(rest)),
        }
    }
    for (at, _) in code.match_indices("super::super::") {
        found.extend(Some(word(&code[at + "super::super::".len()..])).filter(|name| rooms.contains(name)));
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// First words of the items of a `{a::b, c, d::{e, f}}` group, after its brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                heads.push(word(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn a_room_uses_only_rooms_named_before_it() {
    let rooms = rooms();
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let mut broken = Vec::new();
    for source in sources() {
        let Some(own) = place(&source.room) else { continue };
        let above = used(&source.code, &rooms).into_iter().filter(|name| place(name).is_some_and(|place| place > own));
        broken.extend(above.map(|name| format!("{}: {} uses {name}", source.path.display(), source.room)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_folder_is_a_room_of_the_map_and_opens_with_a_sentence() {
    let rooms = rooms();
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "bin" {
            assert!(rooms.contains(&name), "src/{name} is not in src/lib.rs");
            let text = fs::read_to_string(path.join("mod.rs")).unwrap();
            assert!(text.starts_with("//! "), "src/{name}/mod.rs does not open with a sentence");
        }
    }
}

#[test]
fn pure_rooms_do_not_touch_the_world() {
    let rooms = rooms();
    let pure: Vec<&String> = rooms.iter().take_while(|room| *room != FIRST_ROOM_OF_THE_WORLD).collect();
    assert!(pure.len() >= 5, "{pure:?}");
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| pure.contains(&&source.room)) {
        for name in WORLD {
            let used = source.code.match_indices(name).any(|(at, _)| {
                // bytes of an argument are no world
                if source.code[at..].starts_with("std::os::unix::ffi") {
                    return false;
                }
                let before = source.code[..at].chars().next_back();
                let after = source.code[at + name.len()..].chars().next();
                let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                let path = name.contains("::") || name.starts_with(char::is_uppercase) || source.code[at + name.len()..].starts_with("::");
                path && !part(before) && !part(after)
            });
            if used {
                broken.push(format!("{} names {name}", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn unsafe_lives_in_sys_alone() {
    let word = |code: &str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe" || word == "unsafe_code");
    let guilty: Vec<String> = sources()
        .iter()
        .filter(|source| source.room != "sys" && word(&source.code))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(guilty.is_empty(), "{guilty:?}");
    assert!(sources().iter().any(|source| source.room == "sys" && word(&source.code)), "nothing was found at all");
}

#[test]
fn the_reader_of_sources_sees_code_and_nothing_else() {
    let text = r##"use crate::{types::Vrid, sys, vrrp::{fsm, event}}; // crate::ctl
        let s = "crate::process"; let r = r#"crate::report" "#; let c = '"'; let l: &'a str = crate::ipc::x; /* crate::net /* */ crate::net */"##;
    let code = without_text(text);
    assert_eq!(used(&code, &["config".to_owned()]), ["types", "sys", "vrrp", "ipc"]);
    assert_eq!(used("super::super::config::x; super::super::other", &["config".to_owned()]), ["config"]);
}
