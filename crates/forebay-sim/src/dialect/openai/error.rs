//! Writes errors.
//!
//! Owns the body's form and this dialect's own words for each status. Never decides on one.

use serde::Serialize;

use crate::dialect::ApiError;

pub(in crate::dialect) fn bad_key(missing: bool) -> ApiError {
    if missing {
        return ApiError {
            status: 401,
            ..ApiError::invalid(
                "You didn't provide an API key. You need to provide your API key in an \
                 Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )
        };
    }
    ApiError {
        status: 401,
        code: Some("invalid_api_key".into()),
        ..ApiError::invalid(
            "Incorrect API key provided: sim-****. You can find your API key at \
             https://platform.openai.com/account/api-keys.",
        )
    }
}

#[derive(Serialize)]
pub(in crate::dialect) struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

pub(in crate::dialect) fn error(error: &ApiError) -> ErrorBody<'_> {
    ErrorBody {
        error: ErrorFields {
            message: message(error),
            kind: match &*error.kind {
                "" => own(error.status).0,
                kind => kind,
            },
            param: error.param,
            code: code(error),
        },
    }
}

/// The error's message, or else this dialect's own.
pub(super) fn message(error: &ApiError) -> &str {
    match &*error.message {
        "" => own(error.status).2,
        message => message,
    }
}

/// The error's code, or else this dialect's own; a kind that was given does not get a code that
/// was not.
pub(super) fn code(error: &ApiError) -> Option<&str> {
    let code = error.code.as_deref();
    code.or(own(error.status).1.filter(|_| error.kind.is_empty()))
}

/// This dialect's type, code and message for a status.
fn own(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    match status {
        401 => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided: sim-****.",
        ),
        403 => (
            "invalid_request_error",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported",
        ),
        404 => (
            "invalid_request_error",
            Some("model_not_found"),
            "The model does not exist or you do not have access to it.",
        ),
        405 => (
            "invalid_request_error",
            Some("method_not_supported"),
            "Not allowed to use this method on this URL.",
        ),
        408 => ("server_error", None, "Request timed out."),
        429 => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached for requests.",
        ),
        503 => (
            "service_unavailable_error",
            Some("server_is_overloaded"),
            "The server is currently overloaded with other requests. Sorry about that! You can \
             retry your request.",
        ),
        500.. => (
            "server_error",
            None,
            "The server had an error while processing your request. Sorry about that!",
        ),
        _ => ("invalid_request_error", None, "The request is not valid."),
    }
}
