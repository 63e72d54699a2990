//! Bytes to and from an origin.
//!
//! Owns connections, their pool and the deadlines of an exchange. Never retries what may have
//! been sent, and knows nothing of dialects.
//!
//! ```text
//! exchange ─► origin ─► HTTP/1.1: idle connection? ─► alive? ─► write request ─► head ─► body
//!                │          │ none                   │ no: next one     ▲
//!                │          └► connect (deadline, bounded number)       │
//!                └───► HTTP/2: connection with a free stream? ──────────┘
//!                           └► none: one connection for many who wait
//! ```

mod carrier;
mod clock;
mod connect;
mod connection;
mod encoding;
mod http1;
mod http2;
mod memory;
mod network;
mod opened;
mod origin;
mod pool;
mod proxy;
mod room;
mod shards;
mod sockets;
mod streams;
mod timings;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use tokio::time::Instant;

pub use connect::{Connector, tls_config};
pub use http1::{AnswerReader, Head, Piece, Wrong};
pub use http2::STREAMS_PER_CONNECTION;
pub use memory::MemoryConnector;
pub use network::{Asked, Network};
pub use opened::{Opened, Progress};
pub use proxy::Proxies;
pub use timings::{Opening, Timings};

use crate::config::Timeouts;
use crate::endpoint::{BaseUrl, HttpVersion};
use crate::error::Error;
use crate::headers::Headers;
use crate::outcome::{Failure, FailureKind, Phase};
use carrier::Carrier;
use connection::Ended;
use http1::RequestHead;
use network::{System, Way};
use origin::{Origin, Parts};
use room::Room;

/// How often an exchange moves to another connection because a pooled one turned out closed
/// before anything was sent.
const NEVER_SENT_MOVES: u32 = 100;

/// How soon after sending a reused connection must end to have been given up by the server
/// before the request came: a round trip to the other side of the world, and some more.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// How often an exchange moves to another stream because a server refused to look at it: once
/// because it allows fewer streams than was known, and a few times more because of others.
const REFUSED_MOVES: u32 = 4;

/// Headers that HTTP/2 has no place for (RFC 9113, section 8.2.2), and the host, which it puts
/// elsewhere.
const BETWEEN_NEIGHBOURS: [&str; 7] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// One origin and the way to it.
#[derive(Debug)]
pub struct Transport {
    origin: Arc<Origin>,
    host: HeaderValue,
    room: Room,
}

/// The part of requests that is always the same.
#[derive(Debug)]
pub struct Call {
    method: http::Method,
    uri: http::Uri,
    headers: HeaderMap,
    /// The same as HTTP/1.1 writes it.
    head: RequestHead,
    /// The same for HTTP/2, where the host is part of the URI.
    whole_uri: http::Uri,
    headers_h2: HeaderMap,
}

impl Call {
    /// The same call with `GET`.
    #[must_use]
    pub fn get(mut self) -> Call {
        self.method = http::Method::GET;
        self.head = RequestHead::new(&self.method, &self.uri, &self.headers);
        self
    }

    fn request_h2(&self, length: usize) -> http::Request<()> {
        let mut request = http::Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.whole_uri.clone();
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = self.headers_h2.clone();
        if length > 0 {
            let headers = request.headers_mut();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        request
    }
}

/// The answer to a request, whole.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// When the head arrived, by the local clock.
    pub arrived: SystemTime,
    /// How long the steps up to the head took.
    pub timings: Timings,
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
        let way = Arc::new(Way::new(Arc::new(System)));
        Ok(Transport {
            origin: Origin::new(Parts::new(origin, connector, way, timeouts)),
            host,
            room: Room::new(),
        })
    }

    /// The same transport, which asks this for addresses and sockets instead of the operating
    /// system; it has no connections yet.
    #[must_use]
    pub fn over(self, network: Arc<dyn Network>) -> Transport {
        self.changed(|parts| parts.way = Arc::new(Way::new(network)))
    }

    /// The same transport, which speaks this version of HTTP; it has no connections yet.
    ///
    /// Default: [`HttpVersion::Auto`].
    #[must_use]
    pub fn speaking(self, version: HttpVersion) -> Transport {
        self.changed(|parts| parts.version = version)
    }

    /// The same transport, which goes through one of these proxies when its origin is not on this
    /// machine; it has no connections yet, and calls made before are not for it.
    ///
    /// Default: none. Pipes in memory then lead to the proxy.
    #[must_use]
    pub fn through(self, proxies: &Proxies) -> Transport {
        let proxy = proxies.serving(&self.origin.parts.url).cloned();
        self.changed(|parts| parts.proxy = proxy)
    }

    /// The same transport with at most so many connections open, at least 1; it has none yet.
    ///
    /// Default: 28,000, about as many as one address can have to one other.
    #[must_use]
    pub fn most_connections(self, most: usize) -> Transport {
        self.changed(|parts| parts.most_sockets = most)
    }

    fn changed(self, change: impl FnOnce(&mut Parts)) -> Transport {
        let mut parts = self.origin.parts.clone();
        change(&mut parts);
        Transport {
            origin: Origin::new(parts),
            ..self
        }
    }

    /// Leaves a time out of all deadlines: the process was stopped, or the machine asleep.
    pub fn slept(&self, time: Duration) {
        self.origin.clock.slept(time);
    }

    /// Closes connections that have idled for too long; another client may wait for their place.
    pub fn sweep(&self) {
        self.origin.sweep();
    }

    /// What all requests to a path have in common, made once.
    ///
    /// # Errors
    /// When the path cannot be part of a URL.
    pub fn call(&self, path: &str, headers: &HeaderMap) -> Result<Call, Error> {
        let bad = || Error::config(format!("the path {path:?} cannot be part of a URL"));
        let uri: http::Uri = path.parse().map_err(|_| bad())?;
        let scheme = if self.origin.parts.url.tls {
            "https"
        } else {
            "http"
        };
        let whole_uri = http::Uri::builder()
            .scheme(scheme)
            .authority(self.host.as_bytes())
            .path_and_query(uri.path_and_query().map_or("/", |path| path.as_str()))
            .build()
            .map_err(|_| bad())?;
        let mut headers_h2 = headers.clone();
        for name in BETWEEN_NEIGHBOURS {
            headers_h2.remove(name);
        }
        let mut headers = headers.clone();
        headers.insert(HOST, self.host.clone());
        let uri = match self.origin.parts.forwarder() {
            None => uri,
            Some(proxy) => {
                if let Some(login) = proxy.authorization() {
                    headers.insert(PROXY_AUTHORIZATION, login);
                }
                whole_uri.clone()
            }
        };
        let method = http::Method::POST;
        Ok(Call {
            head: RequestHead::new(&method, &uri, &headers),
            method,
            uri,
            headers,
            whole_uri,
            headers_h2,
        })
    }

    /// Makes one HTTP exchange and reads the whole answer.
    ///
    /// # Errors
    /// When no whole answer arrives in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection, or resets its stream over HTTP/2; the provider may
    /// have received the request.
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
        let mut now = Instant::now();
        let deadline = self.origin.clock.at(now) + self.timeouts().total;
        let (mut moves, mut refusals) = (0, 0);
        loop {
            let carrier = self.origin.carrier(now, deadline).await;
            let carrier = carrier.map_err(no_answer)?;
            let failure = match self.send(carrier, (call, body), deadline).await {
                Ok(opened) => return Ok(opened),
                Err(Lost::NeverSent) if moves < NEVER_SENT_MOVES => {
                    moves += 1;
                    now = Instant::now();
                    continue;
                }
                Err(Lost::Refused) if refusals < REFUSED_MOVES => {
                    refusals += 1;
                    now = Instant::now();
                    continue;
                }
                Err(Lost::WantsHttp1)
                    if moves < NEVER_SENT_MOVES && self.origin.speaks_http1_from_now_on() =>
                {
                    moves += 1;
                    continue;
                }
                Err(Lost::WantsHttp1) => Failure {
                    provider_code: Some("http_1_1_required".to_owned()),
                    ..Failure::new(
                        FailureKind::Connect,
                        "the server takes HTTP/1.1 only (HTTP_1_1_REQUIRED), and HTTP/2 was \
                         asked for",
                    )
                },
                Err(Lost::NeverSent) => Failure::new(
                    FailureKind::Connect,
                    "each new connection was closed before the request was sent",
                ),
                Err(Lost::Refused) => Failure::new(
                    FailureKind::Overloaded,
                    "the server refused each stream of the request without looking at it",
                ),
                Err(Lost::NoAnswer(failure, stale)) => return Err(NoAnswer { failure, stale }),
            };
            return Err(no_answer(failure));
        }
    }

    async fn send(
        &self,
        (mut carrier, sent): (Carrier, Instant),
        (call, body): (&Call, &Bytes),
        deadline: Instant,
    ) -> Result<Opened<'_>, Lost> {
        let opening = carrier.opening();
        let clock = &self.origin.clock;
        let end = deadline.min(clock.at(sent) + self.timeouts().first_byte);
        let mut alarm = carrier.take_alarm();
        let sending = carrier.send(call, body);
        let head = match alarm.guard(clock, end, sending).await {
            Ok(Ok(head)) => head,
            Ok(Err(Ended::NeverSent)) => return Err(Lost::NeverSent),
            Ok(Err(Ended::Refused)) => return Err(Lost::Refused),
            Ok(Err(Ended::WantsHttp1)) => return Err(Lost::WantsHttp1),
            Ok(Err(Ended::Closed(why))) => {
                let failure = Failure::new(
                    FailureKind::Truncated,
                    format!("the connection ended before the answer began: {why}"),
                );
                // Later than that, the server may well have worked on it.
                let stale = sent.elapsed() < STALE_WITHIN
                    && carrier.is_stale(opening.is_none(), &self.origin.pool);
                return Err(Lost::NoAnswer(failure, stale));
            }
            Ok(Err(Ended::Bad(kind, why))) => {
                return Err(Lost::NoAnswer(Failure::new(kind, why), false));
            }
            Err(_) => {
                let late = self.late(Phase::FirstChunk, self.timeouts().first_byte, deadline);
                return Err(Lost::NoAnswer(late, false));
            }
        };
        if let Some(proxy) = self.origin.parts.forwarder()
            && head.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(Lost::NoAnswer(proxy.wants_login("407"), false));
        }
        let came = Instant::now();
        let timings = Timings {
            opening,
            first_byte: came - sent,
            http2: carrier.is_http2(),
        };
        Ok(Opened {
            transport: self,
            carrier,
            status: head.status,
            headers: head.headers,
            arrived: SystemTime::now(),
            timings,
            came,
            deadline,
            first_chunk_end: end,
            read: 0,
            place: None,
            alarm,
        })
    }

    fn timeouts(&self) -> &Timeouts {
        &self.origin.parts.timeouts
    }

    fn late(&self, phase: Phase, limit: Duration, deadline: Instant) -> Failure {
        if self.origin.clock.now() >= deadline {
            timed_out(Phase::Total, self.timeouts().total)
        } else {
            timed_out(phase, limit)
        }
    }
}

/// Why an exchange on one connection gave no answer.
enum Lost {
    NeverSent,
    Refused,
    WantsHttp1,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of each request in flight is mostly that of such futures.
    #[test]
    fn an_exchange_in_flight_is_small() {
        let pipes = Connector::Memory(MemoryConnector::new(drop));
        let origin = BaseUrl::parse("http://sim.local").unwrap();
        let transport = Transport::new(origin, pipes, Timeouts::default()).unwrap();
        let call = transport.call("/", &HeaderMap::new()).unwrap();
        let body = Bytes::new();
        // 2,536 bytes; with the opening of a connection inside it were 3,568.
        let size = size_of_val(&transport.exchange(&call, &body));
        assert!(size < 3_000, "{size} bytes");
    }

    #[test]
    fn a_call_does_not_show_its_key() {
        let pipes = Connector::Memory(MemoryConnector::new(drop));
        let origin = BaseUrl::parse("http://sim.local").unwrap();
        let transport = Transport::new(origin, pipes, Timeouts::default()).unwrap();
        let mut headers = HeaderMap::new();
        let mut key = HeaderValue::from_static("hush");
        key.set_sensitive(true);
        headers.insert("authorization", key);
        let shown = format!("{:?}", transport.call("/", &headers).unwrap());
        let as_numbers = format!("{:?}", b"hush");
        let as_numbers = as_numbers.trim_matches(['[', ']']);
        assert!(
            !shown.contains("hush") && !shown.contains(as_numbers),
            "{shown}"
        );
    }
}
