//! An answer whose head has arrived.
//!
//! Owns the reading of its body, whole or piece by piece, and what becomes of the connection
//! afterwards. Never looks into the body.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::carrier::Carrier;
use super::clock::Alarm;
use super::connection::{Collected, MAX_BODY};
use super::room::is_large;
use super::timings::Timings;
use super::{Answer, Transport, encoding, timed_out};
use crate::headers::Headers;
use crate::outcome::{Failure, FailureKind, Phase};

/// How long the end of a body is waited for when its content is over: OpenAI's SDK waits as long
/// (`_streaming_cleanup.py`). Without it the connection could not be used again.
const TRAILING: Duration = Duration::from_millis(100);

/// An answer whose head has arrived.
///
/// # Cancel safety
/// Dropping it closes its connection, or resets its stream over HTTP/2; the provider may go on and
/// bill the whole answer.
#[derive(Debug)]
pub struct Opened<'t> {
    pub(super) transport: &'t Transport,
    pub(super) carrier: Carrier,
    pub(super) status: http::StatusCode,
    pub(super) headers: Headers,
    pub(super) arrived: SystemTime,
    pub(super) timings: Timings,
    /// When the head arrived.
    pub(super) came: Instant,
    /// When the whole exchange has to be over, by the transport's clock.
    pub(super) deadline: Instant,
    /// When the first piece of content has to be there.
    pub(super) first_chunk_end: Instant,
    pub(super) read: usize,
    pub(super) place: Option<SemaphorePermit<'t>>,
    pub(super) alarm: Alarm,
}

impl<'t> Opened<'t> {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// When the head arrived, by the local clock.
    pub fn arrived(&self) -> SystemTime {
        self.arrived
    }

    /// How long the steps up to here took.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Whether pieces of the body can be understood before all of it is there.
    pub fn is_readable_in_pieces(&self) -> bool {
        let coding = self.headers.get("content-encoding");
        coding.is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity"))
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the body is cut, stalls, is too large, or takes too long altogether.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let idle = self.transport.timeouts().idle;
        let end = self.transport.origin.clock.now() + idle;
        self.chunk_until(end, Phase::BetweenChunks, idle).await
    }

    /// The next piece of the body, until a time that has nothing to do with bytes: content has
    /// to come until then.
    async fn chunk_until(
        &mut self,
        end: Instant,
        phase: Phase,
        limit: Duration,
    ) -> Result<Option<Bytes>, Failure> {
        let clock = &*self.transport.origin.clock;
        let end = self.deadline.min(end);
        let reading = self.carrier.read();
        let failure = match self.alarm.guard(clock, end, reading).await {
            Ok(Ok(Some(chunk))) => {
                self.read += chunk.len();
                if self.read <= MAX_BODY {
                    return Ok(Some(chunk));
                }
                let why = format!("the answer is larger than {} MiB", MAX_BODY >> 20);
                Failure::new(FailureKind::Malformed, why)
            }
            Ok(Ok(None)) => return Ok(None),
            Ok(Err((kind, why))) => Failure::new(kind, why),
            Err(_) => return Err(self.transport.late(phase, limit, self.deadline)),
        };
        Err(Failure {
            status: Some(self.status.as_u16()),
            ..failure
        })
    }

    /// When the next piece of content has to be there: what only keeps the connection alive
    /// does not count.
    pub fn progress_deadline(&self, has_begun: bool) -> Progress {
        let timeouts = self.transport.timeouts();
        if has_begun {
            Progress {
                end: self.transport.origin.clock.now() + timeouts.idle,
                phase: Phase::BetweenChunks,
                limit: timeouts.idle,
            }
        } else {
            Progress {
                end: self.first_chunk_end,
                phase: Phase::FirstChunk,
                limit: timeouts.first_byte,
            }
        }
    }

    /// The next piece of the body, while content comes in time; `None` at its end.
    ///
    /// # Errors
    /// As for [`Opened::chunk`], and when the deadline of content passes.
    pub async fn chunk_in_time(&mut self, progress: &Progress) -> Result<Option<Bytes>, Failure> {
        let Progress { end, phase, limit } = *progress;
        self.chunk_until(end, phase, limit).await
    }

    /// Waits for room in memory once an answer of which so much is kept is a large one.
    ///
    /// # Errors
    /// When there is none until the deadline.
    pub async fn make_room(&mut self, kept: usize) -> Result<(), Failure> {
        if self.place.is_some() || !is_large(kept) {
            return Ok(());
        }
        let Transport { origin, room, .. } = self.transport;
        // What is packed becomes larger than it says.
        let rest = self.carrier.rest();
        let length = rest
            .filter(|_| self.is_readable_in_pieces())
            .and_then(|rest| self.read.checked_add(usize::try_from(rest).ok()?));
        match origin
            .clock
            .timeout_at(self.deadline, room.place(length))
            .await
        {
            Ok(place) => {
                self.place = place;
                Ok(())
            }
            Err(_) => Err(timed_out(Phase::Total, self.transport.timeouts().total)),
        }
    }

    /// Reads the rest and gives the whole answer.
    ///
    /// # Errors
    /// When no whole answer arrives in time. An error is what its status says, whatever becomes
    /// of its body.
    pub async fn collect(mut self) -> Result<Answer, Failure> {
        let is_error = !self.status.is_success();
        let (body, since) = match self.carrier.whole() {
            // As most are: the body came with its head.
            Some(body) => (body, self.came),
            None => (self.rest(is_error).await?, Instant::now()),
        };
        let body = match encoding::unpack(&self.headers, body, MAX_BODY) {
            Ok(body) => body,
            Err(_) if is_error => Bytes::new(),
            Err(why) => {
                let mut failure = Failure::new(FailureKind::Malformed, why);
                failure.status = Some(self.status());
                return Err(failure);
            }
        };
        let answer = Answer {
            status: self.status(),
            headers: std::mem::take(&mut self.headers),
            body,
            arrived: self.arrived,
            timings: self.timings,
        };
        self.release(since);
        Ok(answer)
    }

    /// Reads the rest of the body piece by piece; what there is of an error's is enough.
    async fn rest(&mut self, is_error: bool) -> Result<Bytes, Failure> {
        let mut body = Collected::default();
        loop {
            self.make_room(body.len()).await?;
            match self.chunk().await {
                Ok(Some(chunk)) => body.push(chunk),
                Ok(None) => break,
                Err(_) if is_error => {
                    self.carrier.give_up();
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(body.into_bytes())
    }

    /// Gives the connection back when the content is over: waits a moment for the body's end.
    pub async fn close(mut self) {
        let end = self.transport.origin.clock.now() + TRAILING;
        while let Ok(Some(_)) = self
            .chunk_until(end, Phase::Total, self.transport.timeouts().total)
            .await
        {}
        self.release(Instant::now());
    }

    fn release(self, since: Instant) {
        let Opened { carrier, alarm, .. } = self;
        self.transport.origin.release(carrier, alarm, since);
    }
}

/// A deadline of content.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    end: Instant,
    phase: Phase,
    limit: Duration,
}
