//! Recorded answers of every dialect, each plain and as a stream, and what they become.
//!
//! A case is a folder of `tests/data` with an `expected.json`. Its stream is read whole,
//! byte by byte with every kind of line end, in two pieces parted at every byte, and cut at every
//! byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use forebay::endpoint::{BaseUrl, Dialect, Endpoint, TokenField};
use forebay::headers::Headers;
use forebay::outcome::{FailureKind, Outcome, Usage};
use forebay::provider::{Answer, Delta, StreamReader, decode};
use serde_json::{Value, json};

/// A recorded answer.
struct Case {
    name: String,
    status: u16,
    headers: Headers,
    endpoint: Endpoint,
    plain: Option<Vec<u8>>,
    stream: Option<Vec<u8>>,
    expected: Value,
}

/// What a stream told on its way.
#[derive(Debug, Default, PartialEq)]
struct Told {
    text: String,
    reasoning: String,
    /// The id, the name and the arguments of each call.
    calls: Vec<[String; 3]>,
}

impl Told {
    fn add(&mut self, delta: Delta<'_>) {
        match delta {
            Delta::Text(text) => self.text += text,
            Delta::Reasoning(text) => self.reasoning += text,
            Delta::ToolCall {
                index,
                id,
                name,
                arguments,
            } => {
                assert!(index <= self.calls.len(), "calls come in order");
                if index == self.calls.len() {
                    self.calls.push(Default::default());
                }
                let parts = [id, name, arguments];
                for (have, more) in self.calls[index].iter_mut().zip(parts) {
                    have.push_str(more);
                }
            }
            other => panic!("nobody knows {other:?}"),
        }
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

fn cases(folder: &str, dialect: Dialect) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let paths = folders(&root.join(folder)).into_iter();
    let cases = paths.filter(|path| path.join("expected.json").exists());
    cases.map(|path| Case::read(&path, dialect)).collect()
}

impl Case {
    fn read(path: &Path, dialect: Dialect) -> Case {
        let head = fs::read_to_string(path.join("head.txt")).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).collect();
        let expected = fs::read(path.join("expected.json")).unwrap();
        Case {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            status: status.parse().unwrap(),
            headers,
            endpoint: Endpoint {
                name: "recorded".into(),
                dialect,
                base_url: BaseUrl::parse("http://recorded.local/v1").unwrap(),
                key: None,
                headers: Vec::new(),
                token_field: TokenField::MaxCompletionTokens,
                rate_headers: forebay::catalogue::RateHeaders::Unknown,
                seed: forebay::catalogue::Seed::None,
                http: forebay::endpoint::HttpVersion::Auto,
            },
            plain: fs::read(path.join("body.json")).ok(),
            stream: fs::read(path.join("body.sse")).ok(),
            expected: serde_json::from_slice(&expected).unwrap(),
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
    }

    fn decode(&self, headers: &Headers, body: &[u8]) -> Outcome {
        let answer = Answer {
            status: self.status,
            headers,
            body,
            now: Case::now(),
        };
        decode(&self.endpoint, &answer)
    }

    /// The headers of the answer as a stream.
    fn stream_headers(&self) -> Headers {
        let others = self.headers.iter();
        let others = others.filter(|(name, _)| *name != b"content-type");
        let value = &b"text/event-stream; charset=utf-8"[..];
        others.chain([(&b"content-type"[..], value)]).collect()
    }

    /// Reads a stream in these pieces.
    fn stream<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Outcome, Told) {
        let headers = self.stream_headers();
        assert!(StreamReader::reads(self.status, &headers));
        let mut reader = StreamReader::new(&self.endpoint, self.status, headers, Case::now());
        let mut told = Told::default();
        for piece in pieces {
            if let Err(failure) = reader.push(piece, &mut |delta| told.add(delta)) {
                return (Err(failure), told);
            }
        }
        let (outcome, _) = reader.finish(&mut |delta| told.add(delta));
        (outcome, told)
    }

    fn is(&self, outcome: &Outcome, how: &str) {
        let mut expected = self.expected.clone();
        for only_streamed in ["arguments", "reasoning"] {
            expected.as_object_mut().unwrap().remove(only_streamed);
        }
        assert_eq!(shown(outcome), expected, "{} {how}", self.name);
        if let Err(failure) = outcome {
            assert_eq!(failure.status, Some(self.status));
        }
    }

    /// The deltas of a whole answer are the answer.
    fn was_told(&self, told: &Told, how: &str) {
        if self.expected["error"].is_object() {
            return;
        }
        let text = self.expected["text"].as_str().unwrap_or_default();
        assert_eq!(told.text, text, "{} {how}", self.name);
        let arguments: Vec<Value> = told
            .calls
            .iter()
            .map(|call| call[2].clone().into())
            .collect();
        let expected = self.expected["arguments"].as_array();
        assert_eq!(arguments, *expected.unwrap_or(&Vec::new()), "{}", self.name);
        for ([id, name, _], call) in told.calls.iter().zip(self.calls()) {
            let call = call.to_string();
            assert!(
                !name.is_empty() && call.contains(&format!("\"{name}\"")),
                "{call}"
            );
            assert!(
                call.contains(&format!("\"{id}\"")) || id.is_empty(),
                "{call}"
            );
        }
        let reasoning = self.expected["reasoning"].as_str().unwrap_or_default();
        assert_eq!(told.reasoning, reasoning, "{} {how}", self.name);
    }

    fn calls(&self) -> &[Value] {
        let calls = self.expected["tool_calls"].as_array();
        calls.map_or(&[], Vec::as_slice)
    }
}

fn shown_usage(usage: Option<&Usage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!({
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        })
    })
}

/// All that an outcome says, as `expected.json` writes it.
fn shown(outcome: &Outcome) -> Value {
    match outcome {
        Ok(reply) => json!({
            "text": reply.text,
            "tool_calls": reply.tool_calls.as_ref().map(|calls| {
                serde_json::from_str::<Value>(calls.get()).unwrap()
            }),
            "finish_reason": reply.finish_reason.as_str(),
            "model": reply.model,
            "usage": shown_usage(reply.usage.as_ref()),
        }),
        Err(failure) => json!({
            "error": {
                "kind": failure.kind.label(),
                "code": failure.provider_code,
                "message": failure.message,
                "retry_after_s": failure.retry_after.map(|wait| wait.as_secs_f64()),
            },
            "usage": shown_usage(failure.usage.as_deref()),
            "maybe_billed": failure.may_have_been_billed(),
        }),
    }
}

/// The stream with another line end.
fn with_line_end(stream: &[u8], end: &str) -> Vec<u8> {
    let text = std::str::from_utf8(stream).unwrap();
    text.replace("\r\n", "\n").replace('\n', end).into_bytes()
}

/// A stream cut somewhere is truncated or what it is when it is whole, its usage apart.
fn is_cut_or_whole(case: &Case, outcome: &Outcome, at: usize) -> bool {
    if let Err(failure) = outcome
        && failure.kind == FailureKind::Truncated
    {
        return false;
    }
    let [have, want] = [shown(outcome), case.expected.clone()].map(|mut value| {
        let object = value.as_object_mut().unwrap();
        // Without its usage, what was written before a refusal may have been billed.
        let apart = ["usage", "maybe_billed", "arguments", "reasoning"];
        object.retain(|name, _| !apart.contains(&name.as_str()));
        value
    });
    assert_eq!(have, want, "{} cut at {at}", case.name);
    true
}

/// Reads all cases of a dialect, and says how many there are plain and streamed.
fn read_all(folder: &str, dialect: Dialect) {
    let cases = cases(folder, dialect);
    let plain = cases.iter().filter(|case| case.plain.is_some()).count();
    let streamed = cases.iter().filter(|case| case.stream.is_some()).count();
    assert!(
        plain >= 6 && streamed >= 6,
        "{plain} plain, {streamed} streamed"
    );
    for case in &cases {
        if let Some(body) = &case.plain {
            case.is(&case.decode(&case.headers, body), "plain");
        }
        if let Some(body) = &case.stream {
            read_stream(case, body);
        }
    }
}

fn read_stream(case: &Case, body: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>, how: &str| {
        let (outcome, told) = case.stream(pieces);
        case.is(&outcome, how);
        case.was_told(&told, how);
        told
    };
    let whole = read(&mut [body].into_iter(), "whole");
    case.is(&case.decode(&case.stream_headers(), body), "unasked");
    for end in ["\n", "\r", "\r\n"] {
        let body = with_line_end(body, end);
        let bytewise = read(&mut body.chunks(1), "byte by byte");
        assert_eq!(bytewise, whole, "{}", case.name);
    }
    for at in 0..=body.len() {
        let (start, rest) = body.split_at(at);
        let parted = read(&mut [start, rest].into_iter(), "parted");
        assert_eq!(parted, whole, "{} parted at {at}", case.name);
    }
    let mut was_whole = false;
    for at in 0..=body.len() {
        let (outcome, told) = case.stream([&body[..at]]);
        let is_whole = is_cut_or_whole(case, &outcome, at);
        assert!(
            is_whole || !was_whole,
            "{}: what was whole stays so",
            case.name
        );
        was_whole = is_whole;
        assert!(
            whole.text.starts_with(&told.text),
            "{} cut at {at}",
            case.name
        );
    }
    assert!(was_whole);
}

/// Fault 8: takes a recorded stream that is cut, at whatever byte, for cut or for the answer that
/// it is when whole, in the OpenAI chat dialect.
#[test]
fn recorded_answers_of_chat_are_read() {
    read_all("openai", Dialect::Chat);
}

/// Fault 8: the same in the dialect of OpenAI's responses.
#[test]
fn recorded_answers_of_responses_are_read() {
    read_all("responses", Dialect::Responses);
}

/// Fault 8: the same in Anthropic's dialect.
#[test]
fn recorded_answers_of_anthropic_are_read() {
    read_all("anthropic", Dialect::Anthropic);
}

/// Fault 8: the same in Gemini's dialect.
#[test]
fn recorded_answers_of_gemini_are_read() {
    read_all("gemini", Dialect::Gemini);
}
