//! The attempts of a run: what one starts with, and what a row says of it.
//!
//! Owns the place that an attempt has in the dispatcher while it is made.

use std::sync::Arc;

use bytes::Bytes;

use super::attempt::{End, Trace, Way};
use super::flight::Place;
use crate::endpoint::Endpoint;
use crate::outcome::Failure;
use crate::provider::Encoded;
use crate::row::RawAnswer;
use crate::transport::{Call, Transport};

/// What an attempt starts with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) place: Place,
    pub(super) request: Encoded,
}

/// Makes one attempt. Never fails otherwise than in its [`End`].
pub(super) async fn make(
    transport: &Transport,
    endpoint: &Endpoint,
    call: Result<Arc<Call>, Failure>,
    start: Start,
) -> (Place, End) {
    let place = start.place;
    let end = match call {
        Ok(call) => {
            let to = Way {
                transport,
                endpoint,
                call: &call,
            };
            to.attempt(&start.request, &mut |_| {}).await
        }
        Err(failure) => End::failed(failure),
    };
    (place, end)
}

impl Trace {
    /// The provider's own answer, when one arrived.
    pub(super) fn raw_answer(&self) -> Option<RawAnswer<'_>> {
        Some(RawAnswer {
            body: &self.raw,
            status: self.status?,
            request_id: self.request_id.as_deref(),
        })
    }

    /// The same, without the provider's body: it is the answer to many items.
    pub(super) fn without_raw(&self) -> Trace {
        Trace {
            raw: Bytes::new(),
            ..self.clone()
        }
    }
}
