//! As much of X.509 as a check needs: when a certificate ends (RFC 5280 §4.1.2.5).

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The notAfter of a certificate in DER, as seconds since 1970. `None` for what is no certificate.
pub fn not_after(der: &[u8]) -> Option<i64> {
    let (SEQUENCE, certificate, _) = element(der)? else { return None };
    let (SEQUENCE, mut rest, _) = element(certificate)? else { return None };
    if rest.first() == Some(&VERSION) {
        (_, _, rest) = element(rest)?;
    }
    // serialNumber, signature, issuer
    for _ in 0..3 {
        (_, _, rest) = element(rest)?;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (_, _, after_begin) = element(validity)?;
    let (tag, end, _) = element(after_begin)?;
    time(tag, end)
}

/// Tag, content and what follows of the first element (X.690 §8.1; one byte of tag, definite length).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDhhmmssZ` with years 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let year_digits = match tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    };
    if digits.len() != year_digits + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, length: usize| -> Option<i64> {
        Some(digits.get(from..from + length)?.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    };
    let year = match (tag, number(0, year_digits)?) {
        (UTC_TIME, year @ ..50) => 2000 + year,
        (UTC_TIME, year) => 1900 + year,
        (_, year) => year,
    };
    let part = |at: usize| number(year_digits + 2 * at, 2);
    let (month, day) = (part(0)?, part(1)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?)
}

/// Days from 1970-01-01 in the Gregorian calendar, with the year begun in March so that the leap day is its last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }

    fn certificate(version: bool, end: &[u8]) -> Vec<u8> {
        let none = wrap(SEQUENCE, &[]);
        let validity = wrap(SEQUENCE, &[&wrap(UTC_TIME, &[b"200101000000Z"]), end]);
        let version = if version { wrap(VERSION, &[&wrap(2, &[&[2]])]) } else { vec![] };
        let to_be_signed = wrap(SEQUENCE, &[&version, &wrap(2, &[&[1]]), &none, &none, &validity, &none]);
        wrap(SEQUENCE, &[&to_be_signed, &none])
    }

    #[test]
    fn the_end_is_found_with_and_without_a_version_and_in_both_spellings() {
        assert_eq!(not_after(&certificate(true, &wrap(UTC_TIME, &[b"260228235959Z"]))), Some(1_772_323_199));
        assert_eq!(not_after(&certificate(false, &wrap(GENERALIZED_TIME, &[b"20500301000000Z"]))), Some(2_529_705_600));
        assert_eq!(not_after(&certificate(false, &wrap(UTC_TIME, &[b"700101000000Z"]))), Some(0));
        assert_eq!(not_after(&certificate(false, &wrap(UTC_TIME, &[b"26022823595"]))), None);
        assert_eq!(not_after(&certificate(false, &wrap(UTC_TIME, &[b"261328235959Z"]))), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, end: Vec<u8>, cut: usize) {
            not_after(&bytes);
            let mut whole = certificate(true, &wrap(GENERALIZED_TIME, &[&end]));
            not_after(&whole);
            whole.truncate(cut % (whole.len() + 1));
            not_after(&whole);
        }
    }
}
