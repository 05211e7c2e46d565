//! Script values: a line's text into argv, user and group (keepalived.conf(5), "quoted and escaped strings").
//!
//! A value is read twice. The first pass groups by quotes and keeps backslashes; its first word is then split again with
//! escapes undone into argv, and the words after it are user and group.

use crate::types::{Command, ScriptUser};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use thiserror::Error;

/// Why a script value cannot be read. `at` is the byte of the text it is about.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CommandError {
    /// Nothing there.
    #[error("no script given")]
    Empty,
    /// A quote without its partner.
    #[error("no closing {quote} for the one at column {}", at + 1)]
    Unterminated {
        /// Which quote.
        quote: char,
        /// Where it opens.
        at: usize,
    },
    /// A backslash with nothing after it.
    #[error("nothing follows the backslash at the end")]
    LoneBackslash,
    /// `\0` or `\x00`: no argument can hold it.
    #[error("an argument cannot hold a NUL byte")]
    Nul,
    /// More words than script, user and group.
    #[error("unexpected word '{word}' after the script; put a script and its arguments in quotes: \"{script} {word}\"")]
    TooMany {
        /// The first word too many.
        word: String,
        /// The script as written.
        script: String,
    },
}

/// Who may name the user of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inline {
    /// `SCRIPT [user [[:]group]]`: the notify scripts and their like.
    User,
    /// The script alone: `vrrp_script` and `misc_path` have a `user` keyword.
    Nothing,
}

/// Reads the text that follows a script keyword, comments already removed.
///
/// # Errors
/// See [`CommandError`].
pub fn command(text: &str, inline: Inline) -> Result<Command, CommandError> {
    of_words(&group(text)?, inline)
}

/// The same from words that are apart already: script, user, group.
///
/// # Errors
/// See [`CommandError`].
pub fn of_words(words: &[String], inline: Inline) -> Result<Command, CommandError> {
    let script = words.first().ok_or(CommandError::Empty)?;
    let limit = if inline == Inline::User { 3 } else { 1 };
    if let Some(word) = words.get(limit) {
        return Err(CommandError::TooMany { word: word.clone(), script: script.clone() });
    }
    let user = words.get(1).map(|user| ScriptUser::from_words(user, words.get(2).map(String::as_str)));
    Ok(Command { argv: split(script)?, user })
}

/// First pass: words by blanks and quotes; the quotes go, the backslashes stay.
pub(crate) fn group(text: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<(char, usize)> = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (character, quote) {
            ('\\', _) => {
                let target = word.get_or_insert_default();
                target.push('\\');
                target.push(characters.next().ok_or(CommandError::LoneBackslash)?.1);
            }
            (mark, Some((open, _))) if mark == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some((character, at));
                word.get_or_insert_default();
            }
            (blank, None) if is_blank(blank) => words.extend(word.take()),
            (plain, _) => word.get_or_insert_default().push(plain),
        }
    }
    if let Some((quote, at)) = quote {
        return Err(CommandError::Unterminated { quote, at });
    }
    words.extend(word);
    Ok(words)
}

/// Second pass: words by blanks and quotes, escapes undone.
///
/// # Errors
/// A quote or an escape that does not end, a NUL byte, or no word at all.
pub fn split(text: &str) -> Result<Vec<OsString>, CommandError> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote: Option<(u8, usize)> = None;
    let mut rest = Bytes { bytes: text.as_bytes(), at: 0 };
    while let Some((at, byte)) = rest.next() {
        match (byte, quote) {
            (b'\\', _) => word.get_or_insert_default().push(escape(&mut rest)?),
            (mark, Some((open, _))) if mark == open => quote = None,
            (b'"' | b'\'', None) => {
                quote = Some((byte, at));
                word.get_or_insert_default();
            }
            (blank, None) if is_blank(char::from(blank)) => words.extend(word.take()),
            (plain, _) => word.get_or_insert_default().push(plain),
        }
    }
    if let Some((quote, at)) = quote {
        return Err(CommandError::Unterminated { quote: char::from(quote), at });
    }
    words.extend(word);
    if words.first().is_none_or(Vec::is_empty) {
        return Err(CommandError::Empty);
    }
    if words.iter().any(|word| word.contains(&0)) {
        return Err(CommandError::Nul);
    }
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

struct Bytes<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Bytes<'_> {
    fn next(&mut self) -> Option<(usize, u8)> {
        let at = self.at;
        let byte = *self.bytes.get(at)?;
        self.at += 1;
        Some((at, byte))
    }

    /// A number of up to `most` digits in this base; `None` when there is none.
    fn number(&mut self, base: u32, most: usize) -> Option<u8> {
        let mut value: Option<u32> = None;
        for _ in 0..most {
            let Some(digit) = self.bytes.get(self.at).and_then(|byte| char::from(*byte).to_digit(base)) else { break };
            value = Some(value.unwrap_or(0) * base + digit);
            self.at += 1;
        }
        // `\777` is beyond a byte: the low eight bits, as C has it.
        value.map(|value| value.to_le_bytes()[0])
    }
}

/// What follows a backslash: `\a \b \E \f \n \r \t \v \nnn \xHH \cC`; anything else is itself.
fn escape(rest: &mut Bytes<'_>) -> Result<u8, CommandError> {
    if let Some(octal) = rest.number(8, 3) {
        return Ok(octal);
    }
    let (_, byte) = rest.next().ok_or(CommandError::LoneBackslash)?;
    Ok(match byte {
        b'a' => 0x07,
        b'b' => 0x08,
        b'E' => 0x1b,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'x' => rest.number(16, 2).unwrap_or(b'x'),
        b'c' => rest.next().ok_or(CommandError::LoneBackslash)?.1 & 0x1f,
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn argv(text: &str) -> Vec<String> {
        command(text, Inline::User).unwrap().argv.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_bare_path_is_one_word() {
        assert_eq!(argv("/etc/keepalived/notify.sh"), ["/etc/keepalived/notify.sh"]);
    }

    #[test]
    fn quotes_hold_the_script_and_its_arguments_together() {
        assert_eq!(argv(r#""/x.sh 'a b' \"q\"""#), ["/x.sh", "a b", r#""q""#]);
        assert_eq!(argv(r#"'/x.sh "a b" c' "#), ["/x.sh", "a b", "c"]);
        assert_eq!(argv(r#""/x.sh a'b c'd""#), ["/x.sh", "ab cd"]);
        assert_eq!(argv(r#"/tmp/"dump.sh 8 z""#), ["/tmp/dump.sh", "8", "z"]);
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(argv(r#""/x a\ b c\\d \x41\102 \n.""#), ["/x", "a b", "c\\d", "AB", "\n."]);
        assert_eq!(argv(r#""/x \q\E\cA \'x\'""#), ["/x", "q\u{1b}\u{1}", "'x'"]);
    }

    #[test]
    fn an_empty_pair_of_quotes_is_an_empty_argument() {
        assert_eq!(argv(r#""/x '' y""#), ["/x", "", "y"]);
    }

    #[test]
    fn words_after_the_script_are_user_and_group() {
        let user = |text: &str| command(text, Inline::User).unwrap().user.unwrap();
        assert_eq!(user("/x nobody"), ScriptUser::from_words("nobody", None));
        assert_eq!(user("\"/x a\" nobody daemon"), ScriptUser::from_words("nobody", Some("daemon")));
        assert_eq!(user("/x nobody :daemon").groups, crate::types::Groups::Supplementary(Some("daemon".to_owned())));
        assert_eq!(user("/x nobody :").groups, crate::types::Groups::Supplementary(None));
    }

    #[test]
    fn a_track_script_takes_no_user_on_its_line() {
        let error = command("/x.sh MASTER", Inline::Nothing).unwrap_err();
        assert!(error.to_string().contains("\"/x.sh MASTER\""), "{error}");
    }

    #[test]
    fn what_is_left_open_is_named() {
        assert_eq!(command("\"/x", Inline::User), Err(CommandError::Unterminated { quote: '"', at: 0 }));
        assert_eq!(command("\"/x 'a\"", Inline::User), Err(CommandError::Unterminated { quote: '\'', at: 3 }));
        assert_eq!(command("/x\\", Inline::User), Err(CommandError::LoneBackslash));
        assert_eq!(command("  ", Inline::User), Err(CommandError::Empty));
        assert_eq!(command("\"/x \\0\"", Inline::User), Err(CommandError::Nul));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = command(&text, Inline::User);
        }

        #[test]
        fn quoted_words_come_back_as_they_were(words in proptest::collection::vec("[a-z ]{1,8}", 1..5)) {
            let inner: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let back = argv(&format!("\"{}\"", inner.join(" ")));
            prop_assert_eq!(back, words);
        }
    }
}
