//! Files into lines: comments cut, conditions decided, names substituted, includes followed.

mod files;

use super::complaint::{Complaint, Complaints, Verdict};
use super::define::{self, Definitions, Predefined, Substituted};
use super::include::{Checks, Included, include, include_check, normal};
use super::lex::{content_end, pieces};
use super::source::{Origin, Sources, Span};
use super::{Files, sequence};
use std::path::{Path, PathBuf};

/// Most files one configuration may read: an include that grows without end stops here.
const FILES: usize = 20_000;
/// Most bytes one configuration may hold, substitutions included; little where the reader is tested with words at random.
const BYTES: usize = if cfg!(test) { 4 << 20 } else { 64 << 20 };
/// What one step of a substitution counts as, bytes: also what makes no line must end.
const STEP: usize = 256;
/// Longest line after substitution, bytes. The original's limit is 1024.
const LINE: usize = if cfg!(test) { 16 << 10 } else { 1 << 20 };
/// Longest path of an include, bytes (PATH_MAX).
const PATTERN: usize = 4096;
/// Deepest include.
const DEPTH: usize = 64;
/// Most substitutions in one line: a name that stands for itself stops here.
const SUBSTITUTIONS: usize = 1_000;

/// Whether a line is left out, whatever it says: it is too long, or holds a NUL byte.
pub(super) fn is_ignored(content: &str) -> bool {
    content.len() > LINE || content.contains('\0')
}

/// What the preprocessor must know from outside.
#[derive(Clone, Debug, Default)]
pub struct PreprocessOptions {
    /// `@id` lines are kept when they name this (`-i`, else the host's name up to its first dot).
    pub config_id: String,
    /// `-e`: an include that names no file is an error.
    pub all_includes: bool,
}

/// One line that has content.
#[derive(Debug)]
pub struct Line {
    /// Its content, comment cut: in its file, or in the expansion when it was substituted.
    pub span: Span,
}

/// The whole configuration, as lines.
#[derive(Debug, Default)]
pub struct Text {
    /// The files.
    pub sources: Sources,
    /// Their lines, in reading order.
    pub lines: Vec<Line>,
    /// The includes, in reading order.
    pub includes: Vec<Included>,
}

impl Text {
    /// What stands there.
    pub fn content(&self, span: Span) -> &str {
        let range = usize::try_from(span.start).ok().zip(usize::try_from(span.end).ok());
        range.and_then(|(start, end)| self.sources.text(span.file).get(start..end)).unwrap_or("")
    }
}

/// Reads `main` and everything it includes.
///
/// # Errors
/// Only that `main` itself cannot be read; everything else is a complaint.
pub fn preprocess(files: &dyn Files, main: &Path, options: &PreprocessOptions, complaints: &mut Complaints) -> std::io::Result<Text> {
    let mains = files::mains(files, main)?;
    let mut reader = Reader {
        files,
        options,
        complaints,
        text: Text::default(),
        definitions: Definitions::default(),
        open: Vec::new(),
        bytes: 0,
        loops: false,
        deep: false,
        full: false,
        checks: if options.all_includes { Checks::ALL } else { Checks::default() },
    };
    for (path, bytes) in mains {
        reader.file(path, bytes, None);
    }
    Ok(reader.text)
}

struct Reader<'r> {
    files: &'r dyn Files,
    options: &'r PreprocessOptions,
    complaints: &'r mut Complaints,
    text: Text,
    definitions: Definitions,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    bytes: usize,
    /// An include loop was reported: one message says it.
    loops: bool,
    /// Includes are nested too deep: one message says it.
    deep: bool,
    /// A limit was reached: one message says it.
    full: bool,
    /// What `include_check` says at this point.
    checks: Checks,
}

/// A line that is being substituted: where it was written, and what it was made from so far.
#[derive(Clone)]
struct Use<'d> {
    span: Span,
    origins: Vec<Origin>,
    directory: &'d Path,
    depth: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: PathBuf, bytes: Vec<u8>, included: Option<Span>) {
        if self.over(bytes.len(), included) {
            return;
        }
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        self.open.push(normal(&path));
        let file = self.text.sources.add(path, bytes);
        let (mut start, checks) = (0, self.checks);
        while let Some((span, next)) = self.next_line(file, start) {
            start = next;
            self.line(span, &directory);
            if self.full {
                break;
            }
        }
        // keepalived.conf(5): what a file says about include_check ends with it.
        self.checks = checks;
        self.open.pop();
        if let Some(name) = self.definitions.is_open().map(ToOwned::to_owned)
            && self.open.is_empty()
        {
            let span = Span { file, start: 0, end: 0 };
            self.complaints.push(
                Complaint::error(span, format!("the definition of ${name} has no end"))
                    .help("its last line ends in a backslash".to_owned())
                    .verdict(Verdict::Fine),
            );
        }
    }

    /// Counts what was read or made; whether it is too much.
    fn over(&mut self, bytes: usize, span: impl Into<Option<Span>>) -> bool {
        self.bytes += bytes;
        if self.bytes <= BYTES && self.text.sources.iter().count() < FILES {
            return false;
        }
        if !self.full {
            self.full = true;
            let message = format!("the configuration is larger than {FILES} files or {} MB: the rest is left out", BYTES >> 20);
            self.complaints.push(Complaint::error(span, message).rule("too-large"));
        }
        true
    }

    /// The content of the line at `start`, and where the next one starts.
    fn next_line(&self, file: u32, start: usize) -> Option<(Span, usize)> {
        let rest = self.text.sources.text(file).as_bytes().get(start..).filter(|rest| !rest.is_empty())?;
        let length = self.text.sources.text(file).get(start..).and_then(|rest| rest.find('\n')).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or(rest);
        let line = line.get(..content_end(line)).unwrap_or(line);
        let blank = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let trailing = line.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        let at = |offset: usize| u32::try_from(start + offset).unwrap_or(u32::MAX);
        let end = (line.len() - trailing).max(blank);
        Some((Span { file, start: at(blank), end: at(end) }, start + length + 1))
    }

    fn line(&mut self, span: Span, directory: &Path) {
        let content = self.text.content(span);
        if content.is_empty() && self.definitions.is_open().is_none() {
            return;
        }
        if content.len() > LINE {
            let message = format!("a line of {} bytes is ignored (at most {LINE})", content.len());
            self.complaints.push(Complaint::error(span, message));
            return;
        }
        if content.contains('\0') {
            self.complaints.push(Complaint::error(span, "a line with a NUL byte is ignored"));
            return;
        }
        if self.definitions.is_open().is_some() {
            let content = content.to_owned();
            self.definitions.feed(&content, span);
        } else if content.starts_with(['@', '~']) || content.contains('$') {
            let content = content.to_owned();
            self.expand(content, Use { span, origins: Vec::new(), directory, depth: 0 });
        } else {
            self.plain(span, directory);
        }
    }

    /// A line with nothing left to substitute.
    fn plain(&mut self, span: Span, directory: &Path) {
        let content = self.text.content(span);
        // Most lines are short and without braces: those are seen at once to include nothing.
        let may = content.starts_with("include") || (content.len() > 8 && content.contains(['{', '}']) && content.contains("include"));
        if may {
            let content = content.to_owned();
            self.perhaps_include(&content, span, directory);
        } else {
            self.keep(span, content.len());
        }
    }

    fn keep(&mut self, span: Span, length: usize) {
        if length > 0 && !self.over(length, span) {
            self.text.lines.push(Line { span });
        }
    }

    /// A line that holds the word: braces split it as they split every line, so that an include may stand behind one.
    fn perhaps_include(&mut self, content: &str, span: Span, directory: &Path) {
        let mut start = 0;
        while let Some(rest) = content.get(start..).filter(|rest| !rest.is_empty()) {
            if let Some((checks, pattern)) = include(rest) {
                let keyword = rest.split_ascii_whitespace().next().unwrap_or_default().to_owned();
                let included = Included { span, keyword, pattern: pattern.to_owned(), files: Vec::new() };
                self.include(checks.and(self.checks), included, directory);
                return;
            }
            let length = pieces(rest);
            let piece = rest.get(..length).unwrap_or(rest).trim_end();
            if let Some(options) = include_check(piece) {
                self.checks = self.checks.changed(options);
            }
            let at = |offset: usize| span.start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
            self.keep(Span { file: span.file, start: at(start), end: at(start + piece.len()) }, piece.len());
            let rest = rest.get(length..).unwrap_or_default();
            start = content.len() - rest.trim_start().len();
        }
    }

    /// Conditions, definitions, sequences and names, until nothing is left of them.
    fn expand(&mut self, mut line: String, mut place: Use<'_>) {
        if self.over(STEP, place.span) {
            return;
        }
        if place.depth > DEPTH {
            self.complaints.push(Complaint::error(place.span, "definitions are nested too deep: the line is left out"));
            return;
        }
        for _ in 0..SUBSTITUTIONS {
            if line.len() > LINE {
                let message = format!("a line of more than {LINE} bytes after substitution is left out");
                self.complaints.push(Complaint::error(place.span, message));
                return;
            }
            if line.starts_with('@') {
                match condition(&line, &self.options.config_id) {
                    Some(rest) => line = rest.to_owned(),
                    None => return,
                }
                continue;
            }
            if let Some((name, value)) = define::definition(&line) {
                self.definitions.define(name, value, place.span);
                return;
            }
            if let Some((kind, parameters, text)) = sequence::split(&line) {
                self.sequence(kind, parameters, text, &place);
                return;
            }
            let Some((changed, origin)) = self.substitute(&line, &place) else {
                self.substituted(&line, &place);
                return;
            };
            // What a sequence counts with is written where it is used.
            let origin = origin.filter(|origin| origin.span != place.span);
            match changed {
                Substituted::Line(changed) => {
                    line = without_comment(&changed);
                    place.origins.extend(origin);
                }
                Substituted::Lines(first, more) => {
                    self.several(&first, more, origin, place);
                    return;
                }
            }
        }
        self.complaints.push(Complaint::error(
            place.span,
            format!("more than {SUBSTITUTIONS} substitutions in one line: it is left out (a definition that stands for itself?)"),
        ));
    }

    /// A line that became several.
    fn several(&mut self, first: &str, more: define::Value, origin: Option<Origin>, place: Use<'_>) {
        let Some(origin) = origin else { return };
        let mut line = without_comment(first);
        let mut at = origin.span;
        let mut rest = more.into_iter();
        loop {
            let here = Origin { name: origin.name.clone(), span: at };
            let origins = place.origins.iter().cloned().chain([here]).collect();
            self.expand(line, Use { origins, depth: place.depth + 1, ..place });
            match rest.next() {
                Some((next, span)) if !self.full => (line, at) = (next, span),
                _ => return,
            }
        }
    }

    /// A line that is done: kept as it is written when nothing was substituted in it.
    fn substituted(&mut self, line: &str, place: &Use<'_>) {
        let span =
            if line == self.text.content(place.span) { place.span } else { self.text.sources.expand(line, place.span, &place.origins) };
        self.plain(span, place.directory);
    }

    fn substitute(&mut self, line: &str, place: &Use<'_>) -> Option<(Substituted, Option<Origin>)> {
        let written = place.directory.as_os_str();
        let directory = if written.is_empty() { ".".into() } else { written.to_string_lossy() };
        let predefined = Predefined { directory: &directory, config_id: &self.options.config_id, files: self.files };
        let changed = self.definitions.substitute(line, predefined);
        if let Some(problem) = self.definitions.problem() {
            self.complaints.push(Complaint::remark(place.span, problem));
        }
        changed
    }

    fn sequence(&mut self, kind: &str, parameters: &str, text: &str, place: &Use<'_>) {
        let mut parameters = parameters.to_owned();
        for _ in 0..SUBSTITUTIONS {
            let Some((Substituted::Line(changed), _)) = self.substitute(&parameters, place) else { break };
            parameters = changed;
            if parameters.len() > LINE {
                break;
            }
        }
        let sequence = match sequence::parse(kind, &parameters) {
            Ok(sequence) => sequence,
            Err(why) => {
                let parameters = parameters.get(..80).map_or_else(|| parameters.clone(), |head| format!("{head}…"));
                let complaint = Complaint::error(place.span, format!("Invalid {kind}({parameters}): {why}"));
                self.complaints.push(complaint.expected("'~SEQ(NAME, [START,] [STEP,] END) text' or '~LST(NAME, VALUE, …) text'"));
                return;
            }
        };
        let before: Vec<_> = sequence.names.iter().map(|name| (name.clone(), self.definitions.get(name).cloned())).collect();
        for turn in &sequence.turns {
            let values = turn.iter().map(String::as_str).chain(std::iter::repeat(""));
            sequence.names.iter().zip(values).for_each(|(name, value)| self.definitions.set(name, value, place.span));
            self.expand(text.to_owned(), Use { depth: place.depth + 1, ..place.clone() });
            if self.full {
                break;
            }
        }
        before.into_iter().for_each(|(name, value)| self.definitions.restore(&name, value));
    }
}

/// What follows `@id` or `@^id`, when the line is to be kept.
fn condition<'l>(line: &'l str, config_id: &str) -> Option<&'l str> {
    let (word, rest) = line.strip_prefix('@')?.split_once(|c: char| c.is_ascii_whitespace())?;
    let keep = match word.strip_prefix('^') {
        Some(other) => other != config_id,
        None => word == config_id,
    };
    keep.then(|| rest.trim_start())
}

/// A value may hold a comment sign.
fn without_comment(line: &str) -> String {
    line.get(..content_end(line.as_bytes())).unwrap_or(line).trim().to_owned()
}
