//! What to play, and what came of it.

use serde::{Deserialize, Serialize};

/// A run: sessions join in order at `joins_per_s`, then `settle_s` passes, then `measure_s` is measured.
#[derive(Deserialize)]
pub struct Job {
    pub sessions: Vec<SessionSpec>,
    /// 0: as fast as the server answers.
    #[serde(default)]
    pub joins_per_s: f64,
    /// Joins under way at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    pub settle_s: f64,
    pub measure_s: f64,
    /// How many listeners open what they get.
    pub sample: usize,
    /// Bytes of Opus in each packet (the stamp takes 21 of them).
    #[serde(default = "default_payload")]
    pub payload_bytes: usize,
    /// Opus packets, hexadecimal, one list for each voice: speakers say one of these over and over, in place of stamped
    /// packets. For servers that mix: listeners get one stream, accounted by its sequence numbers.
    #[serde(default)]
    pub recordings: Vec<Vec<String>>,
    /// Speakers send at the same instant, or spread over the 20 ms.
    #[serde(default)]
    pub aligned: bool,
    /// Listeners that leave and are replaced by fresh ones, each second of the measured time.
    #[serde(default)]
    pub churn_per_s: f64,
    /// Listeners joined after the measured time began, as a storm upon a live space.
    #[serde(default)]
    pub late: Vec<SessionSpec>,
    #[serde(default)]
    pub late_per_s: f64,
    /// First local port of the listeners that are not sampled (0: any), so that a firewall rule can tell them apart.
    #[serde(default)]
    pub first_port: u16,
    /// Whether sessions stop after the answer: no check, no handshake, nothing sent.
    #[serde(default)]
    pub half_open: bool,
    /// Whether the load's loop never sleeps while measuring. Not where the server works on its core, too.
    #[serde(default = "yes")]
    pub spins: bool,
    /// CPU that the load is pinned to.
    pub cpu: Option<usize>,
    /// Seconds after its first request in which a session that is told to come later (503 with Retry-After) asks again.
    #[serde(default = "default_retry")]
    pub retry_for_s: f64,
    /// Seconds after which an unfinished join counts as failed.
    #[serde(default = "default_join_timeout")]
    pub join_timeout_s: f64,
}

#[derive(Clone, Deserialize)]
pub struct SessionSpec {
    pub role: Role,
    /// Where the offer is posted (WHIP or WHEP).
    pub url: String,
    pub token: String,
    /// Receiving audio sections of a listener's offer.
    #[serde(default = "one")]
    pub sections: usize,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Speak,
    Listen,
}

fn default_concurrency() -> usize {
    64
}
fn default_payload() -> usize {
    80
}
fn yes() -> bool {
    true
}

fn default_retry() -> f64 {
    45.0
}
fn default_join_timeout() -> f64 {
    30.0
}
fn one() -> usize {
    1
}

/// A line of output.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    Progress {
        joined: usize,
        failed: usize,
        refused: usize,
        of: usize,
    },
    /// Everybody has joined or failed.
    Settling,
    MeasureStart,
    MeasureStop,
    Result(Box<Outcome>),
}

#[derive(Serialize, Default)]
pub struct Outcome {
    pub joined: usize,
    pub failed: usize,
    #[serde(flatten)]
    pub refusals: Refusals,
    /// Why joins failed, each sentence with its count.
    pub failures: std::collections::BTreeMap<String, usize>,
    pub joins_per_s: f64,
    /// Seconds from the offer's POST to media keys.
    pub join_s: Percentiles,
    /// Seconds from the offer's POST to the first audio packet at that listener.
    pub first_audio_s: Percentiles,
    pub measured_s: f64,
    /// RTP packets that the speakers sent in the measured time.
    pub sent_packets: u64,
    /// RTP datagrams that reached listeners in the measured time, opened or counted by the kernel.
    pub delivered_packets: u64,
    /// Sampled listeners: packets that should have come and did, or did not.
    pub sample_expected: u64,
    pub sample_received: u64,
    pub sample_lost: u64,
    pub sample_duplicates: u64,
    /// Packets that did not open, or whose content was not what was spoken.
    pub sample_wrong: u64,
    /// Seconds from a speaker's send to the arrival in the listener's socket.
    pub latency_s: Percentiles,
    pub bytes_per_packet: f64,
    pub load_cpu_s: f64,
    /// Late joiners, where the job has them.
    pub late: Option<Late>,
}

/// Answers of 503 with Retry-After, and what became of those who got them.
#[derive(Clone, Copy, Serialize, Default)]
pub struct Refusals {
    /// Sessions told to come later at least once.
    pub retried: usize,
    /// Requests made again.
    pub retries: usize,
    /// Sessions still told so when their time to ask was over; in neither `joined` nor `failed`.
    pub refused: usize,
}

impl std::ops::Sub for Refusals {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            retried: self.retried - earlier.retried,
            retries: self.retries - earlier.retries,
            refused: self.refused - earlier.refused,
        }
    }
}

#[derive(Serialize, Default)]
pub struct Late {
    pub joined: usize,
    pub failed: usize,
    #[serde(flatten)]
    pub refusals: Refusals,
    pub join_s: Percentiles,
    pub first_audio_s: Percentiles,
    pub joins_per_s: f64,
}

#[derive(Serialize, Default, Clone)]
pub struct Percentiles {
    pub count: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    /// Of the samples, in their own unit.
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = samples.len().saturating_sub(1);
            samples.get(((samples.len() as f64 * share) as usize).min(last)).copied().unwrap_or_default()
        };
        Self { count: samples.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}

pub fn print(line: &Line) {
    println!("{}", serde_json::to_string(line).expect("a line is plain data"));
}
