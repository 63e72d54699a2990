//! Writes errors.
//!
//! Owns the body's form and this dialect's own words for each status. Never decides on one.

use std::borrow::Cow;

use serde::Serialize;

use crate::dialect::{ApiError, Id, request_id};

pub(in crate::dialect) fn bad_key(missing: bool) -> ApiError {
    ApiError {
        kind: "authentication_error".into(),
        message: Cow::Borrowed(match missing {
            true => "x-api-key header is required",
            false => "invalid x-api-key",
        }),
        ..ApiError::of(401)
    }
}

#[derive(Serialize)]
pub(in crate::dialect) struct ErrorBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorFields<'a>,
    request_id: Id<'static>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

pub(in crate::dialect) fn error(error: &ApiError, id: u64) -> ErrorBody<'_> {
    let (kind, message) = own(error.status);
    ErrorBody {
        kind: "error",
        error: ErrorFields {
            kind: match &*error.kind {
                "" => kind,
                kind => kind,
            },
            message: match &*error.message {
                "" => message,
                message => message,
            },
            details: error
                .code
                .as_deref()
                .map(|error_code| Details { error_code }),
        },
        request_id: request_id(id),
    }
}

/// This dialect's type and message for a status.
fn own(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => (
            "billing_error",
            "Your credit balance is too low to access the API.",
        ),
        403 => (
            "permission_error",
            "Your API key does not have permission to use this resource.",
        ),
        404 => ("not_found_error", "Not Found"),
        405 => ("invalid_request_error", "Method Not Allowed"),
        408 | 504 => ("timeout_error", "Request timed out"),
        409 => ("conflict_error", "Conflict"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => (
            "rate_limit_error",
            "This request would exceed your organization's rate limit.",
        ),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "Invalid request"),
    }
}
