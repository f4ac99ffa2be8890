//! Palco's native data plane: everything that happens to a datagram.
//!
//! Protocol logic is pure (bytes, state and time in; bytes and effects out); `edge` alone owns sockets and the clock.

pub mod arena;
pub mod classify;
pub mod counters;
pub mod dataplane;
pub mod edge;
pub mod engine;
#[cfg(feature = "python")]
mod face;
#[cfg(feature = "python")]
mod face_srtp;
pub mod ice;
pub mod ids;
pub mod peer;
pub mod rtcp;
pub mod rtp;
pub mod splice;
pub mod srtp;
pub mod stage;
pub mod stun;

/// Time on a worker's clock: nanoseconds since it started.
pub type Nanos = u64;

/// One millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;
