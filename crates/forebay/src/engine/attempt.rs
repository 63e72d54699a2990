//! One attempt: one HTTP exchange and its decoding.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::endpoint::{Dialect, Endpoint};
use crate::outcome::{Failure, FailureKind, Outcome, Reply};
use crate::provider::{self, Delta, Encoded, StreamReader};
use crate::told::Told;
use crate::transport::{self, Call, NoAnswer, Opened, Timings, Transport};

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// The vectors of the items that travelled with the first one.
    pub(super) more: Vec<Vec<f32>>,
    pub(super) trace: Trace,
    /// Whether a reused connection was closed before any byte of the answer.
    pub(super) stale: bool,
    /// What the answer tells of the account's limits.
    pub(super) told: Option<Box<Told>>,
}

/// What a row says about the attempt that ended its item.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// From the permit to the end; `None` when no attempt was made.
    pub(super) duration: Option<Duration>,
    /// From the permit to the first content of a streamed answer.
    pub(super) first_chunk: Option<Duration>,
    /// How long the steps up to the answer's head took; `None` when none arrived whole.
    pub(super) timings: Option<Timings>,
    /// The status of the answer; `None` when none arrived whole.
    #[cfg_attr(not(feature = "run"), expect(dead_code, reason = "only rows show it"))]
    pub(super) status: Option<u16>,
    /// The name that the provider gave the exchange.
    pub(super) request_id: Option<String>,
    /// The provider's own body; empty when none arrived.
    pub(super) raw: Bytes,
}

impl End {
    pub(super) fn failed(failure: Failure) -> End {
        End {
            outcome: Err(failure),
            more: Vec::new(),
            trace: Trace::default(),
            stale: false,
            told: None,
        }
    }

    /// The same, with what its headers told before it failed.
    fn with(self, told: Option<Box<Told>>) -> End {
        End { told, ..self }
    }
}

/// The way that a request takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) transport: &'a Transport,
    pub(super) endpoint: &'a Endpoint,
    pub(super) call: &'a Call,
}

impl Way<'_> {
    /// Makes one attempt and tells what a streamed answer brings as it comes.
    ///
    /// # Cancel safety
    /// Dropping the future closes its connection; the provider may bill the answer.
    pub(super) async fn attempt(
        self,
        request: &Encoded,
        on: &mut (dyn FnMut(Delta<'_>) + Send),
    ) -> End {
        let began = Instant::now();
        let exchange = AssertUnwindSafe(self.exchange(request, began, on));
        let mut end = exchange.catch_unwind().await.unwrap_or_else(|_| {
            End::failed(Failure {
                provider_code: Some("panic".into()),
                ..Failure::new(FailureKind::Malformed, "the answer made forebay panic")
            })
        });
        end.trace.duration = Some(began.elapsed());
        end
    }

    async fn exchange(
        self,
        request: &Encoded,
        began: Instant,
        on: &mut (dyn FnMut(Delta<'_>) + Send),
    ) -> End {
        let opened = match self.transport.open(self.call, &request.body).await {
            Ok(opened) => opened,
            Err(NoAnswer { failure, stale }) => {
                return End {
                    stale,
                    ..End::failed(failure)
                };
            }
        };
        let is_stream = request.stream
            && opened.is_readable_in_pieces()
            && StreamReader::reads(opened.status(), opened.headers());
        if is_stream {
            // Larger than what whole answers need.
            return Box::pin(self.read_stream(opened, began, on)).await;
        }
        match opened.collect().await {
            Ok(answer) => self.read(request, answer),
            Err(failure) => End::failed(failure),
        }
    }

    fn read(self, request: &Encoded, answer: transport::Answer) -> End {
        let read = provider::Answer {
            status: answer.status,
            headers: &answer.headers,
            body: &answer.body,
            now: answer.arrived,
        };
        let mut more = Vec::new();
        let outcome = match self.endpoint.dialect {
            Dialect::Embeddings => {
                let read = provider::decode_vectors(self.endpoint, &read, &request.body);
                read.map(|vectors| {
                    let (reply, rest) = vectors.into_reply();
                    // A list that somebody else asked for is one item, which has no one vector.
                    let is_list = !rest.is_empty() && request.dialect.is_some();
                    if is_list {
                        return Reply {
                            embedding: None,
                            ..reply
                        };
                    }
                    more = rest;
                    reply
                })
            }
            Dialect::Chat | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => {
                provider::decode(self.endpoint, &read)
            }
        };
        End {
            told: provider::told(self.endpoint, &read, outcome.as_ref().err()).map(Box::new),
            outcome,
            more,
            trace: Trace {
                timings: Some(answer.timings),
                status: Some(answer.status),
                request_id: provider::request_id(&answer.headers),
                raw: answer.body,
                ..Trace::default()
            },
            stale: false,
        }
    }

    /// Reads a stream to its end. Comments keep the connection alive, but only content counts as
    /// progress.
    async fn read_stream(
        self,
        mut opened: Opened<'_>,
        began: Instant,
        on: &mut (dyn FnMut(Delta<'_>) + Send),
    ) -> End {
        let headers = opened.headers().clone();
        let (status, arrived) = (opened.status(), opened.arrived());
        let timings = Some(opened.timings());
        let request_id = provider::request_id(&headers);
        let told = provider::told_in_headers(self.endpoint, &headers).map(Box::new);
        let mut reader = StreamReader::new(self.endpoint, status, headers, arrived);
        let mut first_chunk = None;
        let mut progress = opened.progress_deadline(false);
        while !reader.is_over() {
            let chunk = match opened.chunk_in_time(&progress).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(failure) => return End::failed(failure).with(told),
            };
            match reader.push(&chunk, on) {
                Ok(true) => {
                    first_chunk.get_or_insert_with(|| began.elapsed());
                    progress = opened.progress_deadline(true);
                }
                Ok(false) => {}
                Err(failure) => return End::failed(failure).with(told),
            }
            if let Err(failure) = opened.make_room(reader.kept()).await {
                return End::failed(failure).with(told);
            }
        }
        let (outcome, body) = reader.finish(on);
        if outcome.is_ok() {
            opened.close().await;
        }
        End {
            told,
            outcome,
            more: Vec::new(),
            trace: Trace {
                duration: None,
                first_chunk,
                timings,
                status: Some(status),
                request_id,
                raw: body.into(),
            },
            stale: false,
        }
    }
}
