//! Where the instances act: one task for all of them, each an actor of its own (`actor::Troupe`).

use super::messages::{InstanceId, RootMsg, StageMsg};
use super::shared::Shared;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;

pub(super) struct Stage;

impl Actor for Stage {
    type Msg = StageMsg;
    type State = Arc<Shared>;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, shared: Self::Arguments) -> Result<Self::State, ActorProcessingErr> {
        myself.cast(StageMsg::Perform)?;
        Ok(shared)
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, shared: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            StageMsg::Perform => {
                shared.instances.perform(|id, why| shared.root.cast(RootMsg::InstanceFailed { id: InstanceId(id), why })).await;
            }
        }
        Ok(())
    }
}
