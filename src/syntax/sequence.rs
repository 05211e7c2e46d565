//! `~SEQ(…)` and `~LST(…)`: a line many times (keepalived.conf(5), "Sequence blocks", "List blocks").

/// Most turns of one sequence.
const TURNS: usize = 1 << 17;

/// A sequence: its variables, their values turn by turn, and the text that is repeated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sequence {
    /// The variables.
    pub(super) names: Vec<String>,
    /// One row a turn, one value a variable.
    pub(super) turns: Vec<Vec<String>>,
}

/// The kind, the parameters and the repeated text of a line that begins with a sequence.
pub(super) fn split(line: &str) -> Option<(&str, &str, &str)> {
    let opened = |kind: &'static str| Some((kind, line.strip_prefix(kind)?.trim_start().strip_prefix('(')?));
    let (kind, rest) = ["~SEQx", "~SEQ", "~LST"].into_iter().find_map(opened)?;
    let close = rest.find(')')?;
    Some((kind, rest.get(..close)?, rest.get(close + 1..)?.trim_start()))
}

/// Works the parameters out (substitution has been done in them); the error says what is wrong.
pub(super) fn parse(kind: &str, parameters: &str) -> Result<Sequence, String> {
    if kind == "~LST" { list(parameters) } else { range(parameters, kind == "~SEQx") }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn range(parameters: &str, hex: bool) -> Result<Sequence, String> {
    let mut parts = parameters.split(',').map(str::trim);
    let name = parts.next().filter(|name| is_name(name)).ok_or("the first parameter must be a name")?;
    let numbers: Vec<i64> = parts.map(number).collect::<Result<_, _>>()?;
    let sign = |up: bool| if up { 1 } else { -1 };
    let (start, step, end) = match numbers.as_slice() {
        [end] => (sign(*end >= 0), sign(*end >= 0), *end),
        [start, end] => (*start, sign(start <= end), *end),
        [start, step, end] => (*start, *step, *end),
        _ => return Err("expected 1 to 3 numbers after the name".to_owned()),
    };
    if step == 0 || (step > 0) != (start <= end) && start != end {
        return Err(format!("from {start} by {step} never reaches {end}"));
    }
    if hex && (start < 0 || end < 0) {
        return Err("~SEQx takes no negative numbers".to_owned());
    }
    let mut turns = Vec::new();
    let mut value = start;
    while if step > 0 { value <= end } else { value >= end } {
        if turns.len() >= TURNS {
            return Err(format!("more than {TURNS} turns"));
        }
        turns.push(vec![if hex { format!("{value:x}") } else { value.to_string() }]);
        let Some(next) = value.checked_add(step) else { break };
        value = next;
    }
    Ok(Sequence { names: vec![name.to_owned()], turns })
}

/// Decimal, `0x` or `0` octal, as strtol(3) with base 0.
fn number(text: &str) -> Result<i64, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text.strip_prefix('+').unwrap_or(text)), |digits| (true, digits));
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    let fits = |value: &i64| digits.starts_with(|c: char| c.is_ascii_digit()) && *value <= i64::from(u32::MAX);
    value.ok().filter(fits).map(|value| if negative { -value } else { value }).ok_or_else(|| format!("invalid number '{text}'"))
}

fn list(parameters: &str) -> Result<Sequence, String> {
    let mut parts = groups(parameters)?.into_iter();
    let names = parts.next().unwrap_or_default();
    if names.is_empty() || !names.iter().all(|name| is_name(name)) {
        return Err("the first parameter must be a name, or names in braces".to_owned());
    }
    let turns: Vec<Vec<String>> = parts.collect();
    if turns.is_empty() {
        return Err("expected values after the name".to_owned());
    }
    if let Some(long) = turns.iter().find(|turn| turn.len() > names.len()) {
        return Err(format!("'{}' has more values than there are names", long.join(",")));
    }
    Ok(Sequence { names, turns })
}

/// `{a,b}, c` is two groups: `a` and `b`, and `c`.
fn groups(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut groups = Vec::new();
    let mut rest = text.trim();
    loop {
        let (group, after) = match rest.strip_prefix('{') {
            Some(inner) => {
                let (inside, after) = inner.split_once('}').ok_or("missing '}'")?;
                (inside.split(',').map(|value| value.trim().to_owned()).collect(), after.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (vec![value.trim().to_owned()], after)
            }
        };
        groups.push(group);
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if after.is_empty() => return Ok(groups),
            None => return Err(format!("unexpected '{after}'")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(kind: &str, parameters: &str) -> Vec<String> {
        parse(kind, parameters).unwrap().turns.into_iter().map(|turn| turn.join(" ")).collect()
    }

    #[test]
    fn start_and_step_may_be_left_out() {
        assert_eq!(values("~SEQ", "N, 3"), ["1", "2", "3"]);
        assert_eq!(values("~SEQ", "N, -2"), ["-1", "-2"]);
        assert_eq!(values("~SEQ", "N, 3, 1"), ["3", "2", "1"]);
        assert_eq!(values("~SEQ", "N, 0, 2, 5"), ["0", "2", "4"]);
        assert_eq!(values("~SEQx", "N, 0x90, 0x10, 0xc0"), ["90", "a0", "b0", "c0"]);
    }

    #[test]
    fn lists_set_several_names() {
        assert_eq!(values("~LST", "A, x, y"), ["x", "y"]);
        assert_eq!(values("~LST", "{IP, IP1}, {10,1},{20,4}"), ["10 1", "20 4"]);
        assert_eq!(values("~LST", "{A,B},{1},{2,3}"), ["1", "2 3"]);
    }

    #[test]
    fn blanks_may_stand_before_the_parameters() {
        assert_eq!(split("~SEQ (N, 3) x $N"), Some(("~SEQ", "N, 3", "x $N")));
        assert_eq!(split("~SEQx(N, 3) x"), Some(("~SEQx", "N, 3", "x")));
        assert_eq!(split("~SEQUEL(N, 3) x"), None);
    }

    #[test]
    fn what_never_ends_is_refused() {
        for bad in ["N, 1, 0, 5", "N, 1, -1, 5", "N", "1, 2", "N, x", "N, 1, 2, 3, 4", "N, 1, 99999999"] {
            assert!(parse("~SEQ", bad).is_err(), "{bad}");
        }
        assert!(parse("~LST", "{A},{1,2}").is_err());
    }
}
