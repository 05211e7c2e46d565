//! The actors on a real kernel, in a network namespace of the test's own: kill any of them, and the master stays master.

use super::messages::{InstanceId, Member, RootMsg, Service};
use super::root::{Root, RootArguments};
use crate::config::model::{VrrpChanges, VrrpConfig};
use crate::ipc::messages::{Dump, FromVrrp, ToVrrp};
use crate::ipc::{Inbox, Outbox, channel};
use crate::net::lab::{self, NEAR, connect, index, output, until};
use crate::net::mirror::{Change, Mirror};
use crate::net::reflector::Reflector;
use crate::process::rooted::Heard;
use crate::types::{CentiSecs, IpPrefix, Priority, Version};
use crate::vrrp::event::State;
use crate::vrrp::settings::{Settings, VirtualAddress};
use crate::vrrp::testing;
use ractor::{Actor, ActorRef};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const VIRTUAL: &str = "192.0.2.100/24";

struct Child {
    root: ActorRef<RootMsg>,
    ended: JoinHandle<()>,
    inbox: Inbox<FromVrrp>,
    _supervisor: Outbox<ToVrrp>,
    _child: Inbox<ToVrrp>,
}

fn settings(name: &str, address: &str) -> Settings {
    let mut settings = testing::settings();
    settings.name = name.to_owned();
    settings.interface = Some(NEAR.to_owned());
    settings.version = Version::V3;
    settings.advert_interval = CentiSecs::new(2).unwrap();
    settings.addresses = vec![virtual_address(address)];
    settings
}

/// `192.0.2.100/24`
fn virtual_address(text: &str) -> VirtualAddress {
    let (address, length) = text.split_once('/').unwrap();
    let mut virtual_address = testing::virtual_address(address);
    virtual_address.prefix = IpPrefix::new(address.parse().unwrap(), length.parse().unwrap()).unwrap();
    virtual_address
}

async fn give_own_address() {
    let own: IpPrefix = IpPrefix::new("192.0.2.1".parse().unwrap(), 24).unwrap();
    connect().address().add(index(NEAR), own.address(), own.length()).execute().await.unwrap();
}

impl Child {
    async fn start(instances: Vec<Settings>, resume: Vec<(String, crate::vrrp::event::Snapshot)>) -> Self {
        Self::start_with(instances, resume, false).await
    }

    async fn start_with(instances: Vec<Settings>, resume: Vec<(String, crate::vrrp::event::Snapshot)>, waits: bool) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (outbox, child) = channel::<FromVrrp, ToVrrp>(theirs).unwrap();
        let (supervisor, inbox) = channel::<ToVrrp, FromVrrp>(ours).unwrap();
        let (root, ended) = Actor::spawn(None, Root, RootArguments { outbox, address_monitoring: false }).await.unwrap();
        let config = VrrpConfig { instances: instances.into_iter().map(Arc::new).collect(), ..VrrpConfig::default() };
        let replaces = !resume.is_empty();
        let child = Self { root, ended, inbox, _supervisor: supervisor, _child: child };
        let (config, known, sessions) = (Box::new(config), Vec::new(), Vec::new());
        child.tell(ToVrrp::Configure { config, resume, known, sessions, replaces, keep_addresses: false, waits });
        child
    }

    fn tell(&self, message: ToVrrp) {
        self.root.cast(RootMsg::Supervisor(Heard::Said(message))).unwrap();
    }

    async fn hear(&mut self) -> FromVrrp {
        tokio::time::timeout(Duration::from_secs(20), self.inbox.next()).await.expect("silent for 20 s").unwrap().expect("gone")
    }

    /// Waits for a state of an instance.
    async fn reaches(&mut self, name: &str, state: State) {
        loop {
            if let FromVrrp::Changed { instance, snapshot } = self.hear().await
                && instance == name
                && snapshot.state == state
            {
                return;
            }
        }
    }

    /// The statistics text; every state that passes by on the way must be MASTER.
    async fn stats(&mut self) -> String {
        self.tell(ToVrrp::Dump(Dump::Stats));
        loop {
            match self.hear().await {
                FromVrrp::Dumped { dump: Dump::Stats, text } => return text,
                FromVrrp::Changed { instance, snapshot } => assert_eq!(snapshot.state, State::Master, "{instance} left MASTER"),
                _ => {}
            }
        }
    }

    async fn adverts_sent(&mut self) -> u64 {
        let text = self.stats().await;
        text.lines().find_map(|line| line.trim().strip_prefix("Sent: ")).unwrap().parse().unwrap()
    }

    async fn goes_on_sending(&mut self) {
        let before = self.adverts_sent().await;
        for _ in 0..1000 {
            if self.adverts_sent().await > before + 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no more adverts");
    }

    async fn stop(mut self) {
        self.tell(ToVrrp::Stop);
        while self.hear().await != FromVrrp::Stopped {}
        self.ended.await.unwrap();
    }
}

fn shows(address: &str) -> bool {
    output(&["ip", "-o", "addr", "show", "dev", NEAR]).contains(address)
}

/// Fails when an address disappeared since the last call.
async fn nothing_was_removed(reflector: &mut Reflector, mirror: &mut Mirror) {
    while let Ok(changes) = tokio::time::timeout(Duration::from_millis(1), reflector.next(mirror)).await {
        for change in changes.unwrap() {
            assert!(!matches!(change, Change::AddressGone { .. }), "{change:?}");
        }
    }
}

#[test]
fn any_actor_may_fail_and_the_master_stays_master() {
    lab::run(|_lab| async {
        give_own_address().await;
        let mut child = Child::start(vec![settings("VI_1", VIRTUAL)], Vec::new()).await;
        child.reaches("VI_1", State::Master).await;
        until("the address is there", || shows(VIRTUAL)).await;
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        let services = Service::ALL.into_iter().map(Member::Service);
        for member in services.chain([Member::Instance(InstanceId(0))]) {
            child.root.cast(RootMsg::Panic(member)).unwrap();
            child.goes_on_sending().await;
            assert!(shows(VIRTUAL), "{member:?} took the address along");
            nothing_was_removed(&mut reflector, &mut mirror).await;
        }
        // rebuilt, they still do their work
        output(&["ip", "addr", "del", VIRTUAL, "dev", NEAR]);
        until("the address came back", || shows(VIRTUAL)).await;
        child.stop().await;
        assert!(!shows(VIRTUAL));
    });
}

#[test]
fn a_failed_listener_still_notices_the_cable() {
    lab::run(|lab| async move {
        give_own_address().await;
        let mut child = Child::start(vec![settings("VI_1", VIRTUAL)], Vec::new()).await;
        child.reaches("VI_1", State::Master).await;
        child.root.cast(RootMsg::Panic(Member::Service(Service::Listener))).unwrap();
        child.goes_on_sending().await;
        lab.on_far(|| output(&["ip", "link", "set", lab::FAR, "down"]));
        child.reaches("VI_1", State::Fault).await;
        until("the address is gone", || !shows(VIRTUAL)).await;
        lab.on_far(|| output(&["ip", "link", "set", lab::FAR, "up"]));
        child.reaches("VI_1", State::Master).await;
        child.stop().await;
    });
}

#[test]
fn a_replacement_process_is_master_at_once_and_touches_no_address() {
    lab::run(|_lab| async {
        give_own_address().await;
        let mut slow = settings("VI_1", VIRTUAL);
        slow.advert_interval = CentiSecs::new(4000).unwrap();
        slow.priority = Priority::OWNER;
        slow.wanted = crate::vrrp::settings::WantedState::Master;
        let mut first = Child::start(vec![slow.clone()], Vec::new()).await;
        let snapshot = loop {
            if let FromVrrp::Changed { snapshot, .. } = first.hear().await
                && snapshot.state == State::Master
            {
                break *snapshot;
            }
        };
        until("the address is there", || shows(VIRTUAL)).await;
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        // a crash: nobody withdraws
        first.root.kill();
        let _ = first.ended.await;
        slow.priority = Priority::DEFAULT;
        let mut second = Child::start(vec![slow], vec![("VI_1".to_owned(), snapshot)]).await;
        second.reaches("VI_1", State::Master).await;
        assert!(second.adverts_sent().await > 0, "advertises only after an interval of 40 s");
        nothing_was_removed(&mut reflector, &mut mirror).await;
        second.stop().await;
        assert!(!shows(VIRTUAL));
    });
}

#[test]
fn an_interface_that_a_reload_brings_in_is_looked_at_before_it_is_missed() {
    lab::run(|_lab| async {
        give_own_address().await;
        let mut child = Child::start(vec![settings("VI_1", VIRTUAL)], Vec::new()).await;
        until("the address is there", || shows(VIRTUAL)).await;
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        for (generation, device) in [(1, Some("lo")), (2, None), (3, Some("lo"))] {
            let mut more = settings("VI_1", VIRTUAL);
            if let Some(device) = device {
                let mut elsewhere = virtual_address("192.0.2.101/24");
                elsewhere.device = Some(device.to_owned());
                more.excluded.push(elsewhere);
            }
            let changes = VrrpChanges { changed: vec![("VI_1".to_owned(), Arc::new(more))], ..VrrpChanges::default() };
            child.tell(ToVrrp::Prepare { generation, changes: Box::new(changes) });
            child.tell(ToVrrp::Commit { generation });
            while child.hear().await != (FromVrrp::Committed { generation }) {}
            child.goes_on_sending().await;
            until("the address on the other interface", || output(&["ip", "-o", "addr"]).contains("192.0.2.101") == device.is_some()).await;
        }
        while let Ok(changes) = tokio::time::timeout(Duration::from_millis(1), reflector.next(&mut mirror)).await {
            let lost = |change: &Change| matches!(change, Change::AddressGone { prefix, .. } if prefix.to_string() == VIRTUAL);
            assert!(!changes.unwrap().iter().any(lost), "the first address went");
        }
        child.stop().await;
    });
}

#[test]
fn instances_that_wait_for_the_table_take_no_part_before_they_are_told_to() {
    lab::run(|_lab| async {
        give_own_address().await;
        let mut child = Child::start_with(vec![settings("VI_1", VIRTUAL)], Vec::new(), true).await;
        // Ten times as long as an election takes.
        tokio::time::sleep(Duration::from_secs(1)).await;
        child.tell(ToVrrp::Ping(5));
        assert_eq!(child.hear().await, FromVrrp::Pong(5), "something was said before");
        assert!(!shows(VIRTUAL));
        child.tell(ToVrrp::Begin);
        child.reaches("VI_1", State::Master).await;
        until("the address is there", || shows(VIRTUAL)).await;
        child.stop().await;
        let child = Child::start_with(vec![settings("VI_1", VIRTUAL)], Vec::new(), true).await;
        child.stop().await;
    });
}

#[test]
fn a_reload_touches_only_what_changed() {
    lab::run(|_lab| async {
        give_own_address().await;
        let mut other = settings("VI_2", "192.0.2.200/24");
        other.vrid = crate::types::Vrid::new(52).unwrap();
        let mut child = Child::start(vec![settings("VI_1", VIRTUAL), other], Vec::new()).await;
        until("both addresses are there", || shows(VIRTUAL) && shows("192.0.2.200/24")).await;
        let (mut reflector, mut mirror) = Reflector::open(None).await.unwrap();
        let mut more = settings("VI_1", VIRTUAL);
        more.addresses.push(virtual_address("192.0.2.101/24"));
        let changes = VrrpChanges { changed: vec![("VI_1".to_owned(), Arc::new(more))], ..VrrpChanges::default() };
        child.tell(ToVrrp::Prepare { generation: 7, changes: Box::new(changes) });
        while child.hear().await != (FromVrrp::Prepared { generation: 7 }) {}
        assert!(!shows("192.0.2.101/24"), "changed before it was told to");
        child.tell(ToVrrp::Commit { generation: 7 });
        while child.hear().await != (FromVrrp::Committed { generation: 7 }) {}
        until("the new address is there", || shows("192.0.2.101/24")).await;
        nothing_was_removed(&mut reflector, &mut mirror).await;
        let changes = VrrpChanges { removed: vec!["VI_2".to_owned()], ..VrrpChanges::default() };
        child.tell(ToVrrp::Prepare { generation: 8, changes: Box::new(changes) });
        child.tell(ToVrrp::Commit { generation: 8 });
        until("the removed instance's address is gone", || !shows("192.0.2.200/24")).await;
        assert!(shows(VIRTUAL) && shows("192.0.2.101/24"));
        let changes = VrrpChanges { removed: vec!["VI_9".to_owned()], ..VrrpChanges::default() };
        child.tell(ToVrrp::Prepare { generation: 9, changes: Box::new(changes) });
        loop {
            if let FromVrrp::Refused { generation, reasons } = child.hear().await {
                assert_eq!((generation, reasons.len()), (9, 1));
                break;
            }
        }
        child.stop().await;
        assert!(!shows(VIRTUAL) && !shows("192.0.2.101/24"));
    });
}
