//! Words and braces into a `Tree`, driven by the keyword tables.

use super::complaint::{Complaint, Complaints, Verdict};
use super::diagnostic::{self, is_secret};
use super::include::include_slip;
use super::keyword::{self, Keyword, Shape, Table};
use super::lex::{Lexer, Token};
use super::preprocess::Text;
use super::source::Span;
use super::tree::{Item, Raw, Tree, Word};

/// Deepest nesting of blocks: the tables allow five.
const DEPTH: usize = 16;

/// Parses a whole text over the root's table.
pub fn parse<'s, B>(text: &'s Text, root: Table<B>, complaints: &mut Complaints) -> Tree<'s, B> {
    let mut items = Vec::new();
    parse_each(text, root, complaints, |item| items.push(item));
    Tree { items }
}

/// The same, one keyword of the root after the other: thousands of blocks need not be held at once.
pub fn parse_each<'s, B>(text: &'s Text, root: Table<B>, complaints: &mut Complaints, mut take: impl FnMut(Item<'s, B>)) {
    let mut parser = Parser { lexer: Lexer::new(text), complaints, root, path: Vec::new(), strays: Vec::new(), closed: None };
    while let Some(token) = parser.lexer.next(parser.complaints) {
        match token {
            Token::Words(words, raw) => parser.item(root, words, raw).into_iter().for_each(&mut take),
            Token::Open(span) => parser.stray(span),
            Token::Close(span) => parser.extra(span),
        }
    }
}

/// A block that is being read: its keyword, the place of its `{`.
struct Open<'s> {
    word: Word<'s>,
    name: Option<Word<'s>>,
}

struct Parser<'s, 'c, B: 'static> {
    lexer: Lexer<'s>,
    complaints: &'c mut Complaints,
    root: Table<B>,
    path: Vec<Open<'s>>,
    /// Words before a `{` that belongs to no block and whose `}` has not come: the original counts on without them.
    strays: Vec<String>,
    /// The `}` of the block that was read last.
    closed: Option<Span>,
}

impl<'s, B> Parser<'s, '_, B> {
    /// The keywords of a block, up to its `}`.
    fn items(&mut self, table: Table<B>) -> Vec<Item<'s, B>> {
        let mut items = Vec::new();
        loop {
            match self.lexer.next(self.complaints) {
                Some(Token::Words(words, raw)) => items.extend(self.item(table, words, raw)),
                Some(Token::Open(span)) => self.stray(span),
                Some(Token::Close(span)) => {
                    self.closed = Some(span);
                    return items;
                }
                None => {
                    self.unclosed();
                    self.closed = None;
                    return items;
                }
            }
        }
    }

    fn item(&mut self, table: Table<B>, words: Vec<Word<'s>>, raw: &'s str) -> Option<Item<'s, B>> {
        let mut words = words.into_iter();
        let word = words.next()?;
        let Some(row) = keyword::find(table, &word) else {
            self.unknown(table, &word);
            return None;
        };
        let at = word.span;
        let mut item = Item { word, row: Some(row), args: words.collect(), raw: Raw(Some(raw)), children: Vec::new(), at, close: None };
        // As in the original: a line whose quote does not end is left out, which has been said. (Without a word it stops there, as ever,
        // but script values have a reader of their own.)
        let lacks = item.args.len() < usize::from(row.min);
        if self.lexer.is_broken(item.word.span) && if lacks { row.args.starts_with("SCRIPT") } else { matches!(row.shape, Shape::Line) } {
            return None;
        }
        if !check_count(row, &item, self.complaints) {
            self.skip(row);
            return None;
        }
        match row.shape {
            Shape::Line => {}
            Shape::List => {
                self.open(&item);
                item.children = self.list(&item);
                item.close = self.closed;
            }
            Shape::Block(table) => {
                self.open(&item);
                if self.path.len() < DEPTH {
                    self.path.push(Open { word: item.word.clone(), name: item.args.first().cloned() });
                    item.children = self.items(table);
                    self.path.pop();
                    item.close = self.closed;
                }
            }
        }
        Some(item)
    }

    /// Takes the `{`; without one goes on as if it stood there, as the original does.
    fn open(&mut self, item: &Item<'s, B>) {
        if matches!(self.lexer.peek(self.complaints), Some(Token::Open(_))) {
            self.lexer.next(self.complaints);
            return;
        }
        let message = format!("Missing '{{' at beginning of configuration block '{}'", &*item.word);
        self.complaints.push(Complaint::error(item.span(), message).expected(usage(item)).rule("braces"));
    }

    /// The lines of a list block; `virtual_ipaddress 10.0.0.1 { … }` is not one of them.
    fn list(&mut self, item: &Item<'s, B>) -> Vec<Item<'s, B>> {
        let mut lines = Vec::new();
        loop {
            match self.lexer.next(self.complaints) {
                Some(Token::Words(words, raw)) => {
                    let mut words = words.into_iter();
                    lines.extend(words.next().map(|word| Item {
                        at: word.span,
                        word,
                        row: None,
                        args: words.collect(),
                        raw: Raw(Some(raw)),
                        children: Vec::new(),
                        close: None,
                    }));
                }
                Some(Token::Open(span)) => {
                    let message = format!("Unexpected '{{' in '{}'", &*item.word);
                    self.complaints.push(Complaint::error(span, message).expected(usage(item)).rule("braces"));
                }
                Some(Token::Close(span)) => {
                    self.closed = Some(span);
                    return lines;
                }
                None => {
                    self.closed = None;
                    let message = format!("Missing '}}' of '{}'", &*item.word);
                    self.complaints
                        .push(Complaint::error(item.word.span, message).help("the file ends before it".to_owned()).rule("braces"));
                    return lines;
                }
            }
        }
    }

    /// A block that cannot be read is left out whole.
    fn skip(&mut self, row: &Keyword<B>) {
        if matches!(row.shape, Shape::Line) || !matches!(self.lexer.peek(self.complaints), Some(Token::Open(_))) {
            return;
        }
        let mut depth = 0_usize;
        while let Some(token) = self.lexer.next(self.complaints) {
            match token {
                Token::Words(..) => {}
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth -= 1,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn unknown(&mut self, table: Table<B>, word: &Word<'s>) {
        let block = matches!(self.lexer.peek(self.complaints), Some(Token::Open(_)));
        let name = diagnostic::shown(word);
        let mut message = match self.path.last() {
            None => format!("Unknown keyword '{name}'"),
            Some(open) => format!("Unknown keyword '{name}' in '{}'", title(open)),
        };
        // In a file of garbage nobody asks any more what each word was meant to be.
        let full = self.complaints.is_full();
        let advice = if full { None } else { keyword::advice(self.root, table, word) };
        let mut help = match advice {
            Some(advice) => advice,
            None if include_slip(word) => "did you mean 'include PATTERN'?".to_owned(),
            None => format!("the {} is left out", if block { "word" } else { "line" }),
        };
        let consequence = self.strays.last().map(|before| format!(", after the unexpected '{before}{{'"));
        if block {
            self.lexer.next(self.complaints);
            self.strays.push(format!("{name} "));
            help.push_str(if self.path.is_empty() {
                " (its '{' opens no block: the lines after it are read as keywords outside every block)"
            } else {
                " (its '{' opens no block: the lines after it are read as keywords of the enclosing block, which its '}' closes)"
            });
        }
        // What follows from an unknown block is no further error: one slip, one error.
        let (rule, certain) = if full { ("unknown-keyword", None) } else { keyword::certain(table, word) };
        let complaint = match consequence {
            Some(consequence) => {
                message.push_str(&consequence);
                Complaint::warning(word.span, message)
            }
            None => Complaint::error(word.span, message),
        };
        let complaint = complaint.help(help).rule(rule);
        self.complaints.push(match certain {
            Some(with) if self.strays.is_empty() || block => complaint.fix(word.span, with),
            _ => complaint,
        });
    }

    fn stray(&mut self, span: Span) {
        self.strays.push(String::new());
        let message = match self.path.last() {
            None => "Unexpected '{' - ignoring".to_owned(),
            Some(open) => format!("Unexpected '{{' in '{}' - ignoring", title(open)),
        };
        let help = (!self.path.is_empty()).then(|| "the next '}' closes the enclosing block".to_owned());
        self.complaints.push(Complaint::error(span, message).help(help).rule("braces"));
    }

    /// A `}` at the root: the end of an unknown block, which has been complained about, or one too many.
    fn extra(&mut self, span: Span) {
        if self.strays.pop().is_none() {
            self.complaints.push(Complaint::error(span, "Extra '}' found").help("no block is open here".to_owned()).rule("braces"));
        }
    }

    fn unclosed(&mut self) {
        let Some(open) = self.path.last() else { return };
        let message = format!("Missing '}}' of '{}'", title(open));
        let mut complaint = Complaint::error(open.word.span, message);
        complaint.help = Some("the file ends before it".to_owned());
        self.complaints.push(complaint.rule("braces"));
    }
}

fn title(open: &Open<'_>) -> String {
    open.name.as_ref().map_or_else(|| open.word.to_string(), |name| format!("{} {}", &*open.word, &**name))
}

fn usage<B>(item: &Item<'_, B>) -> String {
    item.row.map_or_else(|| "a line".to_owned(), |row| format!("'{}'", row.usage()))
}

/// Whether enough words follow; too many are said to be of no use.
pub fn check_count<B>(row: &Keyword<B>, item: &Item<'_, B>, complaints: &mut Complaints) -> bool {
    let (count, min, max) = (item.args.len(), usize::from(row.min), usize::from(row.max));
    if count < min {
        let verdict = if row.lenient { Verdict::Problem } else { Verdict::ArgumentMissing };
        let message = format!("'{}' is missing a parameter at word position {}", row.name, count + 2);
        complaints.push(Complaint::error(item.span(), message).expected(format!("'{}'", row.usage())).verdict(verdict));
        return false;
    }
    if let Some(extra) = item.args.get(max) {
        let message = match max {
            0 => format!("'{}' takes no value: '{}' is not used", row.name, shown(row, extra)),
            _ => format!("'{}' takes no more words: '{}' is not used", row.name, shown(row, extra)),
        };
        complaints.push(Complaint::remark(extra.span, message).expected(format!("'{}'", row.usage())).rule("extra-words"));
    }
    true
}

fn shown<'w, B>(row: &Keyword<B>, word: &'w Word<'_>) -> &'w str {
    if is_secret(row.name) { "********" } else { &word.text }
}
