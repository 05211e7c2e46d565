//! keepalived-rs: the map.
//!
//! A folder is a room; its `mod.rs` opens with one sentence. Pure rooms come first, rooms that touch the world after
//! them, and **a room uses only rooms named before it** (`tests/rooms.rs` holds that, and keeps `unsafe` inside `sys`).
//!
//! | room | what is in it |
//! |---|---|
//! | [`types`] | words every room uses: `Vrid`, `Priority`, `Family`, `IpPrefix`, `MacAddr`, `Instant` |
//! | [`syntax`] | what a configuration looks like: spans, diagnostics, lexer, parser, TOML into the same `Tree`, keyword tables, the one layout |
//! | [`vrrp`] | the protocol as arithmetic: packet, checksum, auth, receive checks, state machine, announcements, settings, stats |
//! | [`bfd`] | bidirectional forwarding detection as arithmetic: packet, state machine, settings |
//! | [`check`] | health checks: one file a checker with its settings and its dialogue, and their schedule |
//! | [`lvs`] | what the balancer should contain: settings, health and quorum, plan = desired − actual |
//! | [`config`] | what the words mean together: model, read, validate, diff and plan of a reload, written down again as text or TOML |
//! | [`sim`] | N routers on a virtual clock and a lossy virtual network, driving the real `vrrp` code |
//! | | *the world below this line* |
//! | [`sys`] | the only `unsafe`: clock, processes, signals, privileges, sandbox, sockets, namespaces, log sinks |
//! | [`ipc`] | typed messages between processes, one enum a direction, framing |
//! | [`actor`] | thin helpers over ractor: root supervisor with back-off; troupes of small actors |
//! | [`net`] | netlink reflector, addresses, advert sockets, ARP and NDISC, nftables, process connector |
//! | [`ipvs`] | the kernel's balancer: generic netlink codec, wrapper |
//! | [`probe`] | how a checker reaches its target: TCP, TLS, UDP, ICMP |
//! | [`script`] | programs of other people: whose rights they get, whether they may run, running them, FIFOs |
//! | [`report`] | state for readers: text dumps |
//! | [`process`] | who runs what, with which powers: roles, supervisor, reload, VRRP child |
//! | [`ctl`] | the operator's tool: the demonstration and its laboratory |

pub mod types;

pub mod syntax;

pub mod vrrp;

pub mod bfd;

pub mod check;

pub mod lvs;

pub mod config;

pub mod sim;

pub mod sys;

pub mod ipc;

pub mod actor;

pub mod net;

pub mod ipvs;

pub mod probe;

pub mod script;

pub mod notify;

pub mod report;

pub mod process;

pub mod ctl;
