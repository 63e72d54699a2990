//! Recorded streams: what they become, and that a cut one is never taken for an answer.

use std::time::{Duration, SystemTime};

use crate::endpoint::Dialect;
use crate::headers::Headers;
use crate::outcome::{Disposition, Failure, FailureKind, FinishReason, Outcome, Reply, Usage};
use crate::provider::tests::endpoint;
use crate::provider::{Answer, decode};

/// The body of a recorded stream.
macro_rules! stream {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/",
            $name,
            "/body.sse"
        ))
        .as_slice()
    };
}

/// Reads a body with a status and a content type.
fn answer(provider: Dialect, status: u16, content_type: &str, body: &[u8]) -> Outcome {
    let mut headers = vec![("retry-after", "3")];
    if !content_type.is_empty() {
        headers.push(("content-type", content_type));
    }
    let headers: Headers = headers.into_iter().collect();
    let answer = Answer {
        status,
        headers: &headers,
        body,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    };
    decode(&endpoint(provider), &answer)
}

fn read(provider: Dialect, body: &[u8]) -> Outcome {
    answer(provider, 200, "text/event-stream; charset=utf-8", body)
}

fn openai(body: &[u8]) -> Reply {
    read(Dialect::Chat, body).unwrap()
}

fn anthropic(body: &[u8]) -> Reply {
    read(Dialect::Anthropic, body).unwrap()
}

fn failure(provider: Dialect, body: &[u8]) -> Failure {
    read(provider, body).unwrap_err()
}

#[test]
fn openai_chunks_become_the_plain_answer() {
    let reply = openai(stream!("openai/stream"));
    assert_eq!(reply.text.as_deref(), Some("Grüße, 世界 🌍 \"x\"\n"));
    assert!(reply.tool_calls.is_none());
    assert_eq!(reply.finish_reason, FinishReason::Stop);
    assert_eq!(reply.model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
    let usage = Usage {
        input_tokens: 9,
        output_tokens: 12,
        cached_input_tokens: 4,
        reasoning_tokens: 5,
        ..Usage::default()
    };
    assert_eq!(reply.usage, Some(usage));
}

#[test]
fn openai_streams_may_be_odd() {
    for (body, text, finish) in [
        (
            stream!("openai/stream_choices"),
            "one more",
            FinishReason::Length,
        ),
        (
            stream!("openai/stream_without_done"),
            "ok",
            FinishReason::Stop,
        ),
        (
            stream!("openai/stream_comments"),
            "slow",
            FinishReason::Stop,
        ),
        (stream!("openai/stream_one_event"), "ok", FinishReason::Stop),
    ] {
        let reply = openai(body);
        assert_eq!(reply.text.as_deref(), Some(text));
        assert_eq!(reply.finish_reason, finish);
    }
    let usage = openai(stream!("openai/stream_comments")).usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (3, 2));
}

#[test]
fn tool_calls_are_put_together_by_index() {
    for (body, calls) in [
        (
            stream!("openai/stream_tool_calls"),
            concat!(
                r#"[{"id":"call_1","type":"function","function":{"name":"weather","#,
                r#""arguments":"{\"city\":\"Oslo\"}"}},"#,
                r#"{"id":"call_2","type":"function","function":{"name":"weather","#,
                r#""arguments":"{\"city\":\"Tromsø\"}"}}]"#
            ),
        ),
        (
            stream!("openai/stream_tool_calls_without_index"),
            concat!(
                r#"[{"id":"a1","type":"function","function":{"name":"f","arguments":"{}"}},"#,
                r#"{"id":"a2","type":"function","function":{"name":"g","arguments":"{\"x\":1}"}}]"#
            ),
        ),
        (
            stream!("openai/stream_function_call"),
            r#"[{"name":"f","arguments":"{\"a\":1}"}]"#,
        ),
    ] {
        let reply = openai(body);
        assert_eq!(reply.text, None);
        assert_eq!(reply.tool_calls.unwrap().get(), calls);
    }
}

#[test]
fn anthropic_events_become_the_plain_answer() {
    let reply = anthropic(stream!("anthropic/stream"));
    assert_eq!(reply.text.as_deref(), Some("Grüße, 世界 🌍\n"));
    assert_eq!(reply.finish_reason, FinishReason::Stop);
    assert_eq!(reply.model.as_deref(), Some("claude-haiku-4-5-20251001"));
    let usage = Usage {
        input_tokens: 140,
        output_tokens: 7,
        cached_input_tokens: 100,
        cache_write_tokens: 20,
        cache_write_1h_tokens: 10,
        reasoning_tokens: 0,
    };
    assert_eq!(reply.usage, Some(usage));
}

#[test]
fn anthropic_blocks_are_told_apart() {
    let tools = anthropic(stream!("anthropic/stream_tool_use"));
    assert_eq!(tools.text.as_deref(), Some("Let me look."));
    assert_eq!(tools.finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        tools.tool_calls.unwrap().get(),
        concat!(
            r#"[{"type":"tool_use","id":"toolu_1","name":"get_weather","#,
            r#""input":{"location": "Tromsø, NO"}},"#,
            r#"{"type":"tool_use","id":"toolu_2","name":"now","input":{}}]"#
        )
    );
    let thinking = anthropic(stream!("anthropic/stream_thinking"));
    assert_eq!(thinking.text.as_deref(), Some("12231"));
    let usage = thinking.usage.unwrap();
    assert_eq!(
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.reasoning_tokens
        ),
        (12, 40, 30)
    );
    let cut = anthropic(stream!("anthropic/stream_max_tokens"));
    assert_eq!(cut.finish_reason, FinishReason::Length);
    assert!(
        cut.tool_calls
            .unwrap()
            .get()
            .contains(r#""input":"{\"a\": \"long""#)
    );
}

#[test]
fn streams_that_are_no_answer_say_why() {
    let (o, a) = (Dialect::Chat, Dialect::Anthropic);
    for (provider, body, kind, words) in [
        (
            o,
            stream!("openai/stream_refusal"),
            FailureKind::ContentFiltered,
            "refused",
        ),
        (
            o,
            stream!("openai/stream_content_filter"),
            FailureKind::ContentFiltered,
            "filter",
        ),
        (
            o,
            stream!("openai/stream_error"),
            FailureKind::ServerError,
            "EngineCore",
        ),
        (
            o,
            stream!("openai/stream_error_rate"),
            FailureKind::RateLimited,
            "rate limited",
        ),
        (
            o,
            stream!("openai/stream_error_event"),
            FailureKind::ServerError,
            "had an error",
        ),
        (
            o,
            stream!("openai/stream_cut"),
            FailureKind::Truncated,
            "ended before",
        ),
        (
            o,
            stream!("openai/stream_not_json"),
            FailureKind::Malformed,
            "no JSON",
        ),
        (
            o,
            b"data: [DONE]\n\n",
            FailureKind::Truncated,
            "ended before",
        ),
        (o, b"data: [1]\n\n", FailureKind::Malformed, "unknown shape"),
        (o, b"", FailureKind::Truncated, "ended before"),
        (
            a,
            stream!("anthropic/stream_error"),
            FailureKind::Overloaded,
            "Overloaded",
        ),
        (
            a,
            stream!("anthropic/stream_refusal"),
            FailureKind::ContentFiltered,
            "cyber",
        ),
        (
            a,
            stream!("anthropic/stream_cut"),
            FailureKind::Truncated,
            "ended before",
        ),
        (
            a,
            stream!("anthropic/stream_bad_tool_input"),
            FailureKind::Malformed,
            "no JSON",
        ),
        (
            a,
            stream!("anthropic/stream_lost_block"),
            FailureKind::Malformed,
            "never began",
        ),
    ] {
        let failure = failure(provider, body);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert_eq!(failure.status, Some(200));
    }
    let refused = failure(o, stream!("openai/stream_error_rate"));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(3)));
    let refused = failure(o, stream!("openai/stream_refusal"));
    assert_eq!(
        refused.usage.unwrap().output_tokens,
        12,
        "a refusal is billed"
    );
}

#[test]
fn an_event_without_an_end_is_malformed() {
    let long = [b"data: ", &[b'x'; crate::provider::sse::MAX_EVENT][..]].concat();
    let failure = failure(Dialect::Chat, &long);
    assert_eq!(failure.kind, FailureKind::Malformed);
    assert!(failure.message.contains("too large"), "{failure}");
}

#[test]
fn a_body_is_what_it_looks_like_whatever_it_is_called() {
    let json = br#" {"choices":[{"message":{"content":"ok"}}]}"#;
    let sse = stream!("openai/stream_without_done");
    for (content_type, body) in [
        ("text/event-stream", &json[..]),
        ("text/html", json),
        ("", json),
        ("TEXT/EVENT-STREAM", sse),
        ("application/json", sse),
        ("", sse),
        ("", &[b"\xef\xbb\xbf: hello\n\n", sse].concat()),
    ] {
        let reply = answer(Dialect::Chat, 200, content_type, body).unwrap();
        assert_eq!(reply.text.as_deref(), Some("ok"), "{content_type}");
    }
}

#[test]
fn an_error_status_may_come_with_a_stream() {
    let body = b": hi\n\ndata: {\"error\":{\"code\":\"slow_down\",\"message\":\"Slow down\"}}\n\n";
    let failure = answer(Dialect::Chat, 429, "text/event-stream", body).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Overloaded);
    assert_eq!(failure.message, "Slow down");
    let nothing = answer(Dialect::Chat, 500, "text/event-stream", b"data: x").unwrap_err();
    assert_eq!(nothing.message, "Internal Server Error");
}

/// Every beginning of every recorded answer is either the answer, without its usage at worst,
/// or cut, which is tried again.
#[test]
fn a_stream_cut_at_any_byte_is_whole_or_truncated() {
    let (o, a) = (Dialect::Chat, Dialect::Anthropic);
    for (provider, body) in [
        (o, stream!("openai/stream")),
        (o, stream!("openai/stream_tool_calls")),
        (o, stream!("openai/stream_tool_calls_without_index")),
        (o, stream!("openai/stream_function_call")),
        (o, stream!("openai/stream_choices")),
        (o, stream!("openai/stream_without_done")),
        (o, stream!("openai/stream_comments")),
        (o, stream!("openai/stream_one_event")),
        (a, stream!("anthropic/stream")),
        (a, stream!("anthropic/stream_tool_use")),
        (a, stream!("anthropic/stream_thinking")),
        (a, stream!("anthropic/stream_max_tokens")),
    ] {
        let whole = read(provider, body).unwrap();
        let calls = |reply: &Reply| reply.tool_calls.as_ref().map(|raw| raw.get().to_owned());
        let mut first_ok = None;
        for cut in 0..body.len() {
            match read(provider, &body[..cut]) {
                Ok(reply) => {
                    first_ok.get_or_insert(cut);
                    assert_eq!((&reply.text, calls(&reply)), (&whole.text, calls(&whole)));
                    assert_eq!(reply.finish_reason, whole.finish_reason);
                    assert!(reply.usage.is_none() || reply.usage == whole.usage);
                }
                Err(failure) => {
                    assert_eq!(failure.kind, FailureKind::Truncated, "{failure} at {cut}");
                    assert_eq!(failure.kind.disposition(), Disposition::Temporary);
                    assert_eq!(first_ok, None, "what was whole stays so");
                }
            }
        }
        let first_ok = first_ok.unwrap_or(body.len());
        let end: &[u8] = match provider {
            Dialect::Chat => b"\"finish_reason\":\"",
            _ => b"{\"type\":\"message_stop\"}",
        };
        let end = memchr::memmem::rfind(body, end).unwrap();
        assert!(first_ok > end, "{first_ok} is before the end at {end}");
    }
}
