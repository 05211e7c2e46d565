//! Whether a link counts as up: by the kernel's word or the driver's, and only when that has lasted as long as it should.

use crate::net::mirror::Link;
use crate::sys::{clock, linkbeat};
use crate::types::Instant;
use crate::vrrp::trackers::link::{Damper, LinkSettings, Way};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Between two questions to a driver (so does the original).
const POLL_EVERY: Duration = Duration::from_secs(1);

/// What every watched link counts as.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    settings: LinkSettings,
    /// For questions to drivers; opened when first needed.
    socket: Option<OwnedFd>,
    links: HashMap<Arc<str>, Carrier>,
    next_poll: Option<Instant>,
}

#[derive(Debug)]
struct Carrier {
    damper: Damper,
    /// What the driver last said, of a link that is polled.
    heard: Option<bool>,
}

impl Carriers {
    pub(super) fn new(settings: LinkSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Other settings: what counts already goes on counting.
    pub(super) fn replace(&mut self, settings: LinkSettings) {
        self.settings = settings;
        self.next_poll = None;
        for carrier in self.links.values_mut() {
            carrier.heard = None;
        }
    }

    /// Whether its driver is asked.
    pub(super) fn polls(&self, name: &str) -> bool {
        self.settings.polls(name).is_some()
    }

    /// Nobody watches this one any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.links.remove(name);
    }

    /// Whether it counts as up now. `None`: it is not there.
    pub(super) fn counts_up(&mut self, name: &Arc<str>, link: Option<&Link>) -> bool {
        let Some(link) = link else {
            // One that comes back is another.
            self.links.remove(name);
            return false;
        };
        let polled = self.settings.polls(name);
        let known = self.links.get(name).and_then(|carrier| carrier.heard);
        let heard = polled.and_then(|way| known.or_else(|| self.ask(name, way)));
        let now = clock::now();
        if polled.is_some() {
            self.next_poll.get_or_insert(now + POLL_EVERY);
        }
        let up = link.up && heard.unwrap_or(link.running);
        let carrier = self.links.entry(Arc::clone(name)).or_insert_with(|| Carrier { damper: Damper::new(up), heard: None });
        carrier.heard = heard;
        let pending = carrier.damper.deadline();
        carrier.damper.is(now, up, self.settings.delays_of(name));
        if let (None, Some(due)) = (pending, carrier.damper.deadline()) {
            let word = if up { "up" } else { "down" };
            tracing::info!(interface = %name, "{name}: is {word}, which counts in {:.1} s", due.since(now).as_secs_f64());
        }
        carrier.damper.counts_up()
    }

    /// When to look again, whatever the kernel says.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(|carrier| carrier.damper.deadline()).chain(self.next_poll).min()
    }

    /// Asks the drivers when it is time; which links are to be looked at again.
    pub(super) fn look_again(&mut self) -> Vec<Arc<str>> {
        let now = clock::now();
        let mut names: Vec<Arc<str>> =
            self.links.iter().filter(|(_, carrier)| carrier.damper.deadline().is_some()).map(|(name, _)| Arc::clone(name)).collect();
        if self.next_poll.is_some_and(|due| due <= now) {
            self.next_poll = None;
            let polled: Vec<Arc<str>> = self.links.keys().filter(|name| self.settings.polls(name).is_some()).cloned().collect();
            for name in &polled {
                let heard = self.settings.polls(name).and_then(|way| self.ask(name, way));
                if let Some(carrier) = self.links.get_mut(name) {
                    carrier.heard = heard;
                }
            }
            self.next_poll = (!polled.is_empty()).then(|| now + POLL_EVERY);
            names.extend(polled);
        }
        names
    }

    /// `None`: the driver does not say, and the kernel's word counts.
    fn ask(&mut self, name: &str, way: Option<Way>) -> Option<bool> {
        if self.socket.is_none() {
            self.socket = linkbeat::socket().ok();
        }
        let socket = self.socket.as_ref()?;
        let one = |way| -> io::Result<bool> {
            match way {
                Way::Mii => linkbeat::mii(socket, name),
                Way::Ethtool => linkbeat::ethtool(socket, name),
                Way::Ioctl => linkbeat::flags(socket, name),
            }
        };
        match way {
            Some(way) => one(way).ok(),
            None => Way::ALL.into_iter().find_map(|way| one(way).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::mirror::Addresses;
    use crate::vrrp::trackers::link::{LinkDelays, Polled};

    fn link(up: bool, running: bool) -> Link {
        let (mac, kind, addresses) = (None, None, Addresses::default());
        Link {
            index: 1,
            name: "eth0".into(),
            mac,
            up,
            running,
            arp: true,
            loopback: false,
            mtu: 1500,
            kind,
            parent: None,
            macvlan: None,
            addresses,
        }
    }

    #[test]
    fn a_link_counts_as_the_kernel_says_unless_told_otherwise() {
        let mut carriers = Carriers::new(LinkSettings::default());
        let name: Arc<str> = "eth0".into();
        assert!(carriers.counts_up(&name, Some(&link(true, true))));
        assert!(!carriers.counts_up(&name, Some(&link(true, false))));
        assert_eq!(carriers.deadline(), None);
    }

    #[test]
    fn one_with_delays_waits_and_one_that_goes_away_does_not() {
        let hour = Duration::from_secs(3600);
        let delays = vec![LinkDelays { interface: "eth0".into(), down: hour, up: hour }];
        let mut carriers = Carriers::new(LinkSettings { delays, ..LinkSettings::default() });
        let name: Arc<str> = "eth0".into();
        assert!(carriers.counts_up(&name, Some(&link(true, true))));
        assert!(carriers.counts_up(&name, Some(&link(true, false))));
        assert!(carriers.deadline().is_some());
        assert_eq!(carriers.look_again(), [Arc::clone(&name)]);
        assert!(!carriers.counts_up(&name, None));
        assert!(!carriers.counts_up(&name, Some(&link(true, false))), "another link of that name");
    }

    #[test]
    fn a_polled_link_is_as_its_driver_says() {
        let polled = vec![Polled { interface: "lo".into(), way: Some(Way::Ethtool) }];
        let mut carriers = Carriers::new(LinkSettings { polled, ..LinkSettings::default() });
        let name: Arc<str> = "lo".into();
        let says = linkbeat::ethtool(&linkbeat::socket().unwrap(), "lo").unwrap();
        assert_eq!(carriers.counts_up(&name, Some(&link(true, !says))), says);
        assert!(!carriers.counts_up(&name, Some(&link(false, false))), "switched off is off");
        assert!(carriers.deadline().is_some(), "it is asked again");
    }
}
