//! Message batches: made, listed, read, cancelled, deleted.
//!
//! Owns which batches there are. Never works one off; each has a task of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message_batch::{Batch, run};
use super::paging::page;
use super::{Asked, NoPage, Page, json};
use crate::dialect::{ApiError, BatchList, BatchObject, DeletedBatch, Dialect, read_batch};
use crate::http::Method;
use crate::route::Resource;
use crate::sim::Shared;

/// The requests that all batches together may hold; ten of the largest batches.
const MOST_KEPT: usize = 1_000_000;

/// What a batch weighs besides its requests, so that small ones are bounded too.
const WEIGHT: usize = 100;

/// All batches there are, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct MessageBatches {
    list: Mutex<Vec<Arc<Batch>>>,
    made: AtomicU64,
}

/// Answers a request for a message batch.
pub(super) fn respond(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Page, NoPage> {
    if let Some(problem) = Dialect::bad_anthropic_version(asked.anthropic_version) {
        return Err(problem.into());
    }
    let batches = &shared.message_batches;
    let reads = matches!(asked.method, Method::Get | Method::Head);
    match (asked.resource, asked.method) {
        (Resource::MessageBatches(None), Method::Post) => batches.create(shared, asked),
        (Resource::MessageBatches(None), _) if reads => batches.list(shared, asked),
        (Resource::MessageBatches(None), _) => Err(NoPage::Method("GET, POST")),
        (Resource::MessageBatches(Some(id)), Method::Delete) => batches.delete(id),
        (Resource::MessageBatches(Some(id)), _) if reads => {
            Ok(json(&batches.find(id)?.object(shared, asked.host)))
        }
        (Resource::MessageBatches(Some(_)), _) => Err(NoPage::Method("GET, DELETE")),
        (Resource::CancelMessageBatch(id), Method::Post) => batches.cancel(shared, asked, id),
        (Resource::CancelMessageBatch(_), _) => Err(NoPage::Method("POST")),
        (Resource::MessageBatchResults(id), _) if reads => batches.results(id),
        (Resource::MessageBatchResults(_), _) => Err(NoPage::Method("GET")),
        (
            Resource::Models(_)
            | Resource::GeminiModels(_)
            | Resource::Files(_)
            | Resource::FileContent(_)
            | Resource::Batches(_)
            | Resource::CancelBatch(_),
            _,
        ) => Err(NoPage::NotFound),
    }
}

impl MessageBatches {
    fn create(&self, shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Page, NoPage> {
        let requests = read_batch(asked.body).map_err(NoPage::Error)?;
        let mut list = lock(&self.list);
        make_room(&mut list, requests.len())?;
        let number = shared.id(self.made.fetch_add(1, Relaxed));
        let version = asked.anthropic_version.unwrap_or_default();
        let batch = Batch::new(number, version, requests, shared.since_start());
        let batch = Arc::new(batch);
        list.push(Arc::clone(&batch));
        drop(list);
        tokio::spawn(run(Arc::clone(shared), Arc::clone(&batch)));
        Ok(json(&batch.object(shared, asked.host)))
    }

    /// The newest first.
    fn list(&self, shared: &Shared, asked: Asked<'_>) -> Result<Page, NoPage> {
        let list = lock(&self.list);
        let newest: Vec<&Arc<Batch>> = list.iter().rev().collect();
        let ids: Vec<&str> = newest.iter().map(|batch| &*batch.id).collect();
        let (range, has_more) = page(asked.query, &ids).map_err(NoPage::Error)?;
        let data: Vec<BatchObject> = newest[range]
            .iter()
            .map(|batch| batch.object(shared, asked.host))
            .collect();
        let id = |object: Option<&BatchObject>| object.map(|object| object.id.clone());
        Ok(json(&BatchList {
            first_id: id(data.first()),
            last_id: id(data.last()),
            data,
            has_more,
        }))
    }

    fn cancel(&self, shared: &Shared, asked: Asked<'_>, id: &str) -> Result<Page, NoPage> {
        let batch = self.find(id)?;
        if !batch.cancel(shared.since_start()) {
            return Err(invalid(format!(
                "Message Batch {id} has ended and cannot be canceled"
            )));
        }
        Ok(json(&batch.object(shared, asked.host)))
    }

    fn delete(&self, id: &str) -> Result<Page, NoPage> {
        let batch = self.find(id)?;
        if !batch.has_ended() {
            return Err(invalid(format!(
                "Message Batch {id} cannot be deleted while it is processing"
            )));
        }
        lock(&self.list).retain(|kept| kept.id != id);
        let kind = "message_batch_deleted";
        Ok(json(&DeletedBatch { id, kind }))
    }

    fn results(&self, id: &str) -> Result<Page, NoPage> {
        let batch = self.find(id)?;
        let Some(body) = batch.results() else {
            return Err(invalid(format!(
                "Message Batch {id} is still processing and has no results yet"
            )));
        };
        Ok(Page {
            content_type: "application/x-jsonl",
            body,
        })
    }

    fn find(&self, id: &str) -> Result<Arc<Batch>, NoPage> {
        let list = lock(&self.list);
        let found = list.iter().find(|batch| batch.id == id);
        found.cloned().ok_or_else(|| {
            NoPage::from(ApiError {
                message: format!("Message Batch {id} not found").into(),
                ..ApiError::of(404)
            })
        })
    }
}

/// Forgets the oldest batches that have ended until there is room for so many requests.
fn make_room(list: &mut Vec<Arc<Batch>>, requests: usize) -> Result<(), NoPage> {
    let weight =
        |list: &[Arc<Batch>]| -> usize { list.iter().map(|b| b.requests.len() + WEIGHT).sum() };
    while weight(list) + requests > MOST_KEPT {
        let Some(oldest) = list.iter().position(|batch| batch.has_ended()) else {
            return Err(NoPage::from(ApiError {
                message: "This request would exceed the number of batch requests that may be in \
                          the processing queue. Please try again later."
                    .into(),
                ..ApiError::of(429)
            }));
        };
        list.remove(oldest);
    }
    Ok(())
}

fn invalid(message: String) -> NoPage {
    ApiError::invalid(message).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
