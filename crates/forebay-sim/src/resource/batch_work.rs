//! Works a batch off in the background.
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

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::batch::Batch;
use super::files::{NewFile, StoredFile};
use super::work::work;
use crate::dialect::{Around, BatchLine, BatchStatus, LineOutcome, read_lines};
use crate::sim::Shared;

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
        Err(errors) => return batch.fail(shared.since_start(), errors),
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
        self.batch.tell_files(output, errors);
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
