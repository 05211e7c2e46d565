//! A log line before it has a form.

use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Severities of RFC 3164 §4.1.1 that we use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Severity {
    /// Something does not work.
    Error = 3,
    /// Something is odd.
    Warning = 4,
    /// What happened.
    Info = 6,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// How bad.
    pub severity: Severity,
    /// The text people grep for.
    pub message: String,
    /// What readers of the journal can select by.
    pub fields: Vec<(&'static str, String)>,
}

impl Record {
    /// A line without fields.
    pub fn new(severity: Severity, message: String) -> Self {
        Self { severity, message, fields: Vec::new() }
    }

    /// From an event. Detail lines (`debug!`) are shown at severity info, as the original's are.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let severity = match *event.metadata().level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warning,
            Level::INFO | Level::DEBUG | Level::TRACE => Severity::Info,
        };
        let mut record = Self::new(severity, String::new());
        event.record(&mut record);
        record.message = one_line(record.message);
        record
    }
}

/// A line stays one line, whatever a name or a file's content holds: nobody forges a second one.
fn one_line(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
    } else {
        text
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            "log.target" => self.message.insert_str(0, &format!("{value:?}: ")),
            name if name.starts_with("log.") => {}
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_forges_a_second_line() {
        assert_eq!(one_line("a\nNov 21 fake".to_owned()), "a Nov 21 fake");
    }
}
