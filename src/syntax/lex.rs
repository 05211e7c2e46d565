//! Lines into words and braces (keepalived.conf(5)).

use super::complaint::{Complaint, Complaints};
use super::preprocess::{Line, Text};
use super::source::Span;
use super::tree::Word;
use std::borrow::Cow;

/// A piece of a line: the reader of the original splits lines at braces, so every arrangement of them is alike.
#[derive(Debug)]
pub enum Token<'s> {
    /// Words up to the next brace or the end of the line, never empty; and what follows the first one as it is written, quotes
    /// and escapes included.
    Words(Vec<Word<'s>>, &'s str),
    /// `{`.
    Open(Span),
    /// `}`.
    Close(Span),
}

/// Where a line's content ends: before a `#` or `!` outside double quotes that no backslash precedes.
pub fn content_end(line: &[u8]) -> usize {
    if !line.contains(&b'#') && !line.contains(&b'!') {
        return line.len();
    }
    let mut quoted = false;
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if !quoted && matches!(line.get(at + 1), Some(b'#' | b'!')) => at += 1,
            b'#' | b'!' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    line.len()
}

/// The length of the line's first part: up to a brace that ends it, or the brace that begins it. Braces in double quotes and in
/// `${NAME}` are none.
pub fn pieces(line: &str) -> usize {
    if line.starts_with(['{', '}']) {
        return 1;
    }
    let bytes = line.as_bytes();
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'$' if !quoted && bytes.get(at + 1) == Some(&b'{') => {
                at += line.get(at..).and_then(|rest| rest.find('}')).unwrap_or(0);
            }
            b'{' | b'}' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    line.len()
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Gives the tokens of a text one by one.
#[derive(Debug)]
pub struct Lexer<'s> {
    text: &'s Text,
    lines: std::slice::Iter<'s, Line>,
    current: Option<Cursor<'s>>,
    peeked: Option<Token<'s>>,
    last: Span,
    /// The last line with a quote that does not end.
    broken: Option<Span>,
}

/// The rest of a line.
#[derive(Debug, Clone, Copy)]
struct Cursor<'s> {
    content: &'s str,
    at: usize,
    line: Span,
}

impl Cursor<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let offset = |at: usize| self.line.start.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
        Span { file: self.line.file, start: offset(start), end: offset(end) }
    }
}

impl<'s> Lexer<'s> {
    /// Over all lines.
    pub fn new(text: &'s Text) -> Self {
        Self { text, lines: text.lines.iter(), current: None, peeked: None, last: Span::default(), broken: None }
    }

    /// The next token, left in place.
    pub fn peek(&mut self, complaints: &mut Complaints) -> Option<&Token<'s>> {
        if self.peeked.is_none() {
            self.peeked = self.read(complaints);
        }
        self.peeked.as_ref()
    }

    /// The next token.
    pub fn next(&mut self, complaints: &mut Complaints) -> Option<Token<'s>> {
        self.peeked.take().or_else(|| self.read(complaints))
    }

    /// Where the last line that was read is.
    pub fn last(&self) -> Span {
        self.last
    }

    /// Whether the line of this word has a quote that does not end: what follows the word is not all that was written.
    pub fn is_broken(&self, word: Span) -> bool {
        self.broken.is_some_and(|line| line.file == word.file && (line.start..line.end).contains(&word.start))
    }

    fn read(&mut self, complaints: &mut Complaints) -> Option<Token<'s>> {
        loop {
            let Some(cursor) = &mut self.current else {
                let line = self.lines.next()?;
                self.last = line.span;
                self.current = Some(Cursor { content: self.text.content(line.span), at: 0, line: line.span });
                continue;
            };
            let line = cursor.line;
            let before = complaints.told();
            let token = token(cursor, complaints);
            if complaints.told() > before {
                self.broken = Some(line);
            }
            match token {
                Some(token) => return Some(token),
                None => self.current = None,
            }
        }
    }
}

fn token<'s>(cursor: &mut Cursor<'s>, complaints: &mut Complaints) -> Option<Token<'s>> {
    let bytes = cursor.content.as_bytes();
    let mut words = Vec::new();
    // where the first word ends
    let mut second = None;
    loop {
        if words.len() == 1 {
            second.get_or_insert(cursor.at);
        }
        while bytes.get(cursor.at).is_some_and(|byte| is_blank(*byte)) {
            cursor.at += 1;
        }
        let start = cursor.at;
        match bytes.get(start) {
            None | Some(b'{' | b'}') if !words.is_empty() => {
                let rest = cursor.content.get(second.unwrap_or(start)..start).unwrap_or("");
                return Some(Token::Words(words, rest));
            }
            None => return None,
            Some(brace @ (b'{' | b'}')) => {
                cursor.at += 1;
                let span = cursor.span(start, start + 1);
                return Some(if *brace == b'{' { Token::Open(span) } else { Token::Close(span) });
            }
            Some(b'"') => words.extend(quoted(cursor, complaints)),
            Some(_) => words.push(plain(cursor)),
        }
    }
}

/// `"…"`: one word, no escapes. Without its end the line is no good.
fn quoted<'s>(cursor: &mut Cursor<'s>, complaints: &mut Complaints) -> Option<Word<'s>> {
    let start = cursor.at;
    let rest = cursor.content.get(start + 1..).unwrap_or("");
    let Some((inner, _)) = rest.split_once('"') else {
        cursor.at = cursor.content.len();
        let complaint = Complaint::error(cursor.span(start, cursor.at), "Unterminated quote");
        complaints.push(complaint.expected("a closing '\"' on the same line").help("the line is left out".to_owned()));
        return None;
    };
    cursor.at = start + inner.len() + 2;
    Some(Word { text: Cow::Borrowed(inner), span: cursor.span(start, cursor.at) })
}

fn plain<'s>(cursor: &mut Cursor<'s>) -> Word<'s> {
    let bytes = cursor.content.as_bytes();
    let start = cursor.at;
    let mut escaped = false;
    while let Some(byte) = bytes.get(cursor.at) {
        match byte {
            b'\\' if matches!(bytes.get(cursor.at + 1), Some(b'#' | b'!')) => {
                escaped = true;
                cursor.at += 1;
            }
            // `${NAME}` that nobody defined stays as it is.
            b'$' if bytes.get(cursor.at + 1) == Some(&b'{') => {
                if let Some(length) = cursor.content.get(cursor.at..).and_then(|rest| rest.find('}')) {
                    cursor.at += length;
                }
            }
            b'"' | b'{' | b'}' => break,
            byte if is_blank(*byte) => break,
            _ => {}
        }
        cursor.at += 1;
    }
    cursor.at = cursor.at.min(bytes.len());
    let text = cursor.content.get(start..cursor.at).unwrap_or("");
    let text = if escaped { Cow::Owned(text.replace("\\#", "#").replace("\\!", "!")) } else { Cow::Borrowed(text) };
    Word { text, span: cursor.span(start, cursor.at) }
}
