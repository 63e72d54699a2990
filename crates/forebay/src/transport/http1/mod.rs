//! HTTP/1.1 as bytes: requests are written and answers read without a socket.
//!
//! Owns the rules by which an answer ends (RFC 9112). Never reads or writes a connection itself,
//! and never guesses: what breaks the rules is an error, and its connection is not used again.
//!
//! ```text
//! push bytes ─► head ─► pieces of the body ─► the end ─► head of the next answer
//! ```

mod body;
mod head;

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use memchr::memmem;

use super::connection::MAX_HEAD;
use crate::fields::push_number;

use body::Body;
pub use body::Piece;
pub use head::Head;

/// A small body is copied behind its head, so that both leave with one plain write, and a small
/// head is read anew as often as some of it arrives.
const SMALL: usize = 8 << 10;

/// What is wrong with bytes that are no HTTP answer, without any of their content.
pub type Wrong = &'static str;

/// The head of requests, but for the length of their bodies. It has secrets in it.
pub(super) struct RequestHead {
    lines: Vec<u8>,
    /// Whether the length follows: a request that has no body by its nature tells none.
    tells_length: bool,
}

impl RequestHead {
    /// Writes a head; a URI with a scheme is for a proxy. Names and values of `headers` are those
    /// of HTTP already, so that nothing in them can end a line; how long the body is nobody else
    /// may say.
    pub(super) fn new(method: &http::Method, uri: &http::Uri, headers: &HeaderMap) -> RequestHead {
        let target = match (uri.scheme(), uri.path_and_query()) {
            (Some(_), _) => uri.to_string(),
            (None, target) => target.map_or("/", |target| target.as_str()).to_owned(),
        };
        let mut lines = Vec::with_capacity(256);
        for part in [method.as_str(), " ", &target, " HTTP/1.1\r\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
        for (name, value) in headers {
            if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
                lines.extend_from_slice(name.as_str().as_bytes());
                lines.extend_from_slice(b": ");
                lines.extend_from_slice(value.as_bytes());
                lines.extend_from_slice(b"\r\n");
            }
        }
        RequestHead {
            lines,
            tells_length: *method != http::Method::GET,
        }
    }

    fn push(&self, out: &mut Vec<u8>, length: usize) {
        out.extend_from_slice(&self.lines);
        if self.tells_length || length > 0 {
            out.extend_from_slice(b"content-length: ");
            push_number(out, length as u64);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Shows none of it.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead").finish_non_exhaustive()
    }
}

/// Reads the answers that a connection brings, one after another.
///
/// ```
/// use forebay::transport::{AnswerReader, Piece};
///
/// let mut reader = AnswerReader::default();
/// reader.push(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
/// assert_eq!(reader.head().unwrap().unwrap().status, 200);
/// assert!(matches!(reader.piece(), Ok(Piece::Bytes(bytes)) if bytes == "hi"));
/// assert!(matches!(reader.piece(), Ok(Piece::End)));
/// assert!(reader.is_between());
/// ```
#[derive(Default)]
pub struct AnswerReader {
    /// What was pushed and not read yet.
    buffer: BytesMut,
    body: Body,
    /// Whether no other answer may follow on the connection.
    is_last: bool,
    /// Bytes of the buffer in which the end of a head was looked for.
    looked: usize,
}

impl AnswerReader {
    /// Takes bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next answer's head, once all of it is there. Interim answers are passed over.
    ///
    /// # Errors
    /// When it is no head, or too large.
    pub fn head(&mut self) -> Result<Option<Head>, Wrong> {
        loop {
            if !self.may_be_whole() {
                return self.is_bounded();
            }
            let Some((length, head)) = head::read(&mut self.buffer)? else {
                return self.is_bounded();
            };
            self.looked = 0;
            if !head.status.is_informational() {
                self.is_last = !length.stays;
                self.body = length.body;
                return Ok(Some(head));
            }
        }
    }

    /// Whether it is worth while to look for a head, so that a large one which comes in many
    /// pieces is not read anew with each.
    fn may_be_whole(&mut self) -> bool {
        // The last two bytes may begin what ends the head.
        let from = self.looked.saturating_sub(2);
        self.looked = self.buffer.len();
        let fresh = &self.buffer[from..];
        self.looked <= SMALL
            || [&b"\n\r\n"[..], b"\n\n"]
                .iter()
                .any(|end| memmem::find(fresh, end).is_some())
    }

    fn is_bounded(&self) -> Result<Option<Head>, Wrong> {
        match self.buffer.len() > MAX_HEAD {
            true => Err("the head of the answer is too large"),
            false => Ok(None),
        }
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// When its chunks break the rules.
    pub fn piece(&mut self) -> Result<Piece, Wrong> {
        self.body.piece(&mut self.buffer)
    }

    /// The whole rest of the body, when all of it was pushed and its length is known; it is read
    /// then.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.body.rest()?).ok()?;
        if length > self.buffer.len() {
            return None;
        }
        self.body = Body::Over;
        Some(self.buffer.split_to(length).freeze())
    }

    /// Notices that no more bytes will come: `true` when the answer is whole by that.
    pub fn ended(&mut self) -> bool {
        self.is_last = true;
        self.body.ended()
    }

    /// Bytes of the body that are still to come, when the head told.
    pub fn rest(&self) -> Option<u64> {
        self.body.rest()
    }

    /// Whether no answer is under way, and the connection may bring another one.
    pub fn is_between(&self) -> bool {
        !self.is_last && self.body.is_over() && self.buffer.is_empty()
    }

    /// Gives memory back that is not used between two answers.
    pub(super) fn give_back(&mut self) {
        self.buffer = BytesMut::new();
        self.looked = 0;
    }
}

/// Shows how far it has read, and nothing of the answer.
impl fmt::Debug for AnswerReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerReader")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A request on its way out.
pub(super) struct Outgoing {
    head: Vec<u8>,
    body: Bytes,
    written: usize,
}

/// Room for the line of the length and the empty line.
const LENGTH_LINE: usize = 48;

impl Outgoing {
    pub(super) fn new(head: &RequestHead, body: &Bytes) -> Outgoing {
        let small = body.len() <= SMALL;
        let room = head.lines.len() + LENGTH_LINE + if small { body.len() } else { 0 };
        let mut bytes = Vec::with_capacity(room);
        head.push(&mut bytes, body.len());
        let mut rest = body.clone();
        if small {
            bytes.extend_from_slice(body);
            rest = Bytes::new();
        }
        Outgoing {
            head: bytes,
            body: rest,
            written: 0,
        }
    }

    /// What is left to be written: of the head, and of the body.
    pub(super) fn left(&self) -> [&[u8]; 2] {
        let of_head = self.written.min(self.head.len());
        let of_body = self.written - of_head;
        [&self.head[of_head..], &self.body[of_body..]]
    }

    /// Notes that some of what was left is written.
    pub(super) fn advance(&mut self, written: usize) {
        self.written += written;
    }

    pub(super) fn has_begun(&self) -> bool {
        self.written > 0
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.head.len() + self.body.len()
    }
}

#[cfg(test)]
mod tests;
