//! The essence of each fault on chat completions: name, whether streamed, and what must hold.
//!
//! A catalogue, as long as the one it tests.

use forebay_sim::DropReason::{ClientGone, Cut, Raw, Reset, Stalled};

use super::Ended::{Closed, Endless, Silent};
use super::Is::{self, Bytes, Dropped, Ends, Spoiled, Status, Takes, With, Without};

const BILLED: &str = "\"usage\":{\"prompt_tokens\"";
const DONE: &str = "data: [DONE]";
const WHOLE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"";

/// Each entry of the catalogue, and what of it reaches the client, on chat completions.
pub(super) const ESSENCES: &[(&str, bool, &[Is])] = &[
    (
        "429-no-retry-after",
        false,
        &[Status(429), Without("retry-after")],
    ),
    (
        "429-retry-after-seconds",
        false,
        &[Status(429), With("retry-after: 2\r\n")],
    ),
    (
        "429-retry-after-float",
        false,
        &[Status(429), With("retry-after: 1.5\r\n")],
    ),
    (
        "429-retry-after-ms",
        false,
        &[With("retry-after: 30\r\nretry-after-ms: 250\r\n")],
    ),
    (
        "429-retry-after-date",
        false,
        &[Status(429), With("retry-after: "), With(" GMT\r\n")],
    ),
    (
        "429-retry-after-date-past",
        false,
        &[Status(429), With("retry-after: ")],
    ),
    (
        "429-retry-after-date-skewed",
        false,
        &[Status(429), With("\r\ndate: ")],
    ),
    (
        "429-retry-after-absurd",
        false,
        &[With("retry-after: 99999999999999999999\r\n")],
    ),
    (
        "429-retry-after-years",
        false,
        &[With("retry-after: 315360000\r\n")],
    ),
    (
        "429-retry-after-exponent",
        false,
        &[With("retry-after: 1e308\r\n")],
    ),
    (
        "429-retry-after-negative",
        false,
        &[With("retry-after: -5\r\n")],
    ),
    ("429-retry-after-zero", false, &[With("retry-after: 0\r\n")]),
    (
        "429-retry-after-nan",
        false,
        &[With("retry-after: NaN\r\n")],
    ),
    (
        "429-retry-after-text",
        false,
        &[With("retry-after: soon\r\n")],
    ),
    ("429-retry-after-empty", false, &[With("retry-after: \r\n")]),
    (
        "429-retry-after-two",
        false,
        &[With("retry-after: 1\r\nretry-after: 3\r\n")],
    ),
    (
        "429-retry-info",
        false,
        &[Status(429), With("\"retryDelay\":\"7.5s\"")],
    ),
    (
        "429-message",
        false,
        &[Status(429), With("Please try again in 5.289s.")],
    ),
    (
        "429-html",
        false,
        &[Status(429), With("text/html"), With("<html>")],
    ),
    (
        "slow-down",
        false,
        &[Status(429), With("\"code\":\"slow_down\"")],
    ),
    (
        "ramp-limit",
        false,
        &[Status(429), With("\"code\":\"ramp_limit_exceeded\"")],
    ),
    (
        "quota",
        false,
        &[Status(429), With("\"code\":\"insufficient_quota\"")],
    ),
    (
        "spend-limit",
        false,
        &[
            With("organization_spend_limit_exceeded"),
            With("retry-after: 1"),
        ],
    ),
    ("402", false, &[Status(402)]),
    ("401", false, &[Status(401), With("invalid_api_key")]),
    ("401-echo", false, &[Status(401), With("sk-proj-")]),
    ("403", false, &[Status(403)]),
    ("404-model", false, &[Status(404), With("model_not_found")]),
    ("400-same", false, &[Status(400)]),
    (
        "400",
        false,
        &[Status(400), With("the prompt 1 is refused")],
    ),
    (
        "400-context-length",
        false,
        &[Status(400), With("context_length_exceeded")],
    ),
    ("413", false, &[Status(413)]),
    ("422", false, &[Status(422)]),
    ("408", false, &[Status(408)]),
    ("409", false, &[Status(409)]),
    ("425", false, &[Status(425)]),
    ("498", false, &[Status(498), With("capacity_exceeded")]),
    ("500", false, &[Status(500), With("server_error")]),
    ("502", false, &[Status(502), With("content-length: 0\r\n")]),
    ("504", false, &[Status(504)]),
    ("52x-html", false, &[Status(520), With("<!DOCTYPE html>")]),
    ("503-html", false, &[Status(503), With("<!DOCTYPE html>")]),
    ("503", false, &[Status(503)]),
    ("529", false, &[Status(529)]),
    ("status-418", false, &[Status(418)]),
    (
        "x-should-retry-false",
        false,
        &[Status(500), With("x-should-retry: false\r\n")],
    ),
    (
        "x-should-retry-true",
        false,
        &[Status(400), With("x-should-retry: true\r\n")],
    ),
    (
        "redirect-301",
        false,
        &[Status(301), With("location: http://127.0.0.1:1/v1/")],
    ),
    (
        "redirect-302@a.test:81",
        false,
        &[Status(302), With("location: http://a.test:81/v1/")],
    ),
    ("redirect-303", false, &[Status(303), With("location: ")]),
    ("redirect-307", false, &[Status(307), With("location: ")]),
    ("redirect-308", false, &[Status(308), With("location: ")]),
    ("reset", false, &[Bytes(0), Ends(Closed), Dropped(Reset)]),
    ("close", false, &[Bytes(0), Ends(Closed), Dropped(Cut)]),
    (
        "reset-after-headers",
        false,
        &[Status(200), Without("\"id\""), Ends(Closed)],
    ),
    (
        "reset-after-headers",
        true,
        &[Status(200), Without("data:"), Dropped(Cut)],
    ),
    (
        "reset-mid-body",
        false,
        &[With("\"id\""), Without(BILLED), Dropped(Cut)],
    ),
    (
        "cut-mid-body",
        false,
        &[With("\"id\""), Without(BILLED), Ends(Closed), Dropped(Cut)],
    ),
    (
        "cut-mid-body",
        true,
        &[With("data: "), Without(DONE), Ends(Closed), Dropped(Cut)],
    ),
    (
        "cut-after-17-bytes",
        false,
        &[Bytes(17), Ends(Closed), Dropped(Cut)],
    ),
    (
        "cut-after-17-bytes",
        true,
        &[Bytes(17), Ends(Closed), Dropped(Cut)],
    ),
    (
        "cut-after-3-frames",
        true,
        &[With("0123"), With("4567"), Without("89ab"), Dropped(Cut)],
    ),
    ("stall", false, &[Bytes(0), Ends(Silent), Dropped(Stalled)]),
    (
        "stall-after-headers",
        false,
        &[Status(200), Without("\"id\""), Dropped(Stalled)],
    ),
    (
        "stall-after-headers",
        true,
        &[Status(200), Without("data:"), Dropped(Stalled)],
    ),
    (
        "stall-mid-body",
        false,
        &[With("\"id\""), Ends(Silent), Dropped(Stalled)],
    ),
    (
        "stall-mid-body",
        true,
        &[With("data:"), Without(DONE), Dropped(Stalled)],
    ),
    (
        "stall-mid-stream",
        true,
        &[With("0123"), Without("4567"), Dropped(Stalled)],
    ),
    (
        "stall-after-40-bytes",
        false,
        &[Bytes(40), Ends(Silent), Dropped(Stalled)],
    ),
    (
        "comments-only",
        true,
        &[With(": keep-alive"), Without("data:"), Spoiled],
    ),
    (
        "comments-first",
        true,
        &[With(": keep-alive"), With(DONE), Takes(30)],
    ),
    ("drip", false, &[With(WHOLE), Takes(3600)]),
    ("slow-headers", false, &[With(WHOLE), Takes(600)]),
    ("slicer", true, &[With(DONE)]),
    (
        "endless-headers",
        false,
        &[
            Ends(Endless),
            Without("\r\n\r\n"),
            Dropped(ClientGone),
            Spoiled,
        ],
    ),
    (
        "huge-body",
        false,
        &[
            Ends(Endless),
            With("{\"id\":\"\r\n"),
            Dropped(ClientGone),
            Spoiled,
        ],
    ),
    (
        "huge-sse-line",
        true,
        &[Ends(Endless), With("data: {"), Without("\n\n"), Spoiled],
    ),
    (
        "close-after-answer",
        false,
        &[With(WHOLE), Without("connection:"), Ends(Closed)],
    ),
    (
        "close-delimited",
        false,
        &[With(WHOLE), Without("content-length"), Ends(Closed)],
    ),
    (
        "close-delimited",
        true,
        &[With(DONE), Without("chunked"), Ends(Closed)],
    ),
    (
        "http-1.0",
        false,
        &[With("HTTP/1.0 200 OK\r\n"), With(WHOLE), Ends(Closed)],
    ),
    (
        "http-1.0",
        true,
        &[With("HTTP/1.0 200 OK\r\n"), With(DONE), Without("chunked")],
    ),
    (
        "1xx",
        false,
        &[
            Status(100),
            With("HTTP/1.1 103"),
            With("HTTP/1.1 200 OK"),
            With(WHOLE),
        ],
    ),
    (
        "no-reason-phrase",
        false,
        &[With("HTTP/1.1 200\r\n"), With(WHOLE)],
    ),
    (
        "not-http",
        false,
        &[With("SSH-2.0"), Ends(Closed), Dropped(Raw), Spoiled],
    ),
    (
        "bad-header",
        false,
        &[With("a\0b"), Ends(Closed), Dropped(Raw), Spoiled],
    ),
    ("invalid-json", false, &[Status(200), With("[}"), Spoiled]),
    (
        "invalid-json",
        true,
        &[
            With("text/event-stream"),
            With("data: {"),
            With("[}"),
            Spoiled,
        ],
    ),
    (
        "html",
        false,
        &[Status(200), With("content-type: text/html"), Spoiled],
    ),
    (
        "empty-body",
        false,
        &[Status(200), With("content-length: 0\r\n"), Spoiled],
    ),
    (
        "empty-object",
        false,
        &[Status(200), With("\r\n\r\n{}"), Spoiled],
    ),
    (
        "truncated-json",
        false,
        &[Status(200), With("\"id\""), Without(BILLED), Spoiled],
    ),
    (
        "truncated-json",
        true,
        &[With("data:"), Without(DONE), Spoiled],
    ),
    ("deep-json", false, &[Status(200), With("[[[[[[["), Spoiled]),
    (
        "gzip",
        false,
        &[With("content-encoding: gzip\r\n"), Without("\"id\"")],
    ),
    (
        "truncated-gzip",
        false,
        &[With("content-encoding: gzip\r\n"), Spoiled],
    ),
    (
        "gzip-bomb",
        false,
        &[With("content-encoding: gzip\r\n"), Spoiled],
    ),
    (
        "wrong-content-length-long",
        false,
        &[With(WHOLE), Ends(Closed), Spoiled],
    ),
    (
        "wrong-content-length-short",
        false,
        &[With(WHOLE), Ends(Silent), Spoiled],
    ),
    (
        "bad-chunk",
        false,
        &[
            With("chunked"),
            With("\r\nno-size\r\n"),
            Ends(Closed),
            Spoiled,
        ],
    ),
    (
        "wrong-content-type",
        false,
        &[With("content-type: text/plain"), With(WHOLE)],
    ),
    (
        "wrong-content-type",
        true,
        &[With("content-type: text/plain"), With(DONE)],
    ),
    (
        "sse-for-json",
        false,
        &[With("content-type: text/event-stream"), With(DONE)],
    ),
    (
        "json-for-sse",
        true,
        &[
            With("content-type: application/json"),
            With(WHOLE),
            Without("data:"),
        ],
    ),
    (
        "error-in-200",
        false,
        &[Status(200), With("\"error\":{"), Spoiled],
    ),
    (
        "error-in-200-429",
        false,
        &[Status(200), With("rate_limit_exceeded"), Spoiled],
    ),
    (
        "error-in-200-int",
        false,
        &[Status(200), With("\"code\":502"), Spoiled],
    ),
    (
        "error-in-200-string",
        false,
        &[Status(200), With("\"code\":\"rate_"), Spoiled],
    ),
    (
        "error-in-stream",
        true,
        &[With("4567"), With("\"error\""), Without("89ab"), Spoiled],
    ),
    (
        "no-finish",
        true,
        &[
            With("cdef"),
            Without("\"finish_reason\":\"stop\""),
            Without(DONE),
            Spoiled,
        ],
    ),
    (
        "no-done",
        true,
        &[With("\"finish_reason\":\"stop\""), Without(DONE)],
    ),
    ("empty-choices", false, &[Status(200), Spoiled]),
    ("null-content", false, &[Status(200), Spoiled]),
    (
        "empty-text",
        false,
        &[Status(200), With("\"content\":\"\"")],
    ),
    ("no-usage", true, &[With(DONE), Without(BILLED)]),
    (
        "other-model",
        false,
        &[With("\"model\":\"sim-other-model\""), With(WHOLE)],
    ),
    (
        "content-filter",
        false,
        &[With("\"finish_reason\":\"content_filter\""), Spoiled],
    ),
    ("refusal", true, &[With("\"refusal\":\"0123\""), Spoiled]),
    ("length", false, &[With("\"finish_reason\":\"length\"")]),
    ("schema-mismatch-1", false, &[Status(200), With("\"null\"")]),
    ("bad-schema", false, &[Status(200), With("broken")]),
    (
        "bad-rate-headers-negative",
        false,
        &[With("x-ratelimit-remaining-tokens: -1\r\n")],
    ),
    (
        "bad-rate-headers-zero",
        false,
        &[With("x-ratelimit-reset-requests: 0\r\n"), With(WHOLE)],
    ),
    (
        "bad-rate-headers-nonsense",
        false,
        &[With("x-ratelimit-limit-requests: many\r\n")],
    ),
    (
        "bad-rate-headers-huge",
        false,
        &[With("x-ratelimit-reset-tokens: 1e308\r\n")],
    ),
    (
        "no-rate-headers",
        false,
        &[Without("x-ratelimit"), With(WHOLE)],
    ),
];
