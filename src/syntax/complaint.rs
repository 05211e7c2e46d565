//! A problem as whoever reads the configuration finds it: what is wrong, how bad that is, what was expected.

use super::source::Span;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something written is not done, or not done as written.
    Warning,
    /// Wrong: the daemon starts without it, a reload is refused.
    Error,
}

impl Severity {
    /// The word in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What the original makes of it, for its exit statuses (keepalived(8), measured on 2.2.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Says nothing: `-t` exits 0.
    Fine,
    /// The main file is not there: `-t` exits 4 (the original's 0), a start 6.
    MainFileMissing,
    /// Could not run: `-t` exits 4.
    CannotRun,
    /// Runs, with a problem: `-t` exits 5.
    Problem,
    /// An instance cannot run, and the daemon does not start without it: `-t` exits 5, a start 2.
    Unusable,
    /// Scripts and security: `-t` exits 6.
    Security,
    /// A checked include names no file: `-t` and a start exit 6.
    IncludeMissing,
    /// A mandatory argument is missing: `-t` and a start exit 2.
    ArgumentMissing,
}

/// A problem as the reader finds it; becomes a [`Diagnostic`] when the places are looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// How bad.
    pub severity: Severity,
    /// What the original makes of it.
    pub verdict: Verdict,
    /// What is wrong.
    pub message: String,
    /// Where; `None` for the configuration as a whole.
    pub span: Option<Span>,
    /// What should stand there.
    pub expected: Option<String>,
    /// How to mend it, or what happens instead.
    pub help: Option<String>,
    /// Which rule found it, for tools: `unknown-keyword`.
    pub rule: &'static str,
    /// What to write instead, where that is certain.
    pub fix: Option<Fix>,
}

/// A cure that is certain: this text in the place of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fix {
    /// What goes.
    pub span: Span,
    /// What comes.
    pub with: String,
}

impl Complaint {
    /// An error; the original's `-t` exits 5.
    pub fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Verdict::Problem, span.into(), message.into())
    }

    /// A warning; the original's `-t` exits 5.
    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Verdict::Problem, span.into(), message.into())
    }

    /// A warning about something the original takes without a word.
    pub fn remark(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Verdict::Fine, span.into(), message.into())
    }

    /// A note.
    pub fn note(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, Verdict::Fine, span.into(), message.into())
    }

    fn new(severity: Severity, verdict: Verdict, span: Option<Span>, message: String) -> Self {
        Self { severity, verdict, message, span, expected: None, help: None, rule: "reader", fix: None }
    }

    /// Which rule found it.
    #[must_use]
    pub fn rule(self, rule: &'static str) -> Self {
        Self { rule, ..self }
    }

    /// What to write instead of `span`; only where that is certain.
    #[must_use]
    pub fn fix(self, span: Span, with: impl Into<String>) -> Self {
        Self { fix: Some(Fix { span, with: with.into() }), ..self }
    }

    /// What should stand there.
    #[must_use]
    pub fn expected(self, what: impl Into<String>) -> Self {
        Self { expected: Some(what.into()), ..self }
    }

    /// How to mend it, or what happens instead.
    #[must_use]
    pub fn help(self, what: impl Into<Option<String>>) -> Self {
        Self { help: what.into(), ..self }
    }

    /// What the original makes of it.
    #[must_use]
    pub fn verdict(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }
}

/// Most problems that are told of one configuration: a file of garbage has one on each of its millions of lines.
pub(super) const MOST: usize = 1_000;

/// Every problem found so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Complaints {
    pub(super) found: Vec<Complaint>,
    /// Problems beyond [`MOST`].
    pub(super) untold: usize,
}

impl Complaints {
    /// One more. Beyond the thousandth only what weighs more than all before it is kept.
    pub fn push(&mut self, complaint: Complaint) {
        let weight = |complaint: &Complaint| (complaint.severity, complaint.verdict);
        if self.found.len() < MOST || self.found.iter().all(|before| weight(before) < weight(&complaint)) {
            self.found.push(complaint);
        } else {
            self.untold += 1;
        }
    }

    /// Whether more problems would only be counted: no need to find out what was meant.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// How many there were so far, also those that are only counted.
    pub const fn told(&self) -> usize {
        self.found.len() + self.untold
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds another collection's.
    pub fn append(&mut self, mut other: Self) {
        self.untold += other.untold;
        other.found.drain(..).for_each(|complaint| self.push(complaint));
    }
}
