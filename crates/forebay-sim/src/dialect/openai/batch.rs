//! Reads and writes files and batches.
//!
//! Owns their fields, and what this dialect rejects of a batch's lines. Never works one off.

use std::collections::HashSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::message::Text;
use crate::dialect::{Details, Id, Operation, request_id};

/// The most lines of a batch; OpenAI's batch guide.
const MOST_LINES: usize = 50_000;

/// The most inputs of embeddings in a batch; OpenAI's batch guide.
const MOST_INPUTS: usize = 50_000;

/// The most problems of a file that are told; the simulator's own, to bound a batch's page.
const MOST_ERRORS: usize = 100;

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

/// What is wrong with a batch's file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Errors {
    object: &'static str,
    data: Vec<LineError>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct LineError {
    code: &'static str,
    line: Option<usize>,
    message: String,
    param: Option<&'static str>,
}

/// One request of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchLine {
    pub(crate) custom_id: String,
    /// The place of its body in the file.
    pub(crate) body: Range<usize>,
}

/// The requests of a batch, and their model.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct BatchLines {
    pub(crate) lines: Vec<BatchLine>,
    pub(crate) model: Option<String>,
    inputs: usize,
}

#[derive(Deserialize)]
struct Line<'a> {
    custom_id: Option<String>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Reads the requests of a file, or says what is wrong with it.
pub(crate) fn read_lines(
    file: &[u8],
    operation: Operation,
    endpoint: &str,
) -> Result<BatchLines, Errors> {
    let mut reader = Reader {
        file,
        operation,
        endpoint,
        ids: HashSet::new(),
        read: BatchLines::default(),
        errors: Vec::new(),
    };
    let whole = file.strip_suffix(b"\n").unwrap_or(file);
    if whole.is_empty() {
        reader.complain(None, "empty_file", "The input file is empty.", None);
    } else {
        for (at, line) in whole.split(|byte| *byte == b'\n').enumerate() {
            if at == MOST_LINES {
                let message = format!("The input file has more than {MOST_LINES} requests.");
                reader.complain(None, "too_many_requests", message, None);
            }
            if at >= MOST_LINES || reader.errors.len() == MOST_ERRORS {
                break;
            }
            reader.line(at + 1, line);
        }
    }
    if reader.read.inputs > MOST_INPUTS {
        let message = format!("The input file has more than {MOST_INPUTS} embedding inputs.");
        reader.complain(None, "too_many_embedding_inputs", message, None);
    }
    match reader.errors.is_empty() {
        true => Ok(reader.read),
        false => Err(Errors {
            object: "list",
            data: reader.errors,
        }),
    }
}

struct Reader<'a> {
    file: &'a [u8],
    operation: Operation,
    endpoint: &'a str,
    ids: HashSet<String>,
    read: BatchLines,
    errors: Vec<LineError>,
}

impl Reader<'_> {
    fn complain(
        &mut self,
        line: Option<usize>,
        code: &'static str,
        message: impl Into<String>,
        param: Option<&'static str>,
    ) {
        self.errors.push(LineError {
            code,
            line,
            message: message.into(),
            param,
        });
    }

    fn line(&mut self, at: usize, bytes: &[u8]) {
        let at = Some(at);
        let Ok(line) = serde_json::from_slice::<Line<'_>>(bytes) else {
            let message = "This line is not parseable as valid JSON.";
            return self.complain(at, "invalid_json_line", message, None);
        };
        let fields = [
            ("custom_id", line.custom_id.is_some()),
            ("method", line.method.is_some()),
            ("url", line.url.is_some()),
            ("body", line.body.is_some()),
        ];
        let (Some(custom_id), Some(method), Some(url), Some(body)) =
            (line.custom_id, line.method, line.url, line.body)
        else {
            let missing = fields.iter().find(|(_, there)| !there);
            let name = missing.map_or("", |(name, _)| name);
            let message = format!("Missing required parameter: '{name}'.");
            return self.complain(at, "missing_required_parameter", message, Some(name));
        };
        if method.0 != "POST" {
            let message = format!("Invalid method: '{}'. Only 'POST' is supported.", method.0);
            return self.complain(at, "invalid_method", message, Some("method"));
        }
        if url.0 != self.endpoint {
            let message = "The URL provided for this request does not match the batch endpoint.";
            return self.complain(at, "mismatched_url", message, Some("url"));
        }
        if !body.get().starts_with('{') {
            let message = "The body of a request must be a JSON object.";
            return self.complain(at, "invalid_body", message, Some("body"));
        }
        if !self.ids.insert(custom_id.clone()) {
            let message = "The custom_id for this request is a duplicate of another request. \
                           The custom_id parameter must be unique for each request in a batch.";
            return self.complain(at, "duplicate_custom_id", message, Some("custom_id"));
        }
        self.model(at, body);
        let start = body.get().as_ptr().addr() - self.file.as_ptr().addr();
        self.read.lines.push(BatchLine {
            custom_id,
            body: start..start + body.get().len(),
        });
    }

    /// All requests are for the model of the first.
    fn model(&mut self, at: Option<usize>, body: &RawValue) {
        #[derive(Default, Deserialize)]
        struct Body<'a> {
            #[serde(borrow, default)]
            model: Option<Text<'a>>,
        }
        let body_of: Body<'_> = serde_json::from_str(body.get()).unwrap_or_default();
        let model = body_of.model.unwrap_or_default().0;
        match &self.read.model {
            None => self.read.model = Some(model.into_owned()),
            Some(first) if *first == model => {}
            Some(first) => {
                let message = format!(
                    "The provided model '{model}' in this request does not match the model \
                     '{first}' of the first request. All requests of a batch must use the same \
                     model."
                );
                self.complain(at, "mismatched_model", message, Some("body.model"));
            }
        }
        if self.operation == Operation::Embeddings {
            let parsed = super::parse_embeddings(body.get().as_bytes());
            if let Details::Embeddings { inputs, .. } = parsed.ask.details {
                self.read.inputs += inputs.len();
            }
        }
    }
}

/// What became of one request.
#[derive(Debug)]
pub(crate) enum LineOutcome {
    /// It was answered, with this status and body.
    Answered(u16, Vec<u8>),
    /// It got no answer.
    Lost,
    /// The batch expired before.
    Expired,
    /// The batch was cancelled before.
    Cancelled,
}

#[derive(Serialize)]
struct OutcomeLine<'a> {
    id: Id<'a>,
    custom_id: &'a str,
    response: Option<LineResponse>,
    error: Option<OutcomeError>,
}

#[derive(Serialize)]
struct LineResponse {
    status_code: u16,
    request_id: Id<'static>,
    body: Box<RawValue>,
}

#[derive(Serialize)]
struct OutcomeError {
    code: &'static str,
    message: &'static str,
}

impl LineOutcome {
    /// Whether it belongs into the output file; else into the error file.
    pub(crate) fn is_output(&self) -> bool {
        matches!(self, LineOutcome::Answered(..400, _))
    }

    /// Adds its line to a file.
    pub(crate) fn write(self, number: u64, custom_id: &str, file: &mut Vec<u8>) {
        let error = match self {
            LineOutcome::Answered(..) => None,
            LineOutcome::Lost => Some((
                "request_timeout",
                "This request could not be answered before its timeout.",
            )),
            LineOutcome::Expired => Some((
                "batch_expired",
                "This request could not be executed before the completion window expired.",
            )),
            LineOutcome::Cancelled => Some((
                "batch_cancelled",
                "This request was not executed because the batch was cancelled.",
            )),
        };
        let line = OutcomeLine {
            id: Id {
                prefix: "batch_req_",
                number,
            },
            custom_id,
            response: match self {
                LineOutcome::Answered(status_code, body) => Some(LineResponse {
                    status_code,
                    request_id: request_id(number),
                    body: one_line(body),
                }),
                LineOutcome::Lost | LineOutcome::Expired | LineOutcome::Cancelled => None,
            },
            error: error.map(|(code, message)| OutcomeError { code, message }),
        };
        // Writing plain structs to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut *file, &line);
        file.push(b'\n');
    }
}

/// A body as JSON on one line; as a string if it is none.
fn one_line(body: Vec<u8>) -> Box<RawValue> {
    let text = String::from_utf8_lossy(&body).into_owned();
    let value = match serde_json::from_str::<Box<RawValue>>(&text) {
        Ok(raw) if !raw.get().contains('\n') => return raw,
        Ok(raw) => serde_json::from_str::<Value>(raw.get()).unwrap_or_default(),
        Err(_) => Value::String(text),
    };
    // A value that was just made is valid JSON.
    serde_json::value::to_raw_value(&value).unwrap_or_default()
}
