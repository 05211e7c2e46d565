//! Programs of other people: whose rights they get, whether they may run at all, running them, and the pipes they read from.

pub mod account;
pub mod fifo;
mod hint;
pub mod observer;
pub mod policy;
pub mod refusal;
mod rights;
pub mod runner;
pub mod table;
pub mod walk;
