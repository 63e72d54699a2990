//! Files: uploaded, listed, read, deleted; and the ones that batches write.
//!
//! Owns which files there are, in memory. Never reads a batch's lines.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::paging::page_after;
use super::{Asked, NoPage, Page, json};
use crate::dialect::{ApiError, DeletedFile, FileObject, ListObject, openai_id};
use crate::http::{Field, Method, fields, param};
use crate::route::Resource;
use crate::sim::Shared;

/// The most bytes of a batch's file; OpenAI's batch guide.
const MOST_BATCH_BYTES: usize = 200 * 1024 * 1024;

/// The most bytes of all files together; the simulator's own, to bound its memory.
const MOST_BYTES: usize = 1024 * 1024 * 1024;

/// The most files; the simulator's own.
const MOST_FILES: usize = 100_000;

/// The time after which a batch's file expires unless told; OpenAI's batch guide.
pub(super) const EXPIRES_AFTER_S: u64 = 30 * 24 * 60 * 60;

/// The purposes of uploads; OpenAI API reference.
const PURPOSES: [&str; 6] = [
    "assistants",
    "batch",
    "fine-tune",
    "vision",
    "user_data",
    "evals",
];

/// A file.
#[derive(Debug)]
pub(super) struct StoredFile {
    pub(super) id: String,
    pub(super) purpose: String,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Since the simulator started.
    pub(super) created: Duration,
    pub(super) expires_after: Duration,
}

/// A file before it has an id.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    pub(super) purpose: &'a str,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) expires_after: Duration,
}

/// All files there are, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Files {
    list: Mutex<Vec<Arc<StoredFile>>>,
    made: AtomicU64,
}

/// Answers a request for a file.
pub(super) fn respond(
    shared: &Arc<Shared>,
    asked: Asked<'_>,
    id: Option<&str>,
) -> Result<Page, NoPage> {
    let files = &shared.files;
    let content = matches!(asked.resource, Resource::FileContent(_));
    match (id, asked.method) {
        (None, Method::Post) => files.upload(shared, asked),
        (None, Method::Get | Method::Head) => files.page(shared, asked),
        (None, _) => Err(NoPage::Method("GET, POST")),
        (Some(id), Method::Get | Method::Head) if content => Ok(Page {
            content_type: "application/octet-stream",
            body: files.find(shared, id)?.bytes.clone(),
        }),
        (Some(_), _) if content => Err(NoPage::Method("GET")),
        (Some(id), Method::Get | Method::Head) => Ok(json(&files.find(shared, id)?.object(shared))),
        (Some(id), Method::Delete) => files.delete(shared, id),
        (Some(_), _) => Err(NoPage::Method("GET, DELETE")),
    }
}

impl Files {
    fn upload(&self, shared: &Shared, asked: Asked<'_>) -> Result<Page, NoPage> {
        let fields = fields(asked.content_type, asked.body)
            .map_err(|problem| invalid(problem.to_owned(), None))?;
        let field = |name: &str| fields.iter().find(|field| field.name == name);
        let missing = |param: &'static str| {
            let message = format!("Missing required parameter: '{param}'.");
            invalid(message, Some(param))
        };
        let file = field("file").ok_or_else(|| missing("file"))?;
        let purpose = text(field("purpose").ok_or_else(|| missing("purpose"))?);
        if !PURPOSES.contains(&purpose) {
            let message = format!("'{purpose}' is not one of {PURPOSES:?} - 'purpose'");
            return Err(invalid(message.replace('"', "'"), Some("purpose")));
        }
        let name = file.filename.clone().unwrap_or_default();
        check(purpose, &name, file.value.len())?;
        let seconds = match field("expires_after[seconds]").map(text) {
            None => EXPIRES_AFTER_S,
            Some(seconds) => expiry(seconds.parse().ok(), "expires_after[seconds]")?,
        };
        let mut list = self.live(shared);
        let stored: usize = list.iter().map(|file| file.bytes.len()).sum();
        if stored + file.value.len() > MOST_BYTES || list.len() >= MOST_FILES {
            let message = "You have exceeded your file storage quota. Please delete old files.";
            return Err(invalid(message.to_owned(), None));
        }
        let new = NewFile {
            purpose,
            name,
            bytes: file.value.to_vec(),
            expires_after: Duration::from_secs(seconds),
        };
        let file = self.make(shared, new);
        list.push(Arc::clone(&file));
        Ok(json(&file.object(shared)))
    }

    /// Adds a file that a batch wrote, and returns its id.
    pub(super) fn add(&self, shared: &Shared, new: NewFile<'_>) -> String {
        let file = self.make(shared, new);
        let id = file.id.clone();
        self.live(shared).push(file);
        id
    }

    fn make(&self, shared: &Shared, new: NewFile<'_>) -> Arc<StoredFile> {
        let number = shared.id(self.made.fetch_add(1, Relaxed));
        Arc::new(StoredFile {
            id: openai_id("file-", number),
            purpose: new.purpose.to_owned(),
            name: new.name,
            bytes: new.bytes,
            created: shared.since_start(),
            expires_after: new.expires_after,
        })
    }

    pub(super) fn find(&self, shared: &Shared, id: &str) -> Result<Arc<StoredFile>, NoPage> {
        let list = self.live(shared);
        let found = list.iter().find(|file| file.id == id);
        found.cloned().ok_or_else(|| no_file(id))
    }

    /// The newest first, unless told otherwise.
    fn page(&self, shared: &Shared, asked: Asked<'_>) -> Result<Page, NoPage> {
        let list = self.live(shared);
        let purpose = param(asked.query, "purpose");
        let mut files: Vec<&Arc<StoredFile>> = list
            .iter()
            .filter(|file| {
                purpose
                    .as_ref()
                    .is_none_or(|wanted| *wanted == file.purpose)
            })
            .collect();
        if param(asked.query, "order").as_deref() != Some("asc") {
            files.reverse();
        }
        let ids: Vec<&str> = files.iter().map(|file| &*file.id).collect();
        let (range, has_more) =
            page_after(asked.query, &ids, 10_000, 10_000).map_err(NoPage::Error)?;
        let data = &files[range];
        Ok(json(&ListObject {
            object: "list",
            first_id: data.first().map(|file| file.id.clone()),
            last_id: data.last().map(|file| file.id.clone()),
            data: data.iter().map(|file| file.object(shared)).collect(),
            has_more,
        }))
    }

    fn delete(&self, shared: &Shared, id: &str) -> Result<Page, NoPage> {
        let mut list = self.live(shared);
        let at = list.iter().position(|file| file.id == id);
        list.remove(at.ok_or_else(|| no_file(id))?);
        Ok(json(&DeletedFile {
            id,
            object: "file",
            deleted: true,
        }))
    }

    /// The files that have not expired.
    fn live(&self, shared: &Shared) -> MutexGuard<'_, Vec<Arc<StoredFile>>> {
        let now = shared.since_start();
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|file| file.created.saturating_add(file.expires_after) > now);
        list
    }
}

impl StoredFile {
    fn object(&self, shared: &Shared) -> FileObject {
        let created_at = shared.wall(self.created).as_secs();
        FileObject {
            object: "file",
            id: self.id.clone(),
            purpose: self.purpose.clone(),
            filename: self.name.clone(),
            bytes: self.bytes.len(),
            created_at,
            expires_at: created_at.saturating_add(self.expires_after.as_secs()),
            status: "processed",
            status_details: (),
        }
    }
}

fn check(purpose: &str, name: &str, bytes: usize) -> Result<(), NoPage> {
    if bytes == 0 {
        return Err(invalid("File is empty.".to_owned(), Some("file")));
    }
    if purpose != "batch" {
        return Ok(());
    }
    if !name.ends_with(".jsonl") {
        let message = "Invalid file format for Batch API. Must be .jsonl";
        return Err(invalid(message.to_owned(), Some("file")));
    }
    if bytes > MOST_BATCH_BYTES {
        let message = format!(
            "File is too large. Maximum file size for Batch API is {MOST_BATCH_BYTES} bytes, but got {bytes}."
        );
        return Err(NoPage::from(ApiError {
            status: 413,
            ..ApiError::invalid(message)
        }));
    }
    Ok(())
}

/// A time after which a file expires, in seconds; OpenAI API reference.
pub(super) fn expiry(seconds: Option<u64>, param: &'static str) -> Result<u64, NoPage> {
    seconds
        .filter(|seconds| (3600..=2_592_000).contains(seconds))
        .ok_or_else(|| {
            let message = format!("Invalid '{param}': expected an integer from 3600 to 2592000.");
            invalid(message, Some(param))
        })
}

fn text<'a>(field: &Field<'a>) -> &'a str {
    std::str::from_utf8(field.value).unwrap_or_default()
}

pub(super) fn invalid(message: String, param: Option<&'static str>) -> NoPage {
    NoPage::from(ApiError {
        param,
        ..ApiError::invalid(message)
    })
}

fn no_file(id: &str) -> NoPage {
    NoPage::from(ApiError {
        status: 404,
        param: Some("id"),
        ..ApiError::invalid(format!("No such File object: {id}"))
    })
}
