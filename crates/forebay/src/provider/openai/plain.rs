//! Reads chat completions that are just an answer, in one pass.
//!
//! Owns the way of nearly every answer. Never judges: whatever is out of the ordinary, be it an
//! error, a tool call, a refusal or a member of another type, is left to `decode.rs`, which reads
//! the whole answer again.

use std::borrow::Cow;

use super::decode::whole_usage;
use crate::fields::as_text;
use crate::outcome::{FinishReason, Usage};
use crate::provider::json::{MAX_COUNT, Scalar};
use crate::provider::reply::{Parts, Said};
use crate::scan::Scan;

/// An answer that is a text and nothing else.
pub(super) struct Plain<'a> {
    pub(super) said: Said<'a>,
    pub(super) finish: FinishReason,
    pub(super) model: Scalar<'a>,
    pub(super) usage: Option<Usage>,
}

/// Reads an answer; `None` when there is more in it than a text, or when it is no answer.
pub(super) fn read(body: &[u8]) -> Option<Plain<'_>> {
    let mut scan = Scan::new(as_text(body)?);
    let (mut choice, mut model, mut usage, mut error) = (None, None, None, None);
    scan.object(|scan, name| match name {
        "choices" => once(&mut choice, only_choice(scan)?),
        "model" => once(&mut model, scan.plain()?),
        "usage" => once(&mut usage, read_usage(scan)?),
        "error" => once(&mut error, scan.null()?),
        _ => scan.skip(),
    })?;
    let (text, finish) = choice?;
    scan.is_over().then(|| Plain {
        said: Said {
            text: Some(text),
            calls: None,
        },
        finish,
        model: model.map_or(Scalar::Absent, |model| Scalar::Text(Cow::Borrowed(model))),
        usage: usage.flatten(),
    })
}

/// Notes a member's value; `None` when there was one of its name before.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// The text of the only choice, and why it ended.
fn only_choice<'a>(scan: &mut Scan<'a>) -> Option<(Cow<'a, str>, FinishReason)> {
    let mut only = None;
    scan.list(|scan| once(&mut only, read_choice(scan)?))?;
    only
}

fn read_choice<'a>(scan: &mut Scan<'a>) -> Option<(Cow<'a, str>, FinishReason)> {
    let (mut text, mut finish, mut error) = (None, None, None);
    scan.object(|scan, name| match name {
        "message" => once(&mut text, read_message(scan)?),
        "finish_reason" => once(&mut finish, scan.plain()?),
        "error" => once(&mut error, scan.null()?),
        _ => scan.skip(),
    })?;
    let finish = match finish? {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        _ => return None,
    };
    Some((text?, finish))
}

fn read_message<'a>(scan: &mut Scan<'a>) -> Option<Cow<'a, str>> {
    let (mut text, mut refusal, mut tools, mut call) = (None, None, None, None);
    scan.object(|scan, name| match name {
        "content" => once(&mut text, scan.string()?),
        "refusal" => once(&mut refusal, scan.null()?),
        "tool_calls" => once(&mut tools, scan.null()?),
        "function_call" => once(&mut call, scan.null()?),
        _ => scan.skip(),
    })?;
    text
}

/// The usage; the inner `None` when it tells neither of input nor of output.
fn read_usage(scan: &mut Scan<'_>) -> Option<Option<Usage>> {
    let (mut input, mut output, mut total) = (None, None, None);
    let (mut of_input, mut of_output) = (None, None);
    scan.object(|scan, name| match name {
        "prompt_tokens" => once(&mut input, tokens(scan)?),
        "completion_tokens" => once(&mut output, tokens(scan)?),
        "total_tokens" => once(&mut total, tokens(scan)?),
        "prompt_tokens_details" => once(&mut of_input, read_details(scan)?),
        "completion_tokens_details" => once(&mut of_output, read_details(scan)?),
        "prompt_cache_hit_tokens" => None,
        _ => scan.skip(),
    })?;
    let parts = Parts {
        reasoning: of_output.unwrap_or_default().reasoning,
        ..of_input.unwrap_or_default()
    };
    let rest = total.zip(input);
    let rest = rest.map(|(total, input): (u64, u64)| total.saturating_sub(input));
    Some(whole_usage(input, output, rest, &parts))
}

fn read_details(scan: &mut Scan<'_>) -> Option<Parts> {
    let mut parts = Parts::default();
    scan.object(|scan, name| match name {
        "cached_tokens" => once(&mut parts.cached, tokens(scan)?),
        "cache_write_tokens" => once(&mut parts.written, tokens(scan)?),
        "reasoning_tokens" => once(&mut parts.reasoning, tokens(scan)?),
        _ => scan.skip(),
    })?;
    Some(parts)
}

/// A count of tokens that is believed.
fn tokens(scan: &mut Scan<'_>) -> Option<u64> {
    scan.count().filter(|count| *count <= MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":
        [{"index":0,"message":{"role":"assistant","content":"a\nb","refusal":null,"annotations":[]},
        "logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,
        "total_tokens":12,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":1}},"service_tier":"default"}"#;

    #[test]
    fn a_usual_answer_is_plain() {
        let plain = read(WHOLE.as_bytes()).unwrap();
        assert_eq!(plain.said.text.as_deref(), Some("a\nb"));
        assert_eq!(plain.finish, FinishReason::Stop);
        assert_eq!(plain.model.text(), Some("m"));
        let usage = plain.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (9, 3));
        assert_eq!((usage.cached_input_tokens, usage.reasoning_tokens), (4, 1));
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_not() {
        for (usual, odd) in [
            ("\"stop\"", "\"tool_calls\""),
            ("\"stop\"", "\"content_filter\""),
            ("\"stop\"", "null"),
            ("\"refusal\":null", "\"refusal\":\"no\""),
            ("\"refusal\":null", "\"tool_calls\":[{}]"),
            ("\"a\\nb\"", "null"),
            ("\"a\\nb\"", "[{\"text\":\"a\"}]"),
            ("\"model\":\"m\"", "\"model\":7"),
            ("\"model\":\"m\"", "\"model\":\"m\",\"model\":\"n\""),
            ("\"created\":1", "\"error\":{\"message\":\"no\"}"),
            ("\"logprobs\":null", "\"error\":{}"),
            ("\"prompt_tokens\":9", "\"prompt_tokens\":\"9\""),
            ("\"prompt_tokens\":9", "\"prompt_tokens\":-9"),
            ("\"prompt_tokens\":9", "\"prompt_tokens\":1000000000001"),
            ("\"choices\":", "\"choices\":[],\"more\":"),
            ("\"default\"}", "\"default\"}x"),
            ("\"default\"}", "\"default\""),
        ] {
            let odd = WHOLE.replacen(usual, odd, 1);
            assert_ne!(odd, WHOLE);
            assert!(read(odd.as_bytes()).is_none(), "{odd}");
        }
        assert!(read(b"\xff{}").is_none() && read(b"").is_none());
    }
}
