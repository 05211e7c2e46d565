//! What trackers do to an instance: their sum makes the effective priority, a tracker of weight 0 makes a fault.

use crate::types::Priority;
use crate::vrrp::event::Fault;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

/// Least and most weight of a tracker (keepalived.conf(5), `weight`).
pub const WEIGHT_LIMIT: i16 = 253;

/// What a tracked object says now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// Interface up, script succeeded, process quorum reached, BFD session up.
    Up,
    /// The opposite.
    Down,
    /// A file's number, times the weight; with weight 0 any number but 0 is a fault.
    Value(i64),
}

/// One tracked object of one instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tracked {
    /// As the log names it: `eth1`, `check_haproxy`.
    pub name: String,
    /// The fault that it makes when its weight is 0.
    pub fault: Fault,
    /// -253..=253, of files and processes -254..=254; 0: a fault, not a sum.
    pub weight: i16,
    /// `reverse`: what it adds, it takes away, and the other way round.
    pub reverse: bool,
    /// What it says now.
    pub reading: Reading,
}

/// What one tracked object comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    Adds(i32),
    Faults,
}

impl Tracked {
    /// A positive weight counts while up, a negative one while down (keepalived.conf(5), `track_interface`). `reverse` turns
    /// the sign of what is added, not the condition: `weight -30 reverse` adds 30 while down. Of weight 0, which adds
    /// nothing, it turns the fault: up is the fault then.
    fn effect(&self) -> Effect {
        let weight = i32::from(self.weight);
        let sign = if self.reverse { -1 } else { 1 };
        let up = match self.reading {
            Reading::Value(value) => return self.file_effect(value),
            Reading::Up => true,
            Reading::Down => false,
        };
        match (weight, up) {
            (0, up) if up == self.reverse => Effect::Faults,
            (0, _) => Effect::Adds(0),
            (weight, true) => Effect::Adds(sign * weight.max(0)),
            (weight, false) => Effect::Adds(sign * weight.min(0)),
        }
    }

    /// A file contributes its number times its weight; at -254 and below nothing is left of any priority, and that is a fault.
    fn file_effect(&self, value: i64) -> Effect {
        let limit = i64::from(WEIGHT_LIMIT);
        let sign = if self.reverse { -1 } else { 1 };
        let product = value.saturating_mul(i64::from(self.weight)).saturating_mul(sign);
        match (self.weight, value) {
            (0, value) if (value == 0) == self.reverse => Effect::Faults,
            (0, _) => Effect::Adds(0),
            _ if product < -limit => Effect::Faults,
            _ => Effect::Adds(i32::try_from(product.min(limit)).unwrap_or_default()),
        }
    }
}

/// The trackers' verdict on one instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Effective priority.
    pub priority: Priority,
    /// Faults of trackers, all of them: what is missing here and was there before has ended.
    pub faults: BTreeSet<Fault>,
    /// How the priority comes about: `base 100, eth1 -30 -> 70`.
    pub sum: Sum,
}

/// The sum for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sum {
    base: Priority,
    parts: Vec<(String, i32)>,
    result: Priority,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "base {}", self.base)?;
        for (name, part) in &self.parts {
            f.write_char(',')?;
            write!(f, " {name} {part:+}")?;
        }
        write!(f, " -> {}", self.result)
    }
}

/// Sums up. An owner's priority never changes, whatever its trackers say; their faults count for it too.
pub fn sum_up(base: Priority, tracked: &[Tracked]) -> Outcome {
    let mut faults = BTreeSet::new();
    let mut parts = Vec::new();
    for object in tracked {
        match object.effect() {
            Effect::Faults => {
                faults.insert(object.fault.clone());
            }
            Effect::Adds(0) => {}
            Effect::Adds(part) => parts.push((object.name.clone(), part)),
        }
    }
    if base.is_owner() {
        parts.clear();
    }
    let total = parts.iter().fold(0_i32, |sum, (_, part)| sum.saturating_add(*part));
    let priority = base.adjusted(total);
    Outcome { priority, faults, sum: Sum { base, parts, result: priority } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tracked(name: &str, weight: i16, reverse: bool, reading: Reading) -> Tracked {
        Tracked { name: name.to_owned(), fault: Fault::InterfaceDown(name.to_owned()), weight, reverse, reading }
    }

    fn priority(tracked: &[Tracked]) -> u8 {
        sum_up(Priority::DEFAULT, tracked).priority.get()
    }

    #[test]
    fn positive_weights_count_while_up_and_negative_ones_while_down() {
        assert_eq!(priority(&[tracked("eth1", 20, false, Reading::Up)]), 120);
        assert_eq!(priority(&[tracked("eth1", 20, false, Reading::Down)]), 100);
        assert_eq!(priority(&[tracked("eth1", -30, false, Reading::Up)]), 100);
        assert_eq!(priority(&[tracked("eth1", -30, false, Reading::Down)]), 70);
    }

    #[test]
    fn reverse_turns_the_sign_of_what_is_added() {
        assert_eq!(priority(&[tracked("eth1", 20, true, Reading::Down)]), 100);
        assert_eq!(priority(&[tracked("eth1", 20, true, Reading::Up)]), 80);
        assert_eq!(priority(&[tracked("eth1", -30, true, Reading::Up)]), 100);
        assert_eq!(priority(&[tracked("eth1", -30, true, Reading::Down)]), 130);
        let outcome = sum_up(Priority::DEFAULT, &[tracked("eth1", 0, true, Reading::Up)]);
        assert_eq!(outcome.faults.len(), 1);
    }

    #[test]
    fn weight_zero_is_a_fault_and_no_sum() {
        let outcome = sum_up(Priority::DEFAULT, &[tracked("eth1", 0, false, Reading::Down), tracked("eth2", 0, false, Reading::Up)]);
        assert_eq!(outcome.faults, BTreeSet::from([Fault::InterfaceDown("eth1".to_owned())]));
        assert_eq!(outcome.priority, Priority::DEFAULT);
    }

    #[test]
    fn the_result_stays_between_1_and_254() {
        assert_eq!(priority(&[tracked("a", -253, false, Reading::Down), tracked("b", -253, false, Reading::Down)]), 1);
        assert_eq!(priority(&[tracked("a", 253, false, Reading::Up), tracked("b", 253, false, Reading::Up)]), 254);
    }

    #[test]
    fn an_owner_stays_an_owner() {
        let outcome = sum_up(Priority::OWNER, &[tracked("eth1", -30, false, Reading::Down)]);
        assert_eq!(outcome.priority, Priority::OWNER);
        assert_eq!(outcome.sum.to_string(), "base 255 -> 255");
    }

    #[test]
    fn a_file_adds_its_number_times_its_weight() {
        assert_eq!(priority(&[tracked("load", -2, false, Reading::Value(10))]), 80);
        assert_eq!(priority(&[tracked("load", -2, true, Reading::Value(10))]), 120);
        assert_eq!(priority(&[tracked("load", 1, false, Reading::Value(i64::MAX))]), 254);
        assert_eq!(sum_up(Priority::DEFAULT, &[tracked("load", -1, false, Reading::Value(254))]).faults.len(), 1);
        assert_eq!(sum_up(Priority::DEFAULT, &[tracked("load", 254, false, Reading::Value(-1))]).faults.len(), 1);
        assert_eq!(sum_up(Priority::DEFAULT, &[tracked("load", 0, false, Reading::Value(1))]).faults.len(), 1);
        assert_eq!(sum_up(Priority::DEFAULT, &[tracked("load", 0, true, Reading::Value(1))]).faults.len(), 0);
        assert_eq!(sum_up(Priority::DEFAULT, &[tracked("load", 0, true, Reading::Value(0))]).faults.len(), 1);
    }

    #[test]
    fn the_sum_can_be_read() {
        let outcome =
            sum_up(Priority::DEFAULT, &[tracked("check_haproxy", -30, false, Reading::Down), tracked("eth1", 5, false, Reading::Up)]);
        assert_eq!(outcome.sum.to_string(), "base 100, check_haproxy -30, eth1 +5 -> 75");
    }

    fn any_reading() -> impl Strategy<Value = Reading> {
        prop_oneof![Just(Reading::Up), Just(Reading::Down), (-400_i64..400).prop_map(Reading::Value)]
    }

    fn any_tracked() -> impl Strategy<Value = Vec<Tracked>> {
        let one = (-254_i16..=254, any::<bool>(), any_reading()).prop_map(|(weight, reverse, reading)| {
            let weight = if matches!(reading, Reading::Value(_)) { weight } else { weight.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) };
            tracked("x", weight, reverse, reading)
        });
        proptest::collection::vec(one, 0..60).prop_map(|mut all| {
            for (number, tracked) in all.iter_mut().enumerate() {
                (tracked.name, tracked.fault) = (format!("t{number}"), Fault::Tracker(format!("t{number}")));
            }
            all
        })
    }

    /// keepalived.conf(5), written down a second time: what one adds, or `None` for a fault.
    fn adds(tracked: &Tracked) -> Option<i64> {
        let weight = i64::from(tracked.weight) * if tracked.reverse { -1 } else { 1 };
        match tracked.reading {
            Reading::Value(value) if tracked.weight == 0 => ((value != 0) == tracked.reverse).then_some(0),
            Reading::Value(value) => (value * weight > -254).then_some((value * weight).min(253)),
            Reading::Up | Reading::Down if tracked.weight == 0 => ((tracked.reading == Reading::Up) != tracked.reverse).then_some(0),
            Reading::Up => Some(if tracked.weight > 0 { weight } else { 0 }),
            Reading::Down => Some(if tracked.weight < 0 { weight } else { 0 }),
        }
    }

    proptest! {
        #[test]
        fn the_priority_is_the_base_and_the_sum_between_1_and_254(base in 1_u8..=254, all in any_tracked()) {
            let outcome = sum_up(Priority::new(base).unwrap(), &all);
            let sum: i64 = all.iter().filter_map(adds).sum();
            prop_assert_eq!(i64::from(outcome.priority.get()), (i64::from(base) + sum).clamp(1, 254));
            let faulty: BTreeSet<Fault> = all.iter().filter(|tracked| adds(tracked).is_none()).map(|tracked| tracked.fault.clone()).collect();
            prop_assert_eq!(outcome.faults, faulty);
        }

        #[test]
        fn an_owner_is_never_anything_else(all in any_tracked()) {
            let outcome = sum_up(Priority::OWNER, &all);
            prop_assert_eq!(outcome.priority, Priority::OWNER);
            prop_assert_eq!(outcome.sum.to_string(), "base 255 -> 255");
        }

        /// What the log says adds up to what counts.
        #[test]
        fn the_sum_that_is_logged_adds_up(base in 1_u8..=254, all in any_tracked()) {
            let outcome = sum_up(Priority::new(base).unwrap(), &all);
            let text = outcome.sum.to_string();
            let (parts, result) = text.strip_prefix("base ").unwrap().split_once(" -> ").unwrap();
            let total: i64 = parts.split(", ").map(|part| part.split(' ').next_back().unwrap().parse::<i64>().unwrap()).sum();
            prop_assert_eq!(total.clamp(1, 254), i64::from(outcome.priority.get()));
            prop_assert_eq!(result, outcome.priority.to_string());
        }

        /// The order in which trackers are written changes nothing.
        #[test]
        fn order_does_not_matter(base in 1_u8..=254, mut all in any_tracked()) {
            let before = sum_up(Priority::new(base).unwrap(), &all);
            all.reverse();
            let after = sum_up(Priority::new(base).unwrap(), &all);
            prop_assert_eq!((before.priority, before.faults), (after.priority, after.faults));
        }
    }
}
