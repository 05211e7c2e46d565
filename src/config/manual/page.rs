//! keepalived.conf(5), as roff.

use super::language::LANGUAGE;
use super::{Entry, Row, every, facts, grammar};
use crate::syntax::Shape;
use std::fmt::Write as _;

/// The whole manual page.
pub fn conf5() -> String {
    let mut page = String::from(
        ".TH keepalived.conf 5 \"\" keepalived\\-rs \"File formats\"\n.SH NAME\nkeepalived.conf \\- configuration of keepalived\n\
         .SH SYNOPSIS\n/etc/keepalived/keepalived.conf\n.SH DESCRIPTION\n\
         The file that keepalived(8) reads at its start and on SIGHUP. Every keyword of every block is below, with the grammar of its \
         arguments, its range, its default and the release of keepalived that knows it first. The same is told of one keyword by\n\
         .BR \"keepalivedctl doc\" \" KEYWORD.\"\n",
    );
    page.push_str(".SH LANGUAGE\n");
    for (heading, paragraphs) in LANGUAGE {
        let _ = writeln!(page, ".SS {}", quoted(heading));
        for paragraph in *paragraphs {
            if paragraph.starts_with(' ') {
                let _ = writeln!(page, ".PP\n.nf\n{}\n.fi", escaped(paragraph));
            } else {
                let _ = writeln!(page, ".PP\n{}", escaped(paragraph));
            }
        }
    }
    page.push_str(".SH KEYWORDS\n");
    for (homes, rows) in chapters() {
        let title = if homes.iter().any(String::is_empty) { "Outside every block".to_owned() } else { homes.join(", ") };
        let _ = writeln!(page, ".SS {}", quoted(&title));
        rows.iter().for_each(|row| entry(&mut page, row));
    }
    page.push_str(
        ".SH SEE ALSO\n.BR keepalived (8),\n.BR keepalivedctl (1)\n.SH FILES\n/etc/keepalived/keepalived.conf, /etc/keepalived/keepalived.toml\n",
    );
    page
}

/// Rows that stand together, under the names of the blocks that they stand in.
fn chapters() -> Vec<(Vec<String>, Vec<&'static Row>)> {
    let mut chapters: Vec<(Vec<String>, Vec<&'static Row>)> = Vec::new();
    every(|Entry { path, row }| {
        let home = path.iter().map(|row| row.name).collect::<Vec<_>>().join(" > ");
        if let Some((homes, _)) = chapters.iter_mut().find(|(_, rows)| rows.iter().any(|known| std::ptr::eq(*known, row))) {
            if !homes.contains(&home) {
                homes.push(home);
            }
            return;
        }
        // What shares its slice with the row before it has the same homes for ever.
        match chapters.iter_mut().find(|(homes, _)| homes.len() == 1 && homes.contains(&home)) {
            Some((_, rows)) => rows.push(row),
            None => chapters.push((vec![home], vec![row])),
        }
    });
    chapters
}

fn entry(page: &mut String, row: &Row) {
    let _ = writeln!(page, ".TP\n.B {}\n{}.", quoted(&grammar(row)), escaped(&capital(row.means)));
    let mut said = facts(row);
    if !matches!(row.shape, Shape::Line) {
        said.retain(|(label, _)| *label == "acted on" || *label == "known since");
    }
    let facts: Vec<_> = said.iter().map(|(label, fact)| format!("{label}: {fact}")).collect();
    let _ = writeln!(page, ".br\n{}", escaped(&facts.join("; ")));
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// As an argument of a macro.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('"', "\\(dq"))
}

/// Nothing of it is roff: also a line that begins with a full stop.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...").replace('µ', "u");
    let line = |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_section_in_order() {
        let page = conf5();
        let at = |heading: &str| page.find(heading).unwrap_or_else(|| panic!("{heading}"));
        assert!(at(".SH NAME") < at(".SH LANGUAGE") && at(".SH LANGUAGE") < at(".SH KEYWORDS") && at(".SH KEYWORDS") < at(".SH SEE ALSO"));
        assert!(page.contains(".B \"priority 1..255\"\nThe highest is master; 255 owns the addresses.\n"));
    }

    #[test]
    fn no_line_is_a_request_by_accident() {
        let known = [".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".PP", ".nf", ".fi", ".br"];
        for line in conf5().lines().filter(|line| line.starts_with(['.', '\''])) {
            assert!(known.contains(&line.split(' ').next().unwrap_or_default()), "{line}");
        }
    }

    #[test]
    fn rows_that_blocks_share_are_told_once() {
        assert_eq!(conf5().matches(".B \"connect_ip ADDRESS\"").count(), 1);
    }
}
