//! One layout of a configuration text, whatever it looked like: four blanks a block, `{` behind its keyword, one thing a line.
//!
//! It works on the text as it is written: definitions, conditions, sequences, includes and comments stay, nothing is expanded.
//! What a line means is never changed; where a line break could change it (a definition may stand for several lines), the line stays
//! whole.

mod line;
mod sheet;

use line::{Line, Piece, collapse, pieces_of};
use sheet::Sheet;

use super::lex::content_end;
use super::{define, sequence};

/// The text in the one layout.
pub fn format(text: &str) -> String {
    let mut writer = Writer::default();
    for written in text.lines() {
        writer.line(&Line::new(written));
    }
    writer.sheet.finish()
}

/// The words and braces of a text as it is written, and its comments: what a layout must not change.
pub fn essence(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut words, mut comments) = (Vec::new(), Vec::new());
    for written in text.trim_start_matches('\u{feff}').lines() {
        let line = Line::new(written);
        comments.extend(line.comment.map(ToOwned::to_owned));
        let rest = line.content;
        if rest.starts_with(['$', '~', '@']) {
            words.push(rest.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            continue;
        }
        for piece in pieces_of(rest) {
            match piece {
                Piece::Open => words.push("{".to_owned()),
                Piece::Close => words.push("}".to_owned()),
                Piece::Words(text) => words.push(collapse(text)),
            }
        }
    }
    (words, comments)
}

/// Where the writing stands.
#[derive(Default)]
struct Writer<'t> {
    sheet: Sheet,
    depth: usize,
    /// A definition that goes on: how deep its braces are.
    definition: Option<usize>,
    /// Conditions of the lines just before, and how many blocks each of them opened.
    conditions: Vec<(&'t str, isize)>,
}

impl<'t> Writer<'t> {
    fn line(&mut self, line: &Line<'t>) {
        if let Some(inner) = self.definition {
            self.within_definition(line, inner);
        } else if line.content.is_empty() {
            self.without_content(line);
        } else if line.content.starts_with('@') {
            self.conditional(line);
        } else {
            self.end_of_conditions();
            if define::definition(line.content).is_some() {
                self.definition(line, line.content);
            } else if let Some((_, _, text)) = sequence::split(line.content) {
                let delta = whole(text);
                self.kept(line, line.content.to_owned(), delta);
            } else {
                self.ordinary(line);
            }
        }
    }

    fn without_content(&mut self, line: &Line<'t>) {
        match line.comment {
            Some(comment) => self.sheet.comment(self.depth + self.opened_by_condition(), comment),
            None => self.sheet.blank(),
        }
    }

    /// The value may be used within quotes: it stays as it is.
    fn definition(&mut self, line: &Line<'t>, definition: &str) {
        self.sheet.line(self.depth + self.opened_by_condition(), line.content, line.comment);
        if definition.ends_with('\\') {
            self.definition = Some(0);
        }
    }

    /// A line without a backslash ends it, also an empty one, which therefore stays.
    fn within_definition(&mut self, line: &Line<'t>, inner: usize) {
        let (opens, closes) = whole(line.content);
        let depth = self.depth + 1 + inner.saturating_sub(closes.min(inner));
        match (line.content.is_empty(), line.comment) {
            (true, None) => self.sheet.fixed_blank(),
            (true, Some(comment)) => self.sheet.comment(self.depth, comment),
            (false, comment) => self.sheet.line(depth, line.content, comment),
        }
        self.definition = line.content.ends_with('\\').then_some((inner + opens).saturating_sub(closes));
    }

    /// `@id …`: the condition is that of the whole line, which therefore stays one.
    fn conditional(&mut self, line: &Line<'t>) {
        let (condition, rest) = line.content.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((line.content, ""));
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let before = self.conditions.iter().find(|(known, _)| *known == condition).map_or(0, |(_, delta)| *delta);
        let text = match sequence::split(rest) {
            Some((_, _, text)) => text,
            None => rest,
        };
        if define::definition(rest).is_some() {
            self.definition(line, rest);
            return;
        }
        let (opens, closes) = whole(text);
        let depth = self.depth.saturating_add_signed(before);
        let shown = if (opens, closes) == (0, 0) && text == rest { collapse(rest) } else { rest.to_owned() };
        let shown = format!("{condition} {shown}");
        self.sheet.line(depth.saturating_sub(leading_closes(text)), shown.trim_end_matches(' '), line.comment);
        let delta = before + isize::try_from(opens).unwrap_or(0) - isize::try_from(closes).unwrap_or(0);
        match self.conditions.iter_mut().find(|(known, _)| *known == condition) {
            Some(known) => known.1 = delta,
            None => self.conditions.push((condition, delta)),
        }
    }

    /// Lines of several conditions are alternatives: what most of them opened is open.
    fn opened_by_condition(&self) -> usize {
        usize::try_from(self.conditions.iter().map(|(_, delta)| *delta).max().unwrap_or(0)).unwrap_or(0)
    }

    fn end_of_conditions(&mut self) {
        let delta = self.conditions.iter().map(|(_, delta)| *delta).max_by_key(|delta| delta.abs()).unwrap_or(0);
        self.conditions.clear();
        self.depth = self.depth.saturating_add_signed(delta);
    }

    /// A line that stays whole, whatever braces it has.
    fn kept(&mut self, line: &Line<'t>, text: String, (opens, closes): (usize, usize)) {
        let depth = self.depth.saturating_sub(leading_closes(&text));
        self.sheet.line(depth, &text, line.comment);
        self.depth = (self.depth + opens).saturating_sub(closes);
    }

    fn ordinary(&mut self, line: &Line<'t>) {
        let pieces: Vec<_> = pieces_of(line.content).collect();
        let braces = pieces.iter().filter(|piece| !matches!(piece, Piece::Words(_))).count();
        let substituted = line.content.contains('$');
        // At the start of a line of its own these would be more than words.
        let special = pieces.iter().skip(1).any(|piece| matches!(piece, Piece::Words(text) if text.starts_with(['@', '~'])));
        if special || (substituted && braces > 0 && pieces.len() > 1) {
            let delta = whole(line.content);
            self.kept(line, line.content.to_owned(), delta);
            return;
        }
        let mut comment = line.comment;
        for piece in pieces {
            match piece {
                Piece::Words(text) => {
                    let joinable = !substituted && is_whole(text) && super::include::include(text).is_none();
                    self.sheet.words(self.depth, &collapse(text), comment.take(), joinable);
                }
                Piece::Open => {
                    self.sheet.open(self.depth, comment.take());
                    self.depth += 1;
                }
                Piece::Close => {
                    self.depth = self.depth.saturating_sub(1);
                    self.sheet.close(self.depth, comment.take());
                }
            }
        }
    }
}

/// How many braces a line opens and closes.
fn whole(content: &str) -> (usize, usize) {
    let content = content.strip_suffix('\\').unwrap_or(content);
    pieces_of(content).fold((0, 0), |(opens, closes), piece| match piece {
        Piece::Open => (opens + 1, closes),
        Piece::Close => (opens, closes + 1),
        Piece::Words(_) => (opens, closes),
    })
}

/// Whether nothing that follows could become part of its last word.
fn is_whole(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'"').count() % 2 == 0 && !text.ends_with('\\')
}

fn leading_closes(content: &str) -> usize {
    pieces_of(content).take_while(|piece| matches!(piece, Piece::Close)).count()
}

#[cfg(test)]
mod tests;
