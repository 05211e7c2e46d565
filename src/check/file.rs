//! `FILE_CHECK`: what a tracked file's number says of a server.

use serde::{Deserialize, Serialize};

/// `FILE_CHECK`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The `track_file` block's name.
    pub name: String,
    /// The file's number times this is added to the server's weight; the block's own `weight`, or 1, when not written. With 0
    /// any number but 0 takes the server out.
    pub weight: i64,
    /// `reverse`: the number counts with the other sign, and with weight 0 it is 0 that takes the server out.
    #[serde(default)]
    pub reverse: bool,
}

/// What the number adds to the server's weight; `None` takes the server out.
pub const fn judge(settings: &Settings, number: i64) -> Option<i64> {
    if settings.weight == 0 {
        return if (number == 0) == settings.reverse { None } else { Some(0) };
    }
    let delta = number.saturating_mul(settings.weight);
    let delta = if settings.reverse { delta.saturating_neg() } else { delta };
    // The least number that a weight can have means "out" (keepalived.conf(5), FILE_CHECK).
    if delta <= i32::MIN as i64 { None } else { Some(delta) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(weight: i64, reverse: bool, number: i64) -> Option<i64> {
        judge(&Settings { name: "load".to_owned(), weight, reverse }, number)
    }

    #[test]
    fn a_number_weighs_and_the_least_of_all_takes_the_server_out() {
        assert_eq!([judged(1, false, 5), judged(2, false, 3), judged(2, true, 3)], [Some(5), Some(6), Some(-6)]);
        assert_eq!([judged(1, false, -2_147_483_647), judged(1, false, -2_147_483_648)], [Some(-2_147_483_647), None]);
        assert_eq!(judged(i64::MAX, true, i64::MIN), Some(i64::MAX));
    }

    #[test]
    fn with_weight_0_it_is_in_or_out() {
        assert_eq!([judged(0, false, 0), judged(0, false, 1), judged(0, false, -1)], [Some(0), None, None]);
        assert_eq!([judged(0, true, 0), judged(0, true, 1)], [None, Some(0)]);
    }
}
