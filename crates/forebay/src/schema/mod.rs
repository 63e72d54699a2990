//! What a JSON Schema says of an answer: whether it fits, and where it does not.
//!
//! Owns the reading of schemas and the words about a misfit. Never opens a file or a socket: a
//! schema that refers to another document is refused. Never asks a model again; the engine does.

mod strict;

#[cfg(not(feature = "schema"))]
mod absent;
#[cfg(feature = "schema")]
mod check;
#[cfg(feature = "schema")]
mod words;

use std::fmt;

#[cfg(not(feature = "schema"))]
pub use absent::Schema;
#[cfg(feature = "schema")]
pub use check::Schema;
pub use strict::fits_strict_mode;

/// A schema, and how often a model whose answer does not fit is asked again.
#[derive(Debug, Clone)]
pub struct SchemaCheck {
    /// What answers have to fit.
    pub schema: Schema,
    /// Further questions per item; 0 takes the first answer or none.
    pub retries: u32,
}

impl SchemaCheck {
    /// Further questions per item when the user names no number.
    pub const DEFAULT_RETRIES: u32 = 2;
}

/// Why an answer does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Places and rules, for the row: nothing of the answer beyond the names in a place.
    pub message: String,
    /// The same for the model, which may be told its own words.
    pub for_model: String,
}

impl Mismatch {
    /// What is said to the model, so that it answers once more.
    pub fn request(&self) -> String {
        format!(
            "That answer cannot be used: {}. Answer again, with JSON that fits the schema and \
             nothing else.",
            self.for_model
        )
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(all(test, feature = "schema"))]
mod tests;
