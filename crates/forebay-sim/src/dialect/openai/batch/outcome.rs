//! Writes the lines of a batch's output and error files.
//!
//! Owns their fields. Never decides what became of a request.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::{Id, request_id};

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
