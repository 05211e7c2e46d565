//! TOML with the same keywords, into the same `Tree`.
//!
//! Blocks are tables, named blocks tables in a table (`[vrrp_instance.VI_1]`), lists arrays of strings (one string a line), a
//! keyword with several words an array, a flag `true`. What stands where in a file does not matter to TOML, but is kept: an `include`
//! is read where it stands.

use super::complaint::{Complaint, Complaints};
use super::diagnostic;
use super::include;
use super::keyword::{self, Keyword, Shape, Table};
use super::parse::check_count;
use super::source::{Sources, Span};
use super::tree::{Item, Raw, Tree, Word};
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

/// Parses the file of that number over the root's table.
pub fn parse<'s, B>(sources: &'s Sources, file: u32, root: Table<B>, complaints: &mut Complaints) -> Tree<'s, B> {
    let text = sources.text(file);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().map(|range| span(file, range));
        complaints.push(Complaint::error(span, error.message().trim_end()));
    }
    let mut parser = Parser { file, text, complaints, root, path: Vec::new() };
    Tree { items: parser.items(root, table.into_inner()) }
}

/// What the root's includes name: each with its place, keyword and pattern.
pub fn includes(sources: &Sources, file: u32) -> Vec<(Span, String, String)> {
    let (table, _) = DeTable::parse_recoverable(sources.text(file));
    let mut found = Vec::new();
    for (key, value) in in_order(table.into_inner()) {
        if include::strictness(key.get_ref()).is_some() {
            named(file, key.get_ref(), &value, span(file, value.span()), &mut found);
        }
    }
    found.sort_by_key(|(place, ..)| place.start);
    found
}

/// A pattern, several of them, or tables that hold them: `[[include]]`, `file = "…"`.
fn named(file: u32, keyword: &str, value: &Spanned<DeValue<'_>>, place: Span, found: &mut Vec<(Span, String, String)>) {
    match value.get_ref() {
        DeValue::String(pattern) => found.push((place, keyword.to_owned(), pattern.to_string())),
        DeValue::Array(array) => array.iter().for_each(|value| named(file, keyword, value, span(file, value.span()), found)),
        DeValue::Table(table) => {
            if let Some(value) = table.get(FILE) {
                let mut inner = Vec::new();
                named(file, keyword, value, place, &mut inner);
                // However many it names, they are read where the table begins.
                found.extend(inner.into_iter().map(|(_, keyword, pattern)| (place, keyword, pattern)));
            }
        }
        _ => {}
    }
}

/// What an include's table holds.
const FILE: &str = "file";

fn span(file: u32, range: std::ops::Range<usize>) -> Span {
    let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Span { file, start: at(range.start), end: at(range.end) }
}

struct Parser<'s, 'c, B: 'static> {
    file: u32,
    text: &'s str,
    complaints: &'c mut Complaints,
    root: Table<B>,
    path: Vec<&'static str>,
}

impl<'s, B> Parser<'s, '_, B> {
    fn items(&mut self, table: Table<B>, keys: DeTable<'s>) -> Vec<Item<'s, B>> {
        let mut items = Vec::with_capacity(keys.len());
        for (key, value) in in_order(keys) {
            let word = Word { span: span(self.file, key.span()), text: key.into_inner() };
            match keyword::find(table, &word) {
                Some(row) => self.keyword(row, &word, value, &mut items),
                None if self.path.is_empty() && include::strictness(&word).is_some() => self.check_include(&value),
                None => self.unknown(table, &word),
            }
        }
        // Tables of one kind need not stand together: what comes first in the file comes first.
        items.sort_by_key(|item| item.at.start);
        items
    }

    /// What cannot name a file is said; the others have been followed already.
    fn check_include(&mut self, value: &Spanned<DeValue<'s>>) {
        let good = match value.get_ref() {
            DeValue::String(_) => true,
            DeValue::Array(array) => return array.iter().for_each(|value| self.check_include(value)),
            DeValue::Table(table) => {
                table.len() == 1 && table.get(FILE).is_some_and(|value| matches!(value.get_ref(), DeValue::String(_) | DeValue::Array(_)))
            }
            _ => false,
        };
        if !good {
            let complaint = Complaint::error(span(self.file, value.span()), "this names no file to include");
            self.complaints
                .push(complaint.expected("'include = \"FILE\"', or a table '[[include]]' with 'file = \"FILE\"' to read it there"));
        }
    }

    fn keyword(&mut self, row: &'static Keyword<B>, word: &Word<'s>, value: Spanned<DeValue<'s>>, items: &mut Vec<Item<'s, B>>) {
        let place = span(self.file, value.span());
        match (&row.shape, value.into_inner()) {
            (Shape::Line, DeValue::Boolean(on)) if row.max == 0 => {
                if on {
                    self.push(row, word, Vec::new(), Vec::new(), (place, None), items);
                }
            }
            // A keyword whose words may all be left out, alone.
            (Shape::Line, DeValue::Boolean(on)) if row.min == 0 && !row.is_switch() => {
                if on {
                    self.push(row, word, Vec::new(), Vec::new(), (place, None), items);
                }
            }
            // Several words, or several lines of one word each.
            (Shape::Line, DeValue::Array(array)) => {
                if row.max > 1 && !array.iter().any(|value| value.get_ref().is_array()) {
                    let args = self.row(array);
                    self.push(row, word, args, Vec::new(), (place, None), items);
                } else {
                    array.into_iter().for_each(|value| self.keyword(row, word, value, items));
                }
            }
            (Shape::Line, DeValue::Table(_)) => self.wrong(row, place, "a table"),
            (Shape::Line, value) => {
                let args = self.words(value, place, row.max > 1 && !row.args.contains("SCRIPT"));
                self.push(row, word, args, Vec::new(), (place, None), items);
            }
            (Shape::List, DeValue::Table(names)) if row.max > 0 => {
                for (name, value) in in_order(names) {
                    let place = span(self.file, value.span());
                    let at = span(self.file, name.span());
                    let args = self.name(row, name);
                    let lines = self.lines(row, value.into_inner(), place);
                    self.push(row, word, args, lines, (at, Some(end_of(place))), items);
                }
            }
            (Shape::List, value) => {
                let lines = self.lines(row, value, place);
                self.push(row, word, Vec::new(), lines, (word.span, Some(end_of(place))), items);
            }
            (Shape::Block(table), DeValue::Table(keys)) if row.max == 0 => self.block(row, table, word, Vec::new(), keys, place, items),
            (Shape::Block(table), DeValue::Table(names)) => {
                for (name, value) in in_order(names) {
                    let place = span(self.file, value.span());
                    let args = self.name(row, name);
                    self.blocks(row, table, word, args, value.into_inner(), place, items);
                }
            }
            (Shape::Block(table), value) => self.blocks(row, table, word, Vec::new(), value, place, items),
        }
    }

    /// A table, or an array of tables: the block once, or several times.
    #[expect(clippy::too_many_arguments, reason = "a block is all of these, and nothing else needs them together")]
    fn blocks(
        &mut self,
        row: &'static Keyword<B>,
        table: Table<B>,
        word: &Word<'s>,
        args: Vec<Word<'s>>,
        value: DeValue<'s>,
        place: Span,
        items: &mut Vec<Item<'s, B>>,
    ) {
        match value {
            DeValue::Table(keys) => self.block(row, table, word, args, keys, place, items),
            DeValue::Array(array) => {
                for value in array {
                    let place = span(self.file, value.span());
                    match value.into_inner() {
                        DeValue::Table(keys) => self.block(row, table, word, args.clone(), keys, place, items),
                        other => self.wrong(row, place, other.type_str()),
                    }
                }
            }
            other => self.wrong(row, place, other.type_str()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a block is all of these, and nothing else needs them together")]
    fn block(
        &mut self,
        row: &'static Keyword<B>,
        table: Table<B>,
        word: &Word<'s>,
        args: Vec<Word<'s>>,
        keys: DeTable<'s>,
        place: Span,
        items: &mut Vec<Item<'s, B>>,
    ) {
        self.path.push(row.name);
        let children = self.items(table, keys);
        self.path.pop();
        self.push(row, word, args, children, (place, None), items);
    }

    fn push(
        &mut self,
        row: &'static Keyword<B>,
        word: &Word<'s>,
        args: Vec<Word<'s>>,
        children: Vec<Item<'s, B>>,
        (at, close): (Span, Option<Span>),
        items: &mut Vec<Item<'s, B>>,
    ) {
        let item = Item { word: word.clone(), row: Some(row), args, raw: Raw(None), children, at, close };
        if check_count(row, &item, self.complaints) {
            items.push(item);
        }
    }

    /// The name of a block: several words where the keyword takes them (`"10.0.0.1 80"`).
    fn name(&self, row: &Keyword<B>, name: Spanned<DeString<'s>>) -> Vec<Word<'s>> {
        let place = span(self.file, name.span());
        let name = name.into_inner();
        if row.max > 1 { self.split(name, place) } else { vec![Word { text: name, span: place }] }
    }

    fn lines(&mut self, row: &Keyword<B>, value: DeValue<'s>, place: Span) -> Vec<Item<'s, B>> {
        let values = match value {
            DeValue::Array(array) => array,
            DeValue::Table(_) | DeValue::Boolean(_) => {
                self.wrong(row, place, value.type_str());
                return Vec::new();
            }
            one => {
                let words = self.words(one, place, true);
                return line(words, place).into_iter().collect();
            }
        };
        let lines = values.into_iter().filter_map(|value| {
            let place = span(self.file, value.span());
            line(self.words(value.into_inner(), place, true), place)
        });
        lines.collect()
    }

    fn row(&mut self, array: DeArray<'s>) -> Vec<Word<'s>> {
        let words = array.into_iter().flat_map(|value| {
            let place = span(self.file, value.span());
            self.words(value.into_inner(), place, false)
        });
        words.collect()
    }

    /// The words of a value; a string is one word unless it is to be split.
    fn words(&mut self, value: DeValue<'s>, place: Span, split: bool) -> Vec<Word<'s>> {
        match value {
            DeValue::String(text) if split => self.split(text, place),
            DeValue::String(text) => vec![Word { text, span: place }],
            DeValue::Array(array) => self.row(array),
            DeValue::Table(_) => {
                self.complaints.push(Complaint::error(place, "a table cannot stand here").expected("a string"));
                Vec::new()
            }
            // Numbers, truth values: as they are written.
            _ => {
                let range = usize::try_from(place.start).unwrap_or(0)..usize::try_from(place.end).unwrap_or(0);
                let text = self.text.get(range).unwrap_or("");
                let text = if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
                vec![Word { text, span: place }]
            }
        }
    }

    fn split(&self, text: Cow<'s, str>, place: Span) -> Vec<Word<'s>> {
        match text {
            Cow::Owned(text) => text.split_whitespace().map(|word| Word { text: Cow::Owned(word.to_owned()), span: place }).collect(),
            Cow::Borrowed(text) => {
                let offset = |part: &str| (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
                let place = |word: &str| span(self.file, offset(word)..offset(word) + word.len());
                text.split_whitespace().map(|word| Word { text: Cow::Borrowed(word), span: place(word) }).collect()
            }
        }
    }

    fn unknown(&mut self, table: Table<B>, word: &Word<'s>) {
        let name = diagnostic::shown(word);
        let message = match self.path.last() {
            None => format!("Unknown keyword '{name}'"),
            Some(block) => format!("Unknown keyword '{name}' in '{block}'"),
        };
        let advice = if self.complaints.is_full() { None } else { keyword::advice(self.root, table, word) };
        let help = advice.unwrap_or_else(|| "it is left out".to_owned());
        let (rule, _) = keyword::certain(table, word);
        self.complaints.push(Complaint::error(word.span, message).help(help).rule(rule));
    }

    fn wrong(&mut self, row: &Keyword<B>, place: Span, found: &str) {
        let name = row.name;
        let expected = match (&row.shape, row.max) {
            (Shape::Line, 0) => format!("{name} = true"),
            (Shape::Line, 1) => format!("{name} = \"{}\"", row.args),
            (Shape::Line, _) => format!("{name} = [\"word\", …] of {}", row.args),
            (Shape::List, 0) => format!("{name} = [\"{}\", …]", row.args.trim_end_matches(" …")),
            (Shape::List, _) => format!("[{name}] NAME = [\"{}\", …]", row.args.trim_end_matches(" …")),
            (Shape::Block(_), 0) => format!("[{name}]"),
            (Shape::Block(_), _) => format!("[{name}.\"{}\"]", row.args),
        };
        let complaint = Complaint::error(place, format!("'{name}' cannot be {found}"));
        self.complaints.push(complaint.expected(format!("'{expected}'")));
    }
}

fn line<'s, B>(words: Vec<Word<'s>>, at: Span) -> Option<Item<'s, B>> {
    let mut words = words.into_iter();
    let word = words.next()?;
    Some(Item { word, row: None, args: words.collect(), raw: Raw(None), children: Vec::new(), at, close: None })
}

/// The last byte of a value: the `]` of an array.
const fn end_of(value: Span) -> Span {
    Span { start: value.end.saturating_sub(1), ..value }
}

/// As they were written: the map sorts by name.
fn in_order<'s>(table: DeTable<'s>) -> Vec<(Spanned<DeString<'s>>, Spanned<DeValue<'s>>)> {
    let mut pairs: Vec<_> = table.into_iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}
