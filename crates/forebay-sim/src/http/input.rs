//! Reads requests from a connection into one reused buffer.
//!
//! Owns the buffer and the caps on what a client may send. Never writes anything but the
//! interim answer a client may ask for before its body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::chunked::Decoder;
use super::head::BodyLength;
use super::{Head, MAX_BODY, MAX_HEAD, Span};

/// The least free space to read into, in bytes; most requests come in one read.
const READ_SPACE: usize = 8 * 1024;

/// A buffer larger than this is not kept for the next request.
const KEEP_SPACE: usize = 1024 * 1024;

/// How much of the next requests is read while one is being answered, in bytes.
const READ_AHEAD: usize = 256 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The connection ended in the middle of a request.
    Gone,
    /// The request is not one; a status and a message for the client.
    Bad(u16, &'static str),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        ReadError::Gone
    }
}

/// A request whose bytes are in the buffer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    /// The body's place in the buffer; `None` if it was chunked and stands decoded.
    sized: Option<Span>,
    /// The bytes the whole request takes in the buffer.
    len: usize,
}

/// What a connection has sent and the server has not finished with.
#[derive(Debug, Default)]
pub(crate) struct Input {
    data: Vec<u8>,
    /// Where the current request starts in `data`.
    start: usize,
    /// The current request's body, if it was chunked.
    decoded: Vec<u8>,
}

impl Input {
    /// A connection of which these bytes were read already.
    pub(crate) fn begun(data: Vec<u8>) -> Input {
        Input {
            data,
            ..Input::default()
        }
    }

    /// Reads one whole request; `None` if the connection ended before its first byte.
    pub(crate) async fn request<IO>(&mut self, io: &mut IO) -> Result<Option<Request>, ReadError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let head = loop {
            let unread = self.unread();
            if !unread.is_empty() {
                match Head::parse(unread) {
                    Ok(Some(head)) if head.len <= MAX_HEAD => break head,
                    Ok(None) if unread.len() <= MAX_HEAD => {}
                    Ok(_) => return Err(ReadError::Bad(431, "request head too large")),
                    Err((status, message)) => return Err(ReadError::Bad(status, message)),
                }
            }
            if self.fill(io).await? == 0 {
                return match self.unread() {
                    [] => Ok(None),
                    _ => Err(ReadError::Gone),
                };
            }
        };
        let request = match head.body {
            BodyLength::Sized(len) => self.sized_body(io, head, len).await?,
            BodyLength::Chunked => self.chunked_body(io, head).await?,
        };
        Ok(Some(request))
    }

    /// The body of a request.
    pub(crate) fn body(&self, request: &Request) -> &[u8] {
        match request.sized {
            Some(span) => self.bytes(span),
            None => &self.decoded,
        }
    }

    /// A part of the current request.
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        &self.data[self.start + span.start..self.start + span.end]
    }

    /// A part of the current request's head as text; empty unless it is UTF-8.
    pub(crate) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// Forgets a request that was dealt with.
    pub(crate) fn finish(&mut self, request: &Request) {
        self.start += request.len;
        self.decoded.clear();
        if self.start == self.data.len() {
            self.start = 0;
            self.data.clear();
            if self.data.capacity() > KEEP_SPACE {
                self.data = Vec::new();
                self.decoded = Vec::new();
            }
        }
    }

    /// Returns once the client has hung up, and keeps what it sends before that.
    ///
    /// A client that closes only its sending half counts as one that hung up. Cancel safe.
    pub(crate) async fn hang_up<IO: AsyncRead + Unpin>(&mut self, io: &mut IO) {
        let most = self.unread().len() + READ_AHEAD;
        loop {
            if self.unread().len() > most {
                return std::future::pending().await;
            }
            if !matches!(self.fill(io).await, Ok(1..)) {
                return;
            }
        }
    }

    /// Reads and forgets until the client has hung up.
    pub(crate) async fn drain<IO: AsyncRead + Unpin>(&mut self, io: &mut IO) {
        loop {
            self.data.clear();
            self.start = 0;
            if !matches!(self.fill(io).await, Ok(1..)) {
                return;
            }
        }
    }

    async fn sized_body<IO>(
        &mut self,
        io: &mut IO,
        head: Head,
        body_len: usize,
    ) -> Result<Request, ReadError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        if body_len > MAX_BODY {
            return Err(ReadError::Bad(413, "request body too large"));
        }
        let len = head.len + body_len;
        if head.expects_continue && self.unread().len() < len {
            io.write_all(CONTINUE).await?;
        }
        while self.unread().len() < len {
            if self.fill(io).await? == 0 {
                return Err(ReadError::Gone);
            }
        }
        let sized = Some(Span {
            start: head.len,
            end: len,
        });
        Ok(Request { head, sized, len })
    }

    async fn chunked_body<IO>(&mut self, io: &mut IO, head: Head) -> Result<Request, ReadError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        if head.expects_continue && self.unread().len() == head.len {
            io.write_all(CONTINUE).await?;
        }
        let mut decoder = Decoder::new();
        let mut len = head.len;
        loop {
            let encoded = &self.data[self.start + len..];
            len += decoder
                .decode(encoded, &mut self.decoded)
                .map_err(|_| ReadError::Bad(400, "malformed chunked body"))?;
            if self.decoded.len() > MAX_BODY || len > 2 * MAX_BODY {
                return Err(ReadError::Bad(413, "request body too large"));
            }
            if decoder.is_done() {
                let sized = None;
                return Ok(Request { head, sized, len });
            }
            if self.fill(io).await? == 0 {
                return Err(ReadError::Gone);
            }
        }
    }

    fn unread(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// Reads once; 0 means the connection ended.
    async fn fill<IO: AsyncRead + Unpin>(&mut self, io: &mut IO) -> io::Result<usize> {
        if self.data.capacity() - self.data.len() < READ_SPACE / 4 {
            self.data.drain(..self.start);
            self.start = 0;
            self.data.reserve(READ_SPACE);
        }
        io.read_buf(&mut self.data).await
    }
}
