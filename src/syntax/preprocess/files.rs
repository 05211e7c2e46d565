//! Which files are read: the main one, and those that an `include` names; what it means when they are not there.

use super::{DEPTH, PATTERN, Reader};
use crate::syntax::Files;
use crate::syntax::complaint::{Complaint, Verdict};
use crate::syntax::include::{Checks, Included, braces, chain, normal};
use crate::syntax::source::Span;
use std::path::{Path, PathBuf};

/// One file, or those that a pattern (`-f '/etc/keepalived/*.conf'`) names.
pub(super) fn mains(files: &dyn Files, main: &Path) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let missing = match files.read(main) {
        Ok(bytes) => return Ok(vec![(main.to_owned(), bytes)]),
        Err(error) => error,
    };
    let pattern = main.to_string_lossy();
    let wild = missing.kind() == std::io::ErrorKind::NotFound && pattern.contains(['*', '?', '[', '{']);
    let found = braces(&pattern).into_iter().filter(|_| wild).flat_map(|pattern| files.glob(&pattern));
    let mains: Vec<_> = found.map(|path| files.read(&path).map(|bytes| (path, bytes))).collect::<Result<_, _>>()?;
    if mains.is_empty() { Err(missing) } else { Ok(mains) }
}

impl Reader<'_> {
    pub(super) fn include(&mut self, checks: Checks, included: Included, directory: &Path) {
        let mut opened = 0;
        let (index, span, pattern) = (self.text.includes.len(), included.span, included.pattern.clone());
        let pattern = pattern.as_str();
        self.text.includes.push(included);
        if pattern.len() > PATTERN {
            let message = format!("a path of {} bytes is left out (at most {PATTERN})", pattern.len());
            self.complaints.push(Complaint::error(span, message));
            return;
        }
        let alternatives = braces(pattern);
        if self.over(alternatives.iter().map(String::len).sum(), span) {
            return;
        }
        for alternative in alternatives {
            let wild = alternative.contains(['*', '?', '[']);
            let path = directory.join(&alternative);
            let found = if wild { self.files.glob(&path.to_string_lossy()) } else { vec![path] };
            let before = opened;
            for path in found {
                let number = self.text.sources.iter().count();
                opened += usize::from(self.include_file(path, span, wild, checks));
                if self.text.sources.iter().count() > number
                    && let Some(included) = self.text.includes.get_mut(index)
                {
                    included.files.extend(u32::try_from(number));
                }
            }
            if opened == before && checks.brace && alternative != pattern {
                self.missing(&alternative, span, true);
            }
        }
        let wild = pattern.contains(['*', '?', '[', '{']);
        if opened == 0 {
            let refused = if wild { checks.wildcard } else { checks.matched };
            if refused || !wild {
                self.missing(pattern, span, refused);
            } else {
                self.complaints.push(Complaint::note(span, format!("No config files matched '{pattern}'")));
            }
        }
    }

    /// Whether the file was there.
    fn include_file(&mut self, path: PathBuf, span: Span, wild: bool, checks: Checks) -> bool {
        if self.open.contains(&normal(&path)) {
            if !self.loops {
                self.loops = true;
                let message = format!("{} includes itself: the include is left out", path.display());
                self.complaints.push(Complaint::error(span, message).help(chain(&self.open)).rule("include-loop"));
            }
            return true;
        }
        if self.full {
            return true;
        }
        if self.open.len() >= DEPTH {
            if !self.deep {
                self.deep = true;
                let message = format!("includes are nested more than {DEPTH} deep: the include is left out");
                self.complaints.push(Complaint::error(span, message).rule("include-loop"));
            }
            return true;
        }
        match self.files.read(&path) {
            Ok(bytes) => {
                self.file(path, bytes, Some(span));
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !wild => false,
            Err(error) => {
                let verdict = if checks.readable { Verdict::IncludeMissing } else { Verdict::Problem };
                let message = format!("cannot read the included file {}: {error}", path.display());
                self.complaints.push(Complaint::error(span, message).verdict(verdict));
                true
            }
        }
    }

    fn missing(&mut self, pattern: &str, span: Span, refused: bool) {
        // The original says it and exits 0 (`-t`): a part of the configuration is not there.
        let verdict = if refused { Verdict::IncludeMissing } else { Verdict::Problem };
        let complaint = Complaint::error(span, format!("Config files missing '{pattern}'"));
        self.complaints.push(complaint.verdict(verdict).rule("include-missing"));
    }
}
