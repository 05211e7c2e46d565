//! Rules about words as such: names, old names, what is written twice.

use super::{Found, Line, Subject};
use crate::syntax::Shape;
use std::collections::HashMap;

pub(super) fn undefined_name(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    subject.every(|line| {
        for word in line.words().filter(|word| names_something(word)) {
            found.say(word.span, format!("'{}' is not defined", &**word));
        }
    });
}

/// `$NAME` or `${NAME}` at its beginning or in it; a regular expression may end in a dollar.
fn names_something(word: &str) -> bool {
    word.match_indices('$').any(|(at, _)| {
        let rest = word.get(at + 1..).unwrap_or("");
        let bare = rest.strip_prefix('{').unwrap_or(rest);
        bare.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && (at == 0 || rest.starts_with('{'))
    })
}

pub(super) fn old_name(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    subject.every(|line| {
        if let Some(new) = line.row.and_then(|row| row.renamed) {
            found.mend(line.word.span, format!("'{}' is the old name of '{new}'", &*line.word), line.word.span, new);
        }
    });
}

/// Keywords that add to each other, or of which each has a meaning of its own.
const REPEATED: &[&str] = &["key", "interface", "include_check", "regex_options", "lvs_timeouts", "payload", "status_code"];

pub(super) fn twice(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    among(subject.root, found);
    subject.every(|block| among(&block.children, found));
}

fn among(lines: &[Line<'_>], found: &mut Found<'_>) {
    let mut first: HashMap<&str, &Line<'_>> = HashMap::new();
    let single = |line: &&Line<'_>| line.row.is_some_and(|row| matches!(row.shape, Shape::Line));
    for line in lines.iter().filter(single).filter(|line| !REPEATED.contains(&&*line.word.text)) {
        let Some(before) = first.insert(&line.word.text, line) else { continue };
        let texts = |line: &Line<'_>| line.args.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        let word = &*line.word;
        if texts(before) == texts(line) {
            found.mend(line.span(), format!("'{word}' is written twice in this block"), line.span(), "");
        } else {
            found.say(line.span(), format!("'{word}' is written twice in this block, with different values"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{found, linted};

    #[test]
    fn a_name_without_definition_is_seen() {
        assert_eq!(found("global_defs {\nrouter_id $NODE\n}\n"), ["undefined-name"]);
        assert_eq!(found("global_defs {\nrouter_id x${NODE}y\n}\n"), ["undefined-name"]);
        assert_eq!(found("$NODE=a\nglobal_defs {\nrouter_id $NODE\n}\n"), [""; 0]);
        assert_eq!(found("global_defs {\nrouter_id a$\n}\n"), [""; 0]);
    }

    #[test]
    fn an_old_name_is_mended() {
        let linted = linted("global_defs {\nlvs_process_name x\n}\n");
        let old = linted.loaded.report.diagnostics().iter().find(|one| one.rule == "old-name").unwrap();
        let fix = old.fix.clone().unwrap();
        assert_eq!((fix.range, fix.with.as_str()), (14..30, "checker_process_name"));
    }

    #[test]
    fn what_is_written_twice_is_seen_and_mended_when_it_is_the_same() {
        assert_eq!(found("global_defs {\nrouter_id a\nrouter_id b\n}\n"), ["written-twice"]);
        assert_eq!(found("global_defs {\nrouter_id a\n}\n"), [""; 0]);
        assert_eq!(found("garp_group {\ninterface eth0\ninterface eth1\ngarp_interval 1\n}\n"), [""; 0]);
        let linted = linted("global_defs {\nrouter_id a\nrouter_id a\n}\n");
        let fix = linted.loaded.report.diagnostics()[0].fix.clone().unwrap();
        assert_eq!((fix.range, fix.with.as_str()), (26..37, ""));
    }
}
