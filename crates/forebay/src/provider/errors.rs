//! Reads what a provider says about an error, and makes a failure of it.
//!
//! Owns the shapes that error bodies have among providers, compatible servers and proxies, and
//! the text of failures: one short line in the provider's words, without keys, never any part of
//! the request.

use std::borrow::Cow;

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::classify::{Facts, classify};
use super::json::Scalar;
use super::{Answer, redact, stream, wait};
use crate::endpoint::Endpoint;
use crate::fields;
use crate::outcome::{Failure, FailureKind, Usage};

/// The code of an answer in which there is nothing.
pub(super) const EMPTY_REPLY: &str = "empty_reply";

/// What is said of an error that says nothing.
const NO_MESSAGE: &str = "an error without a message";

/// The most characters of a failure's message: what fits in a few lines of a terminal.
const MAX_MESSAGE: usize = 500;
/// The most characters of a provider's error code.
const MAX_CODE: usize = 100;
/// The most characters shown of a body that is no answer.
const MAX_SAMPLE: usize = 200;

/// What is needed to judge one answer.
pub(super) struct Context<'a> {
    /// Where the answer comes from.
    pub(super) endpoint: &'a Endpoint,
    /// The answer.
    pub(super) answer: &'a Answer<'a>,
}

impl<'a> Context<'a> {
    /// The body as a JSON object of this type.
    ///
    /// # Errors
    /// When it is no JSON object, nested too deep, or not of this type.
    pub(super) fn object<T: Deserialize<'a>>(&self) -> Result<T, Failure> {
        let body = self.answer.body;
        // A list would be taken for the object's members in order.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(self.without_answer("the answer is a list", None));
        }
        if fields::is_too_deep(body) {
            let text = format!("the answer is {}", fields::TOO_DEEP);
            return Err(self.failed(FailureKind::Malformed, None, &text, None));
        }
        serde_json::from_slice(body).map_err(|error| self.unreadable(&error))
    }

    /// The failure that an answer with a status outside of 200 to 299 is.
    pub(super) fn error_answer(&self) -> Failure {
        // Gateways answer with a stream whose only event is the error.
        let event = stream::begins_like_stream(self.answer.body)
            .then(|| stream::first_data(self.answer.body))
            .flatten();
        let body = event.as_deref().unwrap_or(self.answer.body);
        let report = Report::of_body(body).unwrap_or_default();
        self.refused_by(&report, None)
    }

    /// The failure that a body with an error in it is, whatever its status.
    pub(super) fn reported(&self, usage: Option<Usage>) -> Failure {
        let report = Report::of_body(self.answer.body).unwrap_or_default();
        self.refused_by(&report, usage)
    }

    /// The failure that a provider's report of an error is.
    pub(super) fn refused_by(&self, report: &Report<'_>, usage: Option<Usage>) -> Failure {
        let kind = classify(&Facts {
            dialect: self.endpoint.dialect,
            status: self.answer.status,
            report,
        });
        let code = report.code();
        let message = match (self.answer.status, &report.message) {
            (300..=399, _) => Cow::Borrowed(
                "redirected to another address; redirects are not followed, check the base URL",
            ),
            (_, Some(message)) => Cow::Borrowed(&**message),
            (_, None) => self.fallback(code.as_deref()),
        };
        let mut failure = self.failed(kind, code.as_deref(), &message, usage);
        failure.retry_after = wait::retry_after(
            self.answer,
            report.retry_delay.as_deref(),
            report.message.as_deref(),
        );
        failure
    }

    /// The failure that an answer without anything of an answer in it is.
    ///
    /// When it says what is wrong, that is the failure.
    pub(super) fn without_answer(&self, what: &str, usage: Option<Usage>) -> Failure {
        match Report::of_body(self.answer.body) {
            Some(report) if report.is_error => self.refused_by(&report, usage),
            Some(Report {
                message: Some(message),
                ..
            }) => {
                let text = format!("{what}; it says: {message}");
                self.failed(FailureKind::Malformed, Some(EMPTY_REPLY), &text, usage)
            }
            Some(_) | None => self.failed(FailureKind::Malformed, Some(EMPTY_REPLY), what, usage),
        }
    }

    /// The failure that a refusal or a filtered answer is.
    pub(super) fn filtered(&self, code: &str, message: &str, usage: Option<Usage>) -> Failure {
        self.failed(FailureKind::ContentFiltered, Some(code), message, usage)
    }

    /// A failure of this kind, with its texts made fit to show.
    pub(super) fn failed(
        &self,
        kind: FailureKind,
        code: Option<&str>,
        message: &str,
        usage: Option<Usage>,
    ) -> Failure {
        let secrets = redact::secrets(self.endpoint);
        let line = |text: &str, max| {
            let line = redact::line(text, &secrets, max);
            Some(line).filter(|line| !line.is_empty())
        };
        let message = line(message, MAX_MESSAGE).unwrap_or_else(|| NO_MESSAGE.to_owned());
        let mut failure = Failure::new(kind, message);
        failure.status = Some(self.answer.status);
        failure.provider_code = code.and_then(|code| line(code, MAX_CODE));
        failure.should_retry = self.should_retry(kind);
        failure.usage = usage.map(Box::new);
        failure
    }

    /// The provider's word on retrying, unless the failure is known to stay whatever it says: an
    /// empty account, and a request that is larger than the rate limit.
    fn should_retry(&self, kind: FailureKind) -> Option<bool> {
        let word = self.answer.headers.get("x-should-retry")?;
        let stays = kind == FailureKind::QuotaExhausted
            || (kind == FailureKind::BadRequest && self.answer.status == 429);
        match word {
            b"true" if !stays => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// What to say about a body that cannot be read as JSON.
    ///
    /// The reader's own words are not used: they may repeat parts of the answer.
    pub(super) fn unreadable(&self, error: &serde_json::Error) -> Failure {
        let body = self.answer.body;
        let text = if body.trim_ascii().is_empty() {
            "the answer is empty".to_owned()
        } else if !looks_like_json(body) {
            format!(
                "the answer is not JSON: {}",
                sample(body, &redact::secrets(self.endpoint))
            )
        } else if error.is_data() {
            "the answer is JSON of an unknown shape".to_owned()
        } else if error.is_eof() {
            format!(
                "the answer is JSON that ends early, after {} bytes",
                body.len()
            )
        } else {
            format!(
                "the answer is not valid JSON (line {}, column {})",
                error.line(),
                error.column()
            )
        };
        self.failed(FailureKind::Malformed, None, &text, None)
    }

    /// What to say about an error without a message: its code, a sample, or the status.
    fn fallback(&self, code: Option<&str>) -> Cow<'a, str> {
        let body = self.answer.body;
        if let Some(code) = code {
            return Cow::Owned(code.to_owned());
        }
        if !(body.trim_ascii().is_empty()
            || looks_like_json(body)
            || stream::begins_like_stream(body))
        {
            return Cow::Owned(sample(body, &redact::secrets(self.endpoint)));
        }
        let status = StatusCode::from_u16(self.answer.status).ok();
        let reason = status.and_then(|status| status.canonical_reason());
        Cow::Borrowed(reason.unwrap_or(NO_MESSAGE))
    }
}

/// What a provider says about an error.
#[derive(Debug, Default)]
pub(super) struct Report<'a> {
    /// Whether the body says itself that it is an error, and does not only hold a message.
    pub(super) is_error: bool,
    /// Whether it is the verdict on a whole response, whose codes stay unless they are known to
    /// pass (OpenAI's `failed`).
    pub(super) is_final: bool,
    /// What happened, in words.
    pub(super) message: Option<Cow<'a, str>>,
    /// Codes and types, the most telling first.
    pub(super) words: Vec<Cow<'a, str>>,
    /// A numeric code, which is an HTTP status.
    pub(super) number: Option<u16>,
    /// The wait that Google puts into the body.
    pub(super) retry_delay: Option<Cow<'a, str>>,
    /// The quotas that are used up (Google).
    pub(super) quotas: Vec<Quota<'a>>,
    /// Whether moderation stopped the request (OpenRouter).
    pub(super) is_moderation: bool,
    /// Whether only the credit reserved by requests in flight is used up (OpenRouter).
    pub(super) is_in_flight_budget: bool,
}

/// A quota that is used up, as Google names it.
#[derive(Debug)]
pub(super) struct Quota<'a> {
    /// Its name, such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
    pub(super) id: Cow<'a, str>,
    /// Its limit.
    pub(super) value: Option<f64>,
}

impl Quota<'_> {
    /// Whether it is per day, which lasts until midnight.
    pub(super) fn is_daily(&self) -> bool {
        self.id.contains("PerDay")
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow, default)]
    message: Scalar<'a>,
    #[serde(borrow, default)]
    msg: Scalar<'a>,
    #[serde(borrow, default)]
    code: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// A member of Google's list of details, or Anthropic's only one.
#[derive(Deserialize)]
struct Detail<'a> {
    #[serde(borrow, default)]
    error_code: Scalar<'a>,
    #[serde(borrow, default)]
    reason: Scalar<'a>,
    #[serde(borrow, default, rename = "retryDelay")]
    retry_delay: Scalar<'a>,
    #[serde(borrow, default)]
    violations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Violation<'a> {
    #[serde(borrow, default, rename = "quotaId")]
    quota_id: Scalar<'a>,
    #[serde(borrow, default, rename = "quotaValue")]
    quota_value: Scalar<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    limit_source: Scalar<'a>,
    #[serde(borrow, default)]
    reasons: Option<&'a RawValue>,
    #[serde(borrow, default)]
    flagged_input: Option<&'a RawValue>,
}

impl<'a> Report<'a> {
    /// Reads a body in any of the known shapes; `None` when it is no JSON object.
    pub(super) fn of_body(body: &'a [u8]) -> Option<Report<'a>> {
        let raw: &RawValue = serde_json::from_slice(body).ok()?;
        let raw = match raw.get().starts_with('[') {
            true => *fields::decode::<Vec<&RawValue>>(raw).ok()?.first()?,
            false => raw,
        };
        if !raw.get().starts_with('{') {
            return None;
        }
        let envelope: Envelope<'_> = fields::decode(raw).ok()?;
        if let Some(error) = envelope.error.filter(|error| holds_error(Some(error))) {
            return Some(Report::of_error(error));
        }
        let mut report = Report::of_object(raw);
        report.is_error =
            envelope.object.text() == Some("error") || envelope.kind.text() == Some("error");
        if report.message.is_none() {
            report.message = envelope.detail.and_then(detail_message);
        }
        Some(report)
    }

    /// Reads the value of a member `error`.
    pub(super) fn of_error(error: &'a RawValue) -> Report<'a> {
        let mut report = match fields::as_str(error) {
            Some(text) => Report {
                message: Some(text),
                ..Report::default()
            },
            None => Report::of_object(error),
        };
        report.is_error = true;
        report
    }

    fn of_object(raw: &'a RawValue) -> Report<'a> {
        let object: ErrorObject<'_> = match raw.get().starts_with('{') {
            true => fields::decode(raw).unwrap_or_default(),
            false => ErrorObject::default(),
        };
        let mut report = Report {
            message: object.message.into_text().or(object.msg.into_text()),
            number: object.code.status().or(object.status.status()),
            ..Report::default()
        };
        let mut reasons = Vec::new();
        for detail in details(object.details) {
            report.words.extend(detail.error_code.into_text());
            reasons.extend(detail.reason.into_text());
            report.retry_delay = report.retry_delay.or(detail.retry_delay.into_text());
            report.quotas.extend(quotas(detail.violations));
        }
        // Google's reasons tell more than its status, which many of them share.
        report.words.extend(object.code.into_text());
        report.words.extend(reasons);
        let general = [object.kind, object.status];
        report
            .words
            .extend(general.into_iter().filter_map(Scalar::into_text));
        report.words.retain(|word| !word.trim().is_empty());
        report.message = report.message.filter(|text| !text.trim().is_empty());
        let metadata: Option<Metadata<'_>> =
            object.metadata.and_then(|raw| fields::decode(raw).ok());
        if let Some(metadata) = metadata {
            report.is_moderation = metadata.reasons.is_some() || metadata.flagged_input.is_some();
            report.is_in_flight_budget =
                metadata.limit_source.text() == Some("openrouter_in_flight_budget");
        }
        report
    }

    /// The code to show: the most telling word, or the number.
    fn code(&self) -> Option<Cow<'_, str>> {
        match self.words.first() {
            Some(word) => Some(Cow::Borrowed(word)),
            None => self.number.map(|number| Cow::Owned(number.to_string())),
        }
    }
}

/// Whether a member `error` says that there was one; some servers always write the member.
pub(super) fn holds_error(error: Option<&RawValue>) -> bool {
    match error.map(RawValue::get) {
        None | Some("null" | "false" | "\"\"" | "{}" | "[]" | "0") => false,
        Some(_) => true,
    }
}

/// The details of an error, of which Anthropic writes one and Google a list.
fn details(raw: Option<&RawValue>) -> Vec<Detail<'_>> {
    let Some(raw) = raw else { return Vec::new() };
    match raw.get().starts_with('[') {
        true => {
            let raws: Vec<&RawValue> = fields::decode(raw).unwrap_or_default();
            let objects = raws.into_iter().filter(|raw| raw.get().starts_with('{'));
            objects.filter_map(|raw| fields::decode(raw).ok()).collect()
        }
        false => fields::decode(raw).into_iter().collect(),
    }
}

/// The quotas in a list of broken ones.
fn quotas(violations: Option<&RawValue>) -> impl Iterator<Item = Quota<'_>> {
    let violations: Option<Vec<Violation<'_>>> =
        violations.and_then(|raw| fields::decode(raw).ok());
    violations.into_iter().flatten().filter_map(|violation| {
        Some(Quota {
            id: violation.quota_id.into_text()?,
            value: violation.quota_value.number(),
        })
    })
}

/// The message in FastAPI's `detail`: a string, an object, or a list of objects.
///
/// Its member `input`, which repeats the request, is left alone.
fn detail_message(detail: &RawValue) -> Option<Cow<'_, str>> {
    if let Some(text) = fields::as_str(detail) {
        return Some(text);
    }
    let object = match detail.get().starts_with('[') {
        true => *fields::decode::<Vec<&RawValue>>(detail).ok()?.first()?,
        false => detail,
    };
    let object: ErrorObject<'_> = fields::decode(object).ok()?;
    object.message.into_text().or(object.msg.into_text())
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// What to show of a body that is no JSON: a page's title, or its beginning.
///
/// Secrets are hidden before anything is cut, so that none is cut into something unknown.
fn sample(body: &[u8], secrets: &[&str]) -> String {
    // A title, if there is one, stands near the beginning.
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let text = text.trim();
    if !text.starts_with('<') {
        return redact::line(text, secrets, MAX_SAMPLE);
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = start + lower[start..].find('<')?;
        Some(text[start..end].trim())
    });
    match title.filter(|title| !title.is_empty()) {
        Some(title) => format!(
            "a web page, \"{}\"",
            redact::line(title, secrets, MAX_SAMPLE)
        ),
        None => "a web page".to_owned(),
    }
}
