//! `vrrp_sync_group`: instances that move together (keepalived.conf(5), `vrrp_sync_group`).
//!
//! | members say | the group orders |
//! |---|---|
//! | one has a fault of its own | all others: fault |
//! | no fault is left | the faults it ordered end |
//! | every one is master or wants to be | all: master |
//! | one is no longer master and does not want to be | all masters: back off |
//! | all have begun | each may tell that it has, and the group has told it first (so does the original) |
//!
//! It holds no time and no address: each member reports what it is after every change, and the answer is worked out anew
//! from all reports, so that an order lost with a member that was rebuilt is given again.

use crate::vrrp::event::State;
use std::fmt;

/// What a member says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its state.
    pub state: State,
    /// It would be master if it were alone: nobody stronger is heard.
    pub wants_master: bool,
    /// It has a fault that is not the group's.
    pub own_fault: bool,
}

impl Report {
    /// What is known of a member that has not spoken.
    pub const SILENT: Self = Self { state: State::Init, wants_master: false, own_fault: false };
}

/// What the group wants done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Log `VRRP_Group(NAME) Syncing instances to … state`.
    Say(Syncing),
    /// This member: `Event::GroupMaster`.
    GoMaster(usize),
    /// This member: `Event::GroupBackup`.
    BackOff(usize),
    /// This member: a fault because of another one.
    FaultBegan(usize),
    /// This member: that fault ended.
    FaultEnded(usize),
    /// All members are there: tell scripts, pipes and people about the group.
    Entered(State),
    /// This member may tell that it has begun.
    Speak(usize),
}

/// The log line of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Syncing {
    /// The group.
    pub group: String,
    /// Where its members go.
    pub to: State,
}

impl fmt::Display for Syncing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRRP_Group({}) Syncing instances to {} state", self.group, self.to)
    }
}

#[derive(Clone, Copy, Debug)]
struct Member {
    says: Report,
    /// We told it to be in FAULT.
    held: bool,
    /// What we last told it to become, until it is that or something else is right.
    told: Option<State>,
    /// It may tell what it is.
    speaks: bool,
}

/// One `vrrp_sync_group`.
#[derive(Clone, Debug)]
pub struct Group {
    name: String,
    members: Vec<Member>,
    /// Where all are to be.
    target: State,
    /// What was last told to scripts and people.
    told: Option<State>,
    /// The target changed, and no member is there yet: the line comes after the first one's own.
    unsaid: Option<State>,
    /// A reload put running instances together: that they are where they were is no news.
    quiet: bool,
}

impl Group {
    /// A group of `members` that have not spoken yet.
    pub fn new(name: String, members: usize) -> Self {
        let silent = Member { says: Report::SILENT, held: false, told: None, speaks: false };
        Self { name, members: vec![silent; members], target: State::Init, told: None, unsaid: None, quiet: false }
    }

    /// The same, of instances that have been running: their first common state is not told.
    pub fn of_running(name: String, members: usize) -> Self {
        Self { quiet: true, ..Self::new(name, members) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its members are to be.
    pub const fn target(&self) -> State {
        self.target
    }

    /// A member (its place in `group { … }`) says what it is now. A member rebuilt from nothing says so by being `SILENT` first.
    pub fn reported(&mut self, member: usize, report: Report) -> Vec<Order> {
        if let Some(member) = self.members.get_mut(member) {
            if report == Report::SILENT {
                (member.held, member.speaks) = (false, false);
            } else if member.says == Report::SILENT && report.state == State::Fault && !report.own_fault {
                // Somebody before us told it so: the fault is ours to end.
                member.held = true;
            }
            member.says = report;
            if member.told == Some(report.state) || report.state == State::Init {
                member.told = None;
            }
        }
        self.decide(member)
    }

    /// `first`: whoever brought it about, and so moves before the others.
    fn decide(&mut self, first: usize) -> Vec<Order> {
        let mut orders = Vec::new();
        let target = self.right_target();
        if target != self.target {
            // Everybody begins as a backup: nobody moves.
            let begins = self.target == State::Init && (self.quiet || target == State::Backup);
            self.unsaid = (!begins && matches!(target, State::Backup | State::Master | State::Fault)).then_some(target);
            self.target = target;
        }
        if let Some(to) = self.unsaid.filter(|to| self.members.iter().any(|member| member.says.state == *to)) {
            self.unsaid = None;
            orders.push(Order::Say(Syncing { group: self.name.clone(), to }));
        }
        let faulty = self.members.iter().filter(|member| member.says.own_fault).count();
        let others = (0..self.members.len()).filter(|number| *number != first);
        for number in std::iter::once(first).chain(others) {
            let Some(member) = self.members.get_mut(number) else { continue };
            let others_fault = faulty > usize::from(member.says.own_fault);
            if others_fault != member.held && member.says.state != State::Stopped {
                member.held = others_fault;
                orders.push(if others_fault { Order::FaultBegan(number) } else { Order::FaultEnded(number) });
            }
            let order = match (target, member.says.state) {
                (State::Master, State::Backup) => Some((State::Master, Order::GoMaster(number))),
                (State::Backup, State::Master) => Some((State::Backup, Order::BackOff(number))),
                _ => None,
            };
            match order {
                Some((to, order)) if member.told != Some(to) => {
                    member.told = Some(to);
                    orders.push(order);
                }
                Some(_) => {}
                None => member.told = None,
            }
        }
        let all_there = self.members.iter().all(|member| member.says.state == target);
        if all_there && self.told != Some(target) && target != State::Init {
            self.told = Some(target);
            if !std::mem::take(&mut self.quiet) {
                orders.push(Order::Entered(target));
            }
        }
        if target != State::Init {
            let silent = self.members.iter_mut().enumerate().filter(|(_, member)| !member.speaks && member.says.state != State::Init);
            orders.extend(silent.map(|(number, member)| {
                member.speaks = true;
                Order::Speak(number)
            }));
        }
        orders
    }

    fn right_target(&self) -> State {
        let all = |test: fn(&Report) -> bool| self.members.iter().all(|member| test(&member.says));
        let any = |test: fn(&Report) -> bool| self.members.iter().any(|member| test(&member.says));
        if all(|says| says.state == State::Stopped) {
            State::Stopped
        } else if any(|says| matches!(says.state, State::Init | State::Stopped)) {
            // Nobody moves before all have spoken, or while all are going; who is further already (a process that resumed) stays.
            self.target
        } else if any(|says| says.own_fault) {
            State::Fault
        } else if all(|says| says.state == State::Master || (says.state == State::Backup && says.wants_master)) {
            State::Master
        } else {
            State::Backup
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn is(state: State) -> Report {
        Report { state, wants_master: false, own_fault: false }
    }

    const WANTS: Report = Report { state: State::Backup, wants_master: true, own_fault: false };
    const FAULTY: Report = Report { state: State::Fault, wants_master: false, own_fault: true };

    fn group(reports: &[Report]) -> Group {
        let mut group = Group::new("G".into(), reports.len());
        for (number, report) in reports.iter().enumerate() {
            group.reported(number, *report);
        }
        group
    }

    #[test]
    fn at_start_the_group_is_told_before_its_members() {
        let mut group = Group::new("G".into(), 2);
        assert_eq!(group.reported(1, is(State::Backup)), []);
        assert_eq!(group.reported(0, is(State::Backup)), [Order::Entered(State::Backup), Order::Speak(0), Order::Speak(1)]);
        assert_eq!(group.reported(1, Report::SILENT), []);
        assert_eq!(group.reported(1, is(State::Backup)), [Order::Speak(1)], "another generation of the member");
    }

    #[test]
    fn members_of_a_group_that_starts_unfit_hear_of_the_fault_before_they_may_speak() {
        let mut group = Group::new("G".into(), 2);
        group.reported(0, is(State::Backup));
        assert_eq!(group.reported(1, FAULTY), [say(State::Fault), Order::FaultBegan(0), Order::Speak(0), Order::Speak(1)]);
    }

    #[test]
    fn the_last_to_want_it_moves_first() {
        let mut group = group(&[WANTS, is(State::Backup)]);
        assert_eq!(group.reported(1, WANTS), [Order::GoMaster(1), Order::GoMaster(0)]);
    }

    fn say(to: State) -> Order {
        Order::Say(Syncing { group: "G".into(), to })
    }

    #[test]
    fn nobody_is_master_before_all_want_it() {
        let mut group = group(&[is(State::Backup), is(State::Backup)]);
        assert_eq!(group.reported(1, WANTS), []);
        assert_eq!(group.reported(0, WANTS), [Order::GoMaster(0), Order::GoMaster(1)]);
        assert_eq!(group.reported(0, is(State::Master)), [say(State::Master)]);
        assert_eq!(group.reported(1, is(State::Master)), [Order::Entered(State::Master)]);
    }

    #[test]
    fn one_fault_is_everybodys() {
        let mut group = group(&[is(State::Master), is(State::Master), is(State::Master)]);
        assert_eq!(group.reported(1, FAULTY), [say(State::Fault), Order::FaultBegan(0), Order::FaultBegan(2)]);
        group.reported(0, is(State::Fault));
        assert_eq!(group.reported(2, is(State::Fault)), [Order::Entered(State::Fault)]);
        assert_eq!(group.reported(1, is(State::Backup)), [say(State::Backup), Order::FaultEnded(0), Order::FaultEnded(2)]);
    }

    #[test]
    fn two_faults_hold_each_other_until_both_end() {
        let mut group = group(&[is(State::Backup), is(State::Backup)]);
        group.reported(0, FAULTY);
        assert_eq!(group.reported(1, FAULTY), [Order::FaultBegan(0), Order::Entered(State::Fault)]);
        // The first one's own fault ends, but the other's holds it.
        assert_eq!(group.reported(0, is(State::Fault)), [Order::FaultEnded(1)]);
        assert_eq!(group.reported(1, is(State::Backup)), [say(State::Backup), Order::FaultEnded(0)]);
    }

    #[test]
    fn one_that_yields_takes_all_with_it() {
        let mut group = group(&[is(State::Master), is(State::Master), is(State::Master)]);
        assert_eq!(group.reported(2, is(State::Backup)), [say(State::Backup), Order::BackOff(0), Order::BackOff(1)]);
    }

    #[test]
    fn a_hundred_move_in_one_step() {
        let mut reports = vec![WANTS; 99];
        reports.push(is(State::Backup));
        let mut group = group(&reports);
        let orders = group.reported(99, WANTS);
        assert_eq!(orders.iter().filter(|order| matches!(order, Order::GoMaster(_))).count(), 100);
        assert_eq!(group.reported(5, WANTS), [], "told once");
    }

    #[test]
    fn a_member_that_was_rebuilt_is_told_again() {
        let mut group = group(&[is(State::Master), FAULTY]);
        group.reported(0, is(State::Fault));
        assert_eq!(group.reported(0, Report::SILENT), [Order::FaultBegan(0)]);
    }

    #[test]
    fn all_stopped_is_told_once() {
        let mut group = group(&[is(State::Master), is(State::Master)]);
        assert_eq!(group.reported(0, is(State::Stopped)), []);
        assert_eq!(group.reported(1, is(State::Stopped)), [Order::Entered(State::Stopped)]);
    }

    /// A member as simple as can be: it obeys, and the world pushes it about.
    #[derive(Clone, Copy, Debug)]
    struct Simple {
        state: State,
        wants: bool,
        own: bool,
        held: bool,
    }

    impl Simple {
        fn report(self) -> Report {
            Report { state: self.state, wants_master: self.wants && self.state == State::Backup, own_fault: self.own }
        }

        fn settle(&mut self) {
            if self.own || self.held {
                self.state = State::Fault;
                self.wants = false;
            } else if self.state == State::Fault {
                self.state = State::Backup;
            }
        }
    }

    fn push(simple: &mut Simple, what: u8) {
        match what {
            0 => simple.own = true,
            1 => simple.own = false,
            2 if simple.state == State::Backup => simple.wants = true,
            3 if simple.state == State::Master => (simple.state, simple.wants) = (State::Backup, false),
            _ => simple.wants = false,
        }
        simple.settle();
    }

    fn obey(members: &mut [Simple], order: &Order) -> Option<usize> {
        let (number, act): (usize, fn(&mut Simple)) = match order {
            Order::GoMaster(number) => (*number, |simple| {
                if simple.state == State::Backup && simple.wants {
                    simple.state = State::Master;
                }
            }),
            Order::BackOff(number) => (*number, |simple| {
                if simple.state == State::Master {
                    (simple.state, simple.wants) = (State::Backup, false);
                }
            }),
            Order::FaultBegan(number) => (*number, |simple| simple.held = true),
            Order::FaultEnded(number) => (*number, |simple| simple.held = false),
            Order::Say(_) | Order::Entered(_) | Order::Speak(_) => return None,
        };
        let simple = members.get_mut(number)?;
        act(simple);
        simple.settle();
        Some(number)
    }

    proptest! {
        /// Whatever happens to members, once all messages have arrived they are in one state.
        #[test]
        fn members_end_in_one_state(size in 1_usize..6, pushes in proptest::collection::vec((0_usize..6, 0_u8..5), 1..40)) {
            let mut group = Group::new("G".into(), size);
            let mut members = vec![Simple { state: State::Backup, wants: false, own: false, held: false }; size];
            let mut mail: std::collections::VecDeque<(usize, Report)> = members.iter().map(|m| m.report()).enumerate().collect();
            for (who, what) in pushes.into_iter().map(Some).chain([None]).map(|p| p.unwrap_or((usize::MAX, 0))) {
                if let Some(simple) = members.get_mut(who) {
                    push(simple, what);
                    mail.push_back((who, simple.report()));
                }
                while let Some((number, report)) = mail.pop_front() {
                    for order in group.reported(number, report) {
                        if let Some(moved) = obey(&mut members, &order) {
                            mail.push_back((moved, members[moved].report()));
                        }
                    }
                }
                let first = members[0].state;
                prop_assert!(members.iter().all(|member| member.state == first), "{members:?}");
                prop_assert_eq!(members.iter().any(|member| member.own), first == State::Fault);
            }
        }
    }
}
