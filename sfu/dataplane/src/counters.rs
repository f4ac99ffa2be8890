//! What a worker has done so far, in numbers that only it writes and anyone may read. Per packet.
//!
//! One writer per counter, so an addition is a plain load and store; relaxed order is enough for numbers that are only
//! ever summed. Guarded by `benches/fanout`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number with one writer.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Replaces the value, for what is now and not since the start.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Keeps the larger.
    pub fn raise_to(&self, value: u64) {
        self.0.store(self.0.load(Relaxed).max(value), Relaxed);
    }

    /// The value as of now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One worker's counters, named as Python and Prometheus see them.
        #[derive(Default, Debug)]
        #[allow(missing_docs)] // one line may speak for several
        pub struct Counters { $($(#[$doc])* pub $name: Counter,)* }

        impl Counters {
            /// Every name with its value.
            pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                [$((stringify!($name), self.$name.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Turns of the loop, and those that a bug of ours cut short.
    turns, panics,
    /// UDP datagrams read, and their payload bytes.
    datagrams_in, bytes_in,
    /// UDP datagrams handed to the kernel (GSO segments counted singly), their payload bytes, and the messages they made.
    datagrams_out, bytes_out, messages_out,
    /// Messages of more than one segment, and those that the kernel refused as such and that went out singly.
    gso_messages_out, gso_fallbacks,
    /// Messages that the kernel did not take.
    send_errors_buffer, send_errors_permission, send_errors_refused, send_errors_unreachable, send_errors_other,
    /// Most datagrams read in one turn, most messages in one flush.
    largest_batch_in, largest_batch_out,
    /// Authentic media packets in by the gate; packets sealed for a listener.
    packets_forwarded, packets_out,
    /// Packets that went out within the one before them, once per feed; packets sealed with older ones in them (RFC 2198).
    packets_merged, red_packets_out,
    /// Binding checks answered.
    stun_answered,
    /// Nominations: first and moved.
    nominations, migrations,
    /// Drops before authentication.
    dropped_unclassified, dropped_unverified_stun, dropped_unknown_address, dropped_oversize,
    dropped_dtls_overflow, dropped_dtls_budget, dropped_no_keys, dropped_foreign_address,
    /// Drops by SRTP.
    dropped_srtp_short, dropped_srtp_authentication, dropped_srtp_replay, dropped_srtp_unknown_source,
    /// Drops of authentic packets.
    dropped_rate, dropped_rtp_malformed, dropped_no_track, dropped_foreign_ssrc, dropped_gate_closed, dropped_late_after_splice,
    /// Packets not sent to another worker, a tap or a listener for want of room.
    dropped_mirror, dropped_tap, dropped_events,
    /// RTCP compounds in, by authentic senders; sender and receiver reports out.
    rtcp_in, sender_reports_out, receiver_reports_out,
    /// Packets mirrored to other workers and taken from them; to and from taps.
    mirrored_out, mirrored_in, tap_out, tap_in,
    /// Frames from and to TCP connections; those not sent because their reader is too slow, or is gone.
    tcp_in, tcp_out, dropped_tcp_backlog,
    /// TCP connections that named a peer of ours, those turned away or silent for too long (both on the first worker only),
    /// and those that stand now.
    tcp_accepted, tcp_refused, tcp_connections_now,
    /// Peers removed because they were silent too long, or never came.
    consent_expired, join_expired,
    /// Peers and following peers as of now.
    peers_now, listeners_now,
    /// Delivered packets by time from the read of the turn to the kernel's acceptance.
    forward_le_50us, forward_le_100us, forward_le_250us, forward_le_500us, forward_le_1ms, forward_le_2ms,
    forward_le_5ms, forward_le_10ms, forward_le_20ms, forward_le_inf, forward_seconds_sum_ns,
    /// Receiver reports by what they say: fraction lost, interarrival jitter, round trip.
    rr_lost_le_0, rr_lost_le_1pct, rr_lost_le_2pct, rr_lost_le_5pct, rr_lost_le_10pct, rr_lost_le_25pct, rr_lost_le_inf,
    rr_jitter_le_5ms, rr_jitter_le_10ms, rr_jitter_le_20ms, rr_jitter_le_50ms, rr_jitter_le_100ms, rr_jitter_le_inf,
    rr_rtt_le_10ms, rr_rtt_le_25ms, rr_rtt_le_50ms, rr_rtt_le_100ms, rr_rtt_le_250ms, rr_rtt_le_500ms, rr_rtt_le_inf,
}

/// Adds `n` to the first bucket whose bound holds `value`; buckets do not add up (Prometheus sums them when asked).
fn observe(value: u64, n: u64, buckets: &[(u64, &Counter)], rest: &Counter) {
    let bucket = buckets.iter().find(|(bound, _)| value <= *bound).map_or(rest, |(_, bucket)| *bucket);
    bucket.add(n);
}

impl Counters {
    /// `packets` were delivered `elapsed_ns` after their turn began.
    pub fn observe_forward(&self, elapsed_ns: u64, packets: u64) {
        let buckets = [
            (50_000, &self.forward_le_50us),
            (100_000, &self.forward_le_100us),
            (250_000, &self.forward_le_250us),
            (500_000, &self.forward_le_500us),
            (1_000_000, &self.forward_le_1ms),
            (2_000_000, &self.forward_le_2ms),
            (5_000_000, &self.forward_le_5ms),
            (10_000_000, &self.forward_le_10ms),
            (20_000_000, &self.forward_le_20ms),
        ];
        observe(elapsed_ns, packets, &buckets, &self.forward_le_inf);
        self.forward_seconds_sum_ns.add(elapsed_ns * packets);
    }

    /// A report block's fraction lost, in 1/256.
    pub fn observe_loss(&self, fraction: u8) {
        let buckets = [
            (0, &self.rr_lost_le_0),
            (2, &self.rr_lost_le_1pct),
            (5, &self.rr_lost_le_2pct),
            (12, &self.rr_lost_le_5pct),
            (25, &self.rr_lost_le_10pct),
            (64, &self.rr_lost_le_25pct),
        ];
        observe(u64::from(fraction), 1, &buckets, &self.rr_lost_le_inf);
    }

    /// A report block's interarrival jitter, in ticks of 48 kHz.
    pub fn observe_jitter(&self, ticks: u32) {
        let buckets = [
            (240, &self.rr_jitter_le_5ms),
            (480, &self.rr_jitter_le_10ms),
            (960, &self.rr_jitter_le_20ms),
            (2_400, &self.rr_jitter_le_50ms),
            (4_800, &self.rr_jitter_le_100ms),
        ];
        observe(u64::from(ticks), 1, &buckets, &self.rr_jitter_le_inf);
    }

    /// A round trip in microseconds.
    pub fn observe_round_trip(&self, microseconds: u64) {
        let buckets = [
            (10_000, &self.rr_rtt_le_10ms),
            (25_000, &self.rr_rtt_le_25ms),
            (50_000, &self.rr_rtt_le_50ms),
            (100_000, &self.rr_rtt_le_100ms),
            (250_000, &self.rr_rtt_le_250ms),
            (500_000, &self.rr_rtt_le_500ms),
        ];
        observe(microseconds, 1, &buckets, &self.rr_rtt_le_inf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_observation_falls_into_one_bucket() {
        let counters = Counters::default();
        counters.observe_forward(50_000, 3);
        counters.observe_forward(50_001, 2);
        counters.observe_forward(u64::MAX / 4, 1);
        assert_eq!(counters.forward_le_50us.get(), 3);
        assert_eq!(counters.forward_le_100us.get(), 2);
        assert_eq!(counters.forward_le_inf.get(), 1);
    }

    #[test]
    fn names_are_unique() {
        let counters = Counters::default();
        let names: std::collections::HashSet<_> = counters.read().map(|(name, _)| name).collect();
        assert_eq!(names.len(), counters.read().count());
    }
}
