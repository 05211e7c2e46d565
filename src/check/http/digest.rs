//! The MD5 digest of a page as it is written in a configuration.

/// Lower-case hex digits, as genhash prints them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 hex digits.
pub fn digest_of(text: &str) -> Option<[u8; 16]> {
    let mut digest = [0; 16];
    if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_32_hex_digits_and_reads_as_it_is_written() {
        let written = "5d41402abc4b2a76b9719d911017c592";
        assert_eq!(hex(&digest_of(written).unwrap()), written);
        assert_eq!(digest_of(&written.to_uppercase()), digest_of(written));
        for wrong in ["", &written[1..], &format!("{written}0"), "+d41402abc4b2a76b9719d911017c592", "5d41402abc4b2a76b9719d911017c5é"] {
            assert_eq!(digest_of(wrong), None, "{wrong}");
        }
    }
}
