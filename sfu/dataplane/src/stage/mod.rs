//! A stage's tracks: how loud each is, and which of them a listener hears. Pure.

pub mod loudness;
pub mod selection;
