//! What a JSON Schema says of an answer: whether it fits, and where it does not.
//!
//! Owns the reading of schemas and the words about a misfit. Never opens a file or a socket: a
//! schema that refers to another document is refused. Never asks a model again; the engine does.

mod strict;

#[cfg(feature = "schema")]
mod check;
#[cfg(feature = "schema")]
mod words;

pub use strict::fits_strict_mode;

#[cfg(feature = "schema")]
pub use check::{Mismatch, Schema, SchemaCheck};

#[cfg(all(test, feature = "schema"))]
mod tests;
