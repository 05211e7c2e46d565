//! The waits of RFC 9568 §6.1 and RFC 3768 §6.1, in whole nanoseconds and never early.

use crate::types::{CentiSecs, Priority, Version};
use std::time::Duration;

/// Skew_Time: the lower the priority, the longer the wait, so that the strongest backup is first.
/// Version 2: (256 - priority) / 256 s. Version 3: (256 - priority) / 256 of the master's interval. Rounded up.
pub fn skew_time(version: Version, priority: Priority, master_interval: CentiSecs) -> Duration {
    let unit = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => master_interval.duration(),
    };
    let steps = u64::from(256 - u16::from(priority.get()));
    let nanos = u64::try_from(unit.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos((nanos * steps).div_ceil(256))
}

/// Active_Down_Interval (Master_Down_Interval): so many missed adverts of the master, and the skew time.
pub fn master_down_interval(version: Version, priority: Priority, master_interval: CentiSecs, adverts: u8) -> Duration {
    master_interval.duration() * u32::from(adverts) + skew_time(version, priority, master_interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(value: u8) -> Priority {
        Priority::new(value).unwrap()
    }

    #[test]
    fn skew_orders_backups_by_priority() {
        for version in [Version::V2, Version::V3] {
            for value in 1..=254 {
                let weaker = skew_time(version, priority(value), CentiSecs::SECOND);
                let stronger = skew_time(version, priority(value + 1), CentiSecs::SECOND);
                assert!(stronger < weaker, "priority {value}: {stronger:?} {weaker:?}");
            }
        }
    }

    #[test]
    fn version_2_waits_three_adverts_and_a_share_of_a_second() {
        let wait = master_down_interval(Version::V2, priority(100), CentiSecs::new(500).unwrap(), 3);
        assert_eq!(wait, Duration::from_nanos(15_609_375_000));
    }

    #[test]
    fn version_3_waits_three_adverts_and_a_share_of_one() {
        let wait = master_down_interval(Version::V3, priority(100), CentiSecs::new(1).unwrap(), 3);
        assert_eq!(wait, Duration::from_nanos(30_000_000 + 6_093_750));
    }

    #[test]
    fn skew_is_never_rounded_down() {
        let exact = 10_000_000.0 * 3.0 / 256.0;
        assert!(skew_time(Version::V3, priority(253), CentiSecs::new(1).unwrap()).as_nanos() as f64 >= exact);
    }
}
