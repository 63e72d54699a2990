//! Faults of ours or of the user's configuration; they stop a run.
//!
//! What goes wrong with one item is a [`Failure`](crate::outcome::Failure), never an `Error`.

use std::fmt;

/// Why a run cannot start or go on.
///
/// Its text is one line that says what, where and the value; [`Error::hint`] says what to do.
/// It never holds a key or a prompt.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

/// What an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A flag, a setting or a combination of them is wrong.
    Config,
    /// A file cannot be read or written, or holds what it should not.
    Io,
}

impl Error {
    /// A fault in what the user asked for.
    pub fn config(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, message)
    }

    /// A fault of a file.
    pub fn io(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Io, message)
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// The same fault with a word on what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault, told with its place before it.
    #[must_use]
    pub fn at(self, place: &str) -> Error {
        let message = format!("{place}: {}", self.message);
        Error { message, ..self }
    }

    /// What the fault is about.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, when there is something to say.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
