//! One HTTP/1.1 connection.
//!
//! The task that makes an exchange drives its connection itself: no second task has to be
//! woken per request. An idle connection is driven by nobody and asked once before its next
//! use whether it is still open.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::clock::Alarm;
use super::connect::Stream;
use super::http1::{AnswerReader, Head, Outgoing, Piece, RequestHead};
use super::sockets::Socket;
use super::timings::Opening;
use crate::outcome::FailureKind;

/// The largest answer body: far above the largest real one, far below memory.
pub(super) const MAX_BODY: usize = 64 << 20;
/// The largest answer head.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// Bytes read at once: an ordinary answer and then some. They stand on the stack, so that a
/// connection that waits for its answer needs no room for it.
const READ: usize = 16 << 10;

/// An open connection; a handle of it, which moves from the pool to an exchange and back.
pub(super) struct Connection(Box<Inner>);

/// What a connection is.
pub(super) struct Inner {
    stream: Stream,
    reader: AnswerReader,
    /// The request under way, until all of it is written.
    out: Option<Outgoing>,
    /// Whether it can be used at all.
    open: bool,
    exchanges: u64,
    idle_since: Instant,
    /// The timer of its exchanges: each sets it later than the one before as a rule.
    pub(super) alarm: Alarm,
    opening: Opening,
    /// Its place among the origin's sockets.
    _socket: Socket,
}

/// Why a request got no response head.
pub(super) enum Ended {
    /// The connection was closed before the request was written: sending it elsewhere is free.
    NeverSent,
    /// The server has said that it did not look at the request, and is likely to have too many.
    Refused,
    /// The same, because the server takes HTTP/1.1 only.
    WantsHttp1,
    /// The connection ended after the request may have been sent.
    Closed(String),
    /// What came back is not HTTP.
    Bad(FailureKind, String),
}

/// The most that a part of a body grows to: a body is not moved as it grows, so that a large one
/// takes hardly more memory than it has bytes.
const PART: usize = 4 << 20;

/// A body as far as it has arrived.
#[derive(Default)]
pub(super) struct Collected {
    /// As it came, and all of it when nothing follows.
    first: Bytes,
    /// What follows, each part about twice as large as the one before.
    rest: Vec<Vec<u8>>,
    len: usize,
}

impl Collected {
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        let last = self.rest.last_mut();
        let room = last.as_ref().map_or(0, |last| last.capacity() - last.len());
        let (here, there) = chunk.split_at(room.min(chunk.len()));
        if let Some(last) = last {
            last.extend_from_slice(here);
        }
        if !there.is_empty() {
            let mut part = Vec::with_capacity(self.len.min(PART).max(there.len()));
            part.extend_from_slice(there);
            self.rest.push(part);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut whole = Vec::with_capacity(self.len);
        whole.extend_from_slice(&self.first);
        for part in self.rest {
            whole.extend_from_slice(&part);
        }
        whole.into()
    }
}

impl Connection {
    pub(super) fn new(stream: Stream, socket: Socket, opening: Opening) -> Connection {
        Connection(Box::new(Inner {
            stream,
            reader: AnswerReader::default(),
            out: None,
            open: true,
            exchanges: 0,
            idle_since: Instant::now(),
            alarm: Alarm::default(),
            opening,
            _socket: socket,
        }))
    }
}

impl std::ops::Deref for Connection {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::ops::DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.0
    }
}

impl Inner {
    pub(super) fn is_reused(&self) -> bool {
        self.exchanges > 0
    }

    /// How it was opened, unless it has served an exchange before.
    pub(super) fn opening(&self) -> Option<Opening> {
        (!self.is_reused()).then_some(self.opening)
    }

    pub(super) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Whether another request can be written, as far as the peer's packets have arrived.
    pub(super) async fn is_alive(&mut self) -> bool {
        // Whatever an idle connection brings, be it bytes, its end or an error, spoils it.
        poll_fn(|cx| Poll::Ready(self.open && self.fill(cx).is_pending())).await
    }

    /// Whether the connection may go back to the pool.
    pub(super) fn is_reusable(&self) -> bool {
        self.open && self.out.is_none() && self.reader.is_between()
    }

    /// Writes a request and waits for the response head.
    pub(super) async fn send(&mut self, head: &RequestHead, body: &Bytes) -> Result<Head, Ended> {
        self.exchanges += 1;
        self.out = Some(Outgoing::new(head, body));
        poll_fn(|cx| {
            if let Poll::Ready(Err(unsent)) = self.write(cx) {
                return Poll::Ready(Err(unsent));
            }
            loop {
                match self.reader.head() {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(why) => return Poll::Ready(Err(self.no_http(why))),
                }
                match ready!(self.fill(cx)) {
                    Ok(0) => {
                        let why = "connection closed before message completed".to_owned();
                        return Poll::Ready(Err(self.closed(why)));
                    }
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(self.closed(root_of(&error)))),
                }
            }
        })
        .await
    }

    /// Writes as much of the request as the peer takes. A peer that takes no more may have
    /// answered already, so that only a request of which nothing was written ends here.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while let Some(out) = &mut self.out {
            let written = if out.is_written() {
                ready!(Pin::new(&mut self.stream).poll_flush(cx)).map(|()| None)
            } else {
                let [head, body] = out.left();
                let stream = Pin::new(&mut self.stream);
                let parts = [IoSlice::new(head), IoSlice::new(body)];
                ready!(match body.is_empty() {
                    true => stream.poll_write(cx, head),
                    false if head.is_empty() => stream.poll_write(cx, body),
                    false => stream.poll_write_vectored(cx, &parts),
                })
                .map(Some)
            };
            match written {
                Ok(None) => self.out = None,
                Ok(Some(n)) if n > 0 => out.advance(n),
                Ok(Some(_)) | Err(_) if !out.has_begun() => {
                    self.open = false;
                    return Poll::Ready(Err(Ended::NeverSent));
                }
                Ok(Some(_)) | Err(_) => {
                    self.open = false;
                    self.out = None;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what has arrived; 0 is the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let arrived = buffer.filled();
        self.reader.push(arrived);
        Poll::Ready(Ok(arrived.len()))
    }

    fn no_http(&mut self, why: &str) -> Ended {
        self.open = false;
        Ended::Bad(
            FailureKind::Malformed,
            format!("the answer is not HTTP: {why}"),
        )
    }

    fn closed(&mut self, why: String) -> Ended {
        self.open = false;
        Ended::Closed(why)
    }

    /// Reads the next part of the body; `None` at its end.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, (FailureKind, String)> {
        poll_fn(|cx| {
            // Whoever answers early may still want the rest of the request.
            let _ = self.write(cx);
            loop {
                match self.reader.piece() {
                    Ok(Piece::Bytes(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                    Ok(Piece::End) => return Poll::Ready(Ok(None)),
                    Ok(Piece::More) => {}
                    Err(why) => {
                        self.open = false;
                        let why = format!("the answer is not HTTP: {why}");
                        return Poll::Ready(Err((FailureKind::Malformed, why)));
                    }
                }
                let why = match ready!(self.fill(cx)) {
                    Ok(0) if self.reader.ended() => continue,
                    Ok(0) => "the connection ended before the answer did".to_owned(),
                    Ok(_) => continue,
                    Err(error) => root_of(&error),
                };
                self.open = false;
                let why = format!("the answer was cut: {why}");
                return Poll::Ready(Err((FailureKind::Truncated, why)));
            }
        })
        .await
    }

    /// Bytes of the body that are still to come, when that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        self.reader.rest()
    }

    /// The whole rest of the body, when it has arrived already.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        self.out.is_none().then(|| self.reader.whole()).flatten()
    }

    /// Notes that the answer is over since a moment.
    pub(super) fn settle(&mut self, since: Instant) {
        self.idle_since = since;
        if self.is_reusable() {
            self.reader.give_back();
        }
    }

    /// Ends the connection: the rest of an answer is not waited for.
    pub(super) fn give_up(&mut self) {
        self.open = false;
    }
}

/// The innermost cause, which says most: "connection reset by peer" rather than "connection
/// error".
fn root_of(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("exchanges", &self.exchanges)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_its_pieces_are() {
        for size in [1, 7, 1_000, 16 << 10, 5 << 20] {
            let wanted: Vec<u8> = (0..9 << 20).map(|n: u32| (n % 251) as u8).collect();
            let wanted = &wanted[..wanted.len().min(10_000 * size)];
            let mut body = Collected::default();
            for piece in wanted.chunks(size) {
                body.push(Bytes::copy_from_slice(piece));
            }
            assert_eq!(body.len(), wanted.len());
            let room: usize = body.rest.iter().map(Vec::capacity).sum();
            assert!(room <= 2 * wanted.len() && room <= wanted.len() + PART);
            assert!(body.into_bytes() == wanted, "{size}");
        }
    }
}
