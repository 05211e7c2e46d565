//! One written line, and its parts.

use super::content_end;
use crate::syntax::include::include;
use crate::syntax::lex::pieces;

/// A line: what counts, and the comment behind it.
pub(super) struct Line<'t> {
    /// Without blanks at its ends.
    pub(super) content: &'t str,
    /// With its sign.
    pub(super) comment: Option<&'t str>,
}

impl<'t> Line<'t> {
    pub(super) fn new(written: &'t str) -> Self {
        let end = content_end(written.as_bytes());
        let (content, comment) = written.split_at_checked(end).unwrap_or((written, ""));
        let blank = |c: char| c.is_ascii_whitespace();
        Self { content: content.trim_matches(blank), comment: Some(comment.trim_end()).filter(|comment| !comment.is_empty()) }
    }
}

/// What braces make of a line.
pub(super) enum Piece<'t> {
    Words(&'t str),
    Open,
    Close,
}

/// A line in pieces, as the reader splits it; an include takes the rest of its line.
pub(super) fn pieces_of(content: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_blank);
        if rest.is_empty() {
            return None;
        }
        let length = if include(rest).is_some() { rest.len() } else { pieces(rest) };
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(match piece {
            "{" => Piece::Open,
            "}" => Piece::Close,
            words => Piece::Words(words.trim_end_matches(is_blank)),
        })
    })
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\x0c')
}

/// One blank between words; what is quoted or escaped stays (a script's value has quotes of both kinds).
pub(super) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.char_indices();
    let mut gap = false;
    while let Some((at, character)) = characters.next() {
        if is_blank(character) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) && !out.is_empty() {
            out.push(' ');
        }
        out.push(character);
        match character {
            '\\' => out.extend(characters.next().map(|(_, next)| next)),
            '"' | '\'' => {
                // A quote without its partner protects the rest.
                let inner = text.get(at + 1..).unwrap_or("");
                let end = closing(inner, character);
                out.push_str(inner.get(..end).unwrap_or(inner));
                characters = text.char_indices();
                let from = at + 1 + end;
                while characters.clone().next().is_some_and(|(next, _)| next < from) {
                    characters.next();
                }
            }
            _ => {}
        }
    }
    out
}

/// Where the text behind a quote goes on: behind its partner, or the end.
fn closing(inner: &str, quote: char) -> usize {
    inner.find(quote).map_or(inner.len(), |end| end + 1)
}
