//! One origin: its connections, and the way to new ones.
//!
//! Owns what is found out about the version of HTTP, and who opens a connection when. Never sends
//! a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::carrier::Carrier;
use super::clock::{ActiveClock, Alarm};
use super::connect::{Connected, Connector, Through, Unconnected};
use super::connection::Connection;
use super::http2::{Exchange, Http2, Place};
use super::network::Way;
use super::pool::Pool;
use super::proxy::Proxy;
use super::sockets::{MOST_SOCKETS, Socket, Sockets};
use super::streams::{Owed, Streams};
use super::timed_out;
use crate::config::Timeouts;
use crate::endpoint::{BaseUrl, HttpVersion};
use crate::outcome::{Failure, FailureKind, Phase};

/// Connects under way at once: enough to be quick, few enough not to overrun a listen queue.
const CONNECTS: usize = 128;

/// Distance of two tries while the machine has no free descriptors or ports.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

/// What an origin is made of.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) url: BaseUrl,
    pub(super) connector: Connector,
    pub(super) way: Arc<Way>,
    pub(super) timeouts: Timeouts,
    pub(super) version: HttpVersion,
    pub(super) most_sockets: usize,
    /// What stands before the origin.
    pub(super) proxy: Option<Arc<Proxy>>,
}

impl Parts {
    pub(super) fn new(
        url: BaseUrl,
        connector: Connector,
        way: Arc<Way>,
        timeouts: Timeouts,
    ) -> Parts {
        Parts {
            url,
            connector,
            way,
            timeouts,
            version: HttpVersion::Auto,
            most_sockets: MOST_SOCKETS,
            proxy: None,
        }
    }

    /// The proxy that is given requests for the origin as they are, if that is so: it has no TLS
    /// with the origin, and no HTTP/2 with the proxy.
    pub(super) fn forwarder(&self) -> Option<&Proxy> {
        let is_plain = !self.url.tls && self.version != HttpVersion::Http2;
        let proxy = self.proxy.as_deref();
        proxy.filter(|proxy| is_plain && proxy.forwards())
    }
}

/// One origin and its connections.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) parts: Parts,
    pub(super) clock: Arc<ActiveClock>,
    pub(super) pool: Pool,
    streams: Streams,
    sockets: Arc<Sockets>,
    connects: Semaphore,
    spoken: AtomicU8,
}

/// The version that the server spoke last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Unknown = 0,
    Http1 = 1,
    Http2 = 2,
    /// HTTP/1.1, and the server has said that it takes nothing else.
    OnlyHttp1 = 3,
}

/// A connection that nobody has used yet.
enum New {
    Http1(Connection),
    Http2(Http2),
}

/// Tells those who wait for a connection how it ended, even if its task is thrown away.
struct Opener {
    origin: Arc<Origin>,
    owed: Owed,
    ended: Option<Result<(), Unconnected>>,
}

impl Drop for Opener {
    fn drop(&mut self) {
        let gone = || {
            let why = "the connection was given up while it was being opened";
            Err(Failure::new(FailureKind::Connect, why).into())
        };
        let ended = self.ended.take().unwrap_or_else(gone);
        self.origin.streams.end(&self.owed, ended);
    }
}

impl Origin {
    pub(super) fn new(parts: Parts) -> Arc<Origin> {
        let tls = matches!(parts.connector, Connector::Net(_)) && parts.url.tls;
        let spoken = match parts.version {
            HttpVersion::Auto if tls => Spoken::Unknown,
            HttpVersion::Auto | HttpVersion::Http1 => Spoken::Http1,
            HttpVersion::Http2 => Spoken::Http2,
        };
        let connector = parts.connector.speaking(parts.version);
        Arc::new(Origin {
            clock: Arc::default(),
            pool: Pool::new(parts.url.tls),
            streams: Streams::new(),
            sockets: Sockets::new(parts.most_sockets),
            connects: Semaphore::new(CONNECTS),
            spoken: AtomicU8::new(spoken as u8),
            parts: Parts { connector, ..parts },
        })
    }

    /// Drops connections that have idled for too long.
    pub(super) fn sweep(&self) {
        self.pool.sweep();
        self.streams.sweep();
    }

    /// Something to send a request on; waits while the machine has no room for a connection.
    pub(super) async fn carrier(
        self: &Arc<Self>,
        now: Instant,
        deadline: Instant,
    ) -> Result<(Carrier, Instant), Failure> {
        if let Some(carrier) = self.free(now).await {
            return Ok((carrier, now));
        }
        // Apart, as every exchange in flight would keep room for it.
        let carrier = Box::pin(self.new_carrier(deadline)).await?;
        Ok((carrier, Instant::now()))
    }

    /// An idle connection, or a stream of an open one.
    async fn free(&self, now: Instant) -> Option<Carrier> {
        match self.spoken() {
            Spoken::Http1 | Spoken::OnlyHttp1 => {
                while let Some(mut connection) = self.pool.take(now) {
                    if connection.is_alive().await {
                        return Some(Carrier::Http1(connection));
                    }
                }
                None
            }
            Spoken::Http2 | Spoken::Unknown => self.streams.place().map(stream),
        }
    }

    /// The same when there was none: a connection is opened, or waited for.
    async fn new_carrier(self: &Arc<Self>, deadline: Instant) -> Result<Carrier, Failure> {
        let began = self.clock.now();
        loop {
            let found = match self.spoken() {
                Spoken::Http1 | Spoken::OnlyHttp1 => self.http1(deadline).await,
                Spoken::Http2 | Spoken::Unknown => self.http2(deadline).await,
            };
            match found {
                Ok(Some(carrier)) => return Ok(carrier),
                // Things have changed meanwhile.
                Ok(None) => {}
                Err(Unconnected { failure, wait }) => {
                    let now = self.clock.now();
                    let may_wait = wait.is_some_and(|wait| now - began < wait);
                    if !may_wait || now >= deadline {
                        return Err(failure);
                    }
                    sleep(EXHAUSTED_WAIT).await;
                }
            }
            if let Some(carrier) = self.free(Instant::now()).await {
                return Ok(carrier);
            }
        }
    }

    /// A new connection, or one that somebody gives back; `None` when there may be one now.
    async fn http1(&self, deadline: Instant) -> Result<Option<Carrier>, Unconnected> {
        let Some(socket) = self.sockets.place() else {
            let look = || match self.pool.take(Instant::now()) {
                Some(connection) => Some((Some(connection), None)),
                None => Some((None, Some(self.sockets.place()?))),
            };
            return match self.find(deadline, look).await? {
                (Some(mut connection), _) => Ok(connection
                    .is_alive()
                    .await
                    .then_some(Carrier::Http1(connection))),
                (None, None) => Ok(None),
                (None, Some(socket)) => self.dial_http1(deadline, socket).await,
            };
        };
        self.dial_http1(deadline, socket).await
    }

    async fn dial_http1(
        &self,
        deadline: Instant,
        socket: Socket,
    ) -> Result<Option<Carrier>, Unconnected> {
        match self.dial(deadline, socket).await? {
            New::Http1(connection) => Ok(Some(Carrier::Http1(connection))),
            New::Http2(connection) => {
                // Behind one name there may be servers of both kinds.
                self.streams.add(connection);
                self.speaks(Spoken::Http2);
                Ok(None)
            }
        }
    }

    /// A stream that somebody gives back, or word of a new connection; `None` when there may be one
    /// now.
    async fn http2(self: &Arc<Self>, deadline: Instant) -> Result<Option<Carrier>, Unconnected> {
        let awaited = match self.streams.join() {
            Some(awaited) => awaited,
            None => match self.sockets.place() {
                Some(socket) => {
                    let seats = match self.spoken() {
                        // Until the server says what it speaks, one handshake is enough for all.
                        Spoken::Unknown => None,
                        Spoken::Http1 | Spoken::OnlyHttp1 | Spoken::Http2 => {
                            Some(self.streams.expected())
                        }
                    };
                    let (owed, awaited) = self.streams.begin(seats);
                    self.open(socket, owed);
                    awaited
                }
                None => {
                    // A socket that is free may become a connection with streams, or one without.
                    let look = || match self.streams.place() {
                        Some(place) => Some(Some(place)),
                        None => self.sockets.has_room().then_some(None),
                    };
                    return Ok(self.find(deadline, look).await?.map(stream));
                }
            },
        };
        match self.clock.timeout_at(deadline, awaited.ended()).await {
            Ok(Some(Ok(()))) | Ok(None) => Ok(None),
            Ok(Some(Err(none))) => Err(none),
            Err(_) => Err(timed_out(Phase::Connect, self.parts.timeouts.connect).into()),
        }
    }

    /// Opens a connection in a task of its own: one who waits for it may go away.
    fn open(self: &Arc<Self>, socket: Socket, owed: Owed) {
        let opener = Opener {
            origin: Arc::clone(self),
            owed,
            ended: None,
        };
        tokio::spawn(async move {
            let mut opener = opener;
            let origin = Arc::clone(&opener.origin);
            // Nobody's total time is spent on it: the connect deadline is below any.
            let far = origin.clock.now() + origin.parts.timeouts.total;
            opener.ended = Some(match origin.dial(far, socket).await {
                Ok(New::Http2(connection)) => {
                    origin.streams.add(connection);
                    origin.speaks(Spoken::Http2);
                    Ok(())
                }
                Ok(New::Http1(mut connection)) => {
                    if connection.is_alive().await {
                        origin.pool.put(connection);
                    }
                    origin.speaks(Spoken::Http1);
                    Ok(())
                }
                Err(none) => Err(none),
            });
        });
    }

    async fn dial(&self, deadline: Instant, socket: Socket) -> Result<New, Unconnected> {
        // Waiting for a place is no fault of the server's and takes nothing off its deadline.
        // The semaphore is never closed.
        let _place = self.connects.acquire().await.ok();
        let Parts {
            url,
            connector,
            way,
            timeouts,
            version,
            proxy,
            ..
        } = &self.parts;
        let end = deadline.min(self.clock.now() + timeouts.connect);
        let through = proxy.as_deref().map(|proxy| Through {
            proxy,
            asks: self.parts.forwarder().is_none(),
        });
        let http1;
        let (connector, version) = match self.spoken() {
            Spoken::OnlyHttp1 => {
                http1 = connector.clone().speaking(HttpVersion::Http1);
                (&http1, HttpVersion::Http1)
            }
            Spoken::Unknown | Spoken::Http1 | Spoken::Http2 => (connector, *version),
        };
        let connecting = connector.connect(url, way, version, through);
        let Ok(connected) = self.clock.timeout_at(end, connecting).await else {
            return Err(timed_out(Phase::Connect, timeouts.connect).into());
        };
        let Connected {
            stream,
            opening,
            is_h2,
        } = connected?;
        if !is_h2 {
            let connection = Connection::new(stream, socket, opening);
            return Ok(New::Http1(connection));
        }
        let expected = self.streams.expected();
        let socket = (socket, &self.sockets);
        let connection = Http2::new(stream, socket, opening, expected, &self.clock).await?;
        Ok(New::Http2(connection))
    }

    /// Waits for something that others hold, until the exchange has to be over.
    async fn find<T>(
        &self,
        deadline: Instant,
        look: impl FnMut() -> Option<T>,
    ) -> Result<T, Unconnected> {
        let finding = self.sockets.find(look);
        match self.clock.timeout_at(deadline, finding).await {
            Ok(found) => Ok(found),
            Err(_) => Err(timed_out(Phase::Connect, self.parts.timeouts.total).into()),
        }
    }

    /// Keeps a connection for later, and tells one who waits for it.
    pub(super) fn release(&self, carrier: Carrier, alarm: Alarm, since: Instant) {
        carrier.release(&self.pool, alarm, since);
        self.sockets.tell();
    }

    fn spoken(&self) -> Spoken {
        match self.spoken.load(Ordering::Relaxed) {
            1 => Spoken::Http1,
            2 => Spoken::Http2,
            3 => Spoken::OnlyHttp1,
            _ => Spoken::Unknown,
        }
    }

    fn speaks(&self, spoken: Spoken) {
        // What the server has said counts for more than what a handshake agreed on.
        let unless_said = |now| (now != Spoken::OnlyHttp1 as u8).then_some(spoken as u8);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        // It fails only when nothing is to be changed.
        let _ = self.spoken.fetch_update(set, get, unless_said);
    }

    /// Offers no other version any more, as the server wants it; `false` when HTTP/2 was asked
    /// for.
    pub(super) fn speaks_http1_from_now_on(&self) -> bool {
        let may = self.parts.version == HttpVersion::Auto;
        if may {
            self.speaks(Spoken::OnlyHttp1);
            // The connection that said so is of no more use, and holds a socket.
            self.streams.sweep();
        }
        may
    }
}

fn stream(place: Place) -> Carrier {
    Carrier::Http2(Exchange::new(place))
}
