//! What the prober knows of its host: which addresses are here, and whether it gets time enough.

use crate::types::Instant;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

/// How late checks begin because this process gets too little time.
#[derive(Default)]
pub(super) struct Lateness {
    told: Option<Instant>,
}

impl Lateness {
    pub(super) fn note(&mut self, now: Instant, due: Instant) {
        let late = now.since(due);
        if late >= LATE && self.told.is_none_or(|told| now.since(told) >= TELL_AGAIN) {
            self.told = Some(now);
            tracing::warn!("Checks begin {} ms late: this machine, or this process, is overloaded", late.as_millis());
        }
    }
}

/// From here on lateness is worth a line,
const LATE: Duration = Duration::from_secs(1);
/// at most so often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// How old a look at this host's addresses may be.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The addresses of this host, as they were a moment ago.
#[derive(Debug, Default)]
pub(super) struct Here {
    addresses: HashSet<IpAddr>,
    looked: Option<Instant>,
}

impl Here {
    /// Whether one of these is here; of none it always is.
    pub(super) fn has_one(&mut self, now: Instant, wanted: &[IpAddr]) -> bool {
        if wanted.is_empty() {
            return true;
        }
        if self.looked.is_none_or(|looked| now.since(looked) >= LOOK_AGAIN / 2) {
            self.looked = Some(now);
            match addresses() {
                Ok(addresses) => self.addresses = addresses,
                // Who cannot look checks: a needless check does no harm.
                Err(error) => {
                    tracing::debug!("cannot read the addresses of this host: {error}");
                    self.addresses = wanted.iter().copied().collect();
                }
            }
        }
        wanted.iter().any(|address| self.addresses.contains(address))
    }
}

fn addresses() -> nix::Result<HashSet<IpAddr>> {
    let found = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(found.collect())
}
