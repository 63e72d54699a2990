//! Gemini, as its Developer API speaks.
//!
//! Owns this dialect's bodies and messages. Never knows the others'.

mod error;

pub(super) use error::{bad_key, error, refusal};
