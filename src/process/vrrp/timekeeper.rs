//! Wakes the instances whose deadline has come.

use super::messages::{InstanceMsg, TimekeeperMsg};
use super::shared::Shared;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;

/// So many instances are woken before the others get their turn: when thousands take over at once, the addresses and the
/// announcements of the first do not wait for the adverts of the last.
const PORTION: usize = 16;

pub(super) struct Timekeeper;

pub(super) struct Watching {
    shared: Arc<Shared>,
    due: Vec<super::messages::InstanceId>,
}

impl Actor for Timekeeper {
    type Msg = TimekeeperMsg;
    type State = Watching;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, shared: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(TimekeeperMsg::Watch)?;
        Ok(Watching { shared, due: Vec::new() })
    }

    /// Never comes back from watching: a takeover is to wait for no message more than it must.
    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            TimekeeperMsg::Watch => {
                let timer = state.shared.deadlines.timer();
                loop {
                    // first of all whatever came due while nobody watched
                    while state.wake() {
                        tokio::task::yield_now().await;
                    }
                    timer.fired().await?;
                }
            }
        }
    }
}

impl Watching {
    /// Whether there are more.
    fn wake(&mut self) -> bool {
        #[cfg(test)]
        if self.shared.timekeeper_fails.swap(false, std::sync::atomic::Ordering::Relaxed) {
            std::panic::panic_any("asked to");
        }
        let more = self.shared.deadlines.due(PORTION, &mut self.due);
        let any = !self.due.is_empty();
        for id in self.due.drain(..) {
            self.shared.tell(id, InstanceMsg::Deadline);
        }
        if any {
            self.shared.show_life();
        }
        more
    }
}
