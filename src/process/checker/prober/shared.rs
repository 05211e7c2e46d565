//! What checkers share: one check for equal ones, one expression for equal ones.

use super::Watch;
use crate::check::regex::{Expression, Regex};
use crate::check::{Checker, Kind, Target, Timing};
use crate::ipc::messages::CheckerId;
use crate::lvs::name::ServiceName;
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// Which checks are the same for several servers.
#[derive(Default)]
pub(super) struct Groups {
    makers: HashMap<Made, Maker>,
    /// Who is in a group, by its number.
    members: HashMap<u64, Vec<u64>>,
}

/// A check as it is made.
struct Made(Arc<Checker>);

impl Made {
    fn what(&self) -> (&Kind, &Target, &Timing) {
        (&self.0.kind, &self.0.target, &self.0.timing)
    }
}

impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.what() == other.what()
    }
}

impl Eq for Made {}

impl Hash for Made {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.what().hash(state);
    }
}

/// Who makes a check.
#[derive(Clone, Copy)]
enum Maker {
    /// This job alone.
    Job(u64),
    /// This group.
    Group(u64),
}

/// Who else makes the same check.
#[derive(Clone, Copy)]
pub(super) struct Company {
    /// The group's number.
    pub(super) group: u64,
    /// Somebody who was there before; by now it is in the group too.
    pub(super) other: u64,
}

impl Groups {
    /// A job joins. The numbers of groups come from `numbers`, so that none is ever used again.
    pub(super) fn join(&mut self, job: u64, checker: &Arc<Checker>, numbers: &mut u64) -> Option<Company> {
        let maker = match self.makers.entry(Made(checker.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert(Maker::Job(job));
                return None;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        let group = match *maker {
            Maker::Group(group) => group,
            Maker::Job(first) => {
                *numbers += 1;
                *maker = Maker::Group(*numbers);
                self.members.insert(*numbers, vec![first]);
                *numbers
            }
        };
        let members = self.members.entry(group).or_default();
        let other = members.first().copied();
        members.push(job);
        Some(Company { group, other: other? })
    }

    /// A job leaves.
    pub(super) fn leave(&mut self, job: u64, checker: &Arc<Checker>) {
        let made = Made(checker.clone());
        match self.makers.get(&made).copied() {
            Some(Maker::Job(only)) if only == job => _ = self.makers.remove(&made),
            Some(Maker::Group(group)) => {
                let Some(members) = self.members.get_mut(&group) else { return };
                members.retain(|member| *member != job);
                if members.is_empty() {
                    self.members.remove(&group);
                    self.makers.remove(&made);
                }
            }
            Some(Maker::Job(_)) | None => {}
        }
    }
}

/// A checker as a reload knows it again: the same for the same server, wherever it stands in its block.
pub(super) struct Known(Arc<CheckerId>, Arc<Checker>);

impl Known {
    pub(super) fn of(watch: &Watch) -> Self {
        Self(watch.id.clone(), watch.checker.clone())
    }

    fn what(&self) -> (&ServiceName, (IpAddr, u16), &Kind, &Target) {
        (&self.0.service, self.0.server, &self.1.kind, &self.1.target)
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.what() == other.what()
    }
}

impl Eq for Known {}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.what().hash(state);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn checker(port: u16) -> Arc<Checker> {
        let target = Target::new([10, 0, 0, 1].into(), port);
        Arc::new(Checker { kind: Kind::Tcp, target, timing: Timing::default(), alpha: false, log_all_failures: false })
    }

    #[test]
    fn jobs_join_and_leave_and_a_number_of_a_group_never_comes_again() {
        let (mut groups, mut numbers) = (Groups::default(), 3);
        let mut join =
            |groups: &mut Groups, job, port| groups.join(job, &checker(port), &mut numbers).map(|company| (company.group, company.other));
        assert_eq!([join(&mut groups, 1, 80), join(&mut groups, 2, 81)], [None, None]);
        assert_eq!(join(&mut groups, 3, 80), Some((4, 1)));
        groups.leave(1, &checker(80));
        assert_eq!(join(&mut groups, 1, 81), Some((5, 2)), "the check that it has now");
        assert_eq!(join(&mut groups, 6, 80), Some((4, 3)), "those who stayed are the group");
        for job in [3, 6] {
            groups.leave(job, &checker(80));
        }
        assert_eq!(join(&mut groups, 3, 80), None, "nobody is left");
        groups.leave(3, &checker(80));
        groups.leave(1, &checker(81));
        groups.leave(2, &checker(81));
        assert!(groups.makers.is_empty() && groups.members.is_empty());
    }
}
