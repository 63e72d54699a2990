//! The one classification of what a provider says went wrong.
//!
//! Owns the tables of error codes and statuses. The order: an empty account beats everything,
//! then the status decides with the codes' help; an error in a 200 answer is judged by its own
//! code as if that were the status.

use super::errors::{Quota, Report};
use crate::endpoint::Dialect;
use crate::outcome::FailureKind;

/// What is known about an error.
pub(super) struct Facts<'a> {
    /// The dialect.
    pub(super) dialect: Dialect,
    /// The HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) report: &'a Report<'a>,
}

/// Statuses that are treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// 200–299: an error inside an answer.
    Answered,
    /// 300–399.
    Redirected,
    /// 400, 413, 422: this request is at fault.
    Rejected,
    /// 401.
    Unauthorized,
    /// 402.
    PaymentRequired,
    /// 403.
    Forbidden,
    /// 404.
    Missing,
    /// 429, and Groq's 498.
    TooMany,
    /// 408, 409, 425, 499 and most of 500–599: it may go better next time.
    Broken,
    /// 503 and Anthropic's 529.
    Overloaded,
    /// Other 400–499.
    OtherClient,
    /// What no provider sends.
    Strange,
}

fn class(status: u16) -> Class {
    match status {
        200..=299 => Class::Answered,
        300..=399 => Class::Redirected,
        400 | 413 | 422 => Class::Rejected,
        401 => Class::Unauthorized,
        402 => Class::PaymentRequired,
        403 => Class::Forbidden,
        404 => Class::Missing,
        429 | 498 => Class::TooMany,
        408 | 409 | 425 | 499 => Class::Broken,
        400..=499 => Class::OtherClient,
        503 | 529 => Class::Overloaded,
        500..=599 => Class::Broken,
        0..=199 | 600.. => Class::Strange,
    }
}

/// Codes and types whose meaning does not depend on the status, from the providers' references.
///
/// Codes of used-up quotas are not here but in [`is_quota_code`].
const CODES: &[(&str, FailureKind)] = &[
    ("rate_limit_exceeded", FailureKind::RateLimited),
    ("rate_limit_error", FailureKind::RateLimited),
    ("too_many_requests", FailureKind::RateLimited),
    ("RESOURCE_EXHAUSTED", FailureKind::RateLimited),
    ("slow_down", FailureKind::Overloaded),
    ("ramp_limit_exceeded", FailureKind::Overloaded),
    ("overloaded_error", FailureKind::Overloaded),
    ("engine_overloaded", FailureKind::Overloaded),
    ("server_is_overloaded", FailureKind::Overloaded),
    ("service_unavailable_error", FailureKind::Overloaded),
    ("MODEL_CAPACITY_EXHAUSTED", FailureKind::Overloaded),
    ("UNAVAILABLE", FailureKind::Overloaded),
    ("server_error", FailureKind::ServerError),
    ("internal_server_error", FailureKind::ServerError),
    ("api_error", FailureKind::ServerError),
    ("timeout_error", FailureKind::ServerError),
    ("conflict_error", FailureKind::ServerError),
    ("INTERNAL", FailureKind::ServerError),
    ("DEADLINE_EXCEEDED", FailureKind::ServerError),
    ("context_length_exceeded", FailureKind::ContextLength),
    ("exceed_context_size_error", FailureKind::ContextLength),
    ("content_filter", FailureKind::ContentFiltered),
    ("content_policy_violation", FailureKind::ContentFiltered),
    (
        "image_content_policy_violation",
        FailureKind::ContentFiltered,
    ),
    ("bio_policy", FailureKind::ContentFiltered),
    (
        "misalignment_policy_violation",
        FailureKind::ContentFiltered,
    ),
    ("invalid_api_key", FailureKind::Auth),
    ("API_KEY_INVALID", FailureKind::Auth),
    ("authentication_error", FailureKind::Auth),
    ("permission_error", FailureKind::Auth),
    ("UNAUTHENTICATED", FailureKind::Auth),
    ("PERMISSION_DENIED", FailureKind::Auth),
    ("model_not_found", FailureKind::NotFound),
    ("not_found_error", FailureKind::NotFound),
    ("NOT_FOUND", FailureKind::NotFound),
    ("invalid_request_error", FailureKind::BadRequest),
    ("unsupported_parameter", FailureKind::BadRequest),
    ("request_too_large", FailureKind::BadRequest),
    ("INVALID_ARGUMENT", FailureKind::BadRequest),
];

/// How messages begin with which Anthropic tells of an empty account under status 400 and the
/// general type `invalid_request_error`.
///
/// Its reference says never to match on text. But no code tells these two apart from a fault of
/// one request, and taking them for one would spend a whole run on failed rows. Only the very
/// beginning is compared, where no text of a request can stand.
const ANTHROPIC_EMPTY_ACCOUNT: [&str; 2] = [
    "Your credit balance is too low",
    "You have reached your specified API usage limits",
];

/// Says what kind of failure an error is.
pub(super) fn classify(facts: &Facts<'_>) -> FailureKind {
    let report = facts.report;
    if is_quota(facts) {
        return FailureKind::QuotaExhausted;
    }
    let named = named(report);
    match class(facts.status) {
        Class::Answered => match report.number.filter(|number| *number >= 300) {
            Some(status) => classify(&Facts { status, ..*facts }),
            // A failed response names its fault: what is neither the server's nor a limit's is
            // the request's.
            None if report.is_final && !report.words.is_empty() => {
                named.unwrap_or(FailureKind::BadRequest)
            }
            None => named.unwrap_or(FailureKind::ServerError),
        },
        // The base URL leads elsewhere: as with 404, no request can succeed.
        Class::Redirected => FailureKind::NotFound,
        Class::Rejected => rejected(named, report),
        Class::Unauthorized => FailureKind::Auth,
        // An empty account was caught above; what is left waits for requests in flight.
        Class::PaymentRequired => FailureKind::RateLimited,
        Class::Forbidden if report.is_moderation => FailureKind::ContentFiltered,
        Class::Forbidden => FailureKind::Auth,
        Class::Missing => FailureKind::NotFound,
        Class::TooMany => match named {
            Some(FailureKind::Overloaded) => FailureKind::Overloaded,
            _ if never_fits(report) => FailureKind::BadRequest,
            _ => FailureKind::RateLimited,
        },
        Class::Broken if facts.status < 500 => FailureKind::ServerError,
        Class::Broken | Class::Strange => match named {
            Some(kind @ (FailureKind::Overloaded | FailureKind::RateLimited)) => kind,
            _ => FailureKind::ServerError,
        },
        Class::Overloaded => FailureKind::Overloaded,
        Class::OtherClient => FailureKind::BadRequest,
    }
}

/// What the most telling known code means.
fn named(report: &Report<'_>) -> Option<FailureKind> {
    report.words.iter().find_map(|word| {
        let known = CODES.iter().find(|(code, _)| code == word);
        known.map(|(_, kind)| *kind)
    })
}

/// Whether the key's quota, credit or spend limit is used up.
fn is_quota(facts: &Facts<'_>) -> bool {
    let report = facts.report;
    if report.words.iter().any(|word| is_quota_code(word))
        || report.quotas.iter().any(Quota::is_daily)
    {
        return true;
    }
    let begins_like_an_empty_account = || {
        let message = report.message.as_deref().unwrap_or_default();
        ANTHROPIC_EMPTY_ACCOUNT
            .iter()
            .any(|start| message.starts_with(start))
    };
    match (facts.dialect, facts.status) {
        (_, 402) => !report.is_in_flight_budget,
        (Dialect::Anthropic, 400) => begins_like_an_empty_account(),
        (
            Dialect::Anthropic
            | Dialect::Chat
            | Dialect::Responses
            | Dialect::Embeddings
            | Dialect::Gemini,
            _,
        ) => false,
    }
}

fn is_quota_code(code: &str) -> bool {
    code.starts_with("billing_")
        || code.contains("_spend_limit_")
        || [
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_usage_limit_exceeded",
        ]
        .contains(&code)
}

/// What a rejected request is: too long, filtered, sent to a wrong place, or simply wrong.
fn rejected(named: Option<FailureKind>, report: &Report<'_>) -> FailureKind {
    match named {
        Some(
            kind @ (FailureKind::ContextLength
            | FailureKind::ContentFiltered
            | FailureKind::Auth
            | FailureKind::NotFound),
        ) => kind,
        _ if tells_of_context_length(report) => FailureKind::ContextLength,
        _ => FailureKind::BadRequest,
    }
}

/// The words in which OpenAI and vLLM, Anthropic (twice), llama.cpp and Gemini say that a request
/// is longer than the context; some of them give no code.
fn tells_of_context_length(report: &Report<'_>) -> bool {
    let message = report.message.as_deref().unwrap_or_default();
    [
        "maximum context length",
        "prompt is too long",
        "exceed context limit",
        "exceeds the available context size",
        "exceeds the maximum number of tokens allowed",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Whether a rate limit's message says that the request is larger than the whole limit:
/// `Limit 30000, Requested 40000`. No waiting makes it fit.
fn never_fits(report: &Report<'_>) -> bool {
    let message = report.message.as_deref().unwrap_or_default();
    match (
        number_after(message, "limit"),
        number_after(message, "requested"),
    ) {
        (Some(limit), Some(requested)) => requested > limit,
        (Some(_) | None, _) => false,
    }
}

/// The whole number that follows a word, with nothing but a colon and spaces between.
fn number_after(message: &str, word: &str) -> Option<u64> {
    let lower = message.to_ascii_lowercase();
    lower.match_indices(word).find_map(|(at, _)| {
        let rest = lower[at + word.len()..].trim_start_matches([':', ' ']);
        let end = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn kind_of(
        dialect: Dialect,
        status: u16,
        words: &[&'static str],
        message: &'static str,
    ) -> FailureKind {
        let report = Report {
            words: words.iter().map(|word| Cow::Borrowed(*word)).collect(),
            message: Some(Cow::Borrowed(message)),
            ..Report::default()
        };
        classify(&Facts {
            dialect,
            status,
            report: &report,
        })
    }

    #[test]
    fn statuses_alone_decide_when_nothing_else_is_said() {
        for (statuses, kind) in [
            (&[301, 302, 307, 308][..], FailureKind::NotFound),
            (&[400, 413, 422, 405, 410, 418], FailureKind::BadRequest),
            (&[401, 403], FailureKind::Auth),
            (&[402], FailureKind::QuotaExhausted),
            (&[404], FailureKind::NotFound),
            (
                &[408, 409, 425, 499, 500, 502, 504, 520, 524],
                FailureKind::ServerError,
            ),
            (&[429, 498], FailureKind::RateLimited),
            (&[503, 529], FailureKind::Overloaded),
            (&[200, 101, 0, 999], FailureKind::ServerError),
        ] {
            for status in statuses {
                assert_eq!(kind_of(Dialect::Chat, *status, &[], ""), kind, "{status}");
                assert_eq!(
                    kind_of(Dialect::Anthropic, *status, &[], ""),
                    kind,
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn an_empty_account_beats_every_status() {
        for code in [
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_error",
            "enforced_spend_limit_reached",
            "contract_spend_limit_reached",
        ] {
            for status in [200, 400, 403, 429, 500, 503] {
                let kind = kind_of(Dialect::Chat, status, &["x", code], "");
                assert_eq!(kind, FailureKind::QuotaExhausted, "{code} {status}");
            }
        }
    }

    #[test]
    fn anthropic_tells_of_an_empty_account_only_in_words() {
        let low = "Your credit balance is too low to access the Anthropic API.";
        let kind = |provider, status| kind_of(provider, status, &["invalid_request_error"], low);
        assert_eq!(kind(Dialect::Anthropic, 400), FailureKind::QuotaExhausted);
        assert_eq!(kind(Dialect::Chat, 400), FailureKind::BadRequest);
        let quoted = "messages: \"Your credit balance is too low\" is not allowed";
        assert_eq!(
            kind_of(Dialect::Anthropic, 400, &[], quoted),
            FailureKind::BadRequest
        );
    }

    #[test]
    fn codes_refine_a_status() {
        for (status, code, kind) in [
            (429, "rate_limit_exceeded", FailureKind::RateLimited),
            (429, "slow_down", FailureKind::Overloaded),
            (429, "ramp_limit_exceeded", FailureKind::Overloaded),
            (400, "context_length_exceeded", FailureKind::ContextLength),
            (400, "content_filter", FailureKind::ContentFiltered),
            (400, "API_KEY_INVALID", FailureKind::Auth),
            (400, "rate_limit_exceeded", FailureKind::BadRequest),
            (500, "overloaded_error", FailureKind::Overloaded),
            (500, "invalid_request_error", FailureKind::ServerError),
            (409, "overloaded_error", FailureKind::ServerError),
            (200, "rate_limit_exceeded", FailureKind::RateLimited),
            (200, "overloaded_error", FailureKind::Overloaded),
            (200, "invalid_request_error", FailureKind::BadRequest),
            (200, "never heard of", FailureKind::ServerError),
        ] {
            let have = kind_of(Dialect::Chat, status, &[code], "");
            assert_eq!(have, kind, "{status} {code}");
        }
    }

    #[test]
    fn messages_decide_where_no_code_does() {
        for (status, message, kind) in [
            (
                400,
                "This model's maximum context length is 4096 tokens.",
                FailureKind::ContextLength,
            ),
            (
                413,
                "prompt is too long: 210000 tokens > 200000 maximum",
                FailureKind::ContextLength,
            ),
            (401, "prompt is too long", FailureKind::Auth),
            (
                429,
                "tokens per min (TPM): Limit 30000, Requested 40000.",
                FailureKind::BadRequest,
            ),
            (
                429,
                "Limit: 30000 / min. Requested: 40000",
                FailureKind::BadRequest,
            ),
            (
                429,
                "Limit 30000, Used 29000, Requested 2000.",
                FailureKind::RateLimited,
            ),
            (
                429,
                "Rate limit reached. Requested 5",
                FailureKind::RateLimited,
            ),
            (
                429,
                "Limit 99999999999999999999, Requested 5",
                FailureKind::RateLimited,
            ),
        ] {
            assert_eq!(
                kind_of(Dialect::Chat, status, &[], message),
                kind,
                "{message}"
            );
        }
    }

    #[test]
    fn a_number_in_an_answer_is_its_status() {
        for (number, kind) in [
            (429, FailureKind::RateLimited),
            (402, FailureKind::QuotaExhausted),
            (502, FailureKind::ServerError),
            (503, FailureKind::Overloaded),
            (401, FailureKind::Auth),
            (200, FailureKind::ServerError),
        ] {
            let report = Report {
                number: Some(number),
                ..Report::default()
            };
            let facts = Facts {
                dialect: Dialect::Chat,
                status: 200,
                report: &report,
            };
            assert_eq!(classify(&facts), kind, "{number}");
        }
    }
}
