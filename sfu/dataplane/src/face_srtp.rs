//! The Python class `Srtp`: SRTP as the workers do it, for tests and load generators.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::rtp;
use crate::srtp::replay::Sources;
use crate::srtp::{Drop, Opener, Profile, Sealer};

/// One direction of SRTP and SRTCP under one master key; seals or opens, whichever side of it the caller is on.
#[pyclass(module = "sfu._dataplane")]
pub struct Srtp {
    profile: Profile,
    sealer: Sealer,
    opener: Opener,
    /// What was sealed, by source: an index is never used twice, and the rollover counter follows the sequence numbers.
    sealed: Sources,
    scratch: Vec<u8>,
}

#[pymethods]
impl Srtp {
    #[new]
    #[pyo3(signature = (*, profile, key))]
    fn new(profile: u16, key: &[u8]) -> PyResult<Self> {
        let profile = Profile::from_code(profile)
            .ok_or_else(|| PyValueError::new_err(format!("no SRTP profile has the code {profile:#06x}")))?;
        let (sealer, opener) = Sealer::new(profile, key).zip(Opener::new(profile, key)).ok_or_else(|| {
            let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
            PyValueError::new_err(format!("the profile takes a key of {key_len} and a salt of {salt_len} bytes"))
        })?;
        Ok(Self { profile, sealer, opener, sealed: Sources::default(), scratch: Vec::new() })
    }

    fn seal_rtp<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let header = rtp::parse(packet).ok_or_else(|| refusal(Drop::Short))?;
        let fresh = self.sealed.check_sequence(header.ssrc, header.sequence).map_err(refusal)?;
        self.load(packet, self.profile.rtp_overhead());
        let len = self
            .sealer
            .seal_rtp(&mut self.scratch, header.header_len, packet.len(), fresh.index)
            .ok_or_else(|| refusal(Drop::Short))?;
        self.sealed.commit(fresh);
        Ok(PyBytes::new(py, &self.scratch[..len]))
    }

    fn open_rtp<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let header = rtp::parse(packet).ok_or_else(|| refusal(Drop::Short))?;
        self.load(packet, 0);
        let (len, _) = self.opener.open_rtp(&mut self.scratch, &header).map_err(refusal)?;
        Ok(PyBytes::new(py, &self.scratch[..len]))
    }

    fn seal_rtcp<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.load(packet, self.profile.rtcp_overhead());
        let len = self.sealer.seal_rtcp(&mut self.scratch, packet.len()).ok_or_else(|| refusal(Drop::Short))?;
        Ok(PyBytes::new(py, &self.scratch[..len]))
    }

    fn open_rtcp<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.load(packet, 0);
        let len = self.opener.open_rtcp(&mut self.scratch).map_err(refusal)?;
        Ok(PyBytes::new(py, &self.scratch[..len]))
    }
}

impl Srtp {
    /// Copies `packet`, which Python will not have changed, to where it may be, with `room` bytes after it.
    fn load(&mut self, packet: &[u8], room: usize) {
        self.scratch.clear();
        self.scratch.extend_from_slice(packet);
        self.scratch.resize(packet.len() + room, 0);
    }
}

fn refusal(reason: Drop) -> PyErr {
    PyValueError::new_err(match reason {
        Drop::Short => "short",
        Drop::Authentication => "authentication",
        Drop::Replay => "replay",
        Drop::UnknownSource => "source",
    })
}
