//! The kernel's balancer, IPVS: its generic netlink codec and the socket that speaks it.

pub mod socket;
pub mod wire;

pub use socket::{IpvsError, Socket, Way, explain};
