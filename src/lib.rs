//! keepalived-rs: the map.
//!
//! A folder is a room; its `mod.rs` opens with one sentence. Pure rooms come first, rooms that touch the world after
//! them, and **a room uses only rooms named before it** (`tests/rooms.rs` holds that, and keeps `unsafe` inside `sys`).
//!
//! | room | what is in it |
//! |---|---|
//! | [`types`] | words every room uses: `Vrid`, `Priority`, `Family`, `IpPrefix`, `MacAddr`, `Instant` |
//! | [`syntax`] | what a configuration looks like: spans, diagnostics, lexer, parser, TOML into the same `Tree`, keyword tables |
//! | [`vrrp`] | the protocol as arithmetic: packet, checksum, auth, receive checks, state machine, announcements, settings, stats |

pub mod types;

pub mod syntax;

pub mod vrrp;
