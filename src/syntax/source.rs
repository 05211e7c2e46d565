//! The texts that were read, and places in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in a source: byte offsets into one file's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Number of the file in [`Sources`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From the first byte of `self` to the last of `other`, when they are in one file.
    pub fn to(self, other: Self) -> Self {
        if self.file == other.file { Self { end: other.end.max(self.end), ..self } } else { self }
    }
}

/// One file's text.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was read; bytes that are not UTF-8 are U+FFFD.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Numbers from here on are expansions, not files.
const EXPANSIONS: u32 = 1 << 31;

/// A line as it reads after substitution: it has columns of its own, and comes from several places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expansion {
    text: Box<str>,
    used: Span,
    origins: Box<[Origin]>,
}

/// A definition that a line was made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// `NAME` of `$NAME`.
    pub name: Arc<str>,
    /// Where the text stands that it put there.
    pub span: Span,
}

impl Expansion {
    /// What the line reads.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of a file that was expanded.
    pub const fn used(&self) -> Span {
        self.used
    }

    /// The definitions, in the order in which they were put in.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }
}

/// All files of one configuration, in the order in which they were read, and the lines that were made from them.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    expansions: Vec<Expansion>,
}

impl Sources {
    /// Keeps a file, and gives its number.
    pub fn add(&mut self, path: PathBuf, bytes: Vec<u8>) -> u32 {
        let mut text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        if text.starts_with('\u{feff}') {
            // A byte order mark would otherwise become part of the first keyword.
            text.replace_range(..3, "");
        }
        self.files.push(Source { path, text });
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// The file of that number.
    pub fn file(&self, number: u32) -> Option<&Source> {
        self.files.get(usize::try_from(number).ok()?)
    }

    /// The text of a file or an expansion; empty for a number that was never given.
    pub fn text(&self, number: u32) -> &str {
        self.expansion(number).map_or_else(|| self.file(number).map_or("", Source::text), Expansion::text)
    }

    /// Keeps a line that is not as it was written; its place.
    pub fn expand(&mut self, text: &str, used: Span, origins: &[Origin]) -> Span {
        let number = u32::try_from(self.expansions.len()).unwrap_or(0).saturating_add(EXPANSIONS);
        self.expansions.push(Expansion { text: text.into(), used, origins: origins.into() });
        Span { file: number, start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) }
    }

    /// The expansion of that number.
    pub fn expansion(&self, number: u32) -> Option<&Expansion> {
        self.expansions.get(usize::try_from(number.checked_sub(EXPANSIONS)?).ok()?)
    }

    /// Where in a file something is: for a word of an expansion the line that was expanded.
    pub fn written(&self, span: Span) -> Span {
        self.expansion(span.file).map_or(span, Expansion::used)
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }
}

/// Finds lines and columns; one index a file, built once.
#[derive(Debug)]
pub struct Places<'s> {
    sources: &'s Sources,
    starts: Vec<Option<Vec<u32>>>,
}

/// Where a span is, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place<'s> {
    /// Path of the file.
    pub path: &'s Path,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The whole line, without its end.
    pub text: &'s str,
    /// Width of the span on this line in characters, at least 1.
    pub width: u32,
}

impl<'s> Places<'s> {
    /// Nothing is indexed yet.
    pub fn new(sources: &'s Sources) -> Self {
        Self { sources, starts: sources.files.iter().map(|_| None).collect() }
    }

    /// The expansion that a span lies in.
    pub fn expansion(&self, span: Span) -> Option<&'s Expansion> {
        self.sources.expansion(span.file)
    }

    /// `None` for a span of a file that was never read; for a word of an expansion the line that was expanded.
    pub fn find(&mut self, span: Span) -> Option<Place<'s>> {
        let span = self.sources.written(span);
        let number = usize::try_from(span.file).ok()?;
        let source = self.sources.files.get(number)?;
        let starts = self.starts.get_mut(number)?.get_or_insert_with(|| line_starts(&source.text));
        let line = starts.partition_point(|start| *start <= span.start).saturating_sub(1);
        let start = usize::try_from(*starts.get(line)?).ok()?;
        let rest = source.text.get(start..)?;
        let text = rest.split('\n').next().unwrap_or(rest).trim_end_matches('\r');
        let before = usize::try_from(span.start).ok()?.saturating_sub(start).min(text.len());
        let until = usize::try_from(span.end).ok()?.saturating_sub(start).clamp(before, text.len());
        let column = text.get(..before).map_or(before, |part| part.chars().count());
        let width = text.get(before..until).map_or(1, |part| part.chars().count()).max(1);
        Some(Place {
            path: &source.path,
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
            text,
            width: u32::try_from(width).unwrap_or(1),
        })
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX));
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let mut sources = Sources::default();
        let file = sources.add(PathBuf::from("a.conf"), "x\n  主 bad\r\n".as_bytes().to_vec());
        let start = u32::try_from("x\n  主 ".len()).unwrap();
        let place = Places::new(&sources).find(Span { file, start, end: start + 3 }).unwrap();
        assert_eq!((place.line, place.column, place.width, place.text), (2, 5, 3, "  主 bad"));
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_first_word() {
        let mut sources = Sources::default();
        let file = sources.add(PathBuf::from("a.conf"), "\u{feff}global_defs".as_bytes().to_vec());
        assert_eq!(sources.text(file), "global_defs");
    }
}
