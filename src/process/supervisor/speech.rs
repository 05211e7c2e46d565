//! What the supervisor and a child can say to each other, and what the supervisor makes of what it hears.

use super::bfd::BfdSaid;
use super::checker::CheckerSaid;
use super::memory::Memory;
use super::{ChildSaid, Msg as SupervisorMsg};
use crate::ipc::messages::{FromBfd, FromChecker, FromVrrp, SessionReads, ToBfd, ToChecker, ToVrrp};
use crate::lvs::notice::Notice;
use crate::notify::herald::Herald;
use crate::process::roles::RoleName;
use ractor::ActorRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// The two directions of a child's pipe, and what the supervisor makes of what it hears.
pub(super) trait Speech: Send + Sync + Sized + 'static {
    /// To the process.
    type To: Serialize + fmt::Debug + Send + Sync + 'static;
    /// From the process.
    type From: DeserializeOwned + Send + 'static;
    /// Which child it is, for messages.
    const ROLE: RoleName;
    /// Are you alive?
    fn ping(number: u64) -> Self::To;
    /// What a message means.
    fn hear(ear: &Ear<Self>, message: Self::From) -> Heard;
}

/// What a message means to whoever keeps the process.
pub(super) enum Heard {
    /// Nothing more.
    Told,
    /// It answers from now on.
    Running,
    /// It answered.
    Answered(u64),
    /// It lives.
    ShowedLife,
    /// It was the last word.
    LastWord,
}

/// Who is to be told.
pub(super) struct Ear<S> {
    pub(super) life: u64,
    pub(super) supervisor: ActorRef<SupervisorMsg>,
    pub(super) memory: Memory,
    pub(super) herald: Herald,
    pub(super) speech: PhantomData<fn(S)>,
}

/// The VRRP child's pipe.
pub(super) struct Vrrp;

impl Speech for Vrrp {
    type To = ToVrrp;
    type From = FromVrrp;
    const ROLE: RoleName = RoleName::Vrrp;

    fn ping(number: u64) -> ToVrrp {
        ToVrrp::Ping(number)
    }

    fn hear(ear: &Ear<Self>, message: FromVrrp) -> Heard {
        let say = |what| _ = ear.supervisor.cast(SupervisorMsg::Said { life: ear.life, what });
        match message {
            FromVrrp::Pong(number) => {
                ear.memory.answered();
                return Heard::Answered(number);
            }
            FromVrrp::Alive => {
                ear.memory.answered();
                return Heard::ShowedLife;
            }
            FromVrrp::Changed { instance, snapshot } => {
                let master = snapshot.state == crate::vrrp::event::State::Master;
                if ear.memory.remember(instance.clone(), *snapshot) {
                    let _ = ear.supervisor.cast(SupervisorMsg::StateChanged { instance, master });
                }
            }
            FromVrrp::Removed { instance } => {
                ear.memory.forget(&instance);
                let _ = ear.supervisor.cast(SupervisorMsg::StateChanged { instance, master: false });
            }
            FromVrrp::Running => {
                say(ChildSaid::Running);
                return Heard::Running;
            }
            FromVrrp::Hello { protocol } => say(ChildSaid::Hello(protocol)),
            FromVrrp::Prepared { generation } => say(ChildSaid::Prepared(generation)),
            FromVrrp::Refused { generation, reasons } => say(ChildSaid::Refused(generation, reasons)),
            FromVrrp::Committed { generation } => say(ChildSaid::Committed(generation)),
            FromVrrp::Dumped { dump, text } => say(ChildSaid::Dumped(dump, text)),
            FromVrrp::RunScript { name } => say(ChildSaid::RunScript(name)),
            FromVrrp::ScriptReads { name, good } => ear.memory.script_reads(name, good),
            FromVrrp::Notice(notice) => say(ChildSaid::Notice(notice)),
            FromVrrp::Stopped => return Heard::LastWord,
        }
        Heard::Told
    }
}

/// The checker child's pipe.
pub(super) struct Checker;

impl Speech for Checker {
    type To = ToChecker;
    type From = FromChecker;
    const ROLE: RoleName = RoleName::Checker;

    fn ping(number: u64) -> ToChecker {
        ToChecker::Ping(number)
    }

    fn hear(ear: &Ear<Self>, message: FromChecker) -> Heard {
        let say = |what| _ = ear.supervisor.cast(SupervisorMsg::CheckerSaid { life: ear.life, what });
        match message {
            FromChecker::Pong(number) => return Heard::Answered(number),
            FromChecker::Checked { checker, up } => ear.memory.checked(checker, up),
            FromChecker::Weighed { checker, wish } => ear.memory.weighed(checker, wish),
            // Straight to the herald: what is said last must not be lost behind the news of the process's end.
            FromChecker::RunScript(checker) => ear.herald.check_server(checker),
            FromChecker::Notice(notice) => {
                if let Notice::Quorum { of, up, .. } = &notice {
                    ear.memory.quorum(of.clone(), *up);
                }
                ear.herald.balancer_notice(notice);
            }
            FromChecker::Running => {
                say(CheckerSaid::Running);
                return Heard::Running;
            }
            FromChecker::Hello { protocol } => say(CheckerSaid::Hello(protocol)),
            FromChecker::TableStands => say(CheckerSaid::TableStands),
            FromChecker::Reloaded => say(CheckerSaid::Reloaded),
            FromChecker::Dumped(text) => say(CheckerSaid::Dumped(text)),
            FromChecker::Stopped => return Heard::LastWord,
        }
        Heard::Told
    }
}

/// The BFD child's pipe.
pub(super) struct Bfd;

impl Speech for Bfd {
    type To = ToBfd;
    type From = FromBfd;
    const ROLE: RoleName = RoleName::Bfd;

    fn ping(number: u64) -> ToBfd {
        ToBfd::Ping(number)
    }

    fn hear(ear: &Ear<Self>, message: FromBfd) -> Heard {
        let say = |what| _ = ear.supervisor.cast(SupervisorMsg::BfdSaid { life: ear.life, what });
        match message {
            FromBfd::Pong(number) => return Heard::Answered(number),
            FromBfd::Changed { session, snapshot, at } => {
                let up = snapshot.up;
                if ear.memory.remember_session(session.clone(), *snapshot) {
                    let _ = ear.supervisor.cast(SupervisorMsg::SessionChanged(SessionReads { name: session, up, at }));
                }
            }
            FromBfd::Running => {
                say(BfdSaid::Running);
                return Heard::Running;
            }
            FromBfd::Hello { protocol } => say(BfdSaid::Hello(protocol)),
            FromBfd::Dumped(text) => say(BfdSaid::Dumped(text)),
            FromBfd::Stopped => return Heard::LastWord,
        }
        Heard::Told
    }
}
