//! Who outranks whom (RFC 9568 §6.4.2, §6.4.3; RFC 3768 §6.4.2, §6.4.3).

use crate::types::Priority;
use crate::vrrp::event::Advert;
use std::cmp::Ordering;
use std::net::IpAddr;

/// What an advert's sender is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Priority 0: a master that resigns.
    Resigned,
    /// Higher priority.
    Stronger,
    /// Our priority and a higher address: it wins the tie.
    EqualHigherAddress,
    /// Our priority and our own address: somebody took it, or our own advert came back.
    EqualSameAddress,
    /// Our priority and a lower address: we win the tie.
    EqualLowerAddress,
    /// Lower priority.
    Weaker,
}

/// Classifies an advert against our effective priority and source address. Addresses are compared as unsigned numbers in
/// network order; while our own is unknown the sender wins ties.
pub fn weigh(priority: Priority, source: Option<IpAddr>, advert: &Advert) -> Standing {
    if advert.priority == 0 {
        return Standing::Resigned;
    }
    match advert.priority.cmp(&priority.get()) {
        Ordering::Greater => Standing::Stronger,
        Ordering::Less => Standing::Weaker,
        Ordering::Equal => match source.map(|ours| advert.source.cmp(&ours)) {
            None | Some(Ordering::Greater) => Standing::EqualHigherAddress,
            Some(Ordering::Equal) => Standing::EqualSameAddress,
            Some(Ordering::Less) => Standing::EqualLowerAddress,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CentiSecs;

    fn standing(theirs: u8, from: &str) -> Standing {
        let advert = Advert { source: from.parse().unwrap(), priority: theirs, interval: CentiSecs::SECOND };
        weigh(Priority::DEFAULT, Some("192.0.2.9".parse().unwrap()), &advert)
    }

    #[test]
    fn priority_decides_before_address() {
        assert_eq!(standing(101, "192.0.2.1"), Standing::Stronger);
        assert_eq!(standing(99, "192.0.2.200"), Standing::Weaker);
        assert_eq!(standing(0, "192.0.2.200"), Standing::Resigned);
    }

    #[test]
    fn equal_priorities_are_decided_by_the_address_as_a_number() {
        assert_eq!(standing(100, "192.0.2.10"), Standing::EqualHigherAddress);
        assert_eq!(standing(100, "192.0.2.8"), Standing::EqualLowerAddress);
        assert_eq!(standing(100, "192.0.2.9"), Standing::EqualSameAddress);
    }

    #[test]
    fn without_an_address_of_our_own_the_sender_wins_the_tie() {
        let advert = Advert { source: "192.0.2.1".parse().unwrap(), priority: 100, interval: CentiSecs::SECOND };
        assert_eq!(weigh(Priority::DEFAULT, None, &advert), Standing::EqualHigherAddress);
    }
}
