use super::*;
use crate::vrrp::event::Advert;
use crate::vrrp::settings::Preempt;
use crate::vrrp::testing;

mod backup;
mod master;

const SECOND: Duration = Duration::from_secs(1);
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// An instance, its clock, and the orders of the last event.
struct Bench {
    instance: Instance,
    now: Instant,
    out: Vec<Action>,
}

impl Bench {
    fn new(bend: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = testing::settings();
        bend(&mut settings);
        Self { instance: Instance::new(Arc::new(settings)), now: START, out: Vec::new() }
    }

    /// Started without faults, waiting as a backup.
    fn started(bend: impl FnOnce(&mut Settings)) -> Self {
        let mut bench = Self::new(bend);
        bench.start(None);
        bench
    }

    /// Waited until it became master.
    fn master(bend: impl FnOnce(&mut Settings)) -> Self {
        let mut bench = Self::started(bend);
        bench.wait();
        assert_eq!(bench.instance.state(), State::Master);
        bench
    }

    fn start(&mut self, resume: Option<Snapshot>) {
        let priority = self.instance.settings().priority;
        let source = Some("192.0.2.9".parse().unwrap());
        self.event(Event::Started { faults: BTreeSet::new(), priority, source, resume, not_before: None });
    }

    fn event(&mut self, event: Event) {
        self.out.clear();
        self.instance.handle(self.now, event, &mut self.out);
    }

    /// Lets the clock run to the deadline.
    fn wait(&mut self) {
        self.now = self.instance.deadline().expect("a deadline");
        self.event(Event::DeadlineReached);
    }

    fn after(&mut self, span: Duration, event: Event) {
        self.now = self.now + span;
        self.event(event);
    }

    fn hear(&mut self, priority: u8) {
        self.hear_from("192.0.2.1", priority);
    }

    fn hear_from(&mut self, from: &str, priority: u8) {
        let interval = self.instance.settings().advert_interval;
        self.event(Event::AdvertReceived(Advert { source: from.parse().unwrap(), priority, interval }));
    }

    fn cause(&self) -> Option<Cause> {
        self.out.iter().find_map(|action| match action {
            Action::Entered(transition) => Some(transition.cause.clone()),
            _ => None,
        })
    }

    fn sent(&self) -> Vec<u8> {
        let sent = |action: &Action| if let Action::SendAdvert { priority } = action { Some(*priority) } else { None };
        self.out.iter().filter_map(sent).collect()
    }

    fn time_left(&self) -> Duration {
        self.instance.deadline().expect("a deadline").since(self.now)
    }
}

fn fault(name: &str) -> Fault {
    Fault::InterfaceDown(name.to_owned())
}

const WAIT_100: Duration = Duration::from_nanos(3_609_375_000);
const SKEW_100: Duration = Duration::from_nanos(609_375_000);

#[test]
fn a_spurious_deadline_does_nothing() {
    let mut bench = Bench::started(|_| {});
    bench.after(SECOND, Event::DeadlineReached);
    assert!(bench.out.is_empty());
    let mut bench = Bench::master(|_| {});
    bench.event(Event::DeadlineReached);
    assert!(bench.out.is_empty());
}

#[test]
fn a_stopping_backup_sends_nothing() {
    let mut bench = Bench::started(|_| {});
    bench.event(Event::StopRequested);
    assert!(bench.sent().is_empty());
}

#[test]
fn fault_ends_with_the_last_cause_and_then_the_wait_is_whole() {
    let mut bench = Bench::master(|_| {});
    bench.event(Event::FaultBegan(fault("eth0")));
    assert_eq!((bench.sent(), bench.instance.state()), (vec![0], State::Fault));
    bench.event(Event::FaultBegan(fault("eth1")));
    bench.event(Event::FaultEnded(fault("eth0")));
    assert_eq!((bench.instance.state(), bench.instance.deadline()), (State::Fault, None));
    bench.hear(1);
    assert!(bench.out.is_empty());
    bench.event(Event::FaultEnded(fault("eth1")));
    assert_eq!((bench.cause(), bench.time_left()), (Some(Cause::FaultsEnded), WAIT_100));
}

#[test]
fn an_owner_leaves_fault_as_master() {
    let mut bench = Bench::started(|settings| (settings.priority, settings.wanted) = (Priority::OWNER, WantedState::Master));
    bench.event(Event::FaultBegan(fault("eth0")));
    bench.event(Event::FaultEnded(fault("eth0")));
    assert_eq!(bench.instance.state(), State::Master);
}

#[test]
fn a_fault_that_never_began_ends_without_effect() {
    let mut bench = Bench::master(|_| {});
    bench.event(Event::FaultEnded(fault("eth0")));
    assert!(bench.out.is_empty());
    bench.event(Event::FaultBegan(fault("eth0")));
    bench.event(Event::FaultEnded(fault("eth7")));
    assert!(bench.out.is_empty());
    assert_eq!(bench.instance.state(), State::Fault);
}

fn snapshot_of(bench: &Bench) -> Snapshot {
    bench.instance.snapshot(&Stats::default(), 0.0)
}

#[test]
fn a_replaced_master_is_master_again_at_once() {
    let snapshot = snapshot_of(&Bench::master(|_| {}));
    let mut bench = Bench::new(|_| {});
    bench.start(Some(snapshot));
    assert_eq!((bench.cause(), bench.sent()), (Some(Cause::Resumed), vec![100]));
    assert!(bench.out.contains(&Action::InstallAddresses) && !bench.out.contains(&Action::RemoveAddresses));
}

#[test]
fn a_replaced_backup_knows_its_master_and_waits_afresh() {
    let mut before = Bench::started(|settings| settings.version = Version::V3);
    let interval = CentiSecs::new(20).unwrap();
    before.event(Event::AdvertReceived(Advert { source: "192.0.2.1".parse().unwrap(), priority: 200, interval }));
    let mut bench = Bench::new(|settings| settings.version = Version::V3);
    bench.start(Some(snapshot_of(&before)));
    assert_eq!(bench.cause(), Some(Cause::Resumed));
    assert_eq!((bench.instance.master(), bench.instance.master_interval()), (before.instance.master(), interval));
    assert_eq!(bench.time_left(), bench.instance.master_down_interval());
}

#[test]
fn a_replaced_master_with_a_fault_resigns_and_removes() {
    let resume = Some(snapshot_of(&Bench::master(|_| {})));
    let mut bench = Bench::new(|_| {});
    let (faults, priority) = (BTreeSet::from([fault("eth0")]), Priority::DEFAULT);
    bench.event(Event::Started { faults, priority, source: None, resume, not_before: None });
    assert!(matches!(bench.out[..], [Action::SendAdvert { priority: 0 }, Action::RemoveAddresses, Action::Entered(_)]));
}

#[test]
fn a_new_priority_moves_a_backups_wait_by_the_difference_of_skew_and_a_masters_next_advert_says_it() {
    let mut bench = Bench::started(|_| {});
    let before = bench.instance.deadline().unwrap();
    bench.after(SECOND, Event::PriorityChanged(Priority::new(200).unwrap()));
    assert_eq!(before.since(bench.instance.deadline().unwrap()), SECOND * 100 / 256);
    let mut bench = Bench::master(|_| {});
    bench.event(Event::PriorityChanged(Priority::new(70).unwrap()));
    assert!(bench.sent().is_empty());
    bench.wait();
    assert_eq!(bench.sent(), [70]);
}

fn replaced(bench: &Bench, bend: impl FnOnce(&mut Settings)) -> Event {
    let mut settings = Settings::clone(bench.instance.settings());
    bend(&mut settings);
    Event::SettingsReplaced(Arc::new(settings))
}

#[test]
fn a_reload_without_a_change_of_timing_changes_no_deadline_and_no_state() {
    for mut bench in [Bench::started(|_| {}), Bench::master(|_| {})] {
        let (state, deadline) = (bench.instance.state(), bench.instance.deadline());
        let event = replaced(&bench, |settings| settings.addresses.push(testing::virtual_address("10.0.0.2")));
        bench.after(SECOND / 2, event);
        assert!(bench.out.is_empty());
        assert_eq!((bench.instance.state(), bench.instance.deadline()), (state, deadline));
    }
}

#[test]
fn a_reloaded_interval_counts_from_the_last_advert() {
    let mut bench = Bench::master(|_| {});
    let entered = bench.now;
    let event = replaced(&bench, |settings| settings.advert_interval = CentiSecs::new(300).unwrap());
    bench.after(SECOND / 2, event);
    assert_eq!(bench.instance.deadline(), Some(entered + SECOND * 3));
    let event = replaced(&bench, |settings| settings.advert_interval = CentiSecs::new(10).unwrap());
    bench.event(event);
    assert_eq!(bench.time_left(), Duration::ZERO);
}

#[test]
fn a_reloaded_base_priority_keeps_the_trackers_sum() {
    let mut bench = Bench::started(|_| {});
    bench.event(Event::PriorityChanged(Priority::new(70).unwrap()));
    let event = replaced(&bench, |settings| settings.priority = Priority::new(150).unwrap());
    bench.event(event);
    assert_eq!(bench.instance.priority().get(), 120);
}

#[test]
fn a_tie_is_decided_by_the_address_we_have_now() {
    let mut bench = Bench::master(|_| {});
    bench.event(Event::SourceChanged("192.0.2.200".parse().unwrap()));
    bench.hear_from("192.0.2.10", 100);
    assert_eq!(bench.instance.state(), State::Master);
}
