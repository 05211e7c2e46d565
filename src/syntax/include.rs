//! `include` lines: which files, and what it means when there are none (keepalived.conf(5), "include_check").

use super::source::Span;
use super::suggest;
use std::path::{Path, PathBuf};

/// How strict an include is: the letter after `include`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Checks {
    pub(super) readable: bool,
    pub(super) matched: bool,
    pub(super) wildcard: bool,
    pub(super) brace: bool,
}

impl Checks {
    /// `-e`, `includea`, `include_check` alone.
    pub(super) const ALL: Self = Self { readable: true, matched: true, wildcard: true, brace: true };

    /// The checks of both.
    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable | other.readable,
            matched: self.matched | other.matched,
            wildcard: self.wildcard | other.wildcard,
            brace: self.brace | other.brace,
        }
    }

    /// What is checked after a line `include_check OPTION …` (its words after the first). Words that mean nothing change nothing;
    /// whoever reads the keyword says so.
    #[must_use]
    pub(super) fn changed(self, options: &str) -> Self {
        if options.trim().is_empty() {
            return Self::ALL;
        }
        let mut checks = self;
        for (number, word) in options.split_ascii_whitespace().enumerate() {
            let (sign, name) = word.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-")).unwrap_or(("", word));
            if !CHECKS.contains(&name) || (sign.is_empty() && number > 0) {
                continue;
            }
            if sign.is_empty() {
                checks = Self { readable: true, ..Self::default() };
            }
            let on = sign != "-";
            match name {
                "read" => checks.readable = on,
                "match" => checks.matched = on,
                "wildcard_match" => checks.wildcard = on,
                _ => checks.brace = on,
            }
        }
        checks
    }
}

/// The words of `include_check`.
pub(crate) const CHECKS: &[&str] = &["read", "match", "wildcard_match", "brace_match"];

/// The options of an `include_check` line.
pub(super) fn include_check(content: &str) -> Option<&str> {
    content.strip_prefix("include_check").filter(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace()))
}

/// The checks and the pattern of an include line.
pub(super) fn include(content: &str) -> Option<(Checks, &str)> {
    // What follows another word may be long.
    if !content.starts_with("include") {
        return None;
    }
    let (keyword, pattern) = content.split_once(|c: char| c.is_ascii_whitespace())?;
    let checks = strictness(keyword)?;
    let pattern = pattern.trim();
    let pattern = pattern.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(pattern);
    (!pattern.is_empty()).then_some((checks, pattern))
}

/// How strict an include of that keyword is; `None`: it is none of the six.
pub(super) fn strictness(keyword: &str) -> Option<Checks> {
    let letter = match keyword.strip_prefix("include")? {
        "" => ' ',
        "r" => 'r',
        "m" => 'm',
        "w" => 'w',
        "b" => 'b',
        "a" => 'a',
        _ => return None,
    };
    let (matched, wildcard) = (matches!(letter, 'm' | 'w' | 'a'), matches!(letter, 'w' | 'a'));
    Some(Checks { readable: letter != ' ', matched, wildcard, brace: matches!(letter, 'b' | 'a') })
}

/// An include that was followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Included {
    /// Where it stands: its line, or in TOML its value.
    pub span: Span,
    /// `include`, `includer` and so on.
    pub keyword: String,
    /// What it names, substitutions made.
    pub pattern: String,
    /// The files that were read for it, by their numbers.
    pub files: Vec<u32>,
}

/// `a{b,c}d` is `abd` and `acd`, as in glob(3) with `GLOB_BRACE`; nothing else nests deeper than a few levels in practice.
pub(super) fn braces(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(pattern) = todo.pop() {
        let inner = pattern.find('}').and_then(|close| Some((pattern.get(..close)?.rfind('{')?, close)));
        match inner {
            Some((open, close)) if done.len() + todo.len() < 1_000 => {
                let part = |range: std::ops::Range<usize>| pattern.get(range).unwrap_or("").to_owned();
                let (head, middle, tail) = (part(0..open), part(open + 1..close), part(close + 1..pattern.len()));
                todo.extend(middle.split(',').rev().map(|choice| format!("{head}{choice}{tail}")));
            }
            _ => done.push(pattern),
        }
    }
    done
}

/// The path without `.` and `x/..`, so that a loop is seen however it is written.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

pub(super) fn chain(open: &[PathBuf]) -> Option<String> {
    let names: Vec<_> = open.iter().map(|path| path.display().to_string()).collect();
    Some(format!("the files being read are {}", names.join(" > ")))
}

/// Whether an unknown first word was meant as an include.
pub(super) fn include_slip(word: &str) -> bool {
    suggest::distance(word, "include") <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_make_every_alternative_in_order() {
        assert_eq!(braces("a{b,c}d{1,2}"), ["abd1", "abd2", "acd1", "acd2"].map(str::to_owned));
        assert_eq!(braces("plain"), ["plain"].map(str::to_owned));
    }

    #[test]
    fn include_check_sets_adds_and_takes_away() {
        let none = Checks::default();
        assert_eq!(none.changed(""), Checks::ALL);
        assert_eq!(none.changed("match"), Checks { readable: true, matched: true, ..none });
        assert_eq!(Checks::ALL.changed("-match -read"), Checks { wildcard: true, brace: true, ..none });
        assert_eq!(none.changed("match +brace_match"), Checks { readable: true, matched: true, brace: true, ..none });
        assert_eq!(Checks::ALL.changed("read"), Checks { readable: true, ..none });
        assert_eq!(none.changed("+wildcard_match nonsense match"), Checks { wildcard: true, ..none });
        assert_eq!(include_check("include_check -match"), Some(" -match"));
        assert_eq!(include_check("include_checks"), None);
    }

    #[test]
    fn an_include_is_the_word_and_a_blank() {
        assert!(include("include a").is_some());
        assert!(include("includem\ta").is_some_and(|(checks, pattern)| checks.matched && pattern == "a"));
        assert!(include("include").is_none());
        assert!(include("include_check").is_none());
        assert!(include("includes a").is_none());
    }
}
