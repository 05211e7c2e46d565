//! Links that flap: how long one must be down or up before it counts (keepalived.conf(5), `interface_up_down_delays`), and
//! links whose driver does not tell (`linkbeat_interfaces`).

use crate::types::Instant;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is said of interfaces beside their instances.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LinkSettings {
    /// `interface_up_down_delays`.
    pub delays: Vec<LinkDelays>,
    /// `linkbeat_use_polling`: every interface is polled.
    pub poll_all: bool,
    /// `linkbeat_interfaces`: these are.
    pub polled: Vec<Polled>,
}

/// One line of `interface_up_down_delays`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkDelays {
    /// The interface.
    pub interface: String,
    /// How long it must be down.
    pub down: Duration,
    /// How long it must be up again.
    pub up: Duration,
}

/// One line of `linkbeat_interfaces`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Polled {
    /// The interface.
    pub interface: String,
    /// How; `None`: the first of them that the driver answers.
    pub way: Option<Way>,
}

/// How a driver is asked for its carrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Way {
    /// The transceiver's status register.
    Mii,
    /// ETHTOOL_GLINK.
    Ethtool,
    /// The interface's flags.
    Ioctl,
}

impl Way {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Mii, Self::Ethtool, Self::Ioctl];

    /// The word in a configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mii => "MII",
            Self::Ethtool => "ETHTOOL",
            Self::Ioctl => "IOCTL",
        }
    }
}

impl LinkSettings {
    /// The delays of an interface, down and up; none for most.
    pub fn delays_of(&self, interface: &str) -> Option<&LinkDelays> {
        self.delays.iter().find(|delays| delays.interface == interface)
    }

    /// Whether an interface is polled, and how.
    pub fn polls(&self, interface: &str) -> Option<Option<Way>> {
        let named = self.polled.iter().find(|polled| polled.interface == interface).map(|polled| polled.way);
        named.or_else(|| self.poll_all.then_some(None))
    }
}

/// A link between what it is and what it counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damper {
    counts_up: bool,
    /// It has been the opposite since the first, and will count so at the second.
    pending: Option<(Instant, Instant)>,
}

impl Damper {
    /// What is found at first counts at once.
    pub const fn new(up: bool) -> Self {
        Self { counts_up: up, pending: None }
    }

    /// It is up or down now. A change counts when it has lasted.
    pub fn is(&mut self, now: Instant, up: bool, delays: Option<&LinkDelays>) {
        if up == self.counts_up {
            self.pending = None;
            return;
        }
        let delay = delays.map_or(Duration::ZERO, |delays| if up { delays.up } else { delays.down });
        let since = self.pending.map_or(now, |(since, _)| since);
        if since + delay <= now {
            *self = Self::new(up);
        } else {
            self.pending = Some((since, since + delay));
        }
    }

    /// Whether it counts as up.
    pub const fn counts_up(&self) -> bool {
        self.counts_up
    }

    /// When it is to be looked at again.
    pub fn deadline(&self) -> Option<Instant> {
        self.pending.map(|(_, due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn delays(down: u64, up: u64) -> LinkDelays {
        LinkDelays { interface: "eth0".into(), down: Duration::from_millis(down), up: Duration::from_millis(up) }
    }

    #[test]
    fn a_change_counts_when_it_has_lasted() {
        let delays = delays(1500, 1000);
        let mut link = Damper::new(true);
        link.is(at(0), false, Some(&delays));
        assert_eq!((link.counts_up(), link.deadline()), (true, Some(at(1500))));
        link.is(at(1500), false, Some(&delays));
        assert_eq!((link.counts_up(), link.deadline()), (false, None));
        link.is(at(2000), true, Some(&delays));
        assert_eq!((link.counts_up(), link.deadline()), (false, Some(at(3000))));
        link.is(at(3000), true, Some(&delays));
        assert!(link.counts_up());
    }

    #[test]
    fn a_short_one_never_does() {
        let delays = delays(1500, 1000);
        let mut link = Damper::new(true);
        link.is(at(0), false, Some(&delays));
        link.is(at(1499), true, Some(&delays));
        assert_eq!((link.counts_up(), link.deadline()), (true, None));
        link.is(at(1600), false, Some(&delays));
        assert_eq!(link.deadline(), Some(at(3100)), "the next one begins anew");
    }

    #[test]
    fn other_delays_hold_for_a_change_that_waits() {
        let mut link = Damper::new(true);
        link.is(at(0), false, Some(&delays(9000, 0)));
        link.is(at(500), false, Some(&delays(1000, 0)));
        assert_eq!(link.deadline(), Some(at(1000)));
        link.is(at(600), false, None);
        assert!(!link.counts_up());
    }

    #[test]
    fn without_delays_it_counts_at_once() {
        let mut link = Damper::new(true);
        link.is(at(0), false, None);
        assert!(!link.counts_up());
    }

    #[test]
    fn those_that_are_named_are_polled_their_way_and_all_when_all_are() {
        let polled = vec![Polled { interface: "eth0".into(), way: Some(Way::Mii) }];
        let some = LinkSettings { polled: polled.clone(), ..LinkSettings::default() };
        assert_eq!((some.polls("eth0"), some.polls("eth1")), (Some(Some(Way::Mii)), None));
        let all = LinkSettings { polled, poll_all: true, ..LinkSettings::default() };
        assert_eq!((all.polls("eth0"), all.polls("eth1")), (Some(Some(Way::Mii)), Some(None)));
    }

    proptest! {
        /// What it counts as is what it has been for as long as the delay says, and nothing else.
        #[test]
        fn it_counts_as_what_has_lasted(down in 0_u64..50, up in 0_u64..50, steps in proptest::collection::vec((0_u64..40, any::<bool>()), 1..60)) {
            let delays = delays(down, up);
            let (mut link, mut now, mut actual, mut since) = (Damper::new(true), 0, true, 0);
            for (wait, next) in steps {
                let end = now + wait;
                // As its owner does: at each deadline it is looked at again.
                while let Some(due) = link.deadline().filter(|due| *due <= at(end)) {
                    link.is(due, actual, Some(&delays));
                }
                now = end;
                let before = link.counts_up();
                if next != actual {
                    (actual, since) = (next, now);
                }
                link.is(at(now), actual, Some(&delays));
                let lasted = now - since >= if actual { up } else { down };
                prop_assert_eq!(link.counts_up() == actual, lasted || before == actual);
            }
        }
    }
}
