//! Comments, and whose they are.

use super::Line;
use super::parts::within_block;
use crate::config::load::Written;
use crate::syntax::lex::content_end;
use crate::syntax::{Shape, Sources, Span};
use std::collections::{BTreeSet, HashMap};

/// The comments of one line or block.
#[derive(Default, Debug)]
pub(super) struct Note {
    /// Above it.
    pub(super) before: Vec<String>,
    /// Behind it.
    pub(super) behind: Option<String>,
    /// At the end of its block.
    pub(super) last: Vec<String>,
}

/// All comments of all files.
#[derive(Debug)]
pub(super) struct Notes<'s> {
    sources: &'s Sources,
    files: Vec<Margin>,
    /// By where the line is in memory: the tree does not move.
    found: HashMap<usize, Note>,
    /// Those above includes.
    includes: Vec<Vec<String>>,
}

/// The comments of a file in order, and how many of them have found their place.
#[derive(Default, Debug)]
struct Margin {
    comments: Vec<Comment>,
    next: usize,
    starts: Vec<u32>,
    /// Whether a line is empty, in TOML.
    empty: Vec<bool>,
    /// The last line that something was found on, from 1.
    last: usize,
}

#[derive(Debug)]
struct Comment {
    at: u32,
    line: usize,
    text: String,
}

impl<'s> Notes<'s> {
    pub(super) fn new(written: &Written<'s, 's>, toml: bool) -> Self {
        let mut used: HashMap<u32, BTreeSet<u32>> = HashMap::new();
        let places = written.lines.iter().map(|line| line.span).chain(written.includes.iter().map(|included| included.span));
        for span in places.map(|span| written.sources.written(span)) {
            used.entry(span.file).or_default().insert(span.start);
        }
        let none = BTreeSet::new();
        let margins = written.sources.iter().enumerate().map(|(number, source)| {
            let used = u32::try_from(number).ok().and_then(|number| used.get(&number)).unwrap_or(&none);
            if toml { of_toml(source.text()) } else { of_text(source.text(), |start, end| used.range(start..end).next().is_some()) }
        });
        let files = margins.collect();
        let includes = written.includes.iter().map(|_| Vec::new()).collect();
        let mut notes = Self { sources: written.sources, files, found: HashMap::new(), includes };
        notes.attach_roots(written);
        notes
    }

    /// Above an include of the root, by its number.
    pub(super) fn of_include(&self, number: usize) -> &[String] {
        self.includes.get(number).map_or(&[], Vec::as_slice)
    }

    fn attach_roots(&mut self, written: &Written<'_, '_>) {
        let mut todo: Vec<_> = written.includes.iter().enumerate().filter(|(_, included)| !within_block(written, included)).collect();
        for line in &written.tree.items {
            let at = self.sources.written(line.at);
            todo.retain(|(number, included)| {
                let place = self.sources.written(included.span);
                let passed = place.file == at.file && place.start < at.start;
                if passed {
                    self.attach_include(*number, place);
                }
                !passed
            });
            self.attach(std::slice::from_ref(line));
        }
        for (number, included) in todo {
            self.attach_include(number, self.sources.written(included.span));
        }
    }

    fn attach_include(&mut self, number: usize, place: Span) {
        let mut comments = self.before(place);
        comments.extend(self.behind(place));
        if let Some(found) = self.includes.get_mut(number) {
            *found = comments;
        }
    }

    /// Of a line or block.
    pub(super) fn of(&self, line: &Line<'_>) -> Option<&Note> {
        self.found.get(&key(line))
    }

    /// What is left of a file: behind everything.
    pub(super) fn rest(&self, file: u32) -> Vec<String> {
        let margin = usize::try_from(file).ok().and_then(|file| self.files.get(file));
        margin.map_or_else(Vec::new, |margin| margin.comments.iter().skip(margin.next).map(|comment| comment.text.clone()).collect())
    }

    /// In the order in which they are written: a comment belongs to what comes next, unless it stands behind something.
    fn attach(&mut self, lines: &[Line<'_>]) {
        for line in lines {
            let at = self.sources.written(line.at);
            let mut note = Note { before: self.before(at), behind: None, last: Vec::new() };
            note.behind = self.behind(at);
            self.seen(at);
            self.attach(&line.children);
            if let Some(close) = line.close.map(|close| self.sources.written(close)) {
                note.last = self.before(close);
                note.last.extend(self.behind(close));
                self.seen(close);
            } else if line.row.is_some_and(|row| matches!(row.shape, Shape::Block(_))) {
                note.last = self.under(at.file);
            }
            if note.behind.is_some() || !note.before.is_empty() || !note.last.is_empty() {
                self.found.insert(key(line), note);
            }
        }
    }

    /// Those before this place that nobody has yet.
    fn before(&mut self, place: Span) -> Vec<String> {
        let Some(margin) = usize::try_from(place.file).ok().and_then(|file| self.files.get_mut(file)) else { return Vec::new() };
        let rest = margin.comments.get(margin.next..).unwrap_or_default();
        let count = rest.iter().take_while(|comment| comment.at < place.start).count();
        margin.next += count;
        rest.iter().take(count).map(|comment| comment.text.clone()).collect()
    }

    fn seen(&mut self, place: Span) {
        if let Some(margin) = usize::try_from(place.file).ok().and_then(|file| self.files.get_mut(file)) {
            margin.last = margin.starts.partition_point(|start| *start <= place.start);
        }
    }

    /// Those directly under the last line of a table, when an empty line follows: a table has no end of its own.
    fn under(&mut self, file: u32) -> Vec<String> {
        let Some(margin) = usize::try_from(file).ok().and_then(|file| self.files.get_mut(file)) else { return Vec::new() };
        let rest = margin.comments.get(margin.next..).unwrap_or_default();
        let count = rest.iter().zip(margin.last + 1..).take_while(|(comment, line)| comment.line == *line).count();
        if !margin.empty.get(margin.last + count).copied().unwrap_or(true) {
            return Vec::new();
        }
        margin.next += count;
        margin.last += count;
        rest.iter().take(count).map(|comment| comment.text.clone()).collect()
    }

    fn behind(&mut self, place: Span) -> Option<String> {
        let margin = usize::try_from(place.file).ok().and_then(|file| self.files.get_mut(file))?;
        let line = margin.starts.partition_point(|start| *start <= place.start);
        let comment = margin.comments.get(margin.next).filter(|comment| comment.line == line)?;
        margin.next += 1;
        Some(comment.text.clone())
    }
}

fn key(line: &Line<'_>) -> usize {
    std::ptr::from_ref(line).addr()
}

/// With `#` for a sign.
fn comment(text: &str) -> String {
    let text = text.trim_end();
    text.strip_prefix('!').map_or_else(|| text.to_owned(), |rest| format!("#{rest}"))
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Comments of a text; lines of which nothing came (definitions, what holds for other hosts) become comments too.
fn of_text(text: &str, used: impl Fn(u32, u32) -> bool) -> Margin {
    let mut margin = Margin::default();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        margin.starts.push(offset(start));
        let body = line.trim_end_matches(['\n', '\r']);
        let end = content_end(body.as_bytes());
        let (content, behind) = body.split_at_checked(end).unwrap_or((body, ""));
        let mut push = |at: usize, text: String| margin.comments.push(Comment { at: offset(at), line: number + 1, text });
        if !content.trim().is_empty() && !used(offset(start), offset(start + end)) {
            push(start, format!("# {}", body.trim()));
        } else if !behind.is_empty() {
            push(start + end, comment(behind));
        }
        start += line.len();
    }
    margin
}

/// Comments of TOML: outside its four kinds of strings.
fn of_toml(text: &str) -> Margin {
    let mut margin = Margin::default();
    let mut open: Option<&str> = None;
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        margin.starts.push(offset(start));
        margin.empty.push(line.trim().is_empty());
        let body = line.trim_end_matches(['\n', '\r']);
        let mut at = 0;
        while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match open {
                Some(quote) if rest.starts_with(quote) => {
                    open = None;
                    quote.len()
                }
                Some(quote) if quote.starts_with('"') && rest.starts_with('\\') => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
                Some(_) => rest.chars().next().map_or(1, char::len_utf8),
                None if rest.starts_with('#') => {
                    margin.comments.push(Comment { at: offset(start + at), line: number + 1, text: comment(rest) });
                    break;
                }
                None => {
                    open = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
                    open.map_or_else(|| rest.chars().next().map_or(1, char::len_utf8), str::len)
                }
            };
            at += step;
        }
        // Only the long ones go on.
        open = open.filter(|quote| quote.len() == 3);
        start += line.len();
    }
    margin
}
