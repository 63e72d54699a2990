//! What carries one exchange: an HTTP/1.1 connection of its own, or a stream of an HTTP/2 one.

use bytes::Bytes;
use tokio::time::Instant;

use super::Call;
use super::clock::Alarm;
use super::connection::{Connection, Ended};
use super::http1::Head;
use super::http2::Exchange;
use super::pool::Pool;
use super::timings::Opening;
use crate::outcome::FailureKind;

/// The carrier of one exchange.
///
/// # Cancel safety
/// Dropping it closes the connection, or resets the stream.
#[derive(Debug)]
pub(super) enum Carrier {
    Http1(Connection),
    Http2(Exchange),
}

impl Carrier {
    /// How its connection was opened, unless it has served an exchange before.
    pub(super) fn opening(&self) -> Option<Opening> {
        match self {
            Carrier::Http1(connection) => connection.opening(),
            Carrier::Http2(exchange) => exchange.opening(),
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Carrier::Http2(_))
    }

    /// The timer of its deadlines; it is given back at the end.
    pub(super) fn take_alarm(&mut self) -> Alarm {
        match self {
            Carrier::Http1(connection) => std::mem::take(&mut connection.alarm),
            Carrier::Http2(_) => Alarm::default(),
        }
    }

    /// Writes a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, call: &Call, body: &Bytes) -> Result<Head, Ended> {
        match self {
            Carrier::Http1(connection) => connection.send(&call.head, body).await,
            Carrier::Http2(exchange) => {
                let request = call.request_h2(body.len());
                // Much larger than what HTTP/1.1 needs.
                Box::pin(exchange.send(request, body.clone())).await
            }
        }
    }

    /// Reads the next part of the body; `None` at its end.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, (FailureKind, String)> {
        match self {
            Carrier::Http1(connection) => connection.read().await,
            Carrier::Http2(exchange) => exchange.read().await,
        }
    }

    /// The whole rest of the body, when it has arrived already.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        match self {
            Carrier::Http1(connection) => connection.whole(),
            Carrier::Http2(_) => None,
        }
    }

    /// Bytes of the body that are still to come, when that is known.
    pub(super) fn rest(&self) -> Option<u64> {
        match self {
            Carrier::Http1(connection) => connection.rest(),
            Carrier::Http2(exchange) => exchange.rest(),
        }
    }

    /// Whether a connection that ended without an answer had most likely been given up before the
    /// request came. When it was idle among others, those are distrusted too.
    pub(super) fn is_stale(&self, was_reused: bool, pool: &Pool) -> bool {
        match self {
            Carrier::Http1(connection) if was_reused => {
                pool.distrust(connection.idle_since());
                true
            }
            Carrier::Http1(_) => false,
            Carrier::Http2(exchange) => exchange.is_unanswered(),
        }
    }

    /// Does without the rest of the answer: its connection or stream ends.
    pub(super) fn give_up(&mut self) {
        match self {
            Carrier::Http1(connection) => connection.give_up(),
            // Dropping it does.
            Carrier::Http2(_) => {}
        }
    }

    /// Gives the connection back when the answer is over since a moment.
    pub(super) fn release(self, pool: &Pool, alarm: Alarm, since: Instant) {
        match self {
            Carrier::Http1(mut connection) => {
                connection.alarm = alarm;
                connection.settle(since);
                pool.put(connection);
            }
            Carrier::Http2(_) => {}
        }
    }
}
