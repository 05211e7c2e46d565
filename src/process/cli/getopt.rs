//! getopt_long's reading of a command line: short options bundled, long ones abbreviated while unambiguous, words anywhere.

/// Whether an option takes a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    /// Never.
    Nothing,
    /// Always: `-f FILE`, `-fFILE`, `--use-file FILE`, `--use-file=FILE`. The text names it in the help.
    Value(&'static str),
    /// Only attached: `-tFILE`, `--config-test=FILE`. The text names it in the help.
    Maybe(&'static str),
}

/// The part of an option that this reader needs.
pub(super) trait Spelling {
    /// One-letter form.
    fn short(&self) -> Option<char>;
    /// Long form.
    fn long(&self) -> &'static str;
    /// Its value.
    fn takes(&self) -> Takes;
}

/// What was found, in order.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Found<'a> {
    /// The option with this index in the table, and its value.
    Option(usize, Option<&'a str>),
    /// A word that belongs to no option.
    Word(&'a str),
}

/// What cannot be read; the text is the original's.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum GetoptError {
    /// Not in the table, or an abbreviation of several.
    #[error("Unknown option {0}")]
    Unknown(String),
    /// A value is needed.
    #[error("Missing parameter for option {0}")]
    Missing(String),
}

/// Reads the arguments (without the program's name) against a table.
///
/// # Errors
/// The first option that is unknown or lacks its value ends the reading.
pub(super) fn read<'a, T: Spelling>(table: &[T], arguments: &'a [String]) -> Result<Vec<Found<'a>>, GetoptError> {
    let mut found = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        if argument == "--" {
            found.extend(rest.by_ref().map(Found::Word));
        } else if let Some(long) = argument.strip_prefix("--") {
            found.push(read_long(table, long, &mut rest)?);
        } else if argument.len() > 1
            && let Some(bundle) = argument.strip_prefix('-')
        {
            read_bundle(table, bundle, &mut rest, &mut found)?;
        } else {
            found.push(Found::Word(argument));
        }
    }
    Ok(found)
}

fn read_long<'a, T: Spelling>(table: &[T], text: &'a str, rest: &mut impl Iterator<Item = &'a str>) -> Result<Found<'a>, GetoptError> {
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let index = find_long(table, name).ok_or_else(|| GetoptError::Unknown(format!("--{name}")))?;
    let Some(option) = table.get(index) else { return Err(GetoptError::Unknown(format!("--{name}"))) };
    let missing = || GetoptError::Missing(format!("--{}", option.long()));
    let value = match (option.takes(), attached) {
        (_, Some("")) => return Err(missing()),
        (Takes::Nothing, Some(_)) => return Err(GetoptError::Unknown(format!("--{text}"))),
        (Takes::Nothing | Takes::Maybe(_), None) => None,
        (Takes::Value(_) | Takes::Maybe(_), Some(value)) => Some(value),
        (Takes::Value(_), None) => Some(rest.next().filter(|value| !value.is_empty()).ok_or_else(missing)?),
    };
    Ok(Found::Option(index, value))
}

fn find_long<T: Spelling>(table: &[T], name: &str) -> Option<usize> {
    if let Some(exact) = table.iter().position(|option| option.long() == name) {
        return Some(exact);
    }
    let mut matches = table.iter().enumerate().filter(|(_, option)| option.long().starts_with(name));
    match (matches.next(), matches.next()) {
        (Some((index, _)), None) if !name.is_empty() => Some(index),
        _ => None,
    }
}

fn read_bundle<'a, T: Spelling>(
    table: &[T],
    bundle: &'a str,
    rest: &mut impl Iterator<Item = &'a str>,
    found: &mut Vec<Found<'a>>,
) -> Result<(), GetoptError> {
    let mut letters = bundle.chars();
    while let Some(letter) = letters.next() {
        let unknown = || GetoptError::Unknown(format!("-{letter}"));
        let index = table.iter().position(|option| option.short() == Some(letter)).ok_or_else(unknown)?;
        let attached = letters.as_str();
        let value = match table.get(index).map_or(Takes::Nothing, Spelling::takes) {
            Takes::Nothing => {
                found.push(Found::Option(index, None));
                continue;
            }
            Takes::Maybe(_) => (!attached.is_empty()).then_some(attached),
            Takes::Value(_) if !attached.is_empty() => Some(attached),
            Takes::Value(_) => Some(rest.next().ok_or_else(|| GetoptError::Missing(format!("-{letter}")))?),
        };
        found.push(Found::Option(index, value));
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Row(Option<char>, &'static str, Takes);

    impl Spelling for Row {
        fn short(&self) -> Option<char> {
            self.0
        }
        fn long(&self) -> &'static str {
            self.1
        }
        fn takes(&self) -> Takes {
            self.2
        }
    }

    const TABLE: &[Row] = &[
        Row(Some('f'), "use-file", Takes::Value("FILE")),
        Row(Some('l'), "log-console", Takes::Nothing),
        Row(Some('D'), "log-detail", Takes::Nothing),
        Row(Some('t'), "config-test", Takes::Maybe("FILE")),
        Row(Some('p'), "pid", Takes::Value("FILE")),
        Row(Some('P'), "pids", Takes::Nothing),
    ];

    fn words(line: &str) -> Vec<String> {
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn options(line: &str) -> Result<Vec<(&'static str, Option<String>)>, GetoptError> {
        let words = words(line);
        let found = read(TABLE, &words)?;
        Ok(found
            .iter()
            .map(|found| match found {
                Found::Option(index, value) => (TABLE[*index].1, value.map(str::to_owned)),
                Found::Word(word) => ("word", Some((*word).to_owned())),
            })
            .collect())
    }

    #[test]
    fn a_value_may_be_attached_or_follow() {
        for line in ["-f x", "-fx", "--use-file x", "--use-file=x", "--use=x", "--u x"] {
            assert_eq!(options(line).unwrap(), [("use-file", Some("x".to_owned()))], "{line}");
        }
    }

    #[test]
    fn short_options_bundle_and_the_last_may_take_a_value() {
        assert_eq!(options("-lDf x").unwrap(), [("log-console", None), ("log-detail", None), ("use-file", Some("x".to_owned()))]);
        assert_eq!(options("-lfD").unwrap(), [("log-console", None), ("use-file", Some("D".to_owned()))]);
    }

    #[test]
    fn an_optional_value_must_be_attached() {
        assert_eq!(options("-t x").unwrap(), [("config-test", None), ("word", Some("x".to_owned()))]);
        assert_eq!(options("-tx").unwrap(), [("config-test", Some("x".to_owned()))]);
        assert_eq!(options("--config-test=x").unwrap(), [("config-test", Some("x".to_owned()))]);
    }

    #[test]
    fn an_exact_name_wins_over_a_longer_one_and_an_ambiguous_one_is_unknown() {
        assert_eq!(options("--pid=x").unwrap(), [("pid", Some("x".to_owned()))]);
        assert_eq!(options("--log").unwrap_err().to_string(), "Unknown option --log");
        assert_eq!(options("--log-d").unwrap(), [("log-detail", None)]);
    }

    #[test]
    fn errors_are_the_originals() {
        assert_eq!(options("--nosuch").unwrap_err().to_string(), "Unknown option --nosuch");
        assert_eq!(options("-lZ").unwrap_err().to_string(), "Unknown option -Z");
        assert_eq!(options("-f").unwrap_err().to_string(), "Missing parameter for option -f");
        assert_eq!(options("--use-file=").unwrap_err().to_string(), "Missing parameter for option --use-file");
        assert_eq!(options("--use-file").unwrap_err().to_string(), "Missing parameter for option --use-file");
    }

    #[test]
    fn words_may_stand_anywhere_and_a_double_dash_ends_options() {
        assert_eq!(options("a -l -- -D").unwrap(), [("word", Some("a".into())), ("log-console", None), ("word", Some("-D".into()))]);
    }

    proptest! {
        #[test]
        fn any_command_line_is_read_or_refused(words in proptest::collection::vec("[-a-zA-Z=é]{0,6}", 0..6)) {
            let _ = read(TABLE, &words);
        }
    }
}
