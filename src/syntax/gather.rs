//! A TOML file and the files that it includes, each read where its `include` stands.

use super::Files;
use super::complaint::{Complaint, Complaints, Verdict};
use super::include::{Checks, Included, braces, normal, strictness};
use super::keyword::Table;
use super::source::{Sources, Span};
use super::toml;
use super::tree::{Item, Tree};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Most files of a TOML configuration.
const FILES: usize = 1_000;

/// All files of a TOML configuration; the first is the main one.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The files.
    pub sources: Sources,
    /// The includes, by file and place.
    pub includes: Vec<Included>,
}

/// Reads `main`, what its includes name, relative to itself, and theirs.
///
/// # Errors
/// Only that `main` itself cannot be read; everything else is a complaint.
pub fn gather(files: &dyn Files, main: &Path, all_includes: bool, complaints: &mut Complaints) -> io::Result<Gathered> {
    let mut gathered = Gathered::default();
    let first = gathered.sources.add(main.to_owned(), files.read(main)?);
    let mut gatherer = Gatherer {
        files,
        always: if all_includes { Checks::ALL } else { Checks::default() },
        complaints,
        known: HashSet::from([normal(main)]),
        todo: vec![first],
        gathered,
    };
    while let Some(file) = gatherer.todo.pop() {
        for (span, keyword, pattern) in toml::includes(&gatherer.gathered.sources, file) {
            gatherer.include(span, keyword, pattern);
        }
    }
    Ok(gatherer.gathered)
}

struct Gatherer<'g> {
    files: &'g dyn Files,
    always: Checks,
    complaints: &'g mut Complaints,
    known: HashSet<PathBuf>,
    todo: Vec<u32>,
    gathered: Gathered,
}

impl Gatherer<'_> {
    fn include(&mut self, span: Span, keyword: String, pattern: String) {
        let checks = strictness(&keyword).unwrap_or_default().and(self.always);
        let folder =
            self.gathered.sources.file(span.file).and_then(|source| source.path().parent()).map(Path::to_owned).unwrap_or_default();
        let mut numbers = Vec::new();
        let mut any = false;
        for alternative in braces(&pattern) {
            let path = folder.join(&alternative);
            let wild = alternative.contains(['*', '?', '[']);
            let found = if wild { self.files.glob(&path.to_string_lossy()) } else { vec![path] };
            if found.is_empty() && checks.brace && alternative != pattern {
                self.missing(&alternative, span, true);
            }
            any |= !found.is_empty();
            for path in found {
                numbers.extend(self.file(path, span, wild, checks));
            }
        }
        if !any {
            if checks.wildcard {
                self.missing(&pattern, span, true);
            } else {
                self.complaints.push(Complaint::note(span, format!("No config files matched '{pattern}'")));
            }
        }
        self.gathered.includes.push(Included { span, keyword, pattern, files: numbers });
    }

    fn file(&mut self, path: PathBuf, span: Span, wild: bool, checks: Checks) -> Option<u32> {
        if !self.known.insert(normal(&path)) || self.gathered.sources.iter().count() >= FILES {
            let message = format!("{} is included twice, or is one file too many: it is left out", path.display());
            self.complaints.push(Complaint::error(span, message).rule("include-loop"));
            return None;
        }
        match self.files.read(&path) {
            Ok(bytes) => {
                let number = self.gathered.sources.add(path, bytes);
                self.todo.push(number);
                Some(number)
            }
            Err(error) => {
                let absent = error.kind() == io::ErrorKind::NotFound && !wild;
                let refused = if absent { checks.matched } else { checks.readable };
                let message = format!("cannot read the included file {}: {error}", path.display());
                let verdict = if refused { Verdict::IncludeMissing } else { Verdict::Fine };
                self.complaints.push(Complaint::error(span, message).verdict(verdict).rule("include-missing"));
                None
            }
        }
    }

    fn missing(&mut self, pattern: &str, span: Span, refused: bool) {
        let verdict = if refused { Verdict::IncludeMissing } else { Verdict::Fine };
        let complaint = Complaint::error(span, format!("Config files missing '{pattern}'"));
        self.complaints.push(complaint.verdict(verdict).rule("include-missing"));
    }
}

impl Gathered {
    /// All files as one tree, each where its include stands.
    pub fn parse<'s, B>(&'s self, root: Table<B>, complaints: &mut Complaints) -> Tree<'s, B> {
        let mut trees: Vec<Vec<Item<'s, B>>> = (0..self.sources.iter().count())
            .map(|file| toml::parse(&self.sources, u32::try_from(file).unwrap_or(u32::MAX), root, complaints).items)
            .collect();
        let mut items = Vec::new();
        self.put(0, &mut trees, &mut items);
        Tree { items }
    }

    /// Each file is included once at most, so that this ends.
    fn put<'s, B>(&self, file: u32, trees: &mut [Vec<Item<'s, B>>], items: &mut Vec<Item<'s, B>>) {
        let own = usize::try_from(file).ok().and_then(|file| trees.get_mut(file)).map(std::mem::take).unwrap_or_default();
        let mut own = own.into_iter().peekable();
        for included in self.includes.iter().filter(|included| included.span.file == file) {
            while let Some(item) = own.next_if(|item| item.at.start < included.span.start) {
                items.push(item);
            }
            for number in &included.files {
                self.put(*number, trees, items);
            }
        }
        items.extend(own);
    }
}
