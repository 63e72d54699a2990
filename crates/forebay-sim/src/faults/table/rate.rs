//! Rejections for the rate, and for money.

use super::{date, error, lines, reply, told};
use crate::dialect::Dialect::{Anthropic, Gemini, OpenAi};
use crate::faults::entry::{Case, FaultEntry};
use crate::script::Action;

/// An hour, by which the server's clock is wrong.
const HOUR_S: i64 = 3600;

pub(super) static RATE: &[FaultEntry] = &[
    FaultEntry::new(
        "429-no-retry-after",
        &[17],
        "429 that says nothing of a wait",
        |_| error(429, &[]),
    ),
    FaultEntry::new(
        "429-retry-after-seconds",
        &[14],
        "429 with `retry-after: 2`",
        |_| after("2"),
    ),
    FaultEntry::new(
        "429-retry-after-float",
        &[14],
        "429 with `retry-after: 1.5`",
        |_| after("1.5"),
    ),
    FaultEntry::new(
        "429-retry-after-ms",
        &[15],
        "429 with `retry-after-ms: 250` beside `retry-after: 30`",
        |_| error(429, &[("retry-after", "30"), ("retry-after-ms", "250")]),
    )
    .of(&[OpenAi]),
    FaultEntry::new(
        "429-retry-after-date",
        &[16],
        "429 with an HTTP date 5 s ahead in `retry-after`",
        |case| after(&date(case, 5)),
    ),
    FaultEntry::new(
        "429-retry-after-date-past",
        &[16],
        "429 with an HTTP date an hour ago in `retry-after`",
        |case| after(&date(case, -HOUR_S)),
    ),
    FaultEntry::new(
        "429-retry-after-date-skewed",
        &[16],
        "429 from a server whose clock, `date` included, is an hour ahead; the wait is 5 s",
        |case| {
            let (now, then) = (date(case, HOUR_S), date(case, HOUR_S + 5));
            error(429, &[("date", &now), ("retry-after", &then)])
        },
    ),
    FaultEntry::new(
        "429-retry-after-absurd",
        &[18],
        "429 with `retry-after: 99999999999999999999`",
        |_| after("99999999999999999999"),
    ),
    FaultEntry::new(
        "429-retry-after-years",
        &[18],
        "429 with `retry-after: 315360000`, ten years",
        |_| after("315360000"),
    ),
    FaultEntry::new(
        "429-retry-after-exponent",
        &[18],
        "429 with `retry-after: 1e308`",
        |_| after("1e308"),
    ),
    FaultEntry::new(
        "429-retry-after-negative",
        &[19],
        "429 with `retry-after: -5`",
        |_| after("-5"),
    ),
    FaultEntry::new(
        "429-retry-after-zero",
        &[19],
        "429 with `retry-after: 0`",
        |_| after("0"),
    ),
    FaultEntry::new(
        "429-retry-after-nan",
        &[19],
        "429 with `retry-after: NaN`",
        |_| after("NaN"),
    ),
    FaultEntry::new(
        "429-retry-after-text",
        &[19],
        "429 with `retry-after: soon`",
        |_| after("soon"),
    ),
    FaultEntry::new(
        "429-retry-after-empty",
        &[19],
        "429 with an empty `retry-after`",
        |_| after(""),
    ),
    FaultEntry::new(
        "429-retry-after-two",
        &[19],
        "429 with two headers, `retry-after: 1` and `retry-after: 3`",
        |_| error(429, &[("retry-after", "1"), ("retry-after", "3")]),
    ),
    FaultEntry::new(
        "429-retry-info",
        &[17],
        "429 whose body has Google's RetryInfo of 7.5 s and no header",
        |_| reply(429, "application/json; charset=UTF-8", google(None, "7.5s")),
    )
    .of(&[Gemini]),
    FaultEntry::new(
        "429-message",
        &[17],
        "429 whose message ends with `Please try again in 5.289s.`",
        |case| told(429, "tokens", "rate_limit_exceeded", &wait_in_message(case)),
    )
    .of(&[OpenAi]),
    FaultEntry::new(
        "429-html",
        &[17],
        "429 from a proxy in between, with a page of HTML",
        |_| {
            reply(
                429,
                "text/html",
                "<html><h1>429 Too Many Requests</h1></html>",
            )
        },
    ),
    FaultEntry::new(
        "slow-down",
        &[26],
        "429 `slow_down`: the load grew too fast",
        |_| {
            told(
                429,
                "rate_limit_error",
                "slow_down",
                "Your request rate grew too fast. Reduce it, then raise it slowly.",
            )
        },
    )
    .of(&[OpenAi]),
    FaultEntry::new(
        "ramp-limit",
        &[26],
        "429 `ramp_limit_exceeded`: the load grew too fast",
        |_| {
            told(
                429,
                "rate_limit_error",
                "ramp_limit_exceeded",
                "This request would exceed the acceleration limit of your organization.",
            )
        },
    )
    .of(&[Anthropic]),
];

pub(super) static QUOTA: &[FaultEntry] = &[
    FaultEntry::new(
        "quota",
        &[21],
        "429 for money or the day: `insufficient_quota`, `enforced_spend_limit_reached`, or a \
         `PerDay` quota with a RetryInfo that must not be believed",
        quota,
    ),
    FaultEntry::new(
        "spend-limit",
        &[21],
        "429 with the code `organization_spend_limit_exceeded` and `retry-after: 1`",
        |_| Action::Error {
            status: 429,
            kind: "insufficient_quota".into(),
            code: Some("organization_spend_limit_exceeded".into()),
            message: "Your organization has reached its spend limit.".to_owned(),
            headers: lines(&[("retry-after", "1")]),
        },
    )
    .of(&[OpenAi]),
    FaultEntry::new("402", &[21], "402: there is no money left", |_| {
        error(402, &[])
    }),
];

fn after(value: &str) -> Action {
    error(429, &[("retry-after", value)])
}

/// The message of OpenAI API's 429 for tokens.
fn wait_in_message(case: &Case<'_>) -> String {
    format!(
        "Rate limit reached for {} in organization org-sim on tokens per min (TPM): Limit 30000, \
         Used 29000, Requested 3644. Please try again in 5.289s. Visit \
         https://platform.openai.com/account/rate-limits to learn more.",
        case.call.model
    )
}

fn quota(case: &Case<'_>) -> Action {
    match case.call.dialect {
        OpenAi => told(
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        Anthropic => told(
            429,
            "rate_limit_error",
            "enforced_spend_limit_reached",
            "You have reached your specified API usage limits. You will regain access on \
             2099-01-01 at 00:00 UTC.",
        ),
        Gemini => {
            let per_day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
            let body = google(Some(per_day), "41.2s");
            reply(429, "application/json; charset=UTF-8", body)
        }
    }
}

/// Google's body of a 429, with a quota that is exceeded and a wait.
fn google(quota: Option<&str>, wait: &str) -> String {
    let mut details = Vec::new();
    if let Some(quota) = quota {
        details.push(serde_json::json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric":
                    "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                "quotaId": quota,
                "quotaValue": "50",
            }],
        }));
    }
    details.push(serde_json::json!({
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": wait,
    }));
    let error = serde_json::json!({
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": details,
    });
    serde_json::json!({ "error": error }).to_string()
}
