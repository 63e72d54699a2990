//! The frames of a streamed answer, as bytes.
//!
//! Owns the form of server-sent events, and where one frame ends and the next begins. Never
//! knows what a frame says.

use std::io::Write as _;

use serde::Serialize;

/// Frames that were made and wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Where each waiting frame ends.
    ends: Vec<usize>,
    /// Frames made since the answer began.
    made: u64,
}

impl Frames {
    /// Adds `data: JSON`.
    pub(crate) fn data(&mut self, data: &impl Serialize) {
        self.bytes.extend_from_slice(b"data: ");
        self.json(data);
        self.end();
    }

    /// Adds `event: NAME` and `data: JSON`.
    pub(crate) fn event(&mut self, name: &str, data: &impl Serialize) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.bytes, "event: {name}\ndata: ");
        self.json(data);
        self.end();
    }

    /// Adds a line as it is, such as `data: [DONE]` or a comment.
    pub(crate) fn line(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.end();
    }

    /// Adds bytes as a frame, without an empty line after them.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
        self.made += 1;
    }

    /// The frames made since the answer began, from 0.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Takes the waiting frames.
    pub(crate) fn take(&mut self) -> (Vec<u8>, Vec<usize>) {
        (
            std::mem::take(&mut self.bytes),
            std::mem::take(&mut self.ends),
        )
    }

    fn json(&mut self, data: &impl Serialize) {
        // Writing plain structs to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut self.bytes, data);
    }

    fn end(&mut self) {
        self.bytes.extend_from_slice(b"\n\n");
        self.ends.push(self.bytes.len());
        self.made += 1;
    }
}
