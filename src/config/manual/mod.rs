//! What the keyword tables say, for people: one keyword (`doc`), the manual page, the JSON Schema of the TOML form.

mod doc;
mod language;
mod page;
mod sample;
mod schema;

pub use doc::{Unknown, doc};
pub use page::conf5;
pub use schema::schema;

use super::keywords::ROOT;
use super::read::{Reader, Row};
use crate::syntax::Shape;
use crate::syntax::keyword::{Table, rows};

/// A keyword in its block.
#[derive(Clone, Copy)]
struct Entry<'p> {
    /// The blocks around it, outermost first.
    path: &'p [&'static Row],
    row: &'static Row,
}

/// Every keyword in every block, in the order of the tables.
fn every(mut visit: impl FnMut(Entry<'_>)) {
    fn walk(table: Table<Reader>, path: &mut Vec<&'static Row>, visit: &mut impl FnMut(Entry<'_>)) {
        for row in rows(table) {
            visit(Entry { path, row });
            path.push(row);
            walk(row.table(), path, visit);
            path.pop();
        }
    }
    walk(ROOT, &mut Vec::new(), &mut visit);
}

/// `keyword ARGS`, with braces for a block; arguments of the block's name stand before them.
fn grammar(row: &Row) -> String {
    let args = if row.args.is_empty() { String::new() } else { format!(" {}", row.args) };
    match row.shape {
        Shape::List if row.max > 0 => format!("{} NAME {{{args} }}", row.name),
        _ => row.usage(),
    }
}

/// Default, range, unit, release: what there is, one a line.
fn facts(row: &Row) -> Vec<(&'static str, String)> {
    let said = |label, text: &str| (!text.is_empty()).then(|| (label, text.to_owned()));
    let release = row.since.map_or("2.2.7 or before", |since| since);
    let acts = if row.act.is_some() { "yes" } else { "not yet: a warning says so" };
    [
        said("unit", row.unit().unwrap_or_default()),
        said("range", row.range),
        said("default", row.default),
        row.renamed.map(|to| ("old name of", to.to_owned())),
        said("known since", release),
        said("acted on", acts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names() -> BTreeSet<&'static str> {
        let mut names = BTreeSet::new();
        every(|entry| {
            names.insert(entry.row.name);
        });
        names
    }

    #[test]
    fn every_keyword_is_documented_whole() {
        let mut lacking = Vec::new();
        every(|Entry { path, row }| {
            let place = || path.iter().chain([&row]).map(|row| row.name).collect::<Vec<_>>().join(" > ");
            if row.means.len() < 3 || row.means.ends_with('.') {
                lacking.push(format!("{}: one line of meaning without full stop", place()));
            }
            let takes = matches!(row.shape, Shape::Line) && row.max > 0;
            if takes && row.default.is_empty() && row.renamed.is_none() {
                lacking.push(format!("{}: the default", place()));
            }
            if (takes || matches!(row.shape, Shape::List)) && row.args.is_empty() {
                lacking.push(format!("{}: the grammar of its arguments", place()));
            }
            let number = ["SECONDS", "COUNT", "BYTES", "NUMBER", "PORT"].iter().any(|word| row.args.contains(word));
            if takes && number && row.range.is_empty() && row.renamed.is_none() {
                lacking.push(format!("{}: the range of its number", place()));
            }
            if let Some(to) = row.renamed {
                let siblings = path.last().map_or(ROOT, |parent| parent.table());
                if !rows(siblings).any(|row| row.name == to) {
                    lacking.push(format!("{}: {to} is not in the same block", place()));
                }
            }
        });
        assert!(lacking.is_empty(), "{}", lacking.join("\n"));
        assert!(names().len() > 350, "{}", names().len());
    }

    pub(super) const FORMS: &[&str] = &[
        include_str!("../../../etc/keepalived/samples/README.toml"),
        include_str!("../../../etc/keepalived/samples/global.toml"),
        include_str!("../../../etc/keepalived/samples/instance.toml"),
        include_str!("../../../etc/keepalived/samples/balancer.toml"),
        include_str!("../../../etc/keepalived/samples/network.toml"),
    ];

    #[test]
    fn every_block_and_list_has_a_sample_of_its_form() {
        let values = FORMS.iter().flat_map(|form| form.parse::<toml::Table>()).collect::<Vec<_>>();
        assert_eq!(values.len(), FORMS.len());
        /// Whether a path of blocks is there; what stands between is a name, or an element.
        fn holds(value: &toml::Value, path: &[&str]) -> bool {
            let [first, rest @ ..] = path else { return true };
            match value {
                toml::Value::Table(table) => {
                    table.get(*first).is_some_and(|value| holds(value, rest)) || table.values().any(|value| holds(value, path))
                }
                toml::Value::Array(values) => values.iter().any(|value| holds(value, path)),
                _ => false,
            }
        }
        let mut lacking = Vec::new();
        every(|Entry { path, row }| {
            let deprecated = row.renamed.is_some() || row.means.contains("deprecated") || path.iter().any(|row| row.renamed.is_some());
            if matches!(row.shape, Shape::Line) || deprecated {
                return;
            }
            let path: Vec<&str> = path.iter().map(|row| row.name).chain([row.name]).collect();
            if !values.iter().any(|table| holds(&toml::Value::Table(table.clone()), &path)) {
                lacking.push(path.join(" > "));
            }
        });
        assert!(lacking.is_empty(), "{lacking:#?}");
    }

    #[test]
    fn page_schema_and_doc_name_every_keyword() {
        let page = conf5();
        let schema = schema().to_string();
        for name in names() {
            assert!(page.contains(&name.replace('-', "\\-")), "{name} is not in the manual page");
            assert!(schema.contains(&format!("\"{name}\"")), "{name} is not in the schema");
            assert!(doc(name).is_ok_and(|text| text.contains(name)), "{name}");
        }
    }
}
