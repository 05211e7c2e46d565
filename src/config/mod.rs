//! What the words mean together: the validated model, and how it is read, compared and handed out.

mod address;
pub mod convert;
pub mod copies;
pub mod diff;
mod keywords;
pub mod lint;
pub mod load;
pub mod manual;
pub mod model;
mod number;
mod paths;
pub mod plan;
#[cfg(test)]
mod properties;
mod read;
pub mod secrets;
#[cfg(test)]
mod toml_includes;

pub use crate::syntax::diagnostic::{Edit, Position};
pub use crate::syntax::{Diagnostic, Files, Report, Severity, Verdict};
pub use diff::{diff, vrrp};
pub use load::{LoadOptions, Loaded, load, load_text};
