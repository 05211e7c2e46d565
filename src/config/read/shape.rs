//! The arguments of a keyword that nothing acts on yet: held against what its row says, so that a mistake in them is not silent.

use super::{Line, Reader, Row};
use crate::config::number::{self, Decimal};
use crate::syntax::Complaint;

const LEFT_OUT: &str = "the line is left out";

/// Complains about a first argument that the row does not allow. Rows whose grammar is more than one word say nothing here.
pub(super) fn check(reader: &mut Reader, line: &Line<'_>, row: &'static Row) {
    let Some(word) = line.arg(0) else { return };
    let range = if row.args.contains("..") { row.args } else { row.range };
    let is_number = row.args.contains("..") || ["COUNT", "NUMBER", "BYTES", "MICROSECONDS"].contains(&row.args);
    if row.args.starts_with("[on|off") {
        number::switch(reader, line, LEFT_OUT);
    } else if let Some(range) = ends(range).filter(|_| is_number) {
        number::int(reader, line, 0, range, LEFT_OUT);
    } else if row.args == "SECONDS" && ends(range).is_some() {
        let kind = Decimal { range: 0..=4_294_967_295, instead: LEFT_OUT, zero_is_usual: false, unit: true };
        number::decimal(reader, line, &kind);
    } else if is_choice(row.args) && !row.args.split('|').any(|choice| choice == &*word.text) {
        let message = format!("{}: unknown value '{}'", row.name, &**word);
        reader.complain(Complaint::error(word.span, message).expected(row.args.replace('|', " or ")).help(LEFT_OUT.to_owned()));
    }
}

/// `0..255`.
fn ends(range: &str) -> Option<std::ops::RangeInclusive<i64>> {
    let (low, high) = range.trim_matches(['[', ']']).split_once("..")?;
    let whole = |text: &str| text.split('.').next()?.parse::<i64>().ok();
    Some(whole(low)?..=whole(high)?)
}

/// `time|monotonic`.
fn is_choice(args: &str) -> bool {
    args.contains('|') && args.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'|' | b'-'))
}
