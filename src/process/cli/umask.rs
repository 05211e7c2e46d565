//! The two ways to write a umask: a number, or `IRUSR|IWGRP|…`.

/// `0177`, `0x7f`, `127`, or symbolic names joined by `|` (keepalived.conf(5), `umask`); `None` when it is neither, or beyond 0777.
pub(super) fn parse(text: &str) -> Option<u32> {
    let mask = if text.starts_with(|c: char| c.is_ascii_digit()) { number(text)? } else { symbols(text)? };
    (mask <= 0o777).then_some(mask)
}

fn number(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        u32::from_str_radix(hex, 16).ok()
    } else if lower.len() > 1 && lower.starts_with('0') {
        u32::from_str_radix(&lower, 8).ok()
    } else {
        lower.parse().ok()
    }
}

fn symbols(text: &str) -> Option<u32> {
    text.split('|').map(|word| symbol(word.trim())).try_fold(0, |mask, bits| Some(mask | bits?))
}

fn symbol(word: &str) -> Option<u32> {
    let (bits, who) = if let Some(who) = word.strip_prefix("IRWX") {
        (7, who)
    } else if let Some(who) = word.strip_prefix("IR") {
        (4, who)
    } else if let Some(who) = word.strip_prefix("IW") {
        (2, who)
    } else {
        (1, word.strip_prefix("IX")?)
    };
    match who {
        "U" | "USR" => Some(bits << 6),
        "G" | "GRP" => Some(bits << 3),
        "O" | "OTH" => Some(bits),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_base_of_their_prefix() {
        assert_eq!(parse("0177"), Some(0o177));
        assert_eq!(parse("0x7f"), Some(0o177));
        assert_eq!(parse("127"), Some(0o177));
        assert_eq!(parse("999"), None);
        assert_eq!(parse("089"), None);
    }

    #[test]
    fn names_add_up() {
        assert_eq!(parse("IXUSR|IRWXG|IRWXO"), Some(0o177));
        assert_eq!(parse("IWGRP | IWOTH"), Some(0o022));
        assert_eq!(parse("IRSUR"), None);
    }
}
