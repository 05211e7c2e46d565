//! What checkers share: one check for equal ones, one expression for equal ones.

use super::Watch;
use crate::check::regex::{Expression, Regex};
use crate::check::schedule::Schedule;
use crate::check::{Checker, Kind, Target, Timing};
use crate::types::Instant;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Which checks are the same for several servers, and when they run.
#[derive(Default)]
pub(super) struct Groups {
    numbers: HashMap<(Kind, Target, Timing), u64>,
    due: HashMap<u64, Instant>,
}

impl Groups {
    /// The numbers of groups come from `numbers`, so that none is ever used again.
    pub(super) fn new(watches: &[Watch], numbers: &mut u64) -> Self {
        let mut members: HashMap<_, u32> = HashMap::new();
        for watch in watches.iter().filter(|watch| !matches!(watch.checker.kind, Kind::Misc(_))) {
            *members.entry((&watch.checker.kind, &watch.checker.target, &watch.checker.timing)).or_default() += 1;
        }
        let shared = members.into_iter().filter(|(_, count)| *count > 1).map(|((kind, target, timing), _)| {
            *numbers += 1;
            ((kind.clone(), target.clone(), timing.clone()), *numbers)
        });
        Self { numbers: shared.collect(), due: HashMap::new() }
    }

    pub(super) fn of(&self, checker: &Checker) -> Option<u64> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(&(checker.kind.clone(), checker.target.clone(), checker.timing.clone())).copied()
    }

    /// When the first of the group that came here is due: the others run with it.
    pub(super) fn leads(&mut self, group: Option<u64>, schedule: &Schedule) -> Option<Instant> {
        let due = schedule.deadline()?;
        Some(*self.due.entry(group?).or_insert(due))
    }
}

/// Compiled expressions, equal ones once.
#[derive(Default)]
pub(super) struct Expressions(RefCell<HashMap<Regex, Arc<Expression>>>);

impl Expressions {
    pub(super) fn compiled(&self, regex: &Regex) -> Option<Arc<Expression>> {
        let mut known = self.0.borrow_mut();
        if let Some(expression) = known.get(regex) {
            return Some(expression.clone());
        }
        let expression = Arc::new(regex.compile().ok()?);
        known.insert(regex.clone(), expression.clone());
        Some(expression)
    }

    pub(super) fn forget_unused(&mut self) {
        self.0.get_mut().retain(|_, expression| Arc::strong_count(expression) > 1);
    }
}
