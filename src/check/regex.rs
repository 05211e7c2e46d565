//! `regex` of HTTP_GET: what a page must, or must not, contain. The language is PCRE2's as far as the `fancy-regex` crate has it:
//! not its recursion into single groups, its branch reset and its backtracking verbs. PCRE2 itself would be C, fed with bytes
//! from strangers in a process that may change the network; who needs what is missing is told so when the configuration is read.

use super::pattern::translated;
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
    /// `allow_empty_class`: `[]` is a class without members.
    #[serde(default)]
    pub allow_empty_class: bool,
    /// `alt_bsux`: `\U` and `\x` are ECMAScript's.
    #[serde(default)]
    pub alt_bsux: bool,
    /// `alt_circumflex`: with `multiline`, `^` also matches behind a newline that ends the page.
    #[serde(default)]
    pub alt_circumflex: bool,
    /// `match_unset_backref`: a reference to a group that took no part matches the empty text.
    #[serde(default)]
    pub unset_matches: bool,
    /// It must match; not so with `regex_no_match`.
    pub wanted: bool,
    /// `regex_min_offset`: a match begins here or later, in bytes.
    pub min: u32,
    /// `regex_max_offset`: a match begins before here.
    pub max: Option<u32>,
}

impl Default for Regex {
    fn default() -> Self {
        Self {
            pattern: String::new(),
            flags: String::new(),
            dollar_is_end: false,
            first_line: false,
            allow_empty_class: false,
            alt_bsux: false,
            alt_circumflex: false,
            unset_matches: false,
            wanted: true,
            min: 0,
            max: None,
        }
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
    /// `allow_empty_class`.
    AllowEmptyClass,
    /// `alt_bsux`.
    AltBsux,
    /// `alt_circumflex`.
    AltCircumflex,
    /// `match_unset_backref`.
    MatchUnset,
    /// It speeds PCRE2 up or slows it down, forbids what the pattern could say, or allows what is always allowed here (two
    /// groups of one name, any letter in the name of a verb): no match is another for it.
    Harmless,
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
    ("allow_empty_class", Word::AllowEmptyClass),
    ("alt_bsux", Word::AltBsux),
    ("alt_circumflex", Word::AltCircumflex),
    ("alt_verbnames", Word::Harmless),
    ("dupnames", Word::Harmless),
    ("match_unset_backref", Word::MatchUnset),
];

/// An expression ready to be held against pages.
#[derive(Debug)]
pub struct Expression {
    compiled: fancy_regex::Regex,
    settings: Regex,
}

impl Regex {
    /// Whether this option, of those that change what matches, is set.
    pub fn has(&self, word: Word) -> bool {
        match word {
            Word::Flag(flag) => self.flags.contains(flag),
            Word::DollarEndOnly => self.dollar_is_end,
            Word::FirstLine => self.first_line,
            Word::AllowEmptyClass => self.allow_empty_class,
            Word::AltBsux => self.alt_bsux,
            Word::AltCircumflex => self.alt_circumflex,
            Word::MatchUnset => self.unset_matches,
            Word::Harmless => false,
        }
    }

    /// Sets an option of `regex_options`.
    pub fn set(&mut self, word: Word) {
        match word {
            Word::Flag(flag) => self.flags.push(flag),
            Word::DollarEndOnly => self.dollar_is_end = true,
            Word::FirstLine => self.first_line = true,
            Word::AllowEmptyClass => self.allow_empty_class = true,
            Word::AltBsux => self.alt_bsux = true,
            Word::AltCircumflex => self.alt_circumflex = true,
            Word::MatchUnset => self.unset_matches = true,
            Word::Harmless => {}
        }
    }

    /// Ready to match; costly, so once a configuration.
    ///
    /// # Errors
    /// Where the expression is wrong.
    pub fn compile(&self) -> Result<Expression, String> {
        let compiled = fancy_regex::Regex::new(&translated(self)).map_err(|error| error.to_string())?;
        Ok(Expression { compiled, settings: self.clone() })
    }
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
    fn what_pcre2_alone_has_matches_as_there() {
        let set = |word: Word| move |regex: &mut Regex| regex.set(word);
        assert!(!fits("a[]b]", b"a]", set(Word::AllowEmptyClass)) && fits("a[]b]", b"a]", |_| {}));
        assert!(!fits(r"(a)?\1b", b"b", |_| {}) && fits(r"(a)?\1b", b"b", set(Word::MatchUnset)));
        assert!(fits(r"\u0061\U", b"aU", set(Word::AltBsux)));
        let lines = |alt: bool| {
            move |regex: &mut Regex| {
                regex.set(Word::Flag('m'));
                regex.alt_circumflex = alt;
            }
        };
        assert!(!fits("^$", b"a\n", lines(false)) && fits("^$", b"a\n", lines(true)));
        assert!(fits("^b", b"a\nb", lines(false)) && fits("^$", b"", lines(false)));
        assert!(fits("(?<n>a)|(?<n>b)", b"b", set(Word::Harmless)));
        assert!(fits(r"\Qa.b\E", b"a.b", |_| {}) && !fits(r"\Qa.b\E", b"axb", |_| {}) && fits(r"a\hb", b"a\tb", |_| {}));
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
