//! Bytes to and from an origin.
//!
//! Owns connections, their pool and the deadlines of an exchange. Never retries what may have
//! been sent, and knows nothing of dialects.
//!
//! ```text
//! exchange ─► pool: idle connection? ─► alive? ─► write request ─► head ─► body ─► back to pool
//!                │ none                    │ no: next one
//!                └► connect (deadline, bounded number under way)
//! ```

mod clock;
mod connect;
mod connection;
mod encoding;
mod memory;
mod network;
mod opened;
mod pool;
mod room;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep};

pub use connect::{Connector, tls_config};
pub use memory::MemoryConnector;
pub use network::{Asked, Network};
pub use opened::{Opened, Progress};

use crate::config::Timeouts;
use crate::endpoint::BaseUrl;
use crate::error::Error;
use crate::outcome::{Failure, FailureKind, Phase};
use clock::{ActiveClock, Alarm};
use connect::Unconnected;
use connection::{Connection, Ended};
use network::{System, Way};
use pool::Pool;
use room::Room;

/// How often an exchange moves to another connection because a pooled one turned out closed
/// before anything was sent.
const NEVER_SENT_MOVES: u32 = 100;

/// How soon after sending a reused connection must end to have been given up by the server
/// before the request came: a round trip to the other side of the world, and some more.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// Distance of two tries while the machine has no free descriptors or ports.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

/// One origin and the way to it.
#[derive(Debug)]
pub struct Transport {
    origin: BaseUrl,
    host: HeaderValue,
    connector: Connector,
    way: Way,
    pool: Pool,
    room: Room,
    timeouts: Timeouts,
    clock: ActiveClock,
}

/// The part of requests that is always the same.
#[derive(Debug)]
pub struct Call {
    method: http::Method,
    uri: http::Uri,
    headers: HeaderMap,
}

impl Call {
    /// The same call with `GET`.
    #[must_use]
    pub fn get(mut self) -> Call {
        self.method = http::Method::GET;
        self
    }

    fn request(&self, body: &Bytes) -> http::Request<http_body_util::Full<Bytes>> {
        let mut request = http::Request::new(http_body_util::Full::new(body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// The answer to a request, whole.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When the head arrived, by the local clock.
    pub arrived: SystemTime,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// What happened.
    pub failure: Failure,
    /// Whether a reused connection was closed before any byte of the answer: almost surely the
    /// server had given it up already.
    pub stale: bool,
}

impl Transport {
    /// A transport to this origin; nothing is connected yet.
    ///
    /// # Errors
    /// When the host cannot be a header value.
    pub fn new(
        origin: BaseUrl,
        connector: Connector,
        timeouts: Timeouts,
    ) -> Result<Transport, Error> {
        let host = HeaderValue::from_str(&origin.host_header())
            .map_err(|_| Error::config("the base URL's host cannot be sent as a header"))?;
        Ok(Transport {
            pool: Pool::new(origin.tls),
            room: Room::new(),
            origin,
            host,
            connector,
            way: Way::new(Arc::new(System)),
            timeouts,
            clock: ActiveClock::default(),
        })
    }

    /// The same transport, which asks this for addresses and sockets instead of the operating
    /// system.
    #[must_use]
    pub fn over(self, network: Arc<dyn Network>) -> Transport {
        Transport {
            way: Way::new(network),
            ..self
        }
    }

    /// Leaves a time out of all deadlines: the process was stopped, or the machine asleep.
    pub fn slept(&self, time: Duration) {
        self.clock.slept(time);
    }

    /// Closes connections that have idled for too long; another client may wait for their place.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// What all requests to a path have in common, made once.
    ///
    /// # Errors
    /// When the path cannot be part of a URL.
    pub fn call(&self, path: &str, headers: &HeaderMap) -> Result<Call, Error> {
        let uri = path
            .parse()
            .map_err(|_| Error::config(format!("the path {path:?} cannot be part of a URL")))?;
        let mut headers = headers.clone();
        headers.insert(HOST, self.host.clone());
        let method = http::Method::POST;
        Ok(Call {
            method,
            uri,
            headers,
        })
    }

    /// Makes one HTTP exchange and reads the whole answer.
    ///
    /// # Errors
    /// When no whole answer arrives in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection; the provider may have received the request.
    pub async fn exchange(&self, call: &Call, body: &Bytes) -> Result<Answer, NoAnswer> {
        let opened = self.open(call, body).await?;
        opened.collect().await.map_err(no_answer)
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When no head arrives in time.
    ///
    /// # Cancel safety
    /// As for [`Transport::exchange`]; the same holds for dropping what it gives.
    pub async fn open(&self, call: &Call, body: &Bytes) -> Result<Opened<'_>, NoAnswer> {
        let deadline = self.clock.now() + self.timeouts.total;
        let mut moves = 0;
        loop {
            let connection = self.connection(deadline).await?;
            match self.send(connection, call.request(body), deadline).await {
                Ok(opened) => return Ok(opened),
                Err(Lost::NeverSent) if moves < NEVER_SENT_MOVES => moves += 1,
                Err(Lost::NeverSent) => {
                    return Err(no_answer(Failure::new(
                        FailureKind::Connect,
                        "each new connection was closed before the request was sent",
                    )));
                }
                Err(Lost::NoAnswer(failure, stale)) => return Err(NoAnswer { failure, stale }),
            }
        }
    }

    /// A pooled connection, or a new one; waits while the machine has no room for one.
    async fn connection(&self, deadline: Instant) -> Result<Connection, NoAnswer> {
        let began = self.clock.now();
        loop {
            while let Some(mut connection) = self.pool.take() {
                if connection.is_alive().await {
                    return Ok(connection);
                }
            }
            let Unconnected { failure, wait } = match self.connect(deadline).await {
                Ok(connection) => return Ok(connection),
                Err(none) => none,
            };
            let now = self.clock.now();
            let may_wait = wait.is_some_and(|wait| now - began < wait);
            if !may_wait || now >= deadline {
                return Err(no_answer(failure));
            }
            sleep(EXHAUSTED_WAIT).await;
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, Unconnected> {
        // Waiting for a place is no fault of the server's and takes nothing off its deadline.
        let _place = self.pool.connect_place().await;
        let end = deadline.min(self.clock.now() + self.timeouts.connect);
        let connecting = self.connector.connect(&self.origin, &self.way);
        match self.clock.timeout_at(end, connecting).await {
            Ok(stream) => Ok(Connection::new(stream?).await?),
            Err(_) => Err(timed_out(Phase::Connect, self.timeouts.connect).into()),
        }
    }

    async fn send(
        &self,
        mut connection: Connection,
        request: http::Request<http_body_util::Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Opened<'_>, Lost> {
        let reused = connection.is_reused();
        let sent = Instant::now();
        let end = deadline.min(self.clock.now() + self.timeouts.first_byte);
        let sending = connection.send(request);
        let response = match self.clock.timeout_at(end, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(Ended::NeverSent)) => return Err(Lost::NeverSent),
            Ok(Err(Ended::Closed(why))) => {
                let failure = Failure::new(
                    FailureKind::Truncated,
                    format!("the connection ended before the answer began: {why}"),
                );
                // Later than that, the server may well have worked on it.
                let stale = reused && sent.elapsed() < STALE_WITHIN;
                if stale {
                    self.pool.distrust(connection.idle_since());
                }
                return Err(Lost::NoAnswer(failure, stale));
            }
            Ok(Err(Ended::Bad(kind, why))) => {
                return Err(Lost::NoAnswer(Failure::new(kind, why), false));
            }
            Err(_) => {
                let late = self.late(Phase::FirstChunk, self.timeouts.first_byte, deadline);
                return Err(Lost::NoAnswer(late, false));
            }
        };
        let arrived = SystemTime::now();
        let (head, incoming) = response.into_parts();
        Ok(Opened {
            transport: self,
            connection,
            incoming,
            status: head.status,
            headers: head.headers,
            arrived,
            deadline,
            first_chunk_end: end,
            read: 0,
            place: None,
            alarm: Alarm::default(),
        })
    }

    fn late(&self, phase: Phase, limit: Duration, deadline: Instant) -> Failure {
        if self.clock.now() >= deadline {
            timed_out(Phase::Total, self.timeouts.total)
        } else {
            timed_out(phase, limit)
        }
    }
}

/// Why an exchange on one connection gave no answer.
enum Lost {
    NeverSent,
    NoAnswer(Failure, bool),
}

fn no_answer(failure: Failure) -> NoAnswer {
    NoAnswer {
        failure,
        stale: false,
    }
}

fn timed_out(phase: Phase, limit: Duration) -> Failure {
    let what = match phase {
        Phase::Connect => "no connection",
        Phase::FirstChunk => "no answer began",
        Phase::BetweenChunks => "the answer stalled",
        Phase::Total => "the attempt did not end",
    };
    let message = format!("{what} within {} s", limit.as_secs_f64());
    Failure::new(FailureKind::Timeout { phase }, message)
}
