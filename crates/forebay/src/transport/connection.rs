//! One HTTP/1.1 connection.
//!
//! The task that makes an exchange drives its connection itself: no second task has to be
//! woken per request. An idle connection is driven by nobody and asked once before its next
//! use whether it is still open.

use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::connect::Stream;
use super::sockets::Socket;
use super::timings::Opening;
use crate::outcome::{Failure, FailureKind};

/// The largest answer body: far above the largest real one, far below memory.
pub(super) const MAX_BODY: usize = 64 << 20;
/// The largest answer head.
pub(super) const MAX_HEAD: usize = 64 << 10;

type Driver = http1::Connection<TokioIo<Stream>, Full<Bytes>>;

/// An open connection and the one who drives it.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended.
    driver: Option<Pin<Box<Driver>>>,
    exchanges: u64,
    idle_since: Instant,
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
    /// The connection ended after the request may have been sent.
    Closed(String),
    /// What came back is not HTTP.
    Bad(FailureKind, String),
}

/// A body as far as it has arrived.
#[derive(Default)]
pub(super) struct Collected {
    first: Bytes,
    rest: BytesMut,
}

impl Collected {
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&chunk);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.first.len().max(self.rest.len())
    }

    pub(super) fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            self.first
        } else {
            self.rest.freeze()
        }
    }
}

impl Connection {
    pub(super) async fn new(
        stream: Stream,
        socket: Socket,
        opening: Opening,
    ) -> Result<Connection, Failure> {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_HEAD.max(8192))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::new(FailureKind::Connect, error.to_string()))?;
        Ok(Connection {
            sender,
            driver: Some(Box::pin(driver)),
            exchanges: 0,
            idle_since: Instant::now(),
            opening,
            _socket: socket,
        })
    }

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
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.driver.is_some() && self.sender.is_ready())
        })
        .await
    }

    /// Whether the connection may go back to the pool.
    pub(super) fn is_reusable(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Writes a request and waits for the response head.
    pub(super) async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Ended> {
        let mut response = std::pin::pin!(self.sender.try_send_request(request));
        self.exchanges += 1;
        let driver = &mut self.driver;
        poll_fn(|cx| {
            drive(driver, cx);
            match response.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(_) => Ended::NeverSent,
                    None => why_ended(error.error()),
                })),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Reads the next part of the body; `None` at its end.
    pub(super) async fn read(
        &mut self,
        incoming: &mut Incoming,
    ) -> Result<Option<Bytes>, (FailureKind, String)> {
        let driver = &mut self.driver;
        poll_fn(|cx| {
            loop {
                let mut frame = Pin::new(&mut *incoming).poll_frame(cx);
                if frame.is_pending() {
                    drive(driver, cx);
                    frame = Pin::new(&mut *incoming).poll_frame(cx);
                }
                return match frame {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(Ok(None)),
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Err(why_cut(&error))),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(chunk) => Poll::Ready(Ok(Some(chunk))),
                        // Trailers hold nothing of interest.
                        Err(_) => continue,
                    },
                };
            }
        })
        .await
    }

    /// Lets the connection notice that the answer is over.
    pub(super) async fn settle(&mut self) {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        self.idle_since = Instant::now();
    }

    /// Ends the connection: the rest of an answer is not waited for.
    pub(super) fn give_up(&mut self) {
        self.driver = None;
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }
}

fn drive(driver: &mut Option<Pin<Box<Driver>>>, cx: &mut Context<'_>) {
    if let Some(running) = driver
        && running.as_mut().poll(cx).is_ready()
    {
        *driver = None;
    }
}

fn why_ended(error: &hyper::Error) -> Ended {
    if error.is_parse() {
        Ended::Bad(
            FailureKind::Malformed,
            format!("the answer is not HTTP: {}", root_of(error)),
        )
    } else {
        Ended::Closed(root_of(error))
    }
}

/// A body that ends too soon, or one that breaks the rules of its chunks.
fn why_cut(error: &hyper::Error) -> (FailureKind, String) {
    let io = error.source().and_then(|e| e.downcast_ref::<io::Error>());
    let why = root_of(error);
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => (
            FailureKind::Malformed,
            format!("the answer is not HTTP: {why}"),
        ),
        _ => (FailureKind::Truncated, format!("the answer was cut: {why}")),
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
            .field("open", &self.driver.is_some())
            .finish_non_exhaustive()
    }
}
