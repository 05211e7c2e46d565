//! `regex` of HTTP_GET: what a page must, or must not, contain. The language is PCRE2's as far as the `fancy-regex` crate has it.

use serde::{Deserialize, Serialize};

/// Most bytes of a page that an expression is held against.
pub const PAGE_LIMIT: usize = 1024 * 1024;

/// `regex` and what belongs to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Regex {
    /// The expression as written.
    pub pattern: String,
    /// `regex_options` as letters of an inline group: `i`, `s`, `m`, `x`, `U`.
    pub flags: String,
    /// `dollar_endonly`: `$` is the very end, and not also the place before a last newline.
    #[serde(default)]
    pub dollar_is_end: bool,
    /// `firstline`: a match begins in the page's first line.
    #[serde(default)]
    pub first_line: bool,
    /// It must match; not so with `regex_no_match`.
    pub wanted: bool,
    /// `regex_min_offset`: a match begins here or later, in bytes.
    pub min: u32,
    /// `regex_max_offset`: a match begins before here.
    pub max: Option<u32>,
}

impl Default for Regex {
    fn default() -> Self {
        Self { pattern: String::new(), flags: String::new(), dollar_is_end: false, first_line: false, wanted: true, min: 0, max: None }
    }
}

/// How an option of `regex_options` is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// A letter of an inline group.
    Flag(char),
    /// `dollar_endonly`.
    DollarEndOnly,
    /// `firstline`.
    FirstLine,
    /// It speeds PCRE2 up or slows it down, or it forbids what the pattern could say: no match is another for it.
    Harmless,
    /// It would change what matches, and does not here.
    Unknown,
}

/// `regex_options` of keepalived.conf(5).
pub const OPTIONS: &[(&str, Word)] = &[
    ("caseless", Word::Flag('i')),
    ("dotall", Word::Flag('s')),
    ("multiline", Word::Flag('m')),
    ("extended", Word::Flag('x')),
    ("ungreedy", Word::Flag('U')),
    ("dollar_endonly", Word::DollarEndOnly),
    ("firstline", Word::FirstLine),
    ("auto_callout", Word::Harmless),
    ("never_backslash_c", Word::Harmless),
    ("never_ucp", Word::Harmless),
    ("never_utf", Word::Harmless),
    ("no_auto_capture", Word::Harmless),
    ("no_auto_possess", Word::Harmless),
    ("no_dotstar_anchor", Word::Harmless),
    ("no_start_optimize", Word::Harmless),
    ("ucp", Word::Harmless),
    ("use_offset_limit", Word::Harmless),
    ("utf", Word::Harmless),
    ("allow_empty_class", Word::Unknown),
    ("alt_bsux", Word::Unknown),
    ("alt_circumflex", Word::Unknown),
    ("alt_verbnames", Word::Unknown),
    ("dupnames", Word::Unknown),
    ("match_unset_backref", Word::Unknown),
];

/// An expression ready to be held against pages.
#[derive(Debug)]
pub struct Expression {
    compiled: fancy_regex::Regex,
    settings: Regex,
}

impl Regex {
    /// Ready to match; costly, so once a configuration.
    ///
    /// # Errors
    /// Where the expression is wrong.
    pub fn compile(&self) -> Result<Expression, String> {
        let flags = if self.flags.is_empty() { String::new() } else { format!("(?{})", self.flags) };
        let pattern = if self.dollar_is_end || self.flags.contains('m') { self.pattern.clone() } else { last_newline(&self.pattern) };
        let compiled = fancy_regex::Regex::new(&format!("{flags}{pattern}")).map_err(|error| error.to_string())?;
        Ok(Expression { compiled, settings: self.clone() })
    }
}

/// Lets `$` also match before a newline that ends the page, as PCRE2 does. A pattern that switches `m` on itself is left alone.
fn last_newline(pattern: &str) -> String {
    let switches_m = pattern.split("(?").skip(1).any(|group| {
        let letters = group.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        letters.contains('m')
    });
    if switches_m {
        return pattern.to_owned();
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let (mut letters, mut class, mut quoted) = (pattern.chars().peekable(), 0_u32, false);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let next = letters.next();
                quoted = match next {
                    Some('Q') => true,
                    Some('E') => false,
                    _ => quoted,
                };
                out.push(letter);
                out.extend(next);
            }
            '$' if class == 0 && !quoted => out.push_str(r"(?=\n?\z)"),
            '[' if !quoted => {
                // A bracket that comes first in a class is one of its members.
                out.push(letter);
                class += 1;
                out.extend(letters.next_if_eq(&'^'));
                out.extend(letters.next_if_eq(&']'));
            }
            ']' if !quoted => {
                class = class.saturating_sub(1);
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    out
}

impl Expression {
    /// Whether a page is as wanted. An expression that takes too many steps does not match.
    pub fn fits(&self, page: &[u8]) -> bool {
        let Regex { min, max, wanted, first_line, .. } = &self.settings;
        let text = String::from_utf8_lossy(page);
        let mut from = usize::try_from(*min).unwrap_or(usize::MAX).min(text.len());
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let first_line_ends = if *first_line { text.find('\n').unwrap_or(text.len()) } else { text.len() };
        let found = self.compiled.find_from_pos(&*text, from).ok().flatten();
        let matches = found.is_some_and(|found| {
            found.start() <= first_line_ends && max.is_none_or(|max| u64::try_from(found.start()).is_ok_and(|start| start < u64::from(max)))
        });
        matches == *wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, page: &[u8], change: impl FnOnce(&mut Regex)) -> bool {
        let mut regex = Regex { pattern: pattern.to_owned(), ..Regex::default() };
        change(&mut regex);
        regex.compile().unwrap().fits(page)
    }

    #[test]
    fn an_expression_is_held_against_the_page() {
        let fits = |pattern: &str, change: fn(&mut Regex)| fits(pattern, b"hello World \xff end", change);
        assert!(fits("hel+o W", |_| {}));
        assert!(!fits("hel+o w", |_| {}));
        assert!(fits("hel+o w", |regex| regex.flags.push('i')));
        assert!(fits("o(?= W)", |_| {}), "look-around as PCRE2 has it");
        assert!(!fits("hello", |regex| regex.min = 1));
        assert!(!fits("World", |regex| regex.max = Some(6)));
        assert!(fits("World", |regex| regex.max = Some(7)));
        assert!(fits("gone", |regex| regex.wanted = false));
        assert!(Regex { pattern: "(".to_owned(), ..Regex::default() }.compile().is_err());
    }

    #[test]
    fn options_change_what_matches() {
        let page = b"first\nsecond line\n";
        let with = |flag: char| move |regex: &mut Regex| regex.flags.push(flag);
        assert!(!fits("first.second", page, |_| {}) && fits("first.second", page, with('s')));
        assert!(!fits("^second", page, |_| {}) && fits("^second", page, with('m')));
        assert!(!fits("sec ond", page, |_| {}) && fits("sec ond # a remark", page, with('x')));
        assert!(fits("^f.*t", page, with('U')));
        assert!(fits("second", page, |_| {}) && !fits("second", page, |regex| regex.first_line = true));
    }

    #[test]
    fn a_dollar_matches_before_the_last_newline_unless_it_is_told_not_to() {
        let page = b"hello\n";
        assert!(fits("hello$", page, |_| {}));
        assert!(!fits("hello$", page, |regex| regex.dollar_is_end = true));
        assert!(!fits("hello$", b"hello\nyou", |_| {}));
        assert!(fits("(?m)hello$", b"hello\nyou", |_| {}));
        assert!(fits(r"5\$[$]$", b"5$$", |_| {}), "neither an escaped one nor one in a class is the end");
    }

    #[test]
    fn an_expression_that_never_ends_is_given_up() {
        let page = [b'a'; 40];
        assert!(!fits(r"(a|aa)+(?=b)\1$", &page, |_| {}));
    }

    #[test]
    fn every_flag_is_one_that_the_library_takes() {
        for (word, _) in OPTIONS.iter().filter(|(_, word)| matches!(word, Word::Flag(_))) {
            let Some((_, Word::Flag(flag))) = OPTIONS.iter().find(|row| row.0 == *word) else { panic!("{word}") };
            assert!(Regex { pattern: "a".to_owned(), flags: flag.to_string(), ..Regex::default() }.compile().is_ok(), "{word}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_and_no_page_panic(pattern in r"[ab$\[\]\\QE^(?m).*]{0,12}", page: Vec<u8>, min in 0u32..9) {
            if let Ok(expression) = (Regex { pattern, min, ..Regex::default() }).compile() {
                expression.fits(&page);
            }
        }
    }
}
