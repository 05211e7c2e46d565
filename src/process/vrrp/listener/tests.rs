//! The listener alone, beside a mirror that the test changes: nobody takes their messages, so that they can be counted.

use super::*;
use crate::net::lab::{self, NEAR, until};
use crate::net::mirror::Mirror;
use crate::process::vrrp::instance::{InstanceArguments, Living};
use crate::vrrp::testing;

fn watch(source: &str) -> Watch {
    Watch {
        interfaces: vec![NEAR.into()],
        addresses: Vec::new(),
        source: Some(source.parse().unwrap()),
        destinations: Vec::new(),
        priorities: Vec::new(),
    }
}

fn enter(shared: &Arc<Shared>, number: u32) -> InstanceId {
    let settings = Arc::new(testing::settings());
    let id = InstanceId(number);
    let arguments = InstanceArguments { id, settings, shared: Arc::clone(shared), resume: None, not_before: None };
    shared.instances.enter(number, Box::new(Living::new(arguments)));
    id
}

/// A link that changes while a start's thousands of instances still ask for their first word.
#[test]
fn what_a_newcomer_sees_changed_the_others_are_told_too() {
    lab::run(|lab| async move {
        let shared = Arc::new(Shared::new().unwrap());
        let (first, second) = (enter(&shared, 0), enter(&shared, 1));
        let links = LinkSettings::default();
        let arguments = ListenerArguments { shared: Arc::clone(&shared), buffer: None, monitoring: false, links };
        let (listener, ended) = Actor::spawn(None, Listener, arguments).await.unwrap();
        listener.cast(ListenerMsg::Watch { id: first, watch: watch("127.0.0.1") }).unwrap();
        until("the first is told of its link and its source", || shared.instances.waiting(0) == 2).await;
        // The mirror has the kernel's word already; the message about it is behind the newcomer's.
        shared.mirror().replace(Mirror::default());
        listener.cast(ListenerMsg::Watch { id: second, watch: watch("127.0.0.1") }).unwrap();
        let gone = Change::LinkGone { index: lab.near, name: NEAR.to_owned() };
        listener.cast(ListenerMsg::Changed(Ok(vec![gone]))).unwrap();
        until("the second is told", || shared.instances.waiting(1) == 2).await;
        until("and the first that both are gone", || shared.instances.waiting(0) == 4).await;
        listener.stop(None);
        ended.await.unwrap();
    });
}
