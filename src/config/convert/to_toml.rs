//! The writer of TOML: one obvious form a block.

use super::Line;
use super::notes::{Note, Notes};
use super::parts::{Entry, Part};
use super::word::{is_number, key, string};
use crate::config::read::Row;
use crate::syntax::Shape;
use crate::syntax::command::{group, split};
use std::collections::HashMap;
use std::fmt::Write as _;

/// One file.
pub(super) fn file(part: &Part<'_, '_>, notes: &Notes<'_>, remarks: &mut Vec<String>) -> String {
    let mut writer = Writer { out: String::new(), notes, remarks };
    writer.body("", &part.entries);
    writer.comments(&part.rest);
    writer.out
}

struct Writer<'w, 's> {
    out: String,
    notes: &'w Notes<'s>,
    remarks: &'w mut Vec<String>,
}

impl Writer<'_, '_> {
    /// Values first, then tables, as TOML needs it.
    fn body(&mut self, path: &str, entries: &[Entry<'_, '_>]) {
        let tables: Vec<&str> = tables_of_includes(entries);
        let mut done: Vec<&str> = Vec::new();
        let mut times: HashMap<Vec<&str>, usize> = HashMap::new();
        for entry in entries {
            if let Entry::Line(line) = entry {
                *times.entry(title(line)).or_default() += 1;
            }
        }
        for entry in entries {
            match entry {
                Entry::Line(line) if is_value(line) && !done.contains(&&*line.word.text) => {
                    done.push(&line.word.text);
                    self.values(&same(entries, line));
                }
                Entry::Include { keyword, .. } if !tables.contains(keyword) && !done.contains(keyword) => {
                    done.push(keyword);
                    self.include_value(keyword, entries);
                }
                Entry::Line(_) | Entry::Include { .. } => {}
            }
        }
        for entry in entries {
            match entry {
                Entry::Line(line) => match line.row {
                    Some(row) if matches!(row.shape, Shape::Block(_)) => {
                        let several = times.get(&title(line)).is_some_and(|times| *times > 1);
                        self.block(path, row, line, several);
                    }
                    Some(row) if is_named_list(row) && !done.contains(&row.name) => {
                        done.push(row.name);
                        self.named_lists(path, row, &same(entries, line));
                    }
                    _ => {}
                },
                Entry::Include { keyword, names, comments } if tables.contains(keyword) => {
                    self.header(&format!("[[{keyword}]]"), comments, None);
                    let _ = writeln!(self.out, "file = {}", strings(names));
                }
                Entry::Include { .. } => {}
            }
        }
    }

    fn comments(&mut self, comments: &[String]) {
        for comment in comments {
            self.out.push_str(comment);
            self.out.push('\n');
        }
    }

    fn header(&mut self, header: &str, before: &[String], behind: Option<&str>) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.comments(before);
        self.out.push_str(header);
        self.end(behind);
    }

    /// The rest of a line.
    fn end(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.out.push_str("  ");
            self.out.push_str(comment);
        }
        self.out.push('\n');
    }

    fn include_value(&mut self, keyword: &str, entries: &[Entry<'_, '_>]) {
        let mut all: Vec<String> = Vec::new();
        for entry in entries {
            if let Entry::Include { keyword: other, names, comments } = entry
                && *other == keyword
            {
                self.comments(comments);
                all.extend(names.iter().cloned());
            }
        }
        let _ = writeln!(self.out, "{keyword} = {}", strings(&all));
    }

    fn block(&mut self, path: &str, row: &Row, line: &Line<'_>, several: bool) {
        let name = (row.max > 0).then(|| self.name(row, line));
        let path = [Some(path.to_owned()).filter(|path| !path.is_empty()), Some(row.name.to_owned()), name];
        let path = path.into_iter().flatten().collect::<Vec<_>>().join(".");
        let header = if several { format!("[[{path}]]") } else { format!("[{path}]") };
        let empty = Note::default();
        let note = self.notes.of(line).unwrap_or(&empty);
        self.header(&header, &note.before, note.behind.as_deref());
        let children: Vec<_> = line.children.iter().map(Entry::Line).collect();
        self.body(&path, &children);
        self.comments(&note.last);
    }

    /// The words behind a block's keyword, as one key.
    fn name(&mut self, row: &Row, line: &Line<'_>) -> String {
        let most = usize::from(row.max);
        if most > 1 && line.args.iter().any(|word| word.contains(char::is_whitespace) || word.is_empty()) {
            self.remarks.push(format!("the name of a {} has blanks in it, which TOML's form cannot keep", row.name));
        }
        key(&line.args.iter().take(most).map(|word| &*word.text).collect::<Vec<_>>().join(" "))
    }

    fn values(&mut self, lines: &[&Line<'_>]) {
        let Some((first, row)) = lines.first().and_then(|line| Some((line, line.row?))) else { return };
        if matches!(row.shape, Shape::List) {
            let children: Vec<&Line<'_>> = lines.iter().flat_map(|list| &list.children).collect();
            self.list(row.name, lines, &children);
            return;
        }
        let values: Vec<Option<String>> = lines.iter().map(|line| value(row, line, lines.len() > 1)).collect();
        if lines.len() == 1 || row.max == 0 {
            let note = self.notes.of(first);
            for line in lines {
                self.comments(self.notes.of(line).map_or(&[], |note| &note.before));
            }
            if let Some(Some(value)) = values.into_iter().next() {
                let _ = write!(self.out, "{} = {value}", row.name);
                self.end(note.and_then(|note| note.behind.as_deref()));
            }
            return;
        }
        let _ = writeln!(self.out, "{} = [", row.name);
        for (line, value) in lines.iter().zip(values) {
            self.element(line, value);
        }
        self.out.push_str("]\n");
    }

    /// One line of an array.
    fn element(&mut self, line: &Line<'_>, value: Option<String>) {
        let note = self.notes.of(line);
        for comment in note.map_or(&[][..], |note| &note.before) {
            let _ = writeln!(self.out, "    {comment}");
        }
        if let Some(value) = value {
            let _ = write!(self.out, "    {value},");
            self.end(note.and_then(|note| note.behind.as_deref()));
        }
    }

    /// The lines of a list block, or of several that count as one.
    fn list(&mut self, name: &str, blocks: &[&Line<'_>], lines: &[&Line<'_>]) {
        for block in blocks {
            self.comments(self.notes.of(block).map_or(&[], |note| &note.before));
        }
        let behind = blocks.first().and_then(|block| self.notes.of(block)?.behind.as_deref());
        let last: Vec<&String> = blocks.iter().filter_map(|block| self.notes.of(block)).flat_map(|note| &note.last).collect();
        let noted = !last.is_empty() || lines.iter().any(|line| self.notes.of(line).is_some());
        let _ = write!(self.out, "{} = [", key(name));
        match lines {
            [] if !noted => self.out.push(']'),
            [only] if !noted => {
                let _ = write!(self.out, "{}]", list_line(only));
            }
            _ => {
                self.end(behind);
                for line in lines {
                    self.element(line, Some(list_line(line)));
                }
                for comment in last {
                    let _ = writeln!(self.out, "    {comment}");
                }
                self.out.push_str("]\n");
                return;
            }
        }
        self.end(behind);
    }

    fn named_lists(&mut self, path: &str, row: &Row, lists: &[&Line<'_>]) {
        let header = if path.is_empty() { row.name.to_owned() } else { format!("{path}.{}", row.name) };
        self.header(&format!("[{header}]"), &[], None);
        let name = |list: &Line<'_>| list.args.first().map_or(String::new(), |word| word.to_string());
        let mut done: Vec<String> = Vec::new();
        for list in lists {
            if !done.contains(&name(list)) {
                let twins: Vec<&Line<'_>> = lists.iter().copied().filter(|other| name(other) == name(list)).collect();
                let children: Vec<&Line<'_>> = twins.iter().flat_map(|list| &list.children).collect();
                self.list(&name(list), &twins, &children);
                done.push(name(list));
            }
        }
    }
}

/// Includes that stand behind a table are tables; so are those of the same keyword.
fn tables_of_includes<'e>(entries: &'e [Entry<'_, '_>]) -> Vec<&'e str> {
    let values = entries.iter().take_while(|entry| !matches!(entry, Entry::Line(line) if !is_value(line))).count();
    let late = entries.iter().skip(values).filter_map(|entry| match entry {
        Entry::Include { keyword, .. } => Some(*keyword),
        Entry::Line(_) => None,
    });
    late.collect()
}

/// The lines of the same keyword.
fn same<'r, 's>(entries: &[Entry<'r, 's>], line: &Line<'_>) -> Vec<&'r Line<'s>> {
    let lines = entries.iter().filter_map(|entry| match entry {
        Entry::Line(other) if *other.word.text == *line.word.text => Some(*other),
        Entry::Line(_) | Entry::Include { .. } => None,
    });
    lines.collect()
}

/// A block's keyword and name.
fn title<'r>(line: &'r Line<'_>) -> Vec<&'r str> {
    line.words().map(|word| &*word.text).collect()
}

/// Whether it is `key = value`, and no table.
fn is_value(line: &Line<'_>) -> bool {
    line.row.is_some_and(|row| matches!(row.shape, Shape::Line) || (matches!(row.shape, Shape::List) && !is_named_list(row)))
}

fn is_named_list(row: &Row) -> bool {
    matches!(row.shape, Shape::List) && row.max > 0
}

/// What stands behind the `=`; as an element of an array of lines when there are several. Nothing for what cannot be read.
fn value(row: &Row, line: &Line<'_>, several: bool) -> Option<String> {
    if row.max == 0 {
        return Some("true".to_owned());
    }
    let words = values(row, line)?;
    if row.is_switch() {
        return Some(match words.first().map(String::as_str) {
            None | Some("on" | "true" | "yes") => "true".to_owned(),
            Some("off" | "false" | "no") => "false".to_owned(),
            Some(other) => string(other),
        });
    }
    let scripted = row.args.contains("SCRIPT");
    let shown: Vec<String> = words.iter().take(usize::from(row.max)).map(|word| scalar(row, word)).collect();
    Some(match (shown.as_slice(), words.first()) {
        ([], _) => "true".to_owned(),
        ([one], Some(word)) if row.max == 1 || (!several && (scripted || (!word.is_empty() && !word.contains(char::is_whitespace)))) => {
            one.clone()
        }
        (all, _) => format!("[{}]", all.join(", ")),
    })
}

/// The words behind a keyword: for scripts and expressions once their quotes are undone.
fn values(row: &Row, line: &Line<'_>) -> Option<Vec<String>> {
    match line.raw.0 {
        Some(raw) if row.args.contains("SCRIPT") => group(raw).ok(),
        Some(raw) if row.args == "REGEX" => {
            let words = split(raw).ok()?;
            Some(vec![words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")])
        }
        _ => Some(line.args.iter().map(ToString::to_string).collect()),
    }
}

/// A number where the keyword has numbers.
fn scalar(row: &Row, word: &str) -> String {
    let counts = !row.range.is_empty() || row.args.contains("..") || row.unit().is_some() || row.args.contains('|');
    if counts && is_number(word) { word.to_owned() } else { string(word) }
}

fn list_line(line: &Line<'_>) -> String {
    let words: Vec<&str> = line.words().map(|word| &*word.text).collect();
    if words.iter().all(|word| !word.is_empty() && !word.contains(char::is_whitespace)) {
        return string(&words.join(" "));
    }
    format!("[{}]", words.iter().map(|word| string(word)).collect::<Vec<_>>().join(", "))
}

fn strings(all: &[String]) -> String {
    match all {
        [one] => string(one),
        _ => format!("[{}]", all.iter().map(|one| string(one)).collect::<Vec<_>>().join(", ")),
    }
}
