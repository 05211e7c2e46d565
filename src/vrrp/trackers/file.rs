//! `track_file`: what a file's content comes to (keepalived.conf(5), `track_file`).

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One `track_file` (or `vrrp_track_file`) block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileCheck {
    /// The block's name.
    pub name: String,
    /// `file`.
    pub path: PathBuf,
    /// `init_file [VALUE] [overwrite]`: written at start.
    pub init: Option<InitFile>,
}

/// `init_file`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InitFile {
    /// What is written (0).
    pub value: i64,
    /// Also when the file exists.
    pub overwrite: bool,
}

/// The number at the beginning of a file: blanks, a sign, then 0x, 0 or decimal digits, as strtoll(3) with base 0 reads it.
/// A missing file and anything that is no number are 0. Beyond 64 bits it is the limit.
pub fn number(content: &[u8]) -> i64 {
    let text = content.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (base, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => (16, rest),
        [b'0', rest @ ..] => (8, rest),
        all => (10, all),
    };
    let mut value: i64 = 0;
    for digit in digits.iter().map_while(|byte| char::from(*byte).to_digit(base)) {
        value = value.saturating_mul(i64::from(base));
        value = if negative { value.saturating_sub(i64::from(digit)) } else { value.saturating_add(i64::from(digit)) };
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        assert_eq!(number(b"42\n"), 42);
        assert_eq!(number(b"  -7 trailing"), -7);
        assert_eq!(number(b"+0x1F"), 31);
        assert_eq!(number(b"010"), 8);
        assert_eq!(number(b"0x"), 0);
        assert_eq!(number(b"09"), 0);
        assert_eq!(number(b"99999999999999999999"), i64::MAX);
        assert_eq!(number(b"-99999999999999999999"), i64::MIN);
    }

    #[test]
    fn nothing_and_nonsense_are_zero() {
        assert_eq!(number(b""), 0);
        assert_eq!(number(b"yes"), 0);
        assert_eq!(number(b"-"), 0);
        assert_eq!(number(b"\0\xff"), 0);
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(value: i64) {
            prop_assert_eq!(number(value.to_string().as_bytes()), value);
        }

        #[test]
        fn no_content_makes_it_panic(content: Vec<u8>) {
            number(&content);
        }
    }
}
