//! One batch: its state, and how it is worked off in the background.
//!
//! Owns its life. Never writes an answer; each request goes the way of every other, without the
//! account's limits.
//!
//! ```text
//! validating -> in_progress -> finalizing -> completed
//!     |  |          |   |
//!     |  failed     |   expired         what was not answered is in the error file
//!     |             v
//!     '------> cancelling -> cancelled  what was begun is finished, the rest is not
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::files::{NewFile, StoredFile};
use super::work::work;
use crate::dialect::{
    Around, BatchEndpoint, BatchLine, BatchLines, BatchStatus, BatchUsage, Errors, LineOutcome,
    OpenAiBatch, RequestCounts, openai_id, read_lines,
};
use crate::sim::Shared;

/// What a batch was asked for.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) endpoint: BatchEndpoint,
    pub(super) input_file_id: String,
    pub(super) metadata: Option<Box<RawValue>>,
    pub(super) output_expires_after: Duration,
}

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    number: u64,
    /// Since the simulator started.
    created: Duration,
    spec: Spec,
    state: Mutex<State>,
    cancelled: Notify,
}

/// Times are since the simulator started.
#[derive(Debug, Default)]
struct State {
    status: BatchStatus,
    model: Option<String>,
    counts: RequestCounts,
    usage: BatchUsage,
    errors: Option<Errors>,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    in_progress: Option<Duration>,
    finalizing: Option<Duration>,
    cancelling: Option<Duration>,
    /// When it came to the status at which it stays.
    ended: Option<Duration>,
}

impl Batch {
    pub(super) fn new(number: u64, spec: Spec, created: Duration) -> Batch {
        Batch {
            id: openai_id("batch_", number),
            number,
            created,
            spec,
            state: Mutex::default(),
            cancelled: Notify::new(),
        }
    }

    /// The batch as its page shows it.
    pub(super) fn object(&self, shared: &Shared) -> OpenAiBatch {
        let state = self.lock();
        let time = |since_start| shared.wall(since_start).as_secs();
        let ended = |status| state.ended.filter(|_| state.status == status).map(time);
        OpenAiBatch {
            id: self.id.clone(),
            object: "batch",
            endpoint: self.spec.endpoint.name(),
            model: state.model.clone(),
            errors: state.errors.clone(),
            input_file_id: self.spec.input_file_id.clone(),
            completion_window: "24h",
            status: state.status,
            output_file_id: state.output_file_id.clone(),
            error_file_id: state.error_file_id.clone(),
            created_at: time(self.created),
            in_progress_at: state.in_progress.map(time),
            expires_at: time(self.created + shared.config.batches.expires_after),
            finalizing_at: state.finalizing.map(time),
            completed_at: ended(BatchStatus::Completed),
            failed_at: ended(BatchStatus::Failed),
            expired_at: ended(BatchStatus::Expired),
            cancelling_at: state.cancelling.map(time),
            cancelled_at: ended(BatchStatus::Cancelled),
            request_counts: state.counts,
            usage: state.usage,
            metadata: self.spec.metadata.clone(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    /// Cancels the batch; fails with its status if it is too late.
    pub(super) fn cancel(&self, now: Duration) -> Result<(), &'static str> {
        let mut state = self.lock();
        match state.status {
            BatchStatus::Validating | BatchStatus::InProgress => {
                state.status = BatchStatus::Cancelling;
                state.cancelling = Some(now);
                self.cancelled.notify_one();
                Ok(())
            }
            BatchStatus::Cancelling => Ok(()),
            BatchStatus::Failed
            | BatchStatus::Finalizing
            | BatchStatus::Completed
            | BatchStatus::Expired
            | BatchStatus::Cancelled => Err(state.status.name()),
        }
    }

    /// Takes up the requests, unless it was cancelled meanwhile.
    fn begin(&self, now: Duration, read: &BatchLines) {
        let mut state = self.lock();
        state.counts.total = read.lines.len();
        state.model.clone_from(&read.model);
        if state.status == BatchStatus::Validating {
            state.status = BatchStatus::InProgress;
            state.in_progress = Some(now);
        }
    }

    fn note(&self, outcome: &LineOutcome) {
        let mut state = self.lock();
        if let LineOutcome::Answered(_, body) = outcome {
            state.usage.add(body);
        }
        match outcome.is_output() {
            true => state.counts.completed += 1,
            false => state.counts.failed += 1,
        }
    }

    /// The status at which the batch will stay; no more can be cancelled.
    fn finalize(&self, now: Duration, expired: bool) -> BatchStatus {
        let mut state = self.lock();
        match (state.status, expired) {
            (_, true) => BatchStatus::Expired,
            (BatchStatus::Cancelling, false) => BatchStatus::Cancelled,
            (_, false) => {
                state.status = BatchStatus::Finalizing;
                state.finalizing = Some(now);
                BatchStatus::Completed
            }
        }
    }

    fn end(&self, now: Duration, status: BatchStatus) {
        let mut state = self.lock();
        state.status = status;
        state.ended = Some(now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works a batch off.
pub(super) async fn run(shared: Arc<Shared>, batch: Arc<Batch>, file: Arc<StoredFile>) {
    let config = &shared.config.batches;
    let expiry = Instant::now() + config.expires_after;
    tokio::select! {
        biased;
        () = tokio::time::sleep(config.validating) => {}
        () = batch.cancelled.notified() => {
            return batch.end(shared.since_start(), BatchStatus::Cancelled);
        }
    }
    let endpoint = batch.spec.endpoint;
    let read = match read_lines(&file.bytes, endpoint.operation(), endpoint.name()) {
        Ok(read) => read,
        Err(errors) => {
            batch.lock().errors = Some(errors);
            return batch.end(shared.since_start(), BatchStatus::Failed);
        }
    };
    batch.begin(shared.since_start(), &read);
    let mut work = Work {
        shared: &shared,
        batch: &batch,
        file,
        lines: read.lines.into(),
        outcomes: Vec::new(),
    };
    let expired = work.off(expiry).await;
    let status = batch.finalize(shared.since_start(), expired);
    if status == BatchStatus::Completed {
        tokio::time::sleep(config.finalizing).await;
    }
    work.write(status);
    batch.end(shared.since_start(), status);
}

/// The requests of a batch, and what became of them.
struct Work<'a> {
    shared: &'a Arc<Shared>,
    batch: &'a Arc<Batch>,
    file: Arc<StoredFile>,
    lines: Arc<[BatchLine]>,
    /// With the places of their lines.
    outcomes: Vec<(usize, LineOutcome)>,
}

impl Work<'_> {
    /// Works the requests off; `true` if the batch expired before it was through.
    async fn off(&mut self, expiry: Instant) -> bool {
        let parallel = self.shared.config.batches.parallel.max(1);
        let mut working = JoinSet::new();
        let mut next = 0..self.lines.len();
        let mut cancelled = false;
        let expiry = tokio::time::sleep_until(expiry);
        tokio::pin!(expiry);
        loop {
            while !cancelled && working.len() < parallel {
                let Some(at) = next.next() else { break };
                working.spawn(self.one(at));
            }
            if working.is_empty() {
                return false;
            }
            tokio::select! {
                biased;
                Some(done) = working.join_next() => {
                    // A request whose script panicked is left without an outcome.
                    if let Ok((at, outcome)) = done {
                        self.batch.note(&outcome);
                        self.outcomes.push((at, outcome));
                    }
                }
                () = self.batch.cancelled.notified(), if !cancelled => cancelled = true,
                () = &mut expiry => {
                    working.shutdown().await;
                    return true;
                }
            }
        }
    }

    /// Works one request off.
    fn one(&self, at: usize) -> impl Future<Output = (usize, LineOutcome)> + use<> {
        let (shared, file) = (Arc::clone(self.shared), Arc::clone(&self.file));
        let operation = self.batch.spec.endpoint.operation();
        let body = self.lines[at].body.clone();
        async move {
            let worked = work(&shared, operation, Around::default(), &file.bytes[body]).await;
            let outcome = match worked {
                Some((status, body)) => LineOutcome::Answered(status, body),
                None => LineOutcome::Lost,
            };
            (at, outcome)
        }
    }

    /// Writes the files. Each request is in exactly one of them, unless it is to be missing.
    fn write(&mut self, status: BatchStatus) {
        let mut done = vec![false; self.lines.len()];
        for (at, _) in &self.outcomes {
            done[*at] = true;
        }
        for at in (0..done.len()).filter(|at| !done[*at]) {
            let outcome = match status {
                BatchStatus::Expired => LineOutcome::Expired,
                BatchStatus::Cancelled => LineOutcome::Cancelled,
                _ => LineOutcome::Lost,
            };
            self.batch.note(&outcome);
            self.outcomes.push((at, outcome));
        }
        // Files are in no order; in the same one for the same seed.
        fastrand::Rng::with_seed(self.batch.number).shuffle(&mut self.outcomes);
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        for (at, outcome) in self.outcomes.drain(..) {
            let custom_id = &self.lines[at].custom_id;
            let number = xxh3_64_with_seed(custom_id.as_bytes(), self.batch.number);
            let draw = fastrand::Rng::with_seed(number).f64();
            if draw < self.shared.config.batches.missing {
                continue;
            }
            let file = match outcome.is_output() {
                true => &mut output,
                false => &mut errors,
            };
            outcome.write(number, custom_id, file);
        }
        let output = self.add("output", output);
        let errors = self.add("error", errors);
        let mut state = self.batch.lock();
        state.output_file_id = output;
        state.error_file_id = errors;
    }

    /// Adds a file unless it is empty, and returns its id.
    fn add(&self, kind: &str, bytes: Vec<u8>) -> Option<String> {
        if bytes.is_empty() {
            return None;
        }
        let new = NewFile {
            purpose: "batch_output",
            name: format!("{}_{kind}.jsonl", self.batch.id),
            bytes,
            expires_after: self.batch.spec.output_expires_after,
        };
        Some(self.shared.files.add(self.shared, new))
    }
}
