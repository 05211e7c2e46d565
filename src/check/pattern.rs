//! A pattern of PCRE2 said in the words of the `fancy-regex` crate, where the two read the same text differently
//! (pcre2pattern(3), pcre2api(3)). What a pattern switches on itself, `(?m)` and the like, is left as it is written.

use super::regex::Regex;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// `\h`, and `\v`, as members of a class.
const HORIZONTAL: &str = r"\t \u{a0}\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}";
const VERTICAL: &str = r"\n\x0b\x0c\r\u{85}\u{2028}\u{2029}";

/// The pattern of `regex`, with its options in it.
pub(super) fn translated(regex: &Regex) -> String {
    let flags = if regex.flags.is_empty() { String::new() } else { format!("(?{})", regex.flags) };
    let multiline = regex.flags.contains('m');
    let switches = switches_multiline(&regex.pattern);
    let reader = Reader {
        letters: regex.pattern.chars().peekable(),
        out: flags,
        regex,
        // `$` also matches before a newline that ends the page; `^` after every newline, but not behind that last one.
        dollar: (!multiline && !switches && !regex.dollar_is_end).then_some(r"(?=\n?\z)"),
        circumflex: (multiline && !regex.alt_circumflex).then_some(r"(?:\A|(?<=\n)(?!\z))"),
    };
    reader.read()
}

fn switches_multiline(pattern: &str) -> bool {
    pattern.split("(?").skip(1).any(|group| {
        let letters = group.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        letters.contains('m')
    })
}

struct Reader<'r> {
    letters: Peekable<Chars<'r>>,
    out: String,
    regex: &'r Regex,
    dollar: Option<&'static str>,
    circumflex: Option<&'static str>,
}

impl Reader<'_> {
    fn read(mut self) -> String {
        while let Some(letter) = self.letters.next() {
            match (letter, self.dollar, self.circumflex) {
                ('\\', _, _) => self.escape(false),
                ('[', _, _) => self.class(),
                ('$', Some(instead), _) | ('^', _, Some(instead)) => self.out.push_str(instead),
                (plain, _, _) => self.out.push(plain),
            }
        }
        self.out
    }

    /// What follows a backslash.
    fn escape(&mut self, in_class: bool) {
        let Some(letter) = self.letters.next() else { return self.out.push('\\') };
        let spaces = match letter {
            'h' | 'H' => HORIZONTAL,
            'v' | 'V' => VERTICAL,
            _ => "",
        };
        match letter {
            'Q' => self.quoted(),
            // The end of a quotation that never began.
            'E' => {}
            'h' | 'v' if in_class => self.out.push_str(spaces),
            'h' | 'v' => _ = write!(self.out, "[{spaces}]"),
            'H' | 'V' if !in_class => _ = write!(self.out, "[^{spaces}]"),
            // ECMAScript's way: \U is the letter, and so is \x without two digits.
            'U' if self.regex.alt_bsux => self.out.push('U'),
            'x' if self.regex.alt_bsux && !self.two_digits_follow() => self.out.push('x'),
            '1'..='9' if !in_class && self.regex.unset_matches => self.back_reference(letter),
            other => {
                self.out.push('\\');
                self.out.push(other);
            }
        }
    }

    fn two_digits_follow(&self) -> bool {
        let ahead: Vec<char> = self.letters.clone().take(2).collect();
        ahead.len() == 2 && ahead.iter().all(char::is_ascii_hexdigit)
    }

    /// `\Q…\E`: every letter for itself.
    fn quoted(&mut self) {
        while let Some(letter) = self.letters.next() {
            if letter == '\\' && self.letters.next_if_eq(&'E').is_some() {
                return;
            }
            if !letter.is_alphanumeric() && letter.is_ascii() && !letter.is_ascii_control() {
                self.out.push('\\');
            }
            self.out.push(letter);
        }
    }

    /// `match_unset_backref`: a group that took no part is as good as an empty one.
    fn back_reference(&mut self, first: char) {
        let mut number = String::from(first);
        while let Some(digit) = self.letters.next_if(char::is_ascii_digit) {
            number.push(digit);
        }
        let _ = write!(self.out, r"(?({number})\{number}|)");
    }

    /// From a bracket on. One that comes first is a member, unless `allow_empty_class` says that it closes.
    fn class(&mut self) {
        let negated = self.letters.next_if_eq(&'^').is_some();
        if self.letters.peek() == Some(&']') {
            self.letters.next();
            if self.regex.allow_empty_class {
                self.out.push_str(if negated { r"[\s\S]" } else { r"[^\s\S]" });
                return;
            }
            self.out.push_str(if negated { r"[^\]" } else { r"[\]" });
        } else {
            self.out.push_str(if negated { "[^" } else { "[" });
        }
        while let Some(letter) = self.letters.next() {
            match letter {
                '\\' => self.escape(true),
                // A name like [:alpha:]; any other bracket is itself.
                '[' if self.letters.peek() == Some(&':') => {
                    self.out.push('[');
                    for letter in self.letters.by_ref() {
                        self.out.push(letter);
                        if letter == ']' {
                            break;
                        }
                    }
                }
                '[' => self.out.push_str(r"\["),
                // Signs of set arithmetic, which PCRE2 has not.
                '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(letter);
                }
                ']' => return self.out.push(']'),
                other => self.out.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pattern: &str, change: impl FnOnce(&mut Regex)) -> String {
        let mut regex = Regex { pattern: pattern.to_owned(), dollar_is_end: true, ..Regex::default() };
        change(&mut regex);
        translated(&regex)
    }

    #[test]
    fn what_both_read_alike_stays_as_it_is() {
        for pattern in [r"^a.b[^c-e]{2,3}(?:x|y)*?\d+\bz$", r"(?<n>a)\k<n>(?=b)", r"[[:alpha:]_]+", ""] {
            assert_eq!(said(pattern, |_| {}), pattern);
        }
    }

    #[test]
    fn quotations_brackets_and_white_space_are_said_otherwise() {
        assert_eq!(said(r"\Qa.b*\Ec\E", |_| {}), r"a\.b\*c");
        assert_eq!(said(r"[]a[b]", |_| {}), r"[\]a\[b]");
        assert_eq!(said(r"[a&&b]", |_| {}), r"[a\&\&b]");
        assert_eq!(said(r"a\hb", |_| {}), format!("a[{HORIZONTAL}]b"));
        assert_eq!(said(r"[\h,]", |_| {}), format!("[{HORIZONTAL},]"));
    }

    #[test]
    fn options_are_said_in_the_pattern() {
        assert_eq!(said(r"a[]b[^]", |regex| regex.allow_empty_class = true), r"a[^\s\S]b[\s\S]");
        assert_eq!(said(r"(a)?\12", |regex| regex.unset_matches = true), r"(a)?(?(12)\12|)");
        assert_eq!(said(r"\U\x4\x41", |regex| regex.alt_bsux = true), r"Ux4\x41");
        assert_eq!(said("^a", |regex| regex.flags = "m".to_owned()), r"(?m)(?:\A|(?<=\n)(?!\z))a");
        assert_eq!(said("a$[$]", |regex| regex.dollar_is_end = false), r"a(?=\n?\z)[$]");
    }
}
