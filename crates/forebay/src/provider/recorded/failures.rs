//! Recorded answers that are failures, and which ones.

use super::failure;
use crate::endpoint::Dialect;
use crate::outcome::FailureKind;

/// A table of recorded answers, each with what is expected of it.
macro_rules! rows {
    ($($name:literal: $($want:expr),+;)+) => {
        [$((case!($name), $($want),+)),+]
    };
}

#[test]
fn answers_that_are_none_are_failures() {
    use FailureKind::{
        ContentFiltered, Malformed, Overloaded, QuotaExhausted, RateLimited, ServerError, Truncated,
    };
    let empty = Some("empty_reply");
    for (case, kind, code, words) in rows! {
        "openai/refusal": ContentFiltered, Some("refusal"), "refused";
        "openai/content_filter": ContentFiltered, Some("content_filter"), "filter";
        "openai/empty_choices": Malformed, empty, "no choices";
        "openai/null_content": Malformed, empty, "neither text";
        "openai/finish_error": ServerError, None, "gave up";
        "openai/choice_error": Overloaded, Some("503"), "No provider";
        "openai/error_in_200_int": RateLimited, Some("429"), "upstream";
        "openai/error_in_200_word": ServerError, Some("server_error"), "error";
        "openai/error_in_200_credit": QuotaExhausted, Some("402"), "credits";
        "openai/not_json_html": Malformed, None, "\"Sign in to the network\"";
        "openai/not_json_text": Malformed, None, "Ollama is running";
        "openai/cut_json": Malformed, None, "ends early, after 150 bytes";
        "openai/empty_body": Malformed, None, "empty";
        "openai/event_stream": Truncated, None, "the stream ended before the answer was whole";
        "openai/message_only_200": Malformed, empty, "says: Welcome";
    } {
        let failure = failure(Dialect::Chat, case);
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(failure.provider_code.as_deref(), code, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert_eq!(failure.status, Some(200));
    }
    for (case, kind, code) in rows! {
        "anthropic/empty_content": Malformed, "empty_reply";
        "anthropic/refusal": ContentFiltered, "refusal";
        "anthropic/error_in_200": Overloaded, "overloaded_error";
    } {
        let failure = failure(Dialect::Anthropic, case);
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(failure.provider_code.as_deref(), Some(code), "{failure}");
    }
}

#[test]
fn filtered_and_empty_answers_keep_their_usage() {
    for case in [
        case!("openai/refusal"),
        case!("openai/content_filter"),
        case!("openai/null_content"),
        case!("openai/choice_error"),
    ] {
        let usage = failure(Dialect::Chat, case).usage;
        assert_eq!(usage.map(|usage| usage.output_tokens), Some(12));
    }
    let refusal = failure(Dialect::Anthropic, case!("anthropic/refusal"));
    assert_eq!(
        refusal.usage.as_ref().map(|usage| usage.input_tokens),
        Some(140)
    );
    assert!(refusal.message.contains("cyber"), "{refusal}");
}

#[test]
fn openai_errors_are_classified() {
    use FailureKind as Kind;
    for (case, kind, code, wait_ms) in rows! {
        "openai/400_unsupported": Kind::BadRequest, "unsupported_parameter", 0;
        "openai/400_context": Kind::ContextLength, "context_length_exceeded", 0;
        "openai/400_context_vllm": Kind::ContextLength, "BadRequestError", 0;
        "openai/400_azure_filter": Kind::ContentFiltered, "content_filter", 0;
        "openai/401_key": Kind::Auth, "invalid_api_key", 0;
        "openai/402_credit": Kind::QuotaExhausted, "402", 0;
        "openai/402_in_flight": Kind::RateLimited, "402", 2000;
        "openai/403_region": Kind::Auth, "unsupported_country_region_territory", 0;
        "openai/403_moderation": Kind::ContentFiltered, "403", 0;
        "openai/404_model": Kind::NotFound, "model_not_found", 0;
        "openai/429_tokens": Kind::RateLimited, "rate_limit_exceeded", 1400;
        "openai/429_never_fits": Kind::BadRequest, "rate_limit_exceeded", 0;
        "openai/429_retry_after_ms": Kind::RateLimited, "rate_limit_exceeded", 250;
        "openai/429_slow_down": Kind::Overloaded, "slow_down", 20_000;
        "openai/429_quota": Kind::QuotaExhausted, "insufficient_quota", 0;
        "openai/429_google": Kind::RateLimited, "RESOURCE_EXHAUSTED", 57_238;
        "openai/429_google_daily": Kind::QuotaExhausted, "RESOURCE_EXHAUSTED", 12_000;
        "openai/498_groq": Kind::RateLimited, "capacity_exceeded", 0;
        "openai/500": Kind::ServerError, "server_error", 0;
        "openai/503_llamacpp": Kind::Overloaded, "unavailable_error", 0;
    } {
        let failure = failure(Dialect::Chat, case);
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(failure.provider_code.as_deref(), Some(code), "{failure}");
        let wait = failure.retry_after.map_or(0, |wait| wait.as_millis());
        assert_eq!(wait, wait_ms, "{failure}");
    }
    let key = failure(Dialect::Chat, case!("openai/400_google_key"));
    assert_eq!(key.kind, Kind::Auth);
}

#[test]
fn anthropic_errors_are_classified() {
    use FailureKind as Kind;
    for (case, kind, code, wait_s) in rows! {
        "anthropic/400_invalid": Kind::BadRequest, "invalid_request_error", 0;
        "anthropic/400_prompt_too_long": Kind::ContextLength, "invalid_request_error", 0;
        "anthropic/400_credit": Kind::QuotaExhausted, "invalid_request_error", 0;
        "anthropic/401": Kind::Auth, "authentication_error", 0;
        "anthropic/402": Kind::QuotaExhausted, "billing_error", 0;
        "anthropic/404": Kind::NotFound, "not_found_error", 0;
        "anthropic/413": Kind::BadRequest, "request_too_large", 0;
        "anthropic/429": Kind::RateLimited, "rate_limit_error", 17;
        "anthropic/429_ramp": Kind::Overloaded, "ramp_limit_exceeded", 5;
        "anthropic/429_spend": Kind::QuotaExhausted, "enforced_spend_limit_reached", 0;
        "anthropic/500": Kind::ServerError, "api_error", 0;
        "anthropic/529": Kind::Overloaded, "overloaded_error", 0;
    } {
        let failure = failure(Dialect::Anthropic, case);
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(failure.provider_code.as_deref(), Some(code), "{failure}");
        let wait = failure.retry_after.map_or(0, |wait| wait.as_secs());
        assert_eq!(wait, wait_s, "{failure}");
    }
}

#[test]
fn errors_without_the_usual_shape_still_say_what_happened() {
    use FailureKind as Kind;
    for (case, kind, message) in rows! {
        "openai/404_fastapi": Kind::NotFound, "Not Found";
        "openai/404_text": Kind::NotFound, "404 page not found";
        "openai/422_fastapi": Kind::BadRequest, "Field required";
        "openai/502_html": Kind::ServerError, "a web page, \"502 Bad Gateway\"";
        "openai/503_ollama": Kind::Overloaded, "server busy, please try again. maximum pending requests exceeded";
        "openai/504_empty": Kind::ServerError, "Gateway Timeout";
        "openai/301": Kind::NotFound, "redirected to another address; redirects are not followed, check the base URL";
    } {
        let failure = failure(Dialect::Chat, case);
        assert_eq!((failure.kind, &*failure.message), (kind, message));
        assert_eq!(failure.provider_code, None);
    }
}

#[test]
fn the_providers_word_on_retrying_is_passed_on_unless_nothing_helps() {
    let word = |provider, case| failure(provider, case).should_retry;
    let openai = |case| word(Dialect::Chat, case);
    assert_eq!(openai(case!("openai/429_retry_after_ms")), Some(true));
    assert_eq!(openai(case!("openai/400_unsupported")), Some(false));
    assert_eq!(openai(case!("openai/500")), None);
    assert_eq!(openai(case!("openai/429_quota")), None);
    assert_eq!(openai(case!("openai/429_never_fits")), None);
    assert_eq!(word(Dialect::Anthropic, case!("anthropic/529")), Some(true));
}

#[test]
fn no_key_and_no_prompt_is_shown() {
    for case in [
        case!("openai/401_key"),
        case!("openai/401_key_whole"),
        case!("openai/403_moderation"),
        case!("openai/422_fastapi"),
        case!("openai/cut_json"),
        case!("openai/event_stream"),
    ] {
        let shown = format!("{:?}", failure(Dialect::Chat, case));
        for secret in [
            "sk-",
            "wxyz",
            "test-key",
            "THE PROMPT",
            "secret prompt",
            "\"hi\"",
        ] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let masked = failure(Dialect::Chat, case!("openai/401_key")).message;
    assert!(
        masked.starts_with("Incorrect API key provided: [redacted]. You can"),
        "{masked}"
    );
}
