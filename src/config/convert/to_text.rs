//! The writer of keepalived.conf text.

use super::Line;
use super::notes::{Note, Notes};
use super::parts::{Entry, Part};
use super::word::{plain, quoted, script};
use crate::syntax::Shape;
use crate::syntax::command::group;
use crate::syntax::diagnostic::is_secret;
use crate::syntax::layout;
use crate::syntax::lex::{content_end, pieces};

/// What becomes of passwords.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    /// They are written.
    Shown,
    /// Asterisks stand for them.
    Masked,
}

/// One file.
pub(super) fn file(part: &Part<'_, '_>, notes: &Notes<'_>, remarks: &mut Vec<String>) -> String {
    let mut writer = Writer { out: String::new(), notes: Some(notes), secrets: Secrets::Shown, remarks };
    for entry in &part.entries {
        match entry {
            Entry::Line(line) => {
                if line.row.is_some_and(|row| !matches!(row.shape, Shape::Line)) {
                    writer.put("", None);
                }
                writer.line(line);
            }
            Entry::Include { keyword, names, comments } => {
                writer.comments(comments);
                for name in names {
                    writer.put(&format!("{keyword} {name}"), None);
                }
            }
        }
    }
    writer.comments(&part.rest);
    layout::format(&writer.out)
}

/// Lines as they were understood, everything worked out, without comments.
pub(in crate::config) fn bare(lines: &[Line<'_>], secrets: Secrets) -> String {
    let mut remarks = Vec::new();
    let mut writer = Writer { out: String::new(), notes: None, secrets, remarks: &mut remarks };
    lines.iter().for_each(|line| writer.line(line));
    layout::format(&writer.out)
}

struct Writer<'w, 's> {
    out: String,
    notes: Option<&'w Notes<'s>>,
    secrets: Secrets,
    remarks: &'w mut Vec<String>,
}

impl Writer<'_, '_> {
    fn put(&mut self, text: &str, comment: Option<&str>) {
        self.out.push_str(text);
        if let Some(comment) = comment {
            self.out.push_str("  ");
            self.out.push_str(comment);
        }
        self.out.push('\n');
    }

    fn comments(&mut self, comments: &[String]) {
        comments.iter().for_each(|comment| self.put(comment, None));
    }

    fn line(&mut self, line: &Line<'_>) {
        let empty = Note::default();
        let note = self.notes.and_then(|notes| notes.of(line)).unwrap_or(&empty);
        self.comments(&note.before);
        let mut text = self.words(line);
        let open = line.row.is_some_and(|row| !matches!(row.shape, Shape::Line));
        if open {
            text.push_str(" {");
        }
        self.put(&text, note.behind.as_deref());
        if open {
            line.children.iter().for_each(|child| self.line(child));
            self.comments(&note.last);
            self.put("}", None);
        }
    }

    /// The keyword and what follows it, on one line.
    fn words(&mut self, line: &Line<'_>) -> String {
        let Some(row) = line.row else {
            return line.words().map(|word| self.word(word)).collect::<Vec<_>>().join(" ");
        };
        let mut words = vec![row.name.to_owned()];
        if row.max == 0 {
            // What stands behind a flag is of no use.
        } else if self.secrets == Secrets::Masked && is_secret(row.name) {
            words.extend(line.args.iter().enumerate().map(|(number, word)| masked(row.name, number, word)));
        } else if row.args == "REGEX" {
            words.push(self.expression(line));
        } else if row.args.contains("SCRIPT") {
            words.push(self.script(line));
        } else {
            words.extend(line.args.iter().take(usize::from(row.max)).map(|word| self.word(word)));
        }
        words.join(" ")
    }

    fn word(&mut self, word: &str) -> String {
        plain(word).unwrap_or_else(|| {
            self.remarks.push("a quotation mark or line break in a word cannot be written in this notation and is left out".to_owned());
            format!("\"{}\"", word.replace(['"', '\n', '\r', '\0'], ""))
        })
    }

    /// As it is written, unless what was put into it means something else now.
    fn script(&mut self, line: &Line<'_>) -> String {
        let words = match line.raw.0 {
            Some(raw) if stays(raw) => return raw.trim().to_owned(),
            Some(raw) => group(raw).unwrap_or_default(),
            None => line.args.iter().map(ToString::to_string).collect(),
        };
        let mut words = words.iter();
        let command = words.next().map(|value| script(value));
        command.into_iter().chain(words.map(|word| self.word(word))).collect::<Vec<_>>().join(" ")
    }

    fn expression(&mut self, line: &Line<'_>) -> String {
        match line.raw.0 {
            Some(raw) if stays(raw) => raw.trim().to_owned(),
            Some(raw) => {
                let words = crate::syntax::command::split(raw).unwrap_or_default();
                quoted(words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ").as_bytes())
            }
            None => quoted(line.args.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ").as_bytes()),
        }
    }
}

/// Whether a text reads as itself: no comment, no brace, no definition's use in it.
fn stays(raw: &str) -> bool {
    let raw = raw.trim();
    content_end(raw.as_bytes()) == raw.len() && pieces(raw) == raw.len() && !raw.contains("$_") && !raw.contains("${")
}

/// As long as such a value must be. Names of files are no secrets, nor is a key's number.
fn masked(keyword: &str, number: usize, word: &str) -> String {
    if word.starts_with('/') || word.starts_with("file:") || (keyword == "key" && number == 0 && word.parse::<u8>().is_ok()) {
        return plain(word).unwrap_or_default();
    }
    "*".repeat(if keyword == "key" { 32 } else { 8 })
}
