//! Event streams as answers to plain requests: whole, cut at every byte, with errors in them.

use std::time::Duration;

use forebay::endpoint::Dialect;
use forebay_sim::{Action, Call};

use crate::harness::{Ended, Scenario, first_tries};

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

/// A whole HTTP answer with a stream in it.
fn reply(content_type: &str, body: &[u8]) -> Action {
    Action::Reply {
        status: 200,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.to_vec(),
    }
}

fn sse(body: &[u8]) -> Action {
    reply("text/event-stream", body)
}

fn scenario(provider: Dialect, prompts: Vec<String>) -> Scenario {
    let model = match provider {
        Dialect::Anthropic => "claude-haiku-4-5",
        _ => "gpt-4o-mini",
    };
    Scenario {
        provider,
        model,
        prompts,
        ..Scenario::default()
    }
}

/// What a prompt asks the provider to do at its first try: a byte to cut at, or nothing.
///
/// Every other item is answered at once, so that the provider does not look as if it were down.
fn cut_of(call: &Call<'_>) -> Option<usize> {
    call.prompt.strip_prefix("cut ")?.parse().ok()
}

/// One item for each byte at which an answer can be cut, and as many that are answered.
fn cuts(bytes: usize) -> Vec<String> {
    let pair = |at| [format!("plain {at}"), format!("cut {at}")];
    (0..bytes).flat_map(pair).collect()
}

/// Runs with each item's first try answered by its cut of the stream; later tries are answered.
async fn run_cut(
    provider: Dialect,
    body: &'static [u8],
    answer: impl Fn(&'static [u8], usize) -> Action + Send + Sync + 'static,
) -> Ended {
    let mut scenario = scenario(provider, cuts(body.len()));
    scenario.settings.timeouts.total = Duration::from_secs(60);
    scenario.sim.script = first_tries(1, move |call| match cut_of(call) {
        Some(at) => answer(body, at),
        None => Action::Answer,
    });
    let ended = scenario.run().await;
    assert_eq!(ended.summary.failed, 0, "{:?}", ended.error_kinds());
    ended
}

/// The rows whose first try was cut, with the place of the cut.
fn cut_rows(ended: &Ended) -> impl Iterator<Item = (usize, &serde_json::Value)> {
    ended.rows.iter().filter_map(|row| {
        let at = row["text"].as_str()?.strip_prefix("cut ")?;
        Some((at.parse().ok()?, row))
    })
}

/// Cuts a stream at every byte of its body, in whole HTTP answers: a row comes of it only after
/// the mark of its end, and then with this output.
async fn cut_everywhere(
    provider: Dialect,
    body: &'static [u8],
    output: impl Into<serde_json::Value>,
    mark: &[u8],
) {
    let output = output.into();
    let ended = run_cut(provider, body, |body, at| sse(&body[..at])).await;
    let is_end = |at: &usize| body[*at..].starts_with(mark);
    let end = (0..body.len()).rev().find(is_end).unwrap();
    let mut at_once = 0;
    for (at, row) in cut_rows(&ended) {
        if row["attempts"] == 1 {
            at_once += 1;
            assert!(at > end, "{at} is before the end at {end}");
            assert_eq!(row["output"], output, "{at}");
        } else {
            assert_eq!(row["attempts"], 2);
            assert_eq!(row["output"], row["text"]);
        }
    }
    assert!(at_once > 0 && at_once < body.len() - end, "{at_once}");
    let cut = &ended.summary.failed_attempts;
    assert_eq!((cut.len(), cut[0].0.label()), (1, "truncated"));
    assert_eq!(cut[0].1, (body.len() - at_once) as u64);
}

/// Fault 8: takes a stream that ends before its answer is whole for cut, at whatever byte, and
/// tries again; it is never a row.
/// Fault 9: takes an answer whose reason to end has arrived for whole, `[DONE]` or not.
#[tokio::test(start_paused = true)]
async fn an_openai_stream_that_ends_early_at_any_byte_is_tried_again() {
    let mark = b"\"finish_reason\":\"";
    for (body, output) in [
        (stream!("openai/stream"), "Grüße, 世界 🌍 \"x\"\n"),
        (stream!("openai/stream_without_done"), "ok"),
        (stream!("openai/stream_comments"), "slow"),
    ] {
        cut_everywhere(Dialect::Chat, body, output, mark).await;
    }
}

/// Fault 8: takes a stream without its last event, `message_stop`, for cut, and tries again.
#[tokio::test(start_paused = true)]
async fn an_anthropic_stream_that_ends_early_at_any_byte_is_tried_again() {
    let mark = b"{\"type\":\"message_stop\"}";
    for (body, output) in [
        (stream!("anthropic/stream"), "Grüße, 世界 🌍\n"),
        (stream!("anthropic/stream_tool_use"), "Let me look."),
    ] {
        cut_everywhere(Dialect::Anthropic, body, output, mark).await;
    }
}

/// Fault 8: takes a stream whose connection ends before its length for cut, at whatever byte,
/// though all of the answer may have arrived.
#[tokio::test(start_paused = true)]
async fn a_stream_whose_connection_is_cut_is_tried_again() {
    for (provider, body, has_length) in [
        (Dialect::Chat, stream!("openai/stream_without_done"), true),
        (Dialect::Chat, stream!("openai/stream_cut"), false),
        (
            Dialect::Anthropic,
            stream!("anthropic/stream_refusal"),
            true,
        ),
        (Dialect::Anthropic, stream!("anthropic/stream_cut"), false),
    ] {
        let ended = run_cut(provider, body, move |body, at| {
            let length = match has_length {
                true => format!("content-length: {}\r\n", body.len()),
                false => String::new(),
            };
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{length}\r\n");
            Action::Raw([head.as_bytes(), &body[..at]].concat())
        })
        .await;
        for (at, row) in cut_rows(&ended) {
            assert_eq!(row["attempts"], 2, "{at}");
            assert_eq!(row["output"], row["text"]);
        }
    }
}

/// Fault 30: classifies an error in the middle of a stream like the body of an error, and drops
/// the text before it.
#[tokio::test(start_paused = true)]
async fn an_error_in_a_stream_is_classified_by_its_code() {
    for (provider, body, kind) in [
        (
            Dialect::Chat,
            stream!("openai/stream_error"),
            "server_error",
        ),
        (
            Dialect::Chat,
            stream!("openai/stream_error_rate"),
            "rate_limited",
        ),
        (
            Dialect::Chat,
            stream!("openai/stream_error_event"),
            "server_error",
        ),
        (
            Dialect::Anthropic,
            stream!("anthropic/stream_error"),
            "overloaded",
        ),
    ] {
        let mut scenario = scenario(provider, vec!["one".to_owned()]);
        scenario.sim.script = first_tries(1, |_| sse(body));
        let ended = scenario.run().await;
        assert_eq!(ended.rows[0]["output"], "one");
        assert_eq!(ended.rows[0]["attempts"], 2);
        assert_eq!(ended.summary.failed_attempts[0].0.label(), kind);
    }
}

/// Fault 31: tries an answer that ends without a word again, and then fails the row.
#[tokio::test(start_paused = true)]
async fn a_whole_stream_without_an_answer_is_tried_again_and_then_fails() {
    let empty = b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let mut scenario = scenario(Dialect::Chat, vec!["empty".to_owned(), "full".to_owned()]);
    scenario.sim.script = first_tries(9, |call| match call.prompt {
        "empty" => sse(empty),
        _ => Action::Answer,
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (1, 1));
    let row = ended
        .rows
        .iter()
        .find(|row| row["text"] == "empty")
        .unwrap();
    assert_eq!(row["error"]["kind"], "malformed");
    assert_eq!(row["error"]["code"], "empty_reply");
    assert_eq!(ended.arrivals("empty").len(), 3);
}

/// Fault 32: reads an answer as what it is, JSON or event stream, whatever its content type says.
#[tokio::test(start_paused = true)]
async fn an_answer_is_what_it_is_whatever_its_content_type() {
    let json = br#"{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}"#.as_slice();
    let stream = stream!("openai/stream_without_done");
    for (content_type, body) in [
        ("text/event-stream", json),
        ("text/html", json),
        ("application/octet-stream", json),
        ("text/event-stream; charset=utf-8", stream),
        ("application/json", stream),
    ] {
        let mut scenario = scenario(Dialect::Chat, vec!["one".to_owned()]);
        scenario.sim.script = first_tries(1, move |_| reply(content_type, body));
        let ended = scenario.run().await;
        assert_eq!(ended.rows[0]["output"], "ok", "{content_type}");
        assert_eq!(ended.rows[0]["attempts"], 1);
    }
}

/// Fault 33: gives up on an event larger than 16 MiB.
#[tokio::test(start_paused = true)]
async fn an_endless_event_is_given_up_on() {
    let mut scenario = scenario(Dialect::Chat, vec!["one".to_owned()]);
    scenario.sim.script = first_tries(1, |_| sse(&[b"data: ", &[b'x'; 17 << 20][..]].concat()));
    let ended = scenario.run().await;
    assert_eq!(
        (ended.summary.ok, ended.rows[0]["attempts"].as_u64()),
        (1, Some(2))
    );
    assert_eq!(ended.summary.failed_attempts[0].0.label(), "malformed");
}

/// A streamed answer is paid for and kept like any other: usage, cost, and the body when asked.
#[tokio::test(start_paused = true)]
async fn a_streamed_answer_is_billed_and_its_body_is_kept() {
    let mut scenario = scenario(Dialect::Chat, vec!["one".to_owned()]);
    scenario.settings.raw = true;
    scenario.sim.script = first_tries(1, |_| sse(stream!("openai/stream")));
    let ended = scenario.run().await;
    let row = &ended.rows[0];
    assert_eq!(row["usage"]["output_tokens"], 12);
    assert!(row["cost_usd"].as_f64().unwrap() > 0.0);
    assert!(row["raw"].as_str().unwrap().ends_with("data: [DONE]\n\n"));
}
