//! Tells clients about limits: the 429 and the rate headers.
//!
//! Owns the wording and the form of times. Never counts anything itself.

use std::time::Duration;

use crate::dialect::ApiError;
use crate::http::Output;
use crate::limits::{Level, Levels, Meter, Refusal};

pub(in crate::dialect) fn refusal(refusal: &Refusal, told: Option<Duration>) -> ApiError {
    let retry_after = told.map(|wait| {
        let seconds = wait.as_nanos().div_ceil(1_000_000_000);
        ("retry-after".to_owned(), seconds.to_string())
    });
    let mut code = None;
    let message = match *refusal {
        Refusal::Exhausted { meter, limit, .. } | Refusal::TooLarge { meter, limit, .. } => {
            over(meter, limit)
        }
        Refusal::Ramp { .. } => {
            code = Some("ramp_limit_exceeded".into());
            "This request would exceed your organization's acceleration limit. Please increase \
             your usage gradually."
                .to_owned()
        }
        Refusal::InFlight { .. } => {
            "Number of concurrent connections has exceeded your rate limit. Please try again \
             later or contact sales to discuss your options for a rate limit increase."
                .to_owned()
        }
    };
    ApiError {
        code,
        message: message.into(),
        headers: retry_after.into_iter().collect(),
        ..ApiError::of(429)
    }
}

fn over(meter: Meter, limit: u64) -> String {
    let unit = match meter {
        Meter::Requests => "requests per minute",
        Meter::RequestsPerSecond => "requests per second",
        Meter::RequestsPerDay => "requests per day",
        Meter::Tokens => "tokens per minute",
        Meter::TokensPerDay => "tokens per day",
        Meter::InputTokens => "input tokens per minute",
        Meter::OutputTokens => "output tokens per minute",
    };
    format!(
        "This request would exceed your organization's rate limit of {limit} {unit} (org: sim). \
         For details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the \
         response headers for current usage. Please reduce the prompt length or the maximum \
         tokens requested, or try again later."
    )
}

pub(in crate::dialect) fn rate_headers(output: &mut Output, levels: &Levels, wall: Duration) {
    let in_force = [levels.tokens, levels.input, levels.output];
    let tightest = in_force
        .into_iter()
        .flatten()
        .min_by_key(|level| level.remaining);
    let shown = [
        ("requests", levels.requests),
        ("tokens", tightest),
        ("input-tokens", levels.input),
        ("output-tokens", levels.output),
    ];
    for (name, level) in shown {
        let Some(Level {
            limit,
            remaining,
            until_full,
        }) = level
        else {
            continue;
        };
        output
            .header(&format!("anthropic-ratelimit-{name}-limit"), limit)
            .header(&format!("anthropic-ratelimit-{name}-remaining"), remaining)
            .header(
                &format!("anthropic-ratelimit-{name}-reset"),
                rfc_3339(wall.saturating_add(until_full)),
            );
    }
}

/// A time since the Unix epoch as RFC 3339 in UTC, rounded up to seconds.
fn rfc_3339(wall: Duration) -> jiff::Timestamp {
    let seconds = wall.as_nanos().div_ceil(1_000_000_000);
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_seconds() {
        let text = rfc_3339(Duration::from_millis(1_769_504_400_001)).to_string();
        assert_eq!(text, "2026-01-27T09:00:01Z");
        assert_eq!(rfc_3339(Duration::MAX), jiff::Timestamp::MAX);
    }
}
