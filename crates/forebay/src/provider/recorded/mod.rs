//! Tests of reading: recorded answers under `tests/data`, and the replies that they become.

use std::time::{Duration, SystemTime};

use super::tests::endpoint;
use super::*;
use crate::endpoint::Dialect;
use crate::headers::Headers;
use crate::outcome::{FailureKind, FinishReason, Reply, Usage};

/// The status, headers and body of a recorded answer, as a pair of texts.
macro_rules! case {
    ($name:literal) => {
        (
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/data/",
                $name,
                "/head.txt"
            )),
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/data/",
                $name,
                "/body.json"
            ))
            .as_slice(),
        )
    };
}

mod embeddings;
mod failures;

type Case = (&'static str, &'static [u8]);

fn read(provider: Dialect, case: Case) -> Outcome {
    answered(case, |answer| decode(&endpoint(provider), answer))
}

/// The vectors that a recorded answer gives to a request with this body.
fn vectors(case: Case, body: &[u8]) -> Result<Vectors, Failure> {
    let endpoint = endpoint(Dialect::Embeddings);
    answered(case, |answer| decode_vectors(&endpoint, answer, body))
}

fn answered<T>((head, body): Case, read: impl FnOnce(&Answer<'_>) -> T) -> T {
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: Headers = lines.map(|line| line.split_once(": ").unwrap()).collect();
    read(&Answer {
        status: status.parse().unwrap(),
        headers: &headers,
        body,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    })
}

fn reply(provider: Dialect, case: Case) -> Reply {
    read(provider, case).unwrap()
}

fn failure(provider: Dialect, case: Case) -> Failure {
    read(provider, case).unwrap_err()
}

#[test]
fn an_openai_answer_is_read_in_full() {
    let reply = reply(Dialect::Chat, case!("openai/reply"));
    assert_eq!(reply.text.as_deref(), Some("Grüße, \"Welt\"\n"));
    assert!(reply.tool_calls.is_none());
    assert_eq!(reply.finish_reason, FinishReason::Stop);
    assert_eq!(reply.model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
    let usage = Usage {
        input_tokens: 9,
        output_tokens: 12,
        cached_input_tokens: 4,
        cache_write_tokens: 2,
        cache_write_1h_tokens: 0,
        reasoning_tokens: 5,
    };
    assert_eq!(reply.usage, Some(usage));
}

#[test]
fn openai_answers_may_be_odd() {
    for (case, text, finish) in [
        (case!("openai/reply_length"), "cut", FinishReason::Length),
        (
            case!("openai/reply_length_null_content"),
            "",
            FinishReason::Length,
        ),
        (case!("openai/reply_parts"), "ab", FinishReason::Stop),
        (case!("openai/reply_sparse"), "ok", FinishReason::Unknown),
        (case!("openai/reply_text_html"), "ok", FinishReason::Stop),
    ] {
        let reply = reply(Dialect::Chat, case);
        assert_eq!(reply.text.as_deref(), Some(text));
        assert_eq!(reply.finish_reason, finish);
    }
    let sparse = reply(Dialect::Chat, case!("openai/reply_sparse"));
    assert_eq!((sparse.usage, sparse.model), (None, None));
}

#[test]
fn openai_tool_calls_are_kept_as_written() {
    let reply = |case| reply(Dialect::Chat, case);
    let calls = reply(case!("openai/reply_tool_calls"));
    assert_eq!(calls.text, None);
    assert_eq!(calls.finish_reason, FinishReason::ToolCalls);
    let raw = calls.tool_calls.unwrap();
    assert!(raw.get().starts_with('[') && raw.get().contains(r#""id": "call_1""#));
    let older = reply(case!("openai/reply_function_call"));
    let raw = older.tool_calls.unwrap();
    assert!(raw.get().starts_with("[{") && raw.get().contains(r#""name": "f""#));
}

#[test]
fn usage_is_normalised_over_openai_compatible_servers() {
    let usage = |case| reply(Dialect::Chat, case).usage.unwrap();
    let outside = usage(case!("openai/reply_reasoning_outside_completion"));
    assert_eq!((outside.output_tokens, outside.reasoning_tokens), (25, 20));
    let deepseek = usage(case!("openai/reply_deepseek_cache"));
    assert_eq!(
        (deepseek.input_tokens, deepseek.cached_input_tokens),
        (10, 8)
    );
}

#[test]
fn an_anthropic_answer_is_read_in_full() {
    let reply = reply(Dialect::Anthropic, case!("anthropic/reply"));
    assert_eq!(reply.text.as_deref(), Some("Hello"));
    assert_eq!(reply.finish_reason, FinishReason::Stop);
    assert_eq!(reply.model.as_deref(), Some("claude-haiku-4-5-20251001"));
    let usage = Usage {
        input_tokens: 140,
        output_tokens: 7,
        cached_input_tokens: 100,
        cache_write_tokens: 20,
        cache_write_1h_tokens: 10,
        reasoning_tokens: 3,
    };
    assert_eq!(reply.usage, Some(usage));
}

#[test]
fn anthropic_blocks_are_told_apart() {
    for (case, text, finish) in [
        (case!("anthropic/reply_blocks"), "ab", FinishReason::Stop),
        (
            case!("anthropic/reply_tool_use"),
            "Let me look.",
            FinishReason::ToolCalls,
        ),
        (
            case!("anthropic/reply_max_tokens"),
            "cut",
            FinishReason::Length,
        ),
        (
            case!("anthropic/reply_only_thinking"),
            "",
            FinishReason::Length,
        ),
    ] {
        let reply = reply(Dialect::Anthropic, case);
        assert_eq!(reply.text.as_deref(), Some(text));
        assert_eq!(reply.finish_reason, finish);
    }
    let calls = reply(Dialect::Anthropic, case!("anthropic/reply_tool_use"));
    let calls = calls.tool_calls.unwrap();
    let list: Vec<&serde_json::value::RawValue> = crate::fields::decode(&calls).unwrap();
    assert_eq!(list.len(), 1);
    assert!(list[0].get().contains("toolu_1"));
    let plain = reply(Dialect::Anthropic, case!("anthropic/reply_plain_usage"));
    let usage = plain.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cache_write_tokens), (15, 5));
}
