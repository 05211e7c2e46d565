//! One keyword, wherever it stands.

use super::{Entry, every, facts, grammar, sample};
use crate::syntax::{Shape, keyword, suggest};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use thiserror::Error;

/// No block knows the word.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("no keyword is called '{word}'{}", near.as_ref().map_or(String::new(), |near| format!("; did you mean '{near}'?")))]
pub struct Unknown {
    /// The word.
    pub word: String,
    /// What was probably meant.
    pub near: Option<&'static str>,
}

/// Grammar, meaning, default, release and a sample of a keyword, for each block that knows it.
///
/// # Errors
/// When no block does; with the nearest word.
pub fn doc(word: &str) -> Result<String, Unknown> {
    let mut names = BTreeSet::new();
    // The same row serves several blocks: it is told once.
    let mut told: Vec<(*const super::Row, Vec<String>, String)> = Vec::new();
    every(|entry| {
        names.insert(entry.row.name);
        if entry.row.name != word {
            return;
        }
        let home = home(entry);
        match told.iter_mut().find(|(row, ..)| std::ptr::eq(*row, entry.row)) {
            Some((_, homes, _)) => homes.push(home),
            None => told.push((entry.row, vec![home], text(entry))),
        }
    });
    if told.is_empty() {
        return Err(Unknown { word: word.to_owned(), near: suggest::nearest(word, names) });
    }
    let parts = told.into_iter().map(|(_, homes, text)| format!("In {}:\n{text}", homes.join(", ")));
    Ok(parts.collect::<Vec<_>>().join("\n"))
}

fn home(entry: Entry<'_>) -> String {
    if entry.path.is_empty() {
        return "the root, outside every block".to_owned();
    }
    entry.path.iter().map(|row| row.name).collect::<Vec<_>>().join(" > ")
}

fn text(entry: Entry<'_>) -> String {
    let row = entry.row;
    let mut text = format!("  {}\n      {}\n", grammar(row), row.means);
    for (label, fact) in facts(row) {
        let _ = writeln!(text, "      {label}: {fact}");
    }
    if let Shape::Block(table) = row.shape {
        let names: Vec<_> = keyword::rows(table).map(|row| row.name).collect();
        let _ = writeln!(text, "      holds: {}", names.join(" "));
    }
    text.push_str("      example:\n");
    for line in sample::within(entry.path, row).lines() {
        let _ = writeln!(text, "          {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_told_with_block_grammar_default_and_sample() {
        let text = doc("advert_int").unwrap();
        for part in ["In vrrp_instance:", "advert_int SECONDS", "time between adverts", "unit: s", "default: 1", "    advert_int 1\n"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_row_that_several_blocks_share_is_told_once() {
        let text = doc("connect_ip").unwrap();
        assert_eq!(text.matches("example:").count(), 1, "{text}");
        assert!(text.contains("real_server > HTTP_GET, ") && text.contains("DNS_CHECK"), "{text}");
        assert!(doc("weight").unwrap().matches("example:").count() > 3);
    }

    #[test]
    fn a_slip_gets_its_word() {
        assert_eq!(doc("virtual_ruter_id").unwrap_err().near, Some("virtual_router_id"));
        assert_eq!(doc("qqqqqqqqqqqq").unwrap_err().near, None);
        assert!(doc("route_id").unwrap_err().to_string().contains("did you mean 'router_id'"));
    }
}
