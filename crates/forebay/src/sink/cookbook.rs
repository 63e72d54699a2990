//! Rows as the OpenAI cookbook's script for parallel requests writes them: the request and its
//! answer, or the request and a list of errors, and the metadata when there are any.

use super::answered::Answered;
use crate::fields::push_json_str;

/// Appends a row's line.
pub(super) fn write(out: &mut Vec<u8>, row: &Answered<'_>) {
    out.push(b'[');
    let request = row.request.map_or("null", |request| request.get());
    out.extend_from_slice(request.as_bytes());
    out.extend_from_slice(b", ");
    match (&row.failure, row.raw) {
        (None, raw) => out.extend_from_slice(raw.map_or("null", |raw| raw.get()).as_bytes()),
        (Some(_), Some(raw)) if row.is_answer() => out.extend_from_slice(raw.get().as_bytes()),
        (Some(failure), raw) => {
            out.push(b'[');
            match raw.filter(|_| row.is_http_error()) {
                Some(raw) => push_json_str(out, raw.get()),
                None => push_json_str(out, &format!("{}: {}", failure.kind, failure.message)),
            }
            out.push(b']');
        }
    }
    if let Some(metadata) = row.metadata.filter(|metadata| is_truthy(metadata.get())) {
        out.extend_from_slice(b", ");
        out.extend_from_slice(metadata.get().as_bytes());
    }
    out.extend_from_slice(b"]\n");
}

/// Whether Python takes the value for true: the script leaves others out.
fn is_truthy(json: &str) -> bool {
    let inside = |open, close| {
        let text = json.strip_prefix(open)?.strip_suffix(close)?;
        Some(!str::trim(text).is_empty())
    };
    match json {
        "null" | "false" | "\"\"" => false,
        _ => inside('[', ']')
            .or_else(|| inside('{', '}'))
            .unwrap_or_else(|| json.parse::<f64>() != Ok(0.0)),
    }
}
