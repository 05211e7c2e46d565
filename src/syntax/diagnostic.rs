//! What people are shown of a complaint: the place, the line with a caret, what was expected, how to mend it.

use super::complaint::{Complaint, Complaints, Fix, Severity, Verdict};
use super::source::{Places, Sources, Span};
use super::suggest;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One problem, for people: owns everything it shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// What the original makes of it.
    pub verdict: Verdict,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Position>,
    /// What should stand there.
    pub expected: Option<String>,
    /// How to mend it, or what happens instead.
    pub help: Option<String>,
    /// Which rule found it, for tools: `unknown-keyword`.
    pub rule: &'static str,
    /// What to write instead, where that is certain.
    pub fix: Option<Edit>,
    /// The line as it reads after substitution, when it was substituted.
    pub expansion: Option<Expanded>,
}

/// A change of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// The bytes that go.
    pub range: std::ops::Range<usize>,
    /// What comes.
    pub with: String,
}

/// A line that was made by definitions, sequences or predefined names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expanded {
    /// The line as it reads (secrets masked).
    pub text: String,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters to underline, at least 1.
    pub width: u32,
    /// The definitions that it was made from, and where their text stands.
    pub origins: Vec<(String, Position)>,
}

/// A place in a file, with the line itself (secrets masked).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters to underline, at least 1.
    pub width: u32,
    /// The line.
    pub text: String,
}

impl Diagnostic {
    /// Looks the place up.
    pub fn new(complaint: Complaint, places: &mut Places<'_>) -> Self {
        let Complaint { severity, verdict, message, span, expected, help, rule, fix } = complaint;
        let place = span.and_then(|span| position(span, places));
        let expansion = span.and_then(|span| expanded(span, places));
        let fix = fix.and_then(|fix| edit(fix, places));
        Self { severity, verdict, message, place, expected, help, rule, fix, expansion }
    }

    /// About the configuration as a whole.
    pub const fn unplaced(severity: Severity, rule: &'static str, message: String, help: Option<String>) -> Self {
        Self { severity, verdict: Verdict::Fine, message, place: None, expected: None, help, rule, fix: None, expansion: None }
    }

    /// `FILE:LINE:COLUMN: error: what; how to mend it`.
    pub fn one_line(&self) -> String {
        let mut line = String::new();
        if let Some(at) = &self.place {
            let _ = write!(line, "{}:{}:{}: ", at.path.display(), at.line, at.column);
        }
        let _ = write!(line, "{}: {}", self.severity.word(), self.message);
        if let Some(expected) = &self.expected {
            let _ = write!(line, " (expected {expected})");
        }
        if let Some(help) = &self.help {
            let _ = write!(line, "; {help}");
        }
        for (name, at) in self.expansion.iter().flat_map(|expansion| &expansion.origins) {
            let _ = write!(line, " [${name}: {}:{}]", at.path.display(), at.line);
        }
        line
    }

    /// Several lines: the message, the place, the line, a caret under the word, what was expected, how to mend it.
    pub fn render(&self) -> String {
        let mut text = format!("{}: {}\n", self.severity.word(), self.message);
        let digits = self.place.as_ref().map_or(1, |at| at.line.to_string().len());
        let blank = " ".repeat(digits);
        if let Some(at) = &self.place {
            let _ = writeln!(text, "{blank}--> {}:{}:{}", at.path.display(), at.line, at.column);
            let _ = writeln!(text, "{blank} |\n{} | {}\n{blank} | {}", at.line, at.text, carets(&at.text, at.column, at.width));
        }
        if let Some(line) = &self.expansion {
            let _ = writeln!(text, "{blank} = this line reads, after substitution:");
            let _ = writeln!(text, "{blank} | {}\n{blank} | {}", line.text, carets(&line.text, line.column, line.width));
            for (name, at) in &line.origins {
                let _ = writeln!(text, "{blank} = ${name} is defined at {}:{}: {}", at.path.display(), at.line, at.text.trim());
            }
        }
        for (label, what) in [("expected", &self.expected), ("help", &self.help)] {
            if let Some(what) = what {
                let _ = writeln!(text, "{} = {label}: {what}", " ".repeat(digits));
            }
        }
        text
    }
}

/// Longest line that is shown whole, bytes.
const SHOWN: usize = 400;

fn position(span: Span, places: &mut Places<'_>) -> Option<Position> {
    let at = places.find(span)?;
    let (text, column, width) = window(at.text, at.column, at.width);
    Some(Position { path: at.path.to_owned(), line: at.line, column, width, text })
}

/// What is shown of a line, secrets masked: all of it, or of a very long one what the span covers.
fn window(line: &str, column: u32, width: u32) -> (String, u32, u32) {
    if line.len() <= SHOWN {
        return (masked(line), column, width);
    }
    let before = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let width = usize::try_from(width).unwrap_or(1).min(60);
    let at = line.char_indices().nth(before).map_or(line.len(), |(at, _)| at);
    let hidden = SECRETS.iter().any(|secret| line.get(..at).is_some_and(|head| head.contains(secret)));
    let shown: String = line.chars().skip(before).take(width).map(|c| if hidden { '*' } else { c }).collect();
    (masked(&format!("…{shown}…")), 2, u32::try_from(width).unwrap_or(1))
}

fn expanded(span: Span, places: &mut Places<'_>) -> Option<Expanded> {
    let line = places.expansion(span)?;
    let at = |offset: u32| {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(line.text().len());
        line.text().get(..offset).map_or(offset, |head| head.chars().count())
    };
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (start, end) = (at(span.start), at(span.end));
    let (text, column, width) = window(line.text(), number(start + 1), number(end.saturating_sub(start).max(1)));
    let mut origins: Vec<(String, Position)> = Vec::new();
    for origin in line.origins() {
        let Some(at) = position(origin.span, places) else { continue };
        let known = origins.iter().any(|(name, before)| **name == *origin.name && (before.line, &before.path) == (at.line, &at.path));
        if !known {
            origins.push((origin.name.to_string(), at));
        }
    }
    Some(Expanded { text, column, width, origins })
}

/// Only what stands in a file as it is read can be mended there.
fn edit(fix: Fix, places: &mut Places<'_>) -> Option<Edit> {
    if places.expansion(fix.span).is_some() {
        return None;
    }
    let path = places.find(fix.span)?.path.to_owned();
    let range = usize::try_from(fix.span.start).ok()?..usize::try_from(fix.span.end).ok()?;
    Some(Edit { path, range, with: fix.with })
}

fn carets(line: &str, column: u32, width: u32) -> String {
    format!("{}{}", indent(line, column), "^".repeat(usize::try_from(width).unwrap_or(1)))
}

/// Blanks as wide as what stands before the caret: tabs stay tabs, a wide (CJK) character takes two columns of a terminal.
fn indent(line: &str, column: u32) -> String {
    let before = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    line.chars()
        .take(before)
        .flat_map(|c| std::iter::repeat_n(if c == '\t' { '\t' } else { ' ' }, if is_wide(c) { 2 } else { 1 }))
        .collect()
}

const fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}')
}

/// Words whose value nobody may read in a message.
const SECRETS: &[&str] = &["auth_pass", "password", "key"];

/// Whether the value of this keyword is a secret.
pub fn is_secret(keyword: &str) -> bool {
    SECRETS.contains(&keyword)
}

/// A word for a message: what is glued to a secret's keyword (`auth_pass=…`) is not shown.
pub fn shown(word: &str) -> &str {
    SECRETS.iter().filter(|secret| secret.len() > 3).find(|secret| word.len() > secret.len() && word.starts_with(**secret)).unwrap_or(&word)
}

/// The line with everything after a secret's keyword (or a slip of it) replaced by asterisks.
fn masked(line: &str) -> String {
    let separator = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | '{' | '}' | '.');
    let mut offset = 0;
    for word in line.split(separator) {
        let end = offset + word.len();
        if word.len() >= 3 && SECRETS.iter().any(|secret| suggest::distance(word, secret) <= secret.len() / 4) {
            let (head, tail) = (line.get(..end).unwrap_or(line), line.get(end..).unwrap_or(""));
            return head.chars().chain(tail.chars().map(|c| if separator(c) { c } else { '*' })).collect();
        }
        // Every separator here is one byte, or as long as its character says.
        offset = end + line.get(end..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    }
    line.to_owned()
}

/// Everything that was found in a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Looks up the places; in the order of the files and lines.
    pub fn new(complaints: Complaints, sources: &Sources) -> Self {
        let Complaints { mut found, untold } = complaints;
        // An expanded line belongs where it is used; among those made from one line the order of reading holds.
        let place = |span: Span| (sources.written(span), span);
        let order = |(written, span): (Span, Span)| (written.file, written.start, span.file, span.start);
        found.sort_by_cached_key(|complaint| complaint.span.map_or((u32::MAX, u32::MAX, 0, 0), |span| order(place(span))));
        found.dedup();
        if untold > 0 {
            found.push(Complaint::remark(None, format!("{untold} further problems are not shown")));
        }
        let mut places = Places::new(sources);
        Self { diagnostics: found.into_iter().map(|complaint| Diagnostic::new(complaint, &mut places)).collect() }
    }

    /// A report on a file that could not even be read.
    pub fn unreadable(path: &Path, why: &str) -> Self {
        let complaint = Complaint::error(None, format!("cannot read the configuration file {}: {why}", path.display()));
        let mut complaints = Complaints::default();
        complaints.push(complaint.verdict(Verdict::MainFileMissing).rule("unreadable"));
        Self::new(complaints, &Sources::default())
    }

    /// More problems, found elsewhere.
    pub fn add(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        self.diagnostics.extend(more);
    }

    /// Every problem.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether a running daemon keeps its old configuration: there is an error.
    pub fn refuses_reload(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// The exit status of a daemon that does not start over this: 2 mandatory argument missing or an instance that cannot run, 6 file missing.
    pub fn refuses_start(&self) -> Option<u8> {
        if self.has(Verdict::ArgumentMissing) || self.has(Verdict::Unusable) {
            return Some(2);
        }
        (self.has(Verdict::MainFileMissing) || self.has(Verdict::IncludeMissing)).then_some(6)
    }

    /// What `--config-test` exits with: 0, 2, 4, 5 or 6, as the original does (but for files that are not there).
    pub fn test_exit_code(&self) -> u8 {
        let worst = self.diagnostics.iter().map(|found| found.verdict).max().unwrap_or(Verdict::Fine);
        match worst {
            Verdict::Fine => 0,
            // The original exits 0 over a file that is not there: whoever asks whether it is right would never know.
            Verdict::MainFileMissing | Verdict::CannotRun => 4,
            Verdict::Problem | Verdict::Unusable => 5,
            Verdict::Security | Verdict::IncludeMissing => 6,
            Verdict::ArgumentMissing => 2,
        }
    }

    /// The same, beside what the scripts alone would make it exit with (0, 5 or 6).
    pub fn test_exit_code_with(&self, scripts: u8) -> u8 {
        match (scripts, self.test_exit_code()) {
            (0, status) => status,
            (1..=5, 0 | 4) => 5,
            (1..=5, status) => status,
            (6.., _) => scripts,
        }
    }

    fn has(&self, verdict: Verdict) -> bool {
        self.diagnostics.iter().any(|found| found.verdict == verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::complaint::MOST;
    use crate::syntax::source::Origin;

    #[test]
    fn a_secret_never_shows_in_the_line() {
        assert_eq!(masked("\tauth_pass 1111 # x"), "\tauth_pass **** * *");
        assert_eq!(masked("auth_pas \"se cret\""), "auth_pas \"** ****\"");
        assert_eq!(masked("authentication { auth_type PASS auth_pass 1111 }"), "authentication { auth_type PASS auth_pass **** }");
        assert_eq!(masked("auth_pass = \"1111\""), "auth_pass = \"****\"");
        assert_eq!(masked("auth_type PASS"), "auth_type PASS");
    }

    #[test]
    fn a_word_of_an_expansion_shows_where_it_is_used_and_where_it_is_defined() {
        let mut sources = Sources::default();
        let text = "$VIP=10.0.0.300\nvirtual $VIP\n";
        let file = sources.add(PathBuf::from("a.conf"), text.as_bytes().to_vec());
        let origin = Origin { name: "VIP".into(), span: Span { file, start: 0, end: 15 } };
        let line = sources.expand("virtual 10.0.0.300", Span { file, start: 16, end: 28 }, &[origin]);
        let mut complaints = Complaints::default();
        complaints.push(Complaint::error(Span { start: 8, end: 18, ..line }, "no address").fix(Span { start: 8, end: 18, ..line }, "x"));
        let report = Report::new(complaints, &sources);
        let found = &report.diagnostics()[0];
        assert_eq!(found.one_line(), "a.conf:2:1: error: no address [$VIP: a.conf:1]");
        assert!(found.render().contains(" | virtual 10.0.0.300\n  |         ^^^^^^^^^^\n  = $VIP is defined at a.conf:1: $VIP=10.0.0.300"));
        assert_eq!(found.fix, None);
    }

    #[test]
    fn problems_beyond_the_thousandth_are_counted_and_the_worst_is_kept() {
        let mut complaints = Complaints::default();
        for number in 0..5_000 {
            complaints.push(Complaint::warning(None, format!("{number}")));
        }
        complaints.push(Complaint::error(None, "worst").verdict(Verdict::ArgumentMissing));
        let report = Report::new(complaints, &Sources::default());
        assert_eq!(report.diagnostics().len(), MOST + 2);
        assert_eq!(report.test_exit_code(), 2);
        assert!(report.diagnostics().last().is_some_and(|last| last.message.starts_with("4000 further")));
    }

    #[test]
    fn a_very_long_line_is_not_shown_whole_and_shows_no_secret() {
        let mut sources = Sources::default();
        let text = format!("auth_pass s3cret {}", "x".repeat(100_000));
        let file = sources.add(PathBuf::from("a.conf"), text.into_bytes());
        let mut complaints = Complaints::default();
        complaints.push(Complaint::error(Span { file, start: 10, end: 100_000 }, "too long"));
        let shown = Report::new(complaints, &sources).diagnostics()[0].render();
        assert!(shown.len() < 500 && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn the_caret_stands_under_the_word_also_after_tabs_and_wide_characters() {
        let mut sources = Sources::default();
        let text = "\t主 priorty 3\n";
        let file = sources.add(PathBuf::from("a.conf"), text.as_bytes().to_vec());
        let mut complaints = Complaints::default();
        let start = u32::try_from(text.find("pri").unwrap()).unwrap();
        complaints.push(
            Complaint::error(Span { file, start, end: start + 7 }, "Unknown keyword 'priorty'").help("did you mean 'priority'?".to_owned()),
        );
        let report = Report::new(complaints, &sources);
        let found = &report.diagnostics()[0];
        assert_eq!(found.one_line(), "a.conf:1:4: error: Unknown keyword 'priorty'; did you mean 'priority'?");
        assert!(found.render().contains("1 | \t主 priorty 3\n  | \t   ^^^^^^^\n  = help: did you mean 'priority'?"), "{}", found.render());
    }
}
