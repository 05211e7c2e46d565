//! What both notations become: keywords with their arguments, children and places.

use super::keyword::Keyword;
use super::source::Span;
use std::borrow::Cow;
use std::fmt;

/// One word of the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Word<'s> {
    /// The text, quotes and escapes undone.
    pub text: Cow<'s, str>,
    /// Where it stands.
    pub span: Span,
}

/// Only the place: a word may be a secret.
impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({}..{})", self.span.start, self.span.end)
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::ops::Deref for Word<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

/// The text of a line after its first word, as it is written; none where the notation keeps words apart already (TOML).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Raw<'s>(pub Option<&'s str>);

/// Nothing: it may be a secret.
impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raw(…)")
    }
}

/// One keyword, or one line of a list block.
#[derive(Debug)]
pub struct Item<'s, B: 'static> {
    /// The keyword, or the first word of a list's line.
    pub word: Word<'s>,
    /// The row of the table; `None` for a list's line.
    pub row: Option<&'static Keyword<B>>,
    /// The other words.
    pub args: Vec<Word<'s>>,
    /// The same as it is written, quotes and escapes included: script values have a syntax of their own.
    pub raw: Raw<'s>,
    /// What stands in its braces.
    pub children: Vec<Self>,
    /// Where it begins: its keyword, in TOML also its table's header or its value's place in an array.
    pub at: Span,
    /// Its `}`, or the `]` of a TOML array; `None` for what has none, or not where it is looked for.
    pub close: Option<Span>,
}

impl<'s, B> Item<'s, B> {
    /// The whole line.
    pub fn span(&self) -> Span {
        self.args.last().map_or(self.word.span, |last| self.word.span.to(last.span))
    }

    /// The argument of that number, from 0.
    pub fn arg(&self, number: usize) -> Option<&Word<'s>> {
        self.args.get(number)
    }

    /// Where argument `number` is, or should be: after the last word.
    pub fn arg_span(&self, number: usize) -> Span {
        self.args.get(number).map_or_else(|| self.span(), |word| word.span)
    }

    /// Every word: the keyword or first word, and the arguments.
    pub fn words(&self) -> impl Iterator<Item = &Word<'s>> {
        std::iter::once(&self.word).chain(self.args.iter())
    }
}

/// A whole configuration.
#[derive(Debug)]
pub struct Tree<'s, B: 'static> {
    /// The root's keywords, in order.
    pub items: Vec<Item<'s, B>>,
}
