//! Answers with status 200 that are not good, or not quite.

use super::{lines, odd, reply, spoilt};
use crate::dialect::Dialect;
use crate::faults::entry::{Case, FaultEntry};
use crate::script::{Action, Oddity, Spoil};

/// What a bomb becomes: far above any body's cap, in whole blocks.
const BOMB: u64 = 1 << 30;

/// A page that a captive portal or a proxy sends with status 200.
const PAGE: &str = "<!DOCTYPE html><html><body>Please sign in to continue.</body></html>";

pub(super) static BODY: &[FaultEntry] = &[
    FaultEntry::new("invalid-json", &[28], "200 whose JSON is broken", |case| {
        let (kind, body) = match case.call.streamed {
            true => (
                "text/event-stream",
                "data: {\"id\": \"x\", \"choices\": [}\n\n",
            ),
            false => ("application/json", "{\"id\": \"x\", \"choices\": [}"),
        };
        spoilt(body_of(kind, body))
    }),
    FaultEntry::new("html", &[28], "200 with a page of HTML", |_| {
        spoilt(body_of("text/html; charset=utf-8", PAGE))
    }),
    FaultEntry::new("empty-body", &[28], "200 with no body", |_| {
        spoilt(body_of("application/json", ""))
    }),
    FaultEntry::new("empty-object", &[28, 31], "200 with `{}`", |_| {
        spoilt(body_of("application/json", "{}"))
    }),
    FaultEntry::new(
        "truncated-json",
        &[28],
        "200 whose body ends in its middle, as told",
        |_| spoilt(Spoil::Truncated(0.5)),
    ),
    FaultEntry::new(
        "deep-json",
        &[28],
        "200 with a hundred thousand brackets",
        |_| spoilt(body_of("application/json", &"[".repeat(100_000))),
    ),
    FaultEntry::new("gzip", &[29], "a good answer, compressed unasked", |_| {
        spoilt(Spoil::Gzip(1.0))
    }),
    FaultEntry::new("truncated-gzip", &[29], "half of a compressed body", |_| {
        spoilt(Spoil::Gzip(0.5))
    }),
    FaultEntry::new("gzip-bomb", &[29], "1 MiB that becomes 1 GiB", |_| {
        spoilt(Spoil::GzipBomb(BOMB))
    }),
    FaultEntry::new(
        "wrong-content-length-long",
        &[29],
        "`content-length` is 100 too large, and the connection closes",
        |_| spoilt(Spoil::Length(100)),
    ),
    FaultEntry::new(
        "wrong-content-length-short",
        &[29],
        "`content-length` is 10 too small; the rest is in the way of the next answer",
        |_| spoilt(Spoil::Length(-10)),
    ),
    FaultEntry::new(
        "bad-chunk",
        &[29],
        "a chunk whose size is no number",
        |_| spoilt(Spoil::BadChunk),
    ),
    FaultEntry::new(
        "wrong-content-type",
        &[32],
        "a good answer called `text/plain`",
        |_| spoilt(Spoil::ContentType("text/plain; charset=utf-8".to_owned())),
    ),
    FaultEntry::new(
        "sse-for-json",
        &[32],
        "a good stream that nobody asked for",
        |_| spoilt(Spoil::Streamed(true)),
    ),
    FaultEntry::new(
        "json-for-sse",
        &[32],
        "one piece of JSON in place of a stream",
        |_| spoilt(Spoil::Streamed(false)),
    )
    .streamed(),
];

pub(super) static CONTENT: &[FaultEntry] = &[
    FaultEntry::new(
        "error-in-200",
        &[30],
        "200 with the dialect's body of a 503",
        |_| odd(Oddity::ErrorInside(503)),
    ),
    FaultEntry::new(
        "error-in-200-N",
        &[30],
        "200 with the dialect's body of an error N",
        |case| odd(Oddity::ErrorInside(case.n.try_into().unwrap_or(500))),
    ),
    FaultEntry::new(
        "error-in-200-int",
        &[30],
        "200 with `error.code` 502 as a number, in OpenRouter's form",
        |_| error_inside("502"),
    )
    .of(&[Dialect::OpenAi])
    .spoils(),
    FaultEntry::new(
        "error-in-200-string",
        &[30],
        "200 with `error.code` as the text `rate_limit_exceeded`",
        |_| error_inside("\"rate_limit_exceeded\""),
    )
    .of(&[Dialect::OpenAi])
    .spoils(),
    FaultEntry::new(
        "error-in-stream",
        &[30],
        "an error after two tokens of a stream",
        |_| {
            odd(Oddity::ErrorAfter {
                tokens: 2,
                status: 503,
            })
        },
    )
    .streamed(),
    FaultEntry::new(
        "no-finish",
        &[8],
        "a stream that ends without its reason",
        |_| odd(Oddity::NoFinish),
    )
    .streamed(),
    FaultEntry::new(
        "no-done",
        &[9],
        "a stream that ends without its terminator",
        |_| odd(Oddity::NoTerminator),
    )
    .streamed(),
    FaultEntry::new(
        "empty-choices",
        &[31],
        "no choices, content blocks or candidates",
        |_| odd(Oddity::NoChoices),
    ),
    FaultEntry::new(
        "null-content",
        &[31],
        "no content, and neither refusal nor call",
        |_| odd(Oddity::NullContent),
    ),
    FaultEntry::new("empty-text", &[31], "an empty text", |_| {
        odd(Oddity::EmptyText)
    }),
    FaultEntry::new("no-usage", &[34], "a good answer without its usage", |_| {
        odd(Oddity::NoUsage)
    }),
    FaultEntry::new(
        "other-model",
        &[35],
        "a good answer by `sim-other-model`",
        |_| odd(Oddity::OtherModel("sim-other-model".to_owned())),
    ),
    FaultEntry::new(
        "content-filter",
        &[36],
        "a filter held the text back",
        |_| odd(Oddity::Filtered),
    ),
    FaultEntry::new("refusal", &[36], "the model refuses", |_| {
        odd(Oddity::Refused)
    }),
    FaultEntry::new("length", &[37], "the cap on tokens cut the text", |_| {
        odd(Oddity::Length)
    }),
    FaultEntry::new(
        "bad-schema",
        &[38],
        "a text that is no JSON, whatever was asked",
        |_| Action::AnswerText("{\"unasked\": true, \"broken\": ".to_owned()),
    ),
    FaultEntry::new(
        "schema-mismatch-N",
        &[38],
        "`null` in place of the JSON that was asked for, until the conversation has N answers",
        |case| match u64::from(case.call.answers) < case.n {
            true => Action::AnswerText("null".to_owned()),
            false => Action::Answer,
        },
    ),
    FaultEntry::new(
        "bad-rate-headers-negative",
        &[19],
        "rate headers of -1",
        |case| rate_headers(case, "-1"),
    ),
    FaultEntry::new(
        "bad-rate-headers-zero",
        &[19],
        "rate headers of 0",
        |case| rate_headers(case, "0"),
    ),
    FaultEntry::new(
        "bad-rate-headers-nonsense",
        &[19],
        "rate headers of `many`",
        |case| rate_headers(case, "many"),
    ),
    FaultEntry::new(
        "bad-rate-headers-huge",
        &[19],
        "rate headers of 1e308",
        |case| rate_headers(case, "1e308"),
    ),
    FaultEntry::new(
        "no-rate-headers",
        &[19],
        "a good answer without rate headers",
        |_| spoilt(Spoil::RateHeaders(Vec::new())),
    ),
];

fn body_of(content_type: &str, body: &str) -> Spoil {
    Spoil::Body {
        content_type: content_type.to_owned(),
        bytes: body.as_bytes().to_vec(),
    }
}

fn error_inside(code: &str) -> Action {
    let body = format!("{{\"error\":{{\"message\":\"Provider returned error\",\"code\":{code}}}}}");
    reply(200, "application/json", body)
}

/// A good answer whose rate headers all have this value.
fn rate_headers(case: &Case<'_>, value: &str) -> Action {
    let names: &[&str] = match case.call.dialect {
        Dialect::OpenAi | Dialect::Gemini => &[
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ],
        Dialect::Anthropic => &[
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    };
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, value)).collect();
    spoilt(Spoil::RateHeaders(lines(&headers)))
}
