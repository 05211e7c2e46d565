//! The only `unsafe`: clock, processes, signals, privileges, sandbox, sockets, namespaces, log sinks.

pub mod calendar;
pub mod clock;
pub mod host;
pub mod linkbeat;
pub mod log;
pub mod names;
pub mod netns;
pub mod pidfile;
pub mod privileges;
pub mod process;
pub mod safefile;
pub mod sandbox;
pub mod socket;
pub mod spawn;
pub mod tuning;
