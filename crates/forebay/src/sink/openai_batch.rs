//! Rows as OpenAI's Batch API writes them: an output file of answers, an error file of the rest.

use super::answered::Answered;
use crate::fields::push_json_str;
use crate::journal::Key;

/// Appends a row's line.
pub(super) fn write(out: &mut Vec<u8>, custom_id: &str, row: &Answered<'_>) {
    // The same row has the same id each time the file is put together.
    let id = Key::of("batch request", custom_id.as_bytes());
    out.extend_from_slice(format!("{{\"id\":\"batch_req_{:032x}\"", id.0).as_bytes());
    out.extend_from_slice(b",\"custom_id\":");
    push_json_str(out, custom_id);
    out.extend_from_slice(b",\"response\":");
    match row.status {
        Some(status) => {
            out.extend_from_slice(format!("{{\"status_code\":{status}").as_bytes());
            out.extend_from_slice(b",\"request_id\":");
            push_json_str(out, row.request_id.as_deref().unwrap_or_default());
            out.extend_from_slice(b",\"body\":");
            let body = row.raw.map_or("null", |raw| raw.get());
            out.extend_from_slice(body.as_bytes());
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"error\":");
    let told_by_status = row.is_http_error() && row.raw.is_some();
    match &row.failure {
        Some(failure) if !row.is_answer() && !told_by_status => {
            out.extend_from_slice(b"{\"code\":");
            push_json_str(out, &failure.kind);
            out.extend_from_slice(b",\"message\":");
            push_json_str(out, &failure.message);
            out.push(b'}');
        }
        Some(_) | None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}\n");
}
