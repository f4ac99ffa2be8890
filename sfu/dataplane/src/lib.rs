//! Palco's native data plane: everything that happens to a datagram.
//!
//! Protocol logic is pure (bytes, state and time in; bytes and effects out); `edge` alone owns sockets and the clock.

pub mod classify;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod stun;
