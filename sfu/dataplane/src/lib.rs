//! Palco's native data plane: everything that happens to a datagram.
//!
//! ```text
//! face        Python's names           ─┐
//! dataplane   all workers as one        │ per command
//! ids         who is who               ─┘
//! edge        threads, sockets, clock: the only module that acts, and the only `unsafe`
//! engine      one worker's machine: datagrams and commands in, datagrams and events out      ─┐
//! peer, ice   one transport, and which of its addresses may receive what                      │ pure,
//! stage       how loud each track is, and which are heard                                     │ per packet
//! route       by which protocol an address is reached                                        │
//! splice      streams joined end to end without a break                                       │
//! classify, stun, rtp, red, rtcp, srtp, opus   bytes                                          │
//! arena, counters   where a turn's datagrams are written, and what is counted                ─┘
//! ```
//!
//! Left out, on purpose: full ICE, RTX and NACK (RFC 4585; Opus conceals what is late), transport-wide
//! feedback (nothing here adapts to it), simulcast and all that is video's, DTLS (Python's, per handshake).

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
pub mod opus;
pub mod peer;
pub mod red;
pub mod route;
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
