//! The rows of the keyword tables: parser, TOML, messages, help and completion are derived from them.

use super::diagnostic::is_secret;
use super::suggest;
use super::tree::Item;

/// How a keyword is acted on.
pub type Act<B> = for<'s> fn(&mut B, &Item<'s, B>);

/// One row: everything there is to know about a keyword in its block.
#[derive(Debug)]
pub struct Keyword<B: 'static> {
    /// The word.
    pub name: &'static str,
    /// What follows it, as messages and manuals show it (`1..255`, `ADDRESS [PORT]`); empty for a flag.
    pub args: &'static str,
    /// One line of meaning.
    pub means: &'static str,
    /// The first release that knows it, when that is later than 2.2.7.
    pub since: Option<&'static str>,
    /// What holds when it is not written, `required`; empty where "not there" says it (flags, blocks, lists).
    pub default: &'static str,
    /// What its numbers may be, where `args` does not say it.
    pub range: &'static str,
    /// It is an old name of that keyword.
    pub renamed: Option<&'static str>,
    /// Fewest arguments.
    pub min: u8,
    /// Most arguments.
    pub max: u8,
    /// Whether the original goes on when an argument is missing (else it exits with status 2).
    pub lenient: bool,
    /// The first one in the configuration counts, and a second is an error.
    pub once: bool,
    /// What stands in its braces.
    pub shape: Shape<B>,
    /// How it is acted on; `None`: known, not acted on yet.
    pub act: Option<Act<B>>,
}

/// The rows of a block: its own, and those it shares with others.
pub type Table<B> = &'static [&'static [Keyword<B>]];

/// What a keyword's braces hold.
#[derive(Debug)]
pub enum Shape<B: 'static> {
    /// It has none.
    Line,
    /// Lines of words.
    List,
    /// Keywords.
    Block(Table<B>),
}

impl<B> Keyword<B> {
    /// A keyword without argument.
    pub const fn flag(name: &'static str, means: &'static str) -> Self {
        let (since, renamed, act) = (None, None, None);
        Self {
            name,
            args: "",
            means,
            since,
            default: "",
            range: "",
            renamed,
            min: 0,
            max: 0,
            lenient: false,
            once: false,
            shape: Shape::Line,
            act,
        }
    }

    /// A keyword with exactly one argument.
    pub const fn value(name: &'static str, args: &'static str, means: &'static str) -> Self {
        Self { args, min: 1, max: 1, ..Self::flag(name, means) }
    }

    /// `[BOOL]`: alone it means true.
    pub const fn switch(name: &'static str, means: &'static str) -> Self {
        Self { args: "[on|off|true|false|yes|no]", max: 1, ..Self::flag(name, means) }
    }

    /// A keyword with `min` to `max` arguments.
    pub const fn values(name: &'static str, args: &'static str, min: u8, max: u8, means: &'static str) -> Self {
        Self { args, min, max, ..Self::flag(name, means) }
    }

    /// A block of lines.
    pub const fn list(name: &'static str, args: &'static str, means: &'static str) -> Self {
        Self { args, shape: Shape::List, ..Self::flag(name, means) }
    }

    /// A block of keywords without a name.
    pub const fn block(name: &'static str, means: &'static str, table: Table<B>) -> Self {
        Self { shape: Shape::Block(table), ..Self::flag(name, means) }
    }

    /// A block of keywords with a name or an address.
    pub const fn named(name: &'static str, args: &'static str, min: u8, max: u8, means: &'static str, table: Table<B>) -> Self {
        Self { args, min, max, shape: Shape::Block(table), ..Self::flag(name, means) }
    }

    /// A list block with a name.
    #[must_use]
    pub const fn counted(self, min: u8, max: u8) -> Self {
        Self { min, max, ..self }
    }

    /// The first one counts.
    #[must_use]
    pub const fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Acted on so.
    #[must_use]
    pub const fn act(self, act: Act<B>) -> Self {
        Self { act: Some(act), ..self }
    }

    /// Known to this release and later ones.
    #[must_use]
    pub const fn since(self, release: &'static str) -> Self {
        Self { since: Some(release), ..self }
    }

    /// What holds when it is not written.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// What its numbers may be.
    #[must_use]
    pub const fn range(self, range: &'static str) -> Self {
        Self { range, ..self }
    }

    /// An old name of that keyword.
    #[must_use]
    pub const fn renamed(self, to: &'static str) -> Self {
        Self { renamed: Some(to), ..self }
    }

    /// Whether it is `[BOOL]`: on or off, alone on.
    pub fn is_switch(&self) -> bool {
        self.args.starts_with("[on|off")
    }

    /// What its numbers count, when they count something: `s`.
    pub fn unit(&self) -> Option<&'static str> {
        let units = [("MILLISECONDS", "ms"), ("MICROSECONDS", "µs"), ("SECONDS", "s"), ("BYTES", "bytes")];
        units.into_iter().find(|(word, _)| self.args.contains(word)).map(|(_, unit)| unit)
    }

    /// A missing argument is no reason to exit.
    #[must_use]
    pub const fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// The table of its block; empty for a line or a list.
    pub const fn table(&self) -> Table<B> {
        match self.shape {
            Shape::Block(table) => table,
            Shape::Line | Shape::List => &[],
        }
    }

    /// `keyword ARGS`, with braces for a block.
    pub fn usage(&self) -> String {
        let args = if self.args.is_empty() { String::new() } else { format!(" {}", self.args) };
        match self.shape {
            Shape::Line => format!("{}{args}", self.name),
            Shape::List => format!("{} {{{args} }}", self.name),
            Shape::Block(_) => format!("{}{args} {{ … }}", self.name),
        }
    }
}

/// The row of that name.
pub fn find<B>(table: Table<B>, name: &str) -> Option<&'static Keyword<B>> {
    // Once a line of configurations of hundreds of thousands: a first byte that differs is seen without a call.
    let first = name.as_bytes().first();
    for rows in table {
        for row in *rows {
            if row.name.len() == name.len() && row.name.as_bytes().first() == first && row.name == name {
                return Some(row);
            }
        }
    }
    None
}

/// All rows of a block.
pub fn rows<B>(table: Table<B>) -> impl Iterator<Item = &'static Keyword<B>> {
    table.iter().copied().flatten()
}

/// What a person who wrote `word` in the block of `table` probably wanted, as a sentence without full stop.
pub fn advice<B>(root: Table<B>, table: Table<B>, word: &str) -> Option<String> {
    if let Some(near) = suggest::nearest(word, rows(table).map(|row| row.name)) {
        return Some(format!("did you mean '{near}'?"));
    }
    if let Some(parts) = joined(table, word).or_else(|| joined(root, word)) {
        return Some(format!("did you mean '{parts}'?"));
    }
    let homes = homes(root, word);
    if homes.is_empty() {
        return None;
    }
    Some(format!("'{word}' belongs in {}", homes.join(" or ")))
}

/// The rule that an unknown word breaks; and what it must be, when only one word can be meant: one edit away from a single keyword
/// that is not among the short ones, or a keyword glued to what follows it.
pub fn certain<B>(table: Table<B>, word: &str) -> (&'static str, Option<String>) {
    let close: Vec<_> =
        rows(table).map(|row| row.name).filter(|name| name.len().abs_diff(word.len()) <= 1 && suggest::distance(word, name) <= 1).collect();
    match close.as_slice() {
        [one] if one.len() > 4 => return ("unknown-keyword", Some((*one).to_owned())),
        [] => {}
        _ => return ("unknown-keyword", None),
    }
    match glued(table, word) {
        // A block's name: nothing else begins so at this place.
        Some((row, rest)) if matches!(row.shape, Shape::Block(_)) => ("joined-words", Some(format!("{} {rest}", row.name))),
        Some(_) => ("joined-words", None),
        None => ("unknown-keyword", None),
    }
}

/// `vrrp_script_chk_nginx` is `vrrp_script chk_nginx` with a slip of the space bar.
fn joined<B>(table: Table<B>, word: &str) -> Option<String> {
    glued(table, word).map(|(row, rest)| format!("{} {}", row.name, if is_secret(row.name) { "********" } else { rest }))
}

fn glued<B>(table: Table<B>, word: &str) -> Option<(&'static Keyword<B>, &str)> {
    rows(table)
        .filter(|row| row.max > 0)
        .filter_map(|row| Some((row, word.strip_prefix(row.name)?.trim_start_matches(['_', '-', '=', ':']))))
        .filter(|(_, rest)| !rest.is_empty())
        .max_by_key(|(row, _)| row.name.len())
}

/// The blocks that know `word`, in words.
fn homes<B>(root: Table<B>, word: &str) -> Vec<String> {
    fn visit<B>(table: Table<B>, path: &mut Vec<&'static str>, word: &str, found: &mut Vec<String>) {
        for row in rows(table) {
            if row.name == word {
                let home = if path.is_empty() { "the root, outside every block".to_owned() } else { format!("'{}'", path.join(" > ")) };
                if !found.contains(&home) {
                    found.push(home);
                }
            }
            // A block is known by several names at most four deep: virtual_server > real_server > HTTP_GET > url.
            if path.len() < 4 && !path.contains(&row.name) {
                path.push(row.name);
                visit(row.table(), path, word, found);
                path.pop();
            }
        }
    }
    let mut found = Vec::new();
    visit(root, &mut Vec::new(), word, &mut found);
    found.truncate(3);
    found
}
