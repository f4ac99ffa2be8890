//! The Python module `sfu._dataplane`: names and types of `_dataplane.pyi` over `Dataplane`. Called per command.

use std::path::PathBuf;

use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::dataplane::{Dataplane as Workers, Negotiated, Refusal, Timeouts};
use crate::engine::command::{Event, Report};
use crate::face_srtp::Srtp;
use crate::ids::Id;
use crate::{Nanos, SECOND};

create_exception!(
    sfu._dataplane,
    StaleId,
    PyLookupError,
    "The peer, stage, track, slot or tap was removed, or never existed."
);

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stale(_) => StaleId::new_err(refusal.to_string()),
            Refusal::Impossible(_) => PyValueError::new_err(refusal.to_string()),
            Refusal::Io(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
        }
    }
}

/// An id as Python passes it: any integer may come, and what names nothing is stale, not a type error.
#[derive(Clone, Copy)]
struct Number(Id);

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let raw: i128 = object.extract()?;
        Ok(Self(Id::from_raw(u64::try_from(raw).unwrap_or(u64::MAX))))
    }
}

/// The running workers.
#[pyclass(module = "sfu._dataplane")]
struct Dataplane(Workers);

#[pymethods]
impl Dataplane {
    #[new]
    #[pyo3(signature = (sockets, *, tcp = None, consent_timeout_s = 30.0, join_timeout_s = 30.0))]
    fn new(sockets: Vec<i32>, tcp: Option<i32>, consent_timeout_s: f64, join_timeout_s: f64) -> PyResult<Self> {
        let timeouts = Timeouts { consent: nanos(consent_timeout_s)?, join: nanos(join_timeout_s)? };
        Ok(Self(Workers::start(&sockets, tcp, timeouts)?))
    }

    fn close(&mut self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    fn fileno(&self) -> i32 {
        self.0.fileno()
    }

    fn events<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for event in self.0.events() {
            list.append(to_python(py, event)?)?;
        }
        Ok(list)
    }

    fn barrier(&mut self) -> u64 {
        self.0.barrier()
    }

    #[pyo3(signature = (worker, *, ufrag, pwd))]
    fn create_peer(&mut self, worker: usize, ufrag: &str, pwd: &str) -> PyResult<u64> {
        Ok(self.0.create_peer(worker, ufrag, pwd)?.raw())
    }

    #[pyo3(signature = (peer, *, ufrag, pwd))]
    fn restart_ice(&mut self, peer: Number, ufrag: &str, pwd: &str) -> PyResult<()> {
        Ok(self.0.restart_ice(peer.0, ufrag, pwd)?)
    }

    fn remove_peer(&mut self, peer: Number) -> PyResult<()> {
        Ok(self.0.remove_peer(peer.0)?)
    }

    fn send_dtls(&mut self, peer: Number, datagrams: Vec<Vec<u8>>) -> PyResult<()> {
        Ok(self.0.send_dtls(peer.0, datagrams)?)
    }

    #[pyo3(signature = (peer, *, profile, receive_key, send_key))]
    fn set_srtp(&mut self, peer: Number, profile: u16, receive_key: &[u8], send_key: &[u8]) -> PyResult<()> {
        Ok(self.0.set_srtp(peer.0, profile, receive_key, send_key)?)
    }

    fn create_stage(&mut self) -> PyResult<u64> {
        Ok(self.0.create_stage()?.raw())
    }

    fn remove_stage(&mut self, stage: Number) -> PyResult<()> {
        Ok(self.0.remove_stage(stage.0)?)
    }

    #[pyo3(signature = (peer, stage, *, payload_type, ssrc, mid, mid_id, level_id, is_open, red_payload_type = None))]
    #[expect(clippy::too_many_arguments, reason = "all but two are named by the caller")]
    fn add_track(
        &mut self,
        peer: Number,
        stage: Number,
        payload_type: u8,
        ssrc: Option<u32>,
        mid: Option<&str>,
        mid_id: u8,
        level_id: u8,
        is_open: bool,
        red_payload_type: Option<u8>,
    ) -> PyResult<u64> {
        let negotiated = Negotiated { payload_type, mid, mid_id, level_id, red: red_payload_type };
        Ok(self.0.add_track(peer.0, stage.0, ssrc, negotiated, is_open)?.raw())
    }

    #[pyo3(signature = (track, *, is_open))]
    fn set_gate(&mut self, track: Number, is_open: bool) -> PyResult<()> {
        Ok(self.0.set_gate(track.0, is_open)?)
    }

    #[pyo3(signature = (track, *, level))]
    fn set_level(&mut self, track: Number, level: u8) -> PyResult<()> {
        Ok(self.0.set_level(track.0, level)?)
    }

    fn remove_track(&mut self, track: Number) -> PyResult<()> {
        Ok(self.0.remove_track(track.0)?)
    }

    #[expect(clippy::too_many_arguments, reason = "all but one are named by the caller")]
    #[pyo3(signature = (peer, *, ssrc, payload_type, mid, mid_id, level_id, red_payload_type = None))]
    fn add_slot(
        &mut self,
        peer: Number,
        ssrc: u32,
        payload_type: u8,
        mid: Option<&str>,
        mid_id: u8,
        level_id: u8,
        red_payload_type: Option<u8>,
    ) -> PyResult<u64> {
        let negotiated = Negotiated { payload_type, mid, mid_id, level_id, red: red_payload_type };
        Ok(self.0.add_slot(peer.0, ssrc, negotiated)?.raw())
    }

    #[pyo3(signature = (peer, stage, *, excluding = None, packet_ms = 20))]
    fn follow(&mut self, peer: Number, stage: Number, excluding: Option<Number>, packet_ms: u32) -> PyResult<()> {
        Ok(self.0.follow(peer.0, stage.0, excluding.map(|track| track.0), packet_ms)?)
    }

    fn unfollow(&mut self, peer: Number) -> PyResult<()> {
        Ok(self.0.unfollow(peer.0)?)
    }

    #[pyo3(signature = (stage, *, receive_at, send_to))]
    fn open_tap(&mut self, stage: Number, receive_at: Option<PathBuf>, send_to: Option<PathBuf>) -> PyResult<u64> {
        Ok(self.0.open_tap(stage.0, receive_at.as_deref(), send_to.as_deref())?.raw())
    }

    #[pyo3(signature = (tap, *, ssrc, is_open))]
    fn add_tap_track(&mut self, tap: Number, ssrc: u32, is_open: bool) -> PyResult<u64> {
        Ok(self.0.add_tap_track(tap.0, ssrc, is_open)?.raw())
    }

    #[pyo3(signature = (peer, track, *, packet_ms = 20))]
    fn follow_track(&mut self, peer: Number, track: Number, packet_ms: u32) -> PyResult<()> {
        Ok(self.0.follow_track(peer.0, track.0, packet_ms)?)
    }

    #[pyo3(signature = (track, stage, *, excluding = None))]
    fn replace_track(&mut self, track: Number, stage: Number, excluding: Option<Number>) -> PyResult<usize> {
        Ok(self.0.replace_track(track.0, stage.0, excluding.map(|track| track.0))?)
    }

    #[pyo3(signature = (stage, track, *, excluding = None))]
    fn replace_loudest(&mut self, stage: Number, track: Number, excluding: Option<Number>) -> PyResult<usize> {
        Ok(self.0.replace_loudest(stage.0, excluding.map(|track| track.0), track.0)?)
    }

    fn close_tap(&mut self, tap: Number) -> PyResult<()> {
        Ok(self.0.close_tap(tap.0)?)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for counters in self.0.counters() {
            let of_worker = PyDict::new(py);
            for (name, value) in counters.read() {
                of_worker.set_item(name, value)?;
            }
            list.append(of_worker)?;
        }
        Ok(list)
    }

    fn request_report(&mut self, peer: Number) -> PyResult<()> {
        Ok(self.0.request_report(peer.0)?)
    }
}

fn nanos(seconds: f64) -> PyResult<Nanos> {
    let is_sensible = seconds > 0.0 && seconds < 1e9;
    is_sensible
        .then_some((seconds * SECOND as f64) as Nanos)
        .ok_or_else(|| PyValueError::new_err(format!("a timeout is a positive number of seconds, not {seconds}")))
}

fn to_python(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    let tuple = match event {
        Event::Dtls(peer, datagram) => ("dtls", peer.raw(), PyBytes::new(py, &datagram)).into_pyobject(py)?,
        Event::Nominated(peer, address) => {
            ("nominated", peer.raw(), address.ip().to_string(), address.port()).into_pyobject(py)?
        }
        Event::Expired(peer) => ("expired", peer.raw()).into_pyobject(py)?,
        Event::Applied(ticket) => ("applied", ticket).into_pyobject(py)?,
        Event::Heard(track) => ("heard", track.raw()).into_pyobject(py)?,
        Event::Voices(stage, voices) => {
            let voices: Vec<_> =
                voices.into_iter().map(|(track, dbov)| (track.raw(), dbov.into_pyobject(py))).collect();
            let list = PyList::empty(py);
            for (track, dbov) in voices {
                list.append((track, dbov?))?;
            }
            ("voices", stage.raw(), list).into_pyobject(py)?
        }
        Event::Report(peer, report) => ("report", peer.raw(), report_to_python(py, &report)?).into_pyobject(py)?,
    };
    Ok(tuple.into_any())
}

fn report_to_python<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let numbers = [
        ("packets_in", report.packets_in as f64),
        ("packets_out", report.packets_out as f64),
        ("bytes_in", report.bytes_in as f64),
        ("bytes_out", report.bytes_out as f64),
        ("lost_fraction", report.lost_fraction),
        ("jitter_s", report.jitter_s),
        ("round_trip_s", report.round_trip_s),
    ];
    for (name, number) in numbers {
        dict.set_item(name, number)?;
    }
    Ok(dict)
}

/// Palco's per-packet path.
#[pymodule]
fn _dataplane(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("StaleId", m.py().get_type::<StaleId>())?;
    m.add_class::<Dataplane>()?;
    m.add_class::<Srtp>()
}
