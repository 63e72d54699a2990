//! One stream as a connection of HTTP/1.1.
//!
//! Owns the way from an answer's bytes to frames: head, body in chunks or of a length, and the end.
//! What ends too soon, or is no HTTP, resets the stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::{ChunkDecoder, MAX_HEAD};

/// The most headers of an answer that are read.
const MAX_HEADERS: usize = 96;

/// How a body is delimited, and what is missing of it.
#[derive(Debug)]
enum Body {
    Sized(usize),
    /// Bytes that are not decoded yet stand beside.
    Chunked(ChunkDecoder, Vec<u8>),
    ToClose,
}

/// Where an answer stands.
enum State {
    Head(SendResponse<Bytes>, Vec<u8>),
    Body(SendStream<Bytes>, Body),
    /// All was sent, or the stream was reset.
    Over,
}

/// A stream that reads and writes like a connection of HTTP/1.1 with one request.
pub(super) struct StreamIo {
    request: Vec<u8>,
    read: usize,
    is_head: bool,
    state: State,
}

impl StreamIo {
    pub(super) fn new(request: Vec<u8>, answer: SendResponse<Bytes>, is_head: bool) -> StreamIo {
        StreamIo {
            request,
            read: 0,
            is_head,
            state: State::Head(answer, Vec::new()),
        }
    }

    fn reset(&mut self, reason: Reason) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head(mut answer, _) => answer.send_reset(reason),
            State::Body(mut stream, _) => stream.send_reset(reason),
            State::Over => {}
        }
    }

    /// Takes bytes of the answer's head, and what follows it; false if it is none.
    fn head(&mut self, bytes: &[u8]) -> bool {
        let State::Head(answer, head) = &mut self.state else {
            return true;
        };
        head.extend_from_slice(bytes);
        let (response, length) = match parse(head) {
            Parsed::Partial => return head.len() <= 2 * MAX_HEAD,
            Parsed::Bad => return false,
            // What comes before the answer proper is no matter of HTTP/2 here.
            Parsed::Interim(length) => {
                head.drain(..length);
                return self.head(&[]);
            }
            Parsed::Whole(response, length) => (response, length),
        };
        let rest = head.split_off(length);
        let body = match delimited(&response) {
            _ if self.is_head => Body::Sized(0),
            body => body,
        };
        let is_empty = matches!(body, Body::Sized(0));
        let response = without_hops(response);
        let Ok(stream) = answer.send_response(response, is_empty) else {
            return false;
        };
        self.state = match is_empty {
            true => State::Over,
            false => State::Body(stream, body),
        };
        self.body(&rest)
    }

    /// Takes bytes of the answer's body; false if they are none.
    fn body(&mut self, bytes: &[u8]) -> bool {
        let State::Body(stream, body) = &mut self.state else {
            return true;
        };
        let (piece, is_end) = match body {
            Body::ToClose => (Bytes::copy_from_slice(bytes), false),
            Body::Sized(left) => {
                let part = bytes.len().min(*left);
                *left -= part;
                (Bytes::copy_from_slice(&bytes[..part]), *left == 0)
            }
            Body::Chunked(decoder, rest) => {
                rest.extend_from_slice(bytes);
                let mut piece = Vec::new();
                let Ok(taken) = decoder.decode(rest, &mut piece) else {
                    return false;
                };
                rest.drain(..taken);
                (Bytes::from(piece), decoder.is_done())
            }
        };
        if piece.is_empty() && !is_end {
            return true;
        }
        let is_sent = stream.send_data(piece, is_end).is_ok();
        if is_end {
            self.state = State::Over;
        }
        is_sent
    }

    /// Waits until the client takes more of the body; how much of it.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let State::Body(stream, _) = &mut self.state else {
            return Poll::Ready(Ok(wanted));
        };
        loop {
            let room = stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            stream.reserve_capacity(wanted);
            if stream.capacity() > 0 {
                continue;
            }
            match ready!(stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }
}

/// What bytes are as the head of an answer, and how many of them.
enum Parsed {
    Partial,
    Bad,
    Interim(usize),
    Whole(Response<()>, usize),
}

fn parse(head: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(head) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Bad,
    };
    let status = parsed.code.unwrap_or_default();
    if (100..200).contains(&status) {
        return Parsed::Interim(length);
    }
    let mut response = Response::builder().status(status);
    for header in parsed.headers.iter() {
        response = response.header(header.name, header.value);
    }
    match response.body(()) {
        Ok(response) => Parsed::Whole(response, length),
        Err(_) => Parsed::Bad,
    }
}

fn delimited(response: &Response<()>) -> Body {
    use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

    let headers = response.headers();
    if headers.contains_key(TRANSFER_ENCODING) {
        return Body::Chunked(ChunkDecoder::new(), Vec::new());
    }
    let length = headers.get(CONTENT_LENGTH);
    match length.and_then(|length| length.to_str().ok()?.parse().ok()) {
        Some(length) => Body::Sized(length),
        None => Body::ToClose,
    }
}

/// Leaves out what is between two neighbours only (RFC 9113, section 8.2.2).
fn without_hops(mut response: Response<()>) -> Response<()> {
    use http::header::{CONNECTION, TRANSFER_ENCODING};

    *response.version_mut() = http::Version::HTTP_2;
    for name in [CONNECTION, TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    response.headers_mut().remove("keep-alive");
    response
}

impl AsyncRead for StreamIo {
    /// Gives the request, then waits until the client gives it up or the answer is over.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.request[self.read..];
        if !left.is_empty() {
            let n = left.len().min(buffer.remaining());
            buffer.put_slice(&left[..n]);
            self.read += n;
            return Poll::Ready(Ok(()));
        }
        // How it was given up is all the same.
        match &mut self.state {
            State::Head(answer, _) => answer.poll_reset(cx).map(|_| Ok(())),
            State::Body(stream, _) => stream.poll_reset(cx).map(|_| Ok(())),
            State::Over => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for StreamIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = match self.state {
            State::Head(..) => bytes.len(),
            State::Body(..) => ready!(self.poll_room(cx, bytes.len()))?,
            State::Over => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let is_head = matches!(self.state, State::Head(..));
        let is_fine = match is_head {
            true => self.head(&bytes[..n]),
            false => self.body(&bytes[..n]),
        };
        if !is_fine {
            self.reset(Reason::PROTOCOL_ERROR);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task writes.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Body(stream, Body::ToClose) = &mut self.state {
            // The client may be gone already; then there is nothing to end.
            let _ = stream.send_data(Bytes::new(), true);
            self.state = State::Over;
        }
        self.reset(Reason::INTERNAL_ERROR);
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamIo {
    fn drop(&mut self) {
        self.reset(Reason::INTERNAL_ERROR);
    }
}
