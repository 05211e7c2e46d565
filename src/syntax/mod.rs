//! What a configuration looks like: sources and spans, diagnostics, lexer, preprocessor, parser, keyword tables.
//!
//! ```text
//! bytes -> preprocess (include, @id, $NAME, ~SEQ) -> lines -> parse (driven by the keyword tables) -> Tree
//! TOML  -------------------------------------------------> toml ----------------------------------> Tree
//! ```
//! Nothing here knows what a keyword means: a row of a table carries a function pointer that `config` fills in.

pub mod command;
mod complaint;
mod define;
pub mod diagnostic;
pub mod gather;
mod include;
pub mod keyword;
pub mod layout;
pub mod lex;
pub mod parse;
pub mod preprocess;
mod sequence;
pub mod source;
pub mod suggest;
pub mod toml;
pub mod tree;

pub(crate) use include::CHECKS as INCLUDE_CHECKS;
pub use include::Included;

pub use complaint::{Complaint, Complaints, Severity, Verdict};
pub use diagnostic::{Diagnostic, Report};
pub use keyword::{Keyword, Shape};
pub use preprocess::{PreprocessOptions, Text, preprocess};
pub use source::{Sources, Span};
pub use tree::{Item, Tree, Word};

use std::io;
use std::path::{Path, PathBuf};

/// How configuration files are reached: this room opens none itself.
pub trait Files {
    /// The whole content of one regular file.
    ///
    /// # Errors
    /// Whatever the system says about reading it.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The regular files that a pattern of glob(7) names, sorted. Directories are left out. Braces are expanded before this is called.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;

    /// What the environment says about a name (`${_ENV NAME}`).
    fn variable(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// A table of names of iproute2, `rt_tables` for one, with what its directory adds.
    fn table(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}
