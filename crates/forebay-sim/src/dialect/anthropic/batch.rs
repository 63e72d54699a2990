//! Reads and writes message batches.
//!
//! Owns what this dialect rejects of a batch, and its fields. Never works one off.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::{ApiError, Id, write_json};

/// The most requests of a batch; Anthropic API reference.
const MOST_REQUESTS: usize = 100_000;

/// The longest `custom_id`; Anthropic API reference.
const LONGEST_ID: usize = 64;

/// One request of a batch.
#[derive(Debug)]
pub(crate) struct BatchRequest {
    pub(crate) custom_id: String,
    /// The body of the message that is asked for.
    pub(crate) params: Box<RawValue>,
}

#[derive(Deserialize)]
struct Create {
    requests: Option<Vec<Row>>,
}

#[derive(Deserialize)]
struct Row {
    custom_id: Option<String>,
    params: Option<Box<RawValue>>,
}

/// Reads the body that makes a batch. What is wrong with a message is told in its result.
pub(crate) fn read_batch(body: &[u8]) -> Result<Vec<BatchRequest>, Box<ApiError>> {
    let create: Create = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("Invalid request body: {error}")))?;
    let Some(rows) = create.requests else {
        return Err(invalid("requests: Field required"));
    };
    if rows.is_empty() {
        return Err(invalid(
            "requests: List should have at least 1 item after validation, not 0",
        ));
    }
    if rows.len() > MOST_REQUESTS {
        return Err(invalid(format!(
            "requests: List should have at most {MOST_REQUESTS} items after validation, not {}",
            rows.len()
        )));
    }
    let mut requests = Vec::with_capacity(rows.len());
    let mut ids = HashSet::with_capacity(rows.len());
    for (at, row) in rows.into_iter().enumerate() {
        let field = |name: &str, problem: &str| invalid(format!("requests.{at}.{name}: {problem}"));
        let (Some(custom_id), Some(params)) = (row.custom_id, row.params) else {
            return Err(field("custom_id, params", "Field required"));
        };
        if !is_custom_id(&custom_id) {
            let problem = "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'";
            return Err(field("custom_id", problem));
        }
        if !ids.insert(custom_id.clone()) {
            let problem = format!("Duplicate custom_id '{custom_id}'; each must be unique");
            return Err(field("custom_id", &problem));
        }
        requests.push(BatchRequest { custom_id, params });
    }
    Ok(requests)
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Box<ApiError> {
    Box::new(ApiError::invalid(message))
}

fn is_custom_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(allowed)
}

/// The id of a batch.
pub(crate) fn batch_id(number: u64) -> String {
    let prefix = "msgbatch_01";
    Id { prefix, number }.to_string()
}

/// A batch as its page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BatchObject {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) processing_status: &'static str,
    pub(crate) request_counts: Counts,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) cancel_initiated_at: Option<String>,
    pub(crate) archived_at: Option<String>,
    pub(crate) results_url: Option<String>,
}

/// How many requests of a batch are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Counts {
    pub(crate) processing: usize,
    pub(crate) succeeded: usize,
    pub(crate) errored: usize,
    pub(crate) canceled: usize,
    pub(crate) expired: usize,
}

/// A page of batches.
#[derive(Debug, Serialize)]
pub(crate) struct BatchList {
    pub(crate) data: Vec<BatchObject>,
    pub(crate) has_more: bool,
    pub(crate) first_id: Option<String>,
    pub(crate) last_id: Option<String>,
}

/// What is said when a batch was deleted.
#[derive(Debug, Serialize)]
pub(crate) struct DeletedBatch<'a> {
    pub(crate) id: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The message.
    Succeeded(Vec<u8>),
    /// The error's body.
    Errored(Vec<u8>),
    Canceled,
    Expired,
}

#[derive(Serialize)]
struct Line<'a> {
    custom_id: &'a str,
    result: Outcomes<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outcomes<'a> {
    Succeeded { message: &'a RawValue },
    Errored { error: &'a RawValue },
    Canceled,
    Expired,
}

impl Outcome {
    /// Adds a line of the results.
    pub(crate) fn write(&self, custom_id: &str, lines: &mut Vec<u8>) {
        // What is no JSON, say the body of a script's reply, is told as null.
        let raw = |body| serde_json::from_slice(body).unwrap_or(RawValue::NULL);
        let result = match self {
            Outcome::Succeeded(body) => Outcomes::Succeeded { message: raw(body) },
            Outcome::Errored(body) => Outcomes::Errored { error: raw(body) },
            Outcome::Canceled => Outcomes::Canceled,
            Outcome::Expired => Outcomes::Expired,
        };
        let mut line = Vec::new();
        write_json(&mut line, &Line { custom_id, result });
        lines.extend_from_slice(&line);
        lines.push(b'\n');
    }
}

/// A time since the Unix epoch as this dialect writes it, in UTC with microseconds.
pub(crate) fn time(wall: Duration) -> String {
    let time = i64::try_from(wall.as_micros())
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    time.unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &str) -> String {
        read_batch(body.as_bytes())
            .err()
            .map_or_else(String::new, |error| error.message.into_owned())
    }

    #[test]
    fn what_is_wrong_with_a_batch_is_told() {
        let row = |id: &str| format!(r#"{{"custom_id":"{id}","params":{{}}}}"#);
        let batch = |rows: &[String]| format!(r#"{{"requests":[{}]}}"#, rows.join(","));
        assert_eq!(problem(&batch(&[row("a"), row("b-_9")])), "");
        assert!(problem("{}").contains("Field required"));
        assert!(problem(&batch(&[])).contains("at least 1 item"));
        assert!(problem(&batch(&[row("a"), row("a")])).contains("Duplicate custom_id 'a'"));
        for id in ["", "a b", "ä", &"x".repeat(65)] {
            assert!(problem(&batch(&[row(id)])).contains("pattern"), "{id}");
        }
        let many: Vec<String> = (0..=MOST_REQUESTS).map(|n| row(&n.to_string())).collect();
        assert!(problem(&batch(&many)).contains("at most 100000"));
    }

    #[test]
    fn times_have_microseconds() {
        let text = time(Duration::from_micros(1_769_504_400_000_001));
        assert_eq!(text, "2026-01-27T09:00:00.000001Z");
    }
}
