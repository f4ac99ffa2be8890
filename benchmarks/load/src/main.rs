//! palco-load: plays a stage of speakers and thousands of listeners against a WebRTC server, from one thread.
//!
//! Every listener is a real one: its own socket, ICE checks, DTLS handshake, SRTP keys and receiver reports. Sampled
//! listeners open every packet; for the others the kernel counts the datagrams and drops them, so that one core of load
//! can stand for an audience far larger than it could decrypt for.
//!
//! `palco-load play` reads a job (JSON, see `job.rs`) from standard input; `palco-load ceiling` sends what a relay would
//! have to send, with nothing else to do. Both write JSON lines to standard output.

mod ceiling;
mod http;
mod job;
mod joiner;
mod latency;
mod net;
mod player;
mod sdp;
mod session;
mod speech;

use std::io::Read;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let mut input = String::new();
    let outcome = match mode.as_str() {
        "play" => read(&mut input).and_then(|()| parse(&input)).and_then(player::play),
        "ceiling" => read(&mut input).and_then(|()| parse(&input)).and_then(ceiling::run),
        _ => Err("usage: palco-load play|ceiling < job.json".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("palco-load: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn read(input: &mut String) -> Result<(), String> {
    std::io::stdin().read_to_string(input).map(|_| ()).map_err(|error| format!("standard input: {error}"))
}

fn parse<'a, T: serde::Deserialize<'a>>(input: &'a str) -> Result<T, String> {
    serde_json::from_str(input).map_err(|error| format!("the job does not parse: {error}"))
}
