//! A multicast segment that loses, delays, doubles, damages and splits.

use crate::sim::random::Random;
use crate::types::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

/// Number of a router in its world.
pub type RouterId = usize;

/// How the segment behaves now. Chances are in a thousand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weather {
    /// Datagrams lost, each receiver on its own.
    pub loss: u16,
    /// Datagrams that arrive twice.
    pub duplicates: u16,
    /// Datagrams with one bit flipped.
    pub damage: u16,
    /// Least time on the way.
    pub least_delay: Duration,
    /// Most time on the way; later ones may overtake.
    pub most_delay: Duration,
}

impl Weather {
    /// Nothing is lost; the way takes up to `delay`.
    pub const fn fair(delay: Duration) -> Self {
        Self { loss: 0, duplicates: 0, damage: 0, least_delay: Duration::ZERO, most_delay: delay }
    }
}

/// A datagram on its way, ordered by arrival.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Packet {
    /// When it arrives.
    pub at: Instant,
    /// Breaks ties in the order of sending.
    serial: u64,
    /// Who sent it.
    pub from: RouterId,
    /// Whom it reaches.
    pub to: RouterId,
    /// Whether a bit of it was flipped.
    pub damaged: bool,
    /// What follows the IP header.
    pub bytes: Rc<[u8]>,
}

/// The segment.
#[derive(Clone, Debug)]
pub struct Network {
    /// How it behaves.
    pub weather: Weather,
    /// Side of each router: only routers of one side hear each other.
    pub sides: Vec<u8>,
    in_flight: BinaryHeap<Reverse<Packet>>,
    serial: u64,
}

impl Network {
    /// An empty segment.
    pub const fn new(weather: Weather) -> Self {
        Self { weather, sides: Vec::new(), in_flight: BinaryHeap::new(), serial: 0 }
    }

    /// Whether two routers are on one side.
    pub fn connects(&self, one: RouterId, other: RouterId) -> bool {
        self.sides.get(one) == self.sides.get(other)
    }

    /// Sends to everybody else on the sender's side.
    pub fn multicast(&mut self, now: Instant, from: RouterId, bytes: &Rc<[u8]>, random: &mut Random) {
        for to in 0..self.sides.len() {
            if to == from || !self.connects(from, to) || random.permille(self.weather.loss) {
                continue;
            }
            self.launch(now, from, to, bytes, random);
            if random.permille(self.weather.duplicates) {
                self.launch(now, from, to, bytes, random);
            }
        }
    }

    fn launch(&mut self, now: Instant, from: RouterId, to: RouterId, bytes: &Rc<[u8]>, random: &mut Random) {
        let mut bytes = Rc::clone(bytes);
        let damaged = random.permille(self.weather.damage);
        if damaged {
            let bit = usize::try_from(random.below(bytes.len() as u64 * 8)).unwrap_or(0);
            let mut flipped = bytes.to_vec();
            if let Some(byte) = flipped.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            bytes = flipped.into();
        }
        let at = now + random.span(self.weather.least_delay, self.weather.most_delay);
        self.serial += 1;
        self.in_flight.push(Reverse(Packet { at, serial: self.serial, from, to, damaged, bytes }));
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(packet)| packet.at)
    }

    /// Takes the next datagram that has arrived by `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<Packet> {
        if self.next_arrival()? > now {
            return None;
        }
        self.in_flight.pop().map(|Reverse(packet)| packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(weather: Weather) -> Network {
        let mut network = Network::new(weather);
        network.sides = vec![0, 0, 1];
        network
    }

    #[test]
    fn only_the_senders_side_hears() {
        let mut network = network(Weather::fair(Duration::ZERO));
        network.multicast(Instant::from_nanos(5), 0, &Rc::from([1, 2]), &mut Random::new(1));
        assert_eq!(network.arrived(Instant::from_nanos(5)).map(|packet| packet.to), Some(1));
        assert_eq!(network.arrived(Instant::from_nanos(5)), None);
    }

    #[test]
    fn damage_is_one_bit() {
        let mut network = network(Weather { damage: 1000, ..Weather::fair(Duration::ZERO) });
        network.multicast(Instant::from_nanos(0), 0, &Rc::from([0; 20]), &mut Random::new(1));
        let packet = network.arrived(Instant::from_nanos(0)).unwrap();
        assert_eq!(packet.bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }
}
