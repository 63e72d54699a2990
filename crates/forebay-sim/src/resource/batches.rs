//! Batches: made, listed, read, cancelled.
//!
//! Owns which batches there are. Never works one off; each has a task of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::batch::{Batch, Spec};
use super::batch_work::run;
use super::files::{EXPIRES_AFTER_S, expiry, invalid};
use super::paging::page_after;
use super::{Asked, NoPage, Page, json};
use crate::dialect::{ApiError, BatchEndpoint, ListObject};
use crate::http::Method;
use crate::route::Resource;
use crate::sim::Shared;

/// The batches that are kept; the simulator's own, to bound its memory.
const MOST_BATCHES: usize = 10_000;

/// The pairs of a batch's metadata; OpenAI API reference.
const MOST_PAIRS: usize = 16;

/// All batches there are, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct OpenAiBatches {
    list: Mutex<Vec<Arc<Batch>>>,
    made: AtomicU64,
}

#[derive(Deserialize)]
struct Create {
    input_file_id: Option<String>,
    endpoint: Option<String>,
    completion_window: Option<String>,
    metadata: Option<Box<RawValue>>,
    output_expires_after: Option<ExpiresAfter>,
}

#[derive(Deserialize)]
struct ExpiresAfter {
    seconds: Option<u64>,
}

/// Answers a request for a batch.
pub(super) fn respond(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    id: Option<&str>,
) -> Result<Page, NoPage> {
    let batches = &shared.batches;
    let cancels = matches!(asked.resource, Resource::CancelBatch(_));
    match (id, asked.method) {
        (None, Method::Post) => batches.create(shared, asked.body),
        (None, Method::Get | Method::Head) => batches.page(shared, asked.query),
        (None, _) => Err(NoPage::Method("GET, POST")),
        (Some(id), Method::Post) if cancels => {
            let batch = batches.find(id)?;
            batch.cancel(shared.since_start()).map_err(conflict)?;
            Ok(json(&batch.object(shared)))
        }
        (Some(_), _) if cancels => Err(NoPage::Method("POST")),
        (Some(id), Method::Get | Method::Head) => Ok(json(&batches.find(id)?.object(shared))),
        (Some(_), _) => Err(NoPage::Method("GET")),
    }
}

impl OpenAiBatches {
    fn create(&self, shared: &Arc<Shared>, body: &[u8]) -> Result<Page, NoPage> {
        let create: Create = serde_json::from_slice(body)
            .map_err(|error| invalid(format!("Invalid request body: {error}"), None))?;
        let (spec, file) = create.check(shared)?;
        let number = shared.id(self.made.fetch_add(1, Relaxed));
        let batch = Arc::new(Batch::new(number, spec, shared.since_start()));
        let mut list = self.lock();
        if list.len() >= MOST_BATCHES
            && let Some(oldest) = list.iter().position(|batch| batch.has_ended())
        {
            list.remove(oldest);
        }
        list.push(Arc::clone(&batch));
        drop(list);
        tokio::spawn(run(Arc::clone(shared), Arc::clone(&batch), file));
        Ok(json(&batch.object(shared)))
    }

    /// The newest first.
    fn page(&self, shared: &Shared, query: &str) -> Result<Page, NoPage> {
        let list = self.lock();
        let newest: Vec<&Arc<Batch>> = list.iter().rev().collect();
        let ids: Vec<&str> = newest.iter().map(|batch| &*batch.id).collect();
        let (range, has_more) = page_after(query, &ids, 20, 100).map_err(NoPage::Error)?;
        let data = &newest[range];
        Ok(json(&ListObject {
            object: "list",
            first_id: data.first().map(|batch| batch.id.clone()),
            last_id: data.last().map(|batch| batch.id.clone()),
            data: data.iter().map(|batch| batch.object(shared)).collect(),
            has_more,
        }))
    }

    fn find(&self, id: &str) -> Result<Arc<Batch>, NoPage> {
        let list = self.lock();
        let found = list.iter().find(|batch| batch.id == id);
        found.cloned().ok_or_else(|| {
            NoPage::from(ApiError {
                status: 404,
                ..ApiError::invalid(format!("No batch found with id '{id}'."))
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Batch>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Create {
    fn check(self, shared: &Shared) -> Result<(Spec, Arc<super::files::StoredFile>), NoPage> {
        let missing = |param: &'static str| {
            let message = format!("Missing required parameter: '{param}'.");
            invalid(message, Some(param))
        };
        let input_file_id = self.input_file_id.ok_or_else(|| missing("input_file_id"))?;
        let endpoint = self.endpoint.ok_or_else(|| missing("endpoint"))?;
        let endpoint = BatchEndpoint::named(&endpoint).ok_or_else(|| {
            let names = BatchEndpoint::NAMES.map(|name| format!("'{name}'"));
            let names = names.join(", ");
            let message = format!("Invalid value: '{endpoint}'. Supported values are: {names}.");
            invalid(message, Some("endpoint"))
        })?;
        match self.completion_window.as_deref() {
            Some("24h") => {}
            None => return Err(missing("completion_window")),
            Some(window) => {
                let message = format!("Invalid value: '{window}'. Value must be '24h'.");
                return Err(invalid(message, Some("completion_window")));
            }
        }
        if let Some(metadata) = &self.metadata {
            let pairs: Result<std::collections::HashMap<String, String>, _> =
                serde_json::from_str(metadata.get());
            if !pairs.is_ok_and(|pairs| pairs.len() <= MOST_PAIRS) {
                let message =
                    format!("Invalid 'metadata': expected at most {MOST_PAIRS} pairs of strings.");
                return Err(invalid(message, Some("metadata")));
            }
        }
        let seconds = match self.output_expires_after {
            None => EXPIRES_AFTER_S,
            Some(after) => expiry(after.seconds, "output_expires_after.seconds")?,
        };
        let file = shared.files.find(shared, &input_file_id);
        let file = file
            .ok()
            .filter(|file| file.purpose == "batch")
            .ok_or_else(|| {
                let message = format!(
                    "Invalid 'input_file_id': there is no file '{input_file_id}' with the purpose \
                 'batch'."
                );
                invalid(message, Some("input_file_id"))
            })?;
        let spec = Spec {
            endpoint,
            input_file_id,
            metadata: self.metadata,
            output_expires_after: Duration::from_secs(seconds),
        };
        Ok((spec, file))
    }
}

fn conflict(status: &'static str) -> NoPage {
    NoPage::from(ApiError {
        status: 409,
        ..ApiError::invalid(format!("Cannot cancel a batch with status '{status}'."))
    })
}
