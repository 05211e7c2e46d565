//! A configuration written in the other notation: text as TOML, TOML as text; comments and includes are kept.
//!
//! TOML knows no definitions, conditions and sequences: they are worked out, and their lines stay as comments.

mod notes;
mod parts;
pub(super) mod to_text;
mod to_toml;
mod word;

pub use to_text::Secrets;

use super::load::{LoadOptions, Loaded, is_toml, load, load_and};
use super::read::Line;
use crate::syntax::Files;
use notes::Notes;
use parts::{Part, parts};
use std::io;
use std::path::{Path, PathBuf};

/// What came out.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The configuration as it was read.
    pub loaded: Loaded,
    /// The files: where each was, where its conversion belongs, and what is in it. The main file is the first; none when it cannot be read.
    pub files: Vec<File>,
    /// What is not as it was, one line each.
    pub remarks: Vec<String>,
}

/// One converted file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// What was read.
    pub from: PathBuf,
    /// The same with the other notation's ending.
    pub to: PathBuf,
    /// What it holds now.
    pub text: String,
}

/// Converts `main` and what it includes: text becomes TOML, TOML (by its name) text.
pub fn convert(files: &dyn Files, main: &Path, options: &LoadOptions) -> Converted {
    let toml = is_toml(main);
    let (loaded, done) = load_and(files, main, options, |written, _, _| {
        let mut remarks = Vec::new();
        let notes = Notes::new(written, toml);
        let parts = parts(written, &notes, &mut remarks);
        let files = parts.iter().map(|part| file(part, toml, &notes, &mut remarks)).collect();
        (files, remarks)
    });
    let (files, remarks) = done.unwrap_or_default();
    Converted { loaded, files, remarks }
}

/// Reads a configuration, and writes down what was understood as text: includes, definitions, conditions and sequences worked out,
/// unknown words left out. It reads as the same configuration (but for masked passwords).
pub fn understood(files: &dyn Files, main: &Path, options: &LoadOptions, secrets: Secrets) -> (Loaded, String) {
    let (loaded, text) = load_and(files, main, options, |written, _, _| to_text::bare(&written.tree.items, secrets));
    (loaded, text.unwrap_or_default())
}

impl Converted {
    /// Whether reading what came out gives the same configuration.
    pub fn means_the_same(&self, files: &dyn Files, options: &LoadOptions) -> bool {
        let Some(main) = self.files.first() else { return false };
        load(&Beside { files, converted: &self.files }, &main.to, options).config == self.loaded.config
    }
}

/// The converted files before they are written, and the others of the machine.
struct Beside<'b> {
    files: &'b dyn Files,
    converted: &'b [File],
}

impl Files for Beside<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.converted.iter().find(|file| file.to == path) {
            Some(file) => Ok(file.text.clone().into_bytes()),
            None => self.files.read(path),
        }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let mut found = self.files.glob(pattern);
        if let Ok(pattern) = glob::Pattern::new(pattern) {
            let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
            found.extend(self.converted.iter().map(|file| file.to.clone()).filter(|path| pattern.matches_path_with(path, options)));
        }
        found.sort();
        found.dedup();
        found
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.files.variable(name)
    }
}

fn file(part: &Part<'_, '_>, toml: bool, notes: &Notes<'_>, remarks: &mut Vec<String>) -> File {
    let text = if toml { to_text::file(part, notes, remarks) } else { to_toml::file(part, notes, remarks) };
    File { from: part.path.clone(), to: other_name(&part.path), text }
}

/// `a.conf` is `a.toml` and back; another name gets the ending.
fn other_name(path: &Path) -> PathBuf {
    match path.extension().and_then(|end| end.to_str()) {
        Some("conf") => path.with_extension("toml"),
        Some("toml") => path.with_extension("conf"),
        _ => {
            let mut name = path.as_os_str().to_owned();
            name.push(".toml");
            PathBuf::from(name)
        }
    }
}

#[cfg(test)]
mod tests;
