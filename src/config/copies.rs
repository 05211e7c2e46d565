//! Copies of a configuration for people: as it was read, and as it was understood.

use super::convert::{Secrets, to_text};
use super::load::{LoadOptions, Loaded, Written, is_toml, load_and, load_in_parts};
use super::model::Config;
use crate::syntax::Files;
use crate::syntax::lex::content_end;
use std::fmt::Write as _;
use std::path::Path;

/// As far as they are wanted.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    /// All files in one, in the form of the original's `config_save_dir`; only when the configuration has that keyword.
    pub merged: Option<String>,
    /// Text that reads as the same configuration, passwords masked.
    pub understood: Option<String>,
}

/// Reads `main` and everything it includes.
pub fn load_with_copies(files: &dyn Files, main: &Path, options: &LoadOptions, understood: bool) -> (Loaded, Copies) {
    let toml = is_toml(main);
    let saved = |written: &Written<'_, '_>, config: &Config| config.global.config_save_dir.is_some().then(|| merged(written, toml));
    if !understood {
        let (loaded, merged) = load_in_parts(files, main, options, saved);
        return (loaded, Copies { merged: merged.flatten(), understood: None });
    }
    let (loaded, copies) = load_and(files, main, options, |written, config, _| Copies {
        merged: saved(written, config),
        understood: Some(to_text::bare(&written.tree.items, Secrets::Masked)),
    });
    (loaded, copies.unwrap_or_default())
}

/// `# FILE`, its lines without comments, `!`; an included file stands where it is included. TOML stays as it is, file after file.
fn merged(written: &Written<'_, '_>, toml: bool) -> String {
    let named: std::collections::HashSet<u32> = written.includes.iter().flat_map(|included| included.files.iter().copied()).collect();
    let count = u32::try_from(written.sources.iter().count()).unwrap_or(u32::MAX);
    let mut out = String::new();
    for file in (0..count).filter(|file| toml || !named.contains(file)) {
        put(written, file, toml, &mut out);
    }
    out
}

/// A file is included by one include alone, an earlier one: this ends.
fn put(written: &Written<'_, '_>, file: u32, toml: bool, out: &mut String) {
    let Some(source) = written.sources.file(file) else { return };
    let _ = writeln!(out, "# {}", source.path().display());
    if toml {
        let _ = writeln!(out, "{}", source.text().trim_end());
        return;
    }
    let places = written.includes.iter().map(|included| (written.sources.written(included.span), included));
    let mut own = places.filter(|(place, _)| place.file == file).peekable();
    let mut start = 0_usize;
    for line in source.text().split_inclusive('\n') {
        let end = start + line.len();
        let mut numbers = Vec::new();
        let mut includes = false;
        while let Some((_, included)) = own.next_if(|(place, _)| usize::try_from(place.start).is_ok_and(|at| at < end)) {
            includes = true;
            numbers.extend(&included.files);
        }
        if includes {
            out.push('\n');
            numbers.into_iter().for_each(|number| put(written, number, toml, out));
        } else {
            let content = line.get(..content_end(line.as_bytes())).unwrap_or(line);
            let _ = writeln!(out, "{}", content.trim());
        }
        start = end;
    }
    out.push_str("!\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::PathBuf;

    struct Two;

    impl Files for Two {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            Ok(if path == Path::new("/k/a.conf") { MAIN } else { "# only comment\n\n$Q=1\n" }.as_bytes().to_vec())
        }

        fn glob(&self, _: &str) -> Vec<PathBuf> {
            Vec::new()
        }
    }

    const MAIN: &str = "# head\nglobal_defs {\n config_save_dir /x\n\n router_id   a   # trailing\n}\ninclude inc.conf\n";

    #[test]
    fn the_saved_copy_has_the_originals_form() {
        let (_, copies) = load_with_copies(&Two, Path::new("/k/a.conf"), &LoadOptions::default(), false);
        let expected = "# /k/a.conf\n\nglobal_defs {\nconfig_save_dir /x\n\nrouter_id   a\n}\n\n# /k/inc.conf\n\n\n$Q=1\n!\n!\n";
        assert_eq!(copies.merged.as_deref(), Some(expected));
        assert_eq!(copies.understood, None);
    }
}
