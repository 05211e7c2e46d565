//! Words as each notation writes them.

use crate::syntax::command::split;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

/// A TOML key.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { name.to_owned() } else { string(name) }
}

/// A TOML string: literal where a basic one would need escapes.
pub(super) fn string(text: &str) -> String {
    let control = text.chars().any(char::is_control);
    if !control && !text.contains('\'') && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether TOML takes the word as a number that reads as it is written.
pub(super) fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let all = |text: &str| !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = |text: &str| all(text) && (text == "0" || !text.starts_with('0'));
    match digits.split_once('.') {
        Some((before, after)) => whole(before) && all(after),
        None => whole(digits),
    }
}

/// A word of the text; `None` when the text has no way to write it.
pub(super) fn plain(word: &str) -> Option<String> {
    let first = |c: char| matches!(c, '@' | '~' | '$');
    let quote = word.is_empty()
        || word.starts_with(first)
        || word == "include"
        || word.contains(|c: char| c.is_whitespace() || "{}#!\\".contains(c));
    if word.contains(['"', '\n', '\r', '\0']) {
        return None;
    }
    Some(if quote { format!("\"{word}\"") } else { word.to_owned() })
}

/// A script value of the text, from what it is once its outer quotes are gone.
pub(super) fn script(value: &str) -> String {
    let Ok(argv) = split(value) else { return quoted(value.as_bytes()) };
    let simple = |word: &[u8]| !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_./:=@%+,-<>".contains(byte));
    if let [only] = argv.as_slice()
        && simple(only.as_bytes())
    {
        return value.trim().to_owned();
    }
    let words: Vec<String> = argv
        .iter()
        .map(|word| {
            let bytes = word.as_bytes();
            let escaped = escaped(bytes, true);
            if simple(bytes) { escaped } else { format!("'{escaped}'") }
        })
        .collect();
    format!("\"{}\"", words.join(" "))
}

/// In double quotes, such that the second reading gives these bytes.
pub(super) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes, false))
}

/// No double quote and nothing that could be a definition's use is left; within single quotes no single quote either.
fn escaped(bytes: &[u8], single: bool) -> String {
    let mut out = String::new();
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        for byte in bytes {
            let _ = write!(out, "\\x{byte:02x}");
        }
        return out;
    }
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\x22"),
            '\'' if single => out.push_str("\\x27"),
            '$' if characters.peek().is_some_and(|next| matches!(next, '_' | '{')) => out.push_str("\\x24"),
            '\n' => out.push_str("\\n"),
            control if control.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::command::{Inline, command, of_words};
    use proptest::prelude::*;

    #[test]
    fn numbers_are_those_that_read_as_written() {
        for good in ["0", "-10", "150", "0.5", "1.50"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "0177", "+5", ".5", "5.", "1e5", "0x10", "1.2.3", "--1", "1_0"] {
            assert!(!is_number(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_script_value_comes_back(value in "[a-z/ '\"\\\\#!{}$_\n\u{e9}]{1,24}") {
            if let Ok(expected) = of_words(std::slice::from_ref(&value), Inline::Nothing) {
                prop_assert_eq!(command(&script(&value), Inline::Nothing), Ok(expected));
            }
        }
    }
}
