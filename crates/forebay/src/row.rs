//! Output rows as JSON text.
//!
//! A row is a head (`custom_id`, `index`) and a body (everything else). They are kept apart, so
//! that a row of the journal keeps its body when input rows before it came or went.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

use crate::fields::{is_too_deep, push_json_str, push_number};
use crate::item::NO_KEY;
use crate::money::Usd;
use crate::outcome::{Failure, Outcome, Reply, Usage};

/// The names that a row gives its own members, in their order.
pub const ROW_MEMBERS: [&str; 18] = [
    "custom_id",
    "index",
    "output",
    "parsed",
    "embedding",
    "tool_calls",
    "error",
    "model",
    "finish_reason",
    "usage",
    "cost_usd",
    "duration_s",
    "time_to_first_chunk_s",
    "attempts",
    "cached",
    "http_status",
    "request_id",
    "raw",
];

/// The members of `error` that tables spread over columns, as `error_<name>`.
pub const ERROR_PARTS: [&str; 4] = ["kind", "status", "code", "message"];

/// The members of `usage` that tables spread over columns.
pub const USAGE_PARTS: [&str; 4] = [
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
];

/// The name under which a row repeats an input field: its own, or `input_<name>` when a row
/// has a member, or a table a column, of that name itself.
pub fn field_name(name: &str) -> Cow<'_, str> {
    let is_column = |parts: &[&str]| parts.contains(&name);
    let of_error = name.strip_prefix("error_");
    let is_taken = ROW_MEMBERS.contains(&name)
        || is_column(&USAGE_PARTS)
        || of_error.is_some_and(|part| ERROR_PARTS.contains(&part));
    if is_taken {
        Cow::Owned(format!("input_{name}"))
    } else {
        Cow::Borrowed(name)
    }
}

/// What the body of a row is made of.
#[derive(Debug)]
pub struct RowBody<'a> {
    /// Input fields as JSON members without braces.
    pub fields: &'a str,
    /// How the item ended.
    pub outcome: &'a Outcome,
    /// What it cost, when that is known.
    pub cost: Option<Usd>,
    /// Duration of the attempt that ended it, when one was made.
    pub duration: Option<Duration>,
    /// From the start of that attempt to the first content of its answer, when it was streamed.
    pub first_chunk: Option<Duration>,
    /// Attempts made.
    pub attempts: u32,
    /// Whether the answer is one from earlier, for which nothing was sent.
    pub recalled: bool,
    /// The provider's own answer, when it is to be kept.
    pub raw: Option<RawAnswer<'a>>,
}

/// A provider's answer as it came.
#[derive(Debug, Clone, Copy)]
pub struct RawAnswer<'a> {
    /// The body; may be empty.
    pub body: &'a [u8],
    /// The HTTP status.
    pub status: u16,
    /// The name that the provider gave the exchange.
    pub request_id: Option<&'a str>,
}

impl RowBody<'_> {
    /// Appends the body as one JSON object on one line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if !self.fields.is_empty() {
            out.extend_from_slice(self.fields.as_bytes());
            out.push(b',');
        }
        match self.outcome {
            Ok(reply) => write_reply(reply, out),
            Err(failure) => write_failure(failure, self.attempts, out),
        }
        out.extend_from_slice(b",\"cost_usd\":");
        match self.cost {
            Some(cost) => cost.push(out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"duration_s\":");
        match self.duration {
            Some(duration) => write_seconds(out, duration),
            None => out.extend_from_slice(b"null"),
        }
        if let Some(first_chunk) = self.first_chunk {
            out.extend_from_slice(b",\"time_to_first_chunk_s\":");
            write_seconds(out, first_chunk);
        }
        out.extend_from_slice(b",\"attempts\":");
        push_number(out, self.attempts.into());
        if self.recalled {
            out.extend_from_slice(b",\"cached\":true");
        }
        if let Some(raw) = self.raw {
            push(out, format_args!(",\"http_status\":{}", raw.status));
            if let Some(id) = raw.request_id {
                out.extend_from_slice(b",\"request_id\":");
                push_json_str(out, id);
            }
            if !raw.body.is_empty() {
                out.extend_from_slice(b",\"raw\":");
                write_raw(raw.body, out);
            }
        }
        out.push(b'}');
    }
}

/// Appends a whole row and a line end: the head for an item, then a body as written before.
pub fn write_row(out: &mut Vec<u8>, custom_id: Option<&str>, index: u64, body: &[u8]) {
    out.extend_from_slice(b"{\"custom_id\":");
    match custom_id {
        Some(id) => push_json_str(out, id),
        None => {
            out.push(b'"');
            out.extend_from_slice(NO_KEY.as_bytes());
            push_number(out, index);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b",\"index\":");
    push_number(out, index);
    out.push(b',');
    out.extend_from_slice(&body[1..]);
    out.push(b'\n');
}

fn write_reply(reply: &Reply, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"output\":");
    match &reply.text {
        Some(text) => push_json_str(out, text),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(parsed) = &reply.parsed {
        out.extend_from_slice(b",\"parsed\":");
        push_one_line(out, parsed.get());
    }
    if let Some(vector) = &reply.embedding {
        out.extend_from_slice(b",\"embedding\":");
        // Numbers into memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, vector);
    }
    if let Some(calls) = &reply.tool_calls {
        out.extend_from_slice(b",\"tool_calls\":");
        push_one_line(out, calls.get());
    }
    out.extend_from_slice(b",\"error\":null,\"model\":");
    match &reply.model {
        Some(model) => push_json_str(out, model),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"finish_reason\":");
    push_json_str(out, reply.finish_reason.as_str());
    out.extend_from_slice(b",\"usage\":");
    write_usage(reply.usage.as_ref(), out);
}

fn write_failure(failure: &Failure, attempts: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"output\":null,\"error\":{\"kind\":");
    push_json_str(out, failure.kind.label());
    out.extend_from_slice(b",\"status\":");
    write_or_null(out, failure.status);
    out.extend_from_slice(b",\"code\":");
    match &failure.provider_code {
        Some(code) => push_json_str(out, code),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"message\":");
    push_json_str(out, &failure.message);
    push(out, format_args!(",\"attempts\":{attempts}}}"));
    out.extend_from_slice(b",\"model\":null,\"finish_reason\":null,\"usage\":");
    write_usage(failure.usage.as_deref(), out);
}

fn write_usage(usage: Option<&Usage>, out: &mut Vec<u8>) {
    let Some(usage) = usage else {
        out.extend_from_slice(b"null");
        return;
    };
    let counts = [
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
    ];
    out.push(b'{');
    for (at, (name, count)) in USAGE_PARTS.into_iter().zip(counts).enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        push_number(out, count);
    }
    out.push(b'}');
}

/// The provider's body: as JSON when it is some, as a string otherwise.
fn write_raw(raw: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(raw);
    match serde_json::from_str::<&serde_json::value::RawValue>(text.trim()) {
        // What is nested too deep would make the row unreadable.
        Ok(json) if !is_too_deep(json.get().as_bytes()) => push_one_line(out, json.get()),
        Ok(_) | Err(_) => push_json_str(out, &text),
    }
}

/// Appends JSON text without its line breaks; inside JSON strings there are none.
fn push_one_line(out: &mut Vec<u8>, json: &str) {
    out.extend(json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
}

fn write_seconds(out: &mut Vec<u8>, duration: Duration) {
    push_number(out, duration.as_secs());
    let millis = duration.subsec_millis();
    out.push(b'.');
    for unit in [100, 10, 1] {
        out.push(b'0' + (millis / unit % 10) as u8);
    }
}

fn write_or_null(out: &mut Vec<u8>, value: Option<impl std::fmt::Display>) {
    match value {
        Some(value) => push(out, format_args!("{value}")),
        None => out.extend_from_slice(b"null"),
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{FailureKind, FinishReason};

    fn row(outcome: &Outcome, raw: Option<&[u8]>) -> String {
        let raw = raw.map(|body| RawAnswer {
            body,
            status: 200,
            request_id: Some("req_1"),
        });
        let mut body = Vec::new();
        RowBody {
            fields: r#""text":"hello""#,
            outcome,
            cost: Some(Usd::from_picos(42_000_000)),
            duration: Some(Duration::from_millis(1_234)),
            first_chunk: None,
            attempts: 2,
            recalled: false,
            raw,
        }
        .write(&mut body);
        let mut out = Vec::new();
        write_row(&mut out, None, 7, &body);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_reply_becomes_a_row() {
        let reply = Reply {
            text: Some("billing\n\"x\"".into()),
            tool_calls: None,
            parsed: None,
            embedding: None,
            finish_reason: FinishReason::Stop,
            model: Some("m-2024".into()),
            usage: Some(Usage {
                input_tokens: 9,
                output_tokens: 1,
                ..Usage::default()
            }),
        };
        assert_eq!(
            row(&Ok(reply), Some(b"{\n \"id\": 1\n}")),
            concat!(
                r#"{"custom_id":"item-7","index":7,"text":"hello","output":"billing\n\"x\"","#,
                r#""error":null,"model":"m-2024","finish_reason":"stop","usage":{"input_tokens":9,"#,
                r#""output_tokens":1,"cached_input_tokens":0,"reasoning_tokens":0},"#,
                r#""cost_usd":0.000042,"duration_s":1.234,"attempts":2,"http_status":200,"#,
                r#""request_id":"req_1","raw":{ "id": 1}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_failure_becomes_a_row() {
        let mut failure = Failure::new(FailureKind::BadRequest, "too hot");
        failure.status = Some(400);
        assert_eq!(
            row(&Err(failure), Some(b"<html>")),
            concat!(
                r#"{"custom_id":"item-7","index":7,"text":"hello","output":null,"#,
                r#""error":{"kind":"bad_request","status":400,"code":null,"message":"too hot","#,
                r#""attempts":2},"model":null,"finish_reason":null,"usage":null,"#,
                r#""cost_usd":0.000042,"duration_s":1.234,"attempts":2,"http_status":200,"#,
                r#""request_id":"req_1","raw":"<html>"}"#,
                "\n"
            )
        );
    }
}
