//! What the balancer should contain: settings, health and quorum, plan = desired − actual.

pub mod changes;
pub mod health;
pub mod marks;
pub mod name;
pub mod notice;
pub mod plan;
pub mod settings;
pub mod table;
pub mod word;
