//! The lines of the result.

/// Blanks a depth.
const STEP: usize = 4;
/// Deepest indentation: what opens without end stays readable.
const DEEPEST: usize = 16;
/// Blanks before a comment behind something.
const GAP: usize = 2;

/// Lines that are written, in order.
#[derive(Default)]
pub(super) struct Sheet {
    rows: Vec<Row>,
    /// A block of the root ended: a blank line comes before the next one.
    apart: bool,
}

struct Row {
    kind: Kind,
    depth: usize,
    text: String,
    comment: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Words; may get a `{`.
    Words,
    /// Ends in `{`.
    Opening,
    /// Anything else with content.
    Other,
    /// A comment alone.
    Comment,
    /// An empty line, of which one is enough.
    Blank,
    /// An empty line that means something.
    FixedBlank,
}

impl Sheet {
    fn push(&mut self, kind: Kind, depth: usize, text: &str, comment: Option<&str>) {
        if std::mem::take(&mut self.apart) {
            self.blank();
        }
        self.rows.push(Row { kind, depth, text: text.to_owned(), comment: comment.map(ToOwned::to_owned) });
    }

    /// A line that nothing is joined to.
    pub(super) fn line(&mut self, depth: usize, text: &str, comment: Option<&str>) {
        self.push(Kind::Other, depth, text, comment);
    }

    /// Words that may be a keyword whose `{` comes.
    pub(super) fn words(&mut self, depth: usize, text: &str, comment: Option<&str>, joinable: bool) {
        self.push(if joinable { Kind::Words } else { Kind::Other }, depth, text, comment);
    }

    /// A comment alone on its line.
    pub(super) fn comment(&mut self, depth: usize, comment: &str) {
        self.push(Kind::Comment, depth, comment, None);
    }

    /// One empty line is enough, and none where a block begins or the file does.
    pub(super) fn blank(&mut self) {
        self.apart = false;
        if self.rows.last().is_some_and(|last| !matches!(last.kind, Kind::Blank | Kind::FixedBlank | Kind::Opening)) {
            self.rows.push(Row { kind: Kind::Blank, depth: 0, text: String::new(), comment: None });
        }
    }

    /// An empty line that ends a definition.
    pub(super) fn fixed_blank(&mut self) {
        self.push(Kind::FixedBlank, 0, "", None);
    }

    /// `{`: goes to the words before it, past the comments between.
    pub(super) fn open(&mut self, depth: usize, comment: Option<&str>) {
        let last = self.rows.iter().rposition(|row| !matches!(row.kind, Kind::Comment | Kind::Blank));
        let Some(at) = last.filter(|at| self.rows.get(*at).is_some_and(|row| row.kind == Kind::Words)) else {
            self.push(Kind::Opening, depth, "{", comment);
            return;
        };
        let between = self.rows.split_off(at + 1);
        self.rows.extend(between.into_iter().filter(|row| row.kind == Kind::Comment).map(|row| Row { depth: depth + 1, ..row }));
        if let Some(row) = self.rows.get_mut(at) {
            row.kind = Kind::Opening;
            row.text.push_str(" {");
        }
        let Some(comment) = comment else { return };
        match self.rows.get_mut(at) {
            Some(row) if row.comment.is_none() => row.comment = Some(comment.to_owned()),
            _ => self.comment(depth + 1, comment),
        }
    }

    /// `}` of this depth.
    pub(super) fn close(&mut self, depth: usize, comment: Option<&str>) {
        self.apart = false;
        self.rows.pop_if(|last| last.kind == Kind::Blank);
        self.push(Kind::Other, depth, "}", comment);
        self.apart = depth == 0;
    }

    /// All of it.
    pub(super) fn finish(mut self) -> String {
        self.rows.pop_if(|last| last.kind == Kind::Blank);
        let mut out = String::new();
        let mut column = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let Some(comment) = &row.comment else {
                column = 0;
                out.extend(std::iter::repeat_n(' ', row.indent()));
                out.push_str(&row.text);
                out.push('\n');
                continue;
            };
            if column == 0 {
                let run = self.rows.iter().skip(at).take_while(|row| row.comment.is_some());
                column = run.map(Row::width).max().unwrap_or(0) + GAP;
            }
            out.extend(std::iter::repeat_n(' ', row.indent()));
            out.push_str(&row.text);
            out.extend(std::iter::repeat_n(' ', column.saturating_sub(row.width()).max(GAP)));
            out.push_str(comment);
            out.push('\n');
        }
        out
    }
}

impl Row {
    fn indent(&self) -> usize {
        if self.text.is_empty() { 0 } else { self.depth.min(DEEPEST) * STEP }
    }

    fn width(&self) -> usize {
        self.indent() + self.text.chars().count()
    }
}
