//! `$NAME=VALUE` and its use (keepalived.conf(5), "Parameter substitution").

use super::Files;
use super::source::{Origin, Span};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// A value: its lines, and where they were written.
pub(super) type Value = Vec<(String, Span)>;

/// What `$NAME` stands for at this point of the reading.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    values: HashMap<String, Value>,
    /// A value that goes on: its last line ended in a backslash.
    open: Option<(String, Value)>,
    draws: u64,
    seed: RandomState,
    /// What was wrong with the last use of a predefined name.
    problem: Option<String>,
}

/// One substitution made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Substituted {
    /// The line, changed.
    Line(String),
    /// The line became several: the first, and those after it with their own places.
    Lines(String, Value),
}

/// What the predefined names stand for.
#[derive(Clone, Copy)]
pub(super) struct Predefined<'p> {
    /// `${_PWD}`.
    pub(super) directory: &'p str,
    /// `${_INSTANCE}`.
    pub(super) config_id: &'p str,
    /// `${_ENV NAME}`.
    pub(super) files: &'p dyn Files,
}

/// `$NAME=VALUE`: the name and the value.
pub(super) fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('$')?.split_once('=')?;
    is_name(name).then_some((name, value.trim_start()))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Definitions {
    /// Keeps a definition; a backslash at its end leaves it open.
    pub(super) fn define(&mut self, name: &str, value: &str, span: Span) {
        match value.strip_suffix('\\') {
            None => self.set(name, value, span),
            Some(first) => {
                self.open = Some((name.to_owned(), Value::new()));
                self.feed_part(first, span);
            }
        }
    }

    /// A one-line value.
    pub(super) fn set(&mut self, name: &str, value: &str, span: Span) {
        self.values.insert(name.to_owned(), vec![(value.trim().to_owned(), span)]);
    }

    /// Puts a value back that a sequence had covered.
    pub(super) fn restore(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.values.insert(name.to_owned(), value),
            None => self.values.remove(name),
        };
    }

    /// What a name stands for now.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The name of the definition that goes on.
    pub(super) fn is_open(&self) -> Option<&str> {
        self.open.as_ref().map(|(name, _)| name.as_str())
    }

    /// One more line of the open definition; a line without a backslash, also an empty one, is its last.
    pub(super) fn feed(&mut self, line: &str, span: Span) {
        let (part, last) = line.strip_suffix('\\').map_or((line, true), |part| (part, false));
        self.feed_part(part, span);
        if let Some((name, value)) = self.open.take_if(|_| last) {
            self.values.insert(name, value);
        }
    }

    fn feed_part(&mut self, part: &str, span: Span) {
        let part = part.trim();
        if let Some((_, lines)) = self.open.as_mut().filter(|_| !part.is_empty()) {
            lines.push((part.to_owned(), span));
        }
    }

    /// What was wrong with the last substitution.
    pub(super) fn problem(&mut self) -> Option<String> {
        self.problem.take()
    }

    /// Replaces the first name of the line that stands for something; and the definition, when it is one of the configuration's.
    pub(super) fn substitute(&mut self, line: &str, predefined: Predefined<'_>) -> Option<(Substituted, Option<Origin>)> {
        let mut from = 0;
        loop {
            let at = from + line.get(from..)?.find('$')?;
            let (head, tail) = (line.get(..at)?, line.get(at + 1..)?);
            from = at + 1;
            let Some((inner, rest)) = reference(tail) else { continue };
            match self.values.get(inner).map(Vec::as_slice) {
                // Several lines are only put where nothing follows.
                Some([_, _, ..]) if !rest.trim().is_empty() => continue,
                Some(value) => {
                    let origin = value.first().map(|(_, span)| Origin { name: inner.into(), span: *span });
                    return Some((replaced(head, value, rest), origin));
                }
                None => {}
            }
            if let Some(text) = self.predefined(inner, predefined) {
                return Some((Substituted::Line(format!("{head}{text}{rest}")), None));
            }
        }
    }

    fn predefined(&mut self, inner: &str, predefined: Predefined<'_>) -> Option<String> {
        let mut words = inner.split_ascii_whitespace();
        match (words.next()?, words.next(), words.next()) {
            ("_PWD", None, _) => Some(predefined.directory.to_owned()),
            ("_INSTANCE", None, _) => Some(predefined.config_id.to_owned()),
            ("_HASH", None, _) => Some("#".to_owned()),
            ("_BANG", None, _) => Some("!".to_owned()),
            ("_ENV", Some(name), None) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                let value = predefined.files.variable(name);
                if value.is_none() {
                    self.problem = Some(format!("the environment has no {name}: ${{_ENV {name}}} is empty"));
                }
                Some(value.unwrap_or_default())
            }
            ("_RANDOM", low, high) if words.next().is_none() => {
                let low: u32 = low.map_or(Some(0), |word| word.parse().ok())?;
                let high = high.map_or(Some(32_767), |word| word.parse().ok())?;
                if low > high {
                    self.problem = Some(format!("${{{inner}}}: {low} is more than {high}, so it is always {low}"));
                }
                Some(self.random(low, high).to_string())
            }
            _ => None,
        }
    }

    /// A number of the range, another one each time and each run.
    fn random(&mut self, low: u32, high: u32) -> u64 {
        self.draws += 1;
        let (low, width) = (u64::from(low), u64::from(high.saturating_sub(low)) + 1);
        low + self.seed.hash_one(self.draws) % width
    }
}

/// What stands between `$` and the rest: `${NAME …}`, or `NAME` before a blank, `,`, `)` or the end.
fn reference(tail: &str) -> Option<(&str, &str)> {
    if let Some(tail) = tail.strip_prefix('{') {
        return tail.split_once('}').filter(|(inner, _)| inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
    }
    let end = tail.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(tail.len());
    let (name, rest) = tail.split_at_checked(end)?;
    let ends = rest.is_empty() || rest.starts_with([' ', '\t', ',', ')']);
    (is_name(name) && ends).then_some((name, rest))
}

fn replaced(head: &str, value: &[(String, Span)], rest: &str) -> Substituted {
    match value {
        [] => Substituted::Line(format!("{head}{rest}")),
        [(only, _)] => Substituted::Line(format!("{head}{only}{rest}")),
        [(first, _), more @ ..] => Substituted::Lines(format!("{head}{first}"), more.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Files for Nothing {
        fn read(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }

        fn glob(&self, _: &str) -> Vec<std::path::PathBuf> {
            Vec::new()
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME_IP").then(|| "10.0.0.9".to_owned())
        }
    }

    const PREDEFINED: Predefined<'_> = Predefined { directory: "/etc/keepalived", config_id: "main", files: &Nothing };

    fn line(definitions: &mut Definitions, text: &str) -> String {
        match definitions.substitute(text, PREDEFINED) {
            Some((Substituted::Line(line), _)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_needs_an_end_or_braces() {
        let mut definitions = Definitions::default();
        definitions.set("A", "10.2", Span::default());
        assert_eq!(line(&mut definitions, "x $A, y"), "x 10.2, y");
        assert_eq!(line(&mut definitions, "${A}.100/32"), "10.2.100/32");
        assert_eq!(definitions.substitute("$A.100/32", PREDEFINED), None);
        assert_eq!(definitions.substitute("$UNKNOWN ${UNKNOWN} $", PREDEFINED), None);
    }

    #[test]
    fn predefined_names_are_there_until_defined() {
        let mut definitions = Definitions::default();
        assert_eq!(line(&mut definitions, "${_PWD}/x"), "/etc/keepalived/x");
        assert_eq!(line(&mut definitions, "$_INSTANCE"), "main");
        assert_eq!(line(&mut definitions, "${_RANDOM 7 7}"), "7");
        definitions.set("_PWD", "/x", Span::default());
        assert_eq!(line(&mut definitions, "${_PWD}"), "/x");
    }

    #[test]
    fn the_environment_is_read_and_what_it_lacks_is_said() {
        let mut definitions = Definitions::default();
        assert_eq!(line(&mut definitions, "ip ${_ENV HOME_IP}/24"), "ip 10.0.0.9/24");
        assert_eq!(definitions.problem(), None);
        assert_eq!(line(&mut definitions, "ip ${_ENV NOBODY}"), "ip ");
        assert!(definitions.problem().is_some_and(|problem| problem.contains("NOBODY")));
        assert_eq!(definitions.substitute("${_ENV} ${_ENV A B} ${_ENV A-B}", PREDEFINED), None);
    }

    #[test]
    fn a_random_number_is_of_its_range() {
        let mut definitions = Definitions::default();
        for _ in 0..100 {
            let value: u32 = line(&mut definitions, "${_RANDOM 3 5}").parse().unwrap();
            assert!((3..=5).contains(&value));
        }
        assert_eq!(line(&mut definitions, "${_RANDOM 9 5}"), "9");
        assert!(definitions.problem().is_some());
        assert_eq!(definitions.substitute("${_RANDOM -1 5} ${_RANDOM 1 2 3}", PREDEFINED), None);
    }

    #[test]
    fn a_backslash_makes_several_lines() {
        let mut definitions = Definitions::default();
        definitions.define("I", "\\", Span::default());
        definitions.feed("a { \\", Span::default());
        assert_eq!(definitions.is_open(), Some("I"));
        definitions.feed("}", Span::default());
        assert_eq!(definitions.is_open(), None);
        let Some((Substituted::Lines(first, rest), Some(_))) = definitions.substitute("$I", PREDEFINED) else { panic!() };
        assert_eq!((first.as_str(), rest.len()), ("a {", 1));
    }
}
