//! Rows as the results of an Anthropic Message Batch: answers and errors in one file.

use super::answered::{Answered, Failed};
use crate::fields::{as_str, members, push_json_str};

/// Appends a row's line.
pub(super) fn write(out: &mut Vec<u8>, custom_id: &str, row: &Answered<'_>) {
    out.extend_from_slice(b"{\"custom_id\":");
    push_json_str(out, custom_id);
    out.extend_from_slice(b",\"result\":{\"type\":");
    match (&row.failure, row.raw) {
        (None, raw) => succeeded(out, raw.map_or("null", |raw| raw.get())),
        (Some(_), Some(raw)) if row.is_answer() => succeeded(out, raw.get()),
        (Some(_), Some(raw)) if is_error(raw.get()) => errored(out, raw.get().as_bytes()),
        (Some(failure), _) => errored(out, &made_up(failure)),
    }
    out.extend_from_slice(b"}}\n");
}

fn succeeded(out: &mut Vec<u8>, message: &str) {
    out.extend_from_slice(b"\"succeeded\",\"message\":");
    out.extend_from_slice(message.as_bytes());
}

fn errored(out: &mut Vec<u8>, error: &[u8]) {
    out.extend_from_slice(b"\"errored\",\"error\":");
    out.extend_from_slice(error);
}

/// Whether a body is an error of Anthropic's own shape.
fn is_error(body: &str) -> bool {
    let members = members(body).unwrap_or_default();
    let has = |wanted: &str, value: Option<&str>| {
        members.iter().any(|(name, raw)| {
            name == wanted && value.is_none_or(|value| as_str(raw).as_deref() == Some(value))
        })
    };
    has("type", Some("error")) && has("error", None)
}

/// An error of that shape for what Anthropic itself never said.
fn made_up(failure: &Failed<'_>) -> Vec<u8> {
    let mut out = b"{\"type\":\"error\",\"error\":{\"type\":".to_vec();
    push_json_str(&mut out, type_of(&failure.kind));
    out.extend_from_slice(b",\"message\":");
    push_json_str(&mut out, &failure.message);
    out.extend_from_slice(b"},\"request_id\":null}");
    out
}

/// Anthropic's word for a kind of failure; its API reference lists them.
fn type_of(kind: &str) -> &'static str {
    match kind {
        "invalid_item" | "bad_request" | "context_length" | "content_filtered" => {
            "invalid_request_error"
        }
        "auth" => "authentication_error",
        "not_found" => "not_found_error",
        "quota_exhausted" => "billing_error",
        "rate_limited" => "rate_limit_error",
        "overloaded" => "overloaded_error",
        timeout if timeout.starts_with("timeout") => "timeout_error",
        _ => "api_error",
    }
}
