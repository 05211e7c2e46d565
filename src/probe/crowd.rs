//! Thousands of plain TCP conversations in one task. A check costs its socket's system calls and a few hundred bytes: no task,
//! no timer and no registration object of its own.

use super::flow::{Flow, Turn};
use super::{Outcome, Probe};
use crate::check::Failure;
use crate::sys::{clock, socket};
use crate::types::Instant;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Sockets looked at before the other tasks of the process get a turn.
const TURN: usize = 64;
/// Bytes read at once.
const CHUNK: usize = 8192;
/// How long nothing is waited for.
const IDLE: Duration = Duration::from_secs(3600);
/// Deadlines of conversations that are over may stand in the heap up to so many beside twice those that are not.
const STALE: usize = 1024;

/// The conversations, each with what its caller knows it by. All end with it.
#[derive(Debug)]
pub struct Crowd<T> {
    shared: Arc<Shared<T>>,
    carrier: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared<T> {
    /// Readable when some socket is ready.
    ready: AsyncFd<OwnedFd>,
    flows: Mutex<Flows<T>>,
    /// There is a deadline before the one that is waited for.
    sooner: Notify,
}

impl<T: Send + 'static> Crowd<T> {
    /// Must be called inside a tokio runtime. What ended is told, several at a time; none at all means that nothing is carried
    /// any more, and what was under way is lost.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn start(tell: impl Fn(Vec<(T, Outcome)>) + Send + 'static) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let ready = socket::watch(epoll.0.try_clone()?)?;
        let shared = Arc::new(Shared { ready, flows: Mutex::new(Flows::new(epoll)), sooner: Notify::new() });
        let carrier = tokio::spawn(carry(shared.clone(), Tell(tell, PhantomData)));
        Ok(Self { shared, carrier })
    }

    /// Begins a conversation: that of the probe, for HTTP with the URL at that place.
    ///
    /// # Errors
    /// It is over already.
    pub fn begin(&self, tag: T, probe: &Arc<Probe>, url: usize) -> Result<(), Outcome> {
        let failed = |failure: Failure| Outcome::new(Err(failure));
        let talk = probe.talk(url).map_err(failed)?;
        let mut flows = self.shared.lock();
        let flow = Flow::begin(clock::now(), probe, talk).map_err(failed)?;
        if flows.add(tag, flow).map_err(|error| failed(Failure::Local(error.to_string())))? {
            self.shared.sooner.notify_one();
        }
        Ok(())
    }
}

impl<T> Drop for Crowd<T> {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl<T> Shared<T> {
    /// Never held across a wait.
    fn lock(&self) -> MutexGuard<'_, Flows<T>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is told; last of all, that nobody carries any more, also when that is a panic's doing.
struct Tell<T, F: Fn(Vec<(T, Outcome)>)>(F, PhantomData<fn(T)>);

impl<T, F: Fn(Vec<(T, Outcome)>)> Drop for Tell<T, F> {
    fn drop(&mut self) {
        (self.0)(Vec::new());
    }
}

async fn carry<T, F: Fn(Vec<(T, Outcome)>)>(shared: Arc<Shared<T>>, tell: Tell<T, F>) {
    loop {
        let now = clock::now();
        let mut ended = Vec::new();
        let (more, due) = {
            let mut flows = shared.lock();
            (flows.carry(now, &mut ended), flows.awaited())
        };
        if !ended.is_empty() {
            (tell.0)(ended);
        }
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            biased;
            ready = shared.ready.readable() => match ready {
                Ok(mut ready) => ready.clear_ready(),
                Err(error) => {
                    tracing::error!("checks are not carried: {error}");
                    return;
                }
            },
            () = shared.sooner.notified() => {}
            () = tokio::time::sleep(due.map_or(IDLE, |due| due.since(now))) => {}
        }
    }
}

/// A place, and which of its tenants is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    place: u32,
    tenant: u32,
}

impl Key {
    fn word(self) -> u64 {
        u64::from(self.tenant) << 32 | u64::from(self.place)
    }

    fn from_word(word: u64) -> Self {
        let half = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
        Self { place: half(word), tenant: half(word >> 32) }
    }
}

#[derive(Debug)]
struct Place<T> {
    tenant: u32,
    flow: Option<(T, Flow)>,
}

#[derive(Debug)]
struct Flows<T> {
    epoll: Epoll,
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// One for each conversation, never later than it is due; and of some that are over.
    deadlines: BinaryHeap<Reverse<(Instant, Key)>>,
    /// What is waited for.
    awaited: Option<Instant>,
    /// There was more to read than one turn allows.
    hungry: Vec<Key>,
}

impl<T> Flows<T> {
    const fn new(epoll: Epoll) -> Self {
        Self { epoll, places: Vec::new(), free: Vec::new(), deadlines: BinaryHeap::new(), awaited: None, hungry: Vec::new() }
    }

    /// Whether nobody waits for a deadline as early as this one's.
    fn add(&mut self, tag: T, flow: Flow) -> io::Result<bool> {
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(Place { tenant: 0, flow: None });
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let Some(slot) = self.places.get_mut(place as usize) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        slot.tenant = slot.tenant.wrapping_add(1);
        let key = Key { place, tenant: slot.tenant };
        // Once for the whole conversation; the kernel forgets it when the socket is closed.
        let wanted = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if let Err(error) = self.epoll.add(flow.stream(), EpollEvent::new(wanted, key.word())) {
            self.free.push(place);
            return Err(error.into());
        }
        let due = flow.due();
        slot.flow = Some((tag, flow));
        self.deadlines.push(Reverse((due, key)));
        Ok(self.awaited.is_none_or(|awaited| due < awaited))
    }

    fn awaited(&mut self) -> Option<Instant> {
        self.awaited = self.deadlines.peek().map(|Reverse((due, _))| *due);
        self.awaited
    }

    /// Lets those go on whose sockets are ready; then, when all had their turn, ends those whose time is over. Whether there is
    /// more to do now.
    fn carry(&mut self, now: Instant, ended: &mut Vec<(T, Outcome)>) -> bool {
        let mut buffer = [0; CHUNK];
        for key in std::mem::take(&mut self.hungry) {
            self.go_on(now, key, EpollFlags::EPOLLIN, &mut buffer, ended);
        }
        let mut events = [EpollEvent::empty(); TURN];
        let count = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => count,
            Err(Errno::EINTR) => return true,
            Err(error) => {
                tracing::error!("cannot see which checks are answered: {error}");
                0
            }
        };
        for event in events.iter().take(count) {
            self.go_on(now, Key::from_word(event.data()), event.events(), &mut buffer, ended);
        }
        if count == TURN {
            return true;
        }
        // Deadlines come last: whose answer stands in its socket is not late. Those who send without end hold none up.
        self.end_overdue(now, ended);
        !self.hungry.is_empty()
    }

    fn flow(&mut self, key: Key) -> Option<&mut Flow> {
        let place = self.places.get_mut(key.place as usize).filter(|place| place.tenant == key.tenant)?;
        place.flow.as_mut().map(|(_, flow)| flow)
    }

    fn go_on(&mut self, now: Instant, key: Key, ready: EpollFlags, buffer: &mut [u8], ended: &mut Vec<(T, Outcome)>) {
        match self.flow(key).map(|flow| flow.go_on(now, ready, buffer)) {
            None | Some(Turn::Waits) => {}
            Some(Turn::Hungry) => self.hungry.push(key),
            Some(Turn::Over(outcome)) => self.end(key, outcome, ended),
        }
    }

    fn end_overdue(&mut self, now: Instant, ended: &mut Vec<(T, Outcome)>) {
        while let Some(Reverse((_, key))) = self.deadlines.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.deadlines.pop();
            let Some(flow) = self.flow(key) else { continue };
            match flow.overdue(now) {
                Some(outcome) => self.end(key, outcome, ended),
                // It got on since, or we were late ourselves.
                None => {
                    let due = flow.due();
                    self.deadlines.push(Reverse((due, key)));
                }
            }
        }
    }

    fn end(&mut self, key: Key, outcome: Outcome, ended: &mut Vec<(T, Outcome)>) {
        let Some((tag, _)) = self.places.get_mut(key.place as usize).and_then(|place| place.flow.take()) else { return };
        self.free.push(key.place);
        ended.push((tag, outcome));
        let live = self.places.len() - self.free.len();
        if self.deadlines.len() > 2 * live + STALE {
            let places = &self.places;
            let lives = |key: &Key| places.get(key.place as usize).is_some_and(|place| place.tenant == key.tenant && place.flow.is_some());
            self.deadlines.retain(|Reverse((_, key))| lives(key));
        }
    }
}

#[cfg(test)]
impl<T> Crowd<T> {
    /// Places for conversations, taken or free.
    pub(super) fn places(&self) -> usize {
        self.shared.lock().places.len()
    }

    /// Deadlines that are held.
    pub(super) fn deadlines(&self) -> usize {
        self.shared.lock().deadlines.len()
    }
}
