//! One attempt: one HTTP exchange and its decoding.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::flight::Place;
use crate::endpoint::Endpoint;
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::provider;
use crate::transport::{Call, Transport};

/// What an attempt starts with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) place: Place,
    pub(super) body: Bytes,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) trace: Trace,
    /// Whether a reused connection was closed before any byte of the answer.
    pub(super) stale: bool,
}

/// What a row says about the attempt that ended its item.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// From the permit to the end; `None` when no attempt was made.
    pub(super) duration: Option<Duration>,
    /// The provider's own body; empty when none arrived.
    pub(super) raw: Bytes,
}

/// Makes one attempt. Never fails otherwise than in its [`End`].
pub(super) async fn make(
    transport: &Transport,
    endpoint: &Endpoint,
    call: &Call,
    start: Start,
) -> (Place, End) {
    let began = Instant::now();
    let exchange = AssertUnwindSafe(exchange(transport, endpoint, call, &start.body));
    let mut end = exchange.catch_unwind().await.unwrap_or_else(|_| End {
        outcome: Err(Failure {
            provider_code: Some("panic".into()),
            ..Failure::new(FailureKind::Malformed, "the answer made forebay panic")
        }),
        trace: Trace::default(),
        stale: false,
    });
    end.trace.duration = Some(began.elapsed());
    (start.place, end)
}

async fn exchange(transport: &Transport, endpoint: &Endpoint, call: &Call, body: &Bytes) -> End {
    match transport.exchange(call, body).await {
        Ok(answer) => End {
            outcome: provider::decode(
                endpoint,
                &provider::Answer {
                    status: answer.status,
                    headers: &answer.headers,
                    body: &answer.body,
                    now: answer.arrived,
                },
            ),
            trace: Trace {
                duration: None,
                raw: answer.body,
            },
            stale: false,
        },
        Err(none) => End {
            outcome: Err(none.failure),
            trace: Trace::default(),
            stale: none.stale,
        },
    }
}
