//! What belongs into which file.

use super::notes::Notes;
use super::{Line, other_name};
use crate::config::load::Written;
use crate::syntax::{Included, Sources};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A file, and what stands in it at the root, in order.
pub(super) struct Part<'r, 's> {
    pub(super) path: PathBuf,
    pub(super) entries: Vec<Entry<'r, 's>>,
    /// Comments behind everything.
    pub(super) rest: Vec<String>,
}

/// What may stand in a file.
pub(super) enum Entry<'r, 's> {
    Line(&'r Line<'s>),
    /// Its keyword, what it names now, and the comments above it.
    Include {
        keyword: &'r str,
        names: Vec<String>,
        comments: &'r [String],
    },
}

/// Every file that can stand alone, the main one first. What is included within a block, or several times, goes into the file that
/// includes it.
pub(super) fn parts<'r, 's>(written: &'r Written<'r, 's>, notes: &'r Notes<'s>, remarks: &mut Vec<String>) -> Vec<Part<'r, 's>> {
    let sources = written.sources;
    let parents: HashMap<u32, &Included> =
        written.includes.iter().flat_map(|included| included.files.iter().map(move |file| (*file, included))).collect();
    let own = own(written);
    for (file, _) in parents.iter().filter(|(file, _)| !own.contains(file)) {
        let path = path(sources, *file);
        remarks.push(format!(
            "{} is included within a block, or several times: what it says stands in the file that includes it",
            path.display()
        ));
    }
    remarks.sort();
    // Where in a file that stands alone something is: itself, or the include that led to it.
    let place = |mut file: u32, mut start: u32| {
        while !own.contains(&file) {
            let Some(included) = parents.get(&file) else { break };
            let span = sources.written(included.span);
            (file, start) = (span.file, span.start);
        }
        (file, start)
    };
    let mut entries: HashMap<u32, Vec<(u32, Entry<'r, 's>)>> = HashMap::new();
    for line in &written.tree.items {
        let at = sources.written(line.at);
        let (file, start) = place(at.file, at.start);
        entries.entry(file).or_default().push((start, Entry::Line(line)));
    }
    for (number, included) in written.includes.iter().enumerate() {
        let at = sources.written(included.span);
        let names = names(sources, included, &own);
        if own.contains(&at.file) && !names.is_empty() && !within_block(written, included) {
            let entry = Entry::Include { keyword: &included.keyword, names, comments: notes.of_include(number) };
            entries.entry(at.file).or_default().push((at.start, entry));
        }
    }
    let mut files: Vec<u32> = own.iter().copied().collect();
    files.sort_unstable();
    let part = |file: u32| {
        let mut entries = entries.remove(&file).unwrap_or_default();
        // Stable: what comes from one line keeps its order.
        entries.sort_by_key(|(start, _)| *start);
        let mut rest = notes.rest(file);
        // Comments of files that went into this one.
        rest.extend(
            parents.keys().filter(|child| !own.contains(child) && place(**child, 0).0 == file).flat_map(|child| notes.rest(*child)),
        );
        Part { path: path(sources, file), entries: entries.into_iter().map(|(_, entry)| entry).collect(), rest }
    };
    files.into_iter().map(part).collect()
}

fn path(sources: &Sources, file: u32) -> PathBuf {
    sources.file(file).map(|source| source.path().to_owned()).unwrap_or_default()
}

/// The files that are included at the root of a file that is so too, and only once.
fn own(written: &Written<'_, '_>) -> HashSet<u32> {
    let mut times: HashMap<&Path, usize> = HashMap::new();
    written.sources.iter().for_each(|source| *times.entry(source.path()).or_default() += 1);
    let named: HashSet<u32> = written.includes.iter().flat_map(|included| included.files.iter().copied()).collect();
    let count = u32::try_from(written.sources.iter().count()).unwrap_or(u32::MAX);
    let mut own: HashSet<u32> = (0..count).filter(|file| !named.contains(file)).collect();
    // In the order of reading: a file comes before those that it includes.
    for included in written.includes {
        let file = written.sources.written(included.span).file;
        if own.contains(&file) && !within_block(written, included) {
            own.extend(
                included
                    .files
                    .iter()
                    .filter(|file| written.sources.file(**file).is_some_and(|source| times.get(source.path()) == Some(&1))),
            );
        }
    }
    own
}

/// Whether an include stands between a block's braces.
pub(super) fn within_block(written: &Written<'_, '_>, included: &Included) -> bool {
    let at = written.sources.written(included.span);
    written.tree.items.iter().any(|line| {
        let open = written.sources.written(line.at);
        let close = line.close.map(|close| written.sources.written(close));
        let open_before = open.file == at.file && open.start < at.start;
        match close {
            Some(close) if close.file == at.file => open_before && at.start < close.start,
            // It closes in another file, or not at all.
            _ => open_before && line.row.is_some_and(|row| !matches!(row.shape, crate::syntax::Shape::Line)) && close.is_some(),
        }
    })
}

/// The include's pattern with the other ending; its files one by one when no pattern can say it.
fn names(sources: &Sources, included: &Included, own: &HashSet<u32>) -> Vec<String> {
    let ends = [("conf", "toml"), ("toml", "conf")];
    let other = ends.into_iter().find_map(|(end, other)| Some(format!("{}.{other}", included.pattern.strip_suffix(&format!(".{end}"))?)));
    let all = included.files.iter().all(|file| {
        own.contains(file) && path(sources, *file).extension().is_some_and(|end| included.pattern.ends_with(&format!(".{}", end.display())))
    });
    if let Some(pattern) = other.filter(|_| all) {
        return vec![pattern];
    }
    if included.files.is_empty() {
        return vec![included.pattern.clone()];
    }
    let from = path(sources, sources.written(included.span).file);
    let folder = from.parent().unwrap_or_else(|| Path::new(""));
    let files = included.files.iter().filter(|file| own.contains(file)).map(|file| {
        let to = other_name(&path(sources, *file));
        to.strip_prefix(folder).unwrap_or(&to).display().to_string()
    });
    files.collect()
}
