//! One message batch: its state, and how it is worked off in the background.
//!
//! Owns its life. Never writes a message; each request goes the way of every other, without the
//! account's limits.
//!
//! ```text
//! create -> in_progress -> ended      after the last request, or at the expiry
//!                 |          ^
//!              cancel -> canceling    what was begun is finished, the rest is not
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::work::work;
use crate::dialect::{
    ApiError, Around, BatchObject, BatchRequest, Counts, Dialect, Operation, Outcome, batch_id,
    batch_time,
};
use crate::sim::Shared;

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    /// Orders the results.
    number: u64,
    /// Since the simulator started.
    created: Duration,
    version: Vec<u8>,
    pub(super) requests: Vec<BatchRequest>,
    state: Mutex<State>,
    cancelled: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When cancelling was asked for.
    cancelled: Option<Duration>,
    ended: Option<Duration>,
    /// The outcomes so far, with the places of their requests.
    outcomes: Vec<(usize, Outcome)>,
}

impl Batch {
    pub(super) fn new(
        number: u64,
        version: &[u8],
        requests: Vec<BatchRequest>,
        created: Duration,
    ) -> Batch {
        Batch {
            id: batch_id(number),
            number,
            created,
            version: version.to_vec(),
            requests,
            state: Mutex::default(),
            cancelled: Notify::new(),
        }
    }

    /// The batch as its page shows it.
    pub(super) fn object(&self, shared: &Shared, host: &str) -> BatchObject {
        let state = lock(&self.state);
        let time = |since_start| batch_time(shared.wall(since_start));
        BatchObject {
            id: self.id.clone(),
            kind: "message_batch",
            processing_status: match (state.ended, state.cancelled) {
                (Some(_), _) => "ended",
                (None, Some(_)) => "canceling",
                (None, None) => "in_progress",
            },
            request_counts: state.counts(self.requests.len()),
            created_at: time(self.created),
            expires_at: time(self.created + shared.config.batches.expires_after),
            ended_at: state.ended.map(time),
            cancel_initiated_at: state.cancelled.map(time),
            archived_at: None,
            results_url: state.ended.map(|_| {
                let id = &self.id;
                format!("http://{host}/v1/messages/batches/{id}/results")
            }),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        lock(&self.state).ended.is_some()
    }

    /// Cancels the batch; `false` if it has ended.
    pub(super) fn cancel(&self, now: Duration) -> bool {
        let mut state = lock(&self.state);
        if state.ended.is_some() {
            return false;
        }
        state.cancelled.get_or_insert(now);
        self.cancelled.notify_one();
        true
    }

    /// The results' lines, once the batch has ended.
    pub(super) fn results(&self) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        state.ended?;
        let mut lines = Vec::new();
        for (at, outcome) in &state.outcomes {
            outcome.write(&self.requests[*at].custom_id, &mut lines);
        }
        Some(lines)
    }

    fn note(&self, at: usize, outcome: Outcome) {
        lock(&self.state).outcomes.push((at, outcome));
    }

    /// Ends the batch; `rest` is what becomes of the requests without an outcome.
    fn end(&self, now: Duration, rest: impl Fn() -> Outcome) {
        let mut state = lock(&self.state);
        let mut done = vec![false; self.requests.len()];
        for (at, _) in &state.outcomes {
            done[*at] = true;
        }
        for (at, _) in done.iter().enumerate().filter(|(_, done)| !**done) {
            state.outcomes.push((at, rest()));
        }
        // Results come in no order; the same one for the same seed.
        fastrand::Rng::with_seed(self.number).shuffle(&mut state.outcomes);
        state.ended = Some(now);
    }
}

impl State {
    /// All are processing until the whole batch has ended.
    fn counts(&self, total: usize) -> Counts {
        let mut counts = Counts::default();
        if self.ended.is_none() {
            counts.processing = total;
            return counts;
        }
        for (_, outcome) in &self.outcomes {
            match outcome {
                Outcome::Succeeded(_) => counts.succeeded += 1,
                Outcome::Errored(_) => counts.errored += 1,
                Outcome::Canceled => counts.canceled += 1,
                Outcome::Expired => counts.expired += 1,
            }
        }
        counts
    }
}

/// Works a batch off.
pub(super) async fn run(shared: Arc<Shared>, batch: Arc<Batch>) {
    let config = &shared.config.batches;
    let mut working = JoinSet::new();
    let mut requests = 0..batch.requests.len();
    let mut cancelled = false;
    let expiry = tokio::time::sleep(config.expires_after);
    let beginning = tokio::time::sleep(config.validating);
    tokio::pin!(expiry, beginning);
    tokio::select! {
        biased;
        () = &mut beginning => {}
        () = batch.cancelled.notified() => cancelled = true,
    }
    loop {
        while !cancelled && working.len() < config.parallel.max(1) {
            let Some(at) = requests.next() else { break };
            working.spawn(one(Arc::clone(&shared), Arc::clone(&batch), at));
        }
        if working.is_empty() {
            return batch.end(shared.since_start(), || Outcome::Canceled);
        }
        tokio::select! {
            biased;
            Some(done) = working.join_next() => {
                // A request whose script panicked is left without an outcome.
                if let Ok((at, outcome)) = done {
                    batch.note(at, outcome);
                }
            }
            () = batch.cancelled.notified(), if !cancelled => cancelled = true,
            () = &mut expiry => {
                working.shutdown().await;
                return batch.end(shared.since_start(), || Outcome::Expired);
            }
        }
    }
}

/// Works one request off.
async fn one(shared: Arc<Shared>, batch: Arc<Batch>, at: usize) -> (usize, Outcome) {
    let around = Around {
        anthropic_version: Some(&batch.version),
        ..Around::default()
    };
    let body = batch.requests[at].params.get().as_bytes();
    let outcome = match work(&shared, Operation::Messages, around, body).await {
        Some((200, body)) => Outcome::Succeeded(body),
        Some((_, body)) => Outcome::Errored(body),
        None => {
            let mut body = Vec::new();
            Dialect::Anthropic.error(&mut body, &ApiError::of(500), at as u64);
            Outcome::Errored(body)
        }
    };
    (at, outcome)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
