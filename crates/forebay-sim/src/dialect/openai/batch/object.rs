//! Writes files, batches and lists of them.
//!
//! Owns their fields. Never reads a file.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::lines::Errors;
use crate::dialect::{Id, Operation};

/// A file as its page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FileObject {
    pub(crate) object: &'static str,
    pub(crate) id: String,
    pub(crate) purpose: String,
    pub(crate) filename: String,
    pub(crate) bytes: usize,
    pub(crate) created_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) status: &'static str,
    pub(crate) status_details: (),
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct ListObject<T> {
    pub(crate) object: &'static str,
    pub(crate) data: Vec<T>,
    pub(crate) first_id: Option<String>,
    pub(crate) last_id: Option<String>,
    pub(crate) has_more: bool,
}

/// What is left of a file.
#[derive(Debug, Serialize)]
pub(crate) struct DeletedFile<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) deleted: bool,
}

/// A batch as its page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OpenAiBatch {
    pub(crate) id: String,
    pub(crate) object: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) errors: Option<Errors>,
    pub(crate) input_file_id: String,
    pub(crate) completion_window: &'static str,
    pub(crate) status: BatchStatus,
    pub(crate) output_file_id: Option<String>,
    pub(crate) error_file_id: Option<String>,
    pub(crate) created_at: u64,
    pub(crate) in_progress_at: Option<u64>,
    pub(crate) expires_at: u64,
    pub(crate) finalizing_at: Option<u64>,
    pub(crate) completed_at: Option<u64>,
    pub(crate) failed_at: Option<u64>,
    pub(crate) expired_at: Option<u64>,
    pub(crate) cancelling_at: Option<u64>,
    pub(crate) cancelled_at: Option<u64>,
    pub(crate) request_counts: RequestCounts,
    pub(crate) usage: BatchUsage,
    pub(crate) metadata: Option<Box<RawValue>>,
}

/// Where a batch is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BatchStatus {
    #[default]
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl BatchStatus {
    /// Its name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            BatchStatus::Validating => "validating",
            BatchStatus::Failed => "failed",
            BatchStatus::InProgress => "in_progress",
            BatchStatus::Finalizing => "finalizing",
            BatchStatus::Completed => "completed",
            BatchStatus::Expired => "expired",
            BatchStatus::Cancelling => "cancelling",
            BatchStatus::Cancelled => "cancelled",
        }
    }
}

/// Where the requests of a batch go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchEndpoint(usize);

impl BatchEndpoint {
    /// Their paths; OpenAI's batch guide has more of them.
    pub(crate) const NAMES: [&'static str; 3] =
        ["/v1/responses", "/v1/chat/completions", "/v1/embeddings"];
    const OPERATIONS: [Operation; 3] = [
        Operation::Responses,
        Operation::ChatCompletions,
        Operation::Embeddings,
    ];

    pub(crate) fn named(name: &str) -> Option<BatchEndpoint> {
        let at = BatchEndpoint::NAMES.iter().position(|known| *known == name);
        at.map(BatchEndpoint)
    }

    pub(crate) fn name(self) -> &'static str {
        BatchEndpoint::NAMES[self.0]
    }

    pub(crate) fn operation(self) -> Operation {
        BatchEndpoint::OPERATIONS[self.0]
    }
}

/// An id of this dialect.
pub(crate) fn openai_id(prefix: &str, number: u64) -> String {
    Id { prefix, number }.to_string()
}

/// How many requests of a batch are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct RequestCounts {
    pub(crate) total: usize,
    pub(crate) completed: usize,
    pub(crate) failed: usize,
}

/// What all answers of a batch used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct BatchUsage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    input_tokens_details: CachedTokens,
    output_tokens_details: ReasoningTokens,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CachedTokens {
    cached_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct ReasoningTokens {
    reasoning_tokens: u64,
}

/// The usage in an answer of any of the endpoints.
#[derive(Default, Deserialize)]
struct AnswerUsage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: u64,
    #[serde(default, alias = "completion_tokens")]
    output_tokens: u64,
    #[serde(default, alias = "prompt_tokens_details")]
    input_tokens_details: CachedTokens,
}

impl BatchUsage {
    /// Adds what an answer's body tells.
    pub(crate) fn add(&mut self, body: &[u8]) {
        #[derive(Default, Deserialize)]
        struct Answer {
            usage: Option<AnswerUsage>,
        }
        let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
        let usage = answer.usage.unwrap_or_default();
        self.input_tokens += usage.input_tokens;
        self.output_tokens += usage.output_tokens;
        self.total_tokens += usage.input_tokens + usage.output_tokens;
        self.input_tokens_details.cached_tokens += usage.input_tokens_details.cached_tokens;
    }
}
