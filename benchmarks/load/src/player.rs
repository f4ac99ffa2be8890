//! The load itself: one loop that joins, speaks, listens and accounts.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::job::{print, Job, Late, Line, Outcome, Percentiles, Refusals, Role, SessionSpec};
use crate::joiner::{Joiner, Order, Reply};
use crate::latency::Stamp;
use crate::net::{self, Poll};
use crate::session::{Heard, Identity, Session};
use crate::speech::{Account, Speaker, PACKET_S};
use palco_dataplane::rtp;

/// Longest the loop sleeps; joins and timers are looked after at least this often.
const TICK_S: f64 = 0.001;
const PROGRESS_S: f64 = 1.0;
/// After the measured time, so that packets under way still count.
const STRAGGLERS_S: f64 = 0.5;

pub fn play(job: Job) -> Result<(), String> {
    if let Some(cpu) = job.cpu {
        net::pin(cpu).map_err(|error| format!("pin to CPU {cpu}: {error}"))?;
    }
    let needed = (job.sessions.len() + job.late.len()) as u64 + 64;
    let limit = net::raise_file_limit();
    if limit < needed {
        return Err(format!("{needed} open files are needed and {limit} allowed: raise `ulimit -n`"));
    }
    let mut player = Player::new(job)?;
    player.join_all()?;
    print(&Line::Settling);
    player.run_for(player.job.settle_s)?;
    let outcome = player.measure()?;
    print(&Line::Result(Box::new(outcome)));
    Ok(())
}

/// What is noted when the measured time begins or ends.
struct Mark {
    at_s: f64,
    delivered: u64,
    load_cpu_s: f64,
    numbers: Vec<u64>,
}

struct Player {
    job: Job,
    identity: Identity,
    joiner: Joiner,
    poll: Poll,
    sessions: Vec<Session>,
    dropped_before: Vec<u32>,
    accounts: BTreeMap<usize, Account>,
    speakers: Vec<Speaker>,
    /// What speakers say, one after another taking the next; empty: stamped packets.
    recordings: Vec<Rc<Vec<Vec<u8>>>>,
    failures: BTreeMap<String, usize>,
    joined: usize,
    failed: usize,
    refusals: Refusals,
    /// Sessions told to come later: when each asks again.
    returning: Vec<(f64, usize)>,
    opened: u64,
    opened_bytes: u64,
    wrong: u64,
    /// Only packets that sampled listeners open in the measured time.
    latencies_s: Option<Vec<f64>>,
    sampled: usize,
    listeners: usize,
    /// Every so manieth listener is sampled.
    stride: usize,
    next_timers_s: f64,
    next_progress_s: f64,
}

impl Player {
    fn new(job: Job) -> Result<Self, String> {
        Ok(Self {
            identity: Identity::new()?,
            joiner: Joiner::new(job.concurrency.min(64)),
            poll: Poll::new().map_err(|error| error.to_string())?,
            sessions: Vec::with_capacity(job.sessions.len() + job.late.len()),
            dropped_before: Vec::new(),
            accounts: BTreeMap::new(),
            speakers: Vec::new(),
            recordings: decode_all(&job.recordings)?,
            failures: BTreeMap::new(),
            joined: 0,
            failed: 0,
            refusals: Refusals::default(),
            returning: Vec::new(),
            opened: 0,
            opened_bytes: 0,
            wrong: 0,
            latencies_s: None,
            sampled: 0,
            listeners: 0,
            stride: 1,
            next_timers_s: 0.0,
            next_progress_s: 0.0,
            job,
        })
    }

    /// Speakers first, so that the audience joins a space that is live.
    fn join_all(&mut self) -> Result<(), String> {
        let specs = std::mem::take(&mut self.job.sessions);
        let (speakers, listeners): (Vec<_>, Vec<_>) = specs.into_iter().partition(|spec| spec.role == Role::Speak);
        self.stride = (listeners.len() / self.job.sample.max(1)).max(1);
        self.join(speakers, 0.0)?;
        self.join(listeners, self.job.joins_per_s)
    }

    /// Joins these at a rate (0: as fast as answers come) and returns when each has joined or failed.
    fn join(&mut self, specs: Vec<SessionSpec>, per_s: f64) -> Result<(), String> {
        let (total, started_s) = (specs.len(), net::monotonic_s());
        let (done_before, goal) = (self.done(), self.done() + specs.len());
        let mut waiting = specs.into_iter();
        let mut posted = 0;
        while self.done() < goal {
            let now_s = net::monotonic_s();
            let due = if per_s > 0.0 { ((now_s - started_s) * per_s) as usize + 1 } else { total };
            let at_rest = self.done() - done_before + self.returning.len();
            while posted < due && posted < self.job.concurrency + at_rest {
                let Some(spec) = waiting.next() else { break };
                self.post(spec, now_s)?;
                posted += 1;
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Sessions that have joined, failed, or given up.
    fn done(&self) -> usize {
        self.joined + self.failed + self.refusals.refused
    }

    fn post(&mut self, spec: SessionSpec, now_s: f64) -> Result<(), String> {
        let number = self.sessions.len();
        // Spread over the audience: whoever is served last waits longest.
        let is_listener = spec.role == Role::Listen;
        let is_sampled = is_listener && self.listeners.is_multiple_of(self.stride) && self.sampled < self.job.sample;
        self.listeners += usize::from(is_listener);
        self.sampled += usize::from(is_sampled);
        let is_counted = is_listener && !is_sampled && self.job.first_port > 0;
        let port = if is_counted { self.job.first_port + (number - self.sampled) as u16 } else { 0 };
        let mut session = Session::new(spec, 0x1000_0000 + number as u32, port, &self.identity)?;
        if is_sampled {
            self.accounts.insert(number, Account::default());
        }
        session.posted_s = now_s;
        self.poll.add(&session.socket, number).map_err(|error| error.to_string())?;
        self.sessions.push(session);
        self.dropped_before.push(0);
        self.ask(number, now_s)
    }

    fn ask(&mut self, number: usize, now_s: f64) -> Result<(), String> {
        let session = &mut self.sessions[number];
        session.asked_s = now_s;
        self.joiner.order(Order {
            number,
            method: "POST",
            url: session.spec.url.clone(),
            token: session.spec.token.clone(),
            body: session.offer(&self.identity)?,
        });
        Ok(())
    }

    /// Those whose time has come ask again.
    fn ask_again(&mut self, now_s: f64) -> Result<(), String> {
        let due: Vec<usize> =
            self.returning.extract_if(.., |(at_s, _)| *at_s <= now_s).map(|(_, number)| number).collect();
        self.refusals.retries += due.len();
        due.into_iter().try_for_each(|number| self.ask(number, now_s))
    }

    /// As a careful client: waits as long as it was told and up to half as long again, so that not all come back at once.
    fn on_refused(&mut self, number: usize, retry_after_s: f64, sentence: String, now_s: f64) {
        let session = &mut self.sessions[number];
        session.refusals += 1;
        self.refusals.retried += usize::from(session.refusals == 1);
        let spread = f64::from((number as u32).wrapping_mul(2_654_435_769) >> 16) / 65_536.0;
        let at_s = now_s + retry_after_s.max(1.0) * (1.0 + spread / 2.0);
        if at_s - session.posted_s <= self.job.retry_for_s {
            session.asked_s = at_s;
            self.returning.push((at_s, number));
            return;
        }
        session.connected_s = Some(f64::NAN);
        self.refusals.refused += 1;
        *self.failures.entry(format!("refused for good: {sentence}")).or_default() += 1;
    }

    fn on_reply(&mut self, reply: Reply) {
        if reply.method != "POST" {
            return;
        }
        if let Ok(response) = &reply.outcome {
            if let (503, Some(retry_after_s)) = (response.status, response.retry_after_s) {
                self.on_refused(reply.number, retry_after_s, response.sentence(), net::monotonic_s());
                return;
            }
        }
        let session = &mut self.sessions[reply.number];
        let outcome = reply.outcome.and_then(|response| {
            if response.status != 201 {
                return Err(response.sentence());
            }
            let base = session.spec.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            session.resource =
                if response.location.starts_with('/') { base + &response.location } else { response.location };
            if self.job.half_open {
                return Ok(false);
            }
            session.on_answer(&response.body, &self.identity, net::monotonic_s()).map(|()| true)
        });
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                self.sessions[reply.number].connected_s = Some(net::monotonic_s());
                self.joined += 1;
            }
            Err(sentence) => self.fail(reply.number, sentence),
        }
    }

    fn fail(&mut self, number: usize, sentence: String) {
        self.sessions[number].connected_s = Some(f64::NAN);
        *self.failures.entry(sentence).or_default() += 1;
        self.failed += 1;
    }

    fn on_connected(&mut self, number: usize, now_s: f64) {
        self.joined += 1;
        let session = &self.sessions[number];
        match session.spec.role {
            Role::Speak => {
                let order = self.speakers.len();
                let phase = if self.job.aligned { 0.0 } else { PACKET_S * (order % 10) as f64 / 10.0 };
                let first_s = (now_s / PACKET_S).ceil() * PACKET_S + phase;
                let speaker = match self.recordings.get(order % self.recordings.len().max(1)) {
                    Some(recording) => Speaker::saying(number, session, first_s, Rc::clone(recording)),
                    None => Speaker::stamping(number, session, first_s, self.job.payload_bytes),
                };
                self.speakers.extend(speaker);
            }
            Role::Listen => {}
        }
    }

    /// One turn: what arrived, what is due, what was answered.
    fn turn(&mut self) -> Result<(), String> {
        let now_s = net::monotonic_s();
        let due_s = self.speakers.iter().map(|speaker| speaker.next_s).fold(now_s + TICK_S, f64::min);
        // While measuring it does not sleep: waking it would cost the server's core, as no listener on a network does.
        let is_measuring = self.latencies_s.is_some();
        let patience_s = if is_measuring && self.job.spins { 0.0 } else { (due_s - now_s).max(0.0) };
        let ready: Vec<usize> = self.poll.wait(Duration::from_secs_f64(patience_s)).collect();
        for number in ready {
            self.receive(number);
        }
        let now_s = net::monotonic_s();
        for speaker in &mut self.speakers {
            while speaker.next_s <= now_s {
                speaker.speak(&self.sessions[speaker.session]);
            }
        }
        while let Some(reply) = self.joiner.reply() {
            self.on_reply(reply);
        }
        if now_s >= self.next_timers_s {
            self.timers(now_s);
            self.ask_again(now_s)?;
        }
        Ok(())
    }

    fn timers(&mut self, now_s: f64) {
        self.next_timers_s = now_s + 0.02;
        for number in 0..self.sessions.len() {
            self.sessions[number].on_time(now_s);
            let session = &self.sessions[number];
            if session.is_joining() && now_s - session.asked_s > self.job.join_timeout_s {
                self.fail(number, "no media keys in time".to_owned());
            }
        }
        if now_s >= self.next_progress_s {
            self.next_progress_s = now_s + PROGRESS_S;
            print(&Line::Progress {
                joined: self.joined,
                failed: self.failed,
                refused: self.refusals.refused,
                of: self.sessions.len(),
            });
        }
    }

    fn receive(&mut self, number: usize) {
        let mut buffer = [0; 2048];
        while let Some((length, taken_ns)) = net::receive(&self.sessions[number].socket, &mut buffer) {
            let now_s = net::monotonic_s();
            let datagram = &mut buffer[..length];
            match self.sessions[number].on_datagram(datagram, now_s) {
                Heard::Connected => self.on_connected(number, now_s),
                Heard::Media(header, open) => self.on_media(number, &datagram[..open], &header, length, taken_ns),
                Heard::Wrong => self.wrong += 1,
                Heard::Nothing => {}
            }
        }
    }

    fn on_media(&mut self, number: usize, packet: &[u8], header: &rtp::Header, wire_bytes: usize, taken_ns: u64) {
        self.opened += 1;
        self.opened_bytes += wire_bytes as u64;
        let session = &mut self.sessions[number];
        if session.first_audio_s.is_none() {
            session.first_audio_s = Some(net::monotonic_s());
            if !self.accounts.contains_key(&number) {
                let is_deaf =
                    self.poll.remove(&session.socket).and_then(|()| net::count_and_drop(&session.socket)).is_ok();
                self.wrong += u64::from(!is_deaf);
            }
        }
        let Some(account) = self.accounts.get_mut(&number) else {
            return;
        };
        if !self.recordings.is_empty() {
            account.mix.add(header.sequence);
            return;
        }
        match rtp::payload(packet, header).and_then(Stamp::read) {
            Some(stamp) => {
                account.add(stamp);
                if let Some(latencies) = &mut self.latencies_s {
                    latencies.push(taken_ns.saturating_sub(stamp.sent_ns) as f64 / 1e9);
                }
            }
            None => self.wrong += 1,
        }
    }

    fn run_for(&mut self, seconds: f64) -> Result<(), String> {
        let until_s = net::monotonic_s() + seconds;
        while net::monotonic_s() < until_s {
            self.turn()?;
        }
        Ok(())
    }

    fn mark(&mut self) -> Mark {
        let mut delivered = self.opened;
        for session in &self.sessions {
            delivered += u64::from(net::drops(&session.socket));
        }
        Mark {
            at_s: net::monotonic_s(),
            delivered,
            load_cpu_s: net::cpu_s(),
            numbers: self.speakers.iter().map(|speaker| speaker.number).collect(),
        }
    }

    fn measure(&mut self) -> Result<Outcome, String> {
        print(&Line::MeasureStart);
        self.latencies_s = Some(Vec::new());
        self.accounts.values_mut().for_each(|account| account.mix.begin());
        let (before, opened, opened_bytes) = (self.mark(), self.opened, self.opened_bytes);
        let first_late = self.sessions.len();
        let (joined, failed, refusals) = (self.joined, self.failed, self.refusals);
        let late = std::mem::take(&mut self.job.late);
        let has_late = !late.is_empty();
        let (audience, late_per_s) = (first_late..first_late + late.len(), self.job.late_per_s);
        if has_late {
            self.join(late, late_per_s)?;
        }
        let late_joined_s = net::monotonic_s();
        if self.job.churn_per_s > 0.0 {
            self.churn()?;
        } else {
            self.run_for((before.at_s + self.job.measure_s - net::monotonic_s()).max(0.0))?;
        }
        let after = self.mark();
        print(&Line::MeasureStop);
        let latencies = self.latencies_s.take().unwrap_or_default();
        self.run_for(STRAGGLERS_S)?;
        let mut outcome = self.outcome(&before, &after, 0..first_late);
        outcome.latency_s = Percentiles::of(latencies);
        let opened = self.opened.saturating_sub(opened);
        outcome.bytes_per_packet = self.opened_bytes.saturating_sub(opened_bytes) as f64 / (opened.max(1)) as f64;
        if has_late {
            outcome.late = Some(Late {
                joined: self.joined - joined,
                failed: self.failed - failed,
                refusals: self.refusals - refusals,
                joins_per_s: (self.joined - joined) as f64 / (late_joined_s - before.at_s),
                join_s: self.times(audience.clone(), |session| session.connected_s),
                first_audio_s: self.times(audience, |session| session.first_audio_s),
            });
        }
        Ok(outcome)
    }

    /// Unsampled listeners leave, oldest first, and as many fresh ones come, evenly over the measured time.
    fn churn(&mut self) -> Result<(), String> {
        let until_s = net::monotonic_s() + self.job.measure_s;
        let mut leaving = 0;
        while net::monotonic_s() < until_s {
            let next = (leaving..self.sessions.len()).find(|&number| {
                let session = &self.sessions[number];
                session.spec.role == Role::Listen
                    && !session.resource.is_empty()
                    && !self.accounts.contains_key(&number)
            });
            let Some(number) = next else { break };
            leaving = number + 1;
            let spec = self.sessions[number].spec.clone();
            let (url, token) = (self.sessions[number].resource.clone(), spec.token.clone());
            self.joiner.order(Order { number, method: "DELETE", url, token, body: String::new() });
            self.post(spec, net::monotonic_s())?;
            self.run_for(1.0 / self.job.churn_per_s)?;
        }
        Ok(())
    }

    fn times(&self, among: std::ops::Range<usize>, at_s: impl Fn(&Session) -> Option<f64>) -> Percentiles {
        let listeners = self.sessions[among].iter().filter(|session| session.spec.role == Role::Listen);
        Percentiles::of(
            listeners
                .filter_map(|session| Some(at_s(session)? - session.posted_s))
                .filter(|seconds| seconds.is_finite())
                .collect(),
        )
    }

    fn outcome(&self, before: &Mark, after: &Mark, first: std::ops::Range<usize>) -> Outcome {
        let measured_s = after.at_s - before.at_s;
        let posts = self.sessions[first.clone()].iter().map(|session| session.posted_s);
        let joins = self.sessions[first.clone()].iter().filter_map(|session| session.connected_s);
        let span_s = joins.fold(0.0, f64::max) - posts.fold(f64::INFINITY, f64::min);
        let mut outcome = Outcome {
            joined: self.joined,
            failed: self.failed,
            refusals: self.refusals,
            failures: self.failures.clone(),
            joins_per_s: self.joined as f64 / span_s,
            join_s: self.times(first.clone(), |session| session.connected_s),
            first_audio_s: self.times(first, |session| session.first_audio_s),
            measured_s,
            sent_packets: before.numbers.iter().zip(&after.numbers).map(|(from, to)| to - from).sum(),
            delivered_packets: after.delivered.saturating_sub(before.delivered),
            sample_wrong: self.wrong,
            load_cpu_s: after.load_cpu_s - before.load_cpu_s,
            ..Outcome::default()
        };
        self.account(before, after, &mut outcome);
        outcome
    }

    /// Every packet of every speaker in the measured time should have reached each sampled listener of its space that was
    /// let in and has as many sections as its stage has speakers; of the others, what they did get is only counted.
    fn account(&self, before: &Mark, after: &Mark, outcome: &mut Outcome) {
        if !self.recordings.is_empty() {
            for account in self.accounts.values() {
                outcome.sample_expected += account.mix.expected;
                outcome.sample_received += account.mix.received;
                outcome.sample_duplicates += account.mix.behind;
                outcome.sample_lost += account.mix.expected - account.mix.received;
            }
            return;
        }
        for (&number, account) in &self.accounts {
            let session = &self.sessions[number];
            let listener = &session.spec;
            let is_same_space =
                |speaker: &&(usize, &Speaker)| space_of(&self.sessions[speaker.1.session].spec) == space_of(listener);
            let speakers: Vec<_> = self.speakers.iter().enumerate().collect();
            let stage: Vec<_> = speakers.iter().filter(is_same_space).collect();
            for (at, speaker) in &stage {
                let (from, to) = (before.numbers.get(*at).copied().unwrap_or(0), after.numbers[*at]);
                let (received, duplicates) = account.of(self.sessions[speaker.session].ssrc, from, to);
                outcome.sample_received += received;
                outcome.sample_duplicates += duplicates;
                if session.was_let_in() && listener.sections >= stage.len() {
                    outcome.sample_expected += to - from;
                    outcome.sample_lost += to - from - received;
                }
            }
        }
    }
}

/// The recordings of a job, from hexadecimal.
fn decode_all(recordings: &[Vec<String>]) -> Result<Vec<Rc<Vec<Vec<u8>>>>, String> {
    recordings
        .iter()
        .map(|packets| packets.iter().map(|packet| decode(packet)).collect::<Result<_, _>>().map(Rc::new))
        .collect()
}

fn decode(packet: &str) -> Result<Vec<u8>, String> {
    let pairs = packet.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs
        .map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| "a recording is not hexadecimal".to_owned())
}

/// The space that a WHIP or WHEP URL names: its last segment.
fn space_of(spec: &SessionSpec) -> &str {
    spec.url.rsplit('/').next().unwrap_or_default()
}
