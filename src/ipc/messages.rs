//! What can be said, by direction. The wrong message cannot be sent; unknown bytes are a decode error.

use crate::bfd::event::Snapshot;
use crate::bfd::settings::Settings as Session;
use crate::config::model::{MailTls, VrrpChanges, VrrpConfig};
use crate::lvs::changes::Changes;
use crate::lvs::name::ServiceName;
use crate::lvs::settings::Balancer;
use crate::lvs::word::{Wish, Word};
use crate::types::{Instant, ScriptOutcome, Secret};
use crate::vrrp::event::Snapshot as VrrpSnapshot;
use crate::vrrp::notify::Notice;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Raised with every change to these enums: both ends come from one executable, so a mismatch is a bug that says so.
pub const PROTOCOL: u32 = 8;

/// Supervisor to VRRP child.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToVrrp {
    /// First message: the configuration, and what a predecessor last said of each instance (by name).
    Configure {
        /// The validated configuration.
        config: Box<VrrpConfig>,
        /// Predecessor's snapshots by instance name; empty at a first start.
        resume: Vec<(String, VrrpSnapshot)>,
        /// What the predecessor knew of scripts, by name: good or bad.
        known: Vec<(String, bool)>,
        /// Whether BFD sessions are up, by name.
        sessions: Vec<(String, bool)>,
        /// The last process died: its addresses may still be there.
        replaces: bool,
        /// `-X`/`-V`: leave addresses in place at exit.
        keep_addresses: bool,
        /// No instance takes part before `Begin`: who becomes master must have servers for the clients that come.
        waits: bool,
    },
    /// The balancer's table stands, or has been waited for long enough: instances take part.
    Begin,
    /// Reload, phase one: look at the changes, answer `Prepared` or `Refused`, change nothing.
    Prepare {
        /// Number of this reload.
        generation: u64,
        /// What would change.
        changes: Box<VrrpChanges>,
    },
    /// Reload, phase two: do it.
    Commit {
        /// Number of this reload.
        generation: u64,
    },
    /// Forget a prepared reload.
    Abandon {
        /// Number of this reload.
        generation: u64,
    },
    /// A script that was asked for ended so.
    ScriptEnded {
        /// The `vrrp_script`.
        name: String,
        /// How.
        outcome: ScriptOutcome,
    },
    /// The number in a tracked file now.
    FileReads {
        /// The `track_file`.
        name: String,
        /// 0 when there is none.
        value: i64,
    },
    /// How many processes match now.
    ProcessCount {
        /// The `vrrp_track_process`.
        name: String,
        /// How many.
        count: u32,
    },
    /// A BFD session is up, or not.
    Session(SessionReads),
    /// Are you alive?
    Ping(u64),
    /// Say all you know (SIGUSR1, SIGUSR2, JSON).
    Dump(Dump),
    /// Withdraw and exit.
    Stop,
}

/// VRRP child to supervisor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromVrrp {
    /// First message.
    Hello {
        /// `PROTOCOL` of the sender.
        protocol: u32,
    },
    /// Configured: sockets open (or in FAULT and saying why), state machines running.
    Running,
    /// Run this script of the configuration: only its name is said, never what to run.
    RunScript {
        /// The `vrrp_script`.
        name: String,
    },
    /// What a script has come to; for a successor.
    ScriptReads {
        /// The `vrrp_script`.
        name: String,
        /// Good or bad.
        good: bool,
    },
    /// Something that may be worth telling.
    Notice(Notice),
    /// A reload may go on.
    Prepared {
        /// Number of that reload.
        generation: u64,
    },
    /// A reload is refused.
    Refused {
        /// Number of that reload.
        generation: u64,
        /// Why, a line each.
        reasons: Vec<String>,
    },
    /// A reload is done.
    Committed {
        /// Number of that reload.
        generation: u64,
    },
    /// I am.
    Pong(u64),
    /// Unasked, a while after the last time: I am, an advert woke me.
    Alive,
    /// An instance changed state, or what a successor must know of it changed.
    Changed {
        /// Instance name.
        instance: String,
        /// For a successor.
        snapshot: Box<VrrpSnapshot>,
    },
    /// An instance is gone (reload).
    Removed {
        /// Instance name.
        instance: String,
    },
    /// Text asked for by `Dump`.
    Dumped {
        /// Which.
        dump: Dump,
        /// The file's content, secrets masked.
        text: String,
    },
    /// Everything withdrawn; exiting.
    Stopped,
}

/// Which text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Dump {
    /// SIGUSR1: keepalived.data.
    Data,
    /// SIGUSR2: keepalived.stats.
    Stats,
    /// SIGRTMAX-1: the same, then counters are zero.
    StatsAndClear,
    /// SIGRTMIN+2: keepalived.json.
    Json,
}

/// `smtp_user`, and what is in its `smtp_password_file`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// Supervisor to mail child.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToMail {
    /// Before the first mail that goes encrypted: the authorities that may sign the server's certificate, each in DER.
    Trust(Vec<Vec<u8>>),
    /// Deliver one mail now; the answer names its number.
    Deliver(Box<Delivery>),
}

/// One mail, and where it goes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// Of this mail.
    pub number: u64,
    /// The server as messages name it, and where it is: the first address that answers is used.
    pub server: (String, Vec<SocketAddr>),
    /// How the way there is protected.
    pub tls: MailTls,
    /// Whom its certificate must name: the server as configured.
    pub host: String,
    /// Who logs in; only with TLS.
    pub login: Option<Login>,
    /// What to say at HELO.
    pub helo: String,
    /// Address in MAIL FROM.
    pub from: String,
    /// Addresses in RCPT TO.
    pub to: Vec<String>,
    /// Header and body as they travel.
    pub text: String,
    /// How long each step may take.
    pub limit: Duration,
}

/// Mail child to supervisor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromMail {
    /// The server took it.
    Delivered {
        /// Which.
        number: u64,
    },
    /// The server did not.
    Failed {
        /// Which.
        number: u64,
        /// Whether it is worth trying again.
        again: bool,
        /// Why, in a line.
        why: String,
    },
}

/// Supervisor to checker child.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToChecker {
    /// First message: the configuration, and what a predecessor last knew of each checker.
    Configure {
        /// Virtual servers and what else concerns the balancer.
        balancer: Box<Balancer>,
        /// What the checkers said last.
        resume: Vec<(CheckerId, Word)>,
        /// Which virtual servers had their quorum, and which had not.
        quorums: Vec<(ServiceName, bool)>,
        /// The last process died: its table is still there.
        replaces: bool,
        /// `-I`: leave the table in place at exit.
        keep_table: bool,
    },
    /// Reload: it was validated, so it cannot be refused; what did not change goes on untouched.
    Reload(Box<Changes>),
    /// A VRRP instance is master, or not any more: the sync daemon follows it.
    Master {
        /// Instance name.
        instance: String,
        /// Is it?
        master: bool,
    },
    /// The number in a tracked file now.
    FileReads {
        /// The `track_file`.
        name: String,
        /// 0 when there is none.
        value: i64,
    },
    /// A script that was asked for ended so.
    ScriptEnded {
        /// The `MISC_CHECK`.
        checker: CheckerId,
        /// How.
        outcome: ScriptOutcome,
    },
    /// A BFD session is up, or not.
    Session(SessionReads),
    /// Are you alive?
    Ping(u64),
    /// Say all you know (SIGUSR1).
    Dump,
    /// Exit and leave the table: a successor with other powers follows.
    Retire,
    /// Take our services out of the table and exit.
    Stop,
}

/// Checker child to supervisor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromChecker {
    /// First message.
    Hello {
        /// `PROTOCOL` of the sender.
        protocol: u32,
    },
    /// Configured: checks run.
    Running,
    /// The table in the kernel is what it should be, for the first time (or cannot be, and the log says why).
    TableStands,
    /// I am alive.
    Pong(u64),
    /// A reload is done.
    Reloaded,
    /// Run the script of this `MISC_CHECK`: only its place is said, never what to run.
    RunScript(CheckerId),
    /// Something that may be worth telling.
    Notice(crate::lvs::notice::Notice),
    /// A checker went up or down.
    Checked {
        /// Which.
        checker: CheckerId,
        /// Up?
        up: bool,
    },
    /// A checker wants another weight for its server, or the configured one again; for a successor.
    Weighed {
        /// Which.
        checker: CheckerId,
        /// What it wants.
        wish: Option<Wish>,
    },
    /// Text asked for by `Dump`.
    Dumped(String),
    /// Exiting in good order.
    Stopped,
}

/// What a BFD session has come to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionReads {
    /// The `bfd_instance`.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// When it said so.
    pub at: Instant,
}

/// Supervisor to BFD child.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToBfd {
    /// First message: the sessions, and what a predecessor left of them (by name).
    Configure {
        /// `bfd_instance` blocks.
        sessions: Vec<Arc<Session>>,
        /// Predecessor's snapshots; empty at a first start.
        resume: Vec<(String, Snapshot)>,
    },
    /// Reload: these are the sessions from now on; what did not change goes on untouched.
    Reload(Vec<Arc<Session>>),
    /// Are you alive?
    Ping(u64),
    /// Say all you know (SIGUSR1).
    Dump,
    /// Tell the neighbours and exit.
    Stop,
}

/// BFD child to supervisor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromBfd {
    /// First message.
    Hello {
        /// `PROTOCOL` of the sender.
        protocol: u32,
    },
    /// Configured: sessions run.
    Running,
    /// I am alive.
    Pong(u64),
    /// A session changed state, or what a successor must know of it changed.
    Changed {
        /// The `bfd_instance`.
        session: String,
        /// For a successor.
        snapshot: Box<Snapshot>,
        /// When.
        at: Instant,
    },
    /// Text asked for by `Dump`.
    Dumped(String),
    /// Exiting in good order.
    Stopped,
}

/// One checker: its virtual server's name, its real server, its place in the block.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CheckerId {
    /// Its virtual server.
    pub service: ServiceName,
    /// Address and port of the real server.
    pub server: (IpAddr, u16),
    /// From 0.
    pub place: u32,
}
