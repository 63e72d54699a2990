//! Tells clients about limits: the 429 and the rate headers.
//!
//! Owns the wording and the form of durations. Never counts anything itself.

use std::fmt::Display;
use std::time::Duration;

use crate::config::RateHeaders;
use crate::dialect::ApiError;
use crate::http::Output;
use crate::limits::{Level, Levels, Meter, Refusal};

pub(in crate::dialect) fn refusal(
    refusal: &Refusal,
    model: &str,
    told: Option<Duration>,
) -> ApiError {
    let mut rate_headers = Vec::new();
    if let Some(told) = told {
        let ms = told.as_nanos().div_ceil(1_000_000);
        rate_headers.push(("retry-after".to_owned(), ms.div_ceil(1000).to_string()));
        rate_headers.push(("retry-after-ms".to_owned(), ms.to_string()));
    }
    let mut code = "rate_limit_exceeded";
    let (kind, message) = match *refusal {
        Refusal::Exhausted {
            meter,
            limit,
            used,
            requested,
            wait,
        } => {
            let (kind, unit) = unit(meter);
            let wait = go_duration(wait);
            let message = format!(
                "Rate limit reached for {model} in organization org-sim on {unit}: Limit {limit}, \
                 Used {used}, Requested {requested}. Please try again in {wait}. Visit \
                 https://platform.openai.com/account/rate-limits to learn more."
            );
            (kind, message)
        }
        Refusal::TooLarge {
            meter,
            limit,
            requested,
        } => {
            let (kind, unit) = unit(meter);
            let message = format!(
                "Request too large for {model} in organization org-sim on {unit}: Limit {limit}, \
                 Requested {requested}. The input or output tokens must be reduced in order to \
                 run successfully."
            );
            (kind, message)
        }
        Refusal::InFlight { limit } => {
            let message = format!(
                "Rate limit reached for {model} in organization org-sim on concurrent requests: \
                 Limit {limit}, Used {limit}, Requested 1."
            );
            ("requests", message)
        }
        Refusal::Ramp { .. } => {
            code = "slow_down";
            let message = "Slow down: your request rate grows too fast. Please bring it back to \
                           its earlier level and increase it gradually.";
            ("rate_limit_error", message.to_owned())
        }
    };
    ApiError {
        kind: kind.into(),
        code: Some(code.into()),
        message: message.into(),
        headers: rate_headers,
        ..ApiError::of(429)
    }
}

fn unit(meter: Meter) -> (&'static str, &'static str) {
    match meter {
        Meter::Requests => ("requests", "requests per min (RPM)"),
        Meter::RequestsPerSecond => ("requests", "requests per sec (RPS)"),
        Meter::RequestsPerDay => ("requests", "requests per day (RPD)"),
        Meter::TokensPerDay => ("tokens", "tokens per day (TPD)"),
        Meter::Tokens => ("tokens", "tokens per min (TPM)"),
        Meter::InputTokens => ("tokens", "input tokens per min (ITPM)"),
        Meter::OutputTokens => ("tokens", "output tokens per min (OTPM)"),
    }
}

pub(in crate::dialect) fn rate_headers(output: &mut Output, levels: &Levels, style: RateHeaders) {
    match style {
        RateHeaders::DayAndMinute => return day_and_minute(output, levels),
        RateHeaders::PerSecond => return per_second(output, levels),
        RateHeaders::Dialect
        | RateHeaders::None
        | RateHeaders::WholeSeconds
        | RateHeaders::PerDay
        | RateHeaders::Unknown
        | RateHeaders::Scaled(_) => {}
    }
    let requests = match style {
        RateHeaders::PerDay => levels.requests_per_day,
        _ => levels.requests.or(levels.requests_per_day),
    };
    let tokens = levels.tokens.or(levels.tokens_per_day);
    for (name, level) in [("requests", requests), ("tokens", tokens)] {
        let Some(level) = level else {
            continue;
        };
        if style == RateHeaders::Unknown {
            triple(output, name, [&-1, &-1, &0]);
            continue;
        }
        let reset = match style {
            RateHeaders::WholeSeconds => {
                let seconds = level.until_full.as_nanos().div_ceil(1_000_000_000);
                seconds.to_string()
            }
            _ => go_duration(level.until_full),
        };
        triple(output, name, [&level.limit, &level.remaining, &reset]);
    }
}

/// A limit, what remains of it and when it is whole again, in headers that end with its name.
fn triple(output: &mut Output, name: &str, values: [&dyn Display; 3]) {
    for (part, value) in ["limit", "remaining", "reset"].into_iter().zip(values) {
        output.header(&format!("x-ratelimit-{part}-{name}"), value);
    }
}

/// Cerebras' headers: their names say what each limit is for.
fn day_and_minute(output: &mut Output, levels: &Levels) {
    for (name, level) in [
        ("requests-day", levels.requests_per_day),
        ("tokens-minute", levels.tokens),
        ("tokens-day", levels.tokens_per_day),
    ] {
        let Some(level) = level else {
            continue;
        };
        let reset = seconds(level.until_full);
        triple(output, name, [&level.limit, &level.remaining, &reset]);
    }
}

/// Together's headers: what a second allows, of requests with the time until it is whole again.
fn per_second(output: &mut Output, levels: &Levels) {
    let own = levels.requests_per_second.map(|level| {
        let (limit, remaining) = (level.limit as f64, level.remaining as f64);
        (limit, remaining, level.until_full)
    });
    if let Some((limit, remaining, until_full)) = own.or(levels.requests.map(of_a_second)) {
        output
            .header("x-ratelimit-limit", limit)
            .header("x-ratelimit-remaining", remaining)
            .header("x-ratelimit-reset", seconds(until_full));
    }
    if let Some((limit, remaining, _)) = levels.tokens.map(of_a_second) {
        output
            .header("x-tokenlimit-limit", limit)
            .header("x-tokenlimit-remaining", remaining);
    }
}

/// A minute's limit as a second's, and what remains of that.
fn of_a_second(level: Level) -> (f64, f64, Duration) {
    let used = level.limit as f64 - level.remaining as f64;
    let limit = level.limit as f64 / 60.0;
    (limit, (limit - used).max(0.0), level.until_full)
}

/// A duration in seconds with a fraction, rounded up to microseconds.
fn seconds(duration: Duration) -> String {
    let micros = duration.as_nanos().div_ceil(1_000);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// A duration as Go prints it, such as `6m0s`, `1.5s` or `12ms`; rounded up to milliseconds.
fn go_duration(duration: Duration) -> String {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    if ms > 0 && ms < 1000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let mut text = match (hours, minutes) {
        (0, 0) => format!("{seconds}"),
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    };
    if !ms.is_multiple_of(1000) {
        text.push_str(format!(".{:03}", ms % 1000).trim_end_matches('0'));
    }
    text + "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        let printed = |ms| go_duration(Duration::from_millis(ms));
        assert_eq!(
            [0, 12, 1000, 1500, 360_000, 4_560_667].map(printed),
            ["0s", "12ms", "1s", "1.5s", "6m0s", "1h16m0.667s"]
        );
        assert_eq!(go_duration(Duration::from_nanos(1)), "1ms");
    }
}
