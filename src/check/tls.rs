//! The `SSL` block: what a server's certificate is held against, and what is shown of ourselves.

use crate::types::Secret;
use serde::{Deserialize, Serialize};

/// Days before a certificate's end from which on it is told.
pub const WARN_DAYS: u32 = 14;

/// The `SSL` block as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `ca`: servers' certificates are verified against it (the original loads it and verifies nothing).
    pub authority: Option<String>,
    /// `certificate`: shown to a server that asks for one.
    pub certificate: Option<String>,
    /// `key` of that certificate; without it, it is looked for in the certificate's file.
    pub key: Option<String>,
    /// `password` of the key.
    pub password: Option<Secret>,
    /// `tls_min_version`.
    pub least: Version,
    /// `expiry_warning`, days; 0 never warns.
    pub warn_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { authority: None, certificate: None, key: None, password: None, least: Version::default(), warn_days: WARN_DAYS }
    }
}

/// Oldest version of TLS that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Version {
    /// RFC 5246.
    #[default]
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl Version {
    /// As it is written in a configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

/// What the files of the block hold. The supervisor reads them: the checker child may not.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Files {
    /// PEM text of `ca`.
    pub authority: Option<Vec<u8>>,
    /// PEM text of `certificate`.
    pub certificate: Option<Vec<u8>>,
    /// PEM text of `key`.
    pub key: Option<Secret>,
    /// `password`.
    pub password: Option<Secret>,
    /// `tls_min_version`.
    pub least: Version,
}

/// Whole days from `now` to `end`, both in seconds since 1970; negative when it is over.
pub const fn days_left(now: i64, end: i64) -> i64 {
    (end - now).div_euclid(24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ended_a_second_ago_has_minus_one_day() {
        assert_eq!([days_left(100, 99), days_left(100, 100), days_left(0, 86_400)], [-1, 0, 1]);
    }
}
