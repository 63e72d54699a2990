//! One HTTP/2 connection and its streams.
//!
//! Owns the task that drives it, the count of streams in flight, and what its errors mean. Never
//! opens a connection, and never sends a request twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::header::CONTENT_LENGTH;
use tokio::time::Instant;

use super::clock::ActiveClock;
use super::connect::Stream;
use super::connection::{Ended, MAX_HEAD};
use super::http1::Head;
use super::sockets::{Socket, Sockets};
use super::timings::Opening;
use crate::headers::Headers;
use crate::outcome::{Failure, FailureKind};

/// Streams that one connection carries at most, however many more its peer allows: 5,000 requests
/// at once were fastest over 50 connections, and RFC 9113 asks servers to allow no fewer (section
/// 6.5.2).
pub const STREAMS_PER_CONNECTION: usize = 100;

/// Bytes of one answer that may be on their way unread: as much as four megabytes a second need
/// over the 60 ms of an ordinary distance, and few enough to be kept for each stream.
const WINDOW: u32 = 256 << 10;
/// The same of a whole connection: what one stream leaves unread never holds up another.
const CONNECTION_WINDOW: u32 = WINDOW * STREAMS_PER_CONNECTION as u32;

/// How often a connection with streams in flight is asked whether it is still there, as TCP's own
/// probes ask; these also go through proxies that answer TCP's for a server that is gone.
const PING_EVERY: Duration = Duration::from_secs(60);
/// How long the answer may take: gRPC's clients wait as long.
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// An open connection, shared by all who send on it; it closes once they and the pool let go.
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    state: Arc<State>,
    sockets: Arc<Sockets>,
    opening: Opening,
    opened: Instant,
    /// When the last stream ended, in milliseconds after `opened`.
    idle_since_ms: AtomicU64,
}

/// What the users of a connection and its driver know of each other.
#[derive(Debug)]
struct State {
    /// Streams in flight.
    streams: AtomicUsize,
    /// The most that the peer allows.
    most: AtomicUsize,
    /// Takes no more requests: it was closed, or is going to be.
    retired: AtomicBool,
    /// Heads of answers that came.
    answers: AtomicU64,
    /// The same when it last began to be used after being idle.
    answers_before: AtomicU64,
    /// The driver gave it up, as a ping was not answered.
    is_silent: AtomicBool,
}

/// A place among the streams of a connection, given back when dropped.
pub(super) struct Place {
    connection: Arc<Http2>,
}

/// One exchange on a connection.
pub(super) struct Exchange {
    /// Before the place, so that the stream has ended when the place is free.
    body: Option<RecvStream>,
    /// Bytes of the body that are still to come, when the head tells.
    rest: Option<u64>,
    place: Place,
}

impl Http2 {
    /// Begins to speak HTTP/2; a task of its own drives the connection until it ends.
    ///
    /// `expected` is the number of streams taken as allowed until the peer tells.
    pub(super) async fn new(
        stream: Stream,
        socket: (Socket, &Arc<Sockets>),
        opening: Opening,
        expected: usize,
        clock: &Arc<ActiveClock>,
    ) -> Result<Http2, Failure> {
        let (socket, sockets) = socket;
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(expected)
            .max_header_list_size(MAX_HEAD as u32)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|error| Failure::new(FailureKind::Connect, words(&error)))?;
        let state = Arc::new(State {
            streams: AtomicUsize::new(0),
            most: AtomicUsize::new(expected),
            retired: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            answers_before: AtomicU64::new(0),
            is_silent: AtomicBool::new(false),
        });
        let pings = connection.ping_pong();
        let (driven, clock) = (Arc::clone(&state), Arc::clone(clock));
        tokio::spawn(async move {
            let _socket = socket;
            let driving = std::future::poll_fn(|cx| {
                let ended = std::pin::Pin::new(&mut connection).poll(cx);
                let most = connection.max_concurrent_send_streams();
                driven.most.store(most, Ordering::Relaxed);
                ended
            });
            tokio::select! {
                biased;
                // Each stream learns by itself how it ended.
                _ = driving => {}
                () = watch(pings, &driven, &clock) => driven.is_silent.store(true, Ordering::Relaxed),
            }
            driven.retired.store(true, Ordering::Relaxed);
        });
        Ok(Http2 {
            sender,
            state,
            sockets: Arc::clone(sockets),
            opening,
            opened: Instant::now(),
            idle_since_ms: AtomicU64::new(0),
        })
    }

    /// A place for one more stream, unless all are taken or it takes no more.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        if self.is_retired() {
            return None;
        }
        let most = self.most();
        let one_more = |streams| (streams < most).then_some(streams + 1);
        let streams = &self.state.streams;
        let before = streams
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .ok()?;
        if before == 0 {
            let answers = self.state.answers.load(Ordering::Relaxed);
            self.state.answers_before.store(answers, Ordering::Relaxed);
        }
        Some(Place {
            connection: Arc::clone(self),
        })
    }

    /// Streams that it carries at most; a peer that allows none is asked all the same, and says
    /// when it does.
    pub(super) fn most(&self) -> usize {
        self.state
            .most
            .load(Ordering::Relaxed)
            .clamp(1, STREAMS_PER_CONNECTION)
    }

    pub(super) fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }

    pub(super) fn is_retired(&self) -> bool {
        self.state.retired.load(Ordering::Relaxed)
    }

    /// Whether nobody has used it for so long.
    pub(super) fn has_idled_for(&self, time: Duration) -> bool {
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        self.streams() == 0 && self.opened.elapsed().saturating_sub(since) > time
    }

    fn retire(&self) {
        self.state.retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connection = &self.connection;
        if connection.state.streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            let since = connection.opened.elapsed().as_millis();
            let since = u64::try_from(since).unwrap_or(u64::MAX);
            connection.idle_since_ms.store(since, Ordering::Relaxed);
        }
        connection.sockets.tell();
    }
}

impl Exchange {
    pub(super) fn new(place: Place) -> Exchange {
        Exchange {
            body: None,
            rest: None,
            place,
        }
    }

    /// How the connection was opened, unless it has served an exchange before.
    pub(super) fn opening(&self) -> Option<Opening> {
        let connection = &self.place.connection;
        let is_new = connection.state.answers.load(Ordering::Relaxed) == 0;
        is_new.then_some(connection.opening)
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Cancel safety
    /// Dropping the future, or the exchange later, resets this stream and no other.
    pub(super) async fn send(
        &mut self,
        request: http::Request<()>,
        body: Bytes,
    ) -> Result<Head, Ended> {
        let connection = &self.place.connection;
        let mut sender = connection.sender.clone();
        let sent = sender.send_request(request, body.is_empty());
        let (response, mut stream) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                connection.retire();
                return Err(match wants_http1(&error) {
                    true => Ended::WantsHttp1,
                    false => Ended::NeverSent,
                });
            }
        };
        drop(sender);
        if !body.is_empty() {
            // What is wrong with a stream that takes no data is told by its answer.
            let _ = stream.send_data(body, true);
        }
        drop(stream);
        match response.await {
            Ok(response) => {
                connection.state.answers.fetch_add(1, Ordering::Relaxed);
                let (head, body) = response.into_parts();
                self.rest = head
                    .headers
                    .get(CONTENT_LENGTH)
                    .and_then(|length| length.to_str().ok()?.parse().ok());
                self.body = Some(body);
                Ok(Head {
                    status: head.status,
                    headers: Headers::from(&head.headers),
                })
            }
            Err(error) => Err(connection.why_ended(&error)),
        }
    }

    /// Reads the next part of the body; `None` at its end.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, (FailureKind, String)> {
        let Some(body) = &mut self.body else {
            return Ok(None);
        };
        match body.data().await {
            None => Ok(None),
            Some(Ok(chunk)) => {
                // It fails only when the stream has ended, which the next read tells.
                let _ = body.flow_control().release_capacity(chunk.len());
                self.rest = self
                    .rest
                    .map(|rest| rest.saturating_sub(chunk.len() as u64));
                Ok(Some(chunk))
            }
            Some(Err(error)) => Err(why_cut(&error)),
        }
    }

    /// Bytes that are still to come, when that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        self.rest
    }

    /// Whether the connection had been idle before this exchange and has answered nothing since:
    /// its server had most likely given it up.
    pub(super) fn is_unanswered(&self) -> bool {
        let State {
            answers,
            answers_before,
            ..
        } = &*self.place.connection.state;
        let answers = answers.load(Ordering::Relaxed);
        answers > 0 && answers == answers_before.load(Ordering::Relaxed)
    }
}

impl Http2 {
    fn why_ended(&self, error: &h2::Error) -> Ended {
        if wants_http1(error) {
            self.retire();
            return Ended::WantsHttp1;
        }
        if error.is_go_away() && error.is_remote() {
            // Only streams beyond the last that the peer has looked at, or will, end like this.
            self.retire();
            return Ended::NeverSent;
        }
        if error.reason() == Some(Reason::REFUSED_STREAM) && error.is_remote() {
            return Ended::Refused;
        }
        if error.is_library() {
            let why = format!("the answer is not HTTP: {}", words(error));
            return Ended::Bad(FailureKind::Malformed, why);
        }
        if self.state.is_silent.load(Ordering::Relaxed) {
            return Ended::Closed("nothing answers on it any more".to_owned());
        }
        Ended::Closed(words(error))
    }
}

/// Whether the peer takes HTTP/1.1 only (RFC 9113, section 7), and so has not looked at the
/// request.
fn wants_http1(error: &h2::Error) -> bool {
    error.reason() == Some(Reason::HTTP_1_1_REQUIRED) && error.is_remote()
}

/// A body that ends too soon, or one that breaks the rules.
fn why_cut(error: &h2::Error) -> (FailureKind, String) {
    let why = words(error);
    match error.is_library() {
        true => (
            FailureKind::Malformed,
            format!("the answer is not HTTP: {why}"),
        ),
        false => (FailureKind::Truncated, format!("the answer was cut: {why}")),
    }
}

/// What an error says, without what a peer adds: that may repeat anything.
fn words(error: &h2::Error) -> String {
    match (error.get_io(), error.reason()) {
        (Some(io), _) => io.to_string(),
        (None, Some(reason)) if error.is_reset() => format!("the stream was reset ({reason})"),
        (None, Some(reason)) => format!("the connection was ended ({reason})"),
        (None, None) => error.to_string(),
    }
}

/// Asks the peer now and then whether it is still there while streams are in flight; ends when it
/// does not answer.
async fn watch(pings: Option<PingPong>, state: &State, clock: &ActiveClock) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(PING_EVERY).await;
        if state.streams.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let asked = clock.timeout_at(clock.now() + PONG_WITHIN, pings.ping(Ping::opaque()));
        match asked.await {
            Ok(Ok(_)) => {}
            // The connection has ended, which its driver tells.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}
