//! Bidirectional forwarding detection as arithmetic: whether a neighbour is still there, within milliseconds (RFC 5880, 5881, 5883).
//!
//! | file | what is in it |
//! |---|---|
//! | [`settings`] | what a session was told |
//! | [`packet`] | the bytes of a control packet, both ways, and the checks of RFC 5880 §6.8.6 that need no session |
//! | [`event`] | what happens to a session, what it orders and says, what a successor must know |
//! | [`intervals`] | how often it sends, and how long it waits |
//! | [`fsm`] | the state machine over all of it |
//!
//! Asynchronous mode alone, as the original: no echo, no authentication; a neighbour that asks for demand mode gets it.

pub mod event;
pub mod fsm;
pub mod intervals;
pub mod packet;
pub mod settings;
