//! Many small actors in one task. A ractor actor costs 6.5 kB and a message to it two allocations, which is nothing for one
//! of a kind and too much for thousands of a kind; this is what is left of an actor when it must cost hundreds of bytes:
//! state of its own, one message at a time in the order in which they were sent, and a panic that ends it alone and is told.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages handled before the other tasks of the process get a turn: a few tenths of a millisecond.
const TURN: usize = 32;

/// Room for so many messages is kept; what a burst needed beyond is given back.
const KEPT: usize = 512;

/// An actor of a troupe.
pub trait Part: Send + 'static {
    /// What it can be told.
    type Message: Send + 'static;

    /// Handles one message; it never waits.
    fn handle(&mut self, message: Self::Message) -> Then;
}

/// Whether a part goes on after a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// It waits for the next one.
    GoesOn,
    /// It is over: it is dropped, and what was sent to it is too.
    Ends,
}

/// A table by small numbers of our own, which nobody chooses to collide.
pub type ByNumber<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// Spreads a number over a word.
#[derive(Clone, Copy, Default, Debug)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 over the golden ratio (Knuth's multiplicative hashing)
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// The parts, by number, and what they were told and have not heard yet.
pub struct Troupe<P: Part> {
    inner: Mutex<Inner<P>>,
    mail: Notify,
}

struct Inner<P: Part> {
    /// Empty while it handles a message.
    parts: ByNumber<u32, Option<Box<P>>>,
    mail: VecDeque<(u32, P::Message)>,
}

impl<P: Part> Default for Troupe<P> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { parts: ByNumber::default(), mail: VecDeque::new() }), mail: Notify::new() }
    }
}

impl<P: Part> Troupe<P> {
    /// Never held while a part acts.
    fn lock(&self) -> MutexGuard<'_, Inner<P>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part enters, instead of one of this number that failed.
    pub fn enter(&self, number: u32, part: Box<P>) {
        self.lock().parts.insert(number, Some(part));
    }

    /// Whether there is such a part.
    pub fn has(&self, number: u32) -> bool {
        self.lock().parts.contains_key(&number)
    }

    /// Tells a part; what is said to one that is not there is lost.
    pub fn tell(&self, number: u32, message: P::Message) {
        let mut inner = self.lock();
        if inner.parts.contains_key(&number) {
            inner.mail.push_back((number, message));
            if inner.mail.len() == 1 {
                self.mail.notify_one();
            }
        }
    }

    /// Tells all of them.
    pub fn tell_all(&self, message: impl Fn() -> P::Message) {
        let numbers: Vec<u32> = self.lock().parts.keys().copied().collect();
        for number in numbers {
            self.tell(number, message());
        }
    }

    /// Whether nobody waits to be heard.
    pub fn is_quiet(&self) -> bool {
        self.lock().mail.is_empty()
    }

    /// How many messages wait for this part.
    #[cfg(test)]
    pub(crate) fn waiting(&self, number: u32) -> usize {
        self.lock().mail.iter().filter(|(to, _)| *to == number).count()
    }

    /// Lets the parts act, for ever. Cancel safe: the messages stay. `failed` hears the number of a part that panicked and the
    /// panic's text; its state is gone, and so is what it is told before a part enters in its place.
    pub async fn perform(&self, failed: impl Fn(u32, String)) {
        loop {
            while self.turn(&failed) {
                tokio::task::yield_now().await;
            }
            self.mail.notified().await;
        }
    }

    /// Some messages; whether more wait.
    fn turn(&self, failed: &impl Fn(u32, String)) -> bool {
        for _ in 0..TURN {
            let Some((number, mut part, message)) = self.next() else { return false };
            match catch_unwind(AssertUnwindSafe(|| part.handle(message))) {
                Ok(Then::GoesOn) => {
                    if let Some(place) = self.lock().parts.get_mut(&number) {
                        *place = Some(part);
                    }
                }
                Ok(Then::Ends) => {
                    self.lock().parts.remove(&number);
                }
                Err(panic) => {
                    self.lock().parts.remove(&number);
                    failed(number, text_of(&*panic));
                }
            }
        }
        !self.is_quiet()
    }

    /// The next message to somebody who is there.
    fn next(&self) -> Option<(u32, Box<P>, P::Message)> {
        let mut inner = self.lock();
        while let Some((number, message)) = inner.mail.pop_front() {
            if let Some(part) = inner.parts.get_mut(&number).and_then(Option::take) {
                return Some((number, part, message));
            }
        }
        if inner.mail.capacity() > KEPT {
            inner.mail.shrink_to(KEPT);
        }
        None
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    struct Adder {
        sum: u32,
        out: mpsc::UnboundedSender<u32>,
    }

    impl Part for Adder {
        type Message = u32;

        fn handle(&mut self, message: u32) -> Then {
            assert_ne!(message, 13, "unlucky");
            self.sum += message;
            let _ = self.out.send(self.sum);
            if message == 99 { Then::Ends } else { Then::GoesOn }
        }
    }

    fn with_two(test: impl AsyncFnOnce(Arc<Troupe<Adder>>, mpsc::UnboundedReceiver<u32>, mpsc::UnboundedReceiver<(u32, String)>)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (out, sums) = mpsc::unbounded_channel();
            let (failed, failures) = mpsc::unbounded_channel();
            let troupe = Arc::new(Troupe::default());
            for number in 0..2 {
                troupe.enter(number, Box::new(Adder { sum: 0, out: out.clone() }));
            }
            let playing = Arc::clone(&troupe);
            tokio::spawn(async move { playing.perform(|number, why| drop(failed.send((number, why)))).await });
            test(troupe, sums, failures).await;
        });
    }

    #[test]
    fn messages_are_handled_in_order_one_part_beside_the_other() {
        with_two(async |troupe, mut sums, _| {
            for n in 20..=100 {
                troupe.tell(0, n);
            }
            troupe.tell(1, 7);
            let mut sum = 0;
            // 99 is the part's last word
            for n in 20..=99 {
                sum += n;
                assert_eq!(sums.recv().await, Some(sum));
            }
            assert_eq!(sums.recv().await, Some(7));
            assert!(!troupe.has(0) && troupe.has(1));
        });
    }

    #[test]
    fn a_panic_ends_one_part_and_is_told() {
        with_two(async |troupe, mut sums, mut failures| {
            troupe.tell(0, 13);
            troupe.tell(1, 1);
            let (number, why) = failures.recv().await.unwrap();
            assert!(number == 0 && why.contains("unlucky"), "{why}");
            assert_eq!(sums.recv().await, Some(1));
            assert!(!troupe.has(0) && troupe.has(1));
        });
    }
}
