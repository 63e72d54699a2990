//! Writes errors.
//!
//! Owns the body's form and this dialect's own words for each status. Never decides on one.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::dialect::{ApiError, Quota};
use crate::limits::{Meter, Refusal};

pub(in crate::dialect) fn bad_key(missing: bool) -> ApiError {
    match missing {
        true => ApiError {
            kind: "PERMISSION_DENIED".into(),
            message: Cow::Borrowed(
                "Method doesn't allow unregistered callers (callers without established \
                 identity). Please use API Key or other form of API consumer identity to call \
                 this API.",
            ),
            ..ApiError::of(403)
        },
        false => ApiError {
            kind: "INVALID_ARGUMENT".into(),
            code: Some("API_KEY_INVALID".into()),
            message: Cow::Borrowed("API key not valid. Please pass a valid API key."),
            ..ApiError::of(400)
        },
    }
}

/// Turns a refusal into a 429 with the wait in its body; this dialect has no rate headers.
pub(in crate::dialect) fn refusal(
    refusal: &Refusal,
    model: &str,
    told: Option<Duration>,
) -> ApiError {
    let ((metric, id), limit) = match *refusal {
        Refusal::Exhausted { meter, limit, .. } | Refusal::TooLarge { meter, limit, .. } => {
            (quota(meter), limit)
        }
        Refusal::Ramp { .. } => (
            (
                "generate_content_requests_growth",
                "GenerateRequestsGrowthPerProjectPerModel",
            ),
            0,
        ),
        Refusal::InFlight { limit } => (
            (
                "generate_content_concurrent_requests",
                "GenerateConcurrentRequestsPerProjectPerModel",
            ),
            limit as u64,
        ),
    };
    let mut message = format!(
        "You exceeded your current quota, please check your plan and billing details. \
         * Quota exceeded for metric: generativelanguage.googleapis.com/{metric}, limit: {limit}, \
         model: {model}"
    );
    if let Some(wait) = told {
        message.push_str(&format!("\nPlease retry in {}.", protobuf_duration(wait)));
    }
    ApiError {
        message: message.into(),
        retry_after: told,
        quota: Some(Box::new(Quota {
            metric,
            id,
            limit,
            model: model.to_owned(),
        })),
        ..ApiError::of(429)
    }
}

/// The metric that a limit counts, and the quota's id.
fn quota(meter: Meter) -> (&'static str, &'static str) {
    match meter {
        Meter::Requests => (
            "generate_content_paid_tier_requests",
            "GenerateRequestsPerMinutePerProjectPerModel",
        ),
        Meter::RequestsPerSecond => (
            "generate_content_paid_tier_requests",
            "GenerateRequestsPerSecondPerProjectPerModel",
        ),
        Meter::RequestsPerDay => (
            "generate_content_paid_tier_requests",
            "GenerateRequestsPerDayPerProjectPerModel",
        ),
        Meter::Tokens | Meter::InputTokens => (
            "generate_content_paid_tier_input_token_count",
            "GenerateContentPaidTierInputTokensPerModelPerMinute",
        ),
        Meter::TokensPerDay => (
            "generate_content_paid_tier_input_token_count",
            "GenerateContentPaidTierInputTokensPerModelPerDay",
        ),
        Meter::OutputTokens => (
            "generate_content_paid_tier_output_token_count",
            "GenerateContentPaidTierOutputTokensPerModelPerMinute",
        ),
    }
}

#[derive(Serialize)]
pub(in crate::dialect) struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.QuotaFailure")]
    QuotaFailure { violations: [Violation<'a>; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.Help")]
    Help { links: [Link; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo {
        #[serde(rename = "retryDelay")]
        retry_delay: String,
    },
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo {
        reason: &'a str,
        domain: &'static str,
        metadata: Metadata,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Violation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_metric: Option<String>,
    quota_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_dimensions: Option<Dimensions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_value: Option<String>,
}

#[derive(Serialize)]
struct Dimensions<'a> {
    location: &'static str,
    model: &'a str,
}

#[derive(Serialize)]
struct Link {
    description: &'static str,
    url: &'static str,
}

#[derive(Serialize)]
struct Metadata {
    service: &'static str,
}

pub(in crate::dialect) fn error(error: &ApiError) -> ErrorBody<'_> {
    let (status, message) = own(error.status);
    ErrorBody {
        error: ErrorFields {
            code: error.status,
            message: match &*error.message {
                "" => message,
                message => message,
            },
            status: match &*error.kind {
                "" => status,
                // The other dialects' word for a bad request.
                "invalid_request_error" => "INVALID_ARGUMENT",
                kind => kind,
            },
            details: details(error),
        },
    }
}

fn details(error: &ApiError) -> Vec<Detail<'_>> {
    let mut details = Vec::new();
    // A code that names a period is a quota's id, such as `GenerateRequestsPerDay...`.
    let (id, reason) = match error.code.as_deref() {
        Some(code) if error.status == 429 && code.contains("Per") => (Some(code), None),
        code => (None, code),
    };
    let violation = match &error.quota {
        Some(quota) => Some(Violation {
            quota_metric: Some(format!(
                "generativelanguage.googleapis.com/{}",
                quota.metric
            )),
            quota_id: quota.id,
            quota_dimensions: Some(Dimensions {
                location: "global",
                model: &quota.model,
            }),
            quota_value: Some(quota.limit.to_string()),
        }),
        None => id.map(|quota_id| Violation {
            quota_metric: None,
            quota_id,
            quota_dimensions: None,
            quota_value: None,
        }),
    };
    if let Some(violation) = violation {
        details.push(Detail::QuotaFailure {
            violations: [violation],
        });
        details.push(Detail::Help {
            links: [Link {
                description: "Learn more about Gemini API quotas",
                url: "https://ai.google.dev/gemini-api/docs/rate-limits",
            }],
        });
    }
    if let Some(wait) = error.retry_after {
        details.push(Detail::RetryInfo {
            retry_delay: protobuf_duration(wait),
        });
    }
    if let Some(reason) = reason {
        details.push(Detail::ErrorInfo {
            reason,
            domain: "googleapis.com",
            metadata: Metadata {
                service: "generativelanguage.googleapis.com",
            },
        });
    }
    details
}

/// A duration as protobuf's JSON form writes it, such as `57.238747106s`.
fn protobuf_duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// This dialect's status word and message for a status.
fn own(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => (
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials.",
        ),
        403 => ("PERMISSION_DENIED", "The caller does not have permission"),
        404 => (
            "NOT_FOUND",
            "The model is not found for API version v1beta, or is not supported for this method.",
        ),
        409 => ("ABORTED", "The operation was aborted."),
        429 => (
            "RESOURCE_EXHAUSTED",
            "Resource has been exhausted (e.g. check quota).",
        ),
        499 => ("CANCELLED", "The operation was cancelled."),
        501 => ("UNIMPLEMENTED", "Method not found."),
        503 => (
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.",
        ),
        504 => (
            "DEADLINE_EXCEEDED",
            "Deadline expired before operation could complete.",
        ),
        500.. => (
            "INTERNAL",
            "An internal error has occurred. Please retry or report in \
             https://developers.generativeai.google/guide/troubleshooting",
        ),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    }
}
