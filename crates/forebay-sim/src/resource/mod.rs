//! What is there to be listed, read, made and cancelled: models, files, batches.
//!
//! Owns these resources and their pages. Never touches a connection; a batch is worked off by a
//! task of its own.

mod batch;
mod batch_work;
mod batches;
mod files;
mod message_batch;
mod message_batches;
mod models;
mod paging;
mod work;

use std::sync::Arc;

pub(crate) use batches::OpenAiBatches;
pub(crate) use files::Files;
pub(crate) use message_batches::MessageBatches;

use crate::dialect::{ApiError, Dialect, write_json};
use crate::http::Method;
use crate::route::Resource;
use crate::sim::Shared;

/// A request for a resource, with a key that passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) resource: Resource<'a>,
    pub(crate) method: Method,
    pub(crate) dialect: Dialect,
    /// What follows the question mark.
    pub(crate) query: &'a str,
    pub(crate) content_type: &'a str,
    /// Where the client says it is; for links.
    pub(crate) host: &'a str,
    pub(crate) anthropic_version: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

/// A page with status 200.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Page {
    /// A page of JSON.
    pub(crate) fn json(body: Vec<u8>) -> Page {
        Page {
            content_type: "application/json",
            body,
        }
    }
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum NoPage {
    /// Another method would do; these.
    Method(&'static str),
    /// The path leads nowhere.
    NotFound,
    /// Anything else.
    Error(Box<ApiError>),
}

impl From<ApiError> for NoPage {
    fn from(error: ApiError) -> NoPage {
        NoPage::Error(Box::new(error))
    }
}

/// A page with this as JSON.
fn json(value: &impl serde::Serialize) -> Page {
    let mut body = Vec::new();
    write_json(&mut body, value);
    Page::json(body)
}

/// Answers a request for a resource.
pub(crate) fn respond(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Page, NoPage> {
    match asked.resource {
        Resource::Models(name) | Resource::GeminiModels(name) => {
            models::respond(shared, asked, name)
        }
        Resource::Files(id) => files::respond(shared, asked, id),
        Resource::FileContent(id) => files::respond(shared, asked, Some(id)),
        Resource::Batches(id) => batches::respond(shared, asked, id),
        Resource::CancelBatch(id) => batches::respond(shared, asked, Some(id)),
        Resource::MessageBatches(_)
        | Resource::CancelMessageBatch(_)
        | Resource::MessageBatchResults(_) => message_batches::respond(shared, asked),
    }
}
